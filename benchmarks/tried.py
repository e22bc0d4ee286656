"""What was tried on the way to the defaults, one change at a time, on all yardsticks in one run.

    python benchmarks/tried.py                some twenty minutes on two cores
    python benchmarks/tried.py --films 1000   a quick look
    python benchmarks/tried.py --markdown     what the last run found, as Markdown

The films, ratings and keywords are those of `compare.py`; what people said of films is what comes with
the bundled sample, as far as these films are the same, and the sample itself has a model too. How
weights are chosen stands in `weights.py`: the rule is applied here, to one half of the films, and
what it chose is reported on the other. Genres are predicted on the unseen fifth of the split of seed 42.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import weights as search  # noqa: E402
from compare import parse, read_data, say, write_into_notebook  # noqa: E402

RESULT = ROOT / "benchmarks" / "tried.json"
Run = Callable[[argparse.Namespace, Path], dict]
ToMarkdown = Callable[[dict], str]


def model_of(films, folder: Path):
    """A model of these films; one that is in the folder already is taken."""
    from movrec import Recommender

    if (folder / "manifest.json").is_file():
        return Recommender.open(folder)
    return Recommender.build(films, folder, progress=False)


def parts_of(model, yardsticks: dict, n: int = 1000) -> dict:
    """Every measure that the model's films allow, with each block's cosines computed once."""
    from movrec.workings.judgements import Judgements

    return search.film_parts(
        model.films,
        search.blocks_of(model),
        search.shared_genres(model),
        **yardsticks,
        companions=Judgements.bundled(model.films).companions,
        n=n,
    )


def texts_of(model):
    """Each block's cosines of the descriptions that fit the films, and the row of each film meant."""
    import pandas as pd

    from movrec.workings.judgements import Judgements

    queries = Judgements.bundled(model.films).known_items
    if queries is None:
        return None
    wanted = pd.Index(model.films["id"]).get_indexer(queries["id"])
    return search.text_cosines(model, queries["query"]), wanted


def means_of(values: dict) -> dict:
    return {name: round(float(np.mean(each)), 4) for name, each in values.items()}


def try_films(model, parts: dict) -> list[dict]:
    """Other weights, presets and other embedders, by the yardsticks of lists."""
    from movrec.doc2vec import Doc2VecEmbedder
    from movrec.space import JoinedSpace
    from movrec.workings.text import film_texts
    from movrec.workings.weights import BLOCKS, PRESETS

    rows = []
    balanced = PRESETS["balanced"]

    def judge(what: str, kept: str, weights, parts=parts) -> None:
        figures = means_of({name: part.values(weights) for name, part in parts.items()})
        rows.append({"what": what, "kept": kept, **figures})
        say(f"{what}: {figures}")

    judge("movrec's default, `balanced`", "yes", balanced)
    judge("the first version: no words, no reader", "no", search.REFERENCE)
    judge("genres and year alone", "to compare", {"genres": 1, "year": 1})
    for name, words in BLOCKS.items():
        judge(f"without the block *{name}* ({words})", "no", {**balanced, name: 0})
    for name in ("theme", "mood", "era"):
        judge(f"the preset `{name}`", "a preset", PRESETS[name])
    texts = film_texts(model.films)
    for what, parameters in (
        ("window of 5 instead of 15", {"window": 5}),
        ("7 epochs instead of 14", {"epochs": 7}),
        ("no words trained with the documents (dbow_words=0)", {"dbow_words": 0}),
        ("PV-DM instead of PV-DBOW, window of 5", {"dm": 1, "window": 5}),
    ):
        blocks = Doc2VecEmbedder(progress=False, **parameters).fit_blocks(texts)
        plot = JoinedSpace().fit(model.films, blocks).text_vectors(blocks)["plot"]
        others = {
            name: part.with_block("plot", lambda rows, plot=plot: plot[rows] @ plot.T)
            for name, part in parts.items()
        }
        judge(f"plot: {what}", "no", balanced, others)
    return rows


def try_texts(model, texts) -> list[dict]:
    """Other weights for descriptions, and counting words alone, by known item."""
    from movrec.workings.contenders import bm25_contender, tfidf_contender
    from movrec.workings.judgements import Judgements, known_item
    from movrec.workings.measures import Bootstrap
    from movrec.workings.weights import PRESETS

    cosines, wanted = texts
    default = PRESETS["description"]
    rows = []

    def keep(what: str, kept: str, figures: dict) -> None:
        rows.append({"what": what, "kept": kept, **figures})
        say(f"{what}: {figures}")

    def judge(what: str, kept: str, weights) -> None:
        keep(what, kept, means_of(search.text_values(cosines, wanted, weights)))

    judge("movrec's default, `description`", "yes", default)
    judge("without a reader", "no", {**default, "reader": 0})
    judge("without words", "no", {**default, "words": 0})
    judge("without Doc2Vec", "no", {**default, "plot": 0})
    judge("words alone", "no", {"words": 1})
    judge("the reader alone", "no", {"reader": 1})
    judge("Doc2Vec alone", "no", {"plot": 1})
    judge("predicted genres of 0.4 instead", "no", {**default, "genres": 0.4})
    queries = Judgements.bundled(model.films).known_items
    for name, make in (("BM25 on stems", bm25_contender), ("TF-IDF", tfidf_contender)):
        found = known_item(make(model.films).ask, queries, bootstrap=Bootstrap(n=1)).loc["all"]
        columns = {"first": "first", "among_k": "found", "reciprocal_rank": "reciprocal_rank"}
        figures = {f"known_item_{to}": round(float(found[of]), 4) for of, to in columns.items()}
        keep(name, "to compare", figures)
    return rows


def choose_weights(parts: dict, sample_parts: dict, texts, sample_texts) -> dict:
    """Apply the rule to one half; what it chose, and how that does on the other half."""
    from movrec.workings.measures import Bootstrap

    judged = {name: part for name, part in parts.items() if name != "companion_ndcg"}
    if "companion_ndcg" in sample_parts:
        judged["companion_ndcg"] = sample_parts["companion_ndcg"]
    judged = {name: part.narrowed() for name, part in judged.items()}
    half = {name: search.half_of(len(part.asked)) for name, part in judged.items()}

    def values_of(weights, first: bool) -> dict:
        found = {name: part.values(weights) for name, part in judged.items()}
        return {name: each[half[name] == first] for name, each in found.items()}

    candidates = search.grid(**search.FILM_GRID)
    reference = values_of(search.REFERENCE, True)
    values = [values_of(candidate, True) for candidate in candidates]
    n_admitted = int(search.admitted(values, reference).sum())
    place = search.choose(values, reference) if n_admitted else None
    # Where there are too few films for any doubt to be beyond, the first version's weights stay.
    chosen = search.REFERENCE if place is None else candidates[place]
    other, before = values_of(chosen, False), values_of(search.REFERENCE, False)
    report = {}
    for name, each in other.items():
        difference = Bootstrap().measure(np.asarray(each - before[name], dtype=float))
        report[name] = {
            "first version": round(float(before[name].mean()), 4),
            "chosen": round(float(each.mean()), 4),
            "difference": [round(difference.low, 4), round(difference.high, 4)],
        }
    result = {
        "films": {
            "candidates": len(candidates),
            "admitted": n_admitted,
            "chosen": chosen,
            "on the other half": report,
        }
    }
    queries = [each for each in (sample_texts, texts) if each is not None]
    if queries:
        candidates = search.grid(**search.TEXT_GRID)
        half_queries = np.concatenate([search.half_of(len(wanted)) for _, wanted in queries])
        values = []
        for candidate in candidates:
            found = [search.text_values(*each, candidate) for each in queries]
            values.append(
                {name: np.concatenate([each[name] for each in found]) for name in found[0]}
            )
        first = [{name: each[half_queries] for name, each in own.items()} for own in values]
        place = search.choose(first)
        rest = {name: each[~half_queries] for name, each in values[place].items()}
        result["texts"] = {
            "candidates": len(candidates),
            "chosen": candidates[place],
            "on the other half": means_of(rest),
        }
    say(f"chosen: {json.dumps(result)}")
    return result


def try_genres(films) -> list[dict]:
    """Other classifiers and other features, by the genres of unseen films."""
    from sklearn.model_selection import train_test_split

    from movrec.classifier import GenreClassifier
    from movrec.space import TextModel, classifier_features
    from movrec.workings.genre_report import LinearBaseline, prediction_figures
    from movrec.workings.genres import genre_matrix, tune_thresholds
    from movrec.workings.text import film_texts

    films = films[films["genres"].str.len() > 0].reset_index(drop=True)
    split = train_test_split(np.arange(len(films)), test_size=0.2, random_state=42)
    training, test = (films.iloc[rows].reset_index(drop=True) for rows in split)
    genres, truth = training["genres"].tolist(), test["genres"].tolist()
    model = TextModel(progress=False)
    # As `TextModel.fit` does: the training films keep the vectors that they were trained with.
    readings = [model.read(training, model.fit(training)), model.read(test)]
    known, asked = (
        classifier_features(reading.text, model.terms.transform(film_texts(reading.films)))
        for reading in readings
    )
    rows = []

    def judge(what: str, kept: str, predicted) -> None:
        figures, _ = prediction_figures(truth, predicted)
        figures = {name: round(float(value), 4) for name, value in figures.items()}
        rows.append({"what": what, "kept": kept, **figures})
        say(f"{what}: {figures}")

    def train(columns=slice(None), **parameters):
        classifier = GenreClassifier(progress=False, **parameters)
        classifier.fit(known[:, columns], genres)
        return classifier.predict(asked[:, columns])

    judge("movrec's default", "yes", model.classifier.predict(asked))
    texts, test_texts = film_texts(training), film_texts(test)
    baseline = LinearBaseline().fit(texts, genres)
    judge("TF-IDF and logistic regression", "to compare", baseline.predict(test_texts))
    size = 2 * model.embedder.vector_size
    n_reader = readings[0].text["reader"].shape[1] if model.reader is not None else 0
    columns = np.arange(known.shape[1])
    if n_reader:
        without = np.delete(columns, np.s_[size : size + n_reader])
        judge("without the reader's vectors", "no", train(without))
        judge("the reader's vectors alone", "no", train(columns[size : size + n_reader]))
    judge("document vectors and word means alone", "no", train(columns[:size]))
    judge("document vectors alone", "no", train(columns[: size // 2]))
    judge("term features alone", "no", train(columns[size + n_reader :]))
    judge("one network instead of three", "no", train(networks=1))
    judge("one hidden layer of 512, dropout 0.6", "no", train(hidden=(512,), dropout=0.6))
    judge("no dropout of the inputs", "no", train(input_dropout=0.0))
    judge(
        "batches of 64, half the dropout of the inputs",
        "no",
        train(batch_size=64, input_dropout=0.2),
    )
    judge("weight decay of 0.01", "no", train(weight_decay=0.01))
    judge("a threshold for each genre", "an option", train(thresholds="per-genre"))
    # For the regression, and for the average of the two, thresholds are tuned on films that neither
    # was trained on.
    order = np.random.default_rng(0).permutation(len(training))
    aside, rest = np.split(order, [len(order) // 8])
    rest_genres = [genres[row] for row in rest]
    network = GenreClassifier(progress=False).fit(known[rest], rest_genres)
    regression = LinearBaseline().fit([texts[row] for row in rest], rest_genres)
    if list(network.classes_) == list(regression.classes_):
        given = genre_matrix([genres[row] for row in aside], list(network.classes_))

        def decide(tuned_on, probabilities, kind):
            thresholds = tune_thresholds(given, tuned_on, kind)
            chosen = [row >= np.minimum(thresholds, row.max()) for row in probabilities]
            return [network.classes_[row].tolist() for row in chosen]

        counted_aside = regression.predict_proba([texts[row] for row in aside])
        counted = regression.predict_proba(test_texts)
        what = "TF-IDF and logistic regression, a threshold for each genre"
        judge(what, "to compare", decide(counted_aside, counted, "per-genre"))
        mean_aside = (network.predict_proba(known[aside]) + counted_aside) / 2
        mean = (network.predict_proba(asked) + counted) / 2
        what = "the mean of the network and of the regression on TF-IDF"
        judge(what, "no", decide(mean_aside, mean, "single"))
    return rows


HEADS = {
    "films": {
        "genre_jaccard": "genre Jaccard@10",
        "collection_recall": "collection recall@10",
        "co_rating_recall": "co-rating recall@10",
        "theme_similarity": "theme similarity@10",
        "companion_ndcg": "companions nDCG@10",
    },
    "texts": {
        "known_item_first": "first",
        "known_item_found": "among ten",
        "known_item_reciprocal_rank": "reciprocal rank",
    },
    "genres": {"micro_f1": "micro-F1", "macro_f1": "macro-F1", "hit_rate": "hit rate"},
}


def to_markdown(result: dict) -> str:
    """All tables, and what the rule has chosen."""
    lines = [f"{result['films']:,} films from {result['source']}.", ""]
    for part in HEADS:
        if result["tried"].get(part):
            lines += [*tried_lines(result, part), ""]
    return "\n".join(lines + chosen_lines(result["weights"])).rstrip()


def tried_lines(result: dict, part: str) -> list[str]:
    """The table of one part: films, texts or genres."""
    rows, columns = result["tried"][part], HEADS[part]
    names = [name for name in columns if name in rows[0]]
    titles = " | ".join(columns[name] for name in names)
    lines = [f"| tried: {part} | {titles} | kept |", "|---" * (len(names) + 2) + "|"]
    digits = {name: 4 if name == "theme_similarity" else 3 for name in names}
    for row in rows:
        figures = " | ".join(f"{row[name]:.{digits[name]}f}" for name in names)
        lines.append(f"| {row['what']} | {figures} | {row['kept']} |")
    return lines


def weights_text(weights: dict) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items() if weight)


def chosen_lines(weights: dict) -> list[str]:
    """What the rule has chosen, with the figures of the half that had no say."""
    films = weights["films"]
    lines = [
        f"Of {films['candidates']} candidates for films the rule admits {films['admitted']} on one half "
        f"of the films, and chooses: {weights_text(films['chosen'])}. On the other half:",
        "",
        "| measure | the first version | chosen | difference, 95 % interval |",
        "|---|---|---|---|",
    ]
    for name, row in films["on the other half"].items():
        digits = 4 if name == "theme_similarity" else 3
        low, high = row["difference"]
        lines.append(
            f"| {HEADS['films'][name]} | {row['first version']:.{digits}f} | "
            f"{row['chosen']:.{digits}f} | {low:+.{digits}f} to {high:+.{digits}f} |"
        )
    if texts := weights.get("texts"):
        found = texts["on the other half"]
        figures = ", ".join(f"{HEADS['texts'][name]} {found[name]:.2f}" for name in HEADS["texts"])
        lines += [
            "",
            f"Of {texts['candidates']} candidates for texts it chooses: "
            f"{weights_text(texts['chosen'])}. On the other half of the descriptions: {figures}.",
        ]
    return lines


def main() -> None:
    run_or_read("tried.py", __doc__, RESULT, run, to_markdown)


def run_or_read(name: str, description: str, out: Path, run: Run, to_markdown: ToMarkdown) -> None:
    """Run a benchmark of models in a folder, or read what it found last; show that as tables."""
    warnings.simplefilter("ignore")
    arguments = parse(default_out=out, description=description)
    if arguments.markdown:
        result = json.loads(arguments.out.read_text(encoding="utf-8"))
    else:
        with tempfile.TemporaryDirectory() as folder:
            result = run(arguments, Path(arguments.models or folder))
        text = json.dumps(result, indent=1, ensure_ascii=False)
        arguments.out.write_text(text + "\n", encoding="utf-8")
    print(to_markdown(result))
    if arguments.notebook:
        write_into_notebook(f"benchmarks/{name}", to_markdown(result))


def run(arguments, folder: Path) -> dict:
    """Build, try and choose."""
    from movrec import load_sample

    films, yardsticks, source = read_data(arguments.films)
    say(f"{len(films):,} films from {source}")
    model = model_of(films, folder / "films")
    sample = model_of(load_sample(), folder / "sample")
    parts, texts = parts_of(model, yardsticks), texts_of(model)
    chosen = choose_weights(parts, parts_of(sample, {}, 10), texts, texts_of(sample))
    tried = {"films": try_films(model, parts)}
    tried["texts"] = try_texts(sample, texts_of(sample))
    tried["genres"] = try_genres(films)
    return {"source": source, "films": len(films), "weights": chosen, "tried": tried}


if __name__ == "__main__":
    main()

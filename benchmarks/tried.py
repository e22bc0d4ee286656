"""What was tried on the way to the defaults, one change at a time.

    python benchmarks/tried.py               some fifteen minutes on two cores
    python benchmarks/tried.py --films 1000  a quick look
    python benchmarks/tried.py --markdown    what the last run found, as Markdown

The films and ratings are those of `compare.py`. Recommendations are ranked by the cosine in the
joined space, without the genre step; genres are predicted on the unseen fifth of the split of seed 42.
MiniLM takes part where the extra `sentence` is installed.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from compare import parse, read_data, say, write_into_notebook  # noqa: E402

RESULT = ROOT / "benchmarks" / "tried.json"


def try_recommendations(films, ratings) -> list[dict]:
    """Other embedders and other ways to join, by the three yardsticks."""
    from movrec.doc2vec import Doc2VecEmbedder
    from movrec.space import JoinedSpace
    from movrec.workings.contenders import measure_all, minilm_vectors, vector_contender
    from movrec.workings.measures import Bootstrap
    from movrec.workings.terms import TermFeatures
    from movrec.workings.text import film_texts

    texts = film_texts(films)
    rows = []

    def judge(what: str, kept: str, vectors) -> None:
        scores = vector_contender(vectors).scores
        measured = measure_all(films, scores, ratings, 10, Bootstrap(n=1))
        figures = {name: round(measure.value, 4) for name, measure in measured.items()}
        rows.append({"what": what, "kept": kept, **figures})
        say(f"{what}: {figures}")

    def join(documents, words, **weights):
        space = JoinedSpace(**weights).fit(films, [documents, words])
        return space.transform(films, [documents, words])

    def train(**parameters):
        embedder = Doc2VecEmbedder(progress=False, **parameters)
        return embedder.fit_blocks(texts)

    documents, words = train()
    default = join(documents, words)
    judge("movrec's default", "yes", default)
    judge("without the title block", "no", join(documents, words, title_weight=0))
    judge("without the year block", "no", join(documents, words, year_weight=0))
    judge("without the genre block", "no", join(documents, words, genre_weight=0))
    judge("genre block of 0.5 instead of 0.6", "no", join(documents, words, genre_weight=0.5))
    judge("year block of 0.5 instead of 1", "an option", join(documents, words, year_weight=0.5))
    judge("document vectors without word means", "no", join(documents, np.zeros_like(words)))
    judge("word means without document vectors", "no", join(np.zeros_like(documents), words))
    terms = TermFeatures(256).fit(texts).transform(texts)
    terms /= np.maximum(np.linalg.norm(terms, axis=1, keepdims=True), 1e-9)
    judge("a block of term features (LSA) of 0.4 as well", "no", np.hstack([default, 0.4 * terms]))
    for what, parameters in (
        ("window of 5 instead of 15", {"window": 5}),
        ("window of 25 instead of 15", {"window": 25}),
        ("sample=1e-4 instead of 1e-5", {"sample": 1e-4}),
        ("7 epochs instead of 14", {"epochs": 7}),
        ("20 epochs from alpha=0.05 instead of 14 from 0.075", {"epochs": 20, "alpha": 0.05}),
        ("40 epochs from alpha=0.025 instead of 14 from 0.075", {"epochs": 40, "alpha": 0.025}),
        ("no words trained with the documents (dbow_words=0)", {"dbow_words": 0}),
        ("PV-DM instead of PV-DBOW, window of 5", {"dm": 1, "window": 5}),
    ):
        judge(what, "no", join(*train(**parameters)))
    minilm = minilm_vectors(films)
    if minilm is not None:
        what = "MiniLM, pretrained, instead of Doc2Vec: joined in the same way"
        judge(what, "to compare", join(minilm, np.zeros_like(minilm)))
    return rows


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
    vectors, terms = slice(0, size), slice(size, None)
    judge("document vectors and word means alone, no term features", "no", train(vectors))
    judge("document vectors alone", "no", train(slice(0, size // 2)))
    judge("term features alone", "no", train(terms))
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


def to_markdown(result: dict) -> str:
    """Both tables."""
    lines = [f"{result['films']:,} films from {result['source']}.", ""]
    heads = {
        "recommendations": {
            "genre_jaccard": "genre Jaccard@10",
            "collection_recall": "collection recall@10",
            "co_rating_recall": "co-rating recall@10",
        },
        "genres": {"micro_f1": "micro-F1", "macro_f1": "macro-F1", "hit_rate": "hit rate"},
    }
    for part, columns in heads.items():
        rows = result[part]
        names = [name for name in columns if name in rows[0]]
        lines.append(
            f"| tried: {part} | " + " | ".join(columns[name] for name in names) + " | kept |"
        )
        lines.append("|---" * (len(names) + 2) + "|")
        for row in rows:
            figures = " | ".join(f"{row[name]:.3f}" for name in names)
            lines.append(f"| {row['what']} | {figures} | {row['kept']} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def main() -> None:
    warnings.simplefilter("ignore")
    arguments = parse(default_out=RESULT, description=__doc__)
    if arguments.markdown:
        result = json.loads(arguments.out.read_text(encoding="utf-8"))
    else:
        films, ratings, source = read_data(arguments.films)
        result = {"source": source, "films": len(films)}
        result["recommendations"] = try_recommendations(films, ratings)
        result["genres"] = try_genres(films)
        text = json.dumps(result, indent=1, ensure_ascii=False)
        arguments.out.write_text(text + "\n", encoding="utf-8")
    print(to_markdown(result))
    if arguments.notebook:
        write_into_notebook("benchmarks/tried.py", to_markdown(result))


if __name__ == "__main__":
    main()

"""What a user's own script looks like to a type checker, which `make test` runs over it (mypy).

It is never executed. It uses movrec as its documentation does, and says which types come back.
"""

from pathlib import Path
from typing import assert_type

import numpy as np
import pandas as pd

from movrec import (
    Doc2VecEmbedder,
    Explanation,
    GenreClassifier,
    IngestReport,
    JoinedSpace,
    MovrecError,
    Recommender,
    SearchBox,
    check_films,
    compare,
    diversify,
    evaluate,
    film_texts,
    load_sample,
    read_movies,
)


def prepare(path: Path) -> pd.DataFrame:
    films = read_movies(path)
    assert_type(films, pd.DataFrame)
    report: IngestReport = films.attrs["ingest_report"]
    print(report)
    check_films(films)
    return films


def learn(films: pd.DataFrame) -> np.ndarray:
    texts = film_texts(films)
    assert_type(texts, list[str])
    embedder = Doc2VecEmbedder(vector_size=50, epochs=10, progress=False)
    vectors = embedder.fit_transform(texts)
    classifier = GenreClassifier(epochs=5).fit(vectors, films["genres"])
    probabilities: np.ndarray = classifier.predict_proba(vectors)
    return probabilities


def ask(folder: Path) -> pd.DataFrame:
    recommender = Recommender.build(load_sample(), folder)
    assert_type(recommender, Recommender)
    found = recommender.recommend("Toy Story", k=5, years=(1995, 2010), language="en")
    assert_type(found, pd.DataFrame)
    assert_type(recommender.search("robot", k=3, genres=["Comedy"]), pd.DataFrame)
    theme = recommender.recommend("Alien", weights="theme", disliked=["Species"], less=["war"])
    why = recommender.explain("Alien", int(theme["id"][0]), weights={"year": 0, "words": 2.5})
    assert_type(why, Explanation)
    assert_type(why.in_words(), list[tuple[str, str]])
    return recommender.recommend_for_text("A boy and his robot", diversity=0.3)


def measure(folder: Path) -> None:
    try:
        recommender = Recommender.open(folder)
        assert_type(evaluate(recommender), pd.DataFrame)
    except MovrecError as error:
        print(error)


def look(recommender: Recommender) -> SearchBox:
    return SearchBox(recommender)


NAMES = (JoinedSpace, compare, diversify)

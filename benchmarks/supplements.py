"""What do keywords and ratings do to each yardstick, where they are not what is measured? And is a profile found?

    python benchmarks/supplements.py                  some minutes on two cores, one small build
    python benchmarks/supplements.py --films 1200     a quick look

Real rows (MOVREC_REAL_DATA, or ../shared/data beside the repository): films in Kaggle's schema, TMDB's
keywords of half of those that have some, MovieLens ratings. A yardstick is never an input of what it measures:

- **keywords**: half of the films that have keywords are told half of their words; the other half of the films
  are told nothing. Theme similarity is measured by the words that were not told.
- **ratings**: the block is learned from half of the people; co-rating recall is measured by the other half.
- films about which nothing was told are asked about apart: are they answered as before?

`--learner svd` learns the block with a truncated SVD of scikit-learn instead of implicit, to compare.

The second part asks for films of the catalogue by titles with a typing error, and by their titles in their
own languages, and counts what is found and what is taken for another film.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
K = 10
WEIGHTS: dict[str, dict[str, float]] = {
    "as usual": {},
    "keywords 1": {"keywords": 1},
    "keywords 3": {"keywords": 3},
    "ratings 0.5": {"ratings": 0.5},
    "ratings 1": {"ratings": 1},
    "ratings 3": {"ratings": 3},
    "keywords 1, ratings 1": {"keywords": 1, "ratings": 1},
}


def split_words(keywords: pd.DataFrame, seed: int = 42) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keywords to tell, and keywords to measure by: no film has one in both."""
    generator = np.random.default_rng(seed)
    told, kept = [], []
    for number, (film, listed) in enumerate(zip(keywords["id"], keywords["keywords"])):
        words = [listed[place] for place in generator.permutation(len(listed))]
        half = 0 if number % 2 else len(words) // 2
        told.append((film, words[:half]))
        kept.append((film, words[half:]))
    return tuple(pd.DataFrame(part, columns=["id", "keywords"]) for part in (told, kept))  # type: ignore[return-value]


def svd_vectors(films: pd.DataFrame, ratings: pd.DataFrame, size: int = 32) -> list:
    """PureSVD (Cremonesi, Koren and Turrin, 2010) of who likes what, divided by the root of how often."""
    from scipy import sparse
    from sklearn.decomposition import TruncatedSVD

    liked = ratings.loc[ratings["rating"] >= 4, ["user_id", "id"]].drop_duplicates()
    film = pd.Index(films["id"]).get_indexer(liked["id"])
    likes = np.bincount(film[film >= 0], minlength=len(films))
    kept = (film >= 0) & (likes[film] >= 3)
    people, user = np.unique(liked["user_id"].to_numpy()[kept], return_inverse=True)
    rows, column = np.unique(film[kept], return_inverse=True)
    table = sparse.csr_matrix((np.ones(len(user)), (user, column)), (len(people), len(rows)))
    of_people, of_films = (np.asarray(table.sum(axis=axis)).ravel() for axis in (1, 0))
    table = sparse.diags(of_people**-0.5) @ table @ sparse.diags(of_films**-0.5)
    svd = TruncatedSVD(size + 1, n_iter=7, random_state=0).fit(table)
    places = (svd.components_.T * svd.singular_values_)[:, 1:]  # the first: how well known
    places /= np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-12)
    found: list = [None] * len(films)
    for row, place in zip(rows.tolist(), np.round(places, 6).tolist()):
        found[row] = place
    return found


def measures(model, films, weights, unseen, kept, rows=None):
    """Every yardstick for one choice of weights; of some rows alone, where they are given."""
    from movrec.workings.batch import joined_scores, rank_films
    from movrec.workings.contenders import measure_all
    from movrec.workings.judgements import Judgements, keyword_vectors, theme_similarity
    from movrec.workings.measures import Bootstrap, collection_recall, genre_jaccard

    scores = joined_scores(model, weights=weights)
    few = Bootstrap(n=200)
    if rows is None:
        judged = Judgements.bundled(films)
        found = measure_all(films, scores, unseen, K, few, keywords=kept, judgements=judged)
        return {name: measure.value for name, measure in found.items()}
    asked = set(films["id"].iloc[rows])
    table = rank_films(films, scores, K)
    table = table[table["id"].isin(asked)]
    found = {"genre_jaccard": genre_jaccard(table, films, K, bootstrap=few)}
    found["collection_recall"] = collection_recall(table, films, K, bootstrap=few)
    with_words, _ = keyword_vectors(films, kept)
    among = rank_films(films, scores, K, among=with_words)
    found["theme_similarity"] = theme_similarity(
        among[among["id"].isin(asked)], films, kept, K, bootstrap=few
    )
    return {name: measure.value for name, measure in found.items()}


def told_table(n_films: int, data: Path, epochs: int, learner: str) -> None:
    """Print what each choice of weights does, to all films and to those that nothing was told about."""
    from movrec import Doc2VecEmbedder, GenreClassifier, Recommender, add_source, read_movies
    from movrec.workings.sources import read_keywords, read_ratings
    from movrec.workings.tastes import split_people

    films = read_movies(data / "movies_metadata.csv.gz", progress=False)
    keywords = read_keywords(data / "keywords.csv.gz")
    ratings = read_ratings(data / "ratings_small.csv.gz", data / "links_small.csv.gz")
    known = films["id"].isin(keywords["id"])
    order = films["vote_count"].fillna(0) + 1e9 * known
    films = films.loc[
        order.sort_values(ascending=False, kind="stable").index[:n_films]
    ].sort_index()
    films = films.reset_index(drop=True)
    keywords = keywords[keywords["id"].isin(films["id"])]
    told, kept = split_words(keywords)
    seen, unseen = split_people(ratings)
    more = add_source(add_source(films, told, progress=False), seen, progress=False)
    if learner == "svd":
        vectors = svd_vectors(films, seen)
        more["ratings_vector"] = pd.Series(vectors, index=more.index, dtype=object)
    print(f"ratings learned by {learner}")
    for report in more.attrs["source_reports"]:
        print(report)
    with tempfile.TemporaryDirectory() as folder:
        model = Recommender.build(
            more,
            Path(folder) / "model",
            embedder=Doc2VecEmbedder(epochs=epochs, progress=False),
            classifier=GenreClassifier(epochs=5, networks=1, progress=False),
            progress=False,
        )
        words = dict(zip(told["id"], told["keywords"]))
        nothing_told = [
            row
            for row, (film, vector) in enumerate(zip(more["id"], more["ratings_vector"]))
            if not words.get(film) and vector is None
        ]
        told_words = [row for row, film in enumerate(more["id"]) if words.get(film)]
        for name, rows in (
            ("all films", None),
            ("films that were told keywords", told_words),
            ("films about which nothing was told", nothing_told),
        ):
            table = {
                words: measures(model, films, weights, unseen, kept, rows)
                for words, weights in WEIGHTS.items()
            }
            count = len(films) if rows is None else len(rows)
            print(f"\n{name} ({count:,})")
            print(pd.DataFrame(table).T.round(4).to_string())
        usual = shares_found(model, {}, nothing_told)
        asked = {
            name: shares_found(model, weights, nothing_told) for name, weights in WEIGHTS.items()
        }
        print(
            f"\nof the films in all lists, those about which nothing was told (as usual {usual:.3f}):"
        )
        print({name: round(share, 3) for name, share in asked.items()})


def shares_found(model, weights, rows) -> float:
    """How large a part of all lists are some films."""
    wanted = set(model.films["id"].iloc[rows])
    return float(model.recommend_all(K, weights=weights)["recommended_id"].isin(wanted).mean())


def with_slip(title: str, generator: random.Random) -> str:
    """A title with one letter swapped, left out, doubled or wrong."""
    if len(title) < 3:
        return title
    place = generator.randrange(1, len(title) - 1)
    kind = generator.randrange(4)
    if kind == 0:
        return title[:place] + title[place + 1 : place + 2] + title[place] + title[place + 2 :]
    if kind == 1:
        return title[:place] + title[place + 1 :]
    middle = title[place] * 2 if kind == 2 else generator.choice("etaoinsr")
    return title[:place] + middle + title[place + 1 :]


def profile_table(data: Path) -> None:
    """Print how many titles of a profile are found, and how many are taken for another film."""
    from movrec import load_sample, read_movies
    from movrec.workings.profile import profile_from

    generator = random.Random(42)
    rows = []
    for name, films in (
        ("sample", load_sample()),
        ("real rows", read_movies(data / "movies_metadata.csv.gz", progress=False)),
    ):
        chosen = films[films["year"].notna()].sample(1000, random_state=42)
        slips = [with_slip(title, generator) for title in chosen["title"]]
        two = [with_slip(title, generator) for title in slips]
        asked = {"as it is": chosen["title"], "one typing error": slips, "two typing errors": two}
        cases = {words: (chosen, list(titles)) for words, titles in asked.items()}
        if "original_title" in films:
            abroad = films[films["year"].notna() & (films["original_title"] != films["title"])]
            abroad = abroad[abroad["original_title"].notna()]
            own = abroad["original_title"].tolist()
            cases["title in its own language"] = (abroad, own)
            cases["the same, one typing error"] = (
                abroad,
                [with_slip(title, generator) for title in own],
            )
        for words, (asked_for, titles) in cases.items():
            for years in (True, False):
                table = pd.DataFrame({"title": titles})
                if years:
                    table["year"] = asked_for["year"].tolist()
                matched = profile_from(table, films).table["id"]
                right = (matched == pd.Series(asked_for["id"].tolist())).mean()
                said = "with the year" if years else "without"
                rows.append((name, words, said, len(table), right, matched.notna().mean() - right))
    columns = ["catalogue", "titles", "year", "n", "found", "taken for another"]
    print(pd.DataFrame(rows, columns=columns).round(3).to_string(index=False))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    default = os.environ.get("MOVREC_REAL_DATA") or ROOT.parent / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--films", type=int, default=3000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learner", choices=["implicit", "svd"], default="implicit")
    parser.add_argument("--part", choices=["told", "profile"])
    options = parser.parse_args()
    if options.part != "profile":
        told_table(options.films, options.data, options.epochs, options.learner)
    if options.part != "told":
        profile_table(options.data)


if __name__ == "__main__":
    main()

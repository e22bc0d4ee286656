"""The measures against slow and plain counting, odd tables, damaged files; the benchmark."""

import gzip
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import loaded

from movrec.classifier import GenreClassifier
from movrec.doc2vec import Doc2VecEmbedder
from movrec.evaluation import compare, evaluate
from movrec.ingest import read_movies
from movrec.recommend import Recommender
from movrec.space import TextModel
from movrec.workings.contenders import (
    Contender,
    bm25_contender,
    measure_all,
    random_contender,
    tfidf_contender,
    vector_contender,
)
from movrec.workings.core import CatalogueError, ParameterError
from movrec.workings.genre_report import LinearBaseline, genre_report
from movrec.workings.judgements import (
    Judgements,
    alike_correlation,
    alike_ndcg,
    companion_ndcg,
    keyword_vectors,
    known_item,
    known_item_ranks,
    load_known_items,
    theme_similarity,
)
from movrec.workings.limits import FILES
from movrec.workings.measures import (
    Bootstrap,
    TopLists,
    catalogue_coverage,
    co_rating_recall,
    collection_recall,
    genre_jaccard,
    intra_list_diversity,
    popularity_bias,
)
from movrec.workings.sources import (
    as_keyword_table,
    read_keywords,
    read_ratings,
    read_similarity_judgements,
)

ROOT = Path(__file__).resolve().parents[1]
MEASURES = [
    genre_jaccard,
    collection_recall,
    catalogue_coverage,
    popularity_bias,
    intra_list_diversity,
]
each_measure = pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)


@pytest.fixture(scope="module")
def chance():
    """Sixty films with genres, series and votes drawn by chance, and lists of 12, in any order."""
    draw = np.random.default_rng(0)
    n = 60
    names = np.array(["Action", "Comedy", "Drama", "Horror", "Music"])
    films = pd.DataFrame(
        {
            "id": draw.permutation(1000)[:n] + 1,
            "title": [f"Film {row}" for row in range(n)],
            "genres": [list(names[draw.random(5) < 0.4]) for _ in range(n)],
            "collection": [f"Series {row % 9}" if row < 40 else None for row in range(n)],
            "vote_count": draw.integers(0, 30, n),
        }
    )
    rows = []
    for row in range(n):
        others = draw.permutation([other for other in range(n) if other != row])[:12]
        rows += [(films["id"][row], rank + 1, films["id"][o], 0.5) for rank, o in enumerate(others)]
    table = pd.DataFrame(rows, columns=["id", "rank", "recommended_id", "similarity"])
    return films, table.sample(frac=1, random_state=0)


def lists_of(table, k):
    ordered = table.sort_values(["id", "rank"])
    return {film: list(part["recommended_id"][:k]) for film, part in ordered.groupby("id")}


def jaccard(first, second):
    return len(first & second) / len(first | second) if first | second else 0.0


# ---- the same figures, counted one film at a time -----------------------------------------------


@pytest.mark.parametrize("k", [1, 3, 10, 50])
def test_genre_jaccard_is_what_counting_gives(chance, k):
    films, table = chance
    genres = {film.id: set(film.genres) for film in films.itertuples()}
    expected = [
        np.mean([jaccard(genres[film], genres[other]) for other in others])
        for film, others in lists_of(table, k).items()
        if genres[film]
    ]
    found = genre_jaccard(table, films, k)
    assert found.value == pytest.approx(np.mean(expected))
    assert found.n == len(expected)
    assert found.short == (len(expected) if k > 12 else 0)


@pytest.mark.parametrize("k", [1, 3, 10, 50])
def test_collection_recall_is_what_counting_gives(chance, k):
    films, table = chance
    series = {film.id: film.collection for film in films.itertuples() if film.collection}
    members = {name: {f for f, of in series.items() if of == name} for name in set(series.values())}
    expected = []
    for film, others in lists_of(table, k).items():
        if film in series and len(members[series[film]]) > 1:
            siblings = members[series[film]] - {film}
            expected.append(len(siblings & set(others)) / min(k, len(siblings)))
    found = collection_recall(table, films, k)
    assert (found.value, found.n) == (pytest.approx(np.mean(expected)), len(expected))


@pytest.mark.parametrize("k", [2, 10, 50])
def test_what_kind_of_lists_is_what_counting_gives(chance, k):
    films, table = chance
    lists = lists_of(table, k)
    assert catalogue_coverage(table, films, k).value == pytest.approx(
        len(set().union(*lists.values())) / len(films)
    )
    votes = films.set_index("id")["vote_count"]
    percentile = {
        f: ((votes < votes[f]).sum() + (votes == votes[f]).sum() / 2) / 60 for f in votes.index
    }
    bias = [np.mean([percentile[o] for o in lists[f]]) - percentile[f] for f in lists]
    assert popularity_bias(table, films, k).value == pytest.approx(np.mean(bias))
    genres = {film.id: set(film.genres) for film in films.itertuples()}
    diversity = [
        np.mean([1 - jaccard(genres[a], genres[b]) for a, b in itertools.combinations(lists[f], 2)])
        for f in lists
    ]
    assert intra_list_diversity(table, films, k).value == pytest.approx(np.mean(diversity))


def ratings_by_chance(films, n_people=120):
    draw = np.random.default_rng(1)
    taste = draw.random((n_people, 4)) @ draw.random((4, len(films)))
    stars = np.clip(np.round(taste * 2 + draw.normal(1.5, 1, taste.shape)), 0.5, 5)
    person, row = np.nonzero(draw.random(taste.shape) < 0.6)
    return pd.DataFrame(
        {"user_id": person, "id": films["id"].to_numpy()[row], "rating": stars[person, row]}
    )


@pytest.mark.parametrize("k", [3, 10])
def test_co_rating_recall_is_what_counting_gives(chance, k):
    films, table = chance
    ratings = ratings_by_chance(films)
    liked = ratings[ratings["rating"] >= 4]
    people = {film: set(part["user_id"]) for film, part in liked.groupby("id")}
    n = liked["user_id"].nunique()
    rated = [film for film in films["id"] if len(people.get(film, ())) >= 15]
    assert 20 < len(rated) < 60
    expected, short = [], 0
    for film in rated:
        lift = {}
        for other in rated:
            together = len(people[film] & people[other])
            if other != film and together >= 4:
                lift[other] = n * together / (len(people[film]) * len(people[other]) + n / 2)
        true = set(sorted(lift, key=lift.get, reverse=True)[:20])
        if true:
            first = [other for other in lists_of(table, 12)[film] if other in rated][:k]
            short += len(first) < k
            expected.append(len(true & set(first)) / k)
    found = co_rating_recall(table, films, ratings, k=k)
    assert (found.n, found.short) == (len(expected), short)
    assert found.value == pytest.approx(np.mean(expected))


# ---- intervals ------------------------------------------------------------------------------------


@each_measure
def test_the_interval_contains_the_value_and_depends_on_the_seed_alone(chance, measure):
    films, table = chance
    first = measure(table, films)
    assert first.low <= first.value <= first.high
    assert first == measure(table, films)
    other = measure(table, films, bootstrap=Bootstrap(random_state=7))
    assert other.value == first.value
    if measure is not catalogue_coverage:  # here every film is recommended: 1, with no doubt
        assert (other.low, other.high) != (first.low, first.high)
        narrow = measure(table, films, bootstrap=Bootstrap(confidence=0.5))
        assert first.low < narrow.low < narrow.high < first.high


def test_the_interval_is_as_wide_as_theory_has_it():
    draw = np.random.default_rng(3)
    values = draw.normal(0, 1, 4000)
    found = Bootstrap(n=2000).measure(values)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(4000), rel=0.1)


def test_ten_thousand_films_take_seconds():
    draw = np.random.default_rng(0)
    n = 10_000
    films = pd.DataFrame(
        {
            "id": np.arange(n),
            "genres": [[f"G{g}" for g in draw.integers(0, 20, 3)] for _ in range(n)],
            "collection": [f"C{c}" for c in draw.integers(0, 4000, n)],
            "vote_count": draw.integers(0, 5000, n),
        }
    )
    table = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), 10),
            "rank": np.tile(np.arange(1, 11), n),
            "recommended_id": (np.repeat(np.arange(n), 10) + np.tile(np.arange(1, 11), n) * 7) % n,
        }
    )
    start = time.process_time()
    for measure in MEASURES:
        measure(table, films)
    assert time.process_time() - start < 15


# ---- tables that cannot be judged -----------------------------------------------------------------


@each_measure
@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: t.drop(columns="rank"), "lacks the column 'rank'"),
        (lambda t: t.assign(recommended_id=-5), "not in the film table"),
        (lambda t: t.assign(id=-5), "not in the film table"),
        (lambda t: t.assign(recommended_id=t["id"]), "for itself"),
        (lambda t: pd.concat([t, t.head(1)]), "twice"),
        (lambda t: t.head(0), "nothing to judge"),
    ],
)
def test_a_table_that_cannot_be_judged_is_refused(chance, measure, change, words):
    films, table = chance
    with pytest.raises(ParameterError, match=words) as caught:
        measure(change(table), films)
    assert "\n" not in str(caught.value)


@each_measure
@pytest.mark.parametrize("options", [{"k": 0}, {"k": 2.5}, {"k": True}])
def test_numbers_out_of_range_are_refused(chance, measure, options):
    films, table = chance
    with pytest.raises(ParameterError, match=next(iter(options))):
        measure(table, films, **options)


@pytest.mark.parametrize(
    "options", [{"confidence": 1}, {"confidence": 0.0}, {"n": 0}, {"n": 2.5}, {"random_state": -1}]
)
def test_a_bootstrap_out_of_range_is_refused(options):
    with pytest.raises(ParameterError, match=next(iter(options))):
        Bootstrap(**options)


def test_lists_are_sorted_once_for_all_measures(chance, monkeypatch):
    films, table = chance
    lists = TopLists.of(table, films)
    expected = [measure(table, films) for measure in MEASURES]
    monkeypatch.setattr(
        "movrec.workings.measures._sorted_pairs", lambda *_: pytest.fail("they are sorted again")
    )
    assert [measure(lists, films) for measure in MEASURES] == expected


def test_a_film_table_without_the_column_is_refused(chance):
    films, table = chance
    for measure, column in (
        (genre_jaccard, "genres"),
        (collection_recall, "collection"),
        (popularity_bias, "vote_count"),
    ):
        with pytest.raises(CatalogueError, match=repr(column)):
            measure(table, films.drop(columns=column))
    with pytest.raises(CatalogueError, match="no list"):
        genre_jaccard(table, films.assign(genres="Action, Drama"))
    with pytest.raises(CatalogueError, match="twice"):
        genre_jaccard(table, pd.concat([films, films.head(1)]))


def test_missing_values_are_passed_over(chance):
    films, table = chance
    half = films.copy()
    half["vote_count"] = half["vote_count"].astype("Int64")
    half.loc[::2, "vote_count"] = pd.NA
    assert popularity_bias(table, half).n == 30
    half["collection"] = half["collection"].where(half.index % 2 == 0, "")
    assert collection_recall(table, half).n < 40
    half["genres"] = [[] if row % 3 == 0 else genres for row, genres in enumerate(films["genres"])]
    assert genre_jaccard(table, half).n < 60
    single = table[table["rank"] == 1]
    with pytest.raises(ParameterError, match="two or more"):
        intra_list_diversity(single, films)


# ---- ratings ------------------------------------------------------------------------------------------


def write_ratings(folder, ratings="userId,movieId,rating\n1,10,4.5\n2,10,3\n2,11,5\n"):
    (folder / "ratings.csv").write_text(ratings, encoding="utf-8")
    links = "movieId,imdbId,tmdbId\n10,1,862\n11,2,\n12,3,863\n"
    (folder / "links.csv.gz").write_bytes(gzip.compress(links.encode()))
    return folder / "ratings.csv", folder / "links.csv.gz"


def test_ratings_get_the_ids_of_the_catalogue(tmp_path):
    table = read_ratings(*write_ratings(tmp_path))
    assert table.to_dict("list") == {"user_id": [1, 2], "id": [862, 862], "rating": [4.5, 3.0]}
    assert str(table.dtypes["id"]) == "int64"


def test_ratings_that_cannot_be_read_are_refused(tmp_path, chance):
    ratings, links = write_ratings(tmp_path)
    with pytest.raises(CatalogueError, match="missing.csv"):
        read_ratings(tmp_path / "missing.csv", links)
    with pytest.raises(CatalogueError, match="'movieId'"):
        read_ratings(*write_ratings(tmp_path, "userId,rating\n1,5\n"))
    with pytest.raises(CatalogueError, match="no film in common"):
        read_ratings(*write_ratings(tmp_path, "userId,movieId,rating\n1,99,5\n"))
    with pytest.raises(CatalogueError, match="is empty"):
        read_ratings(*write_ratings(tmp_path, ""))
    ratings, links = write_ratings(tmp_path)
    links.write_bytes(links.read_bytes()[:-20])
    with pytest.raises(CatalogueError, match="links.csv.gz"):
        read_ratings(ratings, links)
    films, table = chance
    with pytest.raises(CatalogueError, match="more ratings"):
        co_rating_recall(table, films, *write_ratings(tmp_path))
    with pytest.raises(ParameterError, match="links"):
        co_rating_recall(table, films, ratings)
    with pytest.raises(ParameterError, match="read_ratings"):
        co_rating_recall(table, films, pd.DataFrame({"userId": [1]}))


def test_ratings_are_read_within_the_limits(tmp_path, monkeypatch):
    head, row = "userId,movieId,rating\n", "1,10,4.5\n"
    ratings, links = write_ratings(tmp_path, head + row * 3)
    packed = tmp_path / "ratings.csv.gz"
    packed.write_bytes(gzip.compress((head + row * 1_000_000).encode()))
    with pytest.raises(CatalogueError, match="'times packed'"):
        read_ratings(packed, links)
    for what, most in (("rated", 2), ("bytes", 10), ("row bytes", 5)):
        with monkeypatch.context() as patch:
            patch.setitem(FILES, what, most)
            with pytest.raises(CatalogueError, match="ratings.csv") as caught:
                read_ratings(ratings, links)
            assert "\n" not in str(caught.value)
    assert len(read_ratings(ratings, links)) == 3
    with pytest.raises(CatalogueError, match="web page"):
        read_ratings(*write_ratings(tmp_path, "<!DOCTYPE html><title>Sign in</title>"))


def test_ratings_with_marks_gaps_and_broken_rows(tmp_path):
    text = "\ufeffuserId,movieId,rating,when\r\n1,10,4.5,7\r\n2,10\r\nx,y,z,u,v\r\n,10,3,7\r\n4,12,inf,7\r\n5,12,4,\r\n"
    table = read_ratings(*write_ratings(tmp_path, text))
    assert table.to_dict("list") == {"user_id": [1, 5], "id": [862, 863], "rating": [4.5, 4.0]}


def test_broken_rows_that_are_no_text_are_left_out_without_a_word(tmp_path, capfd):
    ratings, links = write_ratings(tmp_path)
    ratings.write_bytes(b"userId,movieId,rating\n1,\xff0\n2,10,3\n3,\xe9,4\n")
    assert read_ratings(ratings, links)["user_id"].tolist() == [2]
    assert capfd.readouterr() == ("", "")


# ---- keywords, and what people find alike -----------------------------------------------------------------


def write(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_keywords_are_read_in_any_form(tmp_path):
    cells = """id,keywords
578,"[{'id': 1, 'name': 'Shark'}, {'id': 2, 'name': ""fisherman's friend""}, {'id': 1, 'name': 'shark'}]"
862.0,"[{""id"": 3, ""name"": ""toy""}]"
949,heist|crime
950,[]
951,
578,"[{'id': 9, 'name': 'again'}]"
"""
    table = read_keywords(write(tmp_path, "keywords.csv", cells))
    assert dict(zip(table["id"], table["keywords"])) == {
        578: ["shark", "fisherman's friend"],
        862: ["toy"],
        949: ["heist", "crime"],
        950: [],
        951: [],
    }
    packed = tmp_path / "keywords.csv.gz"
    packed.write_bytes(gzip.compress(cells.encode()))
    assert read_keywords(packed).equals(table)
    assert as_keyword_table(table) is table and as_keyword_table(str(packed)).equals(table)


def test_keywords_that_cannot_be_read_are_left_out_or_refused(tmp_path):
    damaged = """id,keywords
a tt0114709,"[{'id': 1, 'name': 'lost'}]"
12,"[{'id': 1, 'na"
13,"__import__('os').system('exit')"
14,3.5
578,"[{'id': 1, 'name': 'shark'}]"
"""
    table = read_keywords(write(tmp_path, "keywords.csv", damaged))
    assert table["keywords"].tolist()[-1] == ["shark"] and 12 not in set(table["id"])
    assert not {12, 14} & set(table["id"])
    for text, words in (
        ("", "is empty"),
        ("id,words\n1,shark\n", "lacks the column 'keywords'"),
        ("movie,keywords\n1,shark\n", "lacks the column 'id'"),
        ("id,keywords\n1,[]\n2,\n", "no keywords"),
        ("id,keywords\n", "no keywords"),
    ):
        with pytest.raises(CatalogueError, match=words) as caught:
            read_keywords(write(tmp_path, "keywords.csv", text))
        assert "keywords.csv" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(CatalogueError, match="missing.csv"):
        read_keywords(tmp_path / "missing.csv")
    packed = tmp_path / "keywords.csv.gz"
    packed.write_bytes(gzip.compress(damaged.encode())[:-20])
    with pytest.raises(CatalogueError, match="keywords.csv.gz"):
        read_keywords(packed)
    with pytest.raises(ParameterError, match="'keywords'"):
        as_keyword_table(pd.DataFrame({"id": [1]}))
    with pytest.raises(ParameterError, match="film 7"):
        as_keyword_table(pd.DataFrame({"id": [7], "keywords": ["['shark']"]}))


def test_keywords_of_real_films(real_data):
    path = real_data.parent / "keywords.csv.gz"
    if not path.is_file():
        pytest.skip("the real keywords are not here (MOVREC_REAL_DATA names the folder)")
    table = read_keywords(path)
    assert table["id"].is_unique and 1500 < len(table) < 2000
    assert "shipwreck" in table.set_index("id")["keywords"][578]
    films = read_movies(real_data, progress=False)
    rows, vectors = keyword_vectors(films, table)
    assert len(rows) > 1500 and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    found = measure_all(films, random_contender(films).scores, None, 10, keywords=table)
    assert 0 < found["theme_similarity"].value < 0.02 and found["theme_similarity"].short == 0


def test_theme_similarity_is_what_counting_gives(chance):
    films, table = chance
    draw = np.random.default_rng(5)
    words = np.array(["shark", "space", "heist", "chess", "war", "sequel", "only once"])
    keywords = pd.DataFrame(
        {
            "id": films["id"][:40],
            "keywords": [list(words[:6][draw.random(6) < 0.4]) for _ in range(40)],
        }
    )
    keywords.at[0, "keywords"] = ["only once"]
    there = {film: set(k) - {"sequel", "only once"} for film, k in keywords.to_numpy()}
    count = {w: sum(w in k for k in there.values()) for w in words}
    weight = {w: np.log(1 + 40 / count[w]) for w in words if count[w]}

    def cosine(first, second):
        def length(k):
            return np.sqrt(sum(weight[w] ** 2 for w in k))

        return sum(weight[w] ** 2 for w in first & second) / length(first) / length(second)

    expected, short = [], 0
    for film, others in lists_of(table, 12).items():
        if there.get(film):
            first = [there[other] for other in others if there.get(other)][:3]
            short += 0 < len(first) < 3
            expected += [np.mean([cosine(there[film], k) for k in first])] if first else []
    found = theme_similarity(table, films, keywords, 3)
    assert (found.n, found.short) == (len(expected), short)
    # The number of films with keywords counts those that have any of interest at all.
    assert found.value == pytest.approx(np.mean(expected), rel=0.02)


def write_judgements(folder, text):
    links = write(folder, "links.csv", "movieId,imdbId,tmdbId\n1,1,101\n2,2,102\n3,3,103\n4,4,\n")
    return write(folder, "pair-responses.csv", text), links


def test_similarity_judgements_are_means_over_people(tmp_path):
    text = "userId,movieId,neighborId,sim,goodRec\n"
    text += (
        "7,1,2,3,4\n8,1,2,2,-1\n9,1,2,-1,1\n7,1,3,4,4\n8,1,3,1,2\n7,1,4,4,4\n8,1,4,4,4\n7,2,1,4,4\n"
    )
    files = write_judgements(tmp_path, text + "7,1,1,4,4\n8,1,1,4,4\n9,2,3,x,1\n")
    table = read_similarity_judgements(*files)
    assert table.to_dict("list") == {
        "seed_id": [101, 101],
        "companion_id": [102, 103],
        "similarity": [2.5, 2.5],
        "good": [4.0, 3.0],
        "people": [2, 2],
    }
    assert len(read_similarity_judgements(*files, least_people=1)) == 3
    own = write_judgements(tmp_path, "movieId,neighborId,sim\n1,2,3\n1,2,1\n")
    assert read_similarity_judgements(*own)["similarity"].tolist() == [2.0]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "is empty"),
        ("movieId,neighborId\n1,2\n", "lacks the column 'sim'"),
        ("movieId,neighborId,sim\n1,2,3\n", "no pair that 2"),
        ("movieId,neighborId,sim\n8,9,3\n8,9,3\n", "of one release"),
        ("movieId,neighborId,sim\na,b,c\n", "no pair"),
    ],
)
def test_similarity_judgements_that_cannot_be_read_are_refused(tmp_path, text, words):
    with pytest.raises(CatalogueError, match=words) as caught:
        read_similarity_judgements(*write_judgements(tmp_path, text))
    assert "\n" not in str(caught.value)
    with pytest.raises(ParameterError, match="least_people"):
        read_similarity_judgements(*write_judgements(tmp_path, text), least_people=0)


def test_what_people_find_alike_is_measured_by_order(chance):
    films, _ = chance
    ids = films["id"].to_numpy()
    draw = np.random.default_rng(2)
    pairs = [(ids[seed], ids[other], draw.random()) for seed in range(9) for other in range(20, 35)]
    alike = pd.DataFrame(pairs, columns=["seed_id", "companion_id", "similarity"])
    people = np.zeros((60, 60))
    people[:9, 20:35] = alike["similarity"].to_numpy().reshape(9, 15)
    scores = draw.random((60, 60))

    def both(matrix, k=10):
        given = (films, lambda rows: matrix[rows], alike)
        return alike_ndcg(*given, k).value, alike_correlation(*given).value

    assert both(people) == (1, 1) and both(-people)[1] == -1
    from scipy.stats import spearmanr

    expected = [spearmanr(scores[row, 20:35], people[row, 20:35])[0] for row in range(9)]
    assert both(scores)[1] == pytest.approx(np.mean(expected))
    gains = []
    for row in range(9):
        order = sorted(range(20, 35), key=lambda other: -scores[row, other])[:4]
        best = sorted(people[row], reverse=True)[:4]
        discounts = 1 / np.log2([2, 3, 4, 5])
        gains.append((people[row, order] @ discounts) / (best @ discounts))
    assert both(scores, 4)[0] == pytest.approx(np.mean(gains))
    # Films that are never recommended come last, and cannot be told apart.
    never = np.where(people > 0.5, people, -np.inf)
    assert both(never)[0] > 0.9 and 0 < both(never)[1] < 1
    assert both(np.zeros((60, 60)))[1] == 0
    measured = measure_all(
        films, lambda rows: people[rows], None, 5, judgements=Judgements(alike=alike)
    )
    assert measured["alike_ndcg"].value == 1 and measured["alike_ndcg"].n == 9
    with pytest.raises(ParameterError, match="nothing to judge"):
        alike_ndcg(films.assign(id=films["id"] + 5000), lambda rows: people[rows], alike)
    with pytest.raises(ParameterError, match="'similarity'"):
        alike_ndcg(films, lambda rows: people[rows], alike.drop(columns="similarity"))


# ---- what people said of the bundled films ------------------------------------------------------------------


def test_the_bundled_judgements_need_the_same_films(small_films):
    found = Judgements.bundled(small_films)
    there = set(small_films["id"])
    assert len(found.known_items) > 20 and set(found.known_items["id"]) <= there
    assert {*found.companions["seed_id"], *found.companions["companion_id"]} <= there
    assert found.alike is None
    few = Judgements.bundled(small_films.head(20))
    assert few.known_items is None and few.companions is None
    # Ids alone could mean other films.
    turned = small_films.assign(id=small_films["id"].to_numpy()[::-1])
    assert Judgements.bundled(turned) == Judgements()
    written = small_films.assign(title=small_films["title"].str.upper() + "!")
    assert len(Judgements.bundled(written).known_items) == len(found.known_items)


def test_the_baselines_for_texts_on_the_whole_sample():
    from movrec import load_sample

    films, queries = load_sample(), load_known_items()
    counted, searched = tfidf_contender(films), bm25_contender(films)
    table = known_item(searched.ask, queries, bootstrap=Bootstrap(n=10))
    assert table.loc["all", "first"] > 0.55 and table.loc["all", "among_k"] > 0.75
    assert set(table.index) == {"all", *queries["style"]}
    plain = known_item(counted.ask, queries, bootstrap=Bootstrap(n=10))
    assert table.loc["all", "first"] > plain.loc["all", "first"]
    assert searched.ask("qqqq zzzz", 10) == []
    assert known_item_ranks(searched.ask, queries.head(0)).tolist() == []


# ---- models ---------------------------------------------------------------------------------------------


def test_evaluate_judges_what_the_model_recommends(small_recommender):
    found = evaluate(small_recommender, k=5)
    assert list(found.columns) == ["value", "low", "high", "n", "short"]
    table = small_recommender.recommend_all(5)
    films = small_recommender.films
    for measure in MEASURES:
        assert found.loc[measure.__name__, "value"] == pytest.approx(
            measure(table, films, 5).value, abs=2e-3
        )
    assert "co_rating_recall" not in found.index
    with pytest.raises(ParameterError, match="600 films"):
        evaluate(small_recommender, k=600)


def test_evaluate_asks_as_people_do(small_recommender):
    judgements = Judgements.bundled(small_recommender.films)
    found = evaluate(small_recommender, k=5, bootstrap=Bootstrap(n=50))
    ranks = known_item_ranks(
        lambda text, k: small_recommender.recommend_for_text(text, k=k)["id"],
        judgements.known_items,
        5,
    )
    assert found.loc["known_item_first", "value"] == pytest.approx((ranks == 1).mean())
    assert found.loc["known_item_found", "value"] == pytest.approx((ranks > 0).mean())
    assert found.loc["known_item_found", "n"] == len(judgements.known_items)
    styles = found.attrs["known_item"]
    assert styles["all"]["first"] == pytest.approx((ranks == 1).mean())
    assert set(styles) == {"all", *judgements.known_items["style"]}
    lists = small_recommender.recommend_all(5)
    wanted = companion_ndcg(lists, small_recommender.films, judgements.companions, 5).value
    assert found.loc["companion_ndcg", "value"] == pytest.approx(wanted, abs=0.01)
    rows = found.drop(["catalogue_coverage"])
    assert (rows["low"] < rows["high"]).all()
    assert found.round(3).equals(found.round(3))  # tables with such notes can be worked with

    mine = Judgements(known_items=judgements.known_items.drop(columns="style").head(3))
    found = evaluate(small_recommender, judgements=mine)
    assert found.loc["known_item_first", "n"] == 3 and "companion_ndcg" not in found.index
    assert "known_item_first" not in evaluate(small_recommender, judgements=Judgements()).index


def test_themes_are_measured_but_never_of_a_model_that_has_read_them(small_recommender, tmp_path):
    films = small_recommender.films
    keywords = pd.DataFrame({"id": films["id"], "keywords": films["genres"]})
    found = evaluate(small_recommender, k=5, keywords=keywords, judgements=Judgements())
    assert 0 < found.loc["theme_similarity", "value"] < 1
    path = tmp_path / "keywords.csv"
    keywords.to_csv(path, index=False)
    again = evaluate(small_recommender, k=5, keywords=path, judgements=Judgements())
    assert again.equals(found)

    told = Recommender.open(small_recommender.path)
    told.manifest = {**told.manifest, "text_fields": ["title", "overview", "keywords"]}
    for judge in (evaluate, lambda model, **rest: compare(model.films, recommender=model, **rest)):
        with pytest.raises(ParameterError, match="has read the keywords") as caught:
            judge(told, keywords=keywords)
        assert "\n" not in str(caught.value)


def test_evaluate_leaves_out_what_the_catalogue_does_not_allow(tmp_path, small_films):
    films = small_films.head(40)[["id", "title", "overview", "genres"]]
    recommender = Recommender.build(
        films,
        tmp_path / "model",
        embedder=Doc2VecEmbedder(epochs=2, progress=False),
        classifier=GenreClassifier(epochs=2, progress=False),
        progress=False,
    )
    assert set(evaluate(recommender).index) == {
        "genre_jaccard",
        "catalogue_coverage",
        "intra_list_diversity",
    }
    assert "intra_list_diversity" not in evaluate(recommender, k=1).index


def test_compare_judges_every_method_in_one_table(small_recommender):
    films = small_recommender.films
    draw = np.random.default_rng(0)
    ratings = ratings_by_chance(films.head(100))
    extra = {
        "noise": lambda films: vector_contender(draw.normal(size=(len(films), 8))),
        "nothing": lambda films: Contender(lambda rows: np.full((len(rows), len(films)), 0.0)),
    }
    table = compare(
        films,
        ratings,
        recommender=small_recommender,
        extra=extra,
        pretrained=False,
        bootstrap=Bootstrap(n=50),
        n_queries=3,
        progress=False,
    )
    names = [
        "random",
        "most popular",
        "TF-IDF",
        "BM25, stemmed",
        "noise",
        "nothing",
        "plain document vectors",
        "movrec",
    ]
    assert list(table.index) == names
    assert table.loc["movrec", "genre_jaccard"] > table.loc["noise", "genre_jaccard"]
    assert (table["query_ms"] > 0).all() and (table["train_seconds"] >= 0).all()
    assert table["co_rating_recall"].between(0, 1).all()
    own = evaluate(small_recommender, ratings)
    assert table.loc["movrec", "co_rating_recall"] == pytest.approx(
        own.loc["co_rating_recall", "value"]
    )
    assert table["companion_ndcg"].between(0, 1).all()
    reads = table["known_item_first"].notna()
    assert set(table.index[~reads]) == {"random", "most popular", "noise", "nothing"}
    assert table.loc["movrec", "known_item_found"] == pytest.approx(
        own.loc["known_item_found", "value"]
    )
    with pytest.raises(ParameterError, match="other films"):
        compare(films.head(50), recommender=small_recommender, progress=False)


@pytest.mark.slow
def test_genre_report_has_its_figures_from_unseen_films(small_films):
    seen = []

    class Watched(Doc2VecEmbedder):
        def fit(self, texts, y=None):
            seen.append(set(texts))
            return super().fit(texts, y)

    def make_model():
        return TextModel(
            Watched(epochs=3, progress=False),
            GenreClassifier(epochs=3, progress=False),
            progress=False,
        )

    report = genre_report(small_films, random_states=(0, 1), make_model=make_model, progress=False)
    # Two seeds, each inductive (480 texts) and transductive (all of them).
    assert [len(texts) for texts in seen] == [480, 600] * 2
    assert report.runs.groupby("model").size().to_dict() == {
        "movrec": 4,
        "TF-IDF + logistic regression": 2,
    }
    columns = ["micro_f1", "macro_f1", "sample_f1", "jaccard", "hit_rate"]
    assert report.runs[columns].apply(lambda column: column.between(0, 1)).all(axis=None)
    summary = report.summary.loc[("movrec", "unseen films")]
    runs = report.runs[
        (report.runs["model"] == "movrec") & (report.runs["setting"] == "unseen films")
    ]
    assert summary["micro_f1"] == pytest.approx(runs["micro_f1"].mean())
    assert summary["micro_f1_spread"] == pytest.approx(runs["micro_f1"].std())
    assert report.reliability["decisions"].sum() == sum(
        120 * len(make_classes(small_films, seed)) for seed in (0, 1)
    )
    assert "micro_f1" in str(report) and "<table" in report._repr_html_()


def make_classes(films, seed):
    from sklearn.model_selection import train_test_split

    training, _ = train_test_split(np.arange(len(films)), test_size=0.2, random_state=seed)
    return {name for names in films["genres"].iloc[training] for name in names}


@pytest.mark.parametrize(
    "options", [{"test_fraction": 0}, {"test_fraction": 1.0}, {"random_states": ()}]
)
def test_genre_report_refuses_what_makes_no_split(small_films, options):
    with pytest.raises(ParameterError, match=next(iter(options))):
        genre_report(small_films, progress=False, **options)


def test_genre_report_needs_enough_films(small_films):
    with pytest.raises(ParameterError, match="too few"):
        genre_report(small_films.head(20), progress=False)


def test_the_baseline_always_names_a_genre(small_films):
    texts = small_films["overview"].tolist()
    baseline = LinearBaseline().fit(texts, small_films["genres"].tolist())
    predicted = baseline.predict(["", "A detective hunts a killer.", "zzz"])
    assert all(predicted) and 0 < baseline.threshold_ < 1
    assert baseline.predict_proba(["", "x"]).shape == (2, len(baseline.classes_))


def test_importing_evaluate_is_cheap():
    code = (
        "import sys, movrec.evaluation;"
        "heavy = ('torch', 'gensim', 'lancedb', 'matplotlib');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- real rows --------------------------------------------------------------------------------------------


def test_the_definitions_on_real_rows(real_data):
    folder = real_data.parent
    ratings = read_ratings(folder / "ratings_small.csv.gz", folder / "links_small.csv.gz")
    films = read_movies(real_data, progress=False)
    scores = random_contender(films).scores
    found = measure_all(films, scores, ratings, 10, Bootstrap(n=100))
    assert found["genre_jaccard"].value == pytest.approx(0.17, abs=0.01)
    assert found["collection_recall"].value < 0.01
    assert found["co_rating_recall"].value == pytest.approx(20 / 430, abs=0.02)
    assert found["catalogue_coverage"].value > 0.99
    assert abs(found["popularity_bias"].value) < 0.01


# ---- the benchmark ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def benchmark():
    path = ROOT / "benchmarks" / "compare.py"
    if not path.is_file():
        pytest.skip("the benchmarks are not part of this copy")
    sys.path.insert(0, str(path.parent))
    with loaded(path) as compare_script:
        yield compare_script
    sys.path.remove(str(path.parent))


def test_the_published_recipe_reads_the_answer(small_films, tmp_path, benchmark, monkeypatch):
    import published_tutorial

    monkeypatch.setattr(published_tutorial, "CALLS_OF_TRAIN", 1)
    monkeypatch.setattr(published_tutorial, "NETWORK_EPOCHS", 2)
    recipe = published_tutorial.PublishedTutorial(small_films.head(200), tmp_path)
    assert recipe.vectors.shape == (200, 100)
    assert "genres : " in " ".join(recipe._documents(True)[0])
    assert "genres : " not in " ".join(recipe._documents(False)[0])
    title = small_films["title"][0]
    assert title in recipe.get_recommendations(title)  # one of its faults


def test_the_stored_result_can_be_shown(benchmark):
    if not benchmark.RESULT.is_file():
        pytest.skip("no result is stored")
    result = json.loads(benchmark.RESULT.read_text(encoding="utf-8"))
    text = benchmark.to_markdown(result)
    assert "**movrec**" in text and "published tutorial" in text
    notebook = (ROOT / "nbs" / "07_evaluate.ipynb").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("| "):
            assert json.dumps(line, ensure_ascii=False)[1:-1] in notebook


# ---- how weights are chosen ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights(benchmark):
    with loaded(ROOT / "benchmarks" / "weights.py") as module:
        yield module


def made_up_blocks(films):
    """Two blocks of vectors by chance."""
    draw = np.random.default_rng(7)
    vectors = {
        "plot": draw.normal(size=(len(films), 6)),
        "words": draw.normal(size=(len(films), 4)),
    }
    unit = {
        name: part / np.linalg.norm(part, axis=1)[:, np.newaxis] for name, part in vectors.items()
    }
    return {name: lambda rows, part=part: part[rows] @ part.T for name, part in unit.items()}


def test_the_search_measures_what_the_measures_measure(chance, weights):
    films, _ = chance
    blocks = made_up_blocks(films)
    ratings = ratings_by_chance(films)
    draw = np.random.default_rng(9)
    keywords = pd.DataFrame(
        {"id": films["id"], "keywords": [list("abcdefgh")[i % 5 : i % 5 + 3] for i in range(60)]}
    )
    pairs = [
        (films["id"][row], films["id"][o], draw.integers(1, 3))
        for row in range(6)
        for o in range(20, 32)
    ]
    companions = pd.DataFrame(pairs, columns=["seed_id", "companion_id", "grade"])
    parts = weights.film_parts(
        films, blocks, lambda rows: np.ones((len(rows), 60)), ratings, keywords, companions
    )

    def scores(rows):
        return 2 * blocks["plot"](rows) + 0.5 * blocks["words"](rows)

    expected = measure_all(
        films,
        scores,
        ratings,
        10,
        Bootstrap(n=2),
        keywords=keywords,
        judgements=Judgements(companions=companions),
    )
    for name, part in parts.items():
        found = part.values({"plot": 2, "words": 0.5, "year": 3})
        assert found.mean() == pytest.approx(expected[name].value, abs=1e-5), name
        assert np.array_equal(part.narrowed(60).values({"plot": 1}), part.values({"plot": 1}))
        swapped = part.with_block("plot", blocks["words"]).values({"plot": 1})
        assert np.allclose(swapped, part.values({"words": 1}))
    assert len(parts) == 5


def test_texts_are_searched_as_known_items_are(chance, weights):
    films, _ = chance
    cosines = {"words": made_up_blocks(films)["words"](np.arange(12))}
    wanted = np.arange(20, 32)
    queries = pd.DataFrame({"id": films["id"][20:32], "query": [str(row) for row in range(12)]})

    def ask(text, k):
        return films["id"].to_numpy()[np.argsort(-cosines["words"][int(text)])[:k]]

    table = known_item(ask, queries, bootstrap=Bootstrap(n=2)).loc["all"]
    found = weights.text_values(cosines, wanted, {"words": 3})
    assert found["known_item_found"].mean() == pytest.approx(table["among_k"])
    assert found["known_item_reciprocal_rank"].mean() == pytest.approx(table["reciprocal_rank"])


def test_the_rule_admits_what_is_worse_on_no_measure_beyond_doubt(weights):
    draw = np.random.default_rng(4)
    reference = {name: draw.random(400) for name in ("genre_jaccard", "theme", "co")}

    def candidate(jaccard, theme, co):
        return {
            "genre_jaccard": np.full(400, jaccard),
            "theme": reference["theme"] + theme + draw.normal(0, 0.1, 400),
            "co": reference["co"] + co + draw.normal(0, 0.1, 400),
        }

    candidates = [
        candidate(0.9, 0.3, -0.1),  # loses one
        candidate(0.9, 0.3, -0.05),  # loses a little of one, film after film
        candidate(0.6, 0.5, 0.5),  # below the floor
        candidate(0.71, 0.1, -0.001),  # who can tell?
        candidate(0.71, 0.2, 0.2),
        candidate(0.99, 0.15, 0.1),  # genre Jaccard decides nothing
    ]
    assert weights.admitted(candidates, reference).tolist() == [False] * 3 + [True] * 3
    assert weights.choose(candidates, reference) == 4
    assert weights.choose(candidates) in (2, 4)  # the rule for texts asks nobody
    with pytest.raises(ValueError, match="admits no candidate"):
        weights.choose(candidates[:3], reference)
    half = weights.half_of(101)
    assert half.sum() == 51 and np.array_equal(half, weights.half_of(101))
    grid = weights.grid(**weights.FILM_GRID)
    assert len(grid) == 240 and {candidate["reader"] for candidate in grid} == {1}


def test_the_presets_are_what_the_rule_has_chosen(weights):
    from movrec.workings.weights import BLOCKS, PRESETS

    stored = ROOT / "benchmarks" / "tried.json"
    if not stored.is_file():
        pytest.skip("no result is stored")
    result = json.loads(stored.read_text(encoding="utf-8"))
    for part, preset in (("films", "balanced"), ("texts", "description")):
        chosen = result["weights"][part]["chosen"]
        assert {name: chosen.get(name, 0) for name in BLOCKS} == PRESETS[preset]
    with loaded(ROOT / "benchmarks" / "tried.py") as tried:
        text = tried.to_markdown(result)
    notebook = (ROOT / "nbs" / "07_evaluate.ipynb").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("| "):
            assert json.dumps(line, ensure_ascii=False)[1:-1] in notebook


def test_what_the_lesson_says_of_what_was_tried():
    stored = ROOT / "benchmarks" / "tried.json"
    if not stored.is_file():
        pytest.skip("no result is stored")
    result = json.loads(stored.read_text(encoding="utf-8"))
    films = {row["what"].partition(" (")[0]: row for row in result["tried"]["films"]}
    default, alone = films["movrec's default, `balanced`"], films["genres and year alone"]
    assert alone["genre_jaccard"] == max(row["genre_jaccard"] for row in films.values())
    assert alone["co_rating_recall"] > 0.95 * default["co_rating_recall"]
    for name in ("collection_recall", "theme_similarity", "companion_ndcg"):
        assert alone[name] < 0.6 * default[name]
    without = {
        name: films[f"without the block *{name}*"] for name in ("plot", "words", "reader", "year")
    }
    assert (
        max(without[name]["theme_similarity"] for name in ("words", "reader"))
        < (without["plot"]["theme_similarity"])
    )
    assert without["plot"]["theme_similarity"] < default["theme_similarity"]
    assert without["year"]["co_rating_recall"] < 0.9 * default["co_rating_recall"]
    assert films["the preset `theme`"]["theme_similarity"] == max(
        row["theme_similarity"] for row in films.values()
    )
    assert films["the preset `theme`"]["collection_recall"] < default["collection_recall"]
    assert films["the preset `era`"]["co_rating_recall"] > default["co_rating_recall"]
    texts = {row["what"]: row for row in result["tried"]["texts"]}
    found = {what: row["known_item_found"] for what, row in texts.items()}
    best = found["movrec's default, `description`"]
    assert max(found["without a reader"], found["without words"]) < found["without Doc2Vec"] < best
    assert found["BM25 on stems"] < best
    held = result["weights"]["films"]["on the other half"]
    doubtful = {name for name, row in held.items() if row["difference"][0] <= 0}
    assert doubtful == {"genre_jaccard", "co_rating_recall"}
    assert held["co_rating_recall"]["chosen"] > held["co_rating_recall"]["first version"]
    assert held["genre_jaccard"]["difference"][1] < 0

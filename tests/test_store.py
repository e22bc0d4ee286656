"""Odd values, odd words, odd filters and damage: what lesson 05 cannot show."""

import numpy as np
import pandas as pd
import pytest

from movrec.store import FilmStore, film_rows, film_schema
from movrec.workings.compared import Candidates, Remembered
from movrec.workings.core import ModelError, ParameterError, QueryError
from movrec.workings.question import FilmFilter, sql_literal
from movrec.workings.word_vectors import WordVectors, word_id
from movrec.workings.words import WordWeights

GENRES = [["Drama"], ["Children's", "Music"], [], ["Musical"], ["100%_pure", "back\\slash"]]


def odd_films():
    return pd.DataFrame(
        {
            "id": [7, 3, 2**40, 1, 5],
            "title": ["Heat", 'It\'s "sure"; DROP TABLE films --', "Ämélie", "2001", "Up"],
            "year": pd.array([1995, pd.NA, 2001, 1968, 2009], dtype="Int16"),
            "genres": GENRES,
            "overview": ["A robbery.", "", "A café.", "A monolith.", "A house."],
            "language": ["en", None, "fr", "en", "o'x"],
            "vote_count": pd.array([10, pd.NA, 30, 0, 50], dtype="Int32"),
            "runtime": [170.0, np.nan, 122.0, 149.0, 96.0],
            "shelf": list("abcde"),  # a column that the store does not know
        }
    )


VECTORS = np.array([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]], dtype=np.float32)


@pytest.fixture
def store(tmp_path):
    return FilmStore.create(tmp_path, odd_films(), VECTORS[:, :2], VECTORS)


def test_what_is_stored_comes_back(store, tmp_path):
    films, expected = FilmStore.open(tmp_path).films(), odd_films()
    for name in ("id", "title", "genres", "overview"):
        assert films[name].tolist() == expected[name].tolist()
    assert films["year"].dtype == "Int16" and films["vote_count"].dtype == "Int32"
    for name in ("year", "vote_count", "runtime", "language"):
        assert films[name].isna().tolist() == expected[name].isna().tolist()
        assert films[name].dropna().tolist() == expected[name].dropna().tolist()
    # A column that the catalogue lacks is there, so that each filter is valid on each model.
    assert films["collection"].isna().all() and "shelf" not in films
    np.testing.assert_array_equal(store.vectors(), VECTORS)
    np.testing.assert_array_equal(store.vectors("document"), VECTORS[:, :2])


def test_vectors_of_some_films(store):
    np.testing.assert_array_equal(store.vectors(ids=[1, 2**40, 1]), VECTORS[[3, 2, 3]])
    np.testing.assert_array_equal(store.vectors(ids=np.array([3], dtype=np.int32)), VECTORS[[1]])
    assert store.vectors(ids=[]).shape == (0, 3)
    with pytest.raises(QueryError, match="99"):
        store.vectors(ids=[7, 99])


def test_bad_spaces_and_metrics(store):
    with pytest.raises(ParameterError, match="space"):
        store.vectors("plot")
    with pytest.raises(ParameterError, match="space"):
        store.search(VECTORS[0], 1, space="plot")
    with pytest.raises(ParameterError, match="metric"):
        store.search(VECTORS[0], 1, metric="angle")


@pytest.mark.parametrize("space", ["joined", "document"])
def test_every_metric_by_hand(store, space):
    vectors = store.vectors(space).astype(float)
    query = vectors[0] + 0.1
    cosine = vectors @ query / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    cosine /= np.linalg.norm(query)
    found = store.search(query, 2, space=space)
    assert found["similarity"].tolist() == pytest.approx(np.sort(cosine)[::-1][:2], abs=1e-5)
    distance = np.linalg.norm(vectors - query, axis=1)
    found = store.search(query, 5, space=space, metric="l2")
    assert found["similarity"].tolist() == pytest.approx(1 / (1 + np.sort(distance)), abs=1e-5)
    found = store.search(query, 5, space=space, metric="dot")
    assert found["similarity"].tolist() == pytest.approx(np.sort(vectors @ query)[::-1], abs=1e-5)


def test_what_a_search_returns(store):
    found = store.search(VECTORS[0], 3)
    assert found.columns.tolist() == [
        "id",
        "title",
        "year",
        "genres",
        "similarity",
        "language",
        "vote_average",
        "vote_count",
        "overview",
    ]
    assert found["id"].tolist()[:2] == [7, 3] and found["similarity"].is_monotonic_decreasing
    assert all(isinstance(genres, list) for genres in found["genres"])
    assert len(store.search(VECTORS[0], 100)) == 5
    nothing = store.search(VECTORS[0], 3, where="year > 3000")
    assert len(nothing) == 0 and nothing.columns.tolist() == found.columns.tolist()


@pytest.mark.parametrize(
    "genre", ["Drama", "Children's", "Music", "Musical", "100%_pure", "back\\slash"]
)
def test_filters_compare_whole_names(store, genre):
    found = store.search(VECTORS[0], 5, where=f"array_has(genres, {sql_literal(genre)})")
    assert set(found["id"]) == {
        film for film, genres in zip(odd_films()["id"], GENRES) if genre in genres
    }


def test_a_filter_is_applied_before_the_search(store):
    assert store.search(VECTORS[0], 1, where="id != 7")["id"].tolist() == [3]
    assert store.search(VECTORS[0], 1, where="language = 'o''x'")["id"].tolist() == [5]


def test_added_films_are_found_at_once(store, tmp_path):
    new = odd_films().head(2).assign(id=[100, 101])
    store.add(new, VECTORS[3:, :2], VECTORS[3:])
    again = FilmStore.open(tmp_path)
    for one in (store, again):
        assert one.films()["id"].tolist() == [*odd_films()["id"], 100, 101]
        assert set(one.search(VECTORS[3], 2)["id"]) == {1, 100}
        assert one.search(VECTORS[3], 1, where="id > 99 AND id < 102")["id"].tolist() == [100]
        np.testing.assert_array_equal(one.vectors(ids=[101]), VECTORS[[4]])


def test_an_older_table_without_a_column_takes_films_as_well(store, tmp_path):
    store.table.drop_columns(["source_id"])
    store.add(
        odd_films().head(1).assign(id=[100], source_id=["f-1"]), VECTORS[3:4, :2], VECTORS[3:4]
    )
    assert "source_id" not in store.films() and store.films()["id"].iloc[-1] == 100


def test_rows_have_the_types_of_the_schema():
    rows = film_rows(odd_films(), VECTORS[:, :2], VECTORS)
    assert rows.schema.equals(film_schema(joined_size=3, document_size=2))
    assert rows["tagline"].null_count == 5 and rows["year"].null_count == 1


def test_a_table_that_cannot_be_opened(store, tmp_path):
    with pytest.raises(ModelError, match="build the model again"):
        FilmStore.open(tmp_path / "nowhere")
    for file in tmp_path.rglob("*.manifest"):
        file.write_bytes(b"damaged")
    with pytest.raises(ModelError, match="build the model again"):
        FilmStore.open(tmp_path).films()


# ---- words ---------------------------------------------------------------------------------------

ANIMALS = {
    1: ("Jaws", "A great shark terrifies a beach town, and a policeman hunts it."),
    2: ("The Meg", "Divers meet a shark that was thought to be extinct."),
    3: ("Amélie", "A waitress in a Paris café changes the lives of others."),
    4: ("Sharknado", "Flying animals fall out of a storm."),
    5: ("Babe", "A pig herds sheep, and a sheepdog teaches him."),
    6: ("Free Willy", "A boy sets a whale free; no shark in sight."),
}


def animals():
    titles, overviews = zip(*ANIMALS.values())
    return pd.DataFrame(
        {
            "id": list(ANIMALS),
            "title": titles,
            "overview": overviews,
            "genres": [["Horror"], ["Horror", "Action"], ["Romance"], [], ["Family"], ["Family"]],
            "year": [1975, 2018, 2001, 2013, 1995, 1993],
        }
    )


def texts_of(films):
    return (films["title"] + "\n" + films["overview"]).tolist()


@pytest.fixture
def zoo(tmp_path):
    """A store of films with words, and what their words were weighed by."""
    weights = WordWeights().fit(texts_of(animals()))
    words = weights.transform(texts_of(animals()))
    vectors = np.eye(6, dtype=np.float32)
    return FilmStore.create(tmp_path, animals(), vectors, vectors, words), weights


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("sharks", {1, 2, 6}),
        ("SHARK", {1, 2, 6}),
        ("hunted terrifying", {1}),
        ("amelie", {3}),
        ("Ame\u0301lie", {3}),  # an accent of its own
        ("Amelié", {3}),  # in another place, where a stem would not look for it
        ("CAFE", {3}),
        ("herding sheep", {5}),
        ("jaws", {1}),  # in the title alone
        ("shark shark shark", {1, 2, 6}),
    ],
)
def test_words_are_found_by_their_stems_and_without_accents(zoo, asked, found):
    rows = zoo[0].search_words(asked, 10)
    assert set(rows["id"]) == found
    assert rows["score"].is_monotonic_decreasing and (rows["score"] > 0).all()
    assert "similarity" not in rows and rows["title"].notna().all()


@pytest.mark.parametrize(
    "asked",
    [
        "",
        " \n\t",
        "the",
        "the and of a",
        "...",
        "?!",
        '"',
        "'",
        "\\",
        "(((",
        "*",
        "\x00",
        "x" * 100_000,
        "鮫",
    ],
)
def test_words_that_no_film_has_find_nothing_and_break_nothing(zoo, asked):
    store, _ = zoo
    assert len(store.search_words(asked, 10)) == 0
    nothing = store.candidates(None, asked, 10)
    assert len(nothing.ids) == len(nothing.words) == 0 and nothing.vectors.shape == (0, 6)
    assert len(store.candidates(np.ones(6, np.float32), asked, 10).ids) == 6


@pytest.mark.parametrize(
    "asked",
    [
        '"shark beach"',
        '"shark',
        "'shark'",
        "shark's",
        "shark AND NOT whale",
        "+shark -beach",
        "title:shark",
        "shark*",
        "shark~2",
        "shark^3 OR (",
        "shark'; DROP TABLE films --",
        "shark\x00",
        "shark\n\nshark",
        "shark " * 20_000,
    ],
)
def test_no_sign_in_a_search_means_anything(zoo, asked):
    store, _ = zoo
    assert {1, 2, 6} <= set(store.search_words(asked, 10)["id"])
    assert {1, 2, 6} <= set(store.candidates(None, asked, 10).ids.tolist())
    assert store.table.count_rows() == 6


def test_a_word_that_stands_twice_counts_once(zoo):
    once, twice = (zoo[0].search_words(text, 10) for text in ("beach shark", "beach beach shark"))
    assert once["id"].tolist() == twice["id"].tolist()
    assert once["score"].tolist() == twice["score"].tolist()


def test_a_tagline_is_searched_where_there_is_one(tmp_path):
    films = animals().assign(tagline=["You need a bigger boat.", None, "", None, None, None])
    vectors = np.eye(6, dtype=np.float32)
    store = FilmStore.create(tmp_path, films, vectors, vectors)
    assert store.text_columns == ["title", "overview", "tagline"]
    assert FilmStore.open(tmp_path).search_words("boats", 5)["id"].tolist() == [1]


@pytest.mark.parametrize("language", [None, "klingon"])
def test_a_language_without_stems_keeps_words_whole(tmp_path, language):
    vectors = np.eye(6, dtype=np.float32)
    store = FilmStore.create(tmp_path, animals(), vectors, vectors, language=language)
    assert len(store.search_words("sharks", 5)) == 0
    assert set(store.search_words("shark", 5)["id"]) == {1, 2, 6}
    assert store.search_words("amelie", 5)["id"].tolist() == [3]


def test_a_german_catalogue(tmp_path):
    german = animals().head(2)
    german = german.assign(overview=["Die Haie greifen den Strand an.", "Ein Mann und ein Wal."])
    vectors = np.eye(2, dtype=np.float32)
    store = FilmStore.create(tmp_path, german, vectors, vectors, language="german")
    assert store.search_words("Strände", 5)["id"].tolist() == [1]
    assert len(store.search_words("und ein", 5)) == 0


def test_the_words_of_films_come_back(zoo):
    store, weights = zoo
    compared = store.everything()
    expected = weights.transform(texts_of(animals()))
    assert compared.ids.tolist() == list(ANIMALS)
    for row in range(6):
        assert compared.words.row(row) == expected.row(row)
    asked = weights.transform(["A shark at the beach"]).row(0)
    np.testing.assert_allclose(compared.words.cosines(asked), expected.cosines(asked))
    some = store.of_films([6, 1, 6])
    assert some.ids.tolist() == [6, 1, 6]
    np.testing.assert_array_equal(some.vectors, np.eye(6)[[5, 0, 5]])
    np.testing.assert_allclose(some.words.cosines(asked), expected.cosines(asked)[[5, 0, 5]])
    assert len(store.of_films([]).ids) == 0
    assert store.of_films([np.int64(3)]).ids.tolist() == [3]
    with pytest.raises(QueryError, match="99"):
        store.of_films([1, 99])


def test_candidates_come_from_vectors_from_words_and_from_both(zoo):
    store, _ = zoo
    vector = np.array([0, 0, 1, 0.5, 0, 0], dtype=np.float32)
    assert store.candidates(vector, "", 2).ids.tolist() == [3, 4]
    assert set(store.candidates(None, "sharks", 10).ids.tolist()) == {1, 2, 6}
    both = store.candidates(vector, "sharks", 3)
    assert sorted(both.ids.tolist())[-1] == 6 and {3, 4, 1, 2, 6} <= set(both.ids.tolist())
    assert len(set(both.ids.tolist())) == len(both.ids) == len(both.vectors) == len(both.words)
    for film, found in zip(both.ids, both.vectors):
        np.testing.assert_array_equal(found, np.eye(6)[film - 1])
    twice = store.candidates(np.eye(6, dtype=np.float32)[0], "shark", 6)  # found by both, here once
    assert sorted(twice.ids.tolist()) == list(ANIMALS)
    assert len(store.candidates(None, "", 5).ids) == 0


@pytest.mark.parametrize("added", [False, True], ids=["indexed", "added later"])
@pytest.mark.parametrize(
    "where",
    [
        FilmFilter(genres=("Horror",)),
        FilmFilter(exclude_genres=("Horror",)),
        FilmFilter(years=(1990, None)),
        FilmFilter(years=(None, 1989)),
        FilmFilter(genres=("Family",), years=(1990, 1994)),
        FilmFilter(genres=("Romance",)),
        FilmFilter(genres=("Western",)),
    ],
    ids=lambda where: where.sql(),
)
def test_both_searches_heed_a_filter(zoo, where, added):
    """LanceDB's hybrid query has turned filters round: https://github.com/lancedb/lancedb/issues/3095."""
    store, weights = zoo
    films = animals()
    if added:
        more = films.assign(id=films["id"] + 10)
        vectors = np.eye(6, dtype=np.float32)
        store.add(more, vectors, vectors, weights.transform(texts_of(more)))
        films = pd.concat([films, more], ignore_index=True)
    passes = films[
        films["genres"].map(lambda g: not where.genres or bool(set(where.genres) & set(g)))
        & ~films["genres"].map(lambda g: bool(set(where.exclude_genres) & set(g)))
        & films["year"].between(
            *(bound or edge for bound, edge in zip(where.years or (0, 0), (0, 9999)))
        )
    ]
    wanted = set(passes["id"])
    with_sharks = {film for film in wanted if film % 10 in (1, 2, 6)}
    vector = np.linspace(1, 2, 6, dtype=np.float32)
    sql = where.sql()
    assert set(store.search_words("sharks", 50, where=sql)["id"]) == with_sharks
    for metric in ("dot", "cosine", "l2"):
        assert set(store.search(vector, 50, where=sql, metric=metric)["id"]) == wanted
    for reach in (1, 3, 50):
        both = set(store.candidates(vector, "sharks", reach, where=sql).ids.tolist())
        assert both <= wanted and len(both) >= min(reach, len(wanted))
    assert both == wanted
    assert set(store.candidates(None, "sharks", 50, where=sql).ids.tolist()) == with_sharks


def test_films_added_later_are_found_by_words_and_by_vectors(zoo, tmp_path):
    store, weights = zoo
    new = pd.DataFrame(
        {
            "id": [7, 8],
            "title": ["Deep Blue", "Éa"],
            "overview": ["Sharks with large brains.", "A glacier melts."],
            "genres": [["Horror"], []],
        }
    )
    vectors = np.eye(6, dtype=np.float32)[:2]
    store.add(new, vectors, vectors, weights.transform(texts_of(new)))
    for one in (store, FilmStore.open(tmp_path)):
        assert set(one.search_words("shark", 9)["id"]) == {1, 2, 6, 7}
        assert one.search_words("glaciers", 9)["id"].tolist() == [8]  # no film had the word
        assert one.search_words("ea", 9)["id"].tolist() == [8]
        assert set(one.search(vectors[0], 2, metric="dot")["id"]) == {1, 7}
        compared = one.of_films([7])
        assert word_id("shark") in compared.words.row(0)
        assert {7, 8} <= set(one.candidates(vectors[1], "glacier brain", 2).ids.tolist())


def test_no_rows_are_candidates_as_well(zoo):
    rows = zoo[0].table.search().where("false").limit(5).to_arrow()
    nothing = Candidates.of_rows(rows)
    assert nothing.ids.shape == (0,) and nothing.vectors.shape == (0, 6)
    assert nothing.words.cosines({word_id("shark"): 1.0}).shape == (0,)
    assert isinstance(nothing.words, WordVectors)


# ---- a model of 600 films ------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 40, 600])
@pytest.mark.parametrize(
    "where", [None, "array_has_any(genres, ['Drama'])", "year >= 2015 AND id != 862"]
)
def test_the_index_on_vectors_skips_nothing(small_recommender, k, where):
    store = small_recommender.store
    indexed = {column for index in store.table.list_indices() for column in index.columns}
    assert store.searched_column == "coarse_vector" and "coarse_vector" in indexed
    vector = store.vectors("joined", [int(small_recommender.films["id"][3])])[0]
    query = store.table.search(vector, vector_column_name="vector").distance_type("cosine")
    query = query.bypass_vector_index().select(["id", "_distance"]).limit(k)
    exact = (query.where(where, prefilter=True) if where else query).to_pandas()
    found = store.search(vector, k, where=where)
    assert np.allclose(found["similarity"], 1 - exact["_distance"], atol=1e-5)
    assert set(found["id"]) == set(exact["id"])
    products = store.vectors() @ vector
    passing = store.table.search().where(where or "true").limit(600).to_arrow()["id"].to_pylist()
    kept = small_recommender.films["id"].isin(passing).to_numpy()
    best = np.sort(products[kept])[::-1][:k]
    assert np.allclose(
        store.search(vector, k, where=where, metric="dot")["similarity"], best, atol=1e-4
    )
    coarse = small_recommender.space.condense(store.vectors())
    brought = store.candidates(coarse[3], "", k, where=where).ids
    products = np.where(kept, coarse @ coarse[3], -np.inf)
    least = np.sort(products)[::-1][: min(k, kept.sum())].min()  # by the index
    ids = small_recommender.films["id"].to_numpy()
    assert len(brought) == min(k, kept.sum())
    assert (products[np.isin(ids, brought)] >= least - 1e-4).all()


def test_what_is_remembered_follows_the_table(tmp_path):
    films = pd.DataFrame(
        {
            "id": [3, 1, 2],
            "title": ["A shark", "B", "C"],
            "genres": [[], [], []],
            "overview": ["shark", "bear", "shark"],
        }
    )
    vectors = np.eye(3, 4, dtype=np.float32)
    words = WordVectors.of([{word_id("shark"): 1.0}, {}, {word_id("shark"): 1.0}])
    store = FilmStore.create(tmp_path, films, vectors, vectors, words)
    asked = np.ones(4, np.float32)
    assert store.candidates(asked, "shark", 5).ids.tolist() == [3, 1, 2]
    new = film_rows(films.head(1).assign(id=9), vectors[:1], vectors[2:], words.take(np.array([0])))
    store.table.add(new)  # behind the store's back
    assert set(store.candidates(asked, "shark", 5).ids.tolist()) == {1, 2, 3, 9}
    assert store.of_films([9]).vectors.tolist() == vectors[2:].tolist()
    store.table.delete("id = 1")
    store.table.optimize()
    assert set(store.candidates(asked, "shark", 5).ids.tolist()) == {2, 3, 9}
    with pytest.raises(QueryError, match="id 77"):
        store.of_films([9, 77])


def test_a_table_too_large_to_remember_answers_alike(small_recommender, monkeypatch):
    kept = small_recommender.store
    monkeypatch.setattr(Remembered, "of_table", lambda table: None)
    other = FilmStore(kept.table, small_recommender.path)
    coarse = small_recommender.space.condense(kept.vectors("joined", [862]))[0]
    where = "array_has_any(genres, ['Comedy'])"
    one = kept.candidates(coarse, "toy cowboy", 30, where=where)
    two = other.candidates(coarse, "toy cowboy", 30, where=where)
    assert sorted(one.ids.tolist()) == sorted(two.ids.tolist()) and other.remembered() is None
    place = np.argsort(one.ids), np.argsort(two.ids)
    assert np.array_equal(one.vectors[place[0]], two.vectors[place[1]])
    assert np.array_equal(kept.of_films([862]).vectors, other.of_films([862]).vectors)
    assert len(other.everything().ids) == len(kept.everything().ids)

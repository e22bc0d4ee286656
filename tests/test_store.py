"""Odd values, odd filters and damage: what lesson 05 cannot show."""

import numpy as np
import pandas as pd
import pytest

from movrec.store import FilmStore, film_rows, film_schema
from movrec.workings.core import ModelError, ParameterError, QueryError
from movrec.workings.question import sql_literal

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
        store.search(VECTORS[0], 1, metric="dot")


@pytest.mark.parametrize("space", ["joined", "document"])
def test_both_metrics_by_hand(store, space):
    vectors = store.vectors(space).astype(float)
    query = vectors[0] + 0.1
    cosine = vectors @ query / np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)
    cosine /= np.linalg.norm(query)
    found = store.search(query, 2, space=space)
    assert found["similarity"].tolist() == pytest.approx(np.sort(cosine)[::-1][:2], abs=1e-5)
    distance = np.linalg.norm(vectors - query, axis=1)
    found = store.search(query, 5, space=space, metric="l2")
    assert found["similarity"].tolist() == pytest.approx(1 / (1 + np.sort(distance)), abs=1e-5)


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


# ---- a model of 600 films ------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 40, 600])
@pytest.mark.parametrize(
    "where", [None, "array_has_any(genres, ['Drama'])", "year >= 2015 AND id != 862"]
)
def test_the_index_on_vectors_skips_nothing(small_recommender, k, where):
    store = small_recommender.store
    assert "vector" in {column for index in store.table.list_indices() for column in index.columns}
    vector = store.vectors("joined", [int(small_recommender.films["id"][3])])[0]
    query = store.table.search(vector, vector_column_name="vector").distance_type("cosine")
    query = query.bypass_vector_index().select(["id", "_distance"]).limit(k)
    exact = (query.where(where, prefilter=True) if where else query).to_pandas()
    found = store.search(vector, k, where=where)
    assert np.allclose(found["similarity"], 1 - exact["_distance"], atol=1e-5)
    assert set(found["id"]) == set(exact["id"])

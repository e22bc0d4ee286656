"""Odd values in a question and its filter: what the working cannot show."""

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest

from movrec.workings.core import ParameterError, QueryError
from movrec.workings.question import (
    FilmFilter,
    Question,
    check_k,
    known_genres,
    lacking,
    sql_literal,
)
from movrec.workings.text import Plot
from movrec.workings.weights import BLOCKS, PRESETS

PLOT = Plot("A farmer finds an old map.")


# ---- SQL -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("Children's", "'Children''s'"),
        ("'", "''''"),
        ("x') OR ('1' = '1", "'x'') OR (''1'' = ''1'"),
        ("back\\slash", "'back\\slash'"),
        ("", "''"),
        (np.int64(3), "3"),
        (-7, "-7"),
        (2.5, "2.5"),
        (np.float32(0.5), "0.5"),
    ],
)
def test_a_literal_ends_where_it_should(value, literal):
    assert sql_literal(value) == literal


@pytest.mark.parametrize("value", [None, [1], True, float("nan"), float("inf"), b"x", {"a": 1}])
def test_a_filter_takes_text_and_numbers_only(value):
    with pytest.raises(ParameterError, match="text or numbers"):
        sql_literal(value)


def test_a_filter_without_conditions_is_none():
    for empty in (FilmFilter(), FilmFilter((), (), (None, None)), FilmFilter(min_vote_count=0)):
        assert empty.sql() is None and not empty and empty.in_words() == {}


def test_each_condition_is_in_the_sql_and_in_the_words():
    where = FilmFilter(("Comedy", "Drama"), ("Horror",), (1990, 1999), "fr", 1000, 7.5, 1e8, 10**6)
    assert where.sql(["Crime"], [3, np.int64(5)]) == (
        "array_has_any(genres, ['Crime']) AND array_has_any(genres, ['Comedy', 'Drama']) "
        "AND NOT array_has_any(genres, ['Horror']) AND year >= 1990 AND year <= 1999 "
        "AND language = 'fr' AND vote_count >= 1000 AND vote_average >= 7.5 AND revenue >= 100000000.0 "
        "AND budget >= 1000000 AND id NOT IN (3, 5)"
    )
    fields = [field.name for field in dataclasses.fields(FilmFilter)]
    assert list(where.in_words()) == fields and all(where.in_words().values())
    for name in fields:
        alone = FilmFilter(**{name: getattr(where, name)})
        assert alone and list(alone.in_words()) == [name]


@pytest.mark.parametrize(
    ("years", "sql", "words"),
    [
        ((1990, None), "year >= 1990", "from 1990"),
        ((None, 1999), "year <= 1999", "up to 1999"),
        ((1994, 1994), "year >= 1994 AND year <= 1994", "of 1994"),
        ([np.int16(0), 5], "year >= 0 AND year <= 5", "from 0 to 5"),
    ],
)
def test_years(years, sql, words):
    where = FilmFilter(years=years)
    assert where.sql() == sql and where.in_words() == {"years": words}


@pytest.mark.parametrize(
    "filters",
    [
        {"years": 1990},
        {"years": "90"},
        {"years": (1990,)},
        {"years": (2000, 1990)},
        {"years": (1990.5, None)},
        {"years": (True, None)},
        {"genres": "Comedy"},
        {"exclude_genres": "Comedy"},
        {"genres": (3.0, None)},
        {"language": ["fr"]},
        {"language": 5},
        {"language": ""},
        {"min_vote_count": [3]},
        {"min_vote_count": "many"},
        {"min_vote_count": 2.5},
        {"min_vote_count": -3},
        {"min_vote_count": True},
    ],
)
def test_bad_conditions(filters):
    with pytest.raises(ParameterError):
        FilmFilter(**filters).sql()


# ---- genres and k --------------------------------------------------------------------------------


def test_genres_are_spelled_as_the_catalogue_spells_them():
    known = ["Comédie", "Drama", "TV Movie"]
    assert known_genres(["comedie", "TV MOVIE"], known) == ("Comédie", "TV Movie")
    assert known_genres(None, known) == known_genres([], known) == ()
    with pytest.raises(QueryError, match="Drama") as caught:
        known_genres(["Drma"], known)
    assert caught.value.candidates[0] == "Drama"
    for names in ("Drama", [3], [None], 3):
        with pytest.raises(ParameterError):
            known_genres(names, known)


@pytest.mark.parametrize("k", [0, -1, 2.5, "3", True, None, 11])
def test_a_bad_k(k):
    with pytest.raises(ParameterError, match="k"):
        check_k(k, 10)
    assert check_k(np.int64(10), 10) == 10


def test_who_gave_no_k_is_not_told_that_ten_is_too_much():  # 20-ten-films-default-k
    assert check_k(10, 9) == 9
    with pytest.raises(ParameterError, match="k=10 is more than there is"):
        check_k(10, 0)


def test_a_filter_names_the_column_that_is_missing():  # 25-filter-on-what-the-model-lacks
    films = pd.DataFrame({"year": [None], "vote_count": [3]})
    where = FilmFilter(years=(1980, 1999), language="en", min_vote_count=10, genres=("Drama",))
    assert lacking(films, where) == [
        "No film of this model has a year.",
        "No film of this model has a language.",
    ]
    assert lacking(films, FilmFilter(min_vote_count=10)) == []


# ---- the question --------------------------------------------------------------------------------


def test_a_question_asks_for_something_or_not():
    assert not Question() and not Question(exclude=(3,), where=FilmFilter(genres=("Drama",)))
    assert Question(films=(862,)) and Question(plot=PLOT)


def test_a_question_stays_as_it_is_and_travels():
    question = Question(films=(862,), where=FilmFilter(years=(1990, None)), k=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        question.k = 4
    same = dataclasses.replace(question)
    assert same == question and len({question, same, pickle.loads(pickle.dumps(question))}) == 1


def test_liking_and_disliking():
    question = Question(plot=PLOT, exclude=(2, 3))
    liked = question.more_like(2)
    assert liked.films == (2,) and liked.plot is None and liked.exclude == (3,)
    assert liked.more_like(2) == liked
    assert liked.more_like(np.int64(7)).films == (2, 7)
    disliked = liked.without(2).without(2)
    assert disliked.films == () and disliked.exclude == (3, 2) and not disliked
    away = liked.less_like(7).less_like(np.int64(7)).less_like(2)
    assert away.disliked == (7, 2) and away.films == () and not away
    assert away.more_like(7).films == (7,) and away.more_like(7).disliked == (2,)
    assert all(type(film) is int for film in away.disliked)
    assert question.plot == PLOT and question.without(9).plot == PLOT  # nothing has changed


@pytest.mark.parametrize("film", ["Heat", None, 3.7, True])
def test_only_an_id_is_liked_or_disliked(film):
    question = Question(films=(862,))
    for say in (question.more_like, question.less_like, question.without):
        with pytest.raises(ParameterError, match="ids of films"):
            say(film)


def test_each_condition_is_let_go_once():
    where = FilmFilter(("Comedy",), ("Horror",), (1990, 1999), "fr", 1000)
    question = Question(films=(862,), where=where, k=4, diversity=0.5)
    loosened = dict(question.loosened())
    assert list(loosened) == [*where.in_words().values(), "share a genre with the query"]
    for name, looser in zip(where.in_words(), loosened.values()):
        assert name not in looser.where.in_words()
        assert len(looser.where.in_words()) == 4 and looser.genres_matched
        assert dataclasses.replace(looser, where=where) == question
    last = list(loosened.values())[-1]
    assert last.where == where and not last.match_genres
    assert not list(Question(films=(862,), match_genres=False).loosened())
    assert not list(Question(plot=PLOT).loosened())  # its genres are a guess, and no wall
    assert [words for words, _ in Question(plot=PLOT, match_genres=True).loosened()] == [
        "share a genre with the query"
    ]


def test_genres_are_matched_for_films_and_not_for_texts():
    assert Question(films=(862,)).genres_matched and not Question(plot=PLOT).genres_matched
    assert not Question(more=("sharks",)).genres_matched
    for wanted in (True, False):
        for asked in ({"films": (862,)}, {"plot": PLOT}):
            assert Question(**asked, match_genres=wanted).genres_matched is wanted


def test_weights_are_those_of_films_or_of_texts():
    assert Question(films=(862,)).block_weights() == PRESETS["balanced"]
    for text in (Question(plot=PLOT), Question(more=("sharks",))):
        assert text.block_weights() == PRESETS["description"]
    heavy = Question(films=(862,), weights={"year": 0, "words": 2})
    assert heavy.block_weights() == PRESETS["balanced"] | {"year": 0, "words": 2}
    assert Question(plot=PLOT, weights="era").block_weights() == PRESETS["era"]
    same = Question(films=(862,), weights={"words": 2.0, "year": 0})
    assert heavy == same and len({heavy, same}) == 1  # a dict among its fields does no harm
    assert heavy != Question(films=(862,))
    assert pickle.loads(pickle.dumps(heavy)) == heavy


def test_words_alone_are_a_question():
    assert Question(more=("sharks",)) and not Question(less=("sharks",))
    Question(more=["sharks"], less=("beach",), disliked=[3]).check()


@pytest.mark.parametrize(
    "wrong",
    [
        {"k": 0},
        {"k": 2.5},
        {"diversity": 1.1},
        {"diversity": "much"},
        {"space": "genres"},
        {"match_genres": "yes"},
        {"match_genres": 2},
        {"match_genres": []},
        {"match_genres": np.array([1, 2])},
        {"weights": "themes"},
        {"weights": {"word": 1}},
        {"weights": {"words": -1}},
        {"weights": {"words": "much"}},
        {"weights": {"words": float("nan")}},
        {"weights": {3: 1}},
        {"weights": {"preset": ["theme"]}},
        {"weights": ["theme"]},
        {"weights": 2},
        {"weights": np.ones(6)},
        {"weights": dict.fromkeys(BLOCKS, 0)},
        {"disliked": 863},
        {"disliked": ("Toy Story 2",)},
        {"disliked": (True,)},
        {"disliked": (1.5,)},
        {"disliked": None},
        {"disliked": {863}},
        {"more": "androids"},
        {"more": ("androids", 3)},
        {"more": (b"androids",)},
        {"more": None},
        {"less": "Japan"},
        {"less": (None,)},
        {"less": {"Japan": 1}},
        {"space": None},
        {"space": ["joined"]},
        {"diversity": float("nan")},
        {"diversity": True},
        {"diversity": None},
        {"where": None},
        {"where": FilmFilter(years=(2000, 1990))},
        {"where": {"genres": ["Drama"]}},
        {"plot": PLOT},
        {"films": 862},
        {"films": np.array([862])},
        {"films": (2.0,)},
        {"films": None},
        {"films": ("Toy Story",)},
        {"exclude": 863},
        {"exclude": ("Toy Story 2",)},
    ],
)
def test_a_question_that_cannot_be_answered(wrong):
    with pytest.raises(ParameterError):
        Question(**{"films": (862,), **wrong}).check()


@pytest.mark.parametrize(
    "joined_only",
    [{"weights": "theme"}, {"more": ("sharks",)}, {"less": ("sharks",)}, {"disliked": (863,)}],
    ids=str,
)
def test_what_plain_document_vectors_cannot_heed(joined_only):
    with pytest.raises(ParameterError, match="belong to the joined space"):
        Question(films=(862,), space="document", **joined_only).check()
    Question(films=(862,), space="document").check()
    Question(films=(862,), **joined_only).check()


def test_a_plot_has_to_be_one():
    with pytest.raises(ParameterError, match="Plot"):
        Question(plot=PLOT.overview).check()
    Question(plot=PLOT).check()

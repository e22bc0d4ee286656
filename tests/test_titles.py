"""Odd titles, typing errors and names that several films have: what the working cannot show."""

import pandas as pd
import pytest

from movrec.workings.core import ParameterError, QueryError
from movrec.workings.text import normalize_title
from movrec.workings.titles import TitleIndex, TitleKeys, list_films, misspelled


def films_called(titles):
    """A film table with a film a year, from 1950 on."""
    years = pd.array(range(1950, 1950 + len(titles)), dtype="Int16")
    return pd.DataFrame({"id": range(1, len(titles) + 1), "title": titles, "year": years})


@pytest.fixture(scope="module")
def titles():
    names = [
        "Heat",
        "The Heat",
        "Amélie",
        "Toy Story 3",
        "Toy Story",
        "WALL·E",
        "M",
        "Pinocchio",
        "Pinocchio",
        "Fast & Furious",
        "2001: A Space Odyssey",
        "Rocky III",
        "",
        "It",
    ]
    films = films_called(names)
    films.loc[12, "year"] = pd.NA
    return TitleIndex(films)


@pytest.mark.parametrize(
    ("typed", "row"),
    [
        ("Heat", 0),
        ("heat", 0),
        ("The Heat", 1),
        ("the heat", 1),
        ("HEAT", 0),
        ("amelie", 2),
        ("Amelie", 2),
        ("AMÉLIE", 2),
        ("toy story", 4),
        ("Toy Stroy", 4),
        ("toy sotry 3", 3),
        ("walle", 5),
        ("wall e", 5),
        ("m", 6),
        ("fast and furious", 9),
        ("2001 a space odyssey", 10),
        ("2001: A Space Odissey", 10),
        ("Heat (1950)", 0),
        ("it", 13),
    ],
)
def test_titles_that_are_understood(titles, typed, row):
    assert titles.find(typed) == row


@pytest.mark.parametrize(
    "typed", ["Toy Story 4", "Rocky II", "Rocky IV", "X", "Casablanca", "2010: A Space Odyssey"]
)
def test_titles_that_are_not_guessed_at(titles, typed):
    with pytest.raises(QueryError, match="is in the catalogue"):
        titles.find(typed)


def test_films_of_one_name_are_listed(titles):
    with pytest.raises(QueryError, match="1957.*1958") as caught:
        titles.find("pinocchio")
    assert caught.value.candidates["id"].tolist() == [8, 9]
    assert titles.find("pinocchio", year=1958) == 8
    assert titles.find("pinocchio (1958)") == 8
    with pytest.raises(QueryError, match="1900"):
        titles.find("pinocchio", year=1900)


@pytest.mark.parametrize("year", ["1957", 1957.5, True])
def test_a_year_is_a_whole_number(titles, year):
    with pytest.raises(ParameterError, match="year must be a whole number"):
        titles.find("pinocchio", year=year)


def test_suggestions(titles):
    assert set(titles.suggest("toy st")["title"].head(2)) == {"Toy Story", "Toy Story 3"}
    assert "2001: A Space Odyssey" in titles.suggest("odys")["title"].tolist()
    assert titles.suggest("ameile")["title"].tolist() == ["Amélie"]
    assert titles.suggest("tyo stroy")["title"].tolist()[0] == "Toy Story"
    assert titles.suggest("2001 spce od")["title"].tolist() == ["2001: A Space Odyssey"]
    assert titles.suggest("odyssey space 2001")["title"].tolist()[0] == "2001: A Space Odyssey"
    assert titles.suggest("").empty and titles.suggest("?!").empty
    assert len(titles.suggest("a", n=3)) <= 3


def test_suggestions_come_in_order(small_recommender):
    films = small_recommender.films
    begun = small_recommender.suggest("th", 5)
    whole = begun["title"].map(normalize_title).str.startswith("th")
    assert whole.is_monotonic_decreasing
    assert begun.loc[whole, "vote_count"].is_monotonic_decreasing
    # A whole title comes before longer ones, and every film is found by its own title.
    for title in films["title"].head(60):
        assert normalize_title(
            small_recommender.suggest(title)["title"].iloc[0]
        ) == normalize_title(title)
    assert TitleIndex(films.head(0)).suggest("x").empty


@pytest.mark.parametrize("title", ["The", "A", "!!!", "Ⅷ", "", "…", "¿Qué?"])
def test_odd_titles_keep_a_name(title):
    assert bool(normalize_title(title)) == bool(title)


@pytest.mark.parametrize("title", ["", "  ", None, 3, True, ["Heat"]])
def test_what_is_no_title(titles, title):
    with pytest.raises(ParameterError, match="title to look up"):
        titles.find(title)


def test_an_original_title_is_a_name_too():
    films = films_called(["Spirited Away", "Amélie"])
    films["original_title"] = ["Sen to Chihiro no kamikakushi", None]
    titles = TitleIndex(films)
    assert titles.find("sen to chihiro no kamikakushi") == 0 and titles.find("amelie") == 1
    assert titles.suggest("chihiro")["title"].tolist() == ["Spirited Away"]


def test_a_title_that_carries_another_year_is_a_title():
    titles = TitleIndex(films_called(["Cleopatra", "Summer (1984)"]))
    assert titles.find("Summer (1984)") == 1
    with pytest.raises(QueryError, match="is from 2001"):
        titles.find("Cleopatra (2001)")


def test_the_closest_titles_are_named(titles):
    with pytest.raises(QueryError, match="closest titles are .*Toy Story") as caught:
        titles.find("Toy Storybook")
    assert "Toy Story" in caught.value.candidates["title"].tolist()
    with pytest.raises(QueryError, match="nor one with a similar title"):
        titles.find("qqqq")


@pytest.mark.parametrize(
    ("typed", "rows"), [("m", []), ("itt", []), ("haet", [0]), ("amelio", [2]), ("rocki iii", [11])]
)
def test_how_many_typing_errors_are_forgiven(titles, typed, rows):
    keys = TitleKeys(films_called(["Heat", "The Heat", "Amélie"] + ["x"] * 8 + ["Rocky III"]))
    assert [row for row in misspelled(typed, keys) if row != 1] == rows


def test_a_list_in_a_sentence_says_how_many_more():
    films = films_called(list("abcd"))
    films.loc[0, "year"] = pd.NA
    assert list_films(films, 2) == "a (year unknown, id 1), b (1951, id 2), 2 more"
    assert list_films(films.head(0)) == ""

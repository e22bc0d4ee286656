"""The search box without a browser: markup, races, filters, the map's file, the page's command."""

import asyncio
import os
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("ipywidgets")

from movrec import search_box
from movrec.classifier import GenreClassifier
from movrec.doc2vec import Doc2VecEmbedder
from movrec.recommend import Recommender, answer, diversify
from movrec.search_box import SearchBox
from movrec.workings.cards import error_html, film_html, genre_bars_html
from movrec.workings.controls import Filters, LatestOnly
from movrec.workings.core import ParameterError, QueryError
from movrec.workings.explain import Explainer
from movrec.workings.film_map import film_map, map_html
from movrec.workings.question import Question

NASTY = [
    "<script>window.hacked = true</script>",
    '<img src=x onerror="window.hacked = true">',
    "\"><svg onload='window.hacked = true'>",
    "</details></div><b>bold</b> & 'quoted' \"double\"",
]


@pytest.fixture
def box(small_recommender):
    return SearchBox(small_recommender)


@pytest.fixture(scope="module")
def nasty_recommender(tmp_path_factory):
    """A catalogue in which every text that can be markup is markup."""
    films = pd.DataFrame(
        {
            "id": range(1, 25),
            "title": [f"{NASTY[row % 4]} {row}" for row in range(24)],
            "year": range(1990, 2014),
            "genres": [["Drama", NASTY[1]], ["Comedy", NASTY[0]]] * 12,
            "overview": [
                f"{NASTY[row % 4]} A sailor named {NASTY[2]} finds a map. " * 8 for row in range(24)
            ],
            "collection": [NASTY[3]] * 24,
            "language": [NASTY[1], "en"] * 12,
        }
    )
    path = tmp_path_factory.mktemp("nasty") / "model"
    embedder = Doc2VecEmbedder(epochs=2, progress=False)
    classifier = GenreClassifier(epochs=2, progress=False)
    return Recommender.build(films, path, embedder=embedder, classifier=classifier, progress=False)


def html_of(box):
    """All HTML that the box sends, its own style sheet aside."""
    cards = [card.body.value for card in box._list.children]
    return "\n".join([box._status.value, box._genres.value, box._map_marks.value, *cards])


def assert_harmless(markup):
    lowered = markup.lower()
    assert "<script" not in lowered
    assert "<img" not in lowered
    assert "<svg onload" not in lowered
    assert "<b>bold" not in lowered


def run(coroutine):
    return asyncio.run(coroutine)


# ---- text stays text -----------------------------------------------------------------------------


def test_markup_in_a_catalogue_is_shown_as_text(nasty_recommender):
    box = SearchBox(nasty_recommender)
    box.ask(1)
    box._show_map.value = True
    assert len(box._list.children) == 10
    assert_harmless(html_of(box))
    assert "&lt;script&gt;" in html_of(box)
    box._list.children[0].like.click()
    box._list.children[0].dislike.click()
    assert_harmless(html_of(box))
    box.describe("<script>alert(1)</script> a sailor finds a map")
    assert_harmless(html_of(box))


def test_markup_in_every_part_of_a_card():
    for nasty in NASTY:
        film = pd.Series(
            {
                "title": nasty,
                "year": 2000,
                "genres": [nasty],
                "similarity": 0.5,
                "overview": nasty * 20,
            }
        )
        assert_harmless(film_html(film, 1, [(nasty, nasty)]))
        assert_harmless(error_html(ParameterError(nasty)))
        genres = pd.DataFrame({"genre": [nasty], "probability": [0.5], "predicted": [True]})
        assert_harmless(genre_bars_html(genres))
        one = pd.DataFrame({"id": [1], "title": [nasty]})
        assert_harmless(map_html(np.zeros((1, 2)), one, one, {1: 0}, "map"))


def test_a_card_survives_missing_values():
    film = pd.Series(
        {"title": "X", "year": pd.NA, "genres": [], "similarity": 1.2, "overview": float("nan")}
    )
    markup = film_html(film, 3)
    assert "year unknown" in markup and "no genres known" in markup and "nan" not in markup
    assert "width:100%" in markup


# ---- questions and answers -----------------------------------------------------------------------


def test_query_and_results_can_be_observed_but_not_set(box):
    seen = []
    box.observe(lambda change: seen.append(change["name"]), ["query", "results"])
    box.ask("Inception")
    assert seen == ["query", "results"]
    assert isinstance(box.results, pd.DataFrame) and len(box.results) == 10
    assert "Inception" not in set(box.results["title"])
    with pytest.raises(Exception, match="read-only"):
        box.query = Question(text="x")


def test_the_box_recommends_what_the_recommender_recommends(box, small_recommender):
    box.ask("Inception")
    assert box.results["id"].tolist() == small_recommender.recommend("Inception")["id"].tolist()
    plot = "A thief enters the dreams of other people."
    box.describe(plot)
    assert box.results["id"].tolist() == small_recommender.recommend_for_text(plot)["id"].tolist()
    assert "predicted" in box._genres.value


def test_an_unknown_film_raises_and_leaves_the_box_alone(box):
    box.ask("Inception")
    before = box.query
    with pytest.raises(QueryError):
        box.ask("No Such Film Anywhere")
    assert box.query == before


def test_a_title_makes_its_film_the_query_and_back_returns(box):
    box.ask("Inception")
    first = box.results["id"].tolist()
    for _ in range(3):
        box._list.children[0].title.click()
    assert box.query.films != ()
    assert len(box._way.children) == 4
    box.back(3)
    assert box.results["id"].tolist() == first
    assert box._way.children == ()
    box.back(5)
    assert box.results["id"].tolist() == first


def test_a_step_of_the_trail_leads_there(box):
    for title in ["Inception", "Titanic", "Shrek"]:
        box.ask(title)
    assert [step.description for step in box._way.children] == [
        "Back",
        "Inception (2010)",
        "Titanic (1997)",
    ]
    box._way.children[1].click()
    assert box._typed.value == "Inception (2010)"
    assert box._way.children == ()


def test_verdicts(box, small_recommender):
    box.ask("Inception")
    liked, disliked = (box._list.children[number].film_id for number in (0, 1))
    box._list.children[0].like.click()
    assert len(box.query.films) == 2 and liked not in set(box.results["id"])
    cards = {card.film_id: card for card in box._list.children}
    other = next(iter(cards))
    cards[other].dislike.click()
    assert other not in set(box.results["id"]) and len(box.results) == 10
    expected = small_recommender.recommend(list(box.query.films), exclude=[other])
    assert box.results["id"].tolist() == expected["id"].tolist()
    assert "but not" in box._status.value
    assert disliked != liked


def test_not_this_one_with_a_text(box):
    box.describe("A thief enters the dreams of other people.")
    gone = box._list.children[0]
    film = gone.film_id
    gone.dislike.click()
    assert film not in set(box.results["id"]) and len(box.results) == 10
    box._list.children[0].like.click()
    assert box.query.text == "" and len(box.query.films) == 1


def test_an_answer_never_asks_for_more_than_there_is(nasty_recommender):
    found = answer(nasty_recommender, Question(films=(1,)), 30, match_genres=False, diversity=0.5)
    assert len(found) == 23
    everything = Question(films=(1,), disliked=tuple(range(2, 25)))
    assert len(answer(nasty_recommender, everything, 10)) == 0


def test_an_error_is_one_line_with_details(box, monkeypatch):
    box.describe("zzzz qqqq xxxx")
    assert "write it in the language of the catalogue" in box._status.value
    assert "<details>" in box._status.value
    assert len(box.results) == 0 and box._list.children == ()

    def fail(*arguments, **options):
        raise RuntimeError("<b>disk</b> on fire")

    monkeypatch.setattr(box.recommender, "recommend", fail)
    box.ask("Inception")
    assert "The search failed" in box._status.value
    assert "&lt;b&gt;disk&lt;/b&gt; on fire" in box._status.value


# ---- filters -------------------------------------------------------------------------------------


def test_each_filter_reaches_the_recommender(box):
    box.ask("Inception")
    controls = box.filters._controls
    controls["years"].value = (1990, 2000)
    assert box.results["year"].between(1990, 2000).all() and len(box.results)
    controls["min_vote_count"].value = 1000
    assert (box.results["vote_count"] >= 1000).all()
    controls["k"].value = 5
    assert len(box.results) == 5
    drama, thriller = (
        next(button for button in box.filters._genres if button.genre == name)
        for name in ("Drama", "Thriller")
    )
    drama.state = "only"
    assert all("Drama" in genres for genres in box.results["genres"])
    thriller.state = "never"
    assert not any("Thriller" in genres for genres in box.results["genres"])
    assert box._show_filters.description == "Filters (4)"
    box.filters.reset()
    assert box._show_filters.description == "Filters" and len(box.results) == 5


def test_either_end_of_the_years_can_be_typed(box):
    box.ask("Inception")
    slider = box.filters._controls["years"]
    _, first, last = box.filters.children[2].children[0].children
    first.value = 1990
    assert slider.value == (1990, slider.max) and box.results["year"].min() >= 1990
    slider.value = (1995, 1999)
    assert (first.value, last.value) == (1995, 1999)
    first.value = 2005  # past the other end, which goes along
    assert slider.value == (2005, 2005) and last.value == 2005
    last.value = 2001
    assert slider.value == (2001, 2001) and first.value == 2001
    box.filters.reset()
    assert (first.value, last.value) == slider.value == (slider.min, slider.max)


def test_an_empty_list_says_what_to_loosen(box):
    box.ask("Inception")
    box.filters._controls["years"].value = (
        (1902, 1903)
        if box.filters._controls["years"].min <= 1902
        else (box.filters._controls["years"].min,) * 2
    )
    box.filters._controls["min_vote_count"].value = 10000
    assert len(box.results) == 0 and box._list.children == ()
    assert "No film passes these filters." in box._status.value
    assert "Leave out" in box._status.value or "loosen several" in box._status.value


def test_there_are_no_controls_for_what_a_catalogue_lacks():
    films = pd.DataFrame(
        {
            "id": [1, 2],
            "title": ["A", "B"],
            "year": [2000, 2000],
            "genres": [["Drama"], []],
            "overview": ["x", "y"],
        }
    )
    filters = Filters(films)
    assert set(filters._controls) == {"match_genres", "k", "diversity"}
    assert [button.genre for button in filters._genres] == ["Drama"]


def test_diversity(small_recommender):
    question = Question(films=(int(small_recommender.find("Toy Story")["id"]),))
    near, varied = (answer(small_recommender, question, 8, diversity=d) for d in (0.0, 0.7))
    assert near["id"][0] == varied["id"][0]
    assert set(near["id"]) != set(varied["id"])
    assert varied.attrs["query"] == near.attrs["query"]
    for bad in (-0.1, 1.1, float("nan")):
        with pytest.raises(ParameterError):
            diversify(near, np.ones((8, 2)), 3, diversity=bad)
    with pytest.raises(ParameterError):
        diversify(near, np.ones((7, 2)), 3)


# ---- typing --------------------------------------------------------------------------------------


def test_suggestions_follow_typing_and_are_a_dozen_at_most(box):
    async def type_it():
        for end in range(1, 7):
            box._typed.value = "toy st"[:end]
            await asyncio.sleep(0.01)
        await box.settled()

    run(type_it())
    names = [button.description for button in box._suggestions.children]
    assert "Toy Story (1995)" in names and len(names) <= 12
    box._suggestions.children[names.index("Toy Story (1995)")].click()
    assert box._typed.value == "Toy Story (1995)"
    assert box._suggestions.children == ()
    assert box.recommender.find(box.query.films[0])["title"] == "Toy Story"
    assert len(box.results) == 10


def test_enter_takes_the_best_suggestion_for_the_last_letters(box):
    async def type_it():
        box._typed.value = "shr"
        box._on_enter(box._typed, {"event": "submit"}, None)
        box._typed.value = "titan"  # overtaken by Enter's message, as browsers may send it
        box._on_enter(box._typed, {"event": "submit"}, None)
        await box.settled()

    run(type_it())
    assert box._typed.value == "Titanic (1997)"
    assert len(box.results) == 10


def test_a_title_that_is_not_there(box):
    box._typed.value = "qqqqqqqq"
    assert box._suggestions.children == ()
    assert "No title like that" in box._no_title.value
    box._typed.value = "titanic"
    assert box._suggestions.children != () and box._no_title.value == ""


def test_one_growing_plot_is_one_step_of_the_trail(box):
    async def type_it():
        text = "A thief enters the dreams"
        for end in range(8, len(text) + 1):
            box._plot.value = text[:end]
        await box.settled()

    box.ask("Titanic")
    run(type_it())
    assert len(box._trail) == 2
    assert box.query.text == "A thief enters the dreams"
    assert len(box.results) == 10
    box.back()
    assert box._mode.index == 0 and box._typed.value == "Titanic (1997)"


# ---- races ---------------------------------------------------------------------------------------


def test_a_slow_answer_never_overwrites_a_newer_one(box, monkeypatch):
    started, release = threading.Event(), threading.Event()
    recommend = box.recommender.recommend
    slow = int(box.recommender.find("Inception")["id"])

    def sometimes_slow(query, *arguments, **options):
        if query == [slow]:
            started.set()
            assert release.wait(5)
        return recommend(query, *arguments, **options)

    monkeypatch.setattr(box.recommender, "recommend", sometimes_slow)
    seen = []
    box.observe(lambda change: seen.append(box.query.films), "results")
    shrek = int(box.recommender.find("Shrek")["id"])

    async def scenario():
        box._pose(Question(films=(slow,)))
        await asyncio.to_thread(started.wait, 5)
        await asyncio.sleep(0.3)
        assert "Searching" in box._status.value
        box._pose(Question(films=(shrek,)))
        release.set()
        await box.settled()

    run(scenario())
    assert seen == [(shrek,)]
    assert "Shrek" in box._status.value


def test_only_the_newest_request_is_worked_on():
    worked, shown = [], []
    latest = LatestOnly(delay=0.02)

    async def scenario():
        for number in range(20):
            latest.request(lambda number=number: worked.append(number) or number, shown.append)
        await latest.settled()

    run(scenario())
    assert worked == [19] and shown == [19]


def test_without_an_event_loop_an_answer_comes_at_once():
    shown = []
    LatestOnly().request(lambda: 7, shown.append)
    assert shown == [7]


def test_cards_and_suggestions_are_reused(box):
    box.ask("Inception")
    before = list(box._list.children)
    box.ask("Titanic")
    assert list(box._list.children) == before


# ---- reasons -------------------------------------------------------------------------------------


def test_reasons(small_recommender):
    films = small_recommender.films
    explainer = Explainer(small_recommender, films[films["title"] == "Toy Story"])
    reasons = dict(explainer.reasons(small_recommender.find("Toy Story 2")))
    assert reasons["Same series"] == "Toy Story Collection"
    assert "story" in reasons["In both titles"]
    bare = pd.Series(
        {"title": "Zz", "year": pd.NA, "genres": [], "overview": None, "collection": np.nan}
    )
    assert explainer.reasons(bare) == []


def test_close_words_are_words_that_are_used_often(small_recommender, monkeypatch):
    films = small_recommender.films
    query = films[films["title"] == "Toy Story"]
    # In a small catalogue no word is used often enough and yet tells something.
    assert Explainer(small_recommender, query)._close == {}
    monkeypatch.setattr(search_box, "_SEEN", 5)
    monkeypatch.setattr(search_box, "_CLOSE", 0.0)
    explainer = Explainer(small_recommender, query)
    words = small_recommender.embedder.model_.wv
    assert explainer._close
    for other, word in explainer._close.items():
        assert other != word
        assert words.get_vecattr(other, "count") >= 5 and words.get_vecattr(word, "count") >= 5


# ---- the map -------------------------------------------------------------------------------------


def test_the_map_is_kept_with_the_model_and_made_anew_when_damaged(small_model, tmp_path):
    path = shutil.copytree(small_model, tmp_path / "copy")
    for kept in path.glob("map-*"):
        kept.unlink()
    recommender = Recommender.open(path)
    places = film_map(recommender)
    assert places.shape == (600, 2) and places.min() >= 0 and places.max() <= 1
    file = path / "map-600.npy"
    started = time.perf_counter()
    assert np.array_equal(film_map(recommender), places)
    assert time.perf_counter() - started < 2
    file.write_bytes(file.read_bytes()[:100])
    assert np.array_equal(film_map(recommender), places)
    np.save(file, np.array([{"an": "object"}], dtype=object))
    assert np.array_equal(film_map(recommender), places)
    assert len(Recommender.open(path).films) == 600


def test_the_map_of_a_catalogue_that_has_grown(nasty_recommender, tmp_path):
    recommender = Recommender.open(shutil.copytree(nasty_recommender.path, tmp_path / "copy"))
    assert film_map(recommender).shape == (24, 2)
    more = recommender.films.head(1)[["title", "year", "genres", "overview"]].assign(id=900)
    recommender.add(more)
    assert film_map(recommender).shape == (25, 2)
    reopened = Recommender.open(recommender.path)  # whose manifest may know the older map by now
    assert film_map(reopened).shape == (25, 2)


def test_import_of_the_package_does_not_import_widgets():
    code = "import sys, movrec, movrec.cli; assert not {'ipywidgets', 'torch', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})

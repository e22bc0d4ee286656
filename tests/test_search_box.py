"""The search box without a browser: markup, races, filters, the map's file."""

import asyncio
import html
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("ipywidgets")

from movrec.classifier import GenreClassifier
from movrec.doc2vec import Doc2VecEmbedder
from movrec.recommend import Recommender
from movrec.search_box import SearchBox, work_out
from movrec.workings import explain
from movrec.workings.answers import diversify
from movrec.workings.cards import error_html, film_html, genre_bars_html, style_html
from movrec.workings.controls import Filters
from movrec.workings.core import ParameterError, QueryError
from movrec.workings.faces import TILE_COLORS, contrast, link_html, poster_address, tile_color
from movrec.workings.film_map import MapView, film_map, map_html
from movrec.workings.latest import LatestOnly
from movrec.workings.question import FilmFilter, Question
from movrec.workings.text import Plot
from movrec.workings.weights import BLOCKS, FURTHER_BLOCKS, PRESETS

NASTY = [
    "<script>window.hacked = true</script>",
    '<img src=x onerror="window.hacked = true">',
    "\"><svg onload='window.hacked = true'>",
    "</details></div><b>bold</b> & 'quoted' \"double\"",
]


@pytest.fixture
def box(small_recommender):
    return SearchBox(small_recommender)


def test_there_is_no_slider_for_a_block_that_a_model_does_not_have(small_recommender, monkeypatch):
    assert list(SearchBox(small_recommender).inputs.weights.controls) == list(BLOCKS)
    blocks = [block for block in BLOCKS if block != "reader"]
    space = small_recommender.space
    without = {name: at for name, at in space.layout_.items() if name != "reader"}
    monkeypatch.setattr(space, "layout_", without)
    weights = SearchBox(small_recommender).inputs.weights
    assert list(weights.controls) == blocks
    weights.controls["year"].value = 2.0
    assert list(weights.chosen) == blocks


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
    screen = box.screen
    cards = [card.body.value for card in screen.cards.children]
    return "\n".join([screen.status.value, screen.genres.value, screen.map.marks.value, *cards])


def assert_harmless(markup):
    lowered = markup.lower()
    assert "<script" not in lowered
    assert "<img" not in lowered
    assert "<svg onload" not in lowered
    assert "<b>bold" not in lowered


def press_enter(box):
    """What the browser sends when Enter is pressed in the title."""
    box.inputs.finder.field._handle_custom_msg({"event": "submit"}, [])


def run(coroutine):
    return asyncio.run(coroutine)


# ---- text stays text -----------------------------------------------------------------------------


def test_markup_in_a_catalogue_is_shown_as_text(nasty_recommender):
    box = SearchBox(nasty_recommender)
    box.ask(1)
    box.inputs.show_map.value = True
    assert len(box.screen.cards.children) == 10
    assert_harmless(html_of(box))
    assert "&lt;script&gt;" in html_of(box)
    box.screen.cards.children[0].like.click()
    box.screen.cards.children[0].dislike.click()
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
        assert_harmless(map_html(np.zeros((1, 2)), one, one, one, "map"))


def test_a_tile_can_be_read_in_any_color():
    colors = [*TILE_COLORS.values(), tile_color(None), tile_color("Musical"), tile_color("ドラマ")]
    assert min(contrast("#ffffff", color) for color in colors) >= 4.5
    assert tile_color("Musical") in TILE_COLORS.values()


def test_the_colors_of_the_sheet_stand_out():
    sheet = style_html()
    dark, light = sheet.split("prefers-color-scheme: dark")[1], "#ffffff"
    grounds = set(
        re.findall(r"(?:layout-color[01]|input-background[a-z-]*): (#[0-9a-f]{3,6})", dark)
    )
    for ground in grounds:
        full = ground if len(ground) == 7 else "#" + "".join(2 * letter for letter in ground[1:])
        assert contrast("#ffffff", full) >= 4.5, ground
        # Text of 72 % white on the darkest and the lightest ground that text stands on.
        mixed = [round(0.72 * 255 + 0.28 * int(full[i : i + 2], 16)) for i in (1, 3, 5)]
        assert contrast("#" + "".join(f"{part:02x}" for part in mixed), full) >= 4.5, ground
    assert len(grounds) >= 3
    # What is no text: outlines and bars, 3 : 1 from white and from nearly black.
    for color in ("#b36b00", "#2f80c2", "#878787", "#767676"):
        assert color in sheet and min(contrast(color, light), contrast(color, "#111111")) >= 3


def test_links_are_built_of_ids_alone():
    film = pd.Series({"title": NASTY[2], "imdb_id": "tt0114709"})
    assert_harmless(link_html(film))
    assert 'href="https://www.imdb.com/title/tt0114709/"' in link_html(film)
    assert 'rel="noopener noreferrer"' in link_html(film)
    for wrong in (*NASTY, "tt1", "tt0114709/../x", "tt0114709\n", "TT0114709", "", None, 7, pd.NA):
        assert link_html(pd.Series({"title": "X", "imdb_id": wrong})) == ""
    assert "themoviedb.org/movie/862" in link_html(pd.Series({"title": "X", "tmdb_id": 862.0}))
    for wrong in (-1, 0, float("nan"), 10**12, "862", NASTY[0], None):
        assert link_html(pd.Series({"title": "X", "tmdb_id": wrong})) == ""


def test_each_card_has_a_link_where_the_numbers_are_those_of_tmdb(small_recommender, tmp_path):
    box = SearchBox(small_recommender)
    lacks = small_recommender.films["imdb_id"].isna()
    box.ask(int(small_recommender.films["id"][lacks].iloc[0]))
    cards = [card for card in box.screen.cards.children if card.film_id is not None]
    links = [re.findall(r'href="(https://[^"]+)"', card.body.value) for card in cards]
    for card, (link,) in zip(cards, links, strict=True):
        without = lacks[small_recommender.films["id"] == card.film_id].item()
        there = f"https://www.themoviedb.org/movie/{card.film_id}"
        assert link == there if without else link.startswith("https://www.imdb.com/title/tt")
    # With films of other numbers, no number is taken for one of TMDB's.
    shutil.copytree(small_recommender.path, tmp_path / "model")
    other = Recommender.open(tmp_path / "model")
    assert other.manifest["ids_of"] == "TMDB"
    film = {"title": ["Own"], "overview": ["A ship sinks in a storm."], "genres": [["Drama"]]}
    other.add(pd.DataFrame(film))
    assert other.manifest["ids_of"] == ""
    box = SearchBox(other)
    box.ask(int(small_recommender.films["id"][lacks].iloc[0]))
    assert "themoviedb" not in html_of(box)


def test_posters_only_where_somebody_says_where_they_are(small_recommender):
    box = SearchBox(small_recommender, poster_url="https://posters.example/{imdb_id}.jpg")
    box.ask("Inception")
    markup = html_of(box)
    assert re.search(r'<img class="movrec-tile" src="https://posters\.example/tt\d+\.jpg"', markup)
    assert 'referrerpolicy="no-referrer"' in markup
    for wrong in (
        "http://posters.example/1",
        "javascript:alert(1)",
        'https://x/" onerror="',
        "",
        None,
    ):
        film = pd.Series({"id": 1, "title": "X"})
        assert poster_address(lambda _, wrong=wrong: wrong, film) == ""


def test_a_card_shows_what_is_known(box):
    box.ask("Toy Story")
    markup = box.screen.cards.children[0].body.value
    assert "★" in markup and re.search(r"rated \d\.\d of 10 by [\d,]+", markup)
    assert re.search(r"\d h \d+ min", markup) and "imdb.com/title/tt" in markup
    assert "movrec-tile" in markup and "<img" not in markup
    assert "nan" not in markup and "None" not in markup


def test_films_can_be_kept_whatever_is_asked_next(box):
    assert box.shelf.layout.display == "none"
    box.ask("Inception")
    card = box.screen.cards.children[0]
    kept = card.film_id
    card.keep.click()
    assert box.shelf.films == (kept,) and card.keep.description == "Kept"
    assert len(box.trail.questions) == 1  # that is no question
    box.ask("Titanic")
    assert box.shelf.text().count("\n") == 0 and "download" in box.shelf.children[0].value
    box.ask("Inception")
    again = next(card for card in box.screen.cards.children if card.film_id == kept)
    assert again.keep.description == "Kept"
    again.keep.click()
    assert box.shelf.films == () and again.keep.description == "Keep"


def test_a_question_goes_into_an_address_and_comes_back(small_recommender):
    box = SearchBox(small_recommender, address="")
    box.ask("Inception")
    box.filters.controls["years"].value = (1990, 2005)
    box.filters.genres["Drama"].state = "never"
    box.inputs.weights.preset.value = "mood"
    box.screen.cards.children[0].keep.click()
    box.screen.cards.children[1].dislike.click()
    href = re.search(r'href="\?([^"]*)"', box.link.value)[1]
    other = SearchBox(small_recommender, address=html.unescape(href))
    assert other.query == box.query and other.shelf.films == box.shelf.films
    assert other.results["id"].tolist() == box.results["id"].tolist()
    box.describe("A thief & a <b>dream</b>, 100 %?")
    href = re.search(r'href="\?([^"]*)"', box.link.value)[1]
    other = SearchBox(small_recommender, address=html.unescape(href))
    assert other.query.plot == box.query.plot and "&lt;b&gt;" in other.screen.status.value
    box.inputs.finder.field.value = "titan"
    assert "text=" not in box.link.value and "keep=" in box.link.value  # nothing is asked yet
    assert SearchBox(small_recommender).link.value == ""  # a notebook has no page


def test_all_that_shapes_a_question_comes_back(small_recommender):
    box = SearchBox(small_recommender, address="")
    box.ask("Inception")
    box.inputs.weights.controls["year"].value = 2.5
    for name, value in {
        "min_vote_count": 500,
        "sort_by": "year",
        "k": 5,
        "match_genres": False,
    }.items():
        box.filters.controls[name].value = value
    href = html.unescape(re.search(r'href="\?([^"]*)"', box.link.value)[1])
    other = SearchBox(small_recommender, address=href)
    assert other.query == box.query and other.query.weights["year"] == 2.5
    assert other.results["id"].tolist() == box.results["id"].tolist()
    assert other.inputs.weights.preset.value == "own"


def test_a_click_on_the_map_and_below_it_is_the_next_question(box):
    box.ask("Toy Story")
    box.inputs.show_map.value = True
    nearby = box.screen.map.nearby
    assert len(nearby.buttons) == 12
    nearby.buttons[0].click()
    assert box.query.films == (box.screen.map.chosen,)
    if box.screen.map.figure is not None:
        stars = box.screen.map.figure.widget.data[-1]
        assert list(stars.customdata) == list(box.query.films)


@pytest.mark.parametrize(
    "address",
    [
        "film=862&by=year:-1&by=words:inf", "film=862&votes=1e9&order=nothing&variety=7", "film=", "film=99999999999999999999", "film=-1", "film=1e5", "film=%00", "film=862&k=-5",
        "film=862&k=1000000", "text=%20", "text=" + "a" * 30_000, "only=" + NASTY[0], "by=own",
        "first_year=2000&last_year=1990", "first_year=99999", "keep=x", "&&&", "%", "token=secret",
        "&".join(["film=862"] * 3000), "film=" + "&film=".join(map(str, range(2000))), "text=%ff%fe",
        "film=862&by=%3Cscript%3E", "film=٨٦٢",
    ],
    ids=lambda address: address[:20],
)  # fmt: skip
def test_nothing_in_an_address_is_believed(small_recommender, address):
    box = SearchBox(small_recommender, address=address)
    assert_harmless(html_of(box) + box.link.value)
    assert 'role="alert"' not in box.screen.status.value or "text=" in address
    assert "secret" not in box.link.value
    assert len(box.query.films) <= 100 and box.query.k in (5, 10, 20, 30)


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
        box.query = Question(plot=Plot("x"))


def test_the_box_recommends_what_the_recommender_recommends(box, small_recommender):
    box.ask("Inception")
    assert box.results["id"].tolist() == small_recommender.recommend("Inception")["id"].tolist()
    plot = "A thief enters the dreams of other people."
    box.describe(plot)
    assert box.results["id"].tolist() == small_recommender.recommend_for_text(plot)["id"].tolist()
    assert "predicted" in box.screen.genres.value


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
        box.screen.cards.children[0].title.click()
    assert box.query.films != ()
    assert len(box.trail.children) == 4
    box.trail.back(3)
    assert box.results["id"].tolist() == first
    assert box.trail.children == ()
    box.trail.back(5)
    assert box.results["id"].tolist() == first


def test_a_step_of_the_trail_leads_there(box):
    for title in ["Inception", "Titanic", "Shrek"]:
        box.ask(title)
    assert [step.description for step in box.trail.children] == [
        "Back",
        "Inception (2010)",
        "Titanic (1997)",
    ]
    box.trail.children[1].click()
    assert box.inputs.finder.field.value == "Inception (2010)"
    assert box.trail.children == ()


def test_verdicts(box, small_recommender):
    box.ask("Inception")
    liked, disliked = (box.screen.cards.children[number].film_id for number in (0, 1))
    box.screen.cards.children[0].like.click()
    assert len(box.query.films) == 2 and liked not in set(box.results["id"])
    cards = {card.film_id: card for card in box.screen.cards.children}
    other = next(iter(cards))
    cards[other].dislike.click()
    assert other not in set(box.results["id"]) and len(box.results) == 10
    expected = small_recommender.recommend(list(box.query.films), disliked=[other])
    assert box.results["id"].tolist() == expected["id"].tolist()
    assert "but not" in box.screen.status.value
    assert disliked != liked


def test_what_counts(box, small_recommender):
    box.ask("Inception")
    usual = box.results["id"].tolist()
    weights = box.inputs.weights
    assert (
        box.query.weights is None and weights.controls["year"].value == PRESETS["balanced"]["year"]
    )
    weights.preset.value = "theme"
    expected = small_recommender.recommend("Inception", weights="theme")
    assert box.results["id"].tolist() == expected["id"].tolist() and box.query.weights == "theme"
    assert box.screen.status.value.count("by theme") == 1
    assert box.inputs.show_weights.description == "What counts (changed)"
    weights.controls["genres"].number.value = 4
    assert weights.preset.value == "own" and box.query.weights["genres"] == 4.0
    expected = small_recommender.recommend("Inception", weights=box.query.weights)
    assert box.results["id"].tolist() == expected["id"].tolist()
    for control in weights.controls.values():
        control.slider.value = 0
    assert "All weights are 0" in box.screen.status.value and len(box.results) == 0
    weights.preset.value = ""
    assert box.results["id"].tolist() == usual
    assert box.inputs.show_weights.description == "What counts"
    box.describe("A thief enters the dreams of other people.")
    assert weights.controls["year"].value == PRESETS["description"]["year"]
    assert box.query.weights is None and "by " not in box.screen.status.value


def test_the_tick_for_genres_goes_with_the_kind_of_question(box):
    tick = box.filters.controls["match_genres"]
    box.ask("Inception")
    assert tick.value and box.query.genres_matched
    plot = "A thief enters the dreams of other people."
    box.describe(plot)
    assert not tick.value and not box.query.genres_matched
    tick.value = True
    assert box.query.genres_matched and box.results.attrs["genres"] is not None
    box.ask("Titanic")
    tick.value = False
    assert not box.query.genres_matched
    box.describe(plot)
    assert tick.value and box.query.genres_matched
    box.trail.back(2)
    assert tick.value is True or box.query.plot is not None or not box.query.genres_matched


def test_a_card_shows_what_its_similarity_is_the_sum_of(box):
    box.ask("Toy Story")
    for card, film in zip(box.screen.cards.children, box.results.to_dict("records")):
        markup = card.body.value
        label = re.search(r'role="img" aria-label="([^"]*)"', markup)[1]
        numbers = [float(number.replace("−", "-")) for number in re.findall(r"−?\d\.\d\d", label)]
        assert abs(sum(numbers[1:]) - numbers[0]) < 0.04 and numbers[0] == round(
            film["similarity"], 2
        )
        widths = [
            float(width) for width in re.findall(r'movrec-piece" style="width:([\d.]+)%', markup)
        ]
        assert len(widths) >= 2 and widths == sorted(widths, reverse=True)
        assert abs(sum(widths) - 100 * film["similarity"]) < 1
        listed = re.findall(r"</i><b>([^<]*)</b> (−?\d\.\d\d)", markup)
        said = {name: value for name, value in film["contributions"].items() if abs(value) >= 0.005}
        assert {name for name, _ in listed} == {explain.LABELS[name] for name in said}
    assert "<b>Same series:</b> Toy Story Collection" in box.screen.cards.children[0].body.value


def test_pieces_can_be_told_apart_without_color():
    rule = re.search(r"\.movrec-bar > \.movrec-piece[^{]*\{([^}]*)\}", style_html())[1]
    assert "inset" in rule
    assert set(explain.COLOURS) == set(explain.LABELS) == {*BLOCKS, *FURTHER_BLOCKS}


def test_not_this_one_with_a_text(box):
    box.describe("A thief enters the dreams of other people.")
    gone = box.screen.cards.children[0]
    film = gone.film_id
    gone.dislike.click()
    assert film not in set(box.results["id"]) and len(box.results) == 10
    box.screen.cards.children[0].like.click()
    assert box.query.plot is None and len(box.query.films) == 1


def test_an_answer_never_asks_for_more_than_there_is(nasty_recommender):
    question = Question(films=(1,), k=30, match_genres=False, diversity=0.5)
    assert len(nasty_recommender.answer(question).films) == 23
    everything = Question(films=(1,), exclude=tuple(range(2, 25)))
    assert len(nasty_recommender.answer(everything).films) == 0


def test_an_error_is_one_line_with_details(box, monkeypatch):
    box.describe("zzzz qqqq xxxx")
    assert "write it in the language of the catalogue" in box.screen.status.value
    assert "<details>" not in box.screen.status.value  # it says all that there is
    assert len(box.results) == 0 and box.screen.cards.children == ()

    def fail(*arguments, **options):
        raise RuntimeError("<b>disk</b> on fire")

    monkeypatch.setattr(box.recommender, "answer", fail)
    box.ask("Inception")
    assert "The search failed" in box.screen.status.value
    assert "&lt;b&gt;disk&lt;/b&gt; on fire" in box.screen.status.value
    assert "<details>" in box.screen.status.value


def test_a_failed_question_can_be_asked_once_more(box, monkeypatch):
    def fail(question):
        raise RuntimeError("no disk")

    with monkeypatch.context() as broken:
        broken.setattr(box.recommender, "answer", fail)
        box.ask("Inception")
    assert len(box.results) == 0
    box.inputs.finder.field.value = "incep"
    press_enter(box)
    assert len(box.results) == 10 and len(box.trail.questions) == 1


def test_the_same_click_counts_each_time(box):
    box.ask("Inception")
    liked = box.screen.cards.children[0].film_id
    for _ in range(2):
        box.screen.cards.children[0].like.click()
        assert box.query.films[1:] == (liked,)
        box.trail.back()


def test_the_question_on_show_is_what_the_recommender_was_asked(box):
    box.ask("Inception")
    box.filters.genres["Drama"].state = "never"
    box.filters.controls["k"].value = 5
    assert box.query.where == FilmFilter(exclude_genres=("Drama",)) and box.query.k == 5
    found = box.recommender.answer(box.query).films
    assert box.results["id"].tolist() == found["id"].tolist()


def is_welcoming(box):
    return box.screen.welcome.layout.display is None


def test_an_empty_box_says_what_it_is_and_has_six_examples(box):
    assert is_welcoming(box) and box.screen.status.value == ""
    assert "Name a film that you like" in box.screen.welcome.sentence.value
    asked = []
    for button in box.screen.welcome.buttons:
        button.click()
        asked.append(box.query)
        assert not is_welcoming(box) and len(box.results) == 10
    assert [len(question.films) for question in asked] == [1, 1, 0, 0, 0, 0]
    box.inputs.finder.field.value = "  "
    assert is_welcoming(box) and box.screen.cards.children == ()
    with pytest.raises(ParameterError):
        box.describe(" ")


def test_former_answers_never_stay_under_new_words(box):
    box.ask("Inception")
    before = box.results["id"].tolist()
    assert box.screen.legend.value
    box.inputs.finder.field.value = "titan"
    assert box.screen.cards.children == () and len(box.results) == 0
    assert box.screen.status.value == box.screen.legend.value == "" and not is_welcoming(box)
    box.filters.controls["k"].value = 5  # nothing comes back by that
    assert box.screen.cards.children == ()
    box.inputs.finder.field.value = "Inception (2010)"
    assert box.results["id"].tolist() == before[:5]
    assert box.screen.status.value and box.inputs.finder.suggestions.children == ()
    box.describe("A thief enters the dreams of other people.")
    assert box.screen.genres.value
    box.inputs.finder.field.value = "A thief enters"
    assert "10" not in box.screen.status.value  # these words have an answer of their own by now
    assert box.query.plot == Plot("A thief enters")


def test_what_could_be_both_is_offered_as_both(box):
    finder = box.inputs.finder
    finder.field.value = "titanic"
    assert finder.suggestions.children and finder.about.layout.display is None
    assert box.trail.questions == []  # it is a title: nobody has said yet what is meant
    finder.about.click()
    assert box.query.plot == Plot("titanic") and len(box.results) == 10
    finder.suggestions.children[0].click()  # the titles are still there
    assert box.recommender.find(box.query.films[0])["title"] == "Titanic"
    finder.field.value = "a ship sinks in the ocean"
    assert box.query.plot == Plot("a ship sinks in the ocean")
    assert finder.about.layout.display == "none"


def count_calls(monkeypatch, thing, name):
    """Count from now on how often a method is called."""
    calls, method = [], getattr(thing, name)

    def counted(*arguments, **options):
        calls.append(name)
        return method(*arguments, **options)

    monkeypatch.setattr(thing, name, counted)
    return calls


def test_a_plot_is_embedded_once_and_classified_once(small_model, monkeypatch):
    recommender = Recommender.open(small_model)
    recommender.text_model  # noqa: B018 - what is loaded later would not be counted
    embedded = count_calls(monkeypatch, recommender.embedder, "blocks")
    classified = count_calls(monkeypatch, recommender.classifier, "predict_proba")
    called = count_calls(monkeypatch, recommender.classifier, "predict")
    box = SearchBox(recommender)
    years = box.filters.controls["years"]
    years.value = (years.slider.min,) * 2
    box.filters.controls["min_vote_count"].value = 10000
    box.describe("A thief enters the dreams of other people.")
    assert len(box.results) == 0 and "<li>" in box.screen.status.value
    assert "predicted" in box.screen.genres.value
    box.filters.reset()
    box.filters.controls["diversity"].value = 0.7
    assert len(box.results) == 10
    box.screen.cards.children[0].dislike.click()
    assert len(box.results) == 10
    assert len(embedded) == 1
    assert len(classified) + len(called) == 1


# ---- filters -------------------------------------------------------------------------------------


def test_each_filter_reaches_the_recommender(box):
    box.ask("Inception")
    controls = box.filters.controls
    controls["years"].value = (1990, 2000)
    assert box.results["year"].between(1990, 2000).all() and len(box.results)
    controls["min_vote_count"].value = 1000
    assert (box.results["vote_count"] >= 1000).all()
    controls["k"].value = 5
    assert len(box.results) == 5
    box.filters.genres["Drama"].state = "only"
    assert all("Drama" in genres for genres in box.results["genres"])
    box.filters.genres["Thriller"].state = "never"
    assert not any("Thriller" in genres for genres in box.results["genres"])
    assert box.inputs.show_filters.description == "Filters (4)"
    box.filters.reset()
    assert box.inputs.show_filters.description == "Filters" and len(box.results) == 5


def test_either_end_of_the_years_can_be_typed(box):
    box.ask("Inception")
    years = box.filters.controls["years"]
    slider, first, last = years.children
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
    box.filters.controls["years"].value = (
        (1902, 1903)
        if box.filters.controls["years"].slider.min <= 1902
        else (box.filters.controls["years"].slider.min,) * 2
    )
    box.filters.controls["min_vote_count"].value = 10000
    assert len(box.results) == 0 and box.screen.cards.children == ()
    assert "No film passes these filters." in box.screen.status.value
    assert "Leave out" in box.screen.status.value or "loosen several" in box.screen.status.value


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
    assert set(filters.controls) == {"match_genres", "k", "diversity", "sort_by"}
    assert list(filters.genres) == ["Drama"]


def test_diversity(small_recommender):
    film = int(small_recommender.find("Toy Story")["id"])
    near, varied = (
        small_recommender.answer(Question((film,), k=8, diversity=diversity)).films
        for diversity in (0.0, 0.7)
    )
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
            box.inputs.finder.field.value = "toy st"[:end]
            await asyncio.sleep(0.01)
        await box.settled()

    run(type_it())
    names = [button.description for button in box.inputs.finder.suggestions.children]
    assert "Toy Story (1995)" in names and len(names) <= 12
    box.inputs.finder.suggestions.children[names.index("Toy Story (1995)")].click()
    assert box.inputs.finder.field.value == "Toy Story (1995)"
    assert box.inputs.finder.suggestions.children == ()
    assert box.recommender.find(box.query.films[0])["title"] == "Toy Story"
    assert len(box.results) == 10


def test_enter_takes_the_best_suggestion_for_the_last_letters(box):
    async def type_it():
        box.inputs.finder.field.value = "shr"
        press_enter(box)
        box.inputs.finder.field.value = (
            "titan"  # overtaken by Enter's message, as browsers may send it
        )
        press_enter(box)
        await box.settled()

    run(type_it())
    assert box.inputs.finder.field.value == "Titanic (1997)"
    assert len(box.results) == 10


def test_enter_on_a_chosen_name_takes_that_film(box):
    async def choose(name):
        box.inputs.finder.field.value = name
        press_enter(box)
        await box.settled()

    run(choose("shrek"))
    for _ in range(2):  # once more on the name that stands in the field by now
        assert box.inputs.finder.field.value == "Shrek (2001)"
        run(choose("Shrek (2001)"))
    assert box.recommender.find(box.query.films[0])["title"] == "Shrek"
    box.inputs.finder.show("a name that no film has", 808)
    press_enter(box)
    assert box.inputs.finder.film == 808
    run(choose("Shrek 2 (2004)"))
    assert box.inputs.finder.field.value == "Shrek 2 (2004)"


def test_enter_takes_no_near_spelling(box):
    async def choose(name):
        box.inputs.finder.field.value = name
        press_enter(box)
        await box.settled()

    run(choose("titanic"))
    run(choose("login"))
    assert box.recommender.find(box.query.films[0])["title"] == "Titanic"
    assert "is it one of these" in box.inputs.finder.note.value
    assert box.inputs.finder.suggestions.children != ()
    run(choose("tiatnic"))
    assert box.inputs.finder.field.value == "Titanic (1997)" and box.inputs.finder.note.value == ""


def test_a_title_that_is_not_there(box):
    box.inputs.finder.field.value = "qqqqqqqq"
    assert box.inputs.finder.suggestions.children == ()
    assert "No title like that" in box.inputs.finder.note.value
    assert "language of the catalogue" in box.screen.status.value  # searched as a text
    box.inputs.finder.field.value = "titanic"
    assert box.inputs.finder.suggestions.children != () and box.inputs.finder.note.value == ""


def test_one_growing_plot_is_one_step_of_the_trail(box):
    async def type_it():
        text = "A thief enters the dreams"
        for end in range(8, len(text) + 1):
            box.inputs.finder.field.value = text[:end]
        await box.settled()

    box.ask("Titanic")
    run(type_it())
    assert len(box.trail.questions) == 2
    assert box.query.plot == Plot("A thief enters the dreams")
    assert len(box.results) == 10
    box.trail.back()
    assert box.query.films and box.inputs.finder.field.value == "Titanic (1997)"


# ---- races ---------------------------------------------------------------------------------------


def test_a_slow_answer_never_overwrites_a_newer_one(box, monkeypatch):
    started, release = threading.Event(), threading.Event()
    answer = box.recommender.answer
    slow = int(box.recommender.find("Inception")["id"])

    def sometimes_slow(question):
        if question.films == (slow,):
            started.set()
            assert release.wait(5)
        return answer(question)

    monkeypatch.setattr(box.recommender, "answer", sometimes_slow)
    seen = []
    box.observe(lambda change: seen.append(box.query.films), "results")
    shrek = int(box.recommender.find("Shrek")["id"])

    async def scenario():
        box.trail.add(Question(films=(slow,)))
        await asyncio.to_thread(started.wait, 5)
        await asyncio.sleep(0.3)
        assert "Searching" in box.screen.status.value
        box.trail.add(Question(films=(shrek,)))
        release.set()
        await box.settled()

    run(scenario())
    assert seen == [(shrek,)]
    assert "Shrek" in box.screen.status.value


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
    before = list(box.screen.cards.children)
    box.ask("Titanic")
    assert list(box.screen.cards.children) == before


# ---- reasons -------------------------------------------------------------------------------------


def test_reasons(small_recommender):
    toy_story = int(small_recommender.find("Toy Story")["id"])
    outcome = work_out(small_recommender, Question((toy_story,), k=20))
    titles = outcome.answer.films["title"].tolist()
    reasons = dict(outcome.reasons[titles.index("Toy Story 2")])
    assert reasons["Same series"] == "Toy Story Collection"
    assert "toy" in reasons["In both titles"]
    # What misfired once: a word that many titles have, a word twice, a name for a thing.
    for said in map(dict, outcome.reasons):
        assert "Close words" not in said
        shared = said.get("In both titles", "").split(", ")
        assert len(shared) == len(set(shared)) and shared != ["story"]
    nothing = work_out(
        small_recommender, Question((toy_story,), where=FilmFilter(years=(1800, 1801)))
    )
    assert nothing.reasons == [] and nothing.hints


# ---- the map -------------------------------------------------------------------------------------


def test_the_map_is_kept_with_the_model_and_made_anew_when_damaged(small_model, tmp_path):
    path = shutil.copytree(small_model, tmp_path / "copy")
    for kept in path.glob("map-*"):
        kept.unlink()
    recommender = Recommender.open(path)
    places = film_map(recommender)
    assert places.shape == (600, 2) and places.min() >= 0 and places.max() <= 1
    (file,) = path.glob("map-*.safetensors")
    started = time.perf_counter()
    assert np.array_equal(film_map(recommender), places)
    assert time.perf_counter() - started < 2
    file.write_bytes(file.read_bytes()[:100])
    assert np.array_equal(film_map(recommender), places)
    with file.open("wb") as damaged:
        np.save(damaged, np.array([{"an": "object"}], dtype=object))
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


def test_a_map_is_drawn_anew_when_the_catalogue_has_grown(nasty_recommender, tmp_path):
    recommender = Recommender.open(shutil.copytree(nasty_recommender.path, tmp_path / "copy"))
    view = MapView(recommender)
    view.shown = True
    recommender.add(
        recommender.films.head(1)[["title", "year", "genres", "overview"]].assign(id=900)
    )
    view.mark(recommender.films.tail(1), recommender.films.head(3))
    assert view.marks.value.count("movrec-mark") == 3


def test_a_map_that_cannot_be_drawn_says_so(nasty_recommender, tmp_path, monkeypatch):
    recommender = Recommender.open(shutil.copytree(nasty_recommender.path, tmp_path / "copy"))
    for kept in recommender.path.glob("map-*"):
        kept.unlink()
    view = MapView(recommender)
    with monkeypatch.context() as broken:
        broken.setattr(recommender.store, "vectors", None)
        view.shown = True
    assert 'role="alert"' in view.marks.value
    view.mark(recommender.films.head(1), recommender.films.tail(3))
    assert view.marks.value.count("movrec-mark") == 3


# ---- the package ---------------------------------------------------------------------------------


def test_the_style_sheet_is_whole():
    sheet = style_html()
    assert sheet.startswith("<style>") and sheet.count("<") == 2
    assert sheet.count("{") == sheet.count("}") > 50


def test_import_of_the_package_does_not_import_widgets():
    code = "import sys, movrec, movrec.cli; assert not {'ipywidgets', 'torch', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})


@pytest.mark.slow
def test_the_box_works_with_the_ipywidgets_of_colab(tmp_path):
    """Once more with ipywidgets 7.7, which is what Colab has; this environment has 8."""
    import ipywidgets

    if ipywidgets.__version__.startswith("7."):
        pytest.skip("it is this one")
    older = ["ipywidgets==7.7.1", "widgetsnbextension==3.6.6", "jupyterlab-widgets==1.1.11"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path]
    got = subprocess.run([*pip, *older, "ipython-genutils==0.2.0"], capture_output=True, text=True)
    if got.returncode:
        pytest.skip("ipywidgets 7.7 cannot be had here")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])
    again = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "not slow",
        "-p",
        "no:cacheprovider",
        __file__,
    ]
    found = subprocess.run(
        again, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout[-2000:]

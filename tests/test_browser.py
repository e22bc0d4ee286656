"""The search box in a real browser: JupyterLab and the page of `movrec app`, driven by Playwright.

Needs Chromium, Playwright, JupyterLab and Voilà, and skips where one of them is missing. Screenshots
of what was tested are written to `screenshots/`, which git ignores.
"""

import html
import re
from pathlib import Path

import browser_helpers as helpers
import pandas as pd
import pytest

missing = helpers.what_is_missing()
pytestmark = [
    pytest.mark.slow,
    # A browser, a server and a kernel share a machine that may be busy: a lost race is run again.
    pytest.mark.flaky(reruns=2, reruns_delay=3),
    pytest.mark.skipif(bool(missing), reason=f"these tests of a browser need: {missing}"),
]

SCREENSHOTS = helpers.REPOSITORY / "screenshots"
MARKUP = '<img src=x onerror="window.hacked = true"> Hackers'
PLOT = (
    "A young wizard enters a school of magic and must fight the dark lord who murdered his parents."
)


@pytest.fixture(scope="module")
def model(sample_films, tmp_path_factory):
    """640 films, one of which would run if its title were not shown as text."""
    from movrec.classifier import GenreClassifier
    from movrec.doc2vec import Doc2VecEmbedder
    from movrec.recommend import Recommender

    films = sample_films.head(640).reset_index(drop=True)
    nasty = films[films["title"] == "Toy Story 3"].assign(
        id=999_999_999,
        title=MARKUP,
        overview=films.loc[films["title"] == "Toy Story 3", "overview"]
        # Tags go when a catalogue is read: written so, they come through as text.
        + html.escape(" <script>window.hacked = true</script></details><b>bold</b>"),
    )
    films = pd.concat([films, nasty], ignore_index=True)
    path = tmp_path_factory.mktemp("browser") / "model"
    Recommender.build(
        films,
        path,
        embedder=Doc2VecEmbedder(epochs=40, progress=False),
        classifier=GenreClassifier(epochs=8, progress=False),
        progress=False,
    )
    return path


@pytest.fixture(scope="module")
def chromium():
    SCREENSHOTS.mkdir(exist_ok=True)
    with helpers.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def voila(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("voila")
    with helpers.voila_page(model, folder / "voila.log", cwd=folder) as address:
        yield address


@pytest.fixture
def page(chromium, voila):
    """The page of `movrec app`; the test fails if the browser's console tells of an error."""
    page = chromium.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(60_000)
    errors = helpers.console_errors(page)
    page.goto(voila)
    page.locator(".movrec-box").wait_for(timeout=120_000)
    yield page
    assert page.evaluate("window.hacked") is None
    page.close()
    assert errors == []


def choose(page, typed, name):
    page.get_by_label("Find a film").fill("")
    page.get_by_label("Find a film").press_sequentially(typed, delay=40)
    page.locator(".movrec-suggestion", has_text=name).first.click()
    page.get_by_role("status").filter(has_text=f"films like {name}").wait_for()


def titles(page):
    return page.locator(".movrec-card .movrec-title").all_inner_texts()


def weak_contrasts(page):
    return [
        found
        for found in page.locator(".movrec-box").evaluate(helpers.CONTRAST_SCRIPT)
        if found[1] < 4.5
    ]


def shoot(page, name):
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


# ---- the page ------------------------------------------------------------------------------------


def test_type_choose_and_see_the_sequel(page):
    field = page.get_by_label("Find a film")
    field.press_sequentially("toy st", delay=40)
    page.locator(".movrec-suggestion").first.wait_for()
    shoot(page, "page-suggestions")
    assert page.locator(".movrec-suggestions button").count() <= 12
    page.get_by_role("button", name="Toy Story (1995)").click()
    page.locator(".movrec-card").first.wait_for()
    assert "Toy Story 2" in titles(page)
    assert page.locator(".movrec-suggestion:visible").count() == 0
    first = page.locator(".movrec-card").first
    assert "Same series: Toy Story Collection" in first.inner_text()
    first.get_by_text("Read all").click()
    assert first.locator("details p").is_visible()
    shoot(page, "page-cards")


def test_describe_a_plot(page):
    page.get_by_label("Find a film").press_sequentially(PLOT, delay=5)
    page.locator(".movrec-genres").wait_for()
    rows = page.locator(".movrec-genres tr")
    assert rows.count() >= 6
    assert re.search(r"\d+%", rows.first.inner_text())
    page.locator(".movrec-card").first.wait_for()
    assert len(titles(page)) == 10
    shoot(page, "page-plot")


def test_examples_keeping_and_the_link(page):
    example = page.locator(".movrec-example").first
    name = example.inner_text()
    example.click()
    page.get_by_role("status").filter(has_text=f"films like {name}").wait_for()
    first = page.locator(".movrec-card").first
    first.get_by_role("button", name="Keep").click()
    page.get_by_text("Kept: 1").wait_for()
    page.get_by_label("Find a film").fill("shr")
    page.locator(".movrec-suggestion").first.wait_for()
    assert page.locator(".movrec-card").count() == 0  # no former answer under new words
    page.get_by_label("Find a film").fill(name)
    page.locator(".movrec-card").first.wait_for()
    before = titles(page)
    page.get_by_role("link", name="Link to this page").click()
    page.get_by_text("Kept: 1").wait_for(timeout=120_000)
    page.locator(".movrec-card").first.wait_for()
    assert "film=" in page.url and "keep=" in page.url and titles(page) == before
    page.locator(".movrec-link", has_text="IMDb").first.wait_for()


def test_filter_empty_and_reset(page):
    choose(page, "toy sto", "Toy Story (1995)")
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("button", name="Family", exact=True).click()
    page.get_by_role("status").filter(has_text="with Family").wait_for()
    assert all("Family" in text for text in page.locator(".movrec-meta").all_inner_texts())
    page.get_by_role("button", name="✓ Family").click()
    page.get_by_role("status").filter(has_text="without Family").wait_for()
    assert not any("Family" in text for text in page.locator(".movrec-meta").all_inner_texts())
    shoot(page, "page-filters")
    assert weak_contrasts(page) == []
    for genre in ("Comedy", "Animation", "Adventure", "Fantasy"):
        page.get_by_role("button", name=genre, exact=True).click()
        page.get_by_role("button", name=f"✓ {genre}").click()
    page.get_by_role("status").filter(has_text="No film passes").wait_for()
    assert "Leave out" in page.locator(".movrec-status").inner_text()
    assert page.locator(".movrec-card").count() == 0
    page.get_by_role("button", name="Reset filters").click()
    page.locator(".movrec-card").first.wait_for()
    assert "Toy Story 2" in titles(page)


def test_what_counts(page):
    choose(page, "toy sto", "Toy Story (1995)")
    tab_to(page, ".movrec-title")  # from the field past the three switches
    page.get_by_role("button", name="What counts").focus()
    page.keyboard.press("Space")
    page.get_by_label("What counts").select_option("theme")
    page.get_by_role("status").filter(has_text="by theme").wait_for()
    page.get_by_label("Time", exact=True).fill("2")
    page.keyboard.press("Tab")
    page.get_by_role("status").filter(has_text="by your weights").wait_for()
    bars = page.locator(".movrec-card [role=img]")
    assert "story" in bars.first.get_attribute("aria-label")
    assert page.locator(".movrec-card").first.locator(".movrec-piece").count() >= 2
    unnamed = page.locator(".movrec-weights").evaluate(
        "box => [...box.querySelectorAll('input, select')].filter(e => !e.labels?.length).length"
    )
    assert unnamed == 0
    assert weak_contrasts(page) == []
    shoot(page, "page-weights")
    page.get_by_label("What counts").select_option("as usual")
    page.get_by_role("status").filter(has_text=re.compile(r"like Toy Story \(1995\)$")).wait_for()


def test_through_a_card_and_back(page):
    choose(page, "toy sto", "Toy Story (1995)")
    before = titles(page)
    page.locator(".movrec-title", has_text="Toy Story 2").click()
    page.get_by_role("status").filter(has_text="like Toy Story 2 (1999)").wait_for()
    assert titles(page) != before
    page.get_by_role("button", name=re.compile(r"Back$")).click()  # an icon stands before it
    page.get_by_role("status").filter(has_text="like Toy Story (1995)").wait_for()
    assert titles(page) == before


def test_verdicts(page):
    choose(page, "toy sto", "Toy Story (1995)")
    gone = titles(page)[1]
    page.locator(".movrec-card").nth(1).get_by_role("button", name="Not this one").click()
    page.get_by_role("status").filter(has_text="but not").wait_for()
    assert gone not in titles(page)
    page.locator(".movrec-card").first.get_by_role("button", name="More like this").click()
    page.get_by_role("status").filter(has_text=" + ").wait_for()
    assert len(titles(page)) == 10


def test_markup_in_a_title_is_text(page):
    page.get_by_label("Find a film").press_sequentially("img src", delay=30)
    suggestion = page.locator(".movrec-suggestion").first
    suggestion.wait_for()
    assert suggestion.inner_text() == f"{MARKUP} (2010)"
    suggestion.click()
    page.locator(".movrec-card").first.wait_for()
    assert MARKUP in page.get_by_role("status").inner_text()
    choose(page, "toy story 3", "Toy Story 3 (2010)")
    assert MARKUP in titles(page)
    card = page.locator(".movrec-card", has_text="Hackers")
    card.get_by_text("Read all").click()
    assert "<script>window.hacked = true</script></details><b>bold</b>" in card.inner_text()
    page.get_by_role("button", name="Map").click()
    page.locator("svg.movrec-map").wait_for(timeout=60_000)
    assert page.locator(".movrec-box").locator("img, script").count() == 0
    shoot(page, "page-map")


def tab_to(page, selector, most=30):
    """Press Tab until what is focused matches a selector."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return page.evaluate("document.activeElement.textContent")
    raise AssertionError(f"{most} times Tab, and {selector} is not reached")


def use_by_keyboard(page):
    """Search, choose, click through, narrow the list and change the mode, all without a mouse."""
    tab_to(page, ".movrec-box input[type=text]")
    page.keyboard.type("toy sto", delay=40)
    page.locator(".movrec-suggestion").first.wait_for()
    while not tab_to(page, ".movrec-suggestion", 14).startswith("Toy Story (1995)"):
        pass
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="films like Toy Story (1995)").wait_for()
    # The focus is back in the field; from there the cards can be reached.
    assert page.evaluate("document.activeElement.matches('.movrec-box input[type=text]')")
    name = tab_to(page, ".movrec-title")
    yield "keyboard"
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text=f"films like {name} (").wait_for()
    # Enter in the field takes the best suggestion.
    page.get_by_label("Find a film").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("shrek", delay=40)
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="films like Shrek (2001)").wait_for()
    # Space presses a button as well, and arrows move the slider.
    tab_to(page, ".widget-toggle-button")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Reset filters").wait_for()
    tab_to(page, ".movrec-genre")
    page.keyboard.press("Space")
    page.get_by_role("status").filter(has_text=re.compile("with ")).wait_for()
    tab_to(page, "[role=slider]", 40)
    page.keyboard.press("ArrowRight")
    page.get_by_role("status").filter(has_text=re.compile(r"from \d{4} to")).wait_for()
    # JupyterLab keeps the arrows for itself where a list or a choice would need them: there a list
    # is set by typing, and each choice is reached by Tab.
    tab_to(page, "select")
    page.get_by_label("How many").focus()
    page.keyboard.press("5")
    page.get_by_role("status").filter(has_text=re.compile(r"^5 films like")).wait_for()
    yield "keyboard-filters"
    page.get_by_label("Find a film").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("a ship that sinks on its first voyage", delay=20)
    page.get_by_role("status").filter(has_text="a ship that sinks").wait_for()


def test_keyboard_only(page):
    for name in use_by_keyboard(page):
        shoot(page, f"page-{name}")


def test_every_control_has_a_name(page):
    choose(page, "toy sto", "Toy Story (1995)")
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("button", name="Reset filters").wait_for()
    nameless = page.locator(".movrec-box").evaluate(
        """box => [...box.querySelectorAll("button, input, select, textarea")].filter(
             e => e.offsetParent && !(e.textContent.trim() || e.labels?.length || e.ariaLabel || e.title)
           ).map(e => e.outerHTML.slice(0, 200))"""
    )
    assert nameless == []
    assert page.locator(".movrec-box [title=null]:visible").count() == 0
    # The two handles of the slider have no name of their own; these two fields do the same.
    page.get_by_label("First year").fill("2000")
    page.get_by_label("Last year").fill("2009")
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="from 2000 to 2009").wait_for()
    lines = page.locator(".movrec-meta").all_inner_texts()
    assert lines and all(re.search(r"· 200\d ·", line) for line in lines)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1300, 400])
def test_page_contrast_and_width(chromium, voila, theme, width):
    # What the visitor's system says, and nothing else.
    page = chromium.new_page(viewport={"width": width, "height": 1200}, color_scheme=theme)
    page.goto(voila)
    page.locator(".movrec-example").first.wait_for(timeout=120_000)
    shoot(page, f"page-welcome-{theme}-{width}")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    is_dark = max(map(int, re.findall(r"\d+", ground)[:3])) < 64
    assert is_dark == (theme == "dark")
    assert weak_contrasts(page) == []
    choose(page, "toy sto", "Toy Story (1995)")
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("button", name="Reset filters").wait_for()
    page.wait_for_timeout(300)
    shoot(page, f"page-{theme}-{width}")
    assert weak_contrasts(page) == []
    too_wide = page.locator(".movrec-box").evaluate(
        """box => [...box.querySelectorAll("button, input, select, .movrec-card")].filter(
             e => e.offsetParent && e.getBoundingClientRect().right > window.innerWidth + 1
           ).map(e => e.outerHTML.slice(0, 150))"""
    )
    assert too_wide == []
    page.close()


# ---- JupyterLab ----------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_in_jupyterlab(chromium, model, tmp_path, theme):
    helpers.write_notebook(tmp_path / "box.ipynb", helpers.BOX_CELL.format(model=str(model)))
    with helpers.jupyterlab(tmp_path, tmp_path / "lab.log", theme=theme) as address:
        page = chromium.new_page(viewport={"width": 1400, "height": 1200})
        page.set_default_timeout(60_000)
        errors = helpers.console_errors(page)
        helpers.run_notebook(page, address("box.ipynb"))
        is_light = page.evaluate("document.body.dataset.jpThemeLight")
        assert is_light == ("true" if theme.endswith("Light") else "false")
        choose(page, "toy st", "Toy Story (1995)")
        assert "Toy Story 2" in titles(page)
        page.get_by_role("button", name="Filters").click()
        page.get_by_role("button", name="Comedy", exact=True).click()
        page.get_by_role("status").filter(has_text="with Comedy").wait_for()
        assert weak_contrasts(page) == []
        name = theme.split()[-1].lower()
        shoot(page, f"lab-{name}-filters")
        page.get_by_label("Find a film").fill(PLOT)
        page.locator(".movrec-genres").wait_for()
        page.wait_for_timeout(300)
        assert weak_contrasts(page) == []
        shoot(page, f"lab-{name}-plot")
        page.set_viewport_size({"width": 480, "height": 1200})
        page.wait_for_timeout(500)
        shoot(page, f"lab-{name}-narrow")
        assert page.evaluate("window.hacked") is None
        page.close()
        assert errors == []


def test_keyboard_only_in_jupyterlab(chromium, model, tmp_path):
    helpers.write_notebook(tmp_path / "box.ipynb", helpers.BOX_CELL.format(model=str(model)))
    with helpers.jupyterlab(tmp_path, tmp_path / "lab.log") as address:
        page = chromium.new_page(viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(60_000)
        errors = helpers.console_errors(page)
        helpers.run_notebook(page, address("box.ipynb"))
        page.keyboard.press("Escape")  # in a cell's text Tab is a letter
        for name in use_by_keyboard(page):
            shoot(page, f"lab-{name}")
        page.close()
        assert errors == []


def test_nothing_was_written_into_the_repository():
    stray = [
        path
        for path in Path(helpers.REPOSITORY).glob("*")
        if path.name in ("movrec.ipynb", "voila.json")
    ]
    assert stray == []

"""The docs site: built as `make docs` builds it, then read by a program and opened in a browser."""

import importlib
import json
import posixpath
import re
import subprocess
import sys
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

import browser_helpers as helpers
import pytest
from conftest import loaded

ROOT = helpers.REPOSITORY
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "docs"), str(ROOT / "benchmarks")]
from repository import modules, name_of, read_settings  # noqa: E402

SETTINGS = read_settings()
LESSONS = sorted(path.stem for path in (ROOT / "nbs").glob("[!_.]*.ipynb"))
WORKINGS = sorted(path.stem for path in (ROOT / "nbs" / "workings").glob("[!_.]*.ipynb"))
MODULES = modules()
SCREENSHOTS = ROOT / "screenshots"
NEEDED = ["myst_nb", "sphinx_book_theme", "sphinx_copybutton"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in NEEDED), reason=f"the site needs {NEEDED}"
    ),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the site. Sphinx's warnings are errors, so that they end it here."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "docs.py"), "--out", str(folder)],
        cwd=ROOT,
        env=helpers.environment(),
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1].startswith(f"The site is in {folder}")
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """Every page of the site, by its path, taken apart."""
    from bs4 import BeautifulSoup

    return {
        path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(site.rglob("*.html"))
        if not {"_static", "handouts"} & set(path.parts)
    }


@pytest.fixture(scope="module")
def page(site, pages):
    """One page of the site, by its name."""
    return lambda name: pages[site / name]


def text_of(page):
    return " ".join(page.find("article").get_text(" ").replace("’", "'").split())


# ---- what becomes of a notebook ------------------------------------------------------------------


@pytest.fixture(scope="module")
def tools():
    """tools/docs.py as a module."""
    with loaded(ROOT / "tools" / "docs.py") as module:
        yield module


def code_cell(source, **data):
    from nbformat import v4

    data = {key.replace("_", "/", 1): value for key, value in data.items()}
    return v4.new_code_cell(source, outputs=[v4.new_output("display_data", data=data)])


@pytest.mark.parametrize(
    ("directives", "tags"),
    [
        ("", []),
        ("#| echo: false\n", ["remove-input"]),
        ("#| output: false\n", ["remove-output"]),
        ("#| include: false\n", ["remove-cell"]),
        ("#| code-fold: true\n#| label: fig-map\n", ["hide-input"]),
    ],
)
def test_directives_become_tags(tools, directives, tags):
    cell = tools.page_code(code_cell(directives + "first = 1\n\nfirst", text_plain="1"), "Where?")
    assert cell.metadata.tags == tags
    assert cell.source == "first = 1\n\nfirst"


@pytest.mark.parametrize(
    ("source", "alt"),
    [
        ("#| fig-alt: A map of films\naxes.set_title('Other')", "A map of films"),
        ("draw()", "Figure to “Where?”"),
        ("axes.set_title('Near'); legend(title='genre')", "Figure to “Where?”: Near"),
        ("!movrec info\naxes.set(title=f'{n} are near')", "Figure to “Where?”: … are near"),
    ],
)
def test_a_figure_is_described(tools, source, alt):
    cell = tools.page_code(code_cell(source, image_png="iVBORw=="), "Where?")
    assert cell.metadata.mystnb == {"image": {"alt": alt}}


def test_a_widget_leaves_its_name(tools):
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "SearchBox(640 films)"}
    cell = code_cell("box")
    cell.outputs[0].data.update(widget)
    assert tools.page_code(cell, "").outputs[0].data == {"text/plain": "SearchBox(640 films)"}


def test_links_lead_on(tools):
    text = "[a](03_classifier.ipynb#What-is-it?) [b](../LICENSE) [c](#Exercises) [d](https://e.org)"
    github = f"{SETTINGS['git_url']}/blob/{SETTINGS['branch']}/LICENSE"
    assert tools.page_prose(text, "nbs/02_doc2vec.ipynb") == (
        f"[a](03_classifier.ipynb#what-is-it) [b]({github}) [c](#exercises) [d](https://e.org)"
    )
    code = "```python\ncatalogue[0](#Exercises)\n```"
    assert tools.page_prose(code, "nbs/02_doc2vec.ipynb") == code


def test_names_of_the_package_become_references(tools):
    names = {
        "load_sample": "movrec.ingest.load_sample",
        "Recommender.recommend": "movrec.recommend.Recommender.recommend",
        "evaluate": "movrec.evaluation.evaluate",
    }
    assert tools.link_names("`load_sample()`, `store_attr`, `Recommender.recommend`", names) == (
        "{py:obj}`load_sample() <movrec.ingest.load_sample>`, `store_attr`, "
        "{py:obj}`Recommender.recommend <movrec.recommend.Recommender.recommend>`"
    )
    for text in ("`evaluate`", "[`load_sample`](ingest.html)", "`load_sample(3)`"):
        assert tools.link_names(text, names) == text  # a variable's name, a link already, code
    assert tools.public_names().items() >= names.items()


def test_mistakes_stand_in_boxes(tools):
    text = "> One line.\n\n> **Common mistake: a leak.** Whenever a score\n> is too good.\n\nMore."
    assert tools.box_mistakes(text) == (
        "> One line.\n\n:::{admonition} Common mistake: a leak\n:class: warning\n\n"
        "Whenever a score\nis too good.\n:::\n\nMore."
    )


def test_a_folder_of_something_else_is_left_alone(tools, tmp_path):
    (tmp_path / "letter.txt").write_text("Dear reader")
    with pytest.raises(SystemExit, match="holds something else"):
        tools.check_place(tmp_path)
    tools.check_place(tmp_path / "new")
    assert (tmp_path / "letter.txt").read_text() == "Dear reader"


# ---- links, pictures, other hosts ----------------------------------------------------------------


def links_of(page):
    for tag, attribute in (("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")):
        for element in page.find_all(tag):
            if element.get(attribute):
                yield element, element[attribute]


def test_every_link_leads_to_a_page_and_a_place_on_it(pages):
    places = {
        path: {element.get("id") or element.get("name") for element in page.find_all(True)}
        for path, page in pages.items()
    }
    broken = []
    for path, page in pages.items():
        for element, link in links_of(page):
            url = urlsplit(link)
            if url.scheme or link.startswith("//"):
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if not target.is_file():
                broken.append(f"{path.name}: {link}")
            elif (
                url.fragment
                and unquote(url.fragment) not in places.get(target, {unquote(url.fragment)})
                and element.get("href") != "#"
            ):
                broken.append(f"{path.name}: no such place: {link}")
    assert not broken


def test_links_to_the_repository_lead_to_files_that_are_there(pages):
    own = re.escape(SETTINGS["git_url"]) + f"/(?:blob|tree|raw)/{SETTINGS['branch']}/"
    colab = (
        "https://colab.research.google.com/github/"
        f"{SETTINGS['user']}/{SETTINGS['repo']}/blob/{SETTINGS['branch']}/"
    )
    found = {}
    for path, page in pages.items():
        for _, link in links_of(page):
            match = re.match(f"(?:{own}|{re.escape(colab)})([^#?]+)", link)
            if match:
                found.setdefault(match[1], path.name)
    assert len(found) > 10
    assert [name for name in found if not (ROOT / unquote(name)).exists()] == []


def test_every_picture_says_what_is_on_it(site, pages):
    pictures = [(path, image) for path, page in pages.items() for image in page.find_all("img")]
    assert len(pictures) > 20
    bad = [
        f"{path.name}: {image.get('src')}"
        for path, image in pictures
        if len(image.get("alt", "")) < 10 or "/" in image["alt"]
    ]
    assert bad == []


def test_nothing_is_fetched_from_elsewhere(site, pages):
    elsewhere = re.compile(r"^(?:https?:)?//")
    fetched = [
        f"{path.name}: {link}"
        for path, page in pages.items()
        for element, link in links_of(page)
        if element.name != "a" and elsewhere.match(link)
    ]
    fetched += [
        f"{path.name}: {element.name}"
        for path, page in pages.items()
        for element in page.find_all(["iframe", "object", "embed", "video", "audio"])
    ]
    styles = {path.name: path.read_text(encoding="utf-8") for path in site.rglob("*.css")}
    for path, page in pages.items():
        styles[path.name] = " ".join(str(style.string) for style in page.find_all("style"))
    in_style = re.compile(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")]*)")
    for name, style in styles.items():
        fetched += [f"{name}: {url}" for url in in_style.findall(style)]
    assert fetched == []


# ---- what has to be there ------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_its_place_in_the_reference(page, module):
    reference = page(f"api/{module}.html")
    for name in importlib.import_module(f"movrec.{module}").__all__:
        entry = reference.find(id=f"movrec.{module}.{name}")
        assert entry is not None, name
    links = {link["href"] for link in reference.find("article").find_all("a", href=True)}
    assert "../" + name_of(MODULES[module]).replace(".ipynb", ".html") in links
    file = module.replace(".", "/")
    assert f"{SETTINGS['git_url']}/blob/{SETTINGS['branch']}/movrec/{file}.py" in links
    assert any(link.startswith(f"../_modules/movrec/{file}.html") for link in links)


def test_docstrings_are_read_section_by_section(page):
    entry = page("api/ingest.html").find(id="movrec.ingest.read_movies").find_parent("dl")
    places = entry.find_all(["dt", "p"])
    headings = {element.get_text(" ", strip=True).rstrip(" :") for element in places}
    assert {"Parameters", "Returns", "Raises", "Notes", "Examples"} <= headings
    reference = page("api/workings.report.html")
    report = reference.find(id="movrec.workings.report.IngestReport").find_parent("dl")
    assert "Attributes" in report.get_text()


def test_every_command_and_option_is_there(page):
    import typer

    from movrec.cli import app

    reference = page("docs/command_line.html")
    program = typer.main.get_command(app)
    assert len(program.commands) >= 10
    for name, command in program.commands.items():
        section = reference.find("section", id=f"movrec-{name}").get_text(" ").replace("’", "'")
        assert command.help.split("(")[0] in section
        for parameter in command.params:
            for option in [*parameter.opts, *parameter.secondary_opts]:
                if option.startswith("-"):
                    assert option in section, f"{name} {option}"
    assert "env var: MOVREC_MODEL; default: movrec-model" in text_of(reference)


def test_the_pages_stand_in_order(page):
    # Each page leads to the next one, from the front page on.
    seen = ["index.html"]
    while True:
        link = page(seen[-1]).find("a", class_="right-next")
        if link is None:
            break
        seen.append(posixpath.normpath(posixpath.join(posixpath.dirname(seen[-1]), link["href"])))
    workings = [f"nbs/workings/{name}.html" for name in WORKINGS]
    lessons = [f"nbs/{name}.html" for name in LESSONS]
    expected = [*lessons, "docs/workings.html", *workings]
    assert seen[1 : len(expected) + 1] == expected
    others = ["docs/own_catalogue", "docs/command_line", "api/index", "docs/how_good"]
    for name in [
        *others,
        "docs/promises",
        "docs/glossary",
        "docs/developing",
        "CHANGELOG",
        "CONTRIBUTING",
        "SECURITY",
    ]:
        assert f"{name}.html" in seen
    if (ROOT / "workshop" / "README.md").exists():
        assert "workshop/README.html" in seen


def test_the_workings_stand_folded_away_behind_the_lessons(page):
    front = page("index.html").find("nav", class_="bd-links")
    shown = [
        link["href"] for link in front.find_all("a", href=True) if not link.find_parent("details")
    ]
    assert [f"nbs/{name}.html" for name in LESSONS] == [
        link for link in shown if re.match(r"nbs/\d", link)
    ]
    assert "docs/workings.html" in shown
    assert not [link for link in shown if re.match(r"nbs/workings/\d", link)]
    folded = {link["href"] for link in front.select("details a[href]")}
    assert {f"nbs/workings/{name}.html" for name in WORKINGS} <= folded


@pytest.mark.parametrize("name", [*LESSONS, *(f"workings/{name}" for name in WORKINGS)])
def test_a_notebook_is_whole(site, page, name):
    notebook = ROOT / "nbs" / f"{name}.ipynb"
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lesson_page = page(f"nbs/{name}.html")
    text = text_of(lesson_page)
    title = re.match("# (.*)", "".join(cells[0]["source"]))[1]
    assert lesson_page.find("article").find("h1").get_text().startswith(title)
    # nbdev's directives have been obeyed and are not shown; what is exported is there.
    assert not re.search(r"#\| *\w", text)
    assert "google.colab" not in text
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and re.match(r"#\| *export\b", source):
            defined = re.search(r"^(?:def|class) \w+", source, flags=re.MULTILINE)
            assert defined is None or defined[0] in text


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_answers_are_folded_and_unfold_to_code(page, lesson):
    cells = json.loads((ROOT / "nbs" / f"{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
    prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    text = "\n".join(prose)
    lesson_page = page(f"nbs/{lesson}.html")
    boxes = lesson_page.find("article").find_all("details")
    answers = [box for box in boxes if not box.find_parent("div", class_="cell")]
    assert len(answers) == text.count("<details>")
    assert len(answers) >= 2  # a check and an answer, at least
    assert any(box.find("div", class_="highlight") for box in answers)


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_opens_in_colab_and_can_be_had(site, page, lesson):
    links = [link["href"] for link in page(f"nbs/{lesson}.html").find_all("a", href=True)]
    name = f"nbs/{lesson}.ipynb"
    notebook = (ROOT / name).read_text(encoding="utf-8")
    (badge,) = set(re.findall(rf"https://colab\.research\.google\.com/[^)\s]*{name}", notebook))
    assert links.count(badge) == 2  # the theme's button, and the one below the title
    download = f"../_sources/{name}"
    assert download in links
    assert (site / "_sources" / name).read_bytes() == (ROOT / name).read_bytes()


# ---- pages that are written by hand, and must not grow stale -------------------------------------


def test_the_page_on_catalogues_knows_every_column_and_every_reason(page):
    from movrec.workings.columns import REQUIRED_COLUMNS, USUAL_NAMES, squeeze
    from movrec.workings.report import REASONS

    rows = {}
    for row in page("docs/own_catalogue.html").find_all("tr"):
        cells = [cell.get_text(" ", strip=True) for cell in row.find_all("td")]
        if cells:
            rows.setdefault(cells[0], cells[1:])
    for column, usual in USUAL_NAMES.items():
        assert column in rows
        for name in rows[column][0].split(";")[0].split(", "):
            assert squeeze(name) in usual, name
        assert (rows[column][-1] == "required") == (column in REQUIRED_COLUMNS)
    assert set(REASONS) <= set(rows)


def test_the_terms_of_the_glossary_are_used_in_the_lessons(page):
    prose = ""
    for lesson in LESSONS:
        text = (ROOT / "nbs" / f"{lesson}.ipynb").read_text(encoding="utf-8")
        prose += "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    prose = re.sub(r"[\s*`_]+", " ", prose).lower()
    entries = page("docs/glossary.html").select("dl.glossary dt")
    terms = [entry.get_text().rstrip("#") for entry in entries]
    assert len(terms) > 40
    assert [term for term in terms if term.lower().replace("@k", "@") not in prose] == []


def test_the_figures_are_those_of_the_benchmark(page):
    from figures import figures_of

    result = json.loads((ROOT / "benchmarks" / "result.json").read_text(encoding="utf-8"))
    figures = figures_of(result)
    text = text_of(page("docs/how_good.html"))
    for name in ("films", "own_f1", "baseline_f1", "collection_recall", "co_rating_recall"):
        assert figures[name] in text
    for method, row in result["recommendations"]["table"].items():
        assert method in text and f"{row['co_rating_recall']:.3f}" in text

    result["recommendations"]["table"]["movrec"]["collection_recall"] = 0.123
    assert figures_of(result)["collection_recall"].startswith("12")
    # None is typed: what the tutorial says of itself, and a method's name, are no results of ours.
    typed = re.findall(r"\d+\.\d+", (ROOT / "docs" / "how_good.md").read_text(encoding="utf-8"))
    assert set(typed) <= {"0.94", "0.5"}


# ---- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    if find_spec("playwright") is None or helpers.find_chromium() is None:
        pytest.skip("needs Playwright and Chromium")
    SCREENSHOTS.mkdir(exist_ok=True)
    with helpers.chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser):
    """Open pages; afterwards none of them may have complained or asked another host."""
    complaints, requests, contexts = [], [], []

    def open_page(address, **context):
        contexts.append(browser.new_context(**context))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        # What is aborted was still on its way when the next page was opened.
        page.on(
            "requestfailed",
            lambda request: (
                complaints.append(f"{request.url}: {request.failure}")
                if request.failure != "net::ERR_ABORTED"
                else None
            ),
        )
        page.on("request", lambda request: requests.append(request.url))
        page.goto(address)
        page.wait_for_load_state("networkidle")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if urlsplit(url).scheme not in ("file", "data")] == []


SHOWN = {"front": "index.html", "lesson": "nbs/02_doc2vec.html", "api": "api/recommend.html"}
SCREENS = {"wide": {"width": 1300, "height": 900}, "narrow": {"width": 390, "height": 844}}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_a_page_opens_from_disk(site, opened, name, screen, scheme):
    address = (site / SHOWN[name]).as_uri()
    page = opened(address, viewport=SCREENS[screen], color_scheme=scheme)
    page.screenshot(path=SCREENSHOTS / f"docs-{name}-{screen}-{scheme}.png")
    assert page.locator("article h1").first.is_visible()
    brightness = page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    assert (max(brightness) < 80) == (scheme == "dark")
    missing = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert page.evaluate(missing) == 0


def test_no_page_is_wider_than_a_phone(site, pages, opened):
    page = opened((site / "index.html").as_uri(), viewport=SCREENS["narrow"])
    too_wide = []
    for path in pages:
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            too_wide.append(path.relative_to(site).as_posix())
    assert too_wide == []


def test_search_finds_from_disk(site, opened):
    page = opened((site / "search.html").as_uri(), viewport=SCREENS["wide"])
    field = page.locator("article input[name=q], main input[name=q]").first
    field.fill("transductive")
    field.press("Enter")
    results = page.locator("#search-results li a")
    results.first.wait_for(timeout=20_000)
    page.screenshot(path=SCREENSHOTS / "docs-search-wide-light.png")
    found = [link.get_attribute("href") for link in results.all()]
    assert any("glossary.html" in link for link in found)
    assert any("07_evaluate.html" in link for link in found)
    results.first.click()
    page.locator("article h1").first.wait_for()


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("own data", "docs/own_catalogue.html"),
        ("your own data", "docs/own_catalogue.html"),
        ("glossary", "docs/glossary.html"),
        ("film_html", "api/workings.cards.html"),
    ],
)
def test_search_shows_first_what_is_named(site, opened, words, page):
    search = opened((site / "search.html").as_uri() + f"?q={words.replace(' ', '+')}")
    first = search.locator("#search-results li a").first
    first.wait_for(timeout=20_000)
    assert first.get_attribute("href").split("?")[0].split("#")[0].endswith(page)


def test_an_answer_unfolds(site, opened):
    page = opened((site / "nbs" / "01_ingest.html").as_uri(), viewport=SCREENS["narrow"])
    answer = page.locator("details:not(.hide)").last
    code = answer.locator("pre").first
    assert not code.is_visible()
    answer.locator("summary").click()
    assert code.is_visible()


def test_the_sheet_and_the_slides_are_there(site, pages):
    links = pages[site / "workshop" / "README.html"].find_all("a", href=re.compile("handouts/"))
    assert [link.get_text() for link in links] == ["Slides", "Cheat sheet"]
    for link in links:
        assert (site / "workshop" / link["href"]).resolve().is_file()
    assert {path.name for path in (site / "handouts" / "slides").glob("*.slides.html")} == {
        f"{lesson}.slides.html" for lesson in LESSONS
    }

"""What a teacher prints and reads, the cheat sheet and the guide: all of it is true."""

import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
import typer
from browser_helpers import CHROMIUM_ARGUMENTS, find_chromium
from conftest import REPOSITORY, loaded

import movrec
from movrec.cli import app, main

WORKSHOP = REPOSITORY / "workshop"
GUIDE = (WORKSHOP / "README.md").read_text(encoding="utf-8")
SHEET = WORKSHOP / "cheatsheet.html"
COMMANDS = typer.main.get_command(app).commands


def check_command(line):
    """Fail unless the line is a command of movrec that can be read."""
    program, name, *arguments = shlex.split(line, comments=True)
    assert program == "movrec"
    COMMANDS[name].make_context(name, arguments)


def options():
    """All options that movrec has."""
    parameters = [parameter for command in COMMANDS.values() for parameter in command.params]
    return {option for parameter in parameters for option in parameter.opts}


# ---- the cheat sheet -----------------------------------------------------------------------------


class Code(HTMLParser):
    """Collects what stands in <pre> and in <code>."""

    def __init__(self):
        super().__init__()
        self.blocks, self.phrases, self.links, self.inside = [], [], [], None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.links += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "pre":
            self.inside = [attributes["class"], ""]
            self.blocks.append(self.inside)
        elif tag == "code":
            self.inside = ["phrase", ""]
            self.phrases.append(self.inside)

    def handle_endtag(self, tag):
        if tag in ("pre", "code"):
            self.inside = None

    def handle_data(self, text):
        if self.inside is not None:
            self.inside[1] += text


@pytest.fixture(scope="module")
def code():
    code = Code()
    code.feed(SHEET.read_text(encoding="utf-8"))
    return code


def test_the_commands_of_the_sheet_are_all_and_can_be_read(code):
    lines = [text for _, text in code.phrases if text.startswith("movrec ")]
    for language, text in code.blocks:
        if language == "sh":
            lines += re.sub(r"\\\n\s*", "", text).splitlines()
    lines = [line for line in lines if not line.startswith("pip install")]
    for line in lines:
        check_command(line)
    assert {line.split()[1] for line in lines} == set(COMMANDS)
    for _, text in code.phrases:
        assert set(re.findall(r"--[a-z][a-z-]+", text)) <= options(), text


def test_the_names_of_the_sheet_are_all_and_exist(code):
    text = "\n".join(text for _, text in [*code.blocks, *code.phrases])
    for name in movrec.__all__:
        assert name == "__version__" or re.search(rf"\b{name}\b", text), name
    parameters = inspect.signature(movrec.Recommender.recommend).parameters
    for _, phrase in code.phrases:
        for name in re.findall(r"\b(\w+)=(?!\d)", phrase):
            assert name in parameters, phrase
    notebooks = {path.stem for path in (REPOSITORY / "nbs").glob("[0-9]*.ipynb")}
    assert notebooks == {phrase for _, phrase in code.phrases if re.match(r"\d\d_", phrase)}
    assert code.links == [], "it opens without a network, and alone"


def test_the_python_of_the_sheet_runs(code, small_films, small_model, tmp_path, monkeypatch):
    from movrec import Recommender

    monkeypatch.chdir(tmp_path)
    shutil.copytree(small_model, "movrec-model")
    small_films.to_csv("films.csv", index=False)
    monkeypatch.setattr("movrec.load_sample", lambda: small_films)
    # A training that others test: here it only matters that it can be called like that.
    monkeypatch.setattr(Recommender, "build", lambda films, path: Recommender.open(path))
    namespace = {}
    for language, text in code.blocks:
        if language == "python":
            exec(compile(text, SHEET.name, "exec"), namespace)
    assert namespace["vectors"].shape == (len(small_films), 100)
    assert set(namespace["best"]["id"]) == set(small_films["id"])
    answer = namespace["recommender"].recommend("Toy Story")
    shown = [phrase for _, phrase in code.phrases]
    start = shown.index("id")
    assert shown[start : start + len(answer.columns)] == list(answer.columns)


@pytest.mark.slow
@pytest.mark.parametrize("paper", ["A4", "letter"])
def test_the_sheet_is_one_page(tmp_path, paper):
    if find_chromium() is None:
        pytest.skip("Chromium is not installed")
    text = SHEET.read_text(encoding="utf-8")
    assert "size: auto" in text
    page = tmp_path / "sheet.html"
    page.write_text(text.replace("size: auto", f"size: {paper}"), encoding="utf-8")
    pdf = tmp_path / "sheet.pdf"
    command = [
        find_chromium(),
        "--headless",
        *CHROMIUM_ARGUMENTS,
        f"--user-data-dir={tmp_path}/user",
    ]
    command += ["--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri()]
    subprocess.run(
        command, capture_output=True, timeout=120, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert re.findall(rb"/Count (\d+)", pdf.read_bytes()) == [b"1"]


# ---- the guide -----------------------------------------------------------------------------------


def timetable(title):
    """The rows of a timetable: minutes, what, sections, exercises."""
    section = re.search(rf"^### {title}\n(.*?)(?=^##)", GUIDE, flags=re.MULTILINE | re.DOTALL)[1]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


@pytest.mark.parametrize(("title", "minutes"), [("Half a day", 210), ("Two hours", 120)])
def test_a_timetable_adds_up_and_names_sections_that_exist(title, minutes):
    rows = timetable(title)
    assert sum(int(row[0]) for row in rows) == minutes
    for _, what, sections, exercises in rows:
        number = re.match(r"\d\d", what)
        if number is None:
            assert "“" not in sections
            continue
        (path,) = (REPOSITORY / "nbs").glob(f"{number[0]}_*.ipynb")
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        headings = re.findall(r"^##+ (.*)", prose, flags=re.MULTILINE)
        named = re.findall("“(.*?)”", sections)
        assert named and set(named) <= set(headings), set(named) - set(headings)
        positions = [headings.index(name) for name in named]
        assert positions == sorted(positions)
        for exercise in re.findall(r"\d", exercises):
            assert re.search(rf"^\*\*{exercise}\b", prose, flags=re.MULTILINE), (
                path.name,
                exercise,
            )


def test_the_figures_of_the_guide_are_those_that_were_measured(monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "tools")
    result = json.loads((REPOSITORY / "benchmarks" / "result.json").read_text(encoding="utf-8"))
    with loaded(REPOSITORY / "tools" / "guide.py") as guide:
        figures = guide.figures_of(result)
        assert guide.with_figures(GUIDE, figures) == GUIDE
        assert len(guide.FIGURE.findall(GUIDE)) >= 15
        with pytest.raises(SystemExit, match="nobody has measured 'luck'"):
            guide.with_figures("0.5<!-- luck -->", figures)
    # Figures with decimals that stand there without a name are of others.
    others = set(re.findall(r"0\.\d{2,}(?!\d*<!--)", GUIDE))
    assert others <= {"0.94"}


def test_what_the_guide_says_of_the_figures_is_so():
    result = json.loads((REPOSITORY / "benchmarks" / "result.json").read_text(encoding="utf-8"))
    methods = result["recommendations"]["table"]
    for measure in ("co_rating_recall", "collection_recall"):
        documents, transformer, movrec = (
            methods[name][measure] for name in ("plain document vectors", "MiniLM", "movrec")
        )
        assert documents < transformer < movrec


def test_what_the_guide_says_of_the_sample_is_so(sample_films):
    assert 0.88 < (sample_films["language"] == "en").mean() < 0.92
    assert 0.78 < (sample_films["year"] >= 1990).mean() < 0.85


def test_the_commands_and_the_links_of_the_guide_exist():
    spans = re.findall(r"`movrec ([a-z]+)([^`\n]*)`", GUIDE)
    spans = [(name, arguments) for name, arguments in spans if name != "command"]
    assert {name for name, _ in spans} <= set(COMMANDS)
    whole = [f"movrec {name}{arguments}" for name, arguments in spans if arguments]
    assert len(whole) >= 6
    for line in whole:
        check_command(line)
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^)make ([a-z]+)", GUIDE, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    headings = re.findall(r"^#+ (.*)", GUIDE, flags=re.MULTILINE)
    anchors = {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", GUIDE):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("https://"):
            assert (WORKSHOP / target).exists(), target


def test_the_messages_that_the_guide_explains_are_those_of_movrec(
    small_model, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOVREC_MODEL", raising=False)
    model = f"--model={small_model}"
    for line, message in (
        (["recommend", "Aladdin", model], "2 films are called 'Aladdin'"),
        (["recommend", "Toy", "Story", model], "A title of several words needs quotes"),
        (["info"], "There is no model folder movrec-model"),
    ):
        assert message in GUIDE
        assert main(line) == 2
        assert message in capsys.readouterr().err

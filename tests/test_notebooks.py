"""The notebooks have the parts that a reader counts on. Executing them is `make test`'s own step."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "nbs").glob("[!_.]*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


def prose_of(path):
    return "\n\n".join(cell.source for cell in cells_of(path) if cell.cell_type == "markdown")


def code_cells_of(path):
    return [cell for cell in cells_of(path) if cell.cell_type == "code"]


def test_the_notebooks_are_numbered_from_zero():
    assert [path.stem.partition("_")[0] for path in NOTEBOOKS] == sorted(
        path.stem.partition("_")[0] for path in NOTEBOOKS
    )
    assert NOTEBOOKS[0].stem == "00_ingest"
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem) for path in NOTEBOOKS)


@each_notebook
def test_the_first_cell_says_what_the_notebook_is_about(path):
    parser = ConfigParser(delimiters=["="])
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    settings = parser["DEFAULT"]
    first = cells_of(path)[0]
    assert first.cell_type == "markdown"
    title, _, rest = first.source.partition("\n")
    assert title.startswith("# ")
    assert re.search(r"^> \S", rest, flags=re.MULTILINE)
    address = f"{settings['user']}/{settings['repo']}/blob/{settings['branch']}"
    colab = "https://colab.research.google.com"
    assert (
        f"[![Open in Colab]({colab}/assets/colab-badge.svg)]"
        f"({colab}/github/{address}/nbs/{path.name})"
    ) in rest
    for part in ("comes in", "goes out", "learned", "minute"):
        assert part in rest


@each_notebook
def test_the_module_is_named_after_the_notebook(path):
    names = re.findall(
        r"^#\| *default_exp +(\S+)",
        "\n".join(cell.source for cell in code_cells_of(path)),
        flags=re.MULTILINE,
    )
    assert names == [path.stem.partition("_")[2]]
    assert (ROOT / "movrec" / f"{names[0]}.py").exists()


@each_notebook
def test_movrec_is_installed_in_colab_alone_and_before_it_is_imported(path):
    for cell in code_cells_of(path):
        if "google.colab" in cell.source:
            break
        assert "movrec" not in cell.source
    lines = cell.source.splitlines()
    assert lines[0] == "#| hide"
    assert 'if "google.colab" in sys.modules:' in lines
    assert 'get_ipython().run_line_magic("pip", ' in lines[-1]
    assert not cell.outputs


@each_notebook
def test_it_ends_with_a_summary_exercises_and_the_way_on(path):
    ending = prose_of(path).partition("What you have now")[2]
    assert ending
    assert re.search(r"^#+ Exercises", ending, flags=re.MULTILINE)
    answers = re.findall(r"<details>\s*<summary>.+?</summary>(.+?)</details>", ending, flags=re.DOTALL)
    assert len(answers) == ending.count("<details") == 3
    assert all(answer.strip() for answer in answers)
    last_words = ending.rpartition("</details>")[2]
    later = NOTEBOOKS[NOTEBOOKS.index(path) + 1 :]
    if later:
        linked = re.findall(r"\]\(([\w.]+\.ipynb)\)", last_words)
        assert set(linked) & {notebook.name for notebook in later}


@each_notebook
def test_the_answers_are_valid_code(path):
    for details in re.findall(r"<details>(.+?)</details>", prose_of(path), flags=re.DOTALL):
        for code in re.findall(r"^```python\n(.*?)^```", details, flags=re.DOTALL | re.MULTILINE):
            compile(code, path.name, "exec")

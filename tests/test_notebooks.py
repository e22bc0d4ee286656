"""The notebooks have the parts that a reader counts on. Executing them is `make test`'s own step."""

import ast
import re
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import exercises  # noqa: E402

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
    assert NOTEBOOKS[0].stem == "01_ingest"
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
    _, _, facts = rest.strip().rpartition("\n\n")
    bullets = [
        "What comes in",
        "What goes out",
        "What you will have learned",
        "Time",
        "What you need to know",
    ]
    assert re.findall(r"^\* \*\*(.+?):\*\* \S", facts, flags=re.MULTILINE) == bullets
    assert len(facts.splitlines()) == len(bullets)
    assert re.search(
        r"^\* \*\*Time:\*\* about \d+ minutes to read, .+ to run\.$", facts, re.MULTILINE
    )


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
    cells = [cell for cell in cells_of(path) if cell.cell_type == "markdown"]
    assert "## What you have now" in cells[-6].source
    assert cells[-5].source.startswith("## Exercises\n")
    last_words = cells[-1].source
    assert re.fullmatch(r"\*\*(Next|Back to the start):\*\* .+", last_words)
    following = (NOTEBOOKS + NOTEBOOKS[:1])[NOTEBOOKS.index(path) + 1]
    assert f"]({following.name})" in last_words


@each_notebook
def test_it_has_three_exercises_with_answers_and_checks(path):
    found = list(exercises.exercises_of(nbformat.read(path, as_version=4), path.name).values())
    assert [exercise.number for exercise in found] == [1, 2, 3]
    for kind, exercise in zip(("easy", "change a parameter", "open"), found):
        assert exercise.statement.startswith(f"**{exercise.number} ({kind}).** ")
        for code in (exercise.answer, exercise.check):
            compile(code, path.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        asserts = [
            node for node in ast.walk(ast.parse(exercise.check)) if isinstance(node, ast.Assert)
        ]
        assert asserts and all(node.msg for node in asserts), "a failed check has to say why"


@pytest.mark.parametrize(
    ("notebook", "mistake"),
    [
        ("01_ingest", "with `eval`"),
        ("02_doc2vec", "the genre names into this text"),
        ("02_doc2vec", "for epoch in range(20): model.train("),
        ("03_classifier", "a threshold for probabilities on logits"),
        ("03_classifier", "a leak"),
        ("06_recommend", "LIKE '%Music%'"),
        ("07_evaluate", "The answer among the inputs"),
        ("07_evaluate", "a logit with 0.1"),
    ],
)
def test_what_the_published_tutorial_got_wrong_is_among_the_common_mistakes(notebook, mistake):
    prose = prose_of(ROOT / "nbs" / f"{notebook}.ipynb")
    boxes = re.findall(
        r"(?:> \*\*|## |\*\*)Common mistake.+?(?=\n\n\w|\n\n#|\Z)", prose, flags=re.DOTALL
    )
    assert any(mistake in box for box in boxes)


@each_notebook
def test_where_kaggle_is_needed_it_says_how_to_go_on_without_an_account(path):
    prose = prose_of(path)
    if re.search(r"download_movies\(\)|movrec download", prose):
        assert "No account at Kaggle" in prose

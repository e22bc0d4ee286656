"""The notebooks have the parts that a reader counts on. Executing them is `make test`'s own step."""

import ast
import json
import re
import subprocess
import sys
import types
from configparser import ConfigParser
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import exercises  # noqa: E402
from repository import directives_of, name_of, notebook_paths  # noqa: E402

NOTEBOOKS = sorted((ROOT / "nbs").glob("[!_.]*.ipynb"))
WORKINGS = sorted((ROOT / "nbs" / "workings").glob("[!_.]*.ipynb"))

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
each_working = pytest.mark.parametrize("path", WORKINGS, ids=lambda path: path.stem)


def cells_of(path):
    return nbformat.read(path, as_version=4).cells


def prose_of(path):
    return "\n\n".join(cell.source for cell in cells_of(path) if cell.cell_type == "markdown")


def code_cells_of(path):
    return [cell for cell in cells_of(path) if cell.cell_type == "code"]


def test_the_notebooks_are_numbered_from_zero():
    numbers = [path.stem.partition("_")[0] for path in NOTEBOOKS]
    assert len(set(numbers)) == len(numbers)
    assert NOTEBOOKS[0].stem == "00_start"
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem) for path in NOTEBOOKS + WORKINGS)
    # The number of a working is that of the lesson that stands on it.
    assert {path.stem.partition("_")[0] for path in WORKINGS} <= set(numbers)


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
    assert f"[Open in Colab]({colab}/github/{address}/nbs/{path.name})" in rest
    assert "badge.svg" not in rest, "a picture of another host's is a broken one without a network"
    _, _, facts = rest.strip().rpartition("\n\n")
    bullets = [
        "What comes in",
        "What goes out",
        "What you will have learned",
        "Time",
        "What you need to know",
    ]
    if path == NOTEBOOKS[0]:
        bullets.pop()  # for the first lesson one needs to know nothing
    assert re.findall(r"^\* \*\*(.+?):\*\* \S", facts, flags=re.MULTILINE) == bullets
    assert len(facts.splitlines()) == len(bullets)
    assert re.search(
        r"^\* \*\*Time:\*\* about \d+ minutes to read, .+ to run\.$", facts, re.MULTILINE
    )


@each_working
def test_a_working_says_what_it_is_for_and_sets_no_exercises(path):
    first = cells_of(path)[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \S.*\n+> \S", first.source)
    assert exercises.exercises_of(nbformat.read(path, as_version=4), path.name) == {}


@each_notebook
def test_a_lesson_opens_with_something_to_see(path):
    shown = [cell for cell in code_cells_of(path) if not cell.source.startswith("#| hide")]
    shown = [cell for cell in shown if not re.match(r"#\| *default_exp", cell.source)]
    assert shown[0].outputs and "#| export" not in shown[0].source


def colab_cell(path):
    (cell,) = [cell for cell in code_cells_of(path) if "google.colab" in cell.source]
    return cell


@each_notebook
def test_movrec_is_installed_in_colab_alone_and_before_it_is_imported(path):
    cell = colab_cell(path)
    for earlier in code_cells_of(path):
        if earlier.id == cell.id:
            break
        assert "movrec" not in earlier.source
    assert cell.source.startswith("#| hide\n") and not cell.outputs
    assert cell.source == colab_cell(NOTEBOOKS[0]).source


def run_in_colab(monkeypatch, folder, works):
    """Run the cell as in Colab, with a pip that installs what `works` says; what it was asked for."""
    asked = []

    def pip(command, **_):
        asked.append(command[-1])
        kept = Path(command[command.index("--constraint") + 1]).read_text()
        assert re.findall(r"^(\w+)==\d", kept, re.MULTILINE) and "torch==" in kept
        return subprocess.CompletedProcess(command, 0 if works(command[-1]) else 1)

    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setattr(subprocess, "run", pip)
    exec(compile(colab_cell(NOTEBOOKS[0]).source, "cell", "exec"), {})
    return asked


def test_in_colab_the_index_comes_first_then_the_repository_then_a_wheel(monkeypatch, tmp_path):
    (tmp_path / "movrec-0.1.0-py3-none-any.whl").touch()
    every = ["movrec", "git+https://github.com/movrec/movrec", "movrec-0.1.0-py3-none-any.whl"]
    for number, last in enumerate(every, start=1):
        assert run_in_colab(monkeypatch, tmp_path, last.__eq__) == every[:number]


def test_in_colab_one_sentence_says_what_to_do_where_nothing_works(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="could not be installed.*wheel.*run this cell again"):
        run_in_colab(monkeypatch, tmp_path, lambda it: False)


@each_notebook
def test_it_ends_with_a_summary_and_the_way_on(path):
    cells = [cell for cell in cells_of(path) if cell.cell_type == "markdown"]
    summary = "## Where to go from here" if path == NOTEBOOKS[0] else "## What you have now"
    assert any(summary in cell.source for cell in cells[-3:])
    last_words = cells[-1].source.strip().rpartition("\n")[2]
    assert re.fullmatch(r"\*\*(Next|Back to the start):\*\* .+", last_words)
    following = (NOTEBOOKS + NOTEBOOKS[:1])[NOTEBOOKS.index(path) + 1]
    assert f"]({following.name})" in last_words


@each_notebook
def test_it_has_exercises_with_answers_and_checks_behind_their_ideas(path):
    notebook = nbformat.read(path, as_version=4)
    found = exercises.exercises_of(notebook, path.name)
    if path == NOTEBOOKS[0]:
        assert len(found) == 1  # it is five minutes long
    else:
        assert len(found) >= 2
        behind = notebook.cells[min(found) :]
        assert any(cell.cell_type == "code" for cell in behind), "they all stand at the end"
    for exercise in found.values():
        for code in (exercise.answer, exercise.check):
            compile(code, path.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        asserts = [
            node for node in ast.walk(ast.parse(exercise.check)) if isinstance(node, ast.Assert)
        ]
        assert asserts and all(node.msg for node in asserts), "a failed check has to say why"


@pytest.mark.parametrize(
    "mistake",
    [
        "with `eval`",
        "the genre names into this text",
        "for epoch in range(20): model.train(",
        "a threshold for probabilities on logits",
        "a leak",
        "LIKE '%Music%'",
        "The answer among the inputs",
        "a logit with 0.1",
    ],
)
def test_what_the_published_tutorial_got_wrong_is_among_the_common_mistakes(mistake):
    boxes = []
    for path in NOTEBOOKS:
        boxes += re.findall(
            r"(?:> \*\*|## |\*\*)Common mistake.+?(?=\n\n\w|\n\n#|\Z)",
            prose_of(path),
            flags=re.DOTALL,
        )
    assert any(mistake in box for box in boxes)


@each_notebook
def test_where_kaggle_is_needed_it_says_how_to_go_on_without_an_account(path):
    prose = prose_of(path)
    if re.search(r"download_movies\(\)|movrec download", prose):
        assert "No account at Kaggle" in prose


# ---- the outputs that are stored -----------------------------------------------------------------

# What no stored output may have in it.
UNWANTED = {
    "a path of somebody's machine": re.compile(
        r"(?<![\w.:/])/(?:home|root|Users|work|tmp|private|var/folders|opt|usr)/\w"
        r"|[A-Z]:\\+Users\\|site-packages"
    ),
    "a warning": re.compile(r"\b[A-Z]\w*Warning\b|\bWARN(?:ING)?\b"),
    "a traceback": re.compile(r"Traceback \(most recent call last\)"),
    "a progress bar": re.compile(r"\d%\|.*\||\d+(?:\.\d+)?\s?(?:it/s|s/it)\b|FloatProgress\("),
}


def output_texts(output):
    """The texts of one output: what it printed, or its text in every format but pictures."""
    if output.output_type == "stream":
        yield output.text
    for format_name, content in output.get("data", {}).items():
        if isinstance(content, str) and not format_name.startswith("image/"):
            yield content


def output_problems(notebook, name):
    """What is wrong with the outputs that are stored in one notebook."""
    problems = []
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if cells and not any(cell.outputs for cell in cells):
        return [f"{name} has no output at all: execute it"]
    for number, cell in enumerate(cells, start=1):
        place = f"{name}, code cell {number}"
        for output in cell.outputs:
            if output.output_type == "error":
                problems.append(f"{place}: an error, {output.ename}")
            elif output.get("name") == "stderr":
                problems.append(f"{place}: output on stderr")
            for text in output_texts(output):
                found = [what for what, pattern in UNWANTED.items() if pattern.search(text)]
                problems += [f"{place}: {what} in the output" for what in found]
        prints = re.search(r"^print\(", cell.source, flags=re.MULTILINE)
        if prints and not cell.outputs and not {"hide", "eval"} & directives_of(cell.source).keys():
            problems.append(f"{place}: it prints, but no output is stored: execute the notebook")
    return problems


@pytest.mark.parametrize("path", notebook_paths(), ids=name_of)
def test_no_two_cells_have_one_id(path):
    ids = [cell["id"] for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", notebook_paths(), ids=name_of)
def test_the_stored_outputs_are_fit_to_be_read(path):
    problems = output_problems(nbformat.read(path, as_version=4), name_of(path))
    assert not problems, "\n" + "\n".join(problems)


def code(source, *outputs):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs))


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def test_unwanted_outputs_are_found():
    def problems_of(*cells):
        return output_problems(nbformat.v4.new_notebook(cells=list(cells)), "nbs/00_bad.ipynb")

    home = "/".join(["", "home", "alice", "movrec"])
    soon = {"text/html": "<p>FutureWarning: soon</p>"}
    bad = {
        "a path": stream(f"saved in {home}"),
        "a warning": nbformat.v4.new_output("execute_result", data=soon),
        "a progress bar": stream("Epochs:  35%|###5      | 14/40 [00:03<00:06,  4.10it/s]"),
        "output on stderr": stream("careful", name="stderr"),
    }
    for what, output in bad.items():
        (problem,) = problems_of(code("run()", output))
        assert problem.startswith("nbs/00_bad.ipynb, code cell 1: ") and what in problem

    assert problems_of(code("print(1)")) == ["nbs/00_bad.ipynb has no output at all: execute it"]
    (problem,) = problems_of(code("print(1)", stream("1\n")), code("print(2)"))
    assert problem.startswith("nbs/00_bad.ipynb, code cell 2: it prints, but no output is stored")

    good = stream("https://example.org/home/page has 80% | 5 films/usr\n")
    assert problems_of(code("run()", good)) == []

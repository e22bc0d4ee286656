"""The rules of the house, which CONTRIBUTING.md lists; each message says where one is broken."""

import ast
import graphlib
import importlib
import inspect
import re
import sys

import pytest
from conftest import REPOSITORY

pytest.importorskip("nbformat")
sys.path.insert(0, str(REPOSITORY / "tools"))

import house
import repository

LESSONS, WORKINGS = repository.lesson_paths(), repository.working_paths()
MODULES = repository.modules()
NOTEBOOKS = LESSONS + WORKINGS

MOST_CELLS = {"lesson": 45, "working": 30}
MOST_EXPORTED_LINES = 60
MOST_LINES_BETWEEN_OUTPUTS = 150

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=repository.name_of)
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=repository.name_of)


def cells_of(path):
    """The cells of a notebook with their numbers, from 1 on."""
    return enumerate(repository.read_notebook(path).cells, start=1)


def is_exported(cell):
    return (
        cell.cell_type == "code"
        and repository.EXPORTS & repository.directives_of(cell.source).keys()
    )


def module_that_exports(path):
    return next((module for module, notebook in MODULES.items() if notebook == path), None)


def fail_if_any(problems):
    assert not problems, "\n" + "\n".join(problems)


# ---- rule 1: one notebook, one module, one job ---------------------------------------------------


@each_notebook
def test_a_notebook_makes_one_module_that_has_its_name(path):
    name, problems, homes = repository.name_of(path), [], []
    for number, cell in cells_of(path):
        if cell.cell_type != "code":
            continue
        for line, text in enumerate(cell.source.splitlines(), start=1):
            place = f"{name}, cell {number}, line {line}"
            if home := re.match(r"#\s*\|\s*default_exp\s+(\S+)", text):
                homes.append(home[1])
            if re.match(r"#\s*\|\s*exports?i?\s+\S", text):
                problems.append(f"{place}: it exports into another module: {text}")
            if re.search(r"@patch\b|@patch_to\b|\badd_docs\b", text):
                problems.append(f"{place}: a class is patched: {text.strip()}")
    below = "workings." if path in WORKINGS else ""
    expected = below + path.stem[3:]
    if expected == "evaluate":
        expected = "evaluation"  # `movrec.evaluate` is the function
    if not homes and not any(is_exported(cell) for _, cell in cells_of(path)):
        assert path in LESSONS, f"{name} exports nothing, and is no lesson"
    elif homes != [expected]:
        problems.append(f"{name} exports to {homes}, and by its name it should to [{expected!r}]")
    fail_if_any(problems)


def test_every_module_comes_from_one_notebook():
    assert len(MODULES) == sum(module_that_exports(path) is not None for path in NOTEBOOKS)
    there = {
        ".".join(path.relative_to(REPOSITORY / "movrec").with_suffix("").parts)
        for path in (REPOSITORY / "movrec").rglob("[!_]*.py")
    }
    assert there == set(MODULES)


# ---- rule 2: imports lead down -------------------------------------------------------------------


@each_notebook
def test_a_notebook_imports_from_smaller_numbers_or_from_workings_of_its_own(path):
    name, own = repository.name_of(path), module_that_exports(path)
    if own is None:
        return  # nothing can import from it, so that it may use the whole package
    problems = []
    for found in house.imports_of(path):
        other = MODULES[found.module]
        is_smaller = house.number_of(other) < house.number_of(path)
        is_own_working = house.number_of(other) == house.number_of(path) and other in WORKINGS
        if not (is_smaller or is_own_working or found.module == own):
            problems.append(
                f"{name}, cell {found.cell}, line {found.line}: "
                f"it imports from {repository.name_of(other)}, which stands above it"
            )
    fail_if_any(problems)


def test_there_is_no_circle():
    graph = {}
    for module, path in MODULES.items():
        graph[module] = {found.module for found in house.imports_of(path)} - {module}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail("a circle: " + " imports ".join(reversed(error.args[1])))


def underscored(tree):
    """The names with an underscore in front that some code defines: functions, fields, attributes."""
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names = [node.id if isinstance(node, ast.Name) else node.attr]
        yield from (name for name in names if is_underscored(name))


def is_underscored(name):
    return name.startswith("_") and not name.endswith("_") and name != "_"


def test_no_name_with_an_underscore_crosses_a_module():
    cells = {
        path: [(number, house.tree_of(source)) for number, source in code_of(path)]
        for path in NOTEBOOKS
    }
    defined = {
        path: {n for _, tree in trees for n in underscored(tree)} for path, trees in cells.items()
    }
    problems = []
    for path in NOTEBOOKS:
        others = set().union(*(names for other, names in defined.items() if other != path))
        name = repository.name_of(path)
        for found in house.imports_of(path):
            if is_underscored(found.name):
                place = f"{name}, cell {found.cell}, line {found.line}"
                problems.append(f"{place}: it imports {found.name} from movrec.{found.module}")
        for number, tree in cells[path]:
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and node.attr in others - defined[path]:
                    place = f"{name}, cell {number}, line {node.lineno}"
                    problems.append(f"{place}: it uses {ast.unparse(node)} of another module")
    fail_if_any(problems)


def code_of(path):
    return list(house.code_cells(repository.read_notebook(path)))


# ---- rule 3: small notebooks, small cells --------------------------------------------------------


@each_notebook
def test_a_notebook_has_few_cells_and_short_exported_ones(path):
    name, cells = repository.name_of(path), dict(cells_of(path))
    kind = "working" if path in WORKINGS else "lesson"
    problems = []
    if len(cells) > MOST_CELLS[kind]:
        problems.append(f"{name} has {len(cells)} cells, a {kind} at most {MOST_CELLS[kind]}")
    for number, cell in cells.items():
        length = house.code_lines(cell.source) if is_exported(cell) else 0
        if length > MOST_EXPORTED_LINES:
            head = repository.without_directives(cell.source).splitlines()[0]
            problems.append(
                f"{name}, cell {number} ({head}): {length} lines of code, "
                f"an exported cell has at most {MOST_EXPORTED_LINES}"
            )
    fail_if_any(problems)


# ---- rule 4: something to look at ----------------------------------------------------------------


def is_looked_at(cell):
    """Whether a reader sees an output below this cell."""
    directives = repository.directives_of(cell.source)
    hidden = "hide" in directives or "false" in (
        directives.get("output"),
        directives.get("include"),
    )
    return not hidden and any(output.get("name") != "stderr" for output in cell.get("outputs", []))


@each_lesson
def test_no_long_code_stands_between_two_outputs_of_a_lesson(path):
    name, problems = repository.name_of(path), []
    lines, start, last = 0, 1, len(list(cells_of(path)))
    for number, cell in cells_of(path):
        if cell.cell_type == "code" and not cell.source.startswith("%%"):
            lines += house.code_lines(cell.source)
        if number == last or (cell.cell_type == "code" and is_looked_at(cell)):
            if lines > MOST_LINES_BETWEEN_OUTPUTS:
                problems.append(
                    f"{name}, cells {start} to {number}: {lines} lines of code without an output, "
                    f"and at most {MOST_LINES_BETWEEN_OUTPUTS} may be"
                )
            lines, start = 0, number + 1
    fail_if_any(problems)


# ---- every public name is shown in use -----------------------------------------------------------


@pytest.mark.parametrize("module", MODULES)
def test_every_public_function_and_class_has_examples(module):
    """pytest runs them: see conftest.py."""
    loaded = importlib.import_module(f"movrec.{module}")
    without = []
    for name in loaded.__all__:
        value = getattr(loaded, name)
        if not (inspect.isroutine(value) or inspect.isclass(value)):
            continue
        section = re.search(r"^Examples\n-{8}\n(.*)", inspect.getdoc(value) or "", re.M | re.S)
        if not section or ">>> " not in section[1]:
            line = inspect.getsourcelines(value)[1]
            place = repository.name_of(MODULES[module])
            without.append(f"{place}: {name} (movrec.{module}, line {line}) has no Examples")
    fail_if_any(without)


# ---- the checks themselves -----------------------------------------------------------------------


def test_lines_of_code_are_counted_without_docstrings_comments_and_blanks():
    source = '''#| export
def add(a, b):
    """Add.

    Two numbers.
    """
    # as in school
    return (
        a + b
    )


!movrec --help
"text"'''
    assert house.code_lines(source) == 6


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from movrec.ingest import load_sample", [("ingest", "load_sample")]),
        ("def f():\n    from movrec import Recommender", [("recommend", "Recommender")]),
        ("import movrec.workings.core as core", [("workings.core", "")]),
        ("from movrec.workings import core", [("workings.core", "")]),
        ("if TYPE_CHECKING:\n    from movrec import recommend", [("recommend", "")]),
        ("import movrec\nfrom pandas import Series", []),
    ],
)
def test_imports_are_found_wherever_they_stand(source, expected, tmp_path):
    from nbformat import v4, write

    path = tmp_path / "01_made.ipynb"
    write(v4.new_notebook(cells=[v4.new_code_cell(source)]), path)
    assert [(found.module, found.name) for found in house.imports_of(path)] == expected

"""The house that the notebooks make: who imports from whom, and a picture of it.

`python tools/project.py house` draws images/house.svg from the imports in the notebooks' own cells;
tests/test_house.py holds the rules against the same imports.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from repository import (
    ROOT,
    lesson_paths,
    modules,
    read_notebook,
    working_paths,
)

PICTURE = "images/house.svg"


@dataclass(frozen=True)
class Import:
    """A name that a cell of a notebook takes from a module of movrec; "" for the module itself."""

    cell: int
    line: int
    module: str
    name: str


def tree_of(source: str) -> ast.Module:
    """The syntax tree of a cell; its lines for IPython (`!movrec`, `%pip`) count as `pass`."""
    return ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))


def code_cells(notebook) -> Iterator[tuple[int, str]]:
    """The cells of code of a notebook, with their numbers among all cells, from 1 on."""
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code" and not cell.source.startswith("%%"):
            yield number, cell.source


def main_names() -> dict[str, str]:
    """The names that `movrec` itself has, and the module that each comes from."""
    tree = ast.parse((ROOT / "movrec" / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_MODULE_OF":
            return ast.literal_eval(node.value)
    return {}


def imports_of(path: Path) -> list[Import]:
    """What a notebook imports from movrec, in functions and for type checkers as well."""
    names, known = main_names(), modules()
    found = []
    for number, source in code_cells(read_notebook(path)):
        for node in ast.walk(tree_of(source)):
            pairs = []
            if isinstance(node, ast.Import):
                pairs = [(alias.name, "") for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                pairs = [(node.module or "", alias.name) for alias in node.names]
            for module, name in pairs:
                package, _, module = module.partition(".")
                if package != "movrec":
                    continue
                if not module and name in names:
                    module = names[name]  # from movrec import Recommender
                elif f"{module}.{name}".strip(".") in known:
                    module, name = f"{module}.{name}".strip("."), ""  # from movrec import recommend
                if module in known:
                    found.append(Import(number, node.lineno, module, name))
    return found


def code_lines(source: str) -> int:
    """The lines of code of a cell: docstrings, comments and blank lines aside."""
    tree, lines = tree_of(source), source.splitlines()
    counted = {n for n, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"}
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                counted -= set(range(value.lineno, value.end_lineno + 1))
    return len(counted)


def number_of(path: Path) -> int:
    """The number that a notebook's name begins with."""
    return int(path.name[:2])


# ---- the picture ---------------------------------------------------------------------------------

WIDTH, FLOOR, LEFT, LESSON, WORKING = 860, 46, 140, 130, 104
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1b2733}.small{font-size:11.5px}"
    ".lesson{fill:#d6e8f7;stroke:#0072b2}.working{fill:#f4f1ea;stroke:#8c8577}"
    "path{fill:none;stroke:#c05f00;stroke-width:1.3;marker-end:url(#tip)}"
)


def floors_below() -> dict[int, set[int]]:
    """The floors that each floor's notebooks import from, less those that others lead to anyhow.

    A notebook that exports nothing, as the first lesson, stands beside the house: it may use all.
    """
    known = modules()
    below: dict[int, set[int]] = {}
    for path in lesson_paths() + working_paths():
        floor = number_of(path)
        used = imports_of(path) if path in known.values() else []
        reached = {number_of(known[found.module]) for found in used}
        below.setdefault(floor, set()).update(reached - {floor})
    everything: dict[int, set[int]] = {}
    for floor in sorted(below):
        indirect = [everything.get(other, set()) for other in below[floor]]
        everything[floor] = below[floor].union(*indirect)
    return {
        floor: {one for one in ones if not any(one in everything.get(other, ()) for other in ones)}
        for floor, ones in below.items()
    }


def render_house() -> str:
    """The house as SVG: a floor a number, lessons in front, arrows down to what is built upon."""
    below = floors_below()
    floors = sorted(below)
    y = {floor: (len(floors) - 1 - place) * FLOOR + 40 for place, floor in enumerate(floors)}
    height = len(floors) * FLOOR + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}">',
        "<title>The house of movrec: each floor stands on those below it</title>",
        f"<style>{STYLE}</style>",
        '<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="6" refY="3.5" orient="auto">'
        '<polygon points="0 0,7 3.5,0 7" fill="#c05f00"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-weight="bold">lessons: nbs/</text>',
        f'<text x="{LEFT + LESSON + 14}" y="22" font-weight="bold">workings: nbs/workings/</text>',
        f'<text class="small" x="{WIDTH - 12}" y="22" text-anchor="end">'
        "an arrow leads to what a floor imports</text>",
    ]

    def box(kind: str, x: int, top: int, width: int, text: str, size: str = "") -> None:
        parts.append(
            f'<rect class="{kind}" x="{x}" y="{top}" width="{width}" height="{FLOOR - 14}" rx="4"/>'
            f'<text class="{size}" x="{x + 8}" y="{top + 20}">{escape(text)}</text>'
        )

    for path in lesson_paths():
        box("lesson", LEFT, y[number_of(path)], LESSON, path.stem)
    places = dict.fromkeys(floors, LEFT + LESSON + 14)
    for path in working_paths():
        floor = number_of(path)
        box("working", places[floor], y[floor], WORKING, path.stem[3:], "small")
        places[floor] += WORKING + 8
    for floor, ones in below.items():
        for one in sorted(ones):
            top, end = y[floor] + 20, y[one] + 11
            bend = LEFT - 16 - 11 * (floor - one)
            parts.append(f'<path d="M{LEFT} {top} C{bend} {top} {bend} {end} {LEFT} {end}"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def write_house() -> None:
    """Write the picture of the house."""
    (ROOT / PICTURE).parent.mkdir(exist_ok=True)
    (ROOT / PICTURE).write_text(render_house(), encoding="utf-8", newline="\n")

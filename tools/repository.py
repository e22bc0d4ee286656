"""What the tools know of the repository: where its notebooks lie, what is in one, its settings."""

from __future__ import annotations

import functools
import re
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXPORTS = {"export", "exports", "exporti"}


def read_settings() -> dict[str, str]:
    """The settings of the project: settings.ini, its references to other settings resolved."""
    parser = ConfigParser(delimiters=["="])
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return dict(parser["DEFAULT"])


def lesson_paths() -> list[Path]:
    """The lessons in order."""
    return sorted((ROOT / "nbs").glob("[0-9]*.ipynb"))


def working_paths() -> list[Path]:
    """The workings, which the lessons stand on, in order."""
    return sorted((ROOT / "nbs" / "workings").glob("[0-9]*.ipynb"))


def notebook_paths() -> list[Path]:
    """index.ipynb, where there is one, the lessons and the workings."""
    index = ROOT / "index.ipynb"
    return [index] * index.exists() + lesson_paths() + working_paths()


def read_notebook(path: Path):
    """The notebook in `path`."""
    from nbformat import v4

    try:
        return v4.reads(path.read_text(encoding="utf-8"))
    except (ValueError, AttributeError, KeyError) as error:
        raise SystemExit(f"{name_of(path)} cannot be read as a notebook: {error!r}") from None


def name_of(path: Path) -> str:
    """A file's name as messages show it: from the repository's top, with forward slashes."""
    return path.relative_to(ROOT).as_posix()


def title_of(notebook) -> str:
    """A notebook's title: the heading in its first cell."""
    return re.search(r"^# +(.+)$", notebook.cells[0].source, flags=re.MULTILINE)[1]


def directives_of(source: str) -> dict[str, str]:
    """The directives at the top of a cell: `#| echo: false` is {"echo": "false"}."""
    found = re.findall(r"^#\s*\|\s*([\w-]+):?[ \t]*(.*)", source, flags=re.MULTILINE)
    return {name: value.strip() for name, value in found}


def without_directives(source: str) -> str:
    """The code of a cell without its directives."""
    return re.sub(r"^#\s*\|.*\n?", "", source, flags=re.MULTILINE).strip()


def module_of(notebook) -> str | None:
    """The module that a notebook exports to, below the package; None if it exports nothing."""
    for cell in notebook.cells:
        if name := directives_of(cell.source).get("default_exp"):
            return name
    return None


@functools.cache
def modules() -> dict[str, Path]:
    """The modules of the package, each with its notebook: lessons first, both in their order."""
    found = {module_of(read_notebook(path)): path for path in notebook_paths()}
    return {module: path for module, path in found.items() if module}

"""Build the docs site: lessons, workings, the reference of the package and the command, docs/*.md.

    python tools/docs.py                 into _docs/
    python tools/docs.py --out FOLDER    into another folder

Notebooks, pages written by hand and pages generated here go into _proc/site/, which is laid out as
the repository is, so that links between its files lead on. A notebook's directives become the cell
tags that MyST-NB knows. Sphinx makes HTML of it all. No notebook is executed: the outputs are those
that are stored in it.
"""

from __future__ import annotations

import argparse
import ast
import functools
import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from repository import (
    EXPORTS,
    ROOT,
    directives_of,
    lesson_paths,
    module_of,
    modules,
    name_of,
    notebook_paths,
    read_notebook,
    read_settings,
    title_of,
    without_directives,
)

PROCESSED = ROOT / "_proc"
PAGES = PROCESSED / "site"

# Exported code of more lines is folded: a lesson is read, a long function is looked up.
LONGEST_SHOWN = 40

# Pages that are written elsewhere in the repository.
OTHER_PAGES = [
    "movrec/data/README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "workshop/README.md",
]


# What the workshop's page names, and where it is on the site.
HANDOUTS = {
    "| `slides/` |": '| <a href="../handouts/slides/index.html">Slides</a> |',
    "| `cheatsheet.html` |": '| <a href="../handouts/cheatsheet.html">Cheat sheet</a> |',
}


# ---- Markdown ------------------------------------------------------------------------------------

FENCED = re.compile(r"(^(?:```+|~~~+).*?^(?:```+|~~~+)[ \t]*$)", flags=re.MULTILINE | re.DOTALL)
RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]*)(#[^)\s]*)?\)")
# `load_sample()`, `Recommender.build`, and not `answer`, which may be anybody's variable.
CODE_NAME = re.compile(r"(?<!\[)`((?=\w*[A-Z_.]|\w+\()[A-Za-z]\w*(?:\.\w+)?)(\(\))?`")
QUOTE = re.compile(r"(?:^>.*(?:\n|\Z))+", flags=re.MULTILINE)
MISTAKE = re.compile(r"\*\*(Common mistakes?[^*]*?)\.?\*\*\s*")


def page_names() -> list[str]:
    """The files of the repository that are pages of the site."""
    paths = [*notebook_paths(), *sorted((ROOT / "docs").glob("*.md"))]
    return [name_of(path) for path in paths] + [n for n in OTHER_PAGES if (ROOT / n).exists()]


def mend_links(text: str, page: str) -> str:
    """The prose of a page with links that lead on: to other pages, or else to GitHub."""
    settings = read_settings()
    known = {*page_names(), *(name_of(path) for path in ROOT.glob("images/*"))}

    def mended(match: re.Match) -> str:
        target, anchor = match[1], match[2] or ""
        if target:
            name = os.path.normpath(Path(page).parent / target).replace(os.sep, "/")
            if name not in known:
                kind = "tree" if (ROOT / name).is_dir() else "blob"
                return f"]({settings['git_url']}/{kind}/{settings['branch']}/{name}{anchor})"
        # Jupyter's anchors are the headings with dashes; here they are in lower case, too.
        anchor = re.sub(r"[^\w#-]", "", anchor).lower()
        return f"]({target}{anchor})"

    return RELATIVE_LINK.sub(mended, text)


@functools.cache
def public_names() -> dict[str, str]:
    """What the reference describes: `Recommender.build` is movrec.recommend.Recommender.build."""
    found: dict[str, str] = {}
    for module in modules():
        loaded = importlib.import_module(f"movrec.{module}")
        for name in loaded.__all__:
            value = getattr(loaded, name)
            if is_code(value) and value.__name__ == name:
                found.setdefault(name, f"movrec.{module}.{name}")
                for base in value.__mro__ if inspect.isclass(value) else ():
                    if base.__module__.startswith("movrec."):
                        for key in (key for key in vars(base) if key[0] != "_"):
                            full = f"{base.__module__}.{base.__qualname__}.{key}"
                            found.setdefault(f"{name}.{key}", full)
    return found


def is_code(value: object) -> bool:
    """Whether something is a function or a class, and no constant."""
    return inspect.isroutine(value) or inspect.isclass(value)


def link_names(text: str, names: dict[str, str]) -> str:
    """The names of the package in some prose as references of Sphinx."""

    def linked(match: re.Match) -> str:
        name = names.get(match[1])
        return f"{{py:obj}}`{match[1]}{match[2] or ''} <{name}>`" if name else match[0]

    return CODE_NAME.sub(linked, text)


def box_mistakes(text: str) -> str:
    """Quotations that begin with "Common mistake" as boxes."""

    def boxed(match: re.Match) -> str:
        body = re.sub(r"^> ?", "", match[0], flags=re.MULTILINE)
        title = MISTAKE.match(body)
        if not title:
            return match[0]
        rest = body[title.end() :].strip()
        return f":::{{admonition}} {title[1]}\n:class: warning\n\n{rest}\n:::\n"

    return QUOTE.sub(boxed, text)


def page_prose(text: str, page: str, names: dict[str, str] | None = None) -> str:
    """The Markdown of a notebook's cell or of a file, as the site shows it; code stays as it is."""
    pieces = FENCED.split(text)
    for place in range(0, len(pieces), 2):
        prose = mend_links(pieces[place], page)
        pieces[place] = box_mistakes(link_names(prose, names or {}))
    return "".join(pieces)


# ---- from notebook to page -----------------------------------------------------------------------


def alternative_text(source: str, directives: dict[str, str], heading: str) -> str:
    """What is read aloud for a figure: what its cell says it is, else where it is and its title."""
    given = directives.get("fig-alt") or directives.get("fig-cap")
    if given:
        return given.strip("\"'")
    title = r"(?:set_title\(|suptitle\(|\.set\((?:[^()]*, *)?title=|^title = )\s*f?([\"'])(.*?)\1"
    titles = [re.sub(r"\{.*?\}", "…", text) for _, text in re.findall(title, source, re.MULTILINE)]
    return f"Figure to “{heading}”" + ": " * bool(titles) + "; ".join(titles)


def page_code(cell, heading: str):
    """A cell of code as MyST-NB understands it: nbdev's and Quarto's directives are its tags."""
    directives = directives_of(cell.source)
    cell.source = without_directives(cell.source)
    wanted = {
        "remove-input": directives.get("echo") == "false",
        "remove-output": directives.get("output") == "false",
        "hide-input": directives.get("code-fold") == "true",
        "remove-cell": "hide" in directives or directives.get("include") == "false",
    }
    cell.metadata.tags = [tag for tag, is_wanted in wanted.items() if is_wanted]
    for output in cell.outputs:
        # A widget lives in a kernel; what is left of it here is its name.
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    if any("image/png" in output.get("data", {}) for output in cell.outputs):
        alt = alternative_text(cell.source, directives, heading)
        cell.metadata.mystnb = {"image": {"alt": alt}}
    return cell


def page_exported(cell, module: str, names: dict[str, str]) -> Iterator:
    """An exported cell: what it is for, as the reference has it, and its code, folded if long."""
    from nbformat import v4

    source = without_directives(cell.source)
    nodes = [node for node in ast.parse(source).body if hasattr(node, "name")]
    notes = []
    for node in nodes:
        if names.get(node.name) == f"movrec.{module}.{node.name}":
            about = (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
            notes += [f"(lesson-{node.name})=", "::::{container} exported-name"]
            notes += [f"{{py:obj}}`{node.name} <{names[node.name]}>`: {about}", "::::", ""]
    if notes:
        yield v4.new_markdown_cell("\n".join(notes))
    is_long = len(source.splitlines()) > LONGEST_SHOWN
    is_import = not nodes and source.startswith(("import ", "from "))
    tags = ["exported", "hide-input"] if is_long or is_import else ["exported"]
    yield v4.new_code_cell(source, metadata={"tags": tags}, outputs=cell.outputs)


def page_of_notebook(path: Path, names: dict[str, str]):
    """A notebook as the site shows it."""
    page, notebook = name_of(path), read_notebook(path)
    module, heading, cells = module_of(notebook) or "", "", []
    for cell in notebook.cells:
        directives = directives_of(cell.source) if cell.cell_type == "code" else {}
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ +(.+)$", FENCED.sub("", cell.source), flags=re.MULTILINE)
            heading = re.sub(r"[`*_]", "", headings[-1]) if headings else heading
            cell.source = page_prose(cell.source, page, names)
            cells.append(cell)
        elif EXPORTS & directives.keys() and "hide" not in directives:
            cells += page_exported(cell, module, names)
        elif cell.cell_type == "code" and "default_exp" not in directives:
            cells.append(page_code(cell, heading))
    notebook.cells = cells
    notebook.metadata.pop("widgets", None)
    return notebook


# ---- pages that are generated --------------------------------------------------------------------


def title_lines(title: str) -> list[str]:
    """The title of a page in reStructuredText."""
    return [title, "=" * len(title), ""]


def reference_of(module: str, path: Path) -> str:
    """The reference of a module: all its public names, in the order of its notebook."""
    settings = read_settings()
    file = f"movrec/{module.replace('.', '/')}.py"
    source = f"{settings['git_url']}/blob/{settings['branch']}/{file}"
    loaded = importlib.import_module(f"movrec.{module}")
    listed = [name for name in loaded.__all__ if is_code(getattr(loaded, name))]
    lines = [f".. py:currentmodule:: movrec.{module}", "", *title_lines(f"movrec.{module}")]
    lines += [f"Notebook: :doc:`/{name_of(path).removesuffix('.ipynb')}`. "]
    lines[-1] += f"Source: `{file} <{source}>`__ on GitHub."
    lines += ["", ".. autosummary::", "   :nosignatures:", "", *(f"   {name}" for name in listed)]
    lines += ["", f".. automodule:: movrec.{module}", "   :members:", "   :show-inheritance:"]
    for name in loaded.__all__:
        if name not in listed:
            value = repr(getattr(loaded, name))
            lines += ["", f".. py:data:: {name}", f"   :module: movrec.{module}"]
            lines += [f"   :value: {value}"] * (" at 0x" not in value)
    return "\n".join([*lines, ""])


def reference_index() -> str:
    """The first page of the reference: the modules, and the names that the package itself has."""
    import movrec

    lines = title_lines("Reference")
    lines += ["Each module comes out of one notebook. Data flows one way, down these lists.", ""]
    for caption, is_working in (
        ("Modules of the lessons", False),
        ("Modules of the workings", True),
    ):
        names = [name for name in modules() if name.startswith("workings.") == is_working]
        lines += [".. toctree::", "   :maxdepth: 1", f"   :caption: {caption}", ""]
        lines += [*(f"   {name}" for name in names), ""]
    lines += ["The main names can be imported from ``movrec`` itself. That is cheap: each is"]
    lines += ["loaded when it is first used.", "", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   movrec.{module}.{name}" for name, module in movrec._MODULE_OF.items()]
    return "\n".join(lines) + "\n"


def command_reference() -> str:
    """What the program says of itself, by typer's `utils docs`, from its second heading on."""
    import typer
    from typer.cli import get_docs_for_click

    from movrec.cli import app

    program = typer.main.get_command(app)
    context = program.context_class(program, info_name="movrec", **program.context_settings)
    text = get_docs_for_click(obj=program, ctx=context, name="movrec")
    return re.sub(r"^#(#*) `(.*)`$", r"#\1 \2", text, flags=re.MULTILINE).partition("\n")[2]


def contents() -> str:
    """What hangs below the front page: the order of the site."""
    lessons = [(path, title_of(read_notebook(path))) for path in lesson_paths()]
    parts = {
        "Lessons": [f"{path.name[:2]} {title} </nbs/{path.stem}>" for path, title in lessons],
        "Use movrec": [
            "/docs/own_catalogue",
            "/docs/command_line",
            "/docs/versions",
            "/docs/many_machines",
            "/docs/promises",
            "/api/index",
        ],
        "Read on": ["/docs/how_good", "/docs/glossary", "/workshop/README"],
        "The project": [
            "/CONTRIBUTING",
            "/SECURITY",
            "/docs/developing",
            "/movrec/data/README",
            "/CHANGELOG",
        ],
    }
    parts["Lessons"].append("/docs/workings")
    blocks = [
        "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *names, "```"])
        for caption, names in parts.items()
    ]
    return "\n\n".join(blocks)


# ---- the site ------------------------------------------------------------------------------------


def write_pages() -> None:
    """Write all pages into the folder that Sphinx reads."""
    import nbformat
    from nbformat import v4

    shutil.rmtree(PROCESSED, ignore_errors=True)
    shutil.copytree(ROOT / "images", PAGES / "images")
    texts = {
        name: page_prose((ROOT / name).read_text(encoding="utf-8"), name)
        for name in page_names()
        if name.endswith(".md")
    }
    for written, shown in HANDOUTS.items():
        texts["workshop/README.md"] = texts["workshop/README.md"].replace(written, shown, 1)
    texts |= {f"api/{name}.rst": reference_of(name, path) for name, path in modules().items()}
    texts["api/index.rst"] = reference_index()
    texts["docs/command_line.md"] += command_reference()
    for name, text in texts.items():
        (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / name).write_text(text, encoding="utf-8")
    names = public_names()
    for path in reversed(notebook_paths()):  # the front page comes last: it lists the others
        notebook = page_of_notebook(path, names)
        if path.name == "index.ipynb":
            notebook.cells.append(v4.new_markdown_cell(contents()))
        (PAGES / name_of(path)).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, PAGES / name_of(path))


def run_sphinx(out: Path) -> None:
    """Let Sphinx make HTML of the pages; a warning is as bad as an error."""
    html = PROCESSED / "html"  # MyST-NB leaves a folder of its own beside it
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--quiet", "--fresh-env"]
    command += ["--fail-on-warning", "--keep-going", "--doctree-dir", str(PROCESSED / "doctrees")]
    command += ["--conf-dir", str(ROOT / "docs"), str(PAGES), str(html)]
    if subprocess.run(command, cwd=ROOT).returncode:
        raise SystemExit("The site has not been built: mend what Sphinx says above, and try again.")
    shutil.rmtree(out, ignore_errors=True)  # an earlier site goes, its old pages with it
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(html, out)


def write_handouts(out: Path) -> None:
    """Put what a workshop hands out beside the pages: the cheat sheet and the slides."""
    folder = out / "handouts"
    folder.mkdir()
    shutil.copy(ROOT / "workshop" / "cheatsheet.html", folder)
    command = [sys.executable, str(ROOT / "tools" / "slides.py"), str(folder / "slides")]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    if made.returncode:
        raise SystemExit(f"The slides have not been made: {made.stderr.strip()}")


def check_place(out: Path) -> None:
    """End where the site would be put into a folder that holds something else."""
    is_site = (out / "searchindex.js").exists()
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not is_site):
        raise SystemExit(f"{out} holds something else: name a new folder, or an empty one.")


def main() -> None:
    """Build the site, and say where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "_docs", help="where to (default _docs)")
    out = parser.parse_args().out.resolve()
    sys.path.insert(0, str(ROOT))  # this movrec, and not one that is installed
    check_place(out)
    write_pages()
    run_sphinx(out)
    write_handouts(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"The site is in {out} ({size / 1e6:.0f} MB). Open {out / 'index.html'} in a browser.")


if __name__ == "__main__":
    main()

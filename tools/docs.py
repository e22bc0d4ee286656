"""Build the docs site: the lessons, the reference of the package and of the command, docs/*.md.

    python tools/docs.py                 into _docs/
    python tools/docs.py --out FOLDER    into another folder

Three steps. nbdev finishes the notebooks into _proc/, so that its directives and `show_doc` count.
They become pages in _proc/site/, beside those that are generated and those that are written by
hand; that folder is laid out as the repository is, so that links between its files lead on. Sphinx
makes HTML of it. No notebook is executed: the outputs are those that are stored in it.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import operator
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from project import (
    COLAB_LINK,
    ROOT,
    directives_of,
    lesson_paths,
    name_of,
    notebook_paths,
    read_notebook,
    read_settings,
    run_nbdev,
    title_of,
)

PROCESSED = ROOT / "_proc"
PAGES = PROCESSED / "site"

# Exported code of more lines is folded: a lesson is read, a class of 300 lines is looked up.
LONGEST_SHOWN = 40

# Pages that are written elsewhere in the repository.
OTHER_PAGES = ["movrec/data/README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
WORKSHOP_PAGES = ["workshop/README.md"]


# ---- nbdev ---------------------------------------------------------------------------------------

# index.ipynb lies outside the notebooks' folder, so that nbdev has to be pointed at it.
FINISH = """
from pathlib import Path
from nbdev.processors import FilterDefaults
from nbdev.serve import proc_nbs
from nbdev.serve_drv import exec_nb

proc_nbs(n_workers=0, force=True)
exec_nb(Path("index.ipynb"), Path("_proc/index.ipynb"), FilterDefaults)
"""


def finish_notebooks() -> None:
    """Let nbdev finish the notebooks: what is hidden goes, and what is exported is documented."""
    run_nbdev(ROOT, FINISH)


# ---- Markdown ------------------------------------------------------------------------------------

FENCED = re.compile(r"^(```+|~~~+).*?^\1[ \t]*$", flags=re.MULTILINE | re.DOTALL)
BADGE = re.compile(r"\[!\[[^\]]*\]\([^)]*colab-badge\.svg\)\]\((" + COLAB_LINK.pattern + r")\)")
NBDEV_LINK = re.compile(r"\[`([^`\n]+)`\]\(https://[^)\s]*?([^)\s/]+\.html#[^)\s]+)\)")
RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]*)(#[^)\s]*)?\)")
QUOTE = re.compile(r"(?:^>.*(?:\n|\Z))+", flags=re.MULTILINE)
MISTAKE = re.compile(r"\*\*(Common mistakes?[^*]*?)\.?\*\*\s*")


def page_names() -> list[str]:
    """The files of the repository that are pages of the site."""
    names = [name_of(path) for path in notebook_paths()]
    names += [name_of(path) for path in sorted((ROOT / "docs").glob("*.md"))]
    return names + [name for name in OTHER_PAGES + WORKSHOP_PAGES if (ROOT / name).exists()]


def address_on_github(name: str) -> str:
    """Where GitHub shows a file or a folder of the repository."""
    settings = read_settings()
    kind = "tree" if (ROOT / name).is_dir() else "blob"
    return f"{settings['git_url']}/{kind}/{settings['branch']}/{name}"


def change_prose(text: str, change: Callable[[str], str]) -> str:
    """`text` with its prose changed, and its blocks of code left as they are."""
    pieces, end = [], 0
    for match in FENCED.finditer(text):
        pieces += [change(text[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*pieces, change(text[end:])])


def mend_links(text: str, page: str) -> str:
    """The prose of a page with links that lead on: to other pages, or else to GitHub."""
    known = {*page_names(), *(name_of(path) for path in ROOT.glob("images/*"))}

    def mended(match: re.Match) -> str:
        target, anchor = match[1], match[2] or ""
        if target:
            name = os.path.normpath(Path(page).parent / target).replace(os.sep, "/")
            if name not in known:
                return f"]({address_on_github(name)}{anchor})"
        # Jupyter's anchors are the headings with dashes; here they are in lower case, too.
        anchor = re.sub(r"[^\w#-]", "", anchor).lower()
        return f"]({target}{anchor})"

    return RELATIVE_LINK.sub(mended, text)


def link_names(text: str, original: str) -> str:
    """The links that nbdev has put into a cell, to names of the package, as references of Sphinx.

    nbdev also knows the names of other packages that were made with it. What a lesson calls by such
    a name is never meant, so these links go; those that were there before, in the original, stay.
    """
    from movrec._modidx import d as index

    symbols = {
        place: name for found in index["syms"].values() for name, (place, _) in found.items()
    }

    def linked(match: re.Match) -> str:
        if match[0] in original:
            return match[0]
        name = symbols.get(match[2])
        return f"{{py:obj}}`{match[1]} <{name}>`" if name else f"`{match[1]}`"

    return NBDEV_LINK.sub(linked, text)


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


def page_prose(text: str, page: str) -> str:
    """The Markdown of a notebook's cell or of a file, as the site shows it."""

    def change(prose: str) -> str:
        # The badge is a picture of another host's.
        prose = BADGE.sub(r"[Colab](\1)", prose)
        return box_mistakes(mend_links(prose, page))

    return change_prose(text, change)


# ---- from notebook to page -----------------------------------------------------------------------


def opening_buttons(colab: str, page: str) -> str:
    """What stands below a lesson's title: to run it, where its badge leads to, and to have it."""
    up = "../" * page.count("/")
    return (
        '<p class="open-lesson">'
        f'<a href="{colab}">Open in Colab</a> '
        f'<a href="{up}_sources/{page}" download>Download the notebook</a></p>'
    )


def last_heading(text: str) -> str | None:
    """The last heading in some Markdown, without its markup."""
    headings = re.findall(r"^#+ +(.+)$", FENCED.sub("", text), flags=re.MULTILINE)
    return re.sub(r"[`*_]", "", headings[-1]) if headings else None


def titles_of_figures(source: str) -> list[str]:
    """The titles that a cell gives to its figures, as far as they are known before it runs."""
    found = []
    for node in ast.walk(ast.parse(re.sub("^[!%].*", "", source, flags=re.MULTILINE))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", "")
            found += node.args[:1] if name in ("set_title", "suptitle") else []
            found += [part.value for part in node.keywords if (name, part.arg) == ("set", "title")]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "title":
            found.append(node.value)
    return [text for text in map(plain_text, found) if text]


def plain_text(node: ast.AST) -> str:
    """The text that a piece of code is, "…" for what is computed in it; nothing if it is none."""
    if isinstance(node, ast.JoinedStr):
        return "".join(plain_text(part) or "…" for part in node.values)
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ""


def alternative_text(source: str, directives: dict[str, str], heading: str) -> str:
    """What is read aloud for a figure: what its cell says it is, else where it is and its title."""
    given = directives.get("fig-alt") or directives.get("fig-cap")
    if given:
        return given.strip("\"'")
    titles = titles_of_figures(source)
    return f"Figure to “{heading}”" + ": " * bool(titles) + "; ".join(titles)


def without_directives(source: str) -> str:
    """The code of a cell without nbdev's and Quarto's directives."""
    lines = source.splitlines()
    return "\n".join(line for line in lines if not re.match(r"#\s*\|", line)).strip()


def page_code(cell, heading: str):
    """A cell of code as MyST-NB understands it: nbdev's and Quarto's directives are its tags."""
    directives = directives_of(cell.source)
    cell.source = without_directives(cell.source)
    wanted = {
        "remove-input": directives.get("echo") == "false",
        "remove-output": directives.get("output") == "false",
        "hide-input": directives.get("code-fold") == "true",
        "remove-cell": directives.get("include") == "false",
    }
    cell.metadata.tags = [tag for tag, is_wanted in wanted.items() if is_wanted]
    for output in cell.outputs:
        # A widget lives in a kernel; what is left of it here is its name.
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    if any("image/png" in output.get("data", {}) for output in cell.outputs):
        alt = alternative_text(cell.source, directives, heading)
        cell.metadata.mystnb = {"image": {"alt": alt}}
    return cell


def documented_name(cell) -> str | None:
    """The name that a cell of nbdev's documents."""
    match = re.search(r"^show_doc\(([\w.]+)", cell.source, flags=re.MULTILINE)
    return match[1] if cell.cell_type == "code" and match else None


def documentation(name: str, module: str, node: ast.AST | None = None, source: str = "") -> str:
    """What the site says where nbdev documents a name: what it is for, and where to read on.

    Where the code stands folded below, its head is shown, too.
    """
    value = operator.attrgetter(name)(importlib.import_module(f"movrec.{module}"))
    summary = inspect.getdoc(value).partition("\n\n")[0].replace("\n", " ")
    lines = [
        f"(lesson-{name})=",
        "::::{container} exported-name",
        f"{{py:obj}}`{name} <movrec.{module}.{name}>`: {summary}",
    ]
    if node:
        lines += ["", "```python", head_of(node, source), "```"]
    return "\n".join([*lines, "::::"])


def head_of(node: ast.AST, source: str) -> str:
    """How a function is called; how a class is made."""
    lines = source.splitlines()
    head = lines[node.lineno - 1 : node.body[0].lineno - 1]
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            if getattr(child, "name", "") == "__init__":
                head += ["    ...", "", *lines[child.lineno - 1 : child.body[0].lineno - 1]]
    return "\n".join(head)


def page_exported(cell, module: str, documented: set[str]) -> Iterator:
    """An exported cell: what it brings, and its code, folded where it is long.

    nbdev leaves the code out, for it writes a reference. A lesson explains the code.
    """
    from nbformat import v4

    source = without_directives(cell.source)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.parse(source).body if isinstance(node, kinds)]
    length = len(source.splitlines())
    is_import = not nodes and source.startswith(("import ", "from "))
    is_folded = length > LONGEST_SHOWN or is_import
    public = [node for node in nodes if node.name in documented]
    has_head = is_folded and len(public) == 1
    notes = [
        documentation(node.name, module, node if has_head else None, source) for node in public
    ]
    if notes:
        yield v4.new_markdown_cell("\n\n".join(notes))
    new = v4.new_code_cell(source, metadata={"tags": ["exported"]})
    if is_folded:
        names = [node.name for node in nodes[:3]] + ["…"] * (len(nodes) > 3)
        what = "imports" if is_import else ", ".join(names) or "constants"
        new.metadata.tags.append("hide-input")
        new.metadata.mystnb = {
            "code_prompt_show": f"Show the code of movrec.{module}: {what} ({length} lines)",
            "code_prompt_hide": f"Hide the code of movrec.{module}: {what}",
        }
    yield new


def page_of_notebook(path: Path):
    """A notebook as the site shows it: what nbdev made of it, and the code that it exports."""
    from nbformat import v4

    page = name_of(path)
    source, finished = read_notebook(path), read_notebook(PROCESSED / path.name)
    by_id = {cell.id: cell for cell in finished.cells}
    documented = {documented_name(cell) for cell in finished.cells} - {None}
    module, heading, cells = "", "", []
    for cell in source.cells:
        directives = directives_of(cell.source)
        module = directives.get("default_exp", module)
        if cell.cell_type == "markdown" and (cell.id in by_id or not cells):
            # The first cell has become front matter for Quarto; the site needs it as it was.
            original, cell = cell.source, by_id.get(cell.id, cell)
            cell.source = link_names(cell.source, original)
            heading = last_heading(cell.source) or heading
            if not cells and page != "index.ipynb":
                cell.source = BADGE.sub(lambda it: opening_buttons(it[1], page), cell.source)
            cell.source = page_prose(cell.source, page)
            cells.append(cell)
        elif documented_name(cell):
            cells.append(v4.new_markdown_cell(documentation(documented_name(cell), module)))
        elif cell.id in by_id:
            cells.append(page_code(by_id[cell.id], heading))
        elif {"export", "exports", "exporti"} & directives.keys() and "hide" not in directives:
            cells += page_exported(cell, module, documented)
    source.cells = cells
    source.metadata.pop("widgets", None)
    return source


# ---- pages that are generated --------------------------------------------------------------------


def modules() -> dict[str, Path]:
    """The modules of the package, each with its notebook, in their order."""
    found = {}
    for path in lesson_paths():
        for cell in read_notebook(path).cells:
            name = directives_of(cell.source).get("default_exp")
            if name:
                found[name] = path
    return found


def title_lines(title: str) -> list[str]:
    """The title of a page in reStructuredText."""
    return [title, "=" * len(title), ""]


def entry_of(name: str, module: str, lesson: str) -> list[str]:
    """The reference of one public name, in reStructuredText."""
    value = getattr(importlib.import_module(f"movrec.{module}"), name)
    taught = ["", f"   In the lesson: :ref:`{lesson} <lesson-{name}>`"]
    if inspect.isclass(value):
        directive = "autoexception" if issubclass(value, Exception) else "autoclass"
        lines = ["", f".. {directive}:: movrec.{module}.{name}", "   :members:"]
        has_base = value.__bases__ != (object,)
        return [*lines, "   :show-inheritance:", *taught] if has_base else [*lines, *taught]
    if inspect.isroutine(value):
        return ["", f".. autofunction:: movrec.{module}.{name}", *taught]
    lines = ["", f".. py:data:: {name}"]
    if " at 0x" in repr(value):  # an object that has no better way to show itself
        library, kind = type(value).__module__.partition(".")[0], type(value).__name__
        return [*lines, "", f"   A ``{library}.{kind}``."]
    return [*lines, f"   :value: {value!r}", ""]


def reference_of(module: str, path: Path) -> str:
    """The reference of a module: all its public names, in the order of the lesson."""
    names = importlib.import_module(f"movrec.{module}").__all__
    lesson = f"/{name_of(path).removesuffix('.ipynb')}"
    source = address_on_github(f"movrec/{module}.py")
    title = title_of(read_notebook(path))
    entries = {name: entry_of(name, module, title) for name in names}
    lines = title_lines(f"movrec.{module}")
    lines += [f".. automodule:: movrec.{module}", ""]
    lines += [f"Lesson: :doc:`{lesson}`. Source: `movrec/{module}.py <{source}>`__ on GitHub.", ""]
    lines += [".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   {name}" for name, entry in entries.items() if ".. py:data::" not in entry[1]]
    for entry in entries.values():
        lines += entry
    lines.insert(0, f".. py:currentmodule:: movrec.{module}\n")
    return "\n".join(lines) + "\n"


def reference_index(names: list[str]) -> str:
    """The first page of the reference: the modules, and the names that the package itself has."""
    import movrec

    lines = title_lines("Reference")
    lines += ["Each module comes out of one lesson. Data flows one way, down this list:", ""]
    lines += [".. toctree::", "   :maxdepth: 1", ""]
    lines += [f"   {name}" for name in names]
    lines += ["", "The main names can be imported from ``movrec`` itself. That is cheap: each is"]
    lines += ["loaded when it is first used.", "", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   movrec.{module}.{name}" for name, module in movrec._MODULE_OF.items()]
    return "\n".join(lines) + "\n"


def table_cell(text: object) -> str:
    """A text that can stand in a table of Markdown."""
    return " ".join(str(text).split()).replace("|", "\\|")


def command_lines(command, context) -> list[str]:
    """What the help of a command says, as Markdown."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = ["", table_cell(command.help or ""), "", "```text", usage, "```", ""]
    lines += ["| argument or option | what it is |", "|---|---|"]
    for parameter in command.get_params(context):
        name, about = parameter.get_help_record(context)
        if parameter.param_type_name == "argument":
            name = parameter.metavar
        about = re.sub(r"(?<!\S)--[\w-]+", r"`\g<0>`", table_cell(about))
        lines.append(f"| `{table_cell(name)}` | {about} |")
    if command.epilog:
        what, found, example = command.epilog.partition("Example: ")
        lines += ["", f"Example: `{example}`" if found else what]
    return lines


def command_reference() -> str:
    """The reference of the command line, out of the program itself."""
    import typer

    from movrec.cli import app

    program = typer.main.get_command(app)
    context = program.context_class(program, info_name="movrec", **program.context_settings)
    lines = ["# The command line", ""]
    lines += ["The command `movrec` is installed with the package. It is explained in"]
    lines += ["[the lesson](../nbs/09_cli.ipynb); this page is what `movrec --help` and"]
    lines += ["`movrec COMMAND --help` say. Answers go to stdout, notices and errors to stderr;"]
    lines += ["{py:obj}`movrec.cli.main` lists the exit codes."]
    lines += command_lines(program, context)
    for name, command in program.commands.items():
        below = program.context_class(command, info_name=name, parent=context)
        lines += ["", f"## movrec {name}", *command_lines(command, below)]
    return "\n".join(lines) + "\n"


def contents() -> str:
    """What hangs below the front page: the order of the site."""
    parts = {
        "Lessons": [name_of(path) for path in lesson_paths()],
        "Use movrec": ["docs/own_catalogue.md", "docs/command_line.md", "api/index.rst"],
        "Read on": ["docs/how_good.md", "docs/glossary.md", *WORKSHOP_PAGES],
        "The project": OTHER_PAGES,
    }
    blocks = []
    for caption, names in parts.items():
        there = [name for name in names if (PAGES / name).exists()]
        pages = [entry_in_contents(name) for name in there]
        block = ["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]
        blocks.append("\n".join(block))
    return "\n\n".join(blocks)


def entry_in_contents(name: str) -> str:
    """A page of the site as a table of contents has it; a lesson with its number."""
    page = name.rpartition(".")[0]
    if name.startswith("nbs/"):
        return f"{Path(name).name[:2]} {title_of(read_notebook(ROOT / name))} <{page}>"
    return page


# ---- the site ------------------------------------------------------------------------------------


def write_pages() -> None:
    """Write all pages into the folder that Sphinx reads."""
    import nbformat

    shutil.copytree(ROOT / "images", PAGES / "images")
    lessons = {name_of(path): path for path in notebook_paths()}
    texts = {}
    for name in page_names():
        if name not in lessons:
            texts[name] = page_prose((ROOT / name).read_text(encoding="utf-8"), name)
    for module, path in modules().items():
        texts[f"api/{module}.rst"] = reference_of(module, path)
    texts["api/index.rst"] = reference_index(list(modules()))
    texts["docs/command_line.md"] = command_reference()
    for name, text in texts.items():
        (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / name).write_text(text, encoding="utf-8")
    (PAGES / "nbs").mkdir()
    notebooks = {name: page_of_notebook(path) for name, path in lessons.items()}
    for name in notebooks:
        (PAGES / name).touch()  # so that the front page knows of them
    notebooks["index.ipynb"].cells.append(nbformat.v4.new_markdown_cell(contents()))
    for name, notebook in notebooks.items():
        nbformat.write(notebook, PAGES / name)


def run_sphinx() -> Path:
    """Let Sphinx make HTML of the pages; a warning is as bad as an error."""
    html = PROCESSED / "html"  # MyST-NB leaves a folder of its own beside it
    command = [sys.executable, "-m", "sphinx", "--builder", "html", "--quiet", "--fresh-env"]
    command += ["--fail-on-warning", "--keep-going", "--doctree-dir", str(PROCESSED / "doctrees")]
    command += ["--conf-dir", str(ROOT / "docs"), str(PAGES), str(html)]
    if subprocess.run(command, cwd=ROOT).returncode:
        raise SystemExit("The site has not been built: mend what Sphinx says above, and try again.")
    return html


def check_place(out: Path) -> None:
    """End where the site would be put into a folder that holds something else."""
    is_site = (out / "searchindex.js").exists()
    if out.is_file() or (out.is_dir() and any(out.iterdir()) and not is_site):
        raise SystemExit(f"{out} holds something else: name a new folder, or an empty one.")


def put_in_place(html: Path, out: Path) -> None:
    """Move the site to where it is wanted; an earlier one goes, its old pages with it."""
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(html, out)


def main() -> None:
    """Build the site, and say where it is."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "_docs", help="where to (default _docs)")
    out = parser.parse_args().out.resolve()
    sys.path.insert(0, str(ROOT))  # this movrec, and not one that is installed
    check_place(out)
    steps = {
        "nbdev finishes the notebooks": finish_notebooks,
        "making the pages": write_pages,
        "Sphinx writes the site": lambda: put_in_place(run_sphinx(), out),
    }
    for words, step in steps.items():
        print(f"  {words:32}", end="", flush=True)
        start = time.perf_counter()
        step()
        print(f"{time.perf_counter() - start:6.1f} s", flush=True)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"The site is in {out} ({size / 1e6:.0f} MB). Open {out / 'index.html'} in a browser.")


if __name__ == "__main__":
    main()

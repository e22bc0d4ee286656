"""Keep what is generated in step with what it is generated from.

    python tools/project.py links       the repository's address everywhere, from settings.ini
    python tools/project.py export      movrec/*.py, from the notebooks
    python tools/project.py clean       notebooks without the traces of a session
    python tools/project.py readme      README.md and its pictures, from index.ipynb
    python tools/project.py exercises   the workshop's exercise notebooks, from the lessons
    python tools/project.py notebooks   execute the notebooks, each in a process of its own,
                                        with the answers to their exercises
    python tools/project.py check       all of the above that can be checked, nothing is written

With `--check` a command writes nothing, and says what it would have to change; `notebooks --check`
looks at the outputs that are stored in the notebooks. The exit code is 0 if all is well, else 1.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from exercises import exercise_notebook, with_answers  # noqa: E402

# ---- what the commands share ---------------------------------------------------------------------


def read_settings() -> dict[str, str]:
    """The settings of the project: settings.ini, its references to other settings resolved."""
    parser = ConfigParser(delimiters=["="])
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return dict(parser["DEFAULT"])


def lesson_paths(root: Path | None = None) -> list[Path]:
    """The numbered notebooks in order."""
    return sorted(((root or ROOT) / "nbs").glob("[!_.]*.ipynb"))


def notebook_paths(root: Path | None = None) -> list[Path]:
    """index.ipynb, where there is one, and the numbered notebooks in order."""
    index = (root or ROOT) / "index.ipynb"
    return [index] * index.exists() + lesson_paths(root)


def read_notebook(path: Path):
    """The notebook in `path`."""
    from nbformat import v4

    try:
        return v4.reads(path.read_text(encoding="utf-8"))
    except (ValueError, AttributeError, KeyError) as error:
        raise SystemExit(f"{name_of(path)} cannot be read as a notebook: {error!r}") from None


def title_of(notebook) -> str:
    """A notebook's title: the heading in its first cell."""
    return re.search(r"^# +(.+)$", notebook.cells[0].source, flags=re.MULTILINE)[1]


def name_of(path: Path, root: Path | None = None) -> str:
    """A file's name as messages show it: from the repository's top, with forward slashes."""
    return path.relative_to(root or ROOT).as_posix()


def run_nbdev(root: Path, code: str, *arguments: str) -> None:
    """Run some lines that call nbdev in `root`, in a process of its own.

    nbdev finds its settings by the current folder and remembers them, so that one process cannot
    work on the repository and on a copy of it.
    """
    environment = {key: value for key, value in os.environ.items() if key != "IN_TEST"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    # nbdev only warns of a notebook that it cannot read, and goes on.
    if done.returncode or "Failed to clean notebook" in done.stdout:
        raise SystemExit(f"nbdev failed:\n{done.stdout}")


@contextlib.contextmanager
def temporary_copy() -> Iterator[Path]:
    """A copy of all that nbdev reads or writes."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / ROOT.name
        (copy / "nbs").mkdir(parents=True)
        shutil.copy(ROOT / "settings.ini", copy)
        for path in notebook_paths():
            shutil.copy(path, copy / path.relative_to(ROOT))
        (copy / "movrec").mkdir()
        for path in (ROOT / "movrec").glob("*.py"):
            shutil.copy(path, copy / "movrec")
        yield copy


def differences(copy: Path, names: set[str]) -> Iterator[tuple[str, bool, bool]]:
    """The files that differ between the repository and a copy: name, here?, in the copy?"""
    for name in sorted(names):
        here, there = ROOT / name, copy / name
        if not (here.exists() and there.exists()) or here.read_bytes() != there.read_bytes():
            yield name, here.exists(), there.exists()


def unlike(source: str, files: dict[str, bytes]) -> list[str]:
    """The files that are not there or not as `source` makes them, line ends aside."""
    problems = []
    for name, content in files.items():
        if not (ROOT / name).exists():
            problems.append(f"{name} has not been written")
        elif (ROOT / name).read_bytes().replace(b"\r\n", b"\n") != content.replace(b"\r\n", b"\n"):
            problems.append(f"{name} differs from what {source} makes")
    return problems


# ---- links ---------------------------------------------------------------------------------------

# A link that opens a notebook in Colab: owner, repository, branch, path.
COLAB_LINK = re.compile(
    r"https://colab\.research\.google\.com/github/"
    r"([\w.-]+)/([\w.-]+)/blob/([^\s()\"'\\]+?)/((?:nbs/)?[\w.-]+\.ipynb)"
)


@dataclass(frozen=True)
class Address:
    """Where the repository lies on GitHub."""

    user: str
    repo: str
    branch: str

    def move(self, text: str, new: Address) -> str:
        """`text` with the links to this address turned into links to `new`."""
        old_place, new_place = f"{self.user}/{self.repo}", f"{new.user}/{new.repo}"
        host = r"(github\.com/|githubusercontent\.com/|google\.com/github/)"
        # First the links that name the branch, then all others.
        text = re.sub(
            host
            + re.escape(old_place)
            + r"/((?:blob/|tree/|raw/)?)"
            + re.escape(self.branch)
            + "/",
            rf"\g<1>{new_place}/\g<2>{new.branch}/",
            text,
        )
        text = re.sub(host + re.escape(old_place) + r"(?![\w-])", rf"\g<1>{new_place}", text)
        return text.replace(
            f"https://{self.user}.github.io/{self.repo}", f"https://{new.user}.github.io/{new.repo}"
        )


def linking_files() -> list[Path]:
    """The files that are written by hand and may name the repository's address."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("movrec/data/*.md"), *ROOT.glob("docs/*.md")]
    generated = {ROOT / "README.md"}
    return notebook_paths() + sorted(set(texts) - generated)


def links_moved() -> dict[Path, str]:
    """The new text of each file in which a link leads to an old address of the repository.

    The Colab badges tell which addresses are old ones: a badge always opens a notebook of ours.
    """
    settings = read_settings()
    current = Address(settings["user"], settings["repo"], settings["branch"])
    texts = {path: path.read_text(encoding="utf-8") for path in linking_files()}
    linked = {
        Address(*match.groups()[:3])
        for text in texts.values()
        for match in COLAB_LINK.finditer(text)
    }
    moved = {}
    for path, text in texts.items():
        new_text = text
        for old in linked - {current}:
            new_text = old.move(new_text, current)
        if new_text != text:
            moved[path] = new_text
    return moved


def write_links() -> None:
    """Rewrite the links to the repository's address from settings.ini."""
    for path, text in links_moved().items():
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"links: {name_of(path)} rewritten")


def check_links() -> list[str]:
    """What is wrong with the links: an old address, a badge for another notebook, no such file."""
    settings = read_settings()
    problems = [
        f"{name_of(path)} links to another address than the one in settings.ini"
        for path in links_moved()
    ]
    for path in notebook_paths():
        for *_, target in COLAB_LINK.findall(first_cell(path)):
            if target != name_of(path):
                problems.append(f"the Colab badge of {name_of(path)} opens {target}")
    own = re.escape(settings["git_url"]) + r"/(?:blob|tree|raw)/" + re.escape(settings["branch"])
    for path in linking_files():
        text = markdown_of(path)
        targets = [ROOT / target for target in re.findall(own + r"/([^\s()\"'#?]+)", text)]
        targets += [ROOT / match[3] for match in COLAB_LINK.findall(text)]
        # Relative links: no scheme ("https:"), no place in the same page ("#").
        relative = re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", text)
        targets += [path.parent / target for target in relative]
        for target in sorted({os.path.relpath(target, ROOT) for target in targets}):
            if not (ROOT / target).exists():
                problems.append(f"{name_of(path)} links to {target}, which does not exist")
    return problems


def first_cell(path: Path) -> str:
    """The source of a notebook's first cell."""
    cells = read_notebook(path).cells
    return cells[0].source if cells else ""


def markdown_of(path: Path) -> str:
    """The prose of a notebook or a Markdown file, without its blocks of code."""
    if path.suffix == ".ipynb":
        cells = read_notebook(path).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"^(```+|~~~+).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", text)


# ---- export --------------------------------------------------------------------------------------

EXPORT = "from nbdev.doclinks import nbdev_export; nbdev_export()"
EXPORTED_MARK = "# AUTOGENERATED! DO NOT EDIT!"


def write_export() -> None:
    """Export the notebooks to movrec/*.py."""
    run_nbdev(ROOT, EXPORT)
    print(f"export: {len(notebook_paths())} notebooks")


def check_export() -> list[str]:
    """The modules that are not what their notebooks would be exported to."""
    with temporary_copy() as copy:
        for path in (copy / "movrec").glob("*.py"):
            if EXPORTED_MARK in path.read_text(encoding="utf-8"):
                path.unlink()
        run_nbdev(copy, EXPORT)
        names = {
            f"movrec/{path.name}"
            for folder in (ROOT, copy)
            for path in (folder / "movrec").glob("*.py")
        }
        problems = []
        for name, is_here, is_exported in differences(copy, names):
            if not is_exported:
                problems.append(f"{name} comes from no notebook any more: delete it")
            elif not is_here:
                problems.append(f"{name} has not been exported")
            else:
                problems.append(f"{name} differs from what its notebook exports")
        return problems


# ---- clean ---------------------------------------------------------------------------------------

CLEAN = (
    "import sys; from nbdev.clean import nbdev_clean; [nbdev_clean(fname=f) for f in sys.argv[1:]]"
)


def clean_notebooks(root: Path) -> None:
    """Let nbdev clean the notebooks of the repository or of a copy."""
    run_nbdev(root, CLEAN, *(name_of(path, root) for path in notebook_paths(root)))


def write_clean() -> None:
    """Clean the notebooks."""
    clean_notebooks(ROOT)
    print(f"clean: {len(notebook_paths())} notebooks")


def check_clean() -> list[str]:
    """The notebooks that are damaged or carry traces of a session: counters, memory addresses."""
    import nbformat

    problems = []
    for path in notebook_paths():
        try:
            nbformat.validate(read_notebook(path))
        except nbformat.ValidationError as error:
            problems.append(f"{name_of(path)} is not valid: {str(error).splitlines()[0]}")
    if problems:
        return problems
    with temporary_copy() as copy:
        clean_notebooks(copy)
        names = {name_of(path) for path in notebook_paths()}
        return [f"{name} is not clean" for name, *_ in differences(copy, names)]


# ---- readme --------------------------------------------------------------------------------------

README_MARK = '<!-- Generated from index.ipynb by "make prepare": change it there. -->\n\n'
PICTURES = "images/readme-*.png"


def directives_of(source: str) -> dict[str, str]:
    """The directives at the top of a cell: `#| echo: false` is {"echo": "false"}."""
    directives = {}
    for line in source.splitlines():
        match = re.match(r"#\s*\|\s*([\w-]+):?\s*(.*)", line)
        if match:
            directives[match[1]] = match[2].strip()
    return directives


def table_to_markdown(html: str) -> str:
    """A DataFrame's HTML as a Markdown table, which README.md can show everywhere."""
    from bs4 import BeautifulSoup

    rows = []
    for row in BeautifulSoup(html, "html.parser").find_all("tr"):
        cells = [cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])]
        rows.append([cell.replace("|", "\\|") for cell in cells])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


def output_to_markdown(output, picture_name: str, alt: str, pictures: dict[str, bytes]) -> str:
    """One output of a cell as Markdown; a picture is put into `pictures` under its name."""
    if output.output_type == "stream":
        data = {"text/plain": output.text} if output.name == "stdout" else {}
    else:
        data = output.get("data", {})
    if "image/png" in data:
        pictures[picture_name] = base64.b64decode(data["image/png"])
        return f"![{alt}]({picture_name})"
    if "text/markdown" in data:
        return data["text/markdown"]
    if "<table" in data.get("text/html", ""):
        return table_to_markdown(data["text/html"])
    if "text/plain" in data:
        return f"```text\n{data['text/plain'].rstrip()}\n```"
    return ""


def prepare_cell(cell, pictures: dict[str, bytes]):
    """A cell as README.md shows it, or None where it is hidden."""
    import nbformat

    if cell.cell_type == "raw":
        return None  # nbdev's front matter
    if cell.cell_type == "markdown":
        return cell
    directives = directives_of(cell.source)
    if {"hide", "default_exp"} & directives.keys() or directives.get("include") == "false":
        return None
    lines = [line for line in cell.source.splitlines() if not re.match(r"#\s*\|", line)]
    source = "\n".join(lines).strip()
    hides_code = {"export", "exporti"} & directives.keys() or directives.get("echo") == "false"
    new = nbformat.v4.new_code_cell("" if hides_code else source)
    if source and all(line.startswith("!") for line in source.splitlines()):
        new.source = re.sub("^!", "", new.source, flags=re.MULTILINE)
        new.metadata.magics_language = "sh"
    elif source.startswith(("%%bash", "%%sh")):
        new.source = new.source.partition("\n")[2]
        new.metadata.magics_language = "sh"
    if directives.get("output") != "false":
        for output in cell.outputs:
            label = directives.get("label", str(len(pictures) + 1)).removeprefix("fig-")
            alt = directives.get("fig-alt") or directives.get("fig-cap") or "A figure"
            name = PICTURES.replace("*", label)
            text = output_to_markdown(output, name, alt.strip("\"'"), pictures)
            if text:
                new.outputs.append(
                    nbformat.v4.new_output("display_data", data={"text/markdown": text})
                )
    if new.source:
        return new
    shown = "\n\n".join(output.data["text/markdown"] for output in new.outputs)
    return nbformat.v4.new_markdown_cell(shown) if shown else None


def squeeze_blank_lines(text: str) -> str:
    """At most one blank line in a row, except in blocks of code."""
    kept: list[str] = []
    in_code = False
    for line in text.strip().splitlines():
        is_blank = not line.strip()
        if line.startswith("```"):
            in_code = not in_code
        if in_code or not is_blank or kept[-1]:
            kept.append("" if is_blank else line)
    return "\n".join(kept) + "\n"


def render_readme() -> dict[str, bytes]:
    """README.md and its pictures, by name, as index.ipynb has them now.

    The links stay relative, so that they work in a clone, in a fork and offline; setup.py makes them
    absolute for the package index.
    """
    from nbconvert import MarkdownExporter

    notebook = read_notebook(ROOT / "index.ipynb")
    pictures: dict[str, bytes] = {}
    cells = [prepare_cell(cell, pictures) for cell in notebook.cells]
    notebook.cells = [cell for cell in cells if cell is not None]
    notebook.metadata.language_info = {"name": "python"}
    text, _ = MarkdownExporter().from_notebook_node(notebook)
    text = README_MARK + squeeze_blank_lines(text)
    return {"README.md": text.encode("utf-8"), **pictures}


def stale_pictures(files: dict[str, bytes]) -> list[Path]:
    """The pictures of an earlier README.md that it has no longer."""
    return [path for path in sorted(ROOT.glob(PICTURES)) if name_of(path) not in files]


def write_readme() -> None:
    """Write README.md and its pictures from index.ipynb."""
    files = render_readme()
    for path in stale_pictures(files):
        path.unlink()
    for name, content in files.items():
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_bytes(content)
    print(f"readme: README.md and {len(files) - 1} pictures")


def check_readme() -> list[str]:
    """What differs between README.md with its pictures and index.ipynb."""
    if not (ROOT / "index.ipynb").exists():
        return ["index.ipynb, which README.md is made from, is missing"]
    files = render_readme()
    problems = [f"{name_of(path)} is not in README.md any more" for path in stale_pictures(files)]
    return problems + unlike("index.ipynb", files)


# ---- exercises -----------------------------------------------------------------------------------

EXERCISES = "workshop/exercises"


def render_exercises() -> dict[str, bytes]:
    """The exercise notebooks, by name, as the lessons have them now."""
    import nbformat

    files = {}
    for path in lesson_paths():
        made = exercise_notebook(read_notebook(path), name_of(path), EXERCISES)
        text = nbformat.writes(made, version=nbformat.NO_CONVERT)
        files[f"{EXERCISES}/{path.name}"] = text.rstrip("\n").encode("utf-8") + b"\n"
    return files


def stale_exercises(files: dict[str, bytes]) -> list[Path]:
    """The exercise notebooks whose lesson has gone."""
    paths = sorted((ROOT / EXERCISES).glob("*.ipynb"))
    return [path for path in paths if name_of(path) not in files]


def write_exercises() -> None:
    """Write the exercise notebooks."""
    files = render_exercises()
    for path in stale_exercises(files):
        path.unlink()
    for name, content in files.items():
        (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / name).write_bytes(content)
    print(f"exercises: {len(files)} notebooks in {EXERCISES}/")


def check_exercises() -> list[str]:
    """What differs between the exercise notebooks and the lessons."""
    files = render_exercises()
    problems = [f"{name_of(path)} comes from no lesson any more" for path in stale_exercises(files)]
    return problems + unlike("its lesson", files)


# ---- notebooks -----------------------------------------------------------------------------------

TEST = "import sys; from nbdev.test import nbdev_test; nbdev_test(path=sys.argv[1], n_workers=0)"

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


def output_texts(output) -> Iterator[str]:
    """The texts of one output: what it printed, or its text in every format but pictures."""
    if output.output_type == "stream":
        yield output.text
    for format_name, content in output.get("data", {}).items():
        if isinstance(content, str) and not format_name.startswith("image/"):
            yield content


def output_problems(path: Path) -> list[str]:
    """What is wrong with the outputs that are stored in one notebook."""
    problems = []
    cells = [cell for cell in read_notebook(path).cells if cell.cell_type == "code"]
    if cells and not any(cell.outputs for cell in cells):
        return [f"{name_of(path)} has no output at all: execute it"]
    for number, cell in enumerate(cells, start=1):
        place = f"{name_of(path)}, code cell {number}"
        for output in cell.outputs:
            if output.output_type == "error":
                problems.append(f"{place}: an error, {output.ename}")
            elif output.get("name") == "stderr":
                problems.append(f"{place}: output on stderr")
            for text in output_texts(output):
                problems += [
                    f"{place}: {what} in the output"
                    for what, pattern in UNWANTED.items()
                    if pattern.search(text)
                ]
        prints = re.search(r"^print\(", cell.source, flags=re.MULTILINE)
        if prints and not cell.outputs and not {"hide", "eval"} & directives_of(cell.source).keys():
            problems.append(f"{place}: it prints, but no output is stored: execute the notebook")
    return problems


def check_notebooks() -> list[str]:
    """What is wrong with the outputs that are stored in the notebooks."""
    return [problem for path in notebook_paths() for problem in output_problems(path)]


def execute(path: Path, timeout: float) -> str | None:
    """Execute a notebook by `nbdev_test`, without storing its outputs; return what went wrong.

    What runs is a copy that has the answers to the exercises and their checks as cells. It lies in
    a folder that is empty but for it, as in Colab, so that a notebook cannot count on other files.
    """
    import nbformat

    answered = with_answers(read_notebook(path), name_of(path))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder).resolve() / path.name
        nbformat.write(answered, copy)
        return run_test(copy, timeout)


def run_test(path: Path, timeout: float) -> str | None:
    """Run `nbdev_test` on one notebook; return what went wrong.

    Each notebook gets a process of its own, and no process is forked: LanceDB's threads would not
    survive a fork. A notebook that takes too long is ended, with all that it started.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", TEST, str(path)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        end(process)
        output, _ = process.communicate()
        return f"not ready after {timeout:.0f} seconds\n{output}"
    except BaseException:
        end(process)
        raise
    return output if process.returncode else None


def end(process: subprocess.Popen) -> None:
    """End a process and, where the system knows process groups, all that it started."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def execute_notebooks(paths: list[Path], timeout: float) -> list[str]:
    """Execute notebooks one after the other, and say how long each of them took."""
    problems = []
    for path in paths:
        print(f"  {name_of(path):32}", end="", flush=True)
        start = time.perf_counter()
        error = execute(path, timeout)
        print(f"{time.perf_counter() - start:6.1f} s{'   FAILED' if error else ''}", flush=True)
        if error:
            print(error, file=sys.stderr, flush=True)
            problems.append(f"{name_of(path)} does not run")
    return problems


# ---- the command line ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """What a command does when it writes, and when it checks."""

    write: Callable[[], None] | None
    check: Callable[[], list[str]]


COMMANDS = {
    "links": Command(write_links, check_links),
    "export": Command(write_export, check_export),
    "clean": Command(write_clean, check_clean),
    "readme": Command(write_readme, check_readme),
    "exercises": Command(write_exercises, check_exercises),
    "notebooks": Command(None, check_notebooks),
}


def report(name: str, problems: list[str]) -> bool:
    """Print what a check found; return whether all is well."""
    print(f"  {name:10} {'FAILED' if problems else 'ok'}", flush=True)
    for problem in problems:
        print(f"    {problem}", file=sys.stderr, flush=True)
    return not problems


def main() -> int:
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=[*COMMANDS, "check"])
    parser.add_argument("--check", action="store_true", help="write nothing, say what is wrong")
    parser.add_argument(
        "--timeout", type=float, default=600, help="seconds that a notebook may take (default 600)"
    )
    parser.add_argument("notebook", nargs="*", type=Path, help="for `notebooks`: only these")
    arguments = parser.parse_intermixed_args()  # options may stand before the notebooks

    if arguments.command == "check":
        results = [report(name, command.check()) for name, command in COMMANDS.items()]
        if not all(results):
            print("`make prepare` mends what can be mended by itself.", file=sys.stderr)
        return 0 if all(results) else 1
    command = COMMANDS[arguments.command]
    if arguments.check:
        return 0 if report(arguments.command, command.check()) else 1
    if command.write is None:
        paths = [path.resolve() for path in arguments.notebook] or notebook_paths()
        return 1 if execute_notebooks(paths, arguments.timeout) else 0
    command.write()
    return 0


if __name__ == "__main__":
    sys.exit(main())

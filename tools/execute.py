"""Execute notebooks, and look at the outputs that are stored in them."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from exercises import with_answers
from repository import ROOT, directives_of, name_of, notebook_paths, read_notebook

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
                found = [what for what, pattern in UNWANTED.items() if pattern.search(text)]
                problems += [f"{place}: {what} in the output" for what in found]
        prints = re.search(r"^print\(", cell.source, flags=re.MULTILINE)
        if prints and not cell.outputs and not {"hide", "eval"} & directives_of(cell.source).keys():
            problems.append(f"{place}: it prints, but no output is stored: execute the notebook")
    return problems


def stored_output_problems() -> list[str]:
    """What is wrong with the outputs that are stored in the notebooks."""
    return [problem for path in notebook_paths() for problem in output_problems(path)]


async def execute(path: Path, timeout: float, store: bool) -> str | None:
    """Execute a notebook in a process of its own; return what went wrong.

    The answers to its exercises and their checks run as cells of it. It runs in an empty folder, as
    in Colab, so that a notebook cannot count on other files. With `store` its own outputs are kept.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    notebook = read_notebook(path)
    answered = with_answers(notebook, name_of(path))
    for cell in answered.cells:
        if cell.cell_type == "code" and directives_of(cell.source).get("eval") == "false":
            cell.cell_type = "raw"  # which is not executed
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(
            answered,
            timeout=None,
            kernel_name="python3",
            resources=resources,
            store_widget_state=False,
        )
        try:
            async with asyncio.timeout(timeout) as limit:
                await client.async_execute(stderr=subprocess.DEVNULL)  # the kernel's own log
        except (CellExecutionError, DeadKernelError, TimeoutError) as error:
            return f"not ready after {timeout:.0f} seconds" if limit.expired() else str(error)
    if store:
        made = {cell.id: cell for cell in answered.cells}
        for cell in notebook.cells:
            if cell.cell_type == "code" and "outputs" in made[cell.id]:
                cell.outputs = made[cell.id].outputs
        nbformat.write(notebook, path)
    return None


def execute_notebooks(paths: list[Path], timeout: float, jobs: int, store: bool) -> list[str]:
    """Execute notebooks, `jobs` at a time; say how long each took, and return those that failed."""
    # What runs is this movrec, and not one that is installed.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    problems = []

    async def run(path: Path, places: asyncio.Semaphore) -> None:
        async with places:
            start = time.perf_counter()
            error = await execute(path, timeout, store)
        seconds = time.perf_counter() - start
        print(f"  {name_of(path):36}{seconds:6.1f} s{'   FAILED' if error else ''}", flush=True)
        if error:
            print(error, file=sys.stderr, flush=True)
            problems.append(f"{name_of(path)} does not run")

    async def run_all() -> None:
        places = asyncio.Semaphore(jobs)
        await asyncio.gather(*(run(path, places) for path in paths))

    asyncio.run(run_all())
    return problems

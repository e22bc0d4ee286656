"""Execute notebooks, each in a process of its own, as `make test` does."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from exercises import with_answers
from repository import ROOT, directives_of, name_of, read_notebook


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

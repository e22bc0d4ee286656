"""What a visitor of the room costs: thirty browsers, one after the other, and all of them stay.

    python benchmarks/room.py MODEL [--visitors 30] [--json FILE]

Serves the model as `movrec app --server solara` does (needs the extra `room`, Playwright and a Chromium),
and lets each visitor come in with a browser's context of their own, click an example and wait for the first
card. Of each it prints when something was painted, when the box was there and when the first answer was, by the
clock and in processor time of the server, and what the server's process then needs. When all are there, each asks
once more, at one time. Then all of them close, and it is counted how long the server remembers them. Linux only.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import browser_helpers as helpers

# The command itself, with a thread that writes down how many visitors it remembers.
SERVER = """
import sys, threading, time
from pathlib import Path
from movrec.cli import main

def count():
    def contexts():  # the module may be there and not whole yet
        return getattr(sys.modules.get("solara.server.kernel_context"), "contexts", None)

    while contexts() is None:
        time.sleep(0.2)
    while True:
        Path(sys.argv[1]).write_text(str(len(contexts())))
        time.sleep(0.5)

threading.Thread(target=count, daemon=True).start()
sys.exit(main(sys.argv[2:]))
"""
GIGABYTES = 4.0
PAINTED = "performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)[0] || NaN"


def processor_seconds(process: int) -> float:
    """The processor time that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(process: int) -> float:
    """The memory that a process has."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def come_in(browser, address: str, process: int) -> tuple[object, dict[str, float]]:
    """Open the page as somebody new, and ask the first question."""
    page = browser.new_context().new_page()
    began, worked = time.perf_counter(), processor_seconds(process)
    page.goto(address)
    page.locator(".movrec-example").nth(2).wait_for(timeout=120_000)
    there, used = time.perf_counter(), processor_seconds(process)
    page.locator(".movrec-example").nth(2).click()
    page.locator(".movrec-card").first.wait_for(timeout=120_000)
    answered = time.perf_counter()
    page.wait_for_timeout(500)  # what the server does behind the answer is a part of its price
    measured = {
        "painted": page.evaluate(PAINTED) / 1000,
        "there": there - began,
        "there_cpu": used - worked,
        "answer": answered - there,
        "answer_cpu": processor_seconds(process) - used,
        "megabytes": megabytes(process),
    }
    return page, measured


def ask_again(pages: list, process: int) -> tuple[list[float], float]:
    """Everybody asks for films like the first card's at one time: the seconds that each waits, and the server's work."""
    first = [page.locator(".movrec-card .movrec-title").first.inner_text() for page in pages]
    began, worked, taken = time.perf_counter(), processor_seconds(process), []
    for page in pages:
        page.locator(".movrec-card .movrec-title").first.click()
    is_other = "old => document.querySelector('.movrec-card .movrec-title').innerText !== old"
    for page, title in zip(pages, first, strict=True):
        page.wait_for_function(is_other, arg=title, timeout=120_000)
        taken.append(time.perf_counter() - began)
    return taken, processor_seconds(process) - worked


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    arguments = parser.parse_args()
    port, seen = helpers.free_port(), []
    with tempfile.TemporaryDirectory() as folder:
        counted = Path(folder, "counted")
        command = [sys.executable, "-c", SERVER, str(counted), "app", "--server", "solara", "--no-browser",
                   "--model", str(arguments.model.resolve()), "--port", str(port),
                   "--visitors", str(arguments.visitors), "--token", "a-word"]  # fmt: skip
        address = f"http://localhost:{port}/?token=a-word"
        with helpers.server(
            command, address.split("?")[0], Path(folder, "log"), cwd=folder
        ) as server:
            print(f"nobody yet: {megabytes(server.pid):.0f} MB", flush=True)
            with helpers.chromium() as browser:
                pages = []
                for number in range(1, arguments.visitors + 1):
                    page, measured = come_in(browser, address, server.pid)
                    pages.append(page)
                    seen.append({"visitor": number, **measured})
                    print(
                        f"{number:3}  painted {measured['painted']:.2f} s   box {measured['there']:.2f} s"
                        f" ({measured['there_cpu']:.2f} s of the server)   answer {measured['answer']:.2f} s"
                        f" ({measured['answer_cpu']:.2f} s)   {measured['megabytes']:.0f} MB",
                        flush=True,
                    )
                taken, worked = ask_again(pages, server.pid)
                print(
                    f"all of them ask at one time: all answered after {max(taken):.1f} s"
                    f" ({worked:.1f} s of the server); {megabytes(server.pid):.0f} MB",
                    flush=True,
                )
                closed = time.perf_counter()
                for page in pages:
                    page.context.close()
                print(f"closing took {time.perf_counter() - closed:.1f} s", flush=True)
            while time.perf_counter() - closed < 180 and (left := int(counted.read_text() or 1)):
                print(
                    f"{time.perf_counter() - closed:5.1f} s after: {left} are remembered",
                    flush=True,
                )
                time.sleep(5)
            gone = time.perf_counter() - closed
            after = megabytes(server.pid)
            print(f"nobody is remembered {gone:.0f} s after; {after:.0f} MB", flush=True)
            errors = Path(folder, "log").read_text().count("Traceback")
    if arguments.json:
        said = {"visitors": seen, "gone": gone, "megabytes_after": after, "errors": errors}
        arguments.json.write_text(json.dumps(said, indent=1) + "\n")
    tenth, first = seen[min(9, len(seen) - 1)], seen[0]
    is_good = seen[-1]["megabytes"] < 1024 * GIGABYTES and gone < 60 and not errors
    is_good &= (
        tenth["answer"] < 1.5 * first["answer"] + 0.5
        and tenth["there"] < 1.5 * first["there"] + 0.5
    )
    print("all bars hold" if is_good else "a bar does not hold", f"({errors} tracebacks)")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())

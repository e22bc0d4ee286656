"""Real servers and a real browser for the tests of the search box and for the screenshots."""

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def find_chromium():
    """The path of an installed Chromium (or Chrome), or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("MOVREC_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextlib.contextmanager
def chromium():
    """Chromium without a window, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=CHROMIUM_ARGUMENTS
        )
        yield browser
        browser.close()


def what_is_missing():
    """What a browser test needs and this machine lacks, in words; an empty string if nothing."""
    from importlib.util import find_spec

    missing = [name for name in ("playwright", "voila", "jupyterlab") if find_spec(name) is None]
    if find_chromium() is None:
        missing.append("Chromium")
    return ", ".join(missing)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment():
    """The environment for a server: this checkout's movrec, one thread, no files in the home folder."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")])
        ),
        "OMP_NUM_THREADS": "1",
    }


@contextlib.contextmanager
def server(command, address, log, *, cwd, extra_environment=None, timeout=90):
    """Run a server until the block ends; `address` is asked until it answers."""
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**environment(), **(extra_environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for(address, process, log, timeout)
        yield process
    finally:
        stop(process)


def stop(process):
    """End a server and the kernels that it started."""
    for number, patience in ((signal.SIGINT, 0), (signal.SIGTERM, 10), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            if number != signal.SIGINT:
                return


def wait_for(address, process, log, timeout):
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=60):
                return
        except urllib.error.HTTPError:
            return  # it answers, if only with a refusal
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"no server at {address}:\n{Path(log).read_text(encoding='utf-8')[-3000:]}")


@contextlib.contextmanager
def jupyterlab(folder, log, *, theme="JupyterLab Light"):
    """A JupyterLab with `folder` at its root; gives the address of a notebook, by name."""
    port, token = free_port(), secrets.token_hex(16)
    settings = Path(folder) / ".lab-settings"
    themes = settings / "@jupyterlab" / "apputils-extension"
    themes.mkdir(parents=True, exist_ok=True)
    (themes / "themes.jupyterlab-settings").write_text(f'{{"theme": "{theme}"}}', encoding="utf-8")
    (themes / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8"
    )
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        f"--port={port}",
        "--ip=127.0.0.1",
    ]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    command += [
        f"--LabApp.user_settings_dir={settings}",
        f"--LabApp.workspaces_dir={settings}/workspaces",
    ]
    command += ["--allow-root", "--ServerApp.port_retries=0"]
    base = f"http://127.0.0.1:{port}"
    with server(command, f"{base}/api?token={token}", log, cwd=folder):
        yield lambda name: f"{base}/doc/tree/{name}?token={token}&reset"


@contextlib.contextmanager
def voila_page(model, log, *, cwd):
    """The page that `movrec app` serves; gives its address."""
    port, token = free_port(), secrets.token_hex(16)
    command = [sys.executable, "-m", "movrec", "app", "--model", str(model), "--no-browser"]
    command = [
        sys.executable,
        "-c",
        "import sys; from movrec.cli import main; sys.exit(main())",
        *command[3:],
    ]
    command += ["--port", str(port), "--token", token, "--server", "voila"]
    with server(command, f"http://localhost:{port}/voila/static/none?token={token}", log, cwd=cwd):
        yield f"http://localhost:{port}/?token={token}"


def write_notebook(path, source):
    """Write a notebook with one cell of code."""
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata.kernelspec = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, path)


BOX_CELL = """from movrec.recommend import Recommender
from movrec.search_box import SearchBox
box = SearchBox(Recommender.open({model!r}))
box"""


def run_notebook(page, address):
    """Open a notebook in JupyterLab and run its first cell."""
    page.goto(address)
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first.wait_for(timeout=90_000)
    prompt = page.locator(".jp-Notebook .jp-CodeCell .jp-InputPrompt").first
    for _ in range(20):
        page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(1000)
        # A kernel may be called idle before it listens; then the cell's number stays blank.
        if re.search(r"[*\d]", prompt.inner_text()):
            break
    page.locator(".movrec-box").wait_for(timeout=90_000)


# What stands on what, and how strong the contrast is, for every visible text below an element.
CONTRAST_SCRIPT = r"""
(box) => {
  const parse = (text) => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    if (text.startsWith("color(srgb")) return [...numbers.slice(0, 3).map(n => n * 255), numbers[3] ?? 1];
    return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (color) => {
    const [r, g, b] = color.slice(0, 3).map(n => n / 255).map(
      n => n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05); };
  const found = [];
  const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || element.closest("style, svg") || !element.offsetParent) continue;
    const style = getComputedStyle(element), below = ground(element);
    if (style.visibility !== "visible" || parseFloat(style.fontSize) === 0) continue;
    found.push([node.textContent.trim().slice(0, 40), ratio(over(parse(style.color), below), below)]);
  }
  for (const field of box.querySelectorAll("input[type=text], textarea, select")) {
    if (!field.offsetParent) continue;
    const below = ground(field);
    found.push([field.tagName, ratio(over(parse(getComputedStyle(field).color), below), below)]);
  }
  return found;
}
"""


def console_errors(page):
    """Collect from now on what goes wrong in a page."""
    errors = []
    # The fonts that Voilà would fetch from elsewhere are refused by the page, on purpose.
    harmless = re.compile(r"favicon|ResizeObserver|404 \(Not Found\)|fontawesome-free")

    def note(message):
        told = f"{message.text} {message.location.get('url', '')}"
        if message.type == "error" and not harmless.search(told):
            errors.append(told)

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", note)
    return errors

"""The page that `movrec app` serves, without a browser; and how a server ends."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from browser_helpers import free_port, server

from movrec.workings.core import MovrecError, ParameterError
from movrec.workings.processes import run_server
from movrec.workings.serve import serve, token_for, write_page

START = [sys.executable, "-c", "import sys; from movrec.cli import main; sys.exit(main())"]

unix = pytest.mark.skipif(os.name == "nt", reason="signals are sent another way there")


def test_serve_says_what_is_missing(monkeypatch, small_model):
    pytest.importorskip("voila")
    with pytest.raises(ParameterError, match="cannot be used"):
        serve(small_model, port=70000)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MovrecError, match=r"pip install .movrec\[app\]"):
        serve(small_model)


def test_who_serves_knows_what_is_served_as_text_only(tmp_path):
    code = (
        "import pathlib, sys; from movrec.workings import serve; serve.write_page(pathlib.Path('.'));"
        "print([name for name in ('movrec.search_box', 'movrec.recommend', 'ipywidgets')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert "from movrec.search_box import SearchBox" in (tmp_path / "movrec.ipynb").read_text()


def test_the_page_shows_the_box_of_the_model(small_model, tmp_path, monkeypatch):
    pytest.importorskip("ipywidgets")
    import nbformat

    page = nbformat.read(write_page(tmp_path), as_version=4)
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    monkeypatch.setenv("MOVREC_PAGE_MODEL", str(small_model))
    exec(page.cells[0].source, {})
    assert [type(box).__name__ for box in shown] == ["SearchBox"]


@pytest.mark.parametrize("how", ["variable", "asked for", "through stdin"])
def test_a_chosen_word_is_in_no_command_line(small_model, capsys, monkeypatch, how):
    pytest.importorskip("voila")
    from movrec.cli import main

    started = []

    def run_server(command, folder, environment, **_):
        settings = json.loads((folder / "settings.json").read_text())
        started.append((command, environment, settings))
        return 0

    monkeypatch.setattr("movrec.workings.serve.run_server", run_server)
    command = ["app", "--model", str(small_model), "--port", "0", "--server", "voila"]
    if how == "variable":
        monkeypatch.setenv("MOVREC_TOKEN", "my secret")
    else:
        command += ["--token", "-"]
        typed = io.StringIO("my secret\n")
        typed.isatty = lambda: how == "asked for"
        monkeypatch.setattr("sys.stdin", typed)
        monkeypatch.setattr("getpass.getpass", lambda prompt: "my secret")
    assert main(command) == 0
    [(given, environment, settings)] = started
    assert settings["token"] == "my secret"
    assert not any("secret" in text for text in [*given, *environment, *environment.values()])
    assert settings["open"].startswith("file:")  # nor in the browser's
    assert "?token=my%20secret" in "".join(capsys.readouterr())


def test_the_help_says_who_can_see_a_word_that_is_typed(capsys):
    from movrec.cli import main

    assert main(["app", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Other users" in said and "MOVREC_TOKEN" in said
    assert token_for("localhost", typed="mine") == "mine" and token_for("::1") is None


def test_a_damaged_model_is_told_before_a_page_opens(tmp_path, capsys):
    pytest.importorskip("voila")
    from movrec.cli import main

    (tmp_path / "manifest.json").write_text("{")
    assert main(["app", "--model", str(tmp_path), "--port", str(free_port())]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "damaged" in err and "http" not in err


# ---- the end -------------------------------------------------------------------------------------

# A server that says who it is, and would serve for a minute.
SERVING = """
import sys
from movrec.workings.processes import run_server
server = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
sys.exit(run_server([sys.executable, "-c", server]))
"""
# As a shell starts what a script runs with `&`.
IN_BACKGROUND = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@unix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
@pytest.mark.parametrize("how", [[], IN_BACKGROUND], ids=["in front", "in the background"])
def test_a_server_ends_with_the_command(how, number):
    command = subprocess.Popen(
        [*how, sys.executable, "-c", SERVING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pid = int(command.stdout.readline())
    command.send_signal(number)
    _, err = command.communicate(timeout=30)
    assert command.returncode == 0 and err == ""
    assert not is_there(pid)


@unix
def test_a_server_that_does_not_want_to_end_is_ended():
    stubborn = SERVING.replace("import os, time;", "import os, signal, time; "
        "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM)];")  # fmt: skip
    command = subprocess.Popen(
        [sys.executable, "-c", stubborn], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    pid = int(command.stdout.readline())
    command.terminate()
    assert command.wait(timeout=30) == 0
    assert not is_there(pid)


def test_the_exit_code_of_a_server_is_told_and_signals_are_as_before():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert run_server([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@unix
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_the_page_ends_with_the_command_that_was_started_in_the_background(
    small_model, tmp_path, number
):
    pytest.importorskip("voila")
    port, log = free_port(), tmp_path / "log"
    command = [
        *IN_BACKGROUND,
        *START,
        "app",
        "--model",
        str(small_model),
        "--no-browser",
        "--server",
        "voila",
    ]
    address = f"http://localhost:{port}/voila/static/none"
    with server([*command, "--port", str(port)], address, log, cwd=tmp_path) as process:
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                os.killpg(process.pid, 0)
            except ProcessLookupError:
                break
            time.sleep(0.1)
        else:
            pytest.fail("Voilà lives on")
    assert "Traceback" not in log.read_text(encoding="utf-8")

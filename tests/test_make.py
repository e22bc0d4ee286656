"""The Makefile, with a stand-in for Python that only writes down what it is asked to do."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    os.name == "nt" or shutil.which("make") is None, reason="needs make and a POSIX shell"
)

STAND_IN = """\
#!/bin/sh
echo "$@" >> "$STAND_IN_LOG"
case "$*" in
    "-c import venv, ensurepip") exit "${STAND_IN_VENV:-0}" ;;
    --version) echo "Python 3.12.1" ;;
    "-m venv"*)
        mkdir -p .venv/bin
        touch .venv/pyvenv.cfg
        cp "$0" .venv/bin/python
        cp "$0" .venv/bin/movrec ;;
    *" install "*) exit "${STAND_IN_PIP:-0}" ;;
esac
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Run make in a folder of its own; return the process, and what the stand-in was asked to do."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("Makefile", "settings.ini", "setup.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    python = tmp_path / "python-stand-in"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    log = tmp_path / "log"
    monkeypatch.setenv("STAND_IN_LOG", str(log))
    # What the make that runs these tests hands on to the makes below it.
    for variable in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VENV", "PYTHON", "PYTEST_ARGS"):
        monkeypatch.delenv(variable, raising=False)

    def run(*arguments, python=python):
        log.write_text("")
        done = subprocess.run(
            ["make", *arguments, f"PYTHON={python}"],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
        )
        probes = ("-c import", "--version", "-m pip --disable-pip-version-check --version")
        asked = [line for line in log.read_text().splitlines() if not line.startswith(probes)]
        return done, [line for line in asked if not line.startswith("\t")]

    run.folder = folder
    return run


INSTALL = "-m pip --disable-pip-version-check install -qq --constraint constraints.txt --editable "


PYTEST = "-m pytest -m not slow --numprocesses auto --maxprocesses 4 --dist loadfile"
STYLE = ["-m ruff check .", "-m ruff format --check .", "-m mypy"]


def test_make_alone_tells_what_there_is(make):
    done, asked = make()
    assert done.returncode == 0
    assert asked == []
    targets = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for target in targets[1].split():
        assert re.search(rf"^  make {target} +\w", done.stdout, flags=re.MULTILINE)


def test_demo_installs_once(make):
    done, asked = make("demo")
    assert done.returncode == 0, done.stderr
    assert asked == ["-m venv .venv", INSTALL + ".", "demo"]
    assert "==> Creating .venv with Python 3.12.1" in done.stdout
    assert "==> Installing movrec into .venv" in done.stdout

    done, asked = make("demo")
    assert asked == ["demo"]
    assert done.stdout == ""

    newer = (make.folder / ".venv" / ".installed-runtime").stat().st_mtime + 5
    os.utime(make.folder / "settings.ini", (newer, newer))
    assert make("demo")[1] == [INSTALL + ".", "demo"]


def test_test_after_demo_adds_what_is_missing_and_nothing_else(make):
    make("demo")
    done, asked = make("test")
    assert done.returncode == 0, done.stderr
    tests = [*STYLE, "tools/project.py check", "tools/project.py notebooks", PYTEST]
    assert asked == [INSTALL + ".[dev]", *tests]
    assert "downloads" not in done.stdout
    assert make("test")[1] == tests
    assert make("demo")[1] == ["demo"]


def test_the_slow_tests_are_run_by_themselves(make):
    make("test")
    assert make("test-slow", "PYTEST_ARGS=-k docs")[1] == ["-m pytest -m slow -k docs"]


def test_demo_after_test_installs_nothing(make):
    make("test")
    assert make("demo")[1] == ["demo"]


def test_lab_and_prepare(make):
    done, asked = make("lab", "LAB_ARGS=--no-browser")
    assert done.returncode == 0, done.stderr
    assert asked[:2] == ["-m venv .venv", INSTALL + ".[lab]"]
    assert asked[2].startswith("-m jupyterlab ") and asked[2].endswith(" --no-browser")
    assert "/lab/tree/nbs/00_start.ipynb " in asked[2]

    done, asked = make("prepare", "PYTEST_ARGS=-k cli")
    assert done.returncode == 0, done.stderr
    steps = ["links", "export", "clean", "readme", "exercises", "house", "guide"]
    assert asked[1:] == [
        "-m ruff check --fix .",
        "-m ruff format .",
        *(f"tools/project.py {step}" for step in steps),
        *STYLE,
        "tools/project.py check",
        "tools/project.py notebooks",
        PYTEST + " -k cli",
    ]


def test_docs(make):
    done, asked = make("docs", "DOCS_ARGS=--out site")
    assert done.returncode == 0, done.stderr
    assert asked == ["-m venv .venv", INSTALL + ".[docs]", "tools/docs.py --out site"]


def test_workshop(make):
    done, asked = make("workshop")
    assert done.returncode == 0, done.stderr
    assert asked[1:] == [INSTALL + ".[dev]", "tools/project.py exercises", "tools/slides.py"]


def test_a_failed_installation_is_tried_again(make, monkeypatch):
    monkeypatch.setenv("STAND_IN_PIP", "1")
    done, asked = make("demo")
    assert done.returncode != 0
    assert asked == ["-m venv .venv", INSTALL + "."]
    monkeypatch.setenv("STAND_IN_PIP", "0")
    assert make("demo")[1] == [INSTALL + ".", "demo"]


def test_an_environment_that_works_is_taken_as_it_is(make):
    make("demo")
    (make.folder / ".venv" / ".ready").unlink()
    assert make("demo")[1] == ["demo"]


def test_an_environment_whose_python_has_gone_is_made_anew(make):
    make("demo")
    (make.folder / ".venv" / ".ready").unlink()
    (make.folder / ".venv" / "bin" / "python").unlink()
    assert make("demo")[1][0] == "-m venv --clear .venv"


def test_no_python_is_said_in_one_sentence(make):
    done, asked = make("demo", python="no-such-python")
    assert done.returncode != 0
    assert asked == []
    said = done.stderr.splitlines()
    assert said[0].startswith("movrec needs Python 3.11 to 3.13, and 'no-such-python' names none:")
    assert len(said) == 2  # the other one is make's own
    assert not (make.folder / ".venv").exists()


def test_a_python_without_venv_is_said_in_one_sentence(make, monkeypatch):
    monkeypatch.setenv("STAND_IN_VENV", "1")
    done, asked = make("demo")
    assert done.returncode != 0
    assert asked == []
    said = done.stderr.splitlines()
    assert said[0].startswith("Python 3.12.1 comes without the venv module here: install it")
    assert len(said) == 2


def test_the_versions_of_settings_ini_decide_which_python_fits(make):
    text = (make.folder / "settings.ini").read_text(encoding="utf-8")
    text = text.replace("min_python = 3.11", "min_python = 3.98")
    text = text.replace("max_python = 3.13", "max_python = 3.99")
    (make.folder / "settings.ini").write_text(text, encoding="utf-8")
    done, _ = make("demo", python="python3")
    assert done.returncode != 0
    assert "movrec needs Python 3.98 to 3.99" in done.stderr


def test_wheelhouse(make):
    done, asked = make("wheelhouse", "WHEELHOUSE_ARGS=--platform windows --python 3.12")
    assert done.returncode == 0, done.stderr
    script = "workshop/wheelhouse.py --platform windows --python 3.12"
    assert asked == ["-m venv .venv", INSTALL + ".", script]

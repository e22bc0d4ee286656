"""What movrec leaves behind, and whom it asks: nothing, and nobody."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest
from conftest import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "campaigns"))

import common
import long_run
import small

from movrec import Recommender
from movrec.cli import main

LOCAL = ("127.", "::1", "localhost", "0.0.0.0", "::")
linux = pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A model of 40 films. Copy it before you change it."""
    path = tmp_path_factory.mktemp("base") / "model"
    small.build(path)
    return path


@pytest.fixture
def folder(base, tmp_path):
    return shutil.copytree(base, tmp_path / "model")


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def commands(model, aside):
    """A command of every kind that asks a model, with what it writes beside it."""
    table = aside / "more.csv"
    small.films(100, 103).to_csv(table, index=False)
    title = small.films(0, 1)["title"][0]
    at = ["--model", str(model)]
    reading = [
        ["recommend", title, "-k", "3", "--why", *at],
        ["recommend", "--text", small.PLOT, "--more", "dog", "--json", *at],
        ["search", "family", *at],
        ["genres", small.PLOT, *at],
        ["info", *at],
        ["export", str(aside / "r.csv"), "-k", "3", *at],
        ["embeddings", str(aside / "e.csv"), *at],
        ["layouts"],
        ["doctor"],
    ]
    return reading, [["add", str(table), *at]]


# ---- whom it asks --------------------------------------------------------------------------------

_asked = []
_watching = []
_hooked = []


def _hook(event, arguments):
    if _watching and event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        address = arguments[1] if event == "socket.connect" else arguments[0]
        if isinstance(address, tuple):
            address = address[0]
        if isinstance(address, str) and not address.startswith((*LOCAL, "/", "\0")):
            _asked.append((event, address))


@pytest.fixture
def asked(monkeypatch):
    """The addresses elsewhere that are asked for anything, as Python's own hook sees them."""
    if not _hooked:
        sys.addaudithook(_hook)  # for good
        _hooked.append(True)
    _asked.clear()
    monkeypatch.setattr(sys.modules[__name__], "_watching", [True])
    return _asked


def test_the_hook_sees_what_there_is_to_see(asked):
    with pytest.raises(OSError), socket.socket() as probe:
        probe.settimeout(0.01)
        probe.connect(("192.0.2.1", 9))  # an address that nobody has
    assert asked == [("socket.connect", "192.0.2.1")]


WATCH = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int connect(int fd, const struct sockaddr *to, socklen_t n) {
  static int (*real)(int, const struct sockaddr *, socklen_t);
  if (!real) real = dlsym(RTLD_NEXT, "connect");
  char text[INET6_ADDRSTRLEN + 2] = "";
  if (to->sa_family == AF_INET) inet_ntop(AF_INET, &((struct sockaddr_in *)to)->sin_addr, text, sizeof text);
  if (to->sa_family == AF_INET6) inet_ntop(AF_INET6, &((struct sockaddr_in6 *)to)->sin6_addr, text, sizeof text);
  if (*text) {
    int log = open(getenv("WATCH_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    strcat(text, "\n");
    if (log >= 0) { (void)!write(log, text, strlen(text)); close(log); }
  }
  return real(fd, to, n);
}
"""
WATCHED = """
import socket, sys
sys.path[:0] = [{repository!r}, {campaigns!r}]
import small
from movrec.cli import main
small.asked(small.build({model!r}))
for command in {commands!r}:
    assert main(command) == 0, command
probe = socket.socket()
probe.settimeout(0.01)
try:
    probe.connect(("192.0.2.1", 9))
except OSError:
    pass
"""


@linux
@pytest.mark.slow
def test_no_library_in_another_language_asks_anybody(folder, tmp_path):
    if not shutil.which("cc"):
        pytest.skip("there is no C compiler")
    (tmp_path / "watch.c").write_text(WATCH)
    library, log = tmp_path / "watch.so", tmp_path / "log"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-o", library, tmp_path / "watch.c", "-ldl"], check=True
    )
    reading, writing = commands(folder, tmp_path)
    code = WATCHED.format(
        repository=str(REPOSITORY), campaigns=str(REPOSITORY / "tests" / "campaigns"),
        model=str(tmp_path / "built"), commands=[*reading, *writing],
    )  # fmt: skip
    watched = {**os.environ, "LD_PRELOAD": str(library), "WATCH_LOG": str(log)}
    subprocess.run([sys.executable, "-c", code], env=watched, check=True, capture_output=True)
    said = [line for line in log.read_text().splitlines() if not line.startswith(LOCAL[:2])]
    assert said == ["192.0.2.1"]  # what was asked on purpose, and nothing else


# ---- what it leaves ------------------------------------------------------------------------------


def test_no_command_leaves_anything_or_asks_anybody(folder, tmp_path, monkeypatch, capsys, asked):
    put_aside, written = tmp_path / "put aside", tmp_path / "written"
    put_aside.mkdir()
    written.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(put_aside))
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(put_aside))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    before = listing(folder)
    reading, writing = commands(folder, written)
    for command in reading:
        assert main(command) == 0, command
        assert listing(folder) == before, command
        assert not listing(put_aside) and not listing(here), command
    for command in writing:
        assert main(command) == 0, command
    small.asked(small.build(tmp_path / "built", 0, 30))
    assert asked == []
    assert not listing(put_aside) and not listing(here)
    assert sorted(path.name for path in written.iterdir()) == ["e.csv", "more.csv", "r.csv"]
    assert {"built", "model"} == {path.name for path in tmp_path.iterdir() if path.name not in
                                  {"put aside", "written", "here"}}  # fmt: skip
    names = [path.name for path in folder.rglob("*")]
    assert not [name for name in names if name.endswith((".part", ".lock", ".tmp"))]
    after = listing(folder)
    assert main(["info", "--model", str(folder)]) == 0
    assert listing(folder) == after


@linux
@pytest.mark.slow
def test_many_questions_hold_no_more_files_and_threads_than_a_few(base):
    """The campaign of long runs asks thousands; this is the short one."""
    tally = common.Tally()
    seen = long_run.ask(Recommender.open(base), 150, tally)
    assert not tally.faults, tally.counts
    first, last = seen[0], seen[-1]
    assert last[1] <= first[1] + 2 and last[2] <= first[2] + 2
    assert last[0] < first[0] + 150  # MB

"""The page for strangers: who gets in, how many, what they can do there, and what is left when it ends."""

import asyncio
import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace

import browser_helpers as helpers
import pytest
from browser_helpers import server

from movrec.workings.core import ParameterError
from movrec.workings.gate import COOKIE, Gate, is_loopback, name_in
from movrec.workings.places import clear_leftovers
from movrec.workings.serve import check_page, page_address, serve, write_settings
from movrec.workings.shell import MOST_UPLOADED, shell_html

START = [sys.executable, "-c", "import sys; from movrec.cli import main; sys.exit(main())"]
TOKEN = "a-word-to-know"

linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")


def asked(host="localhost:8866", path="/", token=None, cookie=None, **headers):
    headers = {name.replace("_", "-").title(): value for name, value in headers.items()}
    arguments = {"token": [token]} if token is not None else {}
    cookies = SimpleCookie({COOKIE: cookie} if cookie else {})
    return SimpleNamespace(
        host=host, path=path, headers=headers, arguments=arguments, cookies=cookies
    )


# ---- the gate ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8866", "127.0.0.1:1", "[::1]:8866", "localhost.:8866"]
)
def test_the_page_is_called_by_the_names_of_this_computer(host):
    assert Gate("localhost").reply(asked(host)) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8866", "localhost.evil.example", "evil.example#localhost", "", "[::1",
     "localhost@evil.example", "192.168.0.7:8866", "a" * 100_000, "\ud800"],
)  # fmt: skip
@pytest.mark.parametrize("token", [None, TOKEN])
def test_any_other_name_is_refused_with_and_without_a_word(host, token):
    gate = Gate("localhost", token)
    for path in ("/", "/api/kernels/1/channels", "/voila/static/x"):
        assert gate.reply(asked(host, path, token=TOKEN.encode())).status == 421


def test_a_page_for_others_has_addresses_in_numbers_and_the_names_that_it_is_given():
    gate = Gate("0.0.0.0", TOKEN, names=("Films.example",))
    for host in ("192.168.0.7:8866", "[fe80::1]:8866", "films.example", "localhost"):
        assert gate.reply(asked(host, cookie=gate.session)) is None
    assert gate.reply(asked("evil.example", cookie=gate.session)).status == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:1", "http://localhost:8866.evil", ""],
)
def test_another_site_may_not_speak_for_a_visitor(origin):
    for gate in (Gate("localhost"), Gate("localhost", TOKEN)):
        reply = gate.reply(
            asked(path="/api/kernels/1/channels", cookie=gate.session, origin=origin)
        )
        assert reply.status == 403
    assert Gate("localhost").reply(asked(origin="http://localhost:8866")) is None


@pytest.mark.parametrize(
    "headers",
    [{"sec_fetch_dest": "image"}, {"sec_fetch_dest": "iframe"}, {"sec_fetch_dest": "empty"},
     {"sec_purpose": "prefetch;prerender"}, {"purpose": "prefetch"}, {"accept": "image/avif,image/webp,*/*;q=0.8"},
     {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}],
    ids=str,
)  # fmt: skip
def test_a_view_that_nobody_looks_at_starts_nothing(headers):
    assert Gate("localhost").reply(asked(**headers)) is not None


def test_the_word_is_shown_once_and_a_cookie_stands_for_it():
    gate = Gate("0.0.0.0", TOKEN)
    assert gate.reply(asked()).status == 403 and not gate.reply(asked()).wait
    for guess in (b"guess", b"", b"\xff", TOKEN.encode() + b" "):
        reply = gate.reply(asked(token=guess))
        assert reply.status == 403 and reply.wait and not reply.cookie
    welcome = gate.reply(asked(token=TOKEN.encode(), sec_fetch_site="cross-site"))
    assert welcome.cookie == gate.session and 'url=/"' in welcome.html()
    assert gate.reply(asked(cookie=welcome.cookie)) is None
    assert gate.reply(asked(cookie="another")).status == 403
    assert Gate("0.0.0.0", TOKEN).session != gate.session
    assert gate.session not in repr(gate)


def test_the_question_of_a_link_is_kept_and_the_word_is_not():
    """Where the word is asked for, and where another site has led somebody here."""
    gate = Gate("0.0.0.0", TOKEN)
    question = {
        "text": ["a ship & a storm; “no”".encode()],
        "only": [b"Drama", b'"><b>'],
        "\xff": [b"x"],
    }
    request = asked(token=TOKEN.encode())
    request.arguments.update(question)
    to = "/?text=a+ship+%26+a+storm%3B+%E2%80%9Cno%E2%80%9D&only=Drama&only=%22%3E%3Cb%3E"
    welcome = gate.reply(request)
    assert welcome.to == to and TOKEN not in welcome.html() and "<b>" not in welcome.html()
    assert f'url={to.replace("&", "&amp;")}"' in welcome.html()
    led = asked(cookie=welcome.cookie, sec_fetch_site="cross-site")
    led.arguments = question
    assert gate.reply(led).go_on == "link" and gate.reply(led).to == to


def test_names_are_read_out_of_any_header():
    assert name_in("[::1]:80") == "::1" and name_in("a b") != "localhost" and name_in("[") == ""
    assert is_loopback("127.9.9.9") and not is_loopback("0.0.0.0") and not is_loopback("::")


# ---- before it is served -------------------------------------------------------------------------


def test_where_the_page_listens_is_checked_before(small_model):
    pytest.importorskip("voila")
    for host in ("", " ", None, 5, "no such host", "a" * 300, "\ud800"):
        with pytest.raises(ParameterError):
            check_page(host, 0)
    for port in (-1, 70000, "x", None, 10**20):
        with pytest.raises(ParameterError):
            check_page("localhost", port)
    assert 0 < check_page("127.0.0.1", 0) < 65536
    for wrong in ({"token": " "}, {"most_visitors": 0}):
        with pytest.raises(ParameterError):
            serve(small_model, port=0, **wrong)


def test_an_address_is_one_that_a_browser_takes():
    assert page_address("::1", 80, None) == "http://[::1]:80/"
    assert page_address("localhost", 80, "a b&c") == "http://localhost:80/?token=a%20b%26c"


def test_what_a_dead_page_has_left_is_cleared_away(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [
        f"movrec-page-{gone.pid}-x",
        f"movrec-page-{os.getpid()}-x",
        "movrec-page-mine-x",
        "movrec-page-5",
    ]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text("{}")
    clear_leftovers()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == sorted(names[1:] if os.name != "nt" else names)


@pytest.mark.skipif(os.name == "nt", reason="rights are of another kind there")
def test_the_word_lies_in_a_file_that_nobody_else_reads(tmp_path):
    write_settings(tmp_path, token=TOKEN)
    assert (tmp_path / "settings.json").stat().st_mode & 0o777 == 0o600


def test_no_visitor_reads_a_traceback_or_a_path(monkeypatch, tmp_path):
    pytest.importorskip("ipywidgets")
    from movrec.workings.cards import error_html, page_box
    from movrec.workings.core import logger

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MOVREC_PAGE_MODEL", "model")
    monkeypatch.setenv("MOVREC_PAGE_LOG", str(tmp_path / "errors.log"))
    handlers = list(logger.handlers)
    try:
        shown = page_box(lambda: 1 / 0).value + error_html(KeyError("/somebody/secret"))
        assert "Traceback" not in shown and "/" not in re.sub("</?div[^>]*>", "", shown)
        assert "ZeroDivisionError" in (tmp_path / "errors.log").read_text()
    finally:
        for handler in set(logger.handlers) - set(handlers):
            logger.removeHandler(handler)
            handler.close()


# ---- a page, served ------------------------------------------------------------------------------


def get(address, **headers):
    """The status and the text of an answer."""
    wanted = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(address, headers=wanted), timeout=120
        ) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def children(pid):
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in listed for child in path.read_text().split()]


def wait_until(what, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.5)
    return False


def is_running(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.fixture(scope="module")
def page(small_model, tmp_path_factory):
    """A page with a word to know and room for two; gives its process, address and server's process."""
    pytest.importorskip("voila")
    folder = tmp_path_factory.mktemp("page")
    port = check_page("localhost", 0)
    command = [*START, "app", "--model", str(small_model), "--no-browser", "--port", str(port)]
    command += ["--visitors", "2", "--server", "voila"]
    address = f"http://localhost:{port}/"
    word = {"MOVREC_TOKEN": TOKEN}
    with server(command, address, folder / "log", cwd=folder, extra_environment=word) as process:
        yield SimpleNamespace(process=process, address=address, log=folder / "log", folder=folder)


def cookie_of(page):
    _, _, headers = get(f"{page.address}?token={TOKEN}")
    return headers["Set-Cookie"].split(";")[0]


@linux
@pytest.mark.slow
def test_strangers_get_nothing_and_start_nothing(page):
    [voila] = children(page.process.pid)
    before = children(voila)
    status, text, _ = get(page.address)
    assert status == 403 and "?token=" in text
    start = time.monotonic()
    assert get(f"{page.address}?token=guess")[0] == 403
    assert time.monotonic() - start >= 1
    cookie = cookie_of(page)
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec_Fetch_Dest": "image"},
                    {"Sec_Fetch_Site": "cross-site"}):  # fmt: skip
        status, text, _ = get(page.address, Cookie=cookie, **headers)
        assert status in (200, 403, 421) and len(text) < 1000
    for path in ("api/contents", "voila/api/contents", "api/kernels", "api/kernelspecs", "api/sessions",
                 "voila/files/settings.json", "voila/files/../settings.json", "voila/tree", "lab"):  # fmt: skip
        status, text, _ = get(page.address + path, Cookie=cookie)
        assert status in (403, 404, 405) and TOKEN not in text and "Traceback" not in text
    assert children(voila) == before
    assert TOKEN not in Path(f"/proc/{voila}/cmdline").read_text()


async def ask_to_execute(address, kernel, cookie, target):
    """Send a kernel what a page must not send, in both protocols."""
    from tornado.httpclient import HTTPRequest
    from tornado.websocket import websocket_connect

    source = f"open({str(target)!r}, 'w').close()"
    contents = {
        "execute_request": {"code": source, "silent": False, "store_history": False, "user_expressions": {"a": source},
                            "allow_stdin": False, "stop_on_error": False},
        "inspect_request": {"code": "x", "cursor_pos": 1, "detail_level": 0},
        "complete_request": {"code": source, "cursor_pos": 1},
        "history_request": {"output": False, "raw": True, "hist_access_type": "tail", "n": 5},
        "is_complete_request": {"code": source},
        "interrupt_request": {},
        "debug_request": {"type": "request", "command": "evaluate", "seq": 1, "arguments": {"expression": source}},
        "create_subshell_request": {},
    }  # fmt: skip
    url = f"{address.replace('http', 'ws', 1)}api/kernels/{kernel}/channels"
    for protocol in (None, "v1.kernel.websocket.jupyter.org"):
        request = HTTPRequest(url, headers={"Cookie": cookie, "Origin": address.rstrip("/")})
        socket = await websocket_connect(request, subprotocols=[protocol] if protocol else None)
        for kind, content in contents.items():
            header = {"msg_id": f"m{kind}", "msg_type": kind, "username": "", "session": "s", "version": "5.3",
                      "date": "2026-01-01T00:00:00Z"}  # fmt: skip
            for channel in ("shell", "control"):
                if protocol is None:
                    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content,
                               "channel": channel, "buffers": []}  # fmt: skip
                    await socket.write_message(json.dumps(message))
                else:
                    parts = [
                        channel.encode(),
                        *(json.dumps(p).encode() for p in (header, {}, {}, content)),
                    ]
                    offsets = [8 * (1 + len(parts) + 1)]
                    for part in parts:
                        offsets.append(offsets[-1] + len(part))
                    packed = struct.pack(
                        f"<{1 + len(offsets)}Q", len(offsets), *offsets
                    ) + b"".join(parts)
                    await socket.write_message(packed, binary=True)
        await asyncio.sleep(3)
        socket.close()
    for headers in (
        {"Origin": "http://evil.example", "Cookie": cookie},
        {"Origin": address.rstrip("/")},
    ):
        with pytest.raises(Exception, match="403"):
            await websocket_connect(HTTPRequest(url, headers=headers))


@linux
@pytest.mark.slow
def test_a_visitor_runs_no_code_and_leaves_no_process_behind(page, tmp_path):
    [voila] = children(page.process.pid)
    cookie = cookie_of(page)
    texts = [get(page.address, Cookie=cookie) for _ in range(3)]
    assert [status for status, _, _ in texts] == [200, 200, 503]
    assert "2 people are looking at this page" in texts[2][1]
    kernels = children(voila)
    assert len(kernels) == 2
    for process in (page.process.pid, voila, *kernels):
        assert TOKEN not in Path(f"/proc/{process}/cmdline").read_text()
        assert (
            process == page.process.pid or TOKEN not in Path(f"/proc/{process}/environ").read_text()
        )
    kernel = re.search(r'"kernelId"[^0-9a-f]*([0-9a-f-]{36})', texts[1][1])[1]
    asyncio.run(ask_to_execute(page.address, kernel, cookie, tmp_path / "written"))
    assert not (tmp_path / "written").exists()
    # both visitors have gone, the first without a word
    goodbye = urllib.request.Request(f"{page.address}voila/api/shutdown/{kernel}", method="POST",
                                     headers={"Cookie": cookie, "Origin": page.address.rstrip("/")})  # fmt: skip
    assert urllib.request.urlopen(goodbye, timeout=60).status == 204
    assert wait_until(lambda: not children(voila), 60)
    assert "Traceback" not in page.log.read_text()


@linux
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL], ids=["hang up", "kill -9"])
def test_a_page_leaves_nothing_behind_whatever_ends_it(small_model, tmp_path, number):
    pytest.importorskip("voila")
    aside = tmp_path / "aside"
    aside.mkdir()
    command = [
        *START,
        "app",
        "--model",
        str(small_model),
        "--no-browser",
        "--server",
        "voila",
        "--host",
        "::1",
        "--port",
    ]
    try:
        port = check_page("::1", 0)
    except ParameterError:
        pytest.skip("there is no IPv6 here")
    address, log = f"http://[::1]:{port}/", tmp_path / "log"
    where = {"TMPDIR": str(aside)}
    with server(
        [*command, str(port)], address, log, cwd=tmp_path, extra_environment=where
    ) as process:
        [voila] = children(process.pid)
        assert wait_until(lambda: len(children(voila)) == 1, 60)  # the one who waits for a visitor
        everybody = [process.pid, voila, *children(voila)]
        process.send_signal(number)
        process.wait(timeout=60)
        assert wait_until(lambda: not any(map(is_running, everybody)), 30)
        assert wait_until(lambda: not any(aside.iterdir()), 10)
        assert address in log.read_text()


# ---- what the browser itself is told ---------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(helpers.find_chromium() is None, reason="this test needs Chromium")
def test_a_file_that_is_too_large_is_refused_where_it_is_chosen(tmp_path):
    pytest.importorskip("playwright.sync_api")
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_text("Name,Year\n")
    with large.open("wb") as file:
        file.truncate(MOST_UPLOADED + 1)
    with helpers.chromium() as browser:
        page = browser.new_page()
        page.set_content(shell_html())
        said = []
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.accept()))
        page.evaluate(
            """() => {  // as the button of ipywidgets does: a field that is nowhere in the page
                window.taken = [];
                window.field = document.createElement("input");
                window.field.type = "file";
                window.field.addEventListener(
                    "change", () => window.taken.push(window.field.files.length));
            }"""
        )
        for file in (large, small):
            with page.expect_file_chooser() as chooser:
                page.evaluate("window.field.click()")
            chooser.value.set_files(str(file))
        page.wait_for_function("window.taken.length > 0")
        assert page.evaluate("window.taken") == [1]
        assert said == ["large.csv has more than 50 MB: choose a smaller file."]

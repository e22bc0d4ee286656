"""The room: one process for all visitors, and what stands before it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import browser_helpers as helpers
import pytest

from movrec.workings import entrance, room
from movrec.workings.core import MovrecError, ParameterError
from movrec.workings.gate import COOKIE, Gate
from movrec.workings.serve import POLICY, check_page

TOKEN = "a-word-to-know"
SOCKET = "ws://localhost:8866/jupyter/api/kernels/{}/channels?session_id=page"
CLICK = {
    "header": {"msg_type": "comm_msg"},
    "channel": "shell",
    "content": {"comm_id": "a widget", "data": {"method": "custom"}},
}

linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")


# ---- the entrance --------------------------------------------------------------------------------


@pytest.fixture
def behind():
    """A page and a websocket that repeats what it hears; gives a way to make a browser before them."""
    pytest.importorskip("starlette")
    pytest.importorskip("httpx")
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.testclient import TestClient

    present = {}

    async def view(request):
        return PlainTextResponse("the page")

    async def channels(socket):
        await socket.accept()
        present[socket.path_params["kernel"]] = socket.cookies.get(entrance.SESSION)
        async for text in socket.iter_text():
            await socket.send_text(text)

    routes = [Route("/", view), WebSocketRoute("/jupyter/api/kernels/{kernel}/channels", channels)]
    routes.append(Route("/files", view))

    def browser(gate=None, most=30, **cookies):
        seats = entrance.Seats(most, lambda: present)
        policy = {"Content-Security-Policy": POLICY}
        room = entrance.Entrance(Starlette(routes=routes), gate or Gate("localhost"), seats, policy)
        made = TestClient(room, base_url="http://localhost:8866", cookies=cookies)
        made.present, made.headers["accept"] = present, "text/html"
        return made

    return browser


def refused(browser, path, **headers):
    from starlette.websockets import WebSocketDisconnect

    try:
        with browser.websocket_connect(path, headers=headers):
            return False
    except WebSocketDisconnect:
        return True


def test_the_room_is_called_by_its_names_alone(behind):
    browser = behind()
    assert browser.get("/").text == "the page"
    for host in ("evil.example", "localhost.evil.example", "192.168.0.7", ""):
        for path in ("/", "/files"):
            answer = browser.get(path, headers={"host": host})
            assert answer.status_code == 421 and "the page" not in answer.text
        assert refused(browser, SOCKET.format(1), host=host)
    shared = behind(Gate("0.0.0.0", names=("films.example",)))
    assert shared.get("/", headers={"host": "films.example:80"}).status_code == 200
    assert shared.get("/", headers={"host": "192.168.0.7:8866"}).status_code == 200


def test_no_other_site_speaks_for_a_visitor_of_the_room(behind):
    browser = behind()
    for origin in ("http://evil.example", "null", "http://localhost:1"):
        assert browser.get("/files", headers={"origin": origin}).status_code == 403
        assert refused(browser, SOCKET.format(1), origin=origin)
    assert not refused(browser, SOCKET.format(1), origin="http://localhost:8866")
    for headers in (
        {"sec-fetch-dest": "image"},
        {"sec-purpose": "prefetch"},
        {"sec-fetch-site": "cross-site"},
    ):
        assert "the page" not in browser.get("/", headers=headers).text


def test_the_room_opens_with_a_word_that_a_cookie_stands_for(behind, monkeypatch):
    monkeypatch.setattr(entrance, "GUESS_SECONDS", 0.02)
    browser = behind(Gate("0.0.0.0", TOKEN))
    for path in ("/", "/files", "/?token=guess", "/?token=", "/?token=%ff", "/?" + "a&" * 200):
        assert browser.get(path).status_code == 403
    assert refused(browser, SOCKET.format(1)) and refused(
        browser, SOCKET.format(1) + "&token=guess"
    )
    welcome = browser.get(f"/?token={TOKEN}")
    said = welcome.headers["set-cookie"]
    assert COOKIE in said and "HttpOnly" in said and "SameSite=Strict" in said and TOKEN not in said
    assert browser.get("/").text == "the page" and not refused(browser, SOCKET.format(1))
    browser.cookies.clear()
    odd = 'a={"b": 1}; c; ' + browser.app.gate.session
    assert browser.get("/", headers={"cookie": odd}).status_code == 403
    assert (
        browser.get(
            "/", headers={"cookie": f"x=[1]; {COOKIE}={browser.app.gate.session}"}
        ).status_code
        == 200
    )


def test_guesses_are_slow_and_few(behind, monkeypatch):
    monkeypatch.setattr(entrance, "GUESS_SECONDS", 0.1)
    browser = behind(Gate("0.0.0.0", TOKEN))
    start = time.monotonic()
    browser.get("/?token=guess")
    assert time.monotonic() - start >= 0.1
    browser.app.guesses = 5
    assert browser.get("/?token=guess").status_code == 429
    assert browser.get(f"/?token={TOKEN}").status_code == 200


def test_what_the_room_answers_says_what_a_browser_may_do(behind):
    browser = behind()
    assert browser.get("/").headers["content-security-policy"] == POLICY
    refusal = browser.get("/", headers={"host": "evil.example"})
    assert refusal.headers["content-security-policy"].startswith("default-src 'none'")
    assert browser.head("/", headers={"host": "evil.example"}).content == b""


def test_one_visitor_too_many_reads_a_sentence(behind, monkeypatch):
    monkeypatch.setattr(entrance, "_PATIENCE", 0.1)
    browser = behind(most=2)
    browser.present |= {"page-1": "anna", "page-2": "ben"}
    answer = browser.get("/")
    assert answer.status_code == 503 and "2 people are looking at this page" in answer.text
    assert refused(browser, SOCKET.format("page-3"))
    assert not refused(browser, SOCKET.format("page-1"))  # comes back
    again = behind(most=2, **{entrance.SESSION: "ben"})
    assert again.get("/").text == "the page"  # the former view ends with this one
    del browser.present["page-2"]
    assert browser.get("/").text == "the page" and not refused(browser, SOCKET.format("page-3"))


def test_a_seat_is_kept_for_a_moment_and_a_page_has_few_websockets():
    seats = entrance.Seats(2, dict, patience=0.05)
    assert seats.keep("") and seats.keep("") and not seats.keep("")
    time.sleep(0.06)
    assert seats.keep("")
    assert [seats.enter("page") for _ in range(4)] == [True, True, True, False]
    for _ in range(3):
        seats.leave("page")
    assert seats.enter("other") and seats.enter("page") and not seats.enter("third")


@pytest.mark.parametrize("kernel", ["a" * 65, "..", "a%2Fb", "a b", "é"])
def test_a_websocket_has_a_place(behind, kernel):
    assert refused(behind(), SOCKET.format(kernel))


def test_only_what_a_page_of_widgets_sends_comes_through(behind):
    kinds = ["execute_request", "inspect_request", "complete_request", "history_request", "is_complete_request",
             "interrupt_request", "debug_request", "create_subshell_request", "shutdown_request", "input_reply",
             "comm_open", "", None, 7, []]  # fmt: skip
    hostile = [json.dumps({**CLICK, "header": {"msg_type": kind}}) for kind in kinds]
    opened = {"comm_id": "mine", "target_name": "jupyter.widget", "data": {"state": {}}}
    hostile += [json.dumps({**CLICK, "header": {"msg_type": "comm_open"}, "content": opened})]
    hostile += [
        "",
        "[",
        "[" * 50_000,
        "null",
        "7",
        '"x"',
        "{}",
        json.dumps({**CLICK, "content": []}),
    ]
    hostile += [
        json.dumps({**CLICK, "channel": "stdin"}),
        json.dumps({**CLICK, "content": {"comm_id": 7, "data": {}}}),
    ]
    packed = json.dumps(CLICK).encode()
    parts = [
        b"",
        b"\x00",
        b"\x7f\xff\xff\xff",
        b"\x00\x00\x00\x02" + b"\xff" * 8,
        b"\x80\x00\x00\x00" + packed,
    ]
    with behind().websocket_connect(SOCKET.format(1)) as socket:
        for text in hostile:
            socket.send_text(text)
        for part in parts:
            socket.send_bytes(part)
        socket.send_text(json.dumps(CLICK))
        assert json.loads(socket.receive_text()) == CLICK
    with_file = (
        b"\x00\x00\x00\x02"
        + (12).to_bytes(4, "big")
        + (12 + len(packed)).to_bytes(4, "big")
        + packed
        + b"id"
    )
    assert entrance.is_welcome(with_file) and not any(map(entrance.is_welcome, parts))


def test_whoever_sends_more_than_hands_can_is_slowed():
    pace = entrance.Pace(rate=100, credit=50)
    assert not any(pace.delay(now=1.0) for _ in range(50))
    assert sum(pace.delay(now=1.0) > 0 for _ in range(50)) == 50
    assert pace.delay(now=3.0) == 0


# ---- the choice ----------------------------------------------------------------------------------


def test_the_command_takes_the_room_where_there_is_one(small_model, monkeypatch, capsys):
    pytest.importorskip("voila")
    from movrec.cli import main

    served = []
    monkeypatch.setattr(room, "serve_room", lambda model, **who: served.append(("room", who)) or 0)
    monkeypatch.setattr(
        "movrec.workings.serve.run_server", lambda command, **_: served.append(("pages",)) or 0
    )
    command = ["app", "--model", str(small_model), "--port", "0", "--no-browser"]
    for missing, more in (
        ("", []),
        ("it", []),
        ("", ["--server", "voila"]),
        ("", ["--server", "solara", "--visitors", "3"]),
    ):
        monkeypatch.setattr(room, "what_the_room_lacks", lambda missing=missing: missing)
        assert main([*command, *more]) == 0
    assert [kind for kind, *_ in served] == ["room", "pages", "pages", "room"]
    assert [who["most_visitors"] for kind, *more in served for who in more] == [30, 3]
    said = capsys.readouterr()
    assert "".join(said).count("one process for all") == 2
    monkeypatch.setattr(room, "what_the_room_lacks", lambda: "Solara, which is not installed")
    assert main([*command, "--server", "solara"]) == 2
    assert 'pip install "movrec[room]"' in capsys.readouterr().err


def test_what_is_missing_for_a_room_is_said(monkeypatch, small_recommender):
    monkeypatch.setattr(room, "find_spec", lambda name: None)
    with pytest.raises(MovrecError, match=r"movrec\[room\]"):
        room.serve_room(small_recommender)
    monkeypatch.setattr(room, "find_spec", lambda name: True)
    numbers = {"solara-server": "1.60", "solara-assets": "1.58.2"}
    monkeypatch.setattr(room.metadata, "version", numbers.get)
    assert room.what_the_room_lacks() == "solara-assets 1.60, and has 1.58.2"
    numbers["solara-assets"] = "1.60"
    assert room.what_the_room_lacks() == ""
    for wrong in ({"token": " "}, {"most_visitors": 0}):
        with pytest.raises(ParameterError):
            room.serve_room(small_recommender, **wrong)


def test_a_visitor_of_the_room_reads_no_traceback(monkeypatch):
    monkeypatch.setenv("MOVREC_PAGE_MODEL", "the room")
    shown = room.make_box(None, "").value
    assert "cannot be shown just now" in shown and "Traceback" not in shown


# ---- a room, served ------------------------------------------------------------------------------

START = [sys.executable, "-c", "import sys; from movrec.cli import main; sys.exit(main())", "app"]


def command_for(model, port, *more):
    return [
        *START,
        "--server",
        "solara",
        "--model",
        str(model),
        "--no-browser",
        "--port",
        str(port),
        *more,
    ]


def needs_the_room():
    missing = room.what_the_room_lacks()
    if missing:
        pytest.skip(f"the room needs {missing}")


def get(address, method="GET", **headers):
    wanted = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address, headers=wanted, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode("utf-8", "replace"), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


@pytest.fixture(scope="module")
def served(small_model, tmp_path_factory):
    """A room for two with a word to know; gives its process, address and folders."""
    needs_the_room()
    folder = tmp_path_factory.mktemp("room")
    (folder / "aside").mkdir()
    (folder / "home").mkdir()
    port = check_page("localhost", 0)
    address, log = f"http://localhost:{port}/", folder / "log"
    where = {"MOVREC_TOKEN": TOKEN, "TMPDIR": str(folder / "aside"), "HOME": str(folder / "home"),
             "SOLARA_APP": "os", "SOLARA_THEME_TITLE": "not this", "SOLARA_SESSION_HTTP_ONLY": "0"}  # fmt: skip
    command = command_for(small_model, port, "--visitors", "2")
    with helpers.server(command, address, log, cwd=folder, extra_environment=where) as process:
        yield SimpleNamespace(process=process, address=address, log=log, folder=folder)


def left_by(served):
    aside = [path for name in ("aside", "home") for path in (served.folder / name).iterdir()]
    return aside + [
        path for path in served.folder.iterdir() if path.name not in ("aside", "home", "log")
    ]


@linux
@pytest.mark.slow
def test_visitors_of_the_room_have_a_box_each_and_the_next_one_reads_why_not(served):
    if missing := helpers.what_is_missing():
        pytest.skip(f"needs {missing}")
    asked, errors = [], []
    with helpers.chromium() as browser:
        pages = []
        for number in (0, 2):
            page = browser.new_context().new_page()
            page.on("request", lambda request: asked.append(request.url))
            errors += [helpers.console_errors(page)]
            page.goto(f"{served.address}?token={TOKEN}")
            page.locator(".movrec-example").nth(number).click(timeout=60_000)
            page.locator(".movrec-card").first.wait_for(timeout=60_000)
            pages.append(page)
        fields = [
            page.locator(".movrec-box input[type=text]").first.input_value() for page in pages
        ]
        assert fields[0] != fields[1] and fields[1].startswith("a shark")
        third = browser.new_context().new_page()
        third.goto(f"{served.address}?token={TOKEN}")
        third.get_by_text("2 people are looking at this page").wait_for(timeout=10_000)
        pages[0].reload()  # in a full room
        pages[0].locator(".movrec-example").first.wait_for(timeout=60_000)
        # the address is a question
        href = pages[1].locator("a.movrec-link[href^='?']").get_attribute("href")
        pages[1].goto(served.address + href)
        pages[1].locator(".movrec-card").first.wait_for(timeout=60_000)
        pages[0].context.close()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            third.goto(f"{served.address}?token={TOKEN}")
            if (
                third.locator(".movrec-example").count()
                or not third.get_by_text("2 people").count()
            ):
                break
            third.wait_for_timeout(1000)
        third.locator(".movrec-example").first.wait_for(timeout=60_000)
    own = served.address.removeprefix("http://")
    assert [
        url
        for url in asked
        if not url.startswith((f"http://{own}", f"ws://{own}", "data:", "blob:"))
    ] == []
    assert errors == [[], []]
    assert "Traceback" not in served.log.read_text(encoding="utf-8") and left_by(served) == []
    assert not any(
        path.read_text() for path in Path(f"/proc/{served.process.pid}/task").glob("*/children")
    )


@linux
@pytest.mark.slow
def test_strangers_and_files_stay_outside_the_room(served):
    status, text, _ = get(served.address)
    assert status == 403 and "?token=" in text
    cookie = get(f"{served.address}?token={TOKEN}")[2]["Set-Cookie"].split(";")[0]
    deadline = (
        time.monotonic() + 60
    )  # a browser that is gone without a goodbye keeps its seat for a while
    while (answer := get(served.address, Cookie=cookie))[0] == 503 and time.monotonic() < deadline:
        time.sleep(1)
    status, text, headers = answer
    assert status == 200 and "<title>movrec</title>" in text and "not this" not in text
    assert (
        "HttpOnly" in headers["Set-Cookie"]
        and "frame-ancestors" in headers["Content-Security-Policy"]
    )
    assert not re.search(r'(?:src|href)="https?:(?!//solara.dev")', text)
    for path in ("resourcez", "readyz", "api/contents", "api/kernels", "jupyter/api/kernels/1", "static/public/log",
                 "static/../app.py", "static/%2e%2e/app.py", "_solara/cdn/echarts@5.4.0/package.json", "log",
                 "_solara/cdn/../../../etc/passwd", "_solara/api/evict/1", "jupyter/nbextensions/x.js"):  # fmt: skip
        status, text, _ = get(served.address + path, Cookie=cookie, X_Script_Name="/elsewhere")
        assert status in (403, 404, 405) and TOKEN not in text and "Traceback" not in text, path
    assert get(f"{served.address}_solara/api/close/1?session_id=x", "POST", Cookie=cookie)[0] == 200
    assert TOKEN not in Path(f"/proc/{served.process.pid}/cmdline").read_text()
    assert left_by(served) == []


@linux
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_room_leaves_nothing_behind_whatever_ends_it(small_model, tmp_path, number):
    needs_the_room()
    folders = [tmp_path / name for name in ("aside", "home", "here")]
    for folder in folders:
        folder.mkdir()
    port, log = check_page("localhost", 0), tmp_path / "log"
    where = {"TMPDIR": str(folders[0]), "HOME": str(folders[1])}
    command, address = command_for(small_model, port), f"http://localhost:{port}/"
    with helpers.server(command, address, log, cwd=folders[2], extra_environment=where) as process:
        process.send_signal(number)
        code = process.wait(timeout=30)
        assert code == (0 if number != signal.SIGKILL else -number)
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    assert [path for folder in folders for path in folder.iterdir()] == []
    assert "Traceback" not in log.read_text(encoding="utf-8")


COMING_AND_GOING = """
import asyncio, gc, json, sys, threading, time, weakref
import uvicorn
from movrec.recommend import Recommender
from movrec.workings import room
from movrec.workings.gate import Gate
from websockets.asyncio.client import connect

recommender = Recommender.open(sys.argv[1])
_ = recommender.text_model
application = room.room_application(lambda address: room.make_box(recommender, address), Gate("localhost"), 30)
from solara.server import kernel_context, settings
settings.kernel.cull_timeout = "0s"
server = uvicorn.Server(uvicorn.Config(application, "localhost", int(sys.argv[2]), **room._UVICORN))
threading.Thread(target=server.run, daemon=True).start()
while not server.started:
    time.sleep(0.05)

def message(kind, **content):
    header = {"msg_id": kind, "msg_type": kind, "username": "", "session": "s", "version": "5.3", "date": "2026-01-01T00:00:00Z"}
    return json.dumps({"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "content": content, "buffers": []})

async def visit(number, goodbye):
    async with connect(f"ws://localhost:{sys.argv[2]}/jupyter/api/kernels/k{number}/channels?session_id=p", max_size=None) as socket:
        code = f"open({sys.argv[3]!r}, 'w').close()"
        await socket.send(message("execute_request", code=code, silent=False))
        await socket.send(message("comm_open", comm_id="c", target_name="solara.control", data={}))
        run = {"method": "run", "args": {"path": "/?film=862", "dark": False, "themes": {}}}
        await socket.send(message("comm_msg", comm_id="c", data=run))
        cards = 0
        while True:
            text = await asyncio.wait_for(socket.recv(), 60)
            cards += "Same series" in str(text)
            if "finished" in str(text) or cards:
                break
        await asyncio.sleep(1)

seen = []
async def all_of_them():
    for wave in range(3):
        await asyncio.gather(*(visit(f"{wave}-{n}", n % 2) for n in range(3)))

async def watch():
    task = asyncio.create_task(all_of_them())
    while not task.done():
        for context in list(kernel_context.contexts.values()):
            if not any(ref() is context for ref in seen):
                seen.append(weakref.ref(context))
            context = None
        await asyncio.sleep(0.02)
    await task

asyncio.run(watch())
deadline = time.monotonic() + 30
while time.monotonic() < deadline and (kernel_context.contexts or any(ref() for ref in seen)):
    time.sleep(0.5)
    gc.collect()
names = [thread.name for thread in threading.enumerate()]
print(json.dumps({"seen": len(seen), "alive": sum(ref() is not None for ref in seen), "there": len(kernel_context.contexts),
                  "boxes": sum("SearchBox" == type(o).__name__ for o in gc.get_objects()),
                  "threads": sum("movrec" in name for name in names)}))
"""


@linux
@pytest.mark.slow
def test_of_visitors_who_have_gone_nothing_is_kept(small_model, tmp_path):
    needs_the_room()
    port = check_page("localhost", 0)
    done = subprocess.run(
        [sys.executable, "-c", COMING_AND_GOING, str(small_model), str(port), str(tmp_path / "written")],
        cwd=tmp_path, env=helpers.environment(), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {"seen": 9, "alive": 0, "there": 0, "boxes": 0, "threads": 0}
    assert not (tmp_path / "written").exists()

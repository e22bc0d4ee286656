"""30 views of the page of `movrec app`: who leaves says goodbye, or does not, or is another site's picture.

Counted is whether each view was shown or told that there is no room, whether there were ever more processes than
visitors, and whether all of them, the port and the folder are gone when the visitors and then the page have gone.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from common import Tally, run, small_model
from sizes import in_time

START = [sys.executable, "-c", "import sys; from movrec.cli import main; sys.exit(main())"]
VISITORS = 3
LEAVES = 150  # seconds within which processes have to end, on a busy machine


def ask(address, method="GET", **headers):
    """The status and the text of an answer."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def children(pid):
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for path in listed for child in path.read_text().split()]


def comes_true(what, seconds=LEAVES):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.5)
    return False


def view(address, number, voila, tally):
    """Look at the page once, and leave."""
    if number % 3 == 2:  # six pictures on a page elsewhere
        before = children(voila)
        for _ in range(6):
            ask(address, Sec_Fetch_Dest="image", Sec_Fetch_Site="cross-site")
        more = set(children(voila)) - set(before)
        tally.add("pictures elsewhere", more and f"view {number}: {len(more)} processes began")
        return
    status, text = ask(address)
    if status == 200 and (kernel := re.search(r'"kernelId"[^0-9a-f]*([0-9a-f-]{36})', text)):
        said = "shown"
        if number % 3 == 0:
            goodbye = f"{address}voila/api/shutdown/{kernel[1]}"
            status, _ = ask(goodbye, "POST", Origin=address.rstrip("/"))
            said = "shown, and left with a goodbye"
            if status != 204:
                tally.add("FAULT at goodbye", f"view {number}: {status}")
        tally.add(said)
    elif status == 503:
        tally.add("no room")
    else:
        tally.add("FAULT", f"view {number}: {status} {text[:100]}")
    if len(children(voila)) > VISITORS:
        tally.add("FAULT too many", f"view {number}: {len(children(voila))} processes")


def main(share=1.0):
    if sys.platform != "linux":
        sys.exit("This campaign needs Linux: it looks into /proc.")
    from movrec.workings.serve import check_page

    tally = Tally()
    with small_model() as model, tempfile.TemporaryDirectory() as aside:
        port = check_page("localhost", 0)
        address = f"http://localhost:{port}/"
        command = [*START, "app", "--model", str(model), "--no-browser", "--port", str(port)]
        command += ["--visitors", str(VISITORS)]
        with open(Path(aside) / "log", "w") as log:
            page = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "TMPDIR": aside}
            )
        try:

            def answers():
                try:
                    return ask(f"{address}voila/static/none")[0] in (403, 404)
                except OSError:
                    return False

            assert comes_true(answers), "the page did not begin"
            [voila] = children(page.pid)
            for number in in_time(range(max(3, round(30 * share)))):
                view(address, number, voila, tally)
                if number % 6 == 5:
                    gone = comes_true(lambda: not children(voila))
                    tally.add(
                        "nobody is left", "" if gone else f"{children(voila)} after view {number}"
                    )
            if not comes_true(lambda: not children(voila)):
                tally.add("FAULT left", f"processes {children(voila)}")
        finally:
            page.send_signal(signal.SIGTERM)
            page.wait(60)
        left = [name for name in os.listdir(aside) if name != "log"]
        if left or not comes_true(lambda: not Path(f"/proc/{voila}").exists(), 30):
            tally.add("FAULT left", f"{left}, process {voila}")
    return tally.show()


if __name__ == "__main__":
    run(main, __doc__)

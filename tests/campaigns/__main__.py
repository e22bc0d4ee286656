"""Long campaigns: thousands of odd questions, files and moments, and what came of them.

`python tests/campaigns questions --share 0.1` runs a tenth of one. Each is a script beside this one and a process
of its own; it prints its counts, and a fault in a line of its own, with what brings it back. `--seconds 600` lets
each begin nothing more after so many seconds, and count what it has done.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

from sizes import add_sizes

CAMPAIGNS = {
    "add": ["kills.py", "add"],
    "build": ["kills.py", "build"],
    "resume": ["kills.py", "resume"],
    "delete": ["kills.py", "delete"],
    "update": ["kills.py", "update"],
    "restore": ["kills.py", "restore"],
    "optimize": ["kills.py", "optimize"],
    "interleaved": ["interleaved.py"],
    "hostile_parts": ["hostile_parts.py"],
    "bit_flips": ["bit_flips.py"],
    "files": ["files.py"],
    "questions": ["questions.py"],
    "long_run": ["long_run.py"],
    "page_views": ["page_views.py"],
}


def run():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CAMPAIGNS)}")
    add_sizes(parser)
    chosen = parser.parse_args()
    if unknown := sorted({*chosen.names} - {*CAMPAIGNS}):
        parser.error(f"there is no campaign {unknown[0]}: choose from {', '.join(CAMPAIGNS)}")
    path = os.pathsep.join(filter(None, [str(FOLDER.parents[1]), os.environ.get("PYTHONPATH")]))
    faulty = []
    for name in chosen.names or CAMPAIGNS:
        print(f"==> {name}", flush=True)
        script, *arguments = CAMPAIGNS[name]
        command = [sys.executable, FOLDER / script, *arguments, "--share", str(chosen.share)]
        command += [] if chosen.seconds is None else ["--seconds", str(chosen.seconds)]
        start = time.monotonic()
        if subprocess.run(command, env={**os.environ, "PYTHONPATH": path}).returncode:
            faulty.append(name)
        print(f"    {time.monotonic() - start:.0f} s", flush=True)
    print(f"Faults in: {', '.join(faulty)}" if faulty else "No faults", flush=True)
    return bool(faulty)


if __name__ == "__main__":
    sys.exit(run())

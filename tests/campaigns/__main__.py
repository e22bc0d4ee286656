"""Long campaigns: thousands of odd questions, files and moments, and what came of them.

`python tests/campaigns questions --share 0.1` runs a tenth of one. Each has a function `main(share)` that
returns how many faults it found and prints its counts; a fault is also told in a line of its own, with
what brings it back. The scripts about model folders beside them are started one by one.
"""

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1]), str(FOLDER.parent)]
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(FOLDER.parents[1]), os.environ.get("PYTHONPATH")])
)
NAMES = ["files", "questions"]


def run():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument("--share", type=float, default=1.0, help="of the counts; 1 is all")
    chosen = parser.parse_args()
    if unknown := sorted({*chosen.names} - {*NAMES}):
        parser.error(f"there is no campaign {unknown[0]}: choose from {', '.join(NAMES)}")
    faults = 0
    for name in chosen.names or NAMES:
        start = time.monotonic()
        print(f"==> {name}", flush=True)
        found = importlib.import_module(name).main(chosen.share)
        print(f"    {found} faults in {time.monotonic() - start:.0f} s", flush=True)
        faults += found
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(run())

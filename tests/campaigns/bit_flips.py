"""Flip every bit of a model's manifest, one at a time: is each noticed, in one sentence?

python tests/campaigns/bit_flips.py [--every N]
"""

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import sizes
import small

from movrec.workings.manifest import parse_manifest


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="flip one bit of so many")
    sizes.add_sizes(parser, "bits")
    options = parser.parse_args()
    sizes.begin(options)
    every = max(options.every, round(1 / options.share))
    tally, started = collections.Counter(), time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "model"
        small.build(folder)
        content = (folder / "manifest.json").read_bytes()
        for number in sizes.in_time(range(0, 8 * len(content), every)):
            place, bit = divmod(number, 8)
            changed = content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
            (folder / "manifest.json").write_bytes(changed)
            try:
                parse_manifest(folder)
                outcome = "UNNOTICED"
            except BaseException as error:
                outcome = "noticed" if small.is_one_sentence(error) else "FAULT"
            tally[outcome] += 1
            if outcome != "noticed":
                print(f"bit {bit} of byte {place}: {outcome}", flush=True)
    n, took = sum(tally.values()), time.monotonic() - started
    print(f"bit flips: {n} tried, {dict(tally)}, {took:.0f} s")
    return n != tally["noticed"]


if __name__ == "__main__":
    sys.exit(main())

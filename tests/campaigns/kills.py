"""Kill, or starve of disk, processes that add films to a model or build one over it.

    python tests/campaigns/kills.py add|build [--exact N] [--random N] [--full N] [--broken N]

After each try somebody else opens the model, asks it, does the same again and opens it once more. Counted is whether
the model was the old or the new one, whole, each time, and whether every error was told in one sentence.
"""

import argparse
import collections
import errno
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import faults

faults.preload(__name__)

import sizes
import small

from movrec import Recommender


def adding(model):
    return lambda: Recommender.open(model).add(small.films(100, 102))


def building(model):
    return lambda: len(small.build(model, 50, 92, seed=2).films)


def looked_at(model, act):
    """Open a model that something has happened to, and use it as a person would."""
    logging_off()
    seen = []
    opened = Recommender.open(model)
    small.asked(opened)
    seen.append(len(opened.films))
    said = faults.told(act)
    seen.append(said[0] if "already" not in str(said[1]) else "there already")
    opened = Recommender.open(model)
    first = int(opened.films["id"].iloc[0])
    opened.recommend(first, k=3)
    seen.append(len(opened.films))
    unlisted = [p.name for p in model.rglob("*") if p.name.endswith((".part", ".lock"))]
    left = sorted(p for p in os.listdir(model.parent) if p != model.name)
    return [*seen, len(unlisted) + len(left)]


def logging_off():
    import logging

    logging.disable(logging.CRITICAL)


def trials(options, total, seconds):
    rng = random.Random(options.seed)
    span = range(1, total + 1)
    points = list(span) if options.exact >= total else sorted(rng.sample(span, options.exact))
    while len(points) < options.exact and options.again:
        points += list(span)[: options.exact - len(points)]
    for at in points:
        yield "kill", {"how": faults.KILL, "at": at}, None
    for _ in range(options.random):
        yield "random kill", {}, rng.random() * seconds
    for at in sorted(rng.choices(span, k=options.full)):
        yield "full disk", {"how": faults.FAIL, "at": at, "error": errno.ENOSPC, "keep": True}, None
    for at in sorted(rng.choices(span, k=options.broken)):
        yield "failed write", {"how": faults.FAIL, "at": at, "error": errno.EIO}, None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("act", choices=["add", "build"])
    for name, count in (("exact", 250), ("random", 250), ("full", 60), ("broken", 60), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--again", action="store_true", help="go through the exact points again")
    sizes.add_sizes(parser)
    options = parser.parse_args()
    for name in ("exact", "random", "full", "broken"):
        setattr(options, name, round(options.share * getattr(options, name)))
    sizes.begin(options)
    faults.import_all()
    tally, faulty, started = collections.Counter(), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        base, model = Path(home) / "base", Path(home) / "work" / "model"
        assert faults.run(lambda: len(small.build(base).films))[0] == "ok"
        act = (adding if options.act == "add" else building)(model)

        def fresh():
            shutil.rmtree(model.parent, ignore_errors=True)
            shutil.copytree(base, model)

        fresh()
        begun = time.monotonic()
        said, n_films, total = faults.run(act)
        seconds = time.monotonic() - begun
        print(f"{options.act}: {said}, {total} changes of files, {seconds:.1f} s", flush=True)
        old, new = 40, 42
        tries = list(trials(options, total, seconds))
        random.Random(options.seed).shuffle(tries)  # some of each kind, if there is no time for all
        for kind, how, after in sizes.in_time(tries):
            fresh()
            child = faults.Child(act, **how)
            came = child.end(kill_after=after)
            look = faults.run(lambda: looked_at(model, act))
            well = (
                came[0] in {"ok", "refused", "killed"}
                and look[0] == "ok"
                and look[1][0] in {old, new}
                and look[1][1] in {"ok", "there already"}
                and look[1][2] == new
                and look[1][3] == 0
                and (look[1][0] == new or came[0] != "ok")
            )
            which = "the new model" if look[0] == "ok" and look[1][0] == new else "the old model"
            tally[kind, came[0], which if well else "FAULT"] += 1
            if not well:
                faulty += 1
                print(kind, how, after, came, look, flush=True)
    for (kind, came, which), n in sorted(tally.items()):
        print(f"{n:5} {kind:12} {came:8} then {which}")
    n, took = sum(tally.values()), time.monotonic() - started
    print(f"{options.act}: {n} tries, {faulty} faults, {took:.0f} s")
    return bool(faulty)


if __name__ == "__main__":
    sys.exit(main())

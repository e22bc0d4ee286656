"""Two who write to one place: one stops at each of its changes, the other does its work, the first goes on.

    python tests/campaigns/interleaved.py [--each N]

Pairs: two who add (other films, the same films), a build and an add, an add and a build, two builds, a build and somebody
who opens, an add and somebody who opens, two exports to one file. Counted is whether what lies there at the end is whole,
whether it holds what both were told, and whether every error was told in one sentence.
"""

import argparse
import collections
import hashlib
import os
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
from movrec.workings import locks


def add(model, first, last):
    return lambda: Recommender.open(model).add(small.films(first, last))


def build(model, first, last):
    return lambda: len(small.build(model, first, last, seed=2).films)


def look(model):
    opened = Recommender.open(model)
    small.asked(opened)
    ids = opened.films["id"]
    left = [name for name in os.listdir(model.parent) if name not in {model.name, "x.csv"}]
    left += [path.name for path in model.rglob("*.lock")]
    return {
        "films": len(ids),
        "twice": int(ids.duplicated().sum()),
        "added": opened.manifest.get("added", 0),
        "fits": opened.manifest["films"] == len(ids) == opened.store.table.count_rows(),
        "left": left,
    }


def pairs(model):
    """Name, the first, the second, and how many films there are by what each was told."""

    def after_adds(one, two):
        return {40 + 2 * (one == "ok") + 2 * (two == "ok")}

    def after_build_and_add(one, two):
        return {30, 32} if one == "ok" else {40 + 2 * (two == "ok")}

    def after_add_and_build(one, two):
        return {30, 32} if two == "ok" else {40 + 2 * (one == "ok")}

    def after_builds(one, two):
        return ({30} if one == "ok" else set()) | ({35} if two == "ok" else set())

    yield "two who add", add(model, 100, 102), add(model, 102, 104), after_adds
    yield "two who add the same", add(model, 100, 102), add(model, 100, 102), after_adds
    yield "a build and an add", build(model, 0, 30), add(model, 100, 102), after_build_and_add
    yield "an add and a build", add(model, 100, 102), build(model, 0, 30), after_add_and_build
    yield "two builds", build(model, 0, 30), build(model, 0, 35), after_builds
    opens = lambda: len(Recommender.open(model).films)  # noqa: E731
    yield "a build and an open", build(model, 0, 30), opens, lambda one, two: {30}
    yield "an add and an open", add(model, 100, 102), opens, lambda one, two: {42}


def interleave(first, second, at):
    """Stop one at its Nth change, let the other do its work, let the first go on."""
    one = faults.Child(first, how=faults.STOP, at=at)
    if not one.is_stopped():
        return one.end(), None
    two = faults.run(second)
    return one.end(), two


def points(total, n):
    """Where to stop: everywhere, or at so many places, the last ones among them."""
    if total <= n:
        return list(range(1, total + 1))
    late = range(max(1, total - n // 2), total + 1)
    early = range(1, total - n // 2, max(1, (total - n // 2) // (n - len(late) + 1)))
    return sorted({*late, *list(early)[: n - len(late)]})


def models(home, each):
    base, model = home / "base", home / "work" / "model"
    assert faults.run(lambda: len(small.build(base).films))[0] == "ok"
    for name, first, second, expected in pairs(model):

        def fresh():
            shutil.rmtree(model.parent, ignore_errors=True)
            shutil.copytree(base, model)

        fresh()
        total = faults.run(first)[2]
        for at in points(total, each):
            fresh()
            one, two = interleave(first, second, at)
            if two is None:
                continue
            there = faults.run(lambda: look(model))
            well = (
                {one[0], two[0]} <= {"ok", "refused"}
                and there[0] == "ok"
                and there[1]["films"] in expected(one[0], two[0])
                and there[1]["fits"]
                and not there[1]["twice"]
                and not there[1]["left"]
                and "ok" in {one[0], two[0]}
            )
            yield name, f"{one[0]}, {two[0]}", well, (at, one, two, there)


def exports(home, each):
    base, path = home / "base", home / "work" / "x.csv"

    def export(k):
        return lambda: str(Recommender.open(base).export_recommendations(path, k))

    def digest():
        return hashlib.sha256(path.read_bytes()).hexdigest()

    whole = []
    for k in (5, 3):
        total = faults.run(export(k))[2]
        whole.append(digest())
    for at in points(total, each):
        path.unlink(missing_ok=True)
        one, two = interleave(export(5), export(3), at)
        if two is None:
            continue
        said = [one[0], two[0]]
        allowed = {d for d, s in zip(whole, said) if s == "ok"}
        left = [name for name in os.listdir(path.parent) if name.startswith(".")]
        well = set(said) <= {"ok", "refused"} and digest() in allowed and not left
        yield "two exports", ", ".join(said), well, (at, one, two, left)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=60, help="interleavings of each pair")
    sizes.add_sizes(parser)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    sizes.begin(options)
    faults.import_all()
    locks.LOCK_TIMEOUT = 1.0  # seconds: the first one does not move meanwhile
    each = max(1, round(options.share * options.each))
    tally, faulty, started = collections.Counter(), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "work").mkdir()
        for tries in (models, exports):
            for name, said, well, details in sizes.in_time(tries(Path(home), each)):
                if options.verbose:
                    print(name, *details, flush=True)
                tally[name, said, "well" if well else "FAULT"] += 1
                if not well:
                    faulty += 1
                    print(name, *details, flush=True)
    for (name, said, which), n in sorted(tally.items()):
        print(f"{n:5} {name:22} {said:18} {which}")
    print(
        f"interleaved: {sum(tally.values())} tries, {faulty} faults, {time.monotonic() - started:.0f} s"
    )
    return bool(faulty)


if __name__ == "__main__":
    sys.exit(main())

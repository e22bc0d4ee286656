"""Kill, or starve of disk, processes that change a model or build one over it.

    python tests/campaigns/kills.py ACT [--exact N] [--random N] [--full N] [--broken N]

ACT is add, build, resume, delete, update, optimize or restore. After each try somebody else opens the model, asks it, does the
same again and opens it once more; a build that is gone on with (resume) has to come out as one in one go. Counted is whether the model was the old or the new one, whole, each time, and whether
every error was told in one sentence.
"""

import argparse
import collections
import errno
import hashlib
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

import pandas as pd
import sizes
import small

from movrec import Recommender


def adding(model):
    return lambda: Recommender.open(model).add(small.films(100, 102))


def building(model):
    return lambda: len(small.build(model, 50, 92, seed=2).films)


def resuming(model):
    from movrec.workings import build, jobs

    def act():
        jobs.BATCH, build.CHUNK = 10, 20
        return len(small.build(model, 50, 92, seed=2, resume=True, train_size=30).films)

    return act


def deleting(model):
    return lambda: Recommender.open(model).delete(small.films(5, 7)["id"].tolist())


def updating(model):
    new = {"id": small.films(5, 7)["id"].tolist(), "overview": ["A ship sinks.", "A dog waits."]}
    return lambda: Recommender.open(model).update(pd.DataFrame(new))


def restoring(model):
    return lambda: Recommender.open(model).restore("built")


def optimizing(model):
    return lambda: [*Recommender.open(model).optimize(keep=1).cleaned]


def prepare(model):
    """Give a model a past: a tag, films that were added, and others that were deleted."""
    opened = Recommender.open(model)
    opened.tag("built")
    opened.add(small.films(200, 203))
    opened.delete(small.films(0, 6)["id"].tolist())
    opened.update(pd.DataFrame({"id": small.films(10, 20)["id"], "vote_count": range(10)}))
    return len(opened.films)


ACTS = {
    "add": adding,
    "build": building,
    "resume": resuming,
    "delete": deleting,
    "update": updating,
    "restore": restoring,
    "optimize": optimizing,
}
WITH_A_PAST = {"restore", "optimize"}


def state(opened):
    """What tells the old model from the new one: its films, what was learned, and which versions it has."""
    plots = hashlib.sha256(opened.films.sort_values("id")[["id", "overview"]].to_csv().encode())
    plots.update(opened.store.vectors("joined").tobytes())
    files = opened.manifest["files"]
    learned = sorted(files[name]["sha256"] for name in files if name.endswith("arrays.safetensors"))
    plots.update("".join(learned).encode())
    there = opened.history().query("can_be_opened")["version"]
    return [len(opened.films), plots.hexdigest()[:8], len(there) if len(there) < 5 else 5]


def looked_at(model, act, name):
    """Open a model that something has happened to, and use it as a person would."""
    logging_off()
    seen = []
    opened = Recommender.open(model)
    small.asked(opened)
    for version in opened.history().query("can_be_opened")["version"]:
        Recommender.open(model, int(version))
    seen.append(state(opened)[: 3 if name == "optimize" else 2])
    said = faults.told(act)
    there_already = "already" in str(said[1]) or "not in the catalogue" in str(said[1])
    seen.append(said[0] if not there_already else "there already")
    opened = Recommender.open(model)
    first = int(opened.films["id"].iloc[0])
    opened.recommend(first, k=3)
    seen.append(state(opened)[: 3 if name == "optimize" else 2])
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
    parser.add_argument("act", choices=[*ACTS])
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
        if options.act in WITH_A_PAST:
            assert faults.run(lambda: prepare(base))[0] == "ok"
        act = ACTS[options.act](model)

        def fresh():
            shutil.rmtree(model.parent, ignore_errors=True)
            shutil.copytree(base, model)

        fresh()
        old = faults.run(lambda: looked_at(model, lambda: None, options.act))[1][0]
        begun = time.monotonic()
        said, n_films, total = faults.run(act)
        seconds = time.monotonic() - begun
        print(f"{options.act}: {said}, {total} changes of files, {seconds:.1f} s", flush=True)
        new = faults.run(lambda: looked_at(model, lambda: None, options.act))[1][0]
        assert old != new, (old, new)
        tries = list(trials(options, total, seconds))
        random.Random(options.seed).shuffle(tries)  # some of each kind, if there is no time for all
        for kind, how, after in sizes.in_time(tries):
            fresh()
            child = faults.Child(act, **how)
            came = child.end(kill_after=after)
            look = faults.run(lambda: looked_at(model, act, options.act))
            well = (
                came[0] in {"ok", "refused", "killed"}
                and look[0] == "ok"
                and look[1][0] in [old, new]
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

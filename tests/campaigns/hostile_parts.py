"""Model folders with fitting checksums whose parts have been changed by somebody who means harm.

Each change is made to a copy of a small model, which is then opened and asked. Counted is what comes of it: refused
in one sentence, answered, or a fault: another exception, more than 20 seconds, more memory than there is.

    python tests/campaigns/hostile_parts.py [--every N]
"""

import argparse
import collections
import copy
import json
import logging
import resource
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np
import sizes
from safetensors import SafetensorError
from safetensors.numpy import save_file
from small import asked, build, change_part, is_one_sentence, with_fitting_checksums

from movrec import QueryError, Recommender
from movrec.workings import compared
from movrec.workings.key_tables import map_arrays

PARTS = ("embedder", "classifier", "space", "terms", "words", "reader")
BESIDE = {
    "titles": "_titles",
    "vectors": "_vectors",
}  # no parts, but files of arrays beside the table
DEEP = json.loads("[" * 400 + "]" * 400)
VALUES = [
    None, -1, 0, 1, True, float("inf"), float("nan"), -1e308, 10**12, 10**30, "", "x", "\x1b[31mred", "é" * 3,
    [], {}, [None], {"a": 1}, DEEP,
]  # fmt: skip
SEEN_ARRAYS = (
    "0.1.weight",
    "0.1.bias",
    "0.2.running_var",
    "0.2.num_batches_tracked",
    "mean",
    "scale",
)


def leaves(value, path=()):
    """The paths of all that can be changed in a description; of long lists the two ends."""
    yield path
    if isinstance(value, dict):
        for key in list(value)[:40]:
            yield from leaves(value[key], (*path, key))
    elif isinstance(value, list) and value:
        for place in sorted({0, len(value) - 1}):
            yield from leaves(value[place], (*path, place))


def put(description, path, value):
    for step in path[:-1]:
        description = description[step]
    description[path[-1]] = copy.deepcopy(value)


def take(description, path):
    for step in path:
        description = description[step]
    return description


def description_changes(description):
    for path in leaves(description):
        if not path:
            continue
        old = take(description, path)
        for value in VALUES:
            yield f"{path} = {str(value)[:20]!r}", lambda d, a, p=path, v=value: put(d, p, v)
        yield f"{path} gone", lambda d, a, p=path: take(d, p[:-1]).__delitem__(p[-1])
        if isinstance(old, list) and old:
            yield f"{path} twice", lambda d, a, p=path, o=old: put(d, p, o + o)
            yield f"{path} backwards", lambda d, a, p=path, o=old: put(d, p, o[::-1])
            yield f"{path} shorter", lambda d, a, p=path, o=old: put(d, p, o[:-1])


def array_changes(arrays):
    for name in arrays:
        if name[0].isdigit() and name not in SEEN_ARRAYS:
            continue
        ways = {
            "gone": lambda a, n: a.pop(n),
            "another name": lambda a, n: a.update({f"{n}x": a.pop(n)}),
            "flat": lambda a, n: a.update({n: a[n].ravel()}),
            "one more axis": lambda a, n: a.update({n: a[n][np.newaxis]}),
            "shorter": lambda a, n: a.update({n: a[n][:-1] if a[n].ndim else a[n].ravel()}),
            "longer": lambda a, n: a.update({n: np.concatenate([np.atleast_1d(a[n])] * 2)}),
            "empty": lambda a, n: a.update({n: a[n].ravel()[:0]}),
            "no rows, very wide": lambda a, n: a.update({n: np.empty((0, 10**12), np.uint8)}),
            "very long, no columns": lambda a, n: a.update({n: np.empty((10**12, 0), np.uint8)}),
            "turned": lambda a, n: a.update({n: np.ascontiguousarray(a[n].T)}),
            "bool": lambda a, n: a.update({n: a[n].astype(bool)}),
            "int64": lambda a, n: a.update({n: a[n].astype(np.int64)}),
            "float64": lambda a, n: a.update({n: a[n].astype(np.float64)}),
            "float16": lambda a, n: a.update({n: a[n].astype(np.float16)}),
            "not a number": lambda a, n: a.update(
                {n: np.full_like(a[n], np.nan, dtype=np.float32)}
            ),
            "infinite": lambda a, n: a.update({n: np.full_like(a[n], np.inf, dtype=np.float32)}),
            "largest": lambda a, n: a.update({n: np.full_like(a[n], _largest(a[n].dtype))}),
            "smallest": lambda a, n: a.update({n: np.full_like(a[n], _smallest(a[n].dtype))}),
            "zeros": lambda a, n: a.update({n: np.zeros_like(a[n])}),
            "text": lambda a, n: a.update({n: np.frombuffer(b'{"a":' * 3000, np.uint8).copy()}),
        }
        for how, way in ways.items():
            yield f"{name} {how}", lambda d, a, n=name, w=way: w(a, n)


def _largest(dtype):
    return (np.finfo if dtype.kind == "f" else np.iinfo)(dtype).max


def _smallest(dtype):
    return (np.finfo if dtype.kind == "f" else np.iinfo)(dtype).min


def changes(base):
    """All changes: the part, what is done to it in words, and the function that does it."""
    for part in PARTS:
        kept = {}
        change_part(base / part, lambda d, a, kept=kept: kept.update(d=copy.deepcopy(d), a=dict(a)))
        for label, change in [*description_changes(kept["d"]), *array_changes(kept["a"])]:
            yield part, label, change
    for part in BESIDE:
        said, arrays = map_arrays(file_beside(base, part))
        for label, change in [
            *description_changes(said),
            *array_changes(arrays),
            *byte_changes(arrays),
        ]:
            yield part, label, change


def file_beside(folder, part):
    return next((folder / "films.lance" / BESIDE[part]).glob("*.safetensors"))


def build_with_all(folder):
    """Build a model whose films are too many to be kept in memory, as it were."""
    compared.MOST_BYTES = 0
    build(folder)


def byte_changes(arrays):
    """Text that is no text, and numbers in another order."""
    for name, array in arrays.items():
        if array.dtype == np.uint8:
            yield f"{name} no UTF-8", lambda d, a, n=name: a.update({n: np.full_like(a[n], 0xFF)})
        yield f"{name} backwards", lambda d, a, n=name: a.update({n: a[n][::-1].copy()})


def change_beside(folder, part, change):
    file = file_beside(folder, part)
    said, arrays = map_arrays(file)
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(said, arrays)
    said = {str(name): str(text) for name, text in said.items()}
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, file, said)


def asked_for_titles(recommender):
    """Look titles up in every way."""
    title = str(recommender.films["title"].iloc[0])
    for typed in (title, title[:3], title[:-1] + "x", "allien", "star", "2", "é", "die hard 3"):
        recommender.suggest(typed)
        with suppress(QueryError):
            recommender.find(typed)


class TooLong(BaseException):
    pass


def too_long(*_):
    raise TooLong


def what_comes_of(folder, part):
    signal.alarm(20)
    try:
        (asked_for_titles if part == "titles" else asked)(Recommender.open(folder))
        return "answered", ""
    except TooLong:
        return "FAULT", "more than 20 seconds"
    except BaseException as error:
        kind = "refused" if is_one_sentence(error) else "FAULT"
        return kind, f"{type(error).__name__}: {str(error)[:160]!r}"
    finally:
        signal.alarm(0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="try one change of so many")
    sizes.add_sizes(parser, "changes")
    parser.add_argument("--part", choices=[*PARTS, *BESIDE])
    options = parser.parse_args()
    sizes.begin(options)
    every = max(options.every, round(1 / options.share))
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, too_long)
    tally, started = collections.Counter(), time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        base, tried = Path(home) / "base", Path(home) / "tried"
        build_with_all(base)
        asked(Recommender.open(base))  # everything is imported by now
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        resource.setrlimit(resource.RLIMIT_AS, (used + 12 * 2**30, resource.RLIM_INFINITY))
        for number, (part, label, change) in sizes.in_time(enumerate(changes(base))):
            if number % every or (options.part and part != options.part):
                continue
            shutil.rmtree(tried, ignore_errors=True)
            shutil.copytree(base, tried)
            try:
                if part in BESIDE:
                    change_beside(tried, part, change)
                else:
                    change_part(tried / part, change)
            except (ValueError, TypeError, KeyError, SafetensorError):
                continue  # it cannot be written down
            with_fitting_checksums(tried)
            outcome, said = what_comes_of(tried, part)
            tally[outcome] += 1
            if outcome == "FAULT":
                print(f"{part} {label}: {said}", flush=True)
    print(
        f"hostile parts: {sum(tally.values())} tried, {dict(tally)} in {time.monotonic() - started:.0f} s"
    )
    return bool(tally["FAULT"])


if __name__ == "__main__":
    sys.exit(main())

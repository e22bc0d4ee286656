"""What several campaigns share: a small model, and counts."""

import argparse
import collections
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

from sizes import add_sizes, begin

os.environ.setdefault("OMP_NUM_THREADS", "1")


def build(path, n_films=300):
    """Build a model of a few films, in some seconds, and return its folder."""
    from movrec import Doc2VecEmbedder, GenreClassifier, Recommender, load_sample

    Recommender.build(
        load_sample().head(n_films),
        path,
        embedder=Doc2VecEmbedder(vector_size=20, epochs=3, min_count=1, progress=False),
        classifier=GenreClassifier(hidden=(8,), epochs=2, networks=1, progress=False),
        progress=False,
    )
    return Path(path)


@contextlib.contextmanager
def small_model(n_films=300):
    """A small model in a folder that is gone afterwards; MOVREC_CAMPAIGN_MODEL names one to use instead."""
    given = os.environ.get("MOVREC_CAMPAIGN_MODEL")
    with tempfile.TemporaryDirectory() as folder:
        yield Path(given) if given else build(Path(folder) / "model", n_films)


class Tally:
    """Counts of what came out, and the faults among them."""

    def __init__(self):
        self.counts = collections.Counter()
        self.faults = 0

    def add(self, outcome, fault=""):
        """Count an outcome; a fault is printed with what brings it back."""
        self.counts[outcome] += 1
        if fault:
            self.faults += 1
            if self.faults <= 40:
                print(f"    FAULT {outcome}: {fault}"[:400], flush=True)

    def show(self):
        """Print the counts, and return the number of faults."""
        for outcome, n in self.counts.most_common():
            print(f"    {n:7,} {outcome}")
        return self.faults


def run(main, description):
    """Run `main(share)` as a program; it returns the number of faults, and the program fails if there are any."""
    parser = argparse.ArgumentParser(description=description)
    add_sizes(parser)
    options = parser.parse_args()
    begin(options)
    start = time.monotonic()
    faults = main(options.share)
    print(f"    {faults} faults in {time.monotonic() - start:.0f} s", flush=True)
    sys.exit(bool(faults))

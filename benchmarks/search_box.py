"""How long the search box takes on the server side, from keystroke to widget update.

    python benchmarks/search_box.py [--films 45000]

The catalogue is synthetic: the sample's films over and over, each copy with a title, an overview and
genres mixed from two films, so that titles and words are as varied as they are in a large catalogue.
The vectors are random ones of the right size: the time of a search does not depend on their values.
The words are those of the sample, all of them, since a large catalogue has more words than a small.
The debouncing pause is not counted. Prints medians and 95th percentiles in milliseconds; exit code 1
if suggestions take 50 ms or more, misspelled ones too, or recommendations 150 ms or more, in the
median. The last lines tell how long LanceDB searches for, with the index on vectors and without.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from movrec.classifier import GenreClassifier
from movrec.doc2vec import Doc2VecEmbedder
from movrec.ingest import load_sample
from movrec.recommend import Recommender
from movrec.search_box import SearchBox
from movrec.store import FilmStore
from movrec.workings.film_map import film_map
from movrec.workings.model import Catalogue
from movrec.workings.question import FilmFilter

TYPED = [
    "t",
    "to",
    "toy",
    "toy s",
    "toy st",
    "hea",
    "matrx",
    "god fath",
    "the lo",
    "zzyzx",
    "star wa",
    "love",
]
TYPOS = [
    "matrx",
    "god fath",
    "zzyzx",
    "teh lord of the rings",
    "star wras",
    "inceptoin",
    "spiderman",
]
PLOT = (
    "A young wizard enters a school of magic and must fight the dark lord who murdered his parents."
)


def synthetic_films(n_films: int) -> pd.DataFrame:
    """A catalogue of n films made from the sample; the first are the sample itself."""
    sample = load_sample()
    if n_films <= len(sample):
        return sample.head(n_films)
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [np.arange(len(sample)), rng.integers(0, len(sample), n_films - len(sample))]
    )
    films = sample.iloc[rows].reset_index(drop=True)
    others = sample.iloc[rng.permutation(rows)].reset_index(drop=True)
    made = films.index >= len(sample)
    halves = (
        films["title"].str.split().str[:2].str.join(" ")
        + " "
        + others["title"].str.split().str[-2:].str.join(" ")
    )
    films.loc[made, "title"] = halves[made]
    films.loc[made, "overview"] = (
        films["overview"].str[:150] + " " + others["overview"].str[-150:]
    )[made]
    films["id"] = np.arange(1, n_films + 1)
    return films


def large_recommender(n_films: int, folder: Path) -> Recommender:
    """A recommender, trained on the sample alone, whose table is replaced by a large one."""
    films = synthetic_films(n_films)
    small = Recommender.build(
        films.head(4000),
        folder / "small",
        embedder=Doc2VecEmbedder(epochs=2, min_count=1, progress=False),
        classifier=GenreClassifier(epochs=2, progress=False),
        progress=False,
    )
    rng = np.random.default_rng(0)
    sizes = [small.store.vectors(space).shape[1] for space in ("document", "joined")]
    documents, joined = (rng.standard_normal((n_films, size), dtype=np.float32) for size in sizes)
    # Read the parts before the model's folder is another one.
    _ = small.embedder, small.classifier, small.text_model
    small.store = FilmStore.create(folder / "large", films, documents, joined)
    small.path = folder / "large"
    Catalogue.__init__(small, films)
    return small


def report(name: str, seconds: list[float], limit: float | None = None) -> bool:
    milliseconds = sorted(1000 * value for value in seconds)
    median = statistics.median(milliseconds)
    high = milliseconds[int(0.95 * (len(milliseconds) - 1))]
    bound = f"   (limit {limit:.0f})" if limit else ""
    print(f"{name:42} median {median:7.1f} ms   95 % {high:7.1f} ms{bound}", flush=True)
    return limit is None or median < limit


def measure(actions, box: SearchBox | None = None) -> list[float]:
    """Time each action; with a box, see to it that each leaves films on show."""
    taken = []
    for action in actions:
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
        if box is not None and len(box.results) == 0:
            raise SystemExit(f"nothing was recommended: {box.screen.status.value}")
    return taken


def print_searches(recommender: Recommender) -> None:
    """The search in LanceDB alone, with a filter of genres, side by side with what it would be."""
    store = recommender.store
    where = FilmFilter().sql(share_genres=["Comedy", "Drama"])
    vectors = store.vectors("joined", recommender.films["id"].sample(20, random_state=1))

    def read_from_files(vector: np.ndarray) -> None:
        query = store.table.search(vector, vector_column_name="vector").distance_type("cosine")
        query = query.bypass_vector_index().where(where, prefilter=True)
        query.select(["id", "_distance"]).limit(10).to_arrow()

    report("LanceDB alone", measure(lambda v=v: store.search(v, 10, where=where) for v in vectors))
    report("LanceDB alone, without index", measure(lambda v=v: read_from_files(v) for v in vectors))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=45_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recommender = large_recommender(arguments.films, Path(folder))
        print(
            f"{len(recommender.films):,} films, {recommender.films['title'].nunique():,} different titles"
        )
        box = SearchBox(recommender)

        def type_it(text: str) -> None:
            box.inputs.finder.field.value = text  # without an event loop the box answers at once

        ids = recommender.films["id"].sample(40, random_state=0)
        box.ask(int(ids.iloc[0]))
        ok = report(
            "suggestions, all keystrokes", measure(lambda t=t: type_it(t) for t in TYPED * 5), 50
        )
        misspelled = measure(lambda t=t: type_it(t) for t in TYPOS * 5)
        ok &= report("suggestions, misspelled", misspelled, 50)
        ok &= report(
            "recommendations for a film",
            measure((lambda i=i: box.ask(int(i)) for i in ids), box),
            150,
        )
        plots = [f"{PLOT} {number}" for number in range(20)]
        ok &= report(
            "genres and recommendations for a plot",
            measure((lambda p=p: box.describe(p) for p in plots), box),
            150,
        )
        box.filters.controls["years"].value = (1980, 2010)
        report(
            "recommendations, filtered by years",
            measure((lambda i=i: box.ask(int(i)) for i in ids), box),
        )
        box.filters.controls["diversity"].value = 0.7
        report("the same, diverse", measure((lambda i=i: box.ask(int(i)) for i in ids), box))
        print_searches(recommender)
        report("the map, made once", measure([lambda: film_map(recommender)]))
        report(
            "the map, shown from its file",
            measure([lambda: setattr(box.inputs.show_map, "value", True)]),
            2000,
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())

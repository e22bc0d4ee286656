"""How movrec grows with the catalogue: build, memory, disk, opening, answers, and what they are beside.

    python benchmarks/scale.py                              15,000, 45,000, 180,000 and a million films
    python benchmarks/scale.py --films 15000 45000
    python benchmarks/scale.py --films 45000 --only build   or: --only use, with the model of a run before
    python benchmarks/scale.py --plot growth.svg            a picture of the result; runs nothing
    python benchmarks/scale.py --markdown                   its table

The films are made from the sentences of a catalogue, that of `MOVREC_REAL_DATA` or `../shared/data`, or
the bundled sample: the title, the year, the genres and a sentence of one film, and as many more as it has
of others of its genre. They are as long as films are, and have as many words; what they tell is nonsense,
so nothing here says how good a recommendation is. Each size is built and asked in a process of its own.
The result is written when a size is done; a size that is in it already is measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
RESULT = ROOT / "benchmarks" / "scale.json"
SIZES = [15_000, 45_000, 180_000, 1_000_000]
# The published tutorial keeps a Python list of a dict a film, and makes a table of it for each call.
MOST_FOR_THE_TUTORIAL = 200_000
EXACT_ASKED = 20  # films whose ten are compared with those of a search of everything
PLOT = "A young {} leaves home, meets an old {} and must stop a {} before the city is destroyed."


def say(message: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {message}", file=sys.stderr, flush=True)


# ---- the films --------------------------------------------------------------------------------------


def synthetic_films(n_films: int, seed: int = 0) -> pd.DataFrame:
    """A film table of n films, made of the sentences of a catalogue; each beginning is the same."""
    from compare import read_data

    source = read_data(None)[0].drop(
        columns=["imdb_id", "source_id", "other_titles"], errors="ignore"
    )
    # A sentence has a word of two letters: a lone quotation mark would be no overview.
    a_sentence = re.compile(r"[^.!?]*\w\w[^.!?]*[.!?]*")
    sentences = [a_sentence.findall(text) or [text] for text in source["overview"]]
    first_genre = np.array([genres[0] for genres in source["genres"]])
    of_genre = {genre: np.flatnonzero(first_genre == genre) for genre in np.unique(first_genre)}
    words = [title.split() for title in source["title"]]
    most = 12  # sentences of a film
    draws = np.random.default_rng(seed).integers(0, 2**31, (n_films, 3 + 2 * most))
    rows = draws[:, 0] % len(source)
    titles, overviews = [], []
    for row, draw in zip(rows.tolist(), draws.tolist()):
        among, own = of_genre[first_genre[row]], sentences[row]
        parts = [own[draw[1] % len(own)]]
        for film, sentence in zip(draw[3:][: len(own) - 1], draw[3 + most :]):
            other = sentences[among[film % len(among)]]
            parts.append(other[sentence % len(other)])
        overviews.append(" ".join(part.strip() for part in parts))
        end = words[draw[2] % len(words)]
        titles.append(" ".join([*words[row][:2], *end[-2:]]))
    films = source.iloc[rows].reset_index(drop=True)
    return films.assign(id=np.arange(1, n_films + 1), title=titles, overview=overviews)


# ---- what a process takes ---------------------------------------------------------------------------


def _memory_of(process: int) -> int:
    """Bytes that a process holds, what it shares counted in part; 0 where that cannot be read."""
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _family() -> list[int]:
    """This process and all that it has started."""
    found, seen = [os.getpid()], 0
    while seen < len(found):
        for task in Path(f"/proc/{found[seen]}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, task.read_text().split())
        seen += 1
    return found


class PeakMemory:
    """The most memory that this process and its children hold at a time, looked at twice a second."""

    def __enter__(self) -> PeakMemory:
        self.peak, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            self.peak = max(self.peak, sum(map(_memory_of, _family())))

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.peak = self.peak or own  # not Linux


def processor_seconds() -> float:
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(taken.ru_utime + taken.ru_stime for taken in times)


def gigabytes(size: float) -> float:
    return round(size / 1e9, 3)


# ---- building ---------------------------------------------------------------------------------------


def measure_build(n_films: int, folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    from movrec import Recommender

    films = synthetic_films(n_films)
    before = sum(map(_memory_of, _family()))
    started, used = time.perf_counter(), processor_seconds()
    with PeakMemory() as memory:
        recommender = Recommender.build(films, folder, progress=options.pop("progress"), **options)
    wall = time.perf_counter() - started
    return {
        "build_s": round(wall, 1),
        "build_processor_s": round(processor_seconds() - used, 1),
        "stages_s": {
            name: round(took, 1) for name, took in recommender.manifest["seconds"].items()
        },
        "films_gb": gigabytes(before),
        "build_peak_gb": gigabytes(memory.peak),
        "folder_gb": gigabytes(sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())),
    }


# ---- asking -----------------------------------------------------------------------------------------


def timed(act, n: int, warm: int = 2) -> dict[str, float]:
    """Median and 95th percentile of a call, in milliseconds; the first calls do not count."""
    taken = []
    for number in range(n + warm):
        started = time.perf_counter()
        act(number)
        taken.append(time.perf_counter() - started)
    ms = 1000 * np.array(taken[warm:])
    return {
        "median_ms": round(float(np.median(ms)), 2),
        "p95_ms": round(float(np.quantile(ms, 0.95)), 2),
    }


def measure_use(folder: Path, n: int) -> dict[str, Any]:
    """Opening, the first answers, many answers, and what is left in memory after them."""
    from movrec import Recommender

    used, started = processor_seconds(), time.perf_counter()
    import lancedb  # noqa: F401

    found: dict[str, Any] = {"import_s": round(time.perf_counter() - started, 3)}
    started = time.perf_counter()
    recommender = Recommender.open(folder)
    found["open_s"] = round(time.perf_counter() - started, 3)
    ids = sample_of_ids(recommender, 2 * n + 20)
    nouns = [
        "soldier",
        "thief",
        "queen",
        "dog",
        "robot",
        "priest",
        "dancer",
        "killer",
        "storm",
        "spy",
    ]

    def plot(number: int) -> str:
        chosen = np.random.default_rng(number).choice(nouns, 3)
        return PLOT.format(*chosen) + f" {nouns[number % 10]} {number}"

    asks = {
        "film": lambda i: recommender.recommend(ids[i]),
        "plot": lambda i: recommender.recommend_for_text(plot(i)),
        "filtered": lambda i: recommender.recommend(
            ids[i], genres=["Drama", "Comedy"], years=(1980, 2010), language="en"
        ),
    }
    for name in ("film", "plot"):
        started = time.perf_counter()
        asks[name](0)
        found[f"first_{name}_s"] = round(time.perf_counter() - started, 3)
    for name, ask in asks.items():
        found[name] = timed(lambda i, ask=ask: ask(i + 1), n)
    found["memory_after_gb"] = gigabytes(_memory_of(os.getpid()))
    found["use_processor_s"] = round(processor_seconds() - used, 1)
    return found


def sample_of_ids(recommender, n: int) -> list[int]:
    """Ids of films, the same for each run; the films of this benchmark are numbered from 1 on."""
    random = np.random.default_rng(1)
    return (1 + random.permutation(recommender.manifest["films"])[:n]).tolist()


def measure_rivals(folder: Path, n: int) -> dict[str, Any]:
    """How near the ten come to those of comparing everything; LanceDB's hybrid query, NumPy, the tutorial's call."""
    from movrec import Recommender

    recommender = Recommender.open(folder)
    ids = sample_of_ids(recommender, n + 20)
    found: dict[str, Any] = {"recall_at_10": recall(recommender, ids[:EXACT_ASKED])}
    rows = {film: vector for film, vector in zip(ids, recommender.store.vectors("joined", ids))}
    asked = [as_lancedb_is_asked(recommender, film) for film in ids]
    found["bare_lancedb"] = timed(lambda i: hybrid_query(recommender.store, *asked[i]), n)
    gigabytes_of_vectors = recommender.manifest["films"] * recommender.space.n_dimensions_ * 4 / 1e9
    if gigabytes_of_vectors < 4:
        vectors = recommender.store.vectors("joined")

        def by_numpy(number: int) -> np.ndarray:
            scores = vectors @ rows[ids[number]]
            best = np.argpartition(-scores, 10)[:10]
            return best[np.argsort(-scores[best])]

        found["numpy"] = timed(by_numpy, n)
        del vectors
    if recommender.manifest["films"] <= MOST_FOR_THE_TUTORIAL:
        found["tutorial"] = measure_tutorial(recommender, ids)
    return found


def as_lancedb_is_asked(recommender, film: int) -> tuple[np.ndarray, str, str]:
    """Vector, words and filter of a film, as `recommend` searches with them."""
    from movrec.workings.answers import _SEARCHED_WORDS
    from movrec.workings.question import FilmFilter, Question
    from movrec.workings.scores import shares_of
    from movrec.workings.understanding import understand

    asked = understand(recommender, Question((film,)))
    weights, space = Question((film,)).block_weights(), recommender.space
    vector = space.scale(asked.evidence.vector, shares_of(space, asked.evidence, weights))
    text = " ".join(asked.evidence.terms[:_SEARCHED_WORDS])
    return space.condense(vector[np.newaxis])[0], text, FilmFilter().sql(asked.genres, [film])


def hybrid_query(store, vector: np.ndarray, text: str, where: str) -> None:
    """LanceDB's own query by vector and words, by the same indexes, with the same filter."""
    from movrec.store import RESULT_COLUMNS

    query = store.table.search(
        query_type="hybrid",
        vector_column_name=store.searched_column,
        fts_columns=store.text_columns,
    )
    query = query.vector(vector).text(text).distance_type("dot").where(where, prefilter=True)
    if not store.index.exact:
        query = query.nprobes(store.index.nprobes["balanced"])
    query.select(RESULT_COLUMNS).limit(10).to_arrow()


def measure_tutorial(recommender, ids: list[int]) -> dict[str, float]:
    """The published tutorial's call, as published: it makes a table of all films each time."""
    import torch
    from published_tutorial import PublishedTutorial
    from sklearn.preprocessing import MultiLabelBinarizer

    rival = PublishedTutorial.__new__(PublishedTutorial)
    rival.films = recommender.films
    rival.vectors = recommender.store.vectors("document")
    rival.binarizer = MultiLabelBinarizer().fit(rival.films["genres"])
    layers, width = [], rival.vectors.shape[1]
    for units in (512, 256, 128):  # what it says does not matter for how long it takes
        layers += [torch.nn.Linear(width, units), torch.nn.BatchNorm1d(units), torch.nn.ReLU()]
        width = units
    last = torch.nn.Linear(width, len(rival.binarizer.classes_))
    rival.network = torch.nn.Sequential(*layers, last).eval()
    titles = rival.films.set_index("id")["title"]
    with tempfile.TemporaryDirectory() as folder:
        rival._write_table(folder)
        return timed(lambda i: rival.get_recommendations(titles[ids[i]]), 5, warm=1)


def recall(recommender, ids: list[int]) -> float:
    """The share of the ten best films, all of them compared, that `recommend` finds."""
    from movrec.workings.compared import COMPARED_COLUMNS, Candidates
    from movrec.workings.question import Question
    from movrec.workings.scores import contributions, shares_of
    from movrec.workings.understanding import understand

    asked = [(film, understand(recommender, Question((film,)))) for film in ids]
    weights = Question((ids[0],)).block_weights()
    shares = [shares_of(recommender.space, a.evidence, weights) for _, a in asked]
    best: list[list[tuple[float, int]]] = [[] for _ in asked]
    table = recommender.store.table
    for start in range(0, table.count_rows(), 50_000):
        query = table.search().select([*COMPARED_COLUMNS, "genres"]).offset(start).limit(50_000)
        rows = query.to_arrow()
        some = Candidates.of_rows(rows.select(COMPARED_COLUMNS))
        genres = [set(names) for names in rows["genres"].to_pylist()]
        for number, (film, a) in enumerate(asked):
            parts = contributions(recommender.space, a.evidence, shares[number], some).sum(axis=1)
            may = np.array([bool(names & set(a.genres)) for names in genres]) & (some.ids != film)
            scores = np.where(may, parts, -np.inf)
            top = np.argsort(-scores)[:10]
            best[number] = sorted(
                [*best[number], *zip(scores[top].tolist(), some.ids[top].tolist())], reverse=True
            )[:10]
    hits = [
        len({film for _, film in best[number]} & set(recommender.recommend(film, 10)["id"]))
        for number, (film, _) in enumerate(asked)
    ]
    return round(float(np.mean(hits)) / 10, 4)


# ---- the run ----------------------------------------------------------------------------------------


def in_a_child(
    what: str, n_films: int, folder: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Measure in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "--child", what, "--films", str(n_films)]
    command += ["--models", str(folder), "--asks", str(arguments.asks)]
    command += ["--options", json.dumps(json.loads(arguments.options))]
    command += ["--progress"] if arguments.progress else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        say(f"{what} of {n_films:,} films failed ({done.returncode})")
        return {f"{what}_failed": done.returncode}
    return json.loads(done.stdout.splitlines()[-1])


def run(arguments: argparse.Namespace, folder: Path) -> None:
    from compare import machine

    for n_films in arguments.films:
        result = json.loads(arguments.out.read_text("utf-8")) if arguments.out.is_file() else {}
        place = folder / f"films-{n_films}"
        found = result.setdefault("sizes", {}).setdefault(str(n_films), {})
        for what in ("build", "use", "rivals"):
            if arguments.only in (None, what):
                say(f"{what}: {n_films:,} films")
                found |= in_a_child(what, n_films, place, arguments)
                found["machine"] = machine()
                say(json.dumps(found))
                result["sizes"] = dict(
                    sorted(result["sizes"].items(), key=lambda item: int(item[0]))
                )
                text = json.dumps(result, indent=1) + "\n"
                arguments.out.write_text(text, encoding="utf-8")


GROWTH = {
    "build": (lambda found: found["build_s"], "s"),
    "memory at most while building": (lambda found: found["build_peak_gb"], "GB"),
    "folder": (lambda found: found["folder_gb"], "GB"),
    "loading LanceDB": (lambda found: found["import_s"], "s"),
    "opening": (lambda found: found["open_s"], "s"),
    "first plot": (lambda found: found["first_plot_s"], "s"),
    "memory after the answers": (lambda found: found["memory_after_gb"], "GB"),
    "a film": (lambda found: found["film"]["median_ms"], "ms"),
    "a film, 95 %": (lambda found: found["film"]["p95_ms"], "ms"),
    "a plot": (lambda found: found["plot"]["median_ms"], "ms"),
    "a plot, 95 %": (lambda found: found["plot"]["p95_ms"], "ms"),
    "with filters": (lambda found: found["filtered"]["median_ms"], "ms"),
    "with filters, 95 %": (lambda found: found["filtered"]["p95_ms"], "ms"),
    "recall@10": (lambda found: found["recall_at_10"], ""),
    "LanceDB's own hybrid query": (lambda found: found["bare_lancedb"]["median_ms"], "ms"),
    "NumPy": (lambda found: found["numpy"]["median_ms"], "ms"),
    "the published tutorial's call": (lambda found: found["tutorial"]["median_ms"], "ms"),
}


def value_of(found: dict[str, Any], name: str) -> float | None:
    with suppress(KeyError, TypeError):
        return GROWTH[name][0](found)
    return None


def to_markdown(result: dict[str, Any]) -> str:
    sizes = result["sizes"]
    lines = [
        "| | " + " | ".join(f"{int(n):,} films" for n in sizes) + " |",
        "|---" * (len(sizes) + 1) + "|",
    ]
    for name, (_, unit) in GROWTH.items():
        values = [value_of(found, name) for found in sizes.values()]
        cells = ["" if value is None else f"{value:,.4g} {unit}".strip() for value in values]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def exponent(sizes: np.ndarray, values: np.ndarray) -> float:
    """With which power of the number of films something grows: 1 where it doubles with them."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def draw(result: dict[str, Any], path: Path) -> None:
    """How time grows, on two logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = {
        "build": "#0072B2",
        "opening": "#E69F00",
        "a plot": "#009E73",
        "a film": "#CC79A7",
        "with filters": "#56B4E9",
        "LanceDB's own hybrid query": "#767676",
        "the published tutorial's call": "#D55E00",
    }
    figure, axes = plt.subplots(figsize=(7.5, 4.6), layout="constrained", dpi=110)
    axes.spines[["top", "right"]].set_visible(False)
    for name, color in shown.items():
        scale = {"s": 1, "ms": 1e-3}[GROWTH[name][1]]
        points = [(int(n), value_of(found, name)) for n, found in result["sizes"].items()]
        points = [(n, value * scale) for n, value in points if value]
        if points:
            x, y = np.array(points).T
            grows = f", films to the {exponent(x, y):.1f}" if len(points) > 1 else ""
            axes.loglog(x, y, "o-", color=color, label=name + grows)
    axes.set(
        xlabel="films",
        ylabel="seconds",
        title="Building grows with the catalogue, answers hardly do",
    )
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--films", type=int, nargs="+", default=SIZES, help="sizes, one after the other"
    )
    parser.add_argument("--only", choices=("build", "use", "rivals"), help="renew this part alone")
    parser.add_argument("--models", type=Path, help="where models are left; default: nowhere")
    parser.add_argument("--asks", type=int, default=100, help="questions of each kind")
    parser.add_argument(
        "--options", default="{}", help="what is handed to Recommender.build, as JSON"
    )
    parser.add_argument("--progress", action="store_true", help="show the bars of the build")
    parser.add_argument("--out", type=Path, default=RESULT, help="where the result is written")
    parser.add_argument("--markdown", action="store_true", help="print the table; run nothing")
    parser.add_argument("--plot", type=Path, help="draw what --out holds; run nothing")
    parser.add_argument("--child", choices=("build", "use", "rivals"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    warnings.simplefilter("ignore")
    arguments = parse()
    if arguments.child:
        n_films, folder = arguments.films[0], arguments.models
        if arguments.child == "build":
            options = json.loads(arguments.options) | {"progress": arguments.progress}
            found = measure_build(n_films, folder, options)
        else:
            measure = {"use": measure_use, "rivals": measure_rivals}[arguments.child]
            found = measure(folder, arguments.asks)
        print(json.dumps(found))
        return
    if arguments.markdown or arguments.plot:
        if not arguments.out.is_file():
            raise SystemExit(
                f"There is no result in {arguments.out}: run this script without options."
            )
        result = json.loads(arguments.out.read_text(encoding="utf-8"))
        if arguments.plot:
            draw(result, arguments.plot)
        if arguments.markdown:
            print(to_markdown(result))
        return
    if arguments.models:
        arguments.models.mkdir(parents=True, exist_ok=True)
        run(arguments, arguments.models)
        return
    if arguments.only not in (None, "build"):
        raise SystemExit("Say with --models where the models of a run before lie.")
    with tempfile.TemporaryDirectory() as folder:
        run(arguments, Path(folder))


if __name__ == "__main__":
    main()

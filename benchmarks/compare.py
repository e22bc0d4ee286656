"""movrec, side by side with what a reader would otherwise take: one run, one table, ratios.

    make bench
    python benchmarks/compare.py                    the same, with the options below
    python benchmarks/compare.py --films 1000       a quick look
    python benchmarks/compare.py --markdown         what the last run found, as Markdown

The catalogue is `movies_metadata.csv.gz`, with `ratings_small.csv.gz` and `links_small.csv.gz` beside
it, in the folder that MOVREC_REAL_DATA names, else in ../shared/data; where neither is there, the
bundled sample without ratings. MiniLM takes part where the extra `minilm` is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from pathlib import Path

# MiniLM comes out of a package: nothing is to be looked up in the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
RESULT = ROOT / "benchmarks" / "result.json"

RECIPE = "published tutorial"
RECIPE_NO_LEAK = "published tutorial, no genres in the text"
MINILM, MINILM_GENRES = "MiniLM", "MiniLM + 0.5 genres"
BASELINE = "TF-IDF + logistic regression"
YARDSTICKS = {
    "genre_jaccard": "genre Jaccard@10",
    "collection_recall": "collection recall@10",
    "co_rating_recall": "co-rating recall@10",
    "catalogue_coverage": "coverage",
    "popularity_bias": "popularity bias",
    "intra_list_diversity": "diversity",
}


def read_data(n_films: int | None):
    """The film table, the ratings (None where there are none) and where they come from."""
    from movrec.evaluate import read_ratings
    from movrec.ingest import load_sample, read_movies

    folder = Path(os.environ.get("MOVREC_REAL_DATA") or ROOT.parent / "shared" / "data")
    catalogue = folder / "movies_metadata.csv.gz"
    ratings = None
    if catalogue.is_file():
        films, source = read_movies(catalogue, progress=False), catalogue.name
        files = [folder / "ratings_small.csv.gz", folder / "links_small.csv.gz"]
        if all(file.is_file() for file in files):
            ratings = read_ratings(*files)
    else:
        films, source = load_sample(), "the bundled sample"
    if n_films is not None and n_films < len(films):
        votes = films["vote_count"].rank(method="first", ascending=False)
        films = films[votes <= n_films].reset_index(drop=True)
        source += f", the {n_films} films with the most votes"
    return films, ratings, source


def machine() -> str:
    """What the times were taken on, in words."""
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, "
        f"Python {platform.python_version()}{load}"
    )


def run(arguments: argparse.Namespace) -> dict:
    """Train, measure and time everything once."""
    from movrec.evaluate import Contender, compare, genre_report, vector_contender
    from published_tutorial import PublishedTutorial

    films, ratings, source = read_data(arguments.films)
    started = time.time()
    result = {"source": source, "films": len(films), "machine": machine()}
    say(f"{len(films):,} films from {source}; {result['machine']}")
    recipes = {}

    def recipe(name: str, genres_in_text: bool):
        def fit(films) -> Contender:
            say(f"{name}: training (20 calls of train of 20 epochs each)")
            built = PublishedTutorial(films, f"{folder}/{name}", genres_in_text=genres_in_text)
            recipes[name] = {"micro_f1": built.micro_f1, "seconds": built.seconds}
            contender = vector_contender(built.vectors)
            titles = films["title"].tolist()
            contender.recommend = lambda row: built.get_recommendations(titles[row])
            return contender

        return fit

    extra = {}
    if not arguments.no_recipe:
        extra = {RECIPE: recipe(RECIPE, True), RECIPE_NO_LEAK: recipe(RECIPE_NO_LEAK, False)}
    with tempfile.TemporaryDirectory() as folder:
        table = compare(films, ratings, extra=extra, progress=False)
    result["table"] = json.loads(table.to_json(orient="index", double_precision=5))
    result["recipes"] = recipes
    say("genres: training on four fifths, once or twice for each seed")
    report = genre_report(films, random_states=arguments.seeds, progress=False)
    summary = report.summary.reset_index()
    result["seeds"] = arguments.seeds
    result["genres"] = json.loads(summary.to_json(orient="records", double_precision=5))
    result["runs"] = json.loads(report.runs.to_json(orient="records", double_precision=5))
    result["calibration_error"] = round(report.calibration_error, 5)
    result["minutes"] = round((time.time() - started) / 60, 1)
    return result


def ratios(result: dict) -> list[tuple[str, float, str]]:
    """What is better than what, and by how much: words, ratio, the bar where there is one."""
    table = result["table"]
    movrec = table["movrec"]
    found = []

    def against(other: str, name: str, bar: str = "") -> None:
        if other in table and name in movrec and table[other].get(name):
            words = f"{YARDSTICKS[name]}, movrec / {other}"
            found.append((words, movrec[name] / table[other][name], bar))

    against(MINILM, "co_rating_recall", "at least 1.25")
    against(MINILM_GENRES, "co_rating_recall", "above 1")
    for name in ("genre_jaccard", "collection_recall", "co_rating_recall"):
        against(RECIPE, name)
    for other, column, words, bar in (
        (RECIPE, "train_seconds", "time to build", "at least 6"),
        (RECIPE, "query_ms", "time per query", ""),
        (MINILM, "train_seconds", "time to build", ""),
    ):
        if other in table:
            found.append((f"{words}, {other} / movrec", table[other][column] / movrec[column], bar))
    figures = {(row["model"], row["setting"]): row["micro_f1"] for row in result["genres"]}
    ratio = figures["movrec", "unseen films"] / figures[BASELINE, "unseen films"]
    found.append((f"micro-F1 on unseen films, movrec / {BASELINE}", ratio, "at least 1, aim 1.05"))
    return found


def to_markdown(result: dict) -> str:
    """The run as Markdown: the comparison, the genres, the ratios."""
    lines = [
        f"`make bench`: {result['films']:,} films from {result['source']}; {result['machine']}; "
        f"{result['minutes']:.0f} minutes.",
        "",
    ]
    names = [name for name in YARDSTICKS if name in result["table"]["movrec"]]
    heads = ["method", *(YARDSTICKS[name] for name in names), "time to train", "per query"]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for method, row in result["table"].items():
        cells = []
        for name in names:
            low, high = row[f"{name}_low"], row[f"{name}_high"]
            half = (high - low) / 2
            cells.append(f"{row[name]:.3f} ± {half:.3f}" if name in names[:3] else f"{row[name]:.2f}")
        seconds = f"{row['train_seconds']:.0f} s" if row["train_seconds"] >= 1 else "–"
        name = f"**{method}**" if method == "movrec" else method
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds} | {row['query_ms']:.1f} ms |")
    seeds = ", ".join(map(str, result["seeds"]))
    lines += ["", f"Genres, mean ± standard deviation over the splits of seed {seeds}:", ""]
    columns = ["micro_f1", "macro_f1", "sample_f1", "jaccard", "hit_rate"]
    heads = ["model", "tested on", "micro-F1", "macro-F1", "sample F1", "Jaccard index", "hit rate"]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, recipe in result["recipes"].items():
        f1 = f"{recipe['micro_f1']:.3f}"
        lines.append(f"| {name} | films the embedder has read | {f1} | | | | |")
    for row in result["genres"]:
        spreads = [row[f"{column}_spread"] for column in columns]
        cells = [
            f"{row[column]:.3f}" + ("" if spread is None else f" ± {spread:.3f}")
            for column, spread in zip(columns, spreads)
        ]
        lines.append(f"| {row['model']} | {row['setting']} | {' | '.join(cells)} |")
    lines += ["", "| ratio | found | bar |", "|---|---|---|"]
    lines += [f"| {words} | {ratio:.2f} | {bar} |" for words, ratio, bar in ratios(result)]
    lines += ["", f"Mean error of movrec's probabilities: {result['calibration_error']:.3f}."]
    return "\n".join(lines)


def say(message: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {message}", file=sys.stderr, flush=True)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--films", type=int, help="only so many films, those with the most votes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 0, 1], help="of the splits")
    parser.add_argument("--no-recipe", action="store_true", help="leave the slow recipe out")
    parser.add_argument("--markdown", action="store_true", help="print what --out holds; run nothing")
    parser.add_argument("--out", type=Path, default=RESULT, help="where the result is written")
    return parser.parse_args(arguments)


def main() -> None:
    warnings.simplefilter("ignore")
    arguments = parse()
    if arguments.markdown:
        if not arguments.out.is_file():
            raise SystemExit(f"There is no result in {arguments.out}: run `make bench` first.")
        result = json.loads(arguments.out.read_text(encoding="utf-8"))
    else:
        result = run(arguments)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(result, indent=1, ensure_ascii=False)
        arguments.out.write_text(text + "\n", encoding="utf-8")
        say(f"written to {arguments.out}")
    print(to_markdown(result))


if __name__ == "__main__":
    main()

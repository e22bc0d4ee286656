"""movrec, side by side with what a reader would otherwise take: one run, one table, ratios.

    make bench
    python benchmarks/compare.py                    the same, with the options below
    python benchmarks/compare.py --films 1000       a quick look
    python benchmarks/compare.py --markdown         what the last run found, as Markdown

The catalogue is `movies_metadata.csv.gz`, with `ratings_small.csv.gz` and `links_small.csv.gz`
beside it and, for the themes, `keywords.csv.gz`, in the folder that MOVREC_REAL_DATA names, else in ../shared/data; where neither is there, the
bundled sample without ratings. MiniLM takes part where the extra `sentence` is installed.
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
BM25 = "BM25, stemmed"
MINILM, MINILM_GENRES = "MiniLM", "MiniLM + 0.5 genres"
BASELINE = "TF-IDF + logistic regression"
UNSEEN, READ = "unseen films", "films the embedder has read"
YARDSTICKS = {
    "genre_jaccard": "genre Jaccard@10",
    "collection_recall": "collection recall@10",
    "co_rating_recall": "co-rating recall@10",
    "theme_similarity": "theme similarity@10",
    "companion_ndcg": "companions nDCG@10",
    "known_item_first": "known item, first",
    "known_item_found": "known item, among ten",
    "catalogue_coverage": "coverage",
    "popularity_bias": "popularity bias",
    "intra_list_diversity": "diversity",
}


def read_data(n_films: int | None):
    """The film table, its yardsticks (ratings and keywords, where there are some) and the source."""
    from movrec.ingest import load_sample, read_movies
    from movrec.workings.sources import read_keywords, read_ratings

    folder = Path(os.environ.get("MOVREC_REAL_DATA") or ROOT.parent / "shared" / "data")
    catalogue = folder / "movies_metadata.csv.gz"
    yardsticks = {}
    if catalogue.is_file():
        films, source = read_movies(catalogue, progress=False), catalogue.name
        files = [folder / "ratings_small.csv.gz", folder / "links_small.csv.gz"]
        if all(file.is_file() for file in files):
            yardsticks["ratings"] = read_ratings(*files)
        if (folder / "keywords.csv.gz").is_file():
            yardsticks["keywords"] = read_keywords(folder / "keywords.csv.gz")
    else:
        films, source = load_sample(), "the bundled sample"
    if n_films is not None and n_films < len(films):
        votes = films["vote_count"].rank(method="first", ascending=False)
        films = films[votes <= n_films].reset_index(drop=True)
        source += f", the {n_films} films with the most votes"
    return films, yardsticks, source


def machine() -> str:
    """What the times were taken on, in words."""
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}, "
        f"Python {platform.python_version()}{load}"
    )


def run(arguments: argparse.Namespace, result: dict) -> None:
    """Train, measure and time once, and put what is found into `result`."""
    films, yardsticks, source = read_data(arguments.films)
    if (result.get("source"), result.get("films")) != (source, len(films)):
        result.clear()
    result.update(source=source, films=len(films))
    parts = {"recommendations": compare_recommendations, "genres": compare_genres}
    for name, part in parts.items():
        if arguments.only in (None, name):
            started, on = time.time(), machine()
            say(f"{name}: {len(films):,} films from {source}; {on}")
            found = part(arguments, films, yardsticks)
            found.update(machine=on, minutes=round((time.time() - started) / 60, 1))
            result[name] = found


def compare_recommendations(arguments: argparse.Namespace, films, yardsticks) -> dict:
    """The table of methods, each trained and timed in this run."""
    from published_tutorial import PublishedTutorial

    from movrec.evaluation import compare
    from movrec.workings.contenders import Contender, vector_contender

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
        table = compare(films, **yardsticks, extra=extra, progress=False)
    return {"table": rounded(table, "index"), "recipes": recipes}


def compare_genres(arguments: argparse.Namespace, films, yardsticks) -> dict:
    """The report of predicted genres over several splits."""
    from movrec.workings.genre_report import genre_report

    report = genre_report(films, random_states=arguments.seeds, progress=False)
    return {
        "seeds": arguments.seeds,
        "summary": rounded(report.summary.reset_index(), "records"),
        "runs": rounded(report.runs, "records"),
        "per_genre": rounded(report.per_genre, "index"),
        "calibration_error": round(report.calibration_error, 5),
    }


def rounded(table, orient: str):
    """A table as plain values for JSON."""
    return json.loads(table.to_json(orient=orient, double_precision=5))


def ratios(result: dict) -> list[tuple[str, float, str]]:
    """What is better than what, and by how much: words, ratio, the bar and whether it is reached."""
    found = []
    table = result["recommendations"]["table"]
    movrec = table["movrec"]

    def add(words: str, ratio: float, least: float | None = None, bar: str = "") -> None:
        reached = "" if least is None else f"{bar}: {'reached' if ratio >= least else 'missed'}"
        found.append((words, ratio, reached))

    def against(other: str, name: str, least: float | None = None, bar: str = "") -> None:
        if other in table and table[other].get(name):
            words = f"{YARDSTICKS[name]}, movrec / {other}"
            add(words, movrec[name] / table[other][name], least, bar)

    against(MINILM, "co_rating_recall", 1.25, "at least 1.25")
    against(MINILM_GENRES, "co_rating_recall", 1, "above 1")
    against(MINILM_GENRES, "theme_similarity")
    against(MINILM_GENRES, "companion_ndcg")
    against(BM25, "known_item_first")
    against(BM25, "known_item_found")
    for name in ("genre_jaccard", "collection_recall", "co_rating_recall", "theme_similarity"):
        against(RECIPE, name)
    if RECIPE in table:
        recipe = table[RECIPE]
        ratio = recipe["train_seconds"] / movrec["train_seconds"]
        add(f"time to build, {RECIPE} / movrec", ratio, 6, "at least 6")
        add(f"time per query, {RECIPE} / movrec", recipe["query_ms"] / movrec["query_ms"])
    if MINILM in table:
        ratio = table[MINILM]["train_seconds"] / movrec["train_seconds"]
        add(f"time to build, {MINILM} / movrec", ratio)
    figures = {(row["model"], row["setting"]): row for row in result["genres"]["summary"]}
    own, baseline = figures["movrec", UNSEEN], figures[BASELINE, UNSEEN]
    ratio = own["micro_f1"] / baseline["micro_f1"]
    words = f"micro-F1 on unseen films, movrec / {BASELINE}"
    add(
        words, ratio, 1, f"at least 1 (hoped for: 1.05, {'reached' if ratio >= 1.05 else 'missed'})"
    )
    return found


def leak_lines(result: dict) -> list[str]:
    """How the tutorial's figure becomes an honest one, a line a step."""
    recipes = result["recommendations"]["recipes"]
    rows = {(row["model"], row["setting"]): row["micro_f1"] for row in result["genres"]["summary"]}
    steps = [("the published tutorial says", 0.94)]
    for name, words in (
        (RECIPE, "its recipe, run again on these films: the genre names are in its text"),
        (RECIPE_NO_LEAK, "the same recipe with the genre names taken out of its text"),
    ):
        if name in recipes:
            steps.append((words, recipes[name]["micro_f1"]))
    steps += [
        (f"{BASELINE}, unseen films", rows[BASELINE, UNSEEN]),
        ("movrec, films whose plots the embedder has read", rows["movrec", READ]),
        ("**movrec, unseen films**", rows["movrec", UNSEEN]),
    ]
    lines = ["", "| the leak, step by step | micro-F1 |", "|---|---|"]
    return lines + [f"| {words} | {f1:.2f} |" for words, f1 in steps]


def ratio_lines(result: dict) -> list[str]:
    """The table of ratios."""
    lines = ["", "| ratio | found | bar |", "|---|---|---|"]
    return lines + [f"| {words} | {ratio:.2f} | {bar} |" for words, ratio, bar in ratios(result)]


def to_markdown(result: dict) -> str:
    """The stored run as Markdown: the comparison, the genres, the ratios."""
    lines = [f"{result['films']:,} films from {result['source']}."]
    if "recommendations" in result:
        lines += recommendation_lines(result["recommendations"])
    if "genres" in result:
        recipes = result.get("recommendations", {}).get("recipes", {})
        lines += genre_lines(result["genres"], recipes)
    if "recommendations" in result and "genres" in result:
        lines += leak_lines(result) + ratio_lines(result)
    return "\n".join(lines)


def recommendation_lines(part: dict) -> list[str]:
    """The table of methods."""
    names = [name for name in YARDSTICKS if name in part["table"]["movrec"]]
    heads = ["method", *(YARDSTICKS[name] for name in names), "time to train", "per query"]
    lines = ["", f"Recommendations (half the 95 % interval behind ±; {part['machine']}):", ""]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for method, row in part["table"].items():
        cells = []
        for name in names:
            if row.get(name) is None:
                cells.append("–")  # it reads no texts
                continue
            half = (row[f"{name}_high"] - row[f"{name}_low"]) / 2
            digits = {"theme_similarity": 4}.get(name, 3)
            exact = name not in ("catalogue_coverage", "popularity_bias", "intra_list_diversity")
            cells.append(
                f"{row[name]:.{digits}f} ± {half:.{digits}f}" if exact else f"{row[name]:.2f}"
            )
        seconds = f"{row['train_seconds']:.0f} s" if row["train_seconds"] >= 1 else "–"
        name = f"**{method}**" if method == "movrec" else method
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds} | {row['query_ms']:.1f} ms |")
    return lines


def genre_lines(part: dict, recipes: dict) -> list[str]:
    """The table of predicted genres, the recipe's own figure first."""
    seeds = ", ".join(map(str, part["seeds"]))
    columns = ["micro_f1", "macro_f1", "sample_f1", "jaccard", "hit_rate"]
    heads = ["model", "tested on", "micro-F1", "macro-F1", "sample F1", "Jaccard index", "hit rate"]
    lines = ["", f"Genres (mean ± standard deviation over the splits of seed {seeds}):", ""]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, recipe in recipes.items():
        f1 = f"{recipe['micro_f1']:.3f}"
        lines.append(f"| {name} (seed 42) | films the embedder has read | {f1} | | | | |")
    for row in part["summary"]:
        spreads = [row[f"{column}_spread"] for column in columns]
        cells = [
            f"{row[column]:.3f}" + ("" if spread is None else f" ± {spread:.3f}")
            for column, spread in zip(columns, spreads)
        ]
        lines.append(f"| {row['model']} | {row['setting']} | {' | '.join(cells)} |")
    error = f"{part['calibration_error']:.3f}"
    return [*lines, "", f"movrec's probabilities are off by {error} on average, on unseen films."]


def write_into_notebook(name: str, markdown: str) -> None:
    """Put tables between the two comments `name` and `end of name` of notebook 04."""
    path = ROOT / "nbs" / "07_evaluate.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    first, last = f"<!-- {name} -->", f"<!-- end of {name} -->"
    for cell in notebook["cells"]:
        before, found, rest = "".join(cell["source"]).partition(first)
        if found:
            text = f"{before}{first}\n{markdown}\n\n{last}{rest.partition(last)[2]}"
            cell["source"] = text.splitlines(keepends=True)
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def say(message: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {message}", file=sys.stderr, flush=True)


def parse(default_out: Path = RESULT, description: str | None = __doc__) -> argparse.Namespace:
    """Read the command line, of this script or of one that measures the same films."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--films", type=int, help="only so many films, those with the most votes")
    parser.add_argument(
        "--markdown", action="store_true", help="print what --out holds; run nothing"
    )
    parser.add_argument(
        "--notebook", action="store_true", help="write the tables into notebook 04 as well"
    )
    parser.add_argument("--out", type=Path, default=default_out, help="where the result is written")
    if default_out != RESULT:
        parser.add_argument("--models", help="a folder whose models are used, or left there")
    else:
        parser.add_argument(
            "--seeds", type=int, nargs="+", default=[42, 0, 1], help="of the splits"
        )
        parser.add_argument("--no-recipe", action="store_true", help="leave the slow recipe out")
        parser.add_argument(
            "--only", choices=("recommendations", "genres"), help="renew this part alone"
        )
    return parser.parse_args()


def main() -> None:
    warnings.simplefilter("ignore")
    arguments = parse()
    stored = arguments.out.is_file()
    if arguments.markdown and not stored:
        raise SystemExit(f"There is no result in {arguments.out}: run `make bench` first.")
    keep = stored and (arguments.markdown or arguments.only)
    result = json.loads(arguments.out.read_text(encoding="utf-8")) if keep else {}
    if not arguments.markdown:
        run(arguments, result)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(result, indent=1, ensure_ascii=False)
        arguments.out.write_text(text + "\n", encoding="utf-8")
        say(f"written to {arguments.out}")
    print(to_markdown(result))
    if arguments.notebook:
        write_into_notebook("benchmarks/compare.py", to_markdown(result))


if __name__ == "__main__":
    main()

"""The figures of docs/how_good.md, out of what `make bench` has written."""

import re

from compare import (
    BASELINE,
    UNSEEN,
    genre_lines,
    leak_lines,
    ratio_lines,
    ratios,
    recommendation_lines,
)
from tried import chosen_lines, tried_lines


def figures_of(result: dict) -> dict[str, str]:
    """What the page names between double braces: single figures, and whole tables as Markdown."""
    part = result["recommendations"]
    table = part["table"]
    own = table["movrec"]
    f1 = {row["model"]: row for row in result["genres"]["summary"] if row["setting"] == UNSEEN}
    return {
        "films": f"{result['films']:,}",
        "machine": part["machine"],
        "own_f1": f"{f1['movrec']['micro_f1']:.3f}",
        "baseline_f1": f"{f1[BASELINE]['micro_f1']:.3f}",
        "collection_recall": percent(own["collection_recall"]),
        "co_rating_recall": percent(own["co_rating_recall"]),
        "co_rating_recall_by_chance": percent(table["random"]["co_rating_recall"]),
        "build_time": f"{own['train_seconds']:.0f} seconds",
        "query_time": f"{own['query_ms']:.0f} milliseconds",
        "recommendation_table": lines_of(recommendation_lines(part)),
        "genre_table": lines_of(genre_lines(result["genres"], part["recipes"])),
        "leak_table": lines_of(leak_lines(result)),
        "ratio_table": lines_of(ratio_lines(result)),
        "what_is_missed": missed(ratios(result)),
    }


def tried_of(result: dict) -> dict[str, str]:
    """The same of what `benchmarks/tried.py` has written."""
    return {
        "films_tried_table": lines_of(tried_lines(result, "films")),
        "texts_tried_table": lines_of(tried_lines(result, "texts")),
        "chosen_weights": lines_of(chosen_lines(result["weights"])),
    }


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def lines_of(lines: list[str]) -> str:
    """A table as Markdown; a figure stays on one line with its interval and its unit."""
    text = "\n".join(lines).strip()
    return re.sub(r"(?<=\d) (?=±|m?s\b|%)|(?<=±) (?=\d)", "\N{NO-BREAK SPACE}", text)


def missed(found: list[tuple[str, float, str]]) -> str:
    """The bars that were missed, in a sentence."""
    names = [f"*{words}* ({ratio:.2f})" for words, ratio, bar in found if "missed" in bar]
    return f"Not reached in full: {', '.join(names)}." if names else "Every bar was reached."

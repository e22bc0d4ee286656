"""Write the figures of workshop/README.md, from what `make bench` measured.

A figure there is followed by its name in a comment, which nobody sees: `0.157<!-- movrec:
co_rating_recall -->`. So the guide reads its figures, and holds none.
"""

from __future__ import annotations

import json
import re
from typing import Any

from repository import ROOT

GUIDE = ROOT / "workshop" / "README.md"
RESULT = ROOT / "benchmarks" / "result.json"
FIGURE = re.compile(r"([\d.,]*\d)<!-- ([^<>]+?) -->")


def figures_of(result: dict[str, Any]) -> dict[str, str]:
    """Every figure that the guide may name, by its name, as the guide writes it."""
    found = {"films": f"{result['films']:,}"}
    for method, measures in result["recommendations"]["table"].items():
        for measure, value in measures.items():
            digits = 2 if measure == "popularity_bias" else 3
            if value is not None:  # some methods read no texts
                found[f"{method}: {measure}"] = f"{value:.{digits}f}"
    for recipe, measures in result["recommendations"]["recipes"].items():
        found[f"{recipe}: micro_f1"] = f"{measures['micro_f1']:.2f}"
    for row in result["genres"]["summary"]:
        if row["setting"] == "unseen films":
            found[f"{row['model']}: micro_f1"] = f"{row['micro_f1']:.2f}"
    return found


def with_figures(text: str, figures: dict[str, str]) -> str:
    """A text whose figures are those that have been measured."""
    unknown = {name for _, name in FIGURE.findall(text)} - figures.keys()
    if unknown:
        raise SystemExit(f"workshop/README.md: nobody has measured {sorted(unknown)[0]!r}")
    return FIGURE.sub(lambda match: f"{figures[match[2]]}<!-- {match[2]} -->", text)


def write_guide() -> None:
    """Write the guide with the figures of `benchmarks/result.json`."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    text = with_figures(GUIDE.read_text(encoding="utf-8"), figures_of(result))
    GUIDE.write_text(text, encoding="utf-8", newline="\n")

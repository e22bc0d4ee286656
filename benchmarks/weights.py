"""Which weights? Every candidate on every yardstick, and a rule that was written down before it ran.

    python benchmarks/weights.py                 some minutes on two cores, after two builds
    python benchmarks/weights.py --films 1000    a quick look
    python benchmarks/weights.py --markdown      what the last run found, as Markdown

The films, ratings and keywords are those of `compare.py`, and the bundled sample for what people said
of its films. Candidates are chosen on one half of the films that are asked about (and one half of
the descriptions), and reported on the other.

**The rule for films.** The weights of version 0.1 are the reference. A candidate is admitted if no
measure falls below the reference's by more than the reference's own interval (below its lower
end), but for genre Jaccard, which has a floor of 0.65: it can be raised by genres and years alone. Of those
admitted, the one with the best mean of ranks over all other measures is chosen.
**The rule for texts.** The best mean of ranks over the three measures of known item alone.
"""

from __future__ import annotations

import itertools
import json
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

RESULT = ROOT / "benchmarks" / "weights.json"

Weights = dict[str, float]
Scores = Callable[[np.ndarray], np.ndarray]

OLD: Weights = {"plot": 1, "genres": 0.36, "title": 0.16, "year": 1}
JACCARD_FLOOR = 0.65
K = 10


# ---- what the rule is applied to -----------------------------------------------------------------


@dataclass
class Part:
    """Films that are asked about for one measure, with what each block says of them.

    `cosines` holds one array a block, of shape (number asked, number of candidates).
    """

    asked: np.ndarray
    candidates: np.ndarray
    cosines: dict[str, np.ndarray]
    allowed: np.ndarray
    measure: Callable[[pd.DataFrame], object]

    @classmethod
    def of(
        cls,
        blocks: dict[str, Scores],
        asked: np.ndarray,
        candidates: np.ndarray,
        allowed: Scores,
        measure: Callable[[pd.DataFrame], object],
    ) -> Part:
        """Compute every block's cosines once, whatever the weights are later."""
        cosines = {
            name: np.asarray(scores(asked)[:, candidates], np.float32)
            for name, scores in blocks.items()
        }
        may = np.asarray(allowed(asked)[:, candidates], bool)
        may &= asked[:, np.newaxis] != candidates
        return cls(asked, candidates, cosines, may, measure)

    def lists(self, ids: np.ndarray, weights: Weights, half: np.ndarray | None) -> pd.DataFrame:
        """Return the table of recommendations for all that are asked about, or for half of them."""
        rows = np.arange(len(self.asked)) if half is None else np.flatnonzero(half[self.asked])
        total = combine({name: block[rows] for name, block in self.cosines.items()}, weights)
        total = np.where(self.allowed[rows], total, -np.inf)
        k = min(K, total.shape[1])
        best = np.argpartition(-total, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(total, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        best, values = np.take_along_axis(best, order, 1), np.take_along_axis(values, order, 1)
        kept = np.isfinite(values)
        return pd.DataFrame(
            {
                "id": np.repeat(ids[self.asked[rows]], kept.sum(axis=1)),
                "rank": np.broadcast_to(np.arange(1, k + 1), kept.shape)[kept],
                "recommended_id": ids[self.candidates[best[kept]]],
                "similarity": values[kept],
            }
        )


def combine(cosines: dict[str, np.ndarray], weights: Weights) -> np.ndarray:
    """Return the weighted sum of the blocks' cosines; a block without a weight counts nothing."""
    used = [(weight, name) for name, weight in weights.items() if weight and name in cosines]
    return sum(np.float32(weight) * cosines[name] for weight, name in used)


def film_parts(
    films: pd.DataFrame, blocks: dict[str, Scores], allowed: Scores, yardsticks: dict, n: int = 1000
) -> dict[str, Part]:
    """Return the parts that a catalogue and its yardsticks allow, by the name of the measure."""
    from movrec.workings import judgements as people
    from movrec.workings import measures
    from movrec.workings.sources import co_rating_neighbors

    everything = np.arange(len(films))
    draw = np.random.default_rng(42)
    some = np.sort(draw.choice(len(films), min(n, len(films)), replace=False))
    one = {"bootstrap": yardsticks["bootstrap"]}

    def part(asked, candidates, measure) -> Part:
        return Part.of(blocks, asked, candidates, allowed, measure)

    parts = {
        "genre_jaccard": part(some, everything, lambda t: measures.genre_jaccard(t, films, **one))
    }
    series = (
        films["collection"].replace("", None) if "collection" in films else pd.Series(dtype=str)
    )
    several = np.flatnonzero(series.notna() & series.duplicated(keep=False))
    if len(several):
        parts["collection_recall"] = part(
            several, everything, lambda t: measures.collection_recall(t, films, **one)
        )
    if (ratings := yardsticks.get("ratings")) is not None:
        rated, _ = co_rating_neighbors(films, ratings)
        parts["co_rating_recall"] = part(
            rated, rated, lambda t: measures.co_rating_recall(t, films, ratings, **one)
        )
    if (keywords := yardsticks.get("keywords")) is not None:
        known, _ = people.keyword_vectors(films, keywords)
        parts["theme_similarity"] = part(
            known, known, lambda t: people.theme_similarity(t, films, keywords, **one)
        )
    companions = people.Judgements.bundled(films).companions
    if companions is not None:
        seeds = np.flatnonzero(films["id"].isin(companions["seed_id"]))
        parts["companion_ndcg"] = part(
            seeds, everything, lambda t: people.companion_ndcg(t, films, companions, **one)
        )
    return parts


def judge_films(films, parts: dict[str, Part], weights: Weights, half=None) -> dict:
    """Return what each part's measure says of these weights."""
    ids = films["id"].to_numpy()
    return {name: part.measure(part.lists(ids, weights, half)) for name, part in parts.items()}


def judge_texts(cosines: dict[str, np.ndarray], wanted: np.ndarray, weights, half=None) -> dict:
    """Return known item's three figures: `wanted` holds the row of the film that each text means."""
    total = combine(cosines, weights)
    place = (total > total[np.arange(len(wanted)), wanted][:, np.newaxis]).sum(axis=1) + 1
    place = place if half is None else place[half]
    return {
        "known_item_first": float((place == 1).mean()),
        "known_item_found": float((place <= K).mean()),
        "known_item_reciprocal_rank": float(np.where(place <= K, 1 / place, 0).mean()),
    }


# ---- the rule ------------------------------------------------------------------------------------


def grid(**choices: Iterable[float]) -> list[Weights]:
    """Return all combinations, in order."""
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


def admitted(figures: pd.DataFrame, reference: dict) -> pd.Series:
    """Return which candidates the rule for films admits; `reference` holds the old weights' measures."""
    passed = pd.Series(True, index=figures.index)
    for name in figures:
        if name.startswith("genre_jaccard"):
            passed &= figures[name] >= JACCARD_FLOOR
        else:
            passed &= figures[name] >= reference[name].low
    return passed


def mean_of_ranks(figures: pd.DataFrame) -> pd.Series:
    """Return each candidate's mean rank over all measures but genre Jaccard; 1 is best."""
    counted = [name for name in figures if not name.startswith("genre_jaccard")]
    return figures[counted].rank(ascending=False, method="average").mean(axis=1)


def choose(figures: pd.DataFrame, reference: dict | None = None) -> int:
    """Return the number of the candidate that the rule chooses.

    `figures` has a row a candidate and a column a measure. With `reference` it is the rule for films;
    without, that for texts. Of equals, the first is taken.
    """
    ranks = mean_of_ranks(figures)
    if reference is not None:
        passed = admitted(figures, reference)
        if not passed.any():
            raise SystemExit("The rule admits no candidate: every one loses on some measure.")
        ranks = ranks[passed]
    return int(ranks.idxmin())


def halves(n: int, seed: int = 42) -> tuple[np.ndarray, np.ndarray]:
    """Return two halves of n things, drawn by chance, as masks."""
    first = np.zeros(n, dtype=bool)
    first[np.random.default_rng(seed).permutation(n)[: n // 2]] = True
    return first, ~first

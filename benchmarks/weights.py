"""Which weights? Every candidate on every yardstick, and the rule that decides, as code.

    python benchmarks/weights.py                 some minutes on two cores, after two builds
    python benchmarks/weights.py --films 1000    a quick look
    python benchmarks/weights.py --markdown      what the last run found, as Markdown

The films, ratings and keywords are those of `compare.py`, and beside them the bundled sample, for what
people said of its films. Candidates are chosen on one half of the films that are asked about, and of
the descriptions; they are reported on the other half, which has no say.

**The rule for films.** The first version's similarity is the reference. A candidate is admitted where no
measure but genre Jaccard falls below it beyond doubt: the 95 % interval of the mean difference, film
by film, does not lie below 0. Genre Jaccard, which genres and years alone can raise, has a floor: 0.65,
and 0.05 more because other catalogues come out lower. Of those admitted, the best mean of ranks over all
measures but genre Jaccard decides. The floor, the bounds of the grid and the form of the rule were changed
after first results and lists of films had been looked at: the other half is no proof against that.

**The rule for texts.** The best mean of ranks over the three measures of known item alone, of the sample's
descriptions and of those that fit the larger catalogue.

Only ratios of weights count, so that the reader's is 1 in every candidate. The plot's is 0.25 or more: where
there is no reader, or one that does not know the catalogue's language, Doc2Vec stands in for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "weights.json"

Weights = dict[str, float]
Scores = Callable[[np.ndarray], np.ndarray]

# The first version's similarity: documents and word means, genres, title, and years on half a circle.
REFERENCE: Weights = {"plot": 1, "genres": 0.36, "title": 0.16, "arc": 1}
JACCARD_FLOOR = 0.65 + 0.05
K = 10

FILM_GRID = {
    "plot": (0.25, 0.5),
    "words": (2, 3, 4),
    "reader": (1,),
    "genres": (0.5, 0.6, 0.7, 0.9),
    "title": (0.2, 0.3),
    "year": (0.3, 0.4, 0.5, 0.6, 0.75),
}
TEXT_GRID = {"plot": (0.5, 1), "words": (1, 2, 3, 4), "reader": (1,), "genres": (0, 0.2, 0.4)}


# ---- one measure, whatever the weights are -------------------------------------------------------


@dataclass
class Part:
    """The films that are asked about for one measure, what each block says, and what a hit is worth.

    `cosines` holds one array a block; `allowed` says what may be recommended, and `gains` what it is
    worth if it is: all of shape (n_asked, n_candidates). `best` is what the best list would get, and
    `discount` what each place of a list counts.
    """

    asked: np.ndarray
    candidates: np.ndarray
    cosines: dict[str, np.ndarray]
    allowed: np.ndarray
    gains: np.ndarray
    best: np.ndarray
    discount: np.ndarray

    def values(self, weights: Weights) -> np.ndarray:
        """Return the measure's value of each film that is asked about."""
        total = np.where(self.allowed, combine(self.cosines, weights), -np.inf)
        k = min(K, total.shape[1])
        found = np.argpartition(-total, k - 1, axis=1)[:, :k]
        similarity = np.take_along_axis(total, found, axis=1)
        order = np.argsort(-similarity, axis=1, kind="stable")
        gained = np.take_along_axis(self.gains, np.take_along_axis(found, order, 1), axis=1)
        gained = np.where(np.isfinite(np.take_along_axis(similarity, order, 1)), gained, 0)
        return gained @ self.discount[:k] / self.best

    def narrowed(self, n: int = 100) -> Part:
        """Return the same with only those candidates that some block puts among its first n.

        A sum's first ten are among them but for rare cases, and it is many times faster.
        """
        size = min(n * len(self.cosines), len(self.candidates))
        if size == len(self.candidates):
            return self
        rank = np.full(self.gains.shape, self.gains.shape[1], dtype=np.int32)
        for cosines in self.cosines.values():
            order = np.argsort(-np.where(self.allowed, cosines, -np.inf), axis=1)[:, :n]
            near = np.broadcast_to(np.arange(n, dtype=np.int32), order.shape)
            first = np.take_along_axis(rank, order, axis=1)
            np.put_along_axis(rank, order, np.minimum(first, near), axis=1)
        kept = np.sort(np.argpartition(rank, size - 1, axis=1)[:, :size], axis=1)

        def take(table: np.ndarray) -> np.ndarray:
            return np.take_along_axis(table, kept, axis=1)

        cosines = {name: take(table) for name, table in self.cosines.items()}
        return replace(self, cosines=cosines, allowed=take(self.allowed), gains=take(self.gains))

    def with_block(self, name: str, scores: Scores) -> Part:
        """Return the same part with another block, or with one more."""
        cosines = np.asarray(scores(self.asked)[:, self.candidates], np.float32)
        return replace(self, cosines={**self.cosines, name: cosines})


def combine(cosines: dict[str, np.ndarray], weights: Weights) -> np.ndarray:
    """Return the weighted sum of the blocks' cosines; a block without a weight counts nothing."""
    used = [name for name, weight in weights.items() if weight and name in cosines]
    return sum(np.float32(weights[name]) * cosines[name] for name in used)


def make_part(
    blocks: dict[str, Scores],
    allowed: Scores,
    asked: np.ndarray,
    candidates: np.ndarray,
    gains: np.ndarray,
    best: np.ndarray | float = K,
    discounted: bool = False,
) -> Part:
    """Return a part, with every block's cosines computed once."""
    cosines = {
        name: np.asarray(scores(asked)[:, candidates], np.float32)
        for name, scores in blocks.items()
    }
    may = np.array(allowed(asked)[:, candidates], bool) & (asked[:, np.newaxis] != candidates)
    discount = 1 / np.log2(np.arange(2, K + 2)) if discounted else np.ones(K)
    return Part(asked, candidates, cosines, may, gains, np.broadcast_to(best, len(asked)), discount)


def film_parts(
    films: pd.DataFrame,
    blocks: dict[str, Scores],
    allowed: Scores,
    ratings: pd.DataFrame | None = None,
    keywords: pd.DataFrame | None = None,
    companions: pd.DataFrame | None = None,
    n: int = 1000,
) -> dict[str, Part]:
    """Return the parts that a catalogue and its yardsticks allow, by the name of the measure.

    `blocks` maps a block's name to what gives its cosines, for rows of `films`; genre Jaccard is
    asked of n films by chance.
    """
    everything, ids = np.arange(len(films)), films["id"].to_numpy()

    def part(asked, candidates, gains, *rest) -> Part:
        return make_part(blocks, allowed, asked, candidates, gains, *rest)

    some = np.sort(np.random.default_rng(42).permutation(len(films))[:n])
    some = some[films["genres"].str.len().to_numpy()[some] > 0]
    parts = {"genre_jaccard": part(some, everything, _jaccard(films, some))}
    series = films["collection"].replace("", None) if "collection" in films else pd.Series([None])
    several = np.flatnonzero(series.notna() & series.duplicated(keep=False))
    if len(several):
        same = series.to_numpy()[several][:, np.newaxis] == series.to_numpy()
        best = np.minimum(K, same.sum(axis=1) - 1)
        parts["collection_recall"] = part(several, everything, same.astype(float), best)
    if ratings is not None:
        from movrec.workings.sources import co_rating_neighbors

        rated, neighbors = co_rating_neighbors(films, ratings)
        judged = neighbors.any(axis=1)
        parts["co_rating_recall"] = part(rated[judged], rated, neighbors[judged].astype(float))
    if keywords is not None:
        from movrec.workings.judgements import keyword_vectors

        known, vectors = keyword_vectors(films, keywords)
        parts["theme_similarity"] = part(known, known, vectors @ vectors.T)
    if companions is not None:
        grades = companions.pivot_table(index="seed_id", columns="companion_id", values="grade")
        grades = grades.reindex(columns=ids).fillna(0)
        grades = grades[grades.index.isin(ids)]
        grades = grades[grades.to_numpy().any(axis=1)]
        discount = 1 / np.log2(np.arange(2, K + 2))
        best = -np.sort(-grades.to_numpy(), axis=1)[:, :K] @ discount
        seeds = pd.Index(ids).get_indexer(grades.index)
        parts["companion_ndcg"] = part(seeds, everything, grades.to_numpy(), best, True)
    return parts


def _jaccard(films: pd.DataFrame, asked: np.ndarray) -> np.ndarray:
    from movrec.workings.measures import genre_matrix_of

    matrix = genre_matrix_of(films).astype(np.float32)
    shared = matrix[asked] @ matrix.T
    sizes = matrix.sum(axis=1)
    return shared / (sizes[asked][:, np.newaxis] + sizes - shared)


def text_values(cosines: dict[str, np.ndarray], wanted: np.ndarray, weights: Weights) -> dict:
    """Return known item's three values of each text; `wanted` holds the row that each means."""
    total = combine(cosines, weights)
    own = total[np.arange(len(wanted)), wanted]
    place = (total > own[:, np.newaxis]).sum(axis=1) + 1
    return {
        "known_item_first": place == 1,
        "known_item_found": place <= K,
        "known_item_reciprocal_rank": np.where(place <= K, 1 / place, 0),
    }


def blocks_of(recommender) -> dict[str, Scores]:
    """Return the cosines of each block of a model, by its name, and the first version's years."""
    from movrec.workings.batch import joined_scores
    from movrec.workings.weights import BLOCKS, only

    blocks = {
        name: joined_scores(recommender, match_genres=False, weights=only(name)) for name in BLOCKS
    }
    return {**blocks, "arc": arc_of_years(recommender.films)}


def arc_of_years(films: pd.DataFrame) -> Scores:
    """Return how near years were in the first version: cos(pi * gap / 150)."""
    years = pd.to_numeric(films["year"].astype("object"), errors="coerce").to_numpy(float)
    angle = np.pi * np.where(np.isnan(years), np.nanmedian(years), years) / 150
    return lambda rows: np.cos(angle[rows][:, np.newaxis] - angle)


def shared_genres(recommender) -> Scores:
    """Return whether two films share a genre, as `match_genres` asks."""
    from movrec.workings.batch import memberships

    genres = memberships(recommender)
    return lambda rows: genres[rows] @ genres.T > 0


def text_cosines(recommender, texts: Iterable[str]) -> dict[str, np.ndarray]:
    """Return each block's cosines of texts and films: arrays of shape (n_texts, n_films)."""
    from movrec.workings.text import Plot
    from movrec.workings.understanding import evidence_of_reading

    films, space = recommender.store.everything(), recommender.space
    asked = [evidence_of_reading(recommender, recommender.read_plot(Plot(text))) for text in texts]
    vectors = np.stack([evidence.vector for evidence in asked])
    cosines = {
        name: (vectors[:, place] @ films.vectors[:, place].T).astype(np.float32)
        for name, place in space.layout_.items()
    }
    words = [films.words.cosines(evidence.words) for evidence in asked]
    return {**cosines, "words": np.stack(words).astype(np.float32)}


# ---- the rule ------------------------------------------------------------------------------------


def grid(**choices: Iterable[float]) -> list[Weights]:
    """Return all combinations, in order."""
    return [dict(zip(choices, values)) for values in itertools.product(*choices.values())]


def half_of(n: int, random_state: int = 42) -> np.ndarray:
    """Return a mask of one half of n things, drawn by chance: on it is chosen."""
    mask = np.zeros(n, dtype=bool)
    mask[np.random.default_rng(random_state).permutation(n)[: (n + 1) // 2]] = True
    return mask


def is_worse(values: np.ndarray, reference: np.ndarray) -> bool:
    """Is a measure lower than the reference's, film by film, by more than the interval?"""
    from movrec.workings.measures import Bootstrap

    difference = np.asarray(values - reference, dtype=float)
    return bool(difference.mean() < 0 and Bootstrap().measure(difference).high < 0)


def admitted(values: list[dict[str, np.ndarray]], reference: dict[str, np.ndarray]) -> np.ndarray:
    """Return which candidates the rule for films admits, as a mask; each is a dict of values."""

    def passes(own: dict[str, np.ndarray]) -> bool:
        return all(
            own[name].mean() >= JACCARD_FLOOR
            if name.startswith("genre_jaccard")
            else not is_worse(own[name], reference[name])
            for name in own
        )

    return np.array([passes(own) for own in values])


def mean_of_ranks(values: list[dict[str, np.ndarray]]) -> np.ndarray:
    """Return each candidate's mean rank over all measures but genre Jaccard; 1 is best."""
    means = pd.DataFrame([{name: own[name].mean() for name in own} for own in values])
    counted = [name for name in means if not name.startswith("genre_jaccard")]
    return means[counted].round(6).rank(ascending=False).mean(axis=1).to_numpy()


def choose(
    values: list[dict[str, np.ndarray]], reference: dict[str, np.ndarray] | None = None
) -> int:
    """Return the number of the candidate that the rule chooses; of equals, the first.

    With `reference` it is the rule for films, without it that for texts.
    """
    may = np.ones(len(values), bool) if reference is None else admitted(values, reference)
    if not may.any():
        raise ValueError("the rule admits no candidate: each is worse on some measure")
    ranks = np.full(len(values), np.inf)
    ranks[may] = mean_of_ranks([own for own, admit in zip(values, may) if admit])
    return int(ranks.argmin())

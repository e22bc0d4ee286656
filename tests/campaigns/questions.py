"""10,000 questions of odd types, sizes and signs: an answer or one of movrec's errors, soon, in few words.

An unknown keyword is a TypeError, as everywhere in Python; it is not asked here.
"""

import datetime
import decimal
import fractions
import math
import random
import time
import uuid

import numpy as np
import pandas as pd
from common import Tally, run, small_model
from sizes import in_time

SLOW = 10.0  # seconds; shared cores are slow
LONG_MESSAGE = 2_000


class Broken:
    """Everything that it is asked raises."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def __len__(self):
        raise RuntimeError("no len")

    def __iter__(self):
        raise RuntimeError("no iter")

    def __bool__(self):
        raise RuntimeError("no bool")


class Odd(str):
    """Text that is no plain str."""

    __slots__ = ()


def endless():
    while True:
        yield "Drama"


def values(films):
    """Values of all types, by chance one of them is right."""
    ids, titles = films["id"].tolist(), films["title"].tolist()
    plain = [
        None, True, False, 0, 1, -1, 7, 10**20, -(10**20), 10**5000, 2**31, 2**63, 2**64, 1.5, -0.0,
        math.nan, math.inf, -math.inf, 1e308, 3j, b"", b"Heat", bytearray(b"x"), "", " ", "\n", "Heat",
        titles[0], titles[5], "drama", "Drama", "en", "x'y", "';--", "a" * 100_000, "\ud800", "caf\udce9",
        "\0", "\x1b[31m", "ﷺ" * 500, "e\u0301" * 300, "🎬" * 300, "(" * 500, "1 " * 250, ". " * 5000,
        Odd("Heat"), ids[0], ids[3], str(ids[0]), float(ids[0]), np.int64(ids[0]), np.float32(2.5),
        np.bool_(True), np.timedelta64(5), np.datetime64("2020-01-01"), np.str_("Heat"), np.array(5),
        np.array([]), np.array([1, 2]), np.array([[1, 2], [3, 4]]), np.array(["Heat"]), np.array([None]),
        pd.NA, pd.NaT, pd.Timestamp("2020"), pd.Series([ids[0], ids[1]]), pd.Series(["a"]), pd.Index([1]),
        pd.DataFrame({"a": [1]}), pd.Series([], dtype=object), decimal.Decimal("1.5"), fractions.Fraction(1, 2),
        datetime.date(2020, 1, 1), uuid.UUID(int=1), Broken(), object(), type, len, lambda: 1, Ellipsis,
        NotImplemented, range(3), range(10**9), slice(1, 2), {}, {"a": 1}, {"words": 1}, {"words": math.nan},
        {1: 2}, {"year": 10**400}, set(), {ids[0]}, frozenset({"Drama"}), (), (1,), (1, 2), (1, 2, 3),
        (1990, 1999), (1999, 1990), (None, 1990), ("1990", "1999"), (10**20, None), (math.nan, 2000), [],
        [None], [1], [[1]], ["Heat"], ["Drama"], ["Drama", None], ["a" * 10_000], [ids[0], ids[1]], [titles[0]],
        [Broken()], ["\ud800"], ["Drama"] * 1001, [ids[0]] * 1001, list(range(5)), memoryview(b"ab"),
        "balanced", "theme", "joined", "document", "cosine",
    ]  # fmt: skip
    return [*plain, endless]


KEYWORDS = (
    "disliked", "more", "less", "weights", "match_genres", "genres", "exclude_genres", "years",
    "language", "min_vote_count", "exclude", "diversity", "space",
)  # fmt: skip


def questions(recommender, film):
    """What may be asked, by name: functions of a few values."""
    r = recommender
    plot = "A dog and a wizard in space."
    return {
        "find": (lambda a: r.find(a), 1),
        "find year": (lambda a: r.find("Heat", year=a), 1),
        "suggest": (lambda a: r.suggest(a), 1),
        "suggest n": (lambda a: r.suggest("the", a), 1),
        "recommend": (lambda a: r.recommend(a), 1),
        "recommend k": (lambda a: r.recommend(film, a), 1),
        "recommend year": (lambda a: r.recommend(film, year=a), 1),
        "recommend list": (lambda a, b: r.recommend([film, a, b]), 2),
        "text": (lambda a: r.recommend_for_text(a), 1),
        "text title": (lambda a: r.recommend_for_text(plot, a), 1),
        "text k": (lambda a: r.recommend_for_text(plot, k=a), 1),
        "search": (lambda a: r.search(a), 1),
        "search k": (lambda a: r.search("dog", a), 1),
        "genres": (lambda a: r.predict_genres(a), 1),
        "genres title": (lambda a: r.predict_genres(plot, a), 1),
        "explain": (lambda a, b: r.explain(a, b), 2),
        "explain weights": (lambda a: r.explain(film, film, weights=a), 1),
        "all k": (lambda a: r.recommend_all(a), 1),
        "all genres": (lambda a: r.recommend_all(3, match_genres=a), 1),
        "all weights": (lambda a: r.recommend_all(3, weights=a), 1),
        **{
            f"{name}=": (lambda a, name=name: r.recommend(film, k=3, **{name: a}), 1)
            for name in KEYWORDS
        },
        **{
            f"text {name}=": (lambda a, name=name: r.recommend_for_text(plot, k=3, **{name: a}), 1)
            for name in KEYWORDS
        },
    }


def ask(function, given, tally, name):
    from movrec import MovrecError
    from movrec.workings.core import quoted

    given = [value() if value is endless else value for value in given]
    start = time.monotonic()
    try:
        function(*given)
        outcome, message = "an answer", ""
    except MovrecError as error:
        outcome, message = type(error).__name__, str(error)
    except BaseException as error:
        outcome, message = f"FAULT {type(error).__name__}", str(error)
    seconds = time.monotonic() - start
    fault = ""
    if outcome.startswith("FAULT"):
        fault = message
    elif len(message) > LONG_MESSAGE:
        outcome, fault = "a long message", f"{len(message):,} characters"
    elif seconds > SLOW:
        outcome, fault = "slow", f"{seconds:.1f} s"
    shown = ", ".join(f"{type(value).__name__} {quoted(value, 40)}" for value in given)
    tally.add(outcome, fault and f"{name}({shown}): {fault}")


def main(share=1.0):
    from movrec import Recommender

    tally, chance = Tally(), random.Random(0)
    with small_model() as model:
        recommender = Recommender.open(model)
        film = int(recommender.films["id"][0])
        recommender.recommend_for_text("A dog.")  # loads what is slow to load
        all_values = values(recommender.films)
        asked = questions(recommender, film)
        every = [
            (name, (value,)) for name, (_, n) in asked.items() if n == 1 for value in all_values
        ]
        n_more = max(0, 10_000 - len(every))
        names = list(asked)
        for _ in range(n_more):
            name = chance.choice(names)
            every.append((name, tuple(chance.choices(all_values, k=asked[name][1]))))
        chance.shuffle(every)
        for name, given in in_time(every[: max(1, int(share * len(every)))]):
            ask(asked[name][0], given, tally, name)
    return tally.show()


if __name__ == "__main__":
    run(main, __doc__)

"""12,000 mutated files of films and of ratings: a table or one of movrec's errors, soon.

Every third table of films is written as CSV and has to read back equal.
"""

import bz2
import gzip
import io
import lzma
import random
import tempfile
import time
import zipfile
from pathlib import Path

from common import Tally, run
from sizes import in_time

SLOW = 20.0  # seconds
PIECES = [b"", b'"', b"'", b"\0", b",", b"\n", b"\r", b"\xff", b"\xed\xa0\x80", b"-", b"e99", b"9" * 30, b"inf", b"nan",
          b"{", b"[", b"]}", b"\\", b";", b"\t", b"=1+1", b"x" * 5000, b"\n" * 500, b'","' * 200]  # fmt: skip


def contents():
    """Small files of every kind that is read, by their endings."""
    from movrec import load_sample

    films = load_sample().head(12).copy()
    csv = films.to_csv(index=False).encode()
    parquet, feather, zipped = io.BytesIO(), io.BytesIO(), io.BytesIO()
    films.to_parquet(parquet)
    films.to_feather(feather)
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("films.csv", csv)
    with zipfile.ZipFile(lzma_zip := io.BytesIO(), "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("films.csv", csv)
    lines = films.to_json(orient="records", lines=True).encode()
    return {
        "csv": csv, "tsv": films.to_csv(index=False, sep="\t").encode(), "utf16.csv": csv.decode().encode("utf-16"),
        "json": films.to_json(orient="records").encode(), "jsonl": lines, "parquet": parquet.getvalue(),
        "feather": feather.getvalue(), "csv.gz": gzip.compress(csv), "csv.bz2": bz2.compress(csv),
        "csv.xz": lzma.compress(csv), "zip": zipped.getvalue(), "lzma.zip": lzma_zip.getvalue(),
        "jsonl.gz": gzip.compress(lines),
    }  # fmt: skip


def mutated(data, chance):
    data = bytearray(data)
    for _ in range(chance.choice([1, 1, 3, 10, 40])):
        place = chance.randrange(len(data) + 1)
        kind = chance.random()
        if kind < 0.4 and place < len(data):
            data[place] ^= 1 << chance.randrange(8)
        elif kind < 0.8:
            data[place : place + chance.choice([0, 1, 5, 50])] = chance.choice(PIECES)
        elif kind < 0.9:
            del data[place:]
        else:
            data[place:place] = data[chance.randrange(len(data) + 1) :][:500]
    return bytes(data)


def attempt(read, tally, what):
    from movrec import MovrecError

    start, table = time.monotonic(), None
    try:
        table = read()
        outcome, fault = "a table", ""
    except MovrecError as error:
        outcome, fault = type(error).__name__, ""
        if len(str(error)) > 2000:
            outcome, fault = "a long message", f"{what}: {len(str(error)):,} characters"
    except BaseException as error:
        outcome, fault = f"FAULT {type(error).__name__}", f"{what}: {error}"
    if time.monotonic() - start > SLOW:
        outcome, fault = "slow", f"{what}: {time.monotonic() - start:.1f} s"
    tally.add(outcome, fault)
    return table


def read_back(films, path, tally, what):
    """Write a film table as CSV, read it, and compare."""
    from movrec import read_movies

    films.to_csv(path, index=False)
    try:
        again = read_movies(path, progress=False)
        for column in films:
            there, back = films[column].map(repr).tolist(), again[column].map(repr).tolist()
            assert there == back, (
                column,
                next(pair for pair in zip(there, back) if len({*pair}) > 1),
            )
        tally.add("read back equal")
    except Exception as error:
        tally.add("FAULT read back otherwise", f"{what}: {error!r}")


def main(share=1.0):
    from movrec import read_movies
    from movrec.workings.sources import read_ratings

    tally, kinds = Tally(), contents()
    ratings = b"userId,movieId,rating,timestamp\n" + b"".join(
        b"%d,%d,3.5,1\n" % (user, film) for user in range(1, 20) for film in range(1, 8)
    )
    links = b"movieId,imdbId,tmdbId\n" + b"".join(
        b"%d,%d,%d\n" % (n, n, n + 100) for n in range(1, 8)
    )
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "links.csv"
        whole.write_bytes(links)
        for number in in_time(range(int(9_000 * share))):
            chance = random.Random(number)
            ending = chance.choice(list(kinds))
            path = Path(folder) / f"films.{ending}"
            path.write_bytes(mutated(kinds[ending], chance))
            what = f"films {number} {ending}"
            films = attempt(lambda path=path: read_movies(path, progress=False), tally, what)
            if films is not None and number % 3 == 0:
                read_back(films, Path(folder) / "again.csv", tally, what)
        for number in in_time(range(int(3_000 * share))):
            chance = random.Random(number)
            path = Path(folder) / chance.choice(["r.csv", "r.csv.gz", "r.zip"])
            data = mutated(ratings, chance)
            path.write_bytes(gzip.compress(data) if path.suffix == ".gz" and number % 2 else data)
            attempt(lambda path=path: read_ratings(path, whole), tally, f"ratings {number}")
    return tally.show()


if __name__ == "__main__":
    run(main, __doc__)

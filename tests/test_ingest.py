"""Catalogue files as they come: packed, misnamed, damaged, dirty; and what is said about them."""

import csv
import gzip
import json
import os
import pickle
import re
import subprocess
import sys
import types
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movrec import ingest
from movrec.ingest import check_films, download_movies, find_reasons, load_sample, read_movies
from movrec.workings.core import (
    CatalogueError,
    ModelError,
    MovrecError,
    NotFittedError,
    ParameterError,
    QueryError,
)
from movrec.workings.files import read_cells
from movrec.workings.genre_cells import parse_genres
from movrec.workings.layouts import MISSHAPEN, Layout
from movrec.workings.number_cells import parse_count, parse_id, parse_year
from movrec.workings.report import IngestReport, make_report

REPOSITORY = Path(__file__).parents[1]
REAL_DATA = Path(os.environ.get("MOVREC_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
REAL_MOVIES = REAL_DATA / "movies_metadata.csv.gz"

COLUMNS = ["id", "title", "release_date", "overview", "genres", "vote_count"]
FILMS = [
    ["1", "Heat", "1995-12-15", "A thief and a detective.", "[{'id': 80, 'name': 'Crime'}]", "10"],
    ["2", "Salt", "2010", "A spy runs.", "[{'id': 28, 'name': 'Action'}]", "20"],
    ["3", "Amélie", "2001-04-25", "A waitress mends lives.", "[{'id': 35, 'name': 'Comedy'}]", ""],
]


def write_csv(path, rows=FILMS, columns=COLUMNS, encoding="utf-8", **options):
    with open(path, "w", encoding=encoding, newline="") as file:
        csv.writer(file, **options).writerows([columns, *rows])
    return path


def read(path, **options):
    """Read without a bar; a warning is an error, since a user would see it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_movies(path, progress=False, **options)


def with_cell(column, value, row=1):
    rows = [list(film) for film in FILMS]
    rows[row][COLUMNS.index(column)] = value
    return rows


def message(error):
    """Return an error's message, after checking that it is one sentence on one line."""
    text = str(error.value)
    assert "\n" not in text
    assert text[-1] in ".?"
    assert not re.search(r"[.!?] [A-Z]", text)
    return text


# Forms of a file


def is_complete(films):
    assert films.index.equals(pd.RangeIndex(3))
    assert films["id"].tolist() == [1, 2, 3]
    assert films["title"].tolist() == ["Heat", "Salt", "Amélie"]
    assert films["year"].tolist() == [1995, 2010, 2001]
    assert films["genres"].tolist() == [["Crime"], ["Action"], ["Comedy"]]
    return True


def test_types(tmp_path):
    films = read(write_csv(tmp_path / "films.csv"))
    assert is_complete(films)
    assert films["id"].dtype == "int64"
    assert films["year"].dtype == "Int16"
    assert films["vote_count"].dtype == "Int64"
    assert films["title"].dtype == pd.Series(["text"]).dtype
    assert list(films.columns) == ["id", "title", "year", "genres", "overview", "vote_count"]
    assert films["vote_count"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize("name", ["films.csv.gz", "films.csv", "films"])
def test_gzip_whatever_its_name(tmp_path, name):
    plain = write_csv(tmp_path / "plain.csv")
    (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
    assert is_complete(read(tmp_path / name))


def test_plain_text_with_a_gzip_name(tmp_path):
    assert is_complete(read(write_csv(tmp_path / "films.csv.gz")))


@pytest.mark.parametrize(
    "members",
    [
        ["films.csv"],
        ["films.csv", "readme.txt"],
        ["data/", "data/films.csv", "__MACOSX/data/._films.csv"],
        ["ratings.csv", "links.csv", "movies_metadata.csv"],
    ],
)
def test_zip(tmp_path, members):
    content = write_csv(tmp_path / "plain.csv").read_bytes()
    with zipfile.ZipFile(tmp_path / "films.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            is_catalogue = member.endswith(("films.csv", "movies_metadata.csv"))
            archive.writestr(member, content if is_catalogue and "._" not in member else "a,b\n")
    assert is_complete(read(tmp_path / "films.zip"))


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_and_a_byte_order_mark(tmp_path, delimiter):
    path = write_csv(tmp_path / "films.csv", encoding="utf-8-sig", delimiter=delimiter)
    assert is_complete(read(path))


@pytest.mark.parametrize(
    "genres",
    [
        "Action|Comedy",
        "Action | Comedy | ",
        "Action, Comedy",
        '["Action", "Comedy"]',
        "['Action', 'Comedy', 'Action']",
        '[{"id": 28, "name": "Action"}, {"name": "Comedy", "id": null}]',
        "[{'name': 'Action'}, {'id': 3}, 7, {'name': 'Comedy'}]",
    ],
)
def test_genres_in_a_csv(tmp_path, genres):
    films = read(write_csv(tmp_path / "films.csv", with_cell("genres", genres)))
    assert films["genres"][1] == ["Action", "Comedy"]


@pytest.mark.parametrize(
    "genres",
    [
        [["Crime"], ["Action"], ["Comedy"]],
        [[{"id": n, "name": name}] for n, name in enumerate(["Crime", "Action", "Comedy"])],
        [film[4] for film in FILMS],
        ["Crime", "Action", "Comedy"],
    ],
)
@pytest.mark.parametrize("ids", [[1, 2, 3], [1.0, 2.0, 3.0], ["1", "2", "3"]])
def test_parquet(tmp_path, genres, ids):
    frame = pd.DataFrame(FILMS, columns=COLUMNS).assign(genres=genres, id=ids)
    frame["release_date"] = pd.to_datetime(["1995-12-15", "2010-01-01", "2001-04-25"])
    frame.to_parquet(tmp_path / "films.parquet")
    assert is_complete(read(tmp_path / "films.parquet"))
    assert is_complete(read(tmp_path / "films.parquet", chunk_size=2))


def test_a_film_table_survives_being_written_and_read(tmp_path):
    films = load_sample()
    films.to_csv(tmp_path / "films.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        films.to_parquet(tmp_path / "films.parquet")
    for name in ["films.csv", "films.parquet"]:
        pd.testing.assert_frame_equal(read(tmp_path / name), films)


def test_chunk_size_does_not_matter():
    sample = REPOSITORY / "movrec" / "data" / "movies_sample.csv"
    expected = read(sample)
    pd.testing.assert_frame_equal(read(sample, chunk_size=333), expected)
    assert len(expected) == 3997
    assert expected.attrs["ingest_report"].rows_read == 3997


def test_sample():
    films = load_sample()
    assert films["id"].is_unique
    assert films["overview"].str.len().min() > 100
    assert films["collection"].notna().sum() == 1018
    story = films[films["title"] == "Toy Story"].iloc[0]
    assert story["year"] == 1995 and "Animation" in story["genres"]
    assert not films["title"].isna().any()


# Files that are no catalogue


def test_missing_file(tmp_path):
    write_csv(tmp_path / "films.csv")
    with pytest.raises(CatalogueError) as error:
        read(tmp_path / "film.csv")
    assert "did you mean" in message(error) and "films.csv" in message(error)
    with pytest.raises(CatalogueError, match="no file"):
        read(str(tmp_path / "nowhere" / "films.csv"))


def test_folder(tmp_path):
    with pytest.raises(CatalogueError, match="is a folder") as error:
        read(tmp_path)
    assert "movies_metadata.csv" in message(error)


@pytest.mark.parametrize("path", [None, 3, pd.DataFrame()])
def test_no_path(path):
    with pytest.raises(ParameterError, match="path has to be"):
        read(path)


@pytest.mark.parametrize("path", ["bad\0name.csv", "x" * 5000])
def test_impossible_path(path):
    with pytest.raises(CatalogueError):
        read(path)


@pytest.mark.parametrize("chunk_size", [0, -1, 2.5, "many"])
def test_chunk_size(tmp_path, chunk_size):
    with pytest.raises(ParameterError, match="chunk_size"):
        read(write_csv(tmp_path / "films.csv"), chunk_size=chunk_size)


@pytest.mark.parametrize("content", [b"", b"\n\n  \n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_empty(tmp_path, content, pack):
    (tmp_path / "films.csv").write_bytes(pack(content))
    with pytest.raises(CatalogueError, match="is empty") as error:
        read(tmp_path / "films.csv")
    message(error)


@pytest.mark.parametrize("name", ["films.csv", "films.parquet"])
def test_header_only(tmp_path, name):
    if name.endswith("csv"):
        write_csv(tmp_path / name, [])
    else:
        pd.DataFrame([], columns=COLUMNS).to_parquet(tmp_path / name)
    with pytest.raises(CatalogueError, match="no rows") as error:
        read(tmp_path / name)
    message(error)


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0",
        bytes(range(256)) * 20,
        np.random.default_rng(0).bytes(50_000),
        b"\0" * 3_000_000,
        b"SQLite format 3\0\x10\0",
    ],
)
def test_binary(tmp_path, content):
    (tmp_path / "films.csv").write_bytes(content)
    with pytest.raises(CatalogueError, match="neither a CSV nor a Parquet") as error:
        read(tmp_path / "films.csv")
    message(error)


def test_prose(tmp_path):
    (tmp_path / "films.csv").write_text("Dear diary,\ntoday I saw a film.\n")
    with pytest.raises(CatalogueError, match="has no columns 'title', 'overview', 'genres'") as e:
        read(tmp_path / "films.csv")
    assert "--columns title=NAME" in message(e) and "the columns here are Dear diary" in message(e)


def test_spreadsheet(tmp_path):
    with zipfile.ZipFile(tmp_path / "films.xlsx", "w") as archive:
        archive.writestr("[Content_Types].xml", "<x/>")
        archive.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(CatalogueError, match="is a spreadsheet") as error:
        read(tmp_path / "films.xlsx")
    message(error)


@pytest.mark.parametrize("members", [[], ["a.csv", "b.csv"], ["one.txt", "two.txt"]])
def test_zip_without_one_catalogue(tmp_path, members):
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for member in members:
            archive.writestr(member, "a,b\n")
    with pytest.raises(CatalogueError, match=f"holds {len(members)} files") as error:
        read(tmp_path / "films.zip")
    assert all(member in message(error) for member in members)


def damaged(path, keep=None, flip=None):
    """Cut a file short, or turn over the bits of some bytes in its middle."""
    content = bytearray(path.read_bytes())
    if keep is not None:
        content = content[: int(len(content) * keep)]
    if flip is not None:
        middle = len(content) // 2
        for place in range(middle, middle + flip):
            content[place] ^= 0xFF
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("damage", [{"keep": 0.5}, {"keep": 0.9}, {"flip": 40}])
@pytest.mark.parametrize("kind", ["gz", "zip", "parquet"])
def test_damaged(tmp_path, kind, damage):
    rows = [[str(n), f"Film {n * n}", "1999", f"Plot {n * 7919}", "Drama", n] for n in range(2000)]
    plain = write_csv(tmp_path / "plain.csv", rows)
    path = tmp_path / f"films.{kind}"
    if kind == "gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(plain, "films.csv")
    else:
        pd.read_csv(plain).to_parquet(path)
    assert len(read(path)) == 2000
    with pytest.raises(CatalogueError, match="damaged") as error:
        read(damaged(path, **damage))
    message(error)


def test_encrypted_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        archive.writestr("films.csv", "id,title\n")
    content = bytearray((tmp_path / "films.zip").read_bytes())
    content[6] |= 1  # the flag for encryption, in the local header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "films.zip").write_bytes(content)
    with pytest.raises(CatalogueError, match="password") as error:
        read(tmp_path / "films.zip")
    message(error)


@pytest.mark.parametrize("name", ["films.csv", "films.parquet"])
@pytest.mark.parametrize("column", ["title", "overview", "genres"])
def test_missing_column(tmp_path, name, column):
    other = {"title": "titlle", "overview": "overveiw", "genres": "genresss"}[column]
    frame = pd.DataFrame(FILMS, columns=COLUMNS).rename(columns={column: other})
    if name.endswith("csv"):
        frame.to_csv(tmp_path / name, index=False)
    else:
        frame.to_parquet(tmp_path / name)
    with pytest.raises(CatalogueError, match=f"has no column '{column}'") as error:
        read(tmp_path / name)
    assert f"'{other}'" in message(error)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_western_bytes_are_read_with_a_notice(tmp_path, encoding):
    films = read(write_csv(tmp_path / "films.csv", encoding=encoding))
    assert is_complete(films)
    (notice,) = films.attrs["ingest_report"].notices
    assert "Windows-1252" in notice and "row 3" in notice and "title" in notice


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_an_encoding_with_a_mark(tmp_path, encoding):
    assert is_complete(read(write_csv(tmp_path / "films.csv", encoding=encoding)))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "cp1251", "shift_jis", "gb18030"])
def test_another_encoding_has_to_be_named(tmp_path, encoding):
    plots = {
        "cp1251": "Девушка находит записку отца и едет к морю, где её никто не ждёт. ",
        "shift_jis": "若い女性が父の日記を見つけ、海へ向かう。港で誰も彼女を知らない。",
        "gb18030": "年轻女子发现父亲的盐账，前往大海。港口没有人认识她。",
    }
    rows = [[*film[:3], plots.get(encoding, film[3]) * 3, *film[4:]] for film in FILMS[:2]]
    path = write_csv(tmp_path / "films.csv", rows, encoding=encoding)
    with pytest.raises(CatalogueError, match="is not UTF-8 text") as error:
        read(path)
    named = re.search(r"--encoding (\S+)", message(error)).group(1)
    assert named in (encoding, "cp932")
    assert read(path, encoding=named)["overview"].tolist() == [row[3].strip() for row in rows]


@pytest.mark.parametrize("encoding", ["klingon", "zip", 3, ""])
def test_an_encoding_that_is_none(tmp_path, encoding):
    with pytest.raises(ParameterError, match="encoding must be"):
        read(write_csv(tmp_path / "films.csv"), encoding=encoding)


def test_only_unusable_rows(tmp_path):
    rows = [["1", "Heat", "", "", "[]", ""], ["x", "Salt", "", "A spy.", "Action", ""]]
    with pytest.raises(CatalogueError, match="no usable film") as error:
        read(write_csv(tmp_path / "films.csv", rows))
    assert "1 shifted record, 1 no overview" in message(error)
    assert error.value.report.dropped["no overview"] == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_permission(tmp_path):
    path = write_csv(tmp_path / "films.csv")
    path.chmod(0)
    with pytest.raises(CatalogueError, match="permission"):
        read(path)


# Cells that are no use


@pytest.mark.parametrize(
    "cell",
    [
        "[{'id': 18, 'name': 'Dra",
        "[" * 5000,
        "[" + "-" * 50_000 + "1]",
        "[" * 150_000,
        "{'a': 1}]]",
        "[lambda: 1]",
        "['\\d', '\\N{x}']",
        "False",
        "12.5",
        '["\\ud800"]',
        "[1e999]",
        "\x00",
    ],
)
@pytest.mark.parametrize("column", COLUMNS)
def test_one_bad_cell_does_not_stop_the_file(tmp_path, column, cell):
    films = read(write_csv(tmp_path / "films.csv", with_cell(column, cell)))
    assert set(films["id"]) >= {1, 3}
    json.dumps(films["genres"].tolist()).encode()
    films.to_parquet(tmp_path / "films.parquet")  # nothing in it that Arrow cannot hold


def test_nothing_in_a_cell_is_run(tmp_path):
    trap = tmp_path / "trap"
    cells = [f"[__import__('pathlib').Path({str(trap)!r}).touch()]", f"open({str(trap)!r}, 'w')"]
    for cell in cells:
        for column in COLUMNS:
            read(write_csv(tmp_path / "films.csv", with_cell(column, cell)))
    assert not trap.exists()


@pytest.mark.parametrize("line", ['5,"Open quote,2001,A plot,Drama,1', '"', "5,a,b,c,d,e,f,g", "5"])
def test_one_bad_line_does_not_stop_the_file(tmp_path, line):
    path = write_csv(tmp_path / "films.csv")
    lines = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([*lines[:2], *lines[3:], line, *lines[2:3]]) + "\n", "utf-8")
    films = read(path)
    assert set(films["id"]) >= {1, 3}


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@pytest.mark.parametrize("place", [9, 2990])
def test_a_quote_that_never_closes(tmp_path, place, quoting):
    """It costs no record, although a CSV reader takes all that follows for its cell."""
    rows = [[str(n), f"Film {n}", "1999", "x" * 200, "Drama", "1"] for n in range(3000)]
    path = write_csv(tmp_path / "films.csv", rows, quoting=quoting)
    lines = path.read_text().splitlines()
    lines[place + 1] = f'{place},"Film,1999,Plot,Drama,1'
    path.write_text("\n".join(lines))
    films = read(path)
    assert set(films["id"]) == set(range(3000))
    film = films.set_index("id").loc[place]
    assert (film["title"], film["year"], film["overview"]) == ("Film", 1999, "Plot")


def test_many_quotes_that_never_close(tmp_path):
    lines = [",".join(COLUMNS), *[f'{n},"Film,1999,{"x" * 500},Drama,1' for n in range(2000)]]
    (tmp_path / "films.csv").write_text("\n".join([*lines, "5000,Heat,1995,A thief.,Crime,1"]))
    films = read(tmp_path / "films.csv")
    assert films["id"].tolist() == [*range(2000), 5000]


def test_line_breaks_within_quotes(tmp_path):
    rows = with_cell("overview", 'He said "Go",\r\nand\nleft.')
    films = read(write_csv(tmp_path / "films.csv", rows))
    assert films["overview"][1] == 'He said "Go", and left.'


def test_a_byte_that_is_not_utf8(tmp_path):
    rows = [*FILMS, ["4", "Ödipussi", "1988", "Herr Winkelmann.", "Comedy", "1"]]
    path = write_csv(tmp_path / "films.csv", rows)
    path.write_bytes(path.read_bytes().replace(b"Salt", b"S\xe4lt"))
    films = read(path)
    assert films["title"].tolist() == ["Heat", "Sält", "Amélie", "Ödipussi"]
    (notice,) = films.attrs["ingest_report"].notices
    assert notice == (
        "1 cell (title, first in row 2) holds bytes that are not UTF-8: read as Windows-1252"
    )


def test_text_is_one_clean_line(tmp_path):
    rows = with_cell("overview", " A \x1b[31mspy\r\n\truns.\x00 ")
    assert read(write_csv(tmp_path / "films.csv", rows))["overview"][1] == "A [31mspy runs."


@pytest.mark.parametrize("title", ["None", "NaN", "Null", "N/A", "1917", "", "=cmd()"])
def test_titles_that_look_like_nothing(tmp_path, title):
    films = read(write_csv(tmp_path / "films.csv", with_cell("title", title)))
    assert (title in films["title"].tolist()) == bool(title)


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("1995-10-30", 1995),
        ("1995", 1995),
        ("1995.0", 1995),
        ("30/10/1995", 1995),
        ("", None),
        ("0", None),
        ("soon", None),
        ("99999", None),
        ("1", None),
    ],
)
def test_years(tmp_path, date, year):
    films = read(write_csv(tmp_path / "films.csv", with_cell("release_date", date)))
    assert films["year"].isna()[1] == (year is None)
    assert year is None or films["year"][1] == year


# What was dropped, and why


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("id", "1997-08-20", "shifted record"),
        ("overview", "Released", "shifted record"),
        ("id", "", "no id"),
        ("title", " ", "no title"),
        ("overview", "", "no overview"),
        ("overview", "No overview found.", "placeholder overview"),
        ("overview", "No Overview", "placeholder overview"),
        ("overview", "No movie overview available.", "placeholder overview"),
        ("overview", "...", "placeholder overview"),
        ("genres", "[]", "no genres"),
        ("genres", "", "no genres"),
        ("genres", "[{'id': 18", "unreadable genres"),
        ("id", "1", "duplicate id"),
        ("id", "1.0", "duplicate id"),
    ],
)
def test_reasons(tmp_path, column, cell, reason):
    films = read(write_csv(tmp_path / "films.csv", with_cell(column, cell)))
    report = films.attrs["ingest_report"]
    assert films["id"].tolist() == [1, 3]
    assert {name: count for name, count in report.dropped.items() if count} == {reason: 1}
    example = report.examples.iloc[0]
    assert example["reason"] == reason and example["row"] == 2
    assert reason in str(report) and reason in report._repr_html_()


def test_production_companies_for_genres(tmp_path):
    columns = [*COLUMNS, "production_companies"]
    rows = [[*film, "[{'name': 'Pier Films', 'id': 3}]"] for film in FILMS]
    companies = "[{'name': 'Carousel Productions', 'id': 11176}, {'name': 'GoHands', 'id': 7759}]"
    rows.append(["4", "Shifted", "1999", "A plot.", companies, "1", "[]"])
    rows.append(["5", "Shifted too", "1999", "A plot.", "['GoHands']", "1", "False"])
    report = read(write_csv(tmp_path / "films.csv", rows, columns)).attrs["ingest_report"]
    assert report.dropped["shifted record"] == 2

    for number, row in enumerate(rows[:3]):
        row[4] = f"[{{'id': {number}, 'name': 'Kind {number}'}}]"
    films = read(write_csv(tmp_path / "films.csv", rows[:3], columns))
    assert len(films) == 3  # a catalogue with genre ids of its own is fine


def test_the_first_usable_of_two_equal_ids_stays(tmp_path):
    rows = [["1", "No plot", "", "", "Drama", ""], *FILMS, ["1", "Late", "", "Plot.", "Drama", ""]]
    films = read(write_csv(tmp_path / "films.csv", rows))
    assert films["title"].tolist() == ["Heat", "Salt", "Amélie"]


def test_rare_genres_are_reported_and_kept(tmp_path):
    films = read(write_csv(tmp_path / "films.csv", with_cell("genres", "Action|GoHands")))
    report = films.attrs["ingest_report"]
    assert films["genres"][1] == ["Action", "GoHands"]
    assert report.rare_genres.to_dict("records") == [
        {"genre": "GoHands", "films": 1, "title": "Salt"}
    ]
    assert "GoHands" in str(report)


def test_report_in_a_shell_is_aligned(tmp_path):
    title = "A title that is much longer than others"
    rows = [[str(n), title, "1", "", "Drama", ""] for n in range(5)]
    report = read(write_csv(tmp_path / "films.csv", [*FILMS, *rows])).attrs["ingest_report"]
    lines = str(report).splitlines()
    assert "8 rows read, 3 films kept, 5 rows dropped" in lines[0]
    assert max(len(line) for line in lines) <= 80
    assert len(report.examples) == 3
    header, *rows = lines[2:]
    assert re.split("  +", header) == ["dropped for", "rows", "e.g. row", "title", "cell"]
    assert len(rows) == 3
    for name in ("rows", "e.g. row"):  # to the right, and blanks before the next column
        end = header.index(name) + len(name)
        assert all(re.fullmatch(r"[\d ]  ", row[end - 1 : end + 2]) for row in rows)
    title = header.index("title")
    assert all(row[title:].startswith("A title") for row in rows)


def test_report_in_a_notebook_is_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    rows = [*with_cell("title", evil), ["9", evil, evil, "", f"[{evil}]", evil]]
    report = read(write_csv(tmp_path / "films.csv", rows)).attrs["ingest_report"]
    shown = report._repr_html_()
    assert "<script" not in shown and "&lt;script&gt;" in shown


def test_report_stays_with_the_table(tmp_path):
    films = load_sample()
    assert isinstance(films.head(3).attrs["ingest_report"], IngestReport)
    copy = pickle.loads(pickle.dumps(films)).attrs["ingest_report"]  # ours, not a stranger's
    assert copy == films.attrs["ingest_report"] and copy.films == 3997
    assert len(pd.concat([films, films.head(2)])) == 3999


# Tables made by hand


def by_hand(**columns):
    table = {
        "id": [7, 8],
        "title": ["Heat", "Salt"],
        "overview": ["A thief.", "A spy."],
        "genres": [["Crime"], []],
    }
    return pd.DataFrame(table | columns)


def test_check_films_returns_a_film_table():
    mine = by_hand(year=[1995, None], mood=["dark", "quick"]).set_index(pd.Index(["a", "b"]))
    before = mine.copy(deep=True)
    films = check_films(mine)
    pd.testing.assert_frame_equal(mine, before)
    assert list(films.columns) == ["id", "title", "year", "genres", "overview"]
    assert films.index.equals(pd.RangeIndex(2))
    assert films["genres"].tolist() == [["Crime"], []]
    films["genres"][0].append("Drama")
    assert mine["genres"].iloc[0] == ["Crime"]


def test_check_films_changes_nothing_that_is_right():
    films = load_sample()
    checked = check_films(films)
    pd.testing.assert_frame_equal(checked, films)
    assert checked.attrs["ingest_report"] is not None


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": [7, 7]}, "Row 1 .* earlier row"),
        ({"id": [7, None]}, "Row 1 .* no id"),
        ({"id": [7, "tt1"]}, "Row 1 .* not a whole number.*tt1"),
        ({"title": ["", "Salt"]}, "Row 0 .* no title"),
        ({"overview": ["A thief.", None]}, "Row 1 .* no overview"),
        ({"overview": ["A thief.", "No overview found."]}, "placeholder"),
        ({"genres": [["Crime"], "[{"]}, "genres that are not a list"),
        ({"genres": [["Crime"], 5]}, "genres that are not a list"),
    ],
)
def test_check_films_names_the_row(columns, words):
    with pytest.raises(CatalogueError, match=words) as error:
        check_films(by_hand(**columns))
    message(error)


@pytest.mark.parametrize(
    ("films", "words"),
    [
        ([{"id": 1}], "has to be a DataFrame"),
        (by_hand().drop(columns="overview"), "no column 'overview'"),
        (by_hand().rename(columns={"genres": "genr"}), "'genr'"),
        (by_hand().head(0), "no rows"),
        (pd.concat([by_hand(), by_hand()[["title"]]], axis=1), "two columns 'title'"),
        (pd.DataFrame([[1, 2]]), "no columns 'title'"),
    ],
)
def test_check_films_wants_a_film_table(films, words):
    with pytest.raises(CatalogueError, match=words) as error:
        check_films(films)
    message(error)


# Another kind of catalogue


LIBRARY = Layout(
    columns={
        "id": ("shelf mark",),
        "title": ("name", "title"),
        "overview": ("synopsis",),
        "genres": ("kind",),
        "year": ("made in",),
        "vote_count": ("loans",),
    },
    parsers={
        "shelf mark": parse_id,
        "kind": parse_genres,
        "made in": parse_year,
        "loans": parse_count,
    },
    tell_tale="owners",
)
LIBRARY_COLUMNS = ["shelf mark", "name", "synopsis", "kind", "made in", "loans", "owners", "price"]
LIBRARY_ROWS = [
    ["17", "Salt", "A merchant walks.", "Adventure", "c. 1954", "3", "[]", "1"],
    ["18", "Heat", "", "Crime", "1995", "4", "[]", "1"],
    ["19", "Sand", "A boy walks.", "Drama", "1961", "many", "[]", "1"],
    ["20", "Shifted", "A girl walks.", "Drama", "1961", "4", "False", "1"],
]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_another_layout_goes_through_the_same_doors(tmp_path, delimiter):
    path = write_csv(tmp_path / "a.csv", LIBRARY_ROWS, LIBRARY_COLUMNS, delimiter=delimiter)
    cells = pd.concat(read_cells(path, 2, layout=LIBRARY))
    assert set(cells) == {*LIBRARY_COLUMNS, MISSHAPEN} - {"price"}
    table = LIBRARY.parse(cells)
    reasons = find_reasons(cells, table, LIBRARY)
    assert reasons.tolist() == [None, "no overview", None, "shifted record"]
    report = make_report("a.csv", cells, table, reasons, LIBRARY)
    assert report.films == 2 and report.unreadable["column"].tolist() == ["vote_count"]
    assert table.loc[0, ["id", "year", "vote_count"]].tolist() == [17, 1954, 3]


def test_another_layout_asks_for_its_own_columns(tmp_path):
    path = write_csv(tmp_path / "a.csv", [["1", "Salt"]], ["shelf mark", "title"])
    with pytest.raises(CatalogueError, match="no columns 'synopsis', 'kind'") as error:
        next(read_cells(path, layout=LIBRARY))
    assert "needs shelf mark, name, synopsis, kind" in message(error)


@pytest.mark.parametrize("chunk_size", [1, 2, 1000])
def test_rows_are_numbered_through_the_file(tmp_path, chunk_size):
    chunks = list(read_cells(write_csv(tmp_path / "films.csv"), chunk_size))
    assert len(chunks) == -(-len(FILMS) // chunk_size)
    assert pd.concat(chunks).index.tolist() == [0, 1, 2]


def test_the_row_that_is_not_utf8_is_named_wherever_it_stands(tmp_path):
    rows = [[str(n), "Heat", "1995", "A thief.", "Crime", "1"] for n in range(9)]
    rows[7][3] = "Вор едет к морю."
    path = write_csv(tmp_path / "films.csv", rows, encoding="cp1251")
    with pytest.raises(CatalogueError, match="row 8, column 'overview'"):
        read(path, chunk_size=2)


# The download


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """A kagglehub that finds the file in its cache."""
    (tmp_path / "cache").mkdir()
    cached = write_csv(tmp_path / "cache" / "movies_metadata.csv")
    asked = []

    def dataset_download(handle, path=None):
        asked.append((handle, path))
        return str(cached)

    module = types.ModuleType("kagglehub")
    module.dataset_download = dataset_download
    module.asked, module.cached = asked, cached
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return module


def test_download(kaggle):
    path = download_movies()
    assert path == kaggle.cached
    assert kaggle.asked == [("rounakbanik/the-movies-dataset", "movies_metadata.csv")]
    assert is_complete(read(path))


def test_download_into_a_folder(kaggle, tmp_path):
    path = download_movies(to=tmp_path / "my" / "films")
    assert path == tmp_path / "my" / "films" / "movies_metadata.csv"
    assert is_complete(read(path))
    assert [file.name for file in path.parent.iterdir()] == ["movies_metadata.csv"]
    assert download_movies(to=str(path.parent)) == path  # again, over the old one


def test_download_that_gets_a_folder(kaggle, monkeypatch):
    monkeypatch.setattr(kaggle, "dataset_download", lambda *_, **__: str(kaggle.cached.parent))
    assert download_movies() == kaggle.cached


def test_copy_that_fails_leaves_the_old_file(kaggle, tmp_path, monkeypatch):
    path = download_movies(to=tmp_path / "films")
    path.write_text("old")

    def full(source, target):
        Path(target).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ingest.shutil, "copyfile", full)
    with pytest.raises(CatalogueError, match="cannot be written") as error:
        download_movies(to=tmp_path / "films")
    message(error)
    assert path.read_text() == "old"
    assert len(list(path.parent.iterdir())) == 1


def test_download_to_a_file(kaggle):
    with pytest.raises(ParameterError, match="folder"):
        download_movies(to=kaggle.cached)


def test_download_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(CatalogueError) as error:
        download_movies()
    text = message(error)
    assert 'pip install "movrec[kaggle]"' in text
    assert "movies_metadata.csv" in text and "read_movies(" in text


def test_download_without_a_network(kaggle, monkeypatch):
    def no_network(*_, **__):
        raise ConnectionError("HTTPSConnectionPool(host=...): Max retries\nexceeded")

    monkeypatch.setattr(kaggle, "dataset_download", no_network)
    with pytest.raises(CatalogueError, match="could not be downloaded") as error:
        download_movies()
    assert "read_movies(" in message(error)


# Bars, errors, exercises

READ_SAMPLE = """
from movrec.ingest import read_movies
print(len(read_movies("movrec/data/movies_sample.csv", chunk_size=100)))
"""


def test_no_bar_in_a_log():
    done = subprocess.run(
        [sys.executable, "-c", READ_SAMPLE], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.stdout == "3997\n" and done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_bar_on_a_terminal_is_gone_afterwards():
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", READ_SAMPLE],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    assert process.stdout.read() == b"3997\n"
    assert process.wait() == 0
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 65536):
            shown += block
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert b"Reading movies_sample.csv:   0%|" in shown
    assert b"\n" not in shown
    assert shown.rstrip(b"\r").rsplit(b"\r", 1)[-1].strip() == b""


def test_family_of_errors():
    for child in [CatalogueError, ParameterError, NotFittedError, ModelError, QueryError]:
        assert issubclass(child, MovrecError)
    for child in [CatalogueError, ParameterError, NotFittedError]:
        assert issubclass(child, ValueError)
    assert issubclass(NotFittedError, AttributeError)
    assert issubclass(ModelError, OSError)
    error = QueryError("There are two.", candidates=["a", "b"])
    assert isinstance(error, LookupError)
    assert error.candidates == ["a", "b"] and str(error) == "There are two."


# Real rows


@pytest.mark.skipif(not REAL_MOVIES.exists(), reason=f"there are no real rows in {REAL_DATA}")
def test_real_rows():
    films = read(REAL_MOVIES)
    report = films.attrs["ingest_report"]
    assert report.rows_read == 10_063
    assert report.films == len(films) == 9_896
    assert {reason: count for reason, count in report.dropped.items() if count} == {
        "shifted record": 3,
        "no title": 3,
        "no overview": 30,
        "placeholder overview": 9,
        "no genres": 121,
        "duplicate id": 1,
    }
    genres = {genre for names in films["genres"] for genre in names}
    assert len(genres) == 20 and "GoHands" not in genres
    assert films["id"].is_unique
    assert films["year"].notna().mean() > 0.99
    story = films[films["id"] == 862].iloc[0]
    assert story["genres"] == ["Animation", "Comedy", "Family"]
    assert story["collection"] == "Toy Story Collection"


@pytest.mark.parametrize("ids", [["tt0000007", None, "tt0000009", None], [7, None, 9, None]])
@pytest.mark.parametrize("name", ["imdb_id", "tmdb_id"])
def test_a_row_without_an_id_among_others_with_one_is_a_film(tmp_path, ids, name):
    rows = {
        "title": ["Copper Weather", "Salt Ledger", "Iron Orchard", "Salt Ledger"],
        "year": [1991, 1992, 1993, 2003],
        "overview": [f"A plot of many words about the number {n}." for n in "1234"],
        "genres": ["Drama", "Crime", "Drama", "Crime"],
    }
    file = tmp_path / "films.csv"
    pd.DataFrame(rows | {name: pd.Series(ids, dtype=object)}).to_csv(file, index=False)
    films = read_movies(file)
    assert films["title"].tolist() == rows["title"] and films["id"].is_unique
    first, second, third, fourth = films["id"]
    assert (first, third) == (7, 9) and min(second, fourth) >= 10**12
    assert f"2 rows have no {name}: numbered from" in str(films.attrs["ingest_report"])
    # The same number in another file, where it stands elsewhere.
    pd.DataFrame(rows | {name: pd.Series(ids, dtype=object)}).iloc[::-1].to_csv(file, index=False)
    assert read_movies(file)["id"].tolist() == [fourth, 9, second, 7]


def test_a_record_without_the_catalogue_s_own_id_is_broken(tmp_path):
    file = tmp_path / "films.csv"
    file.write_text(
        "id,title,overview,genres\n7,Heat,A plot of words.,Crime\n,Alien,Another plot of words.,Horror\n"
    )
    films = read_movies(file)
    assert films["title"].tolist() == ["Heat"]
    assert "no id" in str(films.attrs["ingest_report"])

"""Catalogues as people have them: a small file of invented films for each kind of fault."""

import contextlib
import functools
import gzip
import http.server
import io
import json
import lzma
import os
import re
import socket
import sys
import tarfile
import threading
import time
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from movrec.ingest import check_films, read_movies
from movrec.workings.columns import USUAL_NAMES, match_columns
from movrec.workings.core import CatalogueError, ParameterError
from movrec.workings.csv_cells import csv_records
from movrec.workings.layouts import KNOWN_LAYOUTS, layout_name
from movrec.workings.limits import FILES
from movrec.workings.segments import is_installed
from movrec.workings.text import tokenize

CASES = Path(__file__).parent / "cases" / "catalogues"
GENRES = {
    "Action", "Adventure", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Family",
    "Fantasy", "History", "Horror", "Music", "Mystery", "Romance", "Science Fiction", "Thriller",
    "War", "Western",
}  # fmt: skip
YEARS = [
    1984,
    1991,
    2003,
    1977,
    2011,
    2016,
    1999,
    1968,
    2007,
    1955,
    2019,
    2001,
    1993,
    2014,
    1989,
    2022,
]


def read(path, **options):
    """Read without a bar; a warning is an error, since a user would see it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_movies(path, progress=False, **options)


def case(name):
    """Return the file of a case."""
    return CASES / name


def report_of(films):
    return films.attrs["ingest_report"]


def genres_of(films):
    return {genre for genres in films["genres"] for genre in genres}


def is_whole(films, years=True):
    """All sixteen films are there, with their genres and years, and nothing looks odd."""
    assert len(films) == 16
    assert genres_of(films) == GENRES
    assert films["genres"][0] == ["Drama", "Mystery"]
    assert not years or films["year"].tolist() == YEARS
    assert films["id"].is_unique
    assert report_of(films).unreadable.empty and report_of(films).rare_genres.empty
    assert not any("another mark" in notice for notice in report_of(films).notices)
    return True


def message(error):
    """Return an error's message, after checking that it is one sentence on one line."""
    text = str(error.value)
    assert "\n" not in text
    assert text[-1] in ".?"
    assert not re.search(r"[.!?] [A-Z]", text)
    return text


# The cases


@pytest.mark.parametrize("name", ["imdb_style.csv", "netflix_style.csv", "tmdb10k_style.csv"])
def test_column_names(name):
    films = read(case(f"01-column-names/{name}"))
    assert is_whole(films)
    report = report_of(films)
    assert report.columns["genres"] in ("Genre", "listed_in", "genre")
    assert f"genres from {report.columns['genres']}" in str(report)
    assert report.layout == {"i": "imdb-top", "n": "netflix", "t": "tmdb"}[name[0]]


def test_the_columns_of_imdb_are_read_as_numbers():
    films = read(case("01-column-names/imdb_style.csv"))
    first = films.iloc[0]
    assert (first["runtime"], first["vote_average"], first["vote_count"]) == (97, 7.1, 12345)


def test_ids_that_are_no_numbers():
    for name, numbers in {"s_ids.csv": range(1, 17), "tt_ids.csv": range(101, 117)}.items():
        films = read(case(f"02-ids-that-are-no-numbers/{name}"))
        assert is_whole(films)
        assert films["id"].tolist() == list(numbers)
        assert films["source_id"][0] in ("s1", "tt0000101")
        assert any("are text such as" in notice for notice in report_of(films).notices)


def test_no_id_column():
    films = read(case("03-no-id-column/no_id.csv"))
    assert is_whole(films)
    assert films["id"].tolist() == list(range(1, 17))
    assert "no column holds ids, so the films are numbered by their rows" in str(report_of(films))


@pytest.mark.parametrize("name", ["excel_cp1252.csv", "excel_cp1252_semicolon.csv"])
def test_windows_1252(name):
    films = read(case(f"04-not-utf-8/{name}"))
    assert is_whole(films)
    assert films["title"][0] == "Thé Sált Ledger"
    assert "–" in films["overview"][1]
    assert "read as Windows-1252" in str(report_of(films))


def test_utf_16_with_its_mark():
    films = read(case("04-not-utf-8/excel_unicode_text_utf16.tsv"))
    assert is_whole(films)
    assert films["title"][0] == "Thé Sált Ledger" and not report_of(films).notices


def test_an_encoding_that_has_to_be_named():
    path = case("04-not-utf-8/russian_cp1251.csv")
    with pytest.raises(CatalogueError, match="--encoding cp1251") as error:
        read(path)
    assert "row 1, column 'title'" in message(error)
    films = read(path, encoding="windows-1251")
    assert is_whole(films) and films["title"][0] == "Фильм The Salt Ledger"


def test_partly_not_utf_8():
    films = read(case("05-partly-not-utf-8-silent/mixed.csv"))
    assert is_whole(films)
    assert films["title"].tolist()[:3] == ["The Sált Ledger", "Copper Weáther", "Nine Lánterns"]
    (notice,) = report_of(films).notices
    assert notice.startswith("3 cells (title, first in row 1)")


@pytest.mark.parametrize(
    "name",
    [
        "06-genres-with-blanks-between/blanks.csv",
        "07-genre-separators/arabic_comma.csv",
        "07-genre-separators/dash.csv",
        "07-genre-separators/ideographic_comma.csv",
        "07-genre-separators/slash.csv",
        "09-genre-letter-case/case.csv",
        "14-genre-numbers-of-tmdb/genre_ids.csv",
        "14-genre-numbers-of-tmdb/genres_are_ids.csv",
    ],
)
def test_genres(name):
    assert is_whole(read(case(name)))


@pytest.mark.parametrize("name", ["movielens.csv", "wikipedia.csv"])
def test_genre_placeholders(name):
    films = read(case(f"08-genre-placeholders/{name}"))
    assert genres_of(films) <= GENRES
    assert report_of(films).dropped["no genres"] == 16 - len(films) > 0


@pytest.mark.parametrize("name", ["Year.csv", "release_year.csv"])
def test_year_columns(name):
    assert is_whole(read(case(f"10-year-column-not-seen/{name}")))


def test_numbers_and_dates_as_people_write_them():
    assert is_whole(read(case("11-unreadable-cells-silent/dates.csv")))
    films = read(case("11-unreadable-cells-silent/numbers.csv"))
    assert is_whole(films)
    assert set(films["vote_count"]) == {1234} and set(films["vote_average"]) == {7.4}
    assert set(films["runtime"]) == {97}


def test_scripts_without_blanks():
    films = read(case("12-scripts-without-blanks/zh.csv"))
    assert len(films) == 12
    words = "rjieba cuts them into words" if is_installed("chinese") else "pairs of characters; pip"
    assert any(words in notice for notice in report_of(films).notices)


@pytest.mark.parametrize("name", ["lines.jsonl", "list.json", "tmdb_page.json"])
def test_json(name):
    assert is_whole(read(case(f"13-json/{name}")))


def test_year_inside_the_title():
    films = read(case("15-year-inside-the-title/movielens_titles.csv"))
    assert is_whole(films)
    assert films["title"].tolist()[:2] == ["Salt Ledger, The", "Copper Weather"]


def test_no_table_at_all():
    with pytest.raises(CatalogueError, match="is a Git LFS pointer.*run git lfs pull") as error:
        read(case("16-no-table-at-all/lfs_pointer.csv"))
    message(error)
    with pytest.raises(
        CatalogueError, match="is a web page, not a table: download the file"
    ) as error:
        read(case("16-no-table-at-all/sign_in_page.csv"))
    message(error)


@pytest.mark.parametrize("name", ["a.ods", "a.xls", "a.xlsx"])
@pytest.mark.parametrize("installed", [True, False])
def test_spreadsheets_that_cannot_be_read(name, installed, monkeypatch):
    if not installed:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CatalogueError, match=f"{name} is a spreadsheet") as error:
        read(case(f"18-spreadsheets/{name}"))
    assert "save its table as CSV UTF-8 (in Excel: Save As, CSV UTF-8)" in message(error)


def test_where_the_header_is():
    assert is_whole(read(case("19-where-the-header-is/sep_line.csv")))
    films = read(case("19-where-the-header-is/title_row.csv"))
    assert is_whole(films)
    assert report_of(films).notices == ["the names of the columns stand in line 3"]
    with pytest.raises(CatalogueError, match="has no header line") as error:
        read(case("19-where-the-header-is/no_header.tsv"))
    assert "id, title, year, genres, overview" in message(error)


def test_markup_in_plots():
    films = read(case("23-markup-and-marks-in-plots/html.csv"))
    assert is_whole(films)
    assert not films["overview"].str.contains("[<>]|&nbsp|&#39").any()
    assert films["overview"][0].endswith("It's told & sung.")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("<p>A <b>bold</b> plot.&nbsp;It&#39;s on.</p>", ["a", "bold", "plot", "it", "'s", "on"]),
        ("أبيها، وأمه؟", ["أبيها", "وأمه"]),
        ("चौकीदार को पत्र मिला।", ["चौकीदार", "को", "पत्र", "मिला"]),
        ("¿Qué pasa? ¡Hola!", ["qué", "pasa", "hola"]),
        ("轨道气象站，灯笼。", ["轨道", "道气", "气象", "象站", "灯笼"]),
        ("七人の侍 (Seven)", ["七人", "人の", "の侍", "seven"]),
        ("ยามเฝ้า", ["ยา", "าม", "มเ", "เฝ", "ฝ้", "้า"]),
    ],
)
def test_tokens_of_any_script(text, tokens):
    assert tokenize(text) == tokens


def test_a_record_that_is_shifted_by_one():
    films = read(case("26-record-shifted-by-one/shifted.csv"))
    assert len(films) == 15 and 105 not in set(films["id"])
    assert report_of(films).dropped["shifted record"] == 1


@pytest.mark.parametrize("ending", ["bz2", "xz"])
def test_other_packing(ending):
    assert is_whole(read(case(f"27-other-packing/base.csv.{ending}")))


def test_every_case_has_an_expectation_and_is_used_here():
    used = Path(__file__).read_text(encoding="utf-8") + "".join(
        path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py")
    )
    for folder in sorted(CASES.iterdir()):
        assert (folder / "expect.txt").is_file()
        assert folder.name in used or folder.name[:2] == "24", folder.name


# More of the same kinds

FILM = {"title": "Heat", "overview": "A thief and a detective.", "genres": "Crime", "year": 1995}


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("Title,Plot,Genre,Release Year", "title overview genres year"),
        ("primaryTitle,plot,genres,startYear,tconst", "title overview genres year id imdb_id"),
        ("Film,Synopsis,Categories,Released", "title overview genres year"),
        ("movie_title,movie_info,genres,original_release_date", "title overview genres year"),
        (
            "NAME,STORYLINE,GENRES,YEAR,MOVIE_ID,DOUBAN_SCORE",
            "title overview genres year id vote_average",
        ),
        ("片名,简介,类型,年份", "title overview genres year"),
        ("Titel,Handlung,Genre,Jahr", "title overview genres year"),
        ("Título,Sinopsis,Género,Año", "title overview genres year"),
        ("Название,Описание,Жанр,Год", "title overview genres year"),
        (
            "Title,Overview,Genre,Vote_Count,Vote_Average",
            "title overview genres vote_count vote_average",
        ),
        ("title,fullplot,plot,genres,released,imdb.votes", "title overview genres year vote_count"),
    ],
)
def test_usual_names(header, found):
    assert set(match_columns(header.split(","))) == set(found.split())


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("IMDb Title,movie_plot,Main_Genre,tmdb_release_date", "title overview genres year"),
        ("title_en,overview_x,Genres (IMDb),Year of Release", "title overview genres year"),
        ("MOVIES,ONE-LINE,GENRE,YEAR", "title overview genres year"),
        ("Movie Names,Short Summary,genres_list,in_theaters_date", "title overview genres year"),
        ("Film Adı,Konu,Tür,Yıl", "title overview genres year"),
        ("Назва,Опис,Жанр,Рік", "title overview genres year"),
        ("ชื่อเรื่อง,เรื่องย่อ,ประเภท,ปี", "title overview genres year"),
        # Near is not near enough: these are other things.
        ("director_name,title_id,character,age", "directors id"),
        ("user,review_language,genre_count,born", ""),
    ],
)
def test_names_that_are_nearly_the_usual_ones(header, found):
    matched = match_columns(header.split(","))
    assert set(matched) == set(found.split())
    assert len(set(matched.values())) == len(matched)


def test_an_exact_name_comes_before_a_near_one():
    found = match_columns(["tmdb_title", "Title", "plot_x", "Overview", "main_genre", "Genres"])
    assert found == {"title": "Title", "genres": "Genres", "overview": "Overview"}


def test_the_longest_plot_is_taken():
    assert match_columns(["title", "plot", "fullplot", "genres"])["overview"] == "fullplot"
    assert match_columns(["title", "summary", "story", "genres"])["overview"] == "story"


def test_columns_can_be_decided(tmp_path):
    path = write(
        tmp_path / "a.csv", "title,Werk,overview,Notes,genre\nwrong,Heat,bad,A thief.,Crime\n"
    )
    films = read(path, columns={"title": "werk", "overview": "Notes"})
    assert films.loc[0, ["title", "overview"]].tolist() == ["Heat", "A thief."]
    with pytest.raises(CatalogueError, match="has no column 'Wrek': did you mean Werk") as error:
        read(path, columns={"title": "Wrek"})
    message(error)
    for columns in ({"titel": "Werk"}, ["title"], {"title": 3}):
        with pytest.raises((ParameterError, CatalogueError)):
            read(path, columns=columns)


def test_a_rating_that_is_no_number_is_left_out(tmp_path):
    text = "title,plot,genre,rating\nHeat,A thief.,Crime,R\nSalt,A spy.,Action,PG-13\n"
    films = read(write(tmp_path / "a.csv", text))
    assert "vote_average" not in films
    assert "'rating' holds no vote_average" in str(report_of(films))


@pytest.mark.parametrize(
    ("cells", "column", "expected"),
    [
        ({"rating": ["R", "PG"], "score": ["7.1", "6"]}, "vote_average", [7.1, 6]),
        ({"audience_rating": [86, 71]}, "vote_average", [8.6, 7.1]),  # of Rotten Tomatoes
        ({"User Rating": ["1.2K", "9K"], "Rating": [7.1, 6]}, "vote_average", [7.1, 6]),
        ({"Scored By": ["9,141.0", "7"]}, "vote_count", [9141, 7]),
        ({"Star1": ["Ann Lee", ""], "Star2": ["Bo Poe", "Cy Dee"]}, "cast", [["Ann Lee", "Bo Poe"], ["Cy Dee"]]),
        ({"actor_2_name": ["B", "D"], "actor_1_name": ["A", "C"]}, "cast", [["A", "B"], ["C", "D"]]),
        ({"actors": ["Ann Lee / Bo Poe", "Ann Lee、Cy Dee"]}, "cast", [["Ann Lee", "Bo Poe"], ["Ann Lee", "Cy Dee"]]),
        ({"director": ["Ann Lee, \nBo Poe", "Cy Dee"]}, "directors", [["Ann Lee", "Bo Poe"], ["Cy Dee"]]),
        ({"language": ["English, Hindi", "Deutsch"]}, "language", ["en", "de"]),
        ({"orig_lang": [" Korean", "Klingon"]}, "language", ["ko", "Klingon"]),
        ({"Revenue (Millions)": [1.5, 301.02]}, "revenue", [1.5e6, 301.02e6]),
        ({"gross(in $)": ["1000.0", "2,000"], "budget_x": [5, 6]}, "revenue", [1000, 2000]),
        ({"year": ["٢٠٠١", "１９９５年"]}, "year", [2001, 1995]),
        ({"Aired": ["Apr 3, 1998 to Apr 24, 1999", "2001"], "Premiered": ["UNKNOWN", "spring 2001"]}, "year", [1998, 2001]),
        ({"duration": ["142분", "24 min per ep"]}, "runtime", [142, 24]),
        ({"keywords": ["sea-storm", "coming-age"], "genres": ["Drama-War", "Crime-Science Fiction"]}, "keywords", [["sea", "storm"], ["coming", "age"]]),
        ({"keywords": ["sea-fight, storm", "a"]}, "keywords", [["sea-fight", "storm"], ["a"]]),
    ],
)  # fmt: skip
def test_what_optional_columns_of_public_catalogues_hold(tmp_path, cells, column, expected):
    film = {name: [FILM[name]] * 2 for name in ("overview", "genres")}
    pd.DataFrame({"title": ["Heat", "Salt"], **film, **cells}).to_csv(
        tmp_path / "a.csv", index=False
    )
    assert read(tmp_path / "a.csv")[column].tolist() == expected


def test_a_column_that_is_named_by_hand_has_no_other_in_its_place(tmp_path):
    table = pd.DataFrame([FILM | {"rating": "R", "score": 7.1}] * 3)
    table.to_csv(tmp_path / "a.csv", index=False)
    assert "vote_average" not in read(tmp_path / "a.csv", columns={"vote_average": "rating"})
    report = report_of(read(tmp_path / "a.csv"))
    assert report.columns["vote_average"] == "score" and "'rating' holds no" in str(report)


@pytest.mark.parametrize(
    "plot",
    [
        "No description available for this anime.",
        "No synopsis information has been added to this title. Help improve our database.",
        "Plot kept under wraps.",
        "Plot undisclosed.",
        "The plot is currently not available.",
        "We don't have an overview translated in English. Help us expand our database by adding one.",
    ],
)
def test_more_placeholders(tmp_path, plot):
    rows = [FILM, FILM | {"title": "Salt", "overview": plot}]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    assert report_of(read(tmp_path / "a.csv")).dropped["placeholder overview"] == 1


def test_one_column_a_genre(tmp_path):
    text = "title,plot,Drama,Crime,Science Fiction\nHeat,A thief.,1,1,0\nSand,A boy.,0,0,yes\n"
    films = read(write(tmp_path / "a.csv", text))
    assert films["genres"].tolist() == [["Drama", "Crime"], ["Science Fiction"]]


@pytest.mark.parametrize(
    ("cells", "genres"),
    [
        (["Science Fiction", "Romantic Comedy"], [["Science Fiction"], ["Romantic Comedy"]]),
        (
            ["Action-Sci-Fi", "Film-Noir-Crime", "Drama"],
            [["Action", "Sci-Fi"], ["Film-Noir", "Crime"], ["Drama"]],
        ),
        (
            ["TV Movie Drama", "Action Science Fiction"],
            [["TV Movie", "Drama"], ["Action", "Science Fiction"]],
        ),
        (["Drama；Krimi", "Drama／Krimi"], [["Drama", "Krimi"]] * 2),
        (["18", "9648"], [["Drama"], ["Mystery"]]),
        (["18|9648", "28"], [["Drama", "Mystery"], ["Action"]]),
        (["['Drama' 'Crime']", "{Drama,Crime}"], [["Drama", "Crime"]] * 2),
        (['{"Science Fiction",Drama}', "{Crime}"], [["Science Fiction", "Drama"], ["Crime"]]),
        (
            ["('Drama', 'Crime')", '"Drama","Crime"', "('Drama',)"],
            [["Drama", "Crime"]] * 2 + [["Drama"]],
        ),
        (["Drama<br>Crime", "<li>Drama</li><li>Crime</li>"], [["Drama", "Crime"]] * 2),
        (
            ["Action &amp; Adventure, Crime", "Science_Fiction"],
            [["Action & Adventure", "Crime"], ["Science Fiction"]],
        ),
        (['{"/m/07s9rl0": "Drama", "/m/01hmnh": "Fantasy"}'], [["Drama", "Fantasy"]]),
    ],
)
def test_more_genres(tmp_path, cells, genres):
    table = pd.DataFrame([FILM | {"genres": cell} for cell in cells])
    table.to_csv(tmp_path / "a.csv", index=False)
    assert read(tmp_path / "a.csv")["genres"].tolist() == genres


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ('1,"The \\"Salt\\", a story",A spy runs.,Drama', 'The "Salt", a story'),
        ('1,"The ""Salt"", a story",A spy runs.,Drama', 'The "Salt", a story'),
        ("1,Salt,A spy\rruns.,Drama", "Salt"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_and_returns_within_a_cell(tmp_path, line, title, end):
    text = end.join(["id,title,overview,genres", line, "2,Heat,A thief.,Crime", ""])
    films = read(write(tmp_path / "a.csv", text))
    assert films["title"].tolist() == [title, "Heat"]
    assert films["overview"].tolist() == ["A spy runs.", "A thief."]


@pytest.mark.parametrize(
    "lines",
    [
        ['1,Heat,"A thief, and a cop,Crime', '2,Salt,"A spy,Action'],
        ['1,Heat,"A thief, and a cop,Crime', '2,Salt,"A spy,Action', '3,Up,"A house, far,Drama'],
        ['1,Heat,"A thief, and a cop,Crime', "2,Salt,A spy,Action"],
        ["1,Heat,A thief,Crime", '2,Salt,"A spy, well,Action'],
        ['tt0113277,Heat,"A thief,Crime', 'tt0944835,Salt,"A spy, well,Action'],
    ],
)
@pytest.mark.parametrize("is_last", [False, True])
def test_a_quote_that_is_never_closed_makes_no_film_of_two(tmp_path, lines, is_last):
    header = "id,title,overview,genres"
    if is_last:  # the cell with the quote is the last one
        header = "id,title,genres,overview"
        parts = [re.fullmatch("(.*?,.*?),(.*),(.*)", line).groups() for line in lines]
        lines = [f"{start},{genre},{plot}" for start, plot, genre in parts]
    films = read(write(tmp_path / "a.csv", "\n".join([header, *lines, ""])))
    plots = [re.search('"?(A [^"]*?)(?:,(?:Crime|Action|Drama))?$', line)[1] for line in lines]
    assert films["title"].tolist() == ["Heat", "Salt", "Up"][: len(lines)]
    assert films["overview"].tolist() == plots
    assert films["genres"].tolist() == [["Crime"], ["Action"], ["Drama"]][: len(lines)]


def test_lines_within_a_cell_stay_together_whatever_stands_in_them(tmp_path):
    plots = [
        "He is well, he said,\n2, or 3, or 4, times",
        'Said "no", he\nand left, for, good, then',
    ]
    text = "id,title,overview,genres\n" + "".join(
        '{},{},"{}",Crime\n'.format(row, title, plot.replace('"', '""'))
        for row, (title, plot) in enumerate(zip(["Heat", "Salt"], plots))
    )
    films = read(write(tmp_path / "a.csv", text))
    assert films["overview"].tolist() == [plot.replace("\n", " ") for plot in plots]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_quotes_as_a_database_writes_them_over_several_lines(tmp_path, end):
    cells = (
        ["title", "overview", "genres"],
        ["Heat", f'He said "go",{end}and left. "Well", so.', "Crime"],
    )
    escaped = [[cell.replace('"', '\\"') for cell in row] for row in (*cells, cells[1])]
    text = end.join('"' + '","'.join(row) + '"' for row in escaped)
    films = read(write(tmp_path / "a.csv", text))
    assert films["overview"].tolist() == ['He said "go", and left. "Well", so.'] * 2


def test_quotes_within_quotes(tmp_path):
    line = 'Heat,"He said "go", and left. Then "he" came","Crime, Drama"'
    films = read(write(tmp_path / "a.csv", f"title,overview,genres\n{line}\n{line}\n"))
    assert films["overview"].tolist() == ['He said "go", and left. Then "he" came'] * 2
    assert films["genres"].tolist() == [["Crime", "Drama"]] * 2


def zipped(path, **tables):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in tables.items():
            archive.writestr(f"data/{name}.csv", text)
    return path


def test_the_table_of_an_archive_that_has_plots(tmp_path):
    films, ratings = (
        "title,overview,genres\nHeat,A thief.,Crime\n",
        "userId,movieId,rating\n1,2,3\n",
    )
    path = zipped(
        tmp_path / "archive.zip", ratings=ratings * 9, films=films, links="movieId,tmdbId\n1,2\n"
    )
    table = read(path)
    assert table["title"].tolist() == ["Heat"]
    said = "of the 3 tables in the archive, data/films.csv was read"
    assert said in report_of(table).notices and said in str(report_of(table))

    more = films + "Salt,A spy.,Action\n"
    table = read(zipped(tmp_path / "two.zip", few=films, ratings=ratings, more=more))
    assert len(table) == 2
    assert any(
        "more.csv was read; data/few.csv would do" in said for said in report_of(table).notices
    )

    path = zipped(tmp_path / "none.zip", ratings=ratings, films="title,genres\nHeat,Crime\n")
    with pytest.raises(CatalogueError, match="none of them is what is asked for") as error:
        read(path)
    assert "data/films.csv has no column 'overview'" in message(error)


def test_who_plays_beside_who_directs(tmp_path):
    cells = [
        "\n    Director:\nAnn Lee\n| \n    Stars:\nBo Poe, \nCy Dee\n",
        "Stars: Bo Poe",
        "Director: Al",
    ]
    table = pd.DataFrame([FILM | {"title": f"F{n}", "stars": cell} for n, cell in enumerate(cells)])
    table.to_csv(tmp_path / "a.csv", index=False)
    assert read(tmp_path / "a.csv")["cast"].tolist() == [["Bo Poe", "Cy Dee"], ["Bo Poe"], []]


def test_titles_as_bytes(tmp_path):
    table = pd.DataFrame([FILM | {"title": b"Heat", "overview": "Amélie.".encode()}])
    table.to_parquet(tmp_path / "a.parquet")
    films = read(tmp_path / "a.parquet")
    assert films.loc[0, ["title", "overview"]].tolist() == ["Heat", "Amélie."]


def test_lines_that_end_in_a_return_alone(tmp_path):
    text = "\r".join(["title,overview,genres", "Heat,A thief.,Crime", "Salt,A spy.,Action", ""])
    assert read(write(tmp_path / "a.csv", text))["title"].tolist() == ["Heat", "Salt"]


def test_quotes_without_meaning_in_a_table_with_tabs(tmp_path):
    lines = [
        "tconst\tprimaryTitle\tplot\tgenres",
        'tt01\t"Weird" Al\tA singer.\tMusic',
        'tt02\t"Heat\tA thief.\tCrime',
    ]
    films = read(write(tmp_path / "a.tsv", "\n".join(lines)))
    assert len(films) == 2 and films["title"][1] == '"Heat'


def test_ids_that_repeat(tmp_path):
    rows = [FILM | {"title": f"F{n}", "rank": n % 3} for n in range(9)]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    films = read(tmp_path / "a.csv")
    assert films["id"].tolist() == list(range(1, 10))
    assert "'rank' repeats, so the films are numbered by their rows" in str(report_of(films))


def test_pages_of_an_api(tmp_path):
    page = {"page": 1, "results": [FILM, FILM | {"title": "Salt"}]}
    for text in (
        json.dumps([page, page]),
        f"{json.dumps(page, indent=1)}\n{json.dumps(page, indent=1)}",
    ):
        assert len(read(write(tmp_path / "a.json", text))) == 4


def test_a_mark_that_is_not_known_is_named(tmp_path):
    table = pd.DataFrame(
        [FILM | {"genres": f"Kind{n}~Sort{n}", "title": f"F{n}"} for n in range(12)]
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    assert "is there another mark between genres?" in str(report_of(read(tmp_path / "a.csv")))


def test_a_company_called_1984_moves_no_record(tmp_path):
    """In TMDB's whole list companies are names with commas between, and no lists."""
    table = pd.DataFrame(
        [FILM | {"title": f"F{n}", "production_companies": str(1980 + n)} for n in range(9)]
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    assert len(read(tmp_path / "a.csv")) == 9


@pytest.mark.parametrize("size", [200_000, 2_000_000])
@pytest.mark.parametrize("cell", ["walks ", "walks\n"])
def test_a_cell_of_any_length_drops_no_film(tmp_path, size, cell):
    plot = cell * (size // len(cell))
    rows = [FILM, FILM | {"title": "Long", "overview": plot}, FILM | {"title": "Salt"}]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    films = read(tmp_path / "a.csv")
    assert films["title"].tolist() == ["Heat", "Long", "Salt"]
    assert len(films["overview"][1]) > size - 10


def test_a_line_without_end_is_no_table(tmp_path, monkeypatch):
    monkeypatch.setitem(FILES, "times packed", None)
    path = tmp_path / "a.csv.xz"
    path.write_bytes(lzma.compress(b"title,overview,genres\n" + b"x" * 40_000_000, preset=0))
    with pytest.raises(CatalogueError, match="has a line of more than") as error:
        read(path)
    message(error)


# A stranger's file


HEAD = b"id,title,overview,genres\n"
ROW = b"%d,T,An overview of a film.,Drama\n"
MEGABYTE = 1 << 20


def packed(path, head, block, times, opener=gzip.open):
    with opener(path, "wb") as file:
        file.write(head)
        for _ in range(times):
            file.write(block)
    return path


@pytest.mark.parametrize(
    "head, block",
    [(b"", b"a" * MEGABYTE), (b"", bytes(MEGABYTE)), (HEAD + b'1,T,"', b"a" * MEGABYTE),
     (HEAD, (b"1,T," + b"a" * 100_000 + b",Drama\n") * 10), (HEAD, b"," * MEGABYTE)],
    ids=["a line", "zeros", "a cell", "long rows", "commas"],
)  # fmt: skip
@pytest.mark.parametrize("opener", [gzip.open, lzma.open])
def test_a_small_file_that_becomes_a_large_one_is_not_unpacked(tmp_path, head, block, opener):
    path = packed(tmp_path / "a.csv.gz", head, block, 12, opener)
    with pytest.raises(CatalogueError, match="the limit 'times packed' of movrec") as error:
        read(path)
    message(error)


def test_what_is_packed_twice_is_counted_at_each_step(tmp_path, monkeypatch):
    monkeypatch.setattr("movrec.workings.limits._FREELY", 1 << 16)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(gzip.compress(b"") * 20_000))  # nothing, in the end
    with pytest.raises(CatalogueError, match="'times packed'"):
        read(path)


@pytest.mark.parametrize(
    "what, most, content",
    [("rows", 5_000, HEAD + b"\n" * 20_000),
     ("rows", 5_000, HEAD + b'1,T,"' + b"\n" * 20_000),
     ("rows", 3_000, HEAD + ROW.replace(b"%d", b"1") * 5_000),
     ("row bytes", 2_000, HEAD + b"1,T," + b"a" * 5_000 + b",Drama\n"),
     ("row bytes", 2_000, b'{"title": "T", "plot": "P", "genre": "G"}\n{"title": "' + b"a" * 5_000 + b'"}\n'),
     ("columns", 100, HEAD[:-1] + b",x" * 200 + b"\n" + b"1,T,P,G\n"),
     ("columns", 100, b";" * 5_000 + b"\n" + HEAD),
     ("columns", 100, json.dumps([dict.fromkeys(["title", "plot", "genre", *map(str, range(200))], "x")]).encode()),
     ("whole bytes", 1_000, b"[" + b" " * 5_000 + b"]"),
     ("bytes", 10_000, HEAD + ROW.replace(b"%d", b"1") * 5_000)],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_every_limit_of_a_file_has_a_name_and_can_be_lifted(
    tmp_path, monkeypatch, what, most, content, ending
):
    path = tmp_path / f"a.csv{ending}"
    path.write_bytes(gzip.compress(content) if ending else content)
    monkeypatch.setitem(FILES, what, most)
    with pytest.raises(
        CatalogueError, match=f"the limit '{what}' of movrec.workings.limits"
    ) as error:
        read(path)
    message(error)
    monkeypatch.setitem(FILES, what, None)
    with contextlib.suppress(CatalogueError) as error:
        read(path)


def test_a_parquet_file_that_says_one_text_many_times(tmp_path, monkeypatch):
    import pyarrow
    import pyarrow.parquet

    def repeated(text, n):
        return pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * n, pyarrow.int32()), [text])

    def written(n):
        texts = {"title": "x" * 100, "overview": "y" * 20_000}
        columns = {name: repeated(text, n) for name, text in texts.items()}
        lists = pyarrow.ListArray.from_arrays(list(range(n + 1)), repeated("Drama", n))
        table = pyarrow.table({"id": list(range(n)), **columns, "genres": lists})
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet", compression="zstd")
        return tmp_path / "a.parquet"

    assert len(read(written(300))) == 300
    with pytest.raises(CatalogueError, match="'times packed'") as error:
        read(written(2_000))
    message(error)
    monkeypatch.setitem(FILES, "times packed", None)
    monkeypatch.setitem(FILES, "row bytes", 50_000)  # a batch comes in many pieces
    assert read(written(20))["overview"].str.len().tolist() == [20_000] * 20
    monkeypatch.setitem(FILES, "row bytes", 15_000)
    with pytest.raises(CatalogueError, match="15,000 characters in a row"):
        read(written(20))


def test_a_file_of_holes_is_no_table(tmp_path):
    with open(tmp_path / "a.csv", "wb") as file:
        file.write(HEAD)
        file.truncate(1 << 35)
    with pytest.raises(CatalogueError, match="the limit 'bytes'") as error:
        read(tmp_path / "a.csv")
    message(error)


UNBALANCED = {
    "each line closes one and opens another": lambda n: ['x","\n'] * n,
    "each overview begins with one": lambda n: [f'{i},T{i},"An overview,Drama\n' for i in range(n)],
    "one in ten": lambda n: [f"{i},T{i},{chr(34) * (i % 10 == 0)}A,Drama\n" for i in range(n)],
    "one, and blank lines": lambda n: ['1,T,"\n', *["\n"] * n],
    "one in a thousand": lambda n: ['1,T,"a\n' if i % 1000 == 0 else "1,T,b,c\n" for i in range(n)],
}


@pytest.mark.parametrize("lines", UNBALANCED.values(), ids=UNBALANCED)
def test_quotes_that_are_not_closed_take_time_that_grows_with_the_file(lines):
    def seconds(n):
        start = time.process_time()
        assert sum(1 for _ in csv_records(iter(lines(n)), ",", 4)) > n / 3 or n == len(lines(n)) - 1
        return time.process_time() - start

    assert seconds(8_000) < 8 * seconds(2_000) + 1  # the square of 4 would be 16


def test_a_quote_that_is_not_closed_takes_no_film_beyond_its_own(tmp_path):
    """Neither of a long cell in good order nor of the rows between."""
    plot = "walks\n" * 3_000
    rows = [f'{i},F{i},"A plot {i}.","Drama"' for i in range(900)]
    rows[100] = '100,F100,"not closed,"Drama"'
    rows[500] = f'500,F500,"{plot}and ""talks"".","Drama"'
    (tmp_path / "a.csv").write_text("\n".join([HEAD.decode().strip(), *rows]) + "\n")
    titles = set(read(tmp_path / "a.csv")["title"])
    assert titles >= {f"F{i}" for i in range(900)} - {"F100", "F101"}


def test_what_is_no_regular_file_is_called_what_it_is(tmp_path):
    places = {tmp_path: "a folder"}
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        places |= {tmp_path / "pipe": "a pipe", Path(os.devnull): "a device"}
        near = tmp_path / "socket"
        listening = socket.socket(socket.AF_UNIX)
        os.chdir(tmp_path)  # names of sockets are short
        listening.bind("socket")
        listening.close()
        places[near] = "a socket"
    for path, kind in places.items():
        with pytest.raises(CatalogueError, match=f"is {kind}") as error:
            read(path)
        message(error)


def odd_files():
    """Files that make libraries raise errors of every kind, by name."""
    import pyarrow
    import pyarrow.parquet

    base = {"id": [1], "title": ["A"], "overview": ["A story"], "genres": [["Drama"]]}
    odd = {
        "far date": {"release_date": pyarrow.array([2**31 - 1], pyarrow.date32())},
        "long duration": {"runtime": pyarrow.array([2**60], pyarrow.duration("s"))},
        "zzzzzzzz": {"zzzzzzzz": pyarrow.array([1])},
    }
    for name, more in odd.items():
        pyarrow.parquet.write_table(
            pyarrow.table({**base, **more}), file := io.BytesIO(), store_schema=False
        )
        yield name, file.getvalue().replace(b"zzzzzzzz", b"\x80" * 8)
    with zipfile.ZipFile(file := io.BytesIO(), "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.csv", HEAD + ROW.replace(b"%d", b"1") * 2_000)
    data = bytearray(file.getvalue())
    data[80] ^= 0xFF
    yield "damaged LZMA", bytes(data)
    plain = HEAD + ROW.replace(b"%d", b"1") * 50
    yield "zip", b"PK\x03\x04junk"
    yield "gzip", b"\x1f\x8bjunk"
    yield "cut gzip", gzip.compress(plain)[:-9]
    yield "bzip2", b"BZhjunk"
    yield "xz", b"\xfd7zXZ\0junk"
    yield "cut xz", lzma.compress(plain)[:-9]
    yield "zstd", b"(\xb5/\xfdjunk"
    yield "Parquet", b"PAR1junk"
    yield "Arrow", b"ARROW1junk"
    yield "deep JSON", b"[" * 100_000
    yield (
        "a long number",
        b'[{"title": "A", "overview": "P.", "genres": "G", "id": ' + b"9" * 5_000 + b"}]",
    )
    yield "NUL", HEAD + b"1,A\0,P.,G\n"
    yield "not UTF-8", HEAD + b"1,\x81\x8d,\xff\xfe\x80,G\n"
    yield "infinite", HEAD + b"inf,A,P.,G\n1e400,A,P.,G\n-1e300,A,P.,G\n"


def test_whatever_a_damaged_file_does_to_a_library_is_one_sentence(tmp_path):
    for name, content in odd_files():
        (tmp_path / "a").write_bytes(content)
        try:
            assert len(read(tmp_path / "a")) <= 3, name
        except CatalogueError as error:
            assert str(error).isprintable() and len(str(error)) < 500, name


def test_halves_of_letters_in_json_are_no_text(tmp_path):
    film = FILM | {"title": "caf\ud83d \ud800", "genres": ["Drama"]}
    films = read(write(tmp_path / "a.json", json.dumps([film])))
    assert films["title"].tolist() == ["caf\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}"]


ODD_TEXTS = [
    "=1+1", "+cmd", "-2", "@x", 'say "x"', '"', "'", "a\nb", "a\rb", "\u2028x", "x\x85y", "None", "nan", "NULL", "1984",
    "1e5", "[]", "['a']", '["a"]', "a,b", "a;b", "a|b", "a\tb", "\ufeffx", "é", "\ufdfa", "\ud800", "a\0b", " x ", "x\\",
    '\\"x', "&amp;", "<b>x</b>", "TRUE", "2001-01-01", "N/A", "\\N", "-", "?", "“q”",
]  # fmt: skip


def test_a_film_table_reads_back_equal_from_csv(tmp_path):
    """Cells that a spreadsheet program takes for formulas stay as they are, too."""
    rows = [
        FILM | {"id": n, "title": text, "overview": f"{text} A thief and {text}", "tagline": text,
                "genres": ["Crime", f"{text}x" if text.isprintable() else "War"], "cast": [text, "Al"],
                "vote_average": 7.5, "runtime": 100.0 + n}
        for n, text in enumerate(ODD_TEXTS)
    ]  # fmt: skip
    films = check_films(pd.DataFrame(rows, dtype=object))
    films.to_csv(tmp_path / "a.csv", index=False)
    again = read(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(films, again[films.columns], check_like=False)
    assert {"=1+1", "+cmd", "-2", "@x"} <= set(again["title"])


MFLIX = {
    "_id": {"$oid": "573a1390f29313caabcd4135"},
    "title": "Heat",
    "plot": "A thief.",
    "fullplot": "A thief and a detective.",
    "genres": ["Crime"],
    "year": {"$numberInt": "1995"},
    "imdb": {"rating": {"$numberDouble": "8.3"}, "votes": 1200, "id": 113277},
    "languages": ["English", "Spanish"],
    "tomatoes": {"viewer": {"rating": 4.1}},
    "cast": [],
    "countries": ["USA"],
}


def test_mongodb(tmp_path):
    path = write(
        tmp_path / "movies.json",
        json.dumps(MFLIX)
        + "\n"
        + json.dumps(MFLIX | {"_id": {"$oid": "573a1390f29313caabcd4136"}}),
    )
    films = read(path)
    first = films.iloc[0]
    assert report_of(films).layout == "mflix"
    assert first["overview"] == "A thief and a detective." and first["year"] == 1995
    assert (first["vote_average"], first["vote_count"], first["language"]) == (8.3, 1200, "en")
    assert first["source_id"] == "573a1390f29313caabcd4135"


@pytest.mark.parametrize(
    "shape",
    [
        {"data": {"movies": [FILM]}},
        {"tt0113277": FILM},
        {name: [value] for name, value in FILM.items()},
        {name: {"0": value} for name, value in FILM.items()},
        {"columns": list(FILM), "index": [0], "data": [list(FILM.values())]},
        FILM,
    ],
)
def test_shapes_of_json(tmp_path, shape):
    films = read(write(tmp_path / "a.json", json.dumps(shape, indent=1)))
    assert films.loc[0, ["title", "year"]].tolist() == ["Heat", 1995]


def test_answers_of_a_sparql_endpoint(tmp_path):
    """As Wikidata gives them: a type around each value."""
    row = {name: {"type": "literal", "value": str(cell)} for name, cell in FILM.items()}
    row["title"]["xml:lang"] = "en"
    answer = {"head": {"vars": list(row)}, "results": {"bindings": [row]}}
    films = read(write(tmp_path / "a.json", json.dumps(answer)))
    assert films.loc[0, ["title", "overview", "year"]].tolist() == [
        FILM[name] for name in ("title", "overview", "year")
    ]


@pytest.mark.parametrize("kind", ["parquet", "feather", "json"])
def test_what_stands_within_a_column(tmp_path, kind):
    import pyarrow
    import pyarrow.feather
    import pyarrow.parquet

    film = FILM | {"imdb": {"id": 5, "rating": 7.5, "votes": 12}, "awards": {"text": "1 win."}}
    none = film | {"imdb": {"id": 6, "rating": None, "votes": None}}
    table, path = pyarrow.Table.from_pylist([film, none]), tmp_path / f"a.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(table, path)
    elif kind == "feather":
        pyarrow.feather.write_feather(table, path)
    else:
        path.write_text(json.dumps([film, none]))
    films = read(path)
    assert films["vote_average"][0] == 7.5 and films["vote_count"].tolist() == [12, pd.NA]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2", "is damaged JSON"),
        ('{"error": "no key"}', "no list of films"),
        ("[" * 5000, "JSON"),
        ('[{"a": 1}]', "has no columns 'title'"),
        ("[]", "no list of films"),
    ],
)
def test_json_without_films(tmp_path, text, words):
    with pytest.raises(CatalogueError, match=words) as error:
        read(write(tmp_path / "a.json", text))
    message(error)


def test_a_broken_line_of_json_costs_one_film(tmp_path):
    lines = [json.dumps(FILM), "{broken", json.dumps(FILM | {"title": "Salt"})]
    films = read(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert films["title"].tolist() == ["Heat", "Salt"]
    assert report_of(films).dropped["shifted record"] == 1


def test_arrow_files(tmp_path):
    import pyarrow
    import pyarrow.feather
    import pyarrow.parquet

    table = pyarrow.table({name: [value] for name, value in FILM.items()})
    pyarrow.feather.write_feather(table, tmp_path / "a.feather")
    with pyarrow.ipc.new_stream(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    for name in ("a.feather", "a.arrow"):
        assert read(tmp_path / name).loc[0, ["title", "year"]].tolist() == ["Heat", 1995]
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(CatalogueError, match="damaged") as error:
            read(tmp_path / name)
        message(error)


def test_zstandard(tmp_path):
    import pyarrow

    plain = pd.DataFrame([FILM]).to_csv(index=False).encode()
    with pyarrow.CompressedOutputStream(str(tmp_path / "a.csv.zst"), "zstd") as file:
        file.write(plain)
    assert len(read(tmp_path / "a.csv.zst")) == 1
    content = (tmp_path / "a.csv.zst").read_bytes()
    (tmp_path / "a.csv.zst").write_bytes(content[:-9])
    with pytest.raises(CatalogueError):
        read(tmp_path / "a.csv.zst")


def test_dates_beyond_python(tmp_path):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(
        {name: [value] for name, value in FILM.items() if name != "year"}
        | {"release_date": pyarrow.array([315_532_800_000], pyarrow.timestamp("s"))}
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")["title"].tolist() == ["Heat"]


@pytest.mark.parametrize("ending", ["xlsx", "ods"])
def test_a_spreadsheet(tmp_path, ending):
    pytest.importorskip("python_calamine")
    writer = pytest.importorskip({"xlsx": "openpyxl", "ods": "odf"}[ending])
    assert writer
    with pd.ExcelWriter(tmp_path / f"a.{ending}") as book:
        pd.DataFrame([["notes"]]).to_excel(book, sheet_name="Notes", index=False, header=False)
        rows = [["My films", None, None, None], list(FILM), list(FILM.values())]
        pd.DataFrame(rows).to_excel(book, sheet_name="Films", index=False, header=False)
    films = read(tmp_path / f"a.{ending}")
    assert films.loc[0, ["title", "year"]].tolist() == ["Heat", 1995]
    assert any("'Films'" in notice for notice in report_of(films).notices)


SHEET = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
    'officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>'
    '<sheet name="Films" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
    'relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
}


def test_a_spreadsheet_as_excel_writes_it(tmp_path):
    pytest.importorskip("python_calamine")
    rows = [list(FILM), list(FILM.values()), ["None", "A title that looks empty.", "Drama", 2001]]
    cells = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in row) + "</row>"
        for row in rows
    )
    sheet = f'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        for name, content in (SHEET | {"xl/worksheets/sheet1.xml": sheet}).items():
            archive.writestr(name, content)
    films = read(tmp_path / "a.xlsx")
    assert films["title"].tolist() == ["Heat", "None"] and films["year"].tolist() == [1995, 2001]


# Tables of other libraries, and addresses


class DataFrame:
    """As a polars.DataFrame is: the same name, no pandas."""

    def to_pandas(self):
        return pd.DataFrame([FILM | {"id": 7}])


class Exchanged:
    """A table that only knows the interchange protocol."""

    def __init__(self):
        self.frame = pd.DataFrame([FILM | {"id": 7}])

    def __arrow_c_stream__(self, schema=None):
        import pyarrow

        return pyarrow.Table.from_pandas(self.frame).__arrow_c_stream__(schema)


def test_other_frames():  # 22-other-frames-and-addresses
    import pyarrow

    arrow = pyarrow.table({name: [value] for name, value in (FILM | {"id": 7}).items()})
    for table in (DataFrame(), Exchanged(), arrow):
        assert check_films(table).loc[0, ["id", "title"]].tolist() == [7, "Heat"]
    with pytest.raises(CatalogueError, match="has to be a DataFrame, not a list") as error:
        check_films([FILM])
    message(error)


@pytest.mark.parametrize("library", ["polars", "datasets"])
def test_frames_of_other_libraries(library):
    module = pytest.importorskip(library)
    columns = {name: [value] for name, value in (FILM | {"genres": ["Crime", "Drama"]}).items()}
    make = module.DataFrame if library == "polars" else module.Dataset.from_dict
    films = check_films(make(columns))
    assert films.loc[0, ["id", "title"]].tolist() == [1, "Heat"]
    assert films["genres"][0] == ["Crime", "Drama"]


def test_check_films_finds_columns_too():
    films = check_films(
        pd.DataFrame({"Series_Title": ["Heat"], "Plot": ["A thief."], "kind": ["Crime"]})
    )
    assert films.loc[0, "title"] == "Heat" and films["genres"][0] == ["Crime"]
    films = check_films(
        pd.DataFrame({"title": ["x"], "Werk": ["Heat"], "plot": ["A thief."], "genre": [[]]}),
        columns={"title": "Werk"},
    )
    assert films.loc[0, "title"] == "Heat"


@pytest.mark.parametrize("make", [str, Path])
def test_an_address_without_the_extra(make, monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(CatalogueError, match="is an address: download it first") as error:
        read(make("https://example.org/movies.csv"))
    assert "https://example.org/movies.csv" in message(error)
    assert 'pip install "movrec[web]"' in message(error)
    with pytest.raises(CatalogueError, match="s3://bucket/films.csv is an address"):
        read("s3://bucket/films.csv")


@contextlib.contextmanager
def serving(folder):
    """Serve a folder on a free port, and give its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with contextlib.redirect_stderr(io.StringIO()):
            yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_address():
    pytest.importorskip("aiohttp")
    with serving(CASES / "27-other-packing") as address:
        films = read(f"{address}/base.csv.xz")
        assert is_whole(films) and report_of(films).source == "base.csv.xz"
        with pytest.raises(CatalogueError, match="could not be downloaded") as error:
            read(f"{address}/no-such-file.csv")
        message(error)


# The list of layouts


def test_known_layouts_are_told_apart():
    names = [layout.name for layout in KNOWN_LAYOUTS]
    assert len(set(names)) == len(names)
    for layout in KNOWN_LAYOUTS:
        assert layout_name(layout.told_by.split()) in names
    sample = Path(__file__).parents[1] / "movrec" / "data" / "movies_sample.csv"
    assert report_of(read(sample)).notices == []
    assert set(USUAL_NAMES) >= {"id", "title", "overview", "genres"}


# What stands around a film, in a database's export or an API's answer

WRAPPED = [
    [{"_index": "films", "_id": "7", "_score": 1, "_source": FILM}],
    {"took": 3, "hits": {"total": {"value": 1}, "hits": [{"_id": "7", "_source": FILM}]}},
    [{"rank": 1, "type": "movie", "movie": FILM | {"ids": {"imdb": "tt0113277"}}}],
    [{"model": "films.film", "pk": 7, "fields": FILM}],
    [{"title": "Heat", "year": 1995, "info": {"plot": FILM["overview"], "genres": ["Crime"]}}],
    {"features": [{"name": "title"}], "rows": [{"row_idx": 0, "row": FILM, "truncated_cells": []}]},
    {"data": {"films": {"edges": [{"node": FILM, "cursor": "x"}], "pageInfo": {"next": False}}}},
    [{"Item": {name: {"S": str(cell)} for name, cell in FILM.items()}}],
    {"Data": [{"Count": 1, "Result": [FILM | {"plots": {"plot": [{"plotText": "A thief."}]}}]}]},
    {"docs": [{name: [cell] for name, cell in FILM.items()}]},
    [list(FILM), list(FILM.values())],
    {
        "meta": {"view": {"columns": [{"name": name} for name in FILM]}},
        "data": [list(FILM.values())],
    },
    [
        {
            "id": 7,
            "attributes": FILM
            | {"genres": {"data": [{"id": 80, "attributes": {"name": "Crime"}}]}},
        }
    ],
    {"mine": [FILM], "people": [{"name": "Ann Lee"}, {"name": "Bo Poe"}]},
]


@pytest.mark.parametrize("shape", WRAPPED, ids=range(len(WRAPPED)))
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_films_that_stand_within_something(tmp_path, shape, ending):
    lines = shape if isinstance(shape, list) and isinstance(shape[0], dict) else [shape]
    text = json.dumps(shape) if ending == "json" else "\n".join(map(json.dumps, lines)) + "\n"
    film = read(write(tmp_path / f"a.{ending}", text)).iloc[0]
    assert (film["title"], film["year"], film["genres"]) == ("Heat", 1995, ["Crime"])
    assert film["overview"].startswith("A thief")


def test_all_lists_of_films_in_an_object_are_read(tmp_path):
    shape = {
        "1995": [FILM],
        "2010": [FILM | {"title": "Salt"}] * 2,
        "people": [{"name": "Ann Lee"}] * 5,
    }
    films = read(write(tmp_path / "a.json", json.dumps(shape)))
    assert films["title"].tolist() == ["Heat", "Salt", "Salt"]


def test_a_file_of_actions_and_films(tmp_path):
    lines = [
        {"index": {"_index": "films", "_id": "7"}},
        FILM,
        {"create": {"_id": "9"}},
        FILM | {"title": "Salt"},
    ]
    films = read(write(tmp_path / "a.json", "\n".join(map(json.dumps, lines))))
    assert films[["id", "title"]].values.tolist() == [[7, "Heat"], [9, "Salt"]]


@pytest.mark.parametrize(
    "text",
    [
        '// mine\n[{"title": "Heat", "year": 1995, "plot": "A // thief,]", "genre": ["Crime",],},]',
        '[/* one */ {"_id": ObjectId("5f"), "title": "Heat", "year": NumberInt(1995), "plot": "A // thief,]", "genre": "Crime"}]',
        "[{'title': 'Heat', 'year': 1995, 'plot': 'A // thief,]', 'genre': ['Crime']}]",
        "{'title': 'Heat', 'year': 1995, 'plot': 'A // thief,]', 'genre': ['Crime']}\n"
        "{'title': 'Salt', 'year': 1996, 'plot': 'A spy.', 'genre': ['Crime']}\n",
    ],
)  # fmt: skip
def test_nearly_json(tmp_path, text):
    film = read(write(tmp_path / "a.json", text)).iloc[0]
    assert film[["title", "year", "overview"]].tolist() == ["Heat", 1995, "A // thief,]"]


def test_json_that_cannot_be_mended_takes_no_time(tmp_path):
    start = time.process_time()
    for text in ['["' + '\\"' * 200_000, "[" + "/*" * 200_000, "[" + ", " * 200_000]:
        with pytest.raises(CatalogueError, match="damaged JSON"):
            read(write(tmp_path / "a.json", text))
    assert time.process_time() - start < 2


PEOPLE = [
    {"Name": "Bo Poe", "Role": "Ishmael", "Type": "Actor"},
    {"Name": "Ann Lee", "Role": "", "Type": "Director"},
    {"Name": "Cy Dee", "Type": "Writer"},
]


@pytest.mark.parametrize(
    ("more", "directors", "cast"),
    [
        ({"People": PEOPLE}, ["Ann Lee"], ["Bo Poe"]),
        (
            {"credits": {"cast": [{"name": "Bo Poe"}], "crew": [{"name": "Ann Lee", "job": "Director"}, {"name": "X", "job": "Writer"}]}},
            ["Ann Lee"],
            ["Bo Poe"],
        ),
        ({"Director": [{"tag": "Ann Lee"}], "Role": [{"tag": "Bo Poe"}]}, ["Ann Lee"], ["Bo Poe"]),
        (
            {"directors": {"director": [{"directorNm": "Ann Lee"}]}, "actors": {"actor": [{"actorNm": "Bo Poe"}]}},
            ["Ann Lee"],
            ["Bo Poe"],
        ),
        ({"directors": "Ann Lee", "stars": ["Bo Poe, ", "Cy Dee, "]}, ["Ann Lee"], ["Bo Poe", "Cy Dee"]),
        ({"directors": "Ann Lee & Bo Poe", "actors": "Cy Dee and Di Eff"}, ["Ann Lee", "Bo Poe"], ["Cy Dee", "Di Eff"]),
        ({"directors": "Joel and Ann Lee", "actors": ["Cy Dee & Di Eff"]}, ["Joel and Ann Lee"], ["Cy Dee & Di Eff"]),
        ({"directors": "Ann Lee", "actors": "Bo Poe - Cy Dee"}, ["Ann Lee"], ["Bo Poe", "Cy Dee"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_people_within(tmp_path, more, directors, cast, kind):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / f"a.{kind}"
    if kind == "json":
        path.write_text(json.dumps([FILM | more]))
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([FILM | more]), path)
    film = read(path).iloc[0]
    assert (film["directors"], film["cast"]) == (directors, cast)


def test_a_parquet_file_whose_films_stand_within_one_column(tmp_path):
    import pyarrow
    import pyarrow.parquet

    row = {"key": 7, "movie": FILM | {"imdb": {"rating": 7.5}}}
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "a.parquet")
    film = read(tmp_path / "a.parquet").iloc[0]
    assert film[["id", "title", "year", "vote_average"]].tolist() == [7, "Heat", 1995, 7.5]


@pytest.mark.parametrize(
    ("cells", "genres"),
    [
        (
            ["Action & Adventure", "Drama & Crime", "Drama", "Crime", "Action", "Adventure"],
            [["Action & Adventure"], ["Drama", "Crime"], ["Drama"], ["Crime"], ["Action"], ["Adventure"]],
        ),
        (
            ["Science Fiction & Fantasy", "Sci-Fi & Fantasy", "Sci-Fi", "Fantasy", "Science Fiction"],
            [["Science Fiction & Fantasy"], ["Sci-Fi & Fantasy"], ["Sci-Fi"], ["Fantasy"], ["Science Fiction"]],
        ),
        (["Kids & Family", "Art House & International"], [["Kids & Family"], ["Art House & International"]]),
        (["Children & Family Movies, Dramas", "Music & Musicals"], [["Children & Family Movies", "Dramas"], ["Music & Musicals"]]),
        (["Drama and Crime", "Crime, Drama, and Comedy", "Drama", "Crime", "Comedy"], [["Drama", "Crime"], ["Crime", "Drama", "Comedy"], ["Drama"], ["Crime"], ["Comedy"]]),
        (["Military and War", "War", "Talk Show and Variety"], [["Military and War"], ["War"], ["Talk Show and Variety"]]),
        (["Action+Comedy", "Drama + Crime", "LGBTQ+"], [["Action", "Comedy"], ["Drama", "Crime"], ["LGBTQ+"]]),
        ([":Drama:Sci-Fi:", ":Crime:"], [["Drama", "Sci-Fi"], ["Crime"]]),
        (["Drama. Misterio", "Drama. Comedia", "Misterio. Comedia"], [["Drama", "Misterio"], ["Drama", "Comedia"], ["Misterio", "Comedia"]]),
        (["Krimi und Drama", "Krimi", "Drama", "Liebe und Tod"], [["Krimi", "Drama"], ["Krimi"], ["Drama"], ["Liebe und Tod"]]),
        (["剧情 犯罪", "剧情", "犯罪 剧情", "犯罪"], [["剧情", "犯罪"], ["剧情"], ["犯罪", "剧情"], ["犯罪"]]),
        (["[ Drama, Crime ]", "[War]"], [["Drama", "Crime"], ["War"]]),
        (["array(['Drama', 'Crime'], dtype=object)", "set(['War'])"], [["Drama", "Crime"], ["War"]]),
        (["Genre: Drama, Crime", "Genres: War"], [["Drama", "Crime"], ["War"]]),
        (["#Drama #Science Fiction", "#War"], [["Drama", "Science Fiction"], ["War"]]),
        (["http://dbpedia.org/resource/Drama_film|http://dbpedia.org/resource/Noir"], [["Drama film", "Noir"]]),
        (["science-fiction", "Science Fiction", "Science Fiction"], [["Science Fiction"]] * 3),
        ([[{"tag": "Drama"}], [{"tag": "Crime"}]], [["Drama"], ["Crime"]]),
    ],
)  # fmt: skip
def test_genres_by_what_the_file_shows(tmp_path, cells, genres):
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps([FILM | {"title": f"Heat {n}", "genres": cell} for n, cell in enumerate(cells)])
    )
    assert read(path)["genres"].tolist() == genres


def test_dictionaries_in_a_frame():
    table = pd.DataFrame(
        [
            FILM
            | {
                "imdb": {"rating": 7.5, "votes": 12},
                "credits": {"crew": [{"name": "Ann Lee", "job": "Director"}]},
            }
        ]
    )
    film = check_films(table).iloc[0]
    assert (film["vote_average"], film["vote_count"], film["directors"]) == (7.5, 12, ["Ann Lee"])
    assert list(table) == [*FILM, "imdb", "credits"]


def test_a_row_a_genre(tmp_path):
    rows = [
        (film, title, genre)
        for film, title, genres in [
            (1, "Heat", "Crime Drama"),
            (2, "Salt", "Drama"),
            (3, "Sand", "War History Drama"),
        ]
        for genre in genres.split()
    ]
    table = pd.DataFrame(rows, columns=["id", "title", "genre"]).assign(
        plot=lambda t: "Of " + t["title"], year=1995
    )
    for columns in (["id", "title", "genre", "plot", "year"], ["title", "genre", "plot"]):
        table[columns].to_csv(tmp_path / "a.csv", index=False)
        films = read(tmp_path / "a.csv")
        assert films["genres"].tolist() == [
            ["Crime", "Drama"],
            ["Drama"],
            ["War", "History", "Drama"],
        ]
        assert "6 rows tell of 3 films" in str(report_of(films)) and report_of(films).rows_read == 3
    # Films of one name, or the same film twice, are no such rows.
    table = pd.DataFrame([FILM] * 3 + [FILM | {"overview": "Another.", "genres": "War"}] * 2)
    table.to_csv(tmp_path / "a.csv", index=False)
    assert len(read(tmp_path / "a.csv")) == 5


def test_genres_of_imdb_as_text(tmp_path):
    text = "1 ::: Heat (1995) ::: crime ::: A thief: a ::: man.\n2 ::: Salt (2010) ::: sci-fi ::: A spy.\n"
    films = read(write(tmp_path / "train_data.txt", text))
    assert films["overview"].tolist() == ["A thief: a ::: man.", "A spy."]
    assert films[["title", "year"]].values.tolist() == [["Heat", 1995], ["Salt", 2010]]
    assert "no line names the columns" in str(report_of(films))
    films = read(write(tmp_path / "a.txt", "title::plot::genre\n" + "Heat::A thief.::Crime\n"))
    assert films["genres"].tolist() == [["Crime"]]
    for text, words in [
        ("1::Heat::Crime|War\n2::Salt::War\n", "no column 'overview'"),
        ("Heat::A::B::C\n", "no header line"),
    ]:
        with pytest.raises(CatalogueError, match=words):
            read(write(tmp_path / "movies.dat", text))


def test_the_corpus_whose_plots_stand_beside(tmp_path):
    row = '975900\t/m/03vyhn\tHeat\t1995-12-15\t14010832\t170.0\t{"/m/02h40lc": "English Language"}\t{"/m/09c7w0": "USA"}\t{"/m/01jfsb": "Thriller", "/m/0lsxr": "Crime"}\n'
    path = write(
        tmp_path / "movie.metadata.tsv",
        row + row.replace("975900", "975901").replace("Heat", "Salt"),
    )
    with pytest.raises(CatalogueError, match=r"put plot_summaries\.txt"):
        read(path)
    write(tmp_path / "plot_summaries.txt", "975900\tA thief, “and” so on.\n1\tAnother.\n")
    films = read(path)
    assert films.loc[0, ["id", "title", "year", "overview", "language"]].tolist() == [
        975900,
        "Heat",
        1995,
        "A thief, “and” so on.",
        "en",
    ]
    assert (
        films["genres"].tolist() == [["Thriller", "Crime"]]
        and report_of(films).dropped["no overview"] == 1
    )


@pytest.mark.parametrize(
    ("cells", "minutes"),
    [
        ([5820, 7860, 0], [97, 131]),
        ([5_820_000, 7_860_000, 0], [97, 131]),
        ([58_200_000_000] * 2, [97, 97]),
        ([97, 131, 900], [97, 131]),
    ],
)
def test_units_of_time(tmp_path, cells, minutes):
    table = pd.DataFrame(
        [FILM | {"runtime": cell, "title": f"Heat {cell} {n}"} for n, cell in enumerate(cells)]
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    assert read(tmp_path / "a.csv")["runtime"].tolist()[:2] == minutes


def test_stars_are_doubled(tmp_path):
    table = pd.DataFrame(
        [FILM | {"rating": 1 + n % 9 / 2, "title": f"Heat {n}"} for n in range(40)]
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    films = read(tmp_path / "a.csv")
    assert films["vote_average"].max() == 10 and "were doubled" in str(report_of(films))
    for few in (table.head(5), table[table["rating"] < 4]):  # too few to say so; the worst of all
        few.to_csv(tmp_path / "a.csv", index=False)
        assert "were doubled" not in str(report_of(read(tmp_path / "a.csv")))


def test_what_says_that_there_is_nothing(tmp_path):
    table = pd.DataFrame(
        [
            FILM
            | {
                "tagline": "NA",
                "collection": "NA",
                "collection_name": "Heat Collection",
                "title": "NA",
            }
        ]
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    film = read(tmp_path / "a.csv").iloc[0]
    assert (
        pd.isna(film["tagline"])
        and film["collection"] == "Heat Collection"
        and film["title"] == "NA"
    )


@pytest.mark.parametrize(
    "header",
    [
        "Filme,Sinopse,Gênero,Ano,Direção,Elenco,Duração,Nota,Votos",
        "Tytuł,Opis,Gatunek,Rok,Reżyser,Obsada,Czas trwania,Ocena,Liczba głosów",
        "Film Adı,Özet,Tür,Yıl,Yönetmen,Oyuncular,Süre,Puan,Oy sayısı",
        "Titolo,Trama,Genere,Anno,Regia,Attori,Durata,Voto,Voti",
        "Titel,Handlung,Genre,Erscheinungsjahr,Regie,Darsteller,Laufzeit,Bewertung,Stimmen",
        "titre,synopsis,genres,date_sortie,realisateurs,acteurs,duree,note_spectateurs,nb_notes",
        "Título,Sinopsis,Género,Año,Dirección,Reparto,Duración,Nota,Votos",
        "Название,Описание,Жанры,Год выпуска,Режиссёр,В главных ролях,Время,Рейтинг Кинопоиска,Количество оценок",
        "العنوان,القصة,النوع,السنة,المخرج,الممثلون,المدة,التقييم,عدد الأصوات",
        "作品名,あらすじ,ジャンル,公開年,監督,出演者,上映時間,評価,評価数",
        "片名,剧情简介,类型,上映日期,导演,主演,片长,豆瓣评分,评价人数",
        "Titel,Handling,Genre,År,Regissör,Skådespelare,Speltid,Betyg,Röster",
    ],
)
def test_columns_in_other_languages(header):
    found = set(match_columns(header.split(",")))
    expected = {
        "title",
        "overview",
        "genres",
        "year",
        "directors",
        "cast",
        "runtime",
        "vote_average",
    }
    assert expected <= found, expected - found


HOSTILE = [
    " " * 100_000 + "»", "http://" * 30_000, "a(" * 30_000 + "[)", " and" * 30_000, "& " * 30_000 + "summary",
    "Star:" + " " * 100_000 + "x",
]  # fmt: skip


@pytest.mark.parametrize(
    "column", ["genres", "overview", "vote_count", "runtime", "cast", "tagline"]
)
def test_hostile_cells_take_no_time(tmp_path, column):
    rows = [FILM, *(FILM | {"title": f"Salt {n}", column: cell} for n, cell in enumerate(HOSTILE))]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    start = time.process_time()
    read(tmp_path / "a.csv")
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    "text",
    [
        'title, year, plot, genre\nHeat, 1995, "A thief, or two.", "Crime, War"\nSalt, 2010, "A spy.", War\n',
        'title,year,plot,genre\n1,Heat,1995,"A thief, or two.","Crime, War"\n2,Salt,2010,A spy.,War\n',
        '"title","year","plot","genre"\n"1","Heat",1995,"A thief, or two.","Crime, War"\n"2","Salt",2010,"A spy.","War"\n',
        "title~year~plot~genre\nHeat~1995~A thief, or two.~Crime, War\nSalt~2010~A spy.~War\n",
    ],
)
def test_how_people_and_r_write_tables(tmp_path, text):
    films = read(write(tmp_path / "a.csv", text))
    assert films["genres"].tolist() == [["Crime", "War"], ["War"]]
    assert films[["title", "year", "overview"]].values.tolist() == [
        ["Heat", 1995, "A thief, or two."],
        ["Salt", 2010, "A spy."],
    ]
    # One record too long is none that has a number before it.
    text = "id,title,plot,genre\n1,Heat, or not,A thief.,Crime\n2,Salt,A spy.,War\n"
    assert read(write(tmp_path / "a.csv", text))["title"].tolist() == ["Salt"]


HEAT_AND_SALT = [["Heat", 1995, "A thief, or two."], ["Salt", 2010, "A spy."]]


@pytest.mark.parametrize(
    "text",
    [
        "'title','year','plot','genre'\n'Heat','1995','A thief, or two.','Crime'\n'Salt','2010','A spy.','War'\n",
        "title,year,plot,genre\n'Heat',1995,'A thief, or two.','Crime'\n'Salt',2010,'A spy.','War'\n",
        "Film,Film,Story,Story\nTitle,Year,Plot,Genre\nHeat,1995,\"A thief, or two.\",Crime\nSalt,2010,A spy.,War\n",
        "Title,Year,Plot,Genre\nname,released,summary,(main)\nHeat,1995,\"A thief, or two.\",Crime\nSalt,2010,A spy.,War\n",
        "Name of,Year of,Plot of,\nthe film,release,the film,Genres\nHeat,1995,\"A thief, or two.\",Crime\nSalt,2010,A spy.,War\n",
        '"Movie\nTitle","Release\nYear",Plot,Genre\nHeat,1995,"A thief, or two.",Crime\nSalt,2010,A spy.,War\n',
    ],
)  # fmt: skip
def test_quotes_and_names_of_columns_as_they_come(tmp_path, text):
    films = read(write(tmp_path / "a.csv", text))
    assert films[["title", "year", "overview"]].values.tolist() == HEAT_AND_SALT
    assert films["genres"].tolist() == [["Crime"], ["War"]]


def test_apostrophes_between_single_quotes(tmp_path):
    text = "'id','title','plot','genre'\n1,'It''s Heat','A thief\\'s\nsong, loud.','Crime'\n2,'Salt','A spy's way.','War'\n3,'Ferry\n"
    films = read(write(tmp_path / "a.csv", text))
    assert films["title"].tolist() == ["It's Heat", "Salt"]
    assert films["overview"].tolist() == ["A thief's song, loud.", "A spy's way."]
    assert report_of(films).dropped["shifted record"] == 1


def test_columns_that_have_one_name(tmp_path):
    text = "id,title,plot,genre,genre,plot\n1,Heat,A thief.,Crime,War,x\n2,Salt,A spy.,War,,x\n"
    films = read(write(tmp_path / "a.csv", text))
    assert films["genres"].tolist() == [["Crime", "War"], ["War"]]
    assert films["overview"].tolist() == ["A thief.", "A spy."]
    assert report_of(films).notices == [
        "there is more than one column 'plot': the first is read",
        "the columns 'genre' and 'genre.1' are read together",
    ]
    text = "id,title,overview,genres,genres.1\n1,Heat,A thief.,Crime,War\n2,Salt,A spy.,War,War\n"
    assert read(write(tmp_path / "a.csv", text))["genres"].tolist() == [["Crime", "War"], ["War"]]


def test_names_of_columns_within_the_table(tmp_path):
    text = "title,plot,genre\nHeat,A thief.,Crime\ntitle,plot,genre\nSalt,A spy.,War\n"
    films = read(write(tmp_path / "a.csv", text))
    assert films["title"].tolist() == ["Heat", "Salt"]
    assert "1 line names the columns again: left out" in report_of(films).notices


def test_plots_that_say_who_wrote_them_or_nothing(tmp_path):
    plots = {
        "A thief meets a detective.                Written by\nAnonymous <a@example.org>": "A thief meets a detective.",
        "A thief meets a detective. [Written by MAL Rewrite]": "A thief meets a detective.",
        "A thief meets a detective.\n\n(Source: ANN)": "A thief meets a detective.",
        "A letter written by nobody (Source unknown) comes.": "A letter written by nobody (Source unknown) comes.",
        "Add a Plot »": None,
    }
    rows = [FILM | {"title": f"Film {n}", "overview": plot} for n, plot in enumerate(plots)]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    films = read(tmp_path / "a.csv")
    assert films["overview"].tolist() == [plot for plot in plots.values() if plot]
    assert report_of(films).dropped["placeholder overview"] == 1


def test_a_short_plot_where_the_long_one_is_missing(tmp_path):
    films = [
        FILM | {"title": "Salt", "fullplot": "A long plot of a spy.", "plot": "A spy."},
        FILM | {"title": "Heat", "fullplot": None, "plot": "A thief."},
        FILM | {"title": "Ferry", "fullplot": "Add a Plot", "plot": "N/A"},
    ]
    table = pd.DataFrame(films).drop(columns="overview")
    table.to_json(tmp_path / "a.json", orient="records")
    read_films = read(tmp_path / "a.json")
    assert read_films["overview"].tolist() == ["A long plot of a spy.", "A thief."]
    assert "1 plot was read from 'plot': 'fullplot' has none there" in report_of(read_films).notices


def test_ids_that_are_named_after_a_site(tmp_path):
    rows = [
        FILM | {"title": f"Film {n}", "allocine_id": 70 + n, "director_id": 1} for n in range(3)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    assert read(tmp_path / "a.csv")["id"].tolist() == [70, 71, 72]
    rows[1]["allocine_id"] = 70  # it repeats: then it is none
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    assert read(tmp_path / "a.csv")["id"].tolist() == [1, 2, 3]
    pd.DataFrame(rows).drop(columns="allocine_id").to_csv(tmp_path / "a.csv", index=False)
    assert "no column holds ids" in str(report_of(read(tmp_path / "a.csv")))


def test_what_says_nothing_is_no_number_that_cannot_be_read(tmp_path):
    more = {
        "Metascore": "N/A",
        "BoxOffice": "N/A",
        "imdbVotes": "-",
        "Runtime": "N/A",
        "Year": "TBA",
    }
    rows = [FILM | {"title": f"Film {n}"} | more for n in range(4)]
    rows[0] |= {
        "Metascore": "67",
        "BoxOffice": "$389,813,101",
        "imdbVotes": "10,51,582",
        "Runtime": "97 min",
        "Year": "1995",
    }
    table = pd.DataFrame(rows).drop(columns="year")
    table.to_csv(tmp_path / "a.csv", index=False)
    films = read(tmp_path / "a.csv")
    found = films[["critics_score", "revenue", "vote_count", "runtime", "year"]]
    assert found.iloc[0].tolist() == [67, 389813101, 1051582, 97, 1995]
    assert found.iloc[1:].isna().all(axis=None) and report_of(films).unreadable.empty


def test_a_tar_archive_with_one_table(tmp_path):
    write(tmp_path / "films.csv", "title,plot,genre\nHeat,A thief.,Crime\n")
    write(tmp_path / "more.csv", "title,plot,genre\nSalt,A spy.,War\n")
    write(tmp_path / "readme.txt", "About films.")
    for packing, suffix in (("gz", ".tar.gz"), ("", ".tar"), ("xz", ".txz")):
        with tarfile.open(tmp_path / f"a{suffix}", f"w:{packing}") as archive:
            archive.add(tmp_path / "readme.txt", "data/readme.txt")
            archive.add(tmp_path / "films.csv", "data/films.csv")
        assert read(tmp_path / f"a{suffix}")["title"].tolist() == ["Heat"]
    with tarfile.open(tmp_path / "two.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "films.csv", "films.csv")
        archive.add(tmp_path / "more.csv", "more.csv")
    with pytest.raises(
        CatalogueError, match="tar archive of 2 files .films.csv, more.csv."
    ) as error:
        read(tmp_path / "two.tar.gz")
    message(error)


@pytest.mark.parametrize("begin", ["<?xml version='1.0'?>\n", ""])
def test_xml_is_made_a_table_by_what_is_said(tmp_path, monkeypatch, begin):
    films = (
        "<films><film><title>Heat</title><plot>A thief.</plot><genre>Crime</genre></film></films>"
    )
    write(tmp_path / "films.xml", begin + films)
    with pytest.raises(CatalogueError, match="films.xml is XML, not a table") as error:
        read(tmp_path / "films.xml")
    monkeypatch.chdir(tmp_path)
    exec("import pandas; " + message(error).split("in Python with ")[1].rstrip("."))  # it works
    assert read(tmp_path / "films.csv")["title"].tolist() == ["Heat"]


# Genres and plots in other tables

FILMS = "film_id,title,description\n1,Heat,A thief.\n2,Salt,A spy.\n3,Ferry,A nurse.\n"
BESIDE = {
    "a row a film and genre": {"genres.csv": "movie_id,genre\n1,Crime\n1,Drama\n2,Action\n9,War\n"},
    "a third table names them": {
        "film_category.csv": "film_id,category_id,last_update\n1,6,x\n1,7,x\n2,8,x\n",
        "category.csv": "category_id,name,last_update\n6,Crime,x\n7,Drama,x\n8,Action,x\n",
    },
    "numbers of TMDB": {"movie_genres.csv": ",movie_id,genre_id\n0,1,80\n1,1,18\n2,2,28\n"},
    "several in a cell, by title": {"genres.csv": "Title;Genres\nHeat;Crime, Drama\nSalt;Action\n"},
    "as JSON lines": {"genres.jsonl": '{"id": "1", "genres": ["Crime", "Drama"]}\n{"id": 2, "genres": ["Action"]}\n'},
}  # fmt: skip


@pytest.mark.parametrize("tables", BESIDE.values(), ids=BESIDE)
def test_genres_in_another_table(tmp_path, tables):
    path = write(tmp_path / "film.csv", FILMS)
    others = [write(tmp_path / name, text) for name, text in tables.items()]
    films = read(path, beside=others)
    assert films["genres"].tolist() == [["Crime", "Drama"], ["Action"]]
    assert films["id"].tolist() == [1, 2] and report_of(films).dropped["no genres"] == 1
    (told,) = films.attrs["source_reports"]
    assert told.films == 2 and told.columns == {"genres": 2}
    with pytest.raises(CatalogueError, match="give the table that has it behind --with") as error:
        read(path)
    message(error)


def test_plots_in_another_table(tmp_path):
    films = "movieId,title,genres\n1,Heat (1995),Crime\n2,Salt (2010),Action\n"
    path = write(tmp_path / "movies.csv", films)
    plots = write(
        tmp_path / "plots.csv", "movieId,plot\n2,A spy.\n1,A thief.\n1,A thief and another.\n"
    )
    expected = ["A thief and another.", "A spy."]
    assert read(path, beside=plots)["overview"].tolist() == expected
    # Their ids elsewhere are told by MovieLens' links.
    links = write(tmp_path / "links.csv", "movieId,imdbId,tmdbId\n1,0113277,949\n2,0944835,27576\n")
    plots = write(
        tmp_path / "imdb.csv",
        "tconst,plot_synopsis\ntt0944835,A spy.\ntt0113277,A thief and another.\n",
    )
    assert read(path, beside=[plots, links])["overview"].tolist() == expected
    with pytest.raises(CatalogueError, match="imdb.csv has none that fits") as error:
        read(path, beside=[plots])
    message(error)
    # Films of one title are told apart by their years.
    path = write(tmp_path / "a.csv", "name,year,genre\nHeat,1986,Action\nHeat,1995,Crime\n")
    plots = write(tmp_path / "p.csv", "Title,Year,Plot\nHeat,1995,A thief.\nHeat,1986,A guard.\n")
    assert read(path, beside=plots)["overview"].tolist() == ["A guard.", "A thief."]


def test_numbers_that_no_table_names_are_no_genres(tmp_path):
    path = write(tmp_path / "film.csv", FILMS)
    links = write(tmp_path / "film_category.csv", "film_id,category_id\n1,6\n1,7\n2,8\n")
    with pytest.raises(CatalogueError, match="tells the genres by number .category_id.") as error:
        read(path, beside=links)
    message(error)


def test_ids_of_another_catalogue_are_no_key(tmp_path):
    path = write(tmp_path / "film.csv", FILMS)
    other = "id,title,genre\n1,Salt,Action\n2,Ferry,Drama\n3,Heat,Crime\n"
    films = read(path, beside=write(tmp_path / "other.csv", other))
    assert films["genres"].tolist() == [["Crime"], ["Action"], ["Drama"]]


def test_the_plots_of_cmu_behind_it(tmp_path):
    row = '{}\t/m/03v\t{}\t2001\t\t98\t"{{""/m/02h"": ""English Language""}}"\t{{}}\t"{{""/m/01j"": ""Crime""}}"\n'
    (tmp_path / "films").mkdir()
    path = tmp_path / "films" / "movie.metadata.tsv"
    write(path, row.format(975900, "Heat") + row.format(31, "Salt"))
    plot = 'A thief and a detective of "one" town meet, and neither of them can be another man.'
    plots = write(tmp_path / "plot_summaries.txt", f"975900\t{plot}\n31\tA spy.\n")
    assert read(path, beside=plots)["overview"].tolist() == [plot, "A spy."]
    with pytest.raises(
        CatalogueError, match="holds plots alone: give the table of the films"
    ) as error:
        read(plots)
    message(error)

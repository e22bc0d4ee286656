"""The page on one's own catalogue: each of its commands is run, on files in the layouts it names."""

import csv
import json
import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from conftest import REPOSITORY

from movrec.cli import main
from movrec.ingest import read_movies

PAGE = (REPOSITORY / "docs" / "own_catalogue.md").read_text(encoding="utf-8")
CASES = Path(__file__).parent / "cases" / "catalogues"
COMMANDS = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
]
with open(CASES / "03-no-id-column" / "no_id.csv", encoding="utf-8", newline="") as file:
    FILMS = list(csv.DictReader(file))


def line_of(layout, film, number):
    """Return an invented film as a record of a layout, with all of that layout's columns."""
    names = film["genres"].split("|")
    return {
        "imdb_top_1000.csv": {
            "Poster_Link": "https://example.org/p.jpg", "Series_Title": film["title"],
            "Released_Year": film["year"], "Certificate": "UA", "Runtime": "142 min",
            "Genre": ", ".join(names), "IMDB_Rating": "9.3", "Overview": film["overview"],
            "Meta_score": "80", "Director": "A. Nobody", "Star1": "B", "Star2": "C", "Star3": "D",
            "Star4": "E", "No_of_Votes": "2343110", "Gross": "28,341,469",
        },
        "tmdb_5000_movies.csv": {
            "budget": "237000000", "genres": json.dumps([{"id": 18, "name": name} for name in names]),
            "homepage": "", "id": str(19995 + number), "keywords": "[]", "original_language": "en",
            "original_title": film["title"], "overview": film["overview"], "popularity": "150.4",
            "production_companies": '[{"name": "Pier Films", "id": 289}]',
            "production_countries": "[]", "release_date": f"{film['year']}-12-10", "revenue": "1",
            "runtime": "162.0", "spoken_languages": "[]", "status": "Released",
            "tagline": "A line on the poster.", "title": film["title"], "vote_average": "7.2",
            "vote_count": "11800",
        },
        "netflix_titles.csv": {
            "show_id": f"s{number}", "type": "Movie", "title": film["title"], "director": "",
            "cast": "", "country": "Norway", "date_added": "September 25, 2021",
            "release_year": film["year"], "rating": "PG-13", "duration": "90 min",
            "listed_in": ", ".join(names), "description": film["overview"],
        },
        "wiki_movie_plots_deduped.csv": {
            "Release Year": film["year"], "Title": film["title"], "Origin/Ethnicity": "American",
            "Director": "Unknown", "Cast": "", "Genre": " / ".join(names).lower(),
            "Wiki Page": "https://en.wikipedia.org/wiki/X", "Plot": film["overview"],
        },
        "movies.json": {
            "_id": {"$oid": f"573a1390f29313caabcd{number:04x}"}, "plot": "Short.",
            "genres": names, "runtime": {"$numberInt": "96"}, "cast": ["A. Nobody"],
            "title": film["title"], "fullplot": film["overview"], "languages": ["English"],
            "released": {"$date": f"{film['year']}-05-01T00:00:00Z"}, "rated": "PG",
            "year": {"$numberInt": film["year"]}, "countries": ["USA"], "type": "movie",
            "imdb": {"rating": {"$numberDouble": "6.2"}, "votes": {"$numberInt": "1189"}, "id": 5},
            "tomatoes": {"viewer": {"rating": 3.0, "numReviews": 184}}, "directors": ["B"],
        },
    }[layout]  # fmt: skip


def write(path, layout):
    records = [line_of(layout, film, number) for number, film in enumerate(FILMS, start=1)]
    if layout.endswith("json"):
        path.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    else:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)


@pytest.fixture
def shell(tmp_path, monkeypatch, capsys):
    """Run a command of the page in an empty folder; what `build` would learn from is kept."""
    from movrec.recommend import Recommender

    monkeypatch.chdir(tmp_path)
    built = []

    def build(films, out, progress, **_):
        built.append(films)
        raise SystemExit  # reading is what is tested here

    monkeypatch.setattr(Recommender, "build", build)

    def shell(command):
        main(shlex.split(command)[1:])
        out, err = capsys.readouterr()
        return (built.pop() if built else None), out, err

    return shell


FIVE = {
    "imdb_top_1000.csv": "imdb-top",
    "tmdb_5000_movies.csv": "tmdb-5000",
    "netflix_titles.csv": "netflix",
    "wiki_movie_plots_deduped.csv": "wikipedia",
    "movies.json": "mflix",
}


@pytest.mark.parametrize("layout", FIVE)
def test_a_catalogue_is_built_as_it_is(shell, layout):
    (command,) = [line for line in COMMANDS if f" {layout} " in line]
    write(Path(layout), layout)
    films, out, err = shell(command)
    assert err == "" and f"Read {layout}: 16 rows, 16 films." in out
    assert films.attrs["ingest_report"].layout == FIVE[layout]
    assert (films.attrs["ingest_report"].ids_of == "TMDB") == layout.startswith("tmdb")
    assert films["title"].tolist() == [film["title"] for film in FILMS]
    assert films["overview"].tolist() == [film["overview"] for film in FILMS]
    assert films["year"].tolist() == [int(film["year"]) for film in FILMS]
    names = [[name.casefold() for name in genres] for genres in films["genres"]]
    assert names == [film["genres"].casefold().split("|") for film in FILMS]
    assert films["id"].is_unique and films.attrs["ingest_report"].unreadable.empty


@pytest.mark.parametrize(
    ("column", "cells", "whose"),
    [
        ("tmdb_id", [11, 12], "TMDB"),
        ("id", [11, 12], ""),
        ("tmdb_id", ["tt0000011", "tt0000012"], ""),
    ],
)
def test_whose_numbers_the_ids_are(tmp_path, column, cells, whose):
    table = pd.DataFrame({"title": ["A", "B"], "plot": ["A thief.", "A cop."], "genre": "Crime"})
    table.assign(**{column: cells}).to_csv(tmp_path / "films.csv", index=False)
    films = read_movies(tmp_path / "films.csv", progress=False)
    assert films.attrs["ingest_report"].ids_of == whose


def test_what_is_said_of_the_five(shell):
    expected = {
        "imdb_top_1000.csv": ["title from Series_Title", "numbered by their rows"],
        "netflix_titles.csv": ["'rating' holds no vote_average", "source_id keeps them"],
        "movies.json": ["overview from fullplot", "vote_average from imdb.rating"],
    }
    for layout, words in expected.items():
        write(Path(layout), layout)
        _, out, _ = shell(f"movrec build {layout}")
        for said in words:
            assert said in " ".join(out.split())


def test_what_is_decided_by_hand(shell):
    """The page's two options, on a file that needs both."""
    text = "title,Werk,Notes,kind\nx,Фильм,Девушка находит записку,drama\n"
    Path("my_films.csv").write_bytes(text.encode("cp1251"))
    by_columns, by_encoding = [
        line for line in COMMANDS if "--columns" in line or "--encoding" in line
    ]
    _, _, err = shell(by_columns)
    assert "--encoding cp1251" in err  # the columns are found, the encoding has to be named
    _, _, err = shell(by_encoding)
    assert "--columns overview=NAME" in err
    both = by_encoding + by_columns.partition("my_films.csv")[2].replace(" --out my-model", "")
    films, out, err = shell(both)
    assert err == "" and films.loc[0, ["title", "overview"]].tolist() == [
        "Фильм",
        "Девушка находит записку",
    ]
    assert "title from Werk, genres from kind, overview from Notes" in " ".join(out.split())
    python = re.search(r'read_movies\("my_films.csv".*?\)(?=`)', PAGE).group()
    assert eval(python)["title"].tolist() == ["Фильм"]


def test_a_pair_without_its_sign(shell):
    _, _, err = shell("movrec build my_films.csv --columns Series_Title")
    assert err.startswith("Error: --columns takes COLUMN=NAME, such as title=Series_Title")


def test_cells_that_were_left_empty_are_named(shell):
    text = "title,plot,genre,vote_count,year\nHeat,A thief.,Crime,many,soon\nSalt,A spy.,Crime,12,2010\n"
    Path("a.csv").write_text(text)
    _, out, _ = shell("movrec build a.csv")
    assert "Left empty: year 1, vote_count 1 (the first in row 1: 'soon')." in out


def test_the_list_of_layouts(shell):
    _, out, err = shell("movrec layouts")
    assert err == ""
    assert all(name in out for name in (*FIVE.values(), "kaggle", "omdb", "movielens"))
    assert "title (required): title, movietitle, seriestitle" in out


def test_the_smallest_catalogue(tmp_path):  # 21-smallest-catalogue-of-the-docs
    """The ten films of the page can be learned from, and answer without -k."""
    from movrec import Doc2VecEmbedder, GenreClassifier, Recommender

    text = re.search(r"^```text\n(id,title.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL).group(1)
    (tmp_path / "my_films.csv").write_text(text, encoding="utf-8")
    films = read_movies(tmp_path / "my_films.csv", progress=False)
    assert len(films) == 10 and films.attrs["ingest_report"].rows_read == 10
    assert films.attrs["ingest_report"].notices == []
    recommender = Recommender.build(
        films,
        tmp_path / "my-model",
        embedder=Doc2VecEmbedder(epochs=2, progress=False),
        classifier=GenreClassifier(epochs=2, networks=1, progress=False),
        progress=False,
    )
    assert len(recommender.recommend("Salt", match_genres=False)) == 9


# ---- genres or plots in another table -----------------------------------------------------------

CMU = '{}\t/m/0{}\t{}\t{}\t\t98.0\t"{{""/m/02h40lc"": ""English Language""}}"\t{{}}\t"{{""/m/01jfsb"": ""{}""}}"\n'


def write_parts():
    """The films of the page's three commands, as far as two tables of each go."""
    rows = list(enumerate(FILMS, start=1))
    genres = [(n, name) for n, film in rows for name in film["genres"].split("|")]
    numbers = {name: n for n, name in enumerate(dict.fromkeys(name for _, name in genres), start=1)}
    tables = {
        "letterboxd/movies.csv": [("id", "name", "date", "tagline", "description", "minute", "rating")]
        + [(n, film["title"], film["year"], "", film["overview"], 98, 3.8) for n, film in rows],
        "letterboxd/genres.csv": [("id", "genre"), *genres],
        "film.csv": [("film_id", "title", "description", "release_year", "rental_rate")]
        + [(n, film["title"], film["overview"], film["year"], 0.99) for n, film in rows],
        "film_category.csv": [("film_id", "category_id", "last_update")]
        + [(n, numbers[name], "2006-02-15") for n, name in genres],
        "category.csv": [("category_id", "name", "last_update")]
        + [(n, name, "2006-02-15") for name, n in numbers.items()],
    }  # fmt: skip
    Path("letterboxd").mkdir()
    for name, records in tables.items():
        with open(name, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(records)
    films = [
        CMU.format(n, n, film["title"], film["year"], film["genres"].split("|")[0])
        for n, film in rows
    ]
    Path("movie.metadata.tsv").write_text("".join(films), encoding="utf-8")
    plots = [f"{n}\t{film['overview']}\n" for n, film in rows]
    Path("plot_summaries.txt").write_text("".join(plots), encoding="utf-8")


@pytest.mark.parametrize("table", ["letterboxd/genres.csv", "category.csv", "plot_summaries.txt"])
def test_genres_and_plots_in_another_table(shell, table):
    write_parts()
    (command,) = [line for line in COMMANDS if f"--with {table}" in line]
    films, out, err = shell(command)
    assert err == "" and "16 rows, 16 films" in out
    assert films["title"].tolist() == [film["title"] for film in FILMS]
    assert films["overview"].tolist() == [film["overview"] for film in FILMS]
    wanted = [film["genres"].split("|") for film in FILMS]
    assert films["genres"].tolist() == [
        names[:1] if "plot_summaries" in table else names for names in wanted
    ]
    python = re.search(r'read_movies\("film.csv".*?\)(?=`)', PAGE).group()
    assert eval(python)["genres"].tolist() == wanted


# ---- more about the same films ------------------------------------------------------------------


def write_tables(films):
    """The tables that the page names, about the first of the films."""
    from movrec.ingest import read_movies

    records = [line_of("tmdb_5000_movies.csv", film, n) for n, film in enumerate(FILMS, start=1)]
    for record in records:
        record["imdb_id"] = f"tt{int(record['id']):07}"
        record["revenue"] = "0"
    with open("movies_metadata.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    table = read_movies("movies_metadata.csv", progress=False)
    ids, imdb = table["id"].tolist(), table["imdb_id"].tolist()
    title, year = table["title"][0], int(table["year"][0])
    people = "\"[{'name': 'Cy Dee'}]\",\"[{'job': 'Director', 'name': 'Ann Lee'}]\""
    likes = [(user, film) for user in range(9) for film in range(6) if (user + film) % 3]
    files = {
        "keywords.csv": f"id,keywords\n{ids[0]},\"[{{'id': 1, 'name': 'sea'}}]\"\n",
        "credits.csv": f"cast,crew,id\n{people},{ids[0]}\n",
        "links.csv": "movieId,imdbId,tmdbId\n"
        + "".join(f"{n},,{film}\n" for n, film in enumerate(ids)),
        "ratings.csv": "userId,movieId,rating,timestamp\n"
        + "".join(f"{user},{film},5.0,0\n" for user, film in likes),
        "title.ratings.tsv": f"tconst\taverageRating\tnumVotes\n{imdb[0]}\t8.1\t77\n",
        "title.akas.tsv": "titleId\tordering\ttitle\tregion\tlanguage\ttypes\tattributes\tisOriginalTitle\n"
        f"{imdb[0]}\t1\tEin anderer Titel\tDE\t\\N\t\\N\t\\N\t0\n",
        "rotten_tomatoes_movies.csv": "movie_title,original_release_date,tomatometer_rating\n"
        f'"{title}",{year}-02-01,97\n',
        "grosses.csv": f'Movie,Year,Worldwide Gross\n"{title}",{year},"$1,500,000"\n',
    }
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")


BROUGHT = {
    "keywords.csv": ("keywords for 1 films", "directors for 1 films"),
    "ratings.csv": ("ratings_vector for",),
    "title.ratings.tsv": ("other_titles for 1 films",),
    "grosses.csv": ("revenue for 1 films", "critics_score for 1 films"),
}


@pytest.mark.parametrize("table", BROUGHT)
def test_tables_beside_a_catalogue_are_added(shell, table):
    write_tables(FILMS)
    (command,) = [line for line in COMMANDS if f"--with {table}" in line]
    films, out, err = shell(command)
    assert err == "" and all(said in out for said in BROUGHT[table])
    assert len(films) == 16 and len(films.attrs["source_reports"]) == command.count("--with")


def test_the_page_asks_in_ways_that_the_shell_knows(small_model, tmp_path, monkeypatch, capsys):
    """Its questions are asked of a small model; those that need more of the films say so."""
    monkeypatch.chdir(tmp_path)
    Path("my_ratings.csv").write_text("Date,Name,Year,Rating\n2021-01-01,Toy Story,1995,5\n")
    asked = [line for line in COMMANDS if re.search(r"--min |--sort |--weights |--profile ", line)]
    assert len(asked) == 4
    for line in asked:
        words = shlex.split(re.sub(r" --model \S+", "", line))[1:]
        code = main([*words, "--model", str(small_model)])
        _, err = capsys.readouterr()
        lacks = "needs what none of these films has" in err or "knows no" in err or "No film" in err
        assert code == 0 or (code == 2 and lacks), (line, err)

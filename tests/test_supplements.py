"""What other tables know of a catalogue's films, and somebody's own films: matched, reported, used."""

import gzip
import json
import random
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from movrec import CatalogueError, ParameterError, Recommender, add_source, load_sample
from movrec.workings.further import further_blocks
from movrec.workings.limits import FILES
from movrec.workings.matching import FilmMatcher
from movrec.workings.profile import profile_from, shares_of_scale
from movrec.workings.question import FilmFilter, Question
from movrec.workings.supplements import add_sources
from movrec.workings.tastes import rating_vectors, split_people
from movrec.workings.upload import FilmUpload, uploaded_file


@pytest.fixture(scope="module")
def films():
    return load_sample().head(120).reset_index(drop=True)


def report_of(films):
    return films.attrs["source_reports"][-1]


# ---- the tables that people have, as they are ----------------------------------------------------


def test_kaggle_keywords_and_credits_are_read_by_their_ids(films, tmp_path):
    ids = films["id"].tolist()
    keywords, credits = tmp_path / "keywords.csv", tmp_path / "credits.csv.gz"
    words = "[{'id': 1, 'name': 'Road trip'}, {'id': 2, 'name': \"friend's house\"}]"
    pd.DataFrame({"id": [ids[0], ids[1], 999999999], "keywords": [words, "[]", words]}).to_csv(
        keywords, index=False
    )
    cast = [{"cast_id": n, "name": f"Player {n}", "order": n} for n in range(14)]
    crew = [{"job": "Director", "name": "Ann Lee"}, {"job": "Editor", "name": "Bo Poe"}]
    table = pd.DataFrame({"cast": [str(cast)], "crew": [str(crew)], "id": [ids[0]]})
    with gzip.open(credits, "wt", encoding="utf-8") as file:
        table.to_csv(file, index=False)
    added = add_sources(films, [keywords, credits], progress=False)
    assert added.loc[0, "keywords"] == ["road trip", "friend's house"]
    assert added.loc[0, "directors"] == ["Ann Lee"] and len(added.loc[0, "cast"]) == 10
    assert added.loc[1, "keywords"] == [] and "keywords" not in films
    first, second = added.attrs["source_reports"]
    assert (first.rows, first.films, first.unmatched) == (3, 2, 1) and first.columns == {
        "keywords": 1
    }
    assert second.columns == {"cast": 1, "directors": 1}
    assert added.attrs["ingest_report"] == films.attrs["ingest_report"]


def test_a_table_with_a_column_for_each_who_plays(films, tmp_path):
    """IMDb 5000: a blank without end behind each title, an address for an id, actors in three columns."""
    rows = [
        {
            "actor_2_name": "Bo Poe", "actor_1_name": "Ann Lee", "movie_title": f"{title}\xa0",
            "movie_imdb_link": f"http://www.imdb.com/title/{imdb}/?ref_=fn_tt_tt_1", "actor_3_name": None,
            "title_year": "1900.0", "plot_keywords": "sea|storm", "gross": "760505847.0",
        }
        for title, imdb in zip(films["title"].head(3), films["imdb_id"])
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "movie_metadata.csv", index=False)
    added = add_source(films, tmp_path / "movie_metadata.csv", progress=False)
    assert added["cast"][2] == ["Ann Lee", "Bo Poe"] and added["keywords"][0] == ["sea", "storm"]
    assert added["revenue"][1] == 760505847 and report_of(added).by == {"IMDb id": 3}


def test_a_table_with_a_row_for_each_name(films, tmp_path):
    first, second = films["id"].iloc[:2]
    people = pd.DataFrame(
        [
            [7, first, "Bo Poe", "Neil", "ACTOR"],
            [8, first, "Cy Ray", "Vincent", "ACTOR"],
            [9, first, "Ann Lee", None, "DIRECTOR"],
            [7, second, "Bo Poe", "Evelyn", "ACTOR"],
        ],
        columns=["person_id", "id", "name", "character", "role"],
    )
    people.to_csv(tmp_path / "credits.csv", index=False)
    more = add_source(films, tmp_path / "credits.csv", progress=False)
    assert more["cast"].iloc[:2].tolist() == [["Bo Poe", "Cy Ray"], ["Bo Poe"]]
    assert more["directors"].iloc[:2].tolist() == [["Ann Lee"], []]
    words = pd.DataFrame({"id": [first, first, second], "tag": ["Toy", "doll", "game"]})
    assert add_source(films, words)["keywords"].iloc[:2].tolist() == [["toy", "doll"], ["game"]]
    many = pd.DataFrame({"id": [first] * 12, "actor": [f"N {n}" for n in range(12)]})
    assert len(add_source(films, many)["cast"].iloc[0]) == 10


def test_imdb_tables_are_read_with_their_sign_for_nothing(films, tmp_path):
    known = films.assign(vote_average=np.nan, vote_count=pd.array([pd.NA] * len(films), "Int64"))
    tconst = films["imdb_id"][0]
    (tmp_path / "ratings.tsv").write_text(
        f"tconst\taverageRating\tnumVotes\n{tconst}\t8.3\t1000000\ntt9999999\t5.0\t7\n"
    )
    (tmp_path / "akas.tsv").write_text(
        "titleId\tordering\ttitle\tregion\tlanguage\ttypes\tattributes\tisOriginalTitle\n"
        f"{tconst}\t1\tEine ganz andere Reise\tDE\t\\N\t\\N\t\\N\t0\n"
        f'{tconst}\t2\tТихая "вода"\tRU\t\\N\t\\N\t\\N\t0\n'
        f"{tconst}\t3\t{films['title'][0]}\tUS\t\\N\t\\N\t\\N\t0\n"
    )
    added = add_sources(known, [tmp_path / "akas.tsv", tmp_path / "ratings.tsv"], progress=False)
    assert added.loc[0, "vote_average"] == 8.3 and added.loc[0, "vote_count"] == 1000000
    assert added.loc[0, "other_titles"] == ["Eine ganz andere Reise", 'Тихая "вода"']
    matcher = FilmMatcher(added)
    assert matcher.match("eine ganz andere Reise").row == 0
    assert matcher.match("Ein ganz andere Reise", int(films["year"][0])).by == "near title"


def test_imdb_basics_give_ids_and_leave_episodes_out(films, tmp_path):
    bare = films.drop(columns="imdb_id")
    title, year = films["title"][3], int(films["year"][3])
    (tmp_path / "basics.tsv").write_text(
        "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\tendYear\truntimeMinutes\tgenres\n"
        f"tt0000009\ttvEpisode\t{title}\t{title}\t0\t{year}\t\\N\t9\tDrama\n"
        f"tt0000007\tmovie\t{title}\t{title}\t0\t{year}\t\\N\t99\tDrama\n"
    )
    added = add_source(bare, tmp_path / "basics.tsv", progress=False)
    assert added.loc[3, "imdb_id"] == "tt0000007" and report_of(added).by == {"title and year": 1}


def test_grosses_and_tomatoes_are_matched_by_title_and_year(films, tmp_path):
    names, years = films["title"].tolist(), films["year"].tolist()
    grosses = pd.DataFrame(
        {
            "Release Date": [f"Mar 3, {years[0]}", f"May 1, {years[1]}", "2031"],
            "Movie": [names[0], names[1][:-1] + names[1][-1] * 2, "No such film"],
            "Production Budget": ["$30,000,000", "$1.5 million", "$1"],
            "Worldwide Gross": ["$373,554,033", "0", "$2"],
        }
    )
    added = add_source(films, grosses)
    assert added["revenue"][0] == 373554033 and added["budget"][1] == 1.5e6
    assert pd.isna(added["revenue"][1]), "a revenue of 0 is not known"
    assert report_of(added).by == {"title and year": 1, "near title": 1}
    assert list(report_of(added).examples["title"]) == ["No such film"]
    tomatoes = pd.DataFrame(
        {
            "movie_title": names[:2], "original_release_date": [f"{year}-01-01" for year in years[:2]],
            "tomatometer_rating": ["97%", 80], "audience_rating": [92.0, 50.0], "directors": ["Ann Lee, Bo Poe", ""],
        }
    )  # fmt: skip
    replaced = add_source(added, tomatoes, replace=True)
    assert replaced["critics_score"].tolist()[:2] == [97, 80] and replaced["vote_average"][0] == 9.2
    assert replaced["directors"][0] == ["Ann Lee", "Bo Poe"] and replaced["revenue"][0] == 373554033
    assert add_source(added, tomatoes)["vote_average"].equals(films["vote_average"])


def test_a_film_that_may_be_two_is_left_out_and_counted(films):
    twice = pd.concat([films.iloc[[0]].assign(id=-1), films], ignore_index=True)
    twice = twice.assign(imdb_id=None)
    added = add_source(
        twice,
        pd.DataFrame({"title": [films["title"][0], films["title"][5]], "budget": ["9M", "8M"]}),
    )
    report = report_of(added)
    assert report.ambiguous == 1 and report.films == 1 and "ambiguous" in str(report)


def test_ids_of_another_kind_are_not_believed(films):
    others = films.head(20)
    wrong = pd.DataFrame(
        {
            "id": others["id"].tolist()[::-1],
            "title": others["title"],
            "year": others["year"],
            "budget": range(1, 21),
        }
    )
    added = add_source(films, wrong)
    assert added["budget"].tolist()[:20] == list(range(1, 21))


@pytest.mark.parametrize(
    "cell", ["__import__('os').abort()", "[{'name': open('/etc/passwd')}]", "[" * 5000]
)
def test_nothing_in_a_cell_is_run(films, cell):
    added = add_source(films, pd.DataFrame({"id": films["id"][:2], "keywords": [cell, "['sea']"]}))
    assert added["keywords"][1] == ["sea"] and added["keywords"][0] in ([], [cell.lower()])


def test_what_is_wrong_with_a_table_is_said(films, tmp_path):
    with pytest.raises(CatalogueError, match="none of its 1 rows is about a film"):
        add_source(films, pd.DataFrame({"title": ["No such film"], "budget": ["1M"]}))
    with pytest.raises(CatalogueError, match="has no column with"):
        add_source(films, pd.DataFrame({"dog": ["Rex"]}))
    with pytest.raises(CatalogueError, match="no-such.csv"):
        add_source(films, "no-such.csv")
    path = tmp_path / "ratings.csv"
    path.write_text("userId,movieId,rating,timestamp\n1,1,4.0,9\n")
    with pytest.raises(ParameterError, match="links"):
        add_source(films, path)
    named = add_source(
        films,
        pd.DataFrame({"title": films["title"][:3], "Takings": [1, 2, 3]}),
        columns={"revenue": "takings"},
    )
    assert named["revenue"].tolist()[:3] == [1, 2, 3]
    with pytest.raises(ParameterError, match="may name"):
        add_source(films, pd.DataFrame({"title": ["x"]}), columns={"shoes": "title"})


# ---- ratings -------------------------------------------------------------------------------------


NO_RATINGS = 'the extra is missing: pip install "movrec[ratings]"'


def two_tastes(films, people=40):
    generator = np.random.default_rng(3)
    rows = [
        (person, int(films["id"][film]), 5.0 if film % 2 == person % 2 else 1.5)
        for person in range(people)
        for film in generator.choice(60, 25, replace=False)
    ]
    return pd.DataFrame(rows, columns=["user_id", "id", "rating"])


def test_ratings_of_some_people_tell_the_tastes_of_others(films):
    pytest.importorskip("implicit", reason=NO_RATINGS)
    seen, unseen = split_people(two_tastes(films))
    assert not set(seen["user_id"]) & set(unseen["user_id"])
    vectors = rating_vectors(films, seen)
    assert all(vector is None for vector in vectors[60:])
    rated = [row for row in range(60) if vectors[row] is not None]
    places = np.array([vectors[row] for row in rated])
    same = np.equal.outer(np.array(rated) % 2, np.array(rated) % 2)
    cosines = places @ places.T
    off = ~np.eye(len(rated), dtype=bool)
    assert cosines[same & off].mean() > cosines[~same].mean() + 0.1


def test_ratings_come_with_their_links_in_any_order(films, tmp_path):
    pytest.importorskip("implicit", reason=NO_RATINGS)
    ratings = two_tastes(films)
    links = pd.DataFrame(
        {"movieId": range(1, 61), "imdbId": "", "tmdbId": films["id"][:60].astype(float)}
    )
    movie = dict(zip(films["id"][:60], range(1, 61)))
    table = ratings.assign(movieId=ratings["id"].map(movie), userId=ratings["user_id"], timestamp=0)
    table[["userId", "movieId", "rating", "timestamp"]].to_csv(
        tmp_path / "ratings.csv", index=False
    )
    links.to_csv(tmp_path / "links.csv", index=False)
    added = add_sources(films, [tmp_path / "ratings.csv", tmp_path / "links.csv"], progress=False)
    assert added["ratings_vector"].tolist() == rating_vectors(films, ratings)
    assert [report.kind for report in added.attrs["source_reports"]] == ["links", "ratings"]


def test_the_same_ratings_give_the_same_vectors(films):
    pytest.importorskip("implicit", reason=NO_RATINGS)
    ratings = two_tastes(films)
    once, again = rating_vectors(films, ratings), rating_vectors(films, ratings)
    assert once == again
    assert all(abs(np.linalg.norm(vector) - 1) < 1e-4 for vector in once if vector is not None)


def test_ratings_without_the_library_are_one_sentence(films, monkeypatch):
    for name in ("implicit", "implicit.cpu", "implicit.cpu.als"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CatalogueError, match=r'pip install "movrec\[ratings\]"') as caught:
        add_source(films, two_tastes(films))
    assert "\n" not in str(caught.value)


# ---- a model that knows more ---------------------------------------------------------------------


def write_credits(path, films):
    """People of films as Kaggle's credits.csv tells them; every third film has no director."""
    cast = [
        [{"cast_id": 1, "name": f"Player {row % 11}"}, {"cast_id": 2, "name": f"Player {row}"}]
        for row in range(len(films))
    ]
    crew = [
        [{"job": "Editor", "name": "Ed"}, {"job": "Director", "name": f"Director {row % 9}"}]
        if row % 3
        else []
        for row in range(len(films))
    ]
    table = pd.DataFrame({"cast": map(str, cast), "crew": map(str, crew), "id": films["id"]})
    table.loc[len(films)] = ["[]", "[]", 999_999_999]
    table.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def knowing(films, tmp_path_factory):
    from movrec import Doc2VecEmbedder, GenreClassifier

    n = len(films)
    known = films.assign(
        keywords=[
            ["sea", "storm"] if row % 5 == 0 else ["city"] if row % 5 == 1 else []
            for row in range(n)
        ],
        revenue=[1e6 * row if row % 2 else None for row in range(n)],
        other_titles=[[f"Ein Film {row}"] for row in range(n)],
    )
    pytest.importorskip("implicit", reason=NO_RATINGS)
    credits = write_credits(tmp_path_factory.mktemp("tables") / "credits.csv", films)
    known = add_source(add_sources(known, [credits], progress=False), two_tastes(films))
    return Recommender.build(
        known,
        tmp_path_factory.mktemp("knowing") / "model",
        embedder=Doc2VecEmbedder(epochs=2, progress=False),
        classifier=GenreClassifier(epochs=2, networks=1, progress=False),
        progress=False,
    )


def test_what_is_known_is_stored_and_found_by(knowing, films):
    assert list(further_blocks(knowing.films)) == [
        "people",
        "keywords",
    ]  # ratings are in the vectors
    assert knowing.films["directors"][1] == ["Director 1"] and knowing.films["directors"][0] == []
    assert knowing.films["revenue"][119] == 119e6
    assert knowing.find("Ein Film 17")["title"] == films["title"][17]
    found = knowing.recommend(int(films["id"][0]), 5)
    assert {"revenue", "directors"} <= set(found)


def test_further_blocks_count_only_where_somebody_asks(knowing, films):
    film = int(films["id"][5])
    usual = knowing.recommend(film, 8, match_genres=False)
    assert all("people" not in parts for parts in usual["contributions"])
    asked = knowing.recommend(film, 8, match_genres=False, weights={"keywords": 20})
    rows = knowing.rows_of(asked["id"])
    assert all(knowing.films["keywords"][row] == ["sea", "storm"] for row in rows)
    assert asked["contributions"][0]["keywords"] > 0.5
    whys = dict(
        knowing.explain(film, int(asked["id"][0]), weights={"keywords": 20, "people": 5}).in_words()
    )
    assert whys["Shared keywords"] == "sea, storm"
    with pytest.raises(ParameterError, match="did you mean keywords"):
        knowing.recommend(film, weights={"keyword": 1})


def test_the_people_of_a_film_count_and_are_a_reason(knowing, films):
    film, same = int(films["id"][1]), {int(films["id"][row]) for row in range(1, 120, 9)}
    asked = knowing.recommend(film, 3, match_genres=False, weights={"people": 20})
    assert set(asked["id"]) <= same and asked["contributions"][0]["people"] > 0.4
    whys = dict(knowing.explain(film, int(asked["id"][0]), weights={"people": 1}).in_words())
    assert whys["Same people"].startswith("Director 1")
    assert knowing.recommend(film, 3, weights={"people": 0})["id"].tolist() == (
        knowing.recommend(film, 3)["id"].tolist()
    )


def test_a_model_says_what_was_added_to_its_catalogue(knowing, films, capsys):
    from movrec.cli import main

    people, ratings = Recommender.open(knowing.path).manifest["sources"]
    assert people["source"] == "credits.csv" and people["by"] == {"id": 120}
    assert (people["rows"], people["films"], people["unmatched"]) == (121, 120, 1)
    assert people["columns"] == {"cast": 120, "directors": 80}
    assert ratings["kind"] == "ratings" and ratings["ambiguous"] == 0
    assert main(["info", "--model", str(knowing.path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "credits.csv: 121 rows, 120 films matched, 1 rows about no film here" in shown
    assert "directors for 80 films" in shown and "directors for 80 films" in knowing._repr_html_()
    assert main(["info", "--json", "--model", str(knowing.path)]) == 0
    assert json.loads(capsys.readouterr().out)["sources"] == [people, ratings]


def test_a_film_without_a_block_is_scored_as_it_was(knowing, films):
    """Nobody rated the films from row 60 on: their similarity stays, whoever asks with ratings."""
    film = int(films["id"][4])
    n = len(films) - 1
    usual = knowing.recommend(film, n, match_genres=False).set_index("id")["similarity"]
    rated = knowing.recommend(film, n, match_genres=False, weights={"ratings": 5}).set_index("id")[
        "similarity"
    ]
    unrated = [int(other) for other in films["id"][60:] if other in rated.index]
    assert len(unrated) > 40
    assert np.allclose(rated[unrated], usual[unrated], atol=1e-5)
    unknown = int(films["id"][70])  # and a question about such a film is the usual one
    for weights in (None, {"ratings": 5}):
        found = knowing.recommend(unknown, 5, match_genres=False, weights=weights)["id"].tolist()
        assert found == knowing.recommend(unknown, 5, match_genres=False)["id"].tolist()


def test_a_model_with_ratings_needs_no_library_to_answer(knowing, films, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "implicit"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "implicit", None)
    film = int(films["id"][4])
    found = Recommender.open(knowing.path).recommend(film, 8, weights={"ratings": 5})
    assert found["id"].tolist() == knowing.recommend(film, 8, weights={"ratings": 5})["id"].tolist()


def test_all_at_once_is_the_same_as_one_by_one(knowing, films):
    weights = {"people": 2, "ratings": 3, "keywords": 1}
    table = knowing.recommend_all(5, weights=weights)
    for film in films["id"][[0, 4, 71]]:
        one = knowing.recommend(int(film), 5, weights=weights)
        many = table[table["id"] == film]
        assert np.allclose(one["similarity"].iloc[: len(many)], many["similarity"], atol=1e-4)


def test_a_model_says_which_block_it_lacks(small_recommender):
    with pytest.raises(ParameterError, match="--with credits.csv"):
        small_recommender.recommend("Toy Story", weights={"people": 1})


def test_least_numbers_and_orders(knowing, films):
    film = int(films["id"][0])
    found = knowing.recommend(film, 8, match_genres=False, min_revenue=5e7, sort_by="revenue")
    assert found["revenue"].is_monotonic_decreasing and found["revenue"].min() >= 5e7
    titles = knowing.recommend(film, 8, match_genres=False, sort_by="title")["title"].tolist()
    usual = knowing.recommend(film, 8, match_genres=False)["title"].tolist()
    assert set(titles) == set(usual) and titles != usual
    rated = knowing.recommend_for_text("A ship sinks in a storm.", min_vote_average=7.5, k=5)
    assert rated["vote_average"].min() >= 7.5
    assert FilmFilter(min_vote_average=7.5).in_words() == {
        "min_vote_average": "rated 7.5 or better"
    }
    with pytest.raises(ParameterError, match="none of these films has"):
        knowing.recommend(film, sort_by="budget")
    with pytest.raises(ParameterError, match="sort_by"):
        knowing.recommend(film, sort_by="shoe size")
    for wrong in ({"min_revenue": -1}, {"min_vote_average": "good"}):
        with pytest.raises(ParameterError):
            knowing.recommend(film, **wrong)


# ---- somebody's own films ------------------------------------------------------------------------


def exports(films):
    """The same films as three places export them: the first liked, the second not, the third so-so."""
    a, b, c = (films.iloc[row] for row in (0, 1, 2))
    titles, years = [f["title"] for f in (a, b, c)], [int(f["year"]) for f in (a, b, c)]
    yield (
        "letterboxd",
        pd.DataFrame(
            {
                "Date": "2021-01-01",
                "Name": titles,
                "Year": years,
                "Letterboxd URI": "x",
                "Rating": [4.5, 1.0, 3.0],
            }
        ),
    )
    yield "imdb", pd.DataFrame(
        {
            "Const": [f["imdb_id"] for f in (a, b, c)], "Your Rating": [10, 3, 6], "Date Rated": "2021-01-01",
            "Title": ["?", "?", "?"], "Original Title": titles, "Year": years, "IMDb Rating": [1.0, 9.0, 9.0],
        }
    )  # fmt: skip
    yield "movielens", pd.DataFrame(
        {
            "movie_id": [1, 2, 3], "imdb_id": [f["imdb_id"][2:] for f in (a, b, c)], "tmdb_id": [f["id"] for f in (a, b, c)],
            "rating": [5.0, 0.5, 3.5], "average_rating": 3.0, "title": [f"{t} ({y})" for t, y in zip(titles, years)],
        }
    )  # fmt: skip


@pytest.mark.parametrize("place", ["letterboxd", "imdb", "movielens"])
def test_exports_are_read(films, place, tmp_path):
    table = dict(exports(films))[place]
    path = tmp_path / "ratings.csv"
    table.to_csv(path, index=False)
    profile = profile_from(path, films)
    ids = films["id"].tolist()
    assert (
        profile.liked == (ids[0],)
        and profile.disliked == (ids[1],)
        and set(profile.seen) == set(ids[:3])
    )
    assert "3 films, 3 found here" in str(profile)


def write_letterboxd(path, films, folder="", **instead):
    """Letterboxd's archive: five films seen, three rated (the first liked), the third and fourth with a heart."""

    def table(rows, more="", cells=lambda row: ""):
        lines = [f"Date,Name,Year,Letterboxd URI{more}"]
        for row in rows:
            title, year = films["title"][row], films["year"][row]
            lines.append(f'2021-01-01,"{title}",{year},https://boxd.it/{row}{cells(row)}')
        return "\n".join(lines) + "\n"

    files = {
        "comments.csv": "Date,Content,Comment\n",
        "diary.csv": table([1], ",Rating,Rewatch,Tags,Watched Date", lambda row: ",5,,,2020-01-01"),
        "profile.csv": "Date Joined,Username\n2020-01-01,somebody\n",
        "ratings.csv": table([0, 1, 2], ",Rating", lambda row: f",{[4.5, 1, 3][row]}"),
        "reviews.csv": table([], ",Rating,Rewatch,Review,Tags,Watched Date"),
        "watched.csv": table(range(5)),
        "watchlist.csv": table([8, 9]),
        "deleted/diary.csv": table([7], ",Rating", lambda row: ",5"),
        "likes/films.csv": table([2, 3]),
        "likes/reviews.csv": "Date,Content\n",
        "lists/best.csv": "Letterboxd list export v7\nDate,Name\n",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**files, **instead}.items():
            if text is not None:
                archive.writestr(folder + name, text)
    return path


@pytest.mark.parametrize("folder", ["", "letterboxd-somebody-2021/"])
def test_letterboxds_archive_is_read_as_it_is(films, tmp_path, folder):
    profile = profile_from(write_letterboxd(tmp_path / "all.zip", films, folder), films)
    ids = films["id"].tolist()
    assert profile.liked[0] == ids[0] and set(profile.liked) == {ids[0], ids[2], ids[3]}
    assert profile.disliked == (ids[1],) and set(profile.seen) == set(ids[:5])
    assert str(profile).startswith("all.zip: 5 films, 5 found here")
    upload = FilmUpload(films)
    upload.take("all.zip", (tmp_path / "all.zip").read_bytes())
    assert upload.profile.liked == profile.liked


def test_an_archive_without_ratings_or_films_and_one_that_is_too_large(
    films, tmp_path, monkeypatch
):
    path = tmp_path / "all.zip"
    header = "Date,Name,Year,Letterboxd URI\n"
    none = {name: header for name in ("watched.csv", "diary.csv", "likes/films.csv")}
    watched = write_letterboxd(path, films, **{**none, "ratings.csv": header, "watched.csv": None})
    with pytest.raises(CatalogueError, match="nothing was watched or rated"):
        profile_from(watched, films)
    watched = write_letterboxd(path, films, **{"ratings.csv": header, "diary.csv": None})
    assert len(profile_from(watched, films).liked) == 2 and len(profile_from(path, films).seen) == 5
    large = header + "2021-01-01,Salt,2010,x\n" * 10_000
    assert write_letterboxd(path, films, **{"watched.csv": large}).stat().st_size < 10_000
    monkeypatch.setitem(FILES, "bytes", 100_000)
    with pytest.raises(CatalogueError, match="more than 100,000 bytes"):
        profile_from(path, films)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CatalogueError, match="all.zip"):
        profile_from(path, films)


def test_a_profile_asks_for_what_was_not_seen(small_recommender, films):
    profile = small_recommender.profile_from(dict(exports(films))["letterboxd"])
    answer = small_recommender.answer(profile.question(k=5))
    assert not set(answer.films["id"]) & set(profile.seen) and len(answer.films) == 5
    watched = dict(exports(films))["letterboxd"].drop(columns="Rating")
    assert set(profile_from(watched, films).liked) == set(films["id"][:3])
    again = pd.DataFrame(
        {"Name": [films["title"][0]] * 2, "Year": [films["year"][0]] * 2, "Rating": [1, 5]}
    )
    assert profile_from(again, films).liked == (films["id"][0],)
    assert shares_of_scale([60, 100]) == [0.6, 1.0]
    # Somebody who gives no more than five of ten on IMDb does not like what got four.
    harsh = pd.DataFrame(
        {"Const": films["imdb_id"][:2], "Your Rating": [5, 4], "Title": films["title"][:2]}
    )
    assert profile_from(harsh, films).disliked == (films["id"][1],)
    with pytest.raises(CatalogueError, match="None of the 1 films"):
        profile_from(pd.DataFrame({"Name": ["No such film"], "Year": [2031]}), films)
    with pytest.raises(CatalogueError, match="names no films"):
        profile_from(pd.DataFrame({"Dog": ["Rex"]}), films)


def test_titles_with_a_typing_error_are_found_and_never_taken_for_another(sample_films):
    generator = random.Random(5)
    chosen = sample_films.sample(300, random_state=5)

    def with_slip(title):
        place = generator.randrange(1, len(title) - 1)
        return title[:place] + title[place + 1] + title[place] + title[place + 2 :]

    titles = [with_slip(title) if len(title) > 5 else title for title in chosen["title"]]
    profile = profile_from(
        pd.DataFrame({"title": titles, "year": chosen["year"].tolist()}), sample_films
    )
    found = profile.table["id"].notna()
    right = profile.table["id"].eq(pd.Series(chosen["id"].tolist()))
    assert found.mean() > 0.9 and (right | ~found).all()


def test_the_shell_takes_a_profile_and_least_numbers(small_model, films, tmp_path, capsys):
    from movrec.cli import main

    path = tmp_path / "ratings.csv"
    dict(exports(films))["letterboxd"].to_csv(path, index=False)
    model = ["--model", str(small_model), "--json"]
    assert main(["recommend", "--profile", str(path), "-k", "3", *model]) == 0
    shown = capsys.readouterr()
    assert len(json.loads(shown.out)) == 3 and "3 found here" in shown.err
    asked = ["recommend", "Toy Story", "--min", "vote_average=7.5", "--sort", "year", "-k", "5"]
    assert main([*asked, *model]) == 0
    found = json.loads(capsys.readouterr().out)
    years = [film["year"] for film in found]
    assert (
        years == sorted(years, reverse=True) and min(film["vote_average"] for film in found) >= 7.5
    )
    for wrong in (
        ["--min", "shoes=3"],
        ["--min", "revenue"],
        ["--sort", "shoes"],
        ["--profile", str(path)],
    ):
        assert main(["recommend", "Toy Story", *wrong, *model]) == 2
        assert "Error:" in capsys.readouterr().err


def test_the_search_box_takes_a_file(small_recommender, films):
    from movrec.search_box import SearchBox

    box = SearchBox(small_recommender)
    content = dict(exports(films))["letterboxd"].to_csv(index=False).encode()
    box.inputs.upload.button.value = (
        {
            "name": "ratings.csv",
            "type": "",
            "size": 1,
            "content": memoryview(content),
            "last_modified": pd.Timestamp(0).to_pydatetime(),
        },
    )
    assert box.trail.current.films == (films["id"][0],) and box.trail.current.disliked == (
        films["id"][1],
    )
    assert "3 found here" in box.inputs.upload.note.value
    upload = FilmUpload(small_recommender)
    upload.take("all.csv", b"Name,Year,Rating\n" + b"Heat,1995,5\n" * 100_001)
    assert "give the ratings of one person" in upload.note.value and upload.profile is None
    upload.take("noise.csv", bytes(range(256)) * 9)
    assert "give the ratings that Letterboxd, IMDb or MovieLens exports" in upload.note.value
    upload.take("<b>.csv", b"Dog\nRex\n")
    assert upload.profile is None and "<b>" not in upload.note.value.replace("<b></b>", "")
    seven = {"ratings.csv": {"metadata": {"name": "ratings.csv"}, "content": content}}
    assert uploaded_file(seven) == ("ratings.csv", content)


# ---- real rows -----------------------------------------------------------------------------------


def test_real_tables_beside_a_real_catalogue(real_data):
    from movrec import read_movies

    films = read_movies(real_data, progress=False)
    names = ("keywords.csv.gz", "ratings_small.csv.gz", "links_small.csv.gz")
    paths = [real_data.parent / name for name in names]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        pytest.skip(f"{missing[0]} is not beside the real rows")
    added = add_sources(films, paths, progress=False)
    links, keywords, ratings = added.attrs["source_reports"]
    assert keywords.films > 1600 and links.films > 8500 and ratings.films > 6500
    assert added["revenue"].notna().sum() > 2000
    assert 1000 < added["ratings_vector"].notna().sum() < len(films)


def test_a_question_keeps_its_order():
    assert Question((862,), sort_by="year").more_like(863).sort_by == "year"

"""Faults, damaged folders and odd questions: what notebook 03 cannot show."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest

from movrec.classifier import GenreClassifier
from movrec.doc2vec import Doc2VecEmbedder
from movrec.ingest import read_movies
from movrec.recommend import Recommender
from movrec.workings.core import CatalogueError, ModelError, ParameterError, QueryError
from movrec.workings.question import FilmFilter, sql_literal
from movrec.workings.text import normalize_title
from movrec.workings.titles import TitleIndex

NASTY_GENRES = [
    "Children's",
    "100%_pure",
    'say "hi"',
    "back\\slash",
    "x') OR ('1' = '1",
    "Musik für alle",
]


def quick(**parameters):
    """Estimators that learn little and fast."""
    return {
        "embedder": Doc2VecEmbedder(epochs=2, progress=False),
        "classifier": GenreClassifier(epochs=2, progress=False),
        "progress": False,
        **parameters,
    }


def films_of(titles, genres=None, **columns):
    genres = genres or [["Drama", "Comedy"][row % 2 : row % 2 + 1] for row in range(len(titles))]
    overview = "A farmer finds an old map and follows it across the sea with number {} of his sons."
    return pd.DataFrame(
        {
            "id": range(1, len(titles) + 1),
            "title": titles,
            "year": range(1950, 1950 + len(titles)),
            "genres": genres,
            "overview": [overview.format(row % 5) for row in range(len(titles))],
            **columns,
        }
    )


@pytest.fixture
def model_copy(small_model, tmp_path):
    return shutil.copytree(small_model, tmp_path / "copy")


# ---- recommendations -----------------------------------------------------------------------------


def test_never_the_film_itself_best_first_and_k_of_them(small_recommender):
    for title in ["Inception", "Titanic", "Shrek"]:
        found = small_recommender.recommend(title, k=7)
        assert len(found) == 7
        assert title not in found["title"].tolist()
        assert found["similarity"].is_monotonic_decreasing
        assert found["id"].is_unique


@pytest.mark.parametrize("space", ["joined", "document"])
@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_lancedb_finds_what_numpy_finds(small_recommender, space, metric):
    vectors = small_recommender.store.vectors(space).astype(float)
    row = small_recommender._row_of[int(small_recommender.find("Inception")["id"])]
    if metric == "cosine":
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        similarity = unit @ unit[row]
    else:
        similarity = 1 / (1 + np.linalg.norm(vectors - vectors[row], axis=1))
    similarity[row] = -np.inf
    expected = np.sort(similarity)[::-1][:10]
    found = small_recommender.recommend(
        "Inception", k=10, match_genres=False, space=space, metric=metric
    )
    assert found["similarity"].to_numpy() == pytest.approx(expected, abs=1e-4)


def test_the_genre_step_keeps_films_that_share_one(small_recommender):
    found = small_recommender.recommend("Shrek", k=50)
    wanted = set(small_recommender.find("Shrek")["genres"])
    assert set(found.attrs["genres"]) == wanted
    assert all(wanted & set(genres) for genres in found["genres"])


def test_every_filter_filters(small_recommender):
    found = small_recommender.recommend(
        "Inception",
        k=100,
        match_genres=False,
        genres=["Comedy", "Drama"],
        exclude_genres=["Romance"],
        years=(1990, 2005),
        min_vote_count=2000,
        exclude=["Titanic"],
    )
    assert len(found)
    assert found["year"].between(1990, 2005).all()
    assert (found["vote_count"] >= 2000).all()
    for genres in found["genres"]:
        assert {"Comedy", "Drama"} & set(genres) and "Romance" not in genres
    assert "Titanic" not in found["title"].tolist()


def test_filters_may_leave_nothing(small_recommender):
    found = small_recommender.recommend("Inception", years=(1890, 1891))
    assert found.empty and "similarity" in found


def test_years_and_language(small_recommender):
    assert small_recommender.recommend("Inception", years=(None, 1960))["year"].le(1960).all()
    french = small_recommender.recommend("Inception", k=5, language="fr", match_genres=False)
    assert set(french["language"]) <= {"fr"}


def test_a_list_is_the_mean_of_its_films(small_recommender):
    pair = ["Inception", "Titanic"]
    found = small_recommender.recommend(pair, k=5)
    assert not set(pair) & set(found["title"])
    assert [film["title"] for film in found.attrs["query"]] == pair
    doubled = small_recommender.recommend(["Inception", "Inception"], k=5)
    assert doubled["id"].tolist() == small_recommender.recommend("Inception", k=5)["id"].tolist()


def test_all_at_once_is_the_same_as_one_by_one(small_recommender):
    everything = small_recommender.recommend_all(k=5)
    for film in small_recommender.films["id"].iloc[[0, 10, 599]]:
        one = small_recommender.recommend(int(film), k=5)
        rows = everything[everything["id"] == film]
        assert rows["rank"].tolist() == list(range(1, len(one) + 1))
        assert rows["similarity"].to_numpy() == pytest.approx(
            one["similarity"].to_numpy(), abs=1e-4
        )


def test_a_plot_gives_the_same_answer_each_time_and_after_reopening(small_recommender, small_model):
    plot = "A thief enters the dreams of others and must plant an idea in a rich heir's mind."
    first = small_recommender.recommend_for_text(plot, k=5)
    again = Recommender.open(small_model).recommend_for_text(plot, k=5)
    pd.testing.assert_frame_equal(first, again)
    table = small_recommender.predict_genres(plot)
    assert table["probability"].between(0, 1).all() and table["predicted"].any()
    assert table["genre"].tolist() != sorted(table["genre"])


@pytest.mark.parametrize("k", [0, -1, 2.5, "3", True, None, 100_000])
def test_a_bad_k(small_recommender, k):
    with pytest.raises(ParameterError, match="k"):
        small_recommender.recommend("Inception", k=k)
    with pytest.raises(ParameterError, match="k"):
        small_recommender.recommend_all(k=k)


def test_the_largest_k(small_recommender):
    n = len(small_recommender.films)
    assert len(small_recommender.recommend("Inception", k=n - 1, match_genres=False)) == n - 1
    with pytest.raises(ParameterError):
        small_recommender.recommend("Inception", k=n)


def test_an_unknown_genre_names_the_nearest(small_recommender):
    with pytest.raises(QueryError, match="Comedy") as caught:
        small_recommender.recommend("Inception", genres=["Comdy"])
    assert "Comedy" in caught.value.candidates
    found = small_recommender.recommend("Inception", genres=["comedy"])
    assert all("Comedy" in genres for genres in found["genres"])


@pytest.mark.parametrize(
    "arguments",
    [
        {"years": 1990},
        {"years": (2000, 1990)},
        {"space": "genres"},
        {"metric": "dot"},
        {"genres": "Comedy"},
        {"exclude_genres": "Comedy"},
        {"genres": [3]},
    ],
)
def test_bad_arguments(small_recommender, arguments):
    with pytest.raises(ParameterError):
        small_recommender.recommend("Inception", **arguments)


@pytest.mark.parametrize("query", [[], None, 3.5, {"title": "Heat"}, True, ""])
def test_bad_queries(small_recommender, query):
    with pytest.raises(ParameterError):
        small_recommender.recommend(query)


@pytest.mark.parametrize("text", ["", "   ", None, 7, "qwxz zzkkj"])
def test_bad_plots(small_recommender, text):
    with pytest.raises(ParameterError):
        small_recommender.recommend_for_text(text)
    with pytest.raises(ParameterError):
        small_recommender.predict_genres(text)


# ---- titles --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def titles():
    names = [
        "Heat",
        "The Heat",
        "Amélie",
        "Toy Story 3",
        "Toy Story",
        "WALL·E",
        "M",
        "Pinocchio",
        "Pinocchio",
        "Fast & Furious",
        "2001: A Space Odyssey",
        "Rocky III",
        "",
        "It",
    ]
    films = films_of(names)
    films["year"] = films["year"].astype("Int16")
    films.loc[12, "year"] = pd.NA
    return TitleIndex(films)


@pytest.mark.parametrize(
    ("typed", "row"),
    [
        ("Heat", 0),
        ("heat", 0),
        ("The Heat", 1),
        ("the heat", 1),
        ("HEAT", 0),
        ("amelie", 2),
        ("Amelie", 2),
        ("AMÉLIE", 2),
        ("toy story", 4),
        ("Toy Stroy", 4),
        ("toy sotry 3", 3),
        ("walle", 5),
        ("wall e", 5),
        ("m", 6),
        ("fast and furious", 9),
        ("2001 a space odyssey", 10),
        ("2001: A Space Odissey", 10),
        ("Heat (1950)", 0),
        ("it", 13),
    ],
)
def test_titles_that_are_understood(titles, typed, row):
    assert titles.find(typed) == row


@pytest.mark.parametrize(
    "typed", ["Toy Story 4", "Rocky II", "Rocky IV", "X", "Casablanca", "2010: A Space Odyssey"]
)
def test_titles_that_are_not_guessed_at(titles, typed):
    with pytest.raises(QueryError, match="is in the catalogue"):
        titles.find(typed)


def test_films_of_one_name_are_listed(titles):
    with pytest.raises(QueryError, match="1957.*1958") as caught:
        titles.find("pinocchio")
    assert caught.value.candidates["id"].tolist() == [8, 9]
    assert titles.find("pinocchio", year=1958) == 8
    assert titles.find("pinocchio (1958)") == 8
    with pytest.raises(QueryError, match="1900"):
        titles.find("pinocchio", year=1900)


def test_suggestions(titles):
    assert set(titles.suggest("toy st")["title"].head(2)) == {"Toy Story", "Toy Story 3"}
    assert "2001: A Space Odyssey" in titles.suggest("odys")["title"].tolist()
    assert titles.suggest("ameile")["title"].tolist() == ["Amélie"]
    assert titles.suggest("tyo stroy")["title"].tolist()[0] == "Toy Story"
    assert titles.suggest("2001 spce od")["title"].tolist() == ["2001: A Space Odyssey"]
    assert titles.suggest("odyssey space 2001")["title"].tolist()[0] == "2001: A Space Odyssey"
    assert titles.suggest("").empty and titles.suggest("?!").empty
    assert len(titles.suggest("a", n=3)) <= 3


def test_suggestions_come_in_order(small_recommender):
    films = small_recommender.films
    begun = small_recommender.suggest("th", 5)
    whole = begun["title"].map(normalize_title).str.startswith("th")
    assert whole.is_monotonic_decreasing
    assert begun.loc[whole, "vote_count"].is_monotonic_decreasing
    # A whole title comes before longer ones, and every film is found by its own title.
    for title in films["title"].head(60):
        assert normalize_title(
            small_recommender.suggest(title)["title"].iloc[0]
        ) == normalize_title(title)
    assert TitleIndex(films.head(0)).suggest("x").empty


@pytest.mark.parametrize("title", ["The", "A", "!!!", "Ⅷ", "", "…", "¿Qué?"])
def test_odd_titles_keep_a_name(title):
    assert bool(normalize_title(title)) == bool(title)


# ---- filters -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nasty(tmp_path_factory):
    genres = [[NASTY_GENRES[row % 6], "Music" if row % 2 else "Musical"] for row in range(36)]
    titles = [f'It\'s {row}% "sure"; DROP TABLE films --' for row in range(36)]
    films = films_of(titles, genres, language=["fr", "o'x"] * 18)
    return Recommender.build(films, tmp_path_factory.mktemp("nasty") / "model", **quick())


@pytest.mark.parametrize("genre", [*NASTY_GENRES, "Music", "Musical"])
def test_genres_with_quotes_percent_signs_and_backslashes(nasty, genre):
    found = nasty.recommend(1, k=35, match_genres=False, genres=[genre])
    expected = {i for i, g in zip(nasty.films["id"], nasty.films["genres"]) if genre in g} - {1}
    assert set(found["id"]) == expected
    left = nasty.recommend(1, k=35, match_genres=False, exclude_genres=[genre])
    assert set(left["id"]) == set(nasty.films["id"]) - expected - {1} - (
        {1} if genre in nasty.films["genres"][0] else set()
    )


def test_the_genre_step_with_such_genres(nasty):
    assert len(nasty.recommend(1, k=35))
    assert len(nasty.recommend(nasty.films["title"][3], k=3)) == 3
    assert set(nasty.recommend(1, k=35, language="o'x", match_genres=False)["language"]) == {"o'x"}


def test_a_filter_takes_text_and_numbers_only():
    assert sql_literal(np.int64(3)) == "3"
    for value in [None, [1], True, float("nan"), b"x"]:
        with pytest.raises(ParameterError):
            sql_literal(value)
    assert FilmFilter(genres=(), exclude_genres=(), years=(None, None)).sql() is None


# ---- the folder ----------------------------------------------------------------------------------


def test_too_few_films(tmp_path):
    with pytest.raises(CatalogueError, match="at least 10"):
        Recommender.build(films_of(["One"]), tmp_path / "model", **quick())
    assert not list(tmp_path.iterdir())


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ParameterError, match="not a movrec model"):
        Recommender.build(films_of(list("abcdefghijkl")), tmp_path, **quick())
    with pytest.raises(ParameterError, match="is a file"):
        Recommender.build(films_of(list("abcdefghijkl")), tmp_path / "thesis.txt", **quick())
    assert (tmp_path / "thesis.txt").read_text() == "mine"


class Failing(GenreClassifier):
    def fit(self, X, genres):
        raise KeyboardInterrupt


def test_a_build_that_fails_leaves_the_old_model(model_copy, small_films):
    before = sorted(p.relative_to(model_copy) for p in model_copy.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        Recommender.build(small_films.head(50), model_copy, **quick(classifier=Failing()))
    assert sorted(p.relative_to(model_copy) for p in model_copy.rglob("*")) == before
    assert [p.name for p in model_copy.parent.iterdir()] == [model_copy.name]
    assert len(Recommender.open(model_copy).films) == len(small_films)


def test_a_build_replaces_the_model(model_copy, small_films):
    Recommender.build(small_films.head(50), model_copy, **quick())
    assert len(Recommender.open(model_copy).films) == 50
    assert [p.name for p in model_copy.parent.iterdir()] == [model_copy.name]


def test_a_build_that_is_interrupted_from_outside(tmp_path):
    script = textwrap.dedent("""
        import sys
        from movrec import Recommender, load_sample
        print("ready", flush=True)
        Recommender.build(load_sample(), sys.argv[1], progress=False)
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "model")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    process.stdout.readline()
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()), "the build did not begin"
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    process.stdout.close()
    assert process.returncode != 0
    assert not list(tmp_path.iterdir())


def test_a_model_that_was_killed_between_two_renames_comes_back(model_copy):
    os.replace(model_copy, model_copy.with_name(f".{model_copy.name}.1234abcd.old.part"))
    assert len(Recommender.open(model_copy).films)


def test_a_missing_folder(tmp_path):
    with pytest.raises(ModelError, match="movrec build"):
        Recommender.open(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="manifest.json"):
        Recommender.open(tmp_path)


@pytest.mark.parametrize("name", ["vectors.safetensors", "part.json", "classifier.json", ".lance"])
def test_a_file_that_is_cut_short_changed_or_lost(model_copy, name):
    file = next(p for p in sorted(model_copy.rglob("*")) if p.is_file() and p.name.endswith(name))
    content = file.read_bytes()
    for damage in [content[: len(content) // 2], bytes([content[0] ^ 1]) + content[1:], None]:
        file.unlink(missing_ok=True)
        if damage is not None:
            file.write_bytes(damage)
        with pytest.raises(ModelError, match=file.name.replace(".", r"\.")):
            Recommender.open(model_copy)


def test_another_format(model_copy):
    manifest = json.loads((model_copy / "manifest.json").read_text())
    manifest.update(format=99, movrec="9.9")
    (model_copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="format 99.*9.9"):
        Recommender.open(model_copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1, "files": 3}', "null"])
def test_a_damaged_manifest(model_copy, text):
    (model_copy / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match="manifest.json"):
        Recommender.open(model_copy)


def test_nothing_is_pickled(small_model):
    for file in small_model.rglob("*"):
        if file.is_file():
            assert not file.name.endswith((".pkl", ".pt", ".pth", ".bin"))
            assert file.read_bytes()[:2] not in {b"\x80\x03", b"\x80\x04", b"\x80\x05"}


def test_nothing_is_printed(small_films, tmp_path):
    small_films.head(60).to_parquet(tmp_path / "films.parquet")
    script = textwrap.dedent("""
        import sys
        from movrec import Recommender, read_movies
        films = read_movies(sys.argv[1], progress=False)
        from movrec import Doc2VecEmbedder, GenreClassifier
        built = Recommender.build(films, sys.argv[2], progress=False,
            embedder=Doc2VecEmbedder(epochs=2, progress=False),
            classifier=GenreClassifier(epochs=2, progress=False))
        built.recommend("Inception", k=3)
        built.recommend_for_text("A man in a city.", k=3)
        built.add(films.head(1).assign(id=5, title="New"))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "films.parquet"), str(tmp_path / "model")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    assert done.returncode == 0, done.stderr
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "Deprecat" not in line]
    assert not [line for line in ours if "movrec" in line or "WARN" in line], ours


# ---- adding and exporting ------------------------------------------------------------------------


def test_added_films_stay_and_are_found(model_copy):
    recommender = Recommender.open(model_copy)
    n = len(recommender.films)
    new = films_of(["Map of the Sea", "No Genre"], genres=[["Adventure"], []])
    new["id"] += 90_000_000
    assert recommender.add(new) == 2
    reopened = Recommender.open(model_copy)
    assert len(reopened.films) == n + 2 and reopened.manifest["films"] == n + 2
    found = reopened.recommend_for_text(
        new["overview"][0], title="Map of the Sea", k=3, match_genres=False
    )
    assert "Map of the Sea" in found["title"].tolist()
    # A film without genres is searched by its predicted ones.
    assert reopened.recommend("No Genre", k=3).attrs["genres"]
    assert set(reopened.recommend_all(k=2)["id"]) == set(reopened.films["id"])


def test_a_film_that_is_there_is_not_added_again(model_copy, small_films):
    recommender = Recommender.open(model_copy)
    with pytest.raises(CatalogueError, match="in the catalogue already"):
        recommender.add(small_films.tail(3))
    assert len(Recommender.open(model_copy).films) == len(small_films)


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "jsonl"])
def test_exports(small_recommender, tmp_path, ending):
    read = {"parquet": pd.read_parquet, "jsonl": lambda p: pd.read_json(p, lines=True)}.get(
        ending, pd.read_csv
    )
    table = read(small_recommender.export_recommendations(tmp_path / f"top.{ending}", k=3))
    assert table.columns.tolist() == ["id", "rank", "recommended_id", "similarity"]
    assert table.groupby("id").size().max() == 3
    vectors = read(
        small_recommender.export_embeddings(tmp_path / f"vectors.{ending}", space="document")
    )
    assert len(vectors) == len(small_recommender.films)
    assert vectors.shape[1] == (102 if "csv" in ending else 3)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [f"top.{ending}", f"vectors.{ending}"]
    )


def test_exports_that_fail(small_recommender, tmp_path):
    with pytest.raises(ParameterError, match="must end in"):
        small_recommender.export_recommendations(tmp_path / "top.xlsx")
    (tmp_path / "file").write_text("")
    with pytest.raises(ParameterError, match="cannot be written"):
        small_recommender.export_embeddings(tmp_path / "file" / "v.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


# ---- the real rows -------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_recommender_from_real_rows(real_data, tmp_path):
    films = read_movies(real_data, progress=False)
    assert 9_000 < len(films) < 10_063
    recommender = Recommender.build(
        films,
        tmp_path / "model",
        embedder=Doc2VecEmbedder(epochs=4, progress=False),
        classifier=GenreClassifier(epochs=4, progress=False),
        progress=False,
    )
    assert recommender.manifest["rows_read"] == 10_063
    assert not {"Carousel Productions", "GoHands", "Odyssey Media"} & set(recommender.genres)
    assert "Toy Story 2" in recommender.recommend("Toy Story")["title"].tolist()
    assert len(recommender.recommend("Vertical Limit")) == 10

"""The command `movrec`, run as a shell runs it."""

import configparser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser_helpers import free_port, server
from conftest import REPOSITORY
from packaging.requirements import Requirement

from movrec import __version__, ingest
from movrec.cli import app, main
from movrec.workings import doctor, tables
from movrec.workings.doctor import PURPOSES

START = [sys.executable, "-c", "import sys; from movrec.cli import main; sys.exit(main())"]
COMMANDS = [
    "build", "recommend", "search", "genres", "info", "evaluate", "add", "export", "embeddings",
    "download", "app", "lab", "demo", "layouts", "doctor", "update", "delete", "history", "tag", "restore",
    "diff", "optimize",
]  # fmt: skip
# What changes how a program prints, or which model it takes.
VARIABLES = [
    "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "MOVREC_MODEL", "MOVREC_TRACEBACK", "NO_COLOR",
    "PYTHONIOENCODING", "TTY_COMPATIBLE",
]  # fmt: skip


def environment(**variables):
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, "PYTHONUTF8": "1", **variables}


@pytest.fixture(scope="module")
def folder(small_films, sample_films, tmp_path_factory):
    """A folder with a catalogue, `films.csv`, and its model, `movrec-model`."""
    folder = tmp_path_factory.mktemp("shell")
    second_of_the_demo = sample_films[sample_films["title"] == "Vertical Limit"]
    odd = second_of_the_demo.assign(id=99_000_001, title="[REC]", year=None)
    films = pd.concat([small_films, second_of_the_demo, odd])
    films.to_csv(folder / "films.csv", index=False)
    built = run("build", "films.csv", folder=folder)
    assert built.returncode == 0, built.stderr
    (folder / "build.out").write_text(built.stdout, encoding="utf-8")
    (folder / "build.err").write_text(built.stderr, encoding="utf-8")
    return folder


def run(*arguments, folder, **variables):
    """Run the command in a process of its own."""
    return subprocess.run(
        [*START, *arguments],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.fixture
def movrec(folder, monkeypatch, capsys):
    """Run the command in this process, which is quicker; return exit code, stdout, stderr."""
    monkeypatch.chdir(folder)
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)

    def movrec(*arguments):
        code = main(arguments)
        return code, *capsys.readouterr()

    return movrec


def is_one_sentence(text):
    return len(text.splitlines()) == 1 and text.startswith("Error: ") and "Traceback" not in text


# ---- help ---------------------------------------------------------------------------------------


def test_help_loads_none_of_the_heavy_libraries(tmp_path):
    code = (
        "import sys; from movrec.cli import main; main(['--help']); main(['recommend', '--help']);"
        "print([name for name in ('torch', 'gensim', 'lancedb', 'pandas', 'sklearn', 'nltk')"
        " if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_with_an_example(movrec, command):
    code, out, err = movrec(command, "--help")
    assert code == 0 and err == ""
    assert re.search(rf"Example: movrec {command}\b", out)
    assert max(map(len, out.splitlines())) <= 80


def test_the_examples_of_the_help_are_commands_that_can_be_read():
    import shlex

    import typer

    group = typer.main.get_command(app)
    assert sorted(group.commands) == sorted(COMMANDS)
    for name, command in group.commands.items():
        words = shlex.split(command.epilog.removeprefix("Example: "))
        assert words[:2] == ["movrec", name]
        command.make_context(name, words[2:])


def test_no_arguments_show_the_help(movrec):
    assert movrec() == movrec("--help")


def test_version(movrec):
    assert movrec("--version") == (0, f"movrec {__version__}\n", "")


def test_the_installed_command_is_there(tmp_path):
    command = shutil.which("movrec", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("movrec is not installed in this environment (pip install -e .)")
    done = subprocess.run([command, "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"movrec {__version__}\n")


# ---- what goes well -----------------------------------------------------------------------------


def test_build_says_what_it_read_and_where_the_model_is(folder):
    out = (folder / "build.out").read_text(encoding="utf-8")
    assert "Read films.csv: 602 rows, 602 films." in out
    assert re.search(r"Built a model of 602 films and \d+ genres in \d+ s\.", out)
    assert re.search(r"It lies in movrec-model \([\d.]+ MB\)", out)
    err = (folder / "build.err").read_text(encoding="utf-8")
    # Neither a warning nor a progress bar: this is no terminal.
    assert err == 'Now try: movrec recommend "TITLE"\n'


def test_build_tells_what_was_left_out(movrec, tmp_path, monkeypatch):
    from movrec.recommend import Recommender

    films = pd.read_csv("films.csv").head(12)
    films.loc[0, "overview"] = None
    films.loc[1, "id"] = films.loc[2, "id"]
    films.to_csv(tmp_path / "holes.csv", index=False)
    # What is built is of no matter here.
    monkeypatch.setattr(
        Recommender, "build", lambda films, out, **how: Recommender.open("movrec-model")
    )
    code, out, err = movrec("build", str(tmp_path / "holes.csv"), "--out", "elsewhere", "-q")
    assert code == 0
    first = out.splitlines()[0]
    assert first.startswith("Read holes.csv: 12 rows, 10 films.")
    assert "Left out: no overview 1, duplicate id 1." in " ".join(out.split())
    assert err == 'Now try: movrec recommend "TITLE" --model "elsewhere"\n'


def test_a_table_for_people(movrec):
    code, out, err = movrec("recommend", "toy story", "-k", "4")
    assert code == 0 and err == ""
    lines = out.splitlines()
    assert lines[0] == "Films like Toy Story (1995)"
    assert [line.split()[0] for line in lines[3:7]] == list("1234")
    assert lines[7].startswith("All have one of these genres: Animation, Comedy, Family")
    assert len(lines) == 8
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in out


@pytest.mark.parametrize("width", [50, 80, 120])
def test_the_table_fits_the_width_that_there_is(movrec, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, err = movrec("recommend", "Alien", "--any-genre")
    assert code == 0
    assert max(map(len, out.splitlines())) <= width
    assert len(out.splitlines()) == 13, "each film on one line"


def test_square_brackets_are_not_markup(movrec):
    code, out, err = movrec("recommend", "[REC]", "-k", "1")
    assert code == 0
    assert out.startswith("Films like [REC]\n")


def test_json_is_alone_on_stdout(folder):
    done = run("recommend", "Toy Story", "-k", "5", "--json", folder=folder)
    assert done.returncode == 0
    assert done.stderr == ""
    films = json.loads(done.stdout)
    assert len(films) == 5
    assert {"id", "title", "year", "genres", "similarity", "overview"} <= set(films[0])
    assert isinstance(films[0]["genres"], list)
    assert "Toy Story" not in [film["title"] for film in films]
    similarities = [film["similarity"] for film in films]
    assert similarities == sorted(similarities, reverse=True)


def test_json_has_null_for_what_is_missing(movrec):
    # The closest film to Vertical Limit is its copy "[REC]", which has no year.
    code, out, err = movrec("recommend", "Vertical Limit", "--space", "document", "--json")
    film = next(film for film in json.loads(out) if film["title"] == "[REC]")
    assert film["year"] is None
    assert "NaN" not in out


def test_the_filters_arrive(movrec):
    code, out, err = movrec(
        "recommend", "Toy Story", "--json", "--genres", "comedy, Family", "--exclude-genres",
        "Animation", "--years", "1990:1999", "--min-votes", "1000", "--language", "en",
        "-k", "20",
    )  # fmt: skip
    films = json.loads(out)
    assert films
    for film in films:
        assert {"Comedy", "Family"} & set(film["genres"])
        assert "Animation" not in film["genres"]
        assert 1990 <= film["year"] <= 1999
        assert film["vote_count"] >= 1000
        assert film["language"] == "en"


def test_the_command_answers_what_the_recommender_answers(movrec):
    from movrec.recommend import Recommender

    recommender = Recommender.open("movrec-model")
    for arguments, expected in (
        (["Alien", "-k", "3"], recommender.recommend("Alien", 3)),
        (["Aladdin", "--year", "2019"], recommender.recommend("Aladdin", year=2019)),
        (["--id", "862"], recommender.recommend(862)),
        (["Alien", "--id", "862"], recommender.recommend(["Alien", 862])),
        (["Alien", "--any-genre", "--space", "document"],
         recommender.recommend("Alien", match_genres=False, space="document")),
        (["Alien", "--no-match-genres"], recommender.recommend("Alien", match_genres=False)),
        (["--text", "A robot is lost in space.", "--match-genres"],
         recommender.recommend_for_text("A robot is lost in space.", match_genres=True)),
        (["Alien", "--weights", "theme"], recommender.recommend("Alien", weights="theme")),
        (["Alien", "--weights", "words=2, year=0"],
         recommender.recommend("Alien", weights={"words": 2, "year": 0})),
        (["Alien", "--weights", "era,genres=0"],
         recommender.recommend("Alien", weights={"preset": "era", "genres": 0})),
        (["Alien", "--more", "androids", "--more", "war", "--less", "Japan"],
         recommender.recommend("Alien", more=["androids", "war"], less=["Japan"])),
        (["Alien", "--dislike", "Toy Story", "--dislike", "Aliens"],
         recommender.recommend("Alien", disliked=["Toy Story", "Aliens"])),
        (["--text", "A robot is lost in space.", "--title", "Lost"],
         recommender.recommend_for_text("A robot is lost in space.", "Lost")),
        (["Toy Story", "--not", "Toy Story 3", "--not", "Aladdin (1992)"],
         recommender.recommend("Toy Story", exclude=["Toy Story 3", "Aladdin (1992)"])),
        (["Toy Story", "--diverse", "0.8"], recommender.recommend("Toy Story", diversity=0.8)),
        (["--diverse", "Toy Story"], recommender.recommend("Toy Story", diversity=0.5)),
        (["--text", "A robot is lost in space.", "--not", "Toy Story", "--diverse"],
         recommender.recommend_for_text("A robot is lost in space.", exclude=["Toy Story"], diversity=0.5)),
    ):  # fmt: skip
        code, out, err = movrec("recommend", *arguments, "--json")
        assert code == 0, err
        assert [film["id"] for film in json.loads(out)] == expected["id"].tolist()


@pytest.mark.parametrize(
    "weights", ["thene", "wrods=2", "words=much", "words=-1", "words", "words=1,words=2", "", ",",
                "theme,mood", "year=nan", "words=0,plot=0,reader=0,genres=0,title=0,year=0"],
)  # fmt: skip
def test_weights_that_cannot_be(movrec, weights):
    code, out, err = movrec("recommend", "Alien", "--weights", weights)
    assert code == 2 and out == "" and is_one_sentence(err)
    # It is told before the model is opened.
    assert movrec("recommend", "Alien", "--weights", weights, "--model", "nowhere")[2] == err


def test_why(movrec, monkeypatch):
    narrow = movrec("recommend", "Toy Story", "-k", "3", "--why")[1].splitlines()
    assert max(map(len, narrow)) <= 80
    monkeypatch.setenv("COLUMNS", "110")  # so that no sum needs two lines
    code, out, err = movrec("recommend", "Toy Story", "-k", "3", "--why")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "\x1b" not in out
    assert lines[0] == "Films like Toy Story (1995)" and lines[-1].startswith("All have one of")
    bars = [line.strip() for line in lines if re.fullmatch(r"    [pwrgty]+·*", line)]
    sums = [line for line in lines if re.match(r"    0\.\d\d = ", line)]
    assert len(bars) == len(sums) == 3 and all(len(bar) == 50 for bar in bars)
    for bar, line in zip(bars, sums):
        total, *parts = map(float, re.findall(r"-?\d\.\d\d", line.replace("- ", "-")))
        assert abs(sum(parts) - total) < 0.04
        assert abs(bar.count("·") - 50 * (1 - total)) <= 1
        first = re.search(r"= (\w+)", line)[1]
        assert bar[0] == first[0], "the strongest comes first"
    assert "Same series: Toy Story Collection" in " ".join(out.split())
    code, out, err = movrec("recommend", "[REC]", "-k", "1", "--why", "--text", "x")
    assert code == 2 and is_one_sentence(err)


def test_why_is_coloured_on_a_terminal_and_plain_with_no_color(movrec, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in movrec("recommend", "Toy Story", "-k", "1", "--why")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in movrec("recommend", "Toy Story", "-k", "1", "--why")[1]


def test_the_contributions_add_up_in_json(movrec):
    for more in ([], ["--why"], ["--weights", "mood"], ["--less", "space", "--why"]):
        films = json.loads(movrec("recommend", "Alien", "--json", *more)[1])
        for film in films:
            assert abs(sum(film["contributions"].values()) - film["similarity"]) < 1e-6
            assert ("evidence" in film) == ("--why" in more)
    assert set(films[0]["evidence"]) == set(films[0]["contributions"])
    assert all(isinstance(words, list) for words in films[0]["evidence"].values())


def test_the_first_line_says_what_was_asked(movrec):
    asked = ["Alien", "--dislike", "Toy Story", "--more", "androids", "--less", "sea"]
    first = movrec("recommend", *asked, "-k", "1")[1].splitlines()[0]
    assert first == "Films like Alien (1979), unlike Toy Story (1995), more “androids”, less “sea”"
    first = movrec("recommend", "--text", "A robot.", "--more", "war", "-k", "1")[1].splitlines()[0]
    assert first == "Films like this plot, more “war”"


def test_a_text_is_not_walled_in_by_its_genres(movrec):
    plot = "A robot is lost in space and looks for its way home."
    assert "All have one" not in movrec("recommend", "--text", plot)[1]
    assert "All have one" in movrec("recommend", "--text", plot, "--match-genres")[1]


def test_search_by_words(movrec):
    from movrec.recommend import Recommender

    recommender = Recommender.open("movrec-model")
    code, out, err = movrec("search", "limits that are vertical", "-k", "3")
    assert (code, err) == (0, "")
    assert out.startswith("Films with the words “limits that are vertical”\n")
    assert "Vertical Limit" in out and "All have one" not in out
    filters = ["--years", "2000:", "--genres", "Drama", "--not", "Alien", "-k", "4"]
    found = json.loads(movrec("search", "love and war", *filters, "--json")[1])
    expected = recommender.search(
        "love and war", 4, years=(2000, None), genres=["Drama"], exclude=["Alien"]
    )
    assert [film["id"] for film in found] == expected["id"].tolist()
    assert all(film["contributions"]["words"] == film["similarity"] for film in found)
    text = " ".join(movrec("search", "mountain", "-k", "2", "--why")[1].split())
    assert "Shared words: " in text and "= words" in text


def test_search_that_finds_nothing(movrec):
    code, out, err = movrec("search", "zzqxy")
    assert (code, err) == (0, "") and "None: no film" in out and "these words" in out
    code, out, err = movrec("search", "mountain", "--years", "1800:1801")
    assert code == 0 and err.startswith("Leave out “from 1800 to 1801” and there are ")
    assert movrec("search", "zzqxy", "--json") == (0, "[]\n", "")
    for words in ("", "  "):
        code, out, err = movrec("search", words)
        assert code == 2 and out == "" and is_one_sentence(err)


def test_a_title_that_is_a_guess_is_a_question(movrec):
    code, out, err = movrec("recommend", "vertcal limit", "-k", "1")
    assert code == 0 and out.startswith("Films like Vertical Limit (2000)")
    code, out, err = movrec("recommend", "the room")
    assert code == 2 and is_one_sentence(err) and "Room" in err
    code, out, err = movrec("recommend", "lord of the rings 2", "-k", "1")
    assert code == 0 and out.startswith("Films like The Lord of the Rings: The Two Towers (2002)")


def test_a_plot_may_come_through_stdin(folder):
    plot = "A robot is lost in space and looks for its way home."
    done = subprocess.run(
        [*START, "genres", "-", "--json"],
        cwd=folder,
        env=environment(),
        input=plot,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    genres = json.loads(done.stdout)
    assert list(genres[0]) == ["genre", "probability", "predicted"]
    assert genres[0]["predicted"] is True
    assert 0 <= genres[-1]["probability"] <= genres[0]["probability"] <= 1


def test_genres_for_people(movrec):
    code, out, err = movrec("genres", "A robot is lost in space and looks for its way home.")
    assert code == 0 and err == ""
    assert out.split()[:3] == ["Genre", "Probability", "Predicted"]


def test_no_film_passes_the_filters(movrec):
    code, out, err = movrec("recommend", "Alien", "--years", "1800:1801")
    assert code == 0 and "None" in out
    assert err == "Leave out “from 1800 to 1801” and there are 10 or more.\n"
    code, out, err = movrec(
        "recommend",
        "Toy Story",
        "--genres",
        "Western",
        "--exclude-genres",
        "Animation,Comedy,Family",
    )
    assert code == 0 and "Search with --any-genre and there are" in err and "ntick" not in err
    plot = "A robot is lost in space and looks for its way home."
    code, out, err = movrec("recommend", "--text", plot, "--language", "xx", "--years", "1990:")
    assert code == 0 and "None" in out
    assert err.startswith("Leave out “in the language xx” and there are 10 or more.")
    assert movrec("recommend", "Alien", "--years", "1800:1801", "--json") == (0, "[]\n", "")


def test_info(movrec):
    code, out, err = movrec("info")
    assert code == 0 and err == ""
    for expected in ("movrec-model (", "intact", "602", "Science Fiction", "title, overview"):
        assert expected in out
    code, out, err = movrec("info", "--json")
    assert json.loads(out)["films"] == 602


def test_evaluate(movrec, tmp_path):
    code, out, err = movrec("evaluate", "-k", "5")
    assert (code, err) == (0, "")
    for expected in ("At 5", "genre Jaccard", "collection recall", "popularity bias", "602"):
        assert expected in out
    code, out, err = movrec("evaluate", "--json")
    measures = {row["measure"]: row for row in json.loads(out)}
    assert code == 0 and "co_rating_recall" not in measures
    assert set(measures["genre_jaccard"]) == {"measure", "value", "low", "high", "n", "short"}


def test_evaluate_by_what_people_said_and_by_keywords(movrec, tmp_path):
    films = pd.read_csv("films.csv")
    keywords = [[{"name": name} for name in title.split()] for title in films["title"]]
    pd.DataFrame({"id": films["id"], "keywords": keywords}).to_csv(
        tmp_path / "words.csv", index=False
    )
    code, out, err = movrec("evaluate", "--keywords", str(tmp_path / "words.csv"))
    assert (code, err) == (0, "")
    for expected in ("theme similarity", "known item, first", "companions, nDCG", "Described by"):
        assert expected in out
    for style in ("fragment", "sentence", "memory", "mood", "all of these"):
        assert style in out
    code, out, err = movrec("evaluate", "--keywords", str(tmp_path / "words.csv"), "--json")
    records = json.loads(out)
    assert {"theme_similarity", "companion_ndcg"} <= {row["measure"] for row in records}
    first = [row for row in records if row["measure"] == "known_item_first"]
    assert "style" not in first[0] and {row["style"] for row in first[1:]} >= {"fragment", "memory"}
    assert first[0]["n"] == sum(row["n"] for row in first[1:])
    assert set(first[1]) == {"measure", "style", "value", "low", "high", "n"}
    for wrong in ("nowhere.csv", "films.csv"):
        code, out, err = movrec("evaluate", "--keywords", wrong)
        assert code == 2 and out == "" and is_one_sentence(err)


def test_evaluate_with_ratings(movrec, tmp_path):
    films = pd.read_csv("films.csv")["id"].head(40)
    likes = [(user, film) for user in range(60) for film in range(40) if (user + film) % 3 == 0]
    ratings = pd.DataFrame(likes, columns=["userId", "movieId"]).assign(rating=5)
    ratings.to_csv(tmp_path / "ratings.csv", index=False)
    links = pd.DataFrame({"movieId": range(40), "tmdbId": films})
    links.to_csv(tmp_path / "links.csv", index=False)
    files = ["--ratings", str(tmp_path / "ratings.csv"), "--links", str(tmp_path / "links.csv")]
    code, out, err = movrec("evaluate", *files)
    assert (code, err) == (0, "") and "co-rating recall" in out
    for wrong in (
        files[:2],
        files[2:],
        ["--ratings", "nowhere.csv", *files[2:]],
        ["-k", "0"],
        ["-k", "602"],
    ):
        code, out, err = movrec("evaluate", *wrong)
        assert code == 2 and out == "" and is_one_sentence(err)


def test_the_model_may_be_named_by_the_environment(movrec, monkeypatch, tmp_path):
    model = os.path.abspath("movrec-model")
    monkeypatch.chdir(tmp_path)
    assert movrec("info")[0] == 2
    monkeypatch.setenv("MOVREC_MODEL", model)
    assert movrec("info")[0] == 0


def test_export_and_embeddings(movrec, tmp_path):
    code, out, err = movrec("export", str(tmp_path / "best.csv"), "-k", "3")
    assert (code, err) == (0, "") and "top 3 of 602 films" in out
    best = pd.read_csv(tmp_path / "best.csv")
    assert list(best.columns) == ["id", "rank", "recommended_id", "similarity"]
    assert best["id"].nunique() == 602 and best["rank"].max() == 3
    code, out, err = movrec("embeddings", str(tmp_path / "v.parquet"), "--space", "document")
    assert (code, err) == (0, "")
    assert len(pd.read_parquet(tmp_path / "v.parquet")["vector"][0]) == 100


def test_add(movrec, folder, tmp_path):
    shutil.copytree(folder / "movrec-model", tmp_path / "copy")
    films = pd.read_csv("films.csv").tail(1)
    films.assign(id=99_000_002, title="A New One").to_csv(tmp_path / "new.csv", index=False)
    code, out, err = movrec("add", str(tmp_path / "new.csv"), "--model", str(tmp_path / "copy"))
    assert code == 0, err
    assert "Added 1 films: the model now has 603." in out
    code, out, err = movrec("recommend", "A New One", "--model", str(tmp_path / "copy"))
    assert code == 0, err


def test_versions(movrec, folder, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "MOVREC_MODEL", str(shutil.copytree(folder / "movrec-model", tmp_path / "m"))
    )
    assert movrec("tag", "first")[1] == "Version 6 has the tag first.\n"
    code, out, err = movrec("delete", "862")
    assert (code, out) == (0, "Deleted 1 film: the model now has 601.\n") and "restore 6" in err
    films = pd.read_csv("films.csv").query("id == [863, 578]")
    films.assign(year=[1950, films["year"].iloc[1]]).to_csv(tmp_path / "new.csv", index=False)
    code, out, err = movrec("update", str(tmp_path / "new.csv"), "--quiet")
    assert code == 0 and "Updated 1 film; in 1 film nothing is new." in out, (out, err)
    code, out, err = movrec("diff", "first", "--json", "-k", "3")
    assert code == 0 and any("Toy Story" in film["went"] for film in json.loads(out))
    assert movrec("optimize", "--keep", "1")[0] == 0
    history = json.loads(movrec("history", "--json")[1])
    assert [line["change"] for line in history][:3] == ["built", "deleted", "updated"]
    assert [line["can_be_opened"] for line in history][:2] == [True, False]
    assert "(cleaned up)" in movrec("history")[1]
    assert "602 films" in movrec("restore", "first")[1]
    assert movrec("tag", "first", "--remove")[0] == 0
    for wrong in (("restore", "first"), ("delete", "862", "1"), ("tag", "7"), ("diff", "7")):
        code, out, err = movrec(*wrong)
        assert (code, out) == (2, "") and is_one_sentence(err), wrong


def test_add_a_file_whose_ids_are_its_rows(movrec, folder, tmp_path):
    films = pd.read_csv("films.csv").drop(columns=["id", "imdb_id"]).drop_duplicates("title")
    model = str(tmp_path / "rows")
    films.iloc[:20].to_csv(tmp_path / "first.csv", index=False)
    films.iloc[20:23].to_csv(tmp_path / "second.csv", index=False)
    code, _, err = movrec("build", str(tmp_path / "first.csv"), "--out", model)
    assert code == 0, err
    code, out, err = movrec("add", str(tmp_path / "second.csv"), "--model", model)
    assert code == 0, err
    said = (
        "Added 3 films: the model now has 23. Their ids are 21 to 23: the file's rows were taken."
    )
    assert said in " ".join(out.split())


def test_download_prints_the_path_alone(movrec, monkeypatch):
    monkeypatch.setattr(ingest, "download_movies", lambda to: Path("x.csv"))
    code, out, err = movrec("download")
    assert (code, out) == (0, "x.csv\n")
    assert "movrec build" in err


def test_lab_copies_the_notebooks_so_that_their_links_lead_somewhere(movrec, tmp_path):
    mine = tmp_path / "mine"
    assert movrec("lab", str(mine), "--copy-only") == (0, f"The notebooks are in {mine}.\n", "")
    copies = sorted(path.relative_to(mine).as_posix() for path in mine.rglob("*.ipynb"))
    nbs = REPOSITORY / "nbs"
    assert copies == sorted(p.relative_to(nbs).as_posix() for p in nbs.rglob("[0-9]*.ipynb"))
    assert not list(mine.rglob("*.part*"))
    targets = set()
    for name in copies:
        cells = json.loads((mine / name).read_text(encoding="utf-8"))["cells"]
        prose = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
        for target in re.findall(r"\]\((?![a-z]+:|#)([^)\s#]+)", prose):
            targets.add(target)
            assert (mine / name).parent.joinpath(target).is_file(), f"{name}: {target}"
    assert "02_doc2vec.ipynb" in targets and any(target.endswith(".png") for target in targets)


def test_lab_leaves_what_somebody_has_changed(movrec, tmp_path):
    mine = tmp_path / "mine"
    movrec("lab", str(mine), "--copy-only")
    first, second = mine / "01_ingest.ipynb", mine / "02_doc2vec.ipynb"
    original = first.read_bytes()
    first.write_bytes(b"work")
    second.unlink()
    code, out, err = movrec("lab", str(mine), "--copy-only")
    assert code == 0
    assert err == (
        "Left as they are, because they have changed: 01_ingest.ipynb (--force writes them anew).\n"
    )
    assert first.read_bytes() == b"work" and second.is_file()

    # By force, and again: nothing of anybody's is lost.
    assert movrec("lab", str(mine), "--copy-only", "--force")[::2] == (0, "")
    assert first.read_bytes() == original
    first.write_bytes(b"more work")
    movrec("lab", str(mine), "--copy-only", "--force")
    old = {path.name: path.read_bytes() for path in mine.glob("*-old*")}
    assert old == {"01_ingest-old.ipynb": b"work", "01_ingest-old2.ipynb": b"more work"}


def test_lab_in_a_place_where_nothing_can_be_written(movrec, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = movrec("lab", str(tmp_path / "file"), "--copy-only")
    assert (code, out) == (2, "") and is_one_sentence(err) and "file" in err


def test_lab_without_jupyterlab(movrec, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, out, err = movrec("lab", str(tmp_path / "mine"))
    assert (code, out) == (2, "") and is_one_sentence(err)
    assert 'pip install "movrec[lab]"' in err
    assert not (tmp_path / "mine").exists()
    assert movrec("lab", str(tmp_path / "mine"), "--copy-only")[0] == 0


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are sent another way there")
def test_lab_serves_the_notebooks_until_ctrl_c(tmp_path):
    pytest.importorskip("jupyterlab")
    port, log = free_port(), tmp_path / "log"
    command = [*START, "lab", "mine", "--no-browser", f"--port={port}"]
    first = min(path.name for path in (REPOSITORY / "nbs").glob("[0-9]*.ipynb"))
    address = f"http://localhost:{port}/lab/tree/{first}"
    token = {"JUPYTER_TOKEN": "for-the-test"}
    with server(command, address, log, cwd=tmp_path, extra_environment=token) as process:
        with urllib.request.urlopen(f"{address}?token=for-the-test") as page:
            assert b"<title>JupyterLab</title>" in page.read()
        listing = f"http://localhost:{port}/api/contents?token=for-the-test"
        with urllib.request.urlopen(listing) as answer:
            names = {item["name"] for item in json.load(answer)["content"]}
        lessons = {path.name for path in (REPOSITORY / "nbs").glob("[0-9]*.ipynb")}
        assert names == {*lessons, "images", "workings"}
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all that it has started
        assert process.wait(timeout=60) == 0
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    assert "Traceback" not in log.read_text(encoding="utf-8")


def test_demo(movrec):
    code, out, err = movrec("demo", "--reuse")
    assert code == 0 and err == ""
    for expected in ("Films like Toy Story (1995)", "Films like Vertical Limit (2000)"):
        assert expected in out
    assert "Probability" in out and "The model lies in movrec-model." in out
    assert max(map(len, out.splitlines())) <= 80


# ---- notices ------------------------------------------------------------------------------------

# The command with another sample, which is quick to build.
SMALL_SAMPLE = """
import sys
from movrec import cli, ingest
ingest.load_sample = lambda: ingest.read_movies("films.csv", progress=False)
sys.exit(cli.main())
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a Unix shell's pipe")
def test_a_log_holds_no_progress_bar(folder, tmp_path):
    shutil.copy(folder / "films.csv", tmp_path)
    subprocess.run(
        ["sh", "-c", '"$0" -c "$1" demo 2>&1 | tee log', sys.executable, SMALL_SAMPLE],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    log = (tmp_path / "log").read_bytes().decode("utf-8")
    assert log.startswith("Read films.csv") and "What to try next" in log
    for litter in ("\r", "%|", "it/s", "\x1b"):
        assert litter not in log


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are Unix")
@pytest.mark.parametrize("quiet", [False, True])
def test_progress_bars_show_on_a_terminal_unless_they_are_not_wanted(folder, tmp_path, quiet):
    import fcntl
    import pty
    import struct
    import termios

    pd.read_csv(folder / "films.csv").head(60).to_csv(tmp_path / "few.csv", index=False)
    control, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [*START, "build", "few.csv", *["--quiet"] * quiet],
        cwd=tmp_path,
        env=environment(TERM="xterm-256color"),
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = ""
    with suppress(OSError):  # how a terminal says that its last writer has gone
        while part := os.read(control, 100_000):
            shown += part.decode("utf-8", errors="replace")
    os.close(control)
    assert b"%" not in process.communicate(timeout=300)[0] and process.returncode == 0
    assert ("%|" in shown) is not quiet
    assert shown.splitlines()[-1].endswith('Now try: movrec recommend "TITLE"')


def test_the_log_of_movrec_goes_to_stderr(movrec, monkeypatch):
    import logging

    from movrec.recommend import Recommender

    whole = Recommender.open

    def slow_open(path):
        logging.getLogger("movrec").warning("The index is old.")
        return whole(path)

    monkeypatch.setattr(Recommender, "open", slow_open)
    code, out, err = movrec("info", "--json")
    assert code == 0 and json.loads(out) and err == "The index is old.\n"
    assert movrec("info")[2] == "The index is old.\n", "once a line, however often main is called"


# ---- what does not ------------------------------------------------------------------------------

MISTAKES = {
    "a film that is not there": (["recommend", "Toy Story 9"], "Toy Story 3"),
    "several films of the name": (["recommend", "Aladdin"], "1992"),
    "the wrong year": (["recommend", "Aladdin", "--year", "1950"], "1992"),
    "an id that is not there": (["recommend", "--id", "5"], "5"),
    "a title without its quotes": (["recommend", "Toy", "Story"], '"Toy Story"'),
    "nothing asked": (["recommend"], "--text"),
    "two questions": (["recommend", "Alien", "--text", "A plot."], "--text"),
    "a title of no plot": (["recommend", "Alien", "--title", "Aliens"], "--title"),
    "one year for two films": (["recommend", "Alien", "Aladdin", "--year", "1992"], "--year"),
    "k of nothing": (["recommend", "Alien", "-k", "0"], "at least 1"),
    "k of too much": (["recommend", "Alien", "-k", "100000"], "601"),
    "k that is no number": (["recommend", "Alien", "-k", "many"], "-k"),
    "an unknown genre": (["recommend", "Alien", "--genres", "Commedy"], "Comedy"),
    "a quote in a genre": (["recommend", "Alien", "--exclude-genres", "x' OR 1=1"], "genre"),
    "years that are none": (["recommend", "Alien", "--years", "nineties"], "1990:1999"),
    "no years at all": (["recommend", "Alien", "--years", ":"], "1990:1999"),
    "years that run backwards": (["recommend", "Alien", "--years", "1999:1990"], "1999"),
    "an unknown space": (["recommend", "Alien", "--space", "outer"], "joined"),
    "an unknown preset": (["recommend", "Alien", "--weights", "moody"], "mood"),
    "words without a space for them": (
        ["recommend", "Alien", "--space", "document", "--more", "war"],
        "joined space",
    ),
    "a film to dislike that is not there": (
        ["recommend", "Alien", "--dislike", "Toy Story 9"],
        "Toy Story 3",
    ),
    "a film that cannot be left out": (
        ["recommend", "Alien", "--not", "Toy Story 9"],
        "Toy Story 3",
    ),
    "more diverse than that": (["recommend", "Alien", "--diverse", "7"], "--diverse"),
    "diverse in words": (["recommend", "Alien", "--diverse=very"], "--diverse"),
    "an unknown option": (["recommend", "Alien", "--colour"], "movrec recommend --help"),
    "an unknown command": (["recomend", "Alien"], "recommend"),
    "an option without its value": (["recommend", "--years"], "--years"),
    "no model": (["recommend", "Alien", "--model", "nowhere"], "movrec build"),
    "a folder that is no model": (["info", "--model", "."], "not a movrec model"),
    "a plot of nothing": (["genres", ""], "overview"),
    "a plot without a known word": (["genres", "Qwrt zxcv"], "words"),
    "no plot": (["genres"], "TEXT"),
    "no such catalogue": (["build", "flims.csv", "--out", "new"], "films.csv"),
    "a catalogue that is none": (["build", "build.out", "--out", "new"], "build.out"),
    "a model where a file is": (["build", "films.csv", "--out", "films.csv"], "films.csv"),
    "a model where you are": (["build", "films.csv", "--out", "."], "the folder that you are in"),
    "films that are there already": (["add", "films.csv"], "already"),
    "an unknown ending": (["export", "best.xlsx"], ".parquet"),
    "a file that cannot be written": (["export", "films.csv/best.csv"], "best.csv"),
    "a port that is none": (["lab", "--port", "99999"], "65535"),
    "a download to a file": (["download", "--to", "films.csv"], "films.csv"),
}


@pytest.mark.parametrize("arguments, hint", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_in_one_sentence(movrec, arguments, hint):
    code, out, err = movrec(*arguments)
    assert code == 2
    assert is_one_sentence(err), err
    assert hint in err
    if arguments[0] != "add":
        assert "Films like" not in out and "Built" not in out


def test_a_mistake_leaves_stdout_to_nobody(folder):
    done = run("recommend", "Toy Story 9", "--json", folder=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert is_one_sentence(done.stderr)


def test_a_damaged_model(movrec, folder, tmp_path):
    shutil.copytree(folder / "movrec-model", tmp_path / "damaged")
    largest = max((tmp_path / "damaged" / "embedder").iterdir(), key=lambda p: p.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-100])
    code, out, err = movrec("info", "--model", str(tmp_path / "damaged"))
    assert code == 2 and out == ""
    assert is_one_sentence(err) and largest.name in err


def test_a_fault_of_movrec_itself_is_no_traceback_either(movrec, monkeypatch):
    from movrec.recommend import Recommender

    def fail(*arguments):
        raise ZeroDivisionError("division by\nzero")

    monkeypatch.setattr(Recommender, "open", fail)
    code, out, err = movrec("info")
    assert code == 1 and is_one_sentence(err)
    assert "ZeroDivisionError" in err and "MOVREC_TRACEBACK=1" in err
    monkeypatch.setenv("MOVREC_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        movrec("info")


def test_a_folder_that_may_not_be_written(movrec, monkeypatch):
    from movrec.recommend import Recommender

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", "attic/model")

    monkeypatch.setattr(Recommender, "build", refuse)
    code, out, err = movrec("build", "films.csv", "--quiet")
    assert code == 2 and is_one_sentence(err)
    assert "attic/model" in err and "Permission denied" in err


@pytest.mark.slow
def test_a_letter_that_the_terminal_lacks(folder):
    twice = "main(['recommend', 'WALL·E']); print('JSON:'); main(['recommend', 'WALL·E', '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", f"from movrec.cli import main; {twice}"],
        cwd=folder,
        env=environment(PYTHONIOENCODING="ascii"),
        capture_output=True,
    )
    assert done.returncode == 0 and done.stderr == b""
    table, films = done.stdout.decode("ascii").split("JSON:\n", maxsplit=1)
    assert table.startswith("Films like WALL?E (2008)")
    assert len(json.loads(films)) == 10


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a Unix shell's pipe")
def test_whoever_reads_the_pipe_may_leave(folder):
    read, write = os.pipe()
    os.close(read)
    for arguments in (["recommend", "Alien"], ["recommend", "Alien", "--json"], ["--help"]):
        done = subprocess.run(
            [*START, *arguments],
            cwd=folder,
            env=environment(),
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert done.stderr == ""
        assert done.returncode == 1
    os.close(write)


@pytest.mark.skipif(os.name == "nt", reason="signals are sent another way there")
def test_interrupted(folder, tmp_path):
    shutil.copy(folder / "films.csv", tmp_path)
    process = subprocess.Popen(
        [*START, "build", "films.csv"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()  # "Read films.csv": the catalogue is read, training is next
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "Interrupted."
    assert "Traceback" not in err
    assert os.listdir(tmp_path) == ["films.csv"], "nothing half-built is left"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are Unix")
@pytest.mark.parametrize("variables, styled", [({}, True), ({"NO_COLOR": "1"}, False)])
def test_color_on_a_terminal_unless_it_is_not_wanted(folder, variables, styled):
    import pty

    control, terminal = pty.openpty()
    process = subprocess.Popen(
        [*START, "recommend", "Alien", "-k", "2"],
        cwd=folder,
        env=environment(TERM="xterm-256color", COLUMNS="80", **variables),
        stdout=terminal,
    )
    assert process.wait(timeout=120) == 0
    os.close(terminal)
    shown = os.read(control, 100_000).decode("utf-8")
    os.close(control)
    assert ("\x1b[" in shown) == styled
    assert "Films like Alien (1979)" in shown


def test_the_doctor_says_what_is_there(capsys):
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    core = told["parts"][0]
    assert core["name"] == "movrec" and "numpy" in core["versions"] and core["size_mb"] > 100
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert all(part["name"] in shown for part in told["parts"])


def test_the_doctor_asks_for_what_the_extras_of_a_requirement_need(monkeypatch):
    needs = {"fsspec": ['aiohttp>=3; extra == "http"', 'ujson; extra == "fast"', "typing"]}
    there = {"fsspec": "2026.1"}

    def version(name):
        if name not in there:
            raise doctor.metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(doctor.metadata, "version", version)
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: needs.get(name, []))
    monkeypatch.setattr(doctor, "megabytes", lambda names: 0.0)
    part = doctor._part("web", [Requirement("fsspec[http]>=2024.3")], set())
    assert part.missing == ["aiohttp>=3"] and part.state == "missing: aiohttp"
    there["aiohttp"] = "3.9"
    assert doctor._part("web", [Requirement("fsspec[http]>=2024.3")], set()).state == "all there"


def test_the_doctor_knows_what_every_extra_is_for():
    settings = configparser.ConfigParser(delimiters=["="])
    settings.read(REPOSITORY / "settings.ini", encoding="utf-8")
    extras = {key.removesuffix("_requirements") for key in settings["DEFAULT"] if "_req" in key}
    assert extras <= {*PURPOSES}


def test_a_figure_of_the_table_is_shown_as_it_was_given():
    shown = {np.float32(7.6): "7.6", 373_554_033.0: "373,554,033", 547.4883: "547.4883", 7: "7"}
    assert {value: tables._figure(float(value)) for value in shown} == shown
    assert tables._figure(None) == tables._figure(float("nan")) == ""

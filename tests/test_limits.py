"""A stranger's question: of any type, size and signs it is answered, or refused in one sentence, soon."""

import io
import math
import multiprocessing
import os
import sys
import time
import types

import numpy as np
import pandas as pd
import pytest

from movrec import MovrecError, ParameterError, Recommender
from movrec.workings import text, word_vectors
from movrec.workings.core import ModelError, QueryError, check_real, check_whole, quoted
from movrec.workings.limits import (
    MOST_LISTED,
    MOST_TEXT,
    MOST_TITLE,
    BoundedCache,
    check_list,
    check_text,
)
from movrec.workings.question import FilmFilter, Question
from movrec.workings.text import Plot, tokenize

PLOT = "A dog and a wizard in space."


class Broken:
    """Everything that it is asked raises."""

    def __repr__(self):
        raise RuntimeError

    def __len__(self):
        raise RuntimeError

    def __iter__(self):
        raise RuntimeError

    def __bool__(self):
        raise RuntimeError


def endless():
    while True:
        yield "Drama"


# ---- what is said --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["a" * 10**7, "\n" * 10**6, list(range(10**6)), [["a" * 10**6] * 9] * 9, 10**5000, [10**5000],
     {"a" * 10**6: "b" * 10**6}, pd.DataFrame({"a": range(10**5)}), np.zeros(10**6), Broken(), [Broken()]],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_was_given_is_quoted_in_few_characters(value):
    start = time.monotonic()
    said = quoted(value)
    assert len(said) < 500 and "\n" not in said
    assert time.monotonic() - start < 5


def test_escape_codes_and_halves_of_letters_are_quoted_as_such():
    assert quoted("\x1b[31m") == r"'\x1b[31m'" and quoted("\ud800") == r"'\ud800'"


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), math.nan, math.inf, 1j, np.timedelta64(3), True, "1"]
)
def test_a_number_is_a_number(value):
    with pytest.raises(ParameterError):
        check_real("diversity", value, 0, 1)
    with pytest.raises(ParameterError):
        check_whole("k", value, 1, 10)


# ---- texts and lists -----------------------------------------------------------------------------


def test_texts_and_lists_have_limits_that_are_told_with_their_numbers():
    assert check_text("The title", "a" * MOST_TITLE, MOST_TITLE)
    with pytest.raises(ParameterError, match="has 501 characters, and at most 500 are read"):
        check_text("The title", "a" * (MOST_TITLE + 1), MOST_TITLE)
    assert len(check_list("exclude", range(MOST_LISTED), "films")) == MOST_LISTED
    with pytest.raises(ParameterError, match="more than 1,000 films"):
        check_list("exclude", endless(), "films")
    with pytest.raises(ParameterError, match="20,001 characters, and at most 20,000"):
        Plot("a" * (MOST_TEXT + 1))
    with pytest.raises(ParameterError, match="501 characters"):
        Plot("A dog.", "a" * (MOST_TITLE + 1))


def test_halves_of_letters_become_the_sign_for_what_cannot_be_read():
    assert Plot("caf\udce9", "\ud800") == Plot(
        "caf\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}"
    )


LONG = "a" * 10**7
LONG_QUESTIONS = {
    "find": lambda r: r.find(LONG),
    "find many signs": lambda r: r.find("(" * 10**7),
    "suggest": lambda r: r.suggest("abc " * 10**6),
    "recommend": lambda r: r.recommend(LONG),
    "recommend list": lambda r: r.recommend([862] * 100_000, k=3),
    "text": lambda r: r.recommend_for_text("A dog. " * 10**6),
    "text title": lambda r: r.recommend_for_text(PLOT, title=LONG),
    "search": lambda r: r.search(LONG),
    "genres of a text": lambda r: r.predict_genres(LONG),
    "genres": lambda r: r.recommend(862, genres=[LONG]),
    "many genres": lambda r: r.recommend(862, exclude_genres=["Drama"] * 10**6),
    "language": lambda r: r.recommend(862, language="'" * 10**7),
    "more": lambda r: r.recommend(862, more=[LONG]),
    "less": lambda r: r.recommend(862, less=["dog"] * 10**6),
    "exclude": lambda r: r.recommend(862, exclude=[12] * 10**6),
    "disliked": lambda r: r.recommend(862, disliked=[LONG]),
    "weights": lambda r: r.recommend(862, weights={LONG: 1}),
    "preset": lambda r: r.recommend(862, weights=LONG),
    "years": lambda r: r.recommend(862, years=LONG),
    "years of 20 digits": lambda r: r.recommend(862, years=(10**20, None)),
    "votes of 20 digits": lambda r: r.recommend(862, min_vote_count=10**20),
    "k of 5,000 digits": lambda r: r.recommend(862, k=10**5000),
    "an id of 5,000 digits": lambda r: r.recommend(10**5000),
    "a question's ids": lambda r: r.answer(Question((862,), exclude=(10**30,))),
    "a question's words": lambda r: r.answer(Question((862,), more=(LONG,))),
    "a filter's genres": lambda r: r.answer(Question((862,), where=FilmFilter(genres=(LONG,)))),
}  # fmt: skip


@pytest.mark.parametrize("ask", LONG_QUESTIONS.values(), ids=LONG_QUESTIONS.keys())
def test_a_question_of_ten_million_characters_is_refused_at_once_in_few(small_recommender, ask):
    start = time.monotonic()
    with pytest.raises((ParameterError, QueryError)) as told:
        ask(small_recommender)
    assert time.monotonic() - start < 5
    assert len(str(told.value)) < 1000


@pytest.mark.parametrize(
    "piece", ["a", "abc ", "(", "1 ", "e\u0301", "\ufdfa", ": ", "- ", "the ", "ii ", "🎬"]
)
def test_the_longest_questions_that_are_read_are_answered_soon(small_recommender, piece):
    long_title = (piece * MOST_TITLE)[:MOST_TITLE]
    long_text = ("dog " + piece * MOST_TEXT)[:MOST_TEXT]
    start = time.monotonic()
    for ask in (
        lambda: small_recommender.find(long_title),
        lambda: small_recommender.suggest(long_title),
        lambda: small_recommender.recommend_for_text(long_text, title=long_title, k=3),
        lambda: small_recommender.search(long_text, k=3),
    ):
        try:
            ask()
        except MovrecError as error:
            assert len(str(error)) < 2000
    assert time.monotonic() - start < 20  # less than a second on a core of one's own


# ---- odd types -----------------------------------------------------------------------------------

ODD = [None, True, 1.5, math.nan, 3j, b"Heat", b"", "", [], [[]], [None], {}, {"a": 1}, {1, 2}, object(), Broken(),
       [Broken()], np.array(5), np.array([[1, 2], [3, 4]]), np.datetime64("2020-01-01"), np.timedelta64(5), pd.NA,
       pd.NaT, pd.Series([], dtype=object), pd.DataFrame({"a": [1]}), range(10**9), len, ...]  # fmt: skip
DOORS = {
    "find": lambda r, odd: r.find(odd),
    "suggest": lambda r, odd: r.suggest(odd),
    "suggest n": lambda r, odd: r.suggest("the", odd),
    "recommend": lambda r, odd: r.recommend(odd),
    "k": lambda r, odd: r.recommend(862, odd),
    "year": lambda r, odd: r.recommend("Toy Story", year=odd),
    "text": lambda r, odd: r.recommend_for_text(odd),
    "title": lambda r, odd: r.recommend_for_text(PLOT, odd),
    "search": lambda r, odd: r.search(odd),
    "explain": lambda r, odd: r.explain(862, odd),
    "predict": lambda r, odd: r.predict_genres(odd),
    "predict title": lambda r, odd: r.predict_genres(PLOT, odd),
    "all": lambda r, odd: r.recommend_all(odd),
    "all genres": lambda r, odd: r.recommend_all(2, match_genres=odd),
    **{
        name: lambda r, odd, name=name: r.recommend(862, k=2, **{name: odd})
        for name in ("disliked", "more", "less", "weights", "match_genres", "genres", "exclude_genres",
                     "years", "language", "min_vote_count", "exclude", "diversity", "space")
    },
}  # fmt: skip


@pytest.mark.parametrize("ask", DOORS.values(), ids=DOORS.keys())
def test_odd_types_are_refused_with_a_sentence(small_recommender, ask):
    for odd in ODD:
        try:
            ask(small_recommender, odd)
        except MovrecError as error:
            assert 10 < len(str(error)) < 500
    with pytest.raises(MovrecError):
        ask(small_recommender, 3j)


# ---- time and memory -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "piece",
    [". ", '"', "'", ". )", ".)", "a.", "a. ", "1,", "$", "--", "cannot ", "'s ", "word ", "x"],
)
def test_tokens_take_time_that_grows_with_the_text(piece):
    def seconds(n):
        start = time.process_time()
        text._cut_into_tokens("dog " + piece * n)
        return time.process_time() - start

    seconds(10)  # loads the tokenizer
    assert seconds(16_000) < 8 * seconds(4_000) + 1  # the square of 4 would be 16


def test_a_long_sentence_gives_the_tokens_that_its_words_give():
    sentence = "the wizard's dog can't see " * 400
    assert tokenize(sentence) == tokenize("the wizard's dog can't see") * 400


def test_what_is_remembered_is_counted_in_bytes():
    remembered = BoundedCache(100_000)
    for number in range(1000):
        remembered.get(f"{number} " * 1000, lambda: ("a", "b"))
        assert sum(map(len, [*remembered._new, *remembered._old])) < 100_000
    for cache in (text._KNOWN_TOKENS, word_vectors._KNOWN_STEMS):
        assert cache._half <= 50_000_000
    before = word_vectors._known_stem.cache_info().currsize
    word_vectors.stems(" ".join("x" * n for n in range(61, 100)))
    assert word_vectors._known_stem.cache_info().currsize == before


# ---- other processes -----------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "ask",
    [lambda r: r.recommend(862), lambda r: r.predict_genres(PLOT),
     lambda r: Recommender.open(r.path)],
    ids=["recommend", "genres", "open"],
)  # fmt: skip
def test_a_forked_child_is_told_what_to_do(small_recommender, ask):
    small_recommender.recommend(862, k=1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = "it was answered"
        try:
            ask(small_recommender)
        except ModelError as error:
            said = str(error)
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    said = os.read(reading, 1000).decode()
    assert said.startswith("This process was forked") and "spawn" in said
    assert len(small_recommender.recommend(862, k=1)) == 1


def first_of(recommender, film):
    return int(recommender.recommend(film, k=1)["id"].iloc[0])


@pytest.mark.slow
def test_spawned_processes_and_joblib_answer_as_this_one_does(small_recommender):
    joblib = pytest.importorskip("joblib")
    film = int(small_recommender.films["id"][0])
    expected = first_of(small_recommender, film)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.starmap(first_of, [(small_recommender, film)] * 2) == [expected] * 2
    jobs = [joblib.delayed(first_of)(small_recommender, film)] * 2
    assert joblib.Parallel(n_jobs=2)(jobs) == [expected] * 2
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


# ---- the shell and the box -----------------------------------------------------------------------


def told(capsys, *arguments):
    from movrec.cli import main

    code = main(arguments)
    out, err = capsys.readouterr()
    assert "movrec itself failed" not in err
    return code, out, err


def stdin_of(data):
    return types.SimpleNamespace(buffer=io.BytesIO(data))


def test_text_that_is_not_utf8_is_read_all_the_same(small_model, capsys, monkeypatch):
    plot = "A young wizard meets a café owner and a dog.\n"
    answers = []
    for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16"):
        monkeypatch.setattr(sys, "stdin", stdin_of(plot.encode(encoding)))
        answers.append(told(capsys, "genres", "-", "--json", "--model", str(small_model)))
    assert answers[0][0] == 0 and all(answer == answers[0] for answer in answers)
    asked = ["recommend", "--model", str(small_model), "-k", "1"]
    assert told(capsys, *asked, "Am\udce9lie") == told(capsys, *asked, "Amélie")
    for odd in ("\udcff\udcfe", "\ud800"):
        for where in (["--text", f"dog {odd}"], ["Heat", "--genres", odd], ["Heat", "--language", odd],
                      ["--text", "dog", "--more", odd, "--title", odd], [odd]):  # fmt: skip
            assert told(capsys, *asked, *where)[0] in (0, 2)
    assert told(capsys, "search", "--model", str(small_model), "dog \ud800")[0] == 0


def test_a_long_text_or_number_gets_a_short_sentence_in_the_shell(small_model, capsys, monkeypatch):
    at = ["--model", str(small_model)]
    monkeypatch.setattr(sys, "stdin", stdin_of(b"a" * 10**7))
    for arguments in (["genres", "-"], ["search", "a" * 10**6], ["recommend", "a" * 10**6],
                      ["recommend", "Heat", "--years", "9" * 10**5 + ":"], ["recommend", "Heat", "--weights", "a" * 10**6],
                      ["recommend", "Heat", "--min-votes", "9" * 20], ["recommend", "Heat", "-k", "9" * 10**5]):  # fmt: skip
        code, out, err = told(capsys, *arguments, *at)
        assert code == 2 and out == "" and len(err) < 5000 and len(err.splitlines()) == 1


def test_the_box_says_what_is_too_long(small_recommender):
    pytest.importorskip("ipywidgets")
    from movrec.search_box import SearchBox

    box = SearchBox(small_recommender)
    box.inputs.finder.field.value = "dog " * MOST_TEXT
    assert "at most 20,000 characters" in box.inputs.finder.note.value
    assert not box.query
    box.inputs.finder.field.value = "a" * (MOST_TITLE + 1)  # no title: what somebody remembers
    box.inputs.finder.take_best()
    assert box.inputs.finder.film is None and 'role="alert"' in box.screen.status.value
    box.inputs.finder.field.value = "A dog is lost."
    assert box.inputs.finder.note.value == "" and box.query.plot == Plot("A dog is lost.")

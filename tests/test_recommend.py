"""Faults, damaged folders and odd questions: what lesson 06 cannot show."""

import json
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from movrec.classifier import GenreClassifier
from movrec.doc2vec import Doc2VecEmbedder
from movrec.ingest import read_movies
from movrec.recommend import Recommender
from movrec.workings.batch import joined_scores
from movrec.workings.core import CatalogueError, ModelError, ParameterError, QueryError
from movrec.workings.embedder import register_embedder
from movrec.workings.folders import load_part, save_part
from movrec.workings.judgements import load_known_items
from movrec.workings.question import FilmFilter, Question
from movrec.workings.text import Plot
from movrec.workings.weights import BLOCKS, PRESETS, only
from movrec.workings.word_vectors import stems

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


def similarities_by_hand(recommender, answer):
    """The similarity of every film to a question: a sum over blocks, written out."""
    films, evidence = recommender.store.everything(), answer.evidence
    parts = {
        name: films.vectors[:, place].astype(float) @ evidence.vector[place]
        for name, place in recommender.space.layout_.items()
        if evidence.vector[place].any()
    }
    if evidence.words:
        parts["words"] = np.array(
            [
                sum(weight * evidence.words.get(word, 0) for word, weight in film.items())
                for film in map(films.words.row, range(len(films.ids)))
            ]
        )
    weights = {name: answer.question.block_weights()[name] for name in parts}
    similarity = sum(weights[name] * parts[name] for name in parts) / sum(weights.values())
    return pd.Series(similarity.clip(0, 1), index=films.ids)


def share_of_places(found, expected):
    """How many of the places that count hold the film that belongs there, or one as similar."""
    same = [
        mine == theirs or abs(value - other) < 1e-6
        for mine, value, theirs, other in zip(found["id"], found["similarity"], *expected)
    ]
    return sum(same) / len(expected[0])


@pytest.mark.parametrize("weights", [None, *PRESETS, {"words": 0}, only("year")])
def test_the_similarity_is_a_weighted_mean_of_cosines(small_recommender, weights):
    film = int(small_recommender.find("Inception")["id"])
    asked = Question((film,), k=10, match_genres=False, weights=weights)
    plot = Question(plot=Plot(PLOT, "Dreams"), k=10, weights=weights)
    if weights == only("year"):  # a plot says no year
        assert small_recommender.answer(plot).films.empty
    for question in (asked,) if weights == only("year") else (asked, plot):
        answer = small_recommender.answer(question)
        by_hand = similarities_by_hand(small_recommender, answer)
        found = answer.films["similarity"].to_numpy()
        assert found == pytest.approx(by_hand[answer.films["id"]].to_numpy(), abs=1e-5)
        best = by_hand.drop(film, errors="ignore") if question is asked else by_hand
        assert found == pytest.approx(np.sort(best)[::-1][:10], abs=1e-5)


def test_documents_are_compared_by_their_cosine(small_recommender):
    vectors = small_recommender.store.vectors("document").astype(float)
    row = small_recommender.rows_of([small_recommender.find("Inception")["id"]])[0]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    similarity = unit @ unit[row]
    similarity[row] = -np.inf
    found = small_recommender.recommend("Inception", match_genres=False, space="document")
    assert found["similarity"].to_numpy() == pytest.approx(np.sort(similarity)[::-1][:10], abs=1e-4)
    assert found["contributions"][0]["plot"] == found["similarity"][0]


def best_ten(recommender, films, texts):
    """The shares of places in which the top ten are those of scoring every film."""
    ids = recommender.films["id"].to_numpy()
    scores = joined_scores(recommender)(recommender.rows_of(films))
    of_films = []
    for film, row in zip(films, scores):
        row[recommender.rows_of([film])[0]] = -np.inf
        best = np.argsort(-row, kind="stable")[:10]
        best = best[np.isfinite(row[best])]
        found = recommender.recommend(int(film))
        of_films.append(share_of_places(found, (ids[best], row[best].clip(0))))
    of_texts = []
    for text in texts:
        answer = recommender.answer(Question(plot=Plot(text)))
        best = similarities_by_hand(recommender, answer).sort_values(ascending=False).head(10)
        of_texts.append(share_of_places(answer.films, (best.index, best)))
    return np.mean(of_films), np.mean(of_texts)


def test_the_best_of_the_candidates_are_the_best_of_all(small_recommender):
    films = small_recommender.films["id"].iloc[::8].tolist()
    texts = load_known_items()["query"].iloc[::5].tolist()
    of_films, of_texts = best_ten(small_recommender, films, texts)
    assert of_films >= 0.99 and of_texts >= 0.99


@pytest.mark.slow
def test_the_best_of_the_candidates_are_the_best_of_the_whole_sample(sample_films, tmp_path):
    # What the blocks have learned changes the answers and not the search: few epochs will do.
    recommender = Recommender.build(sample_films, tmp_path / "model", **quick())
    films = sample_films["id"].sample(300, random_state=4).tolist()
    of_films, of_texts = best_ten(recommender, films, load_known_items()["query"].tolist())
    assert of_films >= 0.99 and of_texts >= 0.99


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
        {"weights": "balance"},
        {"weights": {"years": 1}},
        {"weights": {"year": -1}},
        {"weights": {"year": "much"}},
        {"weights": {"year": True}},
        {"weights": {"year": float("nan")}},
        {"weights": dict.fromkeys(BLOCKS, 0)},
        {"weights": 3},
        {"weights": ["words"]},
        {"weights": {"year": 1}, "space": "document"},
        {"more": ["ship"], "space": "document"},
        {"disliked": ["Titanic"], "space": "document"},
        {"more": "ship"},
        {"less": [3]},
        {"less": None},
        {"disliked": "Titanic"},
        {"disliked": None},
        {"match_genres": "yes"},
        {"genres": "Comedy"},
        {"exclude_genres": "Comedy"},
        {"genres": [3]},
        {"genres": 3},
        {"year": "2010"},
        {"language": 5},
        {"language": ""},
        {"min_vote_count": "many"},
        {"min_vote_count": 2.5},
        {"min_vote_count": -1},
        {"diversity": 1.5},
        {"diversity": True},
        {"exclude": None},
        {"exclude": 3.5},
        {"exclude": [None]},
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


# ---- questions and answers -----------------------------------------------------------------------

PLOT = "A thief enters the dreams of others and must plant an idea in a rich heir's mind."


def test_the_doors_ask_what_a_question_asks(small_recommender):
    film = int(small_recommender.find("Shrek")["id"])
    where = FilmFilter(exclude_genres=("Romance",), years=(1980, None))
    filters = {"exclude_genres": ["romance"], "years": (1980, None)}
    for diversity in (0.0, 0.7):
        asked = Question((film,), k=6, where=where, diversity=diversity)
        answer = small_recommender.answer(asked)
        door = small_recommender.recommend("Shrek", k=6, diversity=diversity, **filters)
        pd.testing.assert_frame_equal(answer.films, door)
        assert answer.films.attrs == door.attrs
        assert answer.question is asked and answer.reading is None
        assert answer.asked["title"].tolist() == ["Shrek"]
        assert answer.genres == door.attrs["genres"]
        asked = Question(plot=Plot(PLOT), k=6, where=where, diversity=diversity)
        answer = small_recommender.answer(asked)
        door = small_recommender.recommend_for_text(PLOT, k=6, diversity=diversity, **filters)
        pd.testing.assert_frame_equal(answer.films, door)
        assert answer.asked.empty and answer.genres == sorted(answer.reading.called[0])
        table = small_recommender.predict_genres(PLOT)
        pd.testing.assert_frame_equal(answer.reading.genre_table(), table)


def test_films_are_left_out_for_a_plot_too(small_recommender):
    found = small_recommender.recommend_for_text(PLOT, k=5)
    out = [found["title"][0], int(found["id"][2])]
    left = small_recommender.recommend_for_text(PLOT, k=3, exclude=out)
    assert left["id"].tolist() == found["id"].drop([0, 2]).tolist()
    with pytest.raises(QueryError, match="No Such Film"):
        small_recommender.recommend_for_text(PLOT, exclude=["No Such Film At All"])
    for ask in (small_recommender.recommend, small_recommender.recommend_for_text):
        with pytest.raises(ParameterError, match=r"write \['Shrek'\]"):
            ask("Titanic", exclude="Shrek")


def test_films_are_left_out_for_films_too(small_recommender):
    found = small_recommender.recommend("Shrek", k=6)
    out = [found["title"][0], int(found["id"][2])]
    for exclude in (out, tuple(out), [*out, out[0], "Shrek"]):
        left = small_recommender.recommend("Shrek", k=4, exclude=exclude)
        assert left["id"].tolist() == found["id"].drop([0, 2]).tolist()
    for exclude in (found["id"].iloc[[0, 2]], found["id"].to_numpy()[[0, 2]]):
        left = small_recommender.recommend("Shrek", k=4, exclude=exclude)
        assert left["id"].tolist() == found["id"].drop([0, 2]).tolist()
    for nothing in ([], (), found["id"].iloc[:0]):
        same = small_recommender.recommend("Shrek", k=6, exclude=nothing)
        pd.testing.assert_frame_equal(same, found)


def test_films_are_answered_variedly_and_within_the_filters(small_recommender):
    def closest(found):
        vectors = small_recommender.store.vectors("joined", found["id"])
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return (unit @ unit.T)[np.triu_indices(len(unit), k=1)].mean()

    nearest = small_recommender.recommend("Shrek", k=8)
    varied = small_recommender.recommend("Shrek", k=8, diversity=0.6)
    assert varied["id"][0] == nearest["id"][0] and closest(varied) < closest(nearest)
    assert varied["id"].is_unique and "Shrek" not in varied["title"].tolist()
    pool = small_recommender.recommend("Shrek", k=50)["id"]
    assert varied["id"].isin(pool).all()
    strict = small_recommender.recommend(
        "Shrek", k=8, diversity=0.6, years=(2000, None), exclude=[int(varied["id"][0])]
    )
    assert len(strict) == 8 and strict["year"].ge(2000).all()
    assert int(varied["id"][0]) not in strict["id"].tolist()


def test_a_plot_is_answered_variedly_too(small_recommender):
    def likeness(found):
        vectors = small_recommender.store.vectors("joined", found["id"])
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return (unit @ unit.T)[np.triu_indices(len(unit), k=1)].mean()

    nearest, varied, most = (
        small_recommender.recommend_for_text(PLOT, k=8, diversity=diversity)
        for diversity in (0.0, 0.5, 1.0)
    )
    assert nearest["id"][0] == varied["id"][0] == most["id"][0]
    assert likeness(nearest) > likeness(varied) > likeness(most)
    assert len(small_recommender.recommend_for_text(PLOT, k=60, diversity=0.5)) == 60
    for diversity in (-0.1, 1.1, "much", float("nan")):
        with pytest.raises(ParameterError, match="diversity"):
            small_recommender.recommend_for_text(PLOT, diversity=diversity)


@pytest.fixture
def counted(small_model, monkeypatch):
    """A recommender that has read nothing yet, and how often its models are asked."""
    recommender, calls = Recommender.open(small_model), {"embedded": 0, "classified": 0}

    def count(owner, name, what):
        original = getattr(type(owner), name)

        def counting(self, *arguments, **named):
            calls[what] += 1
            return original(self, *arguments, **named)

        monkeypatch.setattr(type(owner), name, counting)

    count(recommender.embedder, "blocks", "embedded")
    count(recommender.classifier, "predict_proba", "classified")
    return recommender, calls


def test_a_plot_is_embedded_once_and_classified_once(counted):
    recommender, calls = counted
    recommender.recommend_for_text(PLOT, k=3)
    assert calls == {"embedded": 1, "classified": 1}
    recommender.predict_genres(PLOT)
    recommender.recommend_for_text(PLOT, k=5, diversity=0.5, years=(1990, None))
    assert calls == {"embedded": 1, "classified": 1}
    recommender.predict_genres(PLOT, title="Inception")  # with a title it is another text
    assert calls == {"embedded": 2, "classified": 2}


def test_reasons_and_hints_do_not_read_the_plot_again(counted):
    recommender, calls = counted
    where = FilmFilter(("Comedy",), (), (1800, 1801), "xx", 10)
    answer = recommender.answer(Question(plot=Plot(PLOT), where=where))
    assert answer.films.empty and recommender.explain_all(answer) == []
    assert recommender.what_to_loosen(answer) == [
        "No single filter is to blame: loosen several, or reset them all."
    ]
    narrow = recommender.answer(Question(plot=Plot(PLOT), where=FilmFilter(years=(1800, 1801))))
    assert recommender.what_to_loosen(narrow) == [
        "Leave out “from 1800 to 1801” and there are 10 or more."
    ]
    answer = recommender.answer(Question(plot=Plot(PLOT)))
    assert len(recommender.explain_all(answer)) == 10
    assert calls == {"embedded": 1, "classified": 1}


def test_of_many_plots_the_last_are_remembered(counted):
    recommender, calls = counted
    plots = [f"A sailor and his {number} sons cross the sea." for number in range(40)]
    for plot in plots:
        recommender.predict_genres(plot)
    assert calls["embedded"] == 40
    recommender.predict_genres(plots[-1])
    assert calls["embedded"] == 40
    recommender.predict_genres(plots[0])
    assert calls["embedded"] == 41


def test_threads_do_not_disturb_one_another(model_copy):
    new = films_of([f"No Genre {row}" for row in range(6)], genres=[[] for _ in range(6)])
    new["id"] += 90_000_000
    Recommender.open(model_copy).add(new)
    plots = [f"{PLOT} He has {number} sons." for number in range(6)]
    asked = [Question((int(film),), k=4) for film in new["id"]]
    asked += [Question(plot=Plot(plot), k=4) for plot in plots]
    alone, shared = Recommender.open(model_copy), Recommender.open(model_copy)
    expected = [alone.answer(question).films["id"].tolist() for question in asked]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(shared.answer, asked[::-1]))[::-1]
    assert [answer.films["id"].tolist() for answer in answers] == expected


def test_films_do_not_load_the_models(small_model):
    recommender = Recommender.open(small_model)
    recommender.recommend("Inception", k=3)
    answer = recommender.answer(Question((int(recommender.find("Shrek")["id"]),), k=3))
    assert len(answer.films) == 3 and "text_model" not in vars(recommender)


def test_reasons_are_found_in_what_is_shared(small_recommender):
    film = small_recommender.find("Shrek")
    answer = small_recommender.answer(Question((int(film["id"]),), k=20))
    explanations = small_recommender.explain_all(answer)
    assert len(explanations) == 20 and any(why.evidence["words"] for why in explanations)
    (asked,) = small_recommender.word_texts(small_recommender.films_of([film["id"]]))
    texts = small_recommender.word_texts(small_recommender.films_of(answer.films["id"]))
    for (_, other), text, why in zip(answer.films.iterrows(), texts, explanations):
        shared = set(film["genres"]) & set(other["genres"])
        assert set(why.evidence["genres"]) == shared
        for word in why.evidence["words"]:
            assert set(stems(word)) <= set(stems(asked)) & set(stems(text))
        for pair in why.evidence["reader"]:
            mine, theirs = pair.split(" ~ ")
            assert mine in asked.lower() and theirs in text.lower()
            assert stems(mine) != stems(theirs)


# ---- what similar means --------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, "theme", "era", {"year": 0, "words": 2}])
@pytest.mark.parametrize("way", ["film", "films", "plot", "more alone", "words", "documents"])
def test_contributions_add_up_to_the_similarity(small_recommender, way, weights):
    shrek, titanic = (int(small_recommender.find(title)["id"]) for title in ("Shrek", "Titanic"))
    question = {
        "film": Question((shrek,), k=30, weights=weights),
        "films": Question((shrek, titanic), k=30, disliked=(862,), less=("ship",), weights=weights),
        "plot": Question(plot=Plot(PLOT, "Dreams"), k=30, more=("ship",), weights=weights),
        "more alone": Question(more=("dragon", "princess"), k=30, weights=weights),
        "words": Question(plot=Plot("a ship and a dragon"), k=30, weights=only("words")),
        "documents": Question((shrek,), k=30, space="document"),
    }[way]
    answer = small_recommender.answer(question)
    assert len(answer.films) and answer.films["similarity"].is_monotonic_decreasing
    assert answer.films["similarity"].between(0, 1).all()
    explanations = small_recommender.explain_all(answer)
    for similarity, parts, why in zip(
        answer.films["similarity"], answer.films["contributions"], explanations
    ):
        assert list(parts) == list(BLOCKS)
        assert abs(sum(parts.values()) - similarity) < 1e-6
        assert why.contributions == parts and abs(why.similarity - similarity) < 1e-6
    weight_of = answer.films.attrs["weights"]
    if way != "documents":
        unused = [name for name in BLOCKS if not weight_of[name]]
        assert not any(parts[name] for parts in answer.films["contributions"] for name in unused)


@pytest.mark.parametrize("weights", [None, "mood", {"words": 3}])
def test_one_film_is_explained_as_in_the_list(small_recommender, weights):
    found = small_recommender.recommend("Shrek", k=5, weights=weights)
    pair = small_recommender.recommend(["Shrek", "Titanic"], k=5, weights=weights)
    text = small_recommender.recommend_for_text(PLOT, k=5, weights=weights)
    for query, films in (("Shrek", found), (["Shrek", "Titanic"], pair), (Plot(PLOT), text)):
        for film in films.itertuples():
            why = small_recommender.explain(query, int(film.id), weights=weights)
            assert why.contributions == pytest.approx(film.contributions, abs=1e-6)
            assert why.similarity == pytest.approx(film.similarity, abs=1e-6)
    answer = small_recommender.answer(
        Question(tuple(found.attrs["query"][i]["id"] for i in (0,)), k=5, weights=weights)
    )
    alone = [small_recommender.explain("Shrek", int(film), weights=weights) for film in found["id"]]
    for one, among in zip(alone, small_recommender.explain_all(answer)):
        assert one.in_words() == among.in_words() and one.collection == among.collection


def test_any_film_can_be_explained_even_the_farthest(small_recommender):
    last = small_recommender.recommend("Shrek", k=599, match_genres=False)["id"].iloc[-1]
    why = small_recommender.explain("Shrek", int(last))
    assert 0 <= why.similarity < 0.1 and why.summary().startswith(f"{why.similarity:.2f} = ")
    with pytest.raises(QueryError, match="No Such Film"):
        small_recommender.explain("Shrek", "No Such Film At All")
    with pytest.raises(ParameterError, match="None of the words"):
        small_recommender.explain(Plot("qwxz zzkkj"), "Shrek")
    with pytest.raises(ParameterError, match="did you mean words"):
        small_recommender.explain("Shrek", "Titanic", weights={"word": 1})


def test_weights_say_what_similar_means(small_recommender):
    def mean_gap(**options):
        found = small_recommender.recommend("Titanic", k=20, **options)
        return (found["year"].astype(int) - 1997).abs().mean()

    gaps = {"era": mean_gap(weights="era"), "theme": mean_gap(weights="theme")}
    assert gaps["era"] < mean_gap() and gaps["era"] < gaps["theme"]
    assert mean_gap(weights={"year": 50}) < 2
    default = small_recommender.recommend("Titanic")
    for same in ("balanced", {}, PRESETS["balanced"], {"preset": "balanced"}):
        pd.testing.assert_frame_equal(small_recommender.recommend("Titanic", weights=same), default)
    assert default.attrs["weights"] == PRESETS["balanced"]
    text = small_recommender.recommend_for_text(PLOT, weights="description")
    pd.testing.assert_frame_equal(text, small_recommender.recommend_for_text(PLOT))
    assert text.attrs["weights"] == PRESETS["description"]
    # Only the proportions count.
    doubled = {name: 2 * weight for name, weight in PRESETS["balanced"].items()}
    assert small_recommender.recommend("Titanic", weights=doubled)["id"].equals(default["id"])
    everything = small_recommender.recommend_all(k=10, weights="theme")
    one = small_recommender.recommend(862, weights="theme")["id"].tolist()
    assert everything.loc[everything["id"] == 862, "recommended_id"].tolist() == one


def similarity_between(recommender, titles, found):
    """The mean similarity of films that were found to some others."""
    ids = [int(film) for film in found["id"]]
    return np.mean(
        [recommender.explain(title, film).similarity for title in titles for film in ids]
    )


def test_what_is_disliked_is_farther_away_and_never_comes(small_recommender):
    for liked, disliked in (
        ("Inception", ["Interstellar", "The Matrix"]),
        ("Titanic", ["The Notebook"]),
        ("Toy Story", ["Despicable Me"]),
    ):
        found = small_recommender.recommend(liked, k=50, disliked=disliked)
        without = small_recommender.recommend(liked, k=50, exclude=disliked)
        assert not set(disliked) & set(found["title"])
        assert similarity_between(small_recommender, disliked, found) < similarity_between(
            small_recommender, disliked, without
        )
        assert found["similarity"].between(0, 1).all()
    film = int(small_recommender.find("Shrek")["id"])
    assert Question((film,)).less_like(863).disliked == (863,)
    with pytest.raises(QueryError, match="No Such Film"):
        small_recommender.recommend("Shrek", disliked=["No Such Film At All"])


def with_word(recommender, found, stem):
    texts = recommender.word_texts(recommender.films_of(found["id"]))
    return sum(stem in stems(text) for text in texts)


def test_more_and_less_of_a_word(small_recommender):
    for ask, query in (
        (small_recommender.recommend, "Titanic"),
        (small_recommender.recommend_for_text, "A captain and his crew cross the sea on a ship."),
    ):
        plain, more, less = (
            ask(query, k=15, match_genres=False, **options)
            for options in ({}, {"more": ["ship", "pirates"]}, {"less": ["ship"]})
        )
        for stem in ("ship", "pirat"):
            assert with_word(small_recommender, more, stem) >= with_word(
                small_recommender, plain, stem
            )
        assert with_word(small_recommender, more, "pirat") > with_word(
            small_recommender, plain, "pirat"
        )
        assert with_word(small_recommender, less, "ship") < with_word(
            small_recommender, plain, "ship"
        )
        assert all(len(found) == 15 for found in (plain, more, less))
    assert len(small_recommender.recommend("Titanic", k=5, more=["and"], less=["the"])) == 5
    alone = small_recommender.answer(Question(more=("pirates",), k=3))
    assert with_word(small_recommender, alone.films, "pirat") == 3


def test_a_text_is_not_walled_in_by_genres(small_recommender):
    text = small_recommender.answer(Question(plot=Plot(PLOT), k=599))
    assert text.genres and text.films.attrs["genres"] is None and text.films.attrs["filter"] is None
    assert len(text.films) > 400  # all that either search brings
    assert any(not set(text.genres) & set(genres) for genres in text.films["genres"])
    walled = small_recommender.recommend_for_text(PLOT, k=50, match_genres=True)
    assert walled.attrs["genres"] == text.genres
    assert all(set(text.genres) & set(genres) for genres in walled["genres"])
    left = [film for film in text.films["id"] if film in set(walled["id"])]
    assert left == walled["id"].tolist()  # the wall takes films away and changes no place


# ---- words alone ---------------------------------------------------------------------------------


def test_search_goes_by_words_alone(small_recommender):
    found = small_recommender.search("sinking ships", k=20)
    texts = small_recommender.word_texts(small_recommender.films_of(found["id"]))
    assert len(found) and all({"ship", "sink"} & set(stems(text)) for text in texts)
    assert all(parts["words"] == sum(parts.values()) > 0 for parts in found["contributions"])
    assert found["similarity"].is_monotonic_decreasing and found["similarity"].between(0, 1).all()
    # In any form, in any case, with stop words around them.
    for same in ("SINKING, ships!", "the sinking of a ship", "ship sink"):
        assert small_recommender.search(same, k=20)["id"].tolist() == found["id"].tolist()
    assert small_recommender.search("toy story", k=4)["title"].str.startswith("Toy Story").all()
    assert "Titanic" in small_recommender.search("titanic")["title"].tolist()


def test_films_that_are_called_like_the_words_come_first(small_recommender):
    first = {
        "titanic": "Titanic",  # whose stem is that of "titan"
        "UP": "Up",  # a word that tells nothing
        "leon": "Leon: The Professional",
        "matrix": "The Matrix",
    }
    for words, title in first.items():
        assert small_recommender.search(words, k=3)["title"].iloc[0] == title
    found = small_recommender.search("toy")
    begun = found["title"].str.startswith("Toy ").to_numpy()
    assert begun.any() and (np.diff(begun.astype(int)) <= 0).all()  # whole words, then the rest
    assert not small_recommender.search("tita")["title"].eq("Titanic").any()
    # Filters hold for them as for all.
    assert (
        "Titanic" not in small_recommender.search("titanic", years=(2000, None))["title"].tolist()
    )
    assert (
        "Titanic" not in small_recommender.search("titanic", exclude=["Titanic"])["title"].tolist()
    )


def test_a_plot_in_words_that_the_reader_alone_knows(small_recommender):
    plot = "Xenophobic magistrates."
    assert not small_recommender.words.known(plot) and small_recommender.reader.known(plot)
    assert len(small_recommender.recommend_for_text(plot, k=5)) == 5
    assert len(small_recommender.predict_genres(plot)) == len(small_recommender.genres)


@pytest.mark.parametrize("name", ["more", "less"])
def test_a_word_that_nobody_knows_moves_nothing(small_recommender, name):
    with pytest.raises(ParameterError, match=f"'qwrtp' in {name} is in no text of the catalogue"):
        small_recommender.recommend("Shrek", **{name: ["ship", "qwrtp"]})
    magistrates = small_recommender.recommend("Shrek", k=3, **{name: ["magistrates"]})
    assert len(magistrates) == 3


def test_search_loads_no_models(small_model):
    recommender = Recommender.open(small_model)
    assert len(recommender.search("a ship in a storm", k=3)) == 3
    assert "text_model" not in vars(recommender)


@pytest.mark.parametrize("words", ["the", "and of the", "qwxz zzkkj", "..."])
def test_search_for_words_that_tell_nothing_finds_nothing(small_recommender, words):
    found = small_recommender.search(words)
    assert found.empty and {"similarity", "contributions"} <= set(found)


@pytest.mark.parametrize("words", ["", "  ", None, 7])
def test_search_for_no_words(small_recommender, words):
    with pytest.raises(ParameterError):
        small_recommender.search(words)


@pytest.mark.parametrize(
    "words", ["ship AND (", '"ship', "ship*", "title:ship", "-ship +war", "ship'); --"]
)
def test_words_are_words_and_no_query_language(small_recommender, words):
    found = small_recommender.search(words, k=3)
    texts = small_recommender.word_texts(small_recommender.films_of(found["id"]))
    assert len(found) == 3 and all({"ship", "war", "titl"} & set(stems(text)) for text in texts)


def test_search_with_filters(small_recommender):
    everything = small_recommender.search("war", k=599)
    found = small_recommender.search(
        "war",
        k=599,
        years=(1980, 1999),
        exclude_genres=["Comedy"],
        min_vote_count=100,
        exclude=[int(everything["id"][0])],
    )
    assert 0 < len(found) < len(everything)
    assert found["year"].between(1980, 1999).all() and (found["vote_count"] >= 100).all()
    assert not any("Comedy" in genres for genres in found["genres"])
    expected = everything[
        everything["year"].between(1980, 1999)
        & (everything["vote_count"] >= 100)
        & everything["genres"].map(lambda genres: "Comedy" not in genres)
    ]
    assert found["id"].tolist() == [f for f in expected["id"] if f != everything["id"][0]]
    with pytest.raises(QueryError, match="Comedy"):
        small_recommender.search("war", genres=["Comdy"])
    with pytest.raises(ParameterError, match="k"):
        small_recommender.search("war", k=0)


@pytest.mark.parametrize(
    "filters",
    [
        {"genres": ["Horror"]},
        {"exclude_genres": ["Drama", "Comedy"]},
        {"years": (None, 1975)},
        {"language": "fr"},
        {"min_vote_count": 9000},
    ],
)
def test_words_and_vectors_are_searched_with_the_same_filter(small_recommender, filters):
    """LanceDB's own hybrid query has turned filters round (issue 3095); here both searches have them."""
    films = small_recommender.films
    passing = {
        "genres": [set(genres) & {"Horror"} != set() for genres in films["genres"]],
        "exclude_genres": [not set(genres) & {"Drama", "Comedy"} for genres in films["genres"]],
        "years": films["year"].le(1975).fillna(False),
        "language": films["language"].eq("fr"),
        "min_vote_count": films["vote_count"].ge(9000).fillna(False),
    }[next(iter(filters))]
    wanted = set(films.loc[np.asarray(passing, dtype=bool), "id"])
    text = small_recommender.recommend_for_text(PLOT, k=599, **filters)
    assert set(text["id"]) == wanted and len(text) == len(wanted) > 0
    film = small_recommender.recommend("Inception", k=599, match_genres=False, **filters)
    assert set(film["id"]) == wanted - {27205}


# ---- questions without an answer -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question(), "a film or a plot"),
        (Question(films=("Shrek",)), "Shrek"),
        (Question(plot=PLOT), "Plot"),
        (Question(films=(1,), plot=Plot(PLOT)), "leave one of them out"),
        (Question(films=(1,), k=0), "k"),
        (Question(plot=Plot("qwxz zzkkj")), "None of the words"),
    ],
)
def test_questions_without_an_answer(small_recommender, question, message):
    with pytest.raises(ParameterError, match=message):
        small_recommender.answer(question)


def test_a_question_about_films_that_are_not_there(small_recommender):
    with pytest.raises(QueryError, match="-5"):
        small_recommender.answer(Question(films=(-5,)))


# ---- another process, a notebook, another embedder -----------------------------------------------


def titles_like(recommender, title):
    return recommender.recommend(title, k=5)["title"].tolist()


def test_a_recommender_travels_to_another_process(small_model, monkeypatch):
    monkeypatch.chdir(small_model.parent)
    recommender = Recommender.open(small_model.name)  # a relative path means the same there
    sent = pickle.dumps(recommender)
    assert len(sent) < 1000  # its path, not its vectors
    expected = [titles_like(recommender, title) for title in ("Shrek", "Titanic")]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pairs = [(recommender, "Shrek"), (recommender, "Titanic")]
        assert pool.starmap(titles_like, pairs) == expected


def test_joblib_shares_a_recommender_out(small_recommender):
    from joblib import Parallel, delayed

    titles = ("Shrek", "Titanic")
    jobs = (delayed(small_recommender.recommend)(title, k=5) for title in titles)
    for title, found in zip(titles, Parallel(n_jobs=2)(jobs)):
        assert found["title"].tolist() == titles_like(small_recommender, title)


def test_a_folder_that_is_gone_says_so_on_the_other_side(model_copy):
    sent = pickle.dumps(Recommender.open(model_copy))
    shutil.rmtree(model_copy)
    with pytest.raises(ModelError, match="no model folder"):
        pickle.loads(sent)


def test_the_card_of_a_recommender(small_model, tmp_path):
    copy = shutil.copytree(small_model, tmp_path / "<script>alert(1)</script>".replace("/", "&"))
    recommender = Recommender.open(copy)
    card = recommender._repr_html_()
    assert "600 films" in card and "movrec" in card and "gensim" in card
    first, last = recommender.films["year"].min(), recommender.films["year"].max()
    assert f"{first} to {last}" in card and str(len(recommender.genres)) in card
    assert "<script" not in card and "&lt;script&gt;" in card
    new = films_of(["Premiere"], genres=[["Puppetry"]], year=[2031])
    recommender.add(new.assign(id=99_000_000))
    assert f"{first} to 2031" in recommender._repr_html_()
    assert Recommender.open(copy)._repr_html_() == recommender._repr_html_()
    assert recommender.manifest["genres"] == len(recommender.genres)


@register_embedder
class CountedLetters:
    """The least that an embedder has to have: how often each letter occurs."""

    kind = "letters, a test of the recommender"

    def fit(self, texts, y=None):
        self.fitted_on_ = len(texts)
        return self

    def transform(self, texts):
        letters = "abcdefghijklmnopqrstuvwxyz"
        counts = [[text.lower().count(letter) for letter in letters] for text in texts]
        return np.array(counts, dtype=np.float32)

    def save(self, folder):
        save_part(folder, self.kind, {"fitted_on": self.fitted_on_}, {})

    @classmethod
    def load(cls, folder):
        other = cls()
        other.fitted_on_ = load_part(folder, cls.kind)[0]["fitted_on"]
        return other


def test_a_recommender_of_another_embedder(small_films, tmp_path):
    films = small_films.head(80)
    classifier = GenreClassifier(epochs=2, networks=1, progress=False)
    built = Recommender.build(
        films,
        tmp_path / "model",
        embedder=CountedLetters(),
        classifier=classifier,
        reader=False,  # which would know some numbers
        progress=False,
    )
    recommender = Recommender.open(tmp_path / "model")
    assert isinstance(recommender.embedder, CountedLetters)
    assert recommender.embedder.fitted_on_ == 80
    assert recommender.store.vectors("document").shape == (80, 26)
    # An anagram has the same letters, and with its own title and overview the film itself is found.
    film = films.iloc[7]
    found = recommender.recommend_for_text(
        film["overview"][::-1], film["title"][::-1], k=1, match_genres=False, space="document"
    )
    assert found["id"].tolist() == [film["id"]] and found["similarity"][0] == pytest.approx(1)
    # It knows no words; the blocks beside it do, and its own contribution has no words to show.
    answer = recommender.answer(Question((int(film["id"]),), k=5))
    explanations = recommender.explain_all(answer)
    assert any(why.contributions["plot"] for why in explanations)
    assert all(why.evidence["plot"] == [] for why in explanations)
    assert any(why.evidence["words"] for why in explanations)
    assert len(recommender.recommend_all(k=3)) > 0 and built.genres == recommender.genres
    new = films_of(["New"], genres=[["Drama"]]).assign(id=99_000_000)
    assert recommender.add(new) == 1
    reopened = Recommender.open(tmp_path / "model")
    assert reopened.store.vectors("document").shape == (81, 26)
    found = reopened.recommend_for_text(
        new["overview"][0], "New", k=1, match_genres=False, space="document"
    )
    assert found["title"].tolist() == ["New"]
    with pytest.raises(ParameterError, match="None of the words"):  # digits are no letters
        reopened.recommend_for_text("1984")


def test_a_recommender_without_a_reader(small_films, tmp_path):
    """A distribution may leave the table of word vectors out: a block less, and all goes on."""
    recommender = Recommender.build(
        small_films.head(150), tmp_path / "model", **quick(reader=False)
    )
    assert recommender.reader is None and not (tmp_path / "model" / "reader").exists()
    assert (
        "reader" not in recommender.space.layout_ and "reader" not in recommender.text_model.blocks
    )
    film = recommender.recommend("Inception", k=5)
    text = recommender.recommend_for_text("A ship sinks in a storm.", k=5)
    words = recommender.search("ship", k=5)
    shifted = recommender.recommend(
        "Inception", k=5, more=["ship"], less=["dragon"], disliked=[862]
    )
    theme = recommender.recommend("Inception", k=5, weights={"reader": 1000})
    assert theme["id"].tolist() == film["id"].tolist()  # a block that is not there has no share
    for found in (film, text, words, shifted, theme):
        assert len(found) and found["similarity"].between(0, 1).all()
        for similarity, parts in zip(found["similarity"], found["contributions"]):
            assert parts["reader"] == 0 and abs(sum(parts.values()) - similarity) < 1e-6
    why = recommender.explain("Inception", int(film["id"][0]))
    assert why.evidence["reader"] == [] and why.similarity == pytest.approx(film["similarity"][0])
    assert len(recommender.explain_all(recommender.answer(Question((862,), k=3)))) == 3
    assert recommender.recommend_all(k=2)["id"].nunique() == 150
    new = films_of(["New"], genres=[[]]).assign(id=99_000_000)
    assert recommender.add(new) == 1
    assert recommender.search("farmer's old map", k=1)["title"].tolist() == ["New"]
    copied = pickle.loads(pickle.dumps(recommender))
    assert copied.reader is None and len(copied.recommend("New", k=3)) == 3
    # The reader alone has nothing to say.
    assert recommender.recommend("Inception", weights=only("reader")).empty


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


@pytest.mark.parametrize(
    "name", ["embedder/arrays.safetensors", "classifier/part.json", "space/part.json", ".lance"]
)
def test_a_file_that_is_cut_short_changed_or_lost(model_copy, name):
    file = next(
        p for p in sorted(model_copy.rglob("*")) if p.is_file() and p.as_posix().endswith(name)
    )
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


@pytest.mark.parametrize("earlier", [1, 2, 5])
def test_a_folder_of_an_earlier_format(model_copy, earlier):
    manifest = json.loads((model_copy / "manifest.json").read_text())
    assert manifest["format"] == 6
    (model_copy / "manifest.json").write_text(json.dumps({**manifest, "format": earlier}))
    with pytest.raises(ModelError) as caught:
        Recommender.open(model_copy)
    message = str(caught.value)
    assert message.count("\n") == 0 and message.endswith("reads format 6: build the model again.")
    assert f"has format {earlier}" in message
    # It may be replaced: it is a model, only an old one.
    Recommender.build(films_of(list("abcdefghijkl")), model_copy, **quick())
    assert len(Recommender.open(model_copy).films) == 12


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 6, "files": 3}', "null"])
def test_a_damaged_manifest(model_copy, text):
    (model_copy / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match="manifest.json"):
        Recommender.open(model_copy)


def test_nothing_is_pickled(small_model):
    for file in small_model.rglob("*"):
        if file.is_file():
            assert not file.name.endswith((".pkl", ".pt", ".pth", ".bin"))
            assert file.read_bytes()[:2] not in {b"\x80\x03", b"\x80\x04", b"\x80\x05"}


@pytest.mark.slow
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
    # By its words alone it is found as well: the index of words has taken it in.
    assert reopened.search("farmer's old map", k=5)["id"].isin(new["id"]).any()
    assert recommender.search("farmer's old map", k=5)["id"].isin(new["id"]).any()
    # A film without genres is searched by its predicted ones.
    assert reopened.recommend("No Genre", k=3).attrs["genres"]
    assert set(reopened.recommend_all(k=2)["id"]) == set(reopened.films["id"])


def test_a_film_that_is_there_is_not_added_again(model_copy, small_films):
    recommender = Recommender.open(model_copy)
    with pytest.raises(CatalogueError, match="in the catalogue already"):
        recommender.add(small_films.tail(3))
    assert len(Recommender.open(model_copy).films) == len(small_films)


def without_numbers(titles, ids=None):
    """Films of a file that has no ids, or ids that are text, as `movrec add` reads them."""
    films = films_of(titles).drop(columns="id")
    return films if ids is None else films.assign(id=ids)


def test_films_of_files_without_ids_are_added_one_after_the_other(model_copy):
    recommender = Recommender.open(model_copy)
    last = int(recommender.films["id"].max())
    assert 11 in recommender and 1 not in recommender
    for part in "ab":
        titles = [f"{part}{row}" for row in range(1, 14)]  # row 11 is taken
        assert recommender.add(without_numbers(titles)) == 13
        assert recommender.films["title"].tail(13).tolist() == titles
    assert recommender.films["id"].tail(26).tolist() == list(range(last + 1, last + 27))
    assert recommender.add(without_numbers(["c1"])) == 1 and recommender.find("c1")["id"] == 1
    with pytest.raises(CatalogueError, match="'b2' with the same plot"):
        recommender.add(without_numbers(["b1", "b2"]).tail(1))


def test_the_ids_of_a_source_are_kept_and_tell_its_films_apart(model_copy):
    recommender = Recommender.open(model_copy)
    recommender.add(without_numbers(["First", "Second"], ["f-90000001", "f-90000002"]))
    # Another source counts from one as well; the same source's films are not new.
    recommender.add(without_numbers(["Third", "Fourth"], ["g-90000002", "g-90000003"]))
    kept = Recommender.open(model_copy).films.tail(4)
    assert kept["source_id"].tolist() == ["f-90000001", "f-90000002", "g-90000002", "g-90000003"]
    assert kept["id"].tolist() == [90_000_001, 90_000_002, 90_000_003, 90_000_004]
    with pytest.raises(CatalogueError, match="source_id g-90000003 is 'Fourth'"):
        recommender.add(without_numbers(["Fifth", "Sixth"], ["g-90000003", "g-90000004"]))


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
    assert "Jaws" in recommender.search("shark beach", k=10)["title"].tolist()

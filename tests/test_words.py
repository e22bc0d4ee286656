"""Odd texts, odd languages and damage: what the workings of words cannot show."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone

from movrec.workings.core import ModelError, NotFittedError, ParameterError
from movrec.workings.folders import load_part, save_part
from movrec.workings.languages import GIVEN_NAMES, function_words, guess_language
from movrec.workings.text import film_texts, plain_text
from movrec.workings.word_vectors import (
    STEMMERS,
    WordVectors,
    spellings,
    stems,
    unit_words,
    word_id,
)
from movrec.workings.words import WordWeights

TEXTS = [
    "A shark scares the beach. The shark is hunted.",
    "Jack and Sarah meet at the beach.",
    "",
    "The and of a.",
    "Sharks, sharks; climbers, climbing: K2!",
]


def dense(vectors):
    """Word vectors as one dense matrix, and where in it each word stands."""
    numbers = sorted({word for row in range(len(vectors)) for word in vectors.row(row)})
    place = {word: column for column, word in enumerate(numbers)}
    rows = np.zeros((len(vectors), len(numbers) + 1))
    for row in range(len(vectors)):
        for word, weight in vectors.row(row).items():
            rows[row, place[word]] = weight
    return rows, place


# ---- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("AMÉLIE", "amelie"),
        ("Ame\u0301lie", "amelie"),
        ("Ærø Ðyr Łódź", "aero dyr lodz"),
        ("Straße", "strasse"),
        ("ΑΘΉΝΑ", "αθηνα"),
        ("Йод", "иод"),
        ("が", "が"),  # no か with an accent
        ("か\u3099", "が"),
        ("パン", "パン"),
        ("ハン", "ハン"),
        ("한국", "한국"),
        ("क़लम", "क़लम"),
        ("กุ้ง", "กุ้ง"),
        ("ＴＯＫＹＯ", "tokyo"),
        ("  K2  ", "k2"),
        ("", ""),
    ],
)
def test_accents_go_and_letters_stay(text, plain):
    assert plain_text(text) == plain_text(plain) == plain


def test_two_japanese_words_that_differ_by_a_dot_are_two():
    assert stems("かき", None) != stems("かぎ", None)  # a persimmon, a key
    assert stems("ハン パン", None) == ["ハン", "パン"]


@pytest.mark.parametrize("text", ["", " \n", "...", "the and of", "a I s"])
def test_a_text_that_tells_nothing(text):
    assert stems(text) == [] and spellings(text) == {}


def test_what_counts_as_a_word():
    assert stems("K2, 2001: 7 robots; r2d2 and U.S. x") == ["k2", "2001", "7", "robot", "r2d2"]
    assert stems("鮫が襲う") == ["鮫が", "が襲", "襲う"] and stems("鮫", None) == ["鮫"]
    assert stems("The sharks", None) == ["the", "sharks"]  # no language, nothing is known of it
    assert stems("The sharks", "klingon") == ["the", "sharks"]
    assert spellings("Amélie meets AMELIE; climbers climb") == {
        "ameli": "Amélie",
        "meet": "meets",
        "climber": "climbers",
        "climb": "climb",
    }


def test_what_comes_back_may_be_changed():
    stems("A shark.").append("whale")
    spellings("A shark.")["whale"] = "whale"
    assert stems("A shark.") == ["shark"] and spellings("A shark.") == {"shark": "shark"}


@pytest.mark.parametrize("language", STEMMERS)
def test_every_language_has_stems_and_function_words(language):
    dropped = function_words(language)
    assert len(dropped) > 30 and all(word == plain_text(word) for word in dropped)
    assert stems(" ".join(dropped), language) == []
    assert guess_language([" ".join(dropped)] * 3) == language
    words = WordWeights().fit([" ".join([*dropped, "moskau"])] * 3)
    assert words.language_ == language and len(words.texts_with_) == 1


def test_no_given_name_is_a_function_word():
    assert not GIVEN_NAMES & function_words("english")


# ---- vectors -------------------------------------------------------------------------------------


def test_cosines_are_those_of_dense_vectors(sample_films):
    texts = [*film_texts(sample_films.head(150)), "", *TEXTS]
    weights = WordWeights().fit(texts)
    vectors = weights.transform(texts)
    rows, place = dense(vectors)
    lengths = np.linalg.norm(rows, axis=1)
    empty = [not stems(text) for text in texts]
    assert (lengths == 0).tolist() == empty and sum(empty) == 3
    assert lengths.max() == pytest.approx(1) and (lengths > 0.999).sum() > len(texts) / 4
    for text in (texts[0], texts[7], "Sharks at the beach, and a word that nobody has: qwxz."):
        asked = weights.transform([text]).row(0)
        question = np.zeros(len(place) + 1)
        for word, weight in asked.items():
            question[place.get(word, len(place))] += weight
        np.testing.assert_allclose(vectors.cosines(asked), rows @ question, atol=1e-6)
    matrix = vectors.matrix()
    assert matrix.shape == (len(texts), len(place))
    np.testing.assert_allclose((matrix @ matrix.T).toarray(), rows @ rows.T, atol=1e-6)
    longest = int(lengths.argmax())
    np.testing.assert_allclose(vectors.cosines(vectors.row(longest))[longest], 1, atol=1e-6)


def test_negative_weights_speak_against_a_text():
    vectors = WordVectors.of([{1: 1.0}, {2: 1.0}, {1: 1.0, 2: 1.0}])
    found = vectors.cosines({1: 0.6, 2: -0.8})
    np.testing.assert_allclose(found, [0.6, -0.8, -0.2 / 2**0.5], atol=1e-6)


@pytest.mark.parametrize("texts", [[], [{}], [{}, {}]])
def test_no_texts_and_texts_without_words(texts):
    vectors = WordVectors.of(texts)
    assert len(vectors) == len(texts)
    assert vectors.cosines({5: 1.0}).tolist() == vectors.cosines({}).tolist() == [0.0] * len(texts)
    assert vectors.matrix().shape == (len(texts), 1) and vectors.matrix().nnz == 0
    assert len(vectors.without_names()) == len(texts)
    assert all(vectors.row(row) == {} for row in range(len(texts)))


def test_unit_words():
    assert unit_words({}) == unit_words({5: 0.0}) == {}
    assert unit_words({5: -2.0}) == {5: -1.0}


def test_list_columns_come_back_wherever_they_were_cut():
    vectors = WordVectors.of([{1: 1.0}, {}, {2: 3.0, 3: 4.0}, {1: 1.0, 4: 1.0}])
    offsets = pa.array(vectors.starts, pa.int32())
    ids = pa.ListArray.from_arrays(offsets, pa.array(vectors.ids))
    weights = pa.ListArray.from_arrays(offsets, pa.array(vectors.weights))
    table = pa.table({"ids": ids, "weights": weights})
    for rows in (table, pa.concat_tables([table.slice(0, 1), table.slice(1)])):
        again = WordVectors.of_lists(rows["ids"], rows["weights"])
        assert [again.row(n) for n in range(4)] == [vectors.row(n) for n in range(4)]
    cut = table.slice(2, 2)
    again = WordVectors.of_lists(cut["ids"], cut["weights"])
    assert [again.row(n) for n in range(2)] == [vectors.row(n) for n in (2, 3)]
    taken = table.take([3, 0, 3])
    again = WordVectors.of_lists(taken["ids"], taken["weights"])
    assert [again.row(n) for n in range(3)] == [vectors.row(n) for n in (3, 0, 3)]
    nothing = table.slice(0, 0)
    assert len(WordVectors.of_lists(nothing["ids"], nothing["weights"])) == 0


def test_given_names_are_dropped_and_the_rest_has_length_one():
    weights = WordWeights("english").fit(TEXTS)
    vectors = weights.transform([*TEXTS, "Jack, Sarah!"])
    kept = vectors.without_names("english")
    jack, sarah = (word_id(stems(name)[0]) for name in ("Jack", "Sarah"))
    assert jack in vectors.row(1) and not {jack, sarah} & set(kept.row(1))
    assert set(kept.row(1)) == set(vectors.row(1)) - {jack, sarah}
    rows, _ = dense(kept)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 1, 0, 0, 1, 0], atol=1e-6)
    for row in (0, 4):  # without names nothing changes
        assert kept.row(row) == pytest.approx(vectors.row(row))
    assert not kept.cosines({jack: 1.0, sarah: 1.0}).any()


# ---- weights -------------------------------------------------------------------------------------


def test_the_rarer_the_weightier():
    weights = WordWeights("english").fit(TEXTS)
    assert weights.n_texts_ == 5 and weights.texts_with_["shark"] == 2
    assert weights.rarity("shark") == pytest.approx(np.log(6 / 3) + 1)
    assert weights.rarity("qwxz") == pytest.approx(np.log(6) + 1)  # the highest
    row = weights.transform([TEXTS[0]]).row(0)  # shark twice: 4.4 / 3.2 times
    shark, scare = word_id("shark"), word_id("scare")
    expected = 4.4 / 3.2 * (weights.rarity("shark") / weights.rarity("scare")) ** 0.75
    assert row[shark] / row[scare] == pytest.approx(expected, rel=1e-5)


def test_few_words_are_not_blown_up():
    long = "A shark, a beach, a boat, a storm, a captain and an island far away."
    weights = WordWeights("english").fit([long, long, "A shark."])
    vectors = weights.transform([long, "A shark.", "A shark and a beach."])
    lengths = [sum(w**2 for w in vectors.row(text).values()) ** 0.5 for text in range(3)]
    assert lengths[0] == pytest.approx(1) and lengths[1] < lengths[2] < 1
    # Of two that share all of a question's words, the one with fewer others is nearer.
    cosines = vectors.cosines(unit_words(weights.transform(["A shark on a beach?"]).row(0)))
    assert cosines[2] > cosines[0] and cosines.max() < 1


def test_words_that_the_catalogue_has_not_count_as_the_rarest():
    weights = WordWeights("english").fit(TEXTS)
    new = weights.transform(["A glacier at the beach."]).row(0)
    assert new[word_id("glacier")] > new[word_id("beach")]
    assert weights.known("A glacier at the Beaches!") == ["Beaches"]
    assert weights.known("a glacier") == weights.known("") == []
    assert "glacier" not in weights.texts_with_  # reading is not learning


@pytest.mark.parametrize("language", ["auto", "none", "english", "german", "russian"])
def test_weights_are_saved_and_loaded(language, tmp_path):
    texts = [*TEXTS, "Der Hai jagt die Menschen am Strand.", "Акула у берега.", "鮫 が 来る"]
    weights = WordWeights(language).fit(texts)
    weights.save(tmp_path)
    loaded = WordWeights.load(tmp_path)
    assert loaded.language == language and loaded.language_ == weights.language_
    assert loaded.texts_with_ == weights.texts_with_ and loaded.n_texts_ == weights.n_texts_
    for one, other in zip(
        vars(weights.transform(texts)).values(), vars(loaded.transform(texts)).values(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert pickle.loads(pickle.dumps(weights)).texts_with_ == weights.texts_with_


@pytest.mark.parametrize(
    "change",
    [
        lambda description: description["stems"].pop(),
        lambda description: description.pop("stems"),
        lambda description: description.pop("language"),
        lambda description: description.update(stems=None),
    ],
)
def test_damaged_weights(tmp_path, change):
    WordWeights().fit(TEXTS).save(tmp_path)
    description, arrays = load_part(tmp_path, WordWeights.kind)
    change(description)
    save_part(tmp_path, WordWeights.kind, description, arrays)
    with pytest.raises(ModelError, match="damaged"):
        WordWeights.load(tmp_path)


def test_damaged_files(tmp_path):
    with pytest.raises(ModelError):
        WordWeights.load(tmp_path / "nowhere")
    WordWeights().fit(TEXTS).save(tmp_path)
    part = tmp_path / "part.json"
    part.write_text(part.read_text().replace("shark", "whale"))
    with pytest.raises(ModelError, match="checksum"):
        WordWeights.load(tmp_path)


@pytest.mark.parametrize("language", ["klingon", "English", "", None, 3, ["english"]])
def test_a_language_that_is_none(language):
    with pytest.raises(ParameterError, match="language is 'auto', 'none' or one of danish"):
        WordWeights(language).fit(TEXTS)


@pytest.mark.parametrize("texts", ["one text", None, [None], ["a", 3], 7])
def test_texts_that_are_none(texts):
    with pytest.raises(ParameterError):
        WordWeights().fit(texts)
    with pytest.raises(ParameterError):
        WordWeights().fit(TEXTS).transform(texts)


def test_it_is_an_estimator():
    with pytest.raises(NotFittedError, match="call fit or load"):
        WordWeights().transform(TEXTS)
    weights = WordWeights("german")
    assert clone(weights).get_params() == {"language": "german", "n_jobs": -1}
    assert weights.fit([]).n_texts_ == 0 and len(weights.transform([])) == 0
    assert len(WordWeights().fit([]).transform(["A shark."])) == 1


NUMBERS = "from movrec.workings.word_vectors import word_id; print(word_id('shark'), word_id('鮫'))"


def test_a_word_s_number_is_the_same_in_every_process():
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    said = subprocess.run(
        [sys.executable, "-c", NUMBERS], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert said.split() == [str(word_id("shark")), str(word_id("鮫"))]
    assert all(-(2**31) <= word_id(word) < 2**31 for word in ("", "a", "shark", "鮫"))

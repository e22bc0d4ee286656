"""What a question says and what each block contributes: random vectors and odd questions."""

import numpy as np
import pytest

from movrec.space import JoinedSpace
from movrec.workings.compared import Candidates
from movrec.workings.scores import (
    MOST_TERMS,
    Evidence,
    combine,
    contributions,
    shares_of,
    shift,
    similarities,
    telling_terms,
)
from movrec.workings.text import film_texts
from movrec.workings.weights import BLOCKS, PRESETS, only
from movrec.workings.word_vectors import unit_words, word_id
from movrec.workings.words import WordWeights


@pytest.fixture(scope="module")
def catalogue(sample_films):
    """A space with a reader's block, and the films of the sample's head as candidates."""
    films = sample_films.head(150).reset_index(drop=True)
    rng = np.random.default_rng(0)
    text = {
        name: [rng.normal(size=(len(films), size))]
        for name, size in {"plot": 8, "reader": 5}.items()
    }
    space = JoinedSpace(title_dimensions=32).fit(films, text)
    texts = film_texts(films)
    words = WordWeights().fit(texts).transform(texts)
    return space, Candidates(films["id"].to_numpy(), space.transform(films, text), words)


def evidence_of(films, row):
    return Evidence(films.vectors[row], unit_words(films.words.row(row)))


@pytest.mark.parametrize("weights", [*PRESETS.values(), *map(only, BLOCKS)], ids=str)
def test_contributions_add_up_to_a_similarity_from_0_to_1(catalogue, weights):
    space, films = catalogue
    for row in (0, 7, 60):
        evidence = evidence_of(films, row)
        shares = shares_of(space, evidence, weights)
        assert sum(shares.values()) == pytest.approx(1) and list(shares) == list(BLOCKS)
        values, parts = similarities(contributions(space, evidence, shares, films))
        assert parts.shape == (150, len(BLOCKS))
        assert np.abs(parts.sum(axis=1) - values).max() < 1e-6
        assert values.min() >= 0 and values.max() <= 1
        # A film is as near to itself as can be; one of few words has less to say of itself.
        length = sum(weight**2 for weight in films.words.row(row).values()) ** 0.5
        assert values[row] == pytest.approx(1 - shares["words"] * (1 - length), abs=1e-5)
        without = [column for column, name in enumerate(BLOCKS) if not weights[name]]
        assert not parts[:, without].any()


def test_the_sum_is_the_product_of_the_scaled_vector_and_the_words(catalogue):
    space, films = catalogue
    evidence = evidence_of(films, 3)
    shares = shares_of(space, evidence, PRESETS["balanced"])
    by_hand = films.vectors @ space.scale(evidence.vector, shares)
    by_hand = by_hand + shares["words"] * films.words.cosines(evidence.words)
    parts = contributions(space, evidence, shares, films)
    np.testing.assert_allclose(parts.sum(axis=1), by_hand, atol=1e-5)


def test_a_block_of_which_nothing_is_said_has_no_share(catalogue):
    space, films = catalogue
    vector = films.vectors[0].copy()
    vector[space.layout_["year"]] = 0
    shares = shares_of(space, Evidence(vector, {}), {"year": 3, "words": 2, "plot": 1, "title": 1})
    assert shares == dict.fromkeys(BLOCKS, 0.0) | {"plot": 0.5, "title": 0.5}
    nothing = shares_of(space, Evidence(np.zeros(space.n_dimensions_), {}), PRESETS["balanced"])
    assert nothing == dict.fromkeys(BLOCKS, 0.0)
    values, parts = similarities(contributions(space, Evidence(vector * 0, {}), nothing, films))
    assert not values.any() and not parts.any()


def test_a_space_without_a_reader_knows_no_such_block(sample_films):
    films = sample_films.head(20)
    space = JoinedSpace().fit(films, [np.random.default_rng(0).normal(size=(20, 3))])
    shares = shares_of(space, Evidence(np.ones(space.n_dimensions_), {}), PRESETS["theme"])
    assert shares["reader"] == 0 and sum(shares.values()) == pytest.approx(1)


def test_what_speaks_against_a_film_counts_and_never_shows_below_zero():
    values, parts = similarities(
        np.array([[0.5, -0.2], [0.1, -0.3], [0.0, 0.0], [0.9, 0.1 + 1e-9]])
    )
    np.testing.assert_allclose(values, [0.3, 0, 0, 1])
    np.testing.assert_allclose(parts, [[0.5, -0.2], [0, 0], [0, 0], [0.9, 0.1]])


def test_of_several_films_the_mean_counts_block_by_block(catalogue):
    space, films = catalogue
    one, other, third = (evidence_of(films, row) for row in (0, 1, 2))
    assert combine(space, [one]) is one
    both = combine(space, [one, other])
    for place in space.layout_.values():
        mean = one.vector[place] + other.vector[place]
        expected = mean / max(np.linalg.norm(mean), 1e-12)
        np.testing.assert_allclose(both.vector[place], expected, atol=1e-5)
    assert sum(weight**2 for weight in both.words.values()) == pytest.approx(1)
    again = combine(space, [other, one])
    np.testing.assert_allclose(again.vector, both.vector, atol=1e-6)
    away = combine(space, [one], [third])
    assert away.vector @ third.vector < one.vector @ third.vector
    assert min(away.words.values()) < 0 < max(away.words.values())
    assert films.words.cosines(away.words)[2] < films.words.cosines(one.words)[2]


def test_words_move_a_question(catalogue):
    space, films = catalogue
    base = evidence_of(films, 0)
    zero = np.zeros(space.n_dimensions_, dtype=np.float32)
    shark, beach = word_id("shark"), word_id("beach")
    more, less = Evidence(zero, {shark: 1.0}, ("sharks",)), Evidence(zero, {beach: 1.0}, ("beach",))
    moved = shift(space, base, more, less)
    np.testing.assert_allclose(moved.vector, base.vector, atol=1e-6)  # words alone say no more
    assert moved.words[shark] > 0.5 > -0.5 > moved.words[beach]
    assert (
        moved.terms[0] == "sharks" and "beach" not in moved.terms
    )  # nobody looks up what is unwanted
    assert base.words == evidence_of(films, 0).words  # it is as it was
    assert shift(space, base, None, None).words == pytest.approx(base.words)


def test_the_words_that_tell_most_are_few():
    text = " ".join(f"word{number}" for number in range(100)) + " Climbers climbing"
    words = {word_id(f"word{number}"): 1 / (1 + number) for number in range(100)}
    words[word_id("climber")], words[word_id("unwanted")] = 0.9, -1.0
    found = telling_terms(words, [text, "unwanted"], "english")
    assert len(found) == MOST_TERMS
    assert found[:3] == ("word0", "Climbers", "word1")
    assert telling_terms({}, [text], "english") == telling_terms(words, [], "english") == ()

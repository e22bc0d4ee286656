"""What the workings cannot check of words, embedders of other kinds and term features."""

import json
import pickle

import numpy as np
import pytest

from movrec.doc2vec import Doc2VecEmbedder
from movrec.workings import embedder as workings
from movrec.workings.core import ModelError, ParameterError, QueryError
from movrec.workings.embedder import (
    WordSpace,
    load_embedder,
    read_blocks,
    register_embedder,
    train_blocks,
    unit_rows,
)
from movrec.workings.folders import load_part, save_part
from movrec.workings.terms import TermFeatures
from movrec.workings.text import tokenize

TEXTS = [
    f"{name} flies a {ship} to the {place}. The crew of the {ship} fears the {danger}."
    for name in ("Anna", "Boris", "Chen", "Dora")
    for ship, danger in (("rocket", "alien"), ("galleon", "pirate"), ("train", "robber"))
    for place in ("moon", "island", "desert")
]


@pytest.fixture(scope="module")
def fitted():
    return Doc2VecEmbedder(12, epochs=8, sample=0.01, progress=False).fit(TEXTS)


class Lengths:
    """An embedder of somebody else's: no words, no blocks, nothing inherited."""

    kind = "lengths, a test"

    def fit(self, texts, y=None):
        self.longest_ = max(map(len, texts))

    def transform(self, texts):
        return [[len(text) / self.longest_, 1] for text in texts]

    def save(self, folder):
        save_part(folder, self.kind, {"longest": self.longest_}, {})

    @classmethod
    def load(cls, folder):
        other = cls()
        other.longest_ = load_part(folder, cls.kind)[0]["longest"]
        return other


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(workings, "_EMBEDDERS", dict(workings._EMBEDDERS))


# ---- words ---------------------------------------------------------------------------------------


def test_words_are_gensim_s(fitted):
    keyed = fitted.model_.wv
    assert fitted.words_.words == keyed.index_to_key
    assert fitted.words_.rows == keyed.key_to_index == fitted.vocabulary_
    assert [int(count) for count in fitted.words_.counts] == [
        keyed.get_vecattr(word, "count") for word in keyed.index_to_key
    ]
    theirs = keyed.most_similar("rocket", topn=5)
    ours = fitted.words_.most_similar("rocket", 5)
    assert [word for word, _ in ours] == [word for word, _ in theirs]
    np.testing.assert_allclose([c for _, c in ours], [c for _, c in theirs], atol=1e-6)


def test_word_means_are_those_of_the_formula_bit_for_bit(fitted):
    keyed = fitted.model_.wv
    counts = np.asarray(keyed.expandos["count"], dtype=float)
    weights = (1e-4 / (1e-4 + counts / counts.sum())).astype(np.float32)
    texts = [*TEXTS, "xyzzy", "", "rocket rocket moon"]
    expected = np.zeros((len(texts), keyed.vector_size), dtype=np.float32)
    for row, text in enumerate(texts):
        known = [keyed.key_to_index[word] for word in tokenize(text) if word in keyed.key_to_index]
        if known:
            weighted = weights[known, np.newaxis] * unit_rows(keyed.vectors[known])
            expected[row] = weighted.mean(axis=0)
    means = fitted.words_.means(texts)
    assert means.dtype == np.float32 and np.array_equal(means, expected)
    assert fitted.words_.means([]).shape == (0, 12)


def test_a_word_that_is_not_known(fitted):
    with pytest.raises(QueryError, match="did you mean rocket") as caught:
        fitted.words_.most_similar("rockett")
    assert caught.value.candidates[0] == "rocket"
    with pytest.raises(QueryError, match="try another word"):
        WordSpace([], [], np.zeros((0, 3))).most_similar("rocket")


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 1.5}, {"least_count": 0}, {"n": True}])
def test_how_many_words(fitted, wrong):
    with pytest.raises(ParameterError):
        fitted.words_.most_similar("rocket", **wrong)


def test_words_of_one_count_and_words_alone():
    space = WordSpace(["a", "b"], [2, 2], [[1, 0], [1, 0]])
    assert space.most_similar("a", 5) == [("b", 1.0)]
    assert space.most_similar("a", least_count=3) == []
    assert "a" in space and "c" not in space and len(space) == 2
    assert pickle.loads(pickle.dumps(space)).most_similar("a") == [("b", 1.0)]


# ---- embedders of other kinds --------------------------------------------------------------------


def test_an_embedder_without_blocks_has_one():
    embedder = Lengths()
    (trained,) = train_blocks(embedder, ["ab", "abcd"])
    (read,) = read_blocks(embedder, ["a"])
    assert trained.tolist() == [[0.5, 1], [1, 1]] and read.tolist() == [[0.25, 1]]
    assert trained.dtype == read.dtype == np.float32


def test_doc2vec_has_two_trained_and_read_ones(fitted):
    again = Doc2VecEmbedder(**fitted.get_params())
    documents, words = train_blocks(again, TEXTS)
    assert np.array_equal(documents, fitted.document_vectors_)
    assert np.array_equal(words, fitted.words_.means(TEXTS))
    documents[:] = 0
    assert again.document_vectors_.any()  # it was a copy
    inferred, words = read_blocks(fitted, TEXTS)
    assert np.array_equal(inferred, fitted.transform(TEXTS))
    assert np.array_equal(words, fitted.words_.means(TEXTS))


def test_doc2vec_is_found_by_its_kind_without_being_registered(fitted, tmp_path):
    fitted.save(tmp_path / "embedder")
    loaded = load_embedder(tmp_path / "embedder")
    assert isinstance(loaded, Doc2VecEmbedder)
    assert np.array_equal(loaded.transform(TEXTS), fitted.transform(TEXTS))


def test_another_kind_is_found_once_it_is_registered(tmp_path, registry):
    embedder = Lengths()
    embedder.fit(["abcd"])
    embedder.save(tmp_path / "embedder")
    with pytest.raises(ModelError, match="holds 'lengths, a test', and no embedder of that kind"):
        load_embedder(tmp_path / "embedder")
    assert register_embedder(Lengths) is Lengths
    assert load_embedder(tmp_path / "embedder").longest_ == 4


def test_what_is_no_embedder_is_not_registered(registry):
    class HalfAnEmbedder:
        kind = "half"

        def fit(self, texts):
            pass

    with pytest.raises(
        ParameterError, match="HalfAnEmbedder is no embedder: it has no transform, "
    ):
        register_embedder(HalfAnEmbedder)


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"kind": 3}'])
def test_a_folder_without_an_embedder(content, tmp_path):
    if content is not None:
        (tmp_path / "part.json").write_text(content)
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelError, match="holds no saved embedder"):
            load_embedder(folder)


# ---- term features -------------------------------------------------------------------------------


def test_terms_say_what_is_wrong():
    with pytest.raises(ParameterError, match="No word occurs in 2 of the 2 texts"):
        TermFeatures().fit(["every word", "differs here"])
    with pytest.raises(ParameterError, match="single str"):
        TermFeatures().fit("one text")
    with pytest.raises(ParameterError, match="n_components must be"):
        TermFeatures(0).fit(TEXTS)


def test_terms_that_are_damaged(tmp_path):
    terms = TermFeatures(5).fit(TEXTS)
    terms.save(tmp_path / "terms")
    assert np.array_equal(
        TermFeatures.load(tmp_path / "terms").transform(TEXTS), terms.transform(TEXTS)
    )
    description, arrays = load_part(tmp_path / "terms", TermFeatures.kind)
    fewer = {**description, "vocabulary": description["vocabulary"][:-1]}
    save_part(tmp_path / "terms", TermFeatures.kind, fewer, arrays)
    with pytest.raises(ModelError, match="damaged"):
        TermFeatures.load(tmp_path / "terms")
    text = (tmp_path / "terms" / "part.json").read_text()
    (tmp_path / "terms" / "part.json").write_text(text.replace("rocket", "socket"))
    with pytest.raises(ModelError, match="checksum"):
        TermFeatures.load(tmp_path / "terms")
    json.loads(text)

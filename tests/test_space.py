"""Odd films, other embedders and damaged parts: what lesson 04 cannot show."""

import itertools
import os
import subprocess
import sys
import zlib

import numpy as np
import pandas as pd
import pytest

from movrec.classifier import GenreClassifier
from movrec.doc2vec import Doc2VecEmbedder
from movrec.space import JoinedSpace, TextModel
from movrec.workings.blocks import GenreBlock, TitleBlock, YearBlock
from movrec.workings.core import ModelError, NotFittedError, ParameterError
from movrec.workings.embedder import register_embedder
from movrec.workings.folders import load_part, save_part
from movrec.workings.terms import TermFeatures
from movrec.workings.text import Plot, film_texts, tokenize


@register_embedder
class HashedWords:
    """An embedder that has nothing to learn: each word adds one to one of a few numbers."""

    kind = "hashed words"

    def __init__(self, size=48):
        self.size = size
        self.n_texts = 0

    def fit(self, texts, y=None):
        return self

    def transform(self, texts):
        self.n_texts += len(texts)
        rows = np.zeros((len(texts), self.size), dtype=np.float32)
        for row, text in zip(rows, texts):
            for word in tokenize(text):
                row[zlib.crc32(word.encode()) % self.size] += 1
        return rows

    def save(self, folder):
        save_part(folder, self.kind, {"size": self.size}, {})

    @classmethod
    def load(cls, folder):
        description, _ = load_part(folder, cls.kind)
        return cls(description["size"])


def classifier():
    return GenreClassifier(epochs=2, networks=1, progress=False)


@pytest.fixture(scope="module")
def films(sample_films):
    return sample_films.head(120).reset_index(drop=True)


@pytest.fixture(scope="module")
def doc2vec_model(films):
    model = TextModel(Doc2VecEmbedder(epochs=2, progress=False), classifier())
    return model, model.fit(films)


@pytest.fixture(scope="module")
def hashed_model(films):
    model = TextModel(HashedWords(), classifier(), terms=TermFeatures(16))
    return model, model.fit(films)


@pytest.fixture(params=["doc2vec_model", "hashed_model"])
def model_and_blocks(request):
    return request.getfixturevalue(request.param)


# ---- the joined space ----------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[6], [6, 4], [6, 4, 2]])
def test_any_number_of_text_blocks(films, sizes):
    rng = np.random.default_rng(0)
    blocks = [rng.normal(1, 1, (len(films), size)).astype(np.float32) for size in sizes]
    space = JoinedSpace().fit(films, blocks)
    text = space.text_features(blocks)
    joined = space.transform(films, blocks)
    assert text.shape == (len(films), sum(sizes))
    assert joined.shape == (len(films), space.n_dimensions_) and joined.dtype == np.float32
    np.testing.assert_array_equal(joined, space.transform(films, text))
    np.testing.assert_allclose(np.linalg.norm(text, axis=1), 1, rtol=1e-5)
    # Each block counts alike, however long its vectors are, and is centred.
    longer = [1000 * blocks[0], *blocks[1:]]
    np.testing.assert_allclose(space.text_features(longer), text, atol=1e-6)
    starts = np.cumsum([0, *sizes])
    parts = [text[:, a:b] for a, b in itertools.pairwise(starts)]
    for part in parts:
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), len(sizes) ** -0.5, rtol=1e-4)
        assert np.linalg.norm(part.mean(axis=0)) < 0.15


def test_a_space_is_saved_and_loaded(films, tmp_path):
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(len(films), size)) for size in (5, 3)]
    space = JoinedSpace(genre_weight=0.3, title_dimensions=np.int64(16)).fit(films, blocks)
    space.save(tmp_path)
    loaded = JoinedSpace.load(tmp_path)
    np.testing.assert_array_equal(space.transform(films, blocks), loaded.transform(films, blocks))
    assert loaded.get_params() == space.get_params()
    assert loaded.evidence_ == space.evidence_ and loaded.genres_ == space.genres_
    part = next(tmp_path.glob("*.json"))
    part.write_text(part.read_text().replace("typical_", "typical"))
    with pytest.raises(ModelError, match="joined space"):
        JoinedSpace.load(tmp_path)


@pytest.mark.parametrize(
    "parameters",
    [
        {"genre_weight": -1},
        {"title_weight": "1"},
        {"title_dimensions": 0},
        {"title_dimensions": 2.5},
        {"year_weight": float("nan")},
        {"year_weight": float("inf")},
    ],
)
def test_bad_parameters_of_a_space(films, parameters):
    with pytest.raises(ParameterError, match=next(iter(parameters))):
        JoinedSpace(**parameters).fit(films, [np.ones((len(films), 2))])


def test_blocks_that_do_not_fit(films):
    blocks = [np.ones((len(films), 4)), np.ones((len(films), 3))]
    with pytest.raises(NotFittedError):
        JoinedSpace().text_features(blocks)
    for wrong in (blocks[0], [], [blocks[0][:-1]], [np.ones(len(films))]):
        with pytest.raises(ParameterError, match="ext blocks"):
            JoinedSpace().fit(films, wrong)
    space = JoinedSpace().fit(films, blocks)
    for wrong in (blocks[:1], blocks[::-1], [*blocks, blocks[0]]):
        with pytest.raises(ParameterError, match="ext blocks"):
            space.text_features(wrong)


def test_a_text_without_a_known_word_gets_no_direction(films):
    documents = np.random.default_rng(0).normal(1, 1, (len(films), 4))
    documents[3] = 0
    space = JoinedSpace().fit(films, [documents])
    assert not space.text_features([documents])[3].any()
    assert np.isfinite(space.transform(films, [documents])).all()


def test_films_without_genres_without_years_and_without_a_title(films):
    odd = films.head(4).copy()
    odd["genres"] = [[], [], ["No such genre"], ["Drama"]]
    odd["year"] = pd.array([pd.NA, 1999, pd.NA, 2000], dtype="Int16")
    odd["title"] = ["", None, "?!", "Heat"]
    text = [np.ones((len(films), 2)) + np.eye(len(films), 2)]
    space = JoinedSpace().fit(films, text)
    vectors = space.transform(odd, [text[0][:4]])
    assert np.isfinite(vectors).all()
    genres, titles, years = (block.transform(odd) for block in space.evidence_)
    assert not genres[:3].any() and genres[3].any()
    assert not titles[:2].any() and titles[2].any()  # two signs are all that its title has
    np.testing.assert_array_equal(years[0], years[2])
    nobody = odd.assign(year=pd.array([pd.NA] * 4, dtype="Int16"), genres=[[]] * 4)
    empty = JoinedSpace().fit(nobody, [text[0][:4]])
    assert empty.genres_ == [] and empty.evidence_[2].typical_ is None
    assert not empty.evidence_[2].transform(nobody).any()


JOIN = """
import hashlib
import numpy as np
import pandas as pd
from movrec.space import JoinedSpace

titles = ["The Good, the Bad and the Ugly", "Toy Story 2: Back to the Toys of Andy", "Heat", "War and Peace of Mind"]
films = pd.DataFrame({"title": titles, "year": [1966, 1999, 1995, 2001], "genres": [["Drama"], ["War"], [], ["Drama"]]})
documents = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
vectors = JoinedSpace().fit(films, [documents]).transform(films, [documents])
print(hashlib.sha256(vectors.tobytes()).hexdigest())
"""


def test_vectors_are_the_same_in_every_process():
    seen = {
        subprocess.run(
            [sys.executable, "-c", JOIN],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(seen) == 1


def test_blocks_are_equal_when_they_learned_the_same(films):
    for block in (GenreBlock, TitleBlock, YearBlock):
        assert block().fit(films) == block().fit(films.copy()) != block(weight=2).fit(films)


# ---- what is learned from texts ------------------------------------------------------------------


def test_a_text_model_of_any_embedder_is_saved_and_loaded(model_and_blocks, films, tmp_path):
    model, blocks = model_and_blocks
    model.save(tmp_path)
    loaded = TextModel.load(tmp_path)
    assert type(loaded.embedder) is type(model.embedder)
    first, second = model.read(films.head(7)), loaded.read(films.head(7))
    for one, other in zip(first.blocks, second.blocks, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.text, second.text)
    np.testing.assert_allclose(first.probabilities, second.probabilities, atol=1e-6)
    assert first.called == second.called and first.genres == model.space.genres_
    assert len(first.blocks) == len(blocks) and first.known.all() and len(first) == 7
    joined = model.space.transform(films.head(7), first.text, first.probabilities)
    assert joined.shape == (7, model.space.n_dimensions_)


def test_the_space_of_a_folder_is_not_loaded_twice(doc2vec_model, tmp_path):
    model, _ = doc2vec_model
    model.save(tmp_path)
    space = JoinedSpace.load(tmp_path / "space")
    assert TextModel.load(tmp_path, space=space).space is space


def test_films_that_were_trained_on_keep_their_vectors(doc2vec_model, films):
    model, blocks = doc2vec_model
    trained = model.read(films.head(3), [block[:3] for block in blocks])
    np.testing.assert_array_equal(trained.blocks[0], model.embedder.document_vectors_[:3])
    inferred = model.read(films.head(3))
    assert not np.array_equal(trained.blocks[0], inferred.blocks[0])


def test_a_text_is_embedded_once_and_classified_once(films, monkeypatch):
    model = TextModel(HashedWords(), classifier(), terms=TermFeatures(16))
    model.fit(films)
    assert model.embedder.n_texts == len(films)
    calls = []
    predict = GenreClassifier.predict_proba
    monkeypatch.setattr(
        GenreClassifier, "predict_proba", lambda self, X: calls.append(len(X)) or predict(self, X)
    )
    reading = model.read_plot(Plot("A sheriff rides into town.", "The Ride"))
    reading.genre_table()
    assert calls == [1] and model.embedder.n_texts == len(films) + 1
    table = reading.genre_table()
    assert table["probability"].is_monotonic_decreasing
    assert set(table.loc[table["predicted"], "genre"]) == set(reading.called[0])


def test_genres_are_called_as_the_classifier_calls_them(model_and_blocks, films):
    model, _ = model_and_blocks
    reading = model.read(films)
    order = {genre: column for column, genre in enumerate(reading.genres)}
    for called, row in zip(reading.called, reading.probabilities):
        threshold = dict(zip(model.classifier.classes_, model.classifier.thresholds_))
        above = {genre for genre, column in order.items() if row[column] >= threshold[genre]}
        assert set(called) == above or (not above and len(called) == 1)
        assert called == sorted(called, key=lambda genre: -row[order[genre]])


@pytest.mark.parametrize("overview", ["qwxz zzkkj", "... !"])
def test_a_plot_of_which_nothing_is_known(doc2vec_model, hashed_model, overview):
    with pytest.raises(ParameterError, match="None of the words"):
        doc2vec_model[0].read_plot(Plot(overview, "Toy Story"))  # a known title does not help
    with pytest.raises(ParameterError, match="None of the words"):
        hashed_model[0].read_plot(Plot("... !"))


def test_text_fields_that_a_plot_does_not_have(films):
    films = films.assign(tagline="A tale of sheriffs.")
    fields = ("title", "overview", "tagline")
    model = TextModel(HashedWords(), classifier(), terms=TermFeatures(8), text_fields=fields)
    model.fit(films)
    reading = model.read_plot(Plot("A sheriff rides into town."))
    assert reading.films["tagline"].tolist() == [""]
    assert film_texts(films, fields)[0].endswith("sheriffs.")


def test_genres_that_are_hidden_are_not_looked_at(films):
    shown = np.arange(0, len(films), 2)
    readings = []
    for hidden in (["Secret"], ["Another", "Secret"]):
        genres = [names if row % 2 == 0 else hidden for row, names in enumerate(films["genres"])]
        told = films.assign(genres=genres)
        model = TextModel(HashedWords(), classifier(), terms=TermFeatures(16))
        blocks = model.fit(told, labelled=shown)
        assert len(blocks[0]) == len(films)  # the texts of all are read
        assert not {"Secret", "Another"} & {*model.space.genres_, *model.classifier.classes_}
        readings.append(model.read(told))
    np.testing.assert_array_equal(readings[0].probabilities, readings[1].probabilities)

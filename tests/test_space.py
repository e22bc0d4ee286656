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
from movrec.space import JoinedSpace, TextModel, word_fields
from movrec.workings.blocks import GenreBlock, TitleBlock, YearBlock, year_hills
from movrec.workings.core import ModelError, NotFittedError, ParameterError
from movrec.workings.embedder import register_embedder
from movrec.workings.folders import load_part, save_part
from movrec.workings.reader import default_reader
from movrec.workings.terms import TermFeatures
from movrec.workings.text import Plot, film_texts, tokenize
from movrec.workings.weights import BLOCKS


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
    """Of Doc2Vec, and of the reader where there is one."""
    model = TextModel(Doc2VecEmbedder(epochs=2, progress=False), classifier())
    return model, model.fit(films)


@pytest.fixture(scope="module")
def hashed_model(films):
    """Of an embedder of somebody else's, without a reader."""
    model = TextModel(HashedWords(), classifier(), terms=TermFeatures(16), reader=False)
    return model, model.fit(films)


@pytest.fixture(params=["doc2vec_model", "hashed_model"])
def model_and_blocks(request):
    return request.getfixturevalue(request.param)


# ---- the joined space ----------------------------------------------------------------------------


def some_text(films, **sizes):
    """Text blocks of random numbers: of each name as many matrices as there are sizes."""
    rng = np.random.default_rng(0)
    return {
        name: [rng.normal(1, 1, (len(films), size)).astype(np.float32) for size in part]
        for name, part in sizes.items()
    }


@pytest.mark.parametrize(
    "sizes",
    [{"plot": [6]}, {"plot": [6, 4]}, {"plot": [6, 4, 2], "reader": [5]}, {"reader": [3, 3]}],
    ids=str,
)
def test_any_number_of_text_blocks(films, sizes):
    text = some_text(films, **sizes)
    space = JoinedSpace().fit(films, text)
    vectors = space.text_vectors(text)
    joined = space.transform(films, text)
    assert list(vectors) == list(sizes) and joined.dtype == np.float32
    assert joined.shape == (len(films), space.n_dimensions_)
    np.testing.assert_array_equal(joined, space.transform(films, vectors))
    longer = {name: [1000 * part[0], *part[1:]] for name, part in text.items()}
    for name, part in sizes.items():
        assert vectors[name].shape == (len(films), sum(part))
        np.testing.assert_allclose(np.linalg.norm(vectors[name], axis=1), 1, rtol=1e-5)
        # Each matrix counts alike, however long its vectors are, and is centred.
        np.testing.assert_allclose(space.text_vectors(longer)[name], vectors[name], atol=1e-6)
        starts = np.cumsum([0, *part])
        for matrix in (vectors[name][:, a:b] for a, b in itertools.pairwise(starts)):
            np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), len(part) ** -0.5, rtol=1e-4)
            assert np.linalg.norm(matrix.mean(axis=0)) < 0.15


@pytest.mark.parametrize("sizes", [{"plot": [6, 4]}, {"plot": [6, 4], "reader": [5]}], ids=str)
def test_every_block_has_its_place_and_length_one_or_none(films, sizes):
    text = some_text(films, **sizes)
    space = JoinedSpace(title_dimensions=16).fit(films, text)
    assert list(space.layout_) == [*sizes, "genres", "title", "year"]
    assert set(space.layout_) | {"words"} <= set(BLOCKS)
    filled = [
        column for place in space.layout_.values() for column in range(place.start, place.stop)
    ]
    assert filled == list(range(space.n_dimensions_))  # one after the other, no gap, no overlap
    odd = films.copy()
    odd["genres"] = [[] if row % 3 == 0 else names for row, names in enumerate(odd["genres"])]
    odd["title"] = ["" if row % 5 == 0 else title for row, title in enumerate(odd["title"])]
    text = {
        name: [part * (np.arange(len(films)) % 7 > 0)[:, None] for part in of]
        for name, of in text.items()
    }
    joined = space.transform(odd, text)
    for name, place in space.layout_.items():
        lengths = np.linalg.norm(joined[:, place], axis=1)
        assert np.all((np.abs(lengths - 1) < 1e-5) | (lengths == 0)), name
    lengths = {
        name: np.linalg.norm(joined[:, place], axis=1) for name, place in space.layout_.items()
    }
    assert (lengths["genres"] == 0).tolist() == [row % 3 == 0 for row in range(len(films))]
    assert (lengths["title"] == 0).tolist() == [row % 5 == 0 for row in range(len(films))]
    assert (lengths["plot"] == 0).tolist() == [row % 7 == 0 for row in range(len(films))]
    assert (lengths["year"] > 0).all()


def test_a_scaled_vector_s_product_is_the_weighted_sum_of_the_blocks_cosines(films):
    text = some_text(films, plot=[6, 4], reader=[5])
    space = JoinedSpace(title_dimensions=16).fit(films, text)
    joined = space.transform(films, text)
    weights = {"plot": 0.5, "reader": 2, "genres": 0.25, "year": 3.0, "words": 7}  # no title
    expected = sum(
        weights.get(name, 0) * (joined[:, place] @ joined[3, place])
        for name, place in space.layout_.items()
    )
    query = space.scale(joined[3], weights)
    assert query.dtype == np.float32 and not query[space.layout_["title"]].any()
    np.testing.assert_allclose(joined @ query, expected, atol=1e-5)
    many = space.scale(joined[:5], weights)
    np.testing.assert_array_equal(many[3], query)
    assert not space.scale(joined, {}).any()
    np.testing.assert_array_equal(joined[3], space.transform(films, text)[3])  # it was a copy


def test_a_list_of_matrices_is_the_plot_s(films):
    text = some_text(films, plot=[6, 4])
    space = JoinedSpace().fit(films, text["plot"])
    assert list(space.means_) == ["plot"]
    joined = space.transform(films, text["plot"])
    np.testing.assert_array_equal(joined, JoinedSpace().fit(films, text).transform(films, text))
    np.testing.assert_array_equal(joined, space.transform(films, space.text_vectors(text)["plot"]))


def test_a_space_is_saved_and_loaded(films, tmp_path):
    text = some_text(films, plot=[5, 3], reader=[4])
    space = JoinedSpace(title_dimensions=np.int64(16)).fit(films, text)
    space.save(tmp_path)
    loaded = JoinedSpace.load(tmp_path)
    np.testing.assert_array_equal(space.transform(films, text), loaded.transform(films, text))
    assert loaded.get_params() == space.get_params() and loaded.layout_ == space.layout_
    assert loaded.evidence_ == space.evidence_ and loaded.genres_ == space.genres_
    part = next(tmp_path.glob("*.json"))
    part.write_text(part.read_text().replace("typical_", "typical"))
    with pytest.raises(ModelError, match="joined space"):
        JoinedSpace.load(tmp_path)


def test_a_space_whose_parts_do_not_fit_is_damaged(films, tmp_path):
    text = some_text(films, plot=[5, 3], reader=[4])
    JoinedSpace().fit(films, text).save(tmp_path)
    description, arrays = load_part(tmp_path, JoinedSpace.kind)
    fewer = {name: array for name, array in arrays.items() if name != "plot_1"}
    save_part(tmp_path, JoinedSpace.kind, description, fewer)
    with pytest.raises(ModelError, match="damaged"):
        JoinedSpace.load(tmp_path)
    save_part(tmp_path, JoinedSpace.kind, {**description, "evidence": []}, arrays)
    with pytest.raises(ModelError, match="damaged"):
        JoinedSpace.load(tmp_path)


@pytest.mark.parametrize("value", [0, -1, 2.5, "16", None, True, float("nan")])
def test_bad_parameters_of_a_space(films, value):
    with pytest.raises(ParameterError, match="title_dimensions"):
        JoinedSpace(title_dimensions=value).fit(films, [np.ones((len(films), 2))])


def test_blocks_that_do_not_fit(films):
    blocks = [np.ones((len(films), 4)), np.ones((len(films), 3))]
    with pytest.raises(NotFittedError):
        JoinedSpace().text_vectors(blocks)
    for wrong in (blocks[0], [], [blocks[0][:-1]], [np.ones(len(films))]):
        with pytest.raises(ParameterError, match="ext blocks"):
            JoinedSpace().fit(films, wrong)
    space = JoinedSpace().fit(films, blocks)
    for wrong in (blocks[:1], blocks[::-1], [*blocks, blocks[0]]):
        with pytest.raises(ParameterError, match="ext blocks"):
            space.text_vectors(wrong)
    with pytest.raises(ParameterError, match="no text block 'reader': it was fitted to plot"):
        space.text_vectors({"plot": blocks, "reader": blocks[:1]})
    for wrong in (np.ones((len(films), 6)), np.ones((3, 7)), {"reader": np.ones((len(films), 7))}):
        with pytest.raises(ParameterError, match="ext block"):
            space.transform(films, wrong)


def test_a_text_without_a_known_word_gets_no_direction(films):
    documents = np.random.default_rng(0).normal(1, 1, (len(films), 4))
    documents[3] = 0
    space = JoinedSpace().fit(films, [documents])
    assert not space.text_vectors([documents])["plot"][3].any()
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
    genres, titles, years = (block.transform(odd) for block in space.evidence_.values())
    assert not genres[:3].any() and genres[3].any()
    assert not titles[:2].any() and titles[2].any()  # two signs are all that its title has
    np.testing.assert_array_equal(years[0], years[2])
    nobody = odd.assign(year=pd.array([pd.NA] * 4, dtype="Int16"), genres=[[]] * 4)
    empty = JoinedSpace().fit(nobody, [text[0][:4]])
    assert empty.genres_ == [] and empty.evidence_["year"].typical_ is None
    assert not empty.evidence_["year"].transform(nobody).any()


def test_years_are_near_where_they_are_near():
    years = [1888, 1890, 1972, 1977, 1982, 2012, 2040, 2100, None]
    hills = year_hills(years)
    assert hills.shape == (9, YearBlock().size) and hills.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(hills, axis=1), [1] * 8 + [0], rtol=1e-5)
    np.testing.assert_array_equal(hills[0], hills[1])  # beyond the hills all are alike
    np.testing.assert_array_equal(hills[6], hills[7])
    for one, other in itertools.combinations(range(1, 7), 2):
        gap = years[other] - years[one]
        assert hills[one] @ hills[other] == pytest.approx(np.exp(-((gap / 40) ** 2)), abs=0.07)
    falling = year_hills(range(1920, 2011)) @ year_hills([1920])[0]
    assert (np.diff(falling) < 1e-6).all() and falling.min() >= 0
    assert not year_hills(["no year", float("nan")]).any() and year_hills([]).shape == (0, 18)


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
        other = films.head(9).assign(year=1950)
        assert block().fit(films) == block().fit(films.copy()) != block().fit(other)


# ---- what is learned from texts ------------------------------------------------------------------


def test_a_text_model_of_any_embedder_is_saved_and_loaded(model_and_blocks, films, tmp_path):
    model, blocks = model_and_blocks
    model.save(tmp_path)
    loaded = TextModel.load(tmp_path)
    assert type(loaded.embedder) is type(model.embedder)
    first, second = model.read(films.head(7)), loaded.read(films.head(7))
    for one, other in zip(first.blocks, second.blocks, strict=True):
        np.testing.assert_array_equal(one, other)
    assert list(first.text) == [name for name in model.blocks if name in ("plot", "reader")]
    for name, vectors in first.text.items():
        np.testing.assert_array_equal(vectors, second.text[name])
    for row in range(7):
        assert first.words.row(row) == second.words.row(row) and first.words.row(row)
    np.testing.assert_allclose(first.probabilities, second.probabilities, atol=1e-6)
    assert first.called == second.called and first.genres == model.space.genres_
    assert len(first.blocks) == len(blocks) and first.known.all() and len(first) == 7
    joined = model.space.transform(films.head(7), first.text, first.probabilities)
    assert joined.shape == (7, model.space.n_dimensions_)
    assert (loaded.reader is None) == (model.reader is None) == (not (tmp_path / "reader").exists())


def test_a_model_with_a_reader_and_one_without(doc2vec_model, hashed_model):
    without = hashed_model[0]
    assert without.reader is None and without.blocks == ["plot", "words", "genres", "title", "year"]
    if default_reader() is None:
        pytest.skip("the reader's table, or model2vec, is not here")
    with_reader = doc2vec_model[0]
    assert with_reader.blocks == list(BLOCKS)
    reading = with_reader.read_plot(Plot("A marshal hunts outlaws."))
    assert list(reading.text) == ["plot", "reader"]
    np.testing.assert_allclose(np.linalg.norm(reading.text["reader"], axis=1), 1, rtol=1e-5)
    # Two plots without a common word: the reader knows which are of one kind.
    near, far = (
        with_reader.read_plot(Plot(text)).text["reader"][0] @ reading.text["reader"][0]
        for text in ("The sheriff rides after some bandits.", "The baker falls in love at school.")
    )
    assert near > 0.2 > far


@pytest.mark.parametrize("part", ["words", "space", "embedder", "reader"])
def test_a_damaged_part_of_a_model(doc2vec_model, tmp_path, part):
    doc2vec_model[0].save(tmp_path)
    folder = tmp_path / part
    if not folder.exists():
        pytest.skip("the reader's table, or model2vec, is not here")
    for file in folder.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ModelError):
        TextModel.load(tmp_path)


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
    assert word_fields(films, ("title",)) == ["title", "tagline"]
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

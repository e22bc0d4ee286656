"""What the classifier's notebook cannot check: bad input, tiny data, faults, damaged files."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from movrec.classifier import GenreClassifier
from movrec.workings.core import ModelError, MovrecError, NotFittedError, ParameterError
from movrec.workings.folders import load_part, save_part
from movrec.workings.genres import genre_matrix, genre_scores, micro_f1, tune_thresholds
from movrec.workings.network import build_network, choose_device, network_probabilities

GENRES = ["Action", "Comedy", "Drama", "Science Fiction"]


def made_up_films(n_films=300, seed=0):
    """Return vectors whose first numbers tell the genres, and these genres."""
    random = np.random.default_rng(seed)
    present = random.random((n_films, len(GENRES))) < [0.5, 0.4, 0.3, 0.1]
    present[~present.any(axis=1), 2] = True
    vectors = random.normal(size=(n_films, 10)).astype(np.float32)
    vectors[:, : len(GENRES)] += 3 * present
    return vectors, [[GENRES[genre] for genre in np.flatnonzero(row)] for row in present]


def small(**parameters):
    """Return an unfitted classifier that trains in a moment."""
    chosen = {"hidden": (16,), "epochs": 8, "lr": 0.01, "batch_size": 64, "input_dropout": 0.2}
    chosen |= {"networks": 2, "progress": False} | parameters
    return GenreClassifier(**chosen)


@pytest.fixture(scope="module")
def data():
    return made_up_films()


@pytest.fixture(scope="module")
def fitted(data):
    return small().fit(*data)


@pytest.fixture(scope="module")
def saved(fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classifier") / "model"
    fitted.save(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of the saved classifier, to be damaged."""
    return shutil.copytree(saved, tmp_path / "copy")


def description_of(folder):
    return json.loads((folder / "part.json").read_text(encoding="utf-8"))["description"]


def rewrite(folder, change):
    """Write the part anew, with right checksums, after `change` has had both its halves."""
    description, arrays = load_part(folder, GenreClassifier.kind)
    change(description, arrays)
    save_part(folder, GenreClassifier.kind, description, arrays)


def edit_json(folder, **changes):
    content = json.loads((folder / "part.json").read_text(encoding="utf-8"))
    (folder / "part.json").write_text(json.dumps(content | changes), encoding="utf-8")


def one_sentence(error):
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 400
    return text


# Learning


def test_it_learns_what_can_be_learned(fitted):
    vectors, genres = made_up_films(200, seed=1)
    assert fitted.score(vectors, genres) > 0.85
    assert fitted.classes_.tolist() == GENRES
    assert fitted.n_features_in_ == 10
    probabilities = fitted.predict_proba(vectors)
    assert probabilities.dtype == np.float32 and probabilities.shape == (200, 4)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_the_best_weights_are_kept(data):
    classifier = small(epochs=40, networks=1, lr=0.01, patience=3).fit(*data)
    losses = [record["validation_loss"] for record in classifier.history_]
    best = classifier.best_epochs_[0]
    assert best == np.argmin(losses) + 1
    assert len(losses) in (40, best + 3)
    truth = np.array([[name in row for name in GENRES] for row in data[1]])
    rows = classifier.validation_films_
    again = classifier.predict_proba(data[0][rows])
    assert np.allclose(again, classifier.validation_probabilities_, atol=1e-5)
    loss = -np.log(np.where(truth[rows], again, 1 - again)).mean()
    assert loss == pytest.approx(min(losses), abs=1e-4)


def test_each_network_sets_other_films_aside(data):
    classifier = small(networks=4, validation_fraction=0.1).fit(*data)
    assert 115 <= len(classifier.validation_films_) <= 120
    assert {record["network"] for record in classifier.history_} == {1, 2, 3, 4}
    assert len(classifier.best_epochs_) == len(classifier.networks_) == 4


def test_without_films_set_aside_all_epochs_are_run(data):
    classifier = small(validation_fraction=0, epochs=6).fit(*data)
    assert classifier.best_epochs_ == [6, 6]
    assert (classifier.thresholds_ == 0.5).all()
    assert all("validation_loss" not in record for record in classifier.history_)


def test_predict_is_probabilities_at_thresholds(fitted, data):
    probabilities = fitted.predict_proba(data[0])
    for row, names in zip(probabilities, fitted.predict(data[0])):
        expected = {GENRES[genre] for genre in np.flatnonzero(row >= fitted.thresholds_)}
        assert set(names) == (expected or {GENRES[row.argmax()]})
        ranks = [row[GENRES.index(name)] for name in names]
        assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize("thresholds", ["single", "per-genre", 0.9, 0])
def test_thresholds(data, thresholds):
    classifier = small(thresholds=thresholds).fit(*data)
    assert classifier.thresholds_.shape == (4,)
    if isinstance(thresholds, str):
        assert (len(set(classifier.thresholds_)) == 1) == (thresholds == "single")
    else:
        assert (classifier.thresholds_ == thresholds).all()
    assert all(classifier.predict(data[0]))


def test_top_genres(fitted, data):
    for tops in (fitted.top_genres(data[0][:5]), fitted.top_genres(data[0][:5], n=99)):
        assert len(tops) == 5
        for pairs in tops:
            values = [probability for _, probability in pairs]
            assert values == sorted(values, reverse=True)
            assert all(type(name) is str and type(value) is float for name, value in pairs)
    assert {len(pairs) for pairs in tops} == {4}


def test_a_film_gets_the_same_in_any_company(fitted, data):
    alone = np.vstack([fitted.predict_proba(vector.reshape(1, -1)) for vector in data[0][:20]])
    assert np.allclose(alone, fitted.predict_proba(data[0])[:20], atol=1e-6)


def test_no_films_get_no_genres(fitted):
    assert fitted.predict_proba(np.zeros((0, 10))).shape == (0, 4)
    assert fitted.predict(np.zeros((0, 10))) == []


def test_a_genre_that_is_unknown_counts_as_missed(fitted, data):
    vectors, genres = data
    stranger = [[*names, "Musical"] for names in genres]
    assert fitted.score(vectors, stranger) < fitted.score(vectors, genres)


@pytest.mark.parametrize("convert", [list, lambda X: X.tolist(), lambda X: X.astype(float)])
def test_vectors_may_come_as_lists_or_doubles(fitted, data, convert):
    assert np.array_equal(fitted.predict_proba(convert(data[0])), fitted.predict_proba(data[0]))


def test_vectors_and_genres_may_come_from_pandas_and_torch(fitted, data):
    import pandas as pd
    import torch

    vectors, genres = data
    expected = fitted.predict_proba(vectors)
    assert np.array_equal(fitted.predict_proba(pd.DataFrame(vectors)), expected)
    assert np.array_equal(fitted.predict_proba(torch.from_numpy(vectors)), expected)
    tuples = pd.Series([tuple(names) for names in genres], index=range(5, 5 + len(genres)))
    assert np.array_equal(small().fit(vectors, tuples).predict_proba(vectors), expected)


def test_the_vectors_are_left_as_they_were(data):
    vectors = data[0].copy()
    vectors.flags.writeable = False
    small(epochs=1).fit(vectors, data[1]).predict(vectors)
    assert np.array_equal(vectors, data[0])


def test_scale_and_constant_columns_do_not_matter(data):
    vectors = data[0].astype(np.float64) * 1e6 + 3e6
    vectors[:, 9] = 7e8
    assert small().fit(vectors, data[1]).score(vectors, data[1]) > 0.8


# Tiny data


@pytest.mark.parametrize("n_films", [2, 3, 5, 9, 10, 11, 64, 65, 66, 129])
@pytest.mark.parametrize("batch_size", [2, 64])
def test_few_films(n_films, batch_size):
    vectors, genres = made_up_films(n_films)
    classifier = small(epochs=2, batch_size=batch_size).fit(vectors, genres)
    assert len(classifier.predict(vectors)) == n_films
    assert np.isfinite(classifier.predict_proba(vectors)).all()


def test_one_genre_only():
    vectors = made_up_films(40)[0]
    classifier = small().fit(vectors, [["Drama"]] * 40)
    assert classifier.predict(vectors) == [["Drama"]] * 40


def test_a_genre_with_a_single_film_is_learned_from(data):
    vectors, genres = data
    genres = [["Western"], *genres[1:]]
    classifier = small(validation_fraction=0.5, networks=6).fit(vectors, genres)
    assert "Western" in classifier.classes_
    assert 0 not in classifier.validation_films_


def test_every_film_has_a_genre_of_its_own():
    vectors = made_up_films(30)[0]
    classifier = small().fit(vectors, [[f"genre {number}"] for number in range(30)])
    assert len(classifier.validation_films_) == 0
    assert len(classifier.classes_) == 30


def test_one_number_a_film_and_no_hidden_layer():
    vectors, genres = made_up_films(50)
    classifier = small(hidden=()).fit(vectors[:, :1], genres)
    assert classifier.predict_proba(vectors[:, :1]).shape == (50, 4)


def test_names_with_any_characters(tmp_path):
    names = ['Science-fiction & "fantastique"', "l'amour", "100 %", "ドラマ", "a,b"]
    vectors = made_up_films(50)[0]
    classifier = small(epochs=1).fit(vectors, [[names[row % 5]] for row in range(50)])
    classifier.save(tmp_path)
    assert GenreClassifier.load(tmp_path).classes_.tolist() == sorted(names)


def test_genres_named_twice_count_once(data):
    vectors, genres = data
    twice = [names + names[:1] for names in genres]
    assert np.array_equal(
        small().fit(vectors, twice).predict_proba(vectors),
        small().fit(vectors, genres).predict_proba(vectors),
    )


# Repeatability


def test_the_seed_decides(data):
    first, second, other = (
        small(random_state=seed).fit(*data).predict_proba(data[0]) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_torch_is_left_as_it_was_found(data):
    import torch

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.manual_seed(7)
        state = torch.get_rng_state()
        np_state = np.random.get_state()[1].copy()
        classifier = small(epochs=2).fit(*data)
        classifier.predict(data[0])
        assert torch.equal(state, torch.get_rng_state())
        assert np.array_equal(np_state, np.random.get_state()[1])
        assert torch.get_num_threads() == 2
        with pytest.raises(ParameterError):
            small(lr=900.0, weight_decay=900.0, epochs=50).fit(*data)
        assert torch.equal(state, torch.get_rng_state())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


@pytest.mark.slow
def test_another_process_with_other_threads_gets_the_same(data, tmp_path):
    program = f"""
import sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import numpy as np
from test_classifier import made_up_films, small
vectors, genres = made_up_films()
np.save(sys.argv[1], small().fit(vectors, genres).predict_proba(vectors))
"""
    results = []
    for number in ("1", "2"):
        path = tmp_path / f"{number}.npy"
        environment = os.environ | {"OMP_NUM_THREADS": number, "PYTHONHASHSEED": number}
        subprocess.run([sys.executable, "-c", program, path], env=environment, check=True)
        results.append(np.load(path))
    assert np.array_equal(*results)


def test_random_state_may_be_none(data):
    assert small(random_state=None, epochs=1).fit(*data).predict(data[0])


def test_numpy_says_what_torch_says(fitted, data):
    import torch

    standardized = torch.from_numpy((data[0] - fitted.mean_) / fitted.scale_)
    networks = torch.nn.ModuleList(build_network(10, 4, (16,)) for _ in range(2))
    networks.load_state_dict({key: torch.tensor(it) for key, it in fitted.weights_.items()})
    each = [network_probabilities(network, standardized) for network in networks]
    assert np.abs(fitted.predict_proba(data[0]) - np.mean(each, axis=0)).max() < 1e-6


def test_a_saved_one_is_asked_without_torch(saved, fitted, data, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    loaded = GenreClassifier.load(saved)
    assert np.array_equal(loaded.predict_proba(data[0]), fitted.predict_proba(data[0]))
    loaded.save(saved.parent / "again")
    with pytest.raises(MovrecError, match="pip install torch"):
        small().fit(*data)


def test_an_interrupted_fit_leaves_the_last_one(data, monkeypatch):
    import movrec.workings.training

    classifier = small().fit(*data)
    before = classifier.predict_proba(data[0])
    train_epoch = movrec.workings.training.train_epoch
    calls = []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > 10:  # in the second network
            raise KeyboardInterrupt
        return train_epoch(*arguments)

    monkeypatch.setattr(movrec.workings.training, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(data[0][:, :5], [["Musical"]] * 300)
    assert np.array_equal(classifier.predict_proba(data[0]), before)


def test_clone_and_parameters(data):
    from sklearn.base import clone

    classifier = small(dropout=0.5)
    copy = clone(classifier)
    assert copy.get_params() == classifier.get_params()
    assert copy.set_params(lr=0.01).lr == 0.01
    assert "dropout=0.5" in repr(copy)
    with pytest.raises(ParameterError, match="learning_rate"):
        copy.set_params(learning_rate=1)


def test_importing_is_cheap():
    program = """
import sys
import movrec.classifier
heavy = {"torch", "sklearn.metrics", "gensim", "safetensors", "matplotlib", "lancedb"}
heavy &= set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("progress", [True, False])
def test_there_is_no_litter_in_a_log(data, capfd, progress):
    small(epochs=2, progress=progress).fit(*data)
    assert capfd.readouterr() == ("", "")


# Bad input


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden": 512}, {"hidden": (512, 0)}, {"hidden": (1.5,)}, {"hidden": "512"},
        {"dropout": 1}, {"dropout": -0.1}, {"dropout": None}, {"dropout": float("nan")},
        {"epochs": 0}, {"epochs": 2.5}, {"epochs": True}, {"batch_size": 1}, {"lr": 0},
        {"lr": "fast"}, {"lr": float("inf")}, {"input_dropout": 1.0}, {"weight_decay": -1},
        {"networks": 0}, {"networks": 10**6}, {"validation_fraction": 1.0}, {"patience": 0},
        {"thresholds": "best"}, {"thresholds": 1}, {"thresholds": None}, {"thresholds": [0.5]},
        {"random_state": -1}, {"random_state": "x"}, {"device": "abacus"}, {"device": "cuda:99"},
        {"device": 7.5}, {"device": "meta"},
    ],
    ids=str,
)  # fmt: skip
def test_a_parameter_out_of_range_is_named(data, parameters):
    with pytest.raises(ParameterError) as error:
        small(**parameters).fit(*data)
    assert next(iter(parameters)) in one_sentence(error)


NAN_ROW = [[0.0] * 10, [0.0] * 9 + [float("nan")], [0.0] * 10]
BAD_VECTORS = {
    "1-D": (np.zeros(10), "dimension"),
    "3-D": (np.zeros((2, 2, 10)), "dimension"),
    "a number": (3.0, "dimension"),
    "None": (None, "NoneType|dimension"),
    "text": (["a plot", "another"], "row 0"),
    "rows of text": ([["a"] * 10] * 3, "row 0"),
    "ragged": ([[0.0] * 10, [0.0] * 10, [0.0] * 9], "row 2"),
    "None in a row": ([[0.0] * 10, [None] * 10], "row 1"),
    "NaN": (NAN_ROW, "row 1"),
    "infinite": (np.array(NAN_ROW) * 0 + np.array([[0], [0], [np.inf]]), "row"),
    "too large for float32": (np.array([[0.0] * 10, [1e300] * 10]), "row 1"),
    "complex": (np.zeros((3, 10), dtype=complex), "matrix of numbers"),
    "no columns": (np.zeros((3, 0)), "at least 1|needed"),
}


@pytest.mark.parametrize("name", BAD_VECTORS)
def test_bad_vectors(fitted, name, recwarn):
    vectors, reason = BAD_VECTORS[name]
    with pytest.raises(ParameterError, match=reason) as error:
        fitted.predict(vectors)
    one_sentence(error)
    with pytest.raises(ParameterError, match=reason):
        small().fit(vectors, [["Drama"]] * 3)
    assert not recwarn


def test_sparse_vectors(fitted):
    from scipy.sparse import csr_matrix

    with pytest.raises(ParameterError, match="toarray"):
        fitted.predict(csr_matrix((3, 10)))


def test_vectors_of_another_length(fitted):
    with pytest.raises(ParameterError, match="11 numbers, but 10"):
        fitted.predict(np.zeros((2, 11)))


@pytest.mark.parametrize("n_films", [0, 1])
def test_too_few_films(n_films):
    with pytest.raises(ParameterError, match="at least 2"):
        small().fit(np.zeros((n_films, 10)), [["Drama"]] * n_films)


BAD_GENRES = {
    "one text": ("Drama", "str"),
    "None": (None, "NoneType"),
    "a dict": ({"Drama": 1}, "dict"),
    "text rows": (["Drama|Comedy"] * 3, "row 0"),
    "a missing row": ([["Drama"], None, ["Drama"]], "row 1"),
    "NaN": ([["Drama"], ["Drama"], float("nan")], "row 2"),
    "an empty row": ([["Drama"], [], ["Drama"]], "row 1"),
    "a blank name": ([["Drama"], ["Drama"], ["Drama", " "]], "row 2"),
    "numbers": (np.eye(3), "row 0"),
    "TMDB's dictionaries": ([[{"id": 18, "name": "Drama"}]] * 3, "row 0"),
    "lists in lists": ([["Drama"], [["Drama"]], ["Drama"]], "row 1"),
    "too few": ([["Drama"]] * 2, "3 films but genres has 2"),
    "too many": ([["Drama"]] * 4, "3 films but genres has 4"),
}


@pytest.mark.parametrize("name", BAD_GENRES)
def test_bad_genres(name):
    genres, reason = BAD_GENRES[name]
    with pytest.raises(ParameterError, match=reason) as error:
        small().fit(np.zeros((3, 10)), genres)
    one_sentence(error)


def test_top_genres_of_a_silly_number(fitted, data):
    for n in (0, -1, 1.5, True, "3", None):
        with pytest.raises(ParameterError):
            fitted.top_genres(data[0], n=n)


def test_a_learning_rate_that_is_too_large(data):
    with pytest.raises(ParameterError, match="smaller lr"):
        small(lr=900.0, weight_decay=900.0, epochs=50).fit(*data)


def test_before_fit(data, tmp_path):
    for use in (
        lambda: small().predict(data[0]),
        lambda: small().predict_proba(data[0]),
        lambda: small().top_genres(data[0]),
        lambda: small().score(*data),
        lambda: small().save(tmp_path / "new"),
    ):
        with pytest.raises(NotFittedError, match="fit"):
            use()
    assert not (tmp_path / "new").exists()


def test_devices():
    import torch

    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")
    assert choose_device().type in ("cuda", "mps", "cpu")
    if not torch.cuda.is_available():
        with pytest.raises(ParameterError, match="cpu"):
            choose_device("cuda")


# Scores and thresholds


def test_tuned_thresholds_are_the_best():
    random = np.random.default_rng(3)
    truth = random.random((200, 4)) < 0.3
    probabilities = np.clip(0.4 * truth + random.random((200, 4)) * 0.6, 0, 1)
    grid = np.arange(2, 98) / 100
    single = tune_thresholds(truth, probabilities)
    assert len(set(single)) == 1
    scores = [micro_f1(truth, probabilities >= value) for value in grid]
    assert micro_f1(truth, probabilities >= single) == max(scores)
    each = tune_thresholds(truth, probabilities, "per-genre")
    for genre, threshold in enumerate(each):
        column, called = truth[:, genre], probabilities[:, genre]
        best = max(micro_f1(column, called >= value) for value in grid)
        assert micro_f1(column, called >= threshold) == best


def test_a_rare_genre_keeps_the_single_threshold():
    random = np.random.default_rng(3)
    truth = random.random((200, 3)) < [0.3, 0.5, 0.01]
    probabilities = random.random((200, 3))
    single = tune_thresholds(truth, probabilities)
    assert tune_thresholds(truth, probabilities, "per-genre")[2] == single[2]


def test_thresholds_of_a_silly_kind():
    truth = np.zeros((3, 2))
    with pytest.raises(ParameterError, match="per-genre"):
        tune_thresholds(truth, truth, "each")
    with pytest.raises(ParameterError, match="shape"):
        tune_thresholds(truth, truth[:2])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_scores_are_those_of_scikit_learn(fitted):
    from sklearn.metrics import precision_recall_fscore_support
    from sklearn.preprocessing import MultiLabelBinarizer

    vectors, genres = made_up_films(200, seed=2)
    predicted = fitted.predict(vectors + np.random.default_rng(0).normal(size=vectors.shape) * 2)
    scores = genre_scores(genres, predicted)
    binarizer = MultiLabelBinarizer(classes=GENRES)
    truth, called = binarizer.fit_transform(genres), binarizer.transform(predicted)
    theirs = precision_recall_fscore_support(truth, called, zero_division=0)
    assert np.allclose(scores.loc[GENRES].to_numpy().T, theirs)
    for average in ("micro", "macro", "samples"):
        theirs = precision_recall_fscore_support(truth, called, average=average, zero_division=0)
        ours = scores.loc[f"{average} avg", ["precision", "recall", "f1"]]
        assert np.allclose(ours.astype(float), theirs[:3])
    assert micro_f1(truth, called) == pytest.approx(scores.loc["micro avg", "f1"])


def test_scores_of_some_classes_and_of_nothing():
    scores = genre_scores([["A", "B"], []], [["A"], ["C"]], classes=["C", "A", "Z"])
    assert scores.index.tolist() == ["C", "A", "Z", "micro avg", "macro avg", "samples avg"]
    assert scores.loc["A", "f1"] == 1 and scores.loc[["C", "Z"], "f1"].eq(0).all()
    assert scores.loc["micro avg", "f1"] == pytest.approx(2 * 1 / 4)
    assert scores["support"].tolist() == [0, 1, 0, 2, 2, 2]
    assert genre_scores([], []).to_numpy().sum() == 0
    with pytest.raises(ParameterError, match="predicted"):
        genre_scores([["A"]], [["A"], ["B"]])
    with pytest.raises(ParameterError, match="truth"):
        genre_scores(["A"], [["A"]])


# Saving and loading


def test_a_loaded_classifier_is_the_same(fitted, saved, data):
    loaded = GenreClassifier.load(saved)
    assert np.array_equal(loaded.predict_proba(data[0]), fitted.predict_proba(data[0]))
    assert loaded.predict(data[0]) == fitted.predict(data[0])
    assert loaded.history_ == fitted.history_
    assert loaded.best_epochs_ == fitted.best_epochs_
    for name in ("hidden", "dropout", "networks", "thresholds", "random_state"):
        assert getattr(loaded, name) == getattr(fitted, name)
    assert np.array_equal(loaded.fit(*data).predict_proba(data[0]), fitted.predict_proba(data[0]))


def test_only_json_and_safetensors_are_written(saved):
    assert {path.suffix for path in saved.iterdir()} == {".json", ".safetensors"}
    assert len(list(saved.iterdir())) == 2


def test_a_classifier_of_a_matrix_can_be_saved(data, tmp_path):
    labels = genre_matrix(data[1], GENRES[::-1]).astype(int)
    classifier = small(classes=np.array(GENRES[::-1])).fit(data[0], labels)
    classifier.save(tmp_path / "new")
    loaded = GenreClassifier.load(tmp_path / "new")
    assert loaded.classes_.tolist() == loaded.classes == GENRES[::-1]
    assert np.array_equal(loaded.predict(data[0]), classifier.predict(data[0]))


def test_a_classifier_with_numpy_parameters_can_be_saved(data, tmp_path):
    classifier = small(
        hidden=[np.int64(8)], epochs=np.int64(2), lr=np.float64(0.001), thresholds=np.float32(0.5)
    )
    classifier.fit(*data).save(tmp_path)
    assert GenreClassifier.load(tmp_path).hidden == (8,)
    assert description_of(tmp_path)["parameters"]["thresholds"] == 0.5


def test_saving_again_replaces_but_no_other_files(copy, data, fitted):
    other = small(random_state=5).fit(*data)
    other.save(copy)
    assert len(list(copy.iterdir())) == 2
    loaded = GenreClassifier.load(copy)
    assert np.array_equal(loaded.predict_proba(data[0]), other.predict_proba(data[0]))
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match=r"notes\.txt"):
        fitted.save(copy)
    assert (copy / "notes.txt").read_text() == "mine"
    loaded = GenreClassifier.load(copy)
    assert np.array_equal(loaded.predict_proba(data[0]), other.predict_proba(data[0]))


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["arrays", "json", "move"])
def test_a_failed_save_leaves_the_old_classifier(copy, fitted, data, monkeypatch, fault, step):
    before = sorted(copy.iterdir())
    other = small(random_state=5).fit(*data)

    def failing(*arguments, **keywords):
        raise fault

    rename = Path.rename

    def failing_move(source, target):
        if target == copy and "old" not in source.suffixes[-2]:
            raise fault
        return rename(source, target)

    if step == "arrays":
        monkeypatch.setattr("safetensors.numpy.save_file", failing)
    elif step == "json":
        monkeypatch.setattr(Path, "write_text", failing)
    else:
        monkeypatch.setattr(Path, "rename", failing_move)
    with pytest.raises((ModelError, KeyboardInterrupt)):
        other.save(copy)
    monkeypatch.undo()
    assert sorted(copy.iterdir()) == before and len(list(copy.parent.iterdir())) == 1
    loaded = GenreClassifier.load(copy)
    assert np.array_equal(loaded.predict_proba(data[0]), fitted.predict_proba(data[0]))


def test_a_folder_that_cannot_be_written(fitted, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be saved") as error:
        fitted.save(tmp_path / "file" / "folder")
    one_sentence(error)


def no_folder(folder):
    shutil.rmtree(folder)


def a_file_in_its_place(folder):
    shutil.rmtree(folder)
    folder.write_text("")


def no_json(folder):
    (folder / "part.json").unlink()


def empty_json(folder):
    (folder / "part.json").write_text("")


def half_a_json(folder):
    text = (folder / "part.json").read_bytes()
    (folder / "part.json").write_bytes(text[: len(text) // 2])


def binary_json(folder):
    (folder / "part.json").write_bytes(b"\xff\xfe\x00")


def a_list_as_json(folder):
    (folder / "part.json").write_text("[]")


def a_deep_json(folder):
    (folder / "part.json").write_text("[" * 100_000)


def another_description(folder):
    edit_json(folder, description=description_of(folder) | {"thresholds_": [0.1] * 4})


def no_weights(folder):
    (folder / "arrays.safetensors").unlink()


def half_the_weights(folder):
    content = (folder / "arrays.safetensors").read_bytes()
    (folder / "arrays.safetensors").write_bytes(content[: len(content) // 2])


def one_byte_changed(folder):
    content = bytearray((folder / "arrays.safetensors").read_bytes())
    content[-10] ^= 1
    (folder / "arrays.safetensors").write_bytes(content)


def weights_that_are_none(folder):
    (folder / "arrays.safetensors").write_bytes(b"pickle")
    checksums = json.loads((folder / "part.json").read_text(encoding="utf-8"))["sha256"]
    checksums["arrays.safetensors"] = hashlib.sha256(b"pickle").hexdigest()
    edit_json(folder, sha256=checksums)


def array(name, change):
    """A damage: the array of that name is changed, and the checksum is right."""

    def damage(folder):
        def change_it(description, arrays):
            arrays[name] = change(arrays[name])

        rewrite(folder, change_it)

    damage.__name__ = f"array {name}"
    return damage


def with_nan(weights):
    weights = weights.copy()
    weights.flat[0] = np.nan
    return weights


def weights_missing_one(folder):
    rewrite(folder, lambda description, arrays: arrays.pop("mean"))


def weights_too_many(folder):
    rewrite(folder, lambda description, arrays: arrays.update(more=np.zeros(3)))


def changed(**changes):
    def change(folder):
        rewrite(folder, lambda description, arrays: description.update(changes))

    change.__name__ = f"changed {changes}"
    return change


def missing(name):
    def change(folder):
        rewrite(folder, lambda description, arrays: description.pop(name))

    change.__name__ = f"missing {name}"
    return change


def changed_parameter(name, value):
    def change(folder):
        rewrite(folder, lambda description, arrays: description["parameters"].update({name: value}))

    change.__name__ = f"changed {name} to {value}"
    return change


def changed_json(**changes):
    def change(folder):
        edit_json(folder, **changes)

    change.__name__ = f"json {changes}"
    return change


DAMAGES = [
    no_folder, a_file_in_its_place, no_json, empty_json, half_a_json, binary_json,
    a_list_as_json, a_deep_json, another_description, no_weights, half_the_weights,
    one_byte_changed, weights_that_are_none, array("0.1.weight", with_nan),
    array("0.1.weight", lambda weights: weights[:, :5]),
    array("0.1.weight", lambda weights: weights.astype(np.float64)),
    array("mean", with_nan), array("mean", lambda mean: mean[:5]), array("scale", np.zeros_like),
    weights_missing_one, weights_too_many,
    changed_json(kind="another"), changed_json(format=2), changed_json(format=None),
    changed_json(sha256=None), changed_json(description=None),
    changed(parameters=None), changed(parameters={}),
    changed(classes_=GENRES[:3]), changed(classes_=GENRES[::-1]), changed(classes_=[1, 2, 3, 4]),
    changed(classes_="abcd"), changed(classes_=[]), changed(classes_={}),
    changed(classes_=["Drama"] * 4), changed(thresholds_=[0.5]),
    changed(thresholds_=[float("nan")] * 4), changed(thresholds_=[2.0] * 4),
    changed(thresholds_="x"), changed(n_features_in_=11), changed(n_features_in_=10**12),
    changed(n_features_in_="10"), changed(n_features_in_=True), changed(best_epochs_=None),
    changed(history_=None), missing("classes_"), missing("parameters"),
    changed_parameter("hidden", [10**9]), changed_parameter("hidden", 5),
    changed_parameter("hidden", [65536] * 50), changed_parameter("networks", 99),
    changed_parameter("dropout", 7), changed_parameter("unknown", 1),
    changed_parameter("classes", GENRES[::-1]),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__[:40])
def test_a_damaged_classifier_is_refused(copy, damage):
    damage(copy)
    with pytest.raises(ModelError) as error:
        GenreClassifier.load(copy)
    assert copy.name in one_sentence(error)
    assert isinstance(error.value, MovrecError)


def test_another_version_is_named(copy):
    edit_json(copy, format=99)
    with pytest.raises(ModelError, match="format 99"):
        GenreClassifier.load(copy)


def test_loading_onto_a_device_that_is_not_there(saved):
    with pytest.raises(ParameterError, match="abacus"):
        GenreClassifier.load(saved, device="abacus")

"""What the notebook cannot check of movrec.doc2vec: other processes, threads, faults, bad input."""

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from movrec.doc2vec import Doc2VecEmbedder
from movrec.workings.core import (
    CatalogueError,
    ModelError,
    NotFittedError,
    ParameterError,
    QueryError,
)
from movrec.workings.folders import load_part, save_part
from movrec.workings.text import film_texts, tokenize

REPOSITORY = Path(__file__).resolve().parent.parent
TEXTS = [
    f"{name} flies a {ship} to the {place}. The crew of the {ship} fears the {danger}."
    for name in ("Anna", "Boris", "Chen", "Dora")
    for ship, danger in (("rocket", "alien"), ("galleon", "pirate"), ("train", "robber"))
    for place in ("moon", "island", "desert")
]
UNSEEN = ["A pirate steals the rocket on the moon.", "The robber's island", "Anna", "xyzzy"]


def small_embedder(**parameters):
    settings = {"vector_size": 12, "epochs": 8, "sample": 0.01, "progress": False}
    return Doc2VecEmbedder(**{**settings, **parameters})


@pytest.fixture(scope="module")
def fitted():
    return small_embedder().fit(TEXTS)


@pytest.fixture
def saved(fitted, tmp_path):
    folder = tmp_path / "embedder"
    fitted.save(folder)
    return folder


# Texts and tokens


def test_film_texts_leaves_out_what_is_missing():
    films = pd.DataFrame(
        {
            "title": ["Up", "Down", None],
            "overview": ["A house flies.", np.nan, pd.NA],
            "genres": [["Animation", "Family"], [], ["Science Fiction"]],
            "year": pd.array([2009, None, 1999], dtype="Int16"),
        }
    )
    assert film_texts(films) == ["Up\nA house flies.", "Down", ""]
    assert film_texts(films, ["genres"]) == ["Animation, Family", "", "Science Fiction"]
    assert film_texts(films, ["year", "title"]) == ["2009\nUp", "Down", "1999"]
    assert film_texts(films.head(0)) == []


def test_film_texts_takes_any_index():
    films = pd.DataFrame({"title": ["a", "b"], "overview": ["c", "d"]}, index=[7, 7])
    assert film_texts(films) == ["a\nc", "b\nd"]


def test_film_texts_names_the_missing_column():
    films = pd.DataFrame({"title": ["Up"]})
    with pytest.raises(CatalogueError, match="no column 'overview'.*title"):
        film_texts(films)
    with pytest.raises(CatalogueError, match="list"):
        film_texts([{"title": "Up"}])


@pytest.mark.parametrize("fields", ["title", [], (), None, 1])
def test_film_texts_wants_a_list_of_fields(fields):
    with pytest.raises(ParameterError, match="text_fields"):
        film_texts(pd.DataFrame({"title": ["Up"]}), fields)


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("He runs. She waits… They meet!", ["he", "runs", "she", "waits", "they", "meet"]),
        ('"Stop!" he cries. (He is 7.)', ["stop", "he", "cries", "he", "is", "7"]),
        ("don’t “stop”", ["do", "n't", "stop"]),
        ("space—time, love–hate…or not", ["space", "time", "love", "hate", "or", "not"]),
        ("Mr. Fox of the U.S.S. Alpha", ["mr", "fox", "of", "the", "u.s.s", "alpha"]),
        ("sci-fi", ["sci-fi"]),
        ("Amélie\nParis", ["amélie", "paris"]),
        ("七人の侍", ["七人", "人の", "の侍"]),
        ("", []),
        (" \n -- ...", []),
    ],
)
def test_tokenize(text, tokens):
    assert tokenize(text) == tokens


def test_tokenize_needs_no_download(monkeypatch):
    import nltk.data

    def refuse(*arguments, **options):
        raise AssertionError("NLTK looked for downloaded data")

    monkeypatch.setattr(nltk.data, "find", refuse)
    monkeypatch.setattr(nltk.data, "load", refuse)
    assert tokenize("One sentence. And another.") == ["one", "sentence", "and", "another"]


@pytest.mark.parametrize("text", [None, 3, b"bytes", ["a"]])
def test_tokenize_wants_a_string(text):
    with pytest.raises(ParameterError, match="str"):
        tokenize(text)


# Bad input


@pytest.mark.parametrize(
    "name, value",
    [
        ("vector_size", 0),
        ("vector_size", 2.5),
        ("vector_size", "100"),
        ("dm", 2),
        ("dbow_words", -1),
        ("window", 0),
        ("sample", -0.1),
        ("sample", float("nan")),
        ("min_count", 0),
        ("negative", 0),
        ("epochs", 0),
        ("epochs", None),
        ("alpha", 0),
        ("alpha", float("inf")),
        ("min_alpha", -1),
        ("min_alpha", 0.5),
        ("infer_epochs", 0),
        ("workers", 0),
        ("random_state", -1),
        ("random_state", "seed"),
    ],
)
def test_a_parameter_out_of_range_is_named(name, value):
    with pytest.raises(ParameterError, match=name):
        small_embedder(**{name: value}).fit(TEXTS)


@pytest.mark.parametrize(
    "texts, message",
    [
        ("a single text", "single str"),
        (None, "single NoneType"),
        (5, "single int"),
        ([], "at least 2 texts, but there are 0"),
        (["only one"], "at least 2 texts, but there are 1"),
        (["a", 3], r"texts\[1\] is a int"),
        (["a", float("nan")], r"texts\[1\] is a float"),
        (["every word", "differs here"], "No word occurs 2 times in these 2 texts"),
        (["", ""], "No word occurs 2 times"),
    ],
)
def test_fit_says_what_is_wrong_with_texts(texts, message):
    embedder = small_embedder()
    with pytest.raises(ParameterError, match=message) as caught:
        embedder.fit(texts)
    assert "\n" not in str(caught.value)
    with pytest.raises(NotFittedError):  # a fit that failed leaves nothing half-fitted
        embedder.transform(["a"])


def test_transform_checks_infer_epochs():
    embedder = small_embedder().fit(TEXTS).set_params(infer_epochs=0)
    with pytest.raises(ParameterError, match="infer_epochs"):
        embedder.transform(UNSEEN)


def test_a_failed_fit_keeps_the_older_one():
    embedder = small_embedder().fit(TEXTS)
    before = embedder.transform(UNSEEN)
    with pytest.raises(ParameterError):
        embedder.fit([])
    assert np.array_equal(embedder.transform(UNSEEN), before)


@pytest.mark.parametrize("texts", ["text", None, ["a", None], [["tokens"]]])
def test_transform_says_what_is_wrong_with_texts(fitted, texts):
    with pytest.raises(ParameterError, match="texts"):
        fitted.transform(texts)


def test_nothing_works_before_fit(tmp_path):
    embedder = Doc2VecEmbedder()
    for use in (
        lambda: embedder.transform(["a"]),
        lambda: embedder.most_similar_words("a"),
        lambda: embedder.save(tmp_path / "embedder"),
    ):
        with pytest.raises(NotFittedError, match="fit"):
            use()
    assert list(tmp_path.iterdir()) == []


def test_words(fitted):
    assert len(fitted.most_similar_words("ROCKET", 3)) == 3
    assert all(word != "rocket" for word, _ in fitted.most_similar_words("rocket", 100))
    assert fitted.most_similar_words("rocket", least_count=10_000) == []
    with pytest.raises(QueryError, match="rocket") as caught:
        fitted.most_similar_words("rockett")
    assert "rocket" in caught.value.candidates
    for wrong in ({"n": 0}, {"n": 1.5}, {"least_count": 0}):
        with pytest.raises(ParameterError):
            fitted.most_similar_words("rocket", **wrong)
    with pytest.raises(ParameterError, match="dbow_words"):
        small_embedder(dbow_words=0).fit(TEXTS).most_similar_words("rocket")


# Training


def test_train_is_called_once_for_all_epochs(monkeypatch):
    from gensim.models.doc2vec import Doc2Vec

    epochs = []
    train = Doc2Vec.train

    def count(self, *arguments, **options):
        epochs.append(options["epochs"])
        return train(self, *arguments, **options)

    monkeypatch.setattr(Doc2Vec, "train", count)
    small_embedder(epochs=8).fit(TEXTS)
    assert epochs == [8]


def test_a_pipe_gets_no_progress_bars_and_gensim_is_quiet(capfd):
    level = logging.getLogger("gensim").level
    small_embedder(progress=True).fit(TEXTS).transform(TEXTS * 20)
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("gensim").level == level


@pytest.mark.parametrize("progress", [True, False])
def test_each_long_step_has_a_progress_bar(progress, monkeypatch):
    import movrec.doc2vec

    asked = []
    progress_bar = movrec.doc2vec.progress_bar

    def count(*arguments, **options):
        bar = progress_bar(*arguments, **options)
        asked.append((options["description"], options["show"], bar.total))
        return bar

    monkeypatch.setattr(movrec.doc2vec, "progress_bar", count)
    small_embedder(progress=progress).fit(TEXTS).transform(TEXTS * 20)
    steps = [("Tokens", 36), ("Vocabulary", 36), ("Training", 8), ("Inference", 720)]
    assert asked == [(name, progress, total) for name, total in steps]
    asked.clear()
    small_embedder(progress=progress).fit(TEXTS).transform(TEXTS)
    assert asked[-1] == ("Inference", False, 36)  # done in no time


def test_a_text_without_known_words_is_zero():
    embedder = small_embedder().fit([*TEXTS, "qwrtp", ""])
    assert (embedder.document_vectors_[-2:] == 0).all()
    assert (embedder.document_vectors_[:-2] != 0).any(axis=1).all()
    assert (embedder.transform(["qwrtp", "", "..."]) == 0).all()


@pytest.mark.parametrize(
    "parameters",
    [{"workers": 3}, {"random_state": None}, {"sample": 0}, {"dm": 1}, {"dbow_words": 0}],
)
def test_other_settings_train_and_infer(parameters, tmp_path):
    embedder = small_embedder(**parameters).fit(TEXTS)
    vectors = embedder.transform(TEXTS)
    assert vectors.shape == (len(TEXTS), 12) and vectors.dtype == np.float32
    assert np.isfinite(vectors).all() and (vectors != 0).any(axis=1).all()
    embedder.save(tmp_path / "embedder")
    loaded = Doc2VecEmbedder.load(tmp_path / "embedder")
    assert np.array_equal(loaded.transform(TEXTS), vectors)


# The same vectors, whatever the circumstances

PROGRAM = """
import hashlib, sys
from tests.test_doc2vec import TEXTS, UNSEEN, small_embedder
from movrec.doc2vec import Doc2VecEmbedder
embedder = small_embedder().fit(TEXTS)
parts = [embedder.document_vectors_, embedder.transform(UNSEEN), list(embedder.vocabulary_)]
if len(sys.argv) > 1:
    parts.append(Doc2VecEmbedder.load(sys.argv[1]).transform(UNSEEN))
for part in parts:
    data = part.tobytes() if hasattr(part, "tobytes") else " ".join(part).encode()
    print(hashlib.sha256(data).hexdigest())
"""


def in_new_process(program, *arguments, hash_seed="0"):
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(REPOSITORY)}
    run = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=environment,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert run.stderr == ""
    return run.stdout.split()


def test_processes_agree_bit_for_bit(saved):
    first = in_new_process(PROGRAM, saved, hash_seed="1")
    second = in_new_process(PROGRAM, saved, hash_seed="2")
    assert first == second
    assert first[1] == first[3]  # fitted there, and loaded from what was fitted here


def test_import_is_light():
    def imported(module, heavy):
        program = (
            f"import sys, movrec.{module}; print(*[m for m in {heavy} if m in sys.modules], '.')"
        )
        return in_new_process(program)

    heavy = ["gensim", "nltk", "torch", "matplotlib", "lancedb", "safetensors"]
    assert imported("doc2vec", heavy) == ["."]
    for module in ("workings.text", "workings.embedder"):
        assert imported(module, [*heavy, "scipy", "sklearn"]) == ["."]


def test_a_vector_depends_on_its_text_alone(fitted):
    together = fitted.transform(UNSEEN)
    assert np.array_equal(fitted.transform(UNSEEN[::-1])[::-1], together)
    assert np.array_equal(fitted.transform(UNSEEN * 2), np.vstack([together, together]))
    for text, vector in zip(UNSEEN, together):
        fitted.transform(TEXTS[:3])
        assert np.array_equal(fitted.transform([text])[0], vector)
    assert np.array_equal(fitted.transform(iter(UNSEEN)), together)
    assert np.array_equal(fitted.transform(np.array(UNSEEN, dtype=object)), together)
    assert np.array_equal(fitted.transform(pd.Series(UNSEEN)), together)
    assert fitted.transform([]).shape == (0, 12)


def test_transform_leaves_the_model_as_it_is(fitted):
    model = fitted.model_
    arrays = (model.wv.vectors, model.dv.vectors, model.syn1neg, model.cum_table)
    before = [array.copy() for array in arrays]
    state = model.random.get_state()[1].copy()
    fitted.transform(UNSEEN + TEXTS)
    assert all(np.array_equal(old, new) for old, new in zip(before, arrays))
    assert np.array_equal(model.random.get_state()[1], state)


def test_threads_do_not_disturb_each_other(fitted):
    texts = UNSEEN + TEXTS
    expected = fitted.transform(texts)
    results = [None] * 4

    def work(number):
        results[number] = [fitted.transform(texts) for _ in range(5)]

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(vectors, expected) for runs in results for vectors in runs)


def test_fit_transform_gives_a_copy():
    embedder = small_embedder()
    vectors = embedder.fit_transform(TEXTS)
    assert np.array_equal(vectors, embedder.document_vectors_)
    vectors[:] = 0
    assert embedder.document_vectors_.any()


# Saving and loading


def test_a_loaded_embedder_is_the_saved_one(fitted, saved):
    loaded = Doc2VecEmbedder.load(str(saved))
    assert np.array_equal(loaded.transform(UNSEEN), fitted.transform(UNSEEN))
    assert np.array_equal(loaded.document_vectors_, fitted.document_vectors_)
    assert loaded.vocabulary_ == fitted.vocabulary_
    assert loaded.get_params() == fitted.get_params()
    assert loaded.most_similar_words("rocket") == fitted.most_similar_words("rocket")
    loaded.save(saved)  # over the older one
    again = Doc2VecEmbedder.load(saved)
    assert np.array_equal(again.transform(UNSEEN), fitted.transform(UNSEEN))
    assert [path.name for path in saved.parent.iterdir()] == ["embedder"]


def test_nothing_is_pickled(saved):
    names = sorted(path.name for path in saved.iterdir())
    assert names == ["arrays.safetensors", "part.json"]
    json.loads((saved / "part.json").read_text())


def test_odd_words_and_numbers_survive(tmp_path):
    odd = 'naïve 七人の侍 a\ud800b \u2028 e\u0301 quote"s'
    embedder = small_embedder(window=np.int64(4), sample=np.float64(0.01)).fit([odd] * 4)
    embedder.save(tmp_path / "embedder")
    loaded = Doc2VecEmbedder.load(tmp_path / "embedder")
    assert loaded.vocabulary_ == embedder.vocabulary_ and "a\ud800b" in loaded.vocabulary_
    assert np.array_equal(loaded.transform([odd]), embedder.transform([odd]))


def test_parameters_that_are_changed_after_fit_do_not_change_the_model(tmp_path):
    embedder = small_embedder().fit(TEXTS)
    embedder.set_params(vector_size=50, infer_epochs=3)
    vectors = embedder.transform(UNSEEN)
    embedder.save(tmp_path / "embedder")
    loaded = Doc2VecEmbedder.load(tmp_path / "embedder")
    assert loaded.vector_size == 12 and loaded.infer_epochs == 3
    assert np.array_equal(loaded.transform(UNSEEN), vectors)


@pytest.mark.parametrize("name", ["part.json", "arrays.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "flipped", "folder"])
def test_damage_is_noticed(saved, name, damage):
    path = saved / name
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[len(data) // 2] ^= 0x80
        path.write_bytes(data)
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(ModelError) as caught:
        Doc2VecEmbedder.load(saved)
    assert str(saved) in str(caught.value) and "\n" not in str(caught.value)


def change(saved, **changes):
    """Save the part again, with other entries in its description."""
    description, arrays = load_part(saved, Doc2VecEmbedder.kind)
    save_part(saved, Doc2VecEmbedder.kind, {**description, **changes}, arrays)


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": {}},
        {"parameters": None},
        {"seed": "x"},
        {"seed": None},
        {"words": ["too", "few"]},
        {"words": 3},
    ],
)
def test_a_description_that_does_not_fit(saved, changes):
    change(saved, **changes)
    with pytest.raises(ModelError, match="damaged") as caught:
        Doc2VecEmbedder.load(saved)
    assert str(saved) in str(caught.value) and "\n" not in str(caught.value)


def test_a_part_of_another_kind(saved):
    description, arrays = load_part(saved, Doc2VecEmbedder.kind)
    save_part(saved, "movrec term features", description, arrays)
    with pytest.raises(ModelError, match="holds a movrec term features, not a movrec Doc2Vec"):
        Doc2VecEmbedder.load(saved)


@pytest.mark.parametrize(
    "changes", [{"vector_size": 13}, {"epochs": -1}, {"surprise": 1}, {"dm": "yes"}]
)
def test_parameters_that_do_not_fit_the_arrays(saved, changes):
    change(saved, parameters={**small_embedder().get_params(), **changes})
    with pytest.raises(ModelError, match="damaged"):
        Doc2VecEmbedder.load(saved)


@pytest.mark.parametrize("name", ["word_vectors", "output_vectors", "document_vectors"])
@pytest.mark.parametrize(
    "change",
    [
        lambda array: np.full_like(array, np.nan),
        lambda array: np.full_like(array, np.inf),
        lambda array: np.full_like(array, 1e30),
        lambda array: array.astype(np.float16),
        lambda array: array.astype(np.float64),
    ],
)
def test_weights_that_would_lead_compiled_code_astray(saved, name, change):
    description, arrays = load_part(saved, Doc2VecEmbedder.kind)
    arrays[name] = change(arrays[name])
    save_part(saved, Doc2VecEmbedder.kind, description, arrays)
    with pytest.raises(ModelError, match=f"damaged \\({name} holds"):
        Doc2VecEmbedder.load(saved)


def test_not_a_model_folder(tmp_path):
    with pytest.raises(ModelError, match="no folder"):
        Doc2VecEmbedder.load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="part.json is missing"):
        Doc2VecEmbedder.load(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="no folder"):
        Doc2VecEmbedder.load(tmp_path / "file")


@pytest.mark.parametrize("fault", [OSError("No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("older", [False, True])
def test_a_save_that_fails_leaves_what_was_there(fitted, tmp_path, monkeypatch, fault, older):
    folder = tmp_path / "embedder"
    if older:
        fitted.save(folder)

    def fail(self, *arguments, **options):
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", fail)  # the arrays are written by then
        with pytest.raises(ModelError if isinstance(fault, OSError) else KeyboardInterrupt):
            fitted.save(folder)
    assert [path.name for path in tmp_path.iterdir()] == (["embedder"] if older else [])
    if older:
        assert np.array_equal(
            Doc2VecEmbedder.load(folder).transform(UNSEEN), fitted.transform(UNSEEN)
        )


def test_a_rename_that_fails_brings_the_older_folder_back(fitted, saved, monkeypatch):
    rename = Path.rename

    def fail(self, target):
        if str(self).endswith(".part") and not str(self).endswith(".old.part"):
            raise OSError("Device or resource busy")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(ModelError, match="cannot be saved.*busy"):
            fitted.save(saved)
    assert [path.name for path in saved.parent.iterdir()] == ["embedder"]
    Doc2VecEmbedder.load(saved)


def test_save_does_not_replace_a_stranger(fitted, tmp_path):
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "letter.txt").write_text("keep me")
    with pytest.raises(ModelError, match="holds other files"):
        fitted.save(folder)
    with pytest.raises(ModelError, match="is a file"):
        fitted.save(folder / "letter.txt")
    with pytest.raises(ModelError, match="cannot be saved"):
        fitted.save(folder / "letter.txt" / "below")
    assert (folder / "letter.txt").read_text() == "keep me"
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]


def test_save_makes_the_folders_above(fitted, tmp_path):
    fitted.save(tmp_path / "new" / "deeper" / "embedder")
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "new" / "deeper" / "embedder", moved)
    assert Doc2VecEmbedder.load(moved).vocabulary_ == fitted.vocabulary_

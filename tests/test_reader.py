"""The static reader, its table and the tool that makes it; the sentence embedder."""

import json
import pickle
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, loaded
from sklearn.base import clone

from movrec import SentenceEmbedder, StaticReader
from movrec.workings import reader as workings
from movrec.workings.core import ModelError, NotFittedError, ParameterError
from movrec.workings.embedder import load_embedder, read_blocks, train_blocks
from movrec.workings.reader import bundled_folder, default_reader, has_model2vec, read_folder
from movrec.workings.sentence import has_sentence_transformers, model_folder, weights_checksum

TEXTS = ["A huge shark scares a beach town.", "", "Two robots fall in love.", "鮫"]
LIMIT = 8_000_000

needs_the_extra = pytest.mark.skipif(
    not has_sentence_transformers(),
    reason='the extra is not installed: pip install "movrec[sentence]"',
)


@pytest.fixture(scope="module")
def reader():
    return default_reader()


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the network was asked for something")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# ---- the table -----------------------------------------------------------------------------------


def test_the_table_is_small_and_is_what_it_says():
    files = {path.name: path for path in bundled_folder().iterdir()}
    assert set(files) == {"config.json", "model.safetensors", "tokenizer.json"}
    assert sum(path.stat().st_size for path in files.values()) <= LIMIT
    config = json.loads(files["config.json"].read_text(encoding="utf-8"))
    for name, recorded in config["sha256"].items():
        assert workings.sha256(files[name]) == recorded
    table = read_folder(bundled_folder())
    assert table.numbers.shape == (config["pieces"], config["hidden_dim"])
    assert table.numbers.dtype == np.int8
    notice = (REPOSITORY / "NOTICE").read_text(encoding="utf-8")
    about = (REPOSITORY / "movrec" / "data" / "README.md").read_text(encoding="utf-8")
    assert "all-MiniLM-L6-v2" in notice and "all-MiniLM-L6-v2" in about
    assert f"{table.numbers.shape[0]:,} × {table.numbers.shape[1]}" in about


@pytest.fixture(scope="module")
def tool():
    with loaded(REPOSITORY / "tools" / "reader.py") as module:
        yield module


def test_the_tool_leaves_out_what_no_english_text_holds(tool):
    assert all(map(tool.is_kept, ["shark", "##s", "é", "[", "7", "!"]))
    assert not any(map(tool.is_kept, ["[unused7]", "[CLS]", "鮫", "##д"]))


def test_the_tool_writes_what_a_reader_reads(tool, tmp_path):
    vectors = np.random.default_rng(0).normal(size=(4, 8))
    pieces = ["shark", "boat", "##s", "sea"]
    original = json.loads((bundled_folder() / "tokenizer.json").read_text(encoding="utf-8"))
    rows = np.vstack([np.zeros((2, 8)), tool.reduced(vectors, 3) @ np.eye(3, 8)])
    for folder in (tmp_path / "one", tmp_path / "two"):
        tool.write_table(folder, *tool.quantized(rows), tool.small_tokenizer(original, pieces))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    reader = StaticReader(tmp_path / "one").fit()
    sharks, unknown = reader.transform(["Sharks!", "taxes"])
    expected = rows[2] + rows[4]
    assert np.allclose(sharks, expected / np.linalg.norm(expected), atol=0.02) and not unknown.any()


@needs_the_extra
def test_a_slice_of_the_table_comes_out_of_the_transformer_again(tool):
    """Weights aside, the table is a linear picture of what the transformer says of each piece."""
    source = tool.source_folder()
    tokenizer = tool.read_tokenizer(source)
    pieces = tool.kept_pieces(tokenizer)
    table = read_folder(bundled_folder())
    assert list(pieces) == list(json.loads(table.tokenizer)["model"]["vocab"])[2:]
    chosen = np.random.default_rng(7).permutation(len(pieces))[:1200]
    numbers = np.array(list(pieces.values()))[chosen].tolist()
    said = tool.piece_vectors(source, tokenizer["model"]["vocab"], numbers)
    said = np.hstack([said, np.ones((len(said), 1))])
    rows = table.numbers[chosen + 2] * table.scale[chosen + 2, np.newaxis]
    rows = rows / tool.zipf_weights(len(pieces))[chosen, np.newaxis]
    picture, *_ = np.linalg.lstsq(said[:900], rows[:900], rcond=None)
    wrong = said[900:] @ picture - rows[900:]
    assert (wrong**2).sum() < 0.002 * (rows[900:] ** 2).sum()


# ---- the reader ----------------------------------------------------------------------------------


def test_it_reads_as_model2vec_does(reader, sample_films):
    from model2vec import StaticModel

    texts = sample_films["overview"].head(50).tolist()
    theirs = StaticModel.from_pretrained(bundled_folder()).encode(texts)
    np.testing.assert_allclose(reader.transform(texts), theirs, atol=1e-5)


def test_any_folder_of_model2vec_s_will_do(tmp_path, reader):
    from model2vec import StaticModel
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(reader.table_.tokenizer)
    table = np.random.default_rng(1).normal(size=(40, 6)).astype(np.float16)
    mapping = np.arange(len(reader.table_.numbers)) % 40
    weights = np.linspace(0.1, 1, len(mapping)).astype(np.float32)
    theirs = StaticModel(table, tokenizer, weights=weights, token_mapping=mapping, normalize=False)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = StaticReader(tmp_path / "theirs").fit()
    np.testing.assert_allclose(ours.transform(TEXTS), theirs.encode(TEXTS), atol=2e-3)
    ours.save(tmp_path / "ours")
    shutil.rmtree(tmp_path / "theirs")
    again = StaticReader.load(tmp_path / "ours")
    assert np.array_equal(again.transform(TEXTS), ours.transform(TEXTS))


def test_texts_of_nothing_get_rows_of_nothing(reader):
    vectors = reader.transform(TEXTS)
    assert vectors.dtype == np.float32 and vectors.shape == (4, reader.n_dimensions_)
    assert np.linalg.norm(vectors, axis=1).round(5).tolist() == [1, 0, 1, 0]
    assert reader.transform([]).shape == (0, reader.n_dimensions_)
    assert reader.transform(["half \ud800 a pair"]).any()
    assert np.array_equal(reader.transform(TEXTS * 300)[-4:], vectors)


def test_what_is_no_text_is_named(reader):
    for texts in ("one text", [None], 7):
        with pytest.raises(ParameterError):
            reader.transform(texts)
    with pytest.raises(NotFittedError):
        StaticReader().transform(TEXTS)


def test_it_is_an_embedder_and_an_estimator(reader, tmp_path):
    assert read_blocks(reader, TEXTS)[0].shape == (4, reader.n_dimensions_)
    assert np.array_equal(train_blocks(clone(reader), TEXTS)[0], reader.transform(TEXTS))
    assert reader.get_feature_names_out()[0] == "staticreader0"
    assert repr(reader) == "StaticReader()"
    copied = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(copied.transform(TEXTS), reader.transform(TEXTS))


def test_a_saved_one_needs_no_bundled_table(reader, tmp_path, monkeypatch):
    reader.save(tmp_path / "saved")
    monkeypatch.setattr(workings, "bundled_folder", lambda: tmp_path / "nowhere")
    workings._bundled_table.cache_clear()
    assert default_reader() is None
    with pytest.raises(ModelError, match="without its table"):
        StaticReader().fit()
    loaded_again = load_embedder(tmp_path / "saved")
    assert np.array_equal(loaded_again.transform(TEXTS), reader.transform(TEXTS))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_table_is_named(tmp_path, monkeypatch, name, damage):
    folder = tmp_path / "table"
    shutil.copytree(bundled_folder(), folder)
    if damage == "cut":
        (folder / name).write_bytes((folder / name).read_bytes()[:-100])
    else:
        (folder / name).unlink()
    with pytest.raises(ModelError, match="no table of word pieces"):
        StaticReader(folder).fit()


def test_threads_share_a_reader(reader):
    texts = [f"A film about {number} ships and a king." * 20 for number in range(300)]
    expected = reader.transform(texts)
    found = {}

    def read(number):
        for _ in range(5):
            found[number] = reader.transform(texts)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(np.array_equal(rows, expected) for rows in found.values())


def test_nothing_is_asked_for_over_a_network(no_network, tmp_path, reader):
    StaticReader().fit()
    reader.save(tmp_path / "saved")
    StaticReader.load(tmp_path / "saved").transform(TEXTS)
    with pytest.raises(ParameterError, match="no folder"):
        StaticReader("minishlab/potion-base-8M").fit()


WITHOUT = """
import sys
from pathlib import Path
sys.modules["model2vec"] = None  # as if it were not installed
import movrec
from movrec.workings.core import ModelError
from movrec.workings.reader import default_reader, has_model2vec
assert default_reader() is None and not has_model2vec()
for attempt in (lambda: movrec.StaticReader().fit(), lambda: movrec.StaticReader.load(sys.argv[1])):
    try:
        attempt()
    except ModelError as error:
        assert "pip install model2vec" in str(error), error
    else:
        raise SystemExit("no error")
"""


def test_movrec_works_without_model2vec(reader, tmp_path):
    reader.save(tmp_path / "saved")
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "saved")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_it_is_cheap():
    code = "import sys, movrec.workings.reader, movrec.workings.sentence; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"model2vec", "tokenizers", "huggingface_hub", "torch", "sentence_transformers"}
    assert has_model2vec() and not heavy & set(done.stdout.split())


# ---- the sentence embedder -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def sentences():
    return SentenceEmbedder(device="cpu").fit()


@needs_the_extra
def test_a_transformer_is_an_embedder(sentences, no_network, tmp_path):
    vectors = sentences.transform(TEXTS)
    assert vectors.dtype == np.float32 and vectors.shape == (4, 384)
    assert not vectors[1].any() and np.allclose(np.linalg.norm(vectors[[0, 2]], axis=1), 1)
    sentences.save(tmp_path / "saved")
    assert sum(path.stat().st_size for path in (tmp_path / "saved").iterdir()) < 5000
    again = load_embedder(tmp_path / "saved")
    assert np.array_equal(again.transform(TEXTS), vectors)
    assert sentences.transform([]).shape == (0, 384)


@needs_the_extra
def test_a_long_text_is_cut(sentences):
    long = "A ship sinks. " * 400_000
    assert sentences.transform([long]).any()


@needs_the_extra
def test_a_transformer_in_a_folder_is_told_from_another(tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(model_folder(None), folder)
    embedder = SentenceEmbedder(folder, device="cpu").fit()
    embedder.save(tmp_path / "saved")
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="another sentence embedder"):
        SentenceEmbedder.load(tmp_path / "saved")
    shutil.rmtree(folder)
    with pytest.raises(ModelError, match="There is no sentence embedder"):
        SentenceEmbedder.load(tmp_path / "saved")


def test_pickled_weights_are_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ModelError, match="need not be unpickled"):
        weights_checksum(tmp_path)
    (tmp_path / "1_Dense").mkdir()
    Path(tmp_path / "1_Dense" / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="need not be unpickled"):
        weights_checksum(tmp_path)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModelError, match=r"movrec\[sentence\]"):
        SentenceEmbedder().fit()


@needs_the_extra
def test_a_name_is_looked_for_on_this_computer_alone(no_network):
    with pytest.raises(ModelError, match="hf download"):
        SentenceEmbedder("sentence-transformers/no-such-model").fit()


# ---- what reads it -------------------------------------------------------------------------------


def small_text_model(**parts):
    from movrec import Doc2VecEmbedder, GenreClassifier
    from movrec.space import TextModel
    from movrec.workings.terms import TermFeatures

    return TextModel(
        Doc2VecEmbedder(10, epochs=2, progress=False),
        GenreClassifier(epochs=1, networks=1, progress=False),
        terms=TermFeatures(16),
        **parts,
    )


def test_the_classifier_reads_what_the_reader_says(small_films, reader):
    films = small_films.head(100)
    with_reader, without = small_text_model(), small_text_model(reader=False)
    for model in (with_reader, without):
        model.fit(films)
    assert without.classifier.n_features_in_ == 2 * 10 + 16
    assert with_reader.classifier.n_features_in_ == 2 * 10 + reader.n_dimensions_ + 16


def test_the_words_that_a_reader_knows(reader):
    known = "mountaineers androids gunslinger wizardry iceberg the"
    assert reader.known(f"{known} qwrtp Zzyzx blorptastic 日本 ...") == known.split()
    assert reader.known("") == []


def test_a_build_reads_each_text_once(small_films, monkeypatch):
    films = small_films.head(60)
    read = []
    transform = StaticReader.transform
    monkeypatch.setattr(
        StaticReader, "transform", lambda self, texts: read.extend(texts) or transform(self, texts)
    )
    model = small_text_model()
    blocks = model.fit(films)
    once, _ = model.text_of(films, blocks)
    assert len(read) == len(films)
    again, _ = model.text_of(films, blocks)
    assert len(read) == 2 * len(films)
    assert all(np.array_equal(once[name], again[name]) for name in once)
    model.text_of(films.head(5), [block[:5] for block in blocks])
    assert len(read) == 2 * len(films) + 5


def test_what_the_classifier_reads_is_all_of_one_size():
    from movrec.space import classifier_features

    text = {"reader": np.full((1, 2), 0.5), "plot": np.full((1, 3), 1.0)}
    features = classifier_features(text, np.array([[7.0]]))
    expected = [*[3**0.5] * 3, *[2**0.5 / 2] * 2, 7]
    assert np.allclose(features, expected) and features.dtype != object


WHOLE = """
import sys
sys.modules["model2vec"] = None  # as if it were not installed
from movrec import Doc2VecEmbedder, GenreClassifier, Recommender, load_sample
from movrec.workings.core import ModelError
recommender = Recommender.build(
    load_sample().head(60),
    "model",
    embedder=Doc2VecEmbedder(10, epochs=2, progress=False),
    classifier=GenreClassifier(epochs=1, networks=1, progress=False),
    progress=False,
)
assert len(recommender.recommend("Titanic")) == 10
assert len(recommender.recommend_for_text("A ship sinks in the sea.")) == 10
try:
    Recommender.open(sys.argv[1]).recommend_for_text("A ship sinks in the sea.")
except ModelError as error:
    assert "pip install model2vec" in str(error), error
else:
    raise SystemExit("no error")
"""


def test_a_recommender_does_without_model2vec(small_model, tmp_path):
    command = [sys.executable, "-c", WHOLE, str(small_model)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

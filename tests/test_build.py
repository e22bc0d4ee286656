"""Builds: in batches, from a part of the films, on several processors, and gone on with."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY, loaded

from movrec.classifier import GenreClassifier
from movrec.doc2vec import Doc2VecEmbedder
from movrec.recommend import Recommender
from movrec.workings import build, jobs, stages
from movrec.workings.core import ParameterError
from movrec.workings.places import begun_folder
from movrec.workings.terms import TermFeatures
from movrec.workings.words import WordWeights


@pytest.fixture(scope="module")
def few(small_films):
    return small_films.head(90).reset_index(drop=True)


def quick(**how):
    """Parameters of a build that takes a moment."""
    embedder = Doc2VecEmbedder(8, epochs=2, progress=False)
    classifier = GenreClassifier((8,), epochs=2, networks=2, progress=False)
    parts = {"embedder": embedder, "classifier": classifier, "terms": TermFeatures(8)}
    return parts | {"reader": False, "progress": False} | how


@pytest.fixture
def small_batches(monkeypatch):
    """Batches of 20 films, of which two become a version."""
    monkeypatch.setattr(jobs, "BATCH", 20)
    monkeypatch.setattr(build, "CHUNK", 40)


def learned(path):
    """What was learned and stored, without what tells when."""
    parts = {
        file.parent.name: file.read_bytes()
        for name in ("arrays.safetensors", "part.json")
        for file in sorted(path.glob(f"*/{name}"))
    }
    store = Recommender.open(path).store
    vectors = np.hstack([store.vectors(space) for space in ("document", "joined")])
    return parts, vectors, store.films().to_json()


def same(path, other):
    (parts, vectors, films), (others, other_vectors, other_films) = learned(path), learned(other)
    return parts == others and np.array_equal(vectors, other_vectors) and films == other_films


# What is learned from


def test_a_part_has_each_decade_and_genre_in_its_share(sample_films):
    rows = build.rows_to_learn_from(sample_films, 500)
    assert (np.diff(rows) > 0).all() and 500 <= len(rows) < 510
    part = sample_films.iloc[rows]
    for of in (lambda films: films["year"] // 10, lambda films: films["genres"].str[0]):
        shares = of(sample_films).value_counts(normalize=True)
        assert (of(part).value_counts(normalize=True) - shares).abs().max() < 0.01
    every = {genre for genres in sample_films["genres"] for genre in genres}
    assert {genre for genres in part["genres"] for genre in genres} == every


def test_a_small_catalogue_is_learned_from_whole(few):
    assert build.rows_to_learn_from(few, 90) is None
    assert build.rows_to_learn_from(few, None) is None


def test_films_without_a_year_are_a_decade_of_their_own(few):
    without = few.drop(columns="year")
    assert len(build.rows_to_learn_from(without, 30)) >= 30


def test_the_films_that_nothing_was_learned_from_are_inferred(few, tmp_path, small_batches):
    recommender = Recommender.build(few, tmp_path / "m", train_size=45, **quick())
    n = recommender.manifest["train_size"]
    assert 45 <= n < 60 and len(recommender.films) == 90
    assert "45" not in recommender._repr_html_() and f"{n} of them" in recommender._repr_html_()
    rows = build.rows_to_learn_from(few, 45)
    documents = recommender.store.vectors("document")
    assert np.array_equal(documents[rows], recommender.embedder.document_vectors_)
    others = np.setdiff1d(np.arange(90), rows)
    texts = (few["title"] + "\n" + few["overview"]).tolist()
    inferred = recommender.embedder.transform([texts[row] for row in others])
    assert np.array_equal(documents[others], inferred)
    assert recommender.words.n_texts_ == 90


@pytest.mark.parametrize("size", [60, 90])
def test_the_embedder_learns_from_fewer_films_than_the_classifier(few, tmp_path, monkeypatch, size):
    monkeypatch.setattr(build, "EMBED_SIZE", 30)
    recommender = Recommender.build(few, tmp_path / "m", train_size=size, **quick())
    rows, embedded = build.who_learns_from_what(few, size)
    rows = np.arange(90) if rows is None else rows
    assert recommender.manifest["train_size"] == len(rows) >= size
    assert 30 <= len(embedded) < 45 and len(recommender.embedder.document_vectors_) == len(embedded)
    documents = recommender.store.vectors("document")
    trained = rows[embedded]
    assert np.array_equal(documents[trained], recommender.embedder.document_vectors_)
    others = np.setdiff1d(np.arange(90), trained)
    texts = (few["title"] + "\n" + few["overview"]).tolist()
    inferred = recommender.embedder.transform([texts[row] for row in others])
    assert np.array_equal(documents[others], inferred)


def test_from_all_is_from_all(few, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "EMBED_SIZE", 30)
    recommender = Recommender.build(few, tmp_path / "m", train_size=None, **quick())
    assert len(recommender.embedder.document_vectors_) == 90


@pytest.mark.parametrize("size", [0, 5, 2.5, True, "all"])
def test_a_silly_size(few, tmp_path, size):
    with pytest.raises(ParameterError, match="train_size"):
        Recommender.build(few, tmp_path / "m", train_size=size, **quick())
    assert not list(tmp_path.iterdir())


# In batches, on several processors


def test_batches_change_nothing(few, tmp_path, monkeypatch):
    Recommender.build(few, tmp_path / "whole", **quick())
    monkeypatch.setattr(jobs, "BATCH", 20)
    monkeypatch.setattr(build, "CHUNK", 40)
    recommender = Recommender.build(few, tmp_path / "batches", **quick())
    (_, vectors, films), (_, others, other_films) = map(
        learned, (tmp_path / "whole", recommender.path)
    )
    assert np.array_equal(vectors, others) and films == other_films
    assert recommender.history()["change"].tolist() == ["built"]
    assert recommender.recommend(few["id"][0], 5)["id"].size == 5


def test_a_model_of_several_versions_lives_on(few, tmp_path, small_batches):
    recommender = Recommender.build(few.head(80), tmp_path / "m", **quick())
    assert recommender.add(few.tail(10)) == 10
    assert recommender.delete(int(few["id"][0])) == 1
    recommender.optimize(keep=1)
    assert len(Recommender.open(tmp_path / "m").films) == 89


@pytest.mark.slow
def test_any_number_of_processors_gives_the_same(few, tmp_path, small_batches, monkeypatch):
    monkeypatch.setattr(build, "_SIDE_BY_SIDE_FROM", 0)
    for n_jobs in (1, 2):
        path = tmp_path / str(n_jobs)
        Recommender.build(few, path, train_size=45, n_jobs=n_jobs, **quick())
    assert same(tmp_path / "1", tmp_path / "2")


@pytest.mark.slow
def test_texts_are_read_by_several_processes(few, monkeypatch):
    from movrec import doc2vec
    from movrec.workings import words

    texts = few["overview"].tolist()
    embedder = Doc2VecEmbedder(8, epochs=2, progress=False, n_jobs=1).fit(texts)
    alone, counted = embedder.transform(texts * 14), WordWeights(n_jobs=1).fit(texts)
    monkeypatch.setattr(doc2vec, "_SIDE_BY_SIDE_FROM", 1000)
    monkeypatch.setattr(words, "_SIDE_BY_SIDE_FROM", 0)
    monkeypatch.setattr(jobs, "BATCH", 30)
    assert np.array_equal(embedder.set_params(n_jobs=2).transform(texts * 14), alone)
    assert WordWeights(n_jobs=2).fit(texts).texts_with_ == counted.texts_with_


def test_what_comes_of_tasks_keeps_their_order_and_their_errors():
    assert list(jobs.in_processes(abs, [-3, 2, -1], 1)) == [3, 2, 1]
    with pytest.raises(TypeError):
        list(jobs.in_processes(abs, [-3, "x"], 1))


@pytest.mark.parametrize("n_jobs", [0, 1.5, "two"])
def test_a_silly_number_of_processors(few, n_jobs):
    for part in (Doc2VecEmbedder(n_jobs=n_jobs), WordWeights(n_jobs=n_jobs)):
        with pytest.raises(ParameterError, match="n_jobs"):
            part.fit(few["overview"].tolist())


def test_how_many_have_worked_is_not_kept(few, tmp_path):
    for n_jobs in (1, 2):
        WordWeights(n_jobs=n_jobs).fit(few["overview"].tolist()).save(tmp_path / str(n_jobs))
    one, two = ((tmp_path / name / "part.json").read_bytes() for name in "12")
    assert one == two


# Gone on with


def interrupted_at(monkeypatch, name):
    """Let a build be interrupted when a stage is to begin; return how to lift that."""
    learn = stages.WrittenStages.learn

    def stop(self, stage, *arguments):
        if stage == name:
            raise KeyboardInterrupt
        return learn(self, stage, *arguments)

    monkeypatch.setattr(stages.WrittenStages, "learn", stop)
    return lambda: monkeypatch.setattr(stages.WrittenStages, "learn", learn)


def counted_calls(monkeypatch):
    """The stages whose parts learn from now on."""
    learn, calls = stages.Stages.learn, []
    monkeypatch.setattr(
        stages.Stages,
        "learn",
        lambda self, name, *rest: calls.append(name) or learn(self, name, *rest),
    )
    return calls


@pytest.fixture(scope="module")
def in_one_go(few, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "model"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "BATCH", 20)
        patch.setattr(build, "CHUNK", 40)
        Recommender.build(few, path, train_size=45, **quick())
    return path


@pytest.mark.parametrize("stage", ["embedder", "words", "classifier"])
def test_a_build_goes_on_where_it_stopped(
    few, tmp_path, monkeypatch, small_batches, in_one_go, stage
):
    lift = interrupted_at(monkeypatch, stage)
    how = {"train_size": 45, "resume": True}
    with pytest.raises(KeyboardInterrupt):
        Recommender.build(few, tmp_path / "m", **how, **quick())
    assert begun_folder(tmp_path / "m").is_dir() and not (tmp_path / "m").exists()
    lift()
    calls = counted_calls(monkeypatch)
    Recommender.build(few, tmp_path / "m", **how, **quick())
    every = ["embedder", "space", "words", "terms", "classifier"]
    assert calls == every[every.index(stage) :]
    assert same(tmp_path / "m", in_one_go)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_table_goes_on_where_it_stopped(few, tmp_path, monkeypatch, small_batches, in_one_go):
    append, calls = build.append_rows, []

    def stop(folder, batches):
        calls.append(1)
        if len(calls) == 2:
            append(folder, batches)  # written, and nobody was told
            raise KeyboardInterrupt
        return append(folder, batches)

    monkeypatch.setattr(build, "append_rows", stop)
    how = {"train_size": 45, "resume": True}
    with pytest.raises(KeyboardInterrupt):
        Recommender.build(few, tmp_path / "m", **how, **quick())
    learns = counted_calls(monkeypatch)
    Recommender.build(few, tmp_path / "m", **how, **quick())
    assert len(calls) == 4 and not learns
    assert same(tmp_path / "m", in_one_go)


@pytest.mark.parametrize("other", ["films", "parameters", "damaged", "no log"])
def test_what_does_not_fit_is_done_anew(
    few, tmp_path, monkeypatch, small_batches, in_one_go, other
):
    lift = interrupted_at(monkeypatch, "classifier")
    films, how = few, quick(train_size=45, resume=True)
    if other == "films":
        films = few.assign(overview=few["overview"] + " The end.")
    if other == "parameters":
        how["embedder"] = Doc2VecEmbedder(8, epochs=3, progress=False)
    with pytest.raises(KeyboardInterrupt):
        Recommender.build(films, tmp_path / "m", **how)
    lift()
    begun = begun_folder(tmp_path / "m")
    if other == "damaged":
        file = begun / "space" / "arrays.safetensors"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    if other == "no log":
        (begun / stages.LOG).write_text("{")
    calls = counted_calls(monkeypatch)
    Recommender.build(few, tmp_path / "m", **quick(train_size=45, resume=True))
    assert calls[0] == ("space" if other == "damaged" else "embedder")
    assert same(tmp_path / "m", in_one_go)


def test_without_it_nothing_is_kept_and_leftovers_go(few, tmp_path, monkeypatch):
    lift = interrupted_at(monkeypatch, "classifier")
    with pytest.raises(KeyboardInterrupt):
        Recommender.build(few, tmp_path / "m", **quick())
    assert not list(tmp_path.iterdir())
    with pytest.raises(KeyboardInterrupt):
        Recommender.build(few, tmp_path / "m", resume=True, **quick())
    assert begun_folder(tmp_path / "m").is_dir()
    lift()
    Recommender.build(few, tmp_path / "m", **quick())
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_an_interrupted_build_leaves_the_old_model(few, tmp_path, monkeypatch):
    Recommender.build(few, tmp_path / "m", **quick())
    interrupted_at(monkeypatch, "terms")
    with pytest.raises(KeyboardInterrupt):
        Recommender.build(few.head(50), tmp_path / "m", resume=True, **quick())
    assert len(Recommender.open(tmp_path / "m").films) == 90
    assert begun_folder(tmp_path / "m").is_dir()  # whoever opens the old one leaves it alone


BUILD = """
import sys
from movrec import Doc2VecEmbedder, GenreClassifier, Recommender, load_sample
from movrec.workings import build, jobs
from movrec.workings.terms import TermFeatures
jobs.BATCH, build.CHUNK = 20, 40
embedder = Doc2VecEmbedder(8, epochs=2, progress=False)
classifier = GenreClassifier((8,), epochs=2, networks=2, progress=False)
films = load_sample().head(600).head(90).reset_index(drop=True)
Recommender.build(
    films, sys.argv[1], embedder=embedder, classifier=classifier, terms=TermFeatures(8), reader=False,
    train_size=45, resume=True, progress=False,
)
"""


@pytest.mark.slow
def test_a_killed_build_goes_on(tmp_path, in_one_go):
    command = [sys.executable, "-c", BUILD, str(tmp_path / "m")]
    log = begun_folder(tmp_path / "m") / stages.LOG
    for stage in ("embedder", "terms", "table"):
        process = subprocess.Popen(command)
        while process.poll() is None:
            if log.is_file() and f'"{stage}"' in log.read_text():
                process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
                break
            time.sleep(0.01)
        process.wait()
        assert begun_folder(tmp_path / "m").is_dir() or (tmp_path / "m").is_dir()
    subprocess.run(command, check=True)
    assert same(tmp_path / "m", in_one_go)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == ["m"]


def test_a_log_names_what_it_is_of(tmp_path):
    log = {"of": "x", "stages": {"terms": {"seconds": 1.0, "files": {"terms/part.json": {}}}}}
    (tmp_path / stages.LOG).write_text(json.dumps(log))
    assert stages.WrittenStages(tmp_path, "x").done == []
    digest = hashlib.sha256(b"{}").hexdigest()
    Path(tmp_path, "terms").mkdir()
    Path(tmp_path, "terms", "part.json").write_bytes(b"{}")
    log["stages"]["terms"]["files"] = {"terms/part.json": {"bytes": 2, "sha256": digest}}
    (tmp_path / stages.LOG).write_text(json.dumps(log))
    assert stages.WrittenStages(tmp_path, "x").done == ["terms"]
    assert stages.WrittenStages(tmp_path, "y").done == [] and not os.listdir(tmp_path)


# What is measured of it


def test_the_table_and_the_picture_of_growth_take_what_is_there(tmp_path):
    script = REPOSITORY / "benchmarks" / "scale.py"
    if not script.is_file():
        pytest.skip("the benchmarks are not part of this copy")
    one = {"build_s": 100.0, "film": {"median_ms": 10.0, "p95_ms": 20.0}, "recall_at_10": 1.0}
    two = {"build_s": 400.0, "film": {"median_ms": 20.0, "p95_ms": 30.0}}
    result = {"sizes": {"1000": one, "4000": two}}
    with loaded(script) as scale:
        lines = scale.to_markdown(result).splitlines()
        assert lines[0] == "| | 1,000 films | 4,000 films |"
        assert "| build | 100 s | 400 s |" in lines and "| recall@10 | 1 |  |" in lines
        assert scale.exponent(np.array([1, 4]), np.array([10, 20])) == pytest.approx(0.5)
        scale.draw(result, tmp_path / "growth.svg")
        assert (tmp_path / "growth.svg").stat().st_size > 5000
        assert scale.processor_seconds() > 0


def test_the_page_on_growth_has_the_table_of_the_last_run():
    stored = REPOSITORY / "benchmarks" / "scale.json"
    if not stored.is_file():
        pytest.skip("the benchmarks are not part of this copy")
    with loaded(stored.with_suffix(".py")) as scale:
        table = scale.to_markdown(json.loads(stored.read_text("utf-8")))
    page = REPOSITORY / "docs" / "many_machines.md"
    assert table in page.read_text("utf-8")


def test_what_was_kept_for_who_goes_on_and_cannot_be_removed_fails_the_build(tmp_path, monkeypatch):
    # Left in the model, it would be a stranger there, and no build would replace the model any more.
    kept = stages.WrittenStages(tmp_path, "a checksum")
    (tmp_path / stages.ARRAYS / "embedder").mkdir(parents=True)

    def refused(path, *_, **__):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(stages.shutil, "rmtree", refused)
    with pytest.raises(OSError, match="Input/output error"):
        kept.finish()

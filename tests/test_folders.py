"""Model folders that change, and model folders from somebody else: what docs/promises.md says of them."""

import json
import logging
import os
import pickle
import random
import shutil
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY
from safetensors.numpy import save_file

sys.path.insert(0, str(REPOSITORY / "tests" / "campaigns"))

import small

from movrec import (
    CatalogueError,
    Doc2VecEmbedder,
    ModelError,
    ParameterError,
    QueryError,
    Recommender,
)
from movrec.workings import (
    build,
    changes,
    compared,
    film_rows,
    index,
    locks,
    manifest,
    model,
    parts,
    recall,
)
from movrec.workings.film_map import film_map
from movrec.workings.folders import load_part, save_part
from movrec.workings.key_tables import map_arrays
from movrec.workings.locks import locked
from movrec.workings.manifest import drop_newer, lock_model, parse_manifest
from movrec.workings.places import write_file
from movrec.workings.vector_file import MappedFilms
from movrec.workings.weights import only


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A model of 40 films. Copy it before you change it."""
    path = tmp_path_factory.mktemp("base") / "model"
    small.build(path)
    return path


@pytest.fixture(scope="session")
def other(tmp_path_factory):
    """Another model of 40 films, to be put in the place of the first."""
    path = tmp_path_factory.mktemp("other") / "model"
    small.build(path, 50, 90, seed=2)
    return path


@pytest.fixture
def folder(base, tmp_path):
    return shutil.copytree(base, tmp_path / "model")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 0.2)


class Untrained(Doc2VecEmbedder):
    def fit(self, texts, y=None):
        raise AssertionError("it must not come to training")

    fit_blocks = fit


def build_untrained(path):
    return Recommender.build(small.films(0, 40), path, embedder=Untrained(8, progress=False))


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "latest_version_hint.json"
    }


# ---- films that are added: all or nothing --------------------------------------------------------


def test_a_killed_add_leaves_the_model_as_it_was(folder, tmp_path, monkeypatch, caplog):
    # What lies in the folder between the table's commit and the manifest is what a kill leaves.
    def manifest_after_a_look(place, manifest, **files):
        shutil.copytree(place, tmp_path / "killed")
        return write(place, manifest, **files)

    write = changes.write_manifest
    monkeypatch.setattr(changes, "write_manifest", manifest_after_a_look)
    before = contents(folder)
    assert Recommender.open(folder).add(small.films(100, 102)) == 2
    killed = tmp_path / "killed"
    assert len(contents(killed)) > len(before)
    with caplog.at_level(logging.WARNING, logger="movrec"):
        opened = Recommender.open(killed)
    assert len(opened.films) == 40 and "removed" in caplog.text
    assert contents(killed) == before
    monkeypatch.undo()
    assert opened.add(small.films(100, 102)) == 2
    assert len(Recommender.open(killed).films) == 42
    assert len(Recommender.open(folder).films) == 42


@pytest.mark.parametrize("step", ["add", "write_manifest"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_add_that_fails_changes_nothing(folder, monkeypatch, step, error):
    def fail(*_, **__):
        raise error

    def add_and_fail(store, *rows):
        add(store, *rows)
        raise error

    recommender = Recommender.open(folder)
    before, answers = contents(folder), small.asked(recommender)
    add = model.FilmStore.add
    with monkeypatch.context() as failing:
        if step == "add":
            failing.setattr(model.FilmStore, "add", add_and_fail)
        else:
            failing.setattr(changes, "write_manifest", fail)
        with pytest.raises((ModelError, KeyboardInterrupt)) as caught:
            recommender.add(small.films(100, 102))
    if caught.type is ModelError:
        assert small.is_one_sentence(caught.value) and "No space left" in str(caught.value)
    assert contents(folder) == before
    assert small.asked(recommender) == answers == small.asked(Recommender.open(folder))
    assert recommender.add(small.films(100, 102)) == 2 and len(recommender.films) == 42


def test_an_add_that_fails_after_the_manifest_is_an_add(folder, monkeypatch):
    def write_and_fail(place, manifest, **files):
        write(place, manifest, **files)
        raise OSError(5, "Input/output error")

    write, recommender = changes.write_manifest, Recommender.open(folder)
    with monkeypatch.context() as failing:
        failing.setattr(changes, "write_manifest", write_and_fail)
        with pytest.raises(ModelError):
            recommender.add(small.films(100, 102))
    assert len(Recommender.open(folder).films) == 42
    assert recommender.add(small.films(102, 103)) == 1 and len(recommender.films) == 43


def test_only_what_is_new_is_hashed(folder, monkeypatch):
    recommender, hashed = Recommender.open(folder), []
    monkeypatch.setattr(
        "movrec.workings.manifest.sha256", lambda path: hashed.append(path.name) or "0" * 64
    )
    recommender.add(small.films(100, 102))
    assert 0 < len(hashed) < 6


def test_two_who_add(folder):
    one, two = Recommender.open(folder), Recommender.open(folder)
    assert one.add(small.films(100, 102)) == 2
    assert len(two.films) == 40 and small.asked(two)  # it goes on with what it opened
    with pytest.raises(ValueError, match="in the catalogue already"):
        two.add(small.films(101, 103))
    assert two.add(small.films(102, 104)) == 2
    assert one.add(small.films(104, 105)) == 1
    opened = Recommender.open(folder)
    assert len(opened.films) == 45 == opened.manifest["films"] == opened.store.table.count_rows()
    assert opened.films["id"].is_unique and opened.manifest["added"] == 5


def test_a_table_is_not_written_past_movrec(folder):
    opened = Recommender.open(folder)
    with pytest.raises(ValueError):
        opened.store.table.delete("true")
    assert len(Recommender.open(folder).films) == 40


def test_two_threads_add_to_one_model(folder):
    recommender, errors = Recommender.open(folder), []

    def add(first):
        try:
            recommender.add(small.films(first, first + 2))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(first,)) for first in (100, 102, 104)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(Recommender.open(folder).films) == 46 == len(recommender.films)


# ---- films that are deleted and updated, versions that come back and go ---------------------------


CHANGES = {
    "delete": lambda recommender: recommender.delete(recommender.films["id"].tolist()[:2]),
    "update": lambda recommender: recommender.update(new_plot(recommender)),
    "restore": lambda recommender: recommender.restore("built"),
    "optimize": lambda recommender: recommender.optimize(keep=1),
    "tag": lambda recommender: recommender.tag("now"),
}


def new_plot(recommender):
    film = int(recommender.films["id"].iloc[3])
    return pd.DataFrame({"id": [film], "overview": ["A ship sinks in the cold sea."]})


@pytest.fixture(scope="module")
def changed(base, tmp_path_factory):
    """A model that was changed four times; its first version has the tag "built"."""
    path = shutil.copytree(base, tmp_path_factory.mktemp("changed") / "model")
    recommender = Recommender.open(path)
    recommender.tag("built")
    recommender.add(small.films(100, 102))
    recommender.delete(recommender.films["id"].tolist()[:2])
    recommender.update(new_plot(recommender))
    recommender.update(pd.DataFrame({"id": recommender.films["id"].tail(1), "vote_count": [5]}))
    return path


@pytest.fixture
def versions(changed, tmp_path):
    return shutil.copytree(changed, tmp_path / "model")


def facts_of(folder):
    opened = Recommender.open(folder)
    films = opened.films.sort_values("id").reset_index(drop=True)
    return films.to_json(), opened.store.vectors("joined", films["id"])


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("step", ["before", "after"])
def test_a_killed_change_is_none_or_whole(versions, tmp_path, monkeypatch, name, step):
    # What lies in the folder before and after the manifest is written is what a kill leaves there.
    def manifest_with_a_look(place, manifest, **files):
        if step == "before":
            shutil.copytree(place, tmp_path / "killed")
        written = write(place, manifest, **files)
        if step == "after":
            shutil.copytree(place, tmp_path / "killed")
        return written

    write, killed = changes.write_manifest, tmp_path / "killed"
    before, was = contents(versions), facts_of(versions)
    with monkeypatch.context() as looking:
        looking.setattr(changes, "write_manifest", manifest_with_a_look)
        CHANGES[name](Recommender.open(versions))
    expected = was if step == "before" else facts_of(versions)
    found = facts_of(killed)
    assert found[0] == expected[0] and np.array_equal(found[1], expected[1])
    assert contents(killed) == (before if step == "before" else contents(versions))
    again = Recommender.open(killed)
    small.asked(again)
    if step == "before" or name != "tag":  # it has that already
        CHANGES[name](again)
    assert small.asked(Recommender.open(killed))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_fails_changes_nothing(versions, monkeypatch, name):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    recommender, before = Recommender.open(versions), contents(versions)
    answers = small.asked(recommender)
    with monkeypatch.context() as failing:
        failing.setattr(changes, "write_manifest", fail)
        with pytest.raises(ModelError, match="No space left") as caught:
            CHANGES[name](recommender)
    assert small.is_one_sentence(caught.value)
    assert contents(versions) == before and small.asked(recommender) == answers


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_waits_for_others_and_knows_its_model(versions, other, impatient, name):
    recommender = Recommender.open(versions)
    with lock_model(versions, "adding films"), pytest.raises(ModelError, match="adding films"):
        CHANGES[name](recommender)
    old = Recommender.open(versions, "built")
    with pytest.raises(ParameterError, match="opened to be read") as caught:
        CHANGES[name](old)
    assert small.is_one_sentence(caught.value)
    replace(versions, other)
    now = contents(versions)
    with pytest.raises(ModelError, match="has been replaced since it was opened"):
        CHANGES[name](recommender)
    assert contents(versions) == now


def test_deleted_films_never_come(folder):
    recommender = Recommender.open(folder)
    film = recommender.films.iloc[5]
    best = recommender.recommend(int(film["id"]), k=1)["id"].iloc[0]
    assert recommender.delete([int(best), int(film["id"])]) == 2
    for opened in (recommender, Recommender.open(folder)):
        assert len(opened.films) == 38 == opened.manifest["films"]
        everything = opened.recommend_all(37, match_genres=False)
        assert not {best, film["id"]} & {*everything["id"], *everything["recommended_id"]}
        with pytest.raises(QueryError):
            opened.recommend(int(best))
        assert best not in set(opened.search(film["title"], k=38)["id"])
    with pytest.raises(CatalogueError, match="at least one"):
        recommender.delete(recommender.films["id"])
    assert recommender.add(small.films(5, 6)) == 1  # it may come back


def test_an_update_makes_anew_what_has_changed(folder):
    recommender = Recommender.open(folder)
    film = int(recommender.films["id"].iloc[7])
    was, places = recommender.store.vectors("joined", [film])[0], recommender.space.layout_

    def blocks_changed(**new):
        recommender.update(pd.DataFrame({"id": [film], **{k: [v] for k, v in new.items()}}))
        now = recommender.store.vectors("joined", [film])[0]
        return {
            name for name, place in places.items() if not np.array_equal(now[place], was[place])
        }

    assert blocks_changed(vote_count=77, tagline="It waits.") == set()
    assert recommender.find(film)["vote_count"] == 77 and len(recommender.films) == 40
    assert blocks_changed(year=1931) == {"year"}
    assert recommender.recommend_for_text(small.PLOT, k=40, years=(1931, 1931))["id"].tolist() == [
        film
    ]
    assert blocks_changed(genres=["Western"]) == {"year", "genres"}
    assert recommender.search("submarine", k=3)["id"].tolist() == []
    plot = "A submarine waits below the ice."
    assert {"plot", "year", "genres"} <= blocks_changed(overview=plot)
    assert recommender.search("submarine", k=3)["id"].tolist() == [film]
    assert recommender.update(pd.DataFrame({"id": [film], "overview": [plot]})) == 0
    assert small.asked(Recommender.open(folder)) == small.asked(recommender)
    assert recommender.history()["change"].tolist() == ["built"] + 4 * ["updated"]


def test_an_updated_film_is_like_one_that_was_added(folder):
    recommender, plot = Recommender.open(folder), "A submarine waits below the ice for a signal."
    one, two = recommender.films["id"].tolist()[:2]
    new = recommender.films_of([one]).assign(id=10**6, overview=plot)
    recommender.add(new)
    recommender.update(pd.DataFrame({"id": [one], "overview": [plot]}))
    updated, added = recommender.store.vectors("joined", [one, 10**6])
    np.testing.assert_allclose(updated, added, atol=1e-6)
    words = recommender.store.of_films([one, 10**6]).words
    half = len(words.ids) // 2
    assert half > 3 and words.ids[:half].tolist() == words.ids[half:].tolist()
    assert recommender.films["id"].is_unique and two in recommender


@pytest.mark.parametrize(
    "films, words",
    [
        ({"id": [-5], "year": [1999]}, "not in the catalogue"),
        ({"year": [1999]}, "column id"),
        ({"id": [..., ...], "year": [1999, 2000]}, "twice"),
        ({"id": [...], "stars": [5]}, "no column 'stars'"),
        ({"id": [...], "title": [None]}, "no title"),
        ({"id": ["862"], "year": [1999]}, "ids"),
        ({"id": []}, "column id"),
    ],
)
def test_an_update_that_cannot_be(base, films, words):
    recommender = Recommender.open(base)
    first = int(recommender.films["id"].iloc[0])
    films = (
        films | {"id": [first if i is ... else i for i in films.get("id", [])]}
        if "id" in films
        else films
    )
    with pytest.raises((CatalogueError, ParameterError), match=words) as caught:
        recommender.update(pd.DataFrame(films))
    assert small.is_one_sentence(caught.value) and len(recommender.history()) == 1


def test_films_are_added_in_batches(folder, monkeypatch):
    monkeypatch.setattr(changes, "BATCH", 3)
    recommender, sizes = Recommender.open(folder), []
    read = Recommender.read_films

    def counted(self, films):
        sizes.append(len(films))
        return read(self, films)

    monkeypatch.setattr(Recommender, "read_films", counted)
    assert recommender.add(small.films(100, 108)) == 8
    assert sizes == [3, 3, 2] and len(Recommender.open(folder).films) == 48
    history = recommender.history()
    assert history["change"].tolist() == ["built", "added"] and history["count"].tolist() == [40, 8]
    assert recommender.delete(recommender.films["id"].tolist()[:7]) == 7
    assert len(Recommender.open(folder).films) == 41


def test_a_version_is_what_it_was(versions, base):
    recommender = Recommender.open(versions)
    history = recommender.history()
    assert history["change"].tolist() == ["built", "added", "deleted", "updated", "updated"]
    assert history["films"].tolist() == [40, 42, 40, 40, 40]
    assert history["can_be_opened"].all() and history["when"].notna().all()
    for which in ("built", int(history["version"][0]), str(history["version"][0])):
        opened = Recommender.open(versions, which)
        assert small.asked(opened) == small.asked(Recommender.open(base))
    for version, n in zip(history["version"], history["films"]):
        assert len(Recommender.open(versions, int(version)).films) == n
    again = pickle.loads(pickle.dumps(opened))
    assert again.manifest["version"] == opened.manifest["version"] and again.read_only


def test_a_restored_version_is_what_it_was(versions, base):
    recommender = Recommender.open(versions)
    before = recommender.manifest["version"]
    assert recommender.restore("built") == before + 1
    assert small.asked(recommender) == small.asked(Recommender.open(base))
    assert recommender.restore(before + 1) == before + 1  # it is the newest
    assert len(Recommender.open(versions, before).films) == 40
    assert recommender.manifest["added"] is None and recommender.add(small.films(100, 102)) == 2
    line = recommender.history().iloc[-2]
    assert line["change"] == "restored" and line["restored"] == recommender.history()["version"][0]


def test_old_versions_go_but_for_the_newest_and_the_tagged(versions):
    recommender = Recommender.open(versions)
    reader, answers = Recommender.open(versions), small.asked(recommender)
    first, second = recommender.history()["version"][:2].tolist()
    done = recommender.optimize(keep=2)
    assert small.asked(recommender) == answers == small.asked(Recommender.open(versions))
    assert second in done.cleaned and first not in done.cleaned
    there = recommender.history().query("can_be_opened")["version"].tolist()
    assert there == [first, *recommender.history()["version"][-2:]]
    for version in there:
        assert small.asked(Recommender.open(versions, version))
    with pytest.raises(ParameterError, match=rf"cleaned up: there are {there[2]}, .*\(built\)\."):
        Recommender.open(versions, second)
    assert small.asked(reader) == answers  # its version is among those that stay
    unlisted = contents(versions).keys() - recommender.manifest["files"].keys() - {"manifest.json"}
    assert all(name.startswith("map-") for name in unlisted)
    recommender.optimize(keep=1)
    with pytest.raises(ModelError, match="has been cleaned up since it was opened"):
        reader.recommend(int(reader.films["id"].iloc[0]))
    assert recommender.optimize(keep=1).cleaned == ()
    recommender.untag("built")
    assert recommender.optimize(keep=1).cleaned == (first,)
    assert len(Recommender.open(versions).films) == 40


def test_an_old_version_is_checked_when_it_is_opened(versions):
    recommender = Recommender.open(versions)
    recommender.optimize(keep=5)
    old = [name for name, entry in recommender.manifest["files"].items() if entry.get("old")]
    file = versions / next(name for name in old if "/data/" in name)
    content = file.read_bytes()
    file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    assert len(Recommender.open(versions).films) == 40
    for which in (
        lambda: Recommender.open(versions, "built"),
        lambda: recommender.restore("built"),
    ):
        with pytest.raises(ModelError, match="checksum"):
            which()
    file.write_bytes(content[:-9])
    with pytest.raises(ModelError, match="bytes instead of"):
        Recommender.open(versions)


def test_what_cannot_be_understood_is_not_cleaned_up(versions, monkeypatch, caplog):
    def unknown(*_):
        raise ModelError("it is written in another way")

    recommender = Recommender.open(versions)
    monkeypatch.setattr(changes, "table_version", unknown)
    assert recommender.optimize(keep=1).cleaned == () and "nothing is cleaned up" in caplog.text
    assert recommender.history()["can_be_opened"].all()
    assert small.asked(Recommender.open(versions)) and small.asked(
        Recommender.open(versions, "built")
    )


def test_a_model_without_a_history_gets_one(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    version = manifest["version"]
    del manifest["history"]
    small.write_json_manifest(folder / "manifest.json", manifest)
    recommender = Recommender.open(folder)
    assert recommender.history()["version"].tolist() == [version]
    recommender.delete(recommender.films["id"].tolist()[0])
    assert recommender.history()["change"].tolist() == ["built", "deleted"]
    assert len(Recommender.open(folder, version).films) == 40


# ---- the manifest lists what movrec wrote --------------------------------------------------------


def test_what_lies_about_does_no_harm(folder):
    strangers = [
        *[".DS_Store", "films.lance/.DS_Store", "films.lance/data/._x", "embedder/Thumbs.db"],
        *["manifest.json.part", "map-6.npy", ".map-6.0123abcd.part.npy", "notes.txt", "space/x.py"],
    ]
    for round_ in (b"one", b"two", None):
        for name in strangers:
            if round_ is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(round_)
        recommender = Recommender.open(folder)
        if round_ == b"one":
            recommender.add(small.films(100, 102))
            assert not set(strangers) & recommender.manifest["files"].keys()
        assert len(recommender.films) == 42
    assert (folder / "manifest.json").exists()


def test_a_map_is_no_part_of_the_model(folder):
    recommender = Recommender.open(folder)
    places = film_map(recommender)
    recommender.add(small.films(100, 102))
    (kept,) = folder.glob("map-*")
    assert film_map(recommender).shape == (42, 2)
    kept.unlink()
    opened = Recommender.open(folder)
    for hostile in (b"x" * 10, b"\xff" * 8 + b"{}", np.ones((40, 2)).tobytes()):
        for kept in folder.glob("map-*"):
            kept.write_bytes(hostile)
        assert film_map(opened).shape == (42, 2)
    assert places.shape == (40, 2)


# ---- a model that is replaced while somebody has it open -----------------------------------------


def replace(folder, other):
    """What a build does at its end."""
    shutil.rmtree(folder)
    shutil.copytree(other, folder)


@pytest.mark.parametrize("used", [False, True], ids=["opened", "asked before"])
def test_a_model_that_was_replaced(folder, other, used):
    recommender = Recommender.open(folder)
    answers = small.asked(recommender) if used else None
    replace(folder, other)
    now = contents(folder)
    first, second = recommender.film_ids[:2].tolist()
    doors = [
        lambda: recommender.recommend(first, k=5)["id"].tolist(),
        lambda: recommender.recommend_for_text(small.PLOT, k=5)["id"].tolist(),
        lambda: recommender.predict_genres(small.PLOT)["probability"].round(4).tolist(),
        lambda: recommender.search("family", k=3)["id"].tolist(),
        lambda: recommender.recommend_all(2),
        lambda: recommender.export_embeddings(folder.parent / "x.csv"),
        lambda: recommender.explain(first, second),
        lambda: len(recommender.films),
        lambda: recommender.text_model,
        lambda: recommender.words,
        lambda: recommender.reader,
        lambda: film_map(recommender),
    ]
    for number, door in enumerate(doors):
        try:
            found = door()
        except ModelError as error:
            assert small.is_one_sentence(error) and "open it again" in str(error), error
        else:
            assert used, number
            assert number > 3 or found == answers[number]
    with pytest.raises(ModelError, match="has been replaced since it was opened: open it again"):
        recommender.add(small.films(100, 102))
    assert contents(folder) == now
    with pytest.raises(ModelError, match="replaced"):
        pickle.loads(pickle.dumps(recommender))
    assert len(Recommender.open(folder).films) == 40


def test_a_model_that_has_gone(folder):
    recommender = Recommender.open(folder)
    shutil.rmtree(folder)
    for door in (lambda: recommender.recommend_for_text(small.PLOT), lambda: recommender.words):
        with pytest.raises(ModelError, match="no longer what was opened"):
            door()


def test_a_file_that_goes_in_the_middle_of_a_question(folder, other, monkeypatch):
    recommender = Recommender.open(folder)
    first = int(recommender.films["id"].iloc[0])

    def gone(*_):
        replace(folder, other)
        raise RuntimeError("lance error: Not found: films.lance/data/1.lance")

    monkeypatch.setattr("movrec.workings.answers.understand", gone)
    with pytest.raises(ModelError, match="has been replaced"):
        recommender.recommend(first)


def test_a_model_is_opened_while_it_is_replaced(folder, other, monkeypatch):
    # The first look falls into the old model, the second into none, the third into the new one.
    read, looks = model.read_manifest, []

    def replaced_meanwhile(path, **how):
        looks.append(path)
        if len(looks) == 1:
            shutil.rmtree(folder)
        elif len(looks) == 2:
            shutil.copytree(other, folder)
            raise ModelError("a file is missing")
        return read(path, **how)

    monkeypatch.setattr(model, "read_manifest", replaced_meanwhile)
    assert len(Recommender.open(folder).films) == 40 and len(looks) == 3


def test_a_link_may_lead_elsewhere_one_day(folder, other, tmp_path):
    link = tmp_path / "current"
    link.symlink_to(folder.name)
    recommender = Recommender.open(link)
    link.unlink()
    link.symlink_to(other)
    first = int(recommender.films["id"].iloc[0])
    assert len(recommender.recommend(first, k=3)) == 3 and recommender.words.n_texts_ == 40


# ---- one writer at a time ------------------------------------------------------------------------


def test_who_comes_second_is_told_by_whom(folder, impatient):
    with lock_model(folder, "adding films"):
        for write in (lambda: Recommender.open(folder).add(small.films(100, 101)),
                      lambda: build_untrained(folder)):  # fmt: skip
            with pytest.raises(ModelError) as caught:
                write()
            assert small.is_one_sentence(caught.value)
            assert "adding films since" in str(caught.value)
            assert f"process {os.getpid()}" in str(caught.value)
        assert len(Recommender.open(folder).films) == 40  # reading goes on
    with locked(folder, "building"), pytest.raises(ModelError, match="building since"):
        build_untrained(folder)
    assert ".lock" not in os.listdir(folder)
    assert os.listdir(folder.parent) == [folder.name]


def test_a_lock_goes_with_its_process(folder):
    script = """
import sys, time
from pathlib import Path
from movrec.workings.manifest import lock_model
with lock_model(Path(sys.argv[1]), "adding films"):
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(ModelError, match=f"process {holder.pid}"), lock_model(folder, "", 0.1):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert Recommender.open(folder).add(small.films(100, 101)) == 1
    assert ".lock" not in os.listdir(folder)


def test_an_open_between_two_moves_waits_for_the_builder(base, tmp_path):
    place = tmp_path / "model"
    shutil.copytree(base, tmp_path / ".model.0123abcd.old.part")
    shutil.copytree(base, tmp_path / ".model.0123abcd.part")
    moved = []

    def finish():
        time.sleep(0.5)
        (tmp_path / ".model.0123abcd.part").rename(place)
        moved.append(True)

    with locked(place, "building"):
        thread = threading.Thread(target=finish)
        thread.start()
        opened = Recommender.open(place)
        assert moved and len(opened.films) == 40
        thread.join()
    Recommender.open(place)  # by now the builder is dead
    assert os.listdir(tmp_path) == ["model"]


def test_an_open_does_not_wait_for_a_first_build(tmp_path):
    place, started = tmp_path / "model", time.monotonic()
    (tmp_path / ".model.0123abcd.part").mkdir()
    with locked(place, "building"), pytest.raises(ModelError, match="There is no model folder"):
        Recommender.open(place)
    assert time.monotonic() - started < 5 and (tmp_path / ".model.0123abcd.part").exists()


def test_two_exports_to_one_file(tmp_path, impatient):
    path = tmp_path / "films.csv"
    with write_file(path) as first:
        first.write_text("one")
        with pytest.raises(ModelError, match="writing since"), write_file(path):
            pass
    assert path.read_text() == "one" and os.listdir(tmp_path) == ["films.csv"]
    (tmp_path / ".films.0123abcd.part.csv").touch()
    (tmp_path / ".films.v2.0123abcd.part.csv").touch()
    with write_file(path) as second:
        second.write_text("two")
    assert path.read_text() == "two"
    assert sorted(os.listdir(tmp_path)) == [".films.v2.0123abcd.part.csv", "films.csv"]


def test_a_file_on_a_link_and_on_what_is_no_file(tmp_path):
    (tmp_path / "link.csv").symlink_to("films.csv")
    with pytest.raises(ParameterError, match="leads nowhere"), write_file(tmp_path / "link.csv"):
        pass
    (tmp_path / "films.csv").write_text("old")
    with write_file(tmp_path / "link.csv") as part:
        part.write_text("new")
    assert (tmp_path / "link.csv").is_symlink() and (tmp_path / "films.csv").read_text() == "new"
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(OSError, match="no file"), write_file(tmp_path / "pipe.csv"):
        pass
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe.csv").st_mode)


# ---- what a build may replace, and where ---------------------------------------------------------


def test_a_folder_of_somebody_else_stays(tmp_path):
    site = tmp_path / "site"
    (site / "src").mkdir(parents=True)
    (site / "src" / "main.js").write_text("a year's work")
    for text in (
        '{"name": "My app", "icons": []}',
        "{",
        '{"format": 6, "movrec": "1", "files": {}}',
    ):
        (site / "manifest.json").write_text(text)
        before = contents(site)
        with pytest.raises(ParameterError) as caught:
            build_untrained(site)
        assert small.is_one_sentence(caught.value)
        assert contents(site) == before


@pytest.mark.parametrize("name", ["ratings.txt", "embedder/notes.txt", "films.lance/x", "src/a.js"])
def test_what_a_person_keeps_in_a_model_folder_stays(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    with pytest.raises(ParameterError, match="which is no part of a model"):
        build_untrained(folder)
    assert (folder / name).read_text() == "mine"


def test_a_damaged_model_and_one_that_was_looked_at_are_replaced(folder, tmp_path):
    for name in (".DS_Store", "map-40.npy", "films.lance/data/1.lance", "films.lance/.DS_Store"):
        (folder / name).write_text("x")
    (folder / "manifest.json").write_bytes(b"\0damaged")
    small.build(folder, 0, 30)
    assert len(Recommender.open(folder).films) == 30 and os.listdir(tmp_path) == ["model"]


@pytest.mark.parametrize(
    "path, said",
    [
        (None, "must be a path"),
        (7, "must be a path"),
        ("", "cannot be called"),
        ("a\0b", "cannot be called"),
        (".", "the folder that you are in"),
        ("..", "the folder that you are in"),
        ("file", "is a file"),
        ("file/below/it", "which is a file"),
        ("nowhere", "leads nowhere"),
        ("circle", "leads nowhere"),
        ("mounted", "mounted volume"),
        ("x" * 300, "name too long"),
    ],
)
def test_a_place_is_looked_at_before_training(tmp_path, monkeypatch, path, said):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "file").write_text("mine")
    (here / "mounted").mkdir()
    (here / "nowhere").symlink_to("not there")
    (here / "circle").symlink_to("circle")
    is_mount = os.path.ismount
    monkeypatch.setattr(os.path, "ismount", lambda p: str(p).endswith("mounted") or is_mount(p))
    before = sorted(os.listdir(here))
    with pytest.raises((ParameterError, ModelError), match=f"(?i){said}") as caught:
        build_untrained(path)
    assert small.is_one_sentence(caught.value)
    assert sorted(os.listdir(here)) == before and (here / "file").read_text() == "mine"


def test_a_place_that_may_not_be_written(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may everything
    for path in (folder, tmp_path / "new", tmp_path / "deep" / "er"):
        with pytest.raises(ParameterError, match="may not be written"):
            build_untrained(path)
    assert os.listdir(tmp_path) == ["model"]


def test_of_a_link_the_target_is_replaced(base, tmp_path):
    (tmp_path / "disk").mkdir()
    shutil.copytree(base, tmp_path / "disk" / "model")
    (tmp_path / "model").symlink_to("disk/model")
    small.build(tmp_path / "model", 0, 30)
    assert (tmp_path / "model").is_symlink() and os.listdir(tmp_path / "disk") == ["model"]
    assert sorted(os.listdir(tmp_path)) == ["disk", "model"]
    assert len(Recommender.open(tmp_path / "disk" / "model").films) == 30


@pytest.mark.parametrize("name", ["films.v2", "m[1]", "m*", "m?", "[!x]", "-rf", "mö del"])
def test_leftovers_are_found_by_exact_names(base, tmp_path, name):
    mine = tmp_path / f".{name}.0123abcd.old.part"
    shutil.copytree(base, mine)
    others = [tmp_path / f".films.v2x.0123abcd.{end}" for end in ("part", "old.part")]
    others += [tmp_path / f".{name}.0123abc.part", tmp_path / f".{name}.0123abcd.part.txt"]
    for path in others:
        path.mkdir()
    for wrong in ("films", "*", "m", "[m]"):
        if wrong != name:
            with pytest.raises(ModelError, match="There is no model folder"):
                Recommender.open(tmp_path / wrong)
    assert mine.exists()
    assert len(Recommender.open(tmp_path / name).films) == 40
    assert not mine.exists() and all(path.exists() for path in others)


def test_what_dead_writers_leave_is_removed_at_the_next_start(folder, tmp_path):
    (tmp_path / ".model.0123abcd.part" / "space").mkdir(parents=True)
    (tmp_path / ".model.89abcdef.old.part").mkdir()
    for lock in (tmp_path / ".model.lock", folder / ".lock"):
        lock.write_text("movrec: building since 08:00, process 1 on another machine")
    Recommender.open(folder)
    assert not (folder / ".lock").exists()
    assert os.listdir(tmp_path) == ["model"]


def test_a_half_deleted_model_is_not_put_back(base, tmp_path, monkeypatch):
    # Killed while the old one is deleted; then somebody removes the new one by hand.
    place = shutil.copytree(base, tmp_path / "model")
    seen = []

    def not_deleted(path, **_):
        seen.append(path)

    with monkeypatch.context() as killed:
        killed.setattr("movrec.workings.places.shutil.rmtree", not_deleted)
        small.build(place, 0, 30)
    left = [name for name in os.listdir(tmp_path) if name != "model"]
    assert seen and left and not [name for name in left if name.endswith(".old.part")]
    shutil.rmtree(place)
    with pytest.raises(ModelError, match="There is no model folder"):
        Recommender.open(place)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_files_have_the_rights_of_the_umask(tmp_path, umask):
    old = os.umask(umask)
    try:
        save_part(tmp_path / "part", "mean", {}, {"mean": np.ones(2)})
        with write_file(tmp_path / "films.csv") as part:
            part.write_text("id")
    finally:
        os.umask(old)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o666 & ~umask}


def test_every_file_of_a_model_can_be_read_by_others(base):
    modes = {path.stat().st_mode & 0o777 for path in base.rglob("*") if path.is_file()}
    umask = os.umask(0)
    os.umask(umask)
    assert modes == {0o666 & ~umask}


# ---- a model folder from somebody else -----------------------------------------------------------


def plant(folder, tmp_path, change):
    """Change a copy of a model past movrec, and put the files that are new there into the model."""
    import lancedb

    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere")
    change(lancedb.connect(str(elsewhere)).open_table("films"))
    new = contents(elsewhere).keys() - contents(folder).keys()
    for name in new:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(elsewhere / name, folder / name)
    return new


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.delete("id > 0"),
        lambda table: table.update(values={"title": "'PLANTED'"}),
        lambda table: table.add(table.to_arrow().slice(0, 2)),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_planted_files_of_the_table_are_not_read(
    folder, tmp_path, change, read_only, monkeypatch, caplog
):
    answers = small.asked(Recommender.open(folder))
    before = contents(folder)
    assert len(plant(folder, tmp_path, change)) >= 2
    if read_only:
        monkeypatch.setattr(
            "movrec.workings.manifest.drop_newer", lambda *_: (_ for _ in ()).throw(OSError(30, ""))
        )
    opened = Recommender.open(folder)
    assert small.asked(opened) == answers and "PLANTED" not in set(opened.films["title"])
    assert read_only or (contents(folder) == before and "removed" in caplog.text)


@pytest.mark.parametrize(
    "name",
    [
        *["_versions/18446744073709551600.manifest", "_versions/1.manifest", "data/x.lance"],
        *["_indices/x/index.idx", "_deletions/x.arrow", "_transactions/9.txn"],
        *["_versions/latest_version_hint.json"],
    ],
)
def test_junk_among_the_files_of_the_table(folder, name):
    (folder / "films.lance" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "films.lance" / name).write_bytes(b"[" * 100_000)
    assert small.asked(Recommender.open(folder))


@pytest.mark.parametrize("name", ["_refs/branches/x.json", "_latest.manifest", "notes.txt"])
def test_what_movrec_never_writes_among_them(folder, name):
    (folder / "films.lance" / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "films.lance" / name).write_text("{}")
    with pytest.raises(ModelError, match="is no part of the model"):
        Recommender.open(folder)


def test_no_bit_of_the_manifest_changes_unnoticed(folder):
    file = folder / "manifest.json"
    content, rng = file.read_bytes(), random.Random(1)
    for _ in range(1000):
        place, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        file.write_bytes(content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :])
        with pytest.raises(ModelError) as caught:
            parse_manifest(folder)
        assert small.is_one_sentence(caught.value), caught.value
    for other_ in (
        content.replace(b"\n", b"\r\n"),
        content + b" ",
        content[:-1],
        b"[" * 10**6,
        b"\xff",
    ):
        file.write_bytes(other_)
        with pytest.raises(ModelError):
            parse_manifest(folder)
    file.write_bytes(content)
    assert Recommender.open(folder)


@pytest.mark.parametrize(
    "name",
    [
        *["/proc/kmsg", "../../../../../../../../proc/kmsg", "/dev/zero", "space/../../x", "C:\\x"],
        *[
            "embedder/../manifest.json",
            "space//part.json",
            "films.lance/_refs/x",
            "\x1b[31mred",
            "",
        ],
    ],
)
def test_a_manifest_names_files_of_the_model_only(folder, name):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": 0, "sha256": "0" * 64}
    small.write_json_manifest(folder / "manifest.json", manifest)
    with pytest.raises(ModelError, match="is damaged") as caught:
        Recommender.open(folder)
    assert small.is_one_sentence(caught.value)


@pytest.mark.parametrize("what", ["link", "link to a folder", "pipe", "folder", "device"])
@pytest.mark.parametrize("name", ["space/part.json", "manifest.json", "words/arrays.safetensors"])
def test_only_regular_files_are_opened(folder, tmp_path, what, name):
    file = folder / name
    elsewhere = tmp_path / "elsewhere"
    if what == "link to a folder":
        if file.parent == folder:
            pytest.skip("the model folder itself may be a link")
        shutil.move(file.parent, elsewhere)
        file.parent.symlink_to(elsewhere)
    elif what == "link":
        shutil.move(file, elsewhere)
        file.symlink_to(elsewhere)
    else:
        file.unlink()
        if what == "pipe":
            os.mkfifo(file)
        elif what == "folder":
            file.mkdir()
        else:
            file.symlink_to("/dev/zero")
    with pytest.raises(ModelError) as caught:
        Recommender.open(folder)
    assert small.is_one_sentence(caught.value)


@pytest.mark.parametrize(
    "name, value",
    [
        *[("films", 10**12), ("films", -1), ("films", "40"), ("films", True), ("version", 5)],
        *[("version", 99), ("version", None), ("genres", 1.5), ("years", [1990]), ("years", "x")],
        *[("text_fields", []), ("text_fields", "title"), ("text_fields", [1]), ("build", "x")],
        *[("movrec", "\x1b]0;title\x07"), ("created", "a\nb"), ("python", "x" * 10_000)],
        *[("packages", {"torch": "\x1b[31m"}), ("seconds", {"table": float("nan")}), ("files", [])],
        *[("language", ["english"]), ("blocks", None), ("rows_read", -5), ("added", "many")],
        *[("sources", {}), ("sources", [{"source": "a.csv"}]), ("sources", ["a.csv"])],
        *[
            ("history", {}),
            ("history", ["built"]),
            ("history", [{"version": 6}]),
            ("history", None),
        ],
    ],
)
def test_a_manifest_that_fits_and_says_what_cannot_be(folder, name, value):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[name] = value
    small.write_json_manifest(folder / "manifest.json", manifest)
    with pytest.raises(ModelError) as caught:
        Recommender.open(folder)
    assert small.is_one_sentence(caught.value), repr(str(caught.value))


def test_a_newer_format_with_escape_codes(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest.update(format="\x1b[31m9", movrec="\x1b]0;x\x07")
    small.write_json_manifest(folder / "manifest.json", manifest)
    with pytest.raises(ModelError, match="has format") as caught:
        Recommender.open(folder)
    assert small.is_one_sentence(caught.value)


@pytest.mark.parametrize("fields", [["overview"], ["overview", "title"], ["title", "nonsense"]])
def test_changed_text_fields_are_noticed(folder, fields):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["text_fields"] = fields
    small.write_json_manifest(folder / "manifest.json", manifest)
    with pytest.raises(ModelError, match="text"):
        small.asked(Recommender.open(folder))


HOSTILE = {
    "rarity of a genre": ("space", lambda d, a: d["evidence"][0]["rarity_"].update(Drama="x")),
    "an enormous block": ("space", lambda d, a: d["evidence"][1].update(size=10**12)),
    "a mean of NaN": ("space", lambda d, a: a.update(plot_0=a["plot_0"] * np.nan)),
    "deep JSON": ("words", lambda d, a: d.update(n_texts=json.loads("[" * 400 + "]" * 400))),
    "no number of texts": ("words", lambda d, a: d.update(n_texts="é")),
    "counts of 10^18": ("words", lambda d, a: a.update(counts=a["counts"] + 10**18)),
    "words twice": ("terms", lambda d, a: d.update(vocabulary=d["vocabulary"] * 2)),
    "a scale of text": ("terms", lambda d, a: d.update(scale="")),
    "a shape of 10^12": ("terms", lambda d, a: a.update(mean=np.empty((0, 10**12), np.uint8))),
    "a tokenizer of junk": (
        "reader",
        lambda d, a: a.update(tokenizer=np.full(9000, 123, np.uint8)),
    ),
    "a vocabulary of 10^12": ("embedder", lambda d, a: d["parameters"].update(vector_size=10**12)),
    "a wide network": ("classifier", lambda d, a: d["parameters"].update(hidden=[10**12])),
    "no features": ("classifier", lambda d, a: d.update(n_features_in_=0)),
    "red genres": ("classifier", lambda d, a: d["classes_"].__setitem__(0, "\x1b[31mred")),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_part_is_refused_in_one_sentence(folder, what):
    part, change = HOSTILE[what]
    small.change_part(folder / part, change)
    small.with_fitting_checksums(folder)
    with pytest.raises(ModelError) as caught:
        small.asked(Recommender.open(folder))
    assert small.is_one_sentence(caught.value), repr(str(caught.value))


def hostile_header(header, size=0):
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    return len(text).to_bytes(8, "little") + text + b"\0" * size


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff" * 8, b"\xff" * 7 + b"\x7f", (10**12).to_bytes(8, "little") + b"{}",
        hostile_header(b"[" * 50_000), hostile_header({"counts": 1}), hostile_header(b"{"),
        hostile_header({"counts": {"dtype": "I64", "shape": [10**12], "data_offsets": [0, 8 * 10**12]}}),
        hostile_header({"counts": {"dtype": "I64", "shape": [10**12], "data_offsets": [0, 8]}}, 8),
        hostile_header({"counts": {"dtype": "I64", "shape": [2**62, 4], "data_offsets": [0, 8]}}, 8),
        hostile_header({"counts": {"dtype": "?", "shape": [1], "data_offsets": [0, 8]}}, 8),
        hostile_header({"counts": {"dtype": "I64", "shape": [-1], "data_offsets": [8, 0]}}, 8),
    ],
)  # fmt: skip
def test_a_hostile_header_of_arrays(folder, content):
    file = folder / "words" / "arrays.safetensors"
    file.write_bytes(content)
    part = json.loads((folder / "words" / "part.json").read_text())
    part["sha256"]["arrays.safetensors"] = small.hashlib.sha256(content).hexdigest()
    (folder / "words" / "part.json").write_text(json.dumps(part))
    small.with_fitting_checksums(folder)
    with pytest.raises(ModelError) as caught:
        small.asked(Recommender.open(folder))
    assert small.is_one_sentence(caught.value), repr(str(caught.value))


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"kind": ' + "9" * 5000 + "}", '{"kind": "\\u001b[31m"}', "\0", "{}", "1"],
)
def test_a_hostile_description(folder, text):
    (folder / "words" / "part.json").write_text(text)
    small.with_fitting_checksums(folder)
    with pytest.raises(ModelError) as caught:
        small.asked(Recommender.open(folder))
    assert small.is_one_sentence(caught.value), repr(str(caught.value))


def test_films_of_a_hostile_table(folder, tmp_path):
    import lancedb

    changes = {
        "one id twice": lambda table: table.add(table.to_arrow().slice(0, 1)),
        "a column less": lambda table: table.drop_columns(["tagline"]),
        "a column more": lambda table: table.add_columns({"x": "1"}),
        "no films": lambda table: table.delete("true"),
    }
    for number, (what, change) in enumerate(changes.items()):
        place = shutil.copytree(folder, tmp_path / str(number))
        table = lancedb.connect(str(place)).open_table("films")
        change(table)
        manifest = json.loads((place / "manifest.json").read_text())
        manifest.update(version=table.version, films=max(1, table.count_rows()), history=[])
        for name in contents(place):
            if name.startswith("films.lance/"):
                manifest["files"][name] = {}
        for name in list(manifest["files"]):
            content = (place / name).read_bytes()
            manifest["files"][name] = {
                "bytes": len(content),
                "sha256": small.hashlib.sha256(content).hexdigest(),
            }
        small.write_json_manifest(place / "manifest.json", manifest)
        with pytest.raises(ModelError) as caught:
            Recommender.open(place)
        assert small.is_one_sentence(caught.value), (what, caught.value)


def test_a_part_says_what_it_is_and_no_more(tmp_path):
    save_part(tmp_path / "part", "mean", {}, {"mean": np.ones(2)})
    content = json.loads((tmp_path / "part" / "part.json").read_text())
    content["kind"] = "\x1b[31m" + "x" * 10_000
    (tmp_path / "part" / "part.json").write_text(json.dumps(content))
    with pytest.raises(ModelError) as caught:
        load_part(tmp_path / "part", "mean")
    assert small.is_one_sentence(caught.value)


def test_nothing_newer_is_dropped_while_somebody_adds(folder):
    (folder / "films.lance" / "data" / "1.lance").write_text("being written")
    with lock_model(folder, "adding films"):
        assert len(Recommender.open(folder).films) == 40
        assert (folder / "films.lance" / "data" / "1.lance").exists()
    assert drop_newer(folder, parse_manifest(folder)) == ["films.lance/data/1.lance"]
    assert parts.seen_of(folder) is not None


# ---- a model is opened without being read --------------------------------------------------------


def placed_of(recommender):
    return recommender._titles._keys.placed


def test_opening_and_asking_reads_no_film_table(folder, monkeypatch):
    monkeypatch.setattr(
        film_rows.FrameRows, "__init__", lambda *_: pytest.fail("all films were read")
    )
    recommender = Recommender.open(folder)
    title = recommender.recommend(int(recommender.film_ids[0]), k=3)["title"].iloc[0]
    found = recommender.find(title)
    assert int(found["id"]) in recommender and len(recommender.suggest(title[:3], 2)) > 0
    assert recommender.n_films == 40 and f"{recommender.n_films} films" in repr(recommender)
    assert len(recommender.genres) == recommender.manifest["genres"]


def test_rows_that_are_fetched_one_by_one_are_those_of_the_film_table(folder, monkeypatch):
    whole = Recommender.open(folder).films
    monkeypatch.setattr(film_rows, "MOST_KEPT", 0)
    monkeypatch.setattr(film_rows, "_REMEMBERED", 5)
    rows = film_rows.TableRows(Recommender.open(folder).store, most_kept=0)
    for wanted in ([3, 1, 3], [30], [], list(range(5))):
        pd.testing.assert_frame_equal(rows.take(wanted), whole.iloc[wanted])
    assert rows.take([2], ["title"])["title"].tolist() == [whole["title"].iloc[2]]


def test_titles_follow_what_happens_to_films(folder):
    recommender = Recommender.open(folder)
    assert [type(one.parts).__name__ for one in placed_of(recommender)] == ["KeptParts"]
    first, second = recommender.films_of(recommender.film_ids[:2])["title"]
    new = small.films(100, 102)
    recommender.add(new)
    recommender.update(pd.DataFrame({"id": [int(recommender.film_ids[1])], "title": ["Zyx Wvu"]}))
    recommender.delete(int(recommender.film_ids[0]))
    for opened in (recommender, Recommender.open(folder)):
        assert [type(one.parts).__name__ for one in placed_of(opened)] == ["KeptParts", "MadeParts"]
        assert all(int(opened.find(title)["id"]) in opened for title in new["title"])
        assert opened.find("zyx wvu")["title"] == "Zyx Wvu"
        for gone in (first, second):
            assert gone not in opened.suggest(gone)["title"].tolist()
    recommender.optimize()
    assert [type(one.parts).__name__ for one in placed_of(recommender)] == ["KeptParts"]
    assert recommender.find("zyx wvu")["title"] == "Zyx Wvu"
    before = Recommender.open(folder, version=int(recommender.history()["version"].min()))
    assert before.find(first)["title"] == first


def test_a_title_file_that_nobody_lists_is_not_read(folder):
    there = next((folder / "films.lance/_titles").iterdir())
    (there.parent / "99.safetensors").write_bytes(there.read_bytes())
    recommender = Recommender.open(folder)
    assert [one.name for one in there.parent.iterdir()] == [there.name]
    placed_of(recommender)


def test_odd_numbers_in_the_title_file_are_one_sentence(folder):
    recommender = Recommender.open(folder)
    there = next((folder / "films.lance/_titles").iterdir())
    said, arrays = map_arrays(there)
    odd = {name: array.copy() for name, array in arrays.items()}
    odd["reduced.rows"][3] = 2**30
    save_file(odd, there, said)
    with pytest.raises(ModelError, match="is damaged") as caught:
        recommender.find("anything")
    assert small.is_one_sentence(caught.value)
    there.write_bytes(b"no such file")  # then the titles are read out of the table
    assert len(Recommender.called(recommender, recommender.films["title"].iloc[0])) > 0


def test_titles_that_are_no_text_are_one_sentence(folder):
    recommender = Recommender.open(folder)
    there = next((folder / "films.lance/_titles").iterdir())
    said, arrays = map_arrays(there)
    save_file(arrays | {"reduced.text": np.full_like(arrays["reduced.text"], 0xFF)}, there, said)
    with pytest.raises(ModelError, match="titles of this model are damaged") as caught:
        recommender.suggest("allien")  # keys are read where it may be a slip of the finger
    assert small.is_one_sentence(caught.value)


@pytest.fixture
def large(folder, monkeypatch):
    """A model folder whose films are too many to be kept in memory, as it were."""
    before = Recommender.open(folder)
    asked = [before.recommend(int(film), k=5) for film in before.film_ids[:6]]
    monkeypatch.setattr(compared, "MOST_BYTES", 0)
    Recommender.open(folder).optimize()
    return folder, asked


def vectors_beside(folder):
    return next((folder / "films.lance/_vectors").iterdir())


def test_films_of_a_large_catalogue_are_compared_by_a_file_beside_the_table(large):
    folder, asked = large
    assert vectors_beside(folder).relative_to(folder).as_posix() in parse_manifest(folder)["files"]
    recommender = Recommender.open(folder)
    for film, before in zip(recommender.film_ids.tolist(), asked):
        found = recommender.recommend(film, k=5)
        assert found["id"].tolist() == before["id"].tolist()
        assert np.allclose(found["similarity"], before["similarity"], atol=1e-3)
        why = recommender.explain(film, int(found["id"][0]))
        assert abs(sum(why.contributions.values()) - why.similarity) < 1e-6
    assert isinstance(recommender.store.remembered(), MappedFilms)
    with pytest.raises(QueryError, match="No film with the id 999999999"):
        recommender.recommend(999999999)


def test_it_follows_what_happens_to_films(large):
    folder, _ = large
    recommender = Recommender.open(folder)
    new, gone, changed = small.films(100, 102), *recommender.film_ids[:2].tolist()
    recommender.add(new)
    recommender.update(pd.DataFrame({"id": [changed], "overview": [new["overview"][0]]}))
    recommender.delete(gone)
    for opened in (recommender, Recommender.open(folder)):
        films = opened.film_ids[[0, 5, -1, -2, 7]].tolist()
        mapped, table = (
            opened.store.remembered().of_ids(films),
            opened.store.vectors("joined", films),
        )
        assert isinstance(opened.store.remembered(), MappedFilms) and mapped.ids.tolist() == films
        assert np.allclose(mapped.vectors, table, atol=1e-3)
        near = opened.recommend(int(new["id"][0]), k=5, match_genres=False)["id"].tolist()
        assert changed in near and gone not in opened.film_ids
    recommender.optimize()
    assert len(recommender.recommend(changed, k=3)) == 3
    first = Recommender.open(folder, version=int(recommender.history()["version"].min()))
    assert len(first.recommend(gone, k=3)) == 3 and new["id"][0] not in first.film_ids


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("vectors", lambda array: array[:-1]),
        ("starts", lambda array: array[::-1]),
        ("starts", lambda array: np.full_like(array, 2**62)),
        ("word_ids", lambda array: array[:-1]),
        ("ids", lambda array: array.astype(np.int32)),
        ("row_ids", lambda array: array[:0]),
    ],
)
def test_odd_numbers_beside_a_large_table_are_one_sentence(large, name, change):
    folder, _ = large
    recommender = Recommender.open(folder)
    said, arrays = map_arrays(vectors_beside(folder))
    odd = {key: array.copy() for key, array in arrays.items()}
    odd[name] = np.ascontiguousarray(change(odd[name]))
    save_file(odd, vectors_beside(folder), said)
    with pytest.raises(ModelError, match="is damaged") as caught:
        recommender.recommend(int(recommender.film_ids[0]), k=3)
    assert small.is_one_sentence(caught.value)
    vectors_beside(folder).unlink()
    with pytest.raises(ModelError, match="is missing"):
        Recommender.open(folder)


def test_large_files_are_looked_at_while_the_model_answers(folder, monkeypatch):
    monkeypatch.setattr(manifest, "CHECKED_AT_ONCE", 0)
    recommender = Recommender.open(folder)
    recommender.checks.wait()
    first = int(recommender.film_ids[0])
    assert len(recommender.recommend(first, k=3)) == 3
    largest = max((folder / "films.lance/data").iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    damaged = Recommender.open(folder)
    with pytest.raises(ModelError, match="does not have the checksum"):
        damaged.checks.wait()
    with pytest.raises(ModelError, match="does not have the checksum"):
        damaged.recommend(first, k=3)
    largest.write_bytes(content[:-1])
    with pytest.raises(ModelError, match="bytes instead of"):
        Recommender.open(folder)


def of_an_index(folder):
    return next((folder / "films.lance/_indices").rglob("*tokens.lance"))


def test_a_file_of_an_index_that_was_cut_short_fails_the_build(folder, monkeypatch):
    # LanceDB has been seen to lose the last write of such a file, and to say nothing.
    before = Recommender.open(folder).films["id"].tolist()

    def cut_short(place, *_):
        cut = of_an_index(place)
        cut.write_bytes(cut.read_bytes()[:-5])

    monkeypatch.setattr(build, "write_titles", cut_short)
    with pytest.raises(ModelError, match="was not written to its end") as caught:
        small.build(folder, 50, 90, seed=2)
    assert small.is_one_sentence(caught.value)
    assert Recommender.open(folder).films["id"].tolist() == before
    assert os.listdir(folder.parent) == [folder.name]


def test_a_table_that_is_damaged_while_it_is_open_is_one_sentence(folder):
    recommender = Recommender.open(folder)
    of_an_index(folder).write_bytes(b"no index")
    with pytest.raises(ModelError, match="cannot be read") as caught:
        recommender.search("a dog and a detective")
    assert small.is_one_sentence(caught.value)


# ---- an index that is no exact one ---------------------------------------------------------------


@pytest.mark.parametrize(("kind", "most_flat"), [("ivf_flat", 100_000), ("ivf_pq", 300)])
def test_a_catalogue_that_outgrows_exact_search_gets_an_index(
    small_model, tmp_path, monkeypatch, kind, most_flat
):
    folder = shutil.copytree(small_model, tmp_path / "model")
    recommender = Recommender.open(folder)
    ids = recommender.film_ids[:12].tolist()
    exact = {film: recommender.recommend(film, k=5)["id"].tolist() for film in ids}
    alone = recommender.recommend(ids[0], k=5, weights=only("title"))["similarity"]
    assert recommender.store.index.exact and recommender.manifest["index"]["kind"] == "exact"
    monkeypatch.setattr(index, "MOST_EXACT", 300)
    monkeypatch.setattr(index, "MOST_FLAT", most_flat)
    monkeypatch.setattr(recall, "QUERIES", 12)
    recommender.optimize()
    said = recommender.manifest["index"]
    enough = recommender.store.index.enough
    assert said["kind"] == kind and min(said["recall"].values()) >= enough >= 0.98
    opened = Recommender.open(folder)
    assert opened.store.index == recommender.store.index and not opened.store.index.exact
    assert kind.upper() in opened._repr_html_()
    found = {film: opened.recommend(film, k=5)["id"].tolist() for film in ids}
    assert np.mean([len(set(found[film]) & set(exact[film])) for film in ids]) > 4.8
    # These weights have not been measured: all lists are looked into.
    assert np.allclose(alone, opened.recommend(ids[0], k=5, weights=only("title"))["similarity"])
    few = ids[:4]
    monkeypatch.setattr(type(opened), "film_ids", np.array(few))
    table = pd.read_parquet(opened.export_recommendations(tmp_path / "top.parquet", k=5))
    assert {film: table[table["id"] == film]["recommended_id"].tolist() for film in few} == {
        film: found[film] for film in few
    }
    pd.testing.assert_frame_equal(opened.recommend_all(5), table)
    vectors = pd.read_parquet(opened.export_embeddings(tmp_path / "vectors.parquet"))
    assert len(vectors) == 600 and vectors.columns.tolist() == ["id", "title", "vector"]

"""Building in pieces: the same model as in one go, by one process and by a cluster of two."""

import json
import os
import signal
import threading
import time

import lancedb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from movrec import (
    CatalogueError,
    Doc2VecEmbedder,
    GenreClassifier,
    ModelError,
    ParameterError,
    Recommender,
)
from movrec.scale import (
    ListWriter,
    build_in_pieces,
    build_on_ray,
    recommend_all_in_pieces,
    recommend_all_on_ray,
)
from movrec.space import TextModel
from movrec.workings import cluster as clusters
from movrec.workings.cluster import Alone, has_ray, told
from movrec.workings.fragments import commit_rows, write_rows
from movrec.workings.index import SearchIndex
from movrec.workings.pieces import PartRead, PartReader, part_files, pieces_of, read_piece
from movrec.workings.work import Work

with_ray = pytest.mark.skipif(
    not has_ray(), reason='the extra is not installed: pip install "movrec[ray]"'
)


def learners():
    """Parts that learn in a moment."""
    return {
        "embedder": Doc2VecEmbedder(20, epochs=2, progress=False),
        "classifier": GenreClassifier(epochs=1, networks=1, progress=False),
    }


def build(source, path, crew=None, **how):
    """A model in pieces of 17 films that has learned from 50."""
    model = TextModel(**learners(), progress=False)
    how = {"piece_size": 17, "train_size": 50, "progress": False, **how}
    return build_in_pieces(source, path, crew, model=model, **how)


@pytest.fixture(scope="module")
def films(sample_films):
    found = sample_films.head(80).copy()
    found.attrs = {}
    return found


@pytest.fixture(scope="module")
def parts(films, tmp_path_factory):
    """Eighty films in three files."""
    folder = tmp_path_factory.mktemp("parts")
    films.iloc[:30].to_csv(folder / "part-9.csv", index=False)
    films.iloc[30:60].to_parquet(folder / "part-10.parquet", index=False)
    films.iloc[60:].to_csv(folder / "part-11.csv", index=False)
    (folder / "_SUCCESS").touch()
    return folder


@pytest.fixture(scope="module")
def in_one_go(films, tmp_path_factory):
    """The model that a build on one machine makes of the same films."""
    path = tmp_path_factory.mktemp("one") / "model"
    return Recommender.build(films, path, **learners(), train_size=50, progress=False)


def assert_same(model, other):
    """The same films, vectors and recommendations."""
    pd.testing.assert_frame_equal(model.films, other.films)
    for space in ("joined", "document"):
        np.testing.assert_allclose(
            model.store.vectors(space), other.store.vectors(space), atol=1e-6
        )
    lists, others = model.recommend_all(10), other.recommend_all(10)
    pd.testing.assert_frame_equal(lists, others, atol=1e-6)
    same = ("films", "years", "genres", "blocks", "language", "text_fields", "train_size")
    assert [model.manifest[name] for name in same] == [other.manifest[name] for name in same]


class Counting(Alone):
    """A crew that counts what it does, and may be interrupted."""

    def __init__(self, most=10**6):
        self.most, self.done, self.learned = most, [], 0

    def once(self, function, *given):
        self.learned += 1
        return super().once(function, *given)

    def each(self, make, given, things):
        for number, one in enumerate(super().each(make, given, things)):
            if make.__name__ == "PieceWriter" and number == self.most:
                raise KeyboardInterrupt
            self.done.append(make.__name__)
            yield one


# ---- in pieces -----------------------------------------------------------------------------------


def test_pieces_make_the_model_that_one_go_makes(parts, in_one_go, tmp_path):
    model = build(parts, tmp_path / "model")
    assert_same(model, in_one_go)
    assert model.manifest["rows_read"] == 80
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    found = {path.name for path in (tmp_path / "model").iterdir()}
    there = {path.name for path in in_one_go.path.iterdir()}
    assert found == {name for name in there if not name.startswith("map-")}  # drawn when asked for
    toy = model.recommend(model.films["id"].iloc[0])
    assert toy["id"].tolist() == in_one_go.recommend(in_one_go.films["id"].iloc[0])["id"].tolist()


@pytest.mark.slow
def test_a_film_table_will_do_and_the_size_of_pieces_does_not_matter(films, in_one_go, tmp_path):
    assert_same(build(films, tmp_path / "model", piece_size=1000), in_one_go)


def test_a_second_run_goes_on_where_the_first_stopped(parts, in_one_go, tmp_path):
    first, path = Counting(most=2), tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        build(parts, path, first)
    assert first.done.count("PartReader") == 3 and first.done.count("PieceWriter") == 2
    assert not path.exists()
    second = Counting()
    model = build(parts, path, second)
    assert second.done == ["PieceWriter"] * 3  # of six pieces; the third was done, and not told of
    assert_same(model, in_one_go)
    assert [left.name for left in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
def test_another_plan_begins_anew(parts, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build(parts, tmp_path / "model", Counting(most=0))
    crew = Counting()
    build(parts, tmp_path / "model", crew, piece_size=30)
    assert crew.done.count("PartReader") == 3 and crew.done.count("PieceWriter") == 3


@pytest.mark.slow
def test_what_was_there_stays_until_the_new_model_is_whole(parts, films, tmp_path):
    path = tmp_path / "model"
    build(films.head(20), path)
    with pytest.raises(KeyboardInterrupt):
        build(parts, path, Counting(most=1))
    assert len(Recommender.open(path).films) == 20
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    with pytest.raises(ParameterError, match="not a movrec model"):
        build(parts, tmp_path / "mine")


@pytest.mark.slow
def test_a_lost_piece_is_written_anew(parts, in_one_go, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build(parts, tmp_path / "model", Counting(most=5))
    work = Work(tmp_path / ".model.begun.part")
    said = json.loads(next(work.row_files.iterdir()).read_text(encoding="utf-8"))
    from movrec.workings.fragments import files_of

    files_of(work.folder, said["written"])[0].unlink()
    crew = Counting()
    assert_same(build(parts, tmp_path / "model", crew), in_one_go)
    assert crew.done == ["PieceWriter"]


# ---- parts ---------------------------------------------------------------------------------------


def test_a_film_of_two_parts_counts_once(films, tmp_path):
    films.head(30).to_csv(tmp_path / "a.csv", index=False)
    films.iloc[20:50].to_csv(tmp_path / "b.csv", index=False)
    reader = PartReader(str(tmp_path), 15, {})
    files = part_files([tmp_path / "a.csv", tmp_path / "b.csv"])
    reads = [PartRead(**reader({"number": n, "path": str(path)})) for n, path in enumerate(files)]
    pieces = pieces_of(tmp_path, reads)
    assert [(piece.first, piece.films) for piece in pieces] == [
        (0, 15),
        (15, 15),
        (30, 5),
        (35, 15),
    ]
    together = pd.concat([piece.read() for piece in pieces])
    assert together["id"].tolist() == films["id"].tolist()[:50]


def test_rows_without_ids_are_numbered_on(films, tmp_path):
    plain = films[["title", "overview", "genres", "year"]]
    plain.head(30).to_csv(tmp_path / "1.csv", index=False)
    plain.iloc[30:].to_csv(tmp_path / "2.csv", index=False)
    plain.to_csv(tmp_path / "whole.csv", index=False)
    from movrec import read_movies

    reader = PartReader(str(tmp_path), 100, {})
    names = ("1.csv", "2.csv")
    reads = [
        PartRead(**reader({"number": n, "path": str(tmp_path / name)}))
        for n, name in enumerate(names)
    ]
    ids = pd.concat([piece.read() for piece in pieces_of(tmp_path, reads)])["id"]
    assert ids.tolist() == read_movies(tmp_path / "whole.csv")["id"].tolist()
    mixed = [reads[0], PartRead([1], 1)]
    with pytest.raises(CatalogueError, match="some parts|Some parts"):
        pieces_of(tmp_path, mixed)


def test_a_damaged_part_is_named(parts, tmp_path):
    broken = tmp_path / "part-12.parquet"
    broken.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(CatalogueError, match=r"part-12\.parquet"):
        build([*part_files(parts), broken], tmp_path / "model")
    with pytest.raises(CatalogueError, match="no file"):
        build([tmp_path / "part-13.csv"], tmp_path / "model")
    (tmp_path / "piece.parquet").write_bytes(b"PAR1")
    with pytest.raises(CatalogueError, match=r"piece\.parquet cannot be read"):
        read_piece(tmp_path / "piece.parquet")
    with pytest.raises(CatalogueError, match="at least 10 films"):
        (tmp_path / "few.csv").write_text("id,title,overview,genres\n1,A,A ship sinks.,Drama\n")
        build(tmp_path / "few.csv", tmp_path / "model")


@pytest.mark.slow
def test_a_part_that_lacks_a_column_is_no_harm(films, tmp_path):
    kept = [name for name in ("id", "title", "overview", "genres") if name in films]
    films.head(40).to_csv(tmp_path / "1.csv", index=False)
    films[kept].iloc[40:].to_csv(tmp_path / "2.csv", index=False)
    model = build([tmp_path / "1.csv", tmp_path / "2.csv"], tmp_path / "model")
    assert model.films["year"].isna().sum() >= 40 and len(model.films) == 80
    assert len(model.recommend(model.films["id"].iloc[60])) == 10


# ---- what is said of errors ----------------------------------------------------------------------


def test_without_the_extra_a_sentence_says_what_to_install(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(clusters, "find_spec", lambda name: None)
    with pytest.raises(ParameterError, match=r'pip install "movrec\[ray\]"'):
        build_on_ray(parts, tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("OutOfMemoryError", "out of memory"),
        ("ActorDiedError", "a worker died"),
        ("NodeDiedError", "a machine of the cluster is gone"),
        ("ObjectStoreFullError", "object store is full"),
    ],
)
def test_what_ray_says_becomes_a_sentence(kind, said):
    error = RuntimeError("a page")
    error.__cause__ = type(kind, (Exception,), {})("The worker\nand a page of more")
    message = told(error, "The model cannot be built")
    assert isinstance(message, ModelError) and said in str(message) and "\n" not in str(message)


def test_a_worker_s_sentence_comes_without_what_ray_adds():
    error = RuntimeError("a page")
    error.__cause__ = CatalogueError(
        "part-1.csv is empty.\nFailed to apply UDF transform after 1/1"
    )
    assert str(told(error, "The model cannot be built")) == "part-1.csv is empty."


# ---- a cluster of two processes ------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_processes():
    """Ray with two processes, which ends with these tests."""
    if not has_ray():
        pytest.skip('the extra is not installed: pip install "movrec[ray]"')
    with clusters.cluster(processes=2, store_bytes=200 * 2**20) as ray:
        yield ray


def on_ray(source, path, **how):
    how = {"piece_size": 17, "train_size": 50, "progress": False, **learners(), **how}
    return build_on_ray(source, path, **how)


@with_ray
@pytest.mark.slow
def test_two_processes_make_the_model_that_one_makes(two_processes, parts, in_one_go, tmp_path):
    model = on_ray(parts, tmp_path / "model")
    assert_same(model, in_one_go)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@with_ray
@pytest.mark.slow
def test_two_processes_make_an_index_that_finds_what_comparing_all_finds(two_processes, tmp_path):
    random = np.random.default_rng(0)
    n, size = 70_000, 16  # codes are learned from 65,536 vectors
    middles = random.normal(size=(500, size))
    vectors = middles[random.integers(0, 500, n)] + 0.5 * random.normal(size=(n, size))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

    def rows(start, stop):
        flat = pa.array(vectors[start:stop].ravel())
        columns = {"id": pa.array(range(start, stop)), "year": pa.array([1999] * (stop - start))}
        return pa.table(columns | {"vector": pa.FixedSizeListArray.from_arrays(flat, size)})

    written = []
    for start in range(0, n, 20_000):
        some = rows(start, min(n, start + 20_000))
        written += write_rows(some, tmp_path, f"from-{start}")
    commit_rows(tmp_path, written, rows(0, 1).schema)
    table = lancedb.connect(tmp_path).open_table("films")
    index = SearchIndex("ivf_pq", partitions=100, sub_vectors=4, films=n)
    clusters.Crew(two_processes).index(table, index)
    assert {"vector_idx", "year_idx"} <= {found.name for found in table.list_indices()}
    stats = table.index_stats("vector_idx")
    assert (stats.index_type, stats.distance_type) == ("IVF_PQ", "dot")
    assert (stats.num_indexed_rows, stats.num_unindexed_rows) == (n, 0)
    found = 0
    for row in range(0, n, 3_500):
        best = np.argsort(-(vectors @ vectors[row]))[:10]
        query = table.search(vectors[row], vector_column_name="vector").distance_type("dot")
        near = query.nprobes(20).limit(250).to_arrow()["id"].to_pylist()
        found += len(set(best.tolist()) & set(near))
    assert found >= 0.95 * 200
    # What is added later goes into the same index.
    table.add(rows(0, 100))
    table.optimize()
    assert table.index_stats("vector_idx").num_indexed_rows == n + 100


@with_ray
@pytest.mark.slow
def test_a_worker_that_dies_is_survived(two_processes, parts, in_one_go, tmp_path):
    killed = []

    def kill_the_first():
        place = Work(tmp_path / ".model.begun.part").row_files
        until = time.monotonic() + 300
        while not killed and time.monotonic() < until:
            for said in place.glob("0*.json") if place.is_dir() else ():
                process = json.loads(said.read_text(encoding="utf-8"))["process"]
                if process != os.getpid():
                    os.kill(process, signal.SIGKILL)
                    killed.append(process)
                    break
            time.sleep(0.01)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    try:
        model = on_ray(parts, tmp_path / "model", piece_size=5)
    finally:
        killed.append(None)
        killer.join()
    assert killed[0] is not None, "nobody was killed"
    assert_same(model, in_one_go)


@with_ray
@pytest.mark.slow
def test_the_cluster_goes_on_with_what_one_process_has_begun(
    two_processes, parts, in_one_go, tmp_path
):
    with pytest.raises(KeyboardInterrupt):
        build(parts, tmp_path / "model", Counting(most=3))
    written = {
        path.name: path.stat().st_mtime_ns
        for path in Work(tmp_path / ".model.begun.part").row_files.iterdir()
    }
    assert len(written) == 4
    model = on_ray(parts, tmp_path / "model")
    assert_same(model, in_one_go)


@with_ray
@pytest.mark.slow
def test_a_worker_s_error_comes_back_as_it_was(two_processes, parts, tmp_path):
    broken = tmp_path / "part-12.parquet"
    broken.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(CatalogueError, match=r"part-12\.parquet") as error:
        on_ray([*part_files(parts), broken], tmp_path / "model")
    assert "\n" not in str(error.value)


@with_ray
@pytest.mark.slow
def test_an_address_where_nobody_is_says_so(parts, tmp_path):
    import subprocess
    import sys

    code = (
        "from movrec.scale import build_on_ray\n"
        f"build_on_ray({str(parts)!r}, {str(tmp_path / 'model')!r}, '127.0.0.1:9')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert "ParameterError: No Ray cluster answers at 127.0.0.1:9" in done.stderr


@with_ray
@pytest.mark.slow
def test_two_processes_recommend_what_one_recommends(two_processes, in_one_go, tmp_path):
    one = in_one_go.recommend_all(10)
    lists = recommend_all_on_ray(
        in_one_go, tmp_path / "lists", 10, films_at_a_time=30, progress=False
    )
    pd.testing.assert_frame_equal(pd.read_parquet(lists), one)


# ---- the recommendations for all films -----------------------------------------------------------


class Stopping(Alone):
    """A crew that stops after so many files."""

    def __init__(self, most):
        self.most, self.done = most, 0

    def each(self, make, given, things):
        for one in super().each(make, given, things):
            self.done += 1
            if self.done > self.most:
                raise KeyboardInterrupt
            yield one


def test_lists_in_pieces_are_those_of_one_go(small_recommender, tmp_path):
    one = small_recommender.recommend_all(5)
    how = {"films_at_a_time": 150, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        recommend_all_in_pieces(small_recommender, tmp_path / "lists", 5, Stopping(1), **how)
    assert not (tmp_path / "lists").exists()
    crew = Stopping(100)
    folder = recommend_all_in_pieces(small_recommender, tmp_path / "lists", 5, crew, **how)
    assert crew.done == 2  # of four, two of which were done
    pd.testing.assert_frame_equal(pd.read_parquet(folder), one)
    assert [path.name for path in tmp_path.iterdir()] == ["lists"]


def test_lists_of_a_catalogue_with_an_index_are_asked_for_one_after_the_other(small_recommender):
    ids = small_recommender.film_ids
    writer = ListWriter(
        str(small_recommender.path), small_recommender.manifest["build"], ".", 3, {}
    )
    found = writer.ask(int(ids[5]))
    one = small_recommender.recommend_all(3)
    expected = one["recommended_id"][one["id"] == ids[5]].tolist()
    assert found["id"].tolist() == expected


def test_lists_go_into_no_folder_that_holds_something_else(small_recommender, tmp_path):
    (tmp_path / "thesis.txt").write_text("words")
    with pytest.raises(ParameterError, match=r"thesis\.txt"):
        recommend_all_in_pieces(small_recommender, tmp_path, 5, progress=False)

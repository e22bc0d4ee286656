"""Fixtures that several test files share; the costly ones are made once a run.

It lies at the top of the repository, since the examples in the package's docstrings count on it, too.
"""

import importlib.util
import os
import re
import shutil
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent

# Programs, not tests: some of them start themselves again with another library in front.
collect_ignore_glob = ["tests/campaigns/*"]

# What a shell starts in the background ignores Ctrl-C, and so does all that it starts. The tests that
# send that signal to a process of their own want one that hears it, as at a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def loaded(script):
    """A script that is no part of the package, as a module."""
    spec = importlib.util.spec_from_file_location(f"{script.stem}_script", script)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="session")
def sample_films():
    """The bundled catalogue as a film table. Treat it as read-only: copy before you change it."""
    from movrec.ingest import load_sample

    return load_sample()


@pytest.fixture(scope="session")
def small_films(sample_films):
    """The first 600 films of the sample: enough to train on in a few seconds."""
    return sample_films.head(600).reset_index(drop=True)


@pytest.fixture(scope="session")
def small_model(small_films, tmp_path_factory):
    """The folder of a model that was built from `small_films`. Copy it before you damage it."""
    from movrec.classifier import GenreClassifier
    from movrec.doc2vec import Doc2VecEmbedder
    from movrec.recommend import Recommender

    path = tmp_path_factory.mktemp("small") / "model"
    Recommender.build(
        small_films,
        path,
        embedder=Doc2VecEmbedder(epochs=10, progress=False),
        classifier=GenreClassifier(epochs=10, progress=False),
        progress=False,
    )
    return path


@pytest.fixture(scope="session")
def small_recommender(small_model):
    """The model of `small_model`, open. Do not `add` to it: open a copy for that."""
    from movrec.recommend import Recommender

    return Recommender.open(small_model)


@pytest.fixture(scope="session")
def real_data():
    """The real rows in Kaggle's schema (`movies_metadata.csv.gz`), which are not in the repository.

    They are looked for in the folder that the environment variable MOVREC_REAL_DATA names, else in
    `../shared/data` beside the repository.
    """
    folder = Path(os.environ.get("MOVREC_REAL_DATA") or REPOSITORY.parent / "shared" / "data")
    path = folder / "movies_metadata.csv.gz"
    if not path.is_file():
        pytest.skip("the real rows are not here (MOVREC_REAL_DATA names the folder they lie in)")
    return path


# ---- the examples in docstrings ------------------------------------------------------------------


@pytest.fixture(autouse=True)
def names_for_examples(request, tmp_path, monkeypatch):
    """What an example in a docstring may use without making it, in an empty folder of its own.

    `films` is a catalogue of 600 films, `recommender` a model of them, and `model` its folder, which
    is a copy. Both are made only where an example names them. As everywhere in doctest, the names of
    the example's own module are there as well.
    """
    if not isinstance(request.node, pytest.DoctestItem):
        return
    monkeypatch.chdir(tmp_path)
    code = "".join(example.source for example in request.node.dtest.examples)
    used = set(re.findall(r"\b(?:films|recommender|model)\b", code))
    given = request.node.dtest.globs
    if "films" in used:
        given["films"] = request.getfixturevalue("small_films").copy()
    if "model" in used:
        given["model"] = shutil.copytree(request.getfixturevalue("small_model"), tmp_path / "model")
    if "recommender" in used:
        given["recommender"] = request.getfixturevalue("small_recommender")

"""Content-based film recommendation that you can read.

>>> from movrec import Recommender, load_sample
>>> recommender = Recommender.build(load_sample(), "movrec-model")
>>> recommender.recommend("Toy Story")

`import movrec` is cheap: a name below is imported from its module when it is first used, and with it
what that module needs.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

__version__ = "0.1.0"

# The main names, and the module that each of them comes from.
_MODULE_OF = {
    "read_movies": "ingest",
    "load_sample": "ingest",
    "download_movies": "ingest",
    "check_films": "ingest",
    "IngestReport": "ingest",
    "MovrecError": "ingest",
    "CatalogueError": "ingest",
    "ParameterError": "ingest",
    "NotFittedError": "ingest",
    "ModelError": "ingest",
    "QueryError": "ingest",
    "film_texts": "doc2vec",
    "Doc2VecEmbedder": "doc2vec",
    "GenreClassifier": "classifier",
    "Recommender": "recommend",
}

__all__ = [*_MODULE_OF, "__version__"]

if _TYPE_CHECKING:  # for editors, which do not follow __getattr__
    from .classifier import GenreClassifier
    from .doc2vec import Doc2VecEmbedder, film_texts
    from .ingest import (
        CatalogueError,
        IngestReport,
        ModelError,
        MovrecError,
        NotFittedError,
        ParameterError,
        QueryError,
        check_films,
        download_movies,
        load_sample,
        read_movies,
    )
    from .recommend import Recommender


def __getattr__(name: str):
    """Import one of the main names from its module when it is first asked for (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The names of the package, those that have not been imported yet among them."""
    return sorted({*globals(), *__all__})

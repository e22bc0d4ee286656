"""Content-based film recommendation that you can read.

>>> from movrec import Recommender, load_sample
>>> recommender = Recommender.build(load_sample(), "movrec-model")  # doctest: +SKIP
>>> recommender.recommend("Toy Story")["title"][0]
'Toy Story 2'

`import movrec` is cheap: a name below is imported from its module when it is first used, and with it
what that module needs.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

__version__ = "0.1.0"

# The main names, and the module that each of them comes from.
_MODULE_OF = {
    "MovrecError": "workings.core",
    "CatalogueError": "workings.core",
    "ParameterError": "workings.core",
    "NotFittedError": "workings.core",
    "ModelError": "workings.core",
    "QueryError": "workings.core",
    "IngestReport": "workings.report",
    "read_movies": "ingest",
    "load_sample": "ingest",
    "download_movies": "ingest",
    "check_films": "ingest",
    "add_source": "workings.supplements",
    "film_texts": "workings.text",
    "Doc2VecEmbedder": "doc2vec",
    "StaticReader": "workings.reader",
    "SentenceEmbedder": "workings.sentence",
    "GenreClassifier": "classifier",
    "JoinedSpace": "space",
    "Recommender": "recommend",
    "diversify": "workings.answers",
    "Explanation": "workings.explain",
    "evaluate": "evaluation",
    "compare": "evaluation",
    "SearchBox": "search_box",
}

__all__ = [*_MODULE_OF, "__version__"]

if _TYPE_CHECKING:  # for editors and type checkers, which do not follow __getattr__
    from .classifier import GenreClassifier as GenreClassifier
    from .doc2vec import Doc2VecEmbedder as Doc2VecEmbedder
    from .evaluation import compare as compare
    from .evaluation import evaluate as evaluate
    from .ingest import check_films as check_films
    from .ingest import download_movies as download_movies
    from .ingest import load_sample as load_sample
    from .ingest import read_movies as read_movies
    from .recommend import Recommender as Recommender
    from .search_box import SearchBox as SearchBox
    from .space import JoinedSpace as JoinedSpace
    from .workings.answers import diversify as diversify
    from .workings.core import CatalogueError as CatalogueError
    from .workings.core import ModelError as ModelError
    from .workings.core import MovrecError as MovrecError
    from .workings.core import NotFittedError as NotFittedError
    from .workings.core import ParameterError as ParameterError
    from .workings.core import QueryError as QueryError
    from .workings.explain import Explanation as Explanation
    from .workings.reader import StaticReader as StaticReader
    from .workings.report import IngestReport as IngestReport
    from .workings.sentence import SentenceEmbedder as SentenceEmbedder
    from .workings.supplements import add_source as add_source
    from .workings.text import film_texts as film_texts


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

"""movrec's estimators in scikit-learn's company: its own checks, clones, pipelines, searches."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError as SklearnNotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from movrec.doc2vec import Doc2VecEmbedder
from movrec.workings.core import NotFittedError, ParameterError
from movrec.workings.terms import TermFeatures

# ---- the embedder and the term features: estimators of texts -------------------------------------

TEXTS = [
    f"{name} flies a {ship} to the {place}. The crew of the {ship} fears the {danger}."
    for name in ("Anna", "Boris", "Chen", "Dora")
    for ship, danger in (("rocket", "alien"), ("galleon", "pirate"), ("train", "robber"))
    for place in ("moon", "island", "desert")
]
LABELS = np.array(["rocket" in text for text in TEXTS])


def small_embedder(**parameters):
    settings = {"vector_size": 12, "epochs": 8, "sample": 0.01, "progress": False}
    return Doc2VecEmbedder(**{**settings, **parameters})


class OfNumbers:
    """Let scikit-learn's checks, which hand over tables of numbers, see an estimator of texts.

    A row of numbers is written out as a text; the numbers themselves are checked by scikit-learn.
    """

    def fit(self, X, y=None):
        return super().fit(written_out(validate_data(self, X)), y)

    def transform(self, X):
        check_is_fitted(self)
        return super().transform(written_out(validate_data(self, X, reset=False)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def written_out(rows):
    return [" ".join(f"column{c}is{value:.0f}" for c, value in enumerate(row)) for row in rows]


class Doc2VecOfNumbers(OfNumbers, Doc2VecEmbedder):
    kind = "Doc2Vec of numbers, a test"


class TermsOfNumbers(OfNumbers, TermFeatures):
    kind = "terms of numbers, a test"


TRAINED_OR_INFERRED = (
    "fit_transform returns the vectors that were trained, and transform infers new ones: close, "
    "not equal. The check is asked of transform alone by check_methods_* and by test_doc2vec.py"
)
EXPECTED_TO_FAIL = {
    "Doc2VecOfNumbers": {
        "check_transformer_general": TRAINED_OR_INFERRED,
        "check_transformer_data_not_an_array": TRAINED_OR_INFERRED,
        "check_fit2d_1sample": "it says what is wrong with one text, but not in words of 'samples'",
    },
    "TermsOfNumbers": {},
}


@parametrize_with_checks(
    [
        Doc2VecOfNumbers(5, min_count=1, epochs=2, progress=False),
        TermsOfNumbers(5, min_df=1),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_TO_FAIL[type(estimator).__name__],
)
def test_scikit_learn_s_own_checks_of_estimators_of_texts(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [small_embedder(window=3), TermFeatures(7, min_df=1)])
def test_it_is_cloned_and_shown_with_what_was_changed(estimator):
    other = clone(estimator)
    assert other is not estimator and other.get_params() == estimator.get_params()
    assert not other.is_fitted()
    assert repr(other) == repr(estimator)
    assert "sk-estimator" in estimator._repr_html_()


def test_the_embedder_shows_what_was_changed():
    assert repr(small_embedder(window=3)) == (
        "Doc2VecEmbedder(epochs=8, progress=False, sample=0.01, vector_size=12, window=3)"
    )


@pytest.mark.parametrize("estimator", [small_embedder(), TermFeatures(7, min_df=1)])
def test_a_parameter_that_does_not_exist_is_named(estimator):
    with pytest.raises(ParameterError, match="no parameter 'windows'"):
        estimator.set_params(windows=3)


@pytest.mark.parametrize("estimator", [small_embedder(), TermFeatures(7, min_df=1)])
def test_whether_it_is_fitted_both_ways_of_asking_say(estimator):
    estimator = clone(estimator)
    with pytest.raises(SklearnNotFittedError):
        check_is_fitted(estimator)
    for error in (SklearnNotFittedError, NotFittedError):
        with pytest.raises(error, match="call fit or load"):
            estimator.transform(TEXTS)
    check_is_fitted(estimator.fit(TEXTS))


@pytest.mark.parametrize("estimator", [small_embedder(), TermFeatures(7, min_df=1)])
def test_its_columns_have_names_and_come_as_a_table(estimator):
    estimator = clone(estimator).fit(TEXTS)
    vectors = estimator.transform(TEXTS)
    names = estimator.get_feature_names_out()
    prefix = type(estimator).__name__.lower()
    assert list(names) == [f"{prefix}{column}" for column in range(vectors.shape[1])]
    table = estimator.set_output(transform="pandas").transform(pd.Series(TEXTS, index=range(5, 41)))
    assert list(table.columns) == list(names) and list(table.index) == list(range(5, 41))
    assert np.array_equal(table.to_numpy(), vectors)


def test_blocks_are_arrays_whatever_the_output_is_set_to():
    embedder = small_embedder().set_output(transform="pandas")
    trained = embedder.fit_blocks(TEXTS)
    inferred = embedder.blocks(TEXTS)
    assert all(type(block) is np.ndarray for block in trained + inferred)
    assert np.array_equal(trained[0], embedder.document_vectors_)
    assert np.array_equal(trained[1], inferred[1])
    assert np.array_equal(inferred[0], embedder.transform(TEXTS).to_numpy())


def test_the_embedder_is_pickled():
    embedder = small_embedder().fit(TEXTS)
    other = pickle.loads(pickle.dumps(embedder))
    assert np.array_equal(other.transform(TEXTS), embedder.transform(TEXTS))
    assert other.words_.most_similar("rocket") == embedder.words_.most_similar("rocket")


@pytest.mark.parametrize("estimator", [small_embedder(), TermFeatures(7, min_df=1)])
def test_it_goes_into_a_pipeline_that_is_judged(estimator):
    pipeline = make_pipeline(estimator, LogisticRegression())
    scores = cross_val_score(pipeline, TEXTS, LABELS, cv=3, error_score="raise")
    assert scores.shape == (3,) and (scores > 0.6).all()


def test_a_search_over_two_parameters_of_the_embedder_gives_scores():
    pipeline = make_pipeline(small_embedder(), LogisticRegression())
    choices = {"doc2vecembedder__epochs": [1, 20], "logisticregression__C": [1e-6, 100.0]}
    search = GridSearchCV(pipeline, choices, cv=3, error_score="raise").fit(TEXTS, LABELS)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and len(set(scores)) > 1
    assert search.best_score_ > 0.9
    assert search.best_params_["logisticregression__C"] == 100.0
    assert search.predict(["The rocket flies to the moon."]).tolist() == [True]

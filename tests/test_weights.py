"""Weights that somebody typed wrongly: what the working cannot show."""

import numpy as np
import pytest

from movrec.workings.core import ParameterError
from movrec.workings.weights import BLOCKS, PRESETS, only, resolve_weights


def test_every_preset_has_every_block_in_order():
    assert {"balanced", "theme", "mood", "era", "description"} == set(PRESETS)
    for name, weights in PRESETS.items():
        assert list(weights) == list(BLOCKS) and min(weights.values()) >= 0
        assert resolve_weights(name) == weights and resolve_weights(None, name) == weights
        assert resolve_weights({"preset": name}) == weights
    assert list(BLOCKS) == ["plot", "words", "reader", "genres", "title", "year"]
    assert resolve_weights() == PRESETS["balanced"]


def test_weights_that_are_left_out_are_the_default_s():
    for default in PRESETS:
        found = resolve_weights({"year": np.float32(2), "words": np.int64(0)}, default)
        assert found == PRESETS[default] | {"year": 2.0, "words": 0.0}
        assert list(found) == list(BLOCKS)
        assert all(type(weight) is float for weight in found.values())
    assert resolve_weights({}) == PRESETS["balanced"]
    assert resolve_weights({"year": 3, "preset": "theme"}) == PRESETS["theme"] | {"year": 3.0}


def test_what_comes_back_may_be_changed():
    for asked in (None, "theme", {"year": 1}):
        resolve_weights(asked)["plot"] = 99.0
    assert all(weights["plot"] < 99 for weights in PRESETS.values())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("themes", "did you mean theme?"),
        ("", "choose from balanced, theme"),
        ("Balanced!", "did you mean balanced?"),
        ({"word": 1}, "did you mean words?"),
        ({"cast": 1}, "choose from plot, words, reader"),
        ({None: 1}, "choose from plot"),
        ({("plot",): 1}, "There is no block"),
        ({"preset": None}, "There is no preset of weights"),
        ({"preset": ["theme"]}, "There is no preset of weights"),
        ({"preset": "them"}, "did you mean theme?"),
        ({"year": -0.1}, "weight of 'year' must be a number from 0 to 1000"),
        ({"year": 1001}, "weight of 'year'"),
        ({"year": "2"}, "weight of 'year'"),
        ({"year": None}, "weight of 'year'"),
        ({"year": True}, "weight of 'year'"),
        ({"year": float("nan")}, "weight of 'year'"),
        ({"year": float("inf")}, "weight of 'year'"),
        ({"year": [1]}, "weight of 'year'"),
        (dict.fromkeys(BLOCKS, 0), "All weights are 0"),
        (dict.fromkeys(BLOCKS, -0.0), "All weights are 0"),
        (2, "a preset's name or a dict"),
        (["theme"], "a preset's name or a dict"),
        (("words", 2), "a preset's name or a dict"),
        (np.ones(6), "a preset's name or a dict"),
        (b"theme", "a preset's name or a dict"),
        (False, "a preset's name or a dict"),
    ],
    ids=str,
)
def test_weights_that_are_none(wrong, said):
    with pytest.raises(ParameterError) as caught:
        resolve_weights(wrong)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_one_block_alone():
    for block in BLOCKS:
        assert resolve_weights(only(block)) == dict.fromkeys(BLOCKS, 0.0) | {block: 1.0}
    with pytest.raises(ParameterError):
        resolve_weights(only("nothing"))

from dataclasses import replace

import numpy as np
import pytest

from metrics.truth import NAMES, Prediction, Rules
from tests.metrics.cases import SIZE, small_truth


def test_rules_have_two_names_and_strict_without_a_band_is_usual():
    assert NAMES == ("strict", "official") and Rules() == Rules("strict", 0)
    with pytest.raises(ValueError, match="'lenient', known are strict, official"):
        Rules("lenient")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="-1"):
        Rules(border_band=-1)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"modal": np.zeros((3, 3), bool)}, "one shape"),
        ({"amodal": np.zeros(SIZE, np.uint8)}, "amodal must be"),
        ({"parts": {"head": np.zeros((3, 3), bool)}}, "head"),
        ({"parsing": np.zeros(SIZE, np.int64)}, "parsing must be"),
        ({"parsing": np.full(SIZE, 20, np.uint8)}, "below 20"),
        ({"hidden_share": 1.5}, "hidden share"),
        ({"hidden_share": float("nan")}, "hidden share"),
    ],
)
def test_what_is_no_truth_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(small_truth(), **changes)


def test_the_hole_is_what_is_hidden_and_nothing_need_be_predicted():
    truth = small_truth()
    assert truth.hole.sum() == 36 and not (truth.hole & truth.modal).any()
    assert Prediction().mask is None

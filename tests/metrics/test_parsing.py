import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from metrics.parsing import mean_iou, parsing_counts

SHAPE = (6, 5)
parsings = hnp.arrays(np.uint8, SHAPE, elements={"min_value": 0, "max_value": 19})
few_labels = hnp.arrays(np.uint8, SHAPE, elements={"min_value": 0, "max_value": 2})


def _by_loops(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean over the person's classes of the IoU of all pixels of the pairs together."""
    values = []
    for label in range(1, 20):
        both = sum(int(((p == label) & (t == label)).sum()) for p, t in pairs)
        either = sum(int(((p == label) | (t == label)).sum()) for p, t in pairs)
        if either:
            values.append(both / either)
    return sum(values) / len(values) if values else math.nan


@given(parsings, parsings, few_labels, few_labels)
def test_it_is_pooled_over_the_set_as_by_loops(a, b, c, d):
    pooled = parsing_counts(a, b) + parsing_counts(c, d)
    assert mean_iou(pooled) == pytest.approx(_by_loops([(a, b), (c, d)]), nan_ok=True)
    assert mean_iou(parsing_counts(a, b)) == pytest.approx(
        mean_iou(parsing_counts(b, a)), nan_ok=True
    )


@given(parsings)
def test_a_parsing_against_itself(parsing):
    value = mean_iou(parsing_counts(parsing, parsing))
    assert value == 1 if parsing.any() else math.isnan(value)


def test_classes_by_hand():
    true = np.array([[0, 5, 5, 9]], np.uint8)
    pred = np.array([[5, 5, 5, 0]], np.uint8)  # one pixel too many of 5, 9 missed
    assert mean_iou(parsing_counts(pred, true)) == pytest.approx((2 / 3 + 0) / 2)
    # 3 is in no truth, but predicted: a class of the mean.
    assert mean_iou(parsing_counts(true * 0 + 3, true)) == 0
    # What is background in both counts nowhere.
    wide = [np.pad(labels, 4) for labels in (pred, true)]
    assert mean_iou(parsing_counts(*wide)) == mean_iou(parsing_counts(pred, true))


def test_what_is_no_parsing_is_refused():
    good = np.zeros(SHAPE, np.uint8)
    with pytest.raises(ValueError, match=r"\(6, 5\)"):
        parsing_counts(good[:3], good)
    with pytest.raises(ValueError, match="below 20"):
        parsing_counts(good + np.uint8(20), good)

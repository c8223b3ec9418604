import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as coco

from metrics.masks import invisible_iou, mask_iou, mask_l1, recall

SHAPE = (5, 7)
masks = hnp.arrays(bool, SHAPE)
EMPTY = np.zeros(SHAPE, bool)


@given(masks, masks)
def test_iou_is_symmetric_and_within_bounds(a, b):
    assert mask_iou(a, b) == mask_iou(b, a)
    assert 0 <= mask_iou(a, b) <= 1
    assert (mask_iou(a, b) == 1) == (a.any() and np.array_equal(a, b))


def test_iou_of_two_empty_masks_is_zero_as_in_the_released_code():
    assert mask_iou(EMPTY, EMPTY) == 0


@given(masks, masks, masks, st.randoms(use_true_random=False))
def test_invisible_iou_does_not_look_inside_the_visible_part(pred, amodal, modal, random):
    modal &= amodal
    elsewhere = pred.copy()
    elsewhere[modal] = random.random() < 0.5
    np.testing.assert_equal(
        invisible_iou(pred, amodal, modal), invisible_iou(elsewhere, amodal, modal)
    )


@given(masks)
def test_invisible_iou_is_not_counted_where_nothing_is_hidden(amodal):
    assert math.isnan(invisible_iou(~amodal, amodal, amodal))


def test_invisible_iou_by_hand():
    amodal, modal, pred = EMPTY.copy(), EMPTY.copy(), EMPTY.copy()
    amodal[0, :6] = modal[0, :2] = True  # four pixels hidden
    pred[0, 1:5] = pred[1, 0] = True  # three of them found, one pixel outside the person
    assert invisible_iou(pred, amodal, modal) == 3 / 5


@given(masks, masks)
def test_l1_counts_the_differing_pixels(a, b):
    assert mask_l1(a, b) == pytest.approx(np.mean(a != b))
    assert mask_l1(a, ~a) == 1
    assert mask_l1(np.full(SHAPE, 0.25, np.float32), b) == pytest.approx(
        np.where(b, 0.75, 0.25).mean()
    )


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_l1_refuses_what_is_not_a_probability(value):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        mask_l1(np.full(SHAPE, value), EMPTY)


def test_wrong_shapes_and_types_are_named():
    with pytest.raises(ValueError, match=r"\(5, 7\).*\(4, 7\)"):
        mask_iou(EMPTY, EMPTY[:4])
    with pytest.raises(ValueError, match="uint8"):
        mask_iou(EMPTY.astype(np.uint8), EMPTY)
    with pytest.raises(ValueError, match="int64"):
        mask_l1(EMPTY.astype(np.int64), EMPTY)


@given(masks, masks)
def test_recall_is_the_share_of_wanted_pixels_that_are_covered(pred, wanted):
    if wanted.any():
        assert recall(pred, wanted) == pytest.approx(pred[wanted].mean())
        assert recall(~EMPTY, wanted) == 1
    else:
        assert math.isnan(recall(pred, wanted))


def test_iou_equals_pycocotools_on_real_masks(real_masks):
    for i, true in enumerate(real_masks):
        pred = np.roll(true, (3 * i, -2 * i), axis=(0, 1))
        runs = [coco.encode(np.asfortranarray(m.astype(np.uint8))) for m in (pred, true)]
        assert mask_iou(pred, true) == pytest.approx(
            coco.iou([runs[0]], [runs[1]], [0])[0, 0], abs=1e-9
        )

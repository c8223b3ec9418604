"""Scores of predicted masks, as small pure functions of (H, W) bool arrays.

Conventions, decided here and nowhere else:

* Both masks empty (the union is empty): IoU is `EMPTY_UNION_IOU` = 0, as in the paper's released
  code and in pycocotools. A true amodal mask is never empty, so no sample of a benchmark is
  touched by this.
* Nothing is hidden (`amodal & ~modal` is empty): the invisible IoU is nan, which means "not
  counted"; `protocol.aggregate` leaves it out of the mean and reports how many were counted.
* Predicted pixels inside the visible part neither help nor hurt the invisible IoU.
"""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]

EMPTY_UNION_IOU = 0.0


def check_masks(**masks: Mask) -> None:
    """Raise ValueError unless all the named masks are 2-D, bool and of one shape."""
    for name, mask in masks.items():
        if mask.ndim != 2 or mask.dtype != np.bool_:
            raise ValueError(f"{name} must be (H, W) bool, got {mask.shape} {mask.dtype}")
    if len({mask.shape for mask in masks.values()}) > 1:
        shapes = ", ".join(f"{name} {mask.shape}" for name, mask in masks.items())
        raise ValueError(f"masks must have one shape, got {shapes}")


def intersection_and_union(pred: Mask, true: Mask) -> tuple[int, int]:
    """Numbers of pixels in both and in either of two (H, W) bool masks."""
    check_masks(pred=pred, true=true)
    return int(np.count_nonzero(pred & true)), int(np.count_nonzero(pred | true))


def iou_of_counts(intersection: float, union: float) -> float:
    """Intersection over union in [0, 1] of pixel counts; `EMPTY_UNION_IOU` where union is 0."""
    return intersection / union if union else EMPTY_UNION_IOU


def mask_iou(pred: Mask, true: Mask) -> float:
    """Intersection over union of two (H, W) bool masks, in [0, 1]; 0 where both are empty."""
    return iou_of_counts(*intersection_and_union(pred, true))


def invisible_iou(pred_amodal: Mask, amodal: Mask, modal: Mask) -> float:
    """IoU of the predicted and the true hidden part, both taken outside the true visible part.

    All are (H, W) bool. Returns a value in [0, 1], or nan where nothing is hidden.
    """
    check_masks(pred_amodal=pred_amodal, amodal=amodal, modal=modal)
    hidden = amodal & ~modal
    if not hidden.any():
        return float("nan")
    return mask_iou(pred_amodal & ~modal, hidden)


def recall(pred: Mask, wanted: Mask) -> float:
    """Share of the (H, W) bool `wanted` pixels that `pred` covers, in [0, 1]; nan where none."""
    check_masks(pred=pred, wanted=wanted)
    number = np.count_nonzero(wanted)
    return float(np.count_nonzero(pred & wanted) / number) if number else float("nan")


def mask_l1(pred: NDArray, true: Mask) -> float:
    """Mean over all pixels of |pred - true|, in [0, 1].

    `pred` is (H, W): bool, or a floating probability in [0, 1]; `true` is (H, W) bool.
    """
    if pred.dtype != np.bool_ and not np.issubdtype(pred.dtype, np.floating):
        raise ValueError(f"pred must be bool or a float in [0, 1], got {pred.dtype}")
    if pred.ndim != 2 or pred.shape != true.shape:
        raise ValueError(f"pred {pred.shape} and true {true.shape} must be one (H, W) shape")
    probability = pred.astype(np.float64)
    if not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError("pred must lie in [0, 1] and hold no nan")
    return float(np.abs(probability - true).mean())

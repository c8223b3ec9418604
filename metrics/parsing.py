"""Mean IoU of parsings: LIP-20 labels of the person's parts, pooled over a set.

Pixels of the whole set are pooled class by class, so a class that a photo lacks does no harm. The
mean is over the classes that occur in the truth or in a prediction; the background is no class of
it, but a person's pixel called background, and the reverse, count against the person's class.
"""

import numpy as np
from numpy.typing import NDArray

from metrics.truth import PARSING_LABELS, check_parsing

Counts = NDArray[np.int64]


def parsing_counts(pred: NDArray[np.uint8], true: NDArray[np.uint8]) -> Counts:
    """Pixels in both and in either parsing, class by class: (2, 20) of two (H, W) uint8."""
    check_parsing(pred, true.shape)
    check_parsing(true, true.shape)
    both = np.bincount(true[pred == true], minlength=PARSING_LABELS)
    each = [np.bincount(labels.ravel(), minlength=PARSING_LABELS) for labels in (pred, true)]
    return np.stack([both, each[0] + each[1] - both])


def mean_iou(counts: Counts) -> float:
    """Mean IoU in [0, 1] of summed (2, 20) counts; nan where there is nothing but background."""
    intersection, union = counts[:, 1:]
    occurs = union > 0
    return float((intersection[occurs] / union[occurs]).mean()) if occurs.any() else float("nan")

"""Boundary F: do the outlines of two masks agree within a small tolerance?

The measure of Martin, Fowlkes and Malik ("Learning to detect natural image boundaries", PAMI 2004)
in the form of the DAVIS benchmark (Perazzi et al., CVPR 2016): a boundary pixel of one mask is
matched where the other mask has a boundary pixel within the tolerance; precision is the matched
share of the predicted boundary, recall that of the true one, and F their harmonic mean. Tolerance:
0.8 % of the diagonal of the image, rounded up to whole pixels (3 at 256 x 256), as in DAVIS.

A boundary pixel is one whose right, lower or lower right neighbour is on the other side of the
outline; the frame's border is no outline. Where neither mask has a boundary F is 1, where one has
none it is 0.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from metrics.masks import Mask, check_masks

TOLERANCE = 0.008  # of the image diagonal


def tolerance(shape: tuple[int, ...]) -> int:
    """Tolerance in pixels in an image of that (H, W)."""
    return math.ceil(TOLERANCE * math.hypot(*shape))


def boundary(mask: Mask) -> Mask:
    """The boundary pixels of an (H, W) bool mask, (H, W) bool."""
    # The last row and column have no further neighbour; they are compared with themselves.
    after = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return (mask != after[:-1, 1:]) | (mask != after[1:, :-1]) | (mask != after[1:, 1:])


def boundary_f(pred: Mask, true: Mask) -> float:
    """F measure in [0, 1] of the boundaries of two (H, W) bool masks; symmetric."""
    check_masks(pred=pred, true=true)
    edges = boundary(pred), boundary(true)
    counts = [int(np.count_nonzero(edge)) for edge in edges]
    if not all(counts):
        return float(counts[0] == counts[1])
    within = tolerance(pred.shape)
    found = [
        np.count_nonzero(distance_to(other)[edge] <= within) / count
        for edge, other, count in zip(edges, edges[::-1], counts, strict=True)
    ]
    return float(2 * found[0] * found[1] / sum(found)) if sum(found) else 0.0


def distance_to(pixels: Mask) -> NDArray[np.float32]:
    """Euclidean distance in pixels of every pixel to the nearest of the (H, W) bool `pixels`."""
    distance = cv2.distanceTransform((~pixels).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance, np.float32)


def band(mask: Mask, width: int) -> Mask:
    """Pixels on either side of a mask's outline within `width` pixels of the other side.

    (H, W) bool of an (H, W) bool mask; none where the mask is empty or fills the frame.
    """
    if not width or mask.all() or not mask.any():
        return np.zeros_like(mask)
    return np.where(mask, distance_to(~mask), distance_to(mask)) <= width

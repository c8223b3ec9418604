"""Mask completion without learning: what a trained method must beat."""

from typing import ClassVar

import cv2
import numpy as np
from torch import Tensor

from baselines.arrays import from_masks, to_masks
from hdeocc.batch import Batch
from hdeocc.method import Method, Track


class Identity(Method):
    """Nothing is completed: the amodal mask is the initial mask."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "Identity"
    consumes: ClassVar[frozenset[str]] = frozenset({"initial"})

    def predict(self, batch: Batch) -> Tensor:
        return batch.initial.detach().float().cpu().clamp(0, 1)


class ConvexHull(Method):
    """The amodal mask is the convex hull of the initial mask."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "Convex hull"
    consumes: ClassVar[frozenset[str]] = frozenset({"initial"})

    def predict(self, batch: Batch) -> Tensor:
        return from_masks([convex_hull(mask) for mask in to_masks(batch.initial)])


def convex_hull(mask: np.ndarray) -> np.ndarray:
    """The filled convex hull of the pixel centres of a mask (H, W) bool; empty stays empty."""
    points = cv2.findNonZero(mask.astype(np.uint8))
    if points is None:
        return np.zeros_like(mask)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled.astype(bool) | mask

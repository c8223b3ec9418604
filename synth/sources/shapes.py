"""What the outline of a mask tells about whether the thing in it is whole."""

import cv2
import numpy as np


def border_contact(mask: np.ndarray, reach: int = 2) -> float:
    """Share of a mask's outline within ``reach`` pixels of the picture's edge; (H, W) bool.

    Polygons of a cut-off object often end a pixel or two before the edge, hence the reach.
    """
    solid = mask.astype(np.uint8)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    inner = cv2.erode(solid, cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    outline = mask & (inner == 0)
    total = int(outline.sum())
    middle = outline[reach:-reach, reach:-reach] if min(mask.shape) > 2 * reach else outline[:0]
    return (total - int(middle.sum())) / total if total else 0.0


def dominance(mask: np.ndarray) -> float:
    """Share of a mask's area in its largest connected piece (8-connected); 0 when empty."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return float(areas.max() / areas.sum()) if len(areas) else 0.0


def intrusion(mask: np.ndarray, others: np.ndarray) -> float:
    """How far other things reach into a mask's convex hull, as a share of the mask's area.

    The masks of two touching objects hardly overlap, whichever is in front; but what covers a
    part of an object lies in the hull of the rest.
    """
    area = int(mask.sum())
    if not area or not others.any():
        return 0.0
    return float((hull(mask) & others).sum() / area)


def hull(mask: np.ndarray) -> np.ndarray:
    """The filled convex hull (H, W) bool of a mask that is not empty."""
    points = cv2.findNonZero(mask.astype(np.uint8))
    filled = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(points), (1,))
    return filled.astype(bool)

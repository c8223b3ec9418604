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


def dominance(mask: np.ndarray, joined: np.ndarray | None = None) -> float:
    """Share of a mask's area in its largest connected piece (8-connected); 0 when empty.

    ``joined`` is a larger mask that says which pieces count as one, see `main_piece`.
    """
    total = int(mask.sum())
    return int(main_piece(mask, joined).sum()) / total if total else 0.0


def main_piece(mask: np.ndarray, joined: np.ndarray | None = None) -> np.ndarray:
    """The largest connected piece (8-connected) of a mask (H, W) bool.

    Args:
        mask: may be empty, and so is the piece then.
        joined: (H, W) bool, contains ``mask``; what it connects counts as one piece.
    """
    whole = mask if joined is None else joined
    count, pieces = cv2.connectedComponents(whole.astype(np.uint8), connectivity=8)
    areas = np.bincount(pieces[mask], minlength=count)
    return mask & (pieces == int(np.argmax(areas)))


def grown(mask: np.ndarray, reach: int) -> np.ndarray:
    """A mask with everything within ``reach`` pixels of it, by a square; (H, W) bool."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), square).astype(bool)


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

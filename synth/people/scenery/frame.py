"""A frame, and flat things hung into it in perspective."""

from typing import NamedTuple

import cv2
import numpy as np


class View(NamedTuple):
    """A scene: frame (n, n, 3) float32 RGB in 0..255, the row of its horizon, photographs in it."""

    frame: np.ndarray
    horizon: float
    photos: tuple[str, ...] = ()


def hang(frame: np.ndarray, patch: np.ndarray, corners: np.ndarray, light: float = 1.0) -> None:
    """Map a patch in perspective onto the frame (corners in pixels, clockwise from top left)."""
    n = len(frame)
    height, width = patch.shape[:2]
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, n)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, n)
    if (high <= low).any():
        return
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    target = (corners - low).astype(np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    flat = cv2.blur(patch, (3, 3)) if width > 2 * np.ptp(corners[:, 0]) else patch
    rgb = cv2.warpPerspective(flat, warp, size, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros(size[::-1], np.uint8)
    cv2.fillConvexPoly(mask, np.round(target * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    view = frame[low[1] : high[1], low[0] : high[0]]
    view += (rgb * np.float32(light) - view) * (mask[..., None] / np.float32(255))


def upright(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Corners of an upright rectangle for `hang`, clockwise from the top left, (4, 2) in pixels."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], float)

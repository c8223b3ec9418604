"""The outline of a cut-out: eroded, resized, feathered or hardened."""

import cv2
import numpy as np

_KEPT_BY_EROSION = 0.6


def erode_outline(rgba: np.ndarray, pixels: int) -> np.ndarray:
    """A (h, w, 4) uint8 cut-out with ``pixels`` taken off its outline.

    Thin things would vanish: the erosion is lessened until most of the area stays.
    """
    opaque = (rgba[..., 3] >= 128).astype(np.uint8)
    area = int(opaque.sum())
    for radius in range(pixels, 0, -1):
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        kept = cv2.erode(opaque, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        if int(kept.sum()) >= _KEPT_BY_EROSION * area:
            return np.dstack([rgba[..., :3], np.where(kept > 0, rgba[..., 3], 0)])
    return rgba


def resize_cutout(rgba: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Colour (height, width, 3) float32 and alpha (height, width) uint8 of a resized cut-out.

    Colours are weighted by alpha, so that what lies outside the outline never bleeds in.
    """
    weighted = rgba.astype(np.float32)
    weighted[..., :3] *= weighted[..., 3:] / 255
    smaller = width * height < rgba.shape[0] * rgba.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    resized = cv2.resize(weighted, (width, height), interpolation=method)
    alpha = resized[..., 3:]
    rgb = resized[..., :3] * (255 / np.maximum(alpha, 1e-3))
    return np.clip(rgb, 0, 255), np.clip(np.rint(alpha[..., 0]), 0, 255).astype(np.uint8)


def feather(alpha: np.ndarray, coarse: bool) -> np.ndarray:
    """Alpha (h, w) uint8 with a soft edge of 1 to 2 px that never grows beyond the outline.

    A coarse outline (a polygon) is faded further inwards than a fine one.
    """
    padded = cv2.copyMakeBorder(alpha, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=0)
    soft = cv2.GaussianBlur(padded.astype(np.float32), (0, 0), 0.9 if coarse else 0.6)[4:-4, 4:-4]
    if coarse:
        soft = 1.6 * soft - 0.6 * 255
    return np.rint(np.clip(soft, 0, alpha)).astype(np.uint8)


def harden(alpha: np.ndarray) -> np.ndarray:
    """Alpha (h, w) uint8 of 0 and 255 only."""
    return np.where(alpha >= 128, 255, 0).astype(np.uint8)

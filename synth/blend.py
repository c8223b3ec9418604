"""Pasting a cut-out: outline, scale, edge and tone.

Everything here keeps one promise: a pixel whose alpha is 0 is not touched.
"""

from dataclasses import dataclass

import cv2
import numpy as np

# Alpha below this is cut to 0, so that the occluder mask ends where the eye sees it end.
_FAINTEST = 12
_KEPT_BY_EROSION = 0.6


@dataclass(frozen=True, eq=False)
class Layer:
    """A cut-out on the crop's canvas: colour (S, S, 3) float32 in [0, 255], alpha (S, S) uint8."""

    rgb: np.ndarray
    alpha: np.ndarray


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


def tone(
    rgb: np.ndarray, alpha: np.ndarray, scene: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The cut-out's colours, moved a little towards the scene's brightness and tint.

    Args:
        rgb: (h, w, 3) float32 in [0, 255]; alpha: (h, w) uint8.
        scene: (n, 3) pixels of the scene, uint8 or float.
        rng: draws a further mild change of brightness and of each channel.
    """
    solid = rgb[alpha >= 128]
    drawn = rng.normal(0, [0.06, 0.02, 0.02, 0.02])
    if not len(solid) or not len(scene):
        return rgb
    own, other = solid.mean(0) + 8, scene.mean(0) + 8
    # A quarter of the way in brightness and channel ratio: enough to belong, not to look dyed.
    gain = np.clip((other / own) ** 0.25, 0.75, 1.3) * np.exp(drawn[0] + drawn[1:])
    return np.clip(rgb * gain.astype(np.float32), 0, 255)


def onto_canvas(
    rgb: np.ndarray,
    alpha: np.ndarray,
    left: int,
    top: int,
    size: int,
    frame: tuple[int, int, int, int],
) -> Layer:
    """Lay a cut-out on an empty (size, size) canvas, cut off at ``frame`` (left, top, w, h)."""
    canvas = np.zeros((size, size, 3), np.float32)
    cover = np.zeros((size, size), np.uint8)
    x0, y0 = max(left, frame[0], 0), max(top, frame[1], 0)
    x1 = min(left + alpha.shape[1], frame[0] + frame[2], size)
    y1 = min(top + alpha.shape[0], frame[1] + frame[3], size)
    if x0 < x1 and y0 < y1:
        part = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
        canvas[y0:y1, x0:x1] = rgb[part]
        cover[y0:y1, x0:x1] = alpha[part]
    cover[cover < _FAINTEST] = 0
    return Layer(canvas, cover)


def paste(image: np.ndarray, layer: Layer) -> np.ndarray:
    """A new (S, S, 3) uint8 image with the layer over it; untouched where its alpha is 0."""
    share = layer.alpha[..., None].astype(np.float32) / 255
    mixed = np.rint(layer.rgb * share + image.astype(np.float32) * (1 - share))
    return np.where(layer.alpha[..., None] > 0, mixed, image).astype(np.uint8)

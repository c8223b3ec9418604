"""A cut-out in its place on the crop, and the pasting of it."""

from dataclasses import dataclass

import numpy as np

# Alpha below this is cut to 0, so that the occluder mask ends where the eye sees it end.
_FAINTEST = 12

Frame = tuple[int, int, int, int]
Window = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Layer:
    """The part of a cut-out that lies in the photo; h or w is 0 where none does.

    Attributes:
        rgb: colour (h, w, 3) float32 in [0, 255].
        alpha: (h, w) uint8, 0 or at least 12.
        left, top: where it lies in the crop, in pixels.
    """

    rgb: np.ndarray
    alpha: np.ndarray
    left: int
    top: int

    @property
    def window(self) -> Window:
        """The rows and columns of the crop that the layer lies on."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def onto_canvas(
    rgb: np.ndarray, alpha: np.ndarray, left: int, top: int, size: int, frame: Frame
) -> Layer:
    """A cut-out laid on a crop of ``size`` pixels, cut off at ``frame`` (left, top, w, h)."""
    x0, y0 = max(left, frame[0], 0), max(top, frame[1], 0)
    x1 = max(x0, min(left + alpha.shape[1], frame[0] + frame[2], size))
    y1 = max(y0, min(top + alpha.shape[0], frame[1] + frame[3], size))
    part = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    cover = alpha[part]
    return Layer(rgb[part], np.where(cover < _FAINTEST, np.uint8(0), cover), x0, y0)


def paste(image: np.ndarray, layer: Layer) -> np.ndarray:
    """A new (S, S, 3) uint8 image with the layer over it; untouched where its alpha is 0."""
    below = image[layer.window]
    share = layer.alpha[..., None].astype(np.float32) / 255
    mixed = np.rint(layer.rgb * share + below.astype(np.float32) * (1 - share))
    pasted = image.copy()
    pasted[layer.window] = np.where(layer.alpha[..., None] > 0, mixed, below).astype(np.uint8)
    return pasted


def covered(layer: Layer, size: int) -> np.ndarray:
    """Where the layer's alpha is above 0, (size, size) bool."""
    cover = np.zeros((size, size), bool)
    cover[layer.window] = layer.alpha > 0
    return cover

"""Cut-outs of things from their photos: (h, w, 4) uint8 with straight alpha, in their tight box.

They are shrunk by area where their longest side is above the asked size, and never enlarged.
Colours are weighted by alpha then, so that what lies unseen under it does not tint the edge.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from synth.sources.base import Cutout
from synth.sources.crop import mask_edges

MOST_BYTES = 64 * 2**20


class Kept:
    """The cut-outs used last, of at most ``MOST_BYTES``, by id and size.

    One thing hides many people, and to decode its photo is most of the work of cutting it out.
    They are handed out again, so their pixels cannot be written to.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[str, int], Cutout] = OrderedDict()
        self._bytes = 0

    def get(self, identifier: str, size: int, make: Callable[[str, int], Cutout]) -> Cutout:
        """The cut-out of an id at a size, made where it is not kept."""
        key = identifier, size
        cutout = self._found.pop(key, None)
        if cutout is None:
            cutout = make(identifier, size)
            cutout.rgba.setflags(write=False)
            self._bytes += cutout.rgba.nbytes
        self._found[key] = cutout
        while self._bytes > MOST_BYTES:
            self._bytes -= self._found.popitem(last=False)[1].rgba.nbytes
        return cutout

    def __reduce__(self) -> tuple[Any, ...]:
        return Kept, ()  # another process keeps its own


def cut_out(image: np.ndarray, mask: np.ndarray, size: int) -> np.ndarray:
    """What a mask (H, W) bool, not empty, shows of a photo (H, W, 3) uint8; holes stay holes."""
    left, top, right, bottom = mask_edges(mask)
    box = (slice(top, bottom), slice(left, right))
    alpha = mask[box].astype(np.uint8) * 255
    rgba = np.dstack([image[box], alpha])
    if max(rgba.shape[:2]) <= size:
        return rgba
    return _shrunk(cv2.bitwise_and(rgba, rgba, mask=alpha).astype(np.float32), size)


def shrunk(rgba: np.ndarray, size: int) -> np.ndarray:
    """A cut-out (H, W, 4) uint8, not unseen everywhere, of at most ``size`` pixels a side."""
    left, top, right, bottom = mask_edges(rgba[:, :, 3] > 0)
    rgba = rgba[top:bottom, left:right]
    if max(rgba.shape[:2]) <= size:
        return np.ascontiguousarray(rgba)
    alpha = rgba[:, :, 3:]
    return _shrunk(np.dstack([rgba[:, :, :3] * (alpha / np.float32(255)), alpha]), size)


def _shrunk(weighted: np.ndarray, size: int) -> np.ndarray:
    """Straight alpha out of a larger (H, W, 4) float32 whose colours are multiplied by alpha."""
    height, width = weighted.shape[:2]
    scale = size / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: np.ndarray = cv2.resize(weighted, shape, interpolation=cv2.INTER_AREA)
    small[:, :, :3] *= 255 / np.maximum(small[:, :, 3:], 1e-3)
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)

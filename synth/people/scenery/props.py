"""Things that stand around in a frame, at a size that fits their distance."""

from functools import cache

import cv2
import numpy as np

from synth.people.occluders import draw_occluder
from synth.people.scenery.ground import EYE

_PROP_SIZE, _PROP_VARIANTS = 112, 8


@cache
def draw_prop(category: str, variant: int) -> np.ndarray:
    """A thing to stand in the distance; a pure function of its arguments, so it may be kept."""
    seed = [71, variant, *category.encode()]
    rgba = draw_occluder(np.random.default_rng(seed), _PROP_SIZE, category).rgba.astype(np.float32)
    rgba[..., :3] *= rgba[..., 3:] / 255
    rgba.setflags(write=False)
    return rgba


def stand(
    rng: np.random.Generator, frame: np.ndarray, category: str, metres: float, x: float,
    foot: float, horizon: float, haze: np.ndarray,
) -> None:  # fmt: skip
    """Paste a prop in place, its foot at row `foot`, with a soft shadow; all but haze in pixels."""
    prop = draw_prop(category, int(rng.integers(_PROP_VARIANTS)))
    tall = max(4, round((foot - horizon) / EYE * metres * rng.uniform(0.85, 1.2)))
    wide = max(2, round(tall * prop.shape[1] / prop.shape[0]))
    if max(tall, wide) > 4 * len(frame):
        return
    small = cv2.resize(prop, (wide, tall), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        small = small[:, ::-1]
    far = min(0.5, 0.02 * len(frame) / max(1.0, foot - horizon))
    left, top = round(x - wide / 2), round(foot) - tall
    _shadow(frame, x, foot - 0.05 * wide, wide * 0.5)
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(len(frame), top + tall), min(len(frame), left + wide)
    if y1 <= y0 or x1 <= x0:
        return
    part = small[y0 - top : y1 - top, x0 - left : x1 - left]
    alpha = part[..., 3:] / 255
    lit = part[..., :3] * ((1 - far) * rng.uniform(0.8, 1.1)) + alpha * haze * far
    frame[y0:y1, x0:x1] += lit - frame[y0:y1, x0:x1] * alpha


def _shadow(frame: np.ndarray, x: float, y: float, reach: float) -> None:
    """Darken a soft ellipse on the ground."""
    n = len(frame)
    top, bottom = int(max(0, y - reach)), int(min(n, y + reach + 1))
    left, right = int(max(0, x - 1.5 * reach)), int(min(n, x + 1.5 * reach + 1))
    if bottom <= top or right <= left:
        return
    rows = (np.arange(top, bottom, dtype=np.float32)[:, None] - y) / (0.22 * reach + 1)
    columns = (np.arange(left, right, dtype=np.float32)[None] - x) / (0.9 * reach + 1)
    dark = 0.5 * np.exp(-(rows**2) - columns**2)
    frame[top:bottom, left:right] *= 1 - dark[..., None]

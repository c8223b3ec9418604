"""Backgrounds for people: parks, streets, rooms, photographs and mixtures of them.

A scene is laid out for a person who stands with the feet near the lower edge: the horizon is at
eye height, the ground is seen in perspective, and things stand on it at a size that fits their
distance.  The finish imitates a camera: depth of field, exposure, colour cast, vignette, noise.
Frames are (n, n, 3) float32 RGB in 0..255 until the last step.
"""

from collections.abc import Callable

import cv2
import numpy as np

from synth.people.scenery.backdrop import mixture, photograph
from synth.people.scenery.finish import expose, focus
from synth.people.scenery.outdoor import park, street
from synth.people.scenery.room import room

_SCENES: tuple[tuple[Callable[..., tuple[np.ndarray, float]], float], ...] = (
    (park, 0.26), (street, 0.26), (room, 0.32), (photograph, 0.06), (mixture, 0.1),
)  # fmt: skip


def draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one background, (size, size, 3) uint8 RGB, for a person with feet near the bottom.

    Raises ValueError for a size below 8.
    """
    if size < 8:
        raise ValueError(f"size must be at least 8 pixels, got {size}")
    n = max(96, size if size >= 192 else size * 3 // 2)
    chances = np.array([chance for _, chance in _SCENES])
    draw = _SCENES[int(rng.choice(len(_SCENES), p=chances / chances.sum()))][0]
    frame, horizon = draw(rng, n)
    frame = focus(rng, np.clip(frame, 0, 255), horizon)
    if n != size:
        frame = cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)
    return np.clip(expose(rng, frame), 0, 255).astype(np.uint8)

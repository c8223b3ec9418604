"""Backgrounds for people: parks, streets, rooms, beaches, studios, and distances out of focus.

A scene is laid out for a person who stands with the feet near the lower edge: the horizon is at
eye height, the ground is seen in perspective, and things stand on it at a size that fits their
distance.  The finish imitates a camera: depth of field, exposure, colour cast, vignette, noise.
Frames are (n, n, 3) float32 RGB in 0..255 until the last step.

Nearly everything is drawn.  What is not comes from six photographs inside the scikit-image wheel,
five under CC0 and one in the public domain, see `scenery.photos`: three are materials of the
ground, three hang as pictures on walls.  A background says which of them it holds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from synth.people.plain_opencv import plain_opencv
from synth.people.scenery.backdrop import beach, defocused, studio
from synth.people.scenery.finish import expose, focus
from synth.people.scenery.frame import View
from synth.people.scenery.outdoor import park, street
from synth.people.scenery.photos import PHOTOS
from synth.people.scenery.room import room

_SCENES: tuple[tuple[Callable[[np.random.Generator, int], View], float], ...] = (
    (park, 0.25), (street, 0.26), (room, 0.28), (beach, 0.06), (studio, 0.05), (defocused, 0.1),
)  # fmt: skip


@dataclass(frozen=True)
class Background:
    """A picture (S, S, 3) uint8 RGB, the kind of scene, and the photographs that went into it."""

    rgb: np.ndarray
    name: str
    photos: tuple[str, ...]

    @property
    def provenance(self) -> dict[str, Any]:
        """The name, licence and photographs (file, licence, origin), ready for JSON."""
        listed = [PHOTOS[name]._asdict() for name in self.photos]
        licence = "; ".join(["generated", *sorted({photo["licence"] for photo in listed})])
        return {"name": self.name, "licence": licence, "photos": listed}


@plain_opencv()
def draw_scene(rng: np.random.Generator, size: int) -> Background:
    """Draw one background for a person with feet near the bottom.

    Raises ValueError for a size below 8.
    """
    if size < 8:
        raise ValueError(f"size must be at least 8 pixels, got {size}")
    n = max(96, size if size >= 192 else size * 3 // 2)
    chances = np.array([chance for _, chance in _SCENES])
    draw = _SCENES[int(rng.choice(len(_SCENES), p=chances / chances.sum()))][0]
    view = draw(rng, n)
    frame = focus(rng, np.clip(view.frame, 0, 255), view.horizon)
    if n != size:
        frame = cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA)
    rgb = np.clip(expose(rng, frame), 0, 255).astype(np.uint8)
    return Background(rgb, draw.__name__, tuple(sorted(set(view.photos))))

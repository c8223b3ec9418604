"""Outdoor scenes: a park and a street.

A scene is a function of (rng, n) that returns a View.
"""

import numpy as np

from synth.people.scenery.frame import View
from synth.people.scenery.ground import lay_path, place_ground
from synth.people.scenery.houses import street_row, street_side
from synth.people.scenery.props import stand
from synth.people.scenery.sky import draw_sky, haze_of, treeline

# What may stand around, with its usual height in metres.
_OUTDOOR_PROPS = {
    "bush": 1.2, "tree": 4.5, "car": 1.5, "bench": 0.9, "sign": 2.4, "bin": 1.0, "pole": 3.5,
    "picket_fence": 1.1, "bicycle": 1.1, "boulder": 0.8, "railing": 1.1, "tall_grass": 0.5,
}  # fmt: skip


def scatter_props(
    rng: np.random.Generator, frame: np.ndarray, horizon: float, count: int, haze: np.ndarray,
    band: tuple[float, float],
) -> None:  # fmt: skip
    """Stand outdoor things at random rows within `band` (pixels below the horizon)."""
    names = list(_OUTDOOR_PROPS)
    for foot in np.sort(horizon + band[0] * (band[1] / band[0]) ** rng.random(count)):
        name = names[int(rng.integers(len(names)))]
        x = rng.uniform(-0.1, 1.1) * len(frame)
        stand(rng, frame, name, _OUTDOOR_PROPS[name], x, float(foot), horizon, haze)


def park(rng: np.random.Generator, n: int) -> View:
    """A park: far trees, a ground, perhaps a path, and things that stand around."""
    horizon = rng.uniform(0.28, 0.55) * n
    frame = draw_sky(rng, n, horizon)
    haze = haze_of(frame, horizon)
    if rng.random() < 0.4:
        treeline(rng, frame, horizon, rng.uniform(0.05, 0.3) * n, haze, rng.uniform(0.55, 0.8))
    if rng.random() < 0.85:
        treeline(rng, frame, horizon, rng.uniform(0.02, 0.35) * n, haze, rng.uniform(0.05, 0.5))
    photos = place_ground(
        rng, frame, horizon, "grass grass sand gravel pavers asphalt concrete", haze
    )
    if rng.random() < 0.5:
        photos += lay_path(rng, frame, horizon, haze)
    scatter_props(rng, frame, horizon, int(rng.integers(2, 11)), haze, (0.02 * n, 0.3 * n))
    return View(frame, horizon, tuple(photos))


def street(rng: np.random.Generator, n: int) -> View:
    """A street: house fronts at its end and along its sides, and things that stand around."""
    horizon = rng.uniform(0.3, 0.52) * n
    frame = draw_sky(rng, n, horizon)
    haze = haze_of(frame, horizon)
    if rng.random() < 0.5:
        treeline(rng, frame, horizon, rng.uniform(0.05, 0.2) * n, haze, 0.5)
    photos = place_ground(rng, frame, horizon, "asphalt pavers concrete tiles pavers", haze)
    if rng.random() < 0.5:
        photos += lay_path(rng, frame, horizon, haze)
    if rng.random() < 0.75:
        street_row(rng, frame, horizon, horizon + rng.uniform(0.04, 0.16) * n)
    vanish = n * rng.uniform(0.3, 0.7)
    for side in (-1, 1):
        if rng.random() < 0.5:
            street_side(rng, frame, horizon, vanish, side)
    scatter_props(rng, frame, horizon, int(rng.integers(3, 11)), haze, (0.07 * n, 0.28 * n))
    return View(frame, horizon, tuple(photos))

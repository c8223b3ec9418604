"""Scenes made from photographs, alone or behind a drawn ground."""

import cv2
import numpy as np

from synth.people.scenery.colour import hsv
from synth.people.scenery.finish import blur
from synth.people.scenery.ground import place_ground
from synth.people.scenery.outdoor import scatter_props
from synth.people.scenery.photos import PICTURES, photo_crop
from synth.people.scenery.sky import haze_of, treeline


def _recolour(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """Turn hues a little, change saturation and brightness; float32 result."""
    hls = cv2.cvtColor(rgb, cv2.COLOR_RGB2HLS).astype(np.float32)
    hls[..., 0] = (hls[..., 0] + rng.uniform(-12, 12)) % 180
    hls[..., 1] = 255 * (hls[..., 1] / 255) ** rng.uniform(0.6, 1.3)
    hls[..., 2] *= rng.uniform(0.2, 0.9)
    return cv2.cvtColor(np.clip(hls, 0, 255).astype(np.uint8), cv2.COLOR_HLS2RGB).astype(np.float32)


def _bokeh(rng: np.random.Generator, frame: np.ndarray, horizon: float) -> None:
    """Discs of defocused lamps above the horizon, added as light."""
    n = len(frame)
    glow = np.zeros((n, n, 3), np.float32)
    for _ in range(int(rng.integers(5, 25))):
        spot = (int(rng.uniform(0, n)), int(rng.uniform(0, horizon)))
        colour = hsv(rng.choice([0.08, 0.12, 0.58, 0.0]) + 0.02, rng.uniform(0.1, 0.6), 1.0)
        disc = np.zeros((n, n), np.uint8)
        cv2.circle(disc, spot, max(2, int(n * rng.uniform(0.015, 0.05))), 255, -1, cv2.LINE_AA)
        xs, ys = (slice(max(0, at - n // 16), at + n // 16) for at in spot)
        glow[ys, xs] += disc[ys, xs, None] * (np.asarray(colour, np.float32) / 255)
    frame += glow * np.float32(rng.uniform(0.25, 0.6))


def photograph(rng: np.random.Generator, n: int) -> tuple[np.ndarray, float]:
    """A photograph alone, out of focus as things behind a person are."""
    frame = _recolour(rng, photo_crop(rng, PICTURES[int(rng.integers(3))], n))
    return blur(frame, n * rng.uniform(0.014, 0.05)), 0.6 * n


def mixture(rng: np.random.Generator, n: int) -> tuple[np.ndarray, float]:
    """A defocused photograph as the distance, with a procedural ground and things before it."""
    far, horizon = photograph(rng, n)
    horizon = rng.uniform(0.4, 0.6) * n
    frame = blur(far, n * rng.uniform(0.01, 0.06))
    haze = haze_of(frame, horizon)
    if rng.random() < 0.5:
        treeline(rng, frame, horizon, rng.uniform(0.04, 0.25) * n, haze, rng.uniform(0.2, 0.6))
    if rng.random() < 0.4:
        _bokeh(rng, frame, horizon)
    place_ground(rng, frame, horizon, "pavers asphalt tiles planks concrete gravel sand", haze)
    scatter_props(rng, frame, horizon, int(rng.integers(0, 5)), haze, (0.05 * n, 0.3 * n))
    return frame, horizon

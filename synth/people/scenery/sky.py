"""The sky and what rises over the horizon far away."""

import cv2
import numpy as np

from synth.people.scenery.colour import hsv
from synth.people.scenery.sheets import noise, smoothstep
from synth.people.scenery.textures import texture


def draw_sky(rng: np.random.Generator, n: int, horizon: float) -> np.ndarray:
    """A sky gradient with clouds that flatten towards the horizon."""
    mood = int(rng.choice(5, p=[0.4, 0.25, 0.15, 0.1, 0.1]))
    hue = rng.uniform(0.55, 0.61)
    top, low, cloud = [
        (hsv(hue, rng.uniform(0.35, 0.7), 0.8), hsv(hue, 0.15, 0.93), hsv(hue, 0.02, 0.97)),
        (hsv(hue, 0.06, 0.72), hsv(0.1, 0.02, 0.9), hsv(hue, 0.08, 0.55)),
        (hsv(hue, 0.3, 0.65), hsv(rng.uniform(0.04, 0.1), 0.4, 0.95), hsv(0.03, 0.3, 0.8)),
        (hsv(hue, 0.2, 0.45), hsv(hue, 0.1, 0.65), hsv(hue, 0.1, 0.35)),
        (hsv(0.12, 0.05, 0.9), hsv(0.12, 0.08, 0.96), hsv(0.1, 0.0, 1.0)),
    ][mood]
    ramp = np.clip(np.arange(n, dtype=np.float32) / max(horizon, 1), 0, 1)[:, None, None] ** 0.8
    frame = np.asarray(top, np.float32) * (1 - ramp) + np.asarray(low, np.float32) * ramp
    puffs = cv2.resize(noise(rng, n, n, "cloud", n / 250), (n, n))
    rows = np.clip(1 - np.arange(n, dtype=np.float32) / max(horizon, 1), 0.02, 1)
    v = np.repeat((np.log(1 / rows) / 4 * n)[:, None], n, axis=1).astype(np.float32)
    u = ((np.arange(n, dtype=np.float32)[None] - n / 2) / (0.4 + rows[:, None]) + n / 2) * 0.7
    u = u.astype(np.float32)
    puffs = cv2.remap(puffs, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    cover = smoothstep(puffs, rng.uniform(-0.8, 1.2), rng.uniform(1.4, 2.6))[..., None]
    return frame + (np.asarray(cloud, np.float32) - frame) * cover * rng.uniform(0.3, 0.9)


def haze_of(sky: np.ndarray, horizon: float) -> np.ndarray:
    """The colour that hides what is far, (3,) float32: the mean of the row above the horizon."""
    row = int(np.clip(horizon - 2, 0, len(sky) - 1))
    return sky[row].mean(axis=0) * np.float32(0.92)


def _ridge(rng: np.random.Generator, n: int, rough: str, height: float) -> np.ndarray:
    """A skyline: (n,) height above the horizon in pixels, at least zero."""
    line = noise(rng, 4, n, rough, n / 160)[0]
    return np.maximum(0, height * (1 + 0.35 * line)).astype(np.float32)


def treeline(
    rng: np.random.Generator, frame: np.ndarray, horizon: float, height: float, haze: np.ndarray,
    fog: float,
) -> None:  # fmt: skip
    """Paint foliage or hills up to a ragged skyline, mixed with `fog` of haze."""
    n = len(frame)
    top = horizon - _ridge(rng, n, "cloud", height)
    rows = np.arange(n, dtype=np.float32)[:, None]
    mask = np.clip(rows - top[None] + 1.2 * noise(rng, n, n, "rough", n / 200), 0, 1)
    mask *= rows < horizon + 1
    leaves = texture(rng, "leaves", n, n).astype(np.float32)
    leaves += (haze - leaves) * fog
    frame += (leaves - frame) * mask[..., None]

"""The ground plane of a frame, seen from eye height."""

import cv2
import numpy as np

from synth.people.scenery.colour import mean_colour
from synth.people.scenery.sheets import noise, smoothstep
from synth.people.scenery.textures import PHOTOGRAPHED, choose, texture

EYE = 1.5  # camera height in metres: the horizon is that high above any ground point


def lay_ground(
    rng: np.random.Generator, n: int, horizon: float, patch: np.ndarray, metres: float,
    haze: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The ground plane with a texture that spans `metres`; rows above the horizon are haze."""
    side = len(patch)
    first = int(np.clip(np.ceil(horizon), 0, n - 1))
    drop = np.arange(first, n, dtype=np.float32)[:, None] + 0.5 - horizon
    away = EYE * n * 1.1 / drop  # focal length of 1.1 frames
    across = (np.arange(n, dtype=np.float32)[None] - n / 2) * EYE / drop
    turn, shift = rng.uniform(0, np.pi / 2), rng.uniform(0, side, 2)
    turn = turn if rng.random() < 0.4 else 0.0
    step = side / metres
    u = (across * np.cos(turn) + away * np.sin(turn)) * step + shift[0]
    v = (away * np.cos(turn) - across * np.sin(turn)) * step + shift[1]
    maps = u.astype(np.float32), v.astype(np.float32)
    near = cv2.remap(patch, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    dull = cv2.blur(patch, (side // 12, side // 12))
    mid = cv2.remap(dull, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    stretch = (away / drop * step)[..., None]  # texture pixels passed over in one row
    mean = mean_colour(patch)
    plane = near + (mid - near.astype(np.float32)) * smoothstep(stretch, 0.7, 3)
    plane += (mean - plane) * smoothstep(stretch, 5, 25)
    plane += (haze - plane) * (0.6 * np.exp(-drop / (0.06 * n)))[..., None]
    plane *= 1 + 0.1 * noise(rng, n - first, n, "smooth", n / 200)[..., None]
    frame = np.empty((n, n, 3), np.float32)
    frame[:first] = haze
    frame[first:] = plane
    return frame


def place_ground(
    rng: np.random.Generator, frame: np.ndarray, horizon: float, kinds: str, haze: np.ndarray
) -> list[str]:
    """Replace everything below the horizon by a ground of one of the materials.

    Returns the photographs that went into it.
    """
    kind = choose(rng, kinds)
    patch = texture(rng, kind, 256, 256)
    ground = lay_ground(rng, len(frame), horizon, patch, rng.uniform(1.5, 4), haze)
    frame[int(horizon) :] = ground[int(horizon) :]
    return photographs(kind)


def photographs(kind: str) -> list[str]:
    """The photograph that a material is made from, if it is."""
    return [PHOTOGRAPHED[kind]] if kind in PHOTOGRAPHED else []


def lay_path(
    rng: np.random.Generator, frame: np.ndarray, horizon: float, haze: np.ndarray
) -> list[str]:
    """A way of another material that leads to the horizon; returns the photographs in it."""
    n = len(frame)
    kind = choose(rng, "asphalt sand gravel pavers concrete")
    patch = texture(rng, kind, 256, 256)
    way = lay_ground(rng, n, horizon, patch, rng.uniform(1.5, 4), haze)
    drop = np.maximum(0, np.arange(n, dtype=np.float32)[:, None] - horizon)
    middle = n * rng.uniform(0.3, 0.7) + drop * rng.uniform(-0.6, 0.6)
    reach = drop * rng.uniform(0.5, 1.6) + 1
    side = np.abs(np.arange(n, dtype=np.float32)[None] - middle)
    edge = side / reach + 0.04 * noise(rng, n, n, "rough", n / 200)
    mask = (1 - smoothstep(edge, 0.92, 1.05)) * (drop > 0)
    frame += (way - frame) * mask[..., None]
    return photographs(kind)

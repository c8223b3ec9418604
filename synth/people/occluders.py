"""Procedural things that stand in front of people: furniture, plants, fences, boxes, vehicles.

Each thing is drawn large on a premultiplied RGBA canvas, shaded, shrunk by area averaging, and
then treated like a low-quality photograph: soft focus, uneven light, colour cast, sensor noise.
Shapes are drawn in the unit square (x right, y down); only the longest side matters afterwards.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from synth.people.plain_opencv import plain_opencv
from synth.people.scenery import barriers, containers, foliage, furniture, street, vehicles
from synth.people.scenery.canvas import Canvas
from synth.people.scenery.sheets import noise


@dataclass(frozen=True)
class Cutout:
    """One occluder: `rgba` is (h, w, 4) uint8 with straight alpha in a tight box."""

    rgba: np.ndarray
    category: str


_DRAW: dict[str, Callable[[Canvas], None]] = {
    "box": containers.box,
    "crate": containers.crate,
    "pole": street.pole,
    "picket_fence": barriers.picket_fence,
    "chain_link": barriers.chain_link,
    "railing": barriers.railing,
    "potted_plant": foliage.potted_plant,
    "bush": foliage.bush,
    "tree": foliage.tree,
    "tall_grass": foliage.tall_grass,
    "chair": furniture.chair,
    "table": furniture.table,
    "sofa": furniture.sofa,
    "shelf": furniture.shelf,
    "bench": furniture.bench,
    "sign": street.sign,
    "barrel": containers.barrel,
    "bin": containers.waste_bin,
    "umbrella": street.umbrella,
    "wall": barriers.wall,
    "curtain": furniture.curtain,
    "car": vehicles.car,
    "bicycle": vehicles.bicycle,
    "suitcase": containers.suitcase,
    "cone": street.cone,
    "boulder": barriers.boulder,
}
CATEGORIES: tuple[str, ...] = tuple(_DRAW)
# Lettering that reads backwards would give the picture away.
_PRINTED = frozenset({"box", "pole", "sign", "barrel", "bin"})


def _shrink(rgba: np.ndarray, size: int) -> np.ndarray:
    """Crop to what is painted and shrink its longest side to `size` minus a rim of one pixel."""
    left, top, width, height = cv2.boundingRect(rgba[..., 3])
    crop = rgba[top : top + height, left : left + width]
    ratio = (size - 2) / max(width, height)
    shape = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    small = cv2.resize(crop, shape, interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))


def _photograph(rng: np.random.Generator, premultiplied: np.ndarray, light: float) -> np.ndarray:
    """Give a clean premultiplied picture focus, light and grain; returns straight RGBA uint8."""
    height, width = premultiplied.shape[:2]
    blur = rng.uniform(0.3, 0.75) * max(0.8, max(height, width) / 160)
    soft = cv2.GaussianBlur(premultiplied.astype(np.float32), (0, 0), blur)
    alpha = soft[..., 3:]
    rgb = soft[..., :3] * (255 / np.maximum(alpha, 1))
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    gain = rng.uniform(0.75, 1.15) * (1 + 0.12 * light * x - rng.uniform(0, 0.15) * y)
    gain += 0.05 * noise(rng, height, width, "smooth", max(height, width) / 150)
    cast = (1 + rng.uniform(-0.08, 0.08) * np.array([1, 0.1, -1])).astype(np.float32)
    lifted = rng.uniform(0, 18) + rgb * gain[..., None] * cast * np.float32(0.95)
    grain = rng.uniform(1.5, 5) * noise(rng, height, width, "white")
    fine = rng.uniform(1, 3) * noise(rng, height, width, "fine")
    lifted += (grain + fine)[..., None]
    alpha = np.where(alpha < 8, 0, alpha)
    return np.clip(np.concatenate([lifted, alpha], axis=2), 0, 255).astype(np.uint8)


def _finish(rng: np.random.Generator, canvas: Canvas, size: int, mirror: bool) -> np.ndarray:
    """Shrink, photograph, mirror if asked and crop tightly."""
    rgba = _photograph(rng, _shrink(canvas.rgba, size), canvas.light)
    left, top, width, height = cv2.boundingRect(rgba[..., 3].copy())
    rgba = rgba[top : top + height, left : left + width]
    if mirror:
        rgba = rgba[:, ::-1]
    rgba = np.ascontiguousarray(rgba)
    seen = rgba[..., 3] > 0
    # Unseen pixels carry the mean colour, so that resizing straight alpha leaves no dark rim.
    rgba[~seen, :3] = rgba[seen, :3].mean(axis=0).astype(np.uint8)
    return rgba


@plain_opencv()
def draw_occluder(rng: np.random.Generator, size: int, category: str | None = None) -> Cutout:
    """Draw one thing whose longest side is `size` pixels (up to two fewer), `size` from 8.

    `category` is one of `CATEGORIES`; None draws it from `rng` with equal chances.  Raises
    ValueError for an unknown category or a size below 8.
    """
    if size < 8:
        raise ValueError(f"size must be at least 8 pixels, got {size}")
    if category is None:
        category = CATEGORIES[int(rng.integers(len(CATEGORIES)))]
    if category not in _DRAW:
        raise ValueError(f"unknown category {category!r}; choose from {', '.join(CATEGORIES)}")
    oversampling = 4 if size <= 96 else 3 if size <= 160 else 2
    canvas = Canvas(rng, max(128, size * oversampling))
    _DRAW[category](canvas)
    mirror = rng.random() < 0.5 and category not in _PRINTED
    return Cutout(_finish(rng, canvas, size, mirror), category)

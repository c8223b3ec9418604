"""Furniture: chairs, tables, sofas, shelves, benches and curtains."""

import numpy as np

from synth.people.scenery.canvas import Canvas
from synth.people.scenery.colour import hsv, paint
from synth.people.scenery.outlines import blob, rectangle
from synth.people.scenery.patches import PATCH, swatch
from synth.people.scenery.projection import Cuboid


def _legs(wide: float, deep: float, tall: float, thick: float, patch: np.ndarray) -> list[Cuboid]:
    """Four legs under a (wide, deep) top at height `tall`."""
    spots = [(x, y) for x in (0, wide - thick) for y in (0, deep - thick)]
    return [Cuboid((x, y, 0), (x + thick, y + thick, tall), patch) for x, y in spots]


def chair(c: Canvas) -> None:
    """A chair seen from any side, with or without arms."""
    rng = c.rng
    frame = swatch(rng, "wood wood metal plastic")
    seat = swatch(rng, "fabric wood plastic") if rng.random() < 0.6 else frame
    wide, high, thick = rng.uniform(0.42, 0.55), rng.uniform(0.85, 1.1), rng.uniform(0.03, 0.05)
    blocks = _legs(wide, 0.45, 0.43, thick, frame)
    blocks.append(Cuboid((0, 0, 0.43), (wide, 0.45, 0.49), seat))
    for x in (0, wide - thick):
        blocks.append(Cuboid((x, 0.45 - thick, 0.49), (x + thick, 0.45, high), frame))
    if rng.random() < 0.5:
        blocks.append(Cuboid((0, 0.41, 0.58), (wide, 0.44, high), seat))
    else:
        for z in np.linspace(0.62, high - 0.07, 3):
            blocks.append(Cuboid((0, 0.42, z), (wide, 0.44, z + 0.07), frame))
    if rng.random() < 0.4:
        for x in (0, wide - thick):
            blocks.append(Cuboid((x, 0, 0.66), (x + thick, 0.42, 0.7), frame))
    c.solids(blocks, rng.uniform(-3.1, 3.1), rng.uniform(0.1, 0.4))


def table(c: Canvas) -> None:
    """A table with up to three things on it."""
    rng = c.rng
    wide, deep, tall = rng.uniform(0.7, 1.7), rng.uniform(0.5, 0.9), rng.uniform(0.45, 0.85)
    top, thick = swatch(rng, "wood wood plastic metal"), rng.uniform(0.04, 0.08)
    legs = top if rng.random() < 0.6 else swatch(rng, "metal wood")
    blocks = _legs(wide, deep, tall, thick, legs)
    blocks.append(Cuboid((-0.03, -0.03, tall), (wide + 0.03, deep + 0.03, tall + 0.04), top))
    if rng.random() < 0.5:
        blocks.append(Cuboid((thick, 0.02, tall - 0.1), (wide - thick, 0.05, tall), legs))
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0.05, wide - 0.3), rng.uniform(0.05, deep - 0.3)
        size = rng.uniform(0.05, 0.22, 3)
        corner = (x + size[0], y + size[1], tall + 0.04 + size[2])
        blocks.append(Cuboid((x, y, tall + 0.04), corner, swatch(rng, "plastic cardboard fabric")))
    c.solids(blocks, rng.uniform(-0.7, 0.7), rng.uniform(0.1, 0.4))


def sofa(c: Canvas) -> None:
    """A sofa of one to three seats, seen from the front."""
    rng = c.rng
    cloth, seats = swatch(rng, "fabric fabric plastic"), int(rng.integers(1, 4))
    wide = {1: 0.55, 2: 0.8, 3: 0.97}[seats] / 2
    left, right, arm = 0.5 - wide, 0.5 + wide, rng.uniform(0.07, 0.11)
    for x in (left + 0.04, right - 0.07):
        c.shape(rectangle(x, 0.7, x + 0.03, 0.78), hsv(0.07, 0.5, 0.2))
    c.area(rectangle(left + 0.02, 0.25, right - 0.02, 0.7, 0.05), cloth, 0.25)
    base = (cloth * 0.75).astype(np.uint8)
    c.area(rectangle(left + 0.02, 0.56, right - 0.02, 0.73, 0.01), base, 0.1)
    pitch = (right - left - 2 * arm) / seats
    for k in range(seats):
        x0, x1 = left + arm + k * pitch + 0.004, left + arm + (k + 1) * pitch - 0.004
        c.area(rectangle(x0, 0.27, x1, 0.52, 0.04), cloth, 0.3)
        c.area(rectangle(x0, 0.5, x1, 0.61, 0.025), np.clip(cloth * 1.1, 0, 255).astype(np.uint8),
               0.4)  # fmt: skip
    if rng.random() < 0.5:
        x = rng.uniform(left + arm, right - arm - 0.17)
        c.area(blob(rng, x + 0.08, 0.43, 0.1, 0.09), swatch(rng, "fabric"), 0.4)
    for x in (left, right - arm):
        c.area(rectangle(x, 0.4, x + arm, 0.74, 0.04), cloth, 0.4)


def shelf(c: Canvas) -> None:
    """An open shelf partly filled with goods."""
    rng = c.rng
    wide, tall, deep = rng.uniform(0.5, 1.1), rng.uniform(0.9, 1.7), 0.3
    patch, rows = swatch(rng, "wood wood metal plastic"), int(rng.integers(3, 6))
    blocks = [Cuboid((x, 0, 0), (x + 0.03, deep, tall), patch) for x in (0, wide - 0.03)]
    step = tall / rows
    for k in range(rows + 1):
        z = min(k * step, tall - 0.03)
        blocks.append(Cuboid((0.03, 0, z), (wide - 0.03, deep, z + 0.03), patch))
    if rng.random() < 0.4:
        blocks.append(Cuboid((0, deep, 0), (wide, deep + 0.01, tall), patch))
    goods = [swatch(rng, "plastic fabric cardboard") for _ in range(4)]
    for k in range(rows):
        x = 0.04
        while x < wide * rng.uniform(0.3, 0.95):
            fat, high = rng.uniform(0.03, 0.14), step * rng.uniform(0.45, 0.85)
            corner = (min(x + fat, wide - 0.04), 0.24, k * step + 0.03 + high)
            blocks.append(Cuboid((x, 0.04, k * step + 0.03), corner, goods[int(rng.integers(4))]))
            x += fat + 0.005
    c.solids(blocks, rng.uniform(-0.5, 0.5), rng.uniform(0.03, 0.2))


def bench(c: Canvas) -> None:
    """A park bench of slats on two iron or concrete feet."""
    rng = c.rng
    wide, slat = rng.uniform(1.1, 1.7), swatch(rng, "wood wood plastic")
    iron = swatch(rng, "metal concrete rust", hsv(0.6, 0.1, rng.uniform(0.15, 0.5)))
    blocks = [Cuboid((0, y, 0.42), (wide, y + 0.1, 0.46), slat) for y in (0, 0.13, 0.26, 0.39)]
    for x in (0.12, wide - 0.18):
        blocks += [Cuboid((x, 0.02, 0), (x + 0.06, 0.1, 0.42), iron),
                   Cuboid((x, 0.42, 0), (x + 0.06, 0.5, 0.85), iron)]  # fmt: skip
    if rng.random() < 0.75:
        blocks += [Cuboid((0, 0.47, z), (wide, 0.5, z + 0.09), slat) for z in (0.55, 0.67, 0.79)]
    c.solids(blocks, rng.uniform(-0.7, 0.7), rng.uniform(0.1, 0.4))


def curtain(c: Canvas) -> None:
    """A hanging cloth in folds, sometimes with its rod."""
    rng = c.rng
    wide = rng.uniform(0.25, 0.44)
    x = np.arange(PATCH) / PATCH
    folds = np.sin(2 * np.pi * (x * rng.uniform(4, 9) + 0.3 * np.sin(x * rng.uniform(4, 12))))
    cloth = swatch(rng, "fabric") * (1 + 0.3 * folds + 0.1 * np.roll(folds, 5))[None, :, None]
    sway = rng.normal(0, 0.02, 2)
    t = np.linspace(0, 1, 40)
    hem = np.stack([0.5 + wide * (1 - 2 * t), 0.96 + 0.012 * np.sin(t * 45)], axis=1)
    side = np.linspace(0.05, 0.96, 12)
    waist = 1 - rng.uniform(0, 0.35) * np.sin(np.pi * (side - 0.05) / 0.91) ** 2
    left = np.stack([0.5 - wide * waist + sway[0] * (side - 0.05), side], axis=1)
    right = np.stack([0.5 + wide * waist + sway[1] * (side - 0.05), side], axis=1)
    outline = np.concatenate([left[::-1], right, hem])
    c.area(outline, np.clip(cloth, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        c.tube(np.array([(0.47 - wide, 0.045), (0.53 + wide, 0.045)]), 0.022, paint(rng, 0.2))

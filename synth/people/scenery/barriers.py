"""Things that bar the way: fences, railings, walls and rocks."""

import numpy as np

from synth.people.scenery.canvas import Canvas
from synth.people.scenery.colour import hsv, paint, scale
from synth.people.scenery.outlines import curve, rectangle
from synth.people.scenery.patches import PATCH, swatch
from synth.people.scenery.sheets import noise
from synth.people.scenery.textures import texture


def picket_fence(c: Canvas) -> None:
    """A run of boards on two rails, with gaps between them."""
    rng = c.rng
    white = rng.random() < 0.4
    colour = hsv(0.1, rng.uniform(0, 0.1), rng.uniform(0.75, 0.95)) if white else None
    count, gap = int(rng.integers(5, 10)), rng.uniform(0.15, 0.6)
    tall, tip = rng.uniform(0.5, 0.95), rng.uniform(0, 0.08)
    rail = swatch(rng, "wood", colour)
    for y in (0.25, 0.75):
        y = 0.97 - tall * y
        c.area(rectangle(0.01, y - 0.03, 0.99, y + 0.03), (rail * 0.7).astype(np.uint8))
    pitch = 0.98 / count
    board = swatch(rng, "wood", colour).transpose(1, 0, 2)
    for k in range(count):
        x0, x1 = 0.01 + k * pitch, 0.01 + (k + 1 - gap) * pitch
        top = 0.97 - tall + rng.uniform(0, 0.015)
        outline = np.array([(x0, top + tip), ((x0 + x1) / 2, top), (x1, top + tip), (x1, 0.97),
                            (x0, 0.97)])  # fmt: skip
        worn = np.roll(board, int(rng.integers(PATCH)), 0) * rng.uniform(0.75, 1.08)
        c.area(outline, np.clip(worn, 0, 255).astype(np.uint8), 0.15)


def chain_link(c: Canvas) -> None:
    """A wire mesh between two posts, open between the wires."""
    rng = c.rng
    colour = hsv(rng.uniform(0.3, 0.6), rng.uniform(0, 0.3), rng.uniform(0.4, 0.8))
    cell, wire = rng.uniform(0.06, 0.12), rng.uniform(0.008, 0.016)
    tall = rng.uniform(0.6, 0.92)
    top = 0.97 - tall
    t = np.arange(top, 0.97, cell / 2)
    for k in range(int(1 / cell) + 1):
        for phase in (1, -1):
            swing = phase * (np.arange(len(t)) % 2 * 2 - 1) * cell * 0.48
            zigzag = np.stack([0.02 + k * cell + swing + cell * 0.25, t], axis=1)
            c.tube(np.clip(zigzag, 0.03, 0.97), wire, colour)
    for x in (0.05, 0.95):
        c.tube(np.array([(x, top - 0.01), (x, 0.96)]), 0.035, scale(colour, 0.9))
    c.tube(np.array([(0.05, top), (0.95, top)]), 0.025, colour)


def railing(c: Canvas) -> None:
    """A metal railing with upright or level bars, sometimes sloping."""
    rng = c.rng
    colour = paint(rng, 0.15) if rng.random() < 0.6 else hsv(0.6, 0.05, rng.uniform(0.1, 0.75))
    tall, bar = rng.uniform(0.4, 0.8), rng.uniform(0.012, 0.03)
    top, slope = 0.97 - tall, rng.uniform(-0.12, 0.12)

    def y(x: float, level: float) -> float:
        return level + slope * (x - 0.5) * (level < 0.9)

    if rng.random() < 0.65:
        for x in np.arange(0.08, 0.94, rng.uniform(0.055, 0.11)):
            c.tube(np.array([(x, y(x, top)), (x, y(x, 0.88))]), bar, colour)
    else:
        for level in np.linspace(top, 0.88, int(rng.integers(3, 6)))[1:]:
            c.tube(np.array([(0.07, y(0.07, level)), (0.93, y(0.93, level))]), bar, colour)
    c.tube(np.array([(0.07, y(0.07, 0.88)), (0.93, y(0.93, 0.88))]), bar * 1.2, colour)
    for x in (0.07, 0.5, 0.93):
        c.tube(np.array([(x, y(x, top)), (x, 0.95)]), bar * 1.8, colour)
    c.tube(np.array([(0.06, y(0.06, top)), (0.94, y(0.94, top))]), bar * 2.2, colour)


def wall(c: Canvas) -> None:
    """A low or high wall, sometimes with a coping."""
    rng = c.rng
    kind = ["brick", "brick", "concrete", "plaster", "tiles", "planks"][int(rng.integers(6))]
    patch = texture(rng, kind, 192, 192)
    tall = rng.uniform(0.3, 0.95)
    top, yaw = 0.98 - tall, rng.uniform(-0.12, 0.12) * tall
    left, right = (0.02, top + max(yaw, 0)), (0.98, top + max(-yaw, 0))
    shade = np.array([1.05, 0.95, 0.7, 0.8])
    c.quad([left, right, (0.98, 0.98), (0.02, 0.98)], patch, shade)
    if rng.random() < 0.6:
        cap = swatch(rng, "concrete")
        lift = rng.uniform(0.02, 0.05)
        c.quad([(0.01, left[1] - lift), (0.99, right[1] - lift), (0.99, right[1]), (0.01, left[1])],
               cap, [1.15, 1.1, 0.9, 0.9])  # fmt: skip


def boulder(c: Canvas) -> None:
    """A rock with a flat foot."""
    rng = c.rng
    b = rng.uniform(0.25, 0.42)
    turn = np.sort(rng.uniform(0, 2 * np.pi, 11)) * 0.5 + np.linspace(0, 2 * np.pi, 11) * 0.5
    reach = rng.uniform(0.85, 1.05, 11)
    outline = np.stack([0.5 + 0.45 * reach * np.cos(turn), 0.5 + b * reach * np.sin(turn)], axis=1)
    outline = curve([(x, min(y, 0.5 + 0.7 * b)) for x, y in outline], 5)
    rock = swatch(rng, "concrete concrete sand asphalt").astype(np.float32)
    bumps = noise(rng, PATCH, PATCH, "cloud", 1.2)
    facets = np.round(2.5 * noise(rng, PATCH, PATCH, "smooth", 0.6)) / 2.5
    relief = 0.2 * bumps + 0.9 * (bumps - np.roll(bumps, 2, axis=0)) + 0.15 * facets
    c.area(outline, np.clip(rock * (1 + relief)[..., None], 0, 255).astype(np.uint8), 0.45)

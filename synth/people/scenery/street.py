"""Street furniture: poles, signs, sunshades and traffic cones."""

import numpy as np

from synth.people.scenery.canvas import Canvas
from synth.people.scenery.colour import hsv, paint, scale
from synth.people.scenery.outlines import ellipse, rectangle
from synth.people.scenery.patches import PATCH, print_on, stick_label, swatch
from synth.people.scenery.textures import texture


def pole(c: Canvas) -> None:
    """An upright round post on a foot, sometimes banded or with a bill stuck on."""
    rng = c.rng
    radius = rng.uniform(0.025, 0.13)
    patch = swatch(rng, "metal concrete wood rust plastic")
    if rng.random() < 0.4:
        bands = (np.arange(PATCH) * rng.integers(4, 10) // PATCH) % 2 == 0
        paint_over = np.array(paint(rng, 1.0), np.float32)
        patch[bands] = (0.25 * patch[bands] + 0.75 * paint_over).astype(np.uint8)
    if radius > 0.06 and rng.random() < 0.5:
        stick_label(rng, patch)
    foot = radius * rng.uniform(1, 1.6)
    c.lathe(0.5, [(0.02, radius * 0.9), (0.85, radius), (0.86, foot), (0.95, foot)], patch, 0.15)


def sign(c: Canvas) -> None:
    """A board with lettering on a post."""
    rng = c.rng
    c.lathe(0.5, [(0.05, 0.016), (0.97, 0.018)], swatch(rng, "metal rust wood"), 0.1)
    a, b = rng.uniform(0.16, 0.36), rng.uniform(0.12, 0.24)
    y = b + 0.04
    forms = [rectangle(0.5 - a, y - b, 0.5 + a, y + b, 0.02), ellipse(0.5, y, b, b),
             np.array([(0.5, y - b), (0.5 + b * 1.1, y + b * 0.9), (0.5 - b * 1.1, y + b * 0.9)]),
             np.array([(0.5, y - b), (0.5 + b, y), (0.5, y + b), (0.5 - b, y)])]  # fmt: skip
    outline = forms[int(rng.integers(4))]
    rim, face = swatch(rng, "plastic metal", paint(rng, 0.9)), hsv(0.12, rng.uniform(0, 0.8), 0.9)
    if rng.random() < 0.5:
        face = paint(rng, 0.9)
    board = texture(rng, "plastic", PATCH, PATCH, face)
    dark = sum(face) > 330
    print_on(rng, board, hsv(0, 0, 0.1 if dark else 0.92), int(rng.integers(1, 4)))
    c.area(outline, rim)
    centre = outline.mean(axis=0)
    c.area(centre + (outline - centre) * 0.88, board)


def umbrella(c: Canvas) -> None:
    """An open sunshade on its pole."""
    rng = c.rng
    gores, tall = int(rng.integers(5, 9)), rng.uniform(0.2, 0.4)
    shaft = hsv(rng.uniform(0, 0.6), rng.uniform(0, 0.4), rng.uniform(0.15, 0.6))
    c.tube(np.array([(0.5, 0.05), (0.5, 0.95)]), rng.uniform(0.012, 0.024), shaft)
    cloths = [swatch(rng, "fabric", paint(rng, 0.8)) for _ in range(2)]
    if rng.random() < 0.6:
        cloths[1] = cloths[0]
    rim = 0.06 + tall
    edge = -0.47 * np.cos(np.linspace(0, np.pi, gores + 1))
    t = np.linspace(0, 1, 9)[:, None]
    apex, bow = np.array([0.5, 0.05]), np.array([0.0, -0.35 * tall])
    ribs = [(1 - t) * apex + t * [0.5 + x, rim] + 4 * t * (1 - t) * (bow * 0.5 + [x * 0.25, 0])
            for x in edge]  # fmt: skip
    for k in range(gores):
        middle = (ribs[k][-1] + ribs[k + 1][-1]) / 2 - [0, 0.03]
        outline = np.concatenate([ribs[k], [middle], ribs[k + 1][::-1]])
        lit = 0.75 + 0.35 * np.cos((edge[k] + edge[k + 1]) / 0.94 * 1.3 - c.light)
        cloth = np.clip(cloths[k % 2] * lit, 0, 255).astype(np.uint8)
        c.area(outline, cloth, 0.12)


def cone(c: Canvas) -> None:
    """A traffic cone with one or two bright bands."""
    rng = c.rng
    hue = rng.uniform(0.0, 0.07) if rng.random() < 0.8 else rng.choice([0.15, 0.33, 0.58])
    colour = hsv(hue, 0.85, 0.85)
    base = rng.uniform(0.3, 0.4)
    foot = texture(rng, "plastic", 32, 32, scale(colour, 0.5 if rng.random() < 0.5 else 1))
    c.quad([(0.5 - base * 0.8, 0.82), (0.5 + base * 0.8, 0.82), (0.5 + base, 0.94),
            (0.5 - base, 0.94)], foot, [0.9, 0.9, 1.05, 1.05])  # fmt: skip
    c.quad([(0.5 - base, 0.94), (0.5 + base, 0.94), (0.5 + base, 0.97), (0.5 - base, 0.97)], foot,
           0.6)  # fmt: skip
    patch = texture(rng, "plastic", PATCH, PATCH, colour)
    for y in (0.3, 0.58)[: int(rng.integers(1, 3))]:
        band = slice(int(y * PATCH), int((y + 0.17) * PATCH))
        patch[band] = (patch[band] * 0.1 + 205).astype(np.uint8)
    c.lathe(0.5, [(0.03, 0.035), (0.84, base * 0.72)], patch, 0.2)

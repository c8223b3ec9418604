"""Plants: leaves one by one over a ragged mass, so that rims are fringed and gaps show."""

import cv2
import numpy as np

from synth.people.scenery.canvas import Canvas
from synth.people.scenery.colour import Colour, hsv, mean_colour, scale, tint
from synth.people.scenery.outlines import blob
from synth.people.scenery.patches import PATCH, swatch
from synth.people.scenery.sheets import noise
from synth.people.scenery.textures import texture


def _bark(rng: np.random.Generator) -> np.ndarray:
    base = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.15, 0.4), rng.uniform(0.25, 0.5))
    ridges = noise(rng, PATCH, PATCH, "grain").T + 0.5 * noise(rng, PATCH, PATCH, "rough")
    return tint(np.clip(1 + 0.25 * ridges, 0.2, 1.8), base, 0.1 * ridges)


def _leaves(
    roots: np.ndarray, turns: np.ndarray, lengths: np.ndarray, slims: np.ndarray, bends: np.ndarray
) -> np.ndarray:
    """Outlines of k leaves, up one side and down the other: (k, 12, 2).

    Each grows from its root (k, 2) at angle `turns`, bending by `bends`; `slims` is half its width
    over its length.
    """
    t = np.linspace(0, 1, 7)
    angle = turns[:, None] + bends[:, None] * t
    along = np.stack([np.cos(angle), np.sin(angle)], axis=2)
    spine = (np.cumsum(along, axis=1) - along) / 6
    swell = (np.sin(np.pi * t**0.8) * slims[:, None])[..., None]
    side = along[..., ::-1] * [-1, 1] * swell
    outline = np.concatenate([spine + side, (spine - side)[:, -2:0:-1]], axis=1)
    return roots[:, None] + outline * lengths[:, None, None]


def _scatter_leaves(
    c: Canvas, roots: np.ndarray, length: float, colour: Colour, slim: float = 0.3
) -> None:
    """Paint a leaf at every (k, 2) root, dark ones first, lit ones last."""
    rng, count = c.rng, len(roots)
    turns = rng.uniform(0, 2 * np.pi, count)
    tones = np.sort(rng.beta(2, 2, count)) * 1.15 + 0.3
    sizes = length * rng.uniform(0.5, 1.2, count)
    warmth = 1 + rng.normal(0, 0.07, count)[:, None] * [1, 0, -1]
    shades = np.clip(np.asarray(colour) * tones[:, None] * warmth, 0, 255)
    outlines = _leaves(roots, turns, sizes, np.full(count, slim), np.full(count, 0.5))
    for outline, shade in zip(outlines, shades.tolist(), strict=True):
        c.shape(outline, shade)


def _green(rng: np.random.Generator) -> Colour:
    if rng.random() < 0.12:
        return hsv(rng.uniform(0.02, 0.12), rng.uniform(0.4, 0.7), rng.uniform(0.4, 0.6))
    return hsv(rng.uniform(0.18, 0.37), rng.uniform(0.25, 0.6), rng.uniform(0.3, 0.6))


def _foliage(c: Canvas, outline: np.ndarray, leaves: int, green: Colour) -> None:
    """A mass of leaves within an outline: ragged rim, gaps, shadow below, lit leaves above."""
    rng = c.rng
    box = c.box_of(outline)
    left, top, right, bottom = box
    soft = cv2.GaussianBlur(c.mask_of(outline, box), (0, 0), c.n / 50).astype(np.float32) / 255
    height, width = soft.shape
    ragged = soft + 0.16 * noise(rng, height, width, "rough", c.n / 300)
    body = texture(rng, "leaves", height, width, scale(green, 0.75))
    fall = np.linspace(1.1, 0.55, height, dtype=np.float32)[:, None, None]
    c.put((body * np.minimum(fall, 1)).astype(np.uint8), (ragged > 0.5).astype(np.uint8) * 255,
           left, top)  # fmt: skip
    rows, columns = np.nonzero((soft > 0.3) & (ragged > 0.35))
    at = rng.integers(0, len(rows), leaves)
    roots = np.stack([columns[at] + left, rows[at] + top], axis=1) / c.n
    _scatter_leaves(c, roots, rng.uniform(0.035, 0.08), green, rng.uniform(0.2, 0.4))


def potted_plant(c: Canvas) -> None:
    """Long leaves that fan out of a pot."""
    rng = c.rng
    rim, wide = rng.uniform(0.62, 0.76), rng.uniform(0.12, 0.22)
    patch = swatch(rng, "plastic concrete fabric wood", hsv(rng.uniform(0.02, 0.1), 0.5, 0.6)
                  if rng.random() < 0.4 else None)  # fmt: skip
    lip = [(rim, wide), (rim + 0.04, wide), (rim + 0.045, wide * 0.92)]
    c.lathe(0.5, [*lip, (0.95, wide * rng.uniform(0.6, 0.9))], patch, 0.2)
    c.ring(0.5, rim, wide * 0.9, wide * 0.18, hsv(0.08, 0.4, 0.15))
    green, count = _green(rng), int(rng.integers(14, 46))
    length, slim = rng.uniform(0.3, 0.5), rng.uniform(0.06, 0.18)
    lean = np.clip(rng.normal(0, 0.5 * rng.uniform(0.6, 1.3), count), -0.75, 0.75)
    roots = np.stack([0.5 + rng.uniform(-0.5, 0.5, count) * wide, np.full(count, rim)], axis=1)
    reach = length * rng.uniform(0.5, 1.05, count)
    tones = 0.45 + 0.7 * np.linspace(0, 1, count) * rng.uniform(0.7, 1.2, count)
    leaves = _leaves(roots, -np.pi / 2 + lean * 0.6, reach, np.full(count, slim), lean * 1.1)
    for leaf, tone in zip(leaves, tones, strict=True):
        shade = scale(green, tone)
        c.shape(leaf, shade)
        c.shape(leaf[:7], scale(shade, 0.82))  # the half that turns away from the light
        c.line(leaf[[0, 6]], 0.002, scale(shade, 1.25))


def bush(c: Canvas) -> None:
    """A lumpy mass of leaves."""
    rng = c.rng
    b = rng.uniform(0.25, 0.41)
    _foliage(c, blob(rng, 0.5, 0.5, 0.4, b), 260, _green(rng))


def tree(c: Canvas) -> None:
    """A trunk with two boughs under a crown of three leafy masses."""
    rng = c.rng
    radius, lean = rng.uniform(0.03, 0.08), rng.uniform(-0.04, 0.04)
    foot = [(0.5 - 1.6 * radius, 0.98), (0.5 + 1.6 * radius, 0.98)]
    trunk = [foot[0], (0.5 - radius + lean / 2, 0.7), (0.5 - radius * 0.8 + lean, 0.2),
             (0.5 + radius * 0.8 + lean, 0.2), (0.5 + radius + lean / 2, 0.7), foot[1]]  # fmt: skip
    bark = _bark(rng)
    c.area(np.array(trunk), bark, 0.45)
    for side in (-1, 1):
        start = np.array([0.5 + lean * 0.7, rng.uniform(0.35, 0.6)])
        tip = start + [side * rng.uniform(0.12, 0.3), -rng.uniform(0.1, 0.25)]
        c.tube(np.array([start, (start + tip) / 2 + [0, 0.02], tip]), radius * 0.6,
               tuple(mean_colour(bark).tolist()))  # fmt: skip
    green = _green(rng)
    for offset in (-0.2, 0.2, 0.0):
        x, y = 0.5 + lean + offset * rng.uniform(0.5, 0.9), rng.uniform(0.24, 0.32)
        _foliage(c, blob(rng, x, y, rng.uniform(0.17, 0.23), rng.uniform(0.13, 0.2)), 80, green)


def tall_grass(c: Canvas) -> None:
    """A tuft of thin blades."""
    rng = c.rng
    count, tall = int(rng.integers(90, 190)), rng.uniform(0.4, 0.75)
    lean = np.clip(rng.normal(0, 0.25, count), -0.5, 0.5)
    tones = np.linspace(0.4, 1.15, count) * rng.uniform(0.75, 1.2, count)
    roots = np.stack([rng.uniform(0.3, 0.7, count), 0.95 + rng.uniform(-0.02, 0.02, count)], 1)
    lengths = tall * rng.uniform(0.4, 1.05, count)
    slims = rng.uniform(0.004, 0.011, count) / lengths
    shades = np.clip(np.asarray(_green(rng)) * tones[:, None], 0, 255).tolist()
    blades = _leaves(roots, -np.pi / 2 + lean * 0.5, lengths, slims, lean)
    for blade, shade in zip(blades, shades, strict=True):
        c.shape(blade, shade)

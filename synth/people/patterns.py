"""Patterns that are printed on or woven into cloth."""

from collections.abc import Callable

import numpy as np

from synth.people.fields import LEFT_ARM, LEFT_LEG, RIGHT_ARM, RIGHT_LEG
from synth.people.geometry import Array, bump
from synth.people.noise import noise
from synth.people.person import Cloth
from synth.people.samples import Samples


def _leg_centre(z: Array) -> Array:
    """Distance of a leg's axis from the middle of the template at a height, metres."""
    return np.interp(z, (-0.74, -0.29, 0.16), (0.195, 0.152, 0.115))


def _plane(s: Samples) -> tuple[Array, Array]:
    """Cloth coordinates in metres: around the limb or torso, and along it."""
    x, y, z = s.position.T
    around = np.where(z < 0.2, np.arctan2(x, -y) * 0.16, x)
    leg = (s.region == LEFT_LEG) | (s.region == RIGHT_LEG)
    outwards = np.abs(x) - _leg_centre(z)
    turn = np.arctan2(np.where(x > 0, outwards, -outwards), -(y + 0.03))
    around = np.where(leg & (z < 0.05), turn * 0.08, around)
    arm = (s.region == LEFT_ARM) | (s.region == RIGHT_ARM)
    return np.where(arm, y, around), np.where(arm, s.along * 0.56, z)


def pattern_colours(s: Samples, cloth: Cloth, seed: Array) -> Array:
    """Linear colours (n, 3) of the samples of a cloth."""
    base = np.repeat(cloth.colours[:1], len(s.position), 0)
    if cloth.pattern == "solid":
        return base
    around, along = _plane(s)
    colours = PATTERNS[cloth.pattern](s, cloth, around, along, seed)
    return np.clip(colours, 0.004, 1).astype(np.float32)


def paint(mask: Array, colour: Array, base: Array) -> Array:
    """A colour where a mask (n,) holds, the base (n, 3) elsewhere."""
    return np.where(mask[:, None], colour, base)


def _stripes(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    return paint(np.mod(along / c.scale / 1.6, 1) < 0.4, c.colours[1], c.colours[0])


def _pinstripes(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    return paint(np.mod(around / c.scale, 1) < 0.16, c.colours[1], c.colours[0])


def _plaid(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    size = c.scale * 1.8
    rows, columns = np.mod(along / size, 1), np.mod(around / size, 1)
    blend = ((rows < 0.45).astype(np.float32) + (columns < 0.45)) / 2
    colour = c.colours[0] * (1 - blend[:, None]) + c.colours[1] * blend[:, None]
    line = (np.abs(rows - 0.72) < 0.03) | (np.abs(columns - 0.72) < 0.03)
    return paint(line, c.colours[2], colour)


def _dots(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    row = along / c.scale
    column = around / c.scale + 0.5 * np.mod(np.floor(row), 2)
    inside = (np.mod(column, 1) - 0.5) ** 2 + (np.mod(row, 1) - 0.5) ** 2 < 0.06
    return paint(inside, c.colours[1], c.colours[0])


def _blotches(s: Samples, c: Cloth, seed: Array, size: float, first: float, second: float) -> Array:
    one, _ = noise(s.position * size + seed)
    two, _ = noise(s.position * size + seed + 0.37)
    colour = paint(one > first, c.colours[1], c.colours[0])
    return paint(two > second, c.colours[2], colour)


def _camouflage(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    return _blotches(s, c, seed, 1.2, 0.3, 0.7)


def _floral(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    return _blotches(s, c, seed, 2.6, 1.0, 1.2)


def _print(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    """A printed emblem on the chest: a disc, a bar or a badge."""
    x, y, z = s.position.T
    kind = int(seed[0]) % 3
    if kind == 0:
        inside = np.hypot(x, z - 0.5) < 0.07
    elif kind == 1:
        inside = (np.abs(x) < 0.09) & (np.abs(z - 0.52) < 0.028)
    else:
        inside = np.hypot(x - 0.075, z - 0.57) < 0.025
    texture, _ = noise(s.position * 4 + seed)
    chest = inside & (y < 0) & (s.region < LEFT_ARM)
    colour = paint(chest, c.colours[1], c.colours[0])
    return paint(chest & (texture > 0.5) & (kind != 2), c.colours[2], colour)


def _block(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    z = s.position[:, 2] + 0.02 * np.cos(s.position[:, 0] * 9)
    return paint(z > 0.5, c.colours[1], c.colours[0])


def _sidestripe(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    x, y, z = s.position.T
    side = (np.abs(y + 0.03) < 0.018) & (np.abs(x) > _leg_centre(z))
    return paint(side, c.colours[1], c.colours[0])


def _denim(s: Samples, c: Cloth, around: Array, along: Array, seed: Array) -> Array:
    x, y, z = s.position.T
    cloud, _ = noise(s.position * 1.1 + seed)
    grain, _ = noise(s.position * 9 + seed)
    worn = 0.35 * bump(z, -0.05, 0.16) * np.clip(-y * 8, 0, 1)
    colour = c.colours[0] * ((1 + 0.05 * cloud + 0.06 * grain) * (1 + worn))[:, None]
    seam = (np.abs(y + 0.03) < 0.003) & (np.abs(x) > _leg_centre(z))
    return colour * np.where(seam, 0.6, 1)[:, None]


PATTERNS: dict[str, Callable[[Samples, Cloth, Array, Array, Array], Array]] = {
    "stripes": _stripes, "pinstripes": _pinstripes, "plaid": _plaid, "dots": _dots,
    "camouflage": _camouflage, "floral": _floral, "print": _print, "block": _block,
    "sidestripe": _sidestripe, "denim": _denim,
}  # fmt: skip

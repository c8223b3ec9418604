"""How ribbons of hair grow: combed over the skull, bent by gravity, kept out of the body.

All of it happens on the template's head; `hair` maps the lines to the person.
"""

from dataclasses import dataclass

import numpy as np

from synth.people.geometry import Array, dot, normalise, smoothstep
from synth.people.noise import noise
from synth.people.person import Person
from synth.people.shoulders import Shoulders

SKULL = np.array([0.0, -0.042, 0.93])
SKULL_RADII = np.array([0.082, 0.108, 0.098])
TIE = np.array([0.0, 0.072, 0.968])
NECK_RADIUS = 0.066
ON_CLOTH = 0.006  # metres that hair stands off what it lies on
FRINGED = ("short", "bob", "long")  # styles that may have a fringe


@dataclass(frozen=True)
class Style:
    """How a hair style grows; lengths in metres on the template."""

    count: int
    top: float  # length on top
    sides: float  # length at sides and back
    lift: float  # how far ribbons rise from the scalp before they lie down
    gravity: float
    curl: float
    width: float
    volume: float  # clearance from the skull at mid-length
    steps: int = 5
    tip: float = 0.85  # share of its width that a ribbon loses on its way


def direction(
    person: Person, style: Style, root: Array, normal: Array, rng: np.random.Generator
) -> Array:
    """Initial directions (n, 3) of growth."""
    x, y, _ = root.T
    side = np.sign(x - person.part)[:, None]
    if person.hair_style in ("bob", "long"):
        top = smoothstep(normal[:, 2], 0.2, 0.8)[:, None]
        comb = side * np.array([1.0, 0, 0]) * (0.2 + 0.8 * top) + np.array([0, 0.35, -0.3])
        comb = comb - np.array([0, 0, 0.7]) * (1 - top)
    elif person.hair_style == "swept":
        comb = np.sign(person.part) * np.array([0.8, 0, 0]) + np.array([0, 0.5, -0.15])
    else:
        forwards = smoothstep(normal[:, 2], 0.3, 0.9)[:, None]
        comb = np.array([0, -0.8, -0.1]) * forwards + np.array([0, -0.25, -1.0]) * (1 - forwards)
    if person.fringe > 0 and person.hair_style in FRINGED:
        front = ((y < -0.095) & (np.abs(x) < 0.055))[:, None]
        comb = np.where(front, np.array([0, -0.9, -0.6]) + 4 * x[:, None] * [1, 0, 0], comb)
    comb = np.broadcast_to(comb, root.shape)
    flat = comb - dot(comb, normal)[:, None] * normal
    _, clump = noise(root * 1.6 + person.seed)
    spread = 0.007 * clump + rng.normal(0, 0.08, root.shape)
    return normalise(normalise(flat) + style.lift * normal + spread)


def grow(
    root: Array,
    direction: Array,
    style: Style,
    person: Person,
    down: Array,
    shoulders: Shoulders,
    rng: np.random.Generator,
) -> Array:
    """Ribbon centre lines (steps + 1, n, 3)."""
    x, y, z = root.T
    share = smoothstep(z, 0.95, 0.99)
    length = style.sides + (style.top - style.sides) * share
    if style.steps < 8:  # short sides are faded, long hair ends on one level
        length = length * (0.35 + 0.65 * smoothstep(z, 0.86, 0.95))
    free = np.full(len(root), style.steps < 8)
    if person.fringe > 0 and person.hair_style in FRINGED:
        free = (y < -0.095) & (np.abs(x) < 0.055)
        length = np.where(free, 0.020 + 0.022 * person.fringe, length)
    length = length * rng.uniform(0.85, 1.1, len(root))
    clearance = style.volume * rng.uniform(0.3, 1.0, len(root))
    lines = [root]
    point, step = root, (length / style.steps)[:, None]
    habit = rng.normal(0, 1, root.shape)  # ribbons keep bending the way they began to
    for k in range(style.steps):
        fall = style.gravity * down * (0.7 + 0.3 * k / style.steps)
        bend = style.curl * (habit if style.curl < 0.2 else rng.normal(0, 1, root.shape))
        direction = normalise(direction + fall + bend)
        room = clearance * min(1, (k + 1) / 2)
        moved = _keep_outside(point + direction * step, room, root, free, shoulders)
        direction = normalise(0.5 * direction + 0.5 * normalise(moved - point))
        point = moved
        lines.append(point)
    return np.stack(lines)


def _keep_outside(
    point: Array, clearance: Array, root: Array, free: Array, shoulders: Shoulders
) -> Array:
    """Points (n, 3) pushed out of skull, face (unless free), neck and shoulders."""
    point = _outside_ellipsoid(point, SKULL, SKULL_RADII + 0.002, clearance)
    x, y, z = point.T
    # A curtain: the lower a ribbon in front of the ears hangs, the further it is to the side.
    aside = np.where(free, 0, 0.083 * smoothstep(0.972 - z, 0, 0.055) * (y < -0.045) * (z > 0.76))
    point[:, 0] = np.where(np.abs(x) < aside, np.where(root[:, 0] >= 0, aside, -aside), x)
    flat = np.hypot(point[:, 0], point[:, 1])
    neck = (z < 0.87) & (z > 0.70) & (flat < NECK_RADIUS)
    point[neck, :2] *= (NECK_RADIUS / np.maximum(flat[neck], 1e-3))[:, None]
    return shoulders.push_out(point, 0.5 * clearance + ON_CLOTH)


def _outside_ellipsoid(point: Array, centre: Array, radii: Array, clearance: Array) -> Array:
    grown = radii + clearance[:, None]
    offset = (point - centre) / grown
    distance = np.sqrt((offset**2).sum(1))[:, None]
    return np.where(distance < 1, centre + offset / np.maximum(distance, 1e-3) * grown, point)


def combed_to_tie(root: Array, style: Style, rng: np.random.Generator) -> Array:
    """Hair pulled tightly over the skull to a point at its back."""
    clearance = style.volume * rng.uniform(0.2, 1.0, len(root))
    lines = []
    for t in np.linspace(0, 1, style.steps + 1):
        point = root * (1 - t) + TIE * t
        lines.append(_outside_ellipsoid(point, SKULL, SKULL_RADII + 0.001, clearance))
    return np.stack(lines)


def gathered(
    person: Person, down: Array, shoulders: Shoulders, rng: np.random.Generator
) -> list[Array]:
    """What is behind the tie: a tail that falls, or a knot of loops."""
    count = 110
    tie = TIE + np.array([0, 0.012, 0.0]) + rng.normal(0, 0.008, (count, 3))
    if person.hair_style == "bun":
        if person.hat != "none":
            return []
        centre = TIE + np.array([0, 0.022, 0.012])
        spin = rng.uniform(0, 2 * np.pi, count)[:, None]
        axis_a, axis_b = normalise(rng.normal(0, 1, (2, count, 3)))
        turns = np.linspace(0, 2.4, 7)
        radius = rng.uniform(0.026, 0.042, count)[:, None]
        loops = [
            centre + radius * normalise(np.cos(spin + t) * axis_a + np.sin(spin + t) * axis_b)
            for t in turns
        ]
        return [np.stack(loops)]
    start = normalise(np.array([0, 1.0, 0.25]) + rng.normal(0, 0.11, (count, 3)))
    low = -0.06 if person.hat != "none" else 0.0
    style = Style(count, 0.30, 0.30, 0, 0.7, 0.03, 0.013, 0.010, 9)
    return [grow(tie + [0, 0, low], start, style, person, down, shoulders, rng)]

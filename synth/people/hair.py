"""Hair: a painted scalp under a few hundred tapered ribbons that grow, bend and fall.

Ribbons are grown on the template's head, kept outside of an ellipsoid around the skull, the neck
and the shoulders, and then mapped to the person; the tips fray the outline.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from synth.people.accessories import hat_field
from synth.people.assets import load_assets
from synth.people.geometry import Array, dot, grid_faces, normalise, smoothstep
from synth.people.head import HeadFrame, head_part
from synth.people.noise import noise
from synth.people.parts import Part
from synth.people.person import Cloth, Person

ROOTS = 1400
SKULL = np.array([0.0, -0.042, 0.93])
SKULL_RADII = np.array([0.082, 0.108, 0.098])
TIE = np.array([0.0, 0.072, 0.968])
SHOULDERS, SHOULDER_RADII = np.array([0.0, 0.0, 0.52]), np.array([0.25, 0.135, 0.245])
NECK_RADIUS = 0.066
FRINGED = ("short", "bob", "long")  # styles that may have a fringe
STRAND = Cloth("strand", np.ones((3, 3), np.float32))


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


STYLES = {
    "short": Style(700, 0.036, 0.020, 0.22, 0.10, 0.05, 0.0090, 0.007, 3),
    "swept": Style(700, 0.080, 0.022, 0.35, 0.25, 0.05, 0.0105, 0.012, 5),
    "curly": Style(800, 0.070, 0.045, 0.9, 0.25, 0.70, 0.0100, 0.020, 5),
    "afro": Style(900, 0.060, 0.056, 2.0, 0.0, 0.55, 0.0120, 0.030, 4),
    "bob": Style(750, 0.225, 0.155, 0.05, 1.0, 0.05, 0.0140, 0.012, 9),
    "long": Style(800, 0.40, 0.34, 0.05, 1.0, 0.05, 0.0150, 0.012, 11),
    "tail": Style(420, 0.0, 0.0, 0.0, 0.0, 0.05, 0.0120, 0.006, 6),
    "bun": Style(420, 0.0, 0.0, 0.0, 0.0, 0.05, 0.0120, 0.006, 6),
}


@lru_cache(maxsize=1)
def scalp_roots() -> tuple[Array, Array, Array]:
    """Root points (ROOTS, 3) on the template, outward normals (ROOTS, 3), hairline field."""
    assets = load_assets()
    field = hairline()
    points = assets.surfaces["body"].fields.rest
    faces = assets.scalp[(field[assets.scalp] > 0.002).all(1)]
    a, b, c = (points[faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    rng = np.random.default_rng(7)
    face = rng.choice(len(faces), ROOTS, p=area / area.sum())
    u, v = rng.random((2, ROOTS))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    weights = np.stack([1 - u - v, u, v], 1)
    root = np.einsum("nk,nkc->nc", weights, points[faces[face]])
    normal = normalise((root - SKULL) / SKULL_RADII**2)
    return root, normal, (weights * field[faces[face]]).sum(1)


@lru_cache(maxsize=1)
def hairline() -> Array:
    """Metres (13380,) above the hairline; negative on the face, the ears and below the neck."""
    assets = load_assets()
    f = assets.surfaces["body"].fields
    x, y, z = f.rest.T
    line = np.interp(
        y,
        [-0.18, -0.15, -0.12, -0.095, -0.075, -0.045, -0.02, 0.05],
        [0.966, 0.965, 0.962, 0.945, 0.917, 0.905, 0.868, 0.83],
    )
    temples = np.exp(-(((np.abs(x) - 0.047) / 0.016) ** 2)) * (y < -0.07)
    field = z - line - 0.010 * temples
    return np.where((assets.ears > 0.3) | (f.head < 0.4), -1, field)


def hair_parts(person: Person, frame: HeadFrame) -> list[Part]:
    """The ribbons of a person's hair style; none for bald and buzz-cut heads."""
    style = STYLES.get(person.hair_style)
    if style is None:
        return []
    rng = np.random.default_rng(np.round(person.seed * 1000).astype(np.int64))
    root, normal, _ = scalp_roots()
    chosen = np.arange(style.count)
    if person.hat != "none":
        chosen = chosen[hat_field(root[chosen], person.hat) < 0.008]
    root, normal = root[chosen], normal[chosen]
    if person.hair_style in ("tail", "bun"):
        lines = [_combed_to_tie(root, style, rng)]
        lines += _gathered(person, _down(frame), rng)
    else:
        start = _direction(person, style, root, normal, rng)
        lines = [_grow(root, start, style, person, _down(frame), rng)]
    return [_ribbons(frame, line, style.width, rng) for line in lines if line.shape[1]]


def _down(frame: HeadFrame) -> Array:
    """Where hair falls, on the template: half-way between the head's down and the world's."""
    world = -frame.head[2, :3].astype(float)
    return normalise(world + np.array([0, 0, -1.0]))


def _direction(
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


def _grow(
    root: Array,
    direction: Array,
    style: Style,
    person: Person,
    down: Array,
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
        moved = _keep_outside(point + direction * step, clearance * min(1, (k + 1) / 2), root, free)
        direction = normalise(0.5 * direction + 0.5 * normalise(moved - point))
        point = moved
        lines.append(point)
    return np.stack(lines)


def _keep_outside(point: Array, clearance: Array, root: Array, free: Array) -> Array:
    """Points (n, 3) pushed out of skull, face (unless free), neck and shoulders."""
    point = _outside_ellipsoid(point, SKULL, SKULL_RADII + 0.002, clearance)
    x, y, z = point.T
    # A curtain: the lower a ribbon in front of the ears hangs, the further it is to the side.
    aside = np.where(free, 0, 0.083 * smoothstep(0.972 - z, 0, 0.055) * (y < -0.045) * (z > 0.76))
    point[:, 0] = np.where(np.abs(x) < aside, np.where(root[:, 0] >= 0, aside, -aside), x)
    flat = np.hypot(point[:, 0], point[:, 1])
    neck = (z < 0.87) & (z > 0.70) & (flat < NECK_RADIUS)
    point[neck, :2] *= (NECK_RADIUS / np.maximum(flat[neck], 1e-3))[:, None]
    return _outside_ellipsoid(point, SHOULDERS, SHOULDER_RADII, clearance + 0.006)


def _outside_ellipsoid(point: Array, centre: Array, radii: Array, clearance: Array) -> Array:
    grown = radii + clearance[:, None]
    offset = (point - centre) / grown
    distance = np.sqrt((offset**2).sum(1))[:, None]
    return np.where(distance < 1, centre + offset / np.maximum(distance, 1e-3) * grown, point)


def _combed_to_tie(root: Array, style: Style, rng: np.random.Generator) -> Array:
    """Hair pulled tightly over the skull to a point at its back."""
    clearance = style.volume * rng.uniform(0.2, 1.0, len(root))
    lines = []
    for t in np.linspace(0, 1, style.steps + 1):
        point = root * (1 - t) + TIE * t
        lines.append(_outside_ellipsoid(point, SKULL, SKULL_RADII + 0.001, clearance))
    return np.stack(lines)


def _gathered(person: Person, down: Array, rng: np.random.Generator) -> list[Array]:
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
    direction = normalise(np.array([0, 1.0, 0.25]) + rng.normal(0, 0.11, (count, 3)))
    low = -0.06 if person.hat != "none" else 0.0
    style = Style(count, 0.30, 0.30, 0, 0.7, 0.03, 0.013, 0.010, 9)
    return [_grow(tie + [0, 0, low], direction, style, person, down, rng)]


def _ribbons(frame: HeadFrame, line: Array, width: float, rng: np.random.Generator) -> Part:
    """Flat tapered ribbons along centre lines (k, n, 3)."""
    steps, count, _ = line.shape
    tangent = normalise(np.gradient(line, axis=0))
    outwards = (line - SKULL) * np.array([1, 1, 0.8])
    outwards[..., 2] *= smoothstep(line[..., 2], 0.86, 0.95)
    side = normalise(np.cross(tangent, normalise(outwards)))
    t = np.linspace(0, 1, steps).reshape(-1, 1, 1)
    own = rng.uniform(0.6, 1.2, (1, count, 1))
    half = 0.5 * width * (1 - 0.85 * t**2.5) * own
    points = np.stack([line + side * half, line - side * half], 2)  # (k, n, 2, 3)
    points = points.transpose(1, 0, 2, 3).reshape(-1, 3)
    one = grid_faces(steps, 2)[:, ::-1]
    faces = (one[None] + (np.arange(count) * steps * 2)[:, None, None]).reshape(-1, 3)
    extra = np.ones((count, steps, 2, 3), np.float32)
    extra[..., 0] = rng.random((count, 1, 1))
    extra[..., 2] = t.reshape(1, steps, 1)
    return head_part(frame, points, faces, "hair", STRAND, extra.reshape(-1, 3))

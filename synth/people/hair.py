"""Hair: a painted scalp under a few hundred tapered ribbons that grow, bend and fall.

Ribbons are grown on the template's head, see `hair_growth`, and then mapped to the person; the
tips fray the outline.
"""

from functools import lru_cache

import numpy as np

from synth.people.accessories import hat_field
from synth.people.assets import load_assets
from synth.people.geometry import Array, grid_faces, normalise, smoothstep
from synth.people.hair_growth import (
    SKULL,
    SKULL_RADII,
    Style,
    combed_to_tie,
    direction,
    gathered,
    grow,
)
from synth.people.head import CHIN, HeadFrame, head_part
from synth.people.parts import Part
from synth.people.person import Cloth, Person
from synth.people.shoulders import Shoulders

ROOTS = 1400
FACE_Y, BROWS = -0.125, 0.90  # how far forward hair may hang below the brows, metres
STRAND = Cloth("strand", np.ones((3, 3), np.float32))
STYLES = {
    "short": Style(700, 0.036, 0.020, 0.22, 0.10, 0.05, 0.0090, 0.007, 3),
    "swept": Style(700, 0.075, 0.022, 0.24, 0.30, 0.05, 0.0115, 0.012, 5),
    "curly": Style(800, 0.060, 0.045, 0.8, 0.25, 0.85, 0.0135, 0.020, 6, 0.3),
    "afro": Style(900, 0.060, 0.056, 2.0, 0.0, 0.55, 0.0140, 0.030, 4, 0.3),
    "bob": Style(750, 0.225, 0.155, 0.05, 1.0, 0.04, 0.0180, 0.012, 9, 0.7),
    "long": Style(800, 0.42, 0.34, 0.05, 1.0, 0.04, 0.0190, 0.012, 12, 0.75),
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


def hair_parts(person: Person, frame: HeadFrame, shoulders: Shoulders) -> list[Part]:
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
        lines = [combed_to_tie(root, style, rng)]
        lines += gathered(person, _down(frame), shoulders, rng)
    else:
        start = direction(person, style, root, normal, rng)
        line = grow(root, start, style, person, _down(frame), shoulders, rng)
        lines = [line[:, ~_before_face(line)]]
    return [_ribbons(frame, line, style, rng) for line in lines if line.shape[1]]


def _before_face(line: Array) -> Array:
    """Which (n,) of the centre lines (k, n, 3) dangle in front of the face, where none would."""
    _, y, z = np.moveaxis(line, 2, 0)
    return ((y < FACE_Y) & (z < BROWS) & (z > CHIN)).any(0)


def _down(frame: HeadFrame) -> Array:
    """Where hair falls, on the template: half-way between the head's down and the world's."""
    world = -frame.head[2, :3].astype(float)
    return normalise(world + np.array([0, 0, -1.0]))


def _ribbons(frame: HeadFrame, line: Array, style: Style, rng: np.random.Generator) -> Part:
    """Flat tapered ribbons along centre lines (k, n, 3)."""
    steps, count, _ = line.shape
    tangent = normalise(np.gradient(line, axis=0))
    outwards = (line - SKULL) * np.array([1, 1, 0.8])
    outwards[..., 2] *= smoothstep(line[..., 2], 0.86, 0.95)
    side = normalise(np.cross(tangent, normalise(outwards)))
    t = np.linspace(0, 1, steps).reshape(-1, 1, 1)
    own = rng.uniform(0.6, 1.2, (1, count, 1))
    half = 0.5 * style.width * (1 - style.tip * t**2.5) * own
    points = np.stack([line + side * half, line - side * half], 2)  # (k, n, 2, 3)
    points = points.transpose(1, 0, 2, 3).reshape(-1, 3)
    one = grid_faces(steps, 2)[:, ::-1]
    faces = (one[None] + (np.arange(count) * steps * 2)[:, None, None]).reshape(-1, 3)
    extra = np.ones((count, steps, 2, 3), np.float32)
    extra[..., 0] = rng.random((count, 1, 1))
    extra[..., 2] = t.reshape(1, steps, 1)
    return head_part(frame, points, faces, "hair", STRAND, extra.reshape(-1, 3))

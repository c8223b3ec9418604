"""Cutting garments out of the template: clip a surface where a field is positive.

A cut depends only on the template and on a few discrete parameters, never on the person's body or
pose, so patches are cached: building a garment is then a gather and an inflation.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from synth.people.assets import load_assets
from synth.people.fields import Fields
from synth.people.geometry import Array

WAIST, HIP = 0.215, 0.10
STRAPS_APART = 0.098  # metres from the middle to a backpack's strap
# Neck openings: height of the neckline at the axis, its slope from front to back, and the radius
# that stays open around the neck.
NECKS = {
    "crew": (0.712, 0.62, 0.060),
    "wide": (0.705, 0.45, 0.085),
    "v": (0.715, 0.60, 0.060),
    "turtle": (0.80, 0.3, 0.05),
}
NECK_LEAN = 0.4  # how far the neck leans forwards for each metre it rises
NECK_RISE = 0.045  # metres above its neckline where a garment ends whatever its radius
ARMHOLE = (0.152, 0.66, 0.14)  # how far out at which height, and how much further a metre below
UPPER_ARM, ARM_METRES, LEG_METRES = 0.2, 0.56, 0.9


class Cut(NamedTuple):
    """What to cut; the meaning of the numbers depends on the shape."""

    shape: str
    surface: str = "tights"
    sleeve: float = 0.97  # arm arc length of the cuff
    hem: float = 0.15  # template height of the lower edge
    neck: str = "crew"
    grow: float = 0.0  # metres by which the neck opening is wider
    gap: float = 0.0  # half width of the front opening of a coat, metres
    length: float = 0.97  # leg arc length of the trouser cuff


@dataclass(frozen=True)
class Patch:
    """A cut-out: vertices kept, vertices made on cut edges, faces over both, and the cut's rim."""

    kept: Array  # (m,) surface vertices
    ends: Array  # (c, 2) surface vertices of every cut edge
    at: Array  # (c, 1) position of the cut between them
    faces: Array  # (F, 3)
    rim: Array  # (E, 2) boundary edges made by the cut
    attributes: Array  # (m + c, 6): template position, arc length, distance to the edge, fold
    region: Array  # (F,) uint8

    def gather(self, values: Array) -> Array:
        """Values (n, ...) on the surface's vertices, taken to the patch's (m + c, ...)."""
        return np.concatenate([values[self.kept], self.gather_rim(values)])

    def gather_rim(self, values: Array) -> Array:
        """Values (n, ...) taken to the patch's cut vertices (c, ...)."""
        at = self.at.reshape((-1,) + (1,) * (values.ndim - 1))
        return values[self.ends[:, 0]] * (1 - at) + values[self.ends[:, 1]] * at


@lru_cache(maxsize=256)
def cut_patch(cut: Cut) -> Patch:
    """The patch of a cut, from the cache where possible."""
    surface = load_assets().surfaces[cut.surface]
    return clip(surface.faces, surface.fields, cut_field(cut))


@lru_cache(maxsize=256)
def cut_field(cut: Cut) -> Array:
    """The field (n,) of a cut on its surface: positive inside, about metres to the edge."""
    fields = load_assets().surfaces[cut.surface].fields
    return FIELDS[cut.shape](fields, cut).astype(np.float32)


def _top(f: Fields, cut: Cut) -> Array:
    x, y, z = f.rest.T
    field = np.where(f.is_arm, (cut.sleeve - f.arm) * ARM_METRES, z - cut.hem)
    if cut.sleeve < UPPER_ARM:
        field = np.where(f.is_arm, _armhole(f), np.minimum(field, _armhole(f)))
    height, slope, radius = NECKS[cut.neck]
    below_neck = height + slope * y - z + cut.grow
    if cut.neck != "turtle":
        lean = NECK_LEAN * np.clip(z - 0.70, 0, None)
        around = np.hypot(x / 1.15, y - 0.01 + lean) - radius - cut.grow
        around = np.minimum(around, 2 * (height + NECK_RISE + cut.grow - z))
        below_neck = np.maximum(below_neck, np.minimum(around, 0.10))
    field = np.minimum(field, below_neck)
    if cut.neck == "v":
        notch = np.maximum(np.abs(x) * 1.5 - (z - 0.60), np.abs(x) - 0.08)
        field = np.minimum(field, np.where(y > 0, 1, notch))
    return np.minimum(field, _front_opening(f, cut.gap))


def _armhole(f: Fields) -> Array:
    """Distance to the armhole of a sleeveless top: a plane from the shoulder out to the armpit."""
    x, y, z = f.rest.T
    shoulder, height, slant = ARMHOLE
    inside = shoulder + 0.5 * np.abs(y) - np.abs(x) - slant * (z - height)
    return np.where(f.is_arm & (z < 0.4), -1, np.where(z < 0.4, 1, inside))


def _front_opening(f: Fields, gap: float) -> Array:
    """Distance to the opening of an unbuttoned coat: narrow at the hem, wider at the chest."""
    if gap <= 0:
        return np.ones(len(f.rest))
    x, y, z = f.rest.T
    rise = np.clip((z - 0.1) / 0.58, 0, 1)
    width = gap * (0.35 + 1.1 * rise * rise * (3 - 2 * rise))
    front = (y < 0) & ~f.is_arm & (np.abs(x) < 0.2)
    return np.where(front, np.abs(x) - width, 1)


def _legs(f: Fields, cut: Cut) -> Array:
    z = f.rest[:, 2]
    leg = np.where(z < 0.2, (cut.length - f.leg) * LEG_METRES, 1)
    return np.where(f.is_arm, -1, np.minimum(cut.hem - z, leg))


def _overall(f: Fields, cut: Cut) -> Array:
    leg = np.where(f.rest[:, 2] < 0.2, (cut.length - f.leg) * LEG_METRES, 1)
    return np.minimum(_top(f, cut._replace(hem=-9)), np.where(f.is_arm, 1, leg))


def _skirt(f: Fields, cut: Cut) -> Array:
    z = f.rest[:, 2]
    return np.minimum(np.minimum(z - cut.hem, WAIST + 0.02 - z), _front_opening(f, cut.gap))


def _foot(f: Fields, cut: Cut) -> Array:
    """Below a height that rises towards the heel: a sock or a shoe."""
    slope = 0.35 * np.clip(f.rest[:, 1], -0.05, 0.05) if cut.grow else 0
    return np.where(f.is_arm, -1, cut.hem + slope - f.rest[:, 2])


def _scarf_loop(f: Fields, cut: Cut) -> Array:
    x, y, z = f.rest.T
    wave = 0.02 * np.sin(np.arctan2(x, y) * 3 + cut.hem)
    around = 0.105 - np.hypot(x / 1.25, y - 0.01) + wave
    return np.where(f.is_arm, -1, np.minimum(np.minimum(around, z - 0.60), 0.83 - z))


def _scarf_end(f: Fields, cut: Cut) -> Array:
    x, y, z = f.rest.T
    strip = np.minimum(0.032 - np.abs(x - 0.05), np.minimum(z - cut.hem, 0.70 - z))
    return np.where(f.is_arm | (y > -0.02), -1, strip)


def _straps(f: Fields, cut: Cut) -> Array:
    """Distance from the middle lines of the two shoulder straps of a backpack."""
    return np.abs(f.rest[:, 0]) - STRAPS_APART


def _sling(f: Fields, cut: Cut) -> Array:
    """Distance from the middle of a strap from one shoulder (the sign of hem) to the other hip."""
    x, _, z = f.rest.T
    across = sling_across(cut.hem)
    return (x - 0.085 * cut.hem) * across[0] + (z - 0.69) * across[2]


def sling_across(side: float) -> Array:
    """Unit vector (3,) across a sling's strap on the template; side is 1 for the left shoulder."""
    across = np.array([-0.57, 0.0, 0.25 * side])
    return across / np.linalg.norm(across)


FIELDS = {
    "top": _top,
    "legs": _legs,
    "overall": _overall,
    "skirt": _skirt,
    "foot": _foot,
    "straps": _straps,
    "sling": _sling,
    "scarf_loop": _scarf_loop,
    "scarf_end": _scarf_end,
}


def clip(faces: Array, fields: Fields, field: Array) -> Patch:
    """Clip faces (F, 3) to where the field (n,) is positive."""
    inside = field[faces] > 0
    count = inside.sum(1)
    one = _rotate(faces[count == 1], inside[count == 1])
    two = _rotate(faces[count == 2], ~inside[count == 2])
    # The two cut edges of a face leave its odd corner a towards b and towards c.
    crossing = np.concatenate([one[:, [0, 1]], one[:, [0, 2]], two[:, [0, 1]], two[:, [0, 2]]])
    ends, index = np.unique(np.sort(crossing, 1), axis=0, return_inverse=True)
    kept = np.unique(faces[inside])
    new = np.zeros(len(field), np.int64)
    new[kept] = np.arange(len(kept))
    index = len(kept) + index.ravel()
    ab1, ac1, ab2, ac2 = np.split(index, np.cumsum([len(one), len(one), len(two)]))
    parts = [
        (new[faces[count == 3]], faces[count == 3, 0]),
        (np.stack([new[one[:, 0]], ab1, ac1], 1), one[:, 0]),
        (np.stack([ab2, new[two[:, 1]], new[two[:, 2]]], 1), two[:, 1]),
        (np.stack([ab2, new[two[:, 2]], ac2], 1), two[:, 1]),
    ]
    at = field[ends[:, 0]] / (field[ends[:, 0]] - field[ends[:, 1]])
    rim = np.concatenate([np.stack([ab1, ac1], 1), np.stack([ac2, ab2], 1)])
    above = fields.is_arm | (fields.rest[:, 2] > 0.3)  # so that no face mixes the two lengths
    columns = [fields.rest.T, [np.where(above, fields.arm, fields.leg)], [field]]
    surface_attributes = np.concatenate([*columns, [fields.fold]]).T.astype(np.float32)
    patch = Patch(
        kept=kept,
        ends=ends,
        at=at[:, None].astype(np.float32),
        faces=np.concatenate([part for part, _ in parts]).astype(np.int32),
        rim=(rim - len(kept)).astype(np.int32),
        attributes=np.zeros(0, np.float32),
        region=fields.region[np.concatenate([corner for _, corner in parts])],
    )
    return Patch(**{**patch.__dict__, "attributes": patch.gather(surface_attributes)})


def _rotate(faces: Array, odd: Array) -> Array:
    """Faces (F, 3) turned so that the corner marked in odd (F, 3) comes first."""
    first = odd.argmax(1)[:, None]
    return np.take_along_axis(faces, (first + np.arange(3)) % 3, 1)

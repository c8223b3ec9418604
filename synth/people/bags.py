"""Bags: a backpack, or a bag on a strap across the chest.

LIP-20 has no label for bags. A bag is part of the person here, so it takes the label of the
outermost garment it is worn over.
"""

import numpy as np

from synth.parsing import label
from synth.people.body import apply
from synth.people.collars import strip
from synth.people.cuts import HIP, Cut, cut_patch, sling_across
from synth.people.garments import Wardrobe
from synth.people.geometry import Array, grid_faces, normalise
from synth.people.parts import Part

ROWS, COLUMNS = 13, 21
ROUND = 0.35  # exponent of the rounded box: 1 is an ellipsoid, 0 a box
BACKPACK = np.array([0.145, 0.075, 0.205])  # half width, depth and height, metres
POUCH = np.array([0.12, 0.042, 0.095])
BACK_HEIGHT = 0.44  # template height of a backpack's middle
WIDE, NARROW = 0.021, 0.015  # half widths of straps, metres
# A strap's cross-section: share of its half width, metres above what it lies on.
SECTION = ((-1.0, 0.0), (-1.0, 0.007), (1.0, 0.007), (1.0, 0.0))


def carry(wardrobe: Wardrobe) -> None:
    """Put on the bag of the wardrobe's person, if there is one."""
    person, f = wardrobe.person, wardrobe.tights.surface.fields
    _, y, z = f.rest.T
    if person.bag == "backpack":
        there = np.where(f.is_arm, -1, z - np.where(y < 0, 0.36, 0.5))
        wardrobe.parts.append(_strap(wardrobe, Cut("straps"), np.array([1.0, 0, 0]), WIDE, there))
        wardrobe.parts.append(_backpack(wardrobe))
    elif person.bag == "sling":
        side = 1.0 if person.seed[0] > 3.5 else -1.0
        there = np.where(f.is_arm, -1, np.minimum(z - HIP, 0.78 - z))
        cut, across = Cut("sling", hem=side), sling_across(side)
        wardrobe.parts.append(_strap(wardrobe, cut, across, NARROW, there))
        wardrobe.parts.append(_pouch(wardrobe, -side))


def outermost(wardrobe: Wardrobe) -> str:
    """The label of what is worn outermost on the torso."""
    person = wardrobe.person
    if person.coat != "none":
        return "coat"
    return {"jumpsuit": "jumpsuits", "dress": "dress"}.get(person.outfit, "upper-clothes")


def _strap(w: Wardrobe, cut: Cut, across: Array, half: float, there: Array) -> Part:
    """A ribbon along the rim of a cut, where a field (n,) is positive; across (3,) is its width."""
    patch, posed = cut_patch(cut), w.tights
    rim = patch.rim[(patch.gather_rim(there) > 0)[patch.rim].all(1)]
    used, ends = np.unique(rim, return_inverse=True)
    raised = posed.points + posed.normals * (w.under[:, None] * posed.scale)
    start, normals, transforms = (
        patch.gather_rim(values)[used] for values in (raised, posed.normals, posed.transforms)
    )
    flat = normalise(across - normals * (normals * across).sum(1)[:, None])
    rows = [
        apply(transforms, start + posed.scale * (flat * (half * side) + normals * lift))
        for side, lift in SECTION
    ]
    template = patch.attributes[len(patch.kept) :][used]
    faces = strip(ends.reshape(rim.shape), len(used), len(rows))
    return _part(w, np.concatenate(rows), faces, np.concatenate([template] * len(rows)))


def _backpack(w: Wardrobe) -> Part:
    x, y, z = w.tights.surface.fields.rest.T
    back = (np.abs(x) < 0.12) & (y > 0) & (np.abs(z - BACK_HEIGHT) < 0.16)
    surface = w.tights.points[:, 1] + w.under * w.tights.scale
    rear = float(np.quantile(surface[back], 0.8))
    anchor = _nearest(w, np.array([0, 0.1, BACK_HEIGHT]))
    height = w.tights.points[anchor, 2]
    half = BACKPACK * w.tights.scale
    return _rounded_box(w, np.array([0, rear + 0.85 * half[1], height]), half, anchor, 0.0)


def _pouch(w: Wardrobe, side: float) -> Part:
    """The bag at the end of a strap: on the hip, a little to the back, out of the arm's way."""
    anchor = _nearest(w, np.array([0.13 * side, 0.09, HIP]))
    half = POUCH * w.tights.scale
    out = w.tights.normals[anchor] * np.array([1, 1, 0])
    out = out / max(float(np.linalg.norm(out)), 1e-3)
    centre = w.tights.points[anchor] + out * (w.under[anchor] * w.tights.scale + half[1])
    return _rounded_box(w, centre, half, anchor, float(np.arctan2(-out[0], out[1])))


def _nearest(w: Wardrobe, point: Array) -> int:
    """The vertex of the tights surface nearest to a point of the template."""
    f = w.tights.surface.fields
    return int(np.where(f.is_arm, 9, np.linalg.norm(f.rest - point, axis=1)).argmin())


def _rounded_box(w: Wardrobe, centre: Array, half: Array, anchor: int, turn: float) -> Part:
    """A box (half sizes (3,)) turned about the vertical, that moves with a vertex of the body.

    Its attributes carry positions in the box, -1 to 1 on every axis, for the material.
    """
    up = np.linspace(-np.pi / 2, np.pi / 2, ROWS)[:, None]
    around = np.linspace(-np.pi, np.pi, COLUMNS)[None]

    def power(value: Array) -> Array:
        return np.sign(value) * np.abs(value) ** ROUND

    unit = np.stack(
        [
            power(np.cos(up)) * power(np.sin(around)),
            power(np.cos(up)) * power(np.cos(around)),
            power(np.sin(up)) * np.ones_like(around),
        ],
        -1,
    ).reshape(-1, 3)
    cosine, sine = np.cos(turn), np.sin(turn)
    local = unit * half * np.where(unit[:, 2:] > 0, [0.92, 0.92, 1], 1)
    turned = np.stack(
        [local[:, 0] * cosine - local[:, 1] * sine, local[:, 0] * sine + local[:, 1] * cosine,
         local[:, 2]], 1,
    )  # fmt: skip
    transforms = np.repeat(w.tights.transforms[anchor : anchor + 1], len(unit), 0)
    faces = grid_faces(ROWS, COLUMNS)
    vertices = apply(transforms, (centre + turned).astype(np.float32))
    return _part(w, vertices, faces, np.concatenate([unit, np.full((len(unit), 3), 0.05)], 1))


def _part(w: Wardrobe, vertices: Array, faces: Array, attributes: Array) -> Part:
    return Part(
        vertices=vertices.astype(np.float32),
        faces=faces,
        attributes=attributes.astype(np.float32),
        label=np.full(len(faces), label(outermost(w)), np.uint8),
        region=np.zeros(len(faces), np.uint8),
        material=w.person.bag_cloth,
    )

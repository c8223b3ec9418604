"""Collars and hoods: strips that grow from the neck rim of a garment."""

import numpy as np

from synth.parsing import label
from synth.people.body import apply
from synth.people.cuts import Patch
from synth.people.geometry import Array, smoothstep
from synth.people.parts import Part, Posed
from synth.people.person import Cloth

# Cross-sections as (up, outwards) in template metres, starting at the rim.
PROFILES = {
    "shirt": ((0, 0), (0.026, -0.002), (0.030, 0.006), (0.012, 0.020), (-0.008, 0.030)),
    "stand": ((0, 0), (0.020, 0.0), (0.040, 0.004)),
    "coat": ((0, 0), (0.034, 0.002), (0.040, 0.014), (0.014, 0.032), (-0.018, 0.046)),
    "hood": (
        (0, 0),
        (0.035, 0.022),
        (0.050, 0.055),
        (0.022, 0.088),
        (-0.05, 0.085),
        (-0.10, 0.045),
    ),
}
NECK_HEIGHT, NECK_HALF_WIDTH = 0.62, 0.14


def collar(posed: Posed, patch: Patch, offset: Array, style: str, name: str, cloth: Cloth) -> Part:
    """A collar of a style on the neck rim of a patch that stands off the skin by offset (n,)."""
    first = len(patch.kept)
    template = patch.attributes[first:, :3]
    at_neck = (template[:, 2] > NECK_HEIGHT) & (np.abs(template[:, 0]) < NECK_HALF_WIDTH)
    rim = patch.rim[at_neck[patch.rim].all(1)]
    used, flat = np.unique(rim, return_inverse=True)
    edges = flat.reshape(rim.shape)
    inflated = posed.points + posed.normals * (offset[:, None] * posed.scale)
    start = patch.gather_rim(inflated)[used]
    transforms = patch.gather_rim(posed.transforms)[used]
    template = template[used]
    outwards = template * np.array([1, 1, 0], np.float32)
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1), 1e-3)[:, None]
    size = np.ones(len(used))
    if style == "hood":
        size = 0.22 + 0.78 * smoothstep(template[:, 1], -0.06, 0.05)
    rows, attributes = [], []
    for up, out in PROFILES[style]:
        shift = (outwards * out + np.array([0, 0, up])) * size[:, None]
        rows.append(apply(transforms, (start + shift * posed.scale).astype(np.float32)))
        attributes.append(np.concatenate([template + shift, np.full((len(used), 3), 0.05)], 1))
    faces = strip(edges, len(used), len(rows))
    return Part(
        vertices=np.concatenate(rows).astype(np.float32),
        faces=faces,
        attributes=np.concatenate(attributes).astype(np.float32),
        label=np.full(len(faces), label(name), np.uint8),
        region=np.zeros(len(faces), np.uint8),
        material=cloth,
    )


def strip(edges: Array, count: int, rows: int) -> Array:
    """Triangles between consecutive rows of `count` vertices, along edges (E, 2)."""
    a, b = edges[:, 0], edges[:, 1]
    faces = []
    for row in range(rows - 1):
        here, above = row * count, (row + 1) * count
        faces.append(np.stack([here + a, here + b, above + a], 1))
        faces.append(np.stack([here + b, above + b, above + a], 1))
    return np.concatenate(faces).astype(np.int32)

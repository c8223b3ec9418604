"""Watched vertices: a few hundred points of the body that are posed without posing the rest."""

from dataclasses import dataclass

import numpy as np

from synth.people.body import BodyModel, RestBody, Rig, apply
from synth.people.geometry import Array


@dataclass(frozen=True)
class Probe:
    """Some vertices of the template, their skin weights over the bones that move any of them."""

    vertices: Array  # (k,) indices into the model's vertices
    normals: Array  # (k, 3) at rest on the template
    bones: Array  # (b,)
    weights: Array  # (k, b) float32, rows sum to one

    def pose(self, rest: RestBody, rig: Rig) -> tuple[Array, Array]:
        """Posed points (k, 3) and normals (k, 3)."""
        flat = rig.transforms[self.bones].reshape(len(self.bones), 12)
        blended = np.einsum("kb,bc->kc", self.weights, flat).reshape(-1, 3, 4)
        points = apply(blended, rest.vertices[self.vertices])
        return points, np.einsum("kij,kj->ki", blended[:, :, :3], self.normals)


def make_probe(model: BodyModel, vertices: Array, normals: Array) -> Probe:
    """A probe of vertices (k,) with template normals (k, 3)."""
    weights = model.dense_weights(vertices)
    bones = np.nonzero(weights.any(0))[0]
    return Probe(vertices, normals.astype(np.float32), bones, weights[:, bones])

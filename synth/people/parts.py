"""Posed pieces of a person: what the rasteriser draws, and the surfaces they are made from."""

from dataclasses import dataclass

import numpy as np

from synth.people.assets import Assets, Surface
from synth.people.body import RestBody, Rig, apply
from synth.people.geometry import Array, vertex_normals
from synth.people.person import Cloth


@dataclass(frozen=True)
class Part:
    """A posed mesh of one material."""

    vertices: Array  # (n, 3) metres, before the turn towards the camera
    faces: Array  # (F, 3) int32
    attributes: Array  # (n, 6): template position, arc length, distance to the hem, fold
    label: Array  # (F,) uint8 LIP-20
    region: Array  # (F,) uint8, see fields.TORSO ...
    material: Cloth


@dataclass(frozen=True)
class Posed:
    """A template surface on one person: rest points and normals, and each vertex's transform."""

    surface: Surface
    points: Array  # (n, 3)
    normals: Array  # (n, 3)
    transforms: Array  # (n, 3, 4)
    scale: float  # size of this person over the template

    def skin(self, offset: Array | float, shift: Array | None = None) -> Array:
        """Posed vertices (n, 3), inflated in rest space by offset (template metres)."""
        inflated = self.points + self.normals * (np.reshape(offset, (-1, 1)) * self.scale)
        if shift is not None:
            inflated = inflated + shift * self.scale
        return apply(self.transforms, inflated.astype(np.float32))


def pose_surface(assets: Assets, rest: RestBody, rig: Rig, name: str, scale: float) -> Posed:
    """A surface of the template on one person."""
    surface = assets.surfaces[name]
    points = rest.vertices[surface.rows]
    # Garments stand off by their own normals; on bare skin the template's are close enough.
    cloth = name in ("tights", "skirt")
    normals = vertex_normals(points, surface.faces) if cloth else surface.normals
    return Posed(surface, points, normals, assets.model.blend(rig, surface.rows), scale)


def body_scale(assets: Assets, rest: RestBody) -> float:
    """Height of the person over the template's."""
    body = assets.surfaces["body"].rows
    heights = [np.ptp(vertices[body, 2]) for vertices in (rest.vertices, assets.rest.vertices)]
    return float(heights[0] / heights[1])

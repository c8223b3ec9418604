"""All parts of a person in one mesh in front of the camera, and their deferred shading."""

from dataclasses import dataclass

import numpy as np

from synth.people.geometry import Array, bounds, dot, normalise, transform, vertex_normals
from synth.people.materials import Samples, shade_surface
from synth.people.parts import Part
from synth.people.person import Cloth, Person
from synth.people.raster import Camera, Fragments
from synth.people.shade import Light, expose, illuminate, occlusion, shadow

SHADOW_MAP = 256
SOLID = ("skin", "eye")  # materials of closed bodies
METER = 7  # every how many samples the exposure is measured at


@dataclass(frozen=True)
class Scene:
    """One mesh: vertices (V, 3) standing on z = 0, and what each face belongs to."""

    vertices: Array
    normals: Array
    attributes: Array
    faces: Array
    label: Array
    region: Array
    material: Array  # (F,) index into cloths
    cloths: list[Cloth]
    solid: Array  # (F,) bool, faces of closed bodies
    shift: Array  # (3,) that was added to put the person on the ground


def assemble(parts: list[Part], turn: Array) -> Scene:
    """Join parts, turn them about the vertical (3, 3) and set them on the ground."""
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    vertices = transform(np.concatenate([part.vertices for part in parts]), turn)
    normals = [vertex_normals(part.vertices, part.faces) for part in parts]
    low, high = bounds(vertices)
    middle = (low + high) / 2
    shift = np.array([-middle[0], -middle[1], -low[2]], np.float32)
    counts = [len(part.faces) for part in parts]
    return Scene(
        vertices=(vertices + shift).astype(np.float32),
        normals=transform(np.concatenate(normals), turn).astype(np.float32),
        attributes=np.concatenate([part.attributes for part in parts]),
        faces=np.concatenate([p.faces + s for p, s in zip(parts, starts, strict=False)]),
        label=np.concatenate([part.label for part in parts]),
        region=np.concatenate([part.region for part in parts]),
        material=np.repeat(np.arange(len(parts)), counts),
        cloths=[part.material for part in parts],
        solid=np.repeat([part.material.kind in SOLID for part in parts], counts),
        shift=shift,
    )


def shade_scene(
    scene: Scene,
    fragments: Fragments,
    chosen: Array,
    size: int,
    camera: Camera,
    light: Light,
    person: Person,
) -> Array:
    """Display colours (N, 3) of the chosen samples (H, W) bool of a picture of a size."""
    face = fragments.face[chosen]
    weights = np.empty((len(face), 3), np.float32)
    weights[:, :2] = fragments.weights[chosen]
    weights[:, 2] = 1 - weights[:, 0] - weights[:, 1]
    table = np.concatenate([scene.vertices, scene.normals, scene.attributes], 1)
    corner = scene.faces[face]
    values = table[corner[:, 0]] * weights[:, 0:1]
    values += table[corner[:, 1]] * weights[:, 1:2]
    values += table[corner[:, 2]] * weights[:, 2:3]
    points = values[:, :3]
    normals = normalise(values[:, 3:6])
    view = camera.eye.astype(np.float32) - points
    behind = dot(normals, view) < 0
    normals = np.where(behind[:, None], -normals, normals)
    surface = _surface(scene, face, values[:, 6:], normals, person)
    lit = shadow(light, scene.vertices, scene.faces, points, normals, SHADOW_MAP)
    open_sky = occlusion(fragments, chosen, size)
    colour = illuminate(
        light, camera, points, surface.normal, surface.albedo, surface.gloss, surface.power,
        surface.translucent, lit, open_sky,
    )  # fmt: skip
    colour *= np.where(behind, 0.65, 1)[:, None]
    few = slice(None, None, METER)
    grey = illuminate(
        light, camera, points[few], normals[few], np.ones((1, 1), np.float32),
        np.zeros(1), np.ones(1), np.zeros(1), lit[few], open_sky[few],
    )  # fmt: skip
    return expose(light, colour, float(grey.mean()))


def _surface(
    scene: Scene, face: Array, attributes: Array, normals: Array, person: Person
) -> Samples:
    """Albedo, bumps and gloss of all samples, one material after another."""
    count = len(face)
    whole = Samples(
        position=attributes[:, :3],
        along=attributes[:, 3],
        edge=attributes[:, 4],
        fold=attributes[:, 5],
        region=scene.region[face],
        normal=normals,
        albedo=np.zeros((count, 3), np.float32),
        gloss=np.zeros(count, np.float32),
        power=np.full(count, 20, np.float32),
        translucent=np.zeros(count, np.float32),
    )
    material = scene.material[face]
    for index, cloth in enumerate(scene.cloths):
        rows = np.nonzero(material == index)[0]
        if not len(rows):
            continue
        part = Samples(**{name: array[rows] for name, array in vars(whole).items()})
        shade_surface(part, cloth, person)
        for name in ("normal", "albedo", "gloss", "power", "translucent"):
            getattr(whole, name)[rows] = getattr(part, name)
    return whole

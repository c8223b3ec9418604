"""What a seated person sits on: a chair, a stool, a bench or a block, built of boxes.

The seat is given as polygons in pixels, in painting order, and belongs to the background: it is
drawn before the person and never hides them.
"""

from typing import Any

import numpy as np

from synth.people.geometry import Array
from synth.people.raster import Camera

# Kinds with their share; what has a back is not seen from behind, where it would hide the person.
KINDS = {"chair": 0.4, "stool": 0.25, "bench": 0.2, "block": 0.15}
BACKED, BACK_IN_SIGHT = ("chair",), 70.0  # degrees of yaw
COLOURS = (
    (150, 112, 74), (96, 66, 44), (178, 140, 96), (206, 204, 198), (60, 60, 64), (122, 134, 142),
    (120, 52, 44), (70, 88, 80),
)  # fmt: skip
FACES = ((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7))  # sides, then top
BACK, FRONT = 0.17, 0.27  # metres behind and before the hip joints
PRESSED = 0.012  # metres that a seated body sinks into the seat
LEAST = 0.15  # metres of height below which there is nothing to sit on

Box = tuple[Array, Array]


def seat(
    rng: np.random.Generator, hips: Array, under: float, yaw: float, turn: Array, camera: Camera,
    size: int, direction: Array,
) -> dict[str, Any]:  # fmt: skip
    """A seat whose top touches a body.

    `hips` (3,) lies between the hip joints, `under` is the lowest height of the pelvis in metres,
    `turn` (3, 3) leads from the person's frame to the world, `direction` (3,) to the light.
    Returns its kind, its height in metres, its outline on the floor and its polygons in pixels;
    an empty dictionary for someone who sits too low for a seat.
    """
    height = under + PRESSED
    if height < LEAST:
        return {}
    kinds = {k: v for k, v in KINDS.items() if k not in BACKED or abs(yaw) < BACK_IN_SIGHT}
    share = np.array(list(kinds.values()))
    kind = list(kinds)[int(rng.choice(len(kinds), p=share / share.sum()))]
    colour = np.array(COLOURS[int(rng.integers(len(COLOURS)))]) * rng.uniform(0.8, 1.1)
    boxes = _boxes(rng, kind, height)
    corners = np.array([_corners(box) for box in boxes])
    corners = np.einsum("ij,bnj->bni", turn, corners) + [hips[0], hips[1], 0]
    polygons = [p for box in corners for p in _visible(box, camera, size, direction, colour)]
    polygons.sort(key=lambda polygon: -polygon["depth"])
    ground = corners.reshape(-1, 3)
    ground = ground[ground[:, 2] < 0.01]
    outline, _ = camera.project(ground, size)
    return {
        "kind": kind,
        "height": round(height, 4),
        "ground": np.round(outline, 2).tolist(),
        "polygons": polygons,
    }


def _boxes(rng: np.random.Generator, kind: str, height: float) -> list[Box]:
    """Low and high corners of a seat's boxes; the person faces -Y, the hips are at x = y = 0."""
    half, slab, leg = rng.uniform(0.19, 0.23), rng.uniform(0.03, 0.06), rng.uniform(0.03, 0.045)
    if kind == "block":
        return [_box((-half, -FRONT, 0), (half, BACK + 0.04, height))]
    if kind == "bench":
        left, right = -rng.uniform(0.35, 0.9), rng.uniform(0.35, 0.9)
        ends = [_box((x, -FRONT + 0.03, 0), (x + 0.06, BACK, height - slab))
                for x in (left + 0.1, right - 0.16)]  # fmt: skip
        return [_box((left, -FRONT, height - slab), (right, BACK + 0.05, height)), *ends]
    top = _box((-half, -FRONT, height - slab), (half, BACK, height))
    legs = [
        _box((x, y, 0), (x + leg, y + leg, height - slab))
        for x in (-half, half - leg)
        for y in (-FRONT, BACK - leg)
    ]
    if kind == "stool":
        return [top, *legs]
    tall, rails = height + rng.uniform(0.36, 0.5), BACK + 0.02
    posts = [_box((x, rails, 0), (x + leg, rails + leg, tall)) for x in (-half, half - leg)]
    if rng.random() < 0.5:
        panels = [_box((-half, rails, height + 0.12), (half, rails + 0.025, tall))]
    else:
        heights = np.linspace(height + 0.12, tall - 0.07, 3)
        panels = [_box((-half, rails, z), (half, rails + 0.025, z + 0.06)) for z in heights]
    return [top, *legs, *posts, *panels]


def _box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Box:
    return np.array(low), np.array(high)


def _corners(box: Box) -> Array:
    """The eight corners (8, 3) of a box: the lower ring, then the upper one."""
    (x0, y0, z0), (x1, y1, z1) = box
    ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return np.array([(*p, z0) for p in ring] + [(*p, z1) for p in ring])


def _visible(
    corners: Array, camera: Camera, size: int, direction: Array, colour: Array
) -> list[dict[str, Any]]:
    """The faces of one box (8, 3) that are turned to the camera."""
    pixel, depth = camera.project(corners, size)
    result = []
    for face in FACES:
        a, b, c = (corners[face[k]] for k in (0, 1, 2))
        normal = np.cross(b - a, c - b)
        normal /= np.linalg.norm(normal)
        if normal @ (camera.eye - a) <= 0:
            continue
        light = 0.45 + 0.55 * max(float(normal @ direction), 0) + 0.15 * float(normal[2])
        result.append(
            {
                "points": [[round(float(v), 2) for v in pixel[k]] for k in face],
                "colour": [int(v) for v in np.clip(colour * light, 0, 255)],
                "depth": round(float(depth[list(face)].mean()), 3),
            }
        )
    return result

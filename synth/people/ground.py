"""What ties a person to the floor: a contact shadow, a cast shadow, a stool under who sits.

All of it is stored as plain numbers in a person's `meta` and drawn on the background only, so the
person's own pixels and masks never change.
"""

from typing import Any

import cv2
import numpy as np

from synth.people.geometry import Array
from synth.people.raster import Camera
from synth.people.scene import Scene

SEAT_BELOW_HIP = 0.125  # metres from the hip joints down to what one sits on
FACES = ((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7))  # sides, then top
SUBPIXEL = 4  # fractional bits of polygon corners


def contacts(scene: Scene, camera: Camera, size: int) -> list[list[float]]:
    """Ellipses [x, y, half width, half height] in pixels where the person touches the floor."""
    touching = scene.vertices[scene.vertices[:, 2] < 0.04]
    middle = touching[:, 0].mean()
    result = []
    for side in (touching[:, 0] < middle, touching[:, 0] >= middle):
        pixel, _ = camera.project(touching[side], size)
        if len(pixel) and pixel[:, 1].max() < size:
            centre, spread = (pixel.min(0) + pixel.max(0)) / 2, np.ptp(pixel, axis=0) / 2
            result.append([round(float(v), 2) for v in (*centre, *(1.25 * spread + 0.012 * size))])
    return result


def cast_shadow(camera: Camera, direction: Array) -> list[float]:
    """Shift to the right and upwards, in pixels, of the shadow of what is one pixel high."""
    rise = max(float(direction[2]), 0.3)
    right = camera.matrix[0, :3].astype(float) @ np.array([*direction[:2], 0])
    away = camera.matrix[2, :3].astype(float) @ np.array([*direction[:2], 0])
    pitch = float(camera.matrix[2, 2])
    return [round(float(-right / rise), 4), round(float(away / rise * max(pitch, 0.02)), 4)]


def stool(
    rng: np.random.Generator, hips: Array, turn: Array, camera: Camera, size: int, direction: Array
) -> list[dict[str, Any]]:
    """Polygons (pixels) and colours of a stool under hips at (3,), in painting order."""
    height = float(hips[2]) - SEAT_BELOW_HIP
    if height < 0.15:
        return []
    colour = np.array(SEAT_COLOURS[int(rng.integers(len(SEAT_COLOURS)))])
    half, slab = 0.19, 0.05
    boxes = [((-half, -half, height - slab), (half, half, height))]
    if rng.random() < 0.35:
        boxes = [((-half, -half, 0.0), (half, half, height))]
    else:
        for x in (-half, half - 0.035):
            for y in (-half, half - 0.035):
                boxes.append(((x, y, 0.0), (x + 0.035, y + 0.035, height - slab)))
    polygons = []
    for low, high in boxes:
        polygons += _box(np.array(low), np.array(high), hips, turn, camera, size, direction, colour)
    polygons.sort(key=lambda polygon: -polygon["depth"])
    return polygons


SEAT_COLOURS = ((150, 112, 74), (96, 66, 44), (206, 204, 198), (60, 60, 64), (122, 134, 142))


def _box(
    low: Array, high: Array, hips: Array, turn: Array, camera: Camera, size: int,
    direction: Array, colour: Array,
) -> list[dict[str, Any]]:  # fmt: skip
    x0, y0, z0 = low
    x1, y1, z1 = high
    ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    corners = np.array([(*p, z0) for p in ring] + [(*p, z1) for p in ring])
    corners = np.einsum("ij,nj->ni", turn, corners) + [hips[0], hips[1], 0]
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


def draw_ground(meta: dict[str, Any], alpha: Array, canvas: Array) -> None:
    """Darken and paint the background (S, S, 3) float32 in place."""
    shade = _contact(meta["contacts"], len(alpha))
    if meta["contacts"]:
        shade = np.maximum(shade, _cast(meta, alpha))
    canvas *= 1 - cv2.GaussianBlur(shade, (0, 0), max(0.5, len(alpha) * 0.007))[..., None]
    painted = canvas.astype(np.uint8)  # OpenCV smooths edges of 8-bit pictures only
    for polygon in meta["seat"]:
        corners = np.rint(np.array(polygon["points"]) * 2**SUBPIXEL - 2 ** (SUBPIXEL - 1))
        colour = [float(v) for v in polygon["colour"]]
        cv2.fillPoly(painted, [corners.astype(np.int32)], colour, cv2.LINE_AA, SUBPIXEL)
    if meta["seat"]:
        canvas[:] = painted


def _contact(ellipses: list[list[float]], size: int) -> Array:
    rows, columns = np.mgrid[:size, :size].astype(np.float32) + 0.5
    shade = np.zeros((size, size), np.float32)
    for x, y, a, b in ellipses:
        distance = ((columns - x) / a) ** 2 + ((rows - y) / b) ** 2
        shade = np.maximum(shade, 0.5 * np.exp(-distance))
    return shade


def _cast(meta: dict[str, Any], alpha: Array) -> Array:
    """The person's outline, laid flat on the floor away from the light."""
    right, up = meta["shadow"]
    floor = float(np.mean([y for _, y, _, _ in meta["contacts"]]))
    matrix = np.array([[1, -right, right * floor], [0, up, floor * (1 - up)]])
    flat = cv2.warpAffine(alpha, matrix, alpha.shape[::-1], flags=cv2.INTER_LINEAR)
    fade = np.linspace(0, 1, len(alpha), dtype=np.float32)[:, None]
    distance = np.abs(fade - floor / len(alpha))
    blurred = cv2.GaussianBlur(flat.astype(np.float32) / 255, (0, 0), max(0.6, len(alpha) * 0.012))
    return (0.34 * blurred * np.clip(1 - 2.5 * distance, 0, 1)).astype(np.float32)

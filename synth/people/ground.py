"""What ties a person to the floor: contact shadows, a cast shadow, the seat under who sits.

All of it is stored as plain numbers in a person's `meta` and drawn on the background only, so the
person's own pixels and masks never change.
"""

from typing import Any

import cv2
import numpy as np

from synth.people.geometry import Array
from synth.people.raster import Camera
from synth.people.scene import Scene
from synth.people.scenery.sheets import noise

TOUCHING = 0.04  # metres above the floor
CELL = 0.13  # metres: contacts are gathered in squares of this size
RIM = 5.0  # radii beyond which a contact's shade is not drawn
SUBPIXEL = 4  # fractional bits of polygon corners
GRAIN = 0.05  # contrast of the grain of a seat's surfaces


def contacts(scene: Scene, camera: Camera, size: int) -> list[list[float]]:
    """Ellipses [x, y, half width, half height] in pixels where the person touches the floor."""
    touching = scene.vertices[scene.vertices[:, 2] < TOUCHING]
    cell = np.floor((touching[:, :2] - touching[:, :2].min(0)) / CELL).astype(int)
    _, group = np.unique(cell[:, 0] * 1000 + cell[:, 1], return_inverse=True)
    result = []
    for k in range(int(group.max()) + 1):
        pixel, _ = camera.project(touching[group == k], size)
        if pixel[:, 1].max() < size:
            centre, spread = (pixel.min(0) + pixel.max(0)) / 2, np.ptp(pixel, axis=0) / 2
            reach = 1.15 * spread + 0.012 * size
            result.append([round(float(v), 2) for v in (*centre, *reach)])
    return result


def cast_shadow(camera: Camera, direction: Array) -> list[float]:
    """Shift to the right and upwards, in pixels, of the shadow of what is one pixel high."""
    rise = max(float(direction[2]), 0.3)
    right = camera.matrix[0, :3].astype(float) @ np.array([*direction[:2], 0])
    away = camera.matrix[2, :3].astype(float) @ np.array([*direction[:2], 0])
    pitch = float(camera.matrix[2, 2])
    return [round(float(-right / rise), 4), round(float(away / rise * max(pitch, 0.02)), 4)]


def draw_ground(meta: dict[str, Any], alpha: Array, canvas: Array) -> None:
    """Darken and paint the background (S, S, 3) float32 in place."""
    seat = meta["seat"]
    shade = _contact(meta["contacts"], len(alpha))
    if meta["contacts"]:
        shade = np.maximum(shade, _cast(meta, alpha))
    if seat:
        shade = np.maximum(shade, _under(seat["ground"], len(alpha)))
    canvas *= 1 - cv2.GaussianBlur(shade, (0, 0), max(0.5, len(alpha) * 0.007))[..., None]
    if seat:
        _paint(seat["polygons"], alpha, canvas)


def _fixed(points: list[list[float]]) -> Array:
    """Polygon corners as OpenCV's fixed-point numbers, pixel centres at whole numbers."""
    return np.rint(np.array(points) * 2**SUBPIXEL - 2 ** (SUBPIXEL - 1)).astype(np.int32)


def _paint(polygons: list[dict[str, Any]], alpha: Array, canvas: Array) -> None:
    """Draw a seat: flat faces with dark edges, a little grain, and the shade of who sits on it."""
    size = len(alpha)
    painted = canvas.astype(np.uint8)  # OpenCV smooths edges of 8-bit pictures only
    inside = np.zeros((size, size), np.uint8)
    for polygon in polygons:
        corners = [_fixed(polygon["points"])]
        colour = np.array(polygon["colour"], float)
        cv2.fillPoly(painted, corners, colour.tolist(), cv2.LINE_AA, SUBPIXEL)
        edge = (0.72 * colour).tolist()
        cv2.polylines(painted, corners, True, edge, 1, cv2.LINE_AA, SUBPIXEL)
        cv2.fillPoly(inside, corners, 255, cv2.LINE_AA, SUBPIXEL)
    share = inside[..., None].astype(np.float32) / 255
    near = cv2.GaussianBlur(alpha, (0, 0), max(0.8, size * 0.02)).astype(np.float32) / 255
    own = np.random.default_rng(len(polygons))  # the grain belongs to the seat, not to the draw
    grain = GRAIN * noise(own, size, size, "grain") + GRAIN * noise(own, size, size, "smooth")
    lit = painted * ((1 - 0.45 * near) * (1 + grain))[..., None]
    canvas[:] = lit * share + canvas * (1 - share)


def _under(outline: list[list[float]], size: int) -> Array:
    """The shade (S, S) on the floor below a seat."""
    shade = np.zeros((size, size), np.uint8)
    hull = cv2.convexHull(_fixed(outline))
    cv2.fillConvexPoly(shade, hull, 130, cv2.LINE_AA, SUBPIXEL)
    blurred = cv2.GaussianBlur(shade, (0, 0), max(0.7, size * 0.015))
    return blurred.astype(np.float32) / 255


def _contact(ellipses: list[list[float]], size: int) -> Array:
    """Dark right at a contact, with a wide faint rim."""
    shade = np.zeros((size, size), np.float32)
    for x, y, a, b in ellipses:
        rows, columns = (
            slice(max(0, int(at - RIM * reach)), max(0, int(at + RIM * reach) + 1))
            for at, reach in ((y, b), (x, a))
        )
        row, column = (np.arange(size, dtype=np.float32)[part] + 0.5 for part in (rows, columns))
        distance = ((column[None] - x) / a) ** 2 + ((row[:, None] - y) / b) ** 2
        dark = 0.5 * np.exp(-distance) + 0.12 * np.exp(-distance / 4)
        shade[rows, columns] = np.maximum(shade[rows, columns], dark)
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
    return (0.38 * blurred * np.clip(1 - 2.5 * distance, 0, 1)).astype(np.float32)

"""What hair falls on: neck, shoulders, chest and back of the dressed person, as two maps.

One map gives the radius of the torso around its axis by angle and height, the other the height of
its top by place; a point is inside where both say so, and leaves by the shorter way.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from synth.people.geometry import Array
from synth.people.head import HeadFrame
from synth.people.parts import Posed

LOW, HIGH, STEP = 0.36, 0.82, 0.02  # heights on the template, metres
ANGLES = 32
HALF, CELL = np.array([0.30, 0.18]), 0.03  # the top map's half size and grid, metres
AXIS_Y = 0.01
ARM_END = 0.35  # arc length of the arm up to which it belongs to the shoulder


@dataclass(frozen=True)
class Shoulders:
    """The two maps, in template metres of the frame that hair is grown in."""

    radius: Array  # (heights, ANGLES + 1) float32
    top: Array  # (rows of y, columns of x) float32

    def push_out(self, point: Array, clearance: Array) -> Array:
        """Points (n, 3) moved outside by a clearance (n,)."""
        x, y, z = point[:, 0], point[:, 1] - AXIS_Y, point[:, 2]
        flat = np.maximum(np.hypot(x, y), 1e-4)
        turn = (np.arctan2(x, y) / (2 * np.pi) + 0.5) * ANGLES
        out = _look(self.radius, (z - LOW) / STEP - 0.5, turn - 0.5) + clearance - flat
        rows, columns = (y + HALF[1]) / CELL - 0.5, (x + HALF[0]) / CELL - 0.5
        up = _look(self.top, rows, columns) + clearance - z
        inside = (out > 0) & (up > 0) & (z > LOW)
        sideways = inside & (out <= up)
        scale = np.where(sideways, 1 + out / flat, 1)
        rise = np.where(inside & ~sideways, up, 0)
        return np.stack([x * scale, y * scale + AXIS_Y, z + rise], 1)


def shoulders_of(tights: Posed, under: Array, frame: HeadFrame) -> Shoulders:
    """The maps of a person whose layers of cloth stand off the skin by under (n,) metres."""
    f = tights.surface.fields
    chosen = (f.rest[:, 2] > LOW - 0.05) & (~f.is_arm | (f.arm < ARM_END))
    points = tights.points + tights.normals * (under[:, None] * tights.scale)
    points = (points[chosen] - frame.target) / frame.scale + frame.low
    x, y, z = points[:, 0], points[:, 1] - AXIS_Y, points[:, 2]
    radius = np.zeros((round((HIGH - LOW) / STEP), ANGLES), np.float32)
    turn = ((np.arctan2(x, y) / (2 * np.pi) + 0.5) * ANGLES).astype(int) % ANGLES
    row = np.clip(((z - LOW) / STEP).astype(int), 0, len(radius) - 1)
    np.maximum.at(radius, (row, turn), np.hypot(x, y))
    wrapped = np.pad(radius, ((0, 0), (3, 3)), mode="wrap")
    soft = cv2.blur(cv2.dilate(wrapped, np.ones((3, 3))), (3, 3))[:, 3:-2]
    shape = np.ceil(2 * HALF[::-1] / CELL).astype(int)
    top = np.zeros(tuple(shape), np.float32)
    column = np.clip(((x + HALF[0]) / CELL).astype(int), 0, shape[1] - 1)
    row = np.clip(((y + HALF[1]) / CELL).astype(int), 0, shape[0] - 1)
    np.maximum.at(top, (row, column), z)
    # Closed widely enough to cover the hole at the neck, into which hair would fall.
    return Shoulders(soft, cv2.morphologyEx(top, cv2.MORPH_CLOSE, np.ones((7, 7))))


def _look(table: Array, rows: Array, columns: Array) -> Array:
    """Bilinear look-up (n,); beyond the edge the nearest entry."""
    maps = columns.astype(np.float32)[None], rows.astype(np.float32)[None]
    return cv2.remap(table, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]

"""How far loose cloth stands off the body: it hangs from what is above it.

On the torso cloth falls from the shoulders, chest and belly; on a leg it falls from thigh and
calf. Seen around the axis of the torso or of a leg, the radius of hanging cloth at some height is
the largest radius above it, less a little for every centimetre it has fallen.
"""

import numpy as np

from synth.people.fields import LEFT_LEG, TORSO, Fields
from synth.people.geometry import Array

ANGLES = 24
STEP = 0.02  # metres between height bins
DRAW_IN = 0.12  # metres of radius that cloth loses for every metre it falls
TORSO_TOP = 0.62
LIMIT = 0.07


def hanging_slack(fields: Fields, faces: Array) -> Array:
    """Metres (n,) from the surface out to cloth that hangs from above it; 0 on the arms."""
    slack = np.zeros(len(fields.rest), np.float32)
    torso = (fields.region == TORSO) & (fields.rest[:, 2] < TORSO_TOP)
    slack[torso] = _hang(fields.rest[torso], np.zeros(2))
    for region in (LEFT_LEG, LEFT_LEG + 1):
        leg = (fields.region == region) & (fields.foot < 0.5)
        slack[leg] = _hang(fields.rest[leg], _leg_axis(fields.rest[leg]))
    return _smooth(slack, faces)


def _leg_axis(points: Array) -> Array:
    """The horizontal centre (n, 2) of the leg at each point's height."""
    heights = np.linspace(points[:, 2].min(), points[:, 2].max(), 12)
    nearest = np.abs(points[:, 2:3] - heights).argmin(1)
    centres = np.array([points[nearest == k, :2].mean(0) for k in range(len(heights))])
    columns = [np.interp(points[:, 2], heights, centres[:, k]) for k in range(2)]
    return np.stack(columns, 1)


def _hang(points: Array, axis: Array) -> Array:
    offset = points[:, :2] - axis
    radius = np.hypot(offset[:, 0], offset[:, 1])
    turn = (np.arctan2(offset[:, 0], -offset[:, 1]) / (2 * np.pi) + 0.5) * ANGLES
    angle = turn.astype(int) % ANGLES
    level = ((points[:, 2].max() - points[:, 2]) / STEP).astype(int)
    largest = np.zeros((level.max() + 1, ANGLES))
    np.maximum.at(largest, (level, angle), radius)
    largest = np.maximum(
        largest, np.maximum(np.roll(largest, 1, 1), np.roll(largest, -1, 1)) * 0.96
    )
    for row in range(1, len(largest)):
        largest[row] = np.maximum(largest[row], largest[row - 1] - DRAW_IN * STEP)
    return np.clip(largest[level, angle] - radius, 0, LIMIT)


def _smooth(values: Array, faces: Array, steps: int = 6) -> Array:
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    count = np.maximum(np.bincount(edges[:, 0], minlength=len(values)), 1)
    for _ in range(steps):
        values = (
            0.5 * values + 0.5 * np.bincount(edges[:, 0], values[edges[:, 1]], len(values)) / count
        )
    return values.astype(np.float32)

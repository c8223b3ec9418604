"""Blocks seen in perspective: which faces show, where their corners fall, which way they look."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cuboid:
    """An axis-aligned block, corners `low` and `high` in metres (x right, y away, z up)."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    patch: np.ndarray


def _rotate(points: np.ndarray, yaw: float) -> np.ndarray:
    cos, sin = np.cos(yaw), np.sin(yaw)
    return points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])


def project(
    points: np.ndarray, yaw: float, pitch: float, distance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Perspective picture of (f, k, 3) corners: (f, k, 2) with y down, and (f,) mean distances."""
    turned = _rotate(points, yaw)
    away = turned[..., 1] * np.cos(pitch) - turned[..., 2] * np.sin(pitch) + distance
    up = turned[..., 1] * np.sin(pitch) + turned[..., 2] * np.cos(pitch)
    return np.stack([turned[..., 0], -up], axis=-1) / away[..., None], away.mean(axis=-1)


def faces_of(block: Cuboid, yaw: float, pitch: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """The five faces that can be seen from above the floor: corners clockwise, lighting normal."""
    (x0, y0, z0), (x1, y1, z1) = block.low, block.high
    sides = [
        ([(x0, y0), (x1, y0)], (0, -1)), ([(x1, y0), (x1, y1)], (1, 0)),
        ([(x1, y1), (x0, y1)], (0, 1)), ([(x0, y1), (x0, y0)], (-1, 0)),
    ]  # fmt: skip
    found = []
    for (a, b), (nx, ny) in sides:
        corners = np.array([(*a, z1), (*b, z1), (*b, z0), (*a, z0)])
        normal = _rotate(np.array([[nx, ny, 0.0]]), yaw)[0]
        found.append((corners, normal * [1, -1, 1]))
    z, normal = (z1, 1.0) if pitch >= 0 else (z0, -1.0)
    lid = np.array([(x0, y1, z), (x1, y1, z), (x1, y0, z), (x0, y0, z)])
    found.append((lid if pitch >= 0 else lid[::-1], np.array([0, 0, normal])))
    return found

"""Hats and sunglasses."""

import numpy as np

from synth.people.geometry import Array, grid_faces, smoothstep
from synth.people.head import HeadFrame, head_part
from synth.people.parts import Part
from synth.people.person import Cloth, Person

BLACK = Cloth("gloss", np.full((3, 3), 0.012, np.float32))


def hat_field(template: Array, kind: str) -> Array:
    """Metres (n,) above the rim of a hat at template points (n, 3)."""
    rim, slope = (0.925, 0.22) if kind == "beanie" else (0.954, 0.02)
    return template[:, 2] - rim + slope * (template[:, 1] + 0.05)


def hat_offset(template: Array, kind: str) -> Array:
    """How far (n,) a hat stands off the scalp."""
    x, y, z = template.T
    if kind == "beanie":
        ribs = 0.002 * np.sin(np.arctan2(x, y + 0.05) * 40)
        return 0.014 + ribs + 0.016 * smoothstep(z, 0.99, 1.02)
    return 0.014 + 0.012 * smoothstep(z, 0.98, 1.02)


def brim(person: Person, frame: HeadFrame) -> Part:
    """The peak of a cap or the brim of a sun hat."""
    columns, rows = 48, 4
    angle = np.linspace(-np.pi, np.pi, columns)
    width = np.full(columns, 0.085)
    if person.hat == "cap":
        width = 0.085 * np.clip(np.cos(angle), 0, 1) ** 0.45
    lines = []
    for out in np.linspace(0, 1, rows):
        x = (0.084 + (width + 0.010) * out) * np.sin(angle)
        y = -0.055 - (0.108 + (width + 0.010) * out) * np.cos(angle)
        z = 0.970 - 0.024 * out**2 - 0.6 * x**2 * out
        lines.append(np.stack([x, y, z], 1))
    return head_part(
        frame, np.concatenate(lines), grid_faces(rows, columns), "hat", person.hat_cloth
    )


def sunglasses(frame: HeadFrame) -> Part:
    """Two lenses, a bridge and the temples."""
    points, faces, count = [], [], 0
    for side in (1.0, -1.0):
        for p, f in (_lens(side), _temple(side)):
            points.append(p)
            faces.append(f + count)
            count += len(p)
    bridge = [
        [-0.01, -0.168, 0.908],
        [-0.01, -0.168, 0.902],
        [0.01, -0.168, 0.908],
        [0.01, -0.168, 0.902],
    ]
    points.append(np.array(bridge))
    faces.append(np.array([[0, 1, 2], [1, 3, 2]]) + count)
    return head_part(frame, np.concatenate(points), np.concatenate(faces), "sunglasses", BLACK)


def _lens(side: float) -> tuple[Array, Array]:
    count = 20
    turn = np.arange(count) * (2 * np.pi / count)
    cosine, sine = np.cos(turn), np.sin(turn)
    x = 0.0325 * side + 0.027 * np.sign(cosine) * np.abs(cosine) ** 0.7
    z = 0.899 + 0.021 * np.sign(sine) * np.abs(sine) ** 0.7
    y = -0.164 + 0.25 * np.clip(np.abs(x) - 0.03, 0, None)
    points = np.concatenate([[[0.0325 * side, -0.167, 0.899]], np.stack([x, y, z], 1)])
    ring = np.arange(count)
    return points, np.stack([np.zeros(count, int), 1 + ring, 1 + (ring + 1) % count], 1)


def _temple(side: float) -> tuple[Array, Array]:
    points = [
        [0.057, -0.158, 0.909],
        [0.057, -0.158, 0.902],
        [0.084, -0.05, 0.909],
        [0.084, -0.05, 0.903],
    ]
    return np.array(points) * [side, 1, 1], np.array([[0, 1, 2], [1, 3, 2]])

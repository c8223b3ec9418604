"""Small vector mathematics shared by the modules of the built-in people.

Nothing here calls a multi-threaded BLAS: its summation order may change with the number of
threads, and then two processes would draw different pixels.
"""

import numpy as np

Array = np.ndarray


def dot(a: Array, b: Array) -> Array:
    """Row-wise dot products (N,) of (N, 3) and (N, 3)."""
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]


def cross(a: Array, b: Array) -> Array:
    """Row-wise cross products (N, 3) of (N, 3) and (N, 3); much faster than numpy's."""
    columns = [a[:, i] * b[:, j] - a[:, j] * b[:, i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return np.stack(columns, 1)


def transform(points: Array, matrix: Array) -> Array:
    """Points (N, 3) times the transposed matrix (3, 3), without BLAS."""
    return (
        points[:, 0:1] * matrix[:, 0]
        + points[:, 1:2] * matrix[:, 1]
        + points[:, 2:3] * matrix[:, 2]
    )


def normalise(v: Array) -> Array:
    """Vectors (..., 3) scaled to length one; zero vectors stay zero."""
    length = np.sqrt(np.einsum("...i,...i->...", v, v))[..., None]
    return v / np.maximum(length, 1e-12)


def smoothstep(x: Array, low: float, high: float) -> Array:
    """0 below low, 1 above high, a smooth S between."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bounds(points: Array) -> tuple[Array, Array]:
    """Least and greatest coordinates (3,) of points (N, 3); column by column, which is faster."""
    columns = [points[:, k] for k in range(points.shape[1])]
    return np.array([c.min() for c in columns]), np.array([c.max() for c in columns])


def bump(x: Array, centre: float, width: float) -> Array:
    """A Gaussian bump of height one."""
    return np.exp(-(((x - centre) / width) ** 2))


def axis_rotation(axis: Array, angle: float) -> Array:
    """Rotation matrix (3, 3) about an axis (3,), right-handed, angle in radians."""
    x, y, z = normalise(np.asarray(axis, float))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def shortest_rotation(source: Array, target: Array) -> Array:
    """The rotation (3, 3) of smallest angle that turns one direction (3,) into another."""
    a, b = normalise(np.asarray(source, float)), normalise(np.asarray(target, float))
    axis = np.cross(a, b)
    sine = float(np.linalg.norm(axis))
    if sine < 1e-6:
        return np.eye(3)
    return axis_rotation(axis, float(np.arctan2(sine, a @ b)))


def euler(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Array:
    """Rotation (3, 3) about x, then y, then z; degrees."""
    rx, ry, rz = np.deg2rad([x, y, z])
    turn_x = axis_rotation(np.array([1.0, 0, 0]), rx)
    turn_y = axis_rotation(np.array([0, 1.0, 0]), ry)
    return axis_rotation(np.array([0, 0, 1.0]), rz) @ turn_y @ turn_x


def vertex_normals(vertices: Array, faces: Array) -> Array:
    """Area-weighted vertex normals (V, 3) float32."""
    first = vertices[faces[:, 0]]
    edge_a, edge_b = vertices[faces[:, 1]] - first, vertices[faces[:, 2]] - first
    corners = faces.ravel()
    area = cross(edge_a, edge_b)
    columns = [np.bincount(corners, np.repeat(area[:, k], 3), len(vertices)) for k in range(3)]
    return normalise(np.stack(columns, 1)).astype(np.float32)


def grid_faces(rows: int, columns: int) -> Array:
    """Triangles (F, 3) int32 of a grid of rows x columns vertices in row-major order."""
    index = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    upper = np.stack([a, b, c], -1).reshape(-1, 3)
    return np.concatenate([upper, np.stack([b, d, c], -1).reshape(-1, 3)])

"""A camera and a software rasteriser (OpenCV 5) that gives face ids and barycentrics.

Vertices go in as (N, 3): as (N, 1, 3), OpenCV 5.0.0 fails wherever it was built without IPP.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from synth.people.geometry import Array, cross, dot, normalise

MAX_FACES = 2**17  # face ids travel in a float32 colour channel: beyond this they are not exact
NEAR, FAR = 0.2, 60.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: world-to-camera matrix (4, 4), vertical field of view in radians."""

    eye: Array
    matrix: Array
    fov: float

    def project(self, points: Array, size: int) -> tuple[Array, Array]:
        """Pixel positions (N, 2) of world points (N, 3) in a square picture, and depths (N,)."""
        local = np.einsum("ij,nj->ni", self.matrix[:3, :3], points) + self.matrix[:3, 3]
        depth = -local[:, 2]
        focal = size / 2 / np.tan(self.fov / 2)
        x = size / 2 + local[:, 0] * focal / depth
        return np.stack([x, size / 2 - local[:, 1] * focal / depth], 1), depth


def look_at(eye: Array, target: Array, fov: float, up: Array | None = None) -> Camera:
    """A camera at eye that looks at target."""
    eye = np.asarray(eye, float)
    back = normalise(eye - np.asarray(target, float))
    right = normalise(np.cross(np.array([0.0, 0, 1]) if up is None else up, back))
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = np.stack([right, np.cross(back, right), back])
    matrix[:3, 3] = -(matrix[:3, :3].astype(float) * eye).sum(1)
    return Camera(eye, matrix, fov)


@dataclass(frozen=True)
class Fragments:
    """What is seen: face id per sample (H, W), -1 for nothing; barycentrics (H, W, 2); depth."""

    face: Array
    weights: Array
    depth: Array

    def window(self, factor: int) -> tuple[slice, slice]:
        """The rows and columns with anything in sight, widened to whole pixels of factor^2."""
        sides = []
        for axis in (1, 0):
            seen = np.nonzero((self.face >= 0).any(axis))[0]
            first, last = (int(seen[0]), int(seen[-1])) if len(seen) else (0, 0)
            sides.append(slice(first // factor * factor, (last // factor + 1) * factor))
        return sides[0], sides[1]

    def crop(self, window: tuple[slice, slice]) -> "Fragments":
        """The fragments inside a window of rows and columns."""
        return Fragments(self.face[window], self.weights[window], self.depth[window])


def _settings() -> cv2.TriangleRasterizeSettings:
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    return settings


def rasterise(
    vertices: Array, faces: Array, camera: Camera, size: int, solid: Array | None = None
) -> Fragments:
    """Draw triangles (F, 3) over vertices (V, 3) into size x size samples.

    Triangles marked in `solid` (F,) bool belong to closed bodies: they are left out where they
    face away from the camera.
    """
    corners = vertices[faces]
    drawn = np.arange(len(faces), dtype=np.int32)
    if solid is not None:
        drawn = np.nonzero(~solid | _facing(corners, camera))[0].astype(np.int32)
        corners = corners[drawn]
    count = len(drawn)
    assert count < MAX_FACES, f"{count} faces cannot be told apart in a float32 channel"
    colours = np.zeros((count, 3, 3), np.float32)
    colours[:, :, 0] = ((np.arange(count) + 1) / MAX_FACES)[:, None]
    colours[:, 0, 1] = 1
    colours[:, 1, 2] = 1
    corners = np.ascontiguousarray(corners.reshape(-1, 3), np.float32)
    order = np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
    colour = np.zeros((size, size, 3), np.float32)
    depth = np.full((size, size), FAR, np.float32)
    cv2.triangleRasterize(
        corners, order, colours.reshape(-1, 3), colour, depth,
        camera.matrix, camera.fov, NEAR, FAR, _settings(),
    )  # fmt: skip
    found = (colour[..., 0] * MAX_FACES + np.float32(0.5)).astype(np.int32)
    face = np.concatenate([np.array([-1], np.int32), drawn])[found]
    return Fragments(face, colour[..., 1:], depth)


def _facing(corners: Array, camera: Camera) -> Array:
    """Which triangles (F, 3, 3), wound anticlockwise seen from outside, face the camera."""
    a = corners[:, 0]
    normal = cross(corners[:, 1] - a, corners[:, 2] - a)
    return dot(camera.eye.astype(np.float32) - a, normal) > 0


def depth_map(
    vertices: Array, faces: Array, camera: Camera, size: int, near: float, far: float
) -> Array:
    """Depth (size, size) of the nearest surface, `far` where there is none."""
    depth = np.full((size, size), far, np.float32)
    cv2.triangleRasterizeDepth(
        np.ascontiguousarray(vertices, np.float32),
        np.ascontiguousarray(faces, np.int32),
        depth, camera.matrix, camera.fov, near, far, _settings(),
    )  # fmt: skip
    return depth

"""A camera and a software rasteriser (OpenCV 5) that gives face ids and barycentrics."""

from dataclasses import dataclass

import cv2
import numpy as np

from synth.people.geometry import Array, normalise

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


def _settings() -> cv2.TriangleRasterizeSettings:
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    return settings


def rasterise(vertices: Array, faces: Array, camera: Camera, size: int) -> Fragments:
    """Draw triangles (F, 3) over vertices (V, 3) into size x size samples."""
    count = len(faces)
    assert count < MAX_FACES, f"{count} faces cannot be told apart in a float32 channel"
    colours = np.zeros((count, 3, 3), np.float32)
    colours[:, :, 0] = ((np.arange(count) + 1) / MAX_FACES)[:, None]
    colours[:, 0, 1] = 1
    colours[:, 1, 2] = 1
    corners = np.ascontiguousarray(vertices[faces].reshape(-1, 1, 3), np.float32)
    order = np.arange(3 * count, dtype=np.int32).reshape(-1, 1, 3)
    colour = np.zeros((size, size, 3), np.float32)
    depth = np.full((size, size), FAR, np.float32)
    cv2.triangleRasterize(
        corners, order, colours.reshape(-1, 1, 3), colour, depth,
        camera.matrix, camera.fov, NEAR, FAR, _settings(),
    )  # fmt: skip
    face = np.rint(colour[..., 0] * MAX_FACES).astype(np.int32) - 1
    return Fragments(face, colour[..., 1:], depth)


def depth_map(
    vertices: Array, faces: Array, camera: Camera, size: int, near: float, far: float
) -> Array:
    """Depth (size, size) of the nearest surface, `far` where there is none."""
    depth = np.full((size, size), far, np.float32)
    cv2.triangleRasterizeDepth(
        np.ascontiguousarray(vertices.reshape(-1, 1, 3), np.float32),
        np.ascontiguousarray(faces.reshape(-1, 1, 3), np.int32),
        depth, camera.matrix, camera.fov, near, far, _settings(),
    )  # fmt: skip
    return depth

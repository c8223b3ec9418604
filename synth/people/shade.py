"""Light: one soft directional light with a shadow map, a sky, and ambient occlusion."""

from dataclasses import dataclass

import cv2
import numpy as np

from synth.people.geometry import Array, bounds, dot, normalise, transform
from synth.people.raster import Camera, Fragments, depth_map, look_at

SHADOW_TAPS = ((-0.75, -0.25), (0.25, -0.75), (0.75, 0.25), (-0.25, 0.75), (0.0, 0.0))


@dataclass(frozen=True)
class Light:
    """A key light (direction towards it, linear colour), sky and ground light, and exposure."""

    direction: Array
    colour: Array
    sky: Array
    ground: Array
    exposure: float


def sample_light(rng: np.random.Generator) -> Light:
    """Draw a light: mostly from the camera's side, from a low sun to overcast."""
    turn = rng.uniform(-np.pi, np.pi) if rng.random() < 0.3 else rng.normal(0, 0.9)
    height = np.deg2rad(rng.uniform(20, 70))
    flat = np.cos(height)
    direction = np.array([np.sin(turn) * flat, -np.cos(turn) * flat, np.sin(height)])
    warm = rng.normal(0.02, 0.05)
    return Light(
        direction=direction.astype(np.float32),
        colour=np.array([1 + warm, 1, 1 - warm]) * rng.uniform(0.6, 2.2),
        sky=np.array([1 - 0.06 * rng.random(), 1, 1 + 0.12 * rng.random()])
        * rng.uniform(0.5, 0.85),
        ground=np.array([1, 0.95, 0.87]) * rng.uniform(0.18, 0.4),
        exposure=float(rng.uniform(0.62, 0.95)),
    )


def shadow(
    light: Light, vertices: Array, faces: Array, points: Array, normals: Array, size: int
) -> Array:
    """How much of the key light reaches points (N, 3): 0 to 1."""
    low, high = bounds(vertices)
    centre = (low + high) / 2
    spread = vertices - centre.astype(np.float32)
    radius = float(np.sqrt(dot(spread, spread).max())) * 1.02
    distance = 14.0
    camera = look_at(centre + light.direction * distance, centre, 2 * np.arctan(radius / distance))
    near, far = distance - radius - 1, distance + radius + 1
    depths = depth_map(vertices, faces, camera, size, near, far)
    texel = 2 * radius / size
    pixel, depth = camera.project(points + normals * max(0.014, 1.2 * texel), size)
    lit = np.zeros(len(points), np.float32)
    for dx, dy in SHADOW_TAPS:
        column = np.clip(np.rint(pixel[:, 0] - 0.5 + 1.3 * dx).astype(np.int32), 0, size - 1)
        row = np.clip(np.rint(pixel[:, 1] - 0.5 + 1.3 * dy).astype(np.int32), 0, size - 1)
        lit += depths[row, column] > depth - 0.018
    return lit / len(SHADOW_TAPS)


def occlusion(fragments: Fragments, mask: Array, size: int) -> Array:
    """Ambient occlusion (N,) of masked samples from depth: darker where surroundings are nearer.

    `size` is the side of the whole picture in samples, which the fragments may be a window of.
    """
    inside = (fragments.face >= 0).astype(np.float32)
    depth = np.where(inside > 0, fragments.depth, 0)
    result = np.ones_like(depth)
    for share, strength in ((14, 0.9), (40, 0.7)):
        width = max(3, size // share | 1)
        mean = cv2.blur(depth, (width, width)) / np.maximum(cv2.blur(inside, (width, width)), 1e-3)
        result *= 1 - strength * np.clip((fragments.depth - mean - 0.004) * 9, 0, 0.5)
    return result[mask]


def illuminate(
    light: Light, camera: Camera, points: Array, normals: Array, albedo: Array,
    gloss: Array, power: Array, translucent: Array, lit: Array, open_sky: Array,
) -> Array:  # fmt: skip
    """Linear colours (N, 3) of lit samples."""
    view = normalise(camera.eye.astype(np.float32) - points)
    towards = transform(normals, light.direction[None])[:, 0]
    wrap = np.where(translucent > 0, 0.28, 0.12)
    diffuse = np.clip((towards + wrap) / (1 + wrap), 0, 1) * lit
    up = (0.5 + 0.5 * normals[:, 2])[:, None]
    ambient = (light.ground * (1 - up) + light.sky * up) * open_sky[:, None]
    half = normalise(light.direction + view)
    shine = gloss * np.clip(dot(normals, half), 0, 1) ** power * (power + 8) / 8 * lit
    rim = 0.04 * (1 - np.clip(dot(normals, view), 0, 1)) ** 4
    # Light that scatters under skin comes out red where it fades.
    fading = (translucent * np.clip(1 - diffuse * 1.6, 0, 1))[:, None]
    tint = 1 + fading * np.array([0.10, -0.02, -0.06], np.float32)
    colour = albedo * (diffuse[:, None] * light.colour * 0.9 + ambient) * tint
    return colour + shine[:, None] * light.colour + rim[:, None] * ambient


def expose(light: Light, colour: Array, irradiance: float) -> Array:
    """Linear light to display values in [0, 1]: exposure, a soft shoulder, the sRGB curve."""
    c = colour * (light.exposure / irradiance)
    c = np.clip(c * (1 + 0.12 * c) / (1 + 0.42 * c), 0, 1)
    return np.where(c <= 0.0031308, c * 12.92, 1.055 * c ** (1 / 2.4) - 0.055)

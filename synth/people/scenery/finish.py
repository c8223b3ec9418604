"""What a camera does to a finished frame: depth of field, exposure, colour cast, noise."""

import cv2
import numpy as np

from synth.people.scenery.sheets import noise, smoothstep


def blur(frame: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; wide ones are done on a smaller picture, where they look the same."""
    n = len(frame)
    small = max(16, int(n * min(1.0, 2.5 / sigma)))
    if small >= n:
        return cv2.GaussianBlur(frame, (0, 0), max(0.5, sigma))
    shrunk = cv2.resize(frame, (small, small), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(shrunk, (0, 0), sigma * small / n)
    return cv2.resize(soft, (n, n), interpolation=cv2.INTER_CUBIC)


def focus(rng: np.random.Generator, frame: np.ndarray, horizon: float) -> np.ndarray:
    """Blur the distance more than the ground at the person's feet."""
    n = len(frame)
    sigma = n * rng.uniform(0.002, 0.02)
    far = blur(frame, sigma)
    row = np.arange(n, dtype=np.float32)[:, None, None]
    nearness = smoothstep(row, horizon, horizon + 0.7 * (n - horizon))
    return far + (frame - far) * nearness


def expose(rng: np.random.Generator, frame: np.ndarray) -> np.ndarray:
    """Light gradient, contrast, colour temperature, vignette and sensor noise."""
    n = len(frame)
    x = np.linspace(-1, 1, n, dtype=np.float32)[None]
    y = np.linspace(-1, 1, n, dtype=np.float32)[:, None]
    gain = 1 + rng.uniform(-0.15, 0.15) * x + rng.uniform(-0.1, 0.1) * y
    gain = gain - rng.uniform(0, 0.18) * (x * x + y * y)
    warm = rng.normal(0, 0.04)
    cast = np.array([1 + warm, 1.0, 1 - warm], np.float32)
    frame = frame * gain[..., None] * cast * np.float32(rng.uniform(0.85, 1.2))
    middle, spread = (float(np.mean(part)) for part in cv2.meanStdDev(frame))
    contrast = max(rng.uniform(0.9, 1.2), min(4.0, 16 / max(spread, 1.0)))
    frame = (frame - middle) * np.float32(contrast) + np.clip(middle, 65, 200)
    grain = noise(rng, n, n, "white")[..., None] + 0.5 * np.stack(
        [noise(rng, n, n, "white") for _ in range(3)], axis=2)  # fmt: skip
    return frame + grain * np.float32(rng.uniform(0.5, 3.2))

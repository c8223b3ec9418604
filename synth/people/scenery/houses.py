"""House fronts along a street."""

import numpy as np

from synth.people.scenery.colour import hsv, paint, scale
from synth.people.scenery.frame import hang, upright
from synth.people.scenery.ground import EYE
from synth.people.scenery.textures import texture


def _facade(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A house front with rows of windows, (height, width, 3) uint8."""
    kind = ("brick", "plaster", "concrete", "plaster", "tiles", "metal")[int(rng.integers(6))]
    wall = texture(rng, kind, height, width)
    floors, columns = int(rng.integers(2, 7)), int(rng.integers(3, 9))
    tall, wide = height / floors, width / columns
    a, b = rng.uniform(0.45, 0.8), rng.uniform(0.4, 0.85)
    glass, frame = hsv(rng.uniform(0.5, 0.65), rng.uniform(0.05, 0.35), 0.35), paint(rng, 0.1)
    h, w = max(2, int(tall * a)), max(2, int(wide * b))
    shine = np.linspace(rng.uniform(1, 1.8), 0.6, h)[:, None, None]
    base = np.clip(np.asarray(glass) * shine, 0, 255) * np.ones((h, w, 1))
    rim = max(1, h // 12)
    for row in range(floors):
        for column in range(columns):
            y, x = int((row + 0.5) * tall - h / 2), int((column + 0.5) * wide - w / 2)
            pane = np.clip(base * rng.uniform(0.4, 1.5), 0, 255)
            if rng.random() < 0.25:
                pane[: int(h * rng.uniform(0.2, 0.9))] = scale(frame, 1.2)
            wall[y : y + h, x : x + w] = frame
            wall[y + rim : y + h - rim, x + rim : x + w - rim] = pane[rim : h - rim, rim : w - rim]
            wall[y + h : y + h + rim, x : x + w] = wall[y + h : y + h + rim, x : x + w] // 2
    shop = slice(int(height - tall * 0.85), height)
    if rng.random() < 0.5:
        wall[shop] = np.clip(wall[shop] * 0.5, 0, 255).astype(np.uint8)
    return wall


def street_row(rng: np.random.Generator, frame: np.ndarray, horizon: float, foot: float) -> None:
    """House fronts side by side, standing at row `foot`."""
    n = len(frame)
    metre = (foot - horizon) / EYE
    x = -rng.uniform(0, 0.5) * n
    while x < n:
        width, height = rng.uniform(6, 16) * metre, rng.uniform(5, 16) * metre
        facade = _facade(rng, 160, 160)
        light = rng.uniform(0.75, 1.1)
        hang(frame, facade, upright(x, foot - height, x + width, foot), light)
        x += width + (rng.random() < 0.3) * rng.uniform(1, 6) * metre


def street_side(
    rng: np.random.Generator, frame: np.ndarray, horizon: float, vanish: float, side: int
) -> None:
    """A house front that runs along the view direction, on the left (-1) or the right (1)."""
    n = len(frame)
    near, far = rng.uniform(0.35, 0.6) * n * side, rng.uniform(0.08, 0.22) * n * side
    offset, height = rng.uniform(2.2, 5), rng.uniform(5, 14)
    metre = np.array([near, far]) * 1.6 / offset * side
    xs = vanish + offset * metre * side
    tops, feet = horizon - (height - EYE) * metre, horizon + EYE * metre
    corners = np.array([(xs[0], tops[0]), (xs[1], tops[1]), (xs[1], feet[1]), (xs[0], feet[0])])
    facade = _facade(rng, 160, 256)
    hang(frame, facade if side < 0 else facade[:, ::-1], corners, rng.uniform(0.55, 1.0))

"""Vehicles seen from the side."""

import numpy as np

from synth.people.scenery.canvas import Canvas
from synth.people.scenery.colour import hsv, paint, scale, tint
from synth.people.scenery.outlines import curve, ellipse, rectangle
from synth.people.scenery.sheets import smoothstep
from synth.people.scenery.textures import texture


def _wheel(c: Canvas, x: float, y: float, r: float) -> None:
    grey = c.rng.uniform(0.45, 0.75)
    c.ring(x, y, r, r, hsv(0.6, 0.05, 0.09))
    c.ring(x, y, r * 0.66, r * 0.66, hsv(0.6, 0.04, grey))
    for turn in np.arange(5) * 2 * np.pi / 5 + c.rng.uniform(0, 1):
        tip = np.array([x + r * 0.42 * np.cos(turn), y + r * 0.42 * np.sin(turn)])
        c.ring(tip[0], tip[1], r * 0.15, r * 0.15, hsv(0, 0, 0.2))
    c.ring(x, y, r * 0.12, r * 0.12, hsv(0, 0, grey * 0.7))


def _glass(rng: np.random.Generator) -> np.ndarray:
    """Dark glass with a slanting reflection."""
    y, x = np.mgrid[0:32, 0:32] / 32
    band = smoothstep(np.sin(5 * (x + 0.6 * y) + rng.uniform(0, 6)), 0.2, 0.9)
    return tint((0.5 + 0.5 * (1 - y) + 0.9 * band).astype(np.float32), hsv(0.58, 0.15, 0.28))


def car(c: Canvas) -> None:
    """A car seen from the side."""
    rng = c.rng
    body = texture(rng, "plastic", 64, 64, paint(rng, 0.35))
    body = (body * np.linspace(1.15, 0.6, 64)[:, None, None]).clip(0, 255).astype(np.uint8)
    roof, nose = rng.uniform(0.3, 0.35), rng.uniform(0.5, 0.53)
    tail = rng.choice([nose - 0.03, roof + 0.03])
    front, back = rng.uniform(0.7, 0.77), rng.uniform(0.15, 0.2) if tail > 0.4 else 0.06
    c.area(rectangle(0.06, 0.6, 0.94, 0.7), np.full((2, 2, 3), 18, np.uint8))
    c.area(curve([(0.03, 0.62), (0.035, tail + 0.05), (back, min(tail, 0.47)), (0.34, roof),
                  (0.52, roof), (front, 0.47), (0.92, nose), (0.965, 0.6), (0.955, 0.67),
                  (0.5, 0.68), (0.04, 0.67)]), body, 0.12)  # fmt: skip
    glass = _glass(rng)
    low = 0.46
    c.area(np.array([(back + 0.07, low), (0.37, roof + 0.025), (0.44, roof + 0.025), (0.45, low)]),
           glass)  # fmt: skip
    c.area(np.array([(0.47, low), (0.46, roof + 0.025), (0.52, roof + 0.03), (front - 0.05, low)]),
           glass)  # fmt: skip
    seam = scale(tuple(body[40].mean(0)), 0.55)
    for x in (0.28, 0.46, front - 0.04):
        c.line(np.array([(x, low + 0.01), (x + 0.005, 0.64)]), 0.004, seam)
    for x in (0.33, 0.5):
        c.line(np.array([(x, 0.52), (x + 0.05, 0.52)]), 0.01, scale(seam, 0.6))
    c.area(ellipse(0.935, 0.56, 0.022, 0.02), np.full((2, 2, 3), (235, 230, 205), np.uint8))
    c.area(rectangle(0.035, 0.53, 0.052, 0.58, 0.008), np.full((2, 2, 3), (150, 20, 20), np.uint8))
    for x in (0.2, 0.79):
        c.ring(x, 0.66, 0.095, 0.095, hsv(0, 0, 0.06))
        _wheel(c, x, 0.67, 0.083)


def bicycle(c: Canvas) -> None:
    """A bicycle seen from the side, open between spokes and tubes."""
    rng = c.rng
    colour, r = paint(rng, 0.9), rng.uniform(0.19, 0.22)
    rear, front, y = 0.04 + r, 0.96 - r, 0.96 - r
    spokes = int(rng.integers(12, 20))
    for x in (rear, front):
        for turn in np.arange(spokes) * 2 * np.pi / spokes:
            tip = (x + r * np.cos(turn), y + r * np.sin(turn))
            c.line(np.array([(x, y), tip]), 0.003, hsv(0, 0, 0.6))
        c.tube(ellipse(x, y, r * 0.97, r * 0.97, 48), 0.024, hsv(0, 0, 0.14), True)
        c.line(ellipse(x, y, r * 0.9, r * 0.9, 48), 0.006, hsv(0, 0, 0.7), True)
    hub, seat, head = (0.45, y + 0.02), (0.38, y - 0.3), (front - 0.1, y - 0.3)
    for path in ([hub, seat], [hub, head], [seat, head], [(rear, y), hub],
                 [(rear, y), seat], [head, (front, y)]):  # fmt: skip
        c.tube(np.array(path), 0.024, colour)
    c.tube(np.array([seat, (0.365, y - 0.37)]), 0.016, hsv(0, 0, 0.6))
    c.area(curve([(0.29, y - 0.39), (0.44, y - 0.375), (0.38, y - 0.36), (0.3, y - 0.36)]),
           np.full((2, 2, 3), 30, np.uint8), 0.3)  # fmt: skip
    c.tube(np.array([head, (head[0] - 0.015, y - 0.39), (head[0] + 0.06, y - 0.42),
                     (head[0] + 0.09, y - 0.37)]), 0.02, hsv(0, 0, 0.2))  # fmt: skip
    c.tube(ellipse(*hub, 0.045, 0.045), 0.012, hsv(0, 0, 0.3), True)
    c.tube(np.array([hub, (0.47, y + 0.12), (0.5, y + 0.12)]), 0.014, hsv(0, 0, 0.25))

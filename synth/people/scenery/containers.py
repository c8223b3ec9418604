"""Things that hold things: boxes, crates, barrels, bins and suitcases."""

import numpy as np

from synth.people.scenery.canvas import Canvas
from synth.people.scenery.colour import hsv, mean_colour, paint, scale
from synth.people.scenery.outlines import rectangle
from synth.people.scenery.patches import PATCH, print_on, stick_label, swatch
from synth.people.scenery.projection import Cuboid
from synth.people.scenery.textures import texture


def _view(rng: np.random.Generator) -> tuple[float, float]:
    """Yaw and pitch of a camera at standing height, radians."""
    return float(rng.uniform(0.15, 1.4)), float(rng.uniform(0.08, 0.5))


def box(c: Canvas) -> None:
    """A closed box of cardboard, plastic or wood, often taped, with a label."""
    rng = c.rng
    size = rng.uniform(0.35, 1, 3)
    patch = swatch(rng, "cardboard cardboard cardboard plastic wood")
    if rng.random() < 0.7:
        middle = slice(int(PATCH * 0.45), int(PATCH * 0.55))
        patch[middle] = np.clip(patch[middle] * rng.uniform(0.8, 1.25), 0, 255).astype(np.uint8)
    stick_label(rng, patch)
    if rng.random() < 0.4:
        print_on(rng, patch, scale(hsv(0.08, 0.5, 0.3), 1), 2)
    c.solids([Cuboid((0, 0, 0), (size[0], size[1], size[2]), patch)], *_view(rng))


def crate(c: Canvas) -> None:
    """An open crate of slats with posts in front."""
    rng = c.rng
    wide, deep, tall = rng.uniform(0.6, 1), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.9)
    count, thick = int(rng.integers(3, 6)), 0.04
    patches = [swatch(rng, "wood" if rng.random() < 0.7 else "plastic")] * 2
    if count < 5:
        patches = [swatch(rng, "wood") for _ in range(3)]
    blocks: list[Cuboid] = []
    for k in range(count):
        z0 = tall * k / count
        z1, patch = z0 + tall / count * 0.72, patches[k % len(patches)]
        blocks += [
            Cuboid((0, 0, z0), (wide, thick, z1), patch),
            Cuboid((0, deep - thick, z0), (wide, deep, z1), patch),
            Cuboid((0, thick, z0), (thick, deep - thick, z1), patch),
            Cuboid((wide - thick, thick, z0), (wide, deep - thick, z1), patch),
        ]
    for x in (thick, wide - 0.12):
        blocks.append(Cuboid((x, -0.02, 0), (x + 0.08, 0, tall * 0.97), patches[0]))
    c.solids(blocks, rng.uniform(-0.6, 0.6), rng.uniform(0.1, 0.45))


def barrel(c: Canvas) -> None:
    """A drum or a wooden barrel with its lid."""
    rng = c.rng
    a, top = rng.uniform(0.27, 0.34), 0.12
    tilt = rng.uniform(0.15, 0.32)
    patch = swatch(rng, "rust metal plastic rust")
    belly = 1.0
    if rng.random() < 0.3:
        patch, belly = swatch(rng, "planks").transpose(1, 0, 2).copy(), 1.14
    for y in (0.03, 0.33, 0.64, 0.95):
        row = int(y * PATCH)
        patch[row : row + 3] = np.clip(patch[row : row + 3] * 1.4 + 12, 0, 255).astype(np.uint8)
        patch[row + 3 : row + 7] = (patch[row + 3 : row + 7] * 0.6).astype(np.uint8)
    if rng.random() < 0.5:
        stick_label(rng, patch[PATCH // 3 : 2 * PATCH // 3])
    tall = rng.uniform(0.66, 0.74)
    c.lathe(0.5, [(top, a), (top + tall / 2, a * belly), (top + tall, a)], patch, tilt)
    lid = tuple(mean_colour(patch).tolist())
    c.ring(0.5, top, a, a * tilt, scale(lid, 1.25))
    c.ring(0.5, top + 0.006, a * 0.92, a * 0.92 * tilt, scale(lid, 0.85))
    c.ring(0.5 + a * 0.4, top, a * 0.12, a * 0.12 * tilt, scale(lid, 0.4))


def waste_bin(c: Canvas) -> None:
    """A round waste bin, or a wheeled one with a lid."""
    rng = c.rng
    patch = swatch(rng, "plastic metal plastic")
    if rng.random() < 0.5:
        grooves = np.sin(np.arange(PATCH) * rng.uniform(0.4, 1.2)) > 0.3
        patch[:, grooves] = (patch[:, grooves] * 0.7).astype(np.uint8)
    stick_label(rng, patch)
    if rng.random() < 0.5:
        a, foot, tilt = rng.uniform(0.26, 0.34), rng.uniform(0.6, 0.93), rng.uniform(0.15, 0.3)
        c.lathe(0.5, [(0.12, a), (0.15, a), (0.155, a * 0.96), (0.88, a * foot)], patch, tilt)
        c.ring(0.5, 0.12, a * 0.93, a * 0.93 * tilt, hsv(0.6, 0.1, rng.uniform(0.08, 0.6)))
        return
    lid = texture(rng, "plastic", 32, 32, paint(rng, 0.7))
    skew = c.light * 0.02
    c.quad([(0.7, 0.2), (0.82, 0.17), (0.76, 0.9), (0.67, 0.95)], patch, 0.55)
    c.quad([(0.22, 0.2), (0.7, 0.2), (0.67, 0.95), (0.27, 0.95)], patch, [0.95, 0.9, 0.7, 0.75])
    c.quad([(0.3, 0.08), (0.8, 0.08), (0.83, 0.17), (0.71, 0.2)], lid, 0.7)
    c.quad([(0.3, 0.08), (0.8 + skew, 0.08), (0.72, 0.21), (0.2, 0.21)], lid, [1, 1, 1.2, 1.2])
    c.ring(0.31, 0.93, 0.045, 0.055, hsv(0, 0, 0.1))
    c.ring(0.72, 0.91, 0.03, 0.055, hsv(0, 0, 0.12))


def suitcase(c: Canvas) -> None:
    """A wheeled suitcase with its handle drawn out."""
    rng = c.rng
    a = rng.uniform(0.2, 0.3)
    top = rng.uniform(0.25, 0.4)
    grip = np.array([(0.5 - a * 0.4, top + 0.02), (0.5 - a * 0.4, 0.04), (0.5 + a * 0.4, 0.04),
                     (0.5 + a * 0.4, top + 0.02)])  # fmt: skip
    c.tube(grip, 0.022, hsv(0.6, 0.05, rng.uniform(0.15, 0.6)))
    for x in (0.5 - a * 0.75, 0.5 + a * 0.75):
        c.ring(x, 0.95, 0.028, 0.03, hsv(0, 0, 0.1))
    patch = swatch(rng, "plastic fabric metal", paint(rng, 0.7))
    if rng.random() < 0.6:
        ribs = np.sin(np.arange(PATCH) * rng.uniform(0.25, 0.5))[None, :, None]
        patch = np.clip(patch * (1 + 0.15 * ribs), 0, 255).astype(np.uint8)
    c.area(rectangle(0.5 - a, top, 0.5 + a, 0.945, 0.05), patch, 0.22)
    low, high = top + 0.02, top - 0.03
    strap = np.array([(0.44, low), (0.45, high), (0.55, high), (0.56, low)])
    c.tube(strap, 0.018, hsv(0, 0, 0.15))
    if rng.random() < 0.6:
        pocket = rectangle(0.5 - a * 0.75, 0.66, 0.5 + a * 0.75, 0.9, 0.03)
        c.area(pocket, (patch * 0.95).astype(np.uint8), 0.2)
        c.line(pocket, 0.005, hsv(0, 0, 0.2), True)

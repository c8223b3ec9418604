"""Procedural surface textures; each is a pure function of the generator handed in."""

from collections.abc import Callable

import cv2
import numpy as np

from synth.people.scenery.colour import Colour, hsv, paint, tint
from synth.people.scenery.photos import photo
from synth.people.scenery.sheets import noise, smoothstep


def _weathered(rng: np.random.Generator, h: int, w: int, amount: float) -> np.ndarray:
    """Low-frequency dirt and fine grain around brightness 1, (h, w) float32."""
    dirt = noise(rng, h, w, "cloud", max(h, w) / 200)
    return 1 + amount * dirt + 0.4 * amount * noise(rng, h, w, "fine")


def _wood(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.uniform(0.05, 0.11), rng.uniform(0.25, 0.7), rng.uniform(0.3, 0.8))
    rings = noise(rng, h, w, "grain", 1.0) + 0.35 * noise(rng, h, w, "cloud", 2)
    rings = 0.09 * np.sin(3.2 * rings) + 0.06 * noise(rng, h, w, "fibre") + 0.05 * rings
    return tint(1 + rings, base, 0.25 * rings)


def _planks(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    """Boards along the width, each with its own brightness, dark gaps between them."""
    wood = _wood(rng, h, w, colour).astype(np.float32)
    count = int(rng.integers(4, 9))
    row = np.arange(h) * count / h
    level = rng.uniform(0.75, 1.15, count)[np.minimum(row.astype(int), count - 1)]
    gap = smoothstep(np.abs(row - np.round(row)), 0.0, 0.07)
    return _bytes(wood * (level * (0.45 + 0.55 * gap))[:, None, None])


def _metal(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.uniform(0.5, 0.65), rng.uniform(0, 0.12), rng.uniform(0.4, 0.85))
    sheen = 0.12 * np.sin(np.linspace(0, rng.uniform(3, 8), h) + rng.uniform(0, 6))[:, None]
    return tint(1 + sheen + 0.06 * noise(rng, h, w, "brushed"), base)


def _plastic(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    return tint(_weathered(rng, h, w, 0.04), colour or paint(rng, 0.8))


def _rust(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    """Paint that flaked off in patches over brown metal."""
    base = tint(_weathered(rng, h, w, 0.06), colour or paint(rng, 0.6)).astype(np.float32)
    brown = hsv(rng.uniform(0.03, 0.07), 0.65, 0.4)
    under = tint(_weathered(rng, h, w, 0.2), brown).astype(np.float32)
    flaked = smoothstep(noise(rng, h, w, "rough", max(h, w) / 160), 0.7, 1.4)[..., None]
    return _bytes(base + (under - base) * flaked)


def _fabric(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or paint(rng, 0.5)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    pitch = rng.uniform(1.2, 2.2)
    weave = 0.05 * (np.sin(x * pitch) * np.sin(y * pitch) + np.sin((x + y) * pitch / 2))
    cloth = tint(_weathered(rng, h, w, 0.07) + weave, base).astype(np.float32)
    if rng.random() < 0.35:
        stripe = np.sin(x * rng.uniform(0.1, 0.5)) + (np.sin(y * 0.3) if rng.random() < 0.5 else 0)
        other = np.asarray(paint(rng, 0.5), np.float32)
        cloth += smoothstep(stripe, 0.2, 0.5)[..., None] * (other - cloth) * 0.6
    return _bytes(cloth)


def _cardboard(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.uniform(0.07, 0.1), rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.78))
    return tint(_weathered(rng, h, w, 0.04) + 0.03 * noise(rng, h, w, "fibre"), base)


def _concrete(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.uniform(0.05, 0.6), rng.uniform(0, 0.1), rng.uniform(0.4, 0.75))
    grain = 0.06 * noise(rng, h, w, "white")
    return tint(_weathered(rng, h, w, 0.1) + grain, base, 0.02 * noise(rng, h, w, "smooth"))


def _asphalt(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.uniform(0.55, 0.65), rng.uniform(0, 0.08), rng.uniform(0.25, 0.55))
    return tint(_weathered(rng, h, w, 0.07) + 0.09 * noise(rng, h, w, "white"), base)


def _sand(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.uniform(0.08, 0.12), rng.uniform(0.2, 0.45), rng.uniform(0.55, 0.85))
    ripple = 0.05 * np.sin(6 * noise(rng, h, w, "smooth") + np.linspace(0, 40, h)[:, None])
    return tint(_weathered(rng, h, w, 0.08) + ripple, base)


def _plaster(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.random(), 0.7 * rng.beta(1.5, 6), rng.uniform(0.55, 0.95))
    return tint(_weathered(rng, h, w, rng.uniform(0.015, 0.07)), base)


def _masonry(
    rng: np.random.Generator, h: int, w: int, colour: Colour, rows: int, ratio: float, shift: float
) -> np.ndarray:
    """Blocks in courses with mortar between; `ratio` is length over height of one block."""
    y = np.broadcast_to((np.arange(h, dtype=np.float32) * rows / h)[:, None], (h, w))
    course = y.astype(int)
    x = np.arange(w, dtype=np.float32)[None] * rows / (h * ratio) + shift * (course % 2)
    column = x.astype(int)
    tones = rng.normal(1, 0.1, (rows + 1, int(column.max()) + 1)).astype(np.float32)
    tone = tones[course, column]
    edge = np.minimum(np.abs(y - np.round(y)), np.abs(x - np.round(x)) * ratio)
    mortar = 1 - smoothstep(edge, 0.03, 0.1)
    face = tint(tone * _weathered(rng, h, w, 0.06), colour, 0.3 * (tone - 1)).astype(np.float32)
    grey = np.asarray(hsv(0.1, 0.08, rng.uniform(0.35, 0.75)), np.float32)
    return _bytes(face + mortar[..., None] * (grey - face))


def _brick(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.uniform(0.0, 0.09), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.7))
    return _masonry(rng, h, w, base, int(rng.integers(7, 13)), rng.uniform(2.2, 3.2), 0.5)


def _tiles(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.uniform(0.03, 0.6), rng.uniform(0, 0.25), rng.uniform(0.4, 0.9))
    return _masonry(rng, h, w, base, int(rng.integers(5, 10)), 1.0, rng.choice([0.0, 0.5]))


def _wallpaper(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    base = colour or hsv(rng.random(), rng.uniform(0.05, 0.4), rng.uniform(0.45, 0.9))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) * (rng.uniform(40, 90) / max(h, w))
    motif = np.sin(x) * (np.sin(y) if rng.random() < 0.6 else 1) + 0.5 * np.sin(2 * x + np.cos(y))
    return tint(_weathered(rng, h, w, 0.03) + 0.08 * smoothstep(motif, 0.1, 0.5), base)


def _photo_material(name: str) -> Callable[..., np.ndarray]:
    """A grey photograph of a material, cropped, turned and tinted."""

    def make(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
        grey = photo(name)[..., 1]
        side = int(rng.uniform(0.35, 1.0) * min(grey.shape))
        top, left = (int(rng.integers(0, s - side + 1)) for s in grey.shape)
        crop = np.rot90(grey[top : top + side, left : left + side], int(rng.integers(0, 4)))
        crop = cv2.resize(crop, (w, h), interpolation=cv2.INTER_AREA).astype(np.float32)
        hues = {"grass": (0.16, 0.3, 0.3, 0.65), "gravel": (0.05, 0.6, 0.0, 0.15)}
        low, high, pale, deep = hues.get(name, (0.0, 0.1, 0.1, 0.5))
        hue, saturation = rng.uniform(low, high), rng.uniform(pale, deep)
        base = colour or hsv(hue, saturation, rng.uniform(0.35, 0.7))
        relief = 1 + rng.uniform(0.5, 1.1) * (crop / max(1.0, float(crop.mean())) - 1)
        return tint(relief, base, 0.03 * noise(rng, h, w, "smooth"))

    return make


def _leaves(rng: np.random.Generator, h: int, w: int, colour: Colour | None) -> np.ndarray:
    """Foliage from afar: clumps lit from above, deep shadow between them."""
    base = colour or hsv(rng.uniform(0.17, 0.36), rng.uniform(0.3, 0.65), rng.uniform(0.3, 0.55))
    clump = noise(rng, h, w, "cloud", max(h, w) / 220)
    lit = clump - np.roll(clump, max(1, h // 40), axis=0)
    grey = 0.95 + 0.22 * clump + 0.35 * lit + 0.2 * noise(rng, h, w, "rough")
    return tint(np.maximum(grey, 0.15), base, 0.1 * clump)


def _bytes(rgb: np.ndarray) -> np.ndarray:
    """Clip a float (h, w, 3) picture in 0..255 to uint8."""
    return np.clip(rgb, 0, 255).astype(np.uint8)


_MAKERS: dict[str, Callable[..., np.ndarray]] = {
    "wood": _wood, "planks": _planks, "metal": _metal, "plastic": _plastic, "rust": _rust,
    "fabric": _fabric, "cardboard": _cardboard, "concrete": _concrete, "asphalt": _asphalt,
    "sand": _sand, "plaster": _plaster, "brick": _brick, "tiles": _tiles, "leaves": _leaves,
    "wallpaper": _wallpaper, "pavers": _photo_material("brick"),
    "grass": _photo_material("grass"), "gravel": _photo_material("gravel"),
}  # fmt: skip
PHOTOGRAPHED = {"pavers": "brick", "grass": "grass", "gravel": "gravel"}  # kind to photograph
TEXTURES: tuple[str, ...] = tuple(_MAKERS)


def texture(
    rng: np.random.Generator,
    kind: str,
    height: int = 128,
    width: int = 128,
    colour: Colour | None = None,
) -> np.ndarray:
    """Make a (height, width, 3) uint8 patch of a surface named in `TEXTURES`.

    `colour` is the mean RGB in 0..255; None lets the material choose a natural one.
    """
    return _MAKERS[kind](rng, height, width, colour)


def choose(rng: np.random.Generator, options: str) -> str:
    """One of the words in a space-separated list, each as likely as the others."""
    words = options.split()
    return words[int(rng.integers(len(words)))]

"""An indoor scene: walls, floor, pictures and furniture."""

import cv2
import numpy as np

from synth.people.scenery.colour import Colour, hsv, mean_colour
from synth.people.scenery.finish import blur
from synth.people.scenery.frame import View, hang, upright
from synth.people.scenery.ground import EYE, lay_ground
from synth.people.scenery.photos import PICTURES, photo_crop
from synth.people.scenery.props import stand
from synth.people.scenery.sky import draw_sky, haze_of, treeline
from synth.people.scenery.textures import choose, texture

SMALL = ("brick", "planks")  # courses that are repeated once more to be of real size
# What may stand along the wall, with its usual height in metres.
_INDOOR_PROPS = {
    "sofa": 0.85, "chair": 0.95, "table": 0.75, "shelf": 1.8, "potted_plant": 1.1, "box": 0.5,
    "bin": 0.7, "suitcase": 0.8, "crate": 0.5, "curtain": 2.3,
}  # fmt: skip


def _picture(rng: np.random.Generator, n: int, photos: list[str]) -> np.ndarray:
    """What hangs in a frame: a photograph's crop, noted in `photos`, or a soft landscape."""
    if rng.random() < 0.5:
        photos.append(PICTURES[int(rng.integers(3))])
        return photo_crop(rng, photos[-1], n)
    return _landscape(rng, n)


def _landscape(rng: np.random.Generator, n: int) -> np.ndarray:
    """What shows through a window."""
    frame = draw_sky(rng, n, 0.6 * n)
    treeline(rng, frame, 0.6 * n, 0.2 * n, haze_of(frame, 0.6 * n), 0.2)
    frame[int(0.6 * n) :] = np.asarray(hsv(rng.uniform(0.1, 0.35), 0.4, 0.45), np.float32)
    return np.clip(blur(frame, n / 40), 0, 255).astype(np.uint8)


def _decorate(rng: np.random.Generator, frame: np.ndarray, floor: float, metre: float) -> list[str]:
    """Hang windows, doors and pictures on the back wall; returns the photographs among them."""
    n = len(frame)
    photos: list[str] = []
    trim = hsv(0.1, rng.uniform(0, 0.4), rng.uniform(0.3, 0.95))
    for _ in range(int(rng.integers(0, 5))):
        x = rng.uniform(-0.1, 0.9) * n
        kind = int(rng.integers(3))  # a door, a window or a picture: width, height, sill
        sizes = [(0.9, 2.0, 0.0), (1.3, 1.2, 0.95), (rng.uniform(0.4, 0.9), 0.6, 1.3)]
        width, height, low = sizes[kind]
        box = upright(x, floor - (low + height) * metre, x + width * metre, floor - low * metre)
        rim = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * 0.06 * metre
        border = texture(rng, "wood", 48, 48, trim)
        hang(frame, border, box - 0.3 * rim, 0.55)
        hang(frame, border, box)
        if kind == 0:
            hang(frame, texture(rng, choose(rng, "wood plaster"), 64, 64), box + rim, 0.9)
            panel = box + 3.5 * rim
            hang(frame, border, panel, 0.8)
            continue
        inside = _landscape(rng, 64) if kind == 1 else _picture(rng, 64, photos)
        hang(frame, inside, box + rim, 1.15 if kind == 1 else 0.85)
        if kind == 1:
            middle = x + width * metre / 2
            bar = upright(middle - 0.03 * metre, box[0, 1], middle + 0.03 * metre, box[2, 1])
            hang(frame, border, bar)
    return photos


def _fine(patch: np.ndarray) -> np.ndarray:
    """Repeat a patch twice each way, mirrored so that no seam shows, for courses of real size."""
    return cv2.copyMakeBorder(patch, 0, len(patch), 0, len(patch), cv2.BORDER_REFLECT)


def room(rng: np.random.Generator, n: int) -> View:
    """A room: a back wall with what hangs on it, a floor, and furniture along the wall."""
    horizon, floor = rng.uniform(0.25, 0.45) * n, rng.uniform(0.6, 0.86) * n
    metre = (floor - horizon) / EYE
    kinds = "plaster plaster plaster wallpaper brick concrete planks tiles"
    colour: Colour | None = None
    if rng.random() < 0.5:
        hue = rng.choice([0.09, 0.14, 0.3, 0.55, 0.6])
        colour = hsv(hue, 0.6 * rng.beta(1.5, 4), rng.uniform(0.45, 0.95))
    kind = choose(rng, kinds)
    wall = _fine(texture(rng, kind, 256, 256, colour))
    if kind in SMALL:
        wall = cv2.resize(_fine(wall), (512, 512), interpolation=cv2.INTER_AREA)
    shade = np.float32(rng.uniform(0.8, 1.05))
    frame = cv2.resize(wall, (n, n), interpolation=cv2.INTER_AREA).astype(np.float32) * shade
    mean = mean_colour(frame) * np.float32(0.8)
    patch = texture(rng, choose(rng, "planks planks tiles concrete fabric wood tiles"), 256, 256)
    ground = lay_ground(rng, n, horizon, patch, rng.uniform(1.2, 2.5), mean)
    frame[int(floor) :] = ground[int(floor) :]
    photos = _decorate(rng, frame, floor, metre)
    skirting = texture(rng, "plaster", 8, 64, hsv(0.1, 0.1, rng.uniform(0.2, 0.95)))
    hang(frame, skirting, upright(0, floor - 0.1 * metre, n, floor))
    if rng.random() < 0.55:
        _side_wall(rng, frame, wall, horizon, floor)
    rows = (np.arange(n, dtype=np.float32) - floor) / (0.05 * n)
    frame *= (1 - 0.35 * np.exp(-(rows**2)))[:, None, None]  # light does not reach the corner
    names = list(_INDOOR_PROPS)
    for foot in np.sort(rng.uniform(floor + 0.005 * n, floor + 0.1 * n, int(rng.integers(0, 6)))):
        name = names[int(rng.integers(len(names)))]
        x = rng.uniform(0, 1) * n
        stand(rng, frame, name, _INDOOR_PROPS[name], x, float(foot), horizon, mean)
    return View(frame, floor, tuple(photos))


def _side_wall(
    rng: np.random.Generator, frame: np.ndarray, wall: np.ndarray, horizon: float, floor: float
) -> None:
    """A second wall that comes towards the camera from a corner of the room."""
    n = len(frame)
    side = 1 if rng.random() < 0.5 else -1
    corner = n * (0.5 + side * rng.uniform(0.15, 0.42))
    edge, slope = n * (0.5 + side * 0.55), rng.uniform(0.8, 1.8)
    run = abs(edge - corner) * slope
    top, grow = -0.4 * n, 1 + run / (floor - horizon)
    corners = np.array([(corner, top), (edge, horizon + (top - horizon) * grow),
                        (edge, floor + run), (corner, floor)])  # fmt: skip
    if side < 0:
        corners = corners[[1, 0, 3, 2]]
    hang(frame, wall, corners, rng.uniform(0.6, 0.9))

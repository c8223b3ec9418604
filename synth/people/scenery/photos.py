"""The few photographs that textures and scenes lean on.

They are those inside the scikit-image wheel whose documentation puts them in the public domain or
under CC0; none is ever downloaded.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from synth.errors import InputError


class Photo(NamedTuple):
    """A photograph in the scikit-image wheel, and what scikit-image says of its origin."""

    file: str
    licence: str
    origin: str


# The notes of `skimage.data.brick`, `grass`, `gravel`, `chelsea`, `coffee` and `rocket`. Left out:
# the motorcycle pair (no licence), astronaut and camera (people), and what is no scene.
PHOTOS = {
    "brick": Photo("brick.png", "CC0-1.0", "CC0Textures, Bricks25"),
    "grass": Photo("grass.png", "CC0-1.0", "linolafett on DeviantArt, Grass 01"),
    "gravel": Photo("gravel.png", "CC0-1.0", "CC0Textures, Gravel04"),
    "cat": Photo("chelsea.png", "CC0-1.0", "Stefan van der Walt"),
    "coffee": Photo("coffee.png", "CC0-1.0", "Rachel Michetti, Pikolo Espresso Bar"),
    "rocket": Photo("rocket.jpg", "public domain", "SpaceX, DSCOVR on Falcon 9"),
}
PICTURES = ("cat", "coffee", "rocket")  # they hang in frames on walls


@cache
def photo(name: str) -> np.ndarray:
    """Read one of `PHOTOS` as a read-only (h, w, 3) uint8 RGB array.

    Raises InputError if the installed scikit-image does not carry the file.
    """
    spec = find_spec("skimage")
    root = Path(spec.origin).parent if spec and spec.origin else Path("skimage")
    path = root / "data" / PHOTOS[name].file
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if pixels is None:
        raise InputError(f"{path}: bundled photo is missing; reinstall scikit-image")
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    rgb.setflags(write=False)
    return rgb


def photo_crop(rng: np.random.Generator, name: str, n: int) -> np.ndarray:
    """A random square of a photograph, mirrored half of the time, (n, n, 3) uint8."""
    picture = photo(name)
    height, width = picture.shape[:2]
    side = int(rng.uniform(0.45, 1.0) * min(height, width))
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    crop = picture[top : top + side, left : left + side]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    return cv2.resize(crop, (n, n), interpolation=cv2.INTER_AREA if side > n else cv2.INTER_LINEAR)

"""The few photographs that textures and scenes lean on.

They are those inside the scikit-image wheel whose documentation puts them in the public domain or
under CC0; none is ever downloaded.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from synth.errors import InputError

# CC0 or public domain by scikit-image's own notes, and free of people.  The motorcycle pair also
# ships in the wheel but carries no licence; astronaut and camera show people.
PHOTOS = {
    "brick": "brick.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
}
PICTURES = ("cat", "coffee", "rocket")


@cache
def photo(name: str) -> np.ndarray:
    """Read one of `PHOTOS` as a read-only (h, w, 3) uint8 RGB array.

    Raises InputError if the installed scikit-image does not carry the file.
    """
    spec = find_spec("skimage")
    root = Path(spec.origin).parent if spec and spec.origin else Path("skimage")
    path = root / "data" / PHOTOS[name]
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

"""Pictures on disk and in memory: (H, W) uint8 grey masks and (H, W, 3) uint8 RGB photos."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from synth.codec import is_whole_png
from synth.errors import InputError

Picture = NDArray[np.uint8]


def encode_png(picture: Picture) -> bytes:
    """PNG bytes of a grey or RGB picture."""
    return _encode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def encode_jpeg(picture: Picture, quality: int) -> bytes:
    """JPEG bytes of a grey or RGB picture, colour at full resolution."""
    full = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, full]
    return _encode(".jpg", picture, flags)


def _encode(extension: str, picture: Picture, flags: list[int]) -> bytes:
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    worked, data = cv2.imencode(extension, bgr, flags)
    if not worked:
        raise RuntimeError(f"OpenCV could not encode a {picture.shape} picture as {extension}")
    return bytes(data)


def read_png(path: Path, shape: tuple[int, ...]) -> Picture | None:
    """A stored prediction of the expected shape, (H, W) or (H, W, 3); None where there is none.

    Raises:
        InputError: not a picture, or one of another size or kind.
    """
    if not path.is_file():
        return None
    content = path.read_bytes()
    data = np.frombuffer(content, np.uint8)
    found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if is_whole_png(content) else None
    if found is None:
        raise InputError(f"{path}: not a readable picture; remove its folder and run again")
    if found.shape != shape or found.dtype != np.uint8:
        raise InputError(
            f"{path}: is {found.shape} {found.dtype}, not {shape} uint8; "
            "remove its folder and run again"
        )
    rgb = found if found.ndim == 2 else cv2.cvtColor(found, cv2.COLOR_BGR2RGB)
    return np.asarray(rgb, np.uint8)

"""Pictures on disk and in memory: (H, W) uint8 grey masks and (H, W, 3) uint8 RGB photos."""

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synth.codec import is_whole_png
from synth.errors import InputError

Picture = NDArray[np.uint8]


def encode_png(picture: Picture) -> bytes:
    """PNG bytes of a grey or RGB picture."""
    return _encode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 6])


def encode_webp(picture: Picture, quality: int) -> bytes:
    """Lossy WebP bytes of an RGB or RGBA picture, two thirds of a JPEG that looks the same."""
    return _encode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])


def encode_indexed(layer: Picture, palette: Sequence[tuple[int, int, int, int]]) -> bytes:
    """PNG bytes of an (H, W) layer of palette indices; the palette's entries are RGBA."""
    picture = Image.fromarray(layer, "P")
    picture.putpalette([value for colour in palette for value in colour[:3]])
    written = io.BytesIO()
    opacity = bytes(colour[3] for colour in palette)
    picture.save(written, "PNG", transparency=opacity, compress_level=6)
    return written.getvalue()


def _encode(extension: str, picture: Picture, flags: list[int]) -> bytes:
    ways = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, ways[picture.shape[2]])
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

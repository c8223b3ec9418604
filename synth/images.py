"""Reading pictures and masks that a stranger made: checked first, decoded second.

Pillow only warns of decompression bombs, so sizes are checked here before anything is allocated.
"""

import io
import os
import re
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from synth.errors import InputError, MachineError, MissingError, machine_fault

MAX_PIXELS = 64_000_000
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
T = TypeVar("T")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_JPEGS = ("JPEG", "MPO")
_ORIENTATION = 0x0112
# Begins what differs between files with one fault: whoever counts reasons cuts it off.
DETAILS = " [decoder: "
_END_OF_JPEG = b"\xff\xd9"
# Of a JPEG: markers but those that restart a scan; frames in Huffman codes; a scan; the end.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_FRAMES, _SCAN, _END, _RESTART = (0xC0, 0xC1, 0xC2), 0xDA, 0xD9, 0xD0
_NOISE = np.random.default_rng(0).integers(0, 255, (8, 256), np.uint8)  # no 255, so no marker
_LARGEST_JPEG = 4 * MAX_PIXELS
_AS_STORED = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) of a picture as it would be decoded, read from its header alone.

    Raises:
        InputError: missing, or no picture of a known format.
    """
    image = _open(Path(path))
    with image:
        width, height = image.size
        turned = _turned(Path(path), image)
    return (width, height) if turned else (height, width)


def is_turned(path: str | os.PathLike[str]) -> bool:
    """Whether the orientation in a picture's EXIF swaps its sides.

    Raises:
        InputError: as `image_size`.
    """
    with _open(Path(path)) as image:
        return _turned(Path(path), image)


def _turned(path: Path, image: Image.Image) -> bool:
    """Whether the orientation swaps the sides; to know it Pillow decodes all of a PNG."""
    return _guard(path, lambda: image.getexif().get(_ORIENTATION, 1)) in (5, 6, 7, 8)


def checked_size(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """`image_size` of a picture that was decoded to its end, JPEGs coarsely.

    A truncated picture is refused, also a JPEG that was cut and closed again with the mark of its
    end, which decoders fill up with grey. Not noticed: wrong bytes that still decode, and a
    progressive JPEG that lacks whole scans, which is only less sharp.

    Raises:
        InputError: as `read_rgb`.
    """
    with _open(Path(path)) as image:
        _check_pixels(Path(path), image, max_pixels)
        width, height = image.size
        _guard(Path(path), lambda: _decode_to_the_end(Path(path), image))
        turned = _turned(Path(path), image)
    return (width, height) if turned else (height, width)


def _decode_to_the_end(path: Path, image: Image.Image) -> None:
    """Raise whatever the decoder does, or OSError, where a picture lacks a part.

    A decoder that meets a marker in a JPEG's scan is silent and fills up with grey; behind a scan
    that is complete it passes over whatever comes before the next marker. So the marker is put off.
    Where all is one scan, zeros without a marker follow: a scan that needs more runs out of data.
    Of several scans the last must give the same picture with noise behind it.
    """
    content = _jpeg_bytes(path) if image.format in _JPEGS else b""
    frame, ends = _scans(content)
    if frame not in _FRAMES or not ends:
        image.draft(None, (1, 1))
        image.load()
    elif len(ends) == 1:
        with _jpeg(content[: ends[0]] + bytes(16)) as padded:  # decoders read 8 ahead
            padded.draft(None, (1, 1))
            padded.load()
    else:
        whole = content[: ends[-1]].rstrip(b"\xff")  # which may fill up before a marker
        with _jpeg(whole + _noise(whole)) as noisy:
            if zlib.crc32(image.tobytes()) != zlib.crc32(noisy.tobytes()):
                raise OSError("the picture ends before its last row")


def _jpeg(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=["JPEG"])


def _jpeg_bytes(path: Path) -> bytes:
    size = path.stat().st_size
    if size > _LARGEST_JPEG:
        raise InputError(f"{path}: is a JPEG of {size} bytes; save it anew or remove it")
    return path.read_bytes()


def _scans(content: bytes) -> tuple[int, list[int]]:
    """The kind of a JPEG's frame, 0 where there is none, and where the data of each scan ends.

    A last scan without a marker behind it has no end.
    """
    ends: list[int] = []
    frame, in_scan, place = 0, False, 2
    while marker := _MARKER.search(content, place):
        kind = content[marker.end() - 1]
        if in_scan:
            ends.append(marker.start())
        if kind == _END:
            break
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # tables are no frames
            frame = kind
        in_scan = kind == _SCAN
        place = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2], "big")
    else:
        ends = [] if in_scan else ends
    return frame, ends


def _noise(scan: bytes) -> bytes:
    """What a scan that is not complete takes for its data, restarts included, and the end."""
    last = max((scan.rfind(bytes((255, _RESTART + i))), i) for i in range(8))
    first = last[1] + 1 if last[0] > scan.rfind(bytes((255, _SCAN))) else 0
    restarts = [bytes((255, _RESTART + (first + i) % 8)) for i in range(8)]
    pieces = [noise.tobytes() + mark for noise, mark in zip(_NOISE, restarts, strict=True)]
    return b"".join(pieces) + _END_OF_JPEG


def read_rgb(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A picture as (H, W, 3) uint8 RGB, turned upright by its EXIF orientation.

    Greyscale, palette, CMYK and 16 bit are converted; an alpha channel is dropped, because what
    lies under it is still the photo.

    Raises:
        InputError: missing, corrupt, truncated, or more than ``max_pixels``.
    """
    plain = _plain_jpeg(Path(path), max_pixels)
    if plain is not None:
        return plain
    image = _decode(Path(path), max_pixels)
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(_to_bytes(np.asarray(image))[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))


def read_rgba(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A picture with transparency as (H, W, 4) uint8 RGB and straight alpha, turned upright.

    Palettes and transparent colours are resolved; of 16 bit the upper 8 are taken.

    Raises:
        InputError: as `read_rgb`, or the picture has no transparency.
    """
    image = _decode(Path(path), max_pixels)
    if not image.has_transparency_data:
        raise InputError(f"{path}: has no transparency; save it as PNG or WebP with alpha")
    # What decodes may still hold a broken palette or transparent colour.
    return _guard(Path(path), lambda: np.array(image.convert("RGBA")))


def _plain_jpeg(path: Path, max_pixels: int) -> np.ndarray | None:
    """A JPEG in colour that ends where it should and lies upright, else None.

    Most photos are such, and OpenCV decodes them to the same pixels as Pillow in half the time.
    """
    with _open(path) as image:
        _check_pixels(path, image, max_pixels)
        if (image.format, image.mode) != ("JPEG", "RGB"):
            return None
        if _guard(path, lambda: image.getexif().get(_ORIENTATION, 1)) != 1:
            return None
        shape = (image.height, image.width, 3)
    content = _guard(path, lambda: _jpeg_bytes(path))
    frame, ends = _scans(content)  # a stray marker would be passed over with a complaint
    if frame not in _FRAMES or ends[-1:] != [len(content) - 2]:
        return None
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), _AS_STORED)
    return pixels if pixels is not None and pixels.shape == shape else None


def _to_bytes(grey: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(grey.astype(np.float64))
    full = 255.0 if values.max(initial=0) <= 255 else 65535.0
    return np.clip(np.rint(values * (255.0 / full)), 0, 255).astype(np.uint8)


def read_mask(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A mask as (H, W) bool: 0/1, 0/255 or soft grey, palette or label map, alpha channel.

    An alpha channel that varies is the mask. Otherwise pixels of at least half the full range
    belong to it; where none is that bright (0/1 masks, label maps), every pixel that is not 0.
    Of a palette the colours count, not their order: greys as above, else all that is not black.

    Raises:
        InputError: as `checked_size`, or a palette without a black background.
    """
    image = _decode(Path(path), max_pixels, to_the_end=True)
    if image.mode == "P":
        return _palette_mask(Path(path), image)
    if image.mode in ("LA", "RGBA", "PA"):
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() != alpha.max():
            return np.asarray(alpha >= 128)
        image = image.convert("L" if image.mode == "LA" else "RGB")
    values = np.asarray(image.convert("RGB") if image.mode == "CMYK" else image)
    return _bright(values.max(axis=2) if values.ndim == 3 else values)


def _bright(grey: np.ndarray) -> np.ndarray:
    if grey.dtype == np.bool_:
        return np.array(grey)
    half = 128 if grey.max(initial=0) <= 255 else 32768
    least = half if grey.max(initial=0) >= half else 1
    return np.asarray(grey >= least)


def _palette_mask(path: Path, image: Image.Image) -> np.ndarray:
    indices = np.asarray(image)
    places = np.full(256, -1)
    places[indices.ravel()] = np.arange(indices.size)
    used = np.flatnonzero(places >= 0)
    colours = np.asarray(image.convert("RGB")).reshape(-1, 3)[places[used]]
    values, grey = colours.max(axis=1), bool((colours == colours[:, :1]).all())
    belongs = _bright(values) if grey else values > 0
    # By convention the first colour is the background; that of a few labels may also be white.
    strange = len(used) > 2 and not grey and used[0] == 0 and belongs[0]
    if len(used) > 1 and (belongs.all() or strange):
        raise InputError(
            f"{path}: has a palette in which no black background is seen; save the mask as a grey "
            "picture, 255 in it and 0 around it"
        )
    return np.isin(np.arange(256), used[belongs])[indices]


def read_labels(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A label map as (H, W) uint8: grey values or palette indices, never colours.

    Raises:
        InputError: as `read_rgb`; or a picture whose channels differ; or labels above 255.
    """
    image = _decode(Path(path), max_pixels)
    values = np.asarray(image)
    if values.ndim == 3:
        colours = values[:, :, :1] if image.mode == "LA" else values[:, :, :3]
        if (colours != colours[:, :, :1]).any():
            raise InputError(f"{path}: is a colour picture; save labels as a grey or palette PNG")
        values = colours[:, :, 0]
    if values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise InputError(f"{path}: has labels outside 0 to 255; save it with 8 bit labels")
    return values.astype(np.uint8)


def _open(path: Path) -> Image.Image:
    if not _guard(path, path.is_file):
        raise MissingError(f"{path}: no such picture file; check the path or download it again")

    def start() -> Image.Image:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(path, formats=_FORMATS)

    return _guard(path, start)


def _decode(path: Path, max_pixels: int, to_the_end: bool = False) -> Image.Image:
    with _open(path) as image:
        _check_pixels(path, image, max_pixels)
        if to_the_end and image.format in _JPEGS:  # of other formats what follows finds out
            checked_size(path, max_pixels)
        return _guard(path, lambda: _upright(image))


def _check_pixels(path: Path, image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise InputError(
            f"{path}: {width}x{height} is above the limit of {max_pixels} pixels; "
            "scale the picture down or remove it"
        )


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    return ImageOps.exif_transpose(image)


def _guard(path: Path, step: Callable[[], T]) -> T:
    """Run a step of decoding; whatever a broken file makes Pillow raise becomes one line."""
    try:
        return step()
    except Image.DecompressionBombError:
        raise InputError(
            f"{path}: is far too large to decode; scale the picture down or remove it"
        ) from None
    except (InputError, MachineError):
        raise
    # Pillow's parsers raise OSError, SyntaxError, struct.error, IndexError ... on broken files.
    except Exception as error:
        if fault := machine_fault(path, error):
            raise fault from None
        raise InputError(
            f"{path}: cannot be decoded; repair, replace or remove the file{DETAILS}{_said(error)}]"
        ) from None


def _said(error: Exception) -> str:
    """What a decoder said, without the path that it may name."""
    if isinstance(error, UnidentifiedImageError):
        return "of no known format"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__

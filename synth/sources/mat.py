"""Arrays out of MATLAB files that a stranger made."""

import struct
import zlib
from pathlib import Path

import numpy as np
import scipy.io

from synth.errors import InputError
from synth.images import MAX_PIXELS

_HEADER = 128
_VERSION_5 = b"\0\1IM"  # its low byte first
# Version 5 of the format: types of elements by what they hold.
_COMPRESSED, _MATRIX, _FLAGS, _SIZES, _NAME, _BYTES = 15, 14, 6, 5, 1, 2
# Classes that hold plain numbers: double and uint8; small doubles too are stored as bytes.
_CLASSES = (6, 9)


def read_mat(path: Path, key: str) -> np.ndarray:
    """One array of a MATLAB file; InputError when it is missing, broken or absurdly large."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; download it again")
    try:
        plain = _label_map(path.read_bytes(), key)
        return _any_array(path, key) if plain is None else plain
    except InputError:
        raise
    # scipy's reader raises whatever a broken file trips it over, even zlib's own errors.
    except Exception as error:
        text = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read ({text}); download it again") from None


def _any_array(path: Path, key: str) -> np.ndarray:
    found = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
    if int(np.prod(found.get(key, (0,)), dtype=np.float64)) > MAX_PIXELS:
        raise InputError(f"{path}: {key} is far too large; download it again")
    return np.asarray(scipy.io.loadmat(path, variable_names=[key])[key])


def _label_map(content: bytes, key: str) -> np.ndarray | None:
    """A matrix of 8 bit numbers that is the file's first, compressed variable, else None.

    That is how label maps are stored; scipy, which reads everything, would inflate them twice.
    """
    plain = content.startswith(b"MATLAB") and content[124:_HEADER] == _VERSION_5
    if not plain or len(content) < _HEADER + 8:
        return None
    kind, size = struct.unpack_from("<II", content, _HEADER)
    if kind != _COMPRESSED:
        return None
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(content[_HEADER + 8 : _HEADER + 8 + size], MAX_PIXELS)
    except zlib.error:
        return None
    return _matrix(raw, key.encode()) if inflater.eof else None


def _matrix(raw: bytes, name: bytes) -> np.ndarray | None:
    """The matrix in an inflated element where each part is the plainest the format allows."""
    padded = name + b"\0" * (-len(name) % 8)
    start = 48 + len(padded) + 8
    if len(raw) < start:
        return None
    (kind,) = struct.unpack_from("<I", raw, 16)
    height, width = struct.unpack_from("<2I", raw, 32)
    area = height * width
    if kind not in _CLASSES or not 0 < area <= len(raw) - start:
        return None
    parts = (_MATRIX, len(raw) - 8, _FLAGS, 8, kind, 0, _SIZES, 8, height, width, _NAME, len(name))
    if raw[:start] != struct.pack("<12I", *parts) + padded + struct.pack("<2I", _BYTES, area):
        return None
    flat = np.frombuffer(raw, np.uint8, area, start)
    return flat.reshape(height, width, order="F")

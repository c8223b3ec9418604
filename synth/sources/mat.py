"""Arrays out of MATLAB files that a stranger made.

Files of version 5, which MATLAB 5 to 7 write, are read here: scipy believes what such a file says
of the sizes of its arrays, those within cells too, and can be brought to crash. Nothing is made
here that the file does not hold byte by byte. Numbers stay of the type they are stored in.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.io

from synth.errors import InputError, MissingError, machine_fault
from synth.images import MAX_PIXELS

_HEADER = 128
# Types of elements by what they hold, and classes of arrays.
_COMPRESSED, _MATRIX, _FLAGS, _SIZES, _NAME = 15, 14, 6, 5, 1
_CELL, _TEXT, _NUMBERS, _COMPLEX = 1, 4, range(6, 16), 0x800
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
          13: "u8"}  # fmt: skip
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_MOST_PARTS, _DEEPEST = 50_000, 8
Part = tuple[int, memoryview]


class _TooLargeError(Exception):
    """An array is larger than any that is wanted here."""


def read_mat(path: Path, key: str) -> np.ndarray:
    """One array of a MATLAB file: numbers, text, or cells of these.

    Raises:
        InputError: it is missing, broken, of another kind, or absurdly large.
    """
    if not path.is_file():
        raise MissingError(f"{path}: no such file; download it again")
    try:
        if path.stat().st_size > MAX_PIXELS:
            raise _TooLargeError
        if scipy.io.matlab.matfile_version(path)[0] == 0:
            return _version_4(path, key)
        return _version_5(path.read_bytes(), key)
    except _TooLargeError:
        raise InputError(f"{path}: {key} is far too large; download it again") from None
    # A broken file trips the readers over anything, and zlib has errors of its own.
    except Exception as error:
        if fault := machine_fault(path, error):
            raise fault from None
        text = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read ({text}); download it again") from None


def _version_4(path: Path, key: str) -> np.ndarray:
    found = {name: shape for name, shape, _ in scipy.io.whosmat(path)}
    if math.prod(found.get(key, (0,))) > MAX_PIXELS // 8:  # numbers of eight bytes
        raise _TooLargeError
    return np.asarray(scipy.io.loadmat(path, variable_names=[key])[key])


def _version_5(content: bytes, key: str) -> np.ndarray:
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}[content[124:_HEADER]]  # an HDF5 file has neither
    for kind, body in _variables(content, order):
        if kind == _MATRIX:
            _, _, name, _ = _head(body, order)
            if name == key.encode():
                return _array(body, order)
    raise ValueError(f"no {key} in it")


def _variables(content: bytes, order: str) -> Iterator[Part]:
    place = _HEADER
    while place < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        body = memoryview(content)[place + 8 : place + 8 + size]
        if len(body) < size:
            raise ValueError("a variable is cut off")
        yield _inflated(body, order) if kind == _COMPRESSED else (kind, body)
        place += 8 + size


def _inflated(body: memoryview, order: str) -> Part:
    inflater = zlib.decompressobj()
    inflated = inflater.decompress(body, MAX_PIXELS)
    if inflater.unconsumed_tail:
        raise _TooLargeError
    if not inflater.eof or inflater.unused_data:
        raise ValueError("a compressed variable is cut off")
    (part,) = _parts(memoryview(inflated), order)
    return part


def _parts(content: memoryview, order: str) -> Iterator[Part]:
    """The elements that follow each other, each as its type and its bytes."""
    place = number = 0
    while place < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        start = place + 8
        if kind >> 16:  # up to four bytes, which take the place of their size
            kind, size, start = kind & 0xFFFF, kind >> 16, place + 4
        if start + size > len(content) or (start == place + 4 and size > 4):
            raise ValueError("an element is cut off")
        if number == _MOST_PARTS:
            raise _TooLargeError
        yield kind, content[start : start + size]
        place, number = start + size + (-(start + size)) % 8, number + 1


def _head(body: memoryview, order: str) -> tuple[int, tuple[int, ...], bytes, list[Part]]:
    """Flags and class, sizes and name of an array, and the elements that follow."""
    (flag_type, flags), (size_type, sizes), (name_type, name), *rest = _parts(body, order)
    if (flag_type, size_type, name_type) != (_FLAGS, _SIZES, _NAME):
        raise ValueError("an array has no head")
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError("an array has no sizes")
    return struct.unpack(f"{order}II", flags)[0], shape, bytes(name), rest


def _array(body: memoryview, order: str, depth: int = 0) -> np.ndarray:
    if not body:  # how an empty cell is written
        return np.zeros((0, 0))
    flags, shape, _, parts = _head(body, order)
    kind = flags & 0xFF
    if kind == _CELL and depth < _DEEPEST:
        return _cells(shape, parts, order, depth)
    if kind == _TEXT:
        ((text_type, text),) = parts
        return _texts(shape, bytes(text), _TEXTS[text_type], order)
    if kind not in _NUMBERS:
        raise ValueError("neither numbers nor text")
    values = [np.frombuffer(data, f"{order}{_TYPES[one]}") for one, data in parts]
    if len(values) != (2 if flags & _COMPLEX else 1):
        raise ValueError("an array lacks numbers")
    flat = values[0] + 1j * values[1] if flags & _COMPLEX else values[0]
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    return flat.reshape(shape, order="F")


def _cells(shape: tuple[int, ...], parts: list[Part], order: str, depth: int) -> np.ndarray:
    if len(parts) != math.prod(shape) or any(kind != _MATRIX for kind, _ in parts):
        raise ValueError("a cell lacks entries")
    flat = np.empty(len(parts), object)
    for place, (_, body) in enumerate(parts):
        flat[place] = _array(body, order, depth + 1)
    return flat.reshape(shape, order="F")


def _texts(shape: tuple[int, ...], content: bytes, code: str, order: str) -> np.ndarray:
    """A row of characters is one text."""
    if code == "utf-16":
        code += "-le" if order == "<" else "-be"
    characters = np.array(list(content.decode(code)), "U1").reshape(shape, order="F")
    if not shape[-1]:
        return np.zeros(shape[:-1], "U1")
    return np.ascontiguousarray(characters).view(f"U{shape[-1]}").reshape(shape[:-1])

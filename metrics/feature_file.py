"""Features of many photos, kept in a file so that memory does not grow with their number.

A file that was saved is in the safetensors format: one tensor "features", (n, dimensions) float32,
with the sample ids as JSON in its metadata. Files still being filled have no name, so nothing is
left behind even by a process that is killed; they lie in the folder of temporary files (`TMPDIR`).
"""

import json
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from metrics.atomic import whole_file
from metrics.errors import MetricsError

DIMENSIONS = 2048

_TYPE = np.dtype("<f4")
_BLOCK = 1024  # rows that are copied at a time
_LENGTH_BYTES = 8  # of the length of the header, with which a safetensors file begins

Rows = NDArray[np.float64]


class FeatureFile:
    """Feature vectors by sample id: append, read back, merge with another, save, load."""

    def __init__(self, dimensions: int = DIMENSIONS) -> None:
        self.dimensions = dimensions
        self._row_of: dict[str, int] = {}
        self._start = 0  # where the first row lies in the file
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (lives with this)

    def __len__(self) -> int:
        return len(self._row_of)

    def __contains__(self, sample_id: str) -> bool:
        return sample_id in self._row_of

    @property
    def sample_ids(self) -> list[str]:
        """In the order in which they were added."""
        return list(self._row_of)

    def append(self, sample_ids: Sequence[str], features: NDArray) -> None:
        """Add (B, dimensions) features. ValueError for another shape, nan, or an id seen before,
        and for a loaded file, which is only read."""
        rows = np.asarray(features, _TYPE)
        if rows.shape != (len(sample_ids), self.dimensions) or not np.isfinite(rows).all():
            wanted = (len(sample_ids), self.dimensions)
            raise ValueError(f"features must be finite {wanted}, got {rows.shape}")
        known = [key for key in sample_ids if key in self._row_of]
        if known or len(set(sample_ids)) < len(sample_ids):
            raise ValueError(f"features of a sample were added twice: {known or sample_ids}")
        if not self._file.writable():
            raise ValueError("features that were loaded take no more")
        os.pwrite(self._file.fileno(), rows.tobytes(), self._at(len(self)))
        for key in sample_ids:
            self._row_of[key] = len(self._row_of)

    def of(self, sample_ids: Iterable[str]) -> "FeatureRows":
        """The features of some samples, in that order; KeyError for an unknown one."""
        return FeatureRows(self, np.array([self._row_of[key] for key in sample_ids], np.intp))

    def merge(self, other: "FeatureFile") -> None:
        """Append everything of another file."""
        ids = other.sample_ids
        for start in range(0, len(ids), _BLOCK):
            self.append(ids[start : start + _BLOCK], other.read(start, start + _BLOCK))

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows start to stop, (n, dimensions) float32."""
        number = max(min(stop, len(self)) - start, 0)
        content = os.pread(self._file.fileno(), self._at(number) - self._start, self._at(start))
        return np.frombuffer(content, _TYPE).reshape(number, self.dimensions)

    def _at(self, row: int) -> int:
        return self._start + row * self.dimensions * _TYPE.itemsize

    def save(self, path: Path) -> None:
        """Write a file that `load` reads, atomically. MetricsError where that is refused."""
        with whole_file(path, "make room for it") as stream:
            stream.write(self._header())
            for start in range(0, len(self), _BLOCK):
                stream.write(self.read(start, start + _BLOCK).tobytes())

    def _header(self) -> bytes:
        tensor = {
            "dtype": "F32",
            "shape": [len(self), self.dimensions],
            "data_offsets": [0, self._at(len(self)) - self._start],
        }
        metadata = {"sample_ids": json.dumps(self.sample_ids)}
        text = json.dumps({"__metadata__": metadata, "features": tensor}).encode()
        text += b" " * (-len(text) % _LENGTH_BYTES)  # the format wants aligned numbers
        return len(text).to_bytes(_LENGTH_BYTES, "little") + text

    @classmethod
    def load(cls, path: Path) -> "FeatureFile":
        """Open what `save` wrote; the rows stay on disk. MetricsError for any other file."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as stored:  # checks sizes against the header
                features = stored.get_slice("features")
                ids = json.loads((stored.metadata() or {})["sample_ids"])
                _check(features.get_dtype(), features.get_shape(), ids)
            file = path.open("rb")
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise MetricsError(
                f"{path} is not a file of features ({reason}): delete it, it is made again"
            ) from error
        found = cls(features.get_shape()[1])
        found._file = file
        found._start = _LENGTH_BYTES + int.from_bytes(file.read(_LENGTH_BYTES), "little")
        found._row_of = {key: row for row, key in enumerate(ids)}
        return found

    def __getstate__(self) -> dict[str, Any]:
        """For another process: the rows themselves, since the file has no name."""
        return {"ids": self.sample_ids, "rows": self.read(0, len(self))}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["rows"].shape[1])  # type: ignore[misc]
        self.append(state["ids"], state["rows"])


def _check(dtype: str, shape: Sequence[int], ids: Any) -> None:
    """Raise ValueError unless there is a row of float32 for each of some different names."""
    if dtype != "F32" or len(shape) != 2:
        raise ValueError(f"features are {dtype} of shape {shape}")
    if not isinstance(ids, list) or not all(isinstance(key, str) for key in ids):
        raise ValueError("its sample ids are no names")
    if len(set(ids)) != shape[0]:
        raise ValueError(f"{shape[0]} rows for {len(set(ids))} samples")


class FeatureRows:
    """Some rows of a file as one (n, dimensions) matrix that is read piece by piece."""

    def __init__(self, file: FeatureFile, rows: NDArray[np.intp]) -> None:
        self._file, self._rows = file, rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self._rows), self._file.dimensions

    def __getitem__(self, wanted: slice | NDArray) -> Rows:
        """The rows that numpy would give, in float64."""
        rows = self._rows[wanted]
        found = np.empty((len(rows), self._file.dimensions))
        for place, row in enumerate(rows):
            found[place] = self._file.read(row, row + 1)
        return found

"""Reads tensors out of pickles and TorchScript archives as data, running none of their code.

A pickle may name any Python function and have it called. Here every name is looked up in a short
list; a name that is not on it ends the reading with a `MetricsError`. `torch.jit.load` is not used:
it compiles and may run the program inside the archive, while all that is wanted are its numbers.
"""

import collections
import io
import pickle
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics.errors import MetricsError

Arrays = dict[str, NDArray[np.float32]]

# The three names in a pickle of plain arrays, under numpy's old and new module names.
_NUMPY_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _NumpyUnpickler(pickle.Unpickler):
    """Knows numpy arrays and the built-in containers, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NUMPY_NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        # numpy 2 renamed the module; the old name still resolves but warns.
        return super().find_class(module.replace("numpy.core.", "numpy._core."), name)


class _Record:
    """Stands for any object of a TorchScript archive: keeps its attributes, has no behaviour."""


def _rebuild_tensor(
    storage: NDArray[np.float32], offset: int, size: tuple, stride: tuple, *_: Any
) -> NDArray[np.float32]:
    """A dense tensor over its storage; other layouts do not occur in stored parameters."""
    count = int(np.prod(size, dtype=np.int64))
    dense = tuple(int(np.prod(size[i + 1 :], dtype=np.int64)) for i in range(len(size)))
    if tuple(stride) != dense or offset < 0 or offset + count > storage.size:
        raise pickle.UnpicklingError(f"tensor of size {size}, stride {stride} is not dense")
    return storage[offset : offset + count].reshape(size)


_TORCH_NAMES: dict[tuple[str, str], Callable | str] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch.jit._pickle", "build_intlist"): list,
    ("torch", "FloatStorage"): "float32",
}


class _TorchScriptUnpickler(pickle.Unpickler):
    """Turns modules into `_Record`s and tensors into float32 arrays."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(archive.read(f"{root}/data.pkl")))
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Record
        if (module, name) not in _TORCH_NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _TORCH_NAMES[module, name]

    def persistent_load(self, pid: Any) -> NDArray[np.float32]:
        kind, dtype, key = pid[0], pid[1], pid[2]
        if kind != "storage" or dtype != "float32":
            raise pickle.UnpicklingError(f"it holds a {dtype} {kind}, not float32 numbers")
        return np.frombuffer(self._archive.read(f"{self._root}/data/{key}"), dtype="<f4")


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, NDArray[np.float32]]]:
    """(dotted name, array) of all float32 arrays below a dict or `_Record`, in stored order."""
    if isinstance(node, np.ndarray):
        if node.dtype != np.float32:
            raise pickle.UnpicklingError(f"{path} holds {node.dtype}, not float32 numbers")
        yield path, node
        return
    children = vars(node) if isinstance(node, _Record) else node
    if isinstance(children, dict):
        for name, child in children.items():
            yield from _leaves(child, f"{path}.{name}" if path else str(name))


def _guarded(read: Callable[[], Any], origin: str) -> Arrays:
    """Flat arrays of what `read` returns; every way a hostile file can fail is one MetricsError."""
    try:
        return dict(_leaves(read()))
    except Exception as error:  # a broken pickle can raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MetricsError(
            f"{origin} was refused, it is not a plain file of arrays: {reason}; delete it"
        ) from error


def read_numpy_pickle(content: bytes, origin: str) -> Arrays:
    """Arrays of a pickle of nested dicts of float32 numpy arrays, by dotted name.

    `origin` names the file in errors. Raises MetricsError for anything else.
    """
    return _guarded(lambda: _NumpyUnpickler(io.BytesIO(content)).load(), origin)


def read_torchscript(content: bytes, origin: str) -> Arrays:
    """float32 parameters and buffers of a TorchScript archive, by dotted name, in stored order.

    `origin` names the file in errors. Raises MetricsError for anything else.
    """

    def read() -> Any:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise pickle.UnpicklingError(f"{len(pickles)} data.pkl inside")
            return _TorchScriptUnpickler(archive, pickles[0].removesuffix("/data.pkl")).load()

    return _guarded(read, origin)

"""Weights and training state on disk: whole or not there, and readable without running code."""

import io
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from hdeocc.folders import take_place
from synth.atomic import make_folder_of, write_bytes, write_text
from synth.errors import InputError

_PREFIX = "step-"


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write named tensors as safetensors, atomically."""
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    make_folder_of(path)
    write_bytes(path, save(plain))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Named tensors of a safetensors file; those kept in half precision become float32.

    Raises:
        InputError: missing file, or not a safetensors file.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weights; train the method first")
    try:
        return {name: _full(tensor) for name, tensor in load_file(path).items()}
    except SafetensorError as error:
        raise InputError(
            f"{path}: not a safetensors file ({error}); train again or restore it"
        ) from None


def _full(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def halve(path: Path) -> None:
    """Rewrite a safetensors file with float16 in place of float32, half as large.

    Raises:
        InputError: a number that half precision does not reach (65504).
    """
    tensors = {
        name: t.half() if t.dtype == torch.float32 else t for name, t in load_file(path).items()
    }
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise InputError(
                f"{path}: {name} is out of the range of half precision; leave out --half"
            )
    save_tensors(path, tensors)


def save_state(workdir: Path, step: int, tensors: dict[str, Tensor], optimisers: list[Any]) -> None:
    """Keep the training state after ``step`` steps as one folder; older ones are removed.

    It takes its name when all of it is on the disk, and the older ones go after that, so a process
    that is killed at any moment leaves a whole state behind, if ever there was one.

    Raises:
        InputError: the file system refused (disk full, no permission ...); the older ones are left.
    """
    final = workdir / f"{_PREFIX}{step:08d}"
    for left in workdir.glob(f".{_PREFIX}*.tmp"):
        shutil.rmtree(left)
    if final.exists():
        return
    temporary = workdir / f".{final.name}.tmp"
    temporary.mkdir(parents=True)
    try:
        save_tensors(temporary / "networks.safetensors", tensors)
        # torch reports a file that cannot be written as a fault of its own, without a reason.
        pickled = io.BytesIO()
        torch.save(optimisers, pickled)
        write_bytes(temporary / "optimisers.pt", pickled.getvalue())
        write_text(temporary / "state.json", json.dumps({"step": step}))
        take_place(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)  # a full disk needs the room
        raise
    for old in _states(workdir):
        if old != final:
            shutil.rmtree(old)


def load_state(workdir: Path) -> tuple[int, dict[str, Tensor], list[Any]] | None:
    """The newest state of a training, (step, tensors, optimiser states); None where none is.

    Raises:
        InputError: it is damaged.
    """
    states = _states(workdir)
    if not states:
        return None
    folder = states[-1]
    try:
        step = int(json.loads((folder / "state.json").read_text())["step"])
        optimisers = torch.load(folder / "optimisers.pt", weights_only=True, map_location="cpu")
    # torch's reader raises RuntimeError or EOFError on a cut file, UnpicklingError on another.
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError,
            pickle.UnpicklingError):  # fmt: skip
        raise InputError(f"{folder}: is damaged; remove it and run again") from None
    return step, load_tensors(folder / "networks.safetensors"), optimisers


def newest_step(workdir: Path) -> int | None:
    """The step whose state :func:`load_state` would find; None where there is none."""
    states = _states(workdir)
    number = states[-1].name.removeprefix(_PREFIX) if states else ""
    return int(number) if number.isdigit() else None


def clear_states(workdir: Path) -> None:
    """Remove what only an unfinished training needs."""
    for folder in _states(workdir):
        shutil.rmtree(folder)


def _states(workdir: Path) -> list[Path]:
    return sorted(p for p in workdir.glob(f"{_PREFIX}*") if p.is_dir()) if workdir.is_dir() else []

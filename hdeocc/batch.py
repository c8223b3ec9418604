"""A batch of samples as tensors, and the rule that a method sees only what it declares."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from synth.sample import Sample

# What a method may declare to consume at prediction time. ``clean`` is never among them.
INPUTS = ("image", "initial", "modal", "amodal", "parsing", "occluder")


class UndeclaredInput(AttributeError):
    """A method asked for a field that it does not declare to consume."""


class Batch:
    """B samples of H x W pixels; fields are read as attributes.

    Fields (float32 unless said): ``image``, ``clean`` (B, 3, H, W) in [0, 1]; ``initial``,
    ``modal``, ``amodal``, ``occluder`` (B, 1, H, W) in [0, 1]; ``parsing`` (B, H, W) int64 LIP-20
    with ``has_parsing`` (B,) bool; ``has_clean`` (B,) bool.

    Reading a field that was taken away by :meth:`only` raises :class:`UndeclaredInput`.
    """

    def __init__(self, ids: Sequence[str], fields: Mapping[str, Tensor]) -> None:
        self.ids = tuple(ids)
        self.fields = dict(fields)

    def __len__(self) -> int:
        return len(self.ids)

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("__") or name == "fields":
            raise AttributeError(name)
        try:
            return self.fields[name]
        except KeyError:
            raise UndeclaredInput(
                f"{name!r} is not among the inputs of this batch ({', '.join(self.fields)}); "
                "a method must name what it reads in `consumes`"
            ) from None

    def only(self, names: Iterable[str]) -> "Batch":
        """The same batch holding just the named inputs (``has_parsing`` goes with ``parsing``)."""
        wanted = set(names)
        if "parsing" in wanted:
            wanted.add("has_parsing")
        return Batch(self.ids, {k: v for k, v in self.fields.items() if k in wanted})

    def replace(self, **fields: Tensor) -> "Batch":
        """The same batch with some fields exchanged or added."""
        return Batch(self.ids, self.fields | fields)

    def part(self, chosen: Tensor) -> "Batch":
        """The samples where ``chosen`` (B,) bool is true, in their order."""
        ids = [one for one, wanted in zip(self.ids, chosen.tolist(), strict=True) if wanted]
        return Batch(ids, {k: v[chosen.to(v.device)] for k, v in self.fields.items()})

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device, pictures in channels-last memory."""
        return Batch(self.ids, {k: _moved(v, device) for k, v in self.fields.items()})


def _moved(tensor: Tensor, device: torch.device | str) -> Tensor:
    if tensor.dim() == 4:
        return tensor.to(device, memory_format=torch.channels_last, non_blocking=True)
    return tensor.to(device, non_blocking=True)


def collate(samples: Sequence[Sample]) -> Batch:
    """A batch of equally large samples; what is unknown is flagged.

    An unknown ``clean`` is the occluded image, an unknown ``parsing`` zeros.
    """
    no_labels = [s.parsing is None for s in samples]
    no_clean = [s.clean is None for s in samples]
    fields = {
        "image": _pictures([s.image for s in samples]),
        "clean": _pictures([s.image if s.clean is None else s.clean for s in samples]),
        "initial": _masks([s.initial for s in samples]),
        "modal": _masks([s.modal for s in samples]),
        "amodal": _masks([s.amodal for s in samples]),
        "occluder": _masks([s.occluder for s in samples]),
        "parsing": _labels([_parsing(s) for s in samples]),
        "has_parsing": ~torch.tensor(no_labels),
        "has_clean": ~torch.tensor(no_clean),
    }
    return Batch([s.sample_id for s in samples], fields)


def _parsing(sample: Sample) -> np.ndarray:
    if sample.parsing is None:
        return np.zeros(sample.amodal.shape, np.uint8)
    return sample.parsing


def _pictures(images: Sequence[np.ndarray]) -> Tensor:
    stacked = torch.from_numpy(np.stack(images))
    return stacked.permute(0, 3, 1, 2).float().div_(255)


def _masks(masks: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(masks).astype(np.float32))[:, None]


def _labels(parsings: Sequence[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(parsings)).long()

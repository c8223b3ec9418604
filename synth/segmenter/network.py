"""The segmenter's network, a U-Net of about a million weights, and its files.

(B, 3, SIDE, SIDE) RGB in [-1, 1] -> (B, 1, SIDE, SIDE) logits of "visible person".
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from synth.atomic import write_bytes
from synth.errors import InputError
from synth.segmenter.box import SIDE

_WIDTHS = (24, 48, 96, 160)
_NOTES = "notes"
_PATCH = 2  # the network works on patches of 2x2 pixels


class _Convs(nn.Sequential):
    """Two times 3x3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class UNet(nn.Module):
    """Four levels at 1/2 to 1/16 of the box; a learned map tells where in the box one is."""

    def __init__(self) -> None:
        super().__init__()
        first = _WIDTHS[0]
        self.stem = _Convs(3 * _PATCH**2, first)
        self.place = nn.Parameter(torch.zeros(1, first, SIDE // _PATCH, SIDE // _PATCH))
        pairs = list(zip(_WIDTHS, _WIDTHS[1:], strict=False))
        self.down = nn.ModuleList(_Convs(thin, wide) for thin, wide in pairs)
        self.up = nn.ModuleList(_Convs(thin + wide, thin) for thin, wide in reversed(pairs))
        self.head = nn.Conv2d(first, _PATCH**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(F.pixel_unshuffle(x, _PATCH)) + self.place
        skips = []
        for level in self.down:
            skips.append(x)
            x = level(F.max_pool2d(x, 2))
        for level in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = level(torch.cat([x, skips.pop()], dim=1))
        return F.pixel_shuffle(self.head(x), _PATCH)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order: torch uses one thread in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, object]) -> None:
    """Write named tensors, with notes (JSON-able) beside them, as safetensors, atomically."""
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    # All notes under one key: safetensors writes several keys in an order that changes by itself.
    write_bytes(path, save(plain, {_NOTES: json.dumps(notes)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Named tensors and notes of a file of ``save_tensors``.

    Raises:
        InputError: missing, or no such file.
    """
    try:
        with safe_open(path, "pt") as file:
            notes = dict(json.loads((file.metadata() or {}).get(_NOTES, "{}")))
            return {name: file.get_tensor(name) for name in file.keys()}, notes  # noqa: SIM118
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"{path}: cannot be read ({reason}); remove it and train again") from None


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors in half precision, those of whole numbers as they are."""
    return {name: t.half() if t.is_floating_point() else t for name, t in tensors.items()}


def read_network(path: Path) -> UNet:
    """A network for predicting, in double precision.

    Raises:
        InputError: the file is missing, damaged, or of another network.
    """
    network = UNet()
    try:
        network.load_state_dict(load_tensors(path)[0])
    except RuntimeError:
        raise InputError(f"{path}: holds another network; remove it and train again") from None
    return network.double().eval()

"""Partial convolution, which looks only at known pixels (Liu et al. 2018, NVIDIA's definition).

A feature map whose channels may be known in different places is carried as its values, already
zero where unknown, and one channel that counts the known channels of each pixel. The window sum
of a full mask over all channels equals the window sum of that count, so one one-channel box sum
replaces a mask convolution, and concatenating feature maps adds their counts. Maps that are known
everywhere carry no count at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Known(NamedTuple):
    """A partly known feature map."""

    values: Tensor  # (B, C, H, W), zero where unknown
    known: Tensor | None  # (B, 1, H, W) float32 or wider: how many channels are known; None: all

    def counts(self) -> Tensor:
        """How many channels of each pixel are known, (B or 1, 1, H, W)."""
        if self.known is not None:
            return self.known
        wide = torch.promote_types(self.values.dtype, torch.float32)
        shape = (1, 1, *self.values.shape[-2:])
        return self.values.new_full(shape, self.values.shape[1], dtype=wide)


def known_where(values: Tensor, mask: Tensor | None) -> Known:
    """Values (B, C, H, W) known where the binary mask (B, 1, H, W) is 1; None: everywhere."""
    if mask is None:
        return Known(values, None)
    wide = torch.promote_types(values.dtype, torch.float32)
    return Known(values * mask.to(values.dtype), mask.to(wide) * values.shape[1])


def join(parts: Sequence[Known]) -> Known:
    """Concatenate along the channels."""
    values = torch.cat([part.values for part in parts], dim=1)
    if all(part.known is None for part in parts):
        return Known(values, None)
    known = parts[0].counts()
    for part in parts[1:]:
        known = known + part.counts()
    return Known(values, known)


def upsample(x: Known, size: Sequence[int]) -> Known:
    """Nearest-neighbour upsampling of values and counts to (H, W) `size`."""
    values, known = (
        None if t is None else F.interpolate(t, size=list(size), mode="nearest") for t in x
    )
    assert values is not None
    return Known(values, known)


class PartialConv2d(nn.Module):
    """Known (B, inputs, H, W) -> values (B, outputs, h, w) and their mask (B, 1, h, w).

    Each output is the convolution over the known inputs times window size / known inputs in the
    window (window size = kernel^2 * inputs), plus the bias; the output and the new mask are zero
    where the window holds nothing known. Padding counts as unknown. The mask is None, everything
    known, when the whole input is known.

    window_normalisation=False leaves out the factor "window size", as the released code does.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        bias: bool = False,
        window_normalisation: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.gain = float(kernel * kernel * inputs) if window_normalisation else 1.0

    def _window_sum(self, known: Tensor) -> Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        return F.avg_pool2d(known, kernel, stride, kernel // 2, divisor_override=1)

    def forward(self, x: Known) -> tuple[Tensor, Tensor | None]:
        with torch.no_grad():
            known = self._window_sum(x.counts())
            mask = None if x.known is None else (known > 0.5).to(known.dtype)
            scale = self.gain / known.clamp_min(1)
            scale = scale if mask is None else scale * mask
        out = self.conv(x.values)
        scale = scale.to(out.dtype)
        if self.bias is None:
            return out * scale, mask
        bias = self.bias[:, None, None].to(out.dtype)
        if mask is not None:
            bias = bias * mask.to(out.dtype)
        return torch.addcmul(bias, out, scale), mask

"""Partial convolution, which looks only at known pixels (Liu et al. 2018, NVIDIA's definition).

A feature map whose channels may be known in different places is carried as its values, already
zero where unknown, and one channel that counts the known channels of each pixel. The window sum
of a full mask over all channels equals the window sum of that count, so one one-channel box sum
replaces a mask convolution, and concatenating feature maps adds their counts.
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
    known: Tensor  # (B, 1, H, W) float32 or wider: how many of the C channels are known


def known_where(values: Tensor, mask: Tensor | None) -> Known:
    """Values (B, C, H, W) known where the binary mask (B, 1, H, W) is 1; None: everywhere."""
    wide = torch.promote_types(values.dtype, torch.float32)
    channels = values.shape[1]
    if mask is None:
        shape = (values.shape[0], 1, *values.shape[-2:])
        return Known(values, values.new_full(shape, channels, dtype=wide))
    return Known(values * mask.to(values.dtype), mask.to(wide) * channels)


def join(parts: Sequence[Known]) -> Known:
    """Concatenate along the channels."""
    known = torch.stack([part.known for part in parts]).sum(dim=0)
    return Known(torch.cat([part.values for part in parts], dim=1), known)


def upsample(x: Known, size: Sequence[int]) -> Known:
    """Nearest-neighbour upsampling of values and counts to (H, W) `size`."""
    return Known(*(F.interpolate(t, size=list(size), mode="nearest") for t in x))


class PartialConv2d(nn.Module):
    """Known (B, inputs, H, W) -> values (B, outputs, h, w) and their mask (B, 1, h, w).

    Each output is the convolution over the known inputs times window size / known inputs in the
    window (window size = kernel^2 * inputs), plus the bias; the output and the new mask are zero
    where the window holds nothing known. Padding counts as unknown.

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

    def forward(self, x: Known) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            known = self._window_sum(x.known)
            mask = (known > 0.5).to(known.dtype)
            scale = mask * self.gain / known.clamp_min(1)
        out = self.conv(x.values)
        out = out * scale.to(out.dtype)
        if self.bias is not None:
            out = out + (self.bias[:, None, None] * mask).to(out.dtype)
        return out, mask

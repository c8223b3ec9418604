"""Networks made faster for inference, with results equal up to the rounding of float sums.

Batch norm in eval mode multiplies and adds constants per channel, so it moves into the weights of
the convolution before it; convolutions that read the same picture become one; the gate of an
attention block moves into its last convolution. Nothing here is for training.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hdeocc.attention import PARTS, ParsingGuidedAttention, two_way_attention
from hdeocc.content_recovery import ContentRecovery, Level
from hdeocc.mask_completion import MaskCompletion

Network = TypeVar("Network", bound=nn.Module)


def for_inference(
    network: Network,
    *,
    channels_last: bool = True,
    modal_parsing: bool = True,
    compiled: bool = False,
) -> Network:
    """A frozen copy of a network in eval mode that gives the same results sooner.

    Any network of this package, or one that holds some of them; the original stays as it is.

    channels_last: keep weights in the memory format that convolutions are fastest on.
    modal_parsing: False leaves out the parsing logits of the visible person in stage 1, which
        nothing reads at test time; `MaskOutput.modal_parsing` is then None.
    compiled: torch.compile the forward pass; the first call of every shape then takes minutes,
        and a C++ compiler (CPU) or Triton (CUDA) must be there.
    """
    fast = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(fast.modules()):
        if isinstance(module, nn.Sequential):
            _fold_sequential(module)
        elif isinstance(module, Level):
            _fold_level(module)
        elif isinstance(module, ContentRecovery):
            for place, block in module.attention.items():
                module.attention[place] = _merged(block)
        elif isinstance(module, MaskCompletion) and module.modal_parsing and not modal_parsing:
            module.modal_parsing.logits = None
    fast.eval()  # the new convolutions too
    if channels_last:
        for weight in fast.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    if compiled:
        fast.compile()
    return fast


def _fold_sequential(layers: nn.Sequential) -> None:
    """Fold every batch norm that stands behind a convolution into it."""
    for i in range(len(layers) - 1):
        conv, norm = layers[i], layers[i + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layers[i], layers[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def _fold_level(level: Level) -> None:
    """Fold batch norm into a partial convolution.

    The window factor multiplies what the scaled weights give, so scaling commutes with it. The
    shift becomes the bias, which stays zero where nothing is known: there the network sets the
    values to zero anyway.
    """
    norm, conv = level.norm, level.conv
    if not isinstance(norm, nn.BatchNorm2d):
        return
    assert norm.running_mean is not None and norm.running_var is not None
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * factor
    before = 0 if conv.bias is None else conv.bias * factor
    conv.conv.weight = nn.Parameter(conv.conv.weight * factor[:, None, None, None], False)
    conv.bias = nn.Parameter(shift + before, False)
    level.norm = nn.Identity()


def _merged(block: nn.Module) -> nn.Module:
    """The attention block with fewer convolutions; one that lacks a stream stays as it is."""
    if not isinstance(block, ParsingGuidedAttention) or not (block.parts and block.spatial):
        return block
    return MergedAttention(block)


class MergedAttention(nn.Module):
    """A frozen `ParsingGuidedAttention` with both streams, in five convolutions instead of seven.

    One convolution of x gives the values, the two projections onto the parts, and what x adds to
    query, key and, where the kernels are equal, to the first fusion. Scale and gate are folded in.
    """

    def __init__(self, block: ParsingGuidedAttention) -> None:
        super().__init__()
        parts, spatial = block.parts, block.spatial
        assert parts is not None and spatial is not None
        channels = spatial.value.in_channels
        depth = spatial.query.out_channels
        self.fused_early = parts.fuse.kernel_size == spatial.value.kernel_size
        from_x = [spatial.value, parts.visible, parts.whole]
        pair = [_scaled(spatial.query, spatial.scale), spatial.key]
        merged = from_x + [_columns(conv, 0, channels) for conv in pair]
        self.widths = [channels, 2 * PARTS, 2 * depth]
        if self.fused_early:
            merged.append(_columns(parts.fuse, 0, channels))
            self.widths.append(channels)
            self.fuse_parts = _columns(parts.fuse, channels, channels + 2 * PARTS, bias=False)
        else:
            self.fuse_parts = copy.deepcopy(parts.fuse)
        self.from_x = _stacked(merged)
        of_parts = [_columns(conv, channels, channels + PARTS, bias=False) for conv in pair]
        self.from_parts = _stacked(of_parts, groups=2)
        self.excite = parts.excite
        self.fuse = _scaled(block.fuse, 1.0 if block.gate is None else block.gate)
        self.residual = block.gate is not None

    def forward(self, x: Tensor, visible: Tensor, whole: Tensor) -> Tensor:
        size = x.shape[-2:]
        shown = [F.interpolate(p, size=size, mode="nearest").to(x.dtype) for p in (visible, whole)]
        parts = torch.cat(shown, dim=1)
        value, projected, pair, *early = self.from_x(x).split(self.widths, dim=1)
        projected = projected * parts
        if early:
            mixed = early[0] + self.fuse_parts(projected)
        else:
            mixed = self.fuse_parts(torch.cat([x, projected], dim=1))
        query, key = (pair + self.from_parts(parts)).flatten(2).chunk(2, dim=1)
        moved = two_way_attention(query, key, value.flatten(2), 1.0)
        found = [self.excite(mixed), *(m.unflatten(2, size).to(x.dtype) for m in moved)]
        out = self.fuse(torch.cat(found, dim=1))
        return x + out if self.residual else out


def _scaled(conv: nn.Conv2d, factor: Tensor | float) -> nn.Conv2d:
    """A copy whose output is multiplied by a factor, one for each channel or for all."""
    made = copy.deepcopy(conv)
    by_channel = factor[:, None, None, None] if isinstance(factor, Tensor) else factor
    made.weight = nn.Parameter(conv.weight * by_channel, False)
    assert conv.bias is not None
    made.bias = nn.Parameter(conv.bias * factor, False)
    return made


def _columns(conv: nn.Conv2d, start: int, stop: int, *, bias: bool = True) -> nn.Conv2d:
    """The convolution of input channels ``start`` to ``stop`` alone."""
    kernel, pad = conv.kernel_size[0], conv.kernel_size[0] // 2
    made = nn.Conv2d(stop - start, conv.out_channels, kernel, padding=pad, bias=bias)
    made.weight = nn.Parameter(conv.weight[:, start:stop].clone(), False)
    if bias:
        assert conv.bias is not None
        made.bias = nn.Parameter(conv.bias.clone(), False)
    return made


def _stacked(convs: list[nn.Conv2d], groups: int = 1) -> nn.Conv2d:
    """One convolution with the outputs of all; with groups, each reads input of its own."""
    first = convs[0]
    outputs = sum(conv.out_channels for conv in convs)
    kernel, pad = first.kernel_size[0], first.kernel_size[0] // 2
    made = nn.Conv2d(
        groups * first.in_channels,
        outputs,
        kernel,
        padding=pad,
        bias=first.bias is not None,
        groups=groups,
    )
    made.weight = nn.Parameter(torch.cat([conv.weight for conv in convs]), False)
    if first.bias is not None:
        made.bias = nn.Parameter(torch.cat([c.bias for c in convs if c.bias is not None]), False)
    return made

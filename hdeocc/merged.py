"""Blocks of the frozen networks with convolutions merged or split: the same results sooner.

Convolutions that read the same picture become one. A convolution of joined pictures becomes a sum
of one convolution each, so that the pictures need not be copied beside each other.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.attention import PARTS, ParsingGuidedAttention, two_way_attention
from hdeocc.blocks import Up
from hdeocc.hourglass import Hourglass
from hdeocc.mask_completion import MaskCompletion, MaskOutput, ParsingHead, foreground


class SplitConv(nn.Module):
    """A convolution of joined pictures, given the pictures: [(B, c_i, H, W)] -> (B, C, H, W)."""

    def __init__(self, conv: nn.Conv2d, widths: Sequence[int]) -> None:
        super().__init__()
        ends = torch.tensor([0, *widths]).cumsum(0).tolist()
        spans = zip(ends[:-1], ends[1:], strict=True)
        self.convs = nn.ModuleList(_columns(conv, a, b, bias=a == 0) for a, b in spans)

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        out, *others = (conv(part) for conv, part in zip(self.convs, parts, strict=True))
        for other in others:
            out = out.add_(other)
        return out


class SplitUp(nn.Module):
    """An `Up` whose two inputs, of equally many channels, are not joined."""

    def __init__(self, up: Up) -> None:
        super().__init__()
        first = up.convs[0]
        assert isinstance(first, nn.Conv2d)
        self.first = SplitConv(first, [first.in_channels // 2] * 2)
        self.others = nn.Sequential(*list(up.convs)[1:])

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=True)
        return self.others(self.first([skip, x]))


class MergedHead(nn.Module):
    """Parsing and mask head of one side of stage 1, whose first convolutions are one."""

    def __init__(self, head: ParsingHead, mask: nn.Sequential) -> None:
        super().__init__()
        first, projection = mask[0], head.block.projection
        assert isinstance(first, nn.Conv2d)
        channels, self.widths = (
            projection.in_channels,
            [projection.out_channels, first.out_channels],
        )
        self.body, self.logits, self.excite = head.block.body, head.logits, head.excite
        self.early = _stacked([_with_bias(projection), _columns(first, 0, channels)])
        self.late = _columns(first, channels, first.in_channels, bias=False)
        self.others = mask[1:]

    def forward(self, x: Tensor, shape: Tensor | None = None) -> tuple[Tensor | None, Tensor]:
        """Features and, if any, those of the templates -> parsing and mask logits."""
        projected, mixed = self.early(x).split(self.widths, dim=1)
        features = F.relu(self.body(x).add_(projected), inplace=True)
        helped = features if self.excite is None else self.excite(features)
        if shape is not None:
            helped = torch.cat([helped, shape.to(helped.dtype)], dim=1)
        parsing = None if self.logits is None else self.logits(features)
        return parsing, self.others(self.late(helped).add_(mixed))


class MergedMaskCompletion(MaskCompletion):
    """A frozen stage 1 with parsing branches, of merged heads and split convolutions."""

    def __init__(self, plain: MaskCompletion) -> None:
        nn.Module.__init__(self)
        assert plain.modal_parsing is not None and plain.amodal_parsing is not None
        self.config = plain.config
        # Asked by others whether they are there; the heads below share all but one convolution.
        self.modal_parsing, self.amodal_parsing = plain.modal_parsing, plain.amodal_parsing
        self.modal_hourglass, self.templates = plain.modal_hourglass, plain.templates
        self.amodal_hourglass = plain.amodal_hourglass
        if self.amodal_hourglass is not None:
            first = self.amodal_hourglass.first
            conv = first[0]
            assert isinstance(conv, nn.Conv2d)
            first[0] = SplitConv(conv, [3, conv.in_channels - 3])
        self.modal_head = MergedHead(plain.modal_parsing, plain.modal_mask)
        self.amodal_head = MergedHead(plain.amodal_parsing, plain.amodal_mask)

    def forward(self, image: Tensor, initial: Tensor) -> MaskOutput:
        seen = self.modal_hourglass(torch.cat([image, initial], dim=1))
        modal_parsing, modal = self.modal_head(seen)
        whole = seen
        if self.amodal_hourglass is not None:
            whole = self.amodal_hourglass([image, seen])
        shape = None if self.templates is None else self.templates(foreground(modal))
        amodal_parsing, amodal = self.amodal_head(whole, shape)
        return MaskOutput(modal, amodal, modal_parsing, amodal_parsing)


class MergedAttention(nn.Module):
    """A frozen `ParsingGuidedAttention` with both streams, in five convolutions instead of seven.

    Fewer launches for a GPU; a CPU, which is busy with the same multiply-adds, gains nothing.
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


def split_ups(network: Hourglass) -> None:
    """Let the hourglass not join what it adds anyway."""
    network.up = nn.ModuleList(SplitUp(up) for up in network.up if isinstance(up, Up))


def _with_bias(conv: nn.Conv2d) -> nn.Conv2d:
    """A copy with a bias of zero."""
    made = copy.deepcopy(conv)
    made.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels), False)
    return made


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

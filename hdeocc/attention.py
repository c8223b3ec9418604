"""Parsing guided attention (PGA), paper section 3 and supplement.

One stream lets every body part speak for itself: features are projected onto the 19 parts, once
gated by the visible and once by the whole parsing. The other compares all places of the visible
parsing with all places of the whole parsing and moves features both ways.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.blocks import SqueezeExcite, conv_same

# From this many places on, a CPU goes sample by sample: a batch of relations is so large that
# the allocator returns it to the system each time, which costs three times the arithmetic.
LOOP_FROM = 512
# From this many places on, R no longer fits a cache: parts of it, each made when it is needed and
# for either direction anew, took half the time of one R for both (4096 places, one core).
TILED_FROM = 2048
TILE = 256  # rows of a part
PARTS = 19  # the LIP labels without background


def two_way_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Attention along both directions of one relation R = scale * query^T key.

    query, key (B, d, N), value (B, C, N) -> two (B, C, N): place i gathers values with the
    softmax of row i of R, and with the softmax of row i of R transposed. Softmax in float32.
    """
    if query.device.type != "cpu":
        return _fused_attention(query, key, value, scale)
    if query.shape[-1] < LOOP_FROM:
        return _plain_attention(query, key, value, scale)
    way = _plain_attention if query.shape[-1] < TILED_FROM else _tiled_attention
    each = [way(q, k, v, scale) for q, k, v in zip(query, key, value, strict=True)]
    forth, back = zip(*each, strict=True)
    return torch.stack(forth), torch.stack(back)


def _plain_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """R is computed once; its second direction is a softmax over columns, without a copy."""
    with torch.autocast(query.device.type, enabled=False):
        wide = torch.promote_types(query.dtype, torch.float32)
        relation = (query.to(wide) * scale).transpose(-2, -1) @ key.to(wide)
        forth = relation.softmax(dim=-1).to(value.dtype)
        back = relation.softmax(dim=-2).to(value.dtype)
        return value @ forth.transpose(-2, -1), value @ back


def _tiled_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """One sample, query and key (d, N), value (C, N), by rows of R and then of R transposed."""
    with torch.autocast(query.device.type, enabled=False):
        wide = torch.promote_types(query.dtype, torch.float32)
        query, key, values = (query.to(wide) * scale), key.to(wide), value.t().contiguous()
        found = []
        for a, b in ((query, key), (key, query)):
            weights = ((rows.t() @ b).softmax(dim=-1) for rows in a.split(TILE, dim=1))
            found.append(torch.cat([w.to(value.dtype) @ values for w in weights]).t())
        return found[0], found[1]


def _fused_attention(
    query: Tensor, key: Tensor, value: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """The same through PyTorch's fused kernels, which never store R.

    They take only places that lie one after the other, which costs nothing in channels_last.
    """
    q, k, v = (t.transpose(1, 2).unsqueeze(1).contiguous() for t in (query, key, value))
    forth = F.scaled_dot_product_attention(q, k, v, scale=scale)
    back = F.scaled_dot_product_attention(k, q, v, scale=scale)
    return forth.squeeze(1).transpose(1, 2), back.squeeze(1).transpose(1, 2)


class PartStream(nn.Module):
    """(x, visible parts, whole parts) -> (B, C, h, w): features mixed part by part."""

    def __init__(self, channels: int, kernel: int, fusion_kernel: int, reduction: int) -> None:
        super().__init__()
        self.visible = conv_same(channels, PARTS, kernel)
        self.whole = conv_same(channels, PARTS, kernel)
        self.fuse = conv_same(channels + 2 * PARTS, channels, fusion_kernel)
        self.excite = SqueezeExcite(channels, reduction)

    def forward(self, x: Tensor, visible: Tensor, whole: Tensor) -> Tensor:
        u, t = self.visible(x) * visible, self.whole(x) * whole
        return self.excite(self.fuse(torch.cat([x, u, t], dim=1)))


class SpatialStream(nn.Module):
    """(x, visible parts, whole parts) -> (B, 2C, h, w): features moved between places."""

    def __init__(self, channels: int, kernel: int, *, reduction: int, scaled: bool) -> None:
        super().__init__()
        depth = max(1, channels // reduction)
        self.query = conv_same(channels + PARTS, depth, kernel)
        self.key = conv_same(channels + PARTS, depth, kernel)
        self.value = conv_same(channels, channels, kernel)
        self.scale = depth**-0.5 if scaled else 1.0

    def forward(self, x: Tensor, visible: Tensor, whole: Tensor) -> Tensor:
        query = self.query(torch.cat([x, visible], dim=1)).flatten(2)
        key = self.key(torch.cat([x, whole], dim=1)).flatten(2)
        moved = two_way_attention(query, key, self.value(x).flatten(2), self.scale)
        return torch.cat(moved, dim=1).unflatten(2, x.shape[-2:])


class ParsingGuidedAttention(nn.Module):
    """x (B, C, h, w) and one-hot parts (B, 19, H, W) of any size -> (B, C, h, w).

    parts, spatial: which of the two streams are built (at least one).
    kernel: of the convolutions for u, t, q, k and v; fusion_kernel: of the two that fuse.
    scaled: divide the relation by the square root of its depth.
    residual: add the result to x through a gate that starts at zero, so that the block first
        passes x on unchanged; False replaces x by the result, as the released code does.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel: int = 3,
        fusion_kernel: int = 1,
        parts: bool = True,
        spatial: bool = True,
        scaled: bool = True,
        residual: bool = True,
        reduction: int = 8,
    ) -> None:
        super().__init__()
        if not (parts or spatial):
            raise ValueError("an attention block needs its parts stream or its spatial stream")
        self.parts = PartStream(channels, kernel, fusion_kernel, reduction) if parts else None
        self.spatial = (
            SpatialStream(channels, kernel, reduction=reduction, scaled=scaled) if spatial else None
        )
        streams = int(parts) + 2 * int(spatial)
        self.fuse = conv_same(streams * channels, channels, fusion_kernel)
        self.gate = nn.Parameter(torch.zeros(channels)) if residual else None

    def forward(self, x: Tensor, visible: Tensor, whole: Tensor) -> Tensor:
        size = x.shape[-2:]
        visible = F.interpolate(visible, size=size, mode="nearest").to(x.dtype)
        whole = F.interpolate(whole, size=size, mode="nearest").to(x.dtype)
        streams = [s for s in (self.parts, self.spatial) if s is not None]
        found = [stream(x, visible, whole).to(x.dtype) for stream in streams]
        out = self.fuse(torch.cat(found, dim=1))
        if self.gate is None:
            return out
        return x + self.gate[:, None, None].to(out.dtype) * out

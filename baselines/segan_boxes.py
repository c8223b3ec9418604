"""One box a sample, around a visible mask: pooling features over it, and masks in and out of it.

Boxes are in shares of the frame, so that they fit pictures, masks and features of any size.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Boxes(NamedTuple):
    """One box a sample: first and last edge (B, 2) of either axis, in shares of the frame."""

    rows: Tensor
    columns: Tensor


def visible_boxes(visible: Tensor, growth: Tensor) -> Boxes:
    """Boxes around the masks (B, 1, H, W), grown and then cut at the frame.

    growth: (B, 4) shares of the box's height (top, bottom) and width (left, right). An empty mask
    has the whole frame for a box.
    """
    seen = visible[:, 0] >= 0.5
    rows = _span(seen.any(dim=2), growth[:, :2])
    return Boxes(rows, _span(seen.any(dim=1), growth[:, 2:]))


def _span(line: Tensor, growth: Tensor) -> Tensor:
    """First and last edge (B, 2) of what is set in lines (B, n), grown, in shares of n."""
    count = line.shape[1]
    place = torch.arange(count, device=line.device)
    nothing = ~line.any(dim=1)
    first = torch.where(line, place, count).amin(dim=1).masked_fill(nothing, 0)
    last = torch.where(line, place + 1, 0).amax(dim=1).masked_fill(nothing, count)
    out = torch.stack([-growth[:, 0], growth[:, 1]], dim=1) * (last - first)[:, None]
    return ((torch.stack([first, last], dim=1) + out) / count).clamp(0, 1)


def roi_max_pool(features: Tensor, boxes: Boxes, bins: int) -> Tensor:
    """(B, C, h, w) -> (B, C, bins, bins): the largest value of all cells that a bin touches.

    RoI pooling of one box a sample. Written here because torchvision's compiled operator is not
    available everywhere, and its gradient on CUDA differs from run to run.
    """
    rows = _bin_max(features, boxes.rows, bins)
    return _bin_max(rows.transpose(2, 3), boxes.columns, bins).transpose(2, 3)


def _bin_max(features: Tensor, span: Tensor, bins: int) -> Tensor:
    """(B, C, n, m) -> (B, C, bins, m) over equal parts of a span (B, 2) of the third axis."""
    count = features.shape[2]
    parts = torch.linspace(0, 1, bins + 1, device=span.device)
    edges = count * torch.lerp(span[:, :1], span[:, 1:], parts)
    cells = torch.arange(count, device=span.device)
    # An edge on a cell's border must not touch the cell beyond, whatever the rounding.
    begun = cells + 1 > edges[:, :-1, None] + 1e-4
    touched = begun & (cells < edges[:, 1:, None] - 1e-4)
    outside = ~touched[:, :, None, :, None]
    return torch.stack(
        [features.masked_fill(outside[:, i], -torch.inf).amax(dim=2) for i in range(bins)], dim=2
    )


def crop(masks: Tensor, boxes: Boxes, side: int) -> Tensor:
    """The nearest of masks (B, 1, H, W) at side x side points of their boxes."""
    where = _centres(side, masks.device)
    rows, columns = (torch.lerp(span[:, :1], span[:, 1:], where) for span in boxes)
    return F.grid_sample(masks, _grid(rows, columns), mode="nearest", align_corners=False)


def paste(masks: Tensor, boxes: Boxes, height: int, width: int) -> Tensor:
    """Masks (B, 1, S, S) of boxes at their places in pictures (B, 1, height, width), else 0."""
    rows, columns = (
        (_centres(size, masks.device) - span[:, :1]) / (span[:, 1:] - span[:, :1])
        for span, size in zip(boxes, (height, width), strict=True)
    )
    grid = _grid(rows, columns)
    inside = (grid.abs() <= 1).all(dim=3)[:, None]
    pasted = F.grid_sample(masks, grid, padding_mode="border", align_corners=False)
    return pasted.masked_fill(~inside, 0.0)


def _centres(count: int, device: torch.device) -> Tensor:
    return (torch.arange(count, device=device) + 0.5) / count


def _grid(rows: Tensor, columns: Tensor) -> Tensor:
    """Shares of a picture, (B, h) and (B, w), as points (B, h, w, 2) for grid_sample."""
    height, width = rows.shape[1], columns.shape[1]
    x = columns[:, None, :].expand(-1, height, -1)
    y = rows[:, :, None].expand(-1, -1, width)
    return torch.stack([x, y], dim=3) * 2 - 1

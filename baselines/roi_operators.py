"""torchvision's operators on boxes in plain torch, for where its compiled ones do not load.

    suppress: boxes (N, 4), scores (N,) -> places of the boxes to keep
    align: maps (B, C, H, W), boxes (K, 5) -> what each box holds (K, C, h, w)

A compiled torchvision that was not built for the installed torch registers no operators; its
networks then fail at their first box. These are exact and differentiable, and slower.
"""

import torch
from torch import Tensor

from hdeocc.detector import operators_work
from metrics import torchvision_compat  # noqa: F401  (must come before torchvision)

# isort: split
from torchvision.models.detection import roi_heads
from torchvision.ops import boxes, poolers


def stand_in() -> None:
    """Give torchvision the plain operators, where its compiled ones do not load."""
    if not operators_work():
        boxes.nms = suppress
        poolers.roi_align = roi_heads.roi_align = align


def suppress(corners: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """torchvision's nms in plain torch: places of the boxes (N, 4) to keep, the best score first.

    Whether a box stays depends on better ones only, so repeating the rule settles one by one.
    """
    order = scores.sort(descending=True, stable=True).indices
    over = (boxes.box_iou(corners[order], corners[order]) > iou_threshold).triu(1)
    keep = torch.ones_like(order, dtype=torch.bool)
    while True:
        after = ~(over & keep[:, None]).any(dim=0)
        if torch.equal(after, keep):
            return order[keep]
        keep = after


def align(
    input: Tensor,
    rois: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
) -> Tensor:
    """torchvision's roi_align in plain torch: (B, C, H, W) -> (K, C, *output_size).

    rois (K, 5): place in the batch, then a box inside the picture. Bilinear sampling and the mean
    over a bin's samples are separable, so a bin is a weighted sum of rows and of columns.
    """
    left, top, right, bottom = (rois[:, 1:].float() * spatial_scale).unbind(1)
    rows = _bin_weights(top, bottom, output_size[0], input.shape[2], sampling_ratio)
    columns = _bin_weights(left, right, output_size[1], input.shape[3], sampling_ratio)
    result = rows.new_zeros(len(rois), input.shape[1], *output_size)
    with torch.autocast(input.device.type, enabled=False):
        for i, picture in enumerate(input.float()):
            own = (rois[:, 0] == i).nonzero()[:, 0]
            bins = torch.einsum("kph,chw,kqw->kcpq", rows[own], picture, columns[own])
            result = result.index_copy(0, own, bins)
    return result.to(input.dtype)


def _bin_weights(start: Tensor, end: Tensor, bins: int, size: int, samples: int) -> Tensor:
    """Share that each of ``size`` places has in each bin of K boxes' sides: (K, bins, size)."""
    length = (end - start).clamp_min(1)[:, None, None]
    number = (length / bins).ceil() if samples <= 0 else torch.full_like(length, samples)
    sample = torch.arange(int(number.max()) if len(number) else 0, device=start.device)
    inside = torch.arange(bins, device=start.device)[:, None] + (sample + 0.5) / number
    at = (start[:, None, None] + inside * length / bins).clamp(0, size - 1)
    share = (1 - (at[..., None] - torch.arange(size, device=start.device)).abs()).clamp_min(0)
    return (share * (sample < number)[..., None]).sum(dim=2) / number

"""A smooth continuation of known pixels into unknown ones, by averages over ever larger blocks.

The "pull-push" scheme of Gortler et al. (The Lumigraph, 1996): known colours are averaged level by
level down to one pixel, then every unknown pixel takes the colour of the next coarser level.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def smooth_fill(image: Tensor, known: Tensor) -> Tensor:
    """The image (B, C, H, W) where ``known`` (B, 1, H, W) is 1, a smooth continuation elsewhere.

    Where ``known`` is 0 the image is not read. A sample without any known pixel becomes zero.
    """
    with torch.autocast(image.device.type, enabled=False):
        known = known.float()
        return _filled(torch.where(known > 0, image.float(), 0.0), known)


def _filled(values: Tensor, weight: Tensor) -> Tensor:
    """Fill weighted values (B, C, H, W), zero where their weight (B, 1, H, W) in [0, 1] is zero."""
    if max(values.shape[-2:]) == 1:
        return values
    coarse_weight = _halved(weight)
    coarse = _halved(values * weight) / coarse_weight.clamp_min(1e-6)
    coarse = coarse * (coarse_weight > 0)
    # A block with few known pixels counts fully on the next level: four of them are one.
    filled = _filled(coarse, (4 * coarse_weight).clamp(max=1))
    pushed = F.interpolate(filled, size=values.shape[-2:], mode="bilinear", align_corners=False)
    return weight * values + (1 - weight) * pushed


def _halved(x: Tensor) -> Tensor:
    """Means over 2 x 2 blocks; at odd borders over what there is."""
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)

"""A smooth continuation of known pixels into unknown ones, by averages over ever larger blocks.

The "pull-push" scheme of Gortler et al. (The Lumigraph, 1996): known colours are averaged level by
level down to one pixel, then every unknown pixel takes the colour of the next coarser level.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

# A part is trusted half when it shows on this share of the frame.
ENOUGH = 1 / 512


def smooth_fill(image: Tensor, known: Tensor) -> Tensor:
    """The image (B, C, H, W) where ``known`` (B, 1, H, W) is 1, a smooth continuation elsewhere.

    Where ``known`` is 0 the image is not read. A sample without any known pixel becomes zero.
    """
    with torch.autocast(image.device.type, enabled=False):
        known = known.float()
        return _filled(torch.where(known > 0, image.float(), 0.0), known)


def part_fill(image: Tensor, visible: Tensor, whole: Tensor, size: int = 32) -> Tensor:
    """Colours (B, C, H, W) that each body part continues smoothly from its own visible pixels.

    image: (B, C, H, W), read only where a part is visible. visible, whole: weights of P parts
    (B, P, H, W) in [0, 1], of the visible and of the whole person; a pixel gets the mean of its
    parts' colours. A part of which little is seen takes the colours of the whole person instead.
    Colours are continued at ``size`` x ``size`` pixels at most: what is continued is smooth.
    """
    with torch.autocast(image.device.type, enabled=False):
        step = max(1, image.shape[-1] // size)
        known = visible.float().sum(dim=1, keepdim=True).clamp(max=1)
        image = torch.where(known > 0, image.float(), 0.0)
        everyone = _continued(image, known, step)[:, None]
        parts = _continued(image.repeat_interleave(visible.shape[1], 0), _each(visible), step)
        seen = visible.float().mean(dim=(2, 3))
        trust = (seen / (seen + ENOUGH))[..., None, None, None]
        parts = parts.unflatten(0, visible.shape[:2])
        mixed = trust * parts + (1 - trust) * everyone
        weights = F.adaptive_avg_pool2d(whole.float(), mixed.shape[-2:])[:, :, None]
        coarse = (weights * mixed).sum(dim=1) + (1 - weights.sum(dim=1)) * everyone[:, 0]
        return F.interpolate(coarse, size=image.shape[-2:], mode="bilinear", align_corners=False)


def _each(parts: Tensor) -> Tensor:
    """(B, P, H, W) -> (B * P, 1, H, W) float32."""
    return parts.float().flatten(0, 1)[:, None]


def _continued(image: Tensor, weight: Tensor, step: int) -> Tensor:
    """Weighted colours at 1 / ``step`` of the size, continued to where the weight is zero."""
    coarse = F.avg_pool2d(weight, step)
    values = F.avg_pool2d(image * weight, step) / coarse.clamp_min(1e-6)
    return _filled(values * (coarse > 0), coarse)


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

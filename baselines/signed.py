"""Pictures in [-1, 1], and means over the samples whose truth is known: what painters share."""

import torch
from torch import Tensor

from hdeocc.across import rank_mean
from hdeocc.batch import Batch


def signed(tensor: Tensor) -> Tensor:
    """[0, 1] -> [-1, 1]."""
    return tensor * 2 - 1


def by_sample(known: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1)."""
    return known[:, None, None, None]


def mean_over(values: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of ``values`` in float32; exactly 0, with its gradient, where all weights are.

    weight: in [0, 1], broadcasts to ``values``. With several processes the mean is over all.
    """
    weight = weight.float().expand_as(values)
    total = (values.float() * weight).sum()
    return total / rank_mean(weight.sum()).clamp_min(1e-6)


def wanted_picture(batch: Batch, hole: Tensor) -> Tensor:
    """What to paint, (B, 3, H, W) in [-1, 1]: clean in the hole if that is known, else as given."""
    known = hole & by_sample(batch.has_clean)
    return signed(torch.where(known, batch.clean, batch.image))

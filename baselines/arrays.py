"""From tensors of a batch to the numpy arrays that the floors work on, and back."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def to_pictures(images: Tensor) -> np.ndarray:
    """RGB tensor (B, 3, H, W) in [0, 1] -> (B, H, W, 3) uint8, contiguous."""
    scaled = images.detach().float().cpu().clamp(0, 1).mul(255).round()
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def from_pictures(pictures: Sequence[np.ndarray]) -> Tensor:
    """Equally large (H, W, 3) uint8 pictures -> (B, 3, H, W) float32 in [0, 1]."""
    stacked = torch.from_numpy(np.stack(pictures))
    return stacked.permute(0, 3, 1, 2).float().div(255).contiguous()


def to_masks(masks: Tensor) -> np.ndarray:
    """Mask tensor (B, 1, H, W) in [0, 1] -> (B, H, W) bool, true above 0.5."""
    return (masks.detach()[:, 0] > 0.5).cpu().numpy()


def from_masks(masks: Sequence[np.ndarray]) -> Tensor:
    """Equally large (H, W) bool masks -> (B, 1, H, W) float32 of 0 and 1."""
    return torch.from_numpy(np.stack(masks).astype(np.float32))[:, None]

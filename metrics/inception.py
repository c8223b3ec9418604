"""Inception features of photos, for FID and KID."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from metrics.features import exact_inference, inception, photos_to_tensor


class FrechetInception:
    """Turns 8-bit photos into FID features. Raises MetricsError where weights are missing."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._network = _folded(inception()).to(self._device)

    def features(self, photos: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(B, 2048) features of (B, H, W, 3) uint8 photos."""
        with exact_inference(self._device):
            pooled = self._network(photos_to_tensor(photos).to(self._device))[0]
        return np.asarray(pooled[:, :, 0, 0].cpu().numpy())


def _folded(network: nn.Module) -> nn.Module:
    """The network with its normalisations folded into the convolutions before them.

    One pass over the numbers less a layer: about a tenth faster, equal up to float32 rounding.
    """
    for block in network.modules():
        conv, norm = getattr(block, "conv", None), getattr(block, "bn", None)
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            block.conv, block.bn = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return network

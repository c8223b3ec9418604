"""LPIPS (Zhang et al. 2018, version 0.1 of the `lpips` package), over a frame and over a hole.

The network is the package's own with its own linear heads; only its backbone is loaded from our
installed weights, so that nothing is downloaded. Photos go in as [-1, 1]: the package's default.
Feeding [0, 1] gives other, smaller numbers without any error.
"""

import warnings
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from metrics import weights
from metrics.features import exact_inference, frozen, photos_to_tensor, to_tensors

_BACKBONES = {"alex": "alexnet", "vgg": "vgg16"}
_SMALLEST = {"alex": 31, "vgg": 16}  # below this a pooling has nothing left


def _network(net: str) -> Any:
    """The package's LPIPS with its heads and our backbone; takes no part in the random state."""
    import lpips

    heads = torch.load(weights.check_head(f"lpips_{net}"), map_location="cpu", weights_only=True)
    backbone = to_tensors(weights.load(_BACKBONES[net]))
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # The package asks torchvision for its networks by a deprecated argument.
        warnings.simplefilter("ignore", UserWarning)
        network = lpips.LPIPS(pretrained=False, net=net, pnet_rand=True, verbose=False)
    network.load_state_dict(heads, strict=False)
    # The package cuts torchvision's `features` into slices but keeps the layers' numbers.
    for name, parameter in network.net.named_parameters():
        parameter.data.copy_(backbone.pop(f"features.{name.split('.', 1)[1]}"))
    assert not backbone, f"unused backbone weights: {sorted(backbone)}"
    return frozen(network)


class Lpips:
    """LPIPS of pairs of photos; smaller is more alike, 0 for identical photos.

    `net` is "alex" (the headline) or "vgg". Raises MetricsError where weights are missing.
    """

    def __init__(self, net: Literal["alex", "vgg"] = "alex", device: str = "cpu") -> None:
        self.net = net
        self.device = torch.device(device)
        # Channels last is a seventh faster on a CPU; sums round differently, by about 1e-8.
        self._network = _network(net).to(self.device, memory_format=torch.channels_last)

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """(B,) float64 frame LPIPS of two (B, 3, H, W) float batches in [-1, 1]."""
        return self._frame(self._layers(a, b))

    def frame_and_hole(self, a: Tensor, b: Tensor, hole: Tensor) -> tuple[Tensor, Tensor]:
        """((B,), (B,)) float64: LPIPS over the frame and over the hole, in one pass.

        The second is the spatial map (each layer's map brought to (H, W) bilinearly, then summed,
        as `lpips` does with spatial=True) averaged over the pixels of `hole`, (B, H, W) bool; nan
        where a hole is empty.
        """
        if hole.shape != (a.shape[0], *a.shape[2:]) or hole.dtype != torch.bool:
            raise ValueError(
                f"hole must be (B, H, W) bool of photos {tuple(a.shape)}, "
                f"got {tuple(hole.shape)} {hole.dtype}"
            )
        layers = self._layers(a, b)
        mask = hole.to(self.device)
        inside = torch.where(mask, self._map(layers, a.shape[2:]).double(), 0.0).sum((1, 2))
        return self._frame(layers), (inside / mask.sum((1, 2))).cpu()

    def of_photos(
        self, a: NDArray[np.uint8], b: NDArray[np.uint8], hole: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """`frame_and_hole` of (B, H, W, 3) uint8 photos and (B, H, W) bool holes, as numpy."""
        first, second = (photos_to_tensor(photos) * 2 - 1 for photos in (a, b))
        frame, inside = self.frame_and_hole(first, second, torch.from_numpy(hole))
        return frame.numpy(), inside.numpy()

    def _layers(self, a: Tensor, b: Tensor) -> list[Tensor]:
        """Weighted squared distances of unit-length features, (B, 1, h, w) for each of 5 layers."""
        self._check(a, b)
        network = self._network
        with exact_inference(self.device):
            features_a, features_b = (network.net(self._scaled(photos)) for photos in (a, b))
            return [
                head((_unit_length(fa) - _unit_length(fb)).square_())
                for head, fa, fb in zip(network.lins, features_a, features_b, strict=True)
            ]

    def _scaled(self, photos: Tensor) -> Tensor:
        """Photos as the backbone wants them: shifted and scaled by channel, channels last."""
        placed = photos.to(self.device, torch.float32, memory_format=torch.channels_last)
        return torch.as_tensor(self._network.scaling_layer(placed))

    def _check(self, a: Tensor, b: Tensor) -> None:
        if a.shape != b.shape or a.ndim != 4 or a.shape[1] != 3:
            raise ValueError(f"LPIPS needs two (B, 3, H, W), got {tuple(a.shape)} {tuple(b.shape)}")
        if min(a.shape[2:]) < _SMALLEST[self.net]:
            raise ValueError(f"LPIPS {self.net} needs {_SMALLEST[self.net]} pixels, got {a.shape}")
        for photos in (a, b):
            if not photos.is_floating_point() or photos.min() < -1 or photos.max() > 1:
                raise ValueError("LPIPS needs floating photos in [-1, 1]")

    @staticmethod
    def _frame(layers: list[Tensor]) -> Tensor:
        return torch.stack([layer.double().mean((1, 2, 3)) for layer in layers]).sum(0).cpu()

    @staticmethod
    def _map(layers: list[Tensor], size: torch.Size) -> Tensor:
        """(B, H, W) spatial LPIPS."""
        maps = [
            nn.functional.interpolate(layer, size=tuple(size), mode="bilinear", align_corners=False)
            for layer in layers
        ]
        return torch.stack(maps).sum(0)[:, 0]


def _unit_length(features: Tensor) -> Tensor:
    """Features divided by their length over the channels; 1e-10 as in the package."""
    return features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)

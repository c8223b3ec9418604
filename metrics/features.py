"""The frozen feature networks, built from the installed weights; nothing here downloads.

All of them are in eval mode, ask for no gradient of their own weights (gradients do flow through to
the input) and leave the global random state as it was.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from metrics import (
    torchvision_compat,  # noqa: F401  (must come before anything that imports torchvision)
    weights,
)
from metrics.untrusted import Arrays

Network = TypeVar("Network", bound=nn.Module)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# VGG16 up to its third pooling: widths of the convolutions between two poolings.
_VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256))


def to_tensors(arrays: Arrays) -> dict[str, Tensor]:
    """Torch tensors of numpy arrays, by the same names."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def photos_to_tensor(photos: NDArray[np.uint8]) -> Tensor:
    """(B, 3, H, W) float32 in [0, 1] of (B, H, W, 3) uint8 photos; ValueError otherwise."""
    if photos.ndim != 4 or photos.shape[3] != 3 or photos.dtype != np.uint8:
        raise ValueError(f"photos must be (B, H, W, 3) uint8, got {photos.shape} {photos.dtype}")
    return torch.from_numpy(np.ascontiguousarray(photos)).permute(0, 3, 1, 2).float() / 255


def frozen(network: Network) -> Network:
    """The same network in eval mode, its parameters without gradient."""
    return network.eval().requires_grad_(False)


@contextmanager
def exact_inference(device: torch.device) -> Iterator[None]:
    """Plain float32 without gradients, whatever the caller has switched on.

    Autocast, or the TF32 convolutions that are the default on newer GPUs, would move a score by
    about 1e-3, more than methods may differ by.
    """
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


class Vgg16Features(nn.Module):
    """VGG16's features after its first three poolings, for perceptual and style losses.

    Input (B, 3, H, W) in [0, 1], H and W at least 8; the ImageNet normalisation happens inside.
    Output [(B, 64, H/2, W/2), (B, 128, H/4, W/4), (B, 256, H/8, W/8)], rounded down.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        arrays = weights.load("vgg16")
        self.stages = nn.ModuleList()
        layer, channels = 0, 3
        for widths in _VGG16_STAGES:
            stage = nn.Sequential()
            for width in widths:
                stage.append(_convolution(arrays, f"features.{layer}", channels, width))
                stage.append(nn.ReLU())
                layer, channels = layer + 2, width
            self.stages.append(stage.append(nn.MaxPool2d(2)))
            layer += 1
        frozen(self)

    def forward(self, image: Tensor) -> list[Tensor]:
        x = (image - self.mean) / self.std
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def train(self, mode: bool = True) -> "Vgg16Features":
        """Stays in eval mode: a frozen judge, even inside a network that trains."""
        return super().train(False)


def _convolution(arrays: Arrays, name: str, inputs: int, outputs: int) -> nn.Conv2d:
    """A 3x3 convolution with stored numbers, made without touching the random state."""
    conv = nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, padding=1)
    tensors = to_tensors({part: arrays[f"{name}.{part}"] for part in ("weight", "bias")})
    conv.load_state_dict(tensors)
    return conv


def vgg16_features() -> Vgg16Features:
    """The frozen VGG16 features; raises MetricsError where its weights are not installed."""
    return Vgg16Features()


def inception() -> nn.Module:
    """pytorch-fid's Inception of 2015, up to its 2048 pooled features, with our weights.

    Input (B, 3, H, W) in [0, 1]; it resizes to 299 x 299 and scales to [-1, 1] by itself. Output:
    a list of one (B, 2048, 1, 1). Raises MetricsError where the weights are not installed.
    """
    state = to_tensors(weights.load("inception"))
    with pytorch_fid_weights(state):
        from pytorch_fid.inception import InceptionV3

        return frozen(InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[2048]]))


@contextmanager
def pytorch_fid_weights(state: dict[str, Tensor]) -> Iterator[None]:
    """While open, pytorch-fid takes its Inception weights from `state` instead of the network.

    The classifier, which no feature uses and which is not kept, is filled with zeros.
    """
    import pytorch_fid.inception as package

    def complete(*_: Any, **__: Any) -> dict[str, Tensor]:
        counters = {
            name.replace("running_mean", "num_batches_tracked"): torch.tensor(0)
            for name in state
            if name.endswith("running_mean")
        }
        classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
        return {**state, **counters, **classifier}

    original = package.load_state_dict_from_url
    package.load_state_dict_from_url = complete
    try:
        with torch.random.fork_rng(devices=[]):  # it draws numbers that are overwritten at once
            yield
    finally:
        package.load_state_dict_from_url = original

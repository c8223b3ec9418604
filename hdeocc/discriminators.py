"""The discriminators of both stages: spectrally normalised, one raw logit map each.

The released code ends in an activated map of 256 channels and never lets the discriminator reach
the generator; the last layer here gives one unactivated channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


def _body(inputs: int, layers: list[tuple[int, int, int]]) -> nn.Sequential:
    """Spectrally normalised convolutions (outputs, kernel, stride), LeakyReLU 0.2, and a head."""
    modules: list[nn.Module] = []
    for outputs, kernel, stride in layers:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2)
        modules += [spectral_norm(conv), nn.LeakyReLU(0.2, inplace=True)]
        inputs = outputs
    modules.append(spectral_norm(nn.Conv2d(inputs, 1, 3, padding=1)))
    return nn.Sequential(*modules)


class MaskDiscriminator(nn.Module):
    """Does this mask belong to the person in this image? For stage 1.

    image (B, 3, H, W) and mask (B, 1, H, W), both in [0, 1] -> raw logits (B, 1, H/8, W/8),
    rounded up.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers = [(width, 5, 2), (2 * width, 5, 2), (4 * width, 5, 2), (4 * width, 3, 1)]
        self.body = _body(4, layers)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.body(torch.cat([image, mask.to(image.dtype)], dim=1))


class ContentDiscriminator(nn.Module):
    """Is this person real or partly painted? For stage 2.

    picture (B, 3, H, W) in [0, 1], amodal mask and hole (B, 1, H, W) -> raw logits
    (B, 1, about H/4, about W/4). Pixels outside the person are set to mid-grey.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        layers = [(width, 4, 2), (2 * width, 4, 2), (4 * width, 4, 1), (4 * width, 4, 1)]
        self.body = _body(4, layers)

    def forward(self, picture: Tensor, amodal: Tensor, hole: Tensor) -> Tensor:
        person = (2 * picture - 1) * amodal.to(picture.dtype)
        return self.body(torch.cat([person, hole.to(picture.dtype)], dim=1))


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through `module` but not into it: for the generator's step."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)

"""Small building blocks shared by the networks of both stages."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


def conv_same(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """A convolution with an odd kernel that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


class DoubleConv(nn.Sequential):
    """Two times 3x3 convolution, batch norm, ReLU: (B, inputs, H, W) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            conv3x3(inputs, outputs, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            conv3x3(outputs, outputs, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Down(nn.Sequential):
    """2x2 max-pool, then a double convolution: halves the size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.MaxPool2d(2, ceil_mode=True), DoubleConv(inputs, outputs))


class Up(nn.Module):
    """Bilinear upsampling to the skip's size, concatenation, double convolution.

    ``inputs`` counts the channels after concatenation.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convs = DoubleConv(inputs, outputs)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=True)
        return self.convs(torch.cat([skip, x], dim=1))


class SqueezeExcite(nn.Module):
    """Channel attention: every channel is scaled by a gate computed from the channel means."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = max(4, channels // reduction)  # fewer are easily all dead behind the ReLU
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return x * gate[:, :, None, None].to(x.dtype)


class ResBlock(nn.Module):
    """Pre-activation residual block: two 3x3 convolutions beside a 3x3 projection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            conv3x3(inputs, outputs, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            conv3x3(outputs, outputs),
        )
        self.projection = conv3x3(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.projection(x)


def xavier_init(module: nn.Module, gain: float) -> None:
    """Draw every convolution and linear weight from a Xavier normal with `gain`, biases zero.

    Uses torch's current random state: seed it before building a network.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

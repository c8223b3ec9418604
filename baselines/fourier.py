"""Fast Fourier convolutions (Chi et al., NeurIPS 2020) as LaMa uses them.

Channels are split into local ones (B, L, H, W), convolved as usual, and global ones (B, G, H, W),
which are also convolved pointwise in the frequencies, so that every place reaches every other.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FrequencyConv(nn.Module):
    """(B, C, H, W) -> the same shape: a pointwise convolution of its real Fourier transform.

    Real and imaginary parts are channels of their own. Computed in float32: half precision has no
    transform of most sizes.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            # The transform runs over dense rows, whatever the memory format of the picture.
            waves = torch.fft.rfft2(x.float().contiguous(), norm="ortho")
            parts = F.relu(self.norm(self.mix(torch.cat([waves.real, waves.imag], dim=1))))
            real, imaginary = parts.contiguous().chunk(2, dim=1)
            waves = torch.complex(real.contiguous(), imaginary.contiguous())
            return torch.fft.irfft2(waves, x.shape[-2:], norm="ortho")


class SpectralTransform(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H, W): halved channels, frequencies, and back."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = max(1, outputs // 2)
        self.into = nn.Sequential(
            nn.Conv2d(inputs, half, 1, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True)
        )
        self.frequencies = FrequencyConv(half)
        self.out = nn.Conv2d(half, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.into(x)
        return self.out(x + self.frequencies(x))


class FourierConv(nn.Module):
    """3x3 convolutions within and between local and global channels, norm and ReLU.

    ratios: shares of the input's and of the output's channels that are global. Without global input
    (0) the second argument is None; there is always local input and output.
    """

    def __init__(
        self, inputs: int, outputs: int, ratios: tuple[float, float], stride: int = 1
    ) -> None:
        super().__init__()
        far_in, far_out = (round(n * r) for n, r in zip((inputs, outputs), ratios, strict=True))
        near_in, near_out = inputs - far_in, outputs - far_out
        self.near = _conv(near_in, near_out, stride)
        self.near_to_far = _conv(near_in, far_out, stride)
        self.far_to_near = _conv(far_in, near_out, stride) if far_in else None
        self.far = SpectralTransform(far_in, far_out) if far_in else None
        self.near_norm, self.far_norm = nn.BatchNorm2d(near_out), nn.BatchNorm2d(far_out)

    def forward(self, near: Tensor, far: Tensor | None) -> tuple[Tensor, Tensor]:
        to_near, to_far = self.near(near), self.near_to_far(near)
        if far is not None:
            assert self.far_to_near is not None and self.far is not None
            to_near = to_near + self.far_to_near(far)
            to_far = to_far + self.far(far).to(to_far.dtype)
        return F.relu(self.near_norm(to_near)), F.relu(self.far_norm(to_far))


class FourierBlock(nn.Module):
    """Two Fourier convolutions around a skip: local and global channels in, the same out."""

    def __init__(self, channels: int, ratio: float) -> None:
        super().__init__()
        self.first = FourierConv(channels, channels, (ratio, ratio))
        self.second = FourierConv(channels, channels, (ratio, ratio))

    def forward(self, near: Tensor, far: Tensor) -> tuple[Tensor, Tensor]:
        more_near, more_far = self.second(*self.first(near, far))
        return near + more_near, far + more_far


def _conv(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False, padding_mode="reflect")

"""A vocabulary of shapes: masks as small grids of learned codes (van den Oord et al., 2017).

    mask (B, 1, H, W) in [0, 1] -> codes (B, h, w) int64 -> logits (B, 1, H, W)

h and w are H and W over the stride. Whatever the codes say looks like a person, because only people
were ever written with them: that is the prior of C2F-Seg. Encodings and codes have length one (Yu
et al., 2022), and a loss asks that all codes be used (Yu et al., 2024): most would never be the
nearest of anything otherwise.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

COMMITMENT = 0.25
# Weight of the entropy that the use of all codes lacks, and how sharply likeness is use.
USE, SHARPNESS = 0.1, 10.0


class Written(NamedTuple):
    """A mask as codes and back.

    Attributes:
        codes: (B, h, w) int64.
        logits: of the mask that the codes stand for, (B, 1, H, W).
        loss: what moves codes towards encodings, a quarter of the reverse, and what codes are
            not used for; a scalar.
    """

    codes: Tensor
    logits: Tensor
    loss: Tensor


class ShapeCodes(nn.Module):
    """Encoder, codebook and decoder. H and W must be multiples of ``2 ** halvings``."""

    def __init__(self, codes: int, size: int, halvings: int, width: int) -> None:
        super().__init__()
        widths = [min(width * 2**i, 4 * width) for i in range(halvings)]
        down: list[nn.Module] = []
        for before, after in zip([1, *widths[:-1]], widths, strict=True):
            down += [nn.Conv2d(before, after, 4, 2, 1), nn.GroupNorm(4, after), nn.SiLU()]
        self.encode = nn.Sequential(*down, nn.Conv2d(widths[-1], size, 1))
        up: list[nn.Module] = [nn.Conv2d(size, widths[-1], 3, padding=1), nn.SiLU()]
        for before, after in zip(widths[::-1], [*widths[-2::-1], width], strict=True):
            deconv = nn.ConvTranspose2d(before, after, 4, 2, 1)
            up += [deconv, nn.GroupNorm(4, after), nn.SiLU()]
        self.decode = nn.Sequential(*up, nn.Conv2d(width, 1, 3, padding=1))
        self.book = nn.Parameter(torch.randn(codes, size))

    def _encoded(self, mask: Tensor) -> Tensor:
        """Unit vectors (B, size, h, w), float32."""
        return F.normalize(self.encode(mask).float(), dim=1)

    def _chosen(self, codes: Tensor) -> Tensor:
        """The unit vectors (B, size, h, w) of codes (B, h, w)."""
        return F.embedding(codes, F.normalize(self.book, dim=1)).permute(0, 3, 1, 2)

    def codes(self, mask: Tensor) -> Tensor:
        """The nearest code of each cell, (B, h, w) int64."""
        return self._nearest(self._encoded(mask))

    def _nearest(self, encoded: Tensor) -> Tensor:
        return self._likeness(encoded).argmax(dim=-1)

    def _likeness(self, encoded: Tensor) -> Tensor:
        """Cosines of every cell with every code, (B, h, w, codes), float32."""
        with torch.autocast(encoded.device.type, enabled=False):
            return encoded.permute(0, 2, 3, 1) @ F.normalize(self.book, dim=1).T

    def _unused(self, encoded: Tensor) -> Tensor:
        """How far the use of the codes is from even: 0, to the log of their number for one."""
        use = (SHARPNESS * self._likeness(encoded)).softmax(dim=-1).mean(dim=(0, 1, 2))
        return (use * (use * len(use)).clamp_min(1e-9).log()).sum()

    def drawn(self, codes: Tensor) -> Tensor:
        """Logits (B, 1, H, W) of the mask that codes (B, h, w) stand for."""
        return self.decode(self._chosen(codes))

    def forward(self, mask: Tensor) -> Written:
        encoded = self._encoded(mask)
        codes = self._nearest(encoded)
        chosen = self._chosen(codes)
        loss = F.mse_loss(chosen, encoded.detach(), reduction="sum")
        loss = loss + COMMITMENT * F.mse_loss(encoded, chosen.detach(), reduction="sum")
        through = encoded + (chosen - encoded).detach()  # the decoder's gradient skips the choice
        return Written(
            codes, self.decode(through), loss / codes.numel() + USE * self._unused(encoded)
        )

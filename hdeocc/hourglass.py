"""The U-shaped hourglass of stage 1 (paper section 3, supplement)."""

from __future__ import annotations

from torch import Tensor, nn

from hdeocc.blocks import DoubleConv, Down, Up


class Hourglass(nn.Module):
    """Five levels down and up: (B, inputs, H, W) -> (B, 16 * width, H, W).

    The channels are 16, 32, 64, 128, 128 times `width` going down; 64, 32, 16, 16 going up.
    H and W need not be multiples of 16: each level is upsampled to the size of its skip.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        base = 16 * width
        self.channels = base
        self.first = DoubleConv(inputs, base)
        down = [(base, 2 * base), (2 * base, 4 * base), (4 * base, 8 * base), (8 * base, 8 * base)]
        self.down = nn.ModuleList(Down(i, o) for i, o in down)
        up = [(16 * base, 4 * base), (8 * base, 2 * base), (4 * base, base), (2 * base, base)]
        self.up = nn.ModuleList(Up(i, o) for i, o in up)

    def encode(self, x: Tensor) -> list[Tensor]:
        """The five levels on the way down, the finest first."""
        levels = [self.first(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        return levels

    def forward(self, x: Tensor) -> Tensor:
        levels = self.encode(x)
        x = levels.pop()
        for up in self.up:
            x = up(x, levels.pop())
        return x

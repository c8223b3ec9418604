"""A plain U-Net with as many parameters as our stage 1: the fairest control of its design.

One hourglass of stage 1's blocks, image and initial mask (B, 4, H, W) -> amodal mask (B, 1, H, W).
It has neither a stack nor parsing, templates or an adversary; its loss is what stage 1's says of
the amodal mask alone: binary cross-entropy (the cross-entropy of two classes, with its weight of a
half) and 0.1 times L1 on the probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.batch import Batch
from hdeocc.blocks import DoubleConv, Down, Up, conv3x3
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track


@dataclass(frozen=True)
class UNetConfig:
    """Size and loss of the U-Net.

    channels: of the levels going down; chosen so that the parameters are as many as stage 1 has.
    cross_entropy, l1: weights of the two terms, those of stage 1.
    """

    channels: tuple[int, ...]
    cross_entropy: float = 0.5
    l1: float = 0.1


UNET_PRESETS: dict[Preset, UNetConfig] = {
    "quick": UNetConfig((23, 46, 92, 184, 194)),
    "small": UNetConfig((23, 46, 92, 184, 195)),
    "full": UNetConfig((91, 182, 364, 728, 728)),
}


class UNet(nn.Module):
    """(B, inputs, H, W) in [0, 1] -> raw scores (B, 1, H, W) of the whole person.

    The inputs are the image and one mask, or more of them.
    """

    def __init__(self, channels: Sequence[int], inputs: int = 4) -> None:
        super().__init__()
        self.first = DoubleConv(inputs, channels[0])
        self.down = nn.ModuleList(Down(i, o) for i, o in pairwise(channels))
        # Going up, a level gives as many channels as the next skip has; the last as its own.
        skips = channels[-2::-1]
        outputs = [*skips[1:], channels[0]]
        before = [channels[-1], *outputs]
        wiring = zip(before, skips, outputs, strict=False)
        self.up = nn.ModuleList(Up(x + skip, out) for x, skip, out in wiring)
        self.mask = conv3x3(channels[0], 1)

    def forward(self, image: Tensor, initial: Tensor) -> Tensor:
        levels = [self.first(torch.cat([image, initial], dim=1))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up in self.up:
            x = up(x, levels.pop())
        return self.mask(x)


class UNetNets(Adversarial):
    """The U-Net and its loss; there is no adversary."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(UNet(config.channels))
        self.config = config

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        logits = self.generator(batch.image, batch.initial).float()
        whole = (batch.amodal >= 0.5).float()
        entropy = F.binary_cross_entropy_with_logits(logits, whole)
        l1 = F.l1_loss(logits.sigmoid(), batch.amodal)
        return {"amodal_ce": self.config.cross_entropy * entropy, "l1": self.config.l1 * l1}, {}


class UNetMask(Learned):
    """A plain U-Net that turns the image and the initial mask into the amodal mask."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "Plain U-Net, as large as ours"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    presets: ClassVar[Mapping[Preset, UNetConfig]] = UNET_PRESETS

    def __init__(self, preset: Preset = "quick", sizes: UNetConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = UNetNets(sizes or UNET_PRESETS[preset])

    def infer(self, batch: Batch) -> Tensor:
        return self.nets.generator(batch.image, batch.initial).float().sigmoid()

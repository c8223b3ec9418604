"""PCNet-M (Zhan et al., "Self-supervised scene de-occlusion", CVPR 2020, section 3), for masks.

It completes the mask of what is seen of a person, given what may hide the rest, the eraser:

    visible mask and eraser, (B, 2, H, W) in [0, 1] -> two logits (B, 2, H, W), other and person

It sees no image. Two rows share network and loss: one knows the true occluder, the other takes
everything outside the initial mask for the eraser.

The original teaches itself by erasing a part of a mask that it has. Where the training people are
complete that is full supervision, so here the hidden part is what the sample's occluder hides. The
original's second case stays: in a share of the samples the eraser lies behind the person, who is
given as a whole and has to stay as it is; so that a shape also ends where nothing cuts it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.batch import Batch
from hdeocc.content_recovery import hole_of
from hdeocc.hourglass import Hourglass
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track


@dataclass(frozen=True)
class PCNetMConfig:
    """Size, loss and use of the network; the defaults are the original's.

    width: of the hourglass, whose first level has 16 times as many channels.
    inside: weight of the cross-entropy inside the eraser, against 1 outside.
    behind: share of training samples whose eraser lies behind the person.
    threshold: probability from which a pixel counts as the person's.
    """

    width: int = 2
    inside: float = 5.0
    behind: float = 0.2
    threshold: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold {self.threshold}: between 0 and 1")


# The original's network is small already: a step costs less than one of stage 1's small network.
PRESET_CONFIGS: dict[Preset, PCNetMConfig] = {
    "quick": PCNetMConfig(width=1),
    "small": PCNetMConfig(),
    "full": PCNetMConfig(),
}


class PCNetM(nn.Module):
    """The network: mask (B, 1, H, W) in [0, 1], eraser (B, 1, H, W) bool -> logits (B, 2, H, W).

    What the mask says inside the eraser is not read. Any size is taken.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hourglass = Hourglass(2, width)
        self.logits = nn.Conv2d(self.hourglass.channels, 2, 1)

    def forward(self, mask: Tensor, eraser: Tensor) -> Tensor:
        seen = mask.masked_fill(eraser, 0.0)
        return self.logits(self.hourglass(torch.cat([seen, eraser.to(seen.dtype)], dim=1)))


def weighted_cross_entropy(logits: Tensor, whole: Tensor, eraser: Tensor, inside: float) -> Tensor:
    """Cross-entropy, ``inside`` times as heavy in the eraser, averaged over all B * H * W pixels.

    logits (B, 2, H, W); whole (B, 1, H, W) in [0, 1]; eraser (B, 1, H, W) bool. The mean is not
    divided by the weights (Zhan et al., released code).
    """
    each = F.cross_entropy(logits.float(), (whole[:, 0] >= 0.5).long(), reduction="none")
    return torch.where(eraser[:, 0], inside * each, each).mean()


def scored(logits: Tensor, threshold: float) -> Tensor:
    """Probability of the person, moved so that ``threshold`` becomes a half; (B, 1, H, W) float32.

    The original cuts at 0.2, the benchmark at 0.5. Moving the log-odds by those of the threshold,
    p -> (1 - t) p / ((1 - t) p + t (1 - p)), is continuous and increasing and keeps 0 and 1.
    """
    odds = logits[:, 1:].float() - logits[:, :1].float()
    return torch.sigmoid(odds + math.log((1 - threshold) / threshold))


class PCNetMNets(Adversarial):
    """The network and its loss; the eraser is everything outside the initial mask."""

    def __init__(self, config: PCNetMConfig) -> None:
        super().__init__(PCNetM(config.width))
        self.config = config

    def eraser(self, batch: Batch) -> Tensor:
        """Where the person may be hidden, (B, 1, H, W) bool."""
        return batch.initial < 0.5

    def eraser_behind(self, batch: Batch, whole: Tensor) -> Tensor:
        """An eraser that hides nothing of the person, whose mask is ``whole``."""
        return whole < 0.5

    def cases(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Visible masks (B, 1, H, W) and erasers (bool) to learn from, one case a sample.

        Behind the person: the initial mask with the hidden part given back, which is the truth
        where the initial mask is. Its faults elsewhere stay, or they would tell the cases apart.
        """
        draw = torch.rand(len(batch), device=batch.initial.device) < self.config.behind
        behind = draw[:, None, None, None]
        whole = batch.initial.masked_fill(hole_of(batch.modal, batch.amodal), 1.0)
        mask = torch.where(behind, whole, batch.initial)
        return mask, torch.where(behind, self.eraser_behind(batch, whole), self.eraser(batch))

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        mask, eraser = self.cases(batch)
        logits = self.generator(mask, eraser)
        inside = self.config.inside
        return {"amodal_ce": weighted_cross_entropy(logits, batch.amodal, eraser, inside)}, {}


class PCNetMOccluderNets(PCNetMNets):
    """The eraser is the true occluder."""

    def eraser(self, batch: Batch) -> Tensor:
        return batch.occluder >= 0.5

    def eraser_behind(self, batch: Batch, whole: Tensor) -> Tensor:
        """Another sample's occluder, less the person in front of it."""
        other = torch.roll(batch.occluder, 1, dims=0) >= 0.5
        return other & (batch.amodal < 0.5) & (whole < 0.5)


class PCNetMask(Learned):
    """PCNet-M that takes everything outside the initial mask for a possible occluder."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "PCNet-M"
    consumes: ClassVar[frozenset[str]] = frozenset({"initial"})
    presets: ClassVar[Mapping[Preset, PCNetMConfig]] = PRESET_CONFIGS
    nets_class: ClassVar[type[PCNetMNets]] = PCNetMNets

    nets: PCNetMNets

    def __init__(self, preset: Preset = "quick", sizes: PCNetMConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = self.nets_class(sizes or PRESET_CONFIGS[preset])

    def infer(self, batch: Batch) -> Tensor:
        eraser = self.nets.eraser(batch)
        logits = self.nets.generator(batch.initial, eraser)
        # Nothing is completed where nothing hides the person (Zhan et al., order-grounded).
        possible = eraser | (batch.initial >= 0.5)
        return scored(logits, self.nets.config.threshold).masked_fill(~possible, 0.0)


class PCNetMaskOccluder(PCNetMask):
    """PCNet-M that is told the true occluder, which no photo tells: an oracle."""

    title: ClassVar[str] = "PCNet-M, true occluder"
    consumes: ClassVar[frozenset[str]] = frozenset({"initial", "occluder"})
    nets_class: ClassVar[type[PCNetMNets]] = PCNetMOccluderNets

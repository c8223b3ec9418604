"""SeGAN's texture network (Ehsani et al., CVPR 2018).

A conditional GAN of Pix2Pix's networks that sees nothing but the person: the hidden part is painted
pure red and everything outside the person pure blue.

    red and blue picture (B, 3, H, W) -> the whole person (B, 3, H, W), of which the hole is kept

Networks and losses see pictures in [-1, 1]. The original cuts the object out first; here every
picture is the crop of a person already. What the original asks for outside the object is not known:
here blue, as in the input, so that nothing about the background has to be guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from baselines.pix2pix import PatchGAN, Pix2PixConfig, UNet, adversarial_loss
from baselines.signed import mean_over
from hdeocc.batch import Batch
from hdeocc.content_recovery import hole_of
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track

RED, BLUE = (1.0, -1.0, -1.0), (-1.0, -1.0, 1.0)  # in [-1, 1]


@dataclass(frozen=True)
class SeganContentConfig(Pix2PixConfig):
    """Pix2Pix's sizes and weight of L1, and what L1 is a mean over.

    l1_over: the frame, as in the original, or the person, as in our Pix2Pix; outside the person
        the target is one colour.
    """

    l1_over: Literal["frame", "person"] = "frame"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.l1_over not in ("frame", "person"):
            raise ValueError(f"l1_over {self.l1_over!r}: frame or person")


# Over the frame the hole has next to no weight, which short budgets do not make up for.
SEGAN_CONTENT_PRESETS: dict[Preset, SeganContentConfig] = {
    "quick": SeganContentConfig(6, 8, 8, l1_over="person"),
    "small": SeganContentConfig(7, 20, 20, l1_over="person"),
    "full": SeganContentConfig(),
}


def _painted(picture: Tensor, where: Tensor, colour: tuple[float, ...]) -> Tensor:
    """A picture (B, 3, H, W) with one colour where a mask (B, 1, H, W) bool says so."""
    return torch.where(where, picture.new_tensor(colour).view(1, 3, 1, 1), picture)


def texture_input(batch: Batch) -> Tensor:
    """The visible person, red where it is hidden, on blue: (B, 3, H, W) in [-1, 1]."""
    red = _painted(batch.image * 2 - 1, hole_of(batch.modal, batch.amodal), RED)
    return _painted(red, batch.amodal < 0.5, BLUE)


def texture_target(batch: Batch) -> Tensor:
    """The whole person on blue, (B, 3, H, W) in [-1, 1]; of no meaning without a clean picture."""
    return _painted(batch.clean * 2 - 1, batch.amodal < 0.5, BLUE)


class SeganContentNets(Adversarial):
    """Generator and discriminator; samples whose clean picture is unknown weigh nothing.

    The discriminator sees the input beside the raw output, as in the original.
    """

    def __init__(self, config: SeganContentConfig) -> None:
        super().__init__(
            UNet(3, 3, config.levels, config.generator_width),
            PatchGAN(6, config.discriminator_width),
        )
        self.config = config

    def judge(self, given: Tensor, shown: Tensor, real: bool, known: Tensor) -> Tensor:
        """Loss of calling ``shown``, made from ``given``, real or not."""
        assert self.discriminator is not None
        logits = self.discriminator(torch.cat([given, shown], dim=1))
        return adversarial_loss(logits, real, known)

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        given, known = texture_input(batch), batch.has_clean
        made = self.generator(given)
        terms = {
            "l1": self.config.l1 * mean_over(self._l1_of_each(made, batch), known),
            "adversarial": self.judge(given, made, True, known),
        }
        return terms, {"given": given, "made": made}

    def _l1_of_each(self, made: Tensor, batch: Batch) -> Tensor:
        """Mean absolute differences (B,) in [-1, 1]."""
        difference = (made - texture_target(batch)).abs().mean(dim=1, keepdim=True)
        if self.config.l1_over == "frame":
            return difference.mean(dim=(1, 2, 3))
        person = batch.amodal >= 0.5
        return (difference * person).sum(dim=(1, 2, 3)) / person.sum(dim=(1, 2, 3)).clamp_min(1)

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        known = batch.has_clean
        # A stand-in for unknown truths: they weigh nothing, but batch norm sees every sample.
        real = torch.where(known[:, None, None, None], texture_target(batch), made["made"])
        return {
            "discriminator_real": 0.5 * self.judge(made["given"], real, True, known),
            "discriminator_made": 0.5 * self.judge(made["given"], made["made"], False, known),
        }


class SeganContent(Learned):
    """SeGAN that paints the hole of a person without seeing the background."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "SeGAN"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})
    presets: ClassVar[Mapping[Preset, SeganContentConfig]] = SEGAN_CONTENT_PRESETS
    generator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    discriminator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    weight_decay: ClassVar[float] = 0.0

    def __init__(self, preset: Preset = "quick", sizes: SeganContentConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = SeganContentNets(sizes or SEGAN_CONTENT_PRESETS[preset])

    def infer(self, batch: Batch) -> Tensor:
        painted = (self.nets.generator(texture_input(batch)) + 1) / 2
        return torch.where(hole_of(batch.modal, batch.amodal), painted, batch.image)

"""OVSR's mask completion (Yan et al., ICCV 2019), re-derived: no code of it is public.

Known of the original: segmentation completion takes turns with appearance recovery, and has two
coupled discriminators and a pool of silhouettes as further real samples. Everything else is our
decision. The generator is Pix2Pix's U-Net:

    image and initial mask (B, 4, H, W) in [-1, 1] -> amodal probability (B, 1, H, W)

One discriminator judges the mask beside the image, the other the silhouette alone; both are
Pix2Pix's PatchGAN and share their first two convolutions. True amodal masks of the training people
take the place of the original's pool of rendered shapes.

The turns with appearance recovery need a full pipeline; :class:`MaskStep` is one turn of it.
L1 and perceptual terms are counted on probabilities in [0, 1].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.pix2pix import PatchGAN, UNet
from hdeocc import losses
from hdeocc.batch import Batch
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.losses import Features, vgg_features
from hdeocc.method import Budget, FitData, Preset, Track


@dataclass(frozen=True)
class OvsrMaskConfig:
    """Sizes of the networks, by default those of Pix2Pix, and weights of the terms.

    levels: how often the generator halves the picture; 8 takes 256 pixels to one.
    generator_width, discriminator_width: channels of the first convolution.
    l1, perceptual: weights of these terms; 0 for perceptual does without VGG.
    adversarial: weight of what either discriminator says.
    """

    levels: int = 8
    generator_width: int = 64
    discriminator_width: int = 64
    l1: float = 10.0
    perceptual: float = 1.0
    adversarial: float = 0.1

    def __post_init__(self) -> None:
        if self.levels < 5:
            raise ValueError(f"levels {self.levels}: at least 5")


OVSR_MASK_PRESETS: dict[Preset, OvsrMaskConfig] = {
    "quick": OvsrMaskConfig(6, 8, 8, perceptual=0.0),  # VGG would cost more than the rest
    "small": OvsrMaskConfig(7, 20, 20),
    "full": OvsrMaskConfig(),
}


class MaskStep(nn.Module):
    """One turn of completion: image (B, 3, H, W) and a mask (B, 1, H, W) -> mask, all in [0, 1].

    The image may be the occluded one or, in later turns, a recovered one.
    """

    def __init__(self, levels: int, width: int) -> None:
        super().__init__()
        self.net = UNet(4, 1, levels, width)

    def forward(self, image: Tensor, initial: Tensor) -> Tensor:
        return (self.net(torch.cat([image, initial], dim=1) * 2 - 1) + 1) / 2


class CoupledDiscriminators(nn.Module):
    """Two PatchGANs of masks that share two convolutions; raw logits (B, 1, H/8 - 2, W/8 - 2).

    image (B, 3, H, W) and mask (B, 1, H, W) are in [0, 1].
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        shared, alone = (list(PatchGAN(4, width)) for _ in range(2))
        self.trunk = nn.Sequential(*shared[:5])  # two convolutions, a norm, two activations
        self.object_tail = nn.Sequential(*shared[5:])
        self.silhouette_tail = nn.Sequential(*alone[5:])

    def object(self, image: Tensor, mask: Tensor) -> Tensor:
        """Is this the whole person of this image?"""
        return self.object_tail(self.trunk(torch.cat([image, mask], dim=1) * 2 - 1))

    def silhouette(self, mask: Tensor) -> Tensor:
        """Is this the shape of a person? The shared convolutions see mid-grey for an image."""
        grey = torch.full_like(mask, 0.5).expand(-1, 3, -1, -1)
        return self.silhouette_tail(self.trunk(torch.cat([grey, mask], dim=1) * 2 - 1))


class OvsrMaskNets(Adversarial):
    """Mask step, coupled discriminators and their losses."""

    def __init__(self, config: OvsrMaskConfig) -> None:
        super().__init__(
            MaskStep(config.levels, config.generator_width),
            CoupledDiscriminators(config.discriminator_width),
        )
        self.config = config
        self.features: Features | None = None

    @property
    def judges(self) -> CoupledDiscriminators:
        """The two discriminators."""
        return cast(CoupledDiscriminators, self.discriminator)

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        config, made = self.config, self.generator(batch.image, batch.initial)
        terms = {"l1": config.l1 * F.l1_loss(made, batch.amodal)}
        if self.features is not None:
            with torch.no_grad():
                wanted = self.features(batch.amodal.expand(-1, 3, -1, -1))
            found = self.features(made.expand(-1, 3, -1, -1))
            terms["perceptual"] = config.perceptual * losses.perceptual_loss(found, wanted)
        answers = {
            "object": self.judges.object(batch.image, made),
            "silhouette": self.judges.silhouette(made),
        }
        for name, logits in answers.items():
            terms[f"adversarial_{name}"] = config.adversarial * losses.generator_loss(logits)
        return terms, {"mask": made}

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        mask = made["mask"]
        # Shapes of other people, of which no image is known. The judge sees none anyway, so that
        # the order changes its loss by rounding alone; it stays, so that trainings can be repeated.
        shapes = batch.amodal.roll(1, dims=0)
        pairs = {
            "object": [self.judges.object(batch.image, m) for m in (batch.amodal, mask)],
            "silhouette": [self.judges.silhouette(m) for m in (shapes, mask)],
        }
        return {
            f"discriminator_{name}": losses.discriminator_loss(real, fake)
            for name, (real, fake) in pairs.items()
        }


class OvsrMask(Learned):
    """OVSR-style completion that turns the image and the initial mask into the amodal mask."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "OVSR-style (re-derived)"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    presets: ClassVar[Mapping[Preset, OvsrMaskConfig]] = OVSR_MASK_PRESETS
    generator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    discriminator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    weight_decay: ClassVar[float] = 0.0

    def __init__(self, preset: Preset = "quick", sizes: OvsrMaskConfig | None = None) -> None:
        super().__init__(preset)
        self.sizes = sizes or OVSR_MASK_PRESETS[preset]
        self.nets = OvsrMaskNets(self.sizes)

    def loss_networks(self) -> tuple[str, ...]:
        return ("vgg16",) if self.sizes.perceptual else ()

    def prepare(self, data: FitData, budget: Budget) -> None:
        if self.loss_networks():
            cast(OvsrMaskNets, self.nets).features = vgg_features()

    def infer(self, batch: Batch) -> Tensor:
        return self.nets.generator(batch.image, batch.initial)

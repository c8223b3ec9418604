"""PCNet-C (Zhan et al., "Self-supervised scene de-occlusion", CVPR 2020, section 3), for content.

A U-Net of partial convolutions (Liu et al., ECCV 2018) that is told whose content it paints:

    RGB and visible mask, (B, 4, H, W) -> RGB (B, 3, H, W)
    RGB, visible and amodal mask, (B, 5, H, W) -> RGB (B, 3, H, W)

Pixels are normalised as for ImageNet, everywhere here, in the losses and for the discriminator; the
masks are 0 or 1. The hole, amodal less visible mask, is unknown to the first four channels. The
fifth, which is ours, is known everywhere: the hole is where it says most.

The released code divides by the number of known inputs of a window without multiplying by the
window's size, which works only with its pre-trained weights; from scratch NVIDIA's rule is needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from hdeocc.across import weight_of
from hdeocc.batch import Batch
from hdeocc.content_recovery import CHANNEL_FACTORS, ENCODER_KERNELS, Level, hole_of
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.losses import Features, gram, vgg_features
from hdeocc.method import Budget, FitData, Preset, Track
from hdeocc.partial_conv import Known, PartialConv2d, join, known_where, upsample
from metrics.features import IMAGENET_MEAN, IMAGENET_STD


@dataclass(frozen=True)
class PCNetCConfig:
    """Sizes of the two networks and weights of the loss; the defaults are the original's.

    width, discriminator: channels of the first convolution of each network.
    levels: how often the picture is halved, at most 7.
    window_normalisation: NVIDIA's rule; False is the released code's, see above.
    valid, hole: weights of the L1 outside and inside the hole.
    tv: total variation of the composite.
    feature, style: differences of VGG features and of their Gram matrices, for the network's
        picture and for the composite; VGG is left out where both are 0.
    adversarial: what the discriminator says of the network's picture; 0 leaves it out.
    vgg_share: share of every batch that feature and style look at.
    l1_over: what L1 outside and inside the hole are means over, each: the frame, as in the
        original, or its own pixels. In a frame the hole of a person has next to no weight.
    """

    width: int = 64
    discriminator: int = 64
    levels: int = 7
    window_normalisation: bool = True
    valid: float = 1.0
    hole: float = 6.0
    tv: float = 0.1
    feature: float = 0.1
    style: float = 250.0
    adversarial: float = 0.1
    vgg_share: float = 1.0
    l1_over: Literal["frame", "own"] = "frame"

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= len(ENCODER_KERNELS):
            raise ValueError(f"levels {self.levels}: 2 to {len(ENCODER_KERNELS)}")


# In short budgets the hole has to weigh something from the start.
PRESET_CONFIGS: dict[Preset, PCNetCConfig] = {
    "quick": PCNetCConfig(12, 12, 5, feature=0.0, style=0.0, l1_over="own"),
    "small": PCNetCConfig(24, 24, 6, vgg_share=0.5, l1_over="own"),
    "full": PCNetCConfig(),
}


def normalised(image: Tensor) -> Tensor:
    """[0, 1] -> ImageNet's mean 0 and deviation 1; (B, 3, H, W)."""
    mean, std = (image.new_tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (image - mean) / std


def plain(picture: Tensor) -> Tensor:
    """The inverse of :func:`normalised`; leaves [0, 1] where the network does."""
    mean, std = (picture.new_tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return picture * std + mean


def network_input(image: Tensor, modal: Tensor, hole: Tensor, amodal: Tensor | None) -> Known:
    """What the network gets: image and visible mask unknown in the hole, the amodal mask known.

    image (B, 3, H, W) in [0, 1]; masks (B, 1, H, W) in [0, 1]; hole (B, 1, H, W) bool. With an
    amodal mask 5 channels, else 4.
    """
    seen = torch.cat([normalised(image), (modal >= 0.5).to(image.dtype)], dim=1)
    visible = known_where(seen.masked_fill(hole, 0.0), (~hole).to(image.dtype))
    if amodal is None:
        return visible
    return join([visible, known_where((amodal >= 0.5).to(image.dtype), None)])


class PartialUNet(nn.Module):
    """The generator: Known (B, inputs, H, W) -> normalised RGB (B, 3, H, W), float32, unbounded.

    The layers are those of stage 2 without attention (Zhan et al., released code). In
    train mode a level of one pixel needs a batch of two or more (batch norm).
    """

    def __init__(self, inputs: int, config: PCNetCConfig) -> None:
        super().__init__()
        widths = [config.width * factor for factor in CHANNEL_FACTORS[: config.levels]]
        conv = partial(PartialConv2d, window_normalisation=config.window_normalisation)
        down = zip([inputs, *widths], widths, ENCODER_KERNELS, strict=False)
        self.encoder = nn.ModuleList(
            Level(conv(i, o, kernel, 2), o, norm=level > 0, slope=0)
            for level, (i, o, kernel) in enumerate(down)
        )
        up = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.decoder = nn.ModuleList(
            Level(conv(below + skip, skip, 3), skip, norm=True, slope=0.2) for below, skip in up
        )
        self.last = conv(widths[0] + inputs, 3, 3, bias=True)

    def forward(self, x: Known) -> Tensor:
        skips = [x]
        for encode in self.encoder:
            skips.append(known_where(*encode(skips[-1])))
        x = skips.pop()
        for decode in self.decoder:
            x = known_where(*decode(_beside(x, skips.pop())))
        values, _ = self.last(_beside(x, skips.pop()))
        return values.float()


def _beside(x: Known, skip: Known) -> Known:
    """``x``, upsampled to the size of ``skip``, and ``skip``."""
    return join([upsample(x, skip.values.shape[-2:]), skip])


class Discriminator(nn.Module):
    """Normalised RGB (B, 3, H, W) and visible mask (B, 1, H, W) -> raw logits (B, 1, h, w).

    h is H / 8 - 2. 4x4 convolutions with spectral norm; the original's last sigmoid is part of the
    loss here.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 4
        for outputs, stride in ((width, 2), (2 * width, 2), (4 * width, 2), (8 * width, 1)):
            layers += [_spectral(inputs, outputs, stride), nn.LeakyReLU(0.2, inplace=True)]
            inputs = outputs
        self.body = nn.Sequential(*layers, _spectral(inputs, 1, 1))

    def forward(self, picture: Tensor, modal: Tensor) -> Tensor:
        return self.body(torch.cat([picture, (modal >= 0.5).to(picture.dtype)], dim=1)).float()


def _spectral(inputs: int, outputs: int, stride: int) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False))


def sample_weights(known: Tensor) -> Tensor:
    """Weights (B,) that average over the samples whose truth is known, (B,) bool; 0 elsewhere."""
    count = known.sum()
    return known.float() / count.clamp_min(1) * weight_of(count)


def _mean(each: Tensor, weights: Tensor) -> Tensor:
    """The mean of every sample of (B, ...), summed with weights (B,)."""
    return (each.float().flatten(1).mean(dim=1) * weights).sum()


def pixel_losses(
    recon: Tensor, target: Tensor, hole: Tensor, weights: Tensor, config: PCNetCConfig
) -> Terms:
    """L1 outside and inside the hole, and the composite's total variation.

    recon, target (B, 3, H, W) normalised; hole (B, 1, H, W) bool; weights (B,).
    """
    difference = (recon - target).abs()
    comp = torch.where(hole, recon, target)
    across, along = comp.diff(dim=3).abs(), comp.diff(dim=2).abs()
    return {
        "valid": config.valid * _mean(_counted(difference, ~hole, config), weights),
        "hole": config.hole * _mean(_counted(difference, hole, config), weights),
        "tv": config.tv * (_mean(across, weights) + _mean(along, weights)),
    }


def _counted(difference: Tensor, where: Tensor, config: PCNetCConfig) -> Tensor:
    """Differences (B, 3, H, W) so that their mean over the frame is the one over ``l1_over``."""
    inside = difference.masked_fill(~where, 0.0)
    if config.l1_over == "frame":
        return inside
    share = where.float().mean(dim=(1, 2, 3), keepdim=True)
    return inside / share.clamp_min(1 / where[0].numel())


def feature_losses(
    recon: Tensor,
    target: Tensor,
    hole: Tensor,
    weights: Tensor,
    features: Features,
    config: PCNetCConfig,
) -> Terms:
    """L1 of features and of their Gram matrices (over C * h * w, as in ``hdeocc.losses``).

    Summed over the levels, and over the network's picture and the composite. Arguments as in
    :func:`pixel_losses`.
    """
    with torch.no_grad():
        wanted = features(plain(target))
    feature = style = recon.new_zeros(())
    for picture in (recon, torch.where(hole, recon, target)):
        for found, want in zip(features(plain(picture)), wanted, strict=True):
            feature = feature + _mean((found.float() - want.float()).abs(), weights)
            style = style + _mean((gram(found) - gram(want)).abs(), weights)
    return {"feature": config.feature * feature, "style": config.style * style}


class PCNetCNets(Adversarial):
    """Both networks and their losses. Samples whose clean picture is unknown weigh nothing."""

    def __init__(self, config: PCNetCConfig, sees_amodal: bool) -> None:
        judge = Discriminator(config.discriminator) if config.adversarial else None
        super().__init__(PartialUNet(5 if sees_amodal else 4, config), judge)
        self.config = config
        self.sees_amodal = sees_amodal
        self.features: Features | None = None

    def paint(self, batch: Batch) -> Tensor:
        """The network's picture of the whole frame, (B, 3, H, W), normalised."""
        hole = hole_of(batch.modal, batch.amodal)
        amodal = batch.amodal if self.sees_amodal else None
        return self.generator(network_input(batch.image, batch.modal, hole, amodal))

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        hole = hole_of(batch.modal, batch.amodal)
        weights = sample_weights(batch.has_clean)
        # Outside the hole the photo is the truth, occluder included.
        target = normalised(torch.where(hole, batch.clean, batch.image))
        recon = self.paint(batch)
        terms = pixel_losses(recon, target, hole, weights, self.config)
        if self.features is not None:
            few = slice(max(1, round(self.config.vgg_share * len(batch))))
            known = sample_weights(batch.has_clean[few])
            terms |= feature_losses(
                recon[few], target[few], hole[few], known, self.features, self.config
            )
        if self.discriminator is not None:
            doubt = F.softplus(-self.discriminator(recon, batch.modal))
            terms["adversarial"] = self.config.adversarial * _mean(doubt, weights)
        return terms, {"recon": recon, "target": target}

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        assert self.discriminator is not None
        weights = sample_weights(batch.has_clean)
        real = F.softplus(-self.discriminator(made["target"], batch.modal))
        fake = F.softplus(self.discriminator(made["recon"], batch.modal))
        return {"discriminator": 0.5 * (_mean(real, weights) + _mean(fake, weights))}


class PCNetContent(Learned):
    """PCNet-C as published: the amodal mask says where the hole is, and is no input otherwise."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "PCNet-C"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})
    presets: ClassVar[Mapping[Preset, PCNetCConfig]] = PRESET_CONFIGS
    generator_betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    discriminator_betas: ClassVar[tuple[float, float]] = (0.0, 0.9)
    discriminator_lr: ClassVar[float] = 0.1
    weight_decay: ClassVar[float] = 0.0
    sees_amodal: ClassVar[bool] = False

    nets: PCNetCNets

    def __init__(self, preset: Preset = "quick", sizes: PCNetCConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = PCNetCNets(sizes or PRESET_CONFIGS[preset], self.sees_amodal)

    def loss_networks(self) -> tuple[str, ...]:
        return ("vgg16",) if self.nets.config.feature or self.nets.config.style else ()

    def prepare(self, data: FitData, budget: Budget) -> None:
        if self.loss_networks():
            self.nets.features = vgg_features()

    def infer(self, batch: Batch) -> Tensor:
        hole = hole_of(batch.modal, batch.amodal)
        return torch.where(hole, plain(self.nets.paint(batch)), batch.image)


class PCNetContentAmodal(PCNetContent):
    """PCNet-C with the amodal mask as a fifth channel, which is known inside the hole too."""

    title: ClassVar[str] = "PCNet-C, amodal mask"
    sees_amodal: ClassVar[bool] = True

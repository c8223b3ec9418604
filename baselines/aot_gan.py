"""AOT-GAN (Zeng et al., TVCG 2022, arXiv 2104.01431): blocks that look near and far at once.

    image with a white hole, hole, amodal mask, (B, 5, H, W) -> RGB (B, 3, H, W)

The discriminator tells patch by patch how much of it is painted. Networks and losses see pictures
in [-1, 1] and masks in {0, 1}; predictions are mapped to [0, 1]. The picture to paint is the clean
one in the hole and the given one elsewhere, where the occluder stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from baselines.signed import by_sample, mean_over, signed, wanted_picture
from hdeocc.batch import Batch
from hdeocc.content_recovery import hole_of
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.losses import Features, gram, vgg_features
from hdeocc.method import Budget, FitData, Preset, Track

MULTIPLE = 4  # two halvings


@dataclass(frozen=True)
class AOTConfig:
    """Sizes of the networks and weights of the losses; the defaults are the original's.

    width: channels of the first convolution; doubled twice on the way to the blocks.
    blocks: how many AOT blocks there are. rates: dilations of the branches of each.
    gate_norm: gates see their map normalised by its mean and spread, as in the released code;
        False: a plain sigmoid, as the paper says.
    discriminator_width: channels of the discriminator's first convolution.
    amodal: the whole person's mask is a part of the input, as it is for all person-aware rows;
        False: the hole alone, as in the original.
    l1: weight of the L1 term, in [-1, 1].
    l1_over: what that is a mean over: the frame, as in the original, or the hole.
    style, perceptual: weights of what looks through VGG16. The original divides its Gram matrices
        by C * h * w, as ``losses.gram`` does, and averages their absolute differences, so its
        weight of 250 carries over unchanged. It sums over four levels of VGG19 (five for
        perceptual) where here there are three of VGG16, whose weights the project has.
    adversarial: weight of the adversary's opinion.
    blur: spread in pixels of the blurred hole that the discriminator should find.
    vgg: whether style and perceptual terms are trained at all.
    vgg_share: share of every batch that they look at; they cost more than the rest of a step.
    """

    width: int = 64
    blocks: int = 8
    rates: tuple[int, ...] = (1, 2, 4, 8)
    gate_norm: bool = True
    discriminator_width: int = 64
    amodal: bool = True
    l1: float = 1.0
    l1_over: Literal["frame", "hole"] = "frame"
    style: float = 250.0
    perceptual: float = 0.1
    adversarial: float = 0.01
    blur: float = 10.0
    vgg: bool = True
    vgg_share: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rates", tuple(self.rates))
        if not self.rates or 4 * self.width % len(self.rates):
            raise ValueError(f"rates {self.rates}: as many as divide {4 * self.width} channels")


# Smaller pictures have smaller holes, so their edges are blurred less; and over the frame the hole
# has next to no weight in L1, which short budgets do not make up for.
PRESET_CONFIGS: dict[Preset, AOTConfig] = {
    "quick": AOTConfig(12, 4, discriminator_width=16, blur=2.5, vgg=False, l1_over="hole"),
    "small": AOTConfig(32, discriminator_width=32, blur=5.0, vgg_share=0.5, l1_over="hole"),
    "full": AOTConfig(),
}


def _conv3x3(inputs: int, outputs: int, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, 1, dilation, dilation, padding_mode="reflect")


class AOTBlock(nn.Module):
    """(B, C, h, w) -> the same shape; h and w have to be above the largest rate.

    Branches of C / len(rates) channels, each with a dilation of its own, are fused; a gate says by
    pixel and channel how much of that replaces the input (section 3.1 of the paper).
    """

    def __init__(self, channels: int, rates: Sequence[int], gate_norm: bool) -> None:
        super().__init__()
        share = channels // len(rates)
        self.branches = nn.ModuleList(_conv3x3(channels, share, rate) for rate in rates)
        self.fuse = _conv3x3(channels, channels)
        self.gate = _conv3x3(channels, channels)
        self.gate_norm = gate_norm

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.cat([branch(x) for branch in self.branches], dim=1).relu()
        gate = self.gate(x)
        if self.gate_norm:
            gate = spread_out(gate)
        gate = gate.sigmoid().to(x.dtype)
        return x * (1 - gate) + self.fuse(seen) * gate


def spread_out(gate: Tensor) -> Tensor:
    """Every map (B, C, h, w) with a mean of -5 and a spread of 10 over its pixels, float32.

    So a gate is either open or closed nearly everywhere, and closed for the most part. Without
    an epsilon to speak of, because the maps start small.
    """
    return 10 * F.instance_norm(gate.float(), eps=1e-12) - 5


class Generator(nn.Module):
    """(B, 4 or 5, H, W) as :func:`content_input` gives it -> (B, 3, H, W) in [-1, 1], float32.

    Sizes that are no multiple of 4, or too small for the largest rate, are padded inside by
    repeating the border.
    """

    def __init__(self, config: AOTConfig) -> None:
        super().__init__()
        c = config.width
        self.smallest = MULTIPLE * (max(config.rates) + 1)
        blocks = [AOTBlock(4 * c, config.rates, config.gate_norm) for _ in range(config.blocks)]
        self.body = nn.Sequential(
            nn.Conv2d(5 if config.amodal else 4, c, 7, 1, 3, padding_mode="reflect"),
            nn.ReLU(),
            nn.Conv2d(c, 2 * c, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(2 * c, 4 * c, 4, 2, 1),
            nn.ReLU(),
            *blocks,
            *_up(4 * c, 2 * c),
            *_up(2 * c, c),
            nn.Conv2d(c, 3, 3, 1, 1),
        )
        normal_init(self, c)

    def forward(self, given: Tensor) -> Tensor:
        height, width = given.shape[-2:]
        missing = [self._whole(side) - side for side in (width, height)]
        padded = F.pad(given, (0, missing[0], 0, missing[1]), mode="replicate")
        return self.body(padded)[..., :height, :width].float().tanh()

    def _whole(self, side: int) -> int:
        """The smallest size of at least ``side`` that the layers can take."""
        return max(side + -side % MULTIPLE, self.smallest)


def _up(inputs: int, outputs: int) -> list[nn.Module]:
    double = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    return [double, nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU()]


class Discriminator(nn.Sequential):
    """Picture (B, 3, H, W) -> how real its patches of 70x70 pixels are, raw, (B, 1, h, w).

    The map has H / 8 - 2 rows.
    """

    def __init__(self, width: int) -> None:
        layers: list[nn.Module] = []
        widths = (3, width, 2 * width, 4 * width, 8 * width)
        for inputs, outputs, stride in zip(widths, widths[1:], (2, 2, 2, 1), strict=False):
            layers += [nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))
        normal_init(self, width)
        for layer in list(self)[:-1]:
            if isinstance(layer, nn.Conv2d):
                spectral_norm(layer)


def normal_init(network: nn.Module, width: int) -> None:
    """Convolutions from N(0, 0.02) at the original's width of 64, biases 0.

    Narrower networks start from larger weights, so that their signals spread alike. Draws from
    torch's current random state.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, 0.02 * (64 / width) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def blurred(hole: Tensor, spread: float) -> Tensor:
    """The hole (B, 1, H, W) smoothed by a Gaussian of ``spread`` pixels, float32 in [0, 1].

    The kernel is cut at 3.5 times its spread, 71 pixels for the original's 10. Beyond the frame
    there is no hole.
    """
    reach = max(1, int(3.5 * spread + 0.5))
    steps = torch.arange(-reach, reach + 1, device=hole.device, dtype=torch.float32)
    kernel = (-(steps / spread).square() / 2).exp()
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    with torch.autocast(hole.device.type, enabled=False):
        rows = F.conv2d(hole.float(), kernel, padding=(0, reach))
        return F.conv2d(rows, kernel.transpose(2, 3), padding=(reach, 0))


def content_input(batch: Batch, amodal: bool) -> Tensor:
    """Image in [-1, 1] with a white hole, hole and, if wanted, amodal mask: (B, 4 or 5, H, W).

    The masks are 0 or 1.
    """
    hole = hole_of(batch.modal, batch.amodal)
    erased = signed(batch.image).masked_fill(hole, 1.0)
    masks = [hole, batch.amodal >= 0.5] if amodal else [hole]
    return torch.cat([erased, torch.cat(masks, dim=1).to(erased.dtype)], dim=1)


def feature_terms(
    made: Tensor, wanted: Tensor, known: Tensor, features: Features, config: AOTConfig
) -> Terms:
    """Style and perceptual terms of pictures (B, 3, H, W) in [-1, 1]; unknown ones weigh nothing.

    As ``losses.style_loss`` and ``losses.perceptual_loss``, but with a weight a sample, known (B,).
    """
    with torch.no_grad():
        levels = features((wanted + 1) / 2)
    pairs = list(zip(features((made + 1) / 2), levels, strict=True))
    style = [mean_over((gram(f) - gram(w)).abs(), known[:, None, None]) for f, w in pairs]
    content = [mean_over((f.float() - w.float()).abs(), by_sample(known)) for f, w in pairs]
    return {
        "style": config.style * torch.stack(style).sum(),
        "perceptual": config.perceptual * torch.stack(content).sum(),
    }


class AOTNets(Adversarial):
    """L1, features, and an adversary of squared errors that sees the hole pasted into the photo.

    Samples whose clean picture is unknown weigh nothing.
    """

    generator: Generator
    discriminator: Discriminator

    def __init__(self, config: AOTConfig) -> None:
        super().__init__(Generator(config), Discriminator(config.discriminator_width))
        self.config = config
        self.features: Features | None = None

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        config, hole = self.config, hole_of(batch.modal, batch.amodal)
        known = by_sample(batch.has_clean)
        wanted = wanted_picture(batch, hole)
        made = self.generator(content_input(batch, config.amodal))
        shown = torch.where(hole, made, signed(batch.image))
        counted = known & hole if config.l1_over == "hole" else known
        terms = {
            "l1": config.l1 * mean_over((made - wanted).abs(), counted),
            "adversarial": config.adversarial * self._opinion(shown, hole, known),
        }
        if self.features is not None:
            few = slice(max(1, round(config.vgg_share * len(batch))))
            some = (made[few], wanted[few], batch.has_clean[few])
            terms |= feature_terms(*some, self.features, config)
        return terms, {"made": shown}

    def _opinion(self, shown: Tensor, hole: Tensor, known: Tensor) -> Tensor:
        """How far the painted patches are from being called real; patches count by their hole."""
        judged = self.discriminator(shown).float()
        painted = F.adaptive_avg_pool2d(hole.float(), judged.shape[-2:])
        return mean_over((judged - 1).square(), painted * known)

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        """Real patches are 1; of a painted picture they are 1 off the hole and 0 in its depth.

        By the paper's equation; the released code labels the other way round, and its generator
        then asks for what the discriminator calls painted.
        """
        hole, known = hole_of(batch.modal, batch.amodal), by_sample(batch.has_clean)
        pictures = torch.cat([wanted_picture(batch, hole), made["made"]])
        real, fake = self.discriminator(pictures).float().chunk(2)
        soft = F.adaptive_avg_pool2d(1 - blurred(hole, self.config.blur), fake.shape[-2:])
        return {
            "discriminator_real": mean_over((real - 1).square(), known),
            "discriminator_made": mean_over((fake - soft).square(), known),
        }


class AOTGAN(Learned):
    """AOT-GAN that is also given the mask of the whole person."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "AOT-GAN"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})
    generator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    discriminator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    weight_decay: ClassVar[float] = 0.0
    presets: ClassVar[Mapping[Preset, AOTConfig]] = PRESET_CONFIGS

    nets: AOTNets

    def __init__(self, preset: Preset = "quick", sizes: AOTConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = AOTNets(sizes or PRESET_CONFIGS[preset])

    def loss_networks(self) -> tuple[str, ...]:
        return ("vgg16",) if self.nets.config.vgg else ()

    def prepare(self, data: FitData, budget: Budget) -> None:
        if self.loss_networks():
            self.nets.features = vgg_features()

    def infer(self, batch: Batch) -> Tensor:
        made = self.nets.generator(content_input(batch, self.nets.config.amodal))
        return torch.where(hole_of(batch.modal, batch.amodal), (made + 1) / 2, batch.image)

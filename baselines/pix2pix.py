"""Pix2Pix (Isola et al., CVPR 2017), for masks and for content.

Both rows share one U-Net of 4x4 convolutions with stride 2 and one conditional 70x70 PatchGAN:

    mask     image and initial mask, (B, 4, H, W) -> amodal mask (B, 1, H, W)
    content  erased image, visibility and amodal mask, (B, 5, H, W) -> RGB (B, 3, H, W)

Networks and losses see everything in [-1, 1], masks too; predictions are mapped to [0, 1].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.signed import mean_over, signed
from hdeocc.batch import Batch
from hdeocc.content_recovery import hole_of
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track


@dataclass(frozen=True)
class Pix2PixConfig:
    """Sizes of the two networks and the weight of the L1 term; the defaults are the original's.

    levels: how often the generator halves the picture; 8 takes 256 pixels to one.
    generator_width, discriminator_width: channels of the first convolution.
    l1: weight of the L1 term against the adversarial term's 1.
    """

    levels: int = 8
    generator_width: int = 64
    discriminator_width: int = 64
    l1: float = 100.0

    def __post_init__(self) -> None:
        if self.levels < 5:
            raise ValueError(f"levels {self.levels}: at least 5")


PRESET_CONFIGS: dict[Preset, Pix2PixConfig] = {
    "quick": Pix2PixConfig(6, 16, 16),
    "small": Pix2PixConfig(7, 24, 24),
    "full": Pix2PixConfig(),
}


def _down(inputs: int, outputs: int, stride: int = 2, *, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 4, stride, 1, bias=bias)


def _up(inputs: int, outputs: int, *, bias: bool = False) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)


class UNetLevel(nn.Module):
    """Halve, run the inner level, double again, and hand on the input beside the result.

    (B, outer, H, W) -> (B, 2 * outer, H, W). The innermost level has no inner one, and no norm at
    its bottom, where a map may be a single pixel.
    """

    def __init__(self, outer: int, own: int, inner: nn.Module | None, dropout: float) -> None:
        super().__init__()
        bottom: list[nn.Module] = [nn.Identity()] if inner is None else [nn.BatchNorm2d(own), inner]
        self.body = nn.Sequential(
            nn.LeakyReLU(0.2),
            _down(outer, own),
            *bottom,
            nn.ReLU(),
            _up(own if inner is None else 2 * own, outer),
            nn.BatchNorm2d(outer),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], dim=1)


class UNet(nn.Module):
    """The generator: (B, inputs, H, W) in [-1, 1] -> (B, outputs, H, W) in [-1, 1], float32.

    Widths are 1, 2, 4, 8, 8, ... times ``width``; dropout acts on the levels between the first
    four and the innermost, which are three of eight. Sizes that are no multiple of 2 ** levels are
    padded inside.
    """

    def __init__(self, inputs: int, outputs: int, levels: int, width: int) -> None:
        super().__init__()
        self.multiple = 2**levels
        widths = [width * min(2**i, 8) for i in range(levels)]
        level: nn.Module | None = None
        for depth in range(levels - 1, 0, -1):
            dropout = 0.5 if 3 < depth < levels - 1 else 0.0
            level = UNetLevel(widths[depth - 1], widths[depth], level, dropout)
        assert level is not None
        last = _up(2 * width, outputs, bias=True)
        self.body = nn.Sequential(_down(inputs, width), level, nn.ReLU(), last)
        normal_init(self)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        missing = (0, -width % self.multiple, 0, -height % self.multiple)
        if any(missing):
            x = F.pad(x, missing)
        return torch.tanh(self.body(x)[..., :height, :width].float())


class PatchGAN(nn.Sequential):
    """The discriminator: (B, inputs, H, W) -> one raw logit for each patch of 70x70 pixels.

    The map has H / 8 - 2 rows.
    """

    def __init__(self, inputs: int, width: int) -> None:
        layers: list[nn.Module] = [_down(inputs, width, bias=True), nn.LeakyReLU(0.2)]
        for i, stride in enumerate((2, 2, 1)):
            own, before = width * 2 ** (i + 1), width * 2**i
            layers += [_down(before, own, stride), nn.BatchNorm2d(own), nn.LeakyReLU(0.2)]
        super().__init__(*layers, _down(8 * width, 1, 1, bias=True))
        normal_init(self)


def normal_init(network: nn.Module) -> None:
    """Convolutions from N(0, 0.02), batch-norm scales from N(1, 0.02), biases 0.

    Uses torch's current random state: seed it before building a network.
    """
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def adversarial_loss(logits: Tensor, real: bool, weight: Tensor) -> Tensor:
    """Binary cross-entropy of patch logits (B, 1, h, w), averaged with a weight (B,) a sample.

    With several processes the mean is over all.
    """
    logits = logits.float()
    target = torch.full_like(logits, float(real))
    each = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return mean_over(each.mean(dim=(1, 2, 3)), weight)


class _Pix2PixNets(Adversarial):
    """What the two rows share: how the discriminator is asked and taught."""

    discriminator: PatchGAN

    def __init__(self, inputs: int, outputs: int, config: Pix2PixConfig) -> None:
        super().__init__(
            UNet(inputs, outputs, config.levels, config.generator_width),
            PatchGAN(inputs + outputs, config.discriminator_width),
        )
        self.l1 = config.l1

    def judge(self, given: Tensor, shown: Tensor, real: bool, weight: Tensor) -> Tensor:
        """Loss of calling ``shown``, made from ``given``, real or not."""
        logits = self.discriminator(torch.cat([given, shown], dim=1))
        return adversarial_loss(logits, real, weight)

    def teach(self, given: Tensor, real: Tensor, made: Tensor, weight: Tensor) -> Terms:
        """The two halved terms of the discriminator."""
        return {
            "discriminator_real": 0.5 * self.judge(given, real, True, weight),
            "discriminator_made": 0.5 * self.judge(given, made, False, weight),
        }


class Pix2PixMaskNets(_Pix2PixNets):
    """Mask track: L1 between masks in [-1, 1], and the adversary's opinion."""

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__(4, 1, config)

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        given = mask_input(batch)
        made = self.generator(given)
        everyone = torch.ones(len(batch), device=made.device)
        terms = {
            "l1": self.l1 * (made - signed(batch.amodal)).abs().mean(),
            "adversarial": self.judge(given, made, True, everyone),
        }
        return terms, {"given": given, "made": made}

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        everyone = torch.ones(len(batch), device=batch.amodal.device)
        return self.teach(made["given"], signed(batch.amodal), made["made"], everyone)


class Pix2PixContentNets(_Pix2PixNets):
    """Content track: L1 over the person; the adversary sees the hole pasted into the photo.

    Samples whose clean picture is unknown weigh nothing.
    """

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__(5, 3, config)

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        given, hole = content_input(batch), hole_of(batch.modal, batch.amodal)
        known = batch.has_clean.float()
        made = self.generator(given)
        # Averaged over the person, not the frame: elsewhere the picture is given anyway, and a
        # mean over the frame leaves the hole next to no weight.
        person = (batch.amodal > 0.5).float()
        difference = ((made - signed(batch.clean)).abs().mean(dim=1, keepdim=True)) * person
        each = difference.sum(dim=(1, 2, 3)) / person.sum(dim=(1, 2, 3)).clamp(min=1)
        shown = torch.where(hole, made, signed(batch.image))
        terms = {
            "l1": self.l1 * mean_over(each, known),
            "adversarial": self.judge(given, shown, True, known),
        }
        return terms, {"given": given, "made": shown}

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        known = batch.has_clean
        hole = hole_of(batch.modal, batch.amodal)
        truth = torch.where(hole, signed(batch.clean), signed(batch.image))
        # A stand-in for unknown truths: they weigh nothing, but batch norm sees every sample.
        real = torch.where(known[:, None, None, None], truth, made["made"])
        return self.teach(made["given"], real, made["made"], known.float())


def mask_input(batch: Batch) -> Tensor:
    """Image and initial mask, (B, 4, H, W) in [-1, 1]."""
    return torch.cat([signed(batch.image), signed(batch.initial)], dim=1)


def content_input(batch: Batch) -> Tensor:
    """Image with a grey hole, visibility (-1 in the hole), amodal mask: (B, 5, H, W) in [-1, 1]."""
    hole = hole_of(batch.modal, batch.amodal)
    erased = signed(batch.image).masked_fill(hole, 0.0)
    masks = torch.cat([~hole, batch.amodal > 0.5], dim=1).float()
    return torch.cat([erased, signed(masks)], dim=1)


class _Pix2Pix(Learned):
    title: ClassVar[str] = "Pix2Pix"
    generator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    discriminator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    weight_decay: ClassVar[float] = 0.0
    presets: ClassVar[Mapping[Preset, Pix2PixConfig]] = PRESET_CONFIGS


class Pix2PixMask(_Pix2Pix):
    """Pix2Pix that turns the image and the initial mask into the amodal mask."""

    track: ClassVar[Track] = "mask"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})

    def __init__(self, preset: Preset = "quick", sizes: Pix2PixConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = Pix2PixMaskNets(sizes or PRESET_CONFIGS[preset])

    def infer(self, batch: Batch) -> Tensor:
        return (self.nets.generator(mask_input(batch)) + 1) / 2


class Pix2PixContent(_Pix2Pix):
    """Pix2Pix that paints the hole of a person; everything outside the hole is handed through."""

    track: ClassVar[Track] = "content"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})

    def __init__(self, preset: Preset = "quick", sizes: Pix2PixConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = Pix2PixContentNets(sizes or PRESET_CONFIGS[preset])

    def infer(self, batch: Batch) -> Tensor:
        painted = (self.nets.generator(content_input(batch)) + 1) / 2
        return torch.where(hole_of(batch.modal, batch.amodal), painted, batch.image)

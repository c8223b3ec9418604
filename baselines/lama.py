"""A LaMa-like inpainter: Fourier convolutions, which see the whole picture at once.

After Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions" (WACV
2022), written from its description:

    erased image, hole and amodal mask, (B, 5, H, W) in [0, 1] -> RGB (B, 3, H, W) in [0, 1]

The original knows no person, so it has four channels (`amodal` False). Its high receptive field
perceptual loss looks through a segmentation network of ADE20K; ours looks through the parser that
it is compared with, the frozen first hourglass of stage 1, on the picture and the amodal mask.
The adversary and both feature losses are shown the recovered photo, not the network's whole picture
as in the original, for everything outside the hole is handed through.

The discriminator judges patches: those in the hole should be called painted, all others real. Half
of what the original trains the hole with comes from there, none from L1, which looks at known
pixels alone. That takes a million pictures, so the presets below "full" add L1 in the hole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.fourier import FourierBlock, FourierConv
from baselines.signed import by_sample, mean_over
from hdeocc.across import rank_mean
from hdeocc.batch import Batch
from hdeocc.content_recovery import hole_of
from hdeocc.hourglass import Hourglass
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Budget, FitData, Preset, Track
from hdeocc.two_stage_mask import TwoStageMask

STAGE_1 = "mask.two-stage"


@dataclass(frozen=True)
class LamaConfig:
    """Sizes and loss weights; the defaults are those of the original's "LaMa-Fourier".

    width: channels of the first convolution; each of `halvings` strided ones doubles them.
    halvings: how often the picture is halved before the blocks.
    blocks: Fourier residual blocks at the coarsest level.
    ratio: share of their channels that are global.
    amodal: whether the network is told the amodal mask.
    discriminator: channels of the patch judge's first convolution.
    l1_known, l1_hole: weights of the mean absolute difference over known pixels and over the hole.
    adversarial: weight of the patch judge's opinion.
    penalty: weight of the squared gradient of the discriminator at real pictures (R1).
    matching, perceptual: weights of the mean squared differences of the patch judge's features and
        of the parser's; with 0 the parser is not looked through.
    """

    width: int = 64
    halvings: int = 3
    blocks: int = 9
    ratio: float = 0.75
    amodal: bool = True
    discriminator: int = 64
    l1_known: float = 10.0
    l1_hole: float = 0.0
    adversarial: float = 10.0
    penalty: float = 0.001
    matching: float = 100.0
    perceptual: float = 30.0


LAMA_PRESETS: dict[Preset, LamaConfig] = {
    "quick": LamaConfig(width=8, blocks=3, discriminator=8, l1_hole=10.0),
    "small": LamaConfig(width=20, blocks=6, discriminator=20, l1_hole=10.0),
    "full": LamaConfig(),
}


class LamaGenerator(nn.Module):
    """(B, 4 or 5, H, W) -> (B, 3, H, W) in [0, 1], float32; any size, padded inside."""

    def __init__(self, config: LamaConfig) -> None:
        super().__init__()
        self.multiple = 2**config.halvings
        widths = [config.width * 2**i for i in range(config.halvings + 1)]
        first = nn.Conv2d(5 if config.amodal else 4, widths[0], 7, padding=3, bias=False,
                          padding_mode="reflect")  # fmt: skip
        layers: list[nn.Module] = [first, *_normal(widths[0])]
        for before, after in zip(widths[:-2], widths[1:-1], strict=True):
            layers += [_conv3(before, after, 2), *_normal(after)]
        self.down = nn.Sequential(*layers)
        self.split = FourierConv(widths[-2], widths[-1], (0.0, config.ratio), stride=2)
        self.blocks = nn.ModuleList(
            FourierBlock(widths[-1], config.ratio) for _ in range(config.blocks)
        )
        ups: list[nn.Module] = []
        for before, after in zip(widths[:0:-1], widths[-2::-1], strict=True):
            up = nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1)
            ups += [up, *_normal(after)]
        last = nn.Conv2d(widths[0], 3, 7, padding=3, padding_mode="reflect")
        self.up = nn.Sequential(*ups, last)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        missing = (0, -width % self.multiple, 0, -height % self.multiple)
        if any(missing):
            x = F.pad(x, missing)
        local, far = self.split(self.down(x), None)
        for block in self.blocks:
            local, far = block(local, far)
        made = self.up(torch.cat([local, far], dim=1))[..., :height, :width]
        return made.float().sigmoid()


def _normal(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU(inplace=True)


def _conv3(inputs: int, outputs: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False, padding_mode="reflect")


class PatchJudge(nn.Module):
    """RGB (B, 3, H, W) -> raw logits (B, 1, h, w) and the features of every layer before them.

    Four strided 4x4 convolutions and two that are not, as in pix2pixHD.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        first = nn.Sequential(nn.Conv2d(3, width, 4, 2, 2), nn.LeakyReLU(0.2))
        layers = [first]
        for i, (before, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            conv = nn.Conv2d(before, after, 4, 2 if i < 3 else 1, 2)
            layers.append(nn.Sequential(conv, nn.BatchNorm2d(after), nn.LeakyReLU(0.2)))
        self.layers = nn.ModuleList(layers)
        self.last = nn.Conv2d(widths[-1], 1, 4, 1, 2)

    def forward(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = []
        for layer in self.layers:
            picture = layer(picture)
            features.append(picture)
        return self.last(picture).float(), features


class LamaNets(Adversarial):
    """The generator, its patch judge, and the frozen parser that its perceptual loss looks through.

    Samples whose clean picture is unknown weigh nothing. Their hole is taken as painted, so that
    every batch norm sees every sample.
    """

    discriminator: PatchJudge

    def __init__(self, config: LamaConfig) -> None:
        super().__init__(LamaGenerator(config), PatchJudge(config.discriminator))
        self.config = config
        self.parser: Hourglass | None = None

    def train(self, mode: bool = True) -> "LamaNets":
        """The parser stays as it was fitted: its batch norm must not follow our pictures."""
        super().train(mode)
        if self.parser is not None:
            self.parser.eval()
        return self

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        config, hole = self.config, hole_of(batch.modal, batch.amodal)
        known = by_sample(batch.has_clean)
        made = self.generator(lama_input(batch, config.amodal))
        truth = torch.where(hole, batch.clean, batch.image)
        target = torch.where(hole & ~known, made.detach(), truth)
        comp = torch.where(hole, made, batch.image)
        difference = (made - target).abs().mean(dim=1, keepdim=True)
        logits, found = self.discriminator(comp)
        with torch.no_grad():
            _, wanted = self.discriminator(target)
        terms = {
            "l1_known": config.l1_known * mean_over(difference * ~hole, known),
            "adversarial": config.adversarial * mean_over(F.softplus(-logits), known),
            "matching": config.matching * torch.stack(_squares(found, wanted, known)).mean(),
        }
        if config.l1_hole:
            # By hand, as ``mean_over`` rounds otherwise than the trainings that are kept.
            counted = hole & known
            share = rank_mean(counted.float().sum()).clamp_min(1e-6)
            terms["l1_hole"] = config.l1_hole * (difference * counted).sum() / share
        if self.parser is not None and config.perceptual:
            with torch.no_grad():
                wanted = self._parsed(target, batch.amodal)
            found = self._parsed(comp, batch.amodal)
            squares = torch.stack(_squares(found, wanted, known))
            terms["perceptual"] = config.perceptual * squares.sum()
        return terms, {"comp": comp, "target": target, "hole": hole.float()}

    def _parsed(self, picture: Tensor, amodal: Tensor) -> list[Tensor]:
        assert self.parser is not None
        return self.parser.encode(torch.cat([picture, amodal], dim=1))

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        known = by_sample(batch.has_clean)
        real = made["target"].detach().requires_grad_()
        real_logits, _ = self.discriminator(real)
        # Batch norm ties the samples together: the slope is that of what the known ones are called.
        said = (real_logits * known).sum()
        (slope,) = torch.autograd.grad(said, real, create_graph=True)
        penalty = slope.float().square().sum(dim=(1, 2, 3))
        logits, _ = self.discriminator(made["comp"])
        painted = F.interpolate(made["hole"], logits.shape[-2:], mode="area")
        fake = painted * F.softplus(logits) + (1 - painted) * F.softplus(-logits)
        return {
            "discriminator_real": mean_over(F.softplus(-real_logits), known),
            "discriminator_made": mean_over(fake, known),
            "penalty": self.config.penalty * mean_over(penalty, batch.has_clean),
        }


def _squares(found: list[Tensor], wanted: list[Tensor], known: Tensor) -> list[Tensor]:
    """The mean squared difference of every level over the samples ``known`` (B, 1, 1, 1) bool.

    The original sums them for the parser alone.
    """
    # Over all samples, of which the unknown ones do not differ, by the share of the known: this
    # rounds as the trainings that are kept.
    share = rank_mean(known.float().mean()).clamp_min(1e-6)
    pairs = zip(found, wanted, strict=True)
    return [F.mse_loss(f.float() * known, w.float() * known) / share for f, w in pairs]


def lama_input(batch: Batch, amodal: bool) -> Tensor:
    """Image that is black in the hole, the hole, and perhaps the amodal mask: (B, 4 or 5, H, W)."""
    hole = hole_of(batch.modal, batch.amodal)
    parts = [batch.image.masked_fill(hole, 0.0), hole.float()]
    return torch.cat([*parts, (batch.amodal > 0.5).float()] if amodal else parts, dim=1)


class Lama(Learned):
    """LaMa-like content recovery; everything outside the hole is handed through."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "LaMa-like"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})
    upstream: ClassVar[tuple[str, ...]] = (STAGE_1,)
    presets: ClassVar[Mapping[Preset, LamaConfig]] = LAMA_PRESETS
    discriminator_betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    discriminator_lr: ClassVar[float] = 0.1
    weight_decay: ClassVar[float] = 0.0

    def __init__(self, preset: Preset = "quick", sizes: LamaConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = LamaNets(sizes or LAMA_PRESETS[preset])

    def prepare(self, data: FitData, budget: Budget) -> None:
        stage_1 = data.upstream[STAGE_1]
        assert isinstance(stage_1, TwoStageMask)
        parser = Hourglass(4, stage_1.net.config.width)
        parser.load_state_dict(stage_1.net.modal_hourglass.state_dict())
        cast(LamaNets, self.nets).parser = parser.requires_grad_(False).eval()

    def infer(self, batch: Batch) -> Tensor:
        nets = cast(LamaNets, self.nets)
        made = nets.generator(lama_input(batch, nets.config.amodal))
        return torch.where(hole_of(batch.modal, batch.amodal), made, batch.image)

"""OVSR's appearance recovery (Yan et al., ICCV 2019), re-derived: no code of it is public.

Known of the original: two paths through one shared network. Everything else is our decision. The
network is Pix2Pix's U-Net, (B, 5, H, W) in [-1, 1] -> RGB (B, 3, H, W); its inputs are

    path "picture"      image with a grey hole, hole, amodal mask -> the picture without occluder
    path "foreground"   visible person on grey, hole, amodal mask -> the whole person

Each path has a PatchGAN of its own, which sees what is pasted into the hole beside hole and amodal
mask (B, 5, H, W). L1 of both is a mean over the person: the rest of the picture is given anyway,
and over the frame the hole would have next to no weight. Perceptual and style terms compare what is
pasted, so that only the hole counts. All these terms are counted on pictures in [0, 1].

The turns with mask completion need a full pipeline; :class:`ContentStep` is one turn of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn

from baselines.pix2pix import PatchGAN, UNet, adversarial_loss
from baselines.signed import mean_over
from hdeocc import losses
from hdeocc.across import weight_of
from hdeocc.batch import Batch
from hdeocc.content_recovery import hole_of
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.losses import Features, vgg_features
from hdeocc.method import Budget, FitData, Preset, Track

GREY = 0.5


@dataclass(frozen=True)
class OvsrContentConfig:
    """Sizes of the networks, by default those of Pix2Pix, and weights of the terms.

    levels: how often the generator halves the picture; 8 takes 256 pixels to one.
    generator_width, discriminator_width: channels of the first convolution.
    l1, perceptual, style: weights of these terms in either path; without the last two, no VGG.
    adversarial: weight of what either discriminator says. All weights are decisions of ours:
        style's is that of our stage 2, the others are those of the mask row.
    shows: what a prediction has in the hole, path "picture" or the "average" of both paths.
    """

    levels: int = 8
    generator_width: int = 64
    discriminator_width: int = 64
    l1: float = 10.0
    perceptual: float = 1.0
    style: float = 40.0
    adversarial: float = 0.1
    shows: Literal["picture", "average"] = "picture"

    def __post_init__(self) -> None:
        if self.levels < 5:
            raise ValueError(f"levels {self.levels}: at least 5")
        if self.shows not in ("picture", "average"):
            raise ValueError(f"shows {self.shows!r}: picture or average")

    @property
    def vgg(self) -> bool:
        """Whether any term looks through VGG."""
        return bool(self.perceptual or self.style)


OVSR_CONTENT_PRESETS: dict[Preset, OvsrContentConfig] = {
    # VGG would cost more than the rest of a step.
    "quick": OvsrContentConfig(6, 8, 8, perceptual=0.0, style=0.0),
    "small": OvsrContentConfig(7, 20, 20),
    "full": OvsrContentConfig(),
}


class Paths(NamedTuple):
    """One picture (B, 3, H, W) in [0, 1] a path."""

    picture: Tensor
    foreground: Tensor


def seen_by_paths(image: Tensor, modal: Tensor, amodal: Tensor) -> Paths:
    """What the paths start from: the image, and the visible person on grey; both grey in the hole.

    image (B, 3, H, W), modal and amodal masks (B, 1, H, W), all in [0, 1].
    """
    picture = image.masked_fill(hole_of(modal, amodal), GREY)
    return Paths(picture, image.masked_fill(modal < 0.5, GREY))


def with_masks(picture: Tensor, modal: Tensor, amodal: Tensor) -> Tensor:
    """A picture beside hole and amodal mask, (B, 5, H, W) in [-1, 1]."""
    masks = torch.cat([hole_of(modal, amodal), amodal >= 0.5], dim=1)
    return torch.cat([picture, masks.to(picture.dtype)], dim=1) * 2 - 1


class ContentStep(nn.Module):
    """One turn of recovery: image (B, 3, H, W) and both masks -> recovered image, all in [0, 1]."""

    def __init__(self, config: OvsrContentConfig) -> None:
        super().__init__()
        self.net = UNet(5, 3, config.levels, config.generator_width)
        self.shows = config.shows

    def both(self, image: Tensor, modal: Tensor, amodal: Tensor) -> Paths:
        """What the network makes of either path.

        In one go: batch norm's averages are those of both paths, and so must be what it trains on.
        """
        seen = seen_by_paths(image, modal, amodal)
        given = torch.cat([with_masks(one, modal, amodal) for one in seen])
        return Paths(*((self.net(given) + 1) / 2).chunk(2))

    def forward(self, image: Tensor, modal: Tensor, amodal: Tensor) -> Tensor:
        if self.shows == "average":
            made = torch.stack(self.both(image, modal, amodal)).mean(dim=0)
        else:
            seen = seen_by_paths(image, modal, amodal).picture
            made = (self.net(with_masks(seen, modal, amodal)) + 1) / 2
        return torch.where(hole_of(modal, amodal), made, image)


class OvsrContentNets(Adversarial):
    """The shared network, a discriminator for each path, and the losses.

    Samples whose clean picture is unknown weigh nothing.
    """

    def __init__(self, config: OvsrContentConfig) -> None:
        width = config.discriminator_width
        super().__init__(
            ContentStep(config), nn.ModuleDict({name: PatchGAN(5, width) for name in Paths._fields})
        )
        self.config = config
        self.features: Features | None = None

    def judge(self, path: str, shown: Tensor, real: bool, batch: Batch) -> Tensor:
        """Loss of a path's discriminator calling a picture (B, 3, H, W) in [0, 1] real or not."""
        discriminator = cast(nn.ModuleDict, self.discriminator)[path]
        logits = discriminator(with_masks(shown, batch.modal, batch.amodal))
        return adversarial_loss(logits, real, batch.has_clean)

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        step = cast(ContentStep, self.generator)
        made = step.both(batch.image, batch.modal, batch.amodal)
        hole, seen = hole_of(batch.modal, batch.amodal), _seen(batch)
        shown = {
            name: torch.where(hole, one, outside)
            for name, one, outside in zip(Paths._fields, made, seen, strict=True)
        }
        terms: Terms = {}
        for name, raw, target in zip(Paths._fields, made, _targets(batch), strict=True):
            each = _means_inside(batch.amodal >= 0.5, (raw - target).abs())
            found = {"l1": self.config.l1 * mean_over(each, batch.has_clean)}
            found |= self._feature_terms(shown[name], target, batch.has_clean)
            adversarial = self.judge(name, shown[name], True, batch)
            found["adversarial"] = self.config.adversarial * adversarial
            terms |= {f"{kind}_{name}": value for kind, value in found.items()}
        return terms, shown

    def _feature_terms(self, shown: Tensor, target: Tensor, known: Tensor) -> Terms:
        """Perceptual and style term of the samples with a clean picture, ``known`` (B,) bool."""
        if self.features is None:
            return {}
        weight = weight_of(known.sum())  # asked of all processes, so before any of them is done
        if not bool(known.any()):
            nothing = shown.sum() * 0.0
            return {"perceptual": nothing, "style": nothing}
        with torch.no_grad():
            wanted = self.features(target[known])
        found = self.features(shown[known])
        return {
            "perceptual": weight * self.config.perceptual * losses.perceptual_loss(found, wanted),
            "style": weight * self.config.style * losses.style_loss(found, wanted),
        }

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        known = batch.has_clean[:, None, None, None]
        terms: Terms = {}
        for name, target in zip(Paths._fields, _targets(batch), strict=True):
            # A stand-in for unknown truths: they weigh nothing, but batch norm sees every sample.
            real = torch.where(known, target, made[name])
            terms[f"discriminator_real_{name}"] = 0.5 * self.judge(name, real, True, batch)
            terms[f"discriminator_made_{name}"] = 0.5 * self.judge(name, made[name], False, batch)
        return terms


def _seen(batch: Batch) -> Paths:
    return seen_by_paths(batch.image, batch.modal, batch.amodal)


def _targets(batch: Batch) -> Paths:
    """What either path should show: what it sees, and the clean picture in the hole."""
    hole = hole_of(batch.modal, batch.amodal)
    return Paths(*(torch.where(hole, batch.clean, outside) for outside in _seen(batch)))


def _means_inside(where: Tensor, values: Tensor) -> Tensor:
    """Means (B,) of values (B, 3, H, W) over the pixels of masks (B, 1, H, W) bool."""
    total = (values.mean(dim=1, keepdim=True) * where).sum(dim=(1, 2, 3))
    return total / where.sum(dim=(1, 2, 3)).clamp_min(1)


class OvsrContent(Learned):
    """OVSR-style recovery that paints the hole of a person; the rest is handed through."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "OVSR-style (re-derived)"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})
    presets: ClassVar[Mapping[Preset, OvsrContentConfig]] = OVSR_CONTENT_PRESETS
    generator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    discriminator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    weight_decay: ClassVar[float] = 0.0

    def __init__(self, preset: Preset = "quick", sizes: OvsrContentConfig | None = None) -> None:
        super().__init__(preset)
        self.sizes = sizes or OVSR_CONTENT_PRESETS[preset]
        self.nets = OvsrContentNets(self.sizes)

    def loss_networks(self) -> tuple[str, ...]:
        return ("vgg16",) if self.sizes.vgg else ()

    def prepare(self, data: FitData, budget: Budget) -> None:
        if self.loss_networks():
            cast(OvsrContentNets, self.nets).features = vgg_features()

    def infer(self, batch: Batch) -> Tensor:
        return self.nets.generator(batch.image, batch.modal, batch.amodal)

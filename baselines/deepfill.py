"""DeepFillv2 (Yu et al., ICCV 2019): gated convolutions, contextual attention, SN-PatchGAN.

    erased image, ones, hole, (B, 5, H, W) -> RGB (B, 3, H, W); row "amodal": the amodal mask as
    sixth channel

A coarse network paints the hole; a second one, of a convolutional and an attending branch, paints
it again from what the first one made. Networks and losses see pictures in [-1, 1] and masks in
{0, 1}; predictions are mapped to [0, 1]. The picture to paint is the clean one in the hole and the
given one elsewhere, where the occluder stays.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from baselines.contextual_attention import contextual_attention
from baselines.signed import by_sample, mean_over, signed, wanted_picture
from hdeocc.batch import Batch
from hdeocc.content_recovery import hole_of
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track

Act = Callable[[Tensor], Tensor]
MULTIPLE = 8  # two halvings, and the attention's own


@dataclass(frozen=True)
class DeepFillConfig:
    """Sizes of the networks and weights of the losses; the defaults are the original's.

    cnum: channels of a first convolution before its halves are split into values and gates.
    discriminator_width: channels of the discriminator's first convolution.
    amodal: the whole person's mask is a sixth channel of the input.
    cosine: attention compares by cosine, see ``contextual_attention``.
    l1: weight of the L1 term of each output, in [-1, 1].
    l1_over: what that is a mean over: the frame, as in the original, or the hole, which in a frame
        has next to no weight.
    adversarial: weight of the adversary's opinion of the second output.
    gain: how much larger the values' weights start than what keeps the spread of a convolution's
        output. A gate starts half open, so without it every layer halves the signal, and after 17
        of them neither picture nor gradient is left. None: Glorot's start, the original's, which
        has that fault and took a million steps.
    dilations: of the four convolutions in the middle, on maps of a quarter of the side.
    halvings: how often the discriminator halves the picture; 6 take 256 pixels to a 4 x 4 map.
    """

    cnum: int = 48
    discriminator_width: int = 64
    amodal: bool = False
    cosine: bool = True
    l1: float = 1.0
    l1_over: Literal["frame", "hole"] = "frame"
    adversarial: float = 1.0
    gain: float | None = 2.5
    dilations: tuple[int, ...] = (2, 4, 8, 16)
    halvings: int = 6

    def __post_init__(self) -> None:
        object.__setattr__(self, "dilations", tuple(self.dilations))
        if self.cnum < 4 or self.cnum % 4:
            raise ValueError(f"cnum {self.cnum}: a positive multiple of 4")
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"dilations {self.dilations}: one or more, each at least 1")
        if self.halvings < 2:
            raise ValueError(f"halvings {self.halvings}: at least 2")


# In budgets of minutes or an hour an adversary of equal weight outruns an L1 over the frame, so
# there it looks at the hole and weighs more. "full" has the original's losses. What the networks
# look at shrinks with the picture: on maps of 16 x 16 a dilation of 16 sees nothing but padding.
PRESET_CONFIGS: dict[Preset, DeepFillConfig] = {
    "quick": DeepFillConfig(12, 8, l1=10.0, l1_over="hole", dilations=(1, 1, 2, 4), halvings=4),
    "small": DeepFillConfig(28, 32, l1=10.0, l1_over="hole", dilations=(1, 2, 4, 8), halvings=5),
    "full": DeepFillConfig(),
}
AMODAL_CONFIGS = {preset: replace(c, amodal=True) for preset, c in PRESET_CONFIGS.items()}


class GatedConv(nn.Module):
    """(B, inputs, H, W) -> activated values times sigmoid gates, (B, outputs, H/stride, W/stride).

    One convolution makes both (section 3.1 of the paper).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        act: Act = F.elu,
    ) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv2d(inputs, 2 * outputs, kernel, stride, padding, dilation)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        values, gates = self.conv(x).chunk(2, dim=1)
        return self.act(values) * gates.sigmoid()


def _encoder(inputs: int, widths: tuple[int, ...], last: Act) -> list[nn.Module]:
    """Six convolutions to a quarter of the size; ``widths`` are their channels."""
    first, half, same, quarter, inner, outputs = widths
    return [
        GatedConv(inputs, first, 5),
        GatedConv(first, half, stride=2),
        GatedConv(half, same),
        GatedConv(same, quarter, stride=2),
        GatedConv(quarter, inner),
        GatedConv(inner, outputs, act=last),
    ]


def _dilated(width: int, dilations: Sequence[int]) -> list[nn.Module]:
    return [GatedConv(width, width, dilation=dilation) for dilation in dilations]


def _decoder(inputs: int, c: int) -> list[nn.Module]:
    """From a quarter of the size to a picture, before its tanh."""
    return [
        GatedConv(inputs, 4 * c),
        GatedConv(4 * c, 4 * c),
        nn.Upsample(scale_factor=2, mode="nearest"),
        GatedConv(4 * c, 2 * c),
        GatedConv(2 * c, 2 * c),
        nn.Upsample(scale_factor=2, mode="nearest"),
        GatedConv(2 * c, c),
        GatedConv(c, c // 2),
        nn.Conv2d(c // 2, 3, 3, padding=1),
    ]


class Painted(NamedTuple):
    """The two outputs, each RGB (B, 3, H, W) in [-1, 1], float32."""

    coarse: Tensor
    fine: Tensor


class Refiner(nn.Module):
    """The second network: picture (B, 3, H, W) and closed pixels (B, 1, H, W) -> (B, 3, H, W)."""

    def __init__(self, config: DeepFillConfig) -> None:
        super().__init__()
        c = config.cnum // 2
        self.cosine = config.cosine
        hallucinating = (c, c, 2 * c, 2 * c, 4 * c, 4 * c)
        attending = (c, c, 2 * c, 4 * c, 4 * c, 4 * c)
        middle = _dilated(4 * c, config.dilations)
        self.hallucinate = nn.Sequential(*_encoder(3, hallucinating, F.elu), *middle)
        # Rectified, so that the cosine of two patches is never below that of a closed one, 0.
        self.look = nn.Sequential(*_encoder(3, attending, F.relu))
        self.after = nn.Sequential(GatedConv(4 * c, 4 * c), GatedConv(4 * c, 4 * c))
        self.decode = nn.Sequential(*_decoder(8 * c, c))

    def forward(self, picture: Tensor, closed: Tensor) -> Tensor:
        seen = self.look(picture)
        pasted = contextual_attention(seen, closed[..., ::4, ::4], cosine=self.cosine)
        both = [self.hallucinate(picture), self.after(pasted.to(seen.dtype))]
        return self.decode(torch.cat(both, dim=1))


class Generator(nn.Module):
    """Both networks: (B, 5 or 6, H, W) as :func:`content_input` gives it -> :class:`Painted`.

    Sizes that are no multiple of 8 are padded with zeros. There the channel of ones is zero too, as
    it is for the convolutions beyond any border, and attention copies nothing from there.
    """

    def __init__(self, config: DeepFillConfig) -> None:
        super().__init__()
        c = config.cnum // 2
        widths = (c, 2 * c, 2 * c, 4 * c, 4 * c, 4 * c)
        encoder = _encoder(6 if config.amodal else 5, widths, F.elu)
        middle = _dilated(4 * c, config.dilations)
        self.coarse = nn.Sequential(*encoder, *middle, *_decoder(4 * c, c))
        self.refine = Refiner(config)
        start_weights(self, config.gain)

    def forward(self, given: Tensor) -> Painted:
        height, width = given.shape[-2:]
        padded = F.pad(given, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        inside, hole = padded[:, 3:4] > 0.5, padded[:, 4:5] > 0.5
        coarse = self.coarse(padded).float().tanh()
        pasted = torch.where(hole, coarse, padded[:, :3].float())
        fine = self.refine(pasted, hole | ~inside).float().tanh()
        return Painted(coarse[..., :height, :width], fine[..., :height, :width])


class PatchDiscriminator(nn.Module):
    """SN-PatchGAN: picture (B, 3, H, W) and hole (B, 1, H, W) -> (B, C, h, w).

    h is H / 2 ** halvings, rounded up; C is 4 * width with three halvings or more, 2 * width with
    two. Every number of the last map, which is activated as all others are, is a judgement of its
    own.
    """

    def __init__(self, width: int, halvings: int = 6) -> None:
        super().__init__()
        widths = (4, width, 2 * width, *[4 * width] * (halvings - 2))
        layers: list[nn.Module] = []
        for inputs, outputs in zip(widths, widths[1:], strict=False):
            layers += [spectral_norm(nn.Conv2d(inputs, outputs, 5, 2, 2)), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers)

    def forward(self, picture: Tensor, hole: Tensor) -> Tensor:
        return self.body(torch.cat([picture, hole.to(picture.dtype)], dim=1))


def start_weights(network: nn.Module, gain: float | None) -> None:
    """Normal weights that keep a signal's spread, ``gain`` times larger for gated values.

    None: Glorot's uniform weights for all. Biases are zero. Uses torch's current random state: seed
    it before building a network.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            if gain is None:
                nn.init.xavier_uniform_(layer.weight)
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    for layer in network.modules():
        if isinstance(layer, GatedConv) and gain is not None:
            with torch.no_grad():
                layer.conv.weight[: layer.conv.out_channels // 2] *= gain


def content_input(batch: Batch, amodal: bool) -> Tensor:
    """Image in [-1, 1] with a grey hole, ones, hole and, if wanted, amodal mask (B, 5 or 6, H, W).

    The masks are 0 or 1.
    """
    hole = hole_of(batch.modal, batch.amodal)
    erased = signed(batch.image).masked_fill(hole, 0.0)
    masks = [torch.ones_like(hole), hole, *([batch.amodal >= 0.5] if amodal else [])]
    return torch.cat([erased, torch.cat(masks, dim=1).to(erased.dtype)], dim=1)


class DeepFillNets(Adversarial):
    """L1 of both outputs and a hinge for the adversary, which sees the hole pasted into the photo.

    Samples whose clean picture is unknown weigh nothing.
    """

    generator: Generator
    discriminator: PatchDiscriminator

    def __init__(self, config: DeepFillConfig) -> None:
        judge = PatchDiscriminator(config.discriminator_width, config.halvings)
        super().__init__(Generator(config), judge)
        self.config = config

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        hole, known = hole_of(batch.modal, batch.amodal), by_sample(batch.has_clean)
        wanted = wanted_picture(batch, hole)
        out: Painted = self.generator(content_input(batch, self.config.amodal))
        counted = known & hole if self.config.l1_over == "hole" else known
        shown = torch.where(hole, out.fine, signed(batch.image))
        opinion = self.discriminator(shown, hole)
        terms = {
            "coarse": self.config.l1 * mean_over((out.coarse - wanted).abs(), counted),
            "fine": self.config.l1 * mean_over((out.fine - wanted).abs(), counted),
            "adversarial": self.config.adversarial * mean_over(-opinion, known),
        }
        return terms, {"made": shown}

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        hole, known = hole_of(batch.modal, batch.amodal), by_sample(batch.has_clean)
        pictures = torch.cat([wanted_picture(batch, hole), made["made"]])
        real, fake = self.discriminator(pictures, hole.repeat(2, 1, 1, 1)).chunk(2)
        return {
            "discriminator_real": 0.5 * mean_over(F.relu(1 - real.float()), known),
            "discriminator_made": 0.5 * mean_over(F.relu(1 + fake.float()), known),
        }


class DeepFill(Learned):
    """DeepFillv2, which knows the hole but not the whole person."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "DeepFillv2"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})
    generator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    discriminator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    weight_decay: ClassVar[float] = 0.0
    presets: ClassVar[Mapping[Preset, DeepFillConfig]] = PRESET_CONFIGS

    nets: DeepFillNets

    def __init__(self, preset: Preset = "quick", sizes: DeepFillConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = DeepFillNets(sizes or self.presets[preset])

    def infer(self, batch: Batch) -> Tensor:
        out: Painted = self.nets.generator(content_input(batch, self.nets.config.amodal))
        painted = (out.fine + 1) / 2
        return torch.where(hole_of(batch.modal, batch.amodal), painted, batch.image)


class DeepFillAmodal(DeepFill):
    """DeepFillv2 that is also given the mask of the whole person."""

    title: ClassVar[str] = "DeepFillv2, amodal mask"
    presets: ClassVar[Mapping[Preset, DeepFillConfig]] = AMODAL_CONFIGS

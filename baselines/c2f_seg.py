"""A C2F-Seg-like completer: a coarse shape out of a vocabulary of people, then a finer one.

After Gao et al., "Coarse-to-Fine Amodal Segmentation with Shape Prior" (ICCV 2023), written from
its description, without its perceptual term:

    image and initial mask, (B, 4, H, W) in [0, 1] -> amodal logits (B, 1, H, W)

Whole masks are written with the codes of `baselines.shape_codes`. A transformer sees the picture,
the codes of the visible mask and those codes of the whole mask that it is shown, and names the
others. It is shown none at first and keeps what it is surest of, in a few rounds. The coarse mask
that all codes draw is refined by a small U-Net, which sees the picture too.

The original trains vocabulary, transformer and refinement one after another; here they are trained
together, each by its own loss alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.aisformer import positions
from baselines.shape_codes import ShapeCodes
from baselines.unet import UNet
from hdeocc.batch import Batch
from hdeocc.blocks import DoubleConv, Down
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track


@dataclass(frozen=True)
class C2FSegConfig:
    """Sizes of the three networks.

    codes, code_size, shape_width: of the vocabulary: how many, channels of each, and of its
        convolutions.
    halvings: of a mask to its codes; 4 makes 16 x 16 codes of 256 pixels.
    tokens, heads, layers: of the transformer (the original's has 768, 12 and 12).
    picture, refinement: channels of the picture's encoder and of the U-Net.
    rounds: in which a mask's codes are named.
    """

    codes: int = 256
    code_size: int = 64
    shape_width: int = 32
    halvings: int = 4
    tokens: int = 384
    heads: int = 6
    layers: int = 6
    picture: int = 32
    refinement: tuple[int, ...] = (32, 64, 128, 256)
    rounds: int = 3


C2F_SEG_PRESETS: dict[Preset, C2FSegConfig] = {
    "quick": C2FSegConfig(64, 16, 8, 3, 48, 4, 2, 8, (8, 16, 32)),
    "small": C2FSegConfig(128, 32, 16, 3, 128, 4, 3, 16, (16, 32, 64)),
    "full": C2FSegConfig(),
}


class CodeNamer(nn.Module):
    """The transformer: which codes make up the whole mask?

    picture features (B, t, h, w), codes of the visible mask and of the whole one (B, h, w), of the
    latter only those where ``shown`` (B, h, w) bool -> logits (B, codes, h, w), float32.
    """

    def __init__(self, config: C2FSegConfig) -> None:
        super().__init__()
        self.visible = nn.Embedding(config.codes, config.tokens)
        self.whole = nn.Embedding(config.codes + 1, config.tokens)
        self.unknown = config.codes
        layer = nn.TransformerEncoderLayer(
            config.tokens,
            config.heads,
            4 * config.tokens,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.head = nn.Sequential(
            nn.LayerNorm(config.tokens), nn.Linear(config.tokens, config.codes)
        )

    def forward(self, picture: Tensor, visible: Tensor, whole: Tensor, shown: Tensor) -> Tensor:
        batch, channels, height, width = picture.shape
        places = positions(channels, height, width, picture.device)
        told = torch.where(shown, whole, self.unknown)
        tokens = (picture.float() + places).flatten(2).transpose(1, 2)
        tokens = tokens + self.visible(visible.flatten(1)) + self.whole(told.flatten(1))
        logits = self.head(self.layers(tokens)).float()
        return logits.transpose(1, 2).reshape(batch, -1, height, width)


class C2FSeg(nn.Module):
    """All three networks: image and initial mask -> amodal logits; any size, padded inside."""

    def __init__(self, config: C2FSegConfig) -> None:
        super().__init__()
        self.config = config
        self.shapes = ShapeCodes(
            config.codes, config.code_size, config.halvings, config.shape_width
        )
        widths = [config.picture * min(2**i, 8) for i in range(config.halvings + 1)]
        downs = [Down(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True)]
        self.picture = nn.Sequential(
            DoubleConv(4, widths[0]), *downs, nn.Conv2d(widths[-1], config.tokens, 1)
        )
        self.namer = CodeNamer(config)
        self.refinement = UNet(config.refinement, inputs=5)

    def forward(self, image: Tensor, initial: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        image, initial = self.padded(image), self.padded(initial)
        coarse = self.coarse(image, initial)
        return self.refined(image, initial, coarse)[..., :height, :width]

    def padded(self, x: Tensor) -> Tensor:
        """Empty pixels added below and to the right, up to a whole number of codes."""
        multiple = 2**self.config.halvings
        missing = (0, -x.shape[-1] % multiple, 0, -x.shape[-2] % multiple)
        return F.pad(x, missing) if any(missing) else x

    def refined(self, image: Tensor, initial: Tensor, coarse: Tensor) -> Tensor:
        """Amodal logits, float32, from the coarse probability (B, 1, H, W)."""
        return self.refinement(image, torch.cat([initial, coarse], dim=1)).float()

    @torch.no_grad()
    def coarse(self, image: Tensor, initial: Tensor, rounds: int | None = None) -> Tensor:
        """Probability (B, 1, H, W) of the mask whose codes are named in some rounds."""
        picture = self.picture(torch.cat([image, initial], dim=1))
        visible = self.shapes.codes(initial)
        whole, shown = torch.zeros_like(visible), torch.zeros_like(visible, dtype=torch.bool)
        rounds = rounds or self.config.rounds
        for i in range(rounds):
            sureness, named = self.namer(picture, visible, whole, shown).softmax(dim=1).max(dim=1)
            whole = torch.where(shown, whole, named)
            kept = round(shown[0].numel() * (1 - math.cos(math.pi / 2 * (i + 1) / rounds)))
            shown = surest(sureness.masked_fill(shown, 2.0), kept)
        return self.shapes.drawn(whole).float().sigmoid()


def surest(sureness: Tensor, kept: int) -> Tensor:
    """The ``kept`` highest places of each sample, (B, h, w) bool."""
    flat = sureness.flatten(1)
    chosen = flat.topk(kept, dim=1).indices
    return torch.zeros_like(flat, dtype=torch.bool).scatter(1, chosen, True).view_as(sureness)


class C2FSegNets(Adversarial):
    """The networks and the losses of each: writing masks, naming codes, refining."""

    generator: C2FSeg

    def __init__(self, config: C2FSegConfig) -> None:
        super().__init__(C2FSeg(config))

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        net = self.generator
        image, initial = net.padded(batch.image), net.padded(batch.initial)
        truth = net.padded((batch.amodal >= 0.5).float())
        written = net.shapes(truth)
        shapes = F.binary_cross_entropy_with_logits(written.logits.float(), truth)
        naming = self._naming(image, initial, written.codes)
        coarse = self._coarse_in_training(image, initial)
        logits = net.refined(image, initial, coarse)
        return {
            "shapes": shapes,
            "codebook": written.loss,
            "naming": naming,
            "refined": F.binary_cross_entropy_with_logits(logits, truth),
        }, {}

    def _naming(self, image: Tensor, initial: Tensor, codes: Tensor) -> Tensor:
        """Cross-entropy of the codes that are not shown; a drawn share of each mask's is."""
        net = self.generator
        share = torch.cos(math.pi / 2 * torch.rand(len(codes), device=codes.device))
        hidden = torch.rand(codes.shape, device=codes.device) < share[:, None, None]
        picture = net.picture(torch.cat([image, initial], dim=1))
        logits = net.namer(picture, net.shapes.codes(initial), codes, ~hidden)
        each = F.cross_entropy(logits, codes, reduction="none")
        return (each * hidden).sum() / hidden.sum().clamp_min(1)

    def _coarse_in_training(self, image: Tensor, initial: Tensor) -> Tensor:
        """As at test, but in one round and without moving the running means of the norms."""
        net = self.generator
        net.picture.eval()
        coarse = net.coarse(image, initial, rounds=1)
        net.picture.train()
        return coarse


class C2FSegMask(Learned):
    """A coarse shape out of a vocabulary of people, refined with the picture."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "C2F-Seg-like"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    presets: ClassVar[Mapping[Preset, C2FSegConfig]] = C2F_SEG_PRESETS

    def __init__(self, preset: Preset = "quick", sizes: C2FSegConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = C2FSegNets(sizes or C2F_SEG_PRESETS[preset])

    def infer(self, batch: Batch) -> Tensor:
        return self.nets.generator(batch.image, batch.initial).sigmoid()

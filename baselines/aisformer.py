"""An AISFormer-like completer: one query for each kind of mask, which ask the same features.

After Tran et al., "AISFormer: Amodal Instance Segmentation with Transformer" (BMVC 2022), written
from its description, with features of the whole crop in place of a detector's boxes:

    image and initial mask, (B, 4, H, W) in [0, 1] -> logits (B, 4, H, W) of the occluder, the
    visible, the whole and the invisible person

A convolutional encoder gives tokens (stride 16) and, on the way up again, an embedding of every
pixel (stride 2 or 4). Three learned queries attend to each other and to the tokens. A mask is the
product of its query with the pixels' embeddings; the query of the invisible part is an MLP of those
of the visible and the whole person, so that the three masks have to agree.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.batch import Batch
from hdeocc.blocks import DoubleConv, Down, Up
from hdeocc.content_recovery import hole_of
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track

KINDS = ("occluder", "visible", "whole", "invisible")
WHOLE = KINDS.index("whole")


@dataclass(frozen=True)
class AISFormerConfig:
    """Sizes of the network; the original's transformer is one layer of 256 channels each way.

    channels: of the encoder's five levels, strides 1 to 16.
    tokens: channels of tokens, queries and pixel embeddings; a multiple of four times `heads`.
    stride: of the pixel embeddings, 1, 2, 4 or 8; the masks are enlarged from there.
    """

    channels: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512)
    tokens: int = 256
    heads: int = 8
    layers: int = 1
    stride: int = 4

    def __post_init__(self) -> None:
        if self.stride not in (1, 2, 4, 8):
            raise ValueError(f"stride {self.stride}: 1, 2, 4 or 8")
        if self.tokens % (4 * self.heads):
            raise ValueError(f"tokens {self.tokens}: a multiple of {4 * self.heads}")


AISFORMER_PRESETS: dict[Preset, AISFormerConfig] = {
    "quick": AISFormerConfig((12, 24, 48, 64, 64), tokens=48, heads=4, stride=2),
    "small": AISFormerConfig((20, 40, 80, 128, 128), tokens=128, heads=8, stride=2),
    "full": AISFormerConfig(),
}


class AISFormer(nn.Module):
    """(B, 4, H, W) -> logits (B, 4, H, W), float32, in the order of `KINDS`; any size."""

    def __init__(self, config: AISFormerConfig) -> None:
        super().__init__()
        widths, size = config.channels, config.tokens
        self.first = DoubleConv(4, widths[0])
        self.down = nn.ModuleList(Down(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
        levels = 4 - round(math.log2(config.stride))  # up again from stride 16
        skips = widths[-2 : -2 - levels : -1]
        inputs = (widths[-1], *skips[:-1])
        self.up = nn.ModuleList(Up(a + b, b) for a, b in zip(inputs, skips, strict=True))
        self.pixels = nn.Conv2d(skips[-1], size, 1)
        self.tokens = nn.Conv2d(widths[-1], size, 1)
        sizes = (size, config.heads, 4 * size, 0.0)  # the last one: no dropout
        encoder = nn.TransformerEncoderLayer(*sizes, batch_first=True)
        decoder = nn.TransformerDecoderLayer(*sizes, batch_first=True)
        self.encoder = nn.TransformerEncoder(encoder, config.layers, enable_nested_tensor=False)
        self.decoder = nn.TransformerDecoder(decoder, config.layers)
        self.queries = nn.Parameter(torch.randn(3, size) * 0.02)
        self.invisible = nn.Sequential(
            nn.Linear(2 * size, size), nn.ReLU(inplace=True), nn.Linear(size, size)
        )
        self.bias = nn.Parameter(torch.zeros(len(KINDS)))

    def forward(self, x: Tensor) -> Tensor:
        levels = [self.first(x)]
        for down in self.down:
            levels.append(down(levels[-1]))
        deep = levels.pop()
        queries = self._asked(self.tokens(deep))
        for up in self.up:
            deep = up(deep, levels.pop())
        pixels = self.pixels(deep)
        masks = torch.einsum("bqc,bchw->bqhw", queries, pixels) / math.sqrt(pixels.shape[1])
        masks = masks.float() + self.bias[:, None, None]
        return F.interpolate(masks, x.shape[-2:], mode="bilinear", align_corners=False)

    def _asked(self, tokens: Tensor) -> Tensor:
        """Tokens (B, C, h, w) -> one query for each kind of mask, (B, 4, C)."""
        channels, height, width = tokens.shape[1:]
        places = positions(channels, height, width, tokens.device).to(tokens.dtype)
        memory = self.encoder((tokens + places).flatten(2).transpose(1, 2))
        queries = self.decoder(self.queries.expand(len(tokens), -1, -1).to(memory.dtype), memory)
        hidden = self.invisible(queries[:, 1:].flatten(1))
        return torch.cat([queries, hidden[:, None]], dim=1)


def positions(channels: int, height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Sine and cosine of row and column, (channels, height, width); channels a multiple of 4.

    Rows and columns are counted from 0 to 2 pi over the frame, as by Carion et al. (2020), so that
    a code is one of a place's share of the frame. The rates are ours: theirs begin at one cycle
    over the frame and fall, these begin at 32 and fall to a third of one. A map of fewer than 64
    rows or columns is too coarse for the highest, which alias there; and as the centres of its
    cells move with its size, a place keeps only what the low ones say of it.
    """
    count = channels // 4
    rates = 100.0 ** (-torch.arange(count, device=device) / count) * 32
    codes = []
    for length, shape in ((height, (1, height, 1)), (width, (1, 1, width))):
        at = (torch.arange(length, device=device) + 0.5) / length * 2 * math.pi
        angles = (rates[:, None] * at).view(count, *shape[1:]).expand(count, height, width)
        codes += [angles.sin(), angles.cos()]
    return torch.cat(codes)


class AISFormerNets(Adversarial):
    """The network and its four equally heavy binary cross-entropies; there is no adversary."""

    def __init__(self, config: AISFormerConfig) -> None:
        super().__init__(AISFormer(config))

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        logits = self.generator(torch.cat([batch.image, batch.initial], dim=1))
        hidden = hole_of(batch.modal, batch.amodal)
        truth = dict(zip(KINDS, (batch.occluder, batch.modal, batch.amodal, hidden), strict=True))
        return {
            kind: F.binary_cross_entropy_with_logits(logits[:, i : i + 1], (mask >= 0.5).float())
            for i, (kind, mask) in enumerate(truth.items())
        }, {}


class AISFormerMask(Learned):
    """Four queries that ask one picture for the occluder and the parts of the person."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "AISFormer-like"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    presets: ClassVar[Mapping[Preset, AISFormerConfig]] = AISFORMER_PRESETS

    def __init__(self, preset: Preset = "quick", sizes: AISFormerConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = AISFormerNets(sizes or AISFORMER_PRESETS[preset])

    def infer(self, batch: Batch) -> Tensor:
        logits = self.nets.generator(torch.cat([batch.image, batch.initial], dim=1))
        return logits[:, WHOLE : WHOLE + 1].sigmoid()

"""A mask completer like SegFormer-B0 (Xie et al., NeurIPS 2021): transformer and all-MLP decoder.

    image and initial mask, (B, 4, H, W) in [0, 1] -> amodal mask (B, 1, H, W)

Four stages of overlapping patch embeddings and transformer blocks (section 3.1) give maps at
strides 4, 8, 16 and 32: attention asks keys and values of a map reduced in size, and a Mix-FFN,
with a depth-wise 3x3 convolution, stands in for position codes. The decoder (section 3.2) brings
all maps to one width and the first one's size and joins them by a linear layer; its scores are
upsampled bilinearly to the photo's size.

No pre-training, neither on ImageNet nor on masked patches of our own images: what stands here is
the architecture trained from scratch. The loss is that of the plain U-Net (``baselines.unet``).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.batch import Batch
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track

Size = tuple[int, int]


@dataclass(frozen=True)
class SegFormerConfig:
    """Sizes and loss; the defaults are B0 (table 6 of the paper).

    widths, depths, heads: channels, transformer blocks and attention heads of each stage.
    reductions: how much shorter the sides of a stage's key and value map are than its query map's.
    strides: of the patch embeddings; a patch of stride s is 2 s - 1 pixels wide (7 at 4, 3 at 2).
    expansion: hidden channels of a Mix-FFN over its width.
    decoder: channels of the decoder.
    drop_path: chance that the last block's branches are left out in training; it grows from 0.
    dropout: on the joined map of the decoder.
    cross_entropy, l1: weights of the two terms, those of the plain U-Net.
    """

    widths: tuple[int, ...] = (32, 64, 160, 256)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    heads: tuple[int, ...] = (1, 2, 5, 8)
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    strides: tuple[int, ...] = (4, 2, 2, 2)
    expansion: int = 4
    decoder: int = 256
    drop_path: float = 0.1
    dropout: float = 0.1
    cross_entropy: float = 0.5
    l1: float = 0.1

    def __post_init__(self) -> None:
        for name in ("widths", "depths", "heads", "reductions", "strides"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            if len(getattr(self, name)) != len(self.widths):
                raise ValueError(f"{name} {getattr(self, name)}: one number for each stage")
        for width, heads in zip(self.widths, self.heads, strict=True):
            if width % heads:
                raise ValueError(f"heads {heads}: do not divide a stage's width of {width}")


# At 128 pixels a first stride of 2 gives the same maps as B0 has at 256: 64, 32, 16 and 8 pixels.
SEGFORMER_PRESETS: dict[Preset, SegFormerConfig] = {
    "quick": SegFormerConfig(
        widths=(16, 32, 64, 96),
        depths=(1, 1, 1, 1),
        heads=(1, 2, 4, 6),
        strides=(2, 2, 2, 2),
        decoder=64,
        drop_path=0.0,
    ),
    "small": SegFormerConfig(strides=(2, 2, 2, 2), decoder=128),
    "full": SegFormerConfig(),
}


def _as_map(tokens: Tensor, size: Size) -> Tensor:
    """(B, h w, C) -> (B, C, h, w)."""
    return tokens.transpose(1, 2).unflatten(2, size)


def _as_tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, h w, C)."""
    return x.flatten(2).transpose(1, 2)


class PatchEmbedding(nn.Module):
    """Overlapping patches as tokens: (B, inputs, H, W) -> (B, h w, width) and (h, w)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(inputs, width, 2 * stride - 1, stride, stride - 1)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> tuple[Tensor, Size]:
        x = self.project(x)
        return self.norm(_as_tokens(x)), (x.shape[2], x.shape[3])


class Attention(nn.Module):
    """Self-attention whose keys and values come from a map ``reduction`` times smaller a side.

    (B, h w, width) -> (B, h w, width).
    """

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        if reduction > 1:
            self.reduce = nn.Conv2d(width, width, reduction, reduction)
            self.norm = nn.LayerNorm(width)

    def _reduced(self, x: Tensor, size: Size) -> Tensor:
        if self.reduction == 1:
            return x
        # A rest of the map is padded; without that it would not be seen, or nothing would be left.
        missing = (0, -size[1] % self.reduction, 0, -size[0] % self.reduction)
        return self.norm(_as_tokens(self.reduce(F.pad(_as_map(x, size), missing))))

    def forward(self, x: Tensor, size: Size) -> Tensor:
        key, value = self.key_value(self._reduced(x, size)).chunk(2, dim=-1)
        parts = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in (key, value))
        query = self.query(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
        found = F.scaled_dot_product_attention(query, *parts)
        return self.out(found.transpose(1, 2).flatten(2))


class MixFFN(nn.Module):
    """Two linear layers with a depth-wise 3x3 convolution between: (B, h w, width) -> the same."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Linear(width, hidden)
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.second = nn.Linear(hidden, width)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        mixed = self.mix(_as_map(self.first(x), size))
        return self.second(F.gelu(_as_tokens(mixed)))


class Block(nn.Module):
    """Pre-norm attention and Mix-FFN, each a branch that a sample skips with a chance of ``skip``.

    (B, h w, width) -> (B, h w, width). Nothing is skipped in eval mode.
    """

    def __init__(self, width: int, heads: int, reduction: int, hidden: int, skip: float) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, reduction)
        self.ffn = MixFFN(width, hidden)
        self.skip = skip

    def _kept(self, x: Tensor) -> Tensor:
        """(B, 1, 1): 0 where a sample skips a branch, and more than 1 elsewhere to make up."""
        return F.dropout(x.new_ones(len(x), 1, 1), self.skip, self.training)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        x = x + self._kept(x) * self.attention(self.norm_1(x), size)
        return x + self._kept(x) * self.ffn(self.norm_2(x), size)


class Stage(nn.Module):
    """One level of the encoder: (B, inputs, H, W) -> (B, width, h, w)."""

    def __init__(self, inputs: int, number: int, config: SegFormerConfig) -> None:
        super().__init__()
        width, before = config.widths[number], sum(config.depths[:number])
        skips = torch.linspace(0, config.drop_path, sum(config.depths), device="cpu").tolist()
        self.embed = PatchEmbedding(inputs, width, config.strides[number])
        self.blocks = nn.ModuleList(
            Block(
                width,
                config.heads[number],
                config.reductions[number],
                config.expansion * width,
                skip,
            )
            for skip in skips[before : before + config.depths[number]]
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        tokens, size = self.embed(x)
        for block in self.blocks:
            tokens = block(tokens, size)
        return _as_map(self.norm(tokens), size)


class Decoder(nn.Module):
    """The stages' maps -> scores (B, 1, h, w) at the size of the first."""

    def __init__(self, config: SegFormerConfig) -> None:
        super().__init__()
        wide = config.decoder
        self.unify = nn.ModuleList(nn.Conv2d(width, wide, 1) for width in config.widths)
        self.join = nn.Sequential(
            nn.Conv2d(len(config.widths) * wide, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Dropout2d(config.dropout),
        )
        self.mask = nn.Conv2d(wide, 1, 1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        size = maps[0].shape[-2:]
        levels = [_resized(unify(x), size) for unify, x in zip(self.unify, maps, strict=True)]
        return self.mask(self.join(torch.cat(levels, dim=1)))


def _resized(x: Tensor, size: torch.Size) -> Tensor:
    return x if x.shape[-2:] == size else F.interpolate(x, size=size, mode="bilinear")


class SegFormer(nn.Module):
    """(B, 4, H, W) in [0, 1] -> raw scores (B, 1, H, W) of the whole person, float32."""

    def __init__(self, config: SegFormerConfig) -> None:
        super().__init__()
        inputs = (4, *config.widths)
        self.stages = nn.ModuleList(
            Stage(inputs[number], number, config) for number in range(len(config.widths))
        )
        self.decoder = Decoder(config)
        initialise(self)
        nn.init.normal_(self.decoder.mask.weight, 0.0, 0.01)

    def forward(self, image: Tensor, initial: Tensor) -> Tensor:
        x = torch.cat([image, initial], dim=1)
        maps: list[Tensor] = []
        for stage in self.stages:
            maps.append(stage(maps[-1] if maps else x))
        return _resized(self.decoder(maps).float(), x.shape[-2:])


def initialise(network: nn.Module) -> None:
    """Linear layers from N(0, 0.02) cut at 2, convolutions by their fan-out, biases 0.

    Uses torch's current random state: seed it before building a network.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        elif isinstance(layer, nn.Conv2d):
            area = layer.kernel_size[0] * layer.kernel_size[1]
            fan_out = area * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / fan_out))
        else:
            continue
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


class SegFormerNets(Adversarial):
    """The network and its loss; there is no adversary."""

    def __init__(self, config: SegFormerConfig) -> None:
        super().__init__(SegFormer(config))
        self.config = config

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        logits = self.generator(batch.image, batch.initial)
        whole = (batch.amodal >= 0.5).float()
        entropy = F.binary_cross_entropy_with_logits(logits, whole)
        l1 = F.l1_loss(logits.sigmoid(), batch.amodal)
        return {"amodal_ce": self.config.cross_entropy * entropy, "l1": self.config.l1 * l1}, {}


class SegFormerMask(Learned):
    """A small transformer that turns the image and the initial mask into the amodal mask.

    Weight decay is the original's; it acts on all weights, and the decoder learns no faster than
    the encoder (there: ten times), because the loop treats all parameters alike.
    """

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "SegFormer-B0-like"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    presets: ClassVar[Mapping[Preset, SegFormerConfig]] = SEGFORMER_PRESETS
    weight_decay: ClassVar[float] = 0.01

    def __init__(self, preset: Preset = "quick", sizes: SegFormerConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = SegFormerNets(sizes or SEGFORMER_PRESETS[preset])

    def infer(self, batch: Batch) -> Tensor:
        return self.nets.generator(batch.image, batch.initial).sigmoid()

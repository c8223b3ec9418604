"""Stage 2: parsing guided content recovery (paper section 3; layer table in the supplement).

A U-Net of partial convolutions paints the hidden part of a person. Parsing guided attention in
four places tells it which body part it paints and where the visible rest of that part is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.attention import ParsingGuidedAttention
from hdeocc.blocks import xavier_init
from hdeocc.partial_conv import Known, PartialConv2d, join, known_where, upsample
from hdeocc.smooth_fill import part_fill, smooth_fill

ENCODER_KERNELS = (7, 5, 5, 3, 3, 3, 3)
CHANNEL_FACTORS = (1, 2, 4, 8, 8, 8, 8)
INPUTS = 5  # erased image, visibility, amodal mask
MOST = 0.98  # the start is kept off the ends of tanh, where no correction would move it


@dataclass(frozen=True)
class ContentRecoveryConfig:
    """Every switch of stage 2. The defaults are the full method at the paper's size.

    width: channels of the first level. levels: how often the size is halved, at most 7.
    background: contrast kept outside the person, for the input and for the target of the loss.
    pga_positions: where attention blocks stand, as "enc3" or "dec5"; () for none.
    pga_parts, pga_spatial: the two streams of a block.
    pga_kernel, pga_fusion_kernel: sizes for u, t, q, k, v, and for the two fusing convolutions.
    pga_scaled: divide the relation by the square root of its depth.
    residual: add attention through a gate that starts at zero.
    mask_after_pga: what counts as known behind an attention block: every pixel ("ones"), the
        person too ("amodal"), or no more than before ("keep", released code). It has a say only
        with per_channel_masks=False, see there.
    per_channel_masks: only the image channels are unknown in the hole; False blanks the
        visibility and the amodal mask there too (released code). By NVIDIA's rule a window counts
        as known when any of its channels is, and these two masks are known everywhere: so with
        True nothing is unknown behind the first convolution.
    window_normalisation: NVIDIA's rule; False is the released code's.
    output: "tanh", or "clamp" (in eval mode only, so that training keeps its gradient).
    start: what the output is a correction of: mid-grey ("grey", the paper), or the visible
        person's colours continued smoothly into the hole, by the whole person ("smooth") or by
        each body part ("parts", ours: the parsing says which colours belong there).
    init_gain: gain of a Xavier normal initialisation; None keeps PyTorch's own.
    """

    width: int = 64
    levels: int = 7
    background: float = 0.3
    pga_positions: tuple[str, ...] = ("enc3", "enc5", "dec5", "dec3")
    pga_parts: bool = True
    pga_spatial: bool = True
    pga_kernel: int = 3
    pga_fusion_kernel: int = 1
    pga_scaled: bool = True
    residual: bool = True
    mask_after_pga: Literal["ones", "amodal", "keep"] = "ones"
    per_channel_masks: bool = True
    window_normalisation: bool = True
    output: Literal["tanh", "clamp"] = "tanh"
    start: Literal["grey", "smooth", "parts"] = "grey"
    init_gain: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "pga_positions", tuple(self.pga_positions))
        if not 1 <= self.levels <= len(ENCODER_KERNELS):
            raise ValueError(f"levels {self.levels}: 1 to {len(ENCODER_KERNELS)}")
        places = {f"{side}{i + 1}" for side in ("enc", "dec") for i in range(self.levels)}
        for place in self.pga_positions:
            if place not in places - {"dec1"}:
                raise ValueError(f"pga position {place!r} is not in a net of {self.levels} levels")
        if self.mask_after_pga not in ("ones", "amodal", "keep"):
            raise ValueError(f"mask_after_pga {self.mask_after_pga!r}: ones, amodal or keep")
        if self.output not in ("tanh", "clamp"):
            raise ValueError(f"output {self.output!r}: tanh or clamp")
        if self.start not in ("grey", "smooth", "parts"):
            raise ValueError(f"start {self.start!r}: grey, smooth or parts")

    @classmethod
    def as_released(cls, width: int = 64, levels: int = 7) -> ContentRecoveryConfig:
        """The network of the released code, faults included: 55.6 M parameters at full size."""
        return cls(
            width=width,
            levels=levels,
            pga_fusion_kernel=3,
            pga_scaled=False,
            residual=False,
            mask_after_pga="keep",
            per_channel_masks=False,
            window_normalisation=False,
            output="clamp",
        )

    @property
    def channels(self) -> tuple[int, ...]:
        """Output channels of the encoder levels."""
        return tuple(self.width * factor for factor in CHANNEL_FACTORS[: self.levels])


class ContentOutput(NamedTuple):
    """RGB in [0, 1]; with output="clamp" `recon` may leave that range in train mode."""

    recon: Tensor  # (B, 3, H, W) the network's picture, dim outside the person
    comp: Tensor  # (B, 3, H, W) the image outside the hole, `recon` inside


def hole_of(modal: Tensor, amodal: Tensor) -> Tensor:
    """The hidden part of the person, bool (B, 1, H, W); soft masks are cut at 0.5."""
    return (amodal >= 0.5) & (modal < 0.5)


def pair_sides(parts: Tensor) -> Tensor:
    """The 19 parts (B, 19, H, W) with left and right arm, leg and shoe as one: (B, 16, H, W)."""
    arms, legs, shoes = parts[:, 13:19].unflatten(1, (3, 2)).sum(dim=2).split(1, dim=1)
    return torch.cat([parts[:, :13], arms, legs, shoes], dim=1)


def dim_background(image: Tensor, amodal: Tensor, factor: float) -> Tensor:
    """Shrink contrast around mid-grey to `factor` outside the person; image in [0, 1]."""
    kept = factor + (1 - factor) * (amodal >= 0.5).to(image.dtype)
    return 0.5 + (image - 0.5) * kept


class Level(nn.Module):
    """Partial convolution, optional batch norm, activation: Known -> values and mask."""

    def __init__(self, conv: PartialConv2d, channels: int, *, norm: bool, slope: float) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.act = nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)

    def forward(self, x: Known) -> tuple[Tensor, Tensor | None]:
        values, mask = self.conv(x)
        return self.act(self.norm(values)), mask


class ContentRecovery(nn.Module):
    """The whole of stage 2: (image, modal, amodal, parsing) -> `ContentOutput`.

    image (B, 3, H, W) in [0, 1]; modal and amodal masks (B, 1, H, W) in [0, 1]; parsing
    (B, 20, H, W), the whole person's parsing as one-hot labels or probabilities, background
    first. The output does not depend on what `image` shows inside the hole.

    In train mode a level of one pixel needs a batch of two or more (batch norm).
    """

    def __init__(self, config: ContentRecoveryConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ContentRecoveryConfig()
        channels = config.channels
        wiring = zip((INPUTS, *channels), channels, ENCODER_KERNELS, strict=False)
        self.encoder = nn.ModuleList(
            Level(self._conv(i, o, kernel, 2), o, norm=level > 0, slope=0)
            for level, (i, o, kernel) in enumerate(wiring)
        )
        self.decoder = nn.ModuleList(
            Level(self._conv(up + skip, skip, 3), skip, norm=True, slope=0.2)
            for up, skip in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.last = self._conv(channels[0] + INPUTS, 3, 3, bias=True)
        self.attention = nn.ModuleDict(
            {place: self._attention(place) for place in config.pga_positions}
        )
        if config.init_gain is not None:
            xavier_init(self, config.init_gain)

    def _conv(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = False
    ) -> PartialConv2d:
        norm = self.config.window_normalisation
        return PartialConv2d(inputs, outputs, kernel, stride, bias=bias, window_normalisation=norm)

    def _attention(self, place: str) -> ParsingGuidedAttention:
        config, level = self.config, int(place[3:])
        index = level - 1 if place.startswith("enc") else level - 2
        return ParsingGuidedAttention(
            config.channels[index],
            kernel=config.pga_kernel,
            fusion_kernel=config.pga_fusion_kernel,
            parts=config.pga_parts,
            spatial=config.pga_spatial,
            scaled=config.pga_scaled,
            residual=config.residual,
        )

    def _input(self, image: Tensor, hole: Tensor, amodal: Tensor) -> Known:
        """Five channels in [-1, 1] or [0, 1]; the hole's pixels become 0, which is mid-grey."""
        scaled = dim_background(image, amodal, self.config.background) * 2 - 1
        visible = (~hole).to(image.dtype)
        erased = torch.where(hole, torch.zeros_like(scaled), scaled)
        masks = torch.cat([visible, amodal], dim=1)
        mask_known = None if self.config.per_channel_masks else visible
        return join([known_where(erased, visible), known_where(masks, mask_known)])

    def _attend(
        self, place: str, x: Tensor, mask: Tensor | None, parts: tuple[Tensor, Tensor]
    ) -> Known:
        """Zero the unknown, then attend where a block stands, and widen what counts as known."""
        if self.config.per_channel_masks:
            mask = None  # every window holds something known, see the configuration
        if place not in self.attention:
            return known_where(x, mask)
        x = self.attention[place](known_where(x, mask).values, *parts)
        if mask is None or self.config.mask_after_pga == "ones":
            return known_where(x, None)
        if self.config.mask_after_pga == "amodal":
            person = F.interpolate(parts[1].sum(dim=1, keepdim=True), x.shape[-2:], mode="nearest")
            mask = torch.maximum(mask, (person > 0.5).to(mask.dtype))
        return known_where(x, mask)

    def forward(
        self, image: Tensor, modal: Tensor, amodal: Tensor, parsing: Tensor
    ) -> ContentOutput:
        hole = hole_of(modal, amodal)
        whole = parsing[:, 1:].to(image.dtype)
        parts = (whole * modal, whole)
        skips = [self._input(image, hole, amodal)]
        for level, encode in enumerate(self.encoder, 1):
            values, mask = encode(skips[-1])
            skips.append(self._attend(f"enc{level}", values, mask, parts))
        x = skips.pop()
        for level, decode in zip(range(len(skips), 1, -1), self.decoder, strict=True):
            skip = skips.pop()
            values, mask = decode(join([upsample(x, skip.values.shape[-2:]), skip]))
            x = self._attend(f"dec{level}", values, mask, parts)
        skip, start = skips.pop(), None
        if self.config.start != "grey":
            start = self._smooth_start(image, hole, modal * amodal, whole)
            skip = known_where(torch.cat([start, skip.values[:, 3:]], dim=1), None)
        values, _ = self.last(join([upsample(x, skip.values.shape[-2:]), skip]))
        recon = self._to_picture(values.float(), start)
        return ContentOutput(recon, torch.where(hole, recon, image))

    def _smooth_start(self, image: Tensor, hole: Tensor, person: Tensor, whole: Tensor) -> Tensor:
        """The dimmed image in [-1, 1], its hole filled from the visible person."""
        seen = (person >= 0.5).to(image.dtype)
        dimmed = dim_background(image, seen, self.config.background)
        if self.config.start == "parts":
            whole = pair_sides(whole)
            filled = part_fill(image, whole * seen, whole)
        else:
            filled = smooth_fill(image, seen)
        return torch.where(hole, filled.to(image.dtype), dimmed) * 2 - 1

    def _to_picture(self, values: Tensor, start: Tensor | None) -> Tensor:
        """Network values, nominally in [-1, 1], or corrections of ``start``, to RGB in [0, 1]."""
        if self.config.output == "tanh":
            if start is not None:
                values = values + torch.atanh(start.clamp(-MOST, MOST))
            values = values.tanh()
        else:
            values = values if start is None else values + start
            values = values if self.training else values.clamp(-1, 1)
        return (values + 1) / 2

"""Stage 1: refined mask completion (paper section 3; layer table in the supplement).

image (B, 3, H, W) in [0, 1] and an imperfect visible mask (B, 1, H, W) in [0, 1] go through two
stacked hourglasses. The first gives the visible ("modal") mask and parsing, the second the whole
("amodal") mask and parsing, helped by shape templates that the visible mask chooses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.blocks import ResBlock, SqueezeExcite, conv3x3, xavier_init
from hdeocc.hourglass import Hourglass
from hdeocc.templates import TemplateReweighting, TemplateScore

PARSING_CLASSES = 20  # the LIP labels, background included
HEAD_CHANNELS = 32  # parsing and template features; does not scale with the width


@dataclass(frozen=True)
class MaskCompletionConfig:
    """Every switch of stage 1. The defaults are the full method at the paper's size.

    width: channels of the first level divided by 16 (4 gives 27.0 M parameters).
    stacked: a second hourglass for the amodal branch; without it both heads share the first.
    parsing: parsing branches whose features help the mask heads.
    parsing_convs: 2 as in the supplement, 1 as in the released code.
    se: squeeze-and-excitation on the parsing features that go to the mask heads.
    detach: keep the mask losses from shaping the parsing block (released code).
    templates: number of shape templates; 0 leaves the branch out.
    template_size: pixels of a template's side.
    template_score: "cosine", "coverage" (minus `template_beta` x mean) or "raw" (released code).
    template_beta: how strongly "coverage" punishes large templates.
    hard_templates: templates thresholded at 0.5 instead of soft.
    aligned_templates: templates fitted in the crop frame; False: in tight boxes (released code).
        Only whoever fits the templates reads it.
    init_gain: gain of the Xavier normal initialisation (released code 0.02); None keeps
        PyTorch's own initialisation.
    """

    width: int = 4
    stacked: bool = True
    parsing: bool = True
    parsing_convs: int = 2
    se: bool = True
    se_reduction: int = 4
    detach: bool = False
    templates: int = 64
    template_size: int = 64
    template_score: TemplateScore = "cosine"
    template_beta: float = 1.0
    hard_templates: bool = False
    aligned_templates: bool = True
    init_gain: float | None = None

    def __post_init__(self) -> None:
        if self.parsing_convs not in (1, 2):
            raise ValueError(f"parsing_convs {self.parsing_convs}: 1 or 2")
        if self.templates < 0:
            raise ValueError(f"templates {self.templates}: 0 or more")
        if self.template_size < 1:
            raise ValueError(f"template_size {self.template_size}: at least 1")


def foreground(logits: Tensor) -> Tensor:
    """Two-class logits (B, 2, H, W) -> probability of class 1 (B, 1, H, W), float32."""
    return torch.sigmoid(logits[:, 1:].float() - logits[:, :1].float())


class MaskOutput(NamedTuple):
    """Raw scores of stage 1; class 1 of the masks is the person."""

    modal_logits: Tensor  # (B, 2, H, W)
    amodal_logits: Tensor  # (B, 2, H, W)
    modal_parsing: Tensor | None  # (B, 20, H, W)
    amodal_parsing: Tensor | None  # (B, 20, H, W)

    @property
    def modal_probability(self) -> Tensor:
        """(B, 1, H, W) float32 in [0, 1]."""
        return foreground(self.modal_logits)

    @property
    def amodal_probability(self) -> Tensor:
        """(B, 1, H, W) float32 in [0, 1]."""
        return foreground(self.amodal_logits)


class ParsingHead(nn.Module):
    """Hourglass features -> parsing logits (B, 20, H, W) and features for the mask head.

    Where `logits` was set to None (see `hdeocc.fast`) there are only the features.
    """

    def __init__(self, inputs: int, config: MaskCompletionConfig) -> None:
        super().__init__()
        self.block = ResBlock(inputs, HEAD_CHANNELS)
        hidden = [conv3x3(HEAD_CHANNELS, HEAD_CHANNELS), nn.ReLU(inplace=True)]
        last = conv3x3(HEAD_CHANNELS, PARSING_CLASSES)
        self.logits: nn.Module | None = nn.Sequential(
            *(hidden if config.parsing_convs == 2 else []), last
        )
        self.excite = SqueezeExcite(HEAD_CHANNELS, config.se_reduction) if config.se else None
        self.detach = config.detach

    def forward(self, x: Tensor) -> tuple[Tensor | None, Tensor]:
        features = F.relu(self.block(x), inplace=True)
        helped = features.detach() if self.detach else features
        if self.excite is not None:
            helped = self.excite(helped)
        return None if self.logits is None else self.logits(features), helped


def _mask_head(inputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(conv3x3(inputs, hidden), nn.ReLU(inplace=True), conv3x3(hidden, 2))


class MaskCompletion(nn.Module):
    """The whole of stage 1: (image, initial) -> `MaskOutput`, at the size of the image.

    `set_templates` must be called once before training; the templates are then part of the
    state dict.
    """

    def __init__(self, config: MaskCompletionConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MaskCompletionConfig()
        self.modal_hourglass = Hourglass(4, config.width)
        channels = self.modal_hourglass.channels
        self.amodal_hourglass = Hourglass(3 + channels, config.width) if config.stacked else None
        self.modal_parsing = ParsingHead(channels, config) if config.parsing else None
        self.amodal_parsing = ParsingHead(channels, config) if config.parsing else None
        self.templates = self._template_branch(config)
        helped = channels + (HEAD_CHANNELS if config.parsing else 0)
        self.modal_mask = _mask_head(helped, 16)
        self.amodal_mask = _mask_head(helped + (HEAD_CHANNELS if config.templates else 0), 32)
        if config.init_gain is not None:
            xavier_init(self, config.init_gain)

    @staticmethod
    def _template_branch(config: MaskCompletionConfig) -> TemplateReweighting | None:
        if not config.templates:
            return None
        return TemplateReweighting(
            config.templates,
            config.template_size,
            HEAD_CHANNELS,
            config.template_score,
            beta=config.template_beta,
            hard=config.hard_templates,
        )

    def set_templates(self, templates: NDArray[np.float32]) -> None:
        """Take the (K, t, t) templates of `fit_templates`; raises ValueError when none are used."""
        if self.templates is None:
            raise ValueError("this network was configured without templates")
        self.templates.set_templates(templates)

    def forward(self, image: Tensor, initial: Tensor) -> MaskOutput:
        seen = self.modal_hourglass(torch.cat([image, initial], dim=1))
        modal_parsing, helped = _parse(self.modal_parsing, seen)
        modal = self.modal_mask(helped)
        whole = seen
        if self.amodal_hourglass is not None:
            whole = self.amodal_hourglass(torch.cat([image.to(seen.dtype), seen], dim=1))
        amodal_parsing, helped = _parse(self.amodal_parsing, whole)
        if self.templates is not None:
            shape = self.templates(foreground(modal.detach()))
            helped = torch.cat([helped, shape.to(helped.dtype)], dim=1)
        return MaskOutput(modal, self.amodal_mask(helped), modal_parsing, amodal_parsing)


def _parse(head: ParsingHead | None, features: Tensor) -> tuple[Tensor | None, Tensor]:
    """The head's parsing logits, and `features` with the head's own beside them."""
    if head is None:
        return None, features
    logits, helped = head(features)
    return logits, torch.cat([features, helped], dim=1)

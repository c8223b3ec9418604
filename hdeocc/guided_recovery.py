"""Stage 2 behind a frozen stage 1, which says what the hidden parts are."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.batch import Batch
from hdeocc.content_recovery import ContentOutput, ContentRecovery, hole_of
from hdeocc.mask_completion import MaskCompletion, MaskOutput
from hdeocc.two_stage_mask import blanked, whole_probability
from synth.parsing import NUM_LABELS


def parsing_inside(logits: Tensor, amodal: Tensor) -> Tensor:
    """Parsing (B, 20, H, W) of ``amodal`` (B, 1, H, W), as probabilities that sum to one.

    The mask decides what is the person, the logits (B, 20, H, W) only which part it is.
    """
    inside = (amodal >= 0.5).float()
    parts = logits[:, 1:].float().softmax(dim=1) * inside
    return torch.cat([1 - inside, parts], dim=1)


def one_hot(labels: Tensor) -> Tensor:
    """Labels (B, H, W) int64 -> (B, 20, H, W) float32."""
    return F.one_hot(labels, NUM_LABELS).permute(0, 3, 1, 2).float()


def predicted_parsing(stage_1: MaskCompletion, batch: Batch, amodal: Tensor) -> Tensor:
    """Parsing (B, 20, H, W) of ``amodal`` (B, 1, H, W) as stage 1 sees it, as probabilities.

    What the hole shows is not the person, so stage 1 does not get to see it here.
    """
    hole = hole_of(batch.modal, amodal)
    out: MaskOutput = stage_1(blanked(batch.image, hole.float()), batch.initial)
    if out.amodal_parsing is None:
        raise ValueError("stage 2 needs a stage 1 with parsing branches")
    return parsing_inside(out.amodal_parsing, amodal)


class GuidedRecovery(nn.Module):
    """Stage 2 behind a frozen stage 1 that only supplies the parsing."""

    def __init__(self, stage_1: MaskCompletion, stage_2: ContentRecovery) -> None:
        super().__init__()
        self.stage_1 = stage_1.requires_grad_(False)
        self.stage_2 = stage_2

    def train(self, mode: bool = True) -> "GuidedRecovery":
        """Stage 1 stays in eval mode: it is not what is trained here."""
        super().train(mode)
        self.stage_1.eval()
        return self

    @torch.no_grad()
    def predicted_parsing(self, batch: Batch, amodal: Tensor) -> Tensor:
        """See :func:`predicted_parsing`; no gradient is kept."""
        return predicted_parsing(self.stage_1, batch, amodal)

    @torch.no_grad()
    def predicted_masks(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Visible and whole person (B, 1, H, W), 0 or 1, as the full pipeline has them."""
        modal = batch.initial >= 0.5
        found = whole_probability(self.stage_1(batch.image, batch.initial)) >= 0.5
        return modal.float(), (found | modal).float()

    def forward(self, batch: Batch, parsing: Tensor) -> ContentOutput:
        return self.stage_2(batch.image, batch.modal, batch.amodal, parsing)

"""Stage 2 as a method of the content track: parsing guided content recovery (paper section 3.3).

It is guided by the parsing that stage 1 predicts, so that it needs no labels at test time; in
training the true parsing takes turns with the predicted one where it is known. On a photo the masks
are predictions too; in training a share of the samples may have such ones (``predicted_masks``).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import ClassVar, cast

import torch
from torch import Tensor

from hdeocc import losses
from hdeocc.across import rank_mean, weight_of, world_size
from hdeocc.batch import Batch
from hdeocc.content_recovery import ContentOutput, ContentRecovery, ContentRecoveryConfig, hole_of
from hdeocc.discriminators import ContentDiscriminator
from hdeocc.folders import read_json
from hdeocc.guided_recovery import GuidedRecovery, one_hot
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.losses import ContentLossConfig, Features, vgg_features
from hdeocc.mask_completion import MaskCompletion, MaskCompletionConfig
from hdeocc.method import Budget, FitData, Method, Preset, Track
from hdeocc.two_stage_mask import MASK_PRESETS, TwoStageMask
from synth.atomic import write_text
from synth.errors import InputError

STAGE_1 = "mask.two-stage"
STAGE_1_FILE = "stage_1.json"


@dataclass(frozen=True)
class ContentPreset:
    """Stage 2 at one preset.

    discriminator: width of D_c.
    true_parsing: share of labelled samples that are guided by their true parsing.
    predicted_masks: share of samples whose masks are as on a photo: visible is the initial mask,
        the whole is stage 1's prediction, and so are the hole and the parsing.
    vgg: whether style and correlation are trained at all.
    vgg_share: share of every batch that they look at; they cost more than the rest of a step.
    """

    net: ContentRecoveryConfig
    loss: ContentLossConfig = ContentLossConfig()
    discriminator: int = 64
    true_parsing: float = 0.5
    vgg: bool = True
    vgg_share: float = 1.0
    predicted_masks: float = 0.0


# Budgets of minutes or an hour are far below the paper's: there stage 2 starts from the colours
# that the parsing suggests and its L1 looks at the hole. "full" is the paper's network and loss,
# but for the gates that attention is added through, and AdamW's decay where the paper has Adam.
_SHORT = ContentLossConfig(l1=4.0, l1_over="hole")

CONTENT_PRESETS: dict[Preset, ContentPreset] = {
    "quick": ContentPreset(
        ContentRecoveryConfig(width=16, levels=5, start="parts"),
        _SHORT,
        discriminator=16,
        true_parsing=0.2,
        vgg=False,
    ),
    "small": ContentPreset(
        ContentRecoveryConfig(width=16, levels=6, start="parts"),
        _SHORT,
        discriminator=16,
        true_parsing=0.2,
        vgg_share=0.5,
        predicted_masks=0.3,
    ),
    # 3x3 fusions as in the released code: the paper's 55.6 M parameters.
    "full": ContentPreset(
        ContentRecoveryConfig(width=64, levels=7, pga_fusion_kernel=3), predicted_masks=0.3
    ),
}


class ContentNets(Adversarial):
    """Guided stage 2 and its discriminator."""

    def __init__(self, preset: ContentPreset, stage_1: MaskCompletionConfig) -> None:
        guided = GuidedRecovery(MaskCompletion(stage_1), ContentRecovery(preset.net))
        weight = preset.loss.adversarial
        super().__init__(guided, ContentDiscriminator(preset.discriminator) if weight else None)
        self.loss = replace(preset.loss, background=preset.net.background)
        self.true_parsing = preset.true_parsing
        self.predicted_masks = preset.predicted_masks
        self.vgg_share = preset.vgg_share
        self.features: Features | None = None

    def with_masks(self, batch: Batch) -> Batch:
        """The batch with predicted masks in a drawn share of its samples.

        Its field ``wrong`` (B, 1, H, W) bool says where those take for the person what is not. The
        true parsing, which does not fit them, counts as unknown there.
        """
        if not self.predicted_masks:
            return batch.replace(wrong=torch.zeros_like(batch.amodal, dtype=torch.bool))
        draw = torch.rand(len(batch), device=batch.image.device) < self.predicted_masks
        modal, amodal = batch.modal, batch.amodal
        if bool(draw.any()):
            guided = cast(GuidedRecovery, self.generator)
            found = guided.predicted_masks(batch.part(draw))
            modal, amodal = (
                _exchanged(mask, draw, by) for mask, by in zip((modal, amodal), found, strict=True)
            )
        return batch.replace(
            modal=modal,
            amodal=amodal,
            has_parsing=batch.has_parsing & ~draw,
            wrong=(amodal >= 0.5) & (batch.amodal < 0.5),
        )

    def guidance(self, batch: Batch) -> Tensor:
        """Parsing (B, 20, H, W) for a training step, true or predicted by a draw per sample."""
        draw = torch.rand(len(batch), device=batch.image.device) < self.true_parsing
        unknown = ~(draw & batch.has_parsing)
        parsing = one_hot(batch.parsing)
        if bool(unknown.any()):
            some = batch.part(unknown)
            guided = cast(GuidedRecovery, self.generator)
            parsing[unknown] = guided.predicted_parsing(some, some.amodal)
        return parsing

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        batch = self.with_masks(batch)
        hole = hole_of(batch.modal, batch.amodal)
        out: ContentOutput = self.generator(batch, self.guidance(batch))
        fake = None
        if self.discriminator is not None:
            fake = self.discriminator(out.comp, batch.amodal, hole.float())
        target = self._target(batch, out, hole)
        terms = losses.content_losses(
            out,
            target,
            batch.amodal,
            hole=_of_all_processes(hole & _is_known(batch)),
            fake_logits=fake,
            config=self.loss,
        )
        if self.features is not None:
            few = slice(max(1, round(self.vgg_share * len(batch))))
            part = ContentOutput(out.recon[few], out.comp[few])
            terms |= losses.content_feature_losses(
                part, target[few], batch.amodal[few], self.features, self.loss
            )
        made = {"comp": out.comp, "target": target, "hole": hole.float(), "amodal": batch.amodal}
        return terms, made

    @staticmethod
    def _target(batch: Batch, out: ContentOutput, hole: Tensor) -> Tensor:
        """What to paint in the hole; what was painted, which teaches nothing, where nobody knows.

        That is the hole of a sample without clean picture, and what a predicted whole wrongly takes
        for the person: there the clean picture shows something else.
        """
        painted = out.recon.detach().clamp(0, 1).to(batch.clean.dtype)
        inside = torch.where(_is_known(batch), batch.clean, painted)
        return torch.where(hole, inside, batch.image)

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        assert self.discriminator is not None
        known = batch.has_clean
        weight = weight_of(known.sum())
        # Without a clean picture it looks all the same, for nothing: its spectral norms take a step
        # with every look, and have to be those of the other processes.
        some = bool(known.any())
        few = known if some else torch.ones_like(known)
        amodal, hole = made["amodal"][few], made["hole"][few]
        real = self.discriminator(made["target"][few], amodal, hole)
        fake = self.discriminator(made["comp"][few], amodal, hole)
        loss = losses.discriminator_loss(real, fake)
        return {"discriminator": loss * weight if some else loss * 0.0}


def _exchanged(masks: Tensor, which: Tensor, by: Tensor) -> Tensor:
    """The masks of a batch, those of some samples exchanged."""
    masks = masks.clone()
    masks[which] = by.to(masks.dtype)
    return masks


def _is_known(batch: Batch) -> Tensor:
    """Where the clean picture says what to paint, (B, 1, H, W) bool."""
    return batch.has_clean[:, None, None, None] & ~batch.wrong


def _of_all_processes(hole: Tensor) -> Tensor:
    """Something with the mean of the holes of all processes; a loss divides by it."""
    return hole if world_size() == 1 else rank_mean(hole.float().mean()).expand_as(hole)


class TwoStageContent(Learned):
    """Stage 2, parsing guided content recovery (paper section 3.3), fitted after stage 1."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "Two-stage (ours)"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial", "modal", "amodal"})
    upstream: ClassVar[tuple[str, ...]] = (STAGE_1,)
    holds: ClassVar[tuple[str, ...]] = (STAGE_1,)
    decided: ClassVar[Mapping[str, str]] = {"loss.background": "net.background"}
    presets: ClassVar[Mapping[Preset, ContentPreset]] = CONTENT_PRESETS
    generator_betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    discriminator_betas: ClassVar[tuple[float, float]] = (0.0, 0.9)
    discriminator_lr: ClassVar[float] = 0.1

    def __init__(
        self,
        preset: Preset = "quick",
        sizes: ContentPreset | None = None,
        stage_1: MaskCompletionConfig | None = None,
    ) -> None:
        super().__init__(preset)
        self.sizes = sizes or CONTENT_PRESETS[preset]
        self.nets = ContentNets(self.sizes, stage_1 or MASK_PRESETS[preset].net)

    def check_upstream(self, upstream: Mapping[str, Method]) -> None:
        stage_1 = upstream[STAGE_1]
        assert isinstance(stage_1, TwoStageMask)
        if not stage_1.net.config.parsing:
            raise InputError(
                "stage 2 is guided by the parsing of stage 1, which has none (net.parsing is "
                "false); give one that has"
            )

    @property
    def net(self) -> GuidedRecovery:
        """Both networks: frozen stage 1 for the parsing, and stage 2."""
        return cast(GuidedRecovery, self.nets.generator)

    def loss_networks(self) -> tuple[str, ...]:
        return ("vgg16",) if self.sizes.vgg else ()

    def prepare(self, data: FitData, budget: Budget) -> None:
        self.check_upstream(data.upstream)
        stage_1 = data.upstream[STAGE_1]
        assert isinstance(stage_1, TwoStageMask)
        self._stand_on(stage_1.net.config)
        self.net.stage_1.load_state_dict(stage_1.net.state_dict())
        if self.loss_networks():
            cast(ContentNets, self.nets).features = vgg_features()

    def _stand_on(self, stage_1: MaskCompletionConfig) -> None:
        """Make room for a stage 1 that is not the preset's."""
        if stage_1 != self.net.stage_1.config:
            self.net.stage_1 = MaskCompletion(stage_1).requires_grad_(False).eval()

    def save(self, folder: Path) -> None:
        super().save(folder)
        config = self.net.stage_1.config
        if config != MASK_PRESETS[self.preset].net:
            write_text(folder / STAGE_1_FILE, json.dumps(asdict(config), indent=1) + "\n")

    def load(self, folder: Path) -> None:
        path = folder / STAGE_1_FILE
        if path.is_file():
            try:
                self._stand_on(MaskCompletionConfig(**read_json(path)))
            except (TypeError, ValueError):
                raise InputError(f"{path}: no settings of stage 1; restore it") from None
        super().load(folder)

    def infer(self, batch: Batch) -> Tensor:
        parsing = self.net.predicted_parsing(batch, batch.amodal)
        return self.net(batch, parsing).comp

"""Losses of both stages (paper section 3 and supplement), on soft masks and in float32.

Every public loss of a stage returns its named terms already weighted, so that the sum of the
values is the loss. `features` maps an RGB image in [0, 1] to a list of feature maps (VGG16 pool1
to pool3, normalisation inside); None leaves out the terms that need it. Feature networks run
under the caller's autocast; what is computed from their output is float32.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from hdeocc.content_recovery import ContentOutput, dim_background
from hdeocc.mask_completion import MaskOutput, foreground

log = logging.getLogger(__name__)
Features = Callable[[Tensor], list[Tensor]]


@dataclass(frozen=True)
class MaskLossConfig:
    """Weights of stage 1.

    cross_entropy scales the sum of modal_ce, amodal_ce and parsing_ce terms (a half).
    soft: L1 and perceptual terms see probabilities; False: masks after argmax, which give no
        gradient, as in the released code.
    straight_through: the discriminator sees binary masks with the gradient of the soft ones.
    """

    cross_entropy: float = 0.5
    modal_ce: float = 1.0
    amodal_ce: float = 1.0
    parsing_ce: float = 0.2
    l1: float = 0.1
    perceptual: float = 0.1
    adversarial: float = 0.01
    soft: bool = True
    straight_through: bool = False


@dataclass(frozen=True)
class ContentLossConfig:
    """Weights of stage 2; L1 is counted on the scale [-1, 1], as in the paper's code.

    completed: how much more the composite counts than the raw reconstruction, in every term.
    l1_over: what the composite's L1 is a mean over: the frame, as in the paper's code, or the
        hole, which is the only place where it is not zero.
    correlation_size: position pairs are compared on a grid of at most this side.
    background: the contrast of the target outside the person; the method takes the network's.
    """

    l1: float = 2.0
    style: float = 40.0
    correlation: float = 1.0
    adversarial: float = 0.1
    completed: float = 5.0
    l1_over: Literal["frame", "hole"] = "frame"
    correlation_size: int = 32
    background: float = 0.3

    def __post_init__(self) -> None:
        if self.correlation_size < 1:
            raise ValueError(f"correlation_size {self.correlation_size}: at least 1")


def _l1(a: Tensor, b: Tensor) -> Tensor:
    return F.l1_loss(a.float(), b.float())


# --- adversarial ------------------------------------------------------------------------------


def generator_loss(fake_logits: Tensor) -> Tensor:
    """Non-saturating loss: mean of -log D(fake) over raw logits."""
    return F.softplus(-fake_logits.float()).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Half of -log D(real) plus half of -log(1 - D(fake)), means over raw logits.

    Compute `fake_logits` from a detached fake.
    """
    real, fake = F.softplus(-real_logits.float()), F.softplus(fake_logits.float())
    return 0.5 * (real.mean() + fake.mean())


def adversarial_mask(probability: Tensor, *, straight_through: bool = False) -> Tensor:
    """The mask shown to the discriminator: soft, or binary with the soft mask's gradient."""
    if not straight_through:
        return probability
    binary = (probability > 0.5).to(probability.dtype)
    return binary + (probability - probability.detach())


# --- feature losses ---------------------------------------------------------------------------


def vgg_features() -> Features | None:
    """VGG16 features for the perceptual and style terms; None, with a warning, without weights."""
    from metrics.errors import MetricsError
    from metrics.features import vgg16_features

    try:
        return vgg16_features()
    except MetricsError as error:
        log.warning("trained without perceptual and style terms: %s", error.message)
        return None


def perceptual_loss(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Sum over levels of the mean absolute difference of features."""
    return torch.stack([_l1(f, w) for f, w in zip(found, wanted, strict=True)]).sum()


def gram(features: Tensor) -> Tensor:
    """(B, C, h, w) -> channel products (B, C, C) divided by C*h*w, float32."""
    with torch.autocast(features.device.type, enabled=False):
        flat = features.float().flatten(2)
        return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def style_loss(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Sum over levels of the mean absolute difference of Gram matrices."""
    return torch.stack([_l1(gram(f), gram(w)) for f, w in zip(found, wanted, strict=True)]).sum()


def position_correlation(features: Tensor, size: int) -> Tensor:
    """(B, C, h, w) -> products between places (B, n, n) divided by C^2, float32.

    Places are every s-th row and column, s the smallest step that leaves at most `size` of each.
    """
    step = max(1, -(-max(features.shape[-2:]) // size))
    with torch.autocast(features.device.type, enabled=False):
        flat = features[:, :, ::step, ::step].float().flatten(2)
        return flat.transpose(1, 2) @ flat / flat.shape[1] ** 2


def correlation_loss(found: Tensor, wanted: Tensor, size: int = 32) -> Tensor:
    """Mean absolute difference of the correlations between places of one feature level."""
    return _l1(position_correlation(found, size), position_correlation(wanted, size))


# --- stage 1 ----------------------------------------------------------------------------------


def parsing_cross_entropy(logits: Tensor, labels: Tensor, has_parsing: Tensor) -> Tensor:
    """Mean cross-entropy over the samples that have labels; exactly 0 when none has.

    Under data parallelism the mean is over the samples of one process: the average of the
    processes' gradients is that of one large batch only where each has as many labelled samples.

    logits (B, 20, H, W); labels (B, H, W) long, of any value where has_parsing (B,) is False.
    """
    labels = torch.where(has_parsing[:, None, None], labels, 0)
    each = F.cross_entropy(logits.float(), labels, reduction="none").mean(dim=(1, 2))
    return torch.where(has_parsing, each, 0).sum() / has_parsing.sum().clamp_min(1)


def _cross_entropies(
    out: MaskOutput,
    modal: Tensor,
    amodal: Tensor,
    parsing: Tensor | None,
    has_parsing: Tensor | None,
    config: MaskLossConfig,
) -> dict[str, Tensor]:
    seen, whole = (modal[:, 0] >= 0.5).long(), (amodal[:, 0] >= 0.5).long()
    terms = {
        "modal_ce": config.modal_ce * F.cross_entropy(out.modal_logits.float(), seen),
        "amodal_ce": config.amodal_ce * F.cross_entropy(out.amodal_logits.float(), whole),
    }
    if parsing is not None and has_parsing is not None:
        targets = {"modal": (out.modal_parsing, parsing * seen)}
        targets["amodal"] = (out.amodal_parsing, parsing)
        for name, (logits, labels) in targets.items():
            if logits is not None:
                loss = parsing_cross_entropy(logits, labels, has_parsing)
                terms[f"{name}_parsing"] = config.parsing_ce * loss
    return {name: config.cross_entropy * value for name, value in terms.items()}


def _mask_seen(logits: Tensor, soft: bool) -> Tensor:
    probability = foreground(logits)
    return probability if soft else (probability > 0.5).float()


def mask_losses(
    out: MaskOutput,
    modal: Tensor,
    amodal: Tensor,
    parsing: Tensor | None = None,
    has_parsing: Tensor | None = None,
    *,
    features: Features | None = None,
    fake_logits: Tensor | None = None,
    config: MaskLossConfig | None = None,
) -> dict[str, Tensor]:
    """All terms of stage 1.

    modal, amodal: true masks (B, 1, H, W) in [0, 1]. parsing: labels of the whole person
    (B, H, W) long, of any value where has_parsing (B,) bool is False; None where no sample can
    have labels. fake_logits: the frozen discriminator's answer to the soft amodal mask.
    """
    config = config or MaskLossConfig()
    terms = _cross_entropies(out, modal, amodal, parsing, has_parsing, config)
    seen = _mask_seen(out.modal_logits, config.soft)
    whole = _mask_seen(out.amodal_logits, config.soft)
    terms["l1"] = config.l1 * (_l1(whole, amodal) + _l1(seen, modal))
    if features is not None and config.perceptual:
        with torch.no_grad():
            wanted = features(amodal.float().expand(-1, 3, -1, -1))
        found = features(whole.expand(-1, 3, -1, -1))
        terms["perceptual"] = config.perceptual * perceptual_loss(found, wanted)
    if fake_logits is not None and config.adversarial:
        terms["adversarial"] = config.adversarial * generator_loss(fake_logits)
    return terms


# --- stage 2 ----------------------------------------------------------------------------------


def content_losses(
    out: ContentOutput,
    clean: Tensor,
    amodal: Tensor,
    *,
    hole: Tensor | None = None,
    features: Features | None = None,
    fake_logits: Tensor | None = None,
    config: ContentLossConfig | None = None,
) -> dict[str, Tensor]:
    """All terms of stage 2.

    clean: what `out.comp` should be (B, 3, H, W) in [0, 1], that is the image without the
    occluder, at least inside the person; outside the hole it should equal the image the network
    got, so that only the hole counts in the composite's terms. amodal (B, 1, H, W). Both
    picture and target are dimmed outside the person before they are compared. hole
    (B, 1, H, W): where the composite is painted; wanted for l1_over="hole".
    fake_logits: the frozen discriminator's answer to `out.comp`.
    """
    config = config or ContentLossConfig()
    target = dim_background(clean.float(), amodal, config.background)
    comp = dim_background(out.comp.float(), amodal, config.background)
    share: Tensor | float = 1.0
    if config.l1_over == "hole" and hole is not None:
        share = hole.float().mean().clamp_min(1 / hole[0].numel())
    l1 = 2 * (_l1(out.recon, target) + config.completed * _l1(comp, target) / share)
    terms = {"l1": config.l1 * l1}
    if features is not None:
        terms |= content_feature_losses(out, clean, amodal, features, config)
    if fake_logits is not None and config.adversarial:
        terms["adversarial"] = config.adversarial * generator_loss(fake_logits)
    return terms


def content_feature_losses(
    out: ContentOutput,
    clean: Tensor,
    amodal: Tensor,
    features: Features,
    config: ContentLossConfig | None = None,
) -> dict[str, Tensor]:
    """The terms of stage 2 that look through VGG: style on all levels, correlation on the second.

    Arguments as in `content_losses`; they are the costly part of a step, so a caller may give
    them a part of the batch only.
    """
    config = config or ContentLossConfig()
    if not (config.style or config.correlation):
        return {}
    target = dim_background(clean.float(), amodal, config.background)
    comp = dim_background(out.comp.float(), amodal, config.background)
    pictures = [(1.0, out.recon.float()), (config.completed, comp)]
    with torch.no_grad():
        wanted = features(target)
    style = correlation = target.new_zeros(())
    for weight, picture in pictures:
        found = features(picture)
        style = style + weight * style_loss(found, wanted)
        pairs = correlation_loss(found[1], wanted[1], config.correlation_size)
        correlation = correlation + weight * pairs
    return {"style": config.style * style, "correlation": config.correlation * correlation}

"""Losses against values worked out by hand or with numpy."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from hdeocc import losses
from hdeocc.content_recovery import ContentOutput
from hdeocc.losses import (
    ContentLossConfig,
    MaskLossConfig,
    content_losses,
    discriminator_loss,
    generator_loss,
    mask_losses,
)
from hdeocc.mask_completion import MaskOutput

SIZE = 16


def pyramid(image: Tensor) -> list[Tensor]:
    """A stand-in for a feature network: three levels of pooled colours and their squares."""
    levels = [F.avg_pool2d(image, 2**i) for i in (1, 2, 3)]
    return [torch.cat([level, level.square()], dim=1) for level in levels]


def flat_output(batch: int = 2, value: float = 0.0) -> MaskOutput:
    def logits(channels: int) -> Tensor:
        return torch.full((batch, channels, SIZE, SIZE), value, requires_grad=True)

    return MaskOutput(logits(2), logits(2), logits(20), logits(20))


def truth(batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    amodal = torch.zeros(batch, 1, SIZE, SIZE)
    amodal[..., 2:14, 4:12] = 1
    modal = amodal.clone()
    modal[..., :7, :] = 0
    return modal, amodal, (amodal[:, 0] * 7).long()


def test_stage_1_at_zero_logits_by_hand() -> None:
    modal, amodal, parsing = truth()
    has = torch.tensor([True, True])
    terms = mask_losses(flat_output(), modal, amodal, parsing, has)
    wanted = {
        "modal_ce": 0.5 * math.log(2),
        "amodal_ce": 0.5 * math.log(2),
        "modal_parsing": 0.1 * math.log(20),
        "amodal_parsing": 0.1 * math.log(20),
        "l1": 0.1 * (0.5 + 0.5),
    }
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(wanted, rel=1e-5)


def test_perceptual_term_by_hand() -> None:
    """Colours 0.5 against 1 and squares 0.25 against 1, on three levels."""
    everywhere = torch.ones(2, 1, SIZE, SIZE)
    terms = mask_losses(flat_output(), everywhere, everywhere, features=pyramid)
    assert terms["perceptual"].item() == pytest.approx(0.1 * 3 * (0.5 + 0.75) / 2)


def test_a_perfect_answer_costs_nothing() -> None:
    modal, amodal, parsing = truth()
    masks = [torch.cat([1 - m, m], dim=1) * 200 - 100 for m in (modal, amodal)]
    hot = F.one_hot(parsing, 20).permute(0, 3, 1, 2) * 200.0
    seen = F.one_hot(parsing * modal[:, 0].long(), 20).permute(0, 3, 1, 2) * 200.0
    terms = mask_losses(
        MaskOutput(*masks, seen, hot),
        modal,
        amodal,
        parsing,
        torch.ones(2).bool(),
        features=pyramid,
    )
    assert max(v.item() for v in terms.values()) < 1e-6


def test_unlabelled_samples_do_not_count_in_the_parsing_terms() -> None:
    modal, amodal, parsing = truth()
    torch.manual_seed(0)
    out = MaskOutput(*(torch.randn(2, c, SIZE, SIZE) for c in (2, 2, 20, 20)))
    alone = MaskOutput(*(t[:1] for t in out if t is not None))
    parsing[1] = 255
    both = mask_losses(out, modal, amodal, parsing, torch.tensor([True, False]))
    one = mask_losses(alone, modal[:1], amodal[:1], parsing[:1], torch.tensor([True]))
    for name in ("modal_parsing", "amodal_parsing"):
        assert torch.allclose(both[name], one[name])


def test_a_batch_without_labels_gives_exactly_zero_and_finite_gradients() -> None:
    modal, amodal, parsing = truth()
    out = flat_output(value=1e4)
    has = torch.tensor([False, False])
    terms = mask_losses(out, modal, amodal, torch.full_like(parsing, 255), has)
    assert terms["modal_parsing"] == 0 and terms["amodal_parsing"] == 0
    torch.stack(list(terms.values())).sum().backward()
    assert out.amodal_parsing is not None and out.amodal_parsing.grad is not None
    assert not out.amodal_parsing.grad.any()
    assert "amodal_parsing" not in mask_losses(flat_output(), modal, amodal)


@pytest.mark.parametrize("soft", [True, False])
def test_l1_and_perceptual_reach_the_logits_only_on_soft_masks(soft: bool) -> None:
    modal, amodal, _ = truth()
    torch.manual_seed(0)
    out = MaskOutput(
        *(torch.randn(2, 2, SIZE, SIZE, requires_grad=True) for _ in range(2)), None, None
    )
    terms = mask_losses(out, modal, amodal, features=pyramid, config=MaskLossConfig(soft=soft))
    for name in ("l1", "perceptual"):
        assert terms[name].requires_grad == soft
    if soft:
        grad = torch.autograd.grad(terms["perceptual"], out.amodal_logits)[0]
        assert grad.abs().sum() > 0


def test_adversarial_values_by_hand() -> None:
    logits = torch.tensor([0.0, 2.0])
    softplus = [math.log(2), math.log1p(math.exp(-2))]
    assert generator_loss(logits).item() == pytest.approx(sum(softplus) / 2)
    fake = torch.tensor([0.0, -2.0])
    assert discriminator_loss(logits, fake).item() == pytest.approx(sum(softplus) / 2)
    reference = F.binary_cross_entropy_with_logits(logits, torch.ones(2))
    assert generator_loss(logits).item() == pytest.approx(reference.item())


def test_a_confident_discriminator_still_gives_the_generator_gradient() -> None:
    logits = torch.full((4,), -30.0, requires_grad=True)
    generator_loss(logits).backward()
    assert logits.grad is not None and torch.allclose(logits.grad, torch.full((4,), -0.25))


def test_gram_and_style_equal_numpy() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2, 3, 4, 5)).astype(np.float32)
    wanted = 0.0
    for x, y in zip(a, b, strict=True):
        grams = []
        for f in (x, y):
            g = np.zeros((3, 3))
            for i in range(3):
                for j in range(3):
                    g[i, j] = (f[i] * f[j]).sum() / (3 * 4 * 5)
            grams.append(g)
        wanted += np.abs(grams[0] - grams[1]).mean() / 2
    got = losses.style_loss([torch.as_tensor(a)] * 2, [torch.as_tensor(b)] * 2)
    assert got.item() == pytest.approx(2 * wanted, rel=1e-5)


def test_correlation_equals_numpy_on_the_subsampled_grid() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 1, 3, 6, 6)).astype(np.float32)

    def pairs(f: np.ndarray) -> np.ndarray:
        places = [f[0, :, y, x] for y in (0, 2, 4) for x in (0, 2, 4)]
        return np.array([[p @ q / 9 for q in places] for p in places])

    wanted = np.abs(pairs(a) - pairs(b)).mean()
    got = losses.correlation_loss(torch.as_tensor(a), torch.as_tensor(b), size=3)
    assert got.item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(("side", "places"), [(64, 32 * 32), (32, 32 * 32), (33, 17 * 17)])
def test_correlation_never_exceeds_its_grid(side: int, places: int) -> None:
    assert losses.position_correlation(torch.zeros(1, 2, side, side), 32).shape[1] == places


def test_stage_2_by_hand() -> None:
    """A target of mid-grey is not changed by dimming, so differences are what they look."""
    _, amodal, _ = truth()
    clean = torch.full((2, 3, SIZE, SIZE), 0.5)
    comp = clean.clone()
    comp[..., 4:8, 4:8] = 0.7
    out = ContentOutput(torch.full_like(clean, 0.6), comp)
    terms = content_losses(out, clean, amodal)
    share = 16 / SIZE**2
    assert set(terms) == {"l1"}
    assert terms["l1"].item() == pytest.approx(2 * (0.2 + 5 * 0.4 * share), rel=1e-4)


def test_stage_2_compares_a_dimmed_background_with_a_dimmed_target() -> None:
    _, amodal, _ = truth()
    clean = torch.rand(2, 3, SIZE, SIZE)
    dimmed = torch.where(amodal.bool(), clean, 0.5 + 0.3 * (clean - 0.5))
    terms = content_losses(ContentOutput(dimmed, clean), clean, amodal, features=pyramid)
    assert max(v.item() for v in terms.values()) < 1e-5
    full = content_losses(
        ContentOutput(clean, clean), clean, amodal, config=ContentLossConfig(background=1.0)
    )
    assert full["l1"] == 0


def test_stage_2_feature_terms_are_the_weighted_sums() -> None:
    torch.manual_seed(0)
    amodal = torch.ones(2, 1, SIZE, SIZE)
    recon, comp, clean = (torch.rand(2, 3, SIZE, SIZE) for _ in range(3))
    terms = content_losses(
        ContentOutput(recon, comp), clean, amodal, features=pyramid, fake_logits=torch.zeros(4)
    )
    f, g, h = pyramid(recon), pyramid(comp), pyramid(clean)
    style = 40 * (losses.style_loss(f, h) + 5 * losses.style_loss(g, h))
    pairs = losses.correlation_loss(f[1], h[1]) + 5 * losses.correlation_loss(g[1], h[1])
    assert torch.allclose(terms["style"], style, rtol=1e-4)
    assert torch.allclose(terms["correlation"], pairs, rtol=1e-4)
    assert terms["adversarial"].item() == pytest.approx(0.1 * math.log(2))


def test_every_term_is_float32_and_differentiable_under_bfloat16() -> None:
    torch.manual_seed(0)
    modal, amodal, parsing = truth()
    convs = torch.nn.ModuleList(torch.nn.Conv2d(i, 4, 3, 2, 1) for i in (3, 4, 4))

    def features(image: Tensor) -> list[Tensor]:
        levels = []
        for conv in convs:
            image = conv(image)
            levels.append(image)
        return levels

    logits = torch.randn(2, 44, SIZE, SIZE, requires_grad=True)
    pictures = torch.rand(2, 6, SIZE, SIZE, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = MaskOutput(*logits.bfloat16().split([2, 2, 20, 20], dim=1))
        has = torch.tensor([True, False])
        terms = mask_losses(
            out, modal, amodal, parsing, has, features=features, fake_logits=logits.bfloat16()
        )
        recovered = ContentOutput(*pictures.bfloat16().split(3, dim=1))
        terms |= {
            f"content_{k}": v
            for k, v in content_losses(
                recovered, torch.rand(2, 3, SIZE, SIZE), amodal, features=features
            ).items()
        }
    assert all(v.dtype == torch.float32 and v.isfinite() for v in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    for leaf in (logits, pictures):
        assert leaf.grad is not None and leaf.grad.isfinite().all() and leaf.grad.any()


def test_zero_weights_leave_their_terms_out() -> None:
    modal, amodal, _ = truth()
    config = MaskLossConfig(perceptual=0, adversarial=0)
    terms = mask_losses(
        flat_output(), modal, amodal, features=pyramid, fake_logits=torch.zeros(1), config=config
    )
    assert "perceptual" not in terms and "adversarial" not in terms


def test_the_l1_of_the_composite_may_be_a_mean_over_the_hole() -> None:
    image = torch.zeros(1, 3, 8, 8)
    hole = torch.zeros(1, 1, 8, 8)
    hole[..., :2, :4] = 1  # 8 of 64 pixels
    painted = image + 0.25 * hole
    out = ContentOutput(painted, painted)
    person = torch.ones(1, 1, 8, 8)

    def l1(over: str) -> float:
        config = ContentLossConfig(l1=1.0, completed=5.0, l1_over=over)  # type: ignore[arg-type]
        return float(content_losses(out, image, person, hole=hole, config=config)["l1"])

    frame = 2 * 0.25 * 8 / 64  # on the scale [-1, 1]
    assert l1("frame") == pytest.approx(6 * frame)
    assert l1("hole") == pytest.approx(frame + 5 * 2 * 0.25)

"""DeepFillv2: attention against a plain loop, each sample's own hole, the losses by hand."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines import deepfill
from baselines.contextual_attention import contextual_attention, open_places
from baselines.deepfill import (
    PRESET_CONFIGS,
    DeepFill,
    DeepFillAmodal,
    DeepFillConfig,
    DeepFillNets,
    GatedConv,
    Generator,
    Painted,
    PatchDiscriminator,
    content_input,
    mean_over,
    wanted_picture,
)
from hdeocc.batch import Batch
from hdeocc.content_recovery import hole_of
from hdeocc.learned import Terms
from hdeocc.method import Preset
from tests.baselines.nets import gradient_norm, parameters
from tests.conformance import ContentConformance, LearnedConformance, part, predict

TINY = DeepFillConfig(cnum=4, discriminator_width=4)


# --- contextual attention -----------------------------------------------------------------------


def window(x: Tensor, row: int, column: int, side: int) -> Tensor:
    """The square (C, side, side) of x (C, h, w) from (row, column) on, zero beyond the border."""
    found = x.new_zeros(len(x), side, side)
    inside = [
        (i, j)
        for i, j in product(range(side), range(side))
        if 0 <= row + i < x.shape[1] and 0 <= column + j < x.shape[2]
    ]
    for i, j in inside:
        found[:, i, j] = x[:, row + i, column + j]
    return found


def fused(scores: dict, order: list) -> dict:
    """Scores by pair of places, plus those of the pairs one step back and one on in ``order``."""
    at = {place: i for i, place in enumerate(order)}
    found = {}
    for one, other in scores:
        found[one, other] = scores[one, other]
        for step in (-1, 1):
            i, j = at[one] + step, at[other] + step
            if 0 <= i < len(order) and 0 <= j < len(order):
                found[one, other] = found[one, other] + scores[order[i], order[j]]
    return found


def slow_attention(x: Tensor, closed: Tensor, scale: float, fuse: bool, cosine: bool) -> Tensor:
    """The definition, pair by pair, for one sample: x (C, h, w), closed (h, w)."""
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    places = list(product(range(rows), range(columns)))
    seen = {p: window(x[:, ::2, ::2], p[0] - 1, p[1] - 1, 3) for p in places}
    scores = {}
    for one, other in product(places, places):
        norm = seen[other].norm() * (seen[one].norm() if cosine else 1)
        scores[one, other] = (seen[one] * seen[other]).sum() / norm
    if fuse:
        scores = fused(scores, places)
        scores = fused(scores, sorted(places, key=lambda p: (p[1], p[0])))
    hidden = closed[::2, ::2]
    usable = {
        (r, c): not hidden[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2].any() for r, c in places
    }
    # A border of 1, which the outermost patches overlap.
    out = x.new_zeros(len(x), x.shape[1] + 2, x.shape[2] + 2)
    for r, c in places:
        powers = {p: (scale * scores[(r, c), p] * usable[p]).exp() for p in places}
        total = torch.stack(list(powers.values())).sum()
        for p in places:
            if usable[p]:
                copied = window(x, 2 * p[0] - 1, 2 * p[1] - 1, 4)
                out[:, 2 * r : 2 * r + 4, 2 * c : 2 * c + 4] += powers[p] / total * copied / 4
    return out[:, 1:-1, 1:-1]


@pytest.mark.parametrize(("fuse", "cosine"), [(True, True), (False, True), (True, False)])
def test_attention_is_its_definition_with_gradients(fuse: bool, cosine: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 2, 6, 8, generator=generator, dtype=torch.float64)
    asked = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    closed = torch.zeros(2, 1, 6, 8, dtype=torch.bool)
    closed[0, 0, :3, :3] = True
    closed[1, 0, 4:, 6:] = True
    fast, slow = x.clone().requires_grad_(), x.clone().requires_grad_()
    found = contextual_attention(fast, closed, scale=3.0, fuse=fuse, cosine=cosine)
    wanted = torch.stack(
        [slow_attention(s, c[0], 3.0, fuse, cosine) for s, c in zip(slow, closed, strict=True)]
    )
    assert found.dtype == torch.float64 and bool((wanted != 0).all())
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-10)
    (found * asked).sum().backward()
    (wanted * asked).sum().backward()
    assert fast.grad is not None and slow.grad is not None
    torch.testing.assert_close(fast.grad, slow.grad, atol=1e-12, rtol=1e-9)


def test_attention_masks_by_each_samples_own_hole() -> None:
    """The ported code masked all samples by the first one's hole."""
    torch.manual_seed(0)
    x = torch.rand(2, 3, 16, 16)
    closed = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    closed[0, :, :8, :6] = True
    closed[1, :, 6:, 8:] = True
    together = contextual_attention(x, closed)
    for i in (0, 1):
        alone = contextual_attention(x[i : i + 1], closed[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone)
        others = contextual_attention(x[i : i + 1], closed[1 - i : 2 - i])
        assert not torch.allclose(alone, others, atol=1e-3)


def test_attention_copies_nothing_out_of_the_hole() -> None:
    closed = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    closed[..., 4:11, 5:12] = True
    copied = contextual_attention(closed.float(), closed)
    assert bool((copied == 0).all())
    assert bool((contextual_attention((~closed).float(), closed) > 0).all())


def test_attention_survives_holes_that_cover_nothing_and_everything() -> None:
    torch.manual_seed(0)
    x = torch.rand(3, 2, 8, 8)
    x[2] = 0  # features that are nothing at all have no direction
    x.requires_grad_()
    closed = torch.zeros(3, 1, 8, 8, dtype=torch.bool)
    closed[1] = True
    found = contextual_attention(x, closed)
    assert bool(torch.isfinite(found).all())
    assert bool((found[0] > 0).all()) and bool((found[1:] == 0).all())
    found.square().sum().backward()
    assert x.grad is not None and bool(torch.isfinite(x.grad).all())


def test_a_place_is_open_when_its_neighbours_are() -> None:
    closed = torch.zeros(1, 1, 4, 5, dtype=torch.bool)
    closed[..., 0, 0] = True
    opened = open_places(closed).view(4, 5)
    assert opened.tolist() == [[r > 1 or c > 1 for c in range(5)] for r in range(4)]


def test_attention_needs_even_sizes_and_works_in_float32() -> None:
    with pytest.raises(ValueError, match="5x4"):
        contextual_attention(torch.zeros(1, 1, 5, 4), torch.zeros(1, 1, 5, 4, dtype=torch.bool))
    torch.manual_seed(0)
    x, closed = torch.rand(1, 2, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(contextual_attention(x, closed), contextual_attention(x, closed).float())
        half = contextual_attention(x.bfloat16(), closed)
    assert half.dtype == torch.float32
    assert torch.equal(half, contextual_attention(x.bfloat16().float(), closed))


# --- networks -----------------------------------------------------------------------------------


def gated(*layers: tuple[int, int, int]) -> int:
    """Weights and biases of gated convolutions (inputs, outputs, kernel)."""
    return sum(2 * o * (i * k * k + 1) for i, o, k in layers)


def decoder(inputs: int) -> int:
    widths = ((inputs, 96), (96, 96), (96, 48), (48, 48), (48, 24), (24, 12))
    return gated(*((i, o, 3) for i, o in widths)) + 3 * (12 * 9 + 1)


def encoder(inputs: int, *widths: int) -> int:
    pairs = zip(widths, widths[1:], strict=False)
    return gated((inputs, widths[0], 5), *((i, o, 3) for i, o in pairs))


def test_the_full_networks_have_the_originals_size() -> None:
    """4.1 M in the paper; the sum over the layers of its figure."""
    dilated, two = gated(*[(96, 96, 3)] * 4), gated(*[(96, 96, 3)] * 2)
    coarse = encoder(5, 24, 48, 48, 96, 96, 96) + dilated + decoder(96)
    refine = encoder(3, 24, 24, 48, 48, 96, 96) + dilated
    refine += encoder(3, 24, 24, 48, 96, 96, 96) + two + decoder(192)
    with torch.device("meta"):
        plain, amodal = DeepFill("full").nets, DeepFillAmodal("full").nets
    assert parameters(plain.generator) == coarse + refine == 4_052_478
    assert parameters(amodal.generator) == coarse + refine + 2 * 24 * 25 == 4_053_678
    widths = (4, 64, 128, 256, 256, 256, 256)
    judge = sum(o * (25 * i + 1) for i, o in zip(widths, widths[1:], strict=False))
    assert parameters(plain.discriminator) == parameters(amodal.discriminator) == judge == 5_946_816


def test_a_gated_convolution_multiplies_values_and_gates() -> None:
    layer = GatedConv(1, 1, 1)
    with torch.no_grad():
        layer.conv.weight.copy_(torch.tensor([2.0, 3.0]).view(2, 1, 1, 1))
        nn.init.zeros_(layer.conv.bias)  # type: ignore[arg-type]
    x = torch.tensor([-1.0, 0.5]).view(2, 1, 1, 1)
    values, gates = torch.tensor([np.exp(-2) - 1, 1.0]), torch.tensor([-3.0, 1.5]).sigmoid()
    torch.testing.assert_close(layer(x).flatten(), (values * gates).float())


def test_the_signal_reaches_the_end_of_the_first_network(batch: Batch) -> None:
    """From Glorot's start, at which each gate halves it, nothing does."""
    given = content_input(batch, False)
    for gain, low, high in ((2.5, 1e-2, 1.0), (None, 0.0, 1e-5)):
        torch.manual_seed(0)
        with torch.no_grad():
            coarse = Generator(replace(TINY, cnum=12, gain=gain))(given).coarse
        assert low < float(coarse.std()) < high


@pytest.mark.parametrize("size", [(64, 64), (40, 72), (37, 50), (8, 6)])
def test_the_generator_keeps_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    given = torch.rand(1, 5, *size).round()
    for picture in Generator(TINY)(given):
        assert picture.shape == (1, 3, *size)
        assert float(picture.detach().abs().max()) <= 1 and bool(torch.isfinite(picture).all())


def test_attention_gets_the_hole_at_a_quarter_and_never_the_padding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Tensor] = []

    def kept(features: Tensor, closed: Tensor, *, cosine: bool) -> Tensor:
        seen.append(closed)
        return contextual_attention(features, closed, cosine=cosine)

    monkeypatch.setattr(deepfill, "contextual_attention", kept)
    given = torch.zeros(2, 5, 28, 20)
    given[:, 3] = 1
    given[1, 4, 9:14, 4:8] = 1  # of every fourth row only the twelfth
    Generator(TINY)(given)
    wanted = torch.zeros(2, 1, 8, 6, dtype=torch.bool)
    wanted[:, :, 7:] = wanted[:, :, :, 5:] = True
    wanted[1, :, 3, 1] = True
    assert len(seen) == 1 and torch.equal(seen[0], wanted)


def test_the_second_network_sees_the_first_ones_hole_and_the_photo(batch: Batch) -> None:
    network, seen = Generator(TINY), []
    network.refine.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    given = content_input(batch, False)
    out: Painted = network(given)
    hole = hole_of(batch.modal, batch.amodal)
    assert torch.equal(seen[0], torch.where(hole, out.coarse, given[:, :3]))


def test_the_discriminator_judges_every_number_of_a_small_map() -> None:
    torch.manual_seed(0)
    network = PatchDiscriminator(8)
    picture, hole = torch.rand(2, 3, 256, 250), torch.zeros(2, 1, 256, 250, dtype=torch.bool)
    for _ in range(30):  # power iterations
        judged = network(picture, hole)
    assert judged.shape == (2, 32, 4, 4)
    assert not torch.equal(judged, network(picture, ~hole))
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    norms = [torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2) for m in layers]
    assert len(norms) == 6 and [float(n) for n in norms] == pytest.approx([1] * 6, rel=0.05)


@pytest.mark.parametrize(("halvings", "channels"), [(2, 16), (3, 32), (4, 32)])
def test_the_discriminators_map_by_halvings(halvings: int, channels: int) -> None:
    judged = PatchDiscriminator(8, halvings)(torch.rand(1, 3, 33, 32), torch.zeros(1, 1, 33, 32))
    side = 33 / 2**halvings
    assert judged.shape == (1, channels, int(np.ceil(side)), 32 // 2**halvings)


def test_channels_split_in_four() -> None:
    with pytest.raises(ValueError, match="cnum 6"):
        DeepFillConfig(cnum=6)


# --- losses -------------------------------------------------------------------------------------


class Says(nn.Module):
    """A generator that always gives two pictures."""

    def __init__(self, coarse: Tensor, fine: Tensor) -> None:
        super().__init__()
        self.out = Painted(coarse, fine)

    def forward(self, given: Tensor) -> Painted:
        return self.out


class MeanColour(nn.Module):
    """A discriminator whose one logit is ten times the picture's mean."""

    def forward(self, picture: Tensor, hole: Tensor) -> Tensor:
        return 10 * picture.mean(dim=(1, 2, 3)).view(-1, 1, 1, 1)


def saying(coarse: Tensor, fine: Tensor, config: DeepFillConfig = TINY) -> DeepFillNets:
    nets = DeepFillNets(config)
    nets.generator = Says(coarse, fine)  # type: ignore[assignment]
    nets.discriminator = MeanColour()  # type: ignore[assignment]
    return nets


def values(terms: Terms) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


@pytest.mark.parametrize("preset", ["quick", "small"])
def test_no_tap_of_a_preset_sees_nothing_but_padding(preset: Preset) -> None:
    side: int = {"quick": 64, "small": 128}[preset]
    torch.manual_seed(0)
    nets = DeepFillNets(replace(PRESET_CONFIGS[preset], cnum=4, discriminator_width=4))
    given = torch.rand(2, 5, side, side)
    made = nets.generator(given)
    made.fine.square().sum().backward()
    for layer in nets.generator.coarse:
        if isinstance(layer, GatedConv):
            grad = layer.conv.weight.grad
            assert grad is not None
            taps = grad.abs().sum(dim=(0, 1))
            assert float(taps.min()) > 0.1 * float(taps.max())
    judged = nets.discriminator(given[:, :3], given[:, 4:] > 0.5)
    assert judged.shape[-2:] == (4, 4), "a judge of patches"


def test_l1_is_of_both_outputs_and_over_the_frame_or_the_hole(batch: Batch) -> None:
    hole = hole_of(batch.modal, batch.amodal)
    wanted = wanted_picture(batch, hole)
    assert torch.equal(wanted, torch.where(hole, batch.clean, batch.image) * 2 - 1)
    inside, outside = torch.where(hole, wanted + 0.25, wanted), torch.where(hole, wanted, -wanted)
    terms = values(saying(wanted + 0.5, inside, replace(TINY, l1=3.0)).generator_step(batch)[0])
    assert terms["coarse"] == pytest.approx(1.5, rel=1e-5)
    assert terms["fine"] == pytest.approx(0.75 * float(hole.float().mean()), rel=1e-4)
    there = replace(TINY, l1=3.0, l1_over="hole")
    terms = values(saying(outside, inside, there).generator_step(batch)[0])
    assert terms["coarse"] == 0 and terms["fine"] == pytest.approx(0.75, rel=1e-5)


def test_the_adversarial_loss_is_the_hinge(batch: Batch) -> None:
    hole = hole_of(batch.modal, batch.amodal)
    fine = torch.full_like(batch.image, -0.3)
    nets = saying(fine, fine, replace(TINY, adversarial=2.0))
    terms, made = nets.generator_step(batch)
    real = 10 * wanted_picture(batch, hole).mean(dim=(1, 2, 3))
    fake = 10 * torch.where(hole, fine, batch.image * 2 - 1).mean(dim=(1, 2, 3))
    assert values(terms)["adversarial"] == pytest.approx(float(-2 * fake.mean()), rel=1e-5)
    more = values(nets.discriminator_step(batch, made))
    assert bool((real < 1).any()) and bool((fake > -1).any())
    assert more["discriminator_real"] == pytest.approx(
        float((1 - real).clamp(min=0).mean()) / 2, rel=1e-5
    )
    assert more["discriminator_made"] == pytest.approx(
        float((1 + fake).clamp(min=0).mean()) / 2, rel=1e-5
    )


@pytest.mark.parametrize("l1_over", ["frame", "hole"])
def test_samples_without_truth_weigh_nothing(batch: Batch, l1_over: str) -> None:
    torch.manual_seed(0)
    nets = DeepFillNets(replace(TINY, l1_over=l1_over)).eval()
    clean = batch.clean.clone()
    clean[2:] = float("nan")
    some = batch.replace(clean=clean, has_clean=torch.tensor([True, True, False, False]))
    found, wanted = [], []
    for target, given in ((found, some), (wanted, part(batch, 0, 2))):
        terms, made = nets.generator_step(given)
        target.append(values(terms | nets.discriminator_step(given, made)))
    assert found[0] == pytest.approx(wanted[0], rel=1e-4)
    torch.stack(list(nets.generator_step(some)[0].values())).sum().backward()
    assert np.isfinite(gradient_norm(nets.generator))
    nobody = batch.replace(has_clean=torch.zeros(4, dtype=torch.bool))
    terms, made = nets.generator_step(nobody)
    terms |= nets.discriminator_step(nobody, {k: v.detach() for k, v in made.items()})
    assert set(values(terms).values()) == {0.0}
    nets.zero_grad()
    torch.stack(list(terms.values())).sum().backward()
    assert gradient_norm(nets) == 0


def test_a_weighted_mean_ignores_what_weighs_nothing() -> None:
    numbers = torch.tensor([[1.0, 3.0], [7.0, 5.0]])
    assert float(mean_over(numbers, torch.tensor([[1.0], [0.0]]))) == 2
    assert float(mean_over(numbers, torch.tensor([[3.0, 1.0], [0.0, 0.0]]))) == 1.5
    assert float(mean_over(numbers, torch.zeros(2, 1))) == 0


def test_the_first_output_learns_from_its_own_term_and_through_the_second(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = DeepFillNets(TINY)
    for name in ("coarse", "fine"):
        nets.zero_grad()
        nets.generator_step(batch)[0][name].backward()
        assert gradient_norm(nets.generator.coarse) > 0
        assert (gradient_norm(nets.generator.refine) > 0) == (name == "fine")


# --- inputs and outputs -------------------------------------------------------------------------


def test_the_input_is_erased_image_ones_and_hole(batch: Batch) -> None:
    given, more = content_input(batch, False), content_input(batch, True)
    hole = hole_of(batch.modal, batch.amodal)
    assert given.shape == (4, 5, 64, 64) and more.shape == (4, 6, 64, 64)
    assert torch.equal(given[:, :3], torch.where(hole, 0.0, batch.image * 2 - 1))
    assert bool((given[:, 3] == 1).all()) and torch.equal(given[:, 4:5] == 1, hole)
    assert torch.equal(more[:, :5], given) and torch.equal(more[:, 5:] == 1, batch.amodal >= 0.5)


def test_only_one_row_knows_the_person_outside_of_the_hole(batch: Batch) -> None:
    """A person who is larger by what is seen anyway has the same hole."""
    torch.manual_seed(0)
    larger = batch.amodal.clone()
    larger[..., :8] = 1
    seen = torch.where(larger > batch.amodal, 1.0, batch.modal)
    other = batch.replace(amodal=larger, modal=seen)
    assert torch.equal(hole_of(seen, larger), hole_of(batch.modal, batch.amodal))
    plain, amodal = DeepFill("quick"), DeepFillAmodal("quick")
    assert torch.equal(predict(plain, batch), predict(plain, other))
    assert not torch.equal(predict(amodal, batch), predict(amodal, other))


@pytest.mark.parametrize("method", [DeepFill, DeepFillAmodal])
def test_only_the_hole_is_painted_and_shown_to_the_adversary(
    method: type[DeepFill], batch: Batch
) -> None:
    torch.manual_seed(0)
    made = method("quick")
    hole = hole_of(batch.modal, batch.amodal).expand_as(batch.image)
    prediction = predict(made, batch)
    assert torch.equal(prediction[~hole], batch.image[~hole])
    assert not torch.equal(prediction[hole], batch.image[hole])
    shown = made.nets.generator_step(batch)[1]["made"]
    assert torch.equal(shown[~hole], (batch.image * 2 - 1)[~hole])
    assert torch.allclose((shown[hole] + 1) / 2, prediction[hole], atol=1e-5)


def test_the_optimiser_is_the_originals() -> None:
    assert DeepFill.generator_betas == DeepFill.discriminator_betas == (0.5, 0.999)
    assert DeepFill.weight_decay == 0 and DeepFill.discriminator_lr == 1
    assert DeepFill.presets["full"] == DeepFillConfig()
    assert DeepFillAmodal.presets["full"] == DeepFillConfig(amodal=True)


class TestDeepFill(LearnedConformance, ContentConformance):
    method = DeepFill
    takes_float64 = False
    learn_steps = 40


class TestDeepFillAmodal(LearnedConformance, ContentConformance):
    method = DeepFillAmodal
    takes_float64 = False
    learn_steps = 40

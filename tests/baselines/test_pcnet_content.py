"""PCNet-C: sizes, each loss term, the window-size trap, and what is known in the hole."""

import logging
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import metrics.features
from baselines import pcnet_content
from baselines.pcnet_content import (
    PRESET_CONFIGS,
    Discriminator,
    PartialUNet,
    PCNetCConfig,
    PCNetCNets,
    PCNetContent,
    PCNetContentAmodal,
    feature_losses,
    network_input,
    normalised,
    pixel_losses,
    plain,
)
from hdeocc.batch import Batch
from hdeocc.content_recovery import hole_of
from hdeocc.method import Budget, FitData
from hdeocc.partial_conv import known_where
from metrics.errors import MetricsError
from tests.baselines.nets import Says, parameters
from tests.conformance import ContentConformance, LearnedConformance

TINY = PCNetCConfig(8, 4, 4, feature=0.0, style=0.0)
ROWS = [PCNetContent, PCNetContentAmodal]


class TestPCNetContent(LearnedConformance, ContentConformance):
    method = PCNetContent
    learn_steps = 40


class TestPCNetContentAmodal(LearnedConformance, ContentConformance):
    method = PCNetContentAmodal
    learn_steps = 40


def pyramid(image: Tensor) -> list[Tensor]:
    """A stand-in for VGG: three levels of pooled colours."""
    return [F.avg_pool2d(image, 2**i) for i in (1, 2, 3)]


def step(nets: PCNetCNets, batch: Batch) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in nets.generator_step(batch)[0].items()}


# --- the networks -----------------------------------------------------------------------------


@pytest.mark.parametrize(("row", "channels"), [(PCNetContent, 4), (PCNetContentAmodal, 5)])
def test_the_full_networks_have_the_originals_size(row: type[PCNetContent], channels: int) -> None:
    """25.8 M: kernels, a scale and a shift for each norm, and the last convolution's bias."""
    widths = [64, 128, 256, 512, 512, 512, 512]
    down = zip([channels, *widths], widths, [7, 5, 5, 3, 3, 3, 3], strict=False)
    encoder = sum(k * k * i * o for i, o, k in down) + 2 * sum(widths[1:])
    up = zip(widths[:0:-1], widths[-2::-1], strict=True)
    decoder = sum(9 * (below + skip) * skip + 2 * skip for below, skip in up)
    last = 9 * (64 + channels) * 3 + 3
    judge = 16 * (4 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 1)
    with torch.device("meta"):
        method = row("full")
    assert method.parameters_used() == encoder + decoder + last
    assert method.parameters_used() == {4: 25_782_959, 5: 25_786_122}[channels]
    assert method.nets.discriminator is not None
    assert parameters(method.nets.discriminator) == judge == 2_764_800


def test_the_defaults_are_the_originals() -> None:
    full = PRESET_CONFIGS["full"]
    assert full == PCNetCConfig(64, 64, 7, True, 1.0, 6.0, 0.1, 0.1, 250.0, 0.1, 1.0)
    for row in ROWS:
        assert (row.discriminator_lr, row.discriminator_betas) == (0.1, (0.0, 0.9))
        assert (row.generator_betas, row.weight_decay) == ((0.9, 0.999), 0.0)


@pytest.mark.parametrize("levels", [1, 8])
def test_levels_that_do_not_exist_are_refused(levels: int) -> None:
    with pytest.raises(ValueError, match="levels"):
        PCNetCConfig(levels=levels)


@pytest.mark.parametrize("size", [(64, 64), (40, 72), (37, 50)])
def test_any_size_is_painted(size: tuple[int, int]) -> None:
    network = PartialUNet(4, TINY).eval()
    with torch.inference_mode():
        picture = network(known_where(torch.rand(2, 4, *size), None))
    assert picture.shape == (2, 3, *size) and bool(picture.isfinite().all())


def by_definition(network: PartialUNet, x: Tensor, mask: Tensor) -> Tensor:
    """The U-Net by NVIDIA's definition of a partial convolution, with a mask for each channel."""

    def conv(layer: Any, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        weight, stride = layer.conv.weight, layer.conv.stride
        pad = weight.shape[-1] // 2
        known = F.conv2d(mask, torch.ones_like(weight), stride=stride, padding=pad)
        values = F.conv2d(x * mask, weight, stride=stride, padding=pad)
        values = values * weight[0].numel() / known.clamp_min(1)
        if layer.bias is not None:
            values = values + layer.bias.view(1, -1, 1, 1)
        return values * known.clamp_max(1), known.clamp_max(1)

    def level(layer: Any, slope: float, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        values, mask = conv(layer.conv, x, mask)
        return F.leaky_relu(layer.norm(values), slope), mask

    def up(small: Tensor, skip: Tensor) -> Tensor:
        return torch.cat([small.repeat_interleave(2, 2).repeat_interleave(2, 3), skip], dim=1)

    skips = [(x, mask)]
    for encode in network.encoder:
        skips.append(level(encode, 0.0, *skips[-1]))
    x, mask = skips.pop()
    for decode in network.decoder:
        skip, known = skips.pop()
        x, mask = level(decode, 0.2, up(x, skip), up(mask, known))
    skip, known = skips.pop()
    return conv(network.last, up(x, skip), up(mask, known))[0]


@pytest.mark.parametrize("sees_amodal", [False, True])
def test_the_network_equals_its_definition_around_a_large_hole(sees_amodal: bool) -> None:
    """Only a strip is known, so that the hole stays open for some levels."""
    torch.manual_seed(0)
    network = PartialUNet(5 if sees_amodal else 4, TINY).eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.bias)  # or the unknown would be 0 behind it anyway
    assert network.last.bias is not None
    nn.init.normal_(network.last.bias)
    hole = torch.ones(2, 1, 64, 64, dtype=torch.bool)
    hole[0, :, :4], hole[1, :, :, :9] = False, False
    image, modal, amodal = (
        torch.rand(2, 3, 64, 64),
        torch.rand(2, 1, 64, 64),
        torch.ones(2, 1, 64, 64),
    )
    given = network_input(image, modal, hole, amodal if sees_amodal else None)
    mask = (~hole).float().expand(-1, 4, -1, -1)
    mask = torch.cat([mask, amodal], dim=1) if sees_amodal else mask
    with torch.inference_mode():
        found, wanted = network(given), by_definition(network, given.values, mask)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert float(wanted.std()) > 0.1


def test_the_discriminator_halves_three_times_and_has_no_sigmoid() -> None:
    torch.manual_seed(0)
    judge = Discriminator(4).eval()
    with torch.no_grad():
        logits = judge(torch.randn(1, 3, 64, 64) * 100, torch.ones(1, 1, 64, 64))
    assert logits.shape == (1, 1, 6, 6)
    assert float(logits.abs().max()) > 1
    kernels = [m for m in judge.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.out_channels, m.kernel_size, m.stride[0]) for m in kernels] == [
        (4, (4, 4), 2), (8, (4, 4), 2), (16, (4, 4), 2), (32, (4, 4), 1), (1, (4, 4), 1)
    ]  # fmt: skip
    for kernel in kernels:
        norm = torch.linalg.matrix_norm(kernel.weight.detach().flatten(1), 2)
        assert float(norm) == pytest.approx(1, abs=0.35), "spectral norm"


# --- trap: the window's size ------------------------------------------------------------------


def painters(batch: Batch) -> tuple[PCNetCNets, PCNetCNets]:
    """The same weights with and without the window's size."""
    pair = []
    for fixed in (True, False):
        torch.manual_seed(0)
        pair.append(PCNetCNets(replace(TINY, window_normalisation=fixed), False).train())
    return pair[0], pair[1]


def test_without_the_window_s_size_the_last_layer_shrinks(batch: Batch) -> None:
    """By 3 * 3 * (8 + 4) at dec1 alone, where no norm undoes it; more through the whole network."""
    assert PCNetCConfig().window_normalisation
    fixed, released = painters(batch)
    torch.manual_seed(1)
    known = known_where(torch.randn(1, 12, 16, 16), (torch.rand(1, 1, 16, 16) < 0.5).float())
    assert isinstance(fixed.generator, PartialUNet) and isinstance(released.generator, PartialUNet)
    with torch.no_grad():
        ours, theirs = fixed.generator.last(known)[0], released.generator.last(known)[0]
        torch.testing.assert_close(ours, 108 * theirs, rtol=1e-4, atol=1e-5)
        pictures = [float(nets.paint(batch).std()) for nets in (fixed, released)]
    assert pictures[0] > 0.05
    assert pictures[1] < pictures[0] / 50


# --- trap: what is known in the hole ----------------------------------------------------------


def test_image_and_visible_mask_are_unknown_in_the_hole_and_the_amodal_mask_is_not(
    batch: Batch,
) -> None:
    hole = hole_of(batch.modal, batch.amodal)
    four = network_input(batch.image, batch.modal, hole, None)
    five = network_input(batch.image, batch.modal, hole, batch.amodal)
    assert four.values.shape == (4, 4, 64, 64) and five.values.shape == (4, 5, 64, 64)
    assert torch.equal(four.counts(), torch.where(hole, 0.0, 4.0))
    assert torch.equal(five.counts(), torch.where(hole, 1.0, 5.0))
    assert torch.equal(five.values[:, 4:], batch.amodal)
    assert torch.equal(five.values[:, 3:4], batch.modal)
    inside = hole.expand(-1, 4, -1, -1)
    assert bool((five.values[:, :4][inside] == 0).all()) and torch.equal(
        four.values, five.values[:, :4]
    )
    photo = torch.where(hole, 0.0, normalised(batch.image))
    assert torch.equal(four.values[:, :3], photo)


def test_the_amodal_mask_is_seen_inside_the_hole(batch: Batch) -> None:
    """With the hole as it is, another amodal mask in it changes what the fifth channel paints."""
    hole = hole_of(batch.modal, batch.amodal)
    other = torch.where(hole, 1 - batch.amodal, batch.amodal)
    torch.manual_seed(0)
    network = PartialUNet(5, TINY).eval()
    with torch.inference_mode():
        pictures = [
            network(network_input(batch.image, batch.modal, hole, a)) for a in (batch.amodal, other)
        ]
    assert float((pictures[0] - pictures[1]).abs().max()) > 1e-3


@pytest.mark.parametrize("sees_amodal", [True, False])
def test_the_hole_s_pixels_are_not_read_even_where_they_are_no_numbers(
    sees_amodal: bool, batch: Batch
) -> None:
    torch.manual_seed(0)
    nets = PCNetCNets(TINY, sees_amodal).eval()
    hole = hole_of(batch.modal, batch.amodal)
    gone = batch.replace(image=torch.where(hole, torch.nan, batch.image))
    with torch.inference_mode():
        assert torch.equal(nets.paint(batch), nets.paint(gone))


def test_the_plain_row_knows_the_amodal_mask_only_as_the_hole(batch: Batch) -> None:
    """An amodal mask that makes the same hole paints the same picture; a fifth channel does not."""
    same_hole = batch.amodal * (1 - batch.modal)
    for sees_amodal in (False, True):
        torch.manual_seed(0)
        nets = PCNetCNets(TINY, sees_amodal).eval()
        with torch.inference_mode():
            pictures = [nets.paint(b) for b in (batch, batch.replace(amodal=same_hole))]
        assert torch.equal(*pictures) != sees_amodal


# --- the loss ---------------------------------------------------------------------------------


def test_pixels_are_normalised_as_for_imagenet() -> None:
    image = torch.tensor([0.485, 0.456, 0.406 + 0.225]).view(1, 3, 1, 1)
    torch.testing.assert_close(normalised(image).flatten(), torch.tensor([0.0, 0.0, 1.0]))
    picture = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(normalised(plain(picture)), picture)


def test_pixel_terms_by_hand() -> None:
    """4 x 4 pixels, a hole of 2 x 2 in a corner; the target is 0, the painted 1 and outside 3."""
    hole = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    hole[..., :2, :2] = True
    target, recon = torch.zeros(1, 3, 4, 4), torch.where(hole, 1.0, 3.0).expand(1, 3, 4, 4)
    terms = pixel_losses(recon, target, hole, torch.ones(1), PCNetCConfig())
    assert float(terms["valid"]) == pytest.approx(3 * 12 / 16)
    assert float(terms["hole"]) == pytest.approx(6 * 4 / 16), "a mean over the frame"
    # The composite is 1 in the hole and 0 outside: two edges of the 12 across, two along.
    assert float(terms["tv"]) == pytest.approx(0.1 * (2 / 12 + 2 / 12))
    own = pixel_losses(recon, target, hole, torch.ones(1), PCNetCConfig(l1_over="own"))
    assert (float(own["valid"]), float(own["hole"])) == pytest.approx((3, 6)), "over its own pixels"
    none = pixel_losses(recon, target, hole & False, torch.ones(1), PCNetCConfig(l1_over="own"))
    assert float(none["hole"]) == 0, "nothing hidden weighs nothing"


def test_feature_terms_by_hand() -> None:
    """One level of constant maps: painted 0.5 and composite 0.5 in a half, target 0."""
    hole = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    hole[..., :1] = True
    recon, target = torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, 3, 2, 2)

    def features(image: Tensor) -> list[Tensor]:
        return [normalised(image)[:, :2]]

    terms = feature_losses(recon, target, hole, torch.ones(1), features, PCNetCConfig())
    assert float(terms["feature"]) == pytest.approx(0.1 * (0.5 + 0.25), rel=1e-5)
    # All products of two channels are 0.25 at each painted pixel, over C * h * w = 8.
    assert float(terms["style"]) == pytest.approx(250 * (4 * 0.25 / 8 + 2 * 0.25 / 8), rel=1e-5)


def test_all_terms_of_a_step_and_their_weights(batch: Batch) -> None:
    """A weight of nothing leaves a term 0."""
    torch.manual_seed(0)
    full = replace(TINY, feature=0.1, style=250.0)
    nets = PCNetCNets(full, False)
    nets.features = pyramid
    found = step(nets, batch)
    assert set(found) == {"valid", "hole", "tv", "feature", "style", "adversarial"}
    assert all(value > 0 for value in found.values())
    for name in found:
        nothing: dict[str, Any] = {name: 0.0}
        nets.config = replace(full, **nothing)
        assert step(nets, batch)[name] == 0


def test_the_truth_is_the_clean_picture_in_the_hole_and_the_photo_elsewhere(batch: Batch) -> None:
    hole = hole_of(batch.modal, batch.amodal)
    nets = PCNetCNets(replace(TINY, feature=0.1, style=250.0), False)
    nets.features = pyramid
    nets.generator = Says(normalised(torch.where(hole, batch.clean, batch.image)))
    found = step(nets, batch)
    assert [found[name] for name in ("valid", "hole", "feature", "style")] == [0] * 4
    nets.generator = Says(normalised(batch.clean))
    assert step(nets, batch)["valid"] > 0, "the occluder stays"


def test_features_look_at_a_share_of_the_batch(batch: Batch) -> None:
    nets, seen = PCNetCNets(replace(TINY, feature=0.1, vgg_share=0.5), False), []

    def features(image: Tensor) -> list[Tensor]:
        seen.append(image)
        return pyramid(image)

    nets.features = features
    nets.generator_step(batch)
    hole = hole_of(batch.modal, batch.amodal)
    assert [len(image) for image in seen] == [2, 2, 2], "target, picture, composite"
    truth = torch.where(hole, batch.clean, batch.image)
    torch.testing.assert_close(seen[0], truth[:2])
    nets.eval()  # so that the two samples are painted the same alone
    first = Batch(batch.ids[:2], {k: v[:2] for k, v in batch.fields.items()})
    term = step(nets, batch)["feature"]
    nets.config = replace(nets.config, vgg_share=1.0)
    assert term == pytest.approx(step(nets, first)["feature"], rel=1e-4)


def test_samples_without_truth_weigh_exactly_nothing(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = PCNetCNets(replace(TINY, feature=0.1, style=250.0), False).eval()
    nets.features = pyramid
    known = torch.tensor([True, False, True, False])
    some = batch.replace(has_clean=known)
    few = Batch(batch.ids[::2], {k: v[::2] for k, v in batch.fields.items()})
    assert step(nets, some) == pytest.approx(step(nets, few), rel=1e-4)
    nobody = batch.replace(has_clean=torch.zeros(4, dtype=torch.bool))
    terms, made = nets.generator_step(nobody)
    terms = terms | nets.discriminator_step(nobody, {k: v.detach() for k, v in made.items()})
    assert all(float(term.detach()) == 0 for term in terms.values())


# --- the adversary ----------------------------------------------------------------------------


class Judge(nn.Module):
    """A discriminator of one answer, which remembers what it was shown."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))
        self.shown: list[tuple[Tensor, Tensor]] = []

    def forward(self, picture: Tensor, modal: Tensor) -> Tensor:
        self.shown.append((picture, modal))
        return self.logit.expand(len(picture), 1, 2, 2)


def test_the_adversarial_terms_by_hand(batch: Batch) -> None:
    """Non-saturating for the generator, half and half for the discriminator."""
    both = PCNetCNets(TINY, False)
    both.discriminator = Judge(1.5)
    terms, made = both.generator_step(batch)
    assert float(terms["adversarial"].detach()) == pytest.approx(0.1 * math.log1p(math.exp(-1.5)))
    more = both.discriminator_step(batch, made)
    wanted = 0.5 * (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(1.5)))
    assert float(more["discriminator"].detach()) == pytest.approx(wanted)


def test_the_adversary_is_shown_the_network_s_whole_picture(batch: Batch) -> None:
    """As in the original: not the composite; the truth stands against it."""
    hole = hole_of(batch.modal, batch.amodal)
    both, judge = PCNetCNets(TINY, False), Judge(0.0)
    both.discriminator = judge
    _, made = both.generator_step(batch)
    both.discriminator_step(batch, {k: v.detach() for k, v in made.items()})
    (first, _), (real, _), (fake, _) = judge.shown
    assert torch.equal(first, fake) and torch.equal(fake, made["recon"])
    truth = normalised(torch.where(hole, batch.clean, batch.image))
    assert torch.equal(real, truth)
    assert not torch.equal(fake.masked_fill(hole, 0), truth.masked_fill(hole, 0))
    assert all(torch.equal(modal, batch.modal) for _, modal in judge.shown)


def test_without_its_weight_there_is_no_adversary(batch: Batch) -> None:
    nets = PCNetCNets(replace(TINY, adversarial=0.0), False)
    assert nets.discriminator is None
    assert set(step(nets, batch)) == {"valid", "hole", "tv"}


# --- VGG --------------------------------------------------------------------------------------


def prepared(row: type[PCNetContent], config: PCNetCConfig | None) -> PCNetContent:
    method = row("quick", config)
    method.prepare(FitData([], []), Budget(4))
    return method


def test_quick_asks_for_no_feature_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcnet_content, "vgg_features", lambda: pyramid)
    assert all(prepared(row, None).nets.features is None for row in ROWS)
    for one in (replace(TINY, style=1.0), replace(TINY, feature=1.0)):
        assert prepared(PCNetContent, one).nets.features is pyramid


def test_without_weights_it_learns_without_the_terms_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, batch: Batch
) -> None:
    def missing() -> None:
        raise MetricsError("no weights here")

    monkeypatch.setattr(metrics.features, "vgg16_features", missing)
    with caplog.at_level(logging.WARNING):
        method = prepared(PCNetContent, replace(TINY, feature=0.1, style=250.0))
    assert "no weights here" in caplog.text
    assert set(step(method.nets, batch)) == {"valid", "hole", "tv", "adversarial"}


# --- prediction -------------------------------------------------------------------------------


@pytest.mark.parametrize("row", ROWS)
def test_content_outside_the_hole_is_the_photo(row: type[PCNetContent], batch: Batch) -> None:
    torch.manual_seed(0)
    hole = hole_of(batch.modal, batch.amodal).expand_as(batch.image)
    method = row("quick")
    prediction = method.predict(batch)
    assert torch.equal(prediction[~hole], batch.image[~hole])
    assert not torch.equal(prediction[hole], batch.image[hole])
    method.nets.generator = Says(normalised(batch.clean))
    torch.testing.assert_close(method.predict(batch)[hole], batch.clean[hole])

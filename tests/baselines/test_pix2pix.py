"""Pix2Pix: the original's sizes, its losses, and that nothing leaks."""

import math

import pytest
import torch
from torch import nn

from baselines.pix2pix import (
    PatchGAN,
    Pix2PixConfig,
    Pix2PixContent,
    Pix2PixContentNets,
    Pix2PixMask,
    Pix2PixMaskNets,
    UNet,
    adversarial_loss,
    content_input,
    mask_input,
)
from hdeocc.batch import Batch
from tests.baselines.nets import Says, parameters

TINY = Pix2PixConfig(levels=5, generator_width=4, discriminator_width=4)


def test_the_full_networks_have_the_originals_size() -> None:
    with torch.device("meta"):
        assert parameters(UNet(3, 3, 8, 64)) == 54_413_955
        assert parameters(PatchGAN(6, 64)) == 2_768_705
        assert parameters(Pix2PixMask("full").nets.generator) == 54_410_881
        assert parameters(Pix2PixContent("full").nets.generator) == 54_416_003


def test_the_full_generator_drops_out_on_three_inner_levels() -> None:
    with torch.device("meta"):
        layers = [m for m in UNet(4, 1, 8, 64).modules() if isinstance(m, nn.Dropout)]
    assert sorted(layer.p for layer in layers) == [0, 0, 0, 0, 0.5, 0.5, 0.5]


def test_a_patch_is_70_pixels_wide() -> None:
    torch.manual_seed(0)
    network = PatchGAN(2, 4).eval()
    picture = torch.zeros(1, 2, 192, 192, requires_grad=True)
    logits = network(picture)
    assert logits.shape == (1, 1, 22, 22)
    logits[0, 0, 11, 11].backward()
    assert picture.grad is not None
    rows = picture.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 70


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (40, 72)])
def test_the_generator_keeps_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    made = UNet(4, 2, 5, 4)(torch.rand(1, 4, *size))  # training mode: one sample, a 1x1 bottom
    assert made.shape == (1, 2, *size)
    assert bool(torch.isfinite(made).all()) and float(made.detach().abs().max()) <= 1


def test_weights_start_from_the_originals_distribution() -> None:
    torch.manual_seed(0)
    network = UNet(4, 1, 6, 16)
    scales = [m.weight.detach() for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    kernels = [m.weight.detach() for m in network.modules() if isinstance(m, nn.Conv2d)]
    for weights, mean in ((torch.cat(scales), 1.0), (torch.cat([k.ravel() for k in kernels]), 0.0)):
        assert float(weights.mean()) == pytest.approx(mean, abs=0.004)
        assert float(weights.std()) == pytest.approx(0.02, rel=0.15)


def test_the_adversarial_loss_is_cross_entropy_by_sample() -> None:
    logits = torch.tensor([0.0, 3.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    both = adversarial_loss(logits, True, torch.ones(2))
    assert float(both) == pytest.approx((math.log(2) + math.log(1 + math.exp(-3))) / 2)
    first = adversarial_loss(logits, False, torch.tensor([1.0, 0.0]))
    assert float(first) == pytest.approx(math.log(2))
    assert float(adversarial_loss(logits, True, torch.zeros(2))) == 0


def test_the_discriminators_loss_is_halved(batch: Batch) -> None:
    """When every logit is zero, both kinds together cost log 2."""
    both = Pix2PixMaskNets(TINY)
    for parameter in both.discriminator.parameters():
        nn.init.zeros_(parameter)
    _, made = both.generator_step(batch)
    terms = both.discriminator_step(batch, made)
    assert [float(t.detach()) for t in terms.values()] == pytest.approx([math.log(2) / 2] * 2)


def l1(nets: Pix2PixMaskNets | Pix2PixContentNets, batch: Batch) -> float:
    return float(nets.generator_step(batch)[0]["l1"].detach())


def test_the_mask_loss_is_100_times_l1_in_signed_range(batch: Batch) -> None:
    both = Pix2PixMaskNets(TINY)
    both.generator = Says(torch.zeros_like(batch.amodal))
    assert l1(both, batch) == pytest.approx(100)
    both.generator = Says(batch.amodal * 2 - 1)
    assert l1(both, batch) == 0


def test_the_content_loss_is_over_the_person_and_needs_the_truth(batch: Batch) -> None:
    both = Pix2PixContentNets(TINY)
    person = batch.amodal > 0.5
    signed = batch.clean * 2 - 1
    both.generator = Says(torch.where(person, signed, -signed))
    assert l1(both, batch) == 0
    both.generator = Says(torch.where(person, signed + 0.25, signed))
    assert l1(both, batch) == pytest.approx(25, rel=1e-5)
    nobody = batch.replace(has_clean=torch.zeros(4, dtype=torch.bool))
    terms, made = both.generator_step(nobody)
    more = both.discriminator_step(nobody, {k: v.detach() for k, v in made.items()})
    assert all(float(term.detach()) == 0 for term in (terms | more).values())


def test_the_adversary_sees_the_photo_outside_the_hole(batch: Batch) -> None:
    both = Pix2PixContentNets(TINY)
    hole = ((batch.amodal > 0.5) & ~(batch.modal > 0.5)).expand_as(batch.image)
    _, made = both.generator_step(batch)
    assert torch.equal(made["made"][~hole], (batch.image * 2 - 1)[~hole])


def test_inputs_are_signed_and_the_hole_is_grey(batch: Batch) -> None:
    given = content_input(batch)
    hole = (batch.amodal > 0.5) & ~(batch.modal > 0.5)
    assert given.shape == (4, 5, 64, 64)
    assert bool((given[:, :3][hole.expand(-1, 3, -1, -1)] == 0).all())
    assert torch.equal(given[:, 3:4] < 0, hole)
    assert torch.equal(given[:, 4:] > 0, batch.amodal > 0.5)
    masks = mask_input(batch)
    assert masks.shape == (4, 4, 64, 64) and float(masks.min()) >= -1 and float(masks.max()) <= 1


def test_content_outside_the_hole_is_the_photo(batch: Batch) -> None:
    torch.manual_seed(0)
    hole = ((batch.amodal > 0.5) & ~(batch.modal > 0.5)).expand_as(batch.image)
    prediction = Pix2PixContent("quick").predict(batch)
    assert torch.equal(prediction[~hole], batch.image[~hole])
    assert not torch.equal(prediction[hole], batch.image[hole])

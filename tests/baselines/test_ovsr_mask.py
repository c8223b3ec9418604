"""OVSR-style mask completion: two coupled discriminators, and what each is shown."""

import math

import pytest
import torch
from torch import Tensor, nn

from baselines import ovsr_mask
from baselines.ovsr_mask import (
    CoupledDiscriminators,
    MaskStep,
    OvsrMask,
    OvsrMaskConfig,
    OvsrMaskNets,
)
from baselines.pix2pix import PatchGAN
from hdeocc.batch import Batch
from hdeocc.method import Budget, FitData, Preset
from tests.baselines.nets import gradient_norm, parameters
from tests.conformance import LearnedConformance

TINY = OvsrMaskConfig(levels=5, generator_width=4, discriminator_width=4)


class TestOvsrMask(LearnedConformance):
    method = OvsrMask
    learn_steps = 60


def test_the_full_networks_are_pix2pixs_with_two_convolutions_shared() -> None:
    """Shared: 4*4 weights for 4 -> 64 and 64 -> 128 channels, 64 biases, a norm of 128."""
    with torch.device("meta"):
        nets = OvsrMask("full").nets
        one = PatchGAN(4, 64)
    assert nets.discriminator is not None
    shared = 16 * (4 * 64 + 64 * 128) + 64 + 2 * 128
    assert parameters(nets.generator) == 54_410_881
    assert parameters(nets.discriminator) == 2 * parameters(one) - shared == 5_397_826


@pytest.mark.parametrize(("preset", "count"), [("quick", 458_193), ("small", 4_087_561)])
def test_small_and_quick_are_narrower(preset: Preset, count: int) -> None:
    with torch.device("meta"):
        assert OvsrMask(preset).parameters_used() == count


def test_it_says_that_it_is_re_derived() -> None:
    assert OvsrMask.title == "OVSR-style (re-derived)"


def test_few_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="levels 4"):
        OvsrMaskConfig(levels=4)


# --- one turn of completion -------------------------------------------------------------------


@pytest.mark.parametrize("size", [(32, 32), (40, 72)])
def test_a_turn_takes_any_image_and_any_mask(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    step = MaskStep(5, 4).eval()
    image, mask = torch.rand(2, 3, *size), torch.rand(2, 1, *size)
    made = step(image, mask)
    assert made.shape == (2, 1, *size)
    assert float(made.min().detach()) >= 0 and float(made.max().detach()) <= 1
    again = step(image, made)  # the next turn begins with its answer
    assert not torch.equal(again, made) and not torch.equal(step(image.flip(0), mask), made)


def test_the_network_sees_everything_in_signed_range() -> None:
    step, seen = MaskStep(5, 4), []
    step.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    step(torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32))
    assert seen[0].shape == (1, 4, 32, 32)
    assert seen[0][0, :, 0, 0].tolist() == [-1, -1, -1, 1]


# --- discriminators ---------------------------------------------------------------------------


def test_the_silhouette_is_judged_without_the_image_and_the_object_with_it() -> None:
    torch.manual_seed(0)
    judges = CoupledDiscriminators(4).eval()
    image, mask = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    assert judges.silhouette(mask).shape == judges.object(image, mask).shape == (2, 1, 6, 6)
    assert not torch.equal(judges.object(image, mask), judges.object(1 - image, mask))
    seen: list[Tensor] = []
    judges.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    judges.silhouette(mask)
    assert bool((seen[0][:, :3] == 0).all())
    assert torch.equal(seen[0][:, 3:], mask * 2 - 1)


def test_the_two_discriminators_share_their_first_two_convolutions() -> None:
    torch.manual_seed(0)
    judges = CoupledDiscriminators(4)
    image, mask = torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64)
    convolutions = [m for m in judges.trunk if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 2
    for answer, own, other in (
        (judges.object(image, mask), judges.object_tail, judges.silhouette_tail),
        (judges.silhouette(mask), judges.silhouette_tail, judges.object_tail),
    ):
        judges.zero_grad()
        answer.square().sum().backward()
        assert all(gradient_norm(conv) > 0 for conv in convolutions)
        assert gradient_norm(own) > 0 and gradient_norm(other) == 0


@pytest.mark.parametrize("name", ["object", "silhouette"])
def test_either_adversary_teaches_the_generator_but_not_itself(name: str, batch: Batch) -> None:
    torch.manual_seed(0)
    nets = OvsrMaskNets(TINY).train()
    nets.judges.requires_grad_(False)
    terms, made = nets.generator_step(batch)
    terms[f"adversarial_{name}"].backward()
    assert gradient_norm(nets.generator) > 0 and gradient_norm(nets.judges) == 0
    nets.generator.zero_grad()
    nets.judges.requires_grad_(True)
    more = nets.discriminator_step(batch, {k: v.detach() for k, v in made.items()})
    more[f"discriminator_{name}"].backward()
    assert gradient_norm(nets.judges) > 0 and gradient_norm(nets.generator) == 0


class Remembers(CoupledDiscriminators):
    """Discriminators that keep what they are shown and answer 1."""

    def __init__(self) -> None:
        super().__init__(4)
        self.objects: list[tuple[Tensor, Tensor]] = []
        self.silhouettes: list[Tensor] = []

    def object(self, image: Tensor, mask: Tensor) -> Tensor:
        self.objects.append((image, mask))
        return torch.ones(len(mask), 1, 2, 2)

    def silhouette(self, mask: Tensor) -> Tensor:
        self.silhouettes.append(mask)
        return torch.ones(len(mask), 1, 2, 2)


def test_real_silhouettes_are_those_of_other_people(batch: Batch) -> None:
    nets, judges = OvsrMaskNets(TINY), Remembers()
    nets.discriminator = judges
    made = torch.rand(4, 1, 64, 64)
    nets.discriminator_step(batch, {"mask": made})
    (image, real), (same, fake) = judges.objects
    assert torch.equal(image, batch.image) and torch.equal(same, batch.image)
    assert torch.equal(real, batch.amodal) and torch.equal(fake, made)
    shapes, fake = judges.silhouettes
    assert torch.equal(shapes, batch.amodal[[3, 0, 1, 2]]) and torch.equal(fake, made)


# --- losses -----------------------------------------------------------------------------------


class Says(nn.Module):
    """A generator that always gives one mask."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.mask = nn.Parameter(mask)

    def forward(self, image: Tensor, initial: Tensor) -> Tensor:
        return self.mask


def values(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


def test_every_term_has_its_weight(batch: Batch) -> None:
    nets = OvsrMaskNets(TINY)
    nets.discriminator = Remembers()
    nets.generator = Says((batch.amodal - 0.25).abs())
    nets.features = lambda picture: [picture, 4 * picture]
    terms, made = nets.generator_step(batch)
    surprise = math.log(1 + math.exp(-1))
    assert values(terms) == pytest.approx(
        {
            "l1": 10 * 0.25,
            "perceptual": 0.25 + 4 * 0.25,
            "adversarial_object": 0.1 * surprise,
            "adversarial_silhouette": 0.1 * surprise,
        }
    )
    both = 0.5 * (surprise + math.log(1 + math.exp(1)))
    wanted = {"discriminator_object": both, "discriminator_silhouette": both}
    assert values(nets.discriminator_step(batch, made)) == pytest.approx(wanted)


def test_the_perceptual_term_reaches_the_generator(batch: Batch) -> None:
    nets = OvsrMaskNets(TINY)
    nets.features = lambda picture: [picture]
    nets.generator_step(batch)[0]["perceptual"].backward()
    assert gradient_norm(nets.generator) > 0


@pytest.mark.parametrize(
    ("preset", "asked", "found"), [("quick", 0, False), ("small", 1, True), ("small", 1, False)]
)
def test_vgg_is_left_out_at_quick_and_where_it_is_not_installed(
    preset: Preset, asked: int, found: bool, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []

    def vgg() -> object:
        calls.append(None)
        return (lambda picture: [picture]) if found else None

    monkeypatch.setattr(ovsr_mask, "vgg_features", vgg)
    method = OvsrMask(
        preset, OvsrMaskConfig(5, 4, 4, perceptual=OvsrMask.presets[preset].perceptual)
    )
    method.prepare(FitData([], []), Budget(samples=4))
    assert len(calls) == asked
    assert ("perceptual" in method.nets.generator_step(batch)[0]) == found

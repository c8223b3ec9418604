"""SeGAN's texture network: it sees a person on blue, red where hidden, and nothing else."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from baselines.segan_content import (
    BLUE,
    RED,
    SeganContent,
    SeganContentConfig,
    SeganContentNets,
    texture_input,
    texture_target,
)
from hdeocc.batch import Batch
from hdeocc.method import Preset
from tests.baselines.nets import Says, parameters
from tests.conformance import ContentConformance, LearnedConformance, hole_of, shaken

TINY = SeganContentConfig(levels=5, generator_width=4, discriminator_width=4)


class TestSeganContent(LearnedConformance, ContentConformance):
    method = SeganContent


def test_the_full_networks_are_pix2pixs_for_three_channels() -> None:
    with torch.device("meta"):
        nets = SeganContent("full").nets
    assert nets.discriminator is not None
    assert parameters(nets.generator) == 54_413_955
    assert parameters(nets.discriminator) == 2_768_705


@pytest.mark.parametrize(("preset", "count"), [("quick", 458_579), ("small", 4_088_523)])
def test_small_and_quick_are_narrower(preset: Preset, count: int) -> None:
    with torch.device("meta"):
        assert SeganContent(preset).parameters_used() == count


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="levels 4"):
        SeganContentConfig(levels=4)
    with pytest.raises(ValueError, match="l1_over 'hole'"):
        SeganContentConfig(l1_over="hole")  # type: ignore[arg-type]


def colours(picture: Tensor, where: Tensor) -> Tensor:
    """The pixels (n, 3) of a picture (B, 3, H, W) where a mask (B, 1, H, W) is set."""
    return picture.permute(0, 2, 3, 1)[where[:, 0]]


def test_the_hidden_part_is_pure_red_and_all_but_the_person_pure_blue(batch: Batch) -> None:
    given, hole, outside = texture_input(batch), hole_of(batch), batch.amodal < 0.5
    assert given.shape == (4, 3, 64, 64)
    assert colours(given, hole).unique(dim=0).tolist() == [[1, -1, -1]] == [list(RED)]
    assert colours(given, outside).unique(dim=0).tolist() == [[-1, -1, 1]] == [list(BLUE)]
    seen = ~hole & ~outside
    assert torch.equal(colours(given, seen), colours(batch.image * 2 - 1, seen))


def test_what_is_seen_outside_the_whole_is_not_the_person(batch: Batch) -> None:
    """In a full pipeline the masks are predictions, which need not be nested."""
    given = texture_input(
        batch.replace(modal=torch.ones_like(batch.modal), amodal=torch.zeros_like(batch.amodal))
    )
    assert bool((given == torch.tensor(BLUE).view(1, 3, 1, 1)).all())


def test_the_target_is_the_whole_person_on_blue(batch: Batch) -> None:
    target, whole = texture_target(batch), batch.amodal > 0.5
    assert torch.equal(colours(target, whole), colours(batch.clean * 2 - 1, whole))
    assert colours(target, ~whole).unique(dim=0).tolist() == [list(BLUE)]


def test_background_pixels_cannot_change_the_prediction(batch: Batch) -> None:
    torch.manual_seed(0)
    method, hole = shaken(SeganContent("quick", TINY)), hole_of(batch)
    noise = torch.rand(batch.image.shape, generator=torch.Generator().manual_seed(0))
    first = colours(method.predict(batch), hole)
    background = torch.where(batch.amodal < 0.5, noise, batch.image)
    assert torch.equal(first, colours(method.predict(batch.replace(image=background)), hole))
    person = torch.where(batch.modal > 0.5, noise, batch.image)
    assert not torch.equal(first, colours(method.predict(batch.replace(image=person)), hole))


def test_only_the_hidden_part_is_pasted(batch: Batch) -> None:
    torch.manual_seed(0)
    hole = hole_of(batch)
    prediction = SeganContent("quick", TINY).predict(batch)
    assert torch.equal(colours(prediction, ~hole), colours(batch.image, ~hole))
    assert not torch.equal(colours(prediction, hole), colours(batch.image, hole))


# --- losses -----------------------------------------------------------------------------------


class Listens(nn.Module):
    """A discriminator that keeps what it is shown and cannot tell."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.detach())
        return torch.zeros(len(x), 1, 2, 2)


def test_the_loss_is_100_times_l1_over_the_frame(batch: Batch) -> None:
    nets, target = SeganContentNets(TINY), texture_target(batch)
    nets.generator = Says(target)
    assert float(nets.generator_step(batch)[0]["l1"].detach()) == 0
    nets.generator = Says(target + 0.25 * (torch.arange(64) < 32))  # half of the frame
    assert float(nets.generator_step(batch)[0]["l1"].detach()) == pytest.approx(12.5, rel=1e-5)


def test_l1_may_be_over_the_person(batch: Batch) -> None:
    nets, target = SeganContentNets(replace(TINY, l1_over="person")), texture_target(batch)
    person = batch.amodal > 0.5
    nets.generator = Says(target + 0.25 * person)
    assert float(nets.generator_step(batch)[0]["l1"].detach()) == pytest.approx(25, rel=1e-5)
    nets.generator = Says(target + 0.25 * ~person)
    assert float(nets.generator_step(batch)[0]["l1"].detach()) == 0


def test_the_adversary_sees_the_input_beside_the_whole_output(batch: Batch) -> None:
    nets, picture = SeganContentNets(TINY), torch.rand(4, 3, 64, 64) * 2 - 1
    listens = Listens()
    nets.generator, nets.discriminator = Says(picture), listens
    terms, made = nets.generator_step(batch)
    more = nets.discriminator_step(batch, {k: v.detach() for k, v in made.items()})
    given = texture_input(batch)
    wanted = [picture, texture_target(batch), picture]  # generator's step, real, made
    for shown, one in zip(listens.shown, wanted, strict=True):
        assert torch.equal(shown, torch.cat([given, one], dim=1))
    assert float(terms["adversarial"]) == pytest.approx(math.log(2))
    assert [float(t) for t in more.values()] == pytest.approx([math.log(2) / 2] * 2)


def test_samples_without_truth_weigh_nothing(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = SeganContentNets(TINY).eval()  # dropout off, batch norm by sample

    def values(some: Batch) -> list[float]:
        terms, made = nets.generator_step(some)
        terms |= nets.discriminator_step(some, {k: v.detach() for k, v in made.items()})
        return [float(term.detach()) for term in terms.values()]

    nobody = batch.replace(has_clean=torch.zeros(4, dtype=torch.bool))
    assert values(nobody) == [0, 0, 0, 0]
    two = batch.replace(has_clean=torch.tensor([True, False, True, False]))
    known = Batch(["0", "2"], {k: v[::2] for k, v in batch.fields.items()})
    assert values(two) == pytest.approx(values(known), rel=1e-5)

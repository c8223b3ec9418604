"""PCNet-M: the original's size and loss, its two cases, its threshold, and what an eraser hides."""

import math

import pytest
import torch
from torch import Tensor, nn

from baselines.pcnet_mask import (
    PRESET_CONFIGS,
    PCNetM,
    PCNetMask,
    PCNetMaskOccluder,
    PCNetMConfig,
    PCNetMNets,
    PCNetMOccluderNets,
    scored,
    weighted_cross_entropy,
)
from hdeocc.batch import Batch
from tests.conformance import LearnedConformance

ROWS = [PCNetMask, PCNetMaskOccluder]
FRONT, BEHIND = PCNetMConfig(width=1, behind=0.0), PCNetMConfig(width=1, behind=1.0)


class TestPCNetMask(LearnedConformance):
    method = PCNetMask
    learn_steps = 60


class TestPCNetMaskOccluder(LearnedConformance):
    method = PCNetMaskOccluder
    learn_steps = 60


class Says(nn.Module):
    """A network that gives every pixel the same probability, and remembers what it was asked."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.odds = nn.Parameter(torch.tensor(math.log(probability / (1 - probability))))

    def forward(self, mask: Tensor, eraser: Tensor) -> Tensor:
        self.asked = (mask, eraser)
        return torch.cat([torch.zeros_like(mask), self.odds.expand_as(mask)], dim=1)


def says(row: type[PCNetMask], probability: float) -> PCNetMask:
    method = row("quick")
    method.nets.generator = Says(probability)
    return method


def double(inputs: int, outputs: int) -> int:
    """Parameters of two 3x3 convolutions without bias, each with a batch norm."""
    return 9 * outputs * (inputs + outputs) + 4 * outputs


def test_the_full_network_has_the_originals_size() -> None:
    """Published are 3.35 M; the released code has 1984 more, biases that batch norm takes away."""
    down = double(2, 32) + double(32, 64) + double(64, 128) + double(128, 256) + double(256, 256)
    up = double(512, 128) + double(256, 64) + double(128, 32) + double(64, 32)
    assert down + up + 2 * 32 + 2 == 3_350_018
    with torch.device("meta"):
        assert [row("full").parameters_used() for row in ROWS] == [3_350_018] * 2
        assert PCNetMask("quick").parameters_used() == 838_658


def test_the_defaults_are_the_originals() -> None:
    wanted = PCNetMConfig(width=2, inside=5.0, behind=0.2, threshold=0.2)
    assert PRESET_CONFIGS["full"] == wanted
    assert PCNetMask.weight_decay == 1e-4


@pytest.mark.parametrize("size", [(64, 64), (50, 37)])
def test_logits_have_the_size_of_the_mask(size: tuple[int, int]) -> None:
    network, mask = PCNetM(1).eval(), torch.rand(1, 1, *size)
    with torch.inference_mode():
        assert network(mask, mask < 0.5).shape == (1, 2, *size)


def test_the_mask_is_not_read_inside_the_eraser() -> None:
    torch.manual_seed(0)
    network, mask = PCNetM(1).eval(), torch.rand(1, 1, 32, 32)
    eraser = torch.zeros_like(mask, dtype=torch.bool)
    eraser[..., 8:20, 8:20] = True
    with torch.inference_mode():
        first = network(mask, eraser)
        assert torch.equal(first, network(torch.where(eraser, 1 - mask, mask), eraser))
        assert not torch.equal(first, network(torch.where(eraser, mask, 1 - mask), eraser))
        assert not torch.equal(first, network(mask, torch.zeros_like(eraser)))


# --- the loss ---------------------------------------------------------------------------------


def test_the_loss_is_five_times_as_heavy_inside_the_eraser() -> None:
    """Two samples of two pixels; divided by four pixels, not by the sum of the weights."""
    odds = torch.tensor([[1.0, -2.0], [0.5, 3.0]]).view(2, 1, 1, 2)
    logits = torch.cat([torch.zeros_like(odds), odds], dim=1)
    whole = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 1, 1, 2)
    eraser = torch.tensor([[True, False], [True, False]]).view(2, 1, 1, 2)

    def wrong(x: float) -> float:
        return math.log(1 + math.exp(x))

    wanted = (5 * wrong(-1) + wrong(-2) + 5 * wrong(0.5) + wrong(-3)) / 4
    assert float(weighted_cross_entropy(logits, whole, eraser, 5.0)) == pytest.approx(wanted)


@pytest.mark.parametrize("nets", [PCNetMNets, PCNetMOccluderNets])
def test_the_step_s_loss_is_that_of_the_whole_person(nets: type[PCNetMNets], batch: Batch) -> None:
    """A network that knows nothing pays log 2 a pixel, five times that in the eraser."""
    both = nets(FRONT)
    both.generator = Says(0.5)
    terms, made = both.generator_step(batch)
    share = float(both.eraser(batch).float().mean())
    assert set(terms) == {"amodal_ce"} and not made and both.discriminator is None
    assert float(terms["amodal_ce"].detach()) == pytest.approx((1 + 4 * share) * math.log(2))
    both.generator = Says(0.9)
    whole, eraser = batch.amodal >= 0.5, both.eraser(batch)
    each = torch.where(whole, -math.log(0.9), -math.log(0.1)) * torch.where(eraser, 5.0, 1.0)
    found = both.generator_step(batch)[0]["amodal_ce"]
    assert float(found.detach()) == pytest.approx(float(each.mean()), rel=1e-5)


# --- the two cases ----------------------------------------------------------------------------


def test_in_front_the_person_is_given_as_seen(batch: Batch) -> None:
    mask, eraser = PCNetMOccluderNets(FRONT).cases(batch)
    assert torch.equal(mask, batch.initial)
    assert torch.equal(eraser, batch.occluder > 0.5)
    mask, eraser = PCNetMNets(FRONT).cases(batch)
    assert torch.equal(mask, batch.initial)
    assert torch.equal(eraser, batch.initial < 0.5)


def test_behind_the_target_equals_the_input_and_the_eraser_hides_nothing(batch: Batch) -> None:
    mask, eraser = PCNetMOccluderNets(BEHIND).cases(batch)
    whole = batch.amodal > 0.5
    assert torch.equal(mask, batch.amodal)
    assert torch.equal(eraser, (batch.occluder > 0.5).roll(1, 0) & ~whole)
    assert bool(eraser.flatten(1).any(dim=1).all()), "another's occluder shows around the person"
    mask, eraser = PCNetMNets(BEHIND).cases(batch)
    assert torch.equal(mask, batch.amodal)
    assert torch.equal(eraser, ~whole)


@pytest.mark.parametrize("nets", [PCNetMNets, PCNetMOccluderNets])
def test_behind_a_network_that_adds_nothing_is_right(nets: type[PCNetMNets], batch: Batch) -> None:
    """And in front it is not: the cases differ in what they ask for."""

    class Repeats(nn.Module):
        def forward(self, mask: Tensor, eraser: Tensor) -> Tensor:
            return torch.cat([-mask, mask], dim=1) * 50 - 25 * torch.tensor([-1, 1]).view(2, 1, 1)

    losses = {}
    for name, config in (("front", FRONT), ("behind", BEHIND)):
        both = nets(config)
        both.generator = Repeats()
        losses[name] = float(both.generator_step(batch)[0]["amodal_ce"])
    assert losses["behind"] < 1e-6 and losses["front"] > 1


def test_faults_of_the_initial_mask_do_not_tell_the_cases_apart(batch: Batch) -> None:
    initial = batch.initial.clone()
    initial[..., :3, :3] = 0.75  # a blob beside the person
    for nets in (PCNetMNets, PCNetMOccluderNets):
        for config, occluder in ((FRONT, 0.0), (BEHIND, 1.0)):
            occluders = torch.full_like(batch.occluder, occluder)
            mask, eraser = nets(config).cases(batch.replace(initial=initial, occluder=occluders))
            assert bool((mask[..., :3, :3] == 0.75).all())
            assert not bool(eraser[..., :3, :3].any())


def test_behind_alone_in_its_batch_a_sample_s_eraser_hides_nothing(batch: Batch) -> None:
    alone = Batch(batch.ids[:1], {k: v[:1] for k, v in batch.fields.items()})
    _, eraser = PCNetMOccluderNets(BEHIND).cases(alone)
    assert torch.equal(eraser, (alone.occluder > 0.5) & (alone.amodal < 0.5))


def test_a_fifth_of_the_samples_is_behind_by_draws_of_torch_s_generator(batch: Batch) -> None:
    nets = PCNetMNets(PCNetMConfig(width=1))
    hidden = (batch.amodal - batch.modal).flatten(1).any(dim=1)
    assert bool(hidden.all())

    def draws(seed: int) -> Tensor:
        torch.manual_seed(seed)
        masks = [nets.cases(batch)[0] for _ in range(100)]
        return torch.stack([(m != batch.initial).flatten(1).any(dim=1) for m in masks])

    first = draws(0)
    assert float(first.float().mean()) == pytest.approx(0.2, abs=0.05)
    assert torch.equal(first, draws(0)) and not torch.equal(first, draws(1))
    assert bool((first.any(dim=1) & ~first.all(dim=1)).any()), "each sample has its own draw"


# --- prediction -------------------------------------------------------------------------------


def test_the_threshold_is_moved_to_a_half() -> None:
    """Continuous and increasing, by the formula of the docstring; 0 and 1 stay."""
    p = torch.linspace(0, 1, 101, dtype=torch.double)
    logits = torch.stack([torch.log1p(-p), p.log()]).view(1, 2, 1, 101)
    found = scored(logits, 0.2).flatten().double()
    torch.testing.assert_close(found, 0.8 * p / (0.8 * p + 0.2 * (1 - p)), atol=1e-6, rtol=0)
    assert bool((found.diff() > 0).all())
    assert float(found[0]) == 0 and float(found[-1]) == 1
    assert float(found[20]) == pytest.approx(0.5)
    assert torch.equal(found > 0.5 + 1e-6, p > 0.2 + 1e-6)
    same = scored(logits, 0.5).flatten().double()
    torch.testing.assert_close(same, p, atol=1e-6, rtol=0)


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_that_nothing_can_be_moved_by_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        PCNetMConfig(threshold=threshold)


@pytest.mark.parametrize(("probability", "person"), [(0.19, False), (0.21, True)])
def test_a_pixel_is_the_person_s_from_a_fifth_on(
    probability: float, person: bool, batch: Batch
) -> None:
    found = says(PCNetMask, probability).predict(batch) > 0.5
    assert bool((found == person).all())


def test_only_what_is_seen_or_behind_the_occluder_is_kept(batch: Batch) -> None:
    found = says(PCNetMaskOccluder, 0.9).predict(batch)
    possible = (batch.occluder >= 0.5) | (batch.initial >= 0.5)
    assert bool((~possible).any())
    assert bool((found[~possible] == 0).all()) and bool((found[possible] > 0.9).all())


def test_each_row_asks_with_its_own_eraser(batch: Batch) -> None:
    for row, eraser in ((PCNetMask, batch.initial < 0.5), (PCNetMaskOccluder, batch.occluder > 0)):
        method = says(row, 0.5)
        method.predict(batch)
        network = method.nets.generator
        assert isinstance(network, Says)
        assert torch.equal(network.asked[0], batch.initial)
        assert torch.equal(network.asked[1], eraser)

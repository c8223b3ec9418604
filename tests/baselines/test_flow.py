"""Flow matching: the way from noise to truth, what the condition tells, guesses and their mean."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from baselines.flow import (
    HOLE_WEIGHT,
    MASK,
    Flow,
    FlowConfig,
    FlowContent,
    FlowMask,
    FlowMaskBest,
    FlowNets,
    Goal,
    goal_of,
    known_of,
    noise,
    shifted,
    told,
    untold,
)
from hdeocc.batch import Batch
from hdeocc.method import Budget, FitData, Method
from tests.conformance import (
    ContentConformance,
    LearnedConformance,
    MethodConformance,
    cpu_fabric,
    hole_of,
)

TINY = FlowConfig((4, 8), groups=2, steps=4, guesses=3, shift=1)


@cache
def fitted_before() -> dict[str, Method]:
    torch.manual_seed(5)
    return {MASK: FlowMask("quick")}


class TestFlowMask(LearnedConformance):
    method = FlowMask
    heart_steps = 1800
    heart_lr = 4e-3
    takes_float64 = False
    learn_steps = 150
    learn_lr = 4e-3

    def who_borrow(self, method: Method) -> list[Method]:
        rows: list[Method] = [FlowMaskBest("quick"), FlowContent("quick")]
        for row in rows:
            row.fit(FitData([], [], upstream={MASK: method}), Budget(samples=1), cpu_fabric())
        return rows


class TestFlowMaskBest(MethodConformance):
    method = FlowMaskBest

    def upstream(self) -> dict[str, Method]:
        return fitted_before()


class TestFlowContent(ContentConformance):
    method = FlowContent

    def upstream(self) -> dict[str, Method]:
        return fitted_before()


@pytest.mark.parametrize(("preset", "least", "most"), [("small", 1e6, 3e6), ("full", 20e6, 40e6)])
def test_sizes(preset: str, least: float, most: float) -> None:
    with torch.device("meta"):
        assert least < FlowMask(preset).parameters_used() < most  # type: ignore[arg-type]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (37, 50), (9, 5)])
def test_any_size(height: int, width: int) -> None:
    network = Goal(TINY.channels, TINY.groups)
    made = network(torch.rand(2, 4, height, width), torch.rand(2), torch.rand(2, 6, height, width))
    assert made.shape == (2, 4, height, width)


@given(st.floats(0.001, 0.999), st.floats(0.2, 30))
def test_a_shift_divides_the_ratio_of_signal_to_noise(time: float, shift: float) -> None:
    even = torch.tensor([0.0, time, 1.0], dtype=torch.float64)
    none, found, all_ = shifted(even, shift).tolist()
    assert none == pytest.approx(0, abs=1e-12) and all_ == 1
    assert found / (1 - found) == pytest.approx(time / (1 - time) / shift)


def test_training_asks_mostly_about_what_is_near_the_noise(batch: Batch) -> None:
    torch.manual_seed(0)
    shares = {}
    for shift in (1.0, 6.0):
        nets = FlowNets(replace(TINY, shift=shift))
        seen: list[Tensor] = []
        exact = Exact(goal_of(batch))
        exact.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[1]))  # type: ignore[misc]
        nets.generator.goal = exact  # type: ignore[assignment]
        for _ in range(500):
            nets.generator_step(batch)
        shares[shift] = float((torch.cat(seen) < 0.1).float().mean())
    # Before a tenth of the way lie 1 - 0.9 / (6 - 5 * 0.9) = 0.4 of the times.
    assert shares == {1.0: pytest.approx(0.1, abs=0.03), 6.0: pytest.approx(0.4, abs=0.04)}


def test_the_time_matters() -> None:
    torch.manual_seed(0)
    network = Goal(TINY.channels, TINY.groups)
    given = torch.rand(1, 4, 16, 16), torch.rand(1, 6, 16, 16)
    early, late = (network(given[0], torch.tensor([t]), given[1]) for t in (0.1, 0.9))
    assert not torch.allclose(early, late)


class Exact(nn.Module):
    """Knows where every way ends."""

    def __init__(self, goal: Tensor) -> None:
        super().__init__()
        self.goal = goal
        self.times: list[float] = []

    def forward(self, state: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        self.times.append(float(time[0]))
        return self.goal


def test_who_knows_the_end_leads_every_guess_there(batch: Batch) -> None:
    condition = untold(batch.image, batch.initial)
    flow = Flow(TINY)
    exact = Exact(goal_of(batch))
    flow.goal = exact  # type: ignore[assignment]
    made = flow(condition)
    assert made.shape == (3, len(batch), 4, *batch.image.shape[-2:])
    end = (torch.where(*known_of(condition), goal_of(batch)) + 1) / 2
    assert torch.allclose(made, end.expand_as(made), atol=1e-5)
    assert exact.times == [0, 0.25, 0.5, 0.75] * 3
    flow.config = replace(TINY, shift=3)
    exact.times.clear()
    assert torch.allclose(flow(condition), made, atol=1e-5)
    assert exact.times == pytest.approx([0, 0.1, 0.25, 0.5] * 3)


@pytest.mark.parametrize("shift", [1.0, 6.0])
def test_a_guess_goes_straight(batch: Batch, shift: float) -> None:
    flow, goal = Flow(replace(TINY, shift=shift)), goal_of(batch)
    times = shifted(torch.linspace(0, 1, TINY.steps + 1), shift)
    flow.goal = Exact(goal)  # type: ignore[assignment]
    seen: list[Tensor] = []
    flow.goal.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    condition = told(batch.image, batch.modal, batch.amodal)
    flow(condition)
    for place, state in enumerate(seen):
        guess, step = divmod(place, TINY.steps)
        t = times[step]
        way = (1 - t) * noise(guess, goal) + t * goal
        assert torch.allclose(state, torch.where(*known_of(condition), way), atol=1e-5)


def test_who_knows_the_end_has_no_loss(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = FlowNets(TINY)
    nets.generator.goal = Exact(goal_of(batch))  # type: ignore[assignment]
    terms, made = nets.generator_step(batch)
    assert set(terms) == {"mask", "colours", "hole"} and not made
    assert all(float(term) < 1e-6 for term in terms.values())
    nets.generator.goal = Exact(goal_of(batch) + 1)  # type: ignore[assignment]
    assert all(float(term) > 0.1 for term in nets.generator_step(batch)[0].values())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_loss_is_of_what_is_not_told(batch: Batch, share: float) -> None:
    goal, hole = goal_of(batch), hole_of(batch)
    condition = [untold(batch.image, batch.initial), told(batch.image, batch.modal, batch.amodal)]
    known, _ = known_of(condition[int(share)])
    nets = FlowNets(replace(TINY, told=share))
    nets.generator.goal = Exact(goal + 5 * known)  # type: ignore[assignment]
    assert all(float(term) < 1e-6 for term in nets.generator_step(batch)[0].values())
    nets.generator.goal = Exact(goal + hole)  # type: ignore[assignment]
    terms = nets.generator_step(batch)[0]
    missed = hole & ~known[:, 1:2]
    assert float(terms["hole"]) == pytest.approx(HOLE_WEIGHT * float(missed.sum() / hole.sum()))
    assert float(terms["colours"]) == pytest.approx(float(missed.float().mean()))
    assert float(terms["mask"]) == pytest.approx(0 if share else float(hole.float().mean()))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_training_shows_what_is_told_without_noise(batch: Batch, share: float) -> None:
    torch.manual_seed(0)
    nets = FlowNets(replace(TINY, told=share))
    shown: list[tuple[Tensor, ...]] = []
    nets.generator.goal.register_forward_pre_hook(  # type: ignore[union-attr]
        lambda _, given: shown.append(given)
    )
    nets.generator_step(batch)
    ((way, _, condition),) = shown
    known, values = known_of(condition)
    assert torch.equal(way[known], values[known])
    # Noise reaches beyond the range of masks and colours.
    assert float(way[~known].abs().max()) > 1.5 > float(values.abs().max())


def test_colours_that_nobody_knows_weigh_nothing(batch: Batch) -> None:
    nets = FlowNets(TINY)
    nets.generator.goal = Exact(goal_of(batch) + 1)  # type: ignore[assignment]
    none = batch.replace(has_clean=torch.zeros_like(batch.has_clean))
    terms = nets.generator_step(none)[0]
    assert float(terms["colours"]) == float(terms["hole"]) == 0


def test_what_is_told_stays_in_every_guess(batch: Batch) -> None:
    torch.manual_seed(0)
    flow, hole = Flow(TINY), hole_of(batch)
    made = flow(told(batch.image, batch.modal, batch.amodal))
    assert torch.equal(made[:, :, :1], batch.amodal.expand_as(made[:, :, :1]))
    around = ~hole.expand_as(batch.image)
    wanted = (goal_of(batch)[:, 1:] + 1) / 2
    assert all(torch.allclose(guess[:, 1:][around], wanted[around], atol=1e-6) for guess in made)
    assert not torch.allclose(made[0, :, 1:], made[1, :, 1:])

    found = flow(untold(batch.image, batch.initial))
    visible = batch.initial.expand_as(batch.image) >= 0.5
    for guess in found:
        assert torch.allclose(guess[:, 1:][visible], batch.image[visible], atol=1e-6)
    assert not torch.allclose(found[0, :, :1], found[1, :, :1])


def test_guesses_differ_and_are_the_same_every_time(batch: Batch) -> None:
    assert torch.equal(noise(0, batch.image), noise(0, batch.image))
    assert not torch.equal(noise(0, batch.image), noise(1, batch.image))
    torch.manual_seed(0)
    flow = Flow(TINY)
    condition = untold(batch.image, batch.initial)
    made = flow(condition)
    assert not torch.equal(made[0], made[1])
    torch.manual_seed(1)
    assert torch.equal(flow(condition), made)


def test_what_is_told_has_no_pixel_of_the_hole(batch: Batch) -> None:
    hole = hole_of(batch)
    other = torch.where(hole, torch.rand(batch.image.shape), batch.image)
    condition = told(batch.image, batch.modal, batch.amodal)
    assert torch.equal(condition, told(other, batch.modal, batch.amodal))
    assert torch.equal(condition[:, 4:5], batch.amodal) and bool((condition[:, 5] == 1).all())
    assert bool((untold(batch.image, batch.initial)[:, 4:] == 0).all())


def test_the_goal_is_the_person_on_grey(batch: Batch) -> None:
    goal = (goal_of(batch) + 1) / 2
    whole = batch.amodal >= 0.5
    assert torch.equal(goal[:, :1] >= 0.5, whole)
    person = whole.expand(-1, 3, -1, -1)
    assert torch.allclose(goal[:, 1:][person], batch.clean[person], atol=1e-6)
    assert bool((goal[:, 1:][~person] == 0.5).all())


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_the_samples_is_told(batch: Batch, share: float) -> None:
    nets = FlowNets(FlowConfig((4, 8), groups=2, told=share))
    seen: list[Tensor] = []
    nets.generator.goal.register_forward_pre_hook(  # type: ignore[union-attr]
        lambda _, given: seen.append(given[2])
    )
    nets.generator_step(batch)
    assert bool((seen[0][:, 5] == share).all())


def test_a_saved_row_says_whose_folder_it_is(tmp_path: Path) -> None:
    for row in (FlowContent, FlowMaskBest, FlowMask):
        folder = tmp_path / row.__name__
        folder.mkdir()
        row("quick").save(folder)
        about = json.loads((folder / "method.json").read_text())
        assert about == {"method": row.__name__, "track": row.track, "preset": "quick"}


def test_the_best_guess_is_no_worse_than_any(batch: Batch) -> None:
    row = FlowMaskBest("quick")
    row.fit(FitData([], [], upstream=fitted_before()), Budget(samples=1), cpu_fabric())
    flow = fitted_before()[MASK]
    assert isinstance(flow, FlowMask)
    flow.nets.eval()

    def ious(masks: Tensor) -> Tensor:
        found, truth = masks >= 0.5, batch.amodal >= 0.5
        both, either = found & truth, found | truth
        return both.sum(dim=(-3, -2, -1)) / either.sum(dim=(-3, -2, -1))

    with torch.no_grad():
        each = ious(flow.guesses(batch))
    best = ious(row.predict(batch.only(row.consumes)))
    assert torch.equal(best, each.max(dim=0).values)
    assert bool((best > each.min(dim=0).values).any()), "all guesses are alike"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"channels": (5, 8)}, "two or more multiples of 2"),
        ({"channels": (8,)}, "two or more multiples of 2"),
        ({"guesses": 0}, "at least 1"),
        ({"shift": 0}, "above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(bad: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(TINY, **bad)

"""OVSR's turns: who is trained, what the second completion sees, and how often it looks."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from baselines.ovsr_content import OvsrContent, OvsrContentConfig
from baselines.ovsr_mask import OvsrMask, OvsrMaskConfig
from baselines.ovsr_turns import FIRST, OVSR_TURNS_PRESETS, RECOVERY, OvsrMaskTurns, TurnsConfig
from hdeocc.batch import Batch
from hdeocc.method import Budget, FitData, Method
from synth.errors import InputError
from synth.sample import Sample
from tests.baselines.nets import parameters
from tests.conformance import LearnedConformance, learn_by_heart


@cache
def fitted_before() -> dict[str, Method]:
    torch.manual_seed(7)
    return {FIRST: OvsrMask("quick"), RECOVERY: OvsrContent("quick")}


class TestOvsrMaskTurns(LearnedConformance):
    method = OvsrMaskTurns

    def upstream(self) -> dict[str, Method]:
        return fitted_before()

    def heart_upstream(self, people: list[Sample]) -> dict[str, Method]:
        """Fitted for once: a third turn looks at what the second one's mask lets be recovered."""
        before = {FIRST: OvsrMask("quick"), RECOVERY: OvsrContent("quick")}
        for method in before.values():
            learn_by_heart(method, people, 400)
        return before


def ready(**changes: int) -> OvsrMaskTurns:
    method = OvsrMaskTurns("quick", replace(OVSR_TURNS_PRESETS["quick"], **changes))
    data = FitData([], [], upstream=fitted_before())
    method.prepare(data, Budget(samples=1))
    return method


def seen_by(module: torch.nn.Module) -> list[Tensor]:
    """Fills with the first input of every call of a module."""
    seen: list[Tensor] = []
    module.register_forward_pre_hook(lambda _, given: seen.append(given[0].clone()))
    return seen


def test_the_full_networks_are_pix2pixs() -> None:
    with torch.device("meta"):
        net = OvsrMaskTurns("full").net
    assert parameters(net.first) == parameters(net.again) == 54_410_881
    assert parameters(net.recovery) == 54_416_003


def test_it_starts_as_the_completion_that_came_before(batch: Batch) -> None:
    method = ready()
    first = fitted_before()[FIRST]
    assert isinstance(first, OvsrMask)
    wanted = first.nets.generator.state_dict()
    for part in (method.net.first, method.net.again):
        assert all(torch.equal(value, wanted[name]) for name, value in part.state_dict().items())


def test_the_second_completion_sees_what_was_recovered(batch: Batch) -> None:
    method = ready(turns=2)
    net = method.net.eval()
    seen = seen_by(net.again)
    net(batch.image, batch.initial)
    mask = net.first(batch.image, batch.initial)
    visible = (batch.initial >= 0.5).float()
    [looked_at] = seen
    assert torch.equal(looked_at, net.recovery(batch.image, visible, mask.maximum(visible)))
    hidden = (mask >= 0.5) & (visible < 0.5)
    assert bool(hidden.any()), "nothing is painted, so this shows nothing"
    outside = ~hidden.expand(-1, 3, -1, -1)
    assert torch.equal(looked_at[outside], batch.image[outside])
    assert not torch.equal(looked_at, batch.image)


@pytest.mark.parametrize(("training", "looks"), [(True, 1), (False, 2)])
def test_it_takes_two_turns_in_training_and_three_at_test(
    batch: Batch, training: bool, looks: int
) -> None:
    method = ready()
    net = method.net.train(training)
    seen = seen_by(net.again)
    net(batch.image, batch.initial)
    assert len(seen) == looks
    assert net.again.training == training and not net.first.training and not net.recovery.training


def test_only_the_second_completion_is_trained(batch: Batch) -> None:
    method = ready()
    method.net.train()
    terms, _ = method.nets.generator_step(batch)
    sum(terms.values()).backward()  # type: ignore[union-attr]
    frozen = [*method.net.first.parameters(), *method.net.recovery.parameters()]
    assert all(p.grad is None for p in frozen)
    assert all(p.grad is not None for p in method.net.again.parameters())


def test_networks_of_other_sizes_are_refused() -> None:
    other = OvsrMask("quick", OvsrMaskConfig(5, 4, 4, perceptual=0.0))
    data = FitData([], [], upstream=fitted_before() | {FIRST: other})
    words = "of the settings it was given itself, but mask.ovsr has another levels, generator_width"
    with pytest.raises(InputError, match=words):
        OvsrMaskTurns("quick").prepare(data, Budget(samples=1))


def test_a_recovery_that_shows_something_else_is_refused_before_it_is_trained() -> None:
    """Its weights would fit: only the settings say which path is shown."""
    other = OvsrContent("quick", replace(OVSR_TURNS_PRESETS["quick"].recovery, shows="average"))
    upstream = fitted_before() | {RECOVERY: other}
    method = OvsrMaskTurns("quick")
    method.check_upstream(fitted_before())
    with pytest.raises(InputError, match=r"but content\.ovsr has another shows; give all three"):
        method.check_upstream(upstream)
    same = replace(OVSR_TURNS_PRESETS["quick"], recovery=other.sizes)
    OvsrMaskTurns("quick", same).check_upstream(upstream)


def test_it_builds_on_networks_of_any_size_that_it_is_given() -> None:
    first = OvsrMask("quick", OvsrMaskConfig(5, 4, 4, perceptual=0.0))
    recovery = OvsrContent("quick", OvsrContentConfig(5, 6, 4, perceptual=0.0, style=0.0))
    method = OvsrMaskTurns("quick", TurnsConfig(first.sizes, recovery.sizes))
    data = FitData([], [], upstream={FIRST: first, RECOVERY: recovery})
    method.prepare(data, Budget(samples=1))
    theirs = recovery.nets.generator.state_dict()
    assert all(torch.equal(theirs[k], v) for k, v in method.net.recovery.state_dict().items())


def test_a_single_turn_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        TurnsConfig(turns=1)

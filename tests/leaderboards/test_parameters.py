"""Parameters of pipelines: a network that both steps use is one network."""

import pytest

from hdeocc.fitted import Fitted
from hdeocc.method import entries, method_class
from leaderboards.score import parameters_together


def _fitted(track: str, name: str, row: str | None = None) -> Fitted:
    return Fitted(method_class(track, name)("quick"), row or name, "key", None, {})


@pytest.mark.parametrize(
    ("mask", "content", "whole"),
    [("two-stage", "two-stage", 1), ("flow", "flow", 1), ("ovsr-iterated", "ovsr", 0)],
)
def test_the_pipeline_is_as_large_as_the_step_that_holds_the_other(
    mask: str, content: str, whole: int
) -> None:
    both = (_fitted("mask", mask), _fitted("content", content))
    assert parameters_together(both) == both[whole].method.parameters_used()
    assert parameters_together(both) < sum(one.method.parameters_used() for one in both)


@pytest.mark.parametrize(
    ("mask", "content"), [("pcnet", "pcnet-amodal"), ("two-stage", "lama"), ("unet", "two-stage")]
)
def test_steps_that_share_nothing_are_added(mask: str, content: str) -> None:
    both = (_fitted("mask", mask), _fitted("content", content))
    assert parameters_together(both) == sum(one.method.parameters_used() for one in both)


def test_a_variant_is_another_network_than_the_one_that_is_held() -> None:
    both = (_fitted("mask", "two-stage", "no-templates"), _fitted("content", "two-stage"))
    assert parameters_together(both) == sum(one.method.parameters_used() for one in both)


@pytest.mark.parametrize("key", sorted(entries()))
def test_what_is_held_is_built_upon_and_no_larger_than_the_whole(key: str) -> None:
    kind = method_class(*key.split(".", 1))
    assert set(kind.holds) <= set(kind.upstream)
    for held in kind.holds:
        part = method_class(*held.split(".", 1))("quick").parameters_used()
        assert part <= kind("quick").parameters_used()

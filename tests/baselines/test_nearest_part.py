"""The nearest pixel of the part: colours stay within their part."""

from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.nearest_part import STAGE_1, NearestPart, recover
from hdeocc.batch import collate
from hdeocc.method import Budget, FitData, Method
from hdeocc.two_stage_mask import TwoStageMask
from leaderboards.cost import count_macs
from synth.errors import InputError
from tests.conformance import ContentConformance, cpu_fabric
from tests.fakes import make_samples


class TestConformance(ContentConformance):
    method = NearestPart

    def upstream(self) -> dict[str, Method]:
        torch.manual_seed(3)
        return {STAGE_1: TwoStageMask("quick")}


def striped() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A red shirt above blue trousers on a green ground; the middle of both is hidden."""
    image = np.zeros((12, 8, 3), np.uint8)
    image[..., 1] = 255
    parts = np.zeros((12, 8), np.int64)
    parts[1:6, 2:6], parts[6:11, 2:6] = 5, 9
    image[parts == 5], image[parts == 9] = (200, 0, 0), (0, 0, 200)
    hole = np.zeros((12, 8), bool)
    hole[3:9, 2:6] = True
    truth = image.copy()
    image[hole] = 77
    return truth, image, hole, parts


def test_each_part_takes_its_own_colour() -> None:
    truth, image, hole, parts = striped()
    visible = (parts > 0) & ~hole
    assert np.array_equal(recover(image, visible, hole, parts), truth)


def test_a_part_that_is_hidden_altogether_takes_the_nearest_of_any() -> None:
    truth, image, hole, parts = striped()
    parts[5:7, 2:6] = 13  # a belt of which nothing is seen
    made = recover(image, (parts > 0) & ~hole, hole, parts)
    assert np.array_equal(made[5], truth[5]) and np.array_equal(made[6], truth[6])
    for part in (5, 9):
        assert np.array_equal(made[parts == part], truth[parts == part])


def test_an_empty_hole_changes_nothing() -> None:
    _, image, hole, parts = striped()
    assert np.array_equal(recover(image, parts > 0, np.zeros_like(hole), parts), image)


def test_the_networks_it_borrows_are_counted_as_the_lender_s_are() -> None:
    batch = collate(make_samples(1, 64, np.random.default_rng(0)))
    borrowed, lender = NearestPart("quick"), TwoStageMask("quick")
    counted = count_macs(borrowed, batch.only(borrowed.consumes))
    assert counted is not None
    assert counted == count_macs(lender, batch.only(lender.consumes))


def test_a_stage_1_without_parsing_is_refused() -> None:
    blind = TwoStageMask.variant("quick", {"net.parsing": False})
    data = FitData([], [], upstream={STAGE_1: blind})
    with pytest.raises(InputError, match="stage 1 has no parsing"):
        NearestPart().fit(data, Budget(samples=1), cpu_fabric())


def test_it_is_kept_with_the_stage_1_it_was_given(tmp_path: Path) -> None:
    """Also one that is not the preset's."""
    small = TwoStageMask.variant("quick", {"net.stacked": False})
    method = NearestPart()
    method.fit(FitData([], [], upstream={STAGE_1: small}), Budget(samples=1), cpu_fabric())
    method.save(tmp_path)
    again = NearestPart()
    again.load(tmp_path)
    assert again.parameters_used() == small.parameters_used() < NearestPart().parameters_used()

"""The best template: the search finds what was moved, and the cost decides what may be added."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from baselines.best_template import COSTS, BestTemplate, BestTemplateConfig, fitting
from hdeocc.batch import Batch, collate
from hdeocc.method import Budget, FitData
from synth.errors import InputError
from synth.sample import Sample
from tests.conformance import MethodConformance, cpu_fabric
from tests.fakes import make_samples

SIZES = BestTemplateConfig(templates=8, size=32)


class TestConformance(MethodConformance):
    method = BestTemplate


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return make_samples(8, 64, np.random.default_rng(0))


def fitted(samples: list[Sample], sizes: BestTemplateConfig = SIZES) -> BestTemplate:
    method = BestTemplate("quick", sizes)
    method.fit(FitData(samples, samples), Budget(samples=1), cpu_fabric())
    return method


def blob(rng: np.random.Generator, size: int = 24) -> Tensor:
    """A shape in the middle of an empty frame."""
    shape = np.zeros((size, size), np.float32)
    shape[8:16, 8:16] = rng.random((8, 8)) > 0.3
    return torch.from_numpy(shape)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-4, 4), st.integers(-4, 4))
def test_a_shape_that_was_moved_is_found_where_it_went(seed: int, down: int, right: int) -> None:
    rng = np.random.default_rng(seed)
    templates = torch.stack([blob(rng) for _ in range(5)])
    moved = torch.roll(templates[3], (down, right), (0, 1))
    chosen = fitting(moved[None], templates, 4, 1.0)
    assert chosen.tolist() == [[3, down, right]]


def test_what_may_be_added_is_a_matter_of_cost() -> None:
    """Half a shape is seen: its whole is chosen where adding is cheap, the half where it is not."""
    whole = torch.zeros(24, 24)
    whole[4:20, 8:16] = 1
    half = whole.clone()
    half[12:] = 0
    nearly = half.clone()
    nearly[4:6] = 0  # misses an eighth of the half, adds nothing
    templates = torch.stack([whole, nearly])
    assert fitting(half[None], templates, 2, 0.05)[0, 0] == 0
    assert fitting(half[None], templates, 2, 1.0)[0, 0] == 1


def test_an_empty_template_is_never_chosen(samples: list[Sample]) -> None:
    """Eight people give fewer shapes than there are templates; the rest are empty."""
    method = fitted(samples, BestTemplateConfig(templates=20, size=32))
    empty = method.templates.mean(dim=(1, 2)) == 0
    assert bool(empty.any())
    seen = torch.from_numpy(np.stack([s.modal for s in samples])).float()[:, None]
    small = torch.nn.functional.adaptive_avg_pool2d(seen, 32)[:, 0]
    chosen = fitting(small, method.templates, 1, 0.1)[:, 0]
    assert not bool(empty[chosen].any())


def test_people_seen_whole_find_themselves(samples: list[Sample]) -> None:
    """Templates are the eight people themselves."""
    method = fitted(samples)
    batch = collate(samples)
    found = method.predict(batch.replace(initial=batch.amodal)) > 0.5
    truth = batch.amodal > 0.5
    common = (found & truth).sum(dim=(1, 2, 3)) / (found | truth).sum(dim=(1, 2, 3))
    assert float(common.min()) > 0.93  # soft edges of templates half as large


def test_it_completes_better_than_nothing_does(samples: list[Sample]) -> None:
    method, batch = fitted(samples), collate(samples)
    assert method.cost in torch.tensor(COSTS) and int(method.shift) in (0, 1, 2)

    def iou(found: Tensor) -> float:
        one, other = found > 0.5, batch.amodal > 0.5
        each = (one & other).sum(dim=(1, 2, 3)) / (one | other).sum(dim=(1, 2, 3))
        return float(each.mean())

    assert iou(method.predict(batch)) > iou(batch.initial) + 0.02


def test_the_initial_mask_is_kept_and_nothing_follows_from_none(samples: list[Sample]) -> None:
    method, batch = fitted(samples), collate(samples)
    assert bool((method.predict(batch) >= batch.initial).all())
    nobody: Batch = batch.replace(initial=torch.zeros_like(batch.initial))
    assert float(method.predict(nobody).max()) == 0


def test_templates_of_another_size_are_refused(samples: list[Sample], tmp_path: Path) -> None:
    fitted(samples).save(tmp_path)
    other = BestTemplate("quick", BestTemplateConfig(templates=4, size=32))
    with pytest.raises(InputError, match="not the templates of BestTemplate"):
        other.load(tmp_path)


def test_without_val_a_template_stays_where_it_is(samples: list[Sample]) -> None:
    method = BestTemplate("quick", SIZES)
    method.fit(FitData(samples, []), Budget(samples=1), cpu_fabric())
    assert (float(method.cost), int(method.shift)) == (COSTS[-1], 0)
    assert float(method.predict(collate(samples)).mean()) > 0

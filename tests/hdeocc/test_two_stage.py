"""Our two stages as methods: the contract of every method, and what is particular to them."""

from typing import ClassVar

import numpy as np
import pytest
import torch

from hdeocc.method import Budget, FitData, Method
from hdeocc.two_stage_content import (
    CONTENT_PRESETS,
    STAGE_1,
    TwoStageContent,
    one_hot,
    parsing_inside,
)
from hdeocc.two_stage_mask import MASK_PRESETS, TwoStageMask
from tests.conformance import ContentConformance, LearnedConformance, cpu_fabric
from tests.fakes import make_samples


class TestTwoStageMask(LearnedConformance):
    method = TwoStageMask
    learn_steps: ClassVar[int] = 40


class TestTwoStageContent(LearnedConformance, ContentConformance):
    method = TwoStageContent
    learn_steps: ClassVar[int] = 60

    def upstream(self) -> dict[str, Method]:
        torch.manual_seed(3)
        return {STAGE_1: TwoStageMask("quick")}


def test_the_parsing_fills_the_mask_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 20, 16, 16, generator=generator)
    amodal = (torch.rand(2, 1, 16, 16, generator=generator) > 0.5).float()
    parsing = parsing_inside(logits, amodal)
    torch.testing.assert_close(parsing.sum(dim=1), torch.ones(2, 16, 16))
    assert torch.equal(parsing[:, :1], 1 - amodal)


def test_labels_become_one_hot_and_back() -> None:
    labels = torch.randint(0, 20, (3, 8, 8), generator=torch.Generator().manual_seed(1))
    assert torch.equal(one_hot(labels).argmax(dim=1), labels)


def test_stage_1_stays_as_it_was_while_stage_2_learns() -> None:
    samples = make_samples(4, 64, np.random.default_rng(0))
    stage_1 = TwoStageMask("quick")
    before = {k: v.clone() for k, v in stage_1.net.state_dict().items()}
    method = TwoStageContent("quick")
    data = FitData(samples, samples[:1], upstream={STAGE_1: stage_1})
    method.fit(data, Budget(12, batch=4, precision="32-true"), cpu_fabric())
    for name, value in method.net.stage_1.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_templates_come_from_the_training_masks() -> None:
    samples = make_samples(6, 64, np.random.default_rng(0))
    method = TwoStageMask("quick")
    method.prepare(FitData(samples, samples[:1]), Budget(4))
    assert method.net.templates is not None
    kept = method.net.templates.templates
    mean = np.mean([s.amodal.mean() for s in samples])
    assert kept[:6].mean().item() == pytest.approx(mean, rel=0.02)
    assert not kept[6:].any(), "six people give six templates"


@pytest.mark.parametrize(("preset", "pixels"), [("quick", 64), ("small", 128), ("full", 256)])
def test_every_preset_fits_its_size(preset: str, pixels: int) -> None:
    with torch.device("meta"):
        mask = TwoStageMask(preset)  # type: ignore[arg-type]
        content = TwoStageContent(preset)  # type: ignore[arg-type]
    assert mask.sizes == MASK_PRESETS[preset]  # type: ignore[index]
    levels = CONTENT_PRESETS[preset].net.levels  # type: ignore[index]
    assert pixels >> levels == 2, "the innermost level is two pixels wide, as in the paper"
    if preset == "full":
        assert mask.parameters_used() == pytest.approx(27.0e6, rel=0.01)
    assert content.parameters_used() > mask.parameters_used()

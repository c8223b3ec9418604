"""The ablations at small: one change a row, the people and the samples seen of photos-64."""

from dataclasses import asdict
from typing import Any

import pytest
import torch

from hdeocc.method import method_class
from leaderboards.benchmark import load_benchmark

NAMES = ("ablation-stage-1", "ablation-stage-2")


@pytest.mark.parametrize("name", NAMES)
def test_rows_differ_from_the_whole_by_one_setting_alone(name: str) -> None:
    benchmark = load_benchmark(name)
    assert "two-stage" in benchmark.tracks.mask + benchmark.tracks.content
    whole: dict[str, Any] = {}
    for row in benchmark.variants.values():
        kind = method_class(row.track, row.base)
        sizes, options = kind.settings("small", row.options)
        whole = asdict(kind.presets["small"])
        changed = asdict(sizes)
        assert [k for k in whole if changed[k] != whole[k]] == [next(iter(options)).split(".")[0]]
        assert len(options) == 1
        with torch.device("meta"):
            kind.variant("small", row.options)
    assert benchmark.seeds == (0, 1, 2)


@pytest.mark.parametrize("name", NAMES)
def test_people_and_samples_seen_are_those_of_the_comparison(name: str) -> None:
    ablation, real = load_benchmark(name), load_benchmark("photos-64")
    for field in ("recipe", "fingerprint", "preset", "protocol", "train"):
        assert getattr(ablation, field) == getattr(real, field)
    for own, theirs in (
        (ablation.budget.mask, real.budget.mask),
        (ablation.budget.content, real.budget.content),
    ):
        chosen = {"lr", "trial_samples", "lr_of"}
        assert own.model_dump(exclude=chosen) == theirs.model_dump(exclude=chosen)


def test_the_control_stands_beside_the_ablation_of_stage_1() -> None:
    assert "unet" in load_benchmark("ablation-stage-1").tracks.mask

"""The ablations at small: one change a row, the people and the budget of photos-small at 64 px."""

from dataclasses import asdict
from typing import Any

import pytest
import torch

from hdeocc.method import method_class
from leaderboards.benchmark import load_benchmark
from synth.recipe import load_recipe

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
def test_people_and_budget_are_those_of_the_real_benchmark(name: str) -> None:
    ablation, real = load_benchmark(name), load_benchmark("photos-small")
    for field in ("preset", "protocol", "budget", "train"):
        assert getattr(ablation, field) == getattr(real, field)
    small, large = load_recipe(ablation.recipe), load_recipe(real.recipe)
    own = {"name", "title", "size", "shard_size"}
    assert small.model_dump(exclude=own) == large.model_dump(exclude=own)
    assert ablation.fingerprint


def test_the_control_stands_beside_the_ablation_of_stage_1() -> None:
    assert "unet" in load_benchmark("ablation-stage-1").tracks.mask

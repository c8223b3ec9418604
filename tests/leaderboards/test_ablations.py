"""The ablations at small: one change a row, and the data and budget of photos-small."""

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
def test_data_and_budget_are_those_of_the_real_benchmark(name: str) -> None:
    ablation, real = load_benchmark(name), load_benchmark("photos-small")
    for field in ("recipe", "fingerprint", "preset", "protocol", "budget", "train"):
        assert getattr(ablation, field) == getattr(real, field)


def test_the_control_stands_beside_the_ablation_of_stage_1() -> None:
    assert "unet" in load_benchmark("ablation-stage-1").tracks.mask

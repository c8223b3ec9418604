"""A benchmark whose methods learn from samples made while they train."""

from pathlib import Path
from typing import Any

import pytest
import torch

import hdeocc.train
from hdeocc.fabric import make_fabric
from hdeocc.folders import read_json
from hdeocc.method import Budget, FitData, method_class
from leaderboards.benchmark import Benchmark, parse_benchmark
from leaderboards.make_rows import training_samples
from leaderboards.run import run_benchmark
from synth.errors import InputError
from synth.live import Live
from synth.plan import open_plan
from synth.recipe import load_recipe
from synth.store import Dataset, Split
from tests.leaderboards import fakes
from tests.synth.tiny import RECIPE, write_tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, and beside them a recipe that stores no train samples."""
    folder = write_tiny(tmp_path_factory.mktemp("data"))
    text = RECIPE.format(train=0, shard_size=8).replace("size = 32", "size = 64", 1)
    (folder / "tiny.toml").write_text(text)
    return folder


def benchmark(data: Path, train: str = "live") -> Benchmark:
    text = fakes.toml(["identity", "pix2pix"], [], [])
    text = text.replace('recipe = "people-quick"', f'recipe = "{data / "tiny.toml"}"')
    return parse_benchmark(f'train = "{train}"\n{text}', "live")


def test_disk_is_the_default_and_other_words_are_refused(data: Path) -> None:
    assert fakes.benchmark(["identity"], [], []).train == "disk"
    with pytest.raises(InputError, match="train: input should be 'disk' or 'live'"):
        benchmark(data, "life")


def test_without_stored_train_samples_only_live_runs(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no train samples"):
        run_benchmark(benchmark(data, "disk"), tmp_path / "out", data, progress=False)
    assert not (tmp_path / "out").exists()


def test_a_live_benchmark_runs_and_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "no-weights"))
    fits: list[Any] = []
    original = hdeocc.train.train

    def noted(method: Any, given: FitData, *rest: Any) -> None:
        fits.append(given.train)
        original(method, given, *rest)

    monkeypatch.setattr(hdeocc.train, "train", noted)
    out = tmp_path / "out"
    records = run_benchmark(benchmark(data), out, data, progress=False)
    assert {r.method for r in records} == {"identity", "pix2pix"} and all(
        r.complete for r in records
    )
    [live] = fits
    assert isinstance(live, Live) and live.endless
    assert Dataset.open(out / "data").info["counts"]["train"] == 0
    fitted = read_json(out / "models" / "mask.pix2pix" / "seed-0" / "fitted.json")
    assert fitted["train"] == live.fingerprint
    run_benchmark(benchmark(data), out, data, progress=False)
    assert len(fits) == 1


def test_training_samples_are_stored_or_live(data: Path, tmp_path: Path) -> None:
    from synth.build import build

    recipe = load_recipe(data / "tiny.toml")
    counts = recipe.counts.model_copy(update={"train": 3})
    made = build(recipe.model_copy(update={"counts": counts}), tmp_path, data, progress=False)
    assert made is not None
    assert isinstance(training_samples(benchmark(data, "disk"), made, data, 1), Split)
    live = training_samples(benchmark(data), made, data, 2)
    assert isinstance(live, Live) and live.workers == 2 and len(live) == 3


def test_a_killed_live_training_ends_with_the_same_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = open_plan(load_recipe(data / "tiny.toml"), data)
    budget = Budget(samples=12, batch=2, precision="32-true")

    def trained(workdir: Path) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)  # of the weights it starts from
        method: Any = method_class("mask", "pix2pix")("quick")
        method.fit(FitData(Live(plan), Live(plan, "val"), workdir), budget, make_fabric(budget))
        return dict(method.nets.generator.state_dict())

    straight = trained(tmp_path / "straight")
    step = hdeocc.train.train_step

    def stopping(state: Any, *rest: Any) -> Any:
        if state.step == 3:
            raise KeyboardInterrupt
        return step(state, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(hdeocc.train, "train_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "killed")
    resumed = trained(tmp_path / "killed")
    assert straight.keys() == resumed.keys()
    for name, value in straight.items():
        assert torch.equal(value, resumed[name]), name

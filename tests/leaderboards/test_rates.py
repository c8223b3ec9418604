"""Learning rates: val chooses one for each method at the first seed, and every seed keeps it."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hdeocc import train
from hdeocc.folders import file_digests
from hdeocc.method import Diverged
from hdeocc.training_log import read_log
from hdeocc.training_state import State
from leaderboards.benchmark import Benchmark, parse_benchmark
from leaderboards.budgets import TrackBudget
from leaderboards.fit import Fitter
from leaderboards.folder import Folder
from leaderboards.rates import choose, read_choice
from leaderboards.records import Record, read_records
from leaderboards.run import run_benchmark
from leaderboards.status import status
from synth.errors import InputError
from tests.fakes import make_samples
from tests.leaderboards import fakes
from tests.leaderboards.fakes import FakeSplit


def rated(rates: str = "[0.1, 0.5, 0.2]", seeds: str = "[3, 4]", more: str = "") -> Benchmark:
    text = fakes.toml(["identity", "rated"], [], [])
    text = text.replace("samples = 8\n", f"samples = 8\nlr = {rates}\n{more}\n", 1)
    return parse_benchmark(text.replace("[budget.mask]", f"seeds = {seeds}\n[budget.mask]"), "fake")


def run(out: Path, benchmark: Benchmark) -> list[Record]:
    return run_benchmark(benchmark, out, None, progress=False)


@pytest.fixture(autouse=True)
def nothing_yet() -> None:
    fakes.Rated.rates.clear()


def test_every_rate_is_tried_once_and_the_best_is_kept(fake_world: Path) -> None:
    made = run(fake_world, rated())
    assert fakes.Rated.rates == [(0.1, 3), (0.2, 3), (0.5, 3), (0.5, 4)]
    found = [one.budget for one in made if one.method == "rated"]
    assert [budget["mask"]["lr"] for budget in found if budget] == [0.5, 0.5]
    choice = read_choice(fake_world / "models" / "mask.rated")
    assert choice is not None and choice.lr == 0.5 and choice.metric == "iou"
    assert set(choice.val) == {"0.1", "0.2", "0.5"}
    assert max(choice.val, key=lambda rate: choice.val[rate] or 0) == "0.5"


def test_records_and_tables_say_what_val_said(fake_world: Path) -> None:
    made = run(fake_world, rated())
    choice = read_choice(fake_world / "models" / "mask.rated")
    assert choice is not None
    by_seed = {(one.method, one.seed): one.rates for one in made}
    assert by_seed["rated", 3] == by_seed["rated", 4] == {"mask": choice.val}
    assert by_seed["identity", 3] == {}
    assert read_records(fake_world / "results") == made
    text = (fake_world / "leaderboard.md").read_text()
    said = [f"{choice.val[rate]:.4f}" for rate in ("0.1", "0.2", "0.5")]
    head, line = text[text.index("### Learning rates: IoU ↑ on val") :].split("\n")[2:5:2]
    assert head.split() == ["|", "method", "|", "0.1", "|", "0.2", "|", "0.5", "|"]
    assert line.split() == f"| Rated | {said[0]} | {said[1]} | **{said[2]}** |".split()


def test_a_rate_that_diverges_is_left_out_and_not_tried_again(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fakes.Rated, "highest", 0.3)
    for _ in range(2):
        run(fake_world, rated())
        assert fakes.Rated.rates == [(0.1, 3), (0.2, 3), (0.5, 3), (0.1, 4)]
    choice = read_choice(fake_world / "models" / "mask.rated")
    assert choice is not None and choice.lr == 0.1 and choice.val["0.5"] is None
    assert {row.fitted for row in status(fake_world).rows} == {"yes"}


def test_where_the_chosen_one_diverges_later_the_next_best_is_taken(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fakes.Rated, "highest_for_long", 0.3)
    for _ in range(2):
        run(fake_world, rated(more="trial_samples = 4"))
        assert fakes.Rated.rates == [(0.1, 3), (0.2, 3), (0.5, 3), (0.5, 3), (0.1, 3), (0.1, 4)]
    choice = read_choice(fake_world / "models" / "mask.rated")
    assert choice is not None and choice.lr == 0.1 and choice.val["0.5"] is None
    assert {row.fitted for row in status(fake_world).rows} == {"yes"}


def test_where_all_rates_diverge_the_row_is_named(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fakes.Rated, "highest", 0.01)
    with pytest.raises(
        InputError, match=r"^mask\.rated: no iou on val at any learning rate of 0\.1"
    ):
        run(fake_world, rated())
    with pytest.raises(InputError, match=r"^mask\.rated at learning rate 0\.1: the training div"):
        run(fake_world, rated("0.1", "[3]"))


def test_what_spends_nothing_tries_nothing_and_records_no_budget(fake_world: Path) -> None:
    text = fakes.toml(["frugal"], [], []).replace(
        "samples = 8\n", "samples = 8\nlr = [0.1, 0.2]\n", 1
    )
    (made,) = run(fake_world, parse_benchmark(text, "fake"))
    assert made.budget is None and made.rates == {}
    assert not list(fake_world.glob("training/*/lr-*"))
    assert status(fake_world).rows[0].fitted == "yes"


def test_a_row_whose_rate_is_known_tries_none(fake_world: Path) -> None:
    (made, _) = [one for one in run(fake_world, rated(more="lr_of.rated = 0.2")) if one.budget]
    assert fakes.Rated.rates == [(0.2, 3), (0.2, 4)]
    assert made.budget is not None and made.budget["mask"]["lr"] == 0.2 and made.rates == {}
    assert "lr_of" not in made.budget["mask"], "which tells of other rows"
    assert {row.fitted for row in status(fake_world).rows} == {"yes"}


def test_where_there_is_no_choice_nothing_is_said_of_one(fake_world: Path) -> None:
    (record,) = [one for one in run(fake_world, rated("0.1", "[3]")) if one.method == "rated"]
    assert record.rates == {}
    assert "Learning rates" not in (fake_world / "leaderboard.md").read_text()


def test_the_chosen_model_is_the_one_that_was_tried(fake_world: Path) -> None:
    run(fake_world, rated())
    folder = Folder(fake_world)
    tried, _ = folder.tried("mask.rated", 0.5)
    assert file_digests(folder.model("mask.rated", 3)) == file_digests(tried)
    assert (tried / "fitted.json").read_bytes() == (
        folder.model("mask.rated", 3) / "fitted.json"
    ).read_bytes()


def test_a_later_seed_alone_is_trained_at_the_rate_chosen_at_the_first(fake_world: Path) -> None:
    run_benchmark(rated(), fake_world, None, progress=False, seeds=[4])
    assert fakes.Rated.rates == [(0.1, 3), (0.2, 3), (0.5, 3), (0.5, 4)]


def test_a_record_tells_of_the_rates_its_model_was_chosen_among(fake_world: Path) -> None:
    run(fake_world, rated())
    made = run(fake_world, rated("[0.2, 0.5]"))
    (first, _) = [one for one in made if one.method == "rated"]
    assert set(first.rates["mask"]) == {"0.2", "0.5"}, "the same was chosen, among fewer"
    assert len(fakes.Rated.rates) == 4, "and nothing was trained again"


def test_a_short_try_is_not_the_model(fake_world: Path) -> None:
    short = rated(more="trial_samples = 4")
    made = run(fake_world, short)
    assert fakes.Rated.rates == [(0.1, 3), (0.2, 3), (0.5, 3), (0.5, 3), (0.5, 4)]
    spent = [one.budget["mask"] for one in made if one.method == "rated" and one.budget]
    assert [(budget["samples"], budget["lr"]) for budget in spent] == [(8, 0.5), (8, 0.5)]
    tried, _ = Folder(fake_world).tried("mask.rated", 0.5)
    spent = json.loads((tried / "fitted.json").read_text())["budget"]
    assert (spent["samples"], spent["stop"]) == (8, 4), "the schedule is that of the whole"
    before = len(fakes.Rated.rates)
    run(fake_world, short)
    assert len(fakes.Rated.rates) == before, "nothing is trained twice"


REAL = """
name = "raced"
title = "Raced"
recipe = "people-tiny"
protocol = "2"
preset = "quick"
seeds = [0, 1]
[budget.mask]
samples = 16
batch = 4
lr = {lr}
{more}
[budget.content]
samples = 8
[tracks]
mask = ["pix2pix"]
"""


def test_the_best_goes_on_and_ends_where_it_would_have_without_being_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, step = list[float](), train.train_step

    def counted(state: State, *more: Any) -> dict[str, float]:
        losses = step(state, *more)
        made.append(state.learning_rate)
        return losses

    monkeypatch.setattr(train, "train_step", counted)
    samples = [make_samples(4, 64, np.random.default_rng(i)) for i in (0, 1)]
    splits: Any = [FakeSplit(some, name) for some, name in zip(samples, "tv", strict=True)]

    def fitter(name: str, lr: str, more: str = "") -> Fitter:
        benchmark = parse_benchmark(REAL.format(lr=lr, more=more), name)
        return Fitter(Folder(tmp_path / name), benchmark, *splits)

    raced = fitter("raced", "[1e-3, 1e-2]", "trial_samples = 8")
    found = raced.get("mask", "pix2pix", 0)
    assert len(made) == 2 + 2 + 2, "two steps at either rate, then the other two at the better"
    folder = Folder(tmp_path / "raced")
    choice = read_choice(folder.model("mask.pix2pix", 0).parent)
    assert choice is not None
    alone = fitter("alone", f"{choice.lr}")
    assert found.weights == alone.get("mask", "pix2pix", 0).weights
    assert raced.get("mask", "pix2pix", 1).weights == alone.get("mask", "pix2pix", 1).weights
    log = read_log(folder.training("mask.pix2pix", 0))
    assert [one["step"] for one in log if "loss" in one] == [1, 2, 3, 4]
    left = list((tmp_path / "raced" / "training").glob("*/*/step-*"))
    assert not left, "no state is left behind"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"lr": [0.1, 0.2], "trial_samples": 8}, "shorter than samples"),
        ({"lr": 0.1, "trial_samples": 4}, "for several rates"),
        ({"lr": [0.1, 0.2], "trial_samples": 0}, "greater than 0"),
    ],
)
def test_tries_that_make_no_sense_are_refused(more: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TrackBudget.model_validate({"samples": 8} | more)


def test_it_goes_on_and_computes_nothing_twice(fake_world: Path) -> None:
    run(fake_world, rated(seeds="[3]"))
    before = len(fakes.Rated.rates)
    run(fake_world, rated())
    assert fakes.Rated.rates[before:] == [(0.5, 4)]


def test_what_other_weights_were_worth_decides_nothing(fake_world: Path) -> None:
    run(fake_world, rated())
    path = fake_world / "models" / "mask.rated" / "rates.json"
    about = json.loads(path.read_text())
    about["weights"]["0.1"] = {"weights.safetensors": "0" * 64}
    path.write_text(json.dumps(about | {"lr": 0.1}))
    run(fake_world, rated())
    choice = read_choice(path.parent)
    assert choice is not None and choice.lr == 0.5


def test_a_single_rate_is_no_choice(fake_world: Path) -> None:
    run(fake_world, rated("0.2"))
    assert fakes.Rated.rates == [(0.2, 3), (0.2, 4)]
    assert read_choice(fake_world / "models" / "mask.rated") is None
    assert {one.budget["mask"]["lr"] for one in read_records(fake_world / "results")
            if one.budget} == {0.2}  # fmt: skip


def test_status_says_how_many_rates_were_tried(fake_world: Path) -> None:
    run(fake_world, rated())
    folder = Folder(fake_world)
    assert {row.fitted for row in status(fake_world).rows} == {"yes"}
    (folder.model("mask.rated", 3) / "fitted.json").unlink()
    (folder.tried("mask.rated", 0.5)[0] / "fitted.json").unlink()
    fitted = {row.row: row.fitted for row in status(fake_world).rows}
    assert fitted["mask.rated (seed 3)"] == "2 of 3 rates, step 0 of 1"


@pytest.mark.parametrize(
    ("track", "val", "wanted"),
    [
        ("mask", [0.1, 0.3, 0.2], 2e-3),
        ("content", [0.1, 0.3, 0.2], 1e-3),
        ("mask", [0.3, math.nan, 0.3], 1e-3),
        ("content", [math.nan, math.inf, 0.9], 4e-3),
    ],
)
def test_more_is_better_for_masks_and_less_for_content(
    track: str, val: list[float], wanted: float
) -> None:
    assert choose(track, (1e-3, 2e-3, 4e-3), val).lr == wanted  # type: ignore[arg-type]


def test_rates_that_all_fail_are_an_error() -> None:
    with pytest.raises(InputError, match=r"no iou on val at any learning rate of 0\.001, 0\.002"):
        choose("mask", (1e-3, 2e-3), (math.nan, math.nan))


@pytest.mark.parametrize("lr", [[], [1e-3], [1e-3, 0.0], 0.0, "fast"])
def test_rates_that_are_none_are_refused(lr: object) -> None:
    with pytest.raises(ValidationError):
        TrackBudget.model_validate({"samples": 8, "lr": lr})


def test_what_a_row_builds_on_is_named_when_it_diverges(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is no fault of any rate of the row itself, and nothing waits for itself.
    def diverge(*_: object) -> None:
        raise Diverged("the training diverged")

    monkeypatch.setattr(fakes.FakeMask, "fit", diverge)
    text = fakes.toml(["learned"], ["paint"], [])
    text = text.replace(
        "[budget.content]\nsamples = 8\n", "[budget.content]\nsamples = 8\nlr = [0.1, 0.2]\n"
    )
    assert "[0.1, 0.2]" in text
    for _ in range(2):
        with pytest.raises(Diverged, match=r"^mask\.learned at learning rate .*diverged"):
            run_benchmark(
                parse_benchmark(text, "fake"), fake_world, None, methods=["paint"], progress=False
            )

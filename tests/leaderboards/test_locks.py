"""Two runs in one folder: what both need is made once, and what either was asked for is kept."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hdeocc.method import Budget, FitData
from leaderboards.folder import Folder, read_claim
from leaderboards.run import run_benchmark
from synth.errors import InputError
from tests.leaderboards import fakes

ROWS = ["identity", "learned", "rated"]


def run(out: Path, methods: list[str]) -> None:
    benchmark = fakes.benchmark(ROWS, ["paint"], [])
    run_benchmark(benchmark, out, None, progress=False, methods=methods)


def test_two_runs_train_what_both_build_on_once(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    begun, fit = threading.Event(), fakes.FakeMask.fit

    def slowly(self: fakes.FakeMask, data: FitData, budget: Budget, fabric: Any) -> None:
        begun.set()
        time.sleep(1)
        fit(self, data, budget, fabric)

    monkeypatch.setattr(fakes.FakeMask, "fit", slowly)
    first = threading.Thread(target=run, args=(fake_world, ["learned"]))
    first.start()
    assert begun.wait(30)
    run(fake_world, ["paint"])  # builds on mask.learned
    first.join()
    assert sorted(fakes.FakeMask.fits) == [("FakeContent", 0), ("FakeMask", 0)]
    said = capfd.readouterr().err
    assert f"{fake_world}: waits for another process that makes models/mask.learned" in said
    assert [one.methods for one in read_claim(fake_world).asked] == [("learned",), ("paint",)]


def test_a_folder_that_is_refused_is_left_as_it_is(fake_world: Path) -> None:
    fake_world.mkdir()
    (fake_world / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else"):
        run(fake_world, ["learned"])
    assert [path.name for path in fake_world.iterdir()] == ["mine.txt"]


def test_locks_of_the_dead_hold_nobody_up(fake_world: Path) -> None:
    folder = Folder(fake_world)
    with pytest.raises(RuntimeError), folder.making(folder.model("mask.learned", 0)):
        raise RuntimeError
    assert list((fake_world / ".locks").iterdir())
    run(fake_world, ["learned"])
    assert len(fakes.FakeMask.fits) == 1

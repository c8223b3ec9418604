"""One fingerprint whatever the engine, wherever a build was killed, and no shard done twice."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from synth import engines
from synth.build import build
from synth.check import check
from synth.engines import Opener, choose
from synth.errors import InputError
from synth.recipe import Recipe
from synth.shards import jobs
from synth.store import Dataset
from tests.synth.scenarios import (
    AFTER,
    BEFORE,
    SAMPLE,
    Running,
    assert_not_done_again,
    die_at,
    files_of,
    finished_files,
    message_in,
)
from tests.synth.tiny import LONG, leftovers, tiny_recipe

SHORT = tiny_recipe(5)
RENAMES = 1 + 2 * len(jobs(SHORT)) + 4


@pytest.fixture(scope="module")
def reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All files of a data set that one process built without interruption."""
    folder = tmp_path_factory.mktemp("reference")
    built(SHORT, folder, data)
    return files_of(folder)


def built(
    recipe: Recipe,
    out: Path,
    data: Path,
    part: tuple[int, int] = (1, 1),
    engine: Opener | None = None,
) -> Dataset | None:
    return build(recipe, out, data, part=part, progress=False, engine=engine)


def slurm_on_this_machine(workers: int) -> Opener:
    pytest.importorskip("submitit", reason="submitit is not installed; install hdeocc[slurm]")
    return choose("slurm", workers, cluster="local")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("kind", ["processes", "slurm"])
def test_every_engine_writes_the_same_files(
    kind: str, workers: int, reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    opener = choose(kind, workers) if kind == "processes" else slurm_on_this_machine(workers)
    built(SHORT, tmp_path, data, engine=opener)
    assert files_of(tmp_path) == reference


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_three_parts_in_any_order_give_the_same_files(
    order: tuple[int, ...], reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    for place, part in enumerate(order):
        dataset = built(SHORT, tmp_path, data, (part, 3))
        assert (dataset is None) == (place < 2)
    assert files_of(tmp_path) == reference


def test_parts_may_use_different_engines(
    reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    assert built(SHORT, tmp_path, data, (3, 3), choose("processes", 2)) is None
    assert built(SHORT, tmp_path, data, (1, 3), slurm_on_this_machine(1)) is None
    assert built(SHORT, tmp_path, data, (2, 3)) is not None
    assert files_of(tmp_path) == reference


def moments() -> list[Any]:
    """Every rename, before and after, and some samples; most are for the slow run.

    The first renames are of recipe.json, of the first shard and of its marker, the last of
    annotations.json, contact_sheet.png, README.md and dataset.json.
    """
    often = [(BEFORE, n) for n in (1, 3, RENAMES - 3, RENAMES)]
    often += [(AFTER, n) for n in (2, 3, RENAMES - 3, RENAMES - 2, RENAMES - 1, RENAMES)]
    often += [(SAMPLE, 3), (SAMPLE, 6)]
    every = [(kind, n) for kind in (BEFORE, AFTER) for n in range(1, RENAMES + 1)]
    every += [(SAMPLE, n) for n in range(1, len_of(SHORT) + 1)]
    return [
        pytest.param(
            moment,
            marks=() if moment in often else pytest.mark.slow,
            id=f"{moment[0]} {moment[1]}",
        )
        for moment in every
    ]


def len_of(recipe: Recipe) -> int:
    return sum(job.count for job in jobs(recipe))


@pytest.mark.parametrize("moment", moments())
def test_killed_anywhere_and_started_again(
    moment: tuple[str, int], reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    assert die_at(moment, SHORT, tmp_path, data)
    complete = (tmp_path / "dataset.json").exists()
    assert complete == (moment == (AFTER, RENAMES))
    done = finished_files(tmp_path)
    built(SHORT, tmp_path, data)
    assert_not_done_again(tmp_path, done)
    after = files_of(tmp_path)
    if complete:  # nothing was left to do, so nothing was locked and tidied either
        after = {name: content for name, content in after.items() if not name.startswith(".")}
    assert after == reference


def test_there_are_no_more_moments(data: Path, tmp_path: Path) -> None:
    assert not die_at((AFTER, RENAMES + 1), SHORT, tmp_path, data)


@pytest.mark.parametrize(
    "moment", ["shard-00002.json", pytest.param(".tmp-*shard-00009.tar", marks=pytest.mark.slow)]
)
def test_two_processes_killed_and_started_again(
    moment: str, long_toml: Path, long_reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    running = Running(long_toml, tmp_path / "out", data, "--workers", 2)
    running.wait_for_file(moment)
    running.kill()
    done = finished_files(tmp_path / "out")
    assert not (tmp_path / "out/dataset.json").exists()
    again = Running(long_toml, tmp_path / "out", data, "--workers", 2)
    again.end(0)
    assert_not_done_again(tmp_path / "out", done)
    assert files_of(tmp_path / "out") == long_reference


def test_a_killed_worker_is_one_line_and_the_build_can_go_on(
    long_toml: Path, long_reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    running = Running(long_toml, tmp_path / "out", data, "--workers", 2)
    running.kill_a_worker()
    message = message_in(running.end(2))
    assert "a worker process died" in message and "start the same command again" in message
    assert leftovers(tmp_path / "out") == []
    done = finished_files(tmp_path / "out")
    built(LONG, tmp_path / "out", data)
    assert_not_done_again(tmp_path / "out", done)
    assert files_of(tmp_path / "out") == long_reference


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_stops_all_and_leaves_nothing_half_done(
    workers: int, long_toml: Path, long_reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    running = Running(long_toml, tmp_path / "out", data, "--workers", workers)
    running.wait_for_file("shard-00001.json")
    running.interrupt()
    assert "Run the same command again" in running.end(130)
    assert leftovers(tmp_path / "out") == []
    assert not (tmp_path / "out/dataset.json").exists()
    done = finished_files(tmp_path / "out")
    built(LONG, tmp_path / "out", data)
    assert_not_done_again(tmp_path / "out", done)
    assert files_of(tmp_path / "out") == long_reference


def test_one_of_two_builds_at_once_is_told_and_does_no_harm(
    long_toml: Path, long_reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    both = [Running(long_toml, tmp_path / "out", data) for _ in range(2)]
    for one in both:
        one.process.wait(60)
    first, second = sorted(both, key=lambda one: one.process.returncode)
    first.end(0)
    assert "builds here already" in message_in(second.end(2))
    assert files_of(tmp_path / "out") == long_reference


def test_a_build_that_lost_its_lock_stops(data: Path, tmp_path: Path) -> None:
    """Where a file system has no locks, the last comer signs the lock file and the first stops."""

    class TakenOver(engines.Engine[str]):
        def submit(self, function: engines.base.Function, shards: object) -> str:
            if len(list(tmp_path.glob("*.tar"))) == 1:
                (tmp_path / ".build-1-of-1.lock").write_text("another")
            return function(shards)  # type: ignore[arg-type]

        def wait(self, handles: object, seconds: float) -> list[str]:
            return list(handles)  # type: ignore[call-overload]

        def result(self, handle: str) -> str:
            return handle

        def close(self) -> None:
            pass

    with pytest.raises(InputError, match="another one took the folder"):
        built(SHORT, tmp_path, data, engine=lambda folder: TakenOver())
    assert len(list(tmp_path.glob("*.tar"))) == 1
    assert leftovers(tmp_path) == [".build-1-of-1.lock"]  # it names the other, who needs it
    built(SHORT, tmp_path, data)
    assert check(tmp_path) == []
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "spark"}, "no such engine; there are processes, ray, slurm"),
        ({"workers": 0}, "--workers 0"),
        ({"address": "auto"}, "add --engine ray"),
        ({"sbatch": {"partition": "cpu"}}, "add --engine slurm"),
        ({"cluster": "local"}, "add --engine slurm"),
    ],
)
def test_options_that_do_not_fit_are_input_errors(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "module"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_extra_is_one_line(
    kind: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(InputError, match=rf"^{module} is not installed; install hdeocc\[{kind}\]$"):
        choose(kind, cluster="local" if kind == "slurm" else "slurm")

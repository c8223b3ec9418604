"""Rows made by several processes: the same results, nothing made twice, and an end for all."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import connection
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboards import jobs
from leaderboards.benchmark import load_benchmark
from leaderboards.diff import diff
from leaderboards.fit import Fitter
from leaderboards.folder import Folder
from leaderboards.jobs import Schedule, _answer, _Job, _Progress, _Work
from leaderboards.plan import Planned, planned, stands_on
from leaderboards.records import read_records
from leaderboards.status import status
from synth.errors import InputError
from tests.leaderboards import fakes
from tests.leaderboards.test_end_to_end import RECIPE, environment

BENCHMARK = """
name = "tiny"
title = "Tiny"
recipe = "{recipe}"
seeds = [0]
protocol = "2"
preset = "quick"
[budget.mask]
samples = 8
batch = 4
[budget.content]
samples = {content}
batch = 4
[tracks]
mask = ["convex-hull", "pix2pix", "two-stage"]
content = ["telea", "two-stage"]
full = [["two-stage", "two-stage"]]
"""
ROWS = 3 + 2 + 1


# --- which row comes next ---------------------------------------------------------------------

needs = st.lists(st.frozensets(st.sampled_from("abcde"), min_size=1), min_size=1, max_size=8)


@given(needs, st.integers(1, 4), st.randoms(use_true_random=False))
def test_no_two_processes_make_the_same_thing(
    needed: list[frozenset[str]], jobs: int, draw: "st.DataObject"
) -> None:
    rows = {Planned("mask", (str(i),), 0): one for i, one in enumerate(needed)}
    schedule, there, running = Schedule(list(rows.items())), set[str](), list[Planned]()
    finished = []
    while schedule.waiting or running:
        while len(running) < jobs and (row := schedule.next()):
            running.append(row)
        assert running, "somebody always can"
        unmade = [rows[row] - there for row in running]
        assert sum(map(len, unmade)) == len(frozenset().union(*unmade))
        done = running.pop(draw.randrange(len(running)))  # type: ignore[attr-defined]
        schedule.made(done)
        there |= rows[done]
        finished.append(done)
    assert set(finished) == set(rows)
    if jobs == 1:
        assert finished == list(rows)


def test_rows_that_share_nothing_are_made_in_their_order() -> None:
    rows = [Planned("mask", (name,), 0) for name in "abc"]
    schedule = Schedule([(row, frozenset([row.name])) for row in rows])
    assert [schedule.next() for _ in rows] == rows and schedule.next() is None


def test_what_rows_of_a_benchmark_stand_on() -> None:
    benchmark = load_benchmark("photos-full")
    on = {(row.track, row.name, row.seed): stands_on(benchmark, row) for row in planned(benchmark)}
    ours = on["mask", "two-stage", 0]
    trainings = {"mask.two-stage, seed 0", "learning rate of mask.two-stage"}
    assert ours == trainings | {"predictions of mask.two-stage, seed 0"}
    assert trainings < on["content", "lama", 0] and trainings < on["content", "two-stage", 0]
    assert ours < on["full", "two-stage+two-stage", 0], "it fills the very masks"
    assert ours & on["mask", "two-stage", 1] == {"learning rate of mask.two-stage"}
    assert {"mask.ovsr, seed 0", "content.ovsr, seed 0"} < on["mask", "ovsr-iterated", 0]
    assert not on["mask", "unet", 0] & on["mask", "pcnet", 0]
    assert on["content", "telea", 0] == {"content.telea, seed 0"}


def test_what_another_process_has_fitted_is_not_fitted_again(fake_world: Path) -> None:
    benchmark = fakes.benchmark(["learned"], [], [])
    data = fakes.open_dataset(fake_world)

    def fitter() -> Fitter:
        train, val = data.split("train"), data.split("val")
        return Fitter(Folder(fake_world), benchmark, train, val, "always")  # type: ignore[arg-type]

    first, other, third = fitter(), fitter(), fitter()
    first.get("mask", "learned", 0)
    assert first.made == {Folder(fake_world).model("mask.learned", 0)}
    other.made |= first.made
    other.get("mask", "learned", 0)
    assert len(fakes.FakeMask.fits) == 1
    third.get("mask", "learned", 0)
    assert len(fakes.FakeMask.fits) == 2


# --- real processes ---------------------------------------------------------------------------


def command(folder: Path, out: str, *more: str, content: int = 8) -> list[str]:
    (folder / "tiny.toml").write_text(RECIPE)
    benchmark = folder / "tiny-benchmark.toml"
    benchmark.write_text(BENCHMARK.format(recipe=folder / "tiny.toml", content=content))
    program = [sys.executable, "-m", "hdeocc", "bench", "run", str(benchmark), "--workers", "1"]
    return [*program, "--out", str(folder / out), *more]


def called(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    # As in the background of a shell, where Ctrl-C is ignored.
    return subprocess.run(
        command(folder, *arguments), env=environment(folder), text=True, capture_output=True,
        timeout=300, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One benchmark, made by one process ("one") and by two ("two")."""
    folder = tmp_path_factory.mktemp("jobs")
    for out, more in (("one", []), ("two", ["--jobs", "2"])):
        done = called(folder, out, *more)
        assert done.returncode == 0, done.stderr
        (folder / f"{out}.err").write_text(done.stderr)
    return folder


def test_two_processes_make_what_one_makes(folder: Path) -> None:
    found = diff(folder / "one", folder / "two")
    assert found.same and found.same_table and found.compared >= 40
    records = read_records(folder / "two" / "results")
    assert len(records) == ROWS and status(folder / "two").done
    assert all(record.milliseconds for record in records if record.learned)
    models = folder / "one" / "models"
    paths = sorted(path.relative_to(folder / "one") for path in models.rglob("*.safetensors"))
    assert len(paths) == 3
    for path in paths:
        assert (folder / "one" / path).read_bytes() == (folder / "two" / path).read_bytes()


def test_both_of_them_worked_and_said_so(folder: Path) -> None:
    logs = [path.read_text() for path in sorted((folder / "two" / "logs").iterdir())]
    assert len(logs) == 2 and all("track: " in log for log in logs)
    said = (folder / "two.err").read_text()
    assert f"[{ROWS}/{ROWS}] " in said and said.count(": made") == ROWS
    assert "time the rows" in said


def test_again_nothing_is_made(folder: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (folder / "two" / "results").iterdir()}
    done = called(folder, "two", "--jobs", "2")
    assert done.returncode == 0 and "time the rows" not in done.stderr
    assert {p: p.stat().st_mtime_ns for p in (folder / "two" / "results").iterdir()} == before


def test_made_again_it_is_the_same(folder: Path) -> None:
    two = folder / "two"
    before = {p: p.stat().st_mtime_ns for p in two.glob("models/*/*/fitted.json")}
    done = called(folder, "two", "--jobs", "2", "--rerun", "always", "--methods", "two-stage")
    assert done.returncode == 0, done.stderr
    again = {p.parts[-3] for p in before if p.stat().st_mtime_ns != before[p]}
    assert again == {"mask.two-stage", "content.two-stage"}
    assert diff(folder / "one", two).same


def test_a_refused_row_is_one_line_and_stops_the_others(folder: Path) -> None:
    (weights,) = (folder / "two" / "models").glob("mask.pix2pix/seed-0/weights.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    done = called(folder, "two", "--jobs", "2")
    weights.write_bytes(whole)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert len(errors) == 1 and str(weights.parent) in errors[0]
    assert "Traceback" not in done.stderr


def test_a_process_that_died_is_named_with_its_row(tmp_path: Path) -> None:
    ours, theirs = multiprocessing.Pipe()
    theirs.close()
    job = _Job(None, ours, tmp_path / "job-1.log", Planned("mask", ("unet",), 2))
    with pytest.raises(InputError, match=r"row mask track: unet, seed 2: .*memory.*job-1\.log"):
        _answer(job)


def hears_nothing(work: _Work, pipe: "connection.Connection[None, None]") -> None:
    """A process that the signal reaches right before it waits, which then waits on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.alarm(30)  # which ends the process by a signal
    pipe.send(None)
    with contextlib.suppress(EOFError):
        pipe.recv()


def swallows(work: _Work, pipe: "connection.Connection[None, None]") -> None:
    """A process in which the first interrupt is lost, as in a destructor."""
    jobs.AGAIN = 1
    with jobs._until_interrupted():
        with contextlib.suppress(KeyboardInterrupt):
            pipe.send(None)
            time.sleep(30)
        time.sleep(30)
        os._exit(1)


@pytest.mark.parametrize("process", [hears_nothing, swallows])
def test_who_missed_the_signal_ends_too(
    process: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_work", process)
    benchmark = load_benchmark("photos-64")
    work = _Work(
        benchmark, Folder(tmp_path), tmp_path, tmp_path, None, "always", 1, 1, tmp_path / "log"
    )
    with pytest.raises(InputError, match="refused"), jobs._processes([work]) as pool:
        (job,) = pool
        job.pipe.recv()
        raise InputError("a row was refused")
    assert job.process.exitcode == 0


def test_a_terminal_shows_how_far_the_rows_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = load_benchmark("photos-64")
    rows = [Planned("mask", ("unet",), 0), Planned("content", ("telea",), 0)]
    training = Folder(tmp_path).tried("mask.unet", 3e-4)[1]
    (training / "step-120").mkdir(parents=True)
    (training / "training.json").write_text("{}")
    shown = _Progress(benchmark, Folder(tmp_path), wanted=True)
    shown.show(rows)
    assert capsys.readouterr().err == "", "a file holds no line that is replaced"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "90")
    shown = _Progress(benchmark, Folder(tmp_path), wanted=True)
    shown.show(rows)
    shown.say("done")
    said = capsys.readouterr().err
    line = "mask track: unet: 0 of 3 rates, step 120 of 438 | content track: telea: begins"
    assert said == f"\r\x1b[K{line}\r\x1b[Kdone\n"
    monkeypatch.setenv("COLUMNS", "20")
    shown.show(rows)
    assert capsys.readouterr().err == f"\r\x1b[K{line[:19]}"


def children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(one) for one in found.stdout.split()]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_or_killed_no_process_stays(tmp_path: Path, how: int) -> None:
    training = tmp_path / "out" / "training" / "content.two-stage"
    run = subprocess.Popen(
        command(tmp_path, "out", "--jobs", "2", "--methods", "content.two-stage,telea",
                content=100_000),
        env=environment(tmp_path), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    limit = time.monotonic() + 300
    while not training.is_dir() and run.poll() is None and time.monotonic() < limit:
        time.sleep(0.2)
    time.sleep(1)
    ours = children(run.pid)
    assert len(ours) >= 2 and run.poll() is None
    run.send_signal(how)
    said = run.communicate(timeout=120)[1]
    if how == signal.SIGINT:
        assert run.returncode == 130 and "Go on with: hdeocc bench run" in said
        assert "--jobs 2" in said
    while any(map(alive, ours)) and time.monotonic() < limit + 60:
        time.sleep(0.2)
    assert not any(map(alive, ours))

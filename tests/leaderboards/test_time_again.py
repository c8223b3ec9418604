"""Timing a finished run again changes milliseconds, and nothing that was predicted or scored."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import hdeocc.method
from hdeocc.folders import read_json
from leaderboards import predict, render, run
from leaderboards.cli import bench
from leaderboards.folder import Folder
from leaderboards.make_rows import RowMaker
from leaderboards.records import read_record, write_record
from leaderboards.run import run_benchmark
from tests.leaderboards import fakes

ALL = fakes.benchmark(["identity", "learned"], ["paint"], [["learned", "paint"]])


def _pictures(out: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(out.rglob("predictions/**/*.png"))}


def _time(out: Path) -> str:
    done = CliRunner().invoke(bench, ["time", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_only_milliseconds_change(fake_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {r.key: r for r in run_benchmark(ALL, fake_world, None, progress=False)}
    pictures = _pictures(fake_world)
    assert pictures
    monkeypatch.setattr(predict, "time_one", lambda method, inputs: 1000.0 + len(inputs))
    _time(fake_world)
    after = {r.key: r for r in run_benchmark(ALL, fake_world, None, "never", progress=False)}
    assert _pictures(fake_world) == pictures and set(after) == set(before)
    for key, record in after.items():
        times = 2 if record.track == "full" else 1  # its masks and its colours
        assert record.milliseconds == times * 1006.0  # six samples
        assert record.model_copy(update={"milliseconds": before[key].milliseconds}) == before[key]
    about = read_json(Folder(fake_world).predictions("mask", "learned", 0) / predict.ABOUT)
    assert about["milliseconds"] == 1006.0


def test_a_record_that_is_written_anew_meanwhile_is_not_written_back(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_benchmark(ALL, fake_world, None, progress=False)
    path = Folder(fake_world).result("mask", "identity", 0)

    def time_one(*_: object) -> float:
        write_record(path, read_record(path).model_copy(update={"title": "Anew"}))
        return 7.0

    monkeypatch.setattr(predict, "time_one", time_one)
    _time(fake_world)
    record = read_record(path)
    assert (record.title, record.milliseconds) == ("Anew", 7.0)


def test_a_run_goes_on_from_it(fake_world: Path) -> None:
    run_benchmark(ALL, fake_world, None, progress=False)
    _time(fake_world)
    scored = {p.name: p.stat().st_mtime_ns for p in (fake_world / "results").iterdir()}
    run_benchmark(ALL, fake_world, None, progress=False)
    assert {p.name: p.stat().st_mtime_ns for p in (fake_world / "results").iterdir()} == scored


def test_what_was_made_beside_others_is_timed_when_that_is_done(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = RowMaker.__init__

    def beside(*args: Any, **more: Any) -> None:
        make(*args, **more, timed=False)

    monkeypatch.setattr(RowMaker, "__init__", beside)
    monkeypatch.setattr(run, "untimed", lambda *_: [])  # as if it were stopped before
    for record in run_benchmark(ALL, fake_world, None, progress=False):
        assert record.milliseconds is None
    text = (fake_world / "leaderboard.md").read_text()
    assert "`hdeocc bench time` measures" in text and "did not say" not in text
    monkeypatch.undo()
    monkeypatch.setattr(hdeocc.method, "_entries", fakes.registry)
    monkeypatch.setattr(run, "build", fakes.build)
    monkeypatch.setattr(render.Dataset, "open", staticmethod(fakes.open_dataset))
    made = len(fakes.FakeMask.fits)
    records = run_benchmark(ALL, fake_world, None, progress=False)
    assert len(fakes.FakeMask.fits) == made
    assert all(record.milliseconds is not None for record in records)


@pytest.mark.parametrize(
    ("key", "method"),
    [("mask.learned", "aaa"), ("full.learned+paint", "aaa"), ("full.learned+paint", "aaa+paint")],
)
def test_who_was_added_without_a_model_is_named_and_left(
    key: str, method: str, fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_benchmark(ALL, fake_world, None, progress=False)
    results = fake_world / "results"
    added = read_record(results / f"{key}.seed-0.json").model_copy(update={"method": method})
    write_record(results / f"{added.key}.json", added)
    monkeypatch.setattr(predict, "time_one", lambda method, inputs: 1000.0)
    said = _time(fake_world)
    assert f"does not time {added.key}, whose model is not here" in said
    assert read_record(results / f"{added.key}.json") == added
    assert read_record(results / "mask.learned.seed-0.json").milliseconds == 1000.0
    assert added.title in (fake_world / "leaderboard.md").read_text()


def test_what_is_missing_is_named(fake_world: Path, tmp_path: Path) -> None:
    run_benchmark(ALL, fake_world, None, progress=False)
    next(Folder(fake_world).predictions("content", "paint", 0).glob("*.png")).unlink()
    results = {path: path.read_bytes() for path in (fake_world / "results").iterdir()}
    done = CliRunner().invoke(bench, ["time", str(fake_world)])
    assert all(path.read_bytes() == content for path, content in results.items())
    assert done.exit_code == 2 and "paint" in done.output and "has not all" in done.output
    gone = CliRunner().invoke(bench, ["time", str(tmp_path / "gone")])
    assert gone.exit_code == 2 and "no such folder" in gone.output

"""The main job with nothing faked: built-in people, every registered method, the command line."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leaderboards.records import read_records
from leaderboards.status import status
from leaderboards.verify import verify

RECIPE = """
name = "tiny"
size = 64
shard_size = 8
[counts]
train = 12
val = 2
test = 4
[[people]]
source = "builtin"
pool = 30
[[occluders]]
source = "builtin"
pool = 30
"""
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
samples = 8
batch = 4
[tracks]
mask = ["identity", "convex-hull", "pix2pix", "two-stage"]
content = ["mean-colour", "nearest-person-pixel", "biharmonic", "telea", "telea-person",
    "pix2pix", "two-stage"]
full = [["two-stage", "two-stage"], ["convex-hull", "telea-person"]]
"""
ROWS = 4 + 7 + 2


def _command(folder: Path) -> list[str]:
    benchmark = folder / "tiny-benchmark.toml"
    if not benchmark.exists():
        (folder / "tiny.toml").write_text(RECIPE)
        benchmark.write_text(BENCHMARK.format(recipe=folder / "tiny.toml"))
    out = str(folder / "out")
    return [sys.executable, "-m", "hdeocc", "bench", "run", str(benchmark), "--out", out]


def environment(folder: Path) -> dict[str, str]:
    # No feature networks: a fresh machine has none, and they would take most of the time.
    return os.environ | {"HDEOCC_CACHE": str(folder / "none"), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark folder whose run was killed once while it was fitting, then finished."""
    folder = tmp_path_factory.mktemp("job")
    first = subprocess.Popen(
        [*_command(folder), "--workers", "1"],
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    waited = time.monotonic()
    while not list(folder.glob("out/results/mask.identity*")) and first.poll() is None:
        assert time.monotonic() - waited < 240, "the first result never came"
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = subprocess.run(
        [*_command(folder), "--workers", "1"],
        env=environment(folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "leaderboard.html" in done.stdout and "Two-stage (ours)" in done.stdout
    return folder / "out"


def test_every_method_gets_a_complete_record(finished: Path) -> None:
    records = read_records(finished / "results")
    assert len(records) == ROWS
    for record in records:
        assert record.complete and record.n_scored == 4
        assert record.totals
        if record.track != "mask":
            assert "hdeocc weights" in record.empty["fid"], "an empty column says what to do"


def test_tables_page_and_sheet_are_there(finished: Path) -> None:
    with (finished / "leaderboard.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == ROWS
    assert "Two-stage (ours)" in (finished / "leaderboard.md").read_text()
    assert (finished / "leaderboard.html").stat().st_size > 100_000
    assert (finished / "contact-sheet.png").read_bytes()[:4] == b"\x89PNG"


def test_nothing_is_left_half_written(finished: Path) -> None:
    assert not [p for p in finished.rglob("*") if ".tmp" in p.name]
    assert not list(finished.glob("training/*/*/step-*"))


def test_the_floors_keep_what_is_visible(finished: Path) -> None:
    by_name = {(r.track, r.method): r for r in read_records(finished / "results")}
    identity = by_name["mask", "identity"].totals
    assert identity["invisible_iou"].value == 0 and identity["iou"].value > 0.2
    assert by_name["content", "telea-person"].totals["l1_hole"].value > 0


def test_status_says_done_and_the_claims_hold(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDEOCC_CACHE", str(finished / "none"))
    assert status(finished).done
    report = verify(finished)
    assert report.faults == [] and report.records == ROWS


def test_learned_rows_know_their_cost_and_stage_1_parses(finished: Path) -> None:
    for record in read_records(finished / "results"):
        assert (record.macs is not None) == record.learned
    parsings = finished / "predictions" / "mask" / "two-stage" / "seed-0" / "parsing"
    assert len(list(parsings.glob("*.png"))) == 4

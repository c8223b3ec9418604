"""Benchmarks of speed: what is timed, how often, and what stands beside it."""

import csv
import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from hdeocc import precision
from hdeocc.cli import main
from hdeocc.method import method_class
from leaderboards import timing
from leaderboards.speed import is_speed, load_speed
from leaderboards.timing import own_network, repeat
from leaderboards.timing_table import Timing, Timings, published_timing, speed_table
from synth.errors import InputError

TEXT = """
name = "fast"
title = "Tiny networks"
preset = "quick"
pixels = 64
warm_up = 1
repetitions = 4
batches = [1, 2]
[[speed]]
track = "mask"
method = "two-stage"
title = "stage 1 (baseline)"
published = "stage 1 (baseline)"
options = { parsing = false, templates = 0 }
[[speed]]
track = "content"
method = "two-stage"
title = "stage 2 (baseline)"
options = { pga_positions = [] }
[totals]
"both" = ["stage 1 (baseline)", "stage 2 (baseline)"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "fast.toml").write_text(TEXT)
    return tmp_path / "fast.toml"


def test_every_row_is_timed_beside_what_was_printed(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["bench", "run", str(path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    with (out / "speed.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["title"], row["batch"]) for row in rows[:2]] == [
        ("stage 1 (baseline)", "1"), ("stage 1 (baseline)", "2")
    ]  # fmt: skip
    first, second = rows[0], rows[1]
    assert float(first["low"]) <= float(first["milliseconds"]) <= float(first["high"])
    assert first["repetitions"] == "4" and first["macs"] == second["macs"]
    assert first["published"] == "13.37" and second["published"] == "", "printed at batch 1"
    both = next(row for row in rows if row["title"] == "both")
    parts = [row for row in rows if row["batch"] == "1" and row["title"] != "both"]
    for column in ("milliseconds", "parameters", "macs"):
        assert float(both[column]) == pytest.approx(sum(float(row[column]) for row in parts))
    content = json.loads((out / "speed.json").read_text())
    assert content["benchmark"]["name"] == "fast" and len(content["rows"]) == len(rows)
    assert "13.37" in (out / "speed.md").read_text()


def test_a_precision_that_takes_for_ever_is_left_out_and_named(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", lambda device: 200.0)
    both = 'precisions = ["32-true", "bf16-mixed"]'
    path.write_text(TEXT.replace("batches = [1, 2]", f"batches = [1]\n{both}"))
    out = tmp_path / "out"
    done = CliRunner().invoke(main, ["bench", "run", str(path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    content = json.loads((out / "speed.json").read_text())
    assert {row["precision"] for row in content["rows"]} == {"32-true"}
    assert "200 times slower" in content["left_out"]["bf16-mixed"]
    for text in (done.output, (out / "speed.md").read_text()):
        assert "Not timed in bf16-mixed: this" in text
    path.write_text(TEXT.replace("batches = [1, 2]", 'precisions = ["bf16-mixed"]'))
    done = CliRunner().invoke(main, ["bench", "run", str(path), "--out", str(tmp_path / "none")])
    assert done.exit_code == 2 and "give it another of its precisions" in done.output


def test_half_a_minute_is_written_without_a_power_of_ten() -> None:
    row = Timing("slow", 16, "32-true", 10**6, 10**9, 34194.3, 31999.0, 35123.4, 3, "a processor")
    table = speed_table(Timings(load_speed("paper-speed"), (row,)))
    assert "| 34190 | 32000 to 35100 |" in table


def test_the_paper_rows_have_its_sizes() -> None:
    benchmark = load_speed("paper-speed")
    assert benchmark.pixels == 256 and set(benchmark.batches) == {1, 16}
    known = published_timing()
    assert all(row.published in known for row in benchmark.speed)
    assert set(benchmark.totals) <= set(known)
    found = {}
    for row in benchmark.speed:
        with torch.device("meta"):
            method = method_class(row.track, row.method).variant(benchmark.preset, row.options)
            network, _ = own_network(method, 32, 1)
        found[row.title] = sum(p.numel() for p in network.parameters())
    assert found["stage 1 (ours)"] == pytest.approx(27.0e6, rel=0.01)
    assert found["stage 2 (ours)"] == pytest.approx(55.6e6, rel=0.01)
    assert found["stage 2 (baseline)"] == pytest.approx(25.8e6, rel=0.01)
    assert found["stage 1 (baseline)"] < found["stage 1 (ours)"]


def test_a_slow_row_stops_early_but_never_before_three(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: float(next(clock)))
    calls: list[int] = []
    assert len(repeat(lambda: calls.append(1), 50, 300, 0.5)) == 3
    assert len(calls) == 4, "one warm-up"
    assert len(repeat(lambda: None, 2, 5, 1e9)) == 5


def test_files_are_told_apart(path: Path, tmp_path: Path) -> None:
    assert is_speed(path) and is_speed("paper-speed")
    assert not is_speed("people-quick") and not is_speed("nothing") and not is_speed("gone.toml")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("templates = 0", "templats = 0", "no option 'templats'"),
        ('"two-stage"', '"two-stag"', "did you mean two-stage"),
        ('["stage 1 (baseline)", ', '["stage 3", ', "totals.both adds rows that are not there"),
        ("pixels = 64", "pixel = 64", "did you mean pixels"),
    ],
)
def test_faults_are_named(old: str, new: str, words: str, path: Path) -> None:
    assert old in TEXT
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        load_speed(path)


def test_where_no_table_can_lie_is_refused_before_timing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def timed(*_: object) -> None:
        raise AssertionError("a row was timed")

    monkeypatch.setattr(timing, "_timed", timed)
    (tmp_path / "table" / "speed.md").mkdir(parents=True)
    for out, words in ((path, "cannot be written"), (tmp_path / "table", "not the name of a file")):
        done = CliRunner().invoke(main, ["bench", "run", str(path), "--out", str(out)])
        assert done.exit_code == 2 and words in done.output, done.output
        assert len(done.output.strip().splitlines()) == 1
    assert path.read_text() == TEXT


@pytest.mark.parametrize("option", ["--rerun=always", "--jobs=2", "--workers=1", "--seeds=1"])
def test_what_means_nothing_to_it_is_refused(option: str, tmp_path: Path) -> None:
    arguments = ["bench", "run", "paper-speed", "--out", str(tmp_path / "x"), option]
    done = CliRunner().invoke(main, arguments)
    name = option.partition("=")[0]
    assert done.exit_code == 2 and f"{name}: paper-speed needs no data" in done.output
    assert not (tmp_path / "x").exists()


def test_what_it_does_not_know_is_refused(tmp_path: Path) -> None:
    arguments = ["bench", "run", "paper-speed", "--out", str(tmp_path / "x"), "--methods", "a"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2 and "--methods: paper-speed needs no data" in done.output
    with pytest.raises(InputError, match="has no network to time"):
        own_network(method_class("mask", "identity")("quick"), 32, 1)

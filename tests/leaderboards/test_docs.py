"""docs/leaderboards.md says what the code does: names, numbers and commands."""

import re
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

from hdeocc.cli import main
from hdeocc.learned import Learned
from hdeocc.method import entries, method_class
from leaderboards import formats, gallery, page_pictures, stats
from leaderboards.benchmark import BENCHMARKS, load_benchmark
from leaderboards.machine import VOLATILE
from leaderboards.predict import TIMED
from leaderboards.published import UNKNOWN, published, wrong_sums
from leaderboards.speed import is_speed
from metrics import jackknife, protocol, sets
from metrics.protocol import PART_METRICS, TRACKS

TEXT = (Path(__file__).parents[2] / "docs" / "leaderboards.md").read_text(encoding="utf-8")
FLAT = " ".join(TEXT.split())


def test_every_metric_is_defined() -> None:
    names = {spec.name for specs in TRACKS.values() for spec in specs}
    names |= {f"{name}@PART" for parts in PART_METRICS.values() for name in parts}
    assert [name for name in sorted(names) if f"`{name}`" not in TEXT] == []


def test_every_number_is_that_of_the_code() -> None:
    [wrong] = wrong_sums(published())
    for words in (
        f"{stats.RESAMPLES:,} resamples",
        f"from the same resamples (never below 2/{stats.RESAMPLES + 1:,})",
        f"at most {jackknife.MOST_GROUPS}; {sets._FID_GROUPS} for FID of more than "
        f"{sets._FID_PHOTOS:,} photos",
        f"thresholded at {protocol.THRESHOLD} of 255",
        f"PSNR counts as {protocol.PSNR_CAP:g} dB",
        f"{' + '.join(wrong.parts)} = {wrong.true} ms, not {wrong.printed}",
        f"over up to {TIMED} samples",
        f"At most {gallery.PEOPLE} people are shown",
        f"keeps to {page_pictures.MAX_BYTES // 10**6} MB",
        f'"{UNKNOWN}"',
        f"| {protocol.VERSION} | ",
    ):
        assert words in FLAT, words
    assert len(VOLATILE) == 5 and "last five columns" in FLAT


def test_no_bundled_benchmark_has_a_border_band() -> None:
    names = [name for name in BENCHMARKS.bundled() if not is_speed(name)]
    assert "No bundled benchmark sets one" in FLAT
    assert all(load_benchmark(name).border_band == 0 for name in names)


@pytest.mark.parametrize("line", sorted(set(re.findall(r"^hdeocc .*$", TEXT, re.MULTILINE))))
def test_commands_exist_with_their_options(line: str) -> None:
    words = line.partition("#")[0].split()[1:]
    command: click.Command = main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, line
        command = found
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_printed_tables_are_those_of_the_kept_records(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    done = CliRunner().invoke(main, ["leaderboard", "refresh", page, "--check"])
    assert (done.exit_code, done.output) == (0, f"{page}: is up to date\n")


def test_the_page_of_methods_lists_every_row_as_the_code_has_it() -> None:
    text = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([a-z0-9.-]+)` \| (.+? \| .+?) \|", text, re.MULTILINE))
    found = {}
    for key in entries():
        kind = method_class(*key.split(".", 1))
        found[key] = f"{kind.title} | {', '.join(sorted(kind.consumes))}"
    assert listed == found


def test_the_page_of_methods_says_what_every_row_costs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| ([a-z0-9]+\.[a-z0-9-]+) \| (.+?) \|", text, re.MULTILINE))
    assert set(listed) == set(entries())
    for key, told in listed.items():
        kind = method_class(*key.split(".", 1))
        if issubclass(kind, Learned):
            with torch.device("meta"):
                assert formats.count(kind("small").parameters_used()) == told, key

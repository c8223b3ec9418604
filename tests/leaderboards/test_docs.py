"""docs/leaderboards.md says what the code does: names, numbers and commands."""

import json
import re
from importlib import resources
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from hdeocc.cli import main
from hdeocc.learned import Learned
from hdeocc.method import entries, method_class
from leaderboards import formats, gallery, page_pictures, stats
from leaderboards.benchmark import (
    BENCHMARKS,
    Alternative,
    Benchmark,
    Tracks,
    Variant,
    load_benchmark,
    parse_benchmark,
)
from leaderboards.budgets import Budgets, TrackBudget
from leaderboards.machine import VOLATILE
from leaderboards.predict import TIMED
from leaderboards.published import UNKNOWN, published, wrong_sums
from leaderboards.run import check
from leaderboards.speed import is_speed
from metrics import jackknife, protocol, sets
from metrics.protocol import PART_METRICS, TRACKS
from synth.settings import Strict

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


@pytest.mark.parametrize("part", [Benchmark, Budgets, TrackBudget, Tracks, Variant, Alternative])
def test_every_key_of_a_benchmark_is_there(part: type[Strict]) -> None:
    named = " ".join(re.findall(r"`[^`]+`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))
    assert [key for key in part.model_fields if not re.search(rf"\b{key}\b", named)] == []


def test_the_defaults_of_a_benchmark_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| `?([^|`]*)`? \|$", TEXT, re.MULTILINE))
    for key in ("protocols", "border_band", "lpips_vgg", "train", "seeds"):
        assert json.loads(rows[key]) == json.loads(json.dumps(Benchmark.model_fields[key].default))
    budget = TrackBudget(samples=1)
    for words in (
        f"`batch` ({budget.batch} samples a step), `lr` ({budget.rates[0] * 1e4:g}e-4), ",
        f"`ema` (decay of the average of weights, {budget.ema}), ",
        f"`clip` (largest norm of a gradient, {budget.clip:g}), ",
    ):
        assert words in FLAT, words


def test_the_benchmark_that_the_readme_copies_is_one_with_another_recipe(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    [name] = re.findall(r"Copy\s+`leaderboards/benchmarks/([\w-]+)\.toml`", readme)
    file = resources.files("leaderboards") / "benchmarks" / f"{name}.toml"
    own = tmp_path / "mine.toml"
    own.write_text('name = "mine"\nbase = "photos-small"\nsize = 256\n')
    said = {
        "name": 'name = "mine"',
        "recipe": f"recipe = {json.dumps(str(own))}",
        "preset": 'preset = "full"',
        "fingerprint": "",
    }
    lines = file.read_text(encoding="utf-8").splitlines()
    text = "\n".join(said.get(line.partition(" =")[0], line) for line in lines)
    benchmark = parse_benchmark(text, "mine.toml")
    assert (benchmark.name, benchmark.preset, benchmark.fingerprint) == ("mine", "full", None)
    assert check(benchmark)[0].size == 256
    # Nothing in it speaks of rows that who copies it may leave out.
    assert benchmark.repeated is None and not benchmark.variants and not benchmark.options
    assert not benchmark.budget.mask.lr_of and not benchmark.budget.content.lr_of


def test_no_bundled_benchmark_has_a_border_band() -> None:
    names = [name for name in BENCHMARKS.bundled() if not is_speed(name)]
    assert "No bundled benchmark sets one" in FLAT
    assert all(load_benchmark(name).border_band == 0 for name in names)


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

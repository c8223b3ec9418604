"""The benchmark files: what is bundled is sound, and typing errors are named."""

from pathlib import Path

import pytest

from hdeocc.method import check_names, entries
from leaderboards.benchmark import bundled, load_benchmark, parse_benchmark
from leaderboards.run import check
from metrics import protocol
from synth.errors import InputError
from synth.recipe import load_recipe
from tests.leaderboards.fakes import toml

GOOD = toml(["identity", "learned"], ["paint"], [["learned", "paint"]])


@pytest.mark.parametrize("name", bundled())
def test_bundled_benchmarks_name_real_recipes_and_methods(name: str) -> None:
    benchmark = load_benchmark(name)
    assert benchmark.name == name
    assert load_recipe(benchmark.recipe).counts.test > 0
    assert benchmark.protocol == protocol.VERSION
    if entries():  # the package may run uninstalled, and then registers nothing
        check_names("mask", benchmark.tracks.mask, name)
        check_names("content", benchmark.tracks.content, name)


def test_both_promised_benchmarks_are_bundled() -> None:
    assert {"people-quick", "photos-small"} <= set(bundled())


def test_unknown_name_answers_with_the_closest() -> None:
    with pytest.raises(InputError, match="did you mean people-quick"):
        load_benchmark("people-quik")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.toml: no such benchmark file"):
        load_benchmark(tmp_path / "absent.toml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"bytes\.toml: is no UTF-8 text"):
        load_benchmark(tmp_path / "bytes.toml")


def test_no_methods_are_refused() -> None:
    with pytest.raises(InputError, match="--methods: names no method"):
        parse_benchmark(GOOD, "fake").only([])
    with pytest.raises(InputError, match="compares no method"):
        check(parse_benchmark(toml([], [], []), "fake"))


def test_loads_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert load_benchmark(path).tracks.full == (("learned", "paint"),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("samples = 8", "sampels = 8", "unknown key budget.mask.sampels; did you mean samples"),
        ('preset = "quick"', 'preset = "tiny"', "preset"),
        ('title = "Fake people"', "", "title is missing"),
        ("samples = 8", "samples = 0", "budget.mask.samples"),
        ("samples = 8", "samples = ", "not valid TOML"),
        ('title = "Fake people"', 'title = "Fake people"\nseeds = [-1]', "seeds.0"),
        ('[["learned", "paint"]]', '[["hull", "paint"]]', "'hull', not listed in tracks.mask"),
        ('["identity", "learned"]', '["identity", "identity"]', "stands twice"),
    ],
)
def test_faults_are_named_in_one_line(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError) as caught:
        parse_benchmark(GOOD.replace(old, new, 1), "mine.toml")
    text = caught.value.message
    assert text.startswith("mine.toml: ") and message in text and "\n" not in text


def test_budget_carries_the_seed_and_the_track() -> None:
    text = GOOD.replace("samples = 8", "samples = 16\nlr = 0.5", 1)
    benchmark = parse_benchmark(text, "fake")
    assert benchmark.budget_of("mask", 7).samples == 16
    assert benchmark.budget_of("mask", 7).seed == 7
    assert benchmark.budget_of("content", 7).samples == 8


def test_only_keeps_full_rows_whose_methods_both_stay() -> None:
    benchmark = parse_benchmark(GOOD, "fake")
    assert benchmark.only(None) == benchmark
    assert benchmark.only(["identity", "paint"]).tracks.full == ()
    assert benchmark.only(["mask.learned", "paint"]).tracks.full == (("learned", "paint"),)
    with pytest.raises(InputError, match="did you mean .*learned"):
        benchmark.only(["lerned"])


def test_another_protocol_is_refused_before_any_work() -> None:
    benchmark = parse_benchmark(GOOD.replace('protocol = "1"', 'protocol = "0"'), "fake")
    with pytest.raises(InputError, match="wants protocol 0"):
        check(benchmark)

"""Scaling a small build up: proportions, limits in order, and the command."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from synth.build import build
from synth.cli_estimate import estimate
from synth.estimate import Measured, measure, project
from tests.synth.tiny import RECIPE, tiny_recipe, write_tiny

POSITIVE = st.floats(1e-6, 1e3)


@st.composite
def measurements(draw: st.DrawFn) -> Measured:
    return Measured(
        samples=draw(st.integers(1, 1000)),
        open_seconds=draw(POSITIVE),
        make_seconds=draw(POSITIVE),
        finish_seconds=draw(POSITIVE),
        check_seconds=draw(POSITIVE),
        shard_bytes=draw(st.floats(100, 1e7)),
        annotation_bytes=draw(st.floats(10, 1e5)),
        marker_bytes=draw(st.floats(10, 1e4)),
        train_people=draw(st.integers(1, 10**6)),
    )


@given(measurements(), st.integers(1, 10**9), st.integers(2, 50))
def test_costs_grow_with_the_count_and_limits_do_not(m: Measured, count: int, times: int) -> None:
    one, more = project(m, count), project(m, count * times)
    for name in ("core_hours", "finish_hours", "check_hours", "terabytes"):
        assert getattr(more, name) == pytest.approx(times * getattr(one, name))
    assert one.limits == more.limits
    counts = [limit.count for limit in one.limits]
    assert counts == sorted(counts)
    assert (one.shards - 1) * one.shard_size < count <= one.shards * one.shard_size


def test_bytes_are_those_of_a_real_build(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data")
    recipe = tiny_recipe(train=14)
    found = measure(recipe, tmp_path / "small", 24, str(data))
    assert found.samples == 24
    assert min(found.make_seconds, found.finish_seconds, found.check_seconds) > 0
    build(recipe, tmp_path / "other", str(data), progress=False)
    tars = sum(path.stat().st_size for path in (tmp_path / "other").glob("shard-*.tar"))
    assert found.shard_bytes == tars / 24
    size = (tmp_path / "other" / "annotations.json").stat().st_size
    assert project(found, 24).terabytes * 1e12 >= tars + size


def test_the_command_says_what_it_costs_and_leaves_nothing(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data")
    recipe = tmp_path / "mine.toml"
    recipe.write_text(RECIPE.format(train=14, shard_size=4))
    arguments = [str(recipe), "--data", str(data), "--count", "100000000", "--samples", "12"]
    done = CliRunner().invoke(estimate, [*arguments, "--core-hour", "0.5", "--tb-month", "20"])
    assert done.exit_code == 0, done.output
    assert "100,000,000 samples, from 12 measured" in done.output
    assert "core hours" in done.output and "a month at 20 a terabyte" in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "mine.toml"]
    wrong = CliRunner().invoke(estimate, [*arguments, "--core-hour", "-1"])
    assert wrong.exit_code == 2 and "--core-hour" in wrong.output

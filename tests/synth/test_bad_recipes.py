"""Recipes that nobody would write, and somebody will: one line that says what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from synth.cli import synth
from synth.errors import InputError, MachineError
from synth.recipe import MOST_SHARDS, Recipe, load_recipe, parse_recipe
from tests.synth.test_settings import GOOD

SOURCES = "builtin, coco, ccp, lip, atr, pascal-parts, ahp, folder, rgba"
COCO = 'source = "coco"\nannotations = "a"\nimages = "b"\n'
BUILTIN = 'source = "builtin"\npool = 10\n'


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(synth, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().splitlines()) == 1, result.output
    return result


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (BUILTIN, "pool = 10\n", f"people.0.source is missing; add it .there are: {SOURCES}"),
        ("builtin", "bultin", "people.0.source: no 'bultin'; did you mean builtin"),
        ("builtin", "ldap", f"people.0.source: no 'ldap'; (did you mean|there are: {SOURCES})"),
        ('"builtin"', "[1]", "people.0.source: no"),
        (BUILTIN, BUILTIN + "weight = 1e308\n", "weight is a number that is too large"),
        (BUILTIN, BUILTIN + "weight = 1e7\n", "weight: .*less than or equal to 1000000"),
        (BUILTIN, BUILTIN + "weight = 1e-9\n", "weight: .*greater than or equal to"),
        (BUILTIN, COCO + "max_intrusion = inf\n", "max_intrusion: .*finite"),
        (BUILTIN, COCO + "max_intrusion = nan\n", "max_intrusion: .*; change it"),
        (BUILTIN, COCO.replace('"b"', '"b\\u0000"'), "images holds a null character"),
        ("pool = 10", "pool = 1" + "0" * 5000, "holds a number that is too large"),
        ("pool = 10", "pool = 1" + "0" * 60, "pool is a number that is too large"),
        ('"mine"', "[" * 5000 + "]" * 5000, "is nested too deeply"),
        ("name =", "name" + ".a" * 3000 + " =", "is nested too deeply"),
        ("train = 4", "train = 1000000000000", "counts.train: .*equal to 1000000000 .*change it"),
        ("train = 4", "train = 900000000", "more than 1000000 shards; give a shard_size of 901"),
    ],
    ids=lambda value: value[:30],
)
def test_a_fault_is_named_in_one_line(before: str, after: str, said: str) -> None:
    assert before in GOOD
    with pytest.raises(InputError, match=f"mine.toml: .*{said}") as caught:
        parse_recipe(GOOD.replace(before, after, 1), "mine.toml")
    assert "\n" not in caught.value.message


def test_a_mark_in_front_of_the_text_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_recipe(path) == parse_recipe(GOOD, "mine")


def test_a_stored_recipe_has_no_number_without_end() -> None:
    stored = parse_recipe(GOOD.replace(BUILTIN, COCO, 1), "mine").model_dump(mode="json")
    stored["people"][0]["max_intrusion"] = float("inf")
    with pytest.raises(ValueError, match="finite"):
        Recipe.model_validate(stored)


def test_a_path_of_any_length_is_no_recipe() -> None:
    assert "no such recipe file" in run("build", "x" * 5000 + ".toml", "--out", "x").output


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (10**12, "a data set holds at most 1000000000 samples"),
        (MOST_SHARDS * 200 + 1, "give a shard_size of 201 or more"),
    ],
)
def test_more_samples_than_a_data_set_holds(
    count: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(GOOD)
    result = run("build", "mine.toml", "--out", "x", "--count", count)
    assert f"--count {count}: " in result.output and said in result.output
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("build", "mine.toml", "--out", "x"),
        ("build", "mine.toml", "--out", "x", "--count", 5),
        ("estimate", "mine.toml"),
        ("segmenter", "mine.toml", "--out", "x"),
        ("segmenter", "mine.toml", "--measure", "yes"),
    ],
)
def test_a_recipe_of_no_samples_says_so_at_once(
    command: tuple[Any, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("synth.plan.make_pools", never)
    monkeypatch.chdir(tmp_path)
    text = GOOD.replace("train = 4", "train = 0").replace("test = 2", "test = 0")
    (tmp_path / "mine.toml").write_text(text)
    assert "mine: all counts are 0; give counts.train" in run(*command).output
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


@pytest.mark.parametrize("error", [InputError, MachineError])
def test_a_message_is_one_line_whatever_the_name(error: Callable[[str], Exception]) -> None:
    said = str(error("a\nb\r\x1b[2J\x85\u2028\udcff: ü 漢 is no picture; remove it"))
    assert said == "a\\nb\\r\\x1b[2J\\x85\\u2028\\udcff: ü 漢 is no picture; remove it"
    assert str(error(said)) == said


def test_a_name_of_two_lines_is_shown_in_one() -> None:
    assert "a\\nb.toml: no such recipe file" in run("build", "a\nb.toml", "--out", "x").output

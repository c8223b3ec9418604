"""docs/data.md says what a recipe may hold, and its examples hold."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from synth.occlusion_spec import PLACEMENTS, Initial, Occlusion
from synth.recipe import _PARTS, Recipe, Splits, parse_recipe
from synth.settings import Strict
from synth.source_specs import (
    ALL,
    BuiltinOccluders,
    CocoOccluders,
    CocoPeople,
    FolderPeople,
    RgbaOccluders,
    RgbaPeople,
)
from tests.synth.test_settings import GOOD

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", TEXT, re.M | re.S)
BLOCKS = [tomllib.loads(text) for text in EXAMPLES]


@pytest.mark.parametrize("part", [*_PARTS, *ALL], ids=lambda part: part.__name__)
def test_every_key_of_a_recipe_is_there(part: type[Strict]) -> None:
    assert [key for key in part.model_fields if not re.search(rf"\b{key}\b", TEXT)] == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if "base" not in block])
def test_an_example_is_part_of_a_recipe(block: dict[str, Any]) -> None:
    Recipe.model_validate(tomllib.loads(GOOD) | block)


def test_the_example_that_builds_on_another_is_a_recipe() -> None:
    [text] = [text for text in EXAMPLES if "base =" in text]
    assert parse_recipe(text, "mine.toml").size == tomllib.loads(text)["size"]


@pytest.mark.parametrize(
    ("name", "part"), [("splits", Splits), ("occlusion", Occlusion), ("initial", Initial)]
)
def test_what_is_shown_counts_where_nothing_is_said(name: str, part: type[Strict]) -> None:
    [shown] = [block[name] for block in BLOCKS if name in block]
    other = {"preset", "kind"}
    assert part.model_validate({k: v for k, v in shown.items() if k not in other}) == part()
    assert other & set(shown) <= set(re.findall(r"`(\w+)` \(", " ".join(TEXT.split())))


def test_what_is_shown_of_a_recipe_counts_where_nothing_is_said() -> None:
    known = Recipe.model_validate(tomllib.loads(GOOD))
    assert {key: BLOCKS[0][key] for key in ("size", "seed", "shard_size")} == known.model_dump(
        include={"size", "seed", "shard_size"}
    )


def test_the_limits_of_the_tables_are_those_of_the_code() -> None:
    rows = set(re.findall(r"^\| (`\w+`[^|]*) \|[^|]*\| ([^|]*) \|$", TEXT, re.M))

    def default(spec: type[Strict], key: str) -> str:
        return f"{spec.model_fields[key].default:g}"

    for key in ("min_area", "min_piece"):
        usual, of_folder = default(CocoPeople, key), default(FolderPeople, key)
        assert (f"`{key}`", f"{usual} (`folder` {of_folder})") in rows
    for key in ("max_intrusion", "max_border_contact", "min_piece"):
        assert (f"`{key}` (`coco`)", default(CocoOccluders, key)) in rows
    assert ("`max_intrusion` (`coco`)", default(CocoPeople, "max_intrusion")) in rows
    key = "max_border_contact"
    some = [default(spec, key) for spec in (CocoPeople, FolderPeople, RgbaPeople)]
    assert (f"`{key}`", "{} (`folder` {}, `rgba` {})".format(*some)) in rows
    some = [default(spec, "min_area") for spec in (CocoOccluders, RgbaOccluders)]
    assert ("`min_area` (`coco`, `rgba`)", "{} (`rgba` {})".format(*some)) in rows
    share = default(BuiltinOccluders, "people_share")
    assert ("`people_share` (`builtin`)", share) in rows


def test_every_kind_of_placement_is_there() -> None:
    assert [kind for kind in PLACEMENTS if not re.search(rf"\b{kind}\b", TEXT)] == []

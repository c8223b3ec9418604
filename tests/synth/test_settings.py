"""Settings from TOML: what is refused, and what the refusal says."""

from pathlib import Path

import pytest

from synth.errors import InputError
from synth.recipe import RECIPES, load_recipe, parse_recipe
from synth.settings import hint

GOOD = """
name = "mine"
[counts]
train = 4
val = 0
test = 2
[[people]]
source = "builtin"
pool = 10
[[occluders]]
source = "builtin"
pool = 10
"""


def test_every_bundled_recipe_is_sound() -> None:
    assert {"people-quick", "photos-small"} <= set(RECIPES.bundled())
    for name in RECIPES.bundled():
        assert load_recipe(name).name == name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("pool = 10", "pol = 10"), "unknown key .*pol; did you mean pool"),
        (("train = 4", "trian = 4"), "unknown key counts.trian; did you mean train"),
        (('name = "mine"', ""), "key name is missing; add it"),
        (("val = 0", "val = -1"), "counts.val: .*greater than or equal to 0.*; change it"),
        (("[counts]", "[counts"), "not valid TOML: .*; mend that line"),
        (('source = "builtin"', 'source = "ldap"'), "people.0"),
    ],
)
def test_a_fault_is_named_in_one_line(change: tuple[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_recipe(GOOD.replace(*change, 1), "mine.toml")
    assert caught.value.message.startswith("mine.toml: ")
    assert "\n" not in caught.value.message and caught.value.exit_code == 2


def test_unknown_names_and_files_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean photos-small"):
        load_recipe("photo-small")
    with pytest.raises(InputError, match="no such recipe file"):
        load_recipe(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no UTF-8 text"):
        load_recipe(tmp_path / "binary.toml")


def test_a_hint_is_close_or_complete() -> None:
    assert hint("tela", ["telea", "pix2pix"]) == "did you mean telea?"
    assert hint("zzz", ["telea", "mean"]) == "there are: telea, mean"

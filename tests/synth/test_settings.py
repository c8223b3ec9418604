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
    known = {"people-quick", "photos-small", "photos-hard", "photos-valid"}
    assert known <= set(RECIPES.bundled())
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
        (("[[people]]", "[people]"), r"people: has to be a list of tables; write \[\[people\]\]"),
        (("val = 0", "val = []"), r"counts.val: .* \(got \[\]\); change it"),
        (
            ("[counts]", "occlusion.occluders = 2\n[counts]"),
            r"occluders: has to be a list.* \(got 2\)",
        ),
        (("val = 0", "val = true"), r"counts\.val: has to be a number \(got true\); change it"),
        (("val = 0", 'val = "3"'), r'counts\.val: has to be a number \(got "3"\); change it'),
        (('name = "mine"', "name = true"), r"^mine.toml: name: has to be text \(got true\)"),
        (("[counts]", "size = true\n[counts]"), r"^mine.toml: size: has to be a number"),
        (("pool = 10", "pool = 10\nweight = true"), r"people\.0\.weight: has to be a number"),
        (
            ("pool = 10", 'pool = 10\ntrain_only = "no"'),
            r'people\.0\.train_only: has to be true or false \(got "no"\)',
        ),
        (("[counts]\ntrain = 4\nval = 0\ntest = 2", "counts = 6"), "counts: has to be a table"),
    ],
)
def test_a_fault_is_named_in_one_line(change: tuple[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        parse_recipe(GOOD.replace(*change, 1), "mine.toml")
    assert caught.value.message.startswith("mine.toml: ")
    assert "\n" not in caught.value.message and caught.value.exit_code == 2


def test_a_benchmark_is_no_recipe() -> None:
    with pytest.raises(InputError, match=r"^mine.toml: is a benchmark, .* one of: people-quick, "):
        parse_recipe(
            'name = "mine"\nrecipe = "people-quick"\n[tracks]\nmask = ["unet"]', "mine.toml"
        )


def test_a_recipe_may_build_on_another(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "first.toml").write_text(GOOD)
    (tmp_path / "second.toml").write_text('name = "second"\nbase = "deep/first.toml"\nsize = 64\n')
    third = 'name = "third"\nbase = "second.toml"\n[counts]\ntrain = 1\nval = 1\ntest = 1\n'
    (tmp_path / "third.toml").write_text(third)
    first, made = parse_recipe(GOOD, "first"), load_recipe(tmp_path / "third.toml")
    assert (made.name, made.size, made.counts.total) == ("third", 64, 3)
    assert (made.people, made.occluders) == (first.people, first.occluders)


def test_a_list_replaces_that_of_the_base() -> None:
    text = 'name = "mine"\nbase = "photos-small"\n[[people]]\nsource = "builtin"\npool = 9\n'
    made, base = parse_recipe(text, "mine"), load_recipe("photos-small")
    assert [people.source for people in made.people] == ["builtin"]
    assert made.occluders == base.occluders and made.occlusion == base.occlusion


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'name = "a"\nbase = "photos-smal"',
            "base: photos-smal: no recipe .*did you mean photos-small",
        ),
        ('name = "a"\nbase = "gone.toml"', "base: .*gone.toml: no such recipe file"),
        ('name = "a"\nbase = "a.toml"', "base: leads on and on; let no recipe build on itself"),
        ('name = "a"\nbase = 3', "base: has to be the name of a recipe, or a .toml file"),
        ('base = "photos-small"', "key name is missing; add it"),
        ('name = "a"\nbase = "photos-small"\nsiz = 64', "unknown key siz; did you mean size"),
        ('name = "a"\nbas = "photos-small"', "unknown key bas; did you mean base"),
    ],
)
def test_a_fault_of_the_base_is_named(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_recipe(file)
    assert caught.value.message.startswith(f"{file}: ") and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('preset = "hrad"', "occlusion.preset: no 'hrad'; did you mean hard"),
        ('preset = "part:hed"', "occlusion.preset: no 'part:hed'; did you mean part:head"),
        ('preset = "feet"', "occlusion.preset: no 'feet'; did you mean part:feet\\?"),
        ('placement = "belw"', "occlusion.placement: no 'belw'; did you mean below\\?"),
        ("placement = { torso = 1 }", "occlusion.placement: no 'torso'; did you mean part:torso"),
        ("placement = { side = -1 }", "occlusion.placement: side = -1.0; give 0 or more"),
        ("placement = { side = inf }", "occlusion.placement: side = inf; give 0 or more"),
        ("placement = {}", "give at least one kind a weight above 0"),
        ("hidden = [0.1]", "occlusion.hidden = .*; give a range .*, or a histogram"),
        ("hidden = { edges = [0, 1], shars = [1] }", "unknown key .*shars; did you mean shares"),
        ("hidden = { edges = [0, 1], shares = [1, 2] }", "has 2 edges and 2 shares; give 1"),
        ("scale = [0.1, 99]", "occlusion.scale = .*; give sizes up to 4"),
        ("hidden = [true, 1]", "occlusion.hidden.0: has to be a number"),
        (
            "hidden = { edges = [0, true], shares = [1] }",
            "occlusion.hidden.edges.1: has to be a nu",
        ),
        ("truncate = 2", "occlusion.truncate: .*less than or equal to 1 .*; change it"),
        ('reach = "rejct"', "occlusion.reach: .*'steer' or 'reject'"),
    ],
)
def test_a_fault_of_the_occlusion_is_named_in_one_line(
    line: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"{GOOD}[occlusion]\n{line}\n")
    with pytest.raises(InputError, match=said) as caught:
        load_recipe(file)
    assert caught.value.message.startswith(f"{file}: ")
    assert "\n" not in caught.value.message


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

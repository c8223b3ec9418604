"""Photos that are missing: one line that says which, where they are published, and what to do."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from hdeocc.cli import main
from leaderboards.benchmark import load_benchmark
from leaderboards.folder import Folder
from leaderboards.needs import missing, require
from leaderboards.run import prepare_data
from synth.errors import InputError
from synth.recipe import load_recipe, parse_recipe
from tests.leaderboards import fakes

PAPERS = ("paper-masks", "paper-content", "paper-ablation-1", "paper-ablation-2")


@pytest.mark.parametrize("name", PAPERS)
def test_without_ahp_it_says_what_to_do(name: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    out, data = str(tmp_path / "out"), str(tmp_path / "photos")
    done = CliRunner().invoke(main, ["bench", "run", name, "--data", data, "--out", out])
    assert done.exit_code == 2 and len(done.output.strip().splitlines()) == 1
    for words in ("AHP/train/JPEGImages", data, "home page", "sydney0zq/ahp",
                  f"hdeocc bench run {name} --on people-quick --out DIR"):  # fmt: skip
        assert words in done.output
    assert not (tmp_path / "out").exists()


def test_the_photos_at_hand_are_offered_first(tmp_path: Path) -> None:
    for entry in (*load_recipe("photos-small").people, *load_recipe("photos-small").occluders):
        for key in ("path", "annotations", "images"):
            if (path := getattr(entry, key, None)) is not None:
                (tmp_path / path).mkdir(parents=True, exist_ok=True)
    with pytest.raises(InputError) as caught:
        require(load_benchmark("paper-masks"), tmp_path)
    offer = f"--on photos-small --out DIR --data {tmp_path}"
    assert caught.value.message.endswith(offer)


def test_the_offered_command_can_be_pasted_whatever_the_folder_is_called(tmp_path: Path) -> None:
    photos = tmp_path / "my photos"
    for entry in (*load_recipe("photos-small").people, *load_recipe("photos-small").occluders):
        for key in ("path", "annotations", "images"):
            if (path := getattr(entry, key, None)) is not None:
                (photos / path).mkdir(parents=True, exist_ok=True)
    with pytest.raises(InputError) as caught:
        require(load_benchmark("paper-masks"), photos)
    command = caught.value.message.partition("at hand: ")[2]
    assert shlex.split(command)[-2:] == ["--data", str(photos)]


def test_the_release_itself_in_place_of_its_folder_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "release" / "train" / "JPEGImages").mkdir(parents=True)
    with pytest.raises(InputError, match="that is AHP itself: give the folder that holds it"):
        require(load_benchmark("paper-masks"), tmp_path / "release")


def test_all_that_is_missing_is_found_by_source(tmp_path: Path) -> None:
    recipes = [load_recipe("photos-ahp"), load_recipe("photos-ahp-valid")]
    found = missing(recipes, tmp_path)
    assert set(found) == {"ahp", "coco"}
    assert len(found["ahp"]) == 4, "two folders and two lists"
    (tmp_path / "AHP/train/JPEGImages").mkdir(parents=True)
    assert len(missing(recipes, tmp_path)["ahp"]) == 3
    assert missing([load_recipe("people-quick")], None) == {}


def test_what_needs_no_photos_needs_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HDEOCC_DATA", "/nowhere")
    require(load_benchmark("people-quick"), None)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: no such folder"):
        require(load_benchmark("photos-small"), tmp_path / "gone")


def test_the_valid_split_of_ahp_is_all_test_and_shares_no_occluder() -> None:
    train, valid = load_recipe("photos-ahp"), load_recipe("photos-ahp-valid")
    assert valid.counts.test == 3 * 297 and valid.splits.per_person == 3
    assert round(valid.splits.test * 297) == 297, "nobody is left out"
    assert {o.annotations for o in train.occluders} & {  # type: ignore[union-attr]
        o.annotations
        for o in valid.occluders  # type: ignore[union-attr]
    } == set()


def test_train_and_test_may_have_recipes_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[str, str]] = []

    def build(recipe: object, out: Path, *_: object, **__: object) -> object:
        built.append((recipe.name, out.name))  # type: ignore[attr-defined]
        return fakes.build(recipe, out, None)  # type: ignore[arg-type]

    monkeypatch.setattr("leaderboards.run.build", build)
    recipes = [load_recipe("photos-ahp"), load_recipe("photos-ahp-valid")]
    made = prepare_data(recipes, Folder(tmp_path), None, 1, progress=False)
    assert built == [("photos-ahp", "train-data"), ("photos-ahp-valid", "data")]
    assert made.test.recipe.name == "photos-ahp-valid"
    alone = prepare_data(recipes[:1], Folder(tmp_path), None, 1, progress=False)
    assert alone.train is alone.test


def test_absolute_paths_need_no_root(tmp_path: Path) -> None:
    text = f"""
name = "x"
counts = {{ train = 1, val = 0, test = 0 }}
people = [{{ source = "rgba", path = "{tmp_path}" }}]
occluders = [{{ source = "rgba", path = "{tmp_path}/gone" }}]
"""
    assert missing([parse_recipe(text, "x")], None) == {"rgba": [f"{tmp_path}/gone"]}

"""Damaged folders of data sets: what can be mended is, and the advice that is given works."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from synth.build import build
from synth.check import check
from synth.claim import read_identity
from synth.cli import synth
from synth.errors import InputError, without_file
from synth.images import DETAILS
from synth.recipe import Recipe
from synth.shards import jobs, marker_path, read_marker, sealed
from synth.store import Dataset
from tests.synth.scenarios import assert_not_done_again, files_of, finished_files
from tests.synth.tiny import RECIPE, tiny_recipe, write_tiny

DEEP = "[" * 100_000


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    build(tiny_recipe(), folder, data, progress=False)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "set"))


def assert_mended(folder: Path, whole: Path, data: Path) -> None:
    assert build(tiny_recipe(), folder, data, progress=False) is not None
    assert files_of(folder) == files_of(whole)


def other_hash(path: Path) -> str:
    return path.read_text().replace('"recipe_hash": "', '"recipe_hash": "0')


@pytest.mark.parametrize("content", [None, "", "{", "{}", "[1]", "other hash", '{"a":' + DEEP])
@pytest.mark.parametrize("unfinished", [False, True])
def test_shards_say_whose_a_folder_is_that_lost_its_recipe(
    content: str | None, unfinished: bool, folder: Path, whole: Path, data: Path
) -> None:
    if unfinished:
        for name in ("dataset.json", "shard-00001.json", "shard-00003.tar"):
            (folder / name).unlink()
    path = folder / "recipe.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(other_hash(path) if content == "other hash" else content)
    before = finished_files(folder)
    before = {name: one for name, one in before.items() if "00003" not in name}
    assert_mended(folder, whole, data)
    assert_not_done_again(folder, before)


def test_a_folder_of_another_recipe_stays_as_it_is(folder: Path, data: Path) -> None:
    (folder / "recipe.json").unlink()
    before = files_of(folder)
    for changes in ({"seed": 1}, {"count": 30}):
        with pytest.raises(InputError, match="another recipe or seed; choose another folder"):
            build(tiny_recipe().with_changes(**changes), folder, data, progress=False)
    (folder / "thesis.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else .thesis.txt."):
        build(tiny_recipe(), folder, data, progress=False)
    (folder / "thesis.txt").unlink()
    assert files_of(folder) == before


def test_a_file_called_recipe_json_is_nobodys_data_set(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text('{"flour": 500}')
    with pytest.raises(InputError, match="recipe.json: .*remove it and run the same command"):
        build(tiny_recipe(), tmp_path, data, progress=False)
    assert path.read_text() == '{"flour": 500}'
    path.unlink()
    assert build(tiny_recipe(), tmp_path, data, progress=False) is not None


@pytest.mark.parametrize("content", ['{"recipe":' + DEEP, '{"recipe": {}, "sources": {"a": 1}}'])
def test_a_recipe_that_cannot_be_read_says_what_to_do(content: str, folder: Path) -> None:
    (folder / "recipe.json").write_text(content)
    with pytest.raises(InputError, match="damaged; run the same build command again"):
        read_identity(folder)


def shown(*arguments: object) -> list[str]:
    result = CliRunner().invoke(synth, [str(argument) for argument in arguments])
    assert result.exit_code in (0, 2), result.output
    return [line for line in result.output.strip().splitlines() if line and "sample/s]" not in line]


@pytest.mark.parametrize(
    "name", ["recipe.json", "annotations.json", "README.md", "shard-00001.json", "shard-00001.tar"]
)
def test_the_advice_of_the_check_works(name: str, folder: Path, whole: Path, data: Path) -> None:
    with open(folder / name, "r+b") as file:
        file.seek(20)
        file.write(b"\1")
    *problems, advice = shown("check", folder)
    assert "delete dataset.json and the files named, then run the same build" in advice
    named = {problem.partition(": ")[0] for problem in problems if ": " in problem}
    for one in ("dataset.json", *(path.name for path in folder.iterdir() if path.name in named)):
        (folder / one).unlink(missing_ok=True)
    assert_mended(folder, whole, data)


def test_a_file_too_many_is_to_be_removed_and_no_more(folder: Path) -> None:
    names = ("notes.txt", "two\nlines.txt", "shard-00099.tar")
    for name in names:
        (folder / name).write_text("mine")
    *problems, advice = shown("check", folder)
    assert len(problems) == 3 and any(one.startswith("two\\nlines.txt: ") for one in problems)
    assert advice.endswith("3 problems; move away or delete the files named")
    for name in names:
        (folder / name).unlink()
    assert shown("check", folder)[-1].endswith("sound, 24 samples")


MARKER = "shard-00001.json"


def changed(*path: Any, to: Any) -> Callable[[Any], Any]:
    def change(marker: Any) -> Any:
        inner = marker
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to
        return marker

    return change


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a hash": changed("samples", 0, "hash", to="0" * 64),
    "the fingerprint": changed("fingerprint", to="0" * 64),
    "a place": changed("samples", 0, "members", "json", to=[0, 9]),
    "one number": changed("samples", 0, "members", "json", to=[1]),
    "no end": changed("samples", 0, "members", "json", to=[float("inf"), 1]),
    "text": changed("missed", to="x"),
    "no table": changed("skipped", to=[1]),
    "no sources": changed("sources", to=[1]),
    "no samples": changed("samples", to={}),
    "a part of a byte": changed("bytes", to=1.5),
}


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("unsealed", [True, False])
def test_an_edited_marker_counts_as_none(
    kind: str, unsealed: bool, folder: Path, whole: Path, data: Path
) -> None:
    value = CHANGES[kind](json.loads((folder / MARKER).read_bytes()))
    if not unsealed and kind in ("a hash", "the fingerprint", "a place"):
        return  # whoever seals a lie anew is not found out before the check
    (folder / MARKER).write_bytes(json.dumps(value).encode() if unsealed else sealed(value))
    assert read_marker(folder, jobs(tiny_recipe())[1]) is None
    with pytest.raises(InputError, match="index of shard-00001.tar is missing or damaged"):
        list(Dataset.open(folder).split("train"))
    assert_mended(folder, whole, data)


@pytest.mark.parametrize("content", [DEEP, '{"a":' + DEEP, "[1]", "null", "", "\ud800"])
def test_a_marker_of_any_content_counts_as_none(
    content: str, folder: Path, whole: Path, data: Path
) -> None:
    (folder / MARKER).write_bytes(content.encode(errors="surrogatepass"))
    assert any(one.startswith("shard-00001") for one in check(folder))
    assert_mended(folder, whole, data)


def test_a_marker_is_sealed_over_every_byte(folder: Path) -> None:
    job = jobs(tiny_recipe())[1]
    path = marker_path(folder, job)
    content = path.read_bytes()
    assert json.loads(content)["seal"] and read_marker(folder, job) is not None
    for place in range(0, len(content), 37):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        assert read_marker(folder, job) is None


def test_faults_are_counted_together_and_say_nothing_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, recipe = write_tiny(tmp_path / "data", people=20), tiny_recipe()
    for number, size in enumerate((500, 900, 1500)):
        path = data / f"people/{number:03d}.png"
        path.write_bytes(path.read_bytes()[:size])
    (data / "people/003.png").write_bytes(b"no picture")
    _lose_later(monkeypatch)
    made = build(recipe, tmp_path / "set", data, progress=False)
    assert made is not None
    reasons = made.info["skipped_by_reason"]
    assert reasons["cannot be decoded; repair, replace or remove the file"] == 5
    assert all(DETAILS in one["reason"] for one in made.info["skipped"])
    for path in (tmp_path / "set").glob("*.json"):
        assert str(tmp_path) not in path.read_text(), path.name


def _lose_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """One person is damaged after the scan."""
    from synth.sources.folder import FolderPeople

    original = FolderPeople.load

    def load(self: Any, person: str, *rest: Any) -> Any:
        if person == "007":
            raise InputError(
                f"/abs/x: y/{person}.png: cannot be decoded; repair, replace or remove the file"
                f"{DETAILS}image file is truncated]"
            )
        return original(self, person, *rest)

    monkeypatch.setattr(FolderPeople, "load", load)


@pytest.mark.parametrize(
    ("message", "left"),
    [
        ("/a/b.png: is cut; remove it", "is cut; remove it"),
        ("/a: b/c.png: is cut: now", "is cut: now"),
        ("C:\\a\\b.png: is cut", "is cut"),
        ("is 3/4 of it; remove it", "is 3/4 of it; remove it"),
    ],
)
def test_a_reason_names_no_file(message: str, left: str) -> None:
    assert without_file(message) == left


def test_a_recipe_with_many_shards_is_read_from_a_stored_form() -> None:
    text = RECIPE.format(train=900_000_000, shard_size=1000)
    recipe = Recipe.model_validate(json.loads(parse(text).model_dump_json()))
    assert recipe.counts.total == 900_000_010


def parse(text: str) -> Recipe:
    from synth.recipe import parse_recipe

    return parse_recipe(text, "t")

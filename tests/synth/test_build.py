"""Building: what a folder may hold, what is written, and who may build."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.build import build
from synth.check import check
from synth.engines.work import Task, write_remotely
from synth.errors import InputError
from synth.lock import Lock, build_lock
from synth.plan import Plan, make_sample
from synth.recipe import Recipe
from synth.sample import Sample
from synth.shards import jobs, recipe_hash, sealed, stored_recipe_hash
from synth.store import Dataset
from tests.synth.scenarios import files_of
from tests.synth.tiny import ROOT, leftovers, tiny_recipe, write_tiny


@pytest.fixture(scope="module")
def reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return built(tiny_recipe(), tmp_path_factory.mktemp("reference"), data)


def built(
    recipe: Recipe, out: Path, data: Path, workers: int = 1, part: tuple[int, int] = (1, 1)
) -> Dataset:
    dataset = build(recipe, out, data, workers, part, progress=False)
    assert dataset is not None
    return dataset


def test_fingerprint_does_not_depend_on_shard_size_but_on_seed(
    reference: Dataset, data: Path, tmp_path: Path
) -> None:
    other = built(tiny_recipe(shard_size=7), tmp_path / "a", data)
    assert other.fingerprint == reference.fingerprint
    assert built(tiny_recipe().with_changes(seed=1), tmp_path / "b", data).fingerprint != (
        reference.fingerprint
    )


def test_a_complete_data_set_is_only_opened(reference: Dataset, data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in reference.path.iterdir()}
    again = build(tiny_recipe(), reference.path, data / "gone", progress=False)
    assert again is not None
    assert again.fingerprint == reference.fingerprint
    assert {path: path.stat().st_mtime_ns for path in reference.path.iterdir()} == before


def test_a_lost_or_cut_shard_is_written_again(
    reference: Dataset, data: Path, tmp_path: Path
) -> None:
    built(tiny_recipe(), tmp_path, data)
    kept = (tmp_path / "shard-00000.tar").stat().st_mtime_ns
    (tmp_path / "shard-00001.tar").unlink()
    os.truncate(tmp_path / "shard-00002.tar", 3000)
    (tmp_path / "shard-00003.json").write_text("{")
    assert built(tiny_recipe(), tmp_path, data).fingerprint == reference.fingerprint
    assert check(tmp_path) == []
    assert (tmp_path / "shard-00000.tar").stat().st_mtime_ns == kept


@pytest.mark.parametrize("content", ['{"a": 1}', "[", None])
def test_a_damaged_description_is_written_again(
    content: str | None, reference: Dataset, data: Path, tmp_path: Path
) -> None:
    built(tiny_recipe(), tmp_path, data)
    path = tmp_path / "dataset.json"
    path.write_text(content or path.read_text().replace('"seed": 0', '"seed": 7', 1))
    again = built(tiny_recipe(), tmp_path, data)
    assert again.fingerprint == reference.fingerprint
    assert check(tmp_path) == []


def test_a_living_build_keeps_others_out_and_a_dead_one_does_not(
    data: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, time; from pathlib import Path; from synth.lock import build_lock\n"
        "with build_lock(Path(sys.argv[1]), (1, 1)): print('held', flush=True); time.sleep(60)"
    )
    build(tiny_recipe(), tmp_path, data, part=(2, 2), progress=False)
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for part in ((1, 1), (1, 2)):
            with pytest.raises(InputError, match=f"process {holder.pid} on .* builds here"):
                build(tiny_recipe(), tmp_path, data, part=part, progress=False)
    finally:
        holder.kill()
        holder.wait()
    assert build(tiny_recipe(), tmp_path, data, progress=False) is not None
    assert leftovers(tmp_path) == []


def test_parts_of_one_division_may_build_at_once(tmp_path: Path) -> None:
    other = tmp_path / ".tmp-elsewhere-1-shard-00000.tar"
    with build_lock(tmp_path, (1, 2)):
        other.write_bytes(b"of the first part")
        with build_lock(tmp_path, (2, 2)):
            assert other.exists()
    with build_lock(tmp_path, (1, 2)):
        assert not other.exists()


def test_a_foreign_folder_is_refused_untouched(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else \\(thesis.txt\\)"):
        build(tiny_recipe(), tmp_path, data, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="choose another"):
        build(tiny_recipe(), tmp_path / "out", data, progress=False)


@pytest.mark.parametrize("change", [{"seed": 5}, {"count": 30}])
def test_another_recipe_is_refused(change: dict[str, int], reference: Dataset, data: Path) -> None:
    with pytest.raises(InputError, match="another recipe or seed; choose another folder"):
        build(tiny_recipe().with_changes(**change), reference.path, data, progress=False)


@pytest.mark.parametrize("names", [("shard-00001.tar", "shard-00001.json"), ("shard-00001.json",)])
def test_a_shard_or_marker_of_another_recipe_is_refused(
    names: tuple[str, ...], reference: Dataset, data: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe().with_changes(seed=9)
    build(recipe, tmp_path, data, part=(1, 2), progress=False)
    for name in names:
        (tmp_path / name).write_bytes((reference.path / name).read_bytes())
    before = files_of(tmp_path)
    with pytest.raises(InputError, match="shard-00001.tar: belongs to another recipe or seed"):
        build(recipe, tmp_path, data, progress=False)
    assert files_of(tmp_path) == before
    for name in names:
        (tmp_path / name).unlink()
    built(recipe, tmp_path, data)
    assert check(tmp_path) == []


def test_a_shard_beyond_the_last_is_refused(reference: Dataset, data: Path, tmp_path: Path) -> None:
    build(tiny_recipe(), tmp_path, data, part=(1, 2), progress=False)
    (tmp_path / "shard-00007.tar").write_bytes((reference.path / "shard-00001.tar").read_bytes())
    with pytest.raises(InputError, match="shard-00007.tar: belongs to no shard of this recipe"):
        build(tiny_recipe(), tmp_path, data, progress=False)


def test_a_tar_of_another_recipe_without_marker_is_written_anew(
    reference: Dataset, data: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe().with_changes(seed=9)
    build(recipe, tmp_path, data, part=(1, 2), progress=False)
    foreign = (reference.path / "shard-00001.tar").read_bytes()
    (tmp_path / "shard-00001.tar").write_bytes(foreign)
    built(recipe, tmp_path, data)
    assert (tmp_path / "shard-00001.tar").read_bytes() != foreign
    assert check(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "source"), [("people/003.png", "people folder"), ("things-masks/004.png", "occluders")]
)
def test_a_source_that_changed_between_parts_is_refused_untouched(
    file: str, source: str, tmp_path: Path
) -> None:
    data, out = write_tiny(tmp_path / "data"), tmp_path / "out"
    build(tiny_recipe(), out, data, part=(1, 2), progress=False)
    before, content = files_of(out), (data / file).read_bytes()
    picture = np.array(Image.open(data / file))
    picture[0, 0] ^= 255
    Image.fromarray(picture).save(data / file)
    for part in ((1, 1), (2, 2)):
        with pytest.raises(InputError, match=f"the source of {source}.* has changed.*restore"):
            build(tiny_recipe(), out, data, part=part, progress=False)
    assert files_of(out) == before
    (data / file).write_bytes(content)
    assert built(tiny_recipe(), out, data).info["sources"].keys() == {
        "people folder",
        "occluders folder",
        "initial masks",
    }
    assert check(out) == []


def test_a_shard_made_from_other_input_is_refused(data: Path, tmp_path: Path) -> None:
    """Two parts that begin at once on two machines with different photos."""
    build(tiny_recipe(), tmp_path, data, part=(1, 2), progress=False)
    path = tmp_path / "shard-00002.json"
    marker = json.loads(path.read_bytes())
    marker["sources"]["occluders folder"] = "0" * 64
    path.write_bytes(sealed(marker))
    with pytest.raises(InputError, match="shard-00002.tar: was made before .*occluders folder"):
        build(tiny_recipe(), tmp_path, data, progress=False)


def test_a_worker_with_other_photos_says_so(data: Path, tmp_path: Path) -> None:
    recipe, first = tiny_recipe(), jobs(tiny_recipe())[0]
    lock = Lock(tmp_path / ".build-1-of-1.lock", "me")
    lock.path.write_text("me")
    sources = {"people folder": "0" * 64}
    task = Task(tmp_path, recipe, recipe_hash(recipe), str(data), sources, lock)
    message = write_remotely(task, ".tmp-count", [first])
    assert "the source of people folder is another on " in message
    gone = replace(task, folder=tmp_path / "gone")
    assert "not found on " in write_remotely(gone, ".tmp-count", [first])
    assert list(tmp_path.iterdir()) == [lock.path]


def test_a_folder_of_an_earlier_version_is_gone_on_with(
    reference: Dataset, data: Path, tmp_path: Path
) -> None:
    """A version whose recipes had fewer keys wrote other hashes, but the same samples."""
    build(tiny_recipe(), tmp_path, data, part=(1, 2), progress=False)
    identity = json.loads((tmp_path / "recipe.json").read_bytes())
    del identity["recipe"]["occlusion"]["truncate"], identity["sources"]
    identity["recipe_hash"] = stored_recipe_hash(identity["recipe"])
    (tmp_path / "recipe.json").write_text(json.dumps(identity))
    for path in tmp_path.glob("shard-*.json"):
        marker = json.loads(path.read_bytes()) | {"recipe_hash": identity["recipe_hash"]}
        del marker["sources"], marker["missed"], marker["versions"]
        path.write_bytes(sealed(marker))
    assert built(tiny_recipe(), tmp_path, data).fingerprint == reference.fingerprint
    assert check(tmp_path) == []
    assert built(tiny_recipe(), tmp_path, data / "gone").fingerprint == reference.fingerprint


def test_shards_of_entries_in_another_order_are_not_gone_on_with(
    data: Path, tmp_path: Path
) -> None:
    """An earlier version drew others from a recipe that has an entry for train alone first."""
    recipe = tiny_recipe()
    more = recipe.people[0].model_copy(update={"train_only": True})
    recipe = Recipe.model_validate(recipe.model_dump() | {"people": (*recipe.people, more)})
    done = built(recipe, tmp_path, data)
    identity = json.loads((tmp_path / "recipe.json").read_bytes())
    identity["recipe"]["people"].reverse()
    identity["recipe_hash"] = stored_recipe_hash(identity["recipe"])
    (tmp_path / "recipe.json").write_text(json.dumps(identity))
    for path in tmp_path.glob("shard-*.json"):
        marker = json.loads(path.read_bytes()) | {"recipe_hash": identity["recipe_hash"]}
        path.write_bytes(sealed(marker))
    assert built(recipe, tmp_path, data).fingerprint == done.fingerprint  # whole: only opened
    (tmp_path / "shard-00001.json").unlink()
    with pytest.raises(InputError, match="earlier version.*train_only.*choose another folder"):
        built(recipe, tmp_path, data)


def test_samples_that_missed_their_share_are_counted(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(plan: Plan, index: int) -> Sample:
        sample = make_sample(plan, index)
        return replace(sample, meta=sample.meta | {"missed": True}) if index % 7 == 0 else sample

    monkeypatch.setattr("synth.engines.work.make_sample", missing)
    info = built(tiny_recipe(), tmp_path, data).info
    assert info["missed"] == 4
    assert "In 4 of 24 samples" in (tmp_path / "README.md").read_text()


def test_inputs_left_out_are_listed_with_reasons(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data", people=14)
    (data / "people/003.png").write_bytes((data / "people/003.png").read_bytes()[:900])
    (data / "people-masks/005.png").unlink()
    info = built(tiny_recipe(), tmp_path / "out", data).info
    named = {Path(one["file"]).name.split(":")[-1].split(".")[0] for one in info["skipped"]}
    assert named == {"003", "005"}
    assert all(one["reason"] for one in info["skipped"])
    assert sum(info["skipped_by_reason"].values()) == len(info["skipped"])
    assert check(tmp_path / "out") == []


def test_bad_arguments_are_input_errors(data: Path, tmp_path: Path) -> None:
    for workers, part in ((0, (1, 1)), (1, (3, 2)), (1, (0, 1))):
        with pytest.raises(InputError):
            build(tiny_recipe(), tmp_path / "out", data, workers, part, progress=False)
    assert not (tmp_path / "out").exists()


def test_dataset_json_says_what_was_built(reference: Dataset) -> None:
    info = json.loads((reference.path / "dataset.json").read_bytes())
    assert info["counts"] == {"train": 14, "val": 4, "test": 6}
    assert info["schema"] == 1
    assert {"python", "numpy"} <= info["versions"].keys()
    assert [s["samples"] for s in info["shards"]] == [4, 4, 4, 2, 4, 4, 2]
    assert [s["split"] for s in info["shards"]] == ["train"] * 4 + ["val"] + ["test"] * 2

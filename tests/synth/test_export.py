"""Exports: what the tools of each format read back is the data set, to the pixel."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from click.testing import CliRunner
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import synth.export.parquet
from synth.atomic import host
from synth.build import build
from synth.cli_export import export as command
from synth.errors import InputError
from synth.export import FORMATS, export
from synth.recipe import parse_recipe
from synth.sample import Sample
from synth.store import Dataset
from tests.synth.tiny import RECIPE, tiny_recipe

COUNTS = {"train": 14, "val": 4, "test": 6}


@pytest.fixture(scope="module")
def dataset(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    made = build(tiny_recipe(), tmp_path_factory.mktemp("set"), data, progress=False)
    assert made is not None
    return made


def decoded(code: Any) -> np.ndarray:
    return np.asarray(coco_mask.decode(code)).astype(bool)


def drawn(polygons: list[list[int]], shape: tuple[int, ...]) -> np.ndarray:
    if not polygons:
        return np.zeros(shape, bool)
    return decoded(coco_mask.merge(coco_mask.frPyObjects(polygons, *shape)))


def picture(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def opened(folder: Path, name: str) -> COCO:
    return COCO(str(folder / "annotations" / name))


@pytest.mark.parametrize("kind", list(FORMATS))
def test_every_sample_is_written_once_with_its_pictures(
    kind: str, dataset: Dataset, tmp_path: Path
) -> None:
    assert export(dataset, kind, tmp_path / "out", progress=False) == 24
    about = json.loads((tmp_path / "out" / "export.json").read_text())
    assert about["format"] == kind and about["splits"] == COUNTS
    assert about["fingerprint"] == dataset.fingerprint
    assert "14 train, 4 val, 6 test" in (tmp_path / "out" / "README.md").read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    left = [p for p in (tmp_path / "out").rglob("*") if p.suffix in (".images", ".annotations")]
    assert left == []


def test_coco_holds_whole_visible_and_hidden_masks(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, "coco", tmp_path / "out", progress=False)
    for split in COUNTS:
        coco = opened(tmp_path / "out", f"instances_{split}.json")
        assert len(coco.anns) == COUNTS[split]
        for sample in dataset.split(split):
            [row] = coco.loadAnns(coco.getAnnIds(imgIds=[int(sample.sample_id)]))
            name = coco.loadImgs(row["image_id"])[0]["file_name"]
            assert np.array_equal(coco.annToMask(row).astype(bool), sample.amodal)
            assert np.array_equal(decoded(row["visible_mask"]), sample.modal)
            assert np.array_equal(decoded(row["invisible_mask"]), sample.invisible)
            assert np.array_equal(decoded(row["occluder_mask"]), sample.occluder)
            assert row["bbox"] == list(coco_mask.toBbox(row["segmentation"]))
            assert row["visible_area"] == sample.modal.sum()
            assert np.array_equal(picture(tmp_path / "out" / "images" / split / name), sample.image)
            assert np.array_equal(picture(tmp_path / "out" / "clean" / split / name), sample.clean)


def test_coco_evaluates_perfect_predictions_as_perfect(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, "coco", tmp_path / "out", ["test"], progress=False)
    truth = opened(tmp_path / "out", "instances_test.json")
    found = truth.loadRes([dict(row, score=0.9) for row in truth.anns.values()])
    scores = COCOeval(truth, found, "segm")
    scores.evaluate()
    scores.accumulate()
    scores.summarize()
    assert scores.stats[0] == 1.0


def test_built_in_people_come_with_keypoints(tmp_path: Path) -> None:
    recipe = parse_recipe(
        'name = "k"\nsize = 48\ncounts = {train = 1, val = 0, test = 0}\n'
        '[[people]]\nsource = "builtin"\npool = 3\n[[occluders]]\nsource = "builtin"\npool = 3\n',
        "k",
    )
    made = build(recipe, tmp_path / "set", progress=False)
    assert made is not None
    export(made, "coco", tmp_path / "out", progress=False)
    [row] = opened(tmp_path / "out", "instances_train.json").anns.values()
    assert len(row["keypoints"]) == 51 and row["num_keypoints"] >= 8
    x, y, flags = (np.array(row["keypoints"][i::3]) for i in range(3))
    assert set(flags) <= {0, 1, 2} and (x[flags > 0] < 48).all() and (y[flags > 0] >= 0).all()


def test_cocoa_holds_regions_from_front_to_back(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, "cocoa", tmp_path / "out", progress=False)
    coco = opened(tmp_path / "out", "COCO_amodal_train.json")
    for sample in dataset.split("train"):
        [row] = coco.loadAnns(coco.getAnnIds(imgIds=[int(sample.sample_id)]))
        front, person = row["regions"]
        assert row["size"] == 2 and row["depth_constraint"] == "1-2"
        assert [r["order"] for r in (front, person)] == [1, 2] and person["name"] == "person"
        shape = sample.amodal.shape
        assert np.array_equal(drawn([front["segmentation"]], shape), sample.occluder)
        assert np.array_equal(drawn([person["segmentation"]], shape), sample.amodal)
        assert np.array_equal(decoded(person["amodal_mask"]), sample.amodal)
        assert np.array_equal(decoded(person["visible_mask"]), sample.modal)
        assert np.array_equal(decoded(person["invisible_mask"]), sample.invisible)
        assert person["occlude_rate"] == pytest.approx(sample.hidden_share, abs=1e-6)
        assert front["occlude_rate"] == 0 and "visible_mask" not in front


def test_kins_holds_the_keys_of_both_years(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, "kins", tmp_path / "out", progress=False)
    coco = opened(tmp_path / "out", "instances_val.json")
    for sample in dataset.split("val"):
        rows = coco.loadAnns(coco.getAnnIds(imgIds=[int(sample.sample_id)]))
        [person] = [r for r in rows if r["category_id"] == 1]
        [front] = [r for r in rows if r["category_id"] == 2]
        shape = sample.amodal.shape
        assert np.array_equal(coco.annToMask(person).astype(bool), sample.amodal)
        assert np.array_equal(decoded(person["inmodal_seg"]), sample.modal)
        assert np.array_equal(drawn(person["a_segm"], shape), sample.amodal)
        assert np.array_equal(drawn(person["i_segm"], shape), sample.modal)
        assert np.array_equal(drawn(front["a_segm"], shape), sample.occluder)
        assert person["i_bbox"] == list(coco_mask.toBbox(person["inmodal_seg"]))
        assert (person["a_area"], person["i_area"]) == (sample.amodal.sum(), sample.modal.sum())
        assert (front["oco_id"], front["ico_id"]) == (1, 1)
        assert (person["oco_id"], person["ico_id"]) == (1, 2)
    assert len(coco.anns) == 8


def test_a_folder_holds_every_picture_by_id(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, "folder", tmp_path / "out", progress=False)
    with open(tmp_path / "out" / "samples.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    samples = [sample for split in COUNTS for sample in dataset.split(split)]
    assert [row["id"] for row in table] == [sample.sample_id for sample in samples]
    for row, sample in zip(table, samples, strict=True):
        assert row["split"] == sample.split and row["person_id"] == sample.person_id
        assert row["occluder_ids"].split(" | ") == list(sample.occluder_ids)
        for kind in ("image", "clean"):
            assert np.array_equal(read(tmp_path, kind, sample), getattr(sample, kind))
        for kind in ("amodal", "modal", "occluder"):
            stored = read(tmp_path, kind, sample)
            assert stored.ndim == 2 and set(np.unique(stored)) <= {0, 255}
            assert np.array_equal(stored == 255, getattr(sample, kind))
        assert np.array_equal(read(tmp_path, "initial", sample), np.rint(sample.initial * 255))


def read(tmp_path: Path, kind: str, sample: Sample) -> np.ndarray:
    return picture(tmp_path / "out" / kind / f"{sample.sample_id}.png")


def test_an_exported_folder_is_a_source_of_people(dataset: Dataset, tmp_path: Path) -> None:
    export(dataset, "folder", tmp_path / "out", progress=False)
    text = RECIPE.format(train=2, shard_size=4)
    text = text.replace('images = "people"', 'images = "out/clean"', 1)
    text = text.replace('masks = "people-masks"', 'masks = "out/amodal"', 1)
    for name in ("things", "things-masks"):
        shutil.copytree(tmp_path / "out" / ("clean" if name == "things" else "occluder"),
                        tmp_path / name)  # fmt: skip
    assert build(parse_recipe(text, "again"), tmp_path / "set", tmp_path, progress=False)


def test_parquet_reads_back_with_pandas(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synth.export.parquet, "_GROUP", 5)
    export(dataset, "parquet", tmp_path / "out", progress=False)
    for split in COUNTS:
        table = pandas.read_parquet(tmp_path / "out" / f"{split}.parquet")
        assert len(table) == COUNTS[split]
        for place, sample in enumerate(dataset.split(split)):
            row = table.iloc[place]
            assert (row.id, row.split, row.person_id) == (
                sample.sample_id, sample.split, sample.person_id)  # fmt: skip
            assert tuple(row.occluder_ids) == sample.occluder_ids
            assert row.hidden_share == sample.hidden_share
            assert json.loads(row.meta) == sample.meta
            for name in ("amodal", "modal", "invisible", "occluder"):
                assert np.array_equal(decoded(row[name]), getattr(sample, name)), name
            for name in ("image", "clean"):
                stored = np.asarray(Image.open(io.BytesIO(row[name])))
                assert np.array_equal(stored, getattr(sample, name))
            assert row.parsing is None


def test_only_the_splits_asked_for(dataset: Dataset, tmp_path: Path) -> None:
    assert export(dataset, "coco", tmp_path / "out", ["test", "val"], progress=False) == 10
    names = sorted(p.name for p in (tmp_path / "out" / "annotations").iterdir())
    assert names == ["instances_test.json", "instances_val.json"]
    with pytest.raises(InputError, match="no split 'dev'"):
        export(dataset, "coco", tmp_path / "other", ["dev"], progress=False)
    assert not (tmp_path / "other").exists()


def test_a_foreign_folder_is_never_touched(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else .mine.txt."):
        export(dataset, "coco", tmp_path, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(InputError, match="is a file"):
        export(dataset, "coco", tmp_path / "mine.txt", progress=False)
    with pytest.raises(InputError, match="holds something else"):
        export(dataset, "folder", dataset.path, progress=False)


def test_an_earlier_export_stays_until_the_new_one_is_whole(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    export(dataset, "folder", out, progress=False)
    before = sorted(str(p) for p in out.rglob("*"))

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("synth.export.coco.keypoints", stop)
        with pytest.raises(KeyboardInterrupt):
            export(dataset, "coco", out, progress=False)
    assert sorted(str(p) for p in out.rglob("*")) == before
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    export(dataset, "coco", out, progress=False)
    assert not (out / "samples.csv").exists() and (out / "annotations").is_dir()


BRICK = {"file": "brick.png", "licence": "CC0", "origin": "CC0Textures"}


def test_licences_are_carried(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from synth.sources.folder import FolderOccluders, FolderPeople

    scene = {"name": "street", "licence": "generated; CC0", "photos": [BRICK]}
    of_person = {"licence": "CC-BY", "licence_url": "cc.org", "background": scene}
    own = {FolderPeople: of_person, FolderOccluders: {"licence": "PD", "licence_url": "pd.org"}}
    original = {source: source.load for source in own}

    def licensed(self: Any, *given: Any) -> Any:
        made = original[type(self)](self, *given)
        return replace(made, meta=made.meta | own[type(self)])

    for source in own:
        monkeypatch.setattr(source, "load", licensed)
    made = build(tiny_recipe(train=1), tmp_path / "set", data, progress=False)
    assert made is not None
    for kind in FORMATS:
        export(made, kind, tmp_path / kind, progress=False)
    for kind, name in (("coco", "instances"), ("cocoa", "COCO_amodal"), ("kins", "instances")):
        content = json.loads((tmp_path / kind / "annotations" / f"{name}_val.json").read_text())
        assert content["licenses"] == [{"id": 1, "name": "CC-BY", "url": "cc.org"}]
        assert all(image["license"] == 1 for image in content["images"])
    with open(tmp_path / "folder" / "samples.csv", newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    assert (row["person_licence"], row["person_licence_url"]) == ("CC-BY", "cc.org")
    count = len(row["occluder_ids"].split(" | "))
    assert row["occluder_licences"] == " | ".join(["PD"] * count)
    assert row["occluder_licence_urls"] == " | ".join(["pd.org"] * count)
    assert row["background_licence"] == "generated; CC0"
    assert row["background_photos"] == "brick.png (CC0Textures; CC0)"
    table = pandas.read_parquet(tmp_path / "parquet" / "test.parquet")
    assert json.loads(table.person_source[0])["licence"] == "CC-BY"


def test_the_command(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(command, [str(dataset.path), "--to", "kins", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert f"{out}: 24 samples as kins" in done.output
    for given_, message in (
        ([str(dataset.path), "--to", "voc", "--out", str(out)], "no such format"),
        ([str(tmp_path / "no"), "--to", "coco", "--out", str(out)], "holds no data set"),
    ):
        refused = CliRunner().invoke(command, given_)
        assert refused.exit_code == 2 and message in refused.output
        assert len(refused.output.strip().splitlines()) == 1


def test_a_relative_folder_is_found_but_not_the_current_one(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export(dataset, "folder", Path("a/../b"), progress=False)
    assert (tmp_path / "b/export.json").is_file()
    with pytest.raises(InputError, match="is or holds the current folder; name a new one"):
        export(dataset, "folder", Path("."), progress=False)


def test_what_a_killed_export_left_is_removed_and_a_living_one_is_not(
    dataset: Dataset, tmp_path: Path
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead, living = (f".out.{host()}-{pid}.new" for pid in (gone.pid, os.getppid()))
    # On a disk that machines share, processes of another one cannot be asked after.
    elsewhere = [f".out.{machine}{gone.pid}.new" for machine in ("another-", "")]
    for name in (dead, living, *elsewhere):
        (tmp_path / name).mkdir()
    export(dataset, "folder", tmp_path / "out", progress=False)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([living, *elsewhere, "out"])

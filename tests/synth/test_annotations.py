"""``annotations.json`` as others read it: pycocotools, and the keys of COCO-amodal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from synth.annotations import annotation_chunks, credit
from synth.build import build
from synth.check import check
from synth.recipe import parse_recipe
from synth.store import Dataset
from tests.synth.tiny import RECIPE, tiny_recipe, write_tiny

LICENCE = {"id": 4, "name": "Attribution License", "url": "http://licence.org/by/2.0/"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def dataset(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return built(tiny_recipe(), tmp_path_factory.mktemp("set"), data)


@pytest.fixture(scope="module")
def licensed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """People and things from a COCO file that knows licences and addresses."""
    (data / "coco.json").write_text(json.dumps(as_coco(data)))
    text = RECIPE.format(train=14, shard_size=4)
    for folder in ("people", "things"):
        text = text.replace(
            f'source = "folder"\nimages = "{folder}"\nmasks = "{folder}-masks"',
            'source = "coco"\nannotations = "coco.json"\nimages = "."\nmin_area = 0.01',
        )
    text = text.replace("min_area = 0.01\n[initial]", "min_area = 0.01\nexclude = []\n[initial]")
    return built(parse_recipe(text, "licensed"), tmp_path_factory.mktemp("licensed"), data)


def built(recipe: Any, out: Path, data: Path) -> Dataset:
    dataset = build(recipe, out, data, progress=False)
    assert dataset is not None
    return dataset


def as_coco(data: Path) -> dict[str, Any]:
    """The photos of ``write_tiny`` as a COCO file; a box for a mask is enough here."""
    images, annotations = [], []
    for folder, category in (("people", 1), ("things", 2)):
        for path in sorted((data / folder).iterdir()):
            number = len(images) + 1
            url = f"http://images.org/{number}.jpg"
            images.append(
                {"id": number, "file_name": f"{folder}/{path.name}", "height": 60, "width": 48,
                 "license": 4, "coco_url": url}
            )  # fmt: skip
            box = [12, 10, 20, 40]
            corners = [12, 10, 32, 10, 32, 50, 12, 50]
            annotations.append(
                {"id": number, "image_id": number, "category_id": category, "iscrowd": 0,
                 "bbox": box, "area": 800, "segmentation": [corners]}
            )  # fmt: skip
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "box"}]
    return {"images": images, "annotations": annotations, "categories": categories,
            "licenses": [LICENCE]}  # fmt: skip


def pairs(dataset: Dataset) -> Any:
    """Each sample with its image and its annotation as pycocotools gives them."""
    coco = COCO(str(dataset.path / "annotations.json"))
    for split in ("train", "val", "test"):
        for sample in dataset.split(split):
            image = coco.loadImgs(int(sample.sample_id))[0]
            [annotation] = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
            yield sample, image, annotation, coco


def test_masks_boxes_and_areas_are_those_of_the_sample(dataset: Dataset) -> None:
    for sample, image, annotation, coco in pairs(dataset):
        assert (image["height"], image["width"]) == sample.amodal.shape
        assert np.array_equal(coco.annToMask(annotation), sample.amodal)
        masks = {"visible_mask": sample.modal, "invisible_mask": sample.invisible,
                 "occluder_mask": sample.occluder}  # fmt: skip
        for name, mask in masks.items():
            assert np.array_equal(coco_mask.decode(annotation[name]), mask), name
        for box, area, mask in (("bbox", "area", sample.amodal),
                                ("visible_bbox", "visible_area", sample.modal)):  # fmt: skip
            rows, columns = np.nonzero(mask)
            assert annotation[area] == mask.sum()
            if mask.any():
                left, top = columns.min(), rows.min()
                sides = [columns.max() - left + 1, rows.max() - top + 1]
                assert annotation[box] == [left, top, *sides]


def test_it_says_how_much_is_hidden_by_whom(dataset: Dataset) -> None:
    for sample, _, annotation, _ in pairs(dataset):
        assert annotation["occlude_rate"] == pytest.approx(sample.hidden_share, abs=1e-6)
        assert annotation["person_id"] == sample.person_id
        assert annotation["occluder_ids"] == list(sample.occluder_ids)
        assert annotation["order"] == len(sample.occluder_ids) + 1
        assert annotation["occluder_sources"][0]["file"].endswith(".png")


def test_licences_and_addresses_are_carried(licensed: Dataset) -> None:
    listed = json.loads((licensed.path / "annotations.json").read_bytes())["licenses"]
    assert listed == [{"id": 1, "name": LICENCE["name"], "url": LICENCE["url"]}]
    for sample, image, annotation, _ in pairs(licensed):
        number = int(sample.person_id.split(":")[1])
        assert image["coco_url"] == f"http://images.org/{number}.jpg"
        assert image["license"] == 1
        assert annotation["person_source"]["coco_url"] == image["coco_url"]
        for one in annotation["occluder_sources"]:
            assert one["licence"] == LICENCE["name"] and one["licence_url"] == LICENCE["url"]


def test_coco_evaluates_the_truth_as_perfect(dataset: Dataset) -> None:
    truth = COCO(str(dataset.path / "annotations.json"))
    found = [{**annotation, "score": 1.0} for annotation in truth.loadAnns(truth.getAnnIds())]
    score = COCOeval(truth, truth.loadRes(found), "segm")
    score.evaluate()
    score.accumulate()
    score.summarize()
    assert score.stats[0] == pytest.approx(1.0)


def test_the_photos_of_a_background_are_named_with_their_licence(
    data: Path, tmp_path: Path
) -> None:
    for path in (data / "people").iterdir():
        mask = Image.open(data / "people-masks" / path.name)
        picture = np.dstack([np.asarray(Image.open(path)), np.asarray(mask)])
        (tmp_path / "cut").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "cut" / path.name)
    text = RECIPE.format(train=14, shard_size=4).replace(
        'source = "folder"\nimages = "people"\nmasks = "people-masks"',
        f'source = "rgba"\npath = "{tmp_path / "cut"}"\nmin_area = 100\nmax_border_contact = 1',
    )
    dataset = built(parse_recipe(text, "cut"), tmp_path / "set", data)
    photos = set()
    for sample, _, annotation, _ in pairs(dataset):
        source, background = annotation["person_source"], sample.meta["person"]["background"]
        assert source["background_licence"] == background["licence"]
        told = source.get("background_photos", "")
        for one in background["photos"]:
            photos.add(one["file"])
            assert f"{one['file']} ({one['origin']}; {one['licence']})" in told
        assert bool(told) == bool(background["photos"])
    assert photos
    assert check(dataset.path) == []
    path = dataset.path / "annotations.json"
    path.write_bytes(b"".join(annotation_chunks(dataset.path, dataset.recipe, backgrounds=False)))
    assert b"background" not in path.read_bytes()
    assert check(dataset.path) == ["annotations.json: was changed since it was built"]
    path.write_bytes(path.read_bytes().replace(b"Tiny", b"Tidy", 1))
    assert len(check(dataset.path)) == 2


@pytest.mark.parametrize(
    "background", [None, [], "x", {}, {"photos": 3}, {"photos": [1, {}, {"file": []}]}]
)
def test_a_background_that_says_nothing_of_use_gives_no_credit(background: Any) -> None:
    assert credit({"file": "a", "size": 3, "background": background}) in (
        {"file": "a"},
        {"file": "a", "background": "x"},
    )

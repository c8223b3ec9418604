"""COCO files: who is whole, what is left out, and files that are broken."""

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from synth.errors import InputError
from synth.source_specs import CocoOccluders, CocoPeople
from synth.sources import coco
from tests.synth.coco_files import (
    HEIGHT,
    WHOLE,
    WIDTH,
    annotation,
    dataset,
    keypoints,
    occluders,
    people,
    rectangle,
    write,
)


def test_a_whole_person_is_loaded_with_credit_and_keypoints(tmp_path: Path) -> None:
    source = people(tmp_path, dataset(WHOLE | keypoints(2, 2)))
    assert source.ids() == ["7"] and source.rejected == []
    crop = source.load("7", 64, np.random.default_rng(0))
    assert crop.parsing is None and crop.amodal.any()
    credit = {
        "licence": "Attribution", "licence_url": "http://cc/by", "coco_url": "http://coco/1",
        "flickr_url": "http://flickr/1", "file": "one.png",
    }  # fmt: skip
    assert credit.items() <= crop.meta.items()
    left, top, side = crop.meta["crop"]
    x, y, visible = crop.meta["keypoints"][5]
    assert (x, y) == pytest.approx(((50 - left) * 64 / side, (30 - top) * 64 / side), abs=0.01)
    assert visible == 2


REJECTED = {
    "crowd": WHOLE | {"iscrowd": 1},
    "smaller": annotation(8, (40, 20, 44, 28)),
    "edge": annotation(8, (40, 50, 70, 100)),
    "pieces": WHOLE | {"segmentation": rectangle(10, 10, 30, 40) + rectangle(60, 50, 80, 80)},
    "head": WHOLE | keypoints(1, 2),
    "ankle": WHOLE | keypoints(2, 0),
    "malformed": WHOLE | {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [1, 2]}},
    "not in the annotation file": WHOLE | {"image_id": 5},
}


@pytest.mark.parametrize("word", REJECTED)
def test_who_is_not_whole_is_rejected_with_a_reason(tmp_path: Path, word: str) -> None:
    good = annotation(99, (80, 30, 110, 90))
    source = people(tmp_path, dataset(REJECTED[word] | {"id": 1}, good))
    assert source.ids() == ["99"]
    (rejected,) = source.rejected
    assert word in rejected.reason and rejected.file.endswith("annotation 1")


def test_what_reaches_into_a_person_hides_them_and_what_they_lie_on_does_not(
    tmp_path: Path,
) -> None:
    notched = [40, 20, 70, 20, 70, 80, 40, 80, 40, 60, 60, 60, 60, 40, 40, 40]
    person = WHOLE | {"segmentation": [notched]}
    assert people(tmp_path, dataset(person)).ids() == ["7"]
    cat = annotation(8, (38, 42, 59, 58), 2)
    with pytest.raises(InputError, match="in front"):
        people(tmp_path, dataset(person, cat))
    table = annotation(9, (5, 10, 110, 90), 3)
    assert people(tmp_path, dataset(person, table)).ids() == ["7"]


def test_occluders_leave_out_classes_crowds_and_keep_holes(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:60, 20:80] = 1
    mask[30:40, 40:50] = 0
    code = coco_mask.encode(np.asfortranarray(mask))
    ring = annotation(3, (20, 20, 80, 60), 2)
    ring["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": code["counts"].decode()}
    table = annotation(4, (85, 30, 110, 60), 3)
    source = occluders(tmp_path, dataset(annotation(1, (20, 70, 60, 90)), ring, table))
    assert source.ids() == ["3"]
    assert Counter(r.reason for r in source.rejected) == {"class is excluded by the recipe": 2}
    drawn = source.load("3", 500, np.random.default_rng(0))
    assert drawn.category == "cat" and drawn.meta["licence"] == "Attribution"
    assert drawn.rgba.shape == (40, 60, 4)
    np.testing.assert_array_equal(drawn.rgba[:, :, 3] > 0, mask[20:60, 20:80] > 0)
    assert source.load("3", 30, np.random.default_rng(0)).rgba.shape == (20, 30, 4)


def test_photos_are_checked_by_their_headers(tmp_path: Path) -> None:
    data = dataset(WHOLE)
    for number, name in enumerate(["gone.png", "text.png", "small.png", "../one.png", "/x.png"]):
        data["images"].append(data["images"][0] | {"id": 10 + number, "file_name": name})
        data["annotations"].append(WHOLE | {"id": 10 + number, "image_id": 10 + number})
    write(tmp_path, data)
    (tmp_path / "images" / "text.png").write_text("hello")
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "small.png")
    source = people(tmp_path, data)
    assert source.ids() == ["7"]
    words = ["missing", "cannot be decoded; ", "size", "leaves the folder", "leaves the folder"]
    for rejected, word in zip(source.rejected, words, strict=True):
        assert word in rejected.reason


def test_a_photo_torn_after_its_header_says_what_to_do(tmp_path: Path) -> None:
    source = people(tmp_path, dataset(WHOLE))
    path = tmp_path / "images" / "one.png"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"one\.png.*drop it from a\.json"):
        source.load("7", 32, np.random.default_rng(0))


BROKEN = {
    "not JSON": "{", "empty": "", "deep": "[" * 100_000, "list": "[]", "null": "null",
    "no images": json.dumps({"annotations": [], "categories": []}),
    "other kind": json.dumps(dataset(WHOLE) | {"images": {"id": 1}}),
    "no id": json.dumps(dataset({"image_id": 1, "category_id": 1})),
    "id twice": json.dumps(dataset(WHOLE, WHOLE)),
    "list as id": json.dumps(dataset(WHOLE | {"image_id": [1]})),
    "half an id": json.dumps(dataset(WHOLE | {"category_id": 1.5})),
    "empty id": json.dumps(dataset(WHOLE | {"id": " "})),
    "one id, two forms": json.dumps(dataset(WHOLE, WHOLE | {"id": "7"})),
    "no width": json.dumps(dataset(WHOLE) | {"images": [{"id": 1, "file_name": "one.png"}]}),
    "nobody": json.dumps(dataset(WHOLE | {"iscrowd": 1})),
    "no person": json.dumps(dataset(WHOLE) | {"categories": [{"id": 2, "name": "cat"}]}),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_end_in_one_line_that_names_them(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        people(tmp_path, BROKEN[name])
    message = caught.value.message
    assert "a.json" in message and "\n" not in message and ";" in message


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    spec = CocoPeople(source="coco", annotations="none.json", images="images")
    with pytest.raises(InputError, match=r"none\.json: no such annotation file"):
        coco.CocoPeople(spec, tmp_path)
    write(tmp_path, dataset(WHOLE))
    spec = CocoPeople(source="coco", annotations="a.json", images="photos")
    with pytest.raises(InputError, match=r"photos: no such folder"):
        coco.CocoPeople(spec, tmp_path)


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 0, 1.5, 10**30, float("nan"), float("inf"), "", "x", [], {}, [[]], [1, 2], 7]
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mutated_annotations_give_sources_or_one_line(tmp_path: Path, data: st.DataObject) -> None:
    content = copy.deepcopy(dataset(WHOLE | keypoints(2, 2), annotation(8, (80, 30, 110, 90), 2)))
    table = data.draw(st.sampled_from(sorted(content)))
    entry = data.draw(st.sampled_from(content[table]))
    key = data.draw(st.sampled_from(sorted(entry)))
    if isinstance(entry[key], list) and entry[key] and data.draw(st.booleans()):
        entry[key][data.draw(st.integers(0, len(entry[key]) - 1))] = data.draw(ODD)
    else:
        entry[key] = data.draw(ODD)
    for kind in (people, occluders):
        try:
            source = kind(tmp_path, content)
            for identity in source.ids():
                source.load(identity, 24, np.random.default_rng(0))
        except InputError as error:
            assert "\n" not in error.message


def test_real_people_are_mostly_kept(real_data: Path) -> None:
    spec = CocoPeople(
        source="coco", annotations="coco_people/annotations/person_keypoints.json",
        images="coco_people/images",
    )  # fmt: skip
    source = coco.CocoPeople(spec, real_data)
    assert len(source.ids()) + len(source.rejected) == 100 and len(source.ids()) >= 85
    assert source.ids() == sorted(source.ids()) == coco.CocoPeople(spec, real_data).ids()
    for identity in source.ids()[::20]:
        crop = source.load(identity, 64, np.random.default_rng(0))
        assert crop.amodal.any() and crop.meta["licence_url"].startswith("http")
        points = np.array(crop.meta["keypoints"])
        seen = points[points[:, 2] == 2, :2].astype(int).clip(0, 63)
        assert crop.amodal[seen[:, 1], seen[:, 0]].mean() > 0.6


def test_real_occluders_are_whole_things(real_data: Path) -> None:
    spec = CocoOccluders(
        source="coco", annotations="coco_occluders/annotations/instances.json",
        images="coco_occluders/images",
    )  # fmt: skip
    source = coco.CocoOccluders(spec, real_data)
    assert len(source.ids()) + len(source.rejected) == 960 and len(source.ids()) >= 120
    reasons = Counter(r.reason for r in source.rejected)
    assert reasons["smaller than 2500 px"] > 400
    assert reasons["cut off by the edge of the photo"] > 50
    categories = set()
    for identity in source.ids()[::10]:
        drawn = source.load(identity, 96, np.random.default_rng(0))
        categories.add(drawn.category)
        assert max(drawn.rgba.shape[:2]) <= 96 and drawn.rgba[:, :, 3].max() == 255
    assert len(categories) > 5 and not categories & {"person", "dining table"}

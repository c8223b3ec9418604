"""COCO files that other tools wrote, what the recipe may ask of them, and large ones."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from synth import source_specs as specs
from synth.errors import InputError
from synth.source_specs import CocoOccluders
from synth.sources import coco, coco_file
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


def converted() -> dict[str, Any]:
    """What converters of other data sets write: ids as texts and floats, "Person", no area."""
    data = dataset(WHOLE | {"id": "000ab", "image_id": "img_1", "category_id": "1", "area": 0})
    data["images"][0] |= {"id": "img_1", "width": 120.0, "file_name": "train\\v1\\one.png"}
    data["categories"][0] = {"id": 1.0, "name": "Person", "supercategory": None}
    del data["annotations"][0]["iscrowd"]
    return data


def test_converted_files_are_read(tmp_path: Path) -> None:
    source = people(tmp_path, converted())
    assert source.ids() == ["000ab"]
    crop = source.load("000ab", 32, np.random.default_rng(0))
    assert crop.amodal.any() and crop.meta["licence"] == "Attribution"
    plain = people(tmp_path, dataset(WHOLE)).load("7", 32, np.random.default_rng(0))
    np.testing.assert_array_equal(crop.image, plain.image)
    np.testing.assert_array_equal(crop.amodal, plain.amodal)


def test_a_byte_order_mark_a_bare_polygon_and_an_address_for_a_name_are_read(
    tmp_path: Path,
) -> None:
    data = dataset(WHOLE | {"segmentation": rectangle(40, 20, 70, 80)[0]})
    del data["images"][0]["file_name"]
    data["images"][0]["coco_url"] = "http://images/train2017/one.png"
    source = people(tmp_path, "\ufeff" + json.dumps(data))
    assert source.load("7", 32, np.random.default_rng(0)).meta["file"] == "one.png"


def test_photos_in_folders_are_found_with_and_without_them(tmp_path: Path) -> None:
    data = dataset(WHOLE)
    data["images"][0]["file_name"] = "v1/patch8/one.png"
    assert people(tmp_path, data).ids() == ["7"]
    deep = tmp_path / "images" / "v1" / "patch8" / "one.png"
    deep.parent.mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(deep)
    image = people(tmp_path, data).load("7", 32, np.random.default_rng(0)).image
    assert image.reshape(-1, 3).max(axis=0).tolist() == [255, 0, 0]


MARKED = {
    "isoccluded": "occluded", "istruncated": "cut off", "truncated": "cut off",
    "isdepiction": "picture of one", "isfake": "picture of one", "isreflected": "reflection",
    "isinside": "inside", "isgroupof": "crowd", "occluded": "occluded",
}  # fmt: skip


@pytest.mark.parametrize("name", MARKED)
def test_what_a_file_says_of_people_is_believed(tmp_path: Path, name: str) -> None:
    good = [
        annotation(90 + i, (80, 30, 110, 90)) | {name: value}
        for i, value in enumerate([0, -1, "0", None, False, 0.0])
    ]
    bad = [WHOLE | {"id": i, name: value} for i, value in enumerate([1, "1", True, 1.0])]
    # All lie over one another; what is asked here is what is said of them.
    write(tmp_path, dataset(*good, *bad))
    spec = specs.CocoPeople(
        source="coco", annotations="a.json", images="images", min_area=100, max_intrusion=99
    )
    source = coco.CocoPeople(spec, tmp_path)
    assert len(source.ids()) == len(good)
    assert all(MARKED[name] in r.reason for r in source.rejected) and len(source.rejected) == 4


@pytest.mark.parametrize("outline", [None, [], ""])
def test_a_box_without_a_mask_is_no_person(tmp_path: Path, outline: Any) -> None:
    boxed = WHOLE | {"id": 1, "segmentation": outline}
    source = people(tmp_path, dataset(boxed, annotation(9, (80, 30, 110, 90))))
    assert [r.reason for r in source.rejected] == [
        "has a box and no mask; use annotations with masks"
    ]


def test_both_run_length_codes_are_masks(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:80, 40:70] = 1
    code = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    flat = mask.ravel(order="F").astype(int)
    runs = np.diff(np.flatnonzero(np.diff(np.r_[-1, flat, -1])))
    crops = []
    for counts in (code, runs.tolist()):
        outline = {"size": [HEIGHT, WIDTH], "counts": counts}
        source = people(tmp_path, dataset(WHOLE | {"segmentation": outline}))
        crops.append(source.load("7", 48, np.random.default_rng(0)).amodal)
    np.testing.assert_array_equal(crops[0], crops[1])


def with_keypoints(root: Path, rule: str) -> dict[str, list[str]]:
    unlabelled = WHOLE | {"id": 2, "keypoints": [0] * 51, "num_keypoints": 0}
    people_of_it = [WHOLE | {"id": 1}, unlabelled, WHOLE | {"id": 3} | keypoints(2, 2),
                    WHOLE | {"id": 4} | keypoints(0, 2)]  # fmt: skip
    write(root, dataset(*people_of_it))
    values = {"source": "coco", "annotations": "a.json", "images": "images", "min_area": 100,
              "max_intrusion": 99, "keypoints": rule}  # fmt: skip
    source = coco.CocoPeople(specs.CocoPeople.model_validate(values), root)
    return {"kept": source.ids(), "reasons": [r.reason for r in source.rejected]}


def test_keypoints_are_labelled_required_or_ignored(tmp_path: Path) -> None:
    assert with_keypoints(tmp_path, "labelled") == {
        "kept": ["1", "2", "3"], "reasons": ["head not visible"],
    }  # fmt: skip
    assert with_keypoints(tmp_path, "required") == {
        "kept": ["3"], "reasons": ["no keypoints are labelled"] * 2 + ["head not visible"],
    }  # fmt: skip
    assert with_keypoints(tmp_path, "ignored") == {"kept": ["1", "2", "3", "4"], "reasons": []}


def test_people_of_one_photo_are_one_group(tmp_path: Path) -> None:
    source = people(tmp_path, dataset(WHOLE, annotation(8, (80, 30, 110, 90))))
    assert len({source.group(i) for i in source.ids()}) == 1 and len(source.ids()) == 2


def test_the_category_is_the_recipe_s(tmp_path: Path) -> None:
    write(tmp_path, dataset(WHOLE, annotation(8, (80, 30, 110, 90), 2)))
    values = {"source": "coco", "annotations": "a.json", "images": "images", "min_area": 100}
    cats = coco.CocoPeople(specs.CocoPeople.model_validate(values | {"category": "CAT"}), tmp_path)
    assert cats.ids() == ["8"]
    spec = specs.CocoPeople.model_validate(values | {"category": "persno"})
    with pytest.raises(InputError, match="no category 'persno'; did you mean person"):
        coco.CocoPeople(spec, tmp_path)


def test_occluders_are_included_and_excluded_in_any_case(tmp_path: Path) -> None:
    data = dataset(WHOLE, annotation(8, (80, 30, 110, 90), 2), annotation(9, (5, 5, 30, 30), 3))
    data["categories"][0]["name"] = "Person"
    assert occluders(tmp_path, data).ids() == ["8"]
    values = {"source": "coco", "annotations": "a.json", "images": "images", "min_area": 100}
    only = CocoOccluders.model_validate(values | {"include": ["Dining Table"], "exclude": []})
    source = coco.CocoOccluders(only, tmp_path)
    assert source.ids() == ["9"]
    assert {r.reason for r in source.rejected} == {"class is not included by the recipe"}
    with pytest.raises(InputError, match="no category 'catt'; did you mean cat"):
        coco.CocoOccluders(CocoOccluders.model_validate(values | {"include": ["catt"]}), tmp_path)


def test_what_goes_to_workers_is_what_is_kept(tmp_path: Path) -> None:
    small = [annotation(100 + i, (1, 1, 5, 5)) for i in range(2000)]
    one, many = (people(tmp_path, dataset(WHOLE, *extra)) for extra in ([], small))
    assert many.ids() == one.ids() and len(many.rejected) == 2000
    many.rejected.clear()
    sent = pickle.dumps(many)
    assert len(sent) < len(pickle.dumps(one)) + 100
    again = pickle.loads(sent).load("7", 32, np.random.default_rng(0))
    np.testing.assert_array_equal(again.image, one.load("7", 32, np.random.default_rng(0)).image)


def test_a_file_too_large_to_hold_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coco_file, "_MAX_BYTES", 1000)
    with pytest.raises(InputError, match=r"a\.json: is larger than .* split it"):
        people(tmp_path, dataset(*[WHOLE | {"id": i} for i in range(20)]))


LIMITED = """
import resource, sys, tracemalloc
from pathlib import Path
from synth.sources.coco_file import CocoFile
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
tracemalloc.start()
file = CocoFile(Path(sys.argv[1]) / "big.json", Path(sys.argv[1]))
print(tracemalloc.get_traced_memory()[1] / (Path(sys.argv[1]) / "big.json").stat().st_size)
"""


def test_the_memory_of_a_large_file_is_bounded(tmp_path: Path) -> None:
    outline = [round(i * 0.37 % 100, 2) for i in range(400)]
    data = dataset(*[WHOLE | {"id": i, "segmentation": [outline]} for i in range(4000)])
    (tmp_path / "big.json").write_text(json.dumps(data))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), str(4 << 30)],
        capture_output=True, text=True, timeout=60, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # The text, once as bytes and once decoded, or decoded and parsed: lists would take 6 times.
    assert float(done.stdout) < 3.2

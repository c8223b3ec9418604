"""Clothing Co-Parsing with pipes, odd names, unfit labels: all is left out by name and reason."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from synth.build import build
from synth.check import check
from synth.errors import InputError
from synth.recipe import parse_recipe
from synth.sources.open import open_people
from tests.synth.figures import save
from tests.synth.test_sources_ccp import NAMES, SPEC, write_ccp
from tests.synth.test_sources_odd_files import NO_FILE, reasons, soon  # noqa: F401
from tests.synth.tiny import write_tiny

LABELS = "annotations/pixel-level"


def test_ccp_of_pipes_folders_and_loops_opens(tmp_path: Path) -> None:
    root = write_ccp(tmp_path, ("good", "labels"))
    os.mkfifo(root / "photos" / "pipe.jpg")
    (root / "photos" / "dir.jpg").mkdir()
    (root / "photos" / "loop.jpg").symlink_to(root / "photos" / "loop.jpg")
    (root / LABELS / "labels.mat").unlink()
    os.mkfifo(root / LABELS / "labels.mat")
    source = open_people(SPEC, tmp_path)
    remedy = "; download it or remove its"
    assert source.ids() == ["good"]
    assert reasons(source) == {
        f"photos/{n}.jpg": f"{NO_FILE}{remedy} labels" for n in ("pipe", "dir", "loop")
    } | {f"{LABELS}/labels.mat": f"{NO_FILE}{remedy} photo"}


def test_ccp_labels_keep_their_reason(tmp_path: Path) -> None:
    root = write_ccp(tmp_path, ("good", "key", "range", "real"))
    labels = np.zeros((200, 120), np.uint8)
    scipy.io.savemat(root / LABELS / "key.mat", {"truth": labels})
    scipy.io.savemat(root / LABELS / "range.mat", {"groundtruth": labels + 77})
    scipy.io.savemat(root / LABELS / "real.mat", {"groundtruth": labels + 0.5})
    found = reasons(open_people(SPEC, tmp_path))
    assert "groundtruth" in found[f"{LABELS}/key.mat"]
    assert "label_list.mat does not name" in found[f"{LABELS}/range.mat"]
    assert "is no label map" in found[f"{LABELS}/real.mat"]
    assert len(set(found.values())) == 3


@pytest.mark.parametrize("count", [0, 1, 58])
def test_a_list_of_ccp_labels_that_is_too_short_is_named(tmp_path: Path, count: int) -> None:
    root = write_ccp(tmp_path, ("good",))
    cells = np.empty((count, 1), object)
    cells[:, 0] = NAMES[:count]
    scipy.io.savemat(root / "label_list.mat", {"label_list": cells})
    with pytest.raises(InputError, match=rf"label_list\.mat: names {count} of the 59 labels"):
        open_people(SPEC, tmp_path)


ODD = (os.fsdecode(b"inv\xff"), "new\nline")


def test_ccp_names_of_any_bytes(tmp_path: Path) -> None:
    root = write_ccp(tmp_path, ("good", *ODD))
    source = open_people(SPEC, tmp_path)
    assert source.ids() == ["good", "new\nline"]
    assert reasons(source) == {"photos/inv\\udcff.jpg": "file name is no UTF-8; rename it"}
    for name in ODD:
        (root / "photos" / f"{name}.jpg").write_bytes(b"x")
    found = reasons(open_people(SPEC, tmp_path))
    assert found["photos/new\\nline.jpg"].startswith("cannot be decoded")
    (root / "photos" / "good.jpg").unlink()
    with pytest.raises(InputError, match=r"first: ") as caught:
        open_people(SPEC, tmp_path)
    assert len(caught.value.message.encode().splitlines()) == 1


RECIPE = """
name = "odd"
size = 32
[counts]
train = 2
val = 1
test = 1
[splits]
val = 0.3
test = 0.3
[[people]]
source = "ccp"
path = "ccp"
[[occluders]]
source = "folder"
images = "things"
masks = "things-masks"
"""


def test_a_build_of_odd_names_ends_and_lists_them(tmp_path: Path) -> None:
    write_ccp(tmp_path, ("a", "b", "c", "d", *ODD))
    write_tiny(tmp_path)
    for number, name in enumerate("abcd"):  # else all would be one photo
        rows = np.random.default_rng(number).integers(0, 256, (200, 120, 3), np.uint8)
        save(tmp_path / "ccp" / "photos" / f"{name}.jpg", rows)
    (tmp_path / "ccp" / "photos" / f"{ODD[1]}.jpg").write_bytes(b"x")
    os.mkfifo(tmp_path / "ccp" / "photos" / "pipe.jpg")
    build(parse_recipe(RECIPE, "odd"), tmp_path / "set", tmp_path, progress=False)
    assert check(tmp_path / "set") == []
    text = (tmp_path / "set" / "dataset.json").read_text()
    assert all(name in text for name in ("inv\\\\udcff", "new\\\\nline", "photos/pipe.jpg"))

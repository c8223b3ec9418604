"""Photos whose EXIF turns them: they are read upright, and annotations are for that picture."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.errors import InputError
from synth.sources.base import PersonSource
from tests.synth import coco_files, test_sources_ccp, test_sources_folder, test_sources_labelled
from tests.synth.test_sources_folder import figure

REMEDY = "the photo's EXIF turns it; annotate the photo upright, or remove the orientation from its"


def turn(path: Path, orientation: int, turns: int = 0) -> None:
    """Store a picture with an orientation, turned by quarters before that."""
    with Image.open(path) as image:
        stored = Image.fromarray(np.rot90(np.asarray(image), turns))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(path, exif=exif)


def coco(root: Path) -> tuple[Path, Callable[[], PersonSource]]:
    other = coco_files.WHOLE | {"id": 8, "image_id": 2}
    data = coco_files.dataset(coco_files.WHOLE, other)
    data["images"].append(data["images"][0] | {"id": 2, "file_name": "two.png"})

    def opened() -> PersonSource:
        coco_files.write(root, data)  # which writes the other photo anew
        return coco_files.coco.CocoPeople(SPEC, root)

    coco_files.write(root, data)
    two = root / "images" / "two.png"
    two.write_bytes((root / "images" / "one.png").read_bytes())
    return two, opened


SPEC = coco_files.CocoPeople(source="coco", annotations="a.json", images="images", min_area=100)


def folder(root: Path) -> tuple[Path, Callable[[], PersonSource]]:
    photo, mask = figure()
    for stem in ("good", "two"):
        test_sources_folder.save(root / "images" / f"{stem}.png", photo)
        test_sources_folder.save(root / "masks" / f"{stem}.png", mask)
    return root / "images" / "two.png", lambda: test_sources_folder.people(root)


def lip(root: Path) -> tuple[Path, Callable[[], PersonSource]]:
    for stem in ("1_1", "2_2"):
        test_sources_labelled.add(root, "lip", stem)
    return root / "train_images" / "2_2.jpg", lambda: test_sources_labelled.people(root, "lip")


def ccp(root: Path) -> tuple[Path, Callable[[], PersonSource]]:
    made = test_sources_ccp.write_ccp(root, ("0001", "0002"))
    opened = lambda: test_sources_ccp.open_people(test_sources_ccp.SPEC, root)  # noqa: E731
    return made / "photos" / "0002.jpg", opened


@pytest.mark.parametrize("orientation", [6, 8])
@pytest.mark.parametrize("kind", [coco, folder, lip, ccp])
def test_annotations_of_the_photo_as_stored_are_answered_with_why(
    kind: Callable[[Path], tuple[Path, Callable[[], PersonSource]]],
    orientation: int,
    tmp_path: Path,
) -> None:
    photo, opened = kind(tmp_path)
    turn(photo, orientation)
    source = opened()
    [rejected] = source.rejected
    assert "size" in rejected.reason and REMEDY in rejected.reason
    assert len(source.ids()) == 1
    turn(photo, orientation, {6: 1, 8: -1}[orientation])  # now it is as its annotations, upright
    assert opened().rejected == [] and len(opened().ids()) == 2


def test_another_size_is_not_laid_to_the_exif(tmp_path: Path) -> None:
    photo, opened = folder(tmp_path)
    Image.new("RGB", (50, 70)).save(photo)
    turn(photo, 6)
    assert [one.reason for one in opened().rejected] == [
        "mask is not of its photo's size; export it at the same size"
    ]


def test_a_photo_that_is_turned_after_the_check_says_so(tmp_path: Path) -> None:
    photo, opened = coco(tmp_path)
    source = opened()
    turn(photo, 6)
    with pytest.raises(InputError, match="two.png: is not of the size that a.json says: the photo"):
        source.load("8", 32, np.random.default_rng(0))

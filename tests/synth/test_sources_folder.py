"""Plain folders: what is paired, what is left out and why."""

from pathlib import Path

import numpy as np
import pytest

from synth.errors import ChangedError, InputError
from synth.parsing import label
from synth.source_specs import AhpPeople, FolderOccluders, FolderPeople
from synth.sources import folder
from synth.sources.label_sets import ATR
from tests.synth.figures import PARTS, drawn, save


def figure(height: int = 60, width: int = 40) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((height, width), np.uint8)
    mask[10:50, 10:30] = 255
    mask[20:30, 18:22] = 0
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return photo, mask


@pytest.fixture
def root(tmp_path: Path) -> Path:
    photo, mask = figure()
    save(tmp_path / "images" / "good.jpg", photo)
    save(tmp_path / "masks" / "good.png", mask)
    return tmp_path


def people(root: Path, parsings: str | None = None) -> folder.FolderPeople:
    spec = FolderPeople(source="folder", images="images", masks="masks", parsings=parsings)
    return folder.FolderPeople(spec, root)


def test_pairs_by_stem_whatever_the_suffix(root: Path) -> None:
    photo, mask = figure()
    for suffix in ("png", "webp", "bmp", "JPEG"):
        save(root / "images" / f"{suffix}x.{suffix}", photo)
        save(root / "masks" / f"{suffix}x.bmp", mask)
    (root / "images" / "notes.txt").write_text("not a picture")
    source = people(root)
    assert source.ids() == ["JPEGx", "bmpx", "good", "pngx", "webpx"]
    assert source.rejected == []
    crop = source.load("good", 32, np.random.default_rng(0))
    assert crop.parsing is None and crop.amodal.any() and crop.meta["file"] == "good.jpg"


def test_parsing_comes_with_the_person_when_there_is_one(root: Path) -> None:
    photo, mask = figure()
    save(root / "images" / "bare.png", photo)
    save(root / "masks" / "bare.png", mask)
    save(root / "parsings" / "good.png", np.where(mask > 0, 5, 0).astype(np.uint8))
    source = people(root, "parsings")
    crop = source.load("good", 32, np.random.default_rng(0))
    np.testing.assert_array_equal(crop.parsing, crop.amodal * 5)
    assert source.load("bare", 32, np.random.default_rng(0)).parsing is None


def test_each_fault_is_rejected_with_file_and_remedy(root: Path) -> None:
    photo, mask = figure()
    for name in (
        "empty",
        "small",
        "size",
        "torn",
        "cut",
        "nomask",
        "tornmask",
        "labels",
        "void",
        "wide",
    ):
        save(root / "images" / f"{name}.png", photo)
        save(root / "masks" / f"{name}.png", mask)
    save(root / "masks" / "empty.png", mask * 0)
    save(root / "masks" / "small.png", np.eye(60, 40, dtype=np.uint8) * 255)
    save(root / "masks" / "size.png", mask[:30])
    (root / "masks" / "nomask.png").unlink()
    for torn in (root / "images" / "torn.png", root / "masks" / "tornmask.png"):
        torn.write_bytes(torn.read_bytes()[:20])
    cut = root / "images" / "cut.png"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 3 // 4])
    save(root / "masks" / "nophoto.png", mask)
    save(root / "images" / "good.webp", photo)
    save(root / "parsings" / "labels.png", mask)
    save(root / "parsings" / "void.png", mask * 0)
    save(root / "parsings" / "wide.png", mask[:, :20] // 255)
    source = people(root, "parsings")
    assert source.ids() == ["good"]
    reasons = {r.file: r.reason for r in source.rejected}
    wanted = {
        "masks/empty.png": "empty", "masks/small.png": "smaller than", "masks/size.png": "size",
        "images/torn.png": "decoded", "images/cut.png": "truncated", "images/nomask.png": "partner",
        "masks/tornmask.png": "decoded", "masks/nophoto.png": "partner",
        "images/good.webp": "same stem", "parsings/labels.png": "LIP-20",
        "parsings/void.png": "labels nothing", "parsings/wide.png": "size",
    }  # fmt: skip
    assert reasons.keys() == wanted.keys()
    for file, words in wanted.items():
        assert words in reasons[file], (file, reasons[file])
        assert ";" in reasons[file] or "smaller" in reasons[file], "no remedy"


def test_missing_folders_and_no_usable_pair_are_errors(tmp_path: Path, root: Path) -> None:
    with pytest.raises(InputError, match=r"parsings: no such folder"):
        people(root, "parsings")
    (root / "masks" / "good.png").unlink()
    with pytest.raises(InputError, match=r"no partner in"):
        people(root)
    (root / "images" / "good.jpg").unlink()
    with pytest.raises(InputError, match=r"no photo has a usable partner"):
        people(root)
    (root / "masks").rmdir()
    with pytest.raises(InputError, match=r"masks: no such folder"):
        people(root)


def test_a_file_that_changes_after_the_check_is_named(root: Path) -> None:
    source = people(root)
    save(root / "masks" / "good.png", np.zeros((60, 40), np.uint8))
    with pytest.raises(ChangedError, match=r"good\.png.*changed"):
        source.load("good", 32, np.random.default_rng(0))


def test_cut_out_is_tight_keeps_holes_and_shrinks_only(root: Path) -> None:
    spec = FolderOccluders(source="folder", images="images", masks="masks")
    source = folder.FolderOccluders(spec, root)
    whole = source.load("good", 500, np.random.default_rng(0)).rgba
    assert whole.shape == (40, 20, 4) and whole.dtype == np.uint8
    assert not whole[10:20, 8:12, 3].any() and whole[0, 0, 3] == 255
    small = source.load("good", 20, np.random.default_rng(0)).rgba
    assert small.shape == (20, 10, 4) and not small[5:10, 4:6, 3].any()


@pytest.mark.parametrize("size", [37, 20, 9, 1])
@pytest.mark.parametrize("around", [0, 255])
def test_the_photo_does_not_bleed_into_a_shrunk_cut_out(root: Path, size: int, around: int) -> None:
    _, mask = figure()
    yy, xx = np.mgrid[:60, :40]
    mask[np.hypot(yy - 30, 1.7 * (xx - 20)) > 19] = 0
    colours = np.array([250, 130, 7], np.uint8)
    save(root / "images" / "good.png", np.where(mask[..., None] > 0, colours, np.uint8(around)))
    (root / "images" / "good.jpg").unlink()
    save(root / "masks" / "good.png", mask)
    spec = FolderOccluders(source="folder", images="images", masks="masks")
    rgba = folder.FolderOccluders(spec, root).load("good", size, np.random.default_rng(0)).rgba
    assert max(rgba.shape[:2]) == size
    assert ((rgba[..., 3] > 0) & (rgba[..., 3] < 255)).any()
    assert np.abs(rgba[rgba[..., 3] > 0][:, :3].astype(int) - colours).max() <= 1


def test_the_category_of_cut_outs_is_the_recipe_s(root: Path) -> None:
    spec = FolderOccluders(source="folder", images="images", masks="masks", category="plant")
    source = folder.FolderOccluders(spec, root)
    assert source.load("good", 50, np.random.default_rng(0)).category == "plant"


def test_parsings_of_another_label_set_are_mapped_and_say_so(tmp_path: Path) -> None:
    labels = drawn(ATR, PARTS | {"belt": (54, 57, 32, 48)})
    save(tmp_path / "images" / "a.png", np.dstack([labels] * 3))
    save(tmp_path / "masks" / "a.png", (labels > 0).astype(np.uint8))
    save(tmp_path / "parsings" / "a.png", labels)
    values = {"source": "folder", "images": "images", "masks": "masks", "parsings": "parsings"}
    source = folder.FolderPeople(FolderPeople.model_validate(values | {"labels": "atr"}), tmp_path)
    crop = source.load("a", 64, np.random.default_rng(0))
    assert crop.meta["labels"] == "atr" and crop.parsing is not None
    wanted = {name for name in PARTS} | {"belt"}
    assert {label(name) for name in wanted - {"belt"}} == set(np.unique(crop.parsing)) - {0}
    plain = folder.FolderPeople(FolderPeople.model_validate(values), tmp_path)
    assert "labels" not in plain.load("a", 64, np.random.default_rng(0)).meta


@pytest.mark.parametrize("value", [1, 255])
def test_the_ahp_release_is_read_as_it_is_laid_out(tmp_path: Path, value: int) -> None:
    photo, mask = figure(120, 80)
    mask[60:100, 10:40] = 255
    for stem in ("a", "b", "edge"):
        save(tmp_path / "train" / "JPEGImages" / f"{stem}.jpg", photo)
        save(
            tmp_path / "train" / "Annotations" / f"{stem}.png", (mask > 0).astype(np.uint8) * value
        )
    cut = np.zeros_like(mask)
    cut[60:, :60] = value
    save(tmp_path / "train" / "Annotations" / "edge.png", cut)
    (tmp_path / "train" / "val.txt").write_text("b\nedge\n")
    values = {
        "source": "ahp", "images": "train/JPEGImages", "masks": "train/Annotations",
        "min_area": 500, "min_piece": 0.5,
    }  # fmt: skip
    source = folder.FolderPeople(AhpPeople.model_validate(values), tmp_path)
    assert source.name == "ahp" and source.ids() == ["a", "b"]
    assert [(r.file, r.reason) for r in source.rejected] == [
        ("Annotations/edge.png", "cut off by the edge of the photo")
    ]
    crop = source.load("a", 64, np.random.default_rng(0))
    assert crop.parsing is None and "Amodal Human Perception" in crop.meta["licence"]
    chosen = AhpPeople.model_validate(values | {"stems": "train/val.txt"})
    assert folder.FolderPeople(chosen, tmp_path).ids() == ["b"]


def test_a_folder_is_selected_from_when_the_recipe_asks(root: Path) -> None:
    save(root / "images" / "two.png", figure()[0])
    two = np.zeros((60, 40), np.uint8)
    two[10:20, 10:20] = two[40:50, 10:20] = 1
    save(root / "masks" / "two.png", two)
    spec = FolderPeople(source="folder", images="images", masks="masks", min_piece=0.9)
    source = folder.FolderPeople(spec, root)
    assert source.ids() == ["good"]
    assert [r.reason for r in source.rejected] == ["in several pieces"]


def test_photos_and_masks_in_one_folder_are_refused(root: Path) -> None:
    (root / "link").symlink_to(root / "images")
    for masks in ("images", "images/../images", "link"):
        spec = FolderPeople(source="folder", images="images", masks=masks)
        with pytest.raises(InputError, match="each its own folder"):
            folder.FolderPeople(spec, root)


def test_links_in_circles_are_listed_and_folders_passed_over(root: Path) -> None:
    (root / "images" / "circle.png").symlink_to(root / "images" / "circle.png")
    (root / "images" / "up").symlink_to(root)
    (root / "images" / "folder.png").mkdir()
    (root / "images" / ".hidden.png").write_text("x")
    source = people(root)
    assert source.ids() == ["good"]
    assert [r.file for r in source.rejected] == ["images/circle.png"]
    assert source.rejected[0].reason.startswith("is no file (")

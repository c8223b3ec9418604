"""Plain folders: what is paired, what is left out and why."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.errors import InputError
from synth.source_specs import FolderOccluders, FolderPeople
from synth.sources import folder


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(array).save(path)


def figure(height: int = 60, width: int = 40) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((height, width), np.uint8)
    mask[10:50, 10:30] = 255
    mask[20:30, 18:22] = 0
    photo = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return photo, mask


@pytest.fixture
def root(tmp_path: Path) -> Path:
    photo, mask = figure()
    write(tmp_path / "images" / "good.jpg", photo)
    write(tmp_path / "masks" / "good.png", mask)
    return tmp_path


def people(root: Path, parsings: str | None = None) -> folder.FolderPeople:
    spec = FolderPeople(source="folder", images="images", masks="masks", parsings=parsings)
    return folder.FolderPeople(spec, root)


def test_pairs_by_stem_whatever_the_suffix(root: Path) -> None:
    photo, mask = figure()
    for suffix in ("png", "webp", "bmp", "JPEG"):
        write(root / "images" / f"{suffix}x.{suffix}", photo)
        write(root / "masks" / f"{suffix}x.bmp", mask)
    (root / "images" / "notes.txt").write_text("not a picture")
    source = people(root)
    assert source.ids() == ["JPEGx", "bmpx", "good", "pngx", "webpx"]
    assert source.rejected == []
    crop = source.load("good", 32, np.random.default_rng(0))
    assert crop.parsing is None and crop.amodal.any() and crop.meta["file"] == "good.jpg"


def test_parsing_comes_with_the_person_when_there_is_one(root: Path) -> None:
    photo, mask = figure()
    write(root / "images" / "bare.png", photo)
    write(root / "masks" / "bare.png", mask)
    write(root / "parsings" / "good.png", np.where(mask > 0, 5, 0).astype(np.uint8))
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
        write(root / "images" / f"{name}.png", photo)
        write(root / "masks" / f"{name}.png", mask)
    write(root / "masks" / "empty.png", mask * 0)
    write(root / "masks" / "small.png", np.eye(60, 40, dtype=np.uint8) * 255)
    write(root / "masks" / "size.png", mask[:30])
    (root / "masks" / "nomask.png").unlink()
    for torn in (root / "images" / "torn.png", root / "masks" / "tornmask.png"):
        torn.write_bytes(torn.read_bytes()[:20])
    cut = root / "images" / "cut.png"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 3 // 4])
    write(root / "masks" / "nophoto.png", mask)
    write(root / "images" / "good.webp", photo)
    write(root / "parsings" / "labels.png", mask)
    write(root / "parsings" / "void.png", mask * 0)
    write(root / "parsings" / "wide.png", mask[:, :20] // 255)
    source = people(root, "parsings")
    assert source.ids() == ["good"]
    reasons = {str(Path(r.file).relative_to(root)): r.reason for r in source.rejected}
    wanted = {
        "masks/empty.png": "empty", "masks/small.png": "fewer than", "masks/size.png": "size",
        "images/torn.png": "decoded", "images/cut.png": "truncated", "images/nomask.png": "partner",
        "masks/tornmask.png": "decoded", "masks/nophoto.png": "partner",
        "images/good.webp": "same stem", "parsings/labels.png": "LIP-20",
        "parsings/void.png": "labels nothing", "parsings/wide.png": "size",
    }  # fmt: skip
    assert reasons.keys() == wanted.keys()
    for file, words in wanted.items():
        assert words in reasons[file] and (";" in reasons[file]), (file, reasons[file])


def test_missing_folders_and_no_usable_pair_are_errors(tmp_path: Path, root: Path) -> None:
    with pytest.raises(InputError, match=r"parsings: no such folder"):
        people(root, "parsings")
    (root / "masks" / "good.png").unlink()
    with pytest.raises(InputError, match=r"no partner in"):
        people(root)
    (root / "images" / "good.jpg").unlink()
    with pytest.raises(InputError, match=r"no photo has a usable mask"):
        people(root)
    (root / "masks").rmdir()
    with pytest.raises(InputError, match=r"masks: no such folder"):
        people(root)


def test_a_file_that_changes_after_the_check_is_named(root: Path) -> None:
    source = people(root)
    write(root / "masks" / "good.png", np.zeros((60, 40), np.uint8))
    with pytest.raises(InputError, match=r"good\.png.*changed"):
        source.load("good", 32, np.random.default_rng(0))


def test_cut_out_is_tight_keeps_holes_and_shrinks_only(root: Path) -> None:
    spec = FolderOccluders(source="folder", images="images", masks="masks")
    source = folder.FolderOccluders(spec, root)
    whole = source.load("good", 500, np.random.default_rng(0)).rgba
    assert whole.shape == (40, 20, 4) and whole.dtype == np.uint8
    assert not whole[10:20, 8:12, 3].any() and whole[0, 0, 3] == 255
    small = source.load("good", 20, np.random.default_rng(0)).rgba
    assert small.shape == (20, 10, 4) and not small[5:10, 4:6, 3].any()

"""JPEGs, which take a quick way where they are plain: the pixels are Pillow's all the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from synth import images
from synth.errors import InputError
from synth.images import MAX_PIXELS, _plain_jpeg, checked_size, read_mask, read_rgb


def scene(height: int = 90, width: int = 70) -> np.ndarray:
    """Slopes and noise (height, width, 3)."""
    rows, columns = np.indices((height, width))
    slopes = np.dstack([columns * 2, rows * 2, rows + columns])
    return (slopes + np.random.default_rng(0).integers(0, 40, slopes.shape)).astype(np.uint8)


def save(path: Path, mode: str = "RGB", **options: Any) -> Path:
    Image.fromarray(scene()).convert(mode).save(path, "JPEG", **options)
    return path


def by_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def is_quick(path: Path) -> bool:
    return _plain_jpeg(path, MAX_PIXELS) is not None


def test_real_photos_are_what_pillow_reads(real_data: Path) -> None:
    folders = ("ccp/photos", "coco_people/images", "coco_occluders/images")
    found = [sorted((real_data / folder).glob("*.jpg")) for folder in folders]
    chosen = [path for files in found for path in files[:: max(1, len(files) // 15)]]
    assert len(chosen) >= 45
    for path in chosen:
        np.testing.assert_array_equal(read_rgb(path), by_pillow(path), err_msg=str(path))
    assert sum(is_quick(path) for path in chosen) > 0.9 * len(chosen)


@pytest.mark.parametrize("quality", [30, 75, 98])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_way_of_packing(
    tmp_path: Path, quality: int, subsampling: int, progressive: bool
) -> None:
    options = {"quality": quality, "subsampling": subsampling, "progressive": progressive}
    for more in ({}, {"optimize": True}, {"restart_marker_blocks": 4}, {"dpi": (300, 300)}):
        path = save(tmp_path / "a.jpg", **options, **more)
        assert is_quick(path)
        np.testing.assert_array_equal(read_rgb(path), by_pillow(path))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_photos_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.jpg", exif=exif)
    assert is_quick(path) == (orientation == 1)
    read = read_rgb(path)
    assert read.shape == ((90, 70, 3) if orientation < 5 else (70, 90, 3))
    np.testing.assert_array_equal(read, by_pillow(path))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_print_colours_take_the_slow_way(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path / "a.jpg", mode)
    assert not is_quick(path)
    np.testing.assert_array_equal(read_rgb(path), by_pillow(path))


def test_other_formats_named_jpg_take_the_slow_way(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(scene()).save(path, "PNG")
    assert not is_quick(path)
    np.testing.assert_array_equal(read_rgb(path), scene())


def test_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg")
    whole = read_rgb(path)
    path.write_bytes(path.read_bytes() + b"\0" * 40)
    assert not is_quick(path)
    np.testing.assert_array_equal(read_rgb(path), whole)


@pytest.mark.parametrize("progressive", [False, True])
def test_cut_off_photos_are_refused(tmp_path: Path, progressive: bool) -> None:
    path = save(tmp_path / "a.jpg", progressive=progressive)
    content = path.read_bytes()
    for end in range(2, len(content) - 2, 97):
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match=r"a\.jpg"):
            read_rgb(path)


PACKED: list[dict[str, Any]] = [
    {}, {"optimize": True}, {"restart_marker_blocks": 4}, {"quality": 98, "subsampling": 0},
    {"progressive": True}, {"progressive": True, "quality": 90, "subsampling": 0},
]  # fmt: skip


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", PACKED, ids=str)
def test_photos_that_were_cut_and_closed_again_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], mode: str, options: dict[str, Any]
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(scene(300, 400)).convert(mode).save(path, **options)
    content = path.read_bytes()
    assert checked_size(path) == (300, 400)
    for ends in (content + b"\0" * 40, content[:-2] + b"\xff\xff" + content[-2:]):
        path.write_bytes(ends)
        assert checked_size(path) == (300, 400)
    for share in (0.34, 0.5, 0.8, 0.97):
        path.write_bytes(content[: int(len(content) * share)] + images._END_OF_JPEG)
        with pytest.raises(InputError, match=r"a\.jpg: cannot be decoded; repair.* .decoder: "):
            checked_size(path)
        if mode == "L":
            with pytest.raises(InputError, match=r"a\.jpg: cannot be decoded"):
                read_mask(path)
    assert capfd.readouterr().err == ""


def test_real_photos_are_complete_and_known_to_be_cut(real_data: Path, tmp_path: Path) -> None:
    found = [
        sorted((real_data / name).glob("*.jpg")) for name in ("ccp/photos", "coco_people/images")
    ]
    path, kept = tmp_path / "a.jpg", 0
    for photo in (photo for files in found for photo in files[:: max(1, len(files) // 10)]):
        assert checked_size(photo)
        content = photo.read_bytes()
        path.write_bytes(content[: len(content) // 3] + images._END_OF_JPEG)
        with pytest.raises(InputError, match="cannot be decoded"):
            checked_size(path)
        with Image.open(photo) as image:
            image.save(path, progressive=True)
        assert checked_size(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 3] + images._END_OF_JPEG)
        try:
            kept += bool(checked_size(path))  # one that was cut just between two scans
        except InputError as error:
            assert "cannot be decoded" in error.message
    assert kept <= 1


def test_markers_without_end_take_no_time(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg")
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\xff" * 2_000_000 + b"\0")
    with pytest.raises(InputError, match="cannot be decoded"):
        checked_size(path)


def test_a_file_far_larger_than_its_picture_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.jpg")
    monkeypatch.setattr(images, "_LARGEST_JPEG", 1000)
    for read in (checked_size, read_rgb):
        with pytest.raises(InputError, match=r"a\.jpg: is a JPEG of \d+ bytes"):
            read(path)


def test_a_stray_marker_is_left_to_pillow(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "a.jpg", quality=60)
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) - 2, 40):
        changed = content.copy()
        changed[place : place + 2] = b"\xff\xc4"
        path.write_bytes(changed)
        assert not is_quick(path)
    assert capfd.readouterr().err == ""


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_damaged_photos_are_read_as_pillow_reads_them_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = save(tmp_path_factory.mktemp("fuzz") / "a.jpg", quality=60)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(2, len(content) - 3))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read = read_rgb(path)
    except InputError:
        return
    np.testing.assert_array_equal(read, by_pillow(path))

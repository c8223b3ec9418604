"""Cut-outs with an alpha channel: people before a background, things by folder."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth import source_specs as specs
from synth.errors import ChangedError, InputError
from synth.people.backgrounds import draw_scene
from synth.sources.crop import person_square
from synth.sources.cutouts import shrunk
from synth.sources.open import open_occluders, open_people
from synth.sources.rgba import RgbaOccluders, RgbaPeople, read_rgba
from tests.synth.figures import save


def cut_out(colour: tuple[int, int, int] = (200, 30, 40), hidden: int = 0) -> np.ndarray:
    """A diamond of one colour (120, 80, 4), 32 by 88; under what is transparent is ``hidden``."""
    rows, columns = np.indices((120, 80))
    inside = np.abs(columns - 39.5) / 16 + np.abs(rows - 54.5) / 45 <= 1
    rgba = np.full((120, 80, 4), hidden, np.uint8)
    rgba[..., 3] = 0
    rgba[inside] = (*colour, 255)
    return rgba


def people(root: Path, **changes: object) -> RgbaPeople:
    values = {"source": "rgba", "path": "cutouts", "min_area": 500} | changes
    return RgbaPeople(specs.RgbaPeople.model_validate(values), root)


def things(root: Path, **changes: object) -> RgbaOccluders:
    values = {"source": "rgba", "path": "cutouts", "min_area": 100} | changes
    return RgbaOccluders(specs.RgbaOccluders.model_validate(values), root)


@pytest.mark.parametrize("size", [32, 300])
def test_people_stand_before_a_background_that_the_rng_draws(tmp_path: Path, size: int) -> None:
    save(tmp_path / "cutouts" / "a.png", cut_out())
    source = people(tmp_path)
    assert source.ids() == ["a"] and source.rejected == []
    crop = source.load("a", size, np.random.default_rng(5))
    assert crop.parsing is None and crop.meta["file"] == "a.png"
    rng = np.random.default_rng(5)
    tight = shrunk(cut_out(), 500)
    square = person_square(tight[..., 3] > 0, rng)
    assert crop.meta["crop"] == [square.left, square.top, square.side]
    scene = draw_scene(rng, size)
    assert crop.meta["background"] == scene.provenance
    background = scene.rgb
    reach = np.abs(np.subtract.outer(np.arange(size), np.nonzero(crop.amodal.any(1))[0])).min(1)
    away = reach > size // 12
    np.testing.assert_array_equal(crop.image[away], background[away])
    inside = crop.image[crop.amodal].astype(int)
    assert np.abs(np.median(inside, axis=0) - (200, 30, 40)).max() <= 1
    again = source.load("a", size, np.random.default_rng(5))
    np.testing.assert_array_equal(crop.image, again.image)
    other = source.load("a", size, np.random.default_rng(6))
    assert (crop.image != other.image).any()


@pytest.mark.parametrize("hidden", [0, 255])
def test_what_lies_unseen_under_the_alpha_tints_no_edge(tmp_path: Path, hidden: int) -> None:
    grey = (120, 120, 120)
    save(tmp_path / "cutouts" / "a.png", cut_out(grey, hidden))
    drawn = things(tmp_path).load("a", 30, np.random.default_rng(0)).rgba
    assert drawn.shape[:2] == (30, 11)
    assert ((drawn[..., 3] > 0) & (drawn[..., 3] < 255)).any()
    assert np.abs(drawn[..., :3].astype(int) - 120).max() <= 1


def test_things_are_tight_keep_soft_edges_and_only_shrink(tmp_path: Path) -> None:
    rgba = cut_out()
    rgba[40:46, 34:46, 3] = 90
    save(tmp_path / "cutouts" / "a.webp", rgba)
    drawn = things(tmp_path).load("a", 500, np.random.default_rng(0)).rgba
    assert drawn.shape == (88, 32, 4) and drawn.dtype == np.uint8
    assert abs(int(drawn[32, 14, 3]) - 90) <= 1


def test_a_folder_names_the_class_of_what_it_holds(tmp_path: Path) -> None:
    root = tmp_path / "cutouts"
    for name in ("one.png", "Car/one.png", "Car/two.PNG", "car/deep/three.png", ".git/x.png"):
        save(root / name, cut_out())
    (root / "loop").symlink_to(root)
    (root / "Car" / "up").symlink_to(tmp_path)
    source = things(tmp_path, category="plant")
    assert source.ids() == ["Car/one", "Car/two", "one"] and source.rejected == []
    categories = {i: source.load(i, 40, np.random.default_rng(0)).category for i in source.ids()}
    assert categories == {"Car/one": "car", "Car/two": "car", "one": "plant"}


def test_each_reason_is_reached(tmp_path: Path) -> None:
    root = tmp_path / "cutouts"
    whole = cut_out()
    save(root / "good.png", whole)
    save(root / "opaque.png", np.dstack([whole[..., :3], np.full((120, 80), 255, np.uint8)]))
    save(root / "clear.png", whole * np.uint8([1, 1, 1, 0]))
    save(root / "faint.png", np.where(whole == 255, 100, whole).astype(np.uint8))
    save(root / "rgb.png", whole[..., :3])
    save(root / "photo.jpg", whole[..., :3])
    save(root / "good.webp", whole)
    save(root / "half.png", whole[:50])
    small = np.zeros_like(whole)
    small[:20, :20] = 255
    save(root / "small.png", small)
    parted = whole.copy()
    parted[50:60] = 0
    save(root / "parted.png", parted)
    save(root / "torn.png", whole)
    torn = root / "torn.png"
    torn.write_bytes(torn.read_bytes()[:-30])
    wanted = {
        "opaque.png": "opaque everywhere", "clear.png": "transparent everywhere",
        "faint.png": "transparent everywhere", "rgb.png": "has no transparency",
        "photo.jpg": "has no transparency", "good.webp": "same stem as good.png",
        "half.png": "cut off", "small.png": "smaller than 500 px", "torn.png": "decoded",
        "parted.png": "in several pieces",
    }  # fmt: skip
    source = people(tmp_path)
    assert source.ids() == ["good"]
    found = {r.file: r.reason for r in source.rejected}
    assert found.keys() == wanted.keys()
    for file, words in wanted.items():
        assert words in found[file], (file, found[file])
    assert things(tmp_path).ids() == ["good", "half", "parted", "small"]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_deep_palette_grey_and_turned_pictures_are_read(tmp_path: Path) -> None:
    whole = cut_out((200, 200, 200))
    flat = Image.fromarray(whole)
    deep = np.repeat(whole, 2, axis=2).view(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    header = struct.pack(">IIBBBBB", 80, 120, 16, 6, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    flat.convert("LA").save(tmp_path / "grey.png")
    palette = flat.convert("RGB").quantize(4)
    clear = int(np.asarray(palette)[0, 0])
    palette.save(tmp_path / "palette.png", transparency=clear)
    exif = Image.Exif()
    exif[0x0112] = 6
    flat.rotate(90, expand=True).save(tmp_path / "turned.webp", exif=exif, lossless=True)
    for path in sorted(tmp_path.iterdir()):
        read = read_rgba(path)
        assert read.shape == whole.shape, path
        np.testing.assert_array_equal(read[..., 3], whole[..., 3], err_msg=path.name)
        assert (read[whole[..., 3] > 0][:, :3] == 200).all(), path


def test_what_cannot_be_opened_ends_in_one_line(tmp_path: Path) -> None:
    spec = specs.RgbaPeople(source="rgba", path="cutouts")
    with pytest.raises(InputError, match="cutouts: no such folder"):
        open_people(spec, tmp_path)
    (tmp_path / "cutouts").mkdir()
    with pytest.raises(InputError, match=r"it holds no picture\); give cut-outs as PNG or WebP"):
        open_people(spec, tmp_path)
    save(tmp_path / "cutouts" / "a.jpg", cut_out()[..., :3])
    things_spec = specs.RgbaOccluders(source="rgba", path="cutouts")
    with pytest.raises(InputError, match="first: a.jpg: has no transparency"):
        open_occluders(things_spec, tmp_path)


def test_a_cut_out_that_changes_after_the_check_is_named(tmp_path: Path) -> None:
    save(tmp_path / "cutouts" / "a.png", cut_out())
    source = people(tmp_path)
    save(tmp_path / "cutouts" / "a.png", cut_out() * np.uint8([1, 1, 1, 0]))
    with pytest.raises(ChangedError, match=r"a\.png: changed"):
        source.load("a", 32, np.random.default_rng(0))


def test_a_strip_as_long_as_pictures_get_needs_no_memory(tmp_path: Path) -> None:
    strip = np.zeros((3, 300_000, 4), np.uint8)
    strip[1, 2:-2] = 255
    save(tmp_path / "cutouts" / "a.png", strip)
    source = people(tmp_path, max_border_contact=1.0)
    crop = source.load("a", 32, np.random.default_rng(0))
    assert crop.amodal.any() and crop.meta["crop"][2] < 3000

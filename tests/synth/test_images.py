"""Reading of pictures, masks, labels and COCO segmentations, good and hostile."""

import errno
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from synth.errors import InputError, MachineError
from synth.images import checked_size, image_size, read_labels, read_mask, read_rgb
from synth.segmentation import decode_rle

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)


def save(array: np.ndarray, path: Path, mode: str | None = None, **options: Any) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_lossless_rgb_is_read_exactly(tmp_path: Path, suffix: str) -> None:
    path = save(PHOTO, tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_rgb(path), PHOTO)
    assert image_size(path) == (6, 9)


def test_every_mode_becomes_rgb_bytes(tmp_path: Path) -> None:
    grey = PHOTO[:, :, 0]
    files = {
        "grey": save(grey, tmp_path / "grey.png"),
        "deep": save(grey.astype(np.uint16) * 257, tmp_path / "deep.png"),
        "alpha": save(np.dstack([grey] * 4), tmp_path / "alpha.png"),
    }
    for path in files.values():
        np.testing.assert_array_equal(read_rgb(path), np.dstack([grey] * 3))
    for mode, suffix in (("CMYK", "jpg"), ("P", "png"), ("1", "png"), ("LA", "png")):
        flat = np.full((4, 5, 3), 255, np.uint8)
        read = read_rgb(save(flat, tmp_path / f"{mode}.{suffix}", mode))
        assert read.dtype == np.uint8 and read.shape == (4, 5, 3) and read.min() > 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_picture_and_size(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(PHOTO, tmp_path / "a.png", exif=exif)
    # By the EXIF standard: what is stored, turned so that row 0 and column 0 come upright.
    upright = {
        1: PHOTO, 2: PHOTO[:, ::-1], 3: PHOTO[::-1, ::-1], 4: PHOTO[::-1],
        5: PHOTO.transpose(1, 0, 2), 6: np.rot90(PHOTO, -1), 8: np.rot90(PHOTO, 1),
        7: PHOTO[::-1, ::-1].transpose(1, 0, 2),
    }[orientation]  # fmt: skip
    np.testing.assert_array_equal(read_rgb(path), upright)
    assert image_size(path) == upright.shape[:2]


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels to speak of."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [(9000, 9000), (30000, 30000)])
def test_bombs_are_refused_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))
    for read in (read_rgb, read_mask, read_labels):
        with pytest.raises(InputError, match=r"bomb\.png.*(limit|too large)"):
            read(path)


def test_limit_is_the_callers(tmp_path: Path) -> None:
    path = save(PHOTO, tmp_path / "a.png")
    assert read_rgb(path, max_pixels=54).shape == (6, 9, 3)
    with pytest.raises(InputError, match="9x6"):
        read_rgb(path, max_pixels=53)


def test_truncated_missing_and_foreign_files_name_themselves(tmp_path: Path) -> None:
    big = RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in ("png", "jpg", "webp", "bmp"):
        path = save(big, tmp_path / f"cut.{suffix}")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(InputError, match=rf"cut\.{suffix}: .*(repair|remove)"):
            read_rgb(path)
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    for name in ("text.png", "empty.png", "none.png", "."):
        for read in (read_rgb, image_size):
            with pytest.raises(InputError) as caught:
                read(tmp_path / name)
            assert "\n" not in caught.value.message


def test_checked_size_decodes_to_the_end(tmp_path: Path) -> None:
    big = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    for suffix in ("png", "jpg", "webp", "bmp"):
        path = save(big, tmp_path / f"cut.{suffix}")
        assert checked_size(path) == image_size(path) == (64, 48)
        with pytest.raises(InputError, match="48x64 is above the limit"):
            checked_size(path, max_pixels=100)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 9 // 10])
        with pytest.raises(InputError, match=rf"cut\.{suffix}: .*(repair|remove)"):
            checked_size(path)


def test_checked_size_is_of_the_upright_picture(tmp_path: Path) -> None:
    for suffix in ("jpg", "png", "webp"):
        for orientation in (1, 3, 6, 8):
            exif = Image.Exif()
            exif[0x0112] = orientation
            path = tmp_path / f"{orientation}.{suffix}"
            Image.fromarray(np.kron(PHOTO, np.ones((9, 9, 1), np.uint8))).save(path, exif=exif)
            assert checked_size(path) == image_size(path) == read_rgb(path).shape[:2]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_mutated_pictures_decode_or_say_why(tmp_path_factory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    suffix = data.draw(st.sampled_from(["png", "jpg", "webp", "bmp"]))
    path = save(np.kron(PHOTO, np.ones((4, 4, 1), np.uint8)), folder / f"a.{suffix}")
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    for read in (read_rgb, read_mask, read_labels, image_size):
        try:
            read(path)
        except InputError as error:
            assert path.name in error.message and "\n" not in error.message


MASK = np.zeros((5, 7), bool)
MASK[1:4, 2:6] = True


def test_masks_of_every_habit(tmp_path: Path) -> None:
    solid = MASK.astype(np.uint8)
    palette = Image.fromarray(solid * 15)
    palette = palette.convert("P")
    palette.putpalette([0, 0, 0] * 15 + [0, 64, 0] * 241)
    palette.save(tmp_path / "palette.png")
    save(solid, tmp_path / "ones.png")
    save(solid * 255, tmp_path / "full.png")
    save(MASK, tmp_path / "bits.png")
    save(solid * 200 + 40, tmp_path / "soft.png")
    save(solid * 17, tmp_path / "labels.png")
    save(solid.astype(np.uint16) * 65535, tmp_path / "deep.png")
    save(np.dstack([solid * 255] * 3), tmp_path / "rgb.png")
    save(np.dstack([PHOTO[:5, :7], solid * 255]), tmp_path / "alpha.png")
    save(np.dstack([solid * 255] * 3 + [np.full_like(solid, 255)]), tmp_path / "opaque.png")
    for path in sorted(tmp_path.iterdir()):
        read = read_mask(path)
        assert read.dtype == np.bool_, path.name
        np.testing.assert_array_equal(read, MASK, err_msg=path.name)


WHITE, BLACK, RED, GREEN = (255, 255, 255), (0, 0, 0), (200, 0, 0), (0, 90, 0)


def palette_mask(
    path: Path, indices: np.ndarray, colours: tuple[tuple[int, int, int], ...]
) -> Path:
    image = Image.fromarray(indices.astype(np.uint8)).convert("P")
    image.putdata(indices.ravel().tolist())
    image.putpalette([value for colour in colours for value in colour])
    image.save(path)
    return path


def test_of_a_palette_the_colours_count_not_their_order(tmp_path: Path) -> None:
    path, inside = tmp_path / "a.png", MASK.astype(np.uint8)
    three = inside + np.roll(inside, 1, axis=0) * inside  # two labels within the mask
    for indices, colours in (
        (inside, (BLACK, WHITE)),
        (1 - inside, (WHITE, BLACK)),
        (inside, (BLACK, RED)),
        (1 - inside, (RED, BLACK)),
        (inside, ((10, 10, 10), (220, 220, 220))),
        (inside, (BLACK, (1, 1, 1))),
        (three, (BLACK, RED, GREEN)),
        (1 - inside, ((240, 240, 240), (9, 9, 9))),
    ):
        read = read_mask(palette_mask(path, indices, colours))
        np.testing.assert_array_equal(read, MASK, err_msg=str(colours))
    # As in a grey or coloured picture of the same pixels: what is white belongs to the mask.
    read = read_mask(palette_mask(path, inside, (WHITE, BLACK)))
    np.testing.assert_array_equal(read, read_mask(save(~MASK, tmp_path / "grey.png")))


def test_a_palette_whose_background_nobody_knows_is_refused(tmp_path: Path) -> None:
    inside = MASK.astype(np.uint8)
    three = inside + np.roll(inside, 1, axis=0) * inside
    for indices, colours in (
        (inside, (WHITE, RED)),
        (inside, (RED, GREEN)),
        (three, (WHITE, RED, BLACK)),
        (three, (WHITE, RED, GREEN)),
    ):
        path = palette_mask(tmp_path / "a.png", indices, colours)
        with pytest.raises(InputError, match="a.png: has a palette .* save the mask as a grey"):
            read_mask(path)
    assert read_mask(palette_mask(tmp_path / "full.png", 0 * inside, (WHITE, RED))).all()


def test_labels_are_numbers_not_colours(tmp_path: Path) -> None:
    labels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    palette = Image.fromarray(labels).convert("P")
    palette.putdata(labels.ravel().tolist())
    palette.putpalette(RNG.integers(0, 256, 768).tolist())
    palette.save(tmp_path / "p.png")
    save(labels, tmp_path / "l.png")
    save(labels.astype(np.uint16), tmp_path / "i.png")
    save(np.dstack([labels] * 3), tmp_path / "rgb.png")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(read_labels(path), labels, err_msg=path.name)
    with pytest.raises(InputError, match="colour"):
        read_labels(save(PHOTO, tmp_path / "colour.png"))
    with pytest.raises(InputError, match="0 to 255"):
        read_labels(save(labels.astype(np.uint16) * 100, tmp_path / "large.png"))


masks = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1)).map(
    lambda t: np.random.default_rng(t[2]).random(t[:2]) < np.random.default_rng(t[2] + 1).random()
)


@settings(deadline=None)
@given(masks)
def test_both_kinds_of_runs_agree_with_pycocotools(mask: np.ndarray) -> None:
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    height, width = mask.shape
    flat = mask.T.ravel()
    ends = np.flatnonzero(np.diff(flat, prepend=False)).tolist() + [flat.size]
    runs = np.diff(ends, prepend=0).tolist()
    for counts in (code["counts"], code["counts"].decode(), runs):
        read = decode_rle({"size": [height, width], "counts": counts}, height, width)
        np.testing.assert_array_equal(read, mask)


def test_long_runs_survive_the_compressed_form() -> None:
    mask = np.zeros((900, 1100), bool)
    mask[17:800, 3:1000] = RNG.random((783, 997)) < 0.001
    code = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    np.testing.assert_array_equal(decode_rle(code, 900, 1100), mask)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_polygons_agree_with_pycocotools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    polygons = [rng.uniform(-3, 43, 2 * rng.integers(3, 9)).tolist() for _ in range(2)]
    codes = coco_mask.frPyObjects(polygons, 30, 40)
    expected = coco_mask.decode(coco_mask.merge(codes)).astype(bool)
    np.testing.assert_array_equal(decode_rle(polygons, 30, 40), expected)


GOOD = {"size": [4, 5], "counts": [3, 4, 13]}
BAD: list[Any] = [
    None, 7, "abc", [], {}, [[]], [[1, 2, 3, 4]], [[1, 2, 3, 4, 5, 6, 7]], [[1, 2, 3, 4, 5, "6"]],
    [[1, 2, 3, 4, 5, float("nan")]], [[1, 2, 3, 4, 5, float("inf")]], [[1, 2, 3, 4, 5, 10**400]],
    [[0, 0, 1e9, 0, 0, 1e9]], [[0, 0, 4, 4] * 200_000], [7], [[True] * 6],
    {"size": [4, 5], "counts": [3, 4, 12]}, {"size": [4, 5], "counts": [3, 4, 14]},
    {"size": [5, 4], "counts": [20]}, {"size": [4, 5], "counts": [-1, 21]},
    {"size": [4, 5], "counts": [3.0, 17.0]}, {"size": [4, 5], "counts": [10**30]},
    {"size": [4, 5], "counts": "zz"}, {"size": [4, 5], "counts": "o" * 50},
    {"size": [4, 5], "counts": ""}, {"size": [4, 5], "counts": b"\xff"}, {"counts": [20]},
    {"size": [4, 5], "counts": "é"}, {"size": [4, 5]}, {"size": "45", "counts": [20]},
]  # fmt: skip


@pytest.mark.parametrize("segmentation", BAD, ids=lambda value: str(value)[:30])
def test_malformed_segmentations_are_refused(segmentation: object) -> None:
    with pytest.raises(InputError) as caught:
        decode_rle(segmentation, 4, 5)
    assert len(caught.value.message) < 200 and "\n" not in caught.value.message


def test_absurd_sizes_are_refused_without_allocating() -> None:
    huge = 10**9
    for height, width in ((huge, huge), (0, 5), (-4, -5)):
        with pytest.raises(InputError, match="image size"):
            decode_rle({"size": [height, width], "counts": [height * width]}, height, width)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(st.sampled_from(["size", "counts", "x"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(json_like | st.text(max_size=20).map(lambda text: {"size": [4, 5], "counts": text}))
def test_any_json_decodes_or_is_refused(segmentation: object) -> None:
    try:
        mask = decode_rle(segmentation, 4, 5)
    except InputError:
        return
    assert mask.shape == (4, 5) and mask.dtype == np.bool_


def test_what_a_decoder_said_names_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError) as caught:
        read_rgb(tmp_path / "a.png")
    reason = caught.value.message.removeprefix(f"{tmp_path}/a.png: ")
    assert reason == (
        "cannot be decoded; repair, replace or remove the file [decoder: of no known format]"
    )


FAULTS = [MemoryError(), OSError(errno.EIO, "x"), OSError(errno.EMFILE, "x")]


def test_a_file_system_that_lost_its_server_is_not_a_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stale(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "x")

    path = tmp_path / "a.png"
    monkeypatch.setattr(Path, "is_file", stale)
    with pytest.raises(MachineError, match=r"a\.png: could not be read"):
        read_rgb(path)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_machine_is_not_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)

    def failing(*_: object, **__: object) -> Image.Image:
        raise fault

    monkeypatch.setattr(Image, "open", failing)
    with pytest.raises(MachineError, match="a.png: could not be read .* start the same command"):
        read_rgb(path)

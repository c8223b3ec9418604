"""Files that are none, are no pictures, have odd names, are too long: one line each, and soon."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from synth.errors import InputError
from synth.source_specs import FolderPeople, OccluderSpec, PeopleSpec
from synth.sources import pairs
from synth.sources.files import file_fault
from synth.sources.label_sets import LIP
from synth.sources.open import open_occluders, open_people
from synth.sources.pairs import read_stems
from tests.synth.coco_files import WHOLE, annotation, dataset, people, write
from tests.synth.figures import PARTS, drawn, photo, save

NO_FILE = "is no file (a folder, a pipe or a broken link)"
NOT_READ = "is of a type that is not read; save it as one of .png, .jpg, .jpeg, .webp, .bmp"
BODY = (drawn(LIP, PARTS) > 0).astype(np.uint8) * 255


@pytest.fixture(autouse=True)
def soon() -> Iterator[None]:
    """What waits for a pipe's writer waits for ever: here a signal ends it."""

    def stop(*_: object) -> None:
        raise AssertionError("took too long")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pair(root: Path, stem: str, suffix: str = "png") -> None:
    save(root / "photos" / f"{stem}.{suffix}", photo())
    save(root / "masks" / f"{stem}.png", BODY)


def folder(root: Path, **changes: Any) -> Any:
    values = {"source": "folder", "images": "photos", "masks": "masks"} | changes
    return open_people(FolderPeople.model_validate(values), root)


def things(root: Path, **values: Any) -> Any:
    return open_occluders(TypeAdapter(OccluderSpec).validate_python(values), root)


def reasons(source: Any) -> dict[str, str]:
    found = {one.file: one.reason for one in source.rejected}
    assert len(found) == len(source.rejected)
    assert all(len(text.splitlines()) == 1 for text in (*found, *found.values()))
    return found


def test_what_is_and_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "to file").symlink_to(tmp_path / "file")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    assert file_fault(tmp_path / "file") is None and file_fault(tmp_path / "to file") is None
    for name in ("loop", "pipe", "."):
        assert file_fault(tmp_path / name) == NO_FILE
    for name in ("gone", "x" * 5000, "a\0b", "\udcff"):
        assert file_fault(tmp_path / name) == "is missing"
    assert file_fault("/dev/zero") == NO_FILE


def test_photos_that_are_not_read_are_listed(tmp_path: Path) -> None:
    pair(tmp_path, "good")
    pair(tmp_path, "gif", "gif")
    pair(tmp_path, "tif", "tif")
    pair(tmp_path, "twin")
    save(tmp_path / "photos" / "twin.tiff", photo())
    save(tmp_path / "photos" / "lone.gif", photo())
    save(tmp_path / "photos" / "mask.png", photo())
    save(tmp_path / "masks" / "mask.gif", BODY)
    save(tmp_path / "parsings" / "good.tif", BODY)
    for name in ("notes.txt", "Thumbs.db", ".hidden.gif"):
        (tmp_path / "photos" / name).write_text("x")
    for name in ("pipe", "loop", "gone"):
        pair(tmp_path, name)
        (tmp_path / "photos" / f"{name}.png").unlink()
    os.mkfifo(tmp_path / "photos" / "pipe.png")
    (tmp_path / "photos" / "loop.png").symlink_to(tmp_path / "photos" / "loop.png")
    (tmp_path / "photos" / "gone.png").symlink_to(tmp_path / "nothing")
    unread = dict.fromkeys(
        ["photos/gif.gif", "photos/tif.tif", "photos/twin.tiff", "photos/lone.gif",
         "masks/mask.gif", "parsings/good.tif"], NOT_READ
    )  # fmt: skip
    none = {f"photos/{n}.png": f"{NO_FILE}; replace or remove it" for n in ("pipe", "loop", "gone")}
    source = folder(tmp_path, parsings="parsings")
    assert source.ids() == ["good", "twin"] and reasons(source) == unread | none
    plain = things(tmp_path, source="folder", images="photos", masks="masks")
    assert plain.ids() == ["good", "twin"]
    assert reasons(plain) == {k: v for k, v in (unread | none).items() if "parsings" not in k}


def test_a_photo_that_is_not_read_does_not_hide_others_faults(tmp_path: Path) -> None:
    pair(tmp_path, "good")
    save(tmp_path / "photos" / "a.png", photo())
    save(tmp_path / "parsings" / "a.gif", BODY)
    save(tmp_path / "parsings" / "b.gif", BODY)
    found = reasons(folder(tmp_path, parsings="parsings"))
    assert found["photos/a.png"].startswith("no partner in masks")
    assert found.keys() == {"photos/a.png", "parsings/a.gif"}


def test_what_is_not_read_is_looked_for_anew_each_time(tmp_path: Path) -> None:
    pair(tmp_path, "good")
    save(tmp_path / "masks" / "a.png", BODY)
    for path in [*(tmp_path / "photos").iterdir(), *(tmp_path / "masks").iterdir()]:
        os.utime(path, (10**9, 10**9))  # old enough for the scan to be kept
    assert list(reasons(folder(tmp_path))) == ["masks/a.png"]
    save(tmp_path / "photos" / "a.gif", photo())
    assert list(reasons(folder(tmp_path))) == ["photos/a.gif"]
    (tmp_path / "photos" / "a.gif").unlink()
    assert list(reasons(folder(tmp_path))) == ["masks/a.png"]


def test_stems_choose_among_what_is_not_read_too(tmp_path: Path) -> None:
    pair(tmp_path, "good")
    pair(tmp_path, "a", "gif")
    pair(tmp_path, "b", "gif")
    (tmp_path / "list.txt").write_text("good\na.gif\ngone\n")
    assert reasons(folder(tmp_path, stems="list.txt")) == {
        "photos/a.gif": NOT_READ,
        "gone": "is listed, but there is no such photo",
    }


def test_a_folder_of_nothing_but_other_types_says_so(tmp_path: Path) -> None:
    for number in range(2):
        save(tmp_path / "cut" / f"{number}.tif", np.dstack([photo(), BODY]))
    with pytest.raises(InputError) as caught:
        things(tmp_path, source="rgba", path="cut")
    assert caught.value.message == (
        f"{tmp_path}/cut: holds no usable picture with transparency (first: 0.tif: {NOT_READ}); "
        "give cut-outs as PNG or WebP with alpha"
    )
    save(tmp_path / "cut" / "Car" / "a.png", np.dstack([photo(), BODY]))
    save(tmp_path / "cut" / "Car" / "b.gif", photo())
    os.mkfifo(tmp_path / "cut" / "Car" / "c.png")
    source = things(tmp_path, source="rgba", path="cut")
    assert source.ids() == ["Car/a"]
    assert reasons(source) == {
        "0.tif": NOT_READ, "1.tif": NOT_READ, "Car/b.gif": NOT_READ,
        "Car/c.png": f"{NO_FILE}; replace or remove it",
    }  # fmt: skip
    pair(tmp_path, "a", "gif")
    with pytest.raises(InputError, match=r"first: photos/a.gif: is of a type .*; mend that, or"):
        folder(tmp_path)


def lists(root: Path) -> dict[str, str]:
    os.mkfifo(root / "fifo")
    (root / "dir").mkdir()
    (root / "empty").write_text("\n  \n")
    (root / "long").write_text("x" * 2000)
    return {
        "fifo": f"{NO_FILE}; check `stems`", "dir": f"{NO_FILE}; check `stems`",
        "/dev/zero": f"{NO_FILE}; check `stems`", "gone": "no such list; check `stems`",
        "a\0": "no such list; check `stems`", "empty": "lists nobody; write one stem a line",
        "long": "is no list of stems, but far longer",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["fifo", "dir", "/dev/zero", "gone", "a\0", "empty", "long"])
def test_lists_of_stems_that_are_none(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair(tmp_path, "good")
    words = lists(tmp_path)[name]
    monkeypatch.setattr(pairs, "_LONGEST_LIST", 1000)
    with pytest.raises(InputError) as caught:
        folder(tmp_path, stems=name)
    assert words in caught.value.message and "photos" not in caught.value.message
    assert os.path.basename(name).rstrip("\0") in caught.value.message
    assert len(caught.value.message.splitlines()) == 1


def test_there_is_room_for_ten_million_stems(tmp_path: Path) -> None:
    assert pairs._LONGEST_LIST >= 10_000_000 * 20
    (tmp_path / "list").write_text("a\nb.jpg")
    assert read_stems(tmp_path / "list") == {"a", "b"}


COLOURS = photo(5)


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "jpg", "webp"])
def test_a_photo_is_no_mask(tmp_path: Path, kind: str) -> None:
    pair(tmp_path, "good")
    save(tmp_path / "photos" / "a.png", photo())
    if kind == "RGBA":
        save(tmp_path / "masks" / "a.png", np.dstack([COLOURS, np.full_like(BODY, 255)]))
    else:
        save(tmp_path / "masks" / ("a.png" if kind == "RGB" else f"a.{kind}"), COLOURS)
    wanted = "is a colour picture; save the mask as a grey or palette picture"
    for source in (
        folder(tmp_path), things(tmp_path, source="folder", images="photos", masks="masks")
    ):  # fmt: skip
        assert source.ids() == ["good"] and list(reasons(source).values()) == [wanted]


def test_masks_of_every_honest_kind_stay(tmp_path: Path) -> None:
    pair(tmp_path, "grey")
    for name in ("rgb.png", "rgb.jpg", "rgb.webp", "cut.png", "palette.png"):
        stem, suffix = name.split(".")
        save(tmp_path / "photos" / f"{stem}-{suffix}.png", photo())
        array = np.dstack([BODY] * 3)
        array = np.dstack([COLOURS, BODY]) if stem == "cut" else array
        array = BODY // 255 if stem == "palette" else array
        save(tmp_path / "masks" / f"{stem}-{suffix}.{suffix}", array, palette=False)
    source = folder(tmp_path)
    assert source.rejected == [] and len(source.ids()) == 6


@pytest.mark.parametrize("value", [1, 255])
def test_a_mask_of_the_whole_photo_is_none(tmp_path: Path, value: int) -> None:
    pair(tmp_path, "good")
    save(tmp_path / "photos" / "all.png", photo())
    save(tmp_path / "masks" / "all.png", np.full_like(BODY, value))
    for source in (
        folder(tmp_path), things(tmp_path, source="folder", images="photos", masks="masks")
    ):  # fmt: skip
        assert source.ids() == ["good"]
        assert "mask covers the whole photo; " in reasons(source)["masks/all.png"]


def test_a_licence_without_an_id_is_nobodys(tmp_path: Path) -> None:
    data = dataset(WHOLE, annotation(8, (80, 30, 110, 90)))
    data["licenses"] = [{"name": "Everybody", "url": "http://x"}, {"id": None, "name": "Nobody"}]
    for licence in ({}, {"license": None}, {"license": 4}, {"license": [1]}):
        data["images"][0].pop("license", None)
        data["images"][0] |= licence
        meta = people(tmp_path, data).load("7", 16, np.random.default_rng(0)).meta
        assert "licence" not in meta and "licence_url" not in meta


def test_coco_photos_that_are_no_files_and_pictures_keep_their_reason(tmp_path: Path) -> None:
    data = dataset(WHOLE)
    for number, name in enumerate(["dir.png", "pipe.png", "text.png", "gone.png"], 10):
        data["images"].append(data["images"][0] | {"id": number, "file_name": name})
        data["annotations"].append(WHOLE | {"id": number, "image_id": number})
    write(tmp_path, data)
    (tmp_path / "images" / "dir.png").mkdir()
    os.mkfifo(tmp_path / "images" / "pipe.png")
    (tmp_path / "images" / "text.png").write_text("x")
    remedy = "; download it or remove it from the annotation file"
    assert list(reasons(people(tmp_path, data)).values()) == [
        f"photo {NO_FILE}{remedy}",
        f"photo {NO_FILE}{remedy}",
        "photo cannot be decoded; repair, replace or remove the file [decoder: of no known format]",
        f"photo is missing{remedy}",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a\0.json", "no such annotation file"),
        ("x" * 5000, "no such annotation file"),
        ("/dev/zero", "is no file"),
        (".", "is no file"),
    ],
)
def test_annotation_files_that_are_none(tmp_path: Path, name: str, words: str) -> None:
    write(tmp_path, dataset(WHOLE))
    entry = {"source": "coco", "annotations": name, "images": "images"}
    with pytest.raises(InputError) as caught:
        open_people(TypeAdapter(PeopleSpec).validate_python(entry), tmp_path)
    assert words in caught.value.message and "check `annotations`" in caught.value.message
    assert len(caught.value.message.splitlines()) == 1


def test_reasons_of_files_with_odd_names_name_no_folder(tmp_path: Path) -> None:
    for name in ("good", "new\nline"):
        pair(tmp_path, name)
        save(tmp_path / "cut" / f"{name}.png", np.dstack([photo(), BODY]))
    for name in ("masks", "cut"):
        (tmp_path / name / "new\nline.png").write_bytes(b"x")
    for source in (folder(tmp_path), things(tmp_path, source="rgba", path="cut")):
        ((file, reason),) = reasons(source).items()
        assert file.endswith("new\\nline.png") and reason.startswith("cannot be decoded; ")

"""LIP, ATR and PASCAL-Person-Part in their published layouts: who is whole, and what is said."""

from pathlib import Path

import numpy as np
import pytest

from synth import source_specs as specs
from synth.errors import ChangedError, InputError
from synth.parsing import label
from synth.sources.label_sets import ATR, LIP, PASCAL_PARTS
from synth.sources.labelled import LabelledPeople
from synth.sources.open import open_people
from tests.synth.figures import PARTS, PASCAL, drawn, photo, save

FOLDERS = {
    "lip": ("train_images", "train_segmentations", LIP, PARTS),
    "atr": ("JPEGImages", "SegmentationClassAug", ATR, PARTS),
    "pascal-parts": ("JPEGImages", "SegmentationPart", PASCAL_PARTS, PASCAL),
}
MODELS = {
    "lip": specs.LipPeople,
    "atr": specs.AtrPeople,
    "pascal-parts": specs.PascalPartPeople,
}
KINDS = sorted(FOLDERS)


def add(root: Path, kind: str, stem: str, labels: np.ndarray | None = None) -> None:
    """A photo and its label map where the publisher puts them."""
    photos, maps, table, parts = FOLDERS[kind]
    save(root / photos / f"{stem}.jpg", photo())
    labels = drawn(table, parts) if labels is None else labels
    save(root / maps / f"{stem}.png", labels, palette=kind == "pascal-parts")


def people(root: Path, kind: str, **changes: object) -> LabelledPeople:
    photos, maps, _, _ = FOLDERS[kind]
    values = {"source": kind, "images": photos, "parsings": maps, "min_area": 500} | changes
    return LabelledPeople(MODELS[kind].model_validate(values), root)


def reasons(source: LabelledPeople) -> dict[str, str]:
    return {Path(r.file).stem: r.reason for r in source.rejected}


@pytest.mark.parametrize("kind", KINDS)
def test_a_published_layout_gives_people_with_parsings(tmp_path: Path, kind: str) -> None:
    add(tmp_path, kind, "7_8")
    source = people(tmp_path, kind)
    assert source.ids() == ["7_8"] and source.rejected == []
    crop = source.load("7_8", 64, np.random.default_rng(0))
    assert crop.parsing is not None and crop.amodal.any()
    np.testing.assert_array_equal(crop.parsing > 0, crop.amodal)
    assert crop.meta["file"] == "7_8.jpg" and crop.meta["labels"] == kind
    assert crop.meta["licence"]
    # Arms on both sides, the person's left on the right.
    columns = [np.nonzero(crop.parsing == label(f"{side}-arm"))[1] for side in ("left", "right")]
    assert columns[0].min() > columns[1].max()


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_opens_it_under_its_kind(tmp_path: Path, kind: str) -> None:
    add(tmp_path, kind, "a")
    photos, maps, _, _ = FOLDERS[kind]
    values = {"source": kind, "images": photos, "parsings": maps, "min_area": 500}
    source = open_people(MODELS[kind].model_validate(values), tmp_path)
    assert source.name == kind and source.ids() == ["a"]


def test_two_people_of_one_photo_of_lip_stay_together(tmp_path: Path) -> None:
    for stem in ("100034_483681", "100034_99", "5_6", "own"):
        add(tmp_path, "lip", stem)
        add(tmp_path / "atr", "atr", stem)
    source = people(tmp_path, "lip")
    wanted = ["lip 100034", "lip 100034", "lip 5", source.photo("own")]
    assert [source.group(i) for i in source.ids()] == wanted
    other = people(tmp_path / "atr", "atr")
    assert [other.group(i) for i in other.ids()] == [other.photo(i) for i in other.ids()]


def moved(labels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.roll(labels, (rows, columns), (0, 1))


@pytest.mark.parametrize("kind", KINDS)
def test_each_reason_is_reached(tmp_path: Path, kind: str) -> None:
    photos, maps, table, parts = FOLDERS[kind]
    whole = drawn(table, parts)
    apart = whole.copy()
    apart[100:119, 60:79] = whole[40, 40]
    head, feet = ("head",), ("lower-legs", "lower-legs again")
    if kind != "pascal-parts":
        head = ("hair", "face")
        feet = ("left-leg", "right-leg", "left-shoe", "right-shoe")
    cases = {
        "pieces": apart,
        "smaller": np.where(np.indices(whole.shape)[0] < 22, whole, 0),
        "edge": moved(whole, 0, 24),
        "nohead": drawn(table, {k: v for k, v in parts.items() if k not in head}),
        "nofoot": drawn(table, {k: v for k, v in parts.items() if k not in feet}),
        "none": whole * 0,
    }
    for stem, labels in cases.items():
        add(tmp_path, kind, stem, labels.astype(np.uint8))
    add(tmp_path, kind, "good")
    add(tmp_path, kind, "size", whole[:90])
    add(tmp_path, kind, "unknown", np.full_like(whole, 77))
    for stem in ("lone", "torn", "tornmap"):
        add(tmp_path, kind, stem)
    (tmp_path / maps / "lone.png").unlink()
    for torn in (tmp_path / photos / "torn.jpg", tmp_path / maps / "tornmap.png"):
        torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    wanted = {
        "pieces": "several pieces", "smaller": "smaller than 500 px", "edge": "cut off",
        "nohead": "no head", "nofoot": "neither foot nor leg", "none": "nothing is labelled",
        "size": "not of its photo's size", "unknown": "labels above", "lone": "no partner",
        "torn": "decoded", "tornmap": "decoded",
    }  # fmt: skip
    source = people(tmp_path, kind, max_border_contact=0.02)
    assert source.ids() == ["good"]
    found = reasons(source)
    assert found.keys() == wanted.keys()
    for stem, words in wanted.items():
        assert words in found[stem], (stem, found[stem])
    assert all(not Path(r.file).is_absolute() and "\n" not in r.reason for r in source.rejected)


def test_strays_are_left_away_and_gaps_of_a_hand_are_not(tmp_path: Path) -> None:
    stray = drawn(LIP, PARTS)
    stray[110:114, 70:75] = label("face")
    add(tmp_path, "lip", "stray", stray)
    gap = drawn(LIP, PARTS)
    gap[57, 24:32] = 0
    add(tmp_path, "lip", "gap", gap)
    source = people(tmp_path, "lip")
    assert source.ids() == ["gap", "stray"]
    square = np.random.default_rng(0)
    whole = people_area(source, "gap", square)
    assert whole == pytest.approx((gap > 0).sum(), rel=0.03)
    assert people_area(source, "stray", square) == pytest.approx((stray > 0).sum() - 20, rel=0.03)


def people_area(source: LabelledPeople, stem: str, rng: np.random.Generator) -> float:
    crop = source.load(stem, 256, rng)
    return float(crop.amodal.sum() * (crop.meta["crop"][2] / 256) ** 2)


def test_an_unlabelled_neck_does_not_behead_anybody(tmp_path: Path) -> None:
    labels = drawn(LIP, PARTS)
    labels[21:25] = 0
    add(tmp_path, "lip", "a", labels)
    source = people(tmp_path, "lip")
    assert source.ids() == ["a"]
    crop = source.load("a", 128, np.random.default_rng(0))
    rows = np.nonzero(crop.amodal.any(axis=1))[0]
    assert len(rows) == rows[-1] - rows[0] + 1


def test_a_bag_is_the_person_only_on_request(tmp_path: Path) -> None:
    beside = drawn(ATR, PARTS | {"bag": (60, 75, 26, 32)})
    before = drawn(ATR, PARTS | {"bag": (40, 60, 32, 48)})
    add(tmp_path, "atr", "beside", beside)
    add(tmp_path, "atr", "before", before)
    source = people(tmp_path, "atr")
    assert source.ids() == ["beside"]
    assert reasons(source) == {"before": "a carried thing hides much of the body"}
    carried = people(tmp_path, "atr", include_accessories=True)
    assert carried.ids() == ["before", "beside"]
    rng = np.random.default_rng(0)
    less, more = people_area(source, "beside", rng), people_area(carried, "beside", rng)
    assert more - less == pytest.approx(90, rel=0.3)


def test_pascal_photos_of_several_people_are_left_out(tmp_path: Path) -> None:
    one = drawn(PASCAL_PARTS, PASCAL)[:, 20:60]
    add(tmp_path, "pascal-parts", "apart", np.hstack([one, one]))
    touching = np.hstack([one[:, :36], one[:, 4:], np.zeros_like(one[:, :8])])
    add(tmp_path, "pascal-parts", "touching", touching)
    add(tmp_path, "pascal-parts", "one")
    source = people(tmp_path, "pascal-parts")
    assert source.ids() == ["one"]
    assert reasons(source) == {
        "apart": "in several pieces",
        "touching": "several people together",
    }


def test_a_list_of_stems_chooses(tmp_path: Path) -> None:
    for stem in ("a", "b", "c"):
        add(tmp_path, "lip", stem)
    (tmp_path / "train_id.txt").write_text("﻿b\nc.jpg\n\n gone \n", encoding="utf-8")
    source = people(tmp_path, "lip", stems="train_id.txt")
    assert source.ids() == ["b", "c"]
    assert reasons(source) == {"gone": "is listed, but there is no such photo"}
    with pytest.raises(InputError, match=r"none\.txt: no such list; check `stems`"):
        people(tmp_path, "lip", stems="none.txt")
    (tmp_path / "train_id.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match=r"train_id\.txt: is no text"):
        people(tmp_path, "lip", stems="train_id.txt")


def test_what_cannot_be_opened_ends_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train_images: no such folder"):
        people(tmp_path, "lip")
    add(tmp_path, "lip", "a", np.zeros((120, 80), np.uint8))
    with pytest.raises(InputError, match="no photo has a usable partner.*first: .*a.png: nothing"):
        people(tmp_path, "lip")
    with pytest.raises(InputError, match="each its own folder"):
        people(tmp_path, "lip", parsings="train_images")


def test_a_map_that_changes_after_the_check_is_named(tmp_path: Path) -> None:
    add(tmp_path, "lip", "a")
    source = people(tmp_path, "lip")
    save(tmp_path / "train_segmentations" / "a.png", np.zeros((120, 80), np.uint8))
    with pytest.raises(ChangedError, match=r"a\.png: changed"):
        source.load("a", 32, np.random.default_rng(0))

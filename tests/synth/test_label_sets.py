"""Label sets of other publishers: nothing is forgotten, and left stays left."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.errors import InputError
from synth.parsing import FLIP_TABLE, LIP_LABELS, NUM_LABELS, label, mirror
from synth.sources.ccp_labels import CARRIED, NEAREST
from synth.sources.label_sets import ATR, LABEL_SETS, LIP, PASCAL_PARTS, code_of
from synth.sources.neck import fill_neck
from synth.sources.sides import ARM, SHIN, THIGH
from tests.synth.figures import PARTS, PASCAL, drawn, save

RESOLVED = {NEAREST, CARRIED, ARM, THIGH, SHIN}
# What the publishers list, in the order of their numbers.
PUBLISHED = {
    "lip": "background hat hair glove sunglasses upper-clothes dress coat socks pants jumpsuits "
    "scarf skirt face left-arm right-arm left-leg right-leg left-shoe right-shoe",
    "atr": "background hat hair sunglasses upper-clothes skirt pants dress belt left-shoe "
    "right-shoe face left-leg right-leg left-arm right-arm bag scarf",
    "pascal-parts": "background head torso upper-arms lower-arms upper-legs lower-legs",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_label_of_a_set_has_a_target(name: str) -> None:
    labels = LABEL_SETS[name]
    assert [own for own, _ in labels.table] == PUBLISHED[name].split()
    for _, target in labels.table:
        assert code_of(target) in RESOLVED or code_of(target) < NUM_LABELS
    assert labels.table[0] == ("background", "background")
    codes = labels.codes()
    known = [n for n in range(256) if codes[n] != 255]
    extra = [] if labels.void is None else [labels.void]
    assert known == [*range(len(labels.table)), *extra]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_label_becomes_a_class_of_lip(name: str) -> None:
    labels = LABEL_SETS[name]
    codes = labels.codes()[np.arange(len(labels.table), dtype=np.uint8)[None].repeat(3, 0)]
    mapped = labels.to_lip(codes)
    assert mapped.max() < NUM_LABELS
    lost = {
        own for (own, _), column in zip(labels.table, mapped.T, strict=True) if not column.any()
    }
    assert lost == ({"background", "bag"} if name == "atr" else {"background"})


@pytest.mark.parametrize("table", [LIP, ATR])
def test_left_and_right_of_a_table_are_mirrored_as_lip_mirrors_them(table: tuple) -> None:
    swap = {"left": "right", "right": "left"}
    targets = dict(table)
    for own, target in table:
        side, dash, part = own.partition("-")
        other = f"{swap[side]}-{part}" if side in swap else own
        if isinstance(target, str):
            assert FLIP_TABLE[label(target)] == label(str(targets[other])), own
    assert sum(own.startswith("left-") for own, _ in table) == 3


shapes = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))


@given(st.lists(st.tuples(st.integers(0, 6), shapes), max_size=8))
@settings(max_examples=60, deadline=None)
def test_mirroring_and_mapping_commute_for_pascal(boxes: list) -> None:
    raw = drawn(PASCAL_PARTS, PASCAL)
    for number, (top, left, height, width) in boxes:
        raw[top * 17 : top * 17 + height * 5, left * 11 : left * 11 + width * 5] = number
    labels = LABEL_SETS["pascal-parts"]
    first = labels.to_lip(labels.codes()[np.ascontiguousarray(raw[:, ::-1])])
    second = mirror(labels.to_lip(labels.codes()[raw]))
    # Pixels on the axis itself belong to neither side.
    assert (first != second).sum() <= 2 * raw.shape[0]
    assert ((first > 0) == (second > 0)).all()


def test_pascal_limbs_get_the_sides_of_someone_who_faces_the_camera() -> None:
    labels = LABEL_SETS["pascal-parts"]
    mapped = labels.to_lip(labels.codes()[drawn(PASCAL_PARTS, PASCAL)])
    wanted = {"left-arm": (40, 52), "right-arm": (40, 28), "left-leg": (90, 44),
              "right-leg": (90, 35), "face": (15, 40), "upper-clothes": (40, 40)}  # fmt: skip
    assert {name: LIP_LABELS[mapped[place]] for name, place in wanted.items()} == {
        name: name for name in wanted
    }
    thighs = mapped[55:80, 32:48]
    assert (thighs[:, :7] == label("right-leg")).all() and (
        thighs[:, 9:] == label("left-leg")
    ).all()


def test_pascal_sides_turn_with_the_body() -> None:
    labels = LABEL_SETS["pascal-parts"]
    raw = drawn(PASCAL_PARTS, PASCAL)
    upright = labels.to_lip(labels.codes()[raw])
    for turns in (1, 2, 3):
        turned = labels.to_lip(labels.codes()[np.ascontiguousarray(np.rot90(raw, turns))])
        assert (turned != np.rot90(upright, turns)).mean() < 0.01


def test_a_belt_takes_the_nearest_garment_and_a_bag_nothing() -> None:
    parts = PARTS | {"belt": (54, 57, 32, 48), "bag": (60, 70, 50, 60)}
    labels = LABEL_SETS["atr"]
    codes = labels.codes()[drawn(ATR, parts)]
    assert (codes == NEAREST).sum() == 48 and (codes == CARRIED).sum() == 100
    mapped = labels.to_lip(codes)
    assert (mapped[54, 32:48] == label("upper-clothes")).all()
    assert (mapped[56, 32:48] == label("pants")).all()
    assert not mapped[60:70, 50:60].any()
    # Where no garment is left the belt stays open, for the crop to fill.
    alone = np.full((4, 4), NEAREST, np.uint8)
    assert not labels.to_lip(alone).any()


def test_palette_pictures_are_read_as_numbers_and_void_is_nobody(tmp_path: Path) -> None:
    raw = drawn(PASCAL_PARTS, PASCAL)
    raw[0:3] = 255
    save(tmp_path / "map.png", raw, palette=True)
    labels = LABEL_SETS["pascal-parts"]
    np.testing.assert_array_equal(labels.read(tmp_path / "map.png"), labels.codes()[raw])
    assert not labels.read(tmp_path / "map.png")[:3].any()
    for name, number in (("lip", 20), ("atr", 18), ("pascal-parts", 7)):
        save(tmp_path / "bad.png", np.full((4, 4), number, np.uint8))
        title = LABEL_SETS[name].title
        with pytest.raises(InputError, match=f"labels above {number - 1}; save {title} labels"):
            LABEL_SETS[name].read(tmp_path / "bad.png")


def test_the_neck_that_lip_leaves_out_is_filled_and_nothing_else() -> None:
    whole = drawn(LIP, PARTS)
    open_throat = whole.copy()
    open_throat[21:25, 34:46] = 0
    filled = fill_neck(open_throat)
    np.testing.assert_array_equal(filled, whole)
    np.testing.assert_array_equal(fill_neck(whole), whole)
    np.testing.assert_array_equal(fill_neck(filled[:, ::-1])[:, ::-1], filled)
    far = whole.copy()
    far[19:40, 34:46] = 0
    np.testing.assert_array_equal(fill_neck(far), far)
    headless = np.where(whole == label("face"), 0, whole).astype(np.uint8)
    np.testing.assert_array_equal(fill_neck(headless), headless)
    assert not fill_neck(np.zeros((5, 5), np.uint8)).any()

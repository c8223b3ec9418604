"""Clothing Co-Parsing: the label table, the body plan, and the real photos."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from synth.errors import InputError
from synth.parsing import LIP_LABELS, label
from synth.source_specs import CcpPeople
from synth.sources import ccp
from synth.sources.ccp_labels import (
    CARRIED,
    CCP_TO_LIP,
    NEAREST,
    SHOE,
    SKIN,
    SUIT,
    code_table,
    to_lip,
)
from synth.sources.open import open_people

# All label names of the publisher's label_list.mat, so that the table is tested without it.
NAMES = [
    "null", "accessories", "bag", "belt", "blazer", "blouse", "bodysuit", "boots", "bra",
    "bracelet", "cape", "cardigan", "clogs", "coat", "dress", "earrings", "flats", "glasses",
    "gloves", "hair", "hat", "heels", "hoodie", "intimate", "jacket", "jeans", "jumper",
    "leggings", "loafers", "necklace", "panties", "pants", "pumps", "purse", "ring", "romper",
    "sandals", "scarf", "shirt", "shoes", "shorts", "skin", "skirt", "sneakers", "socks",
    "stockings", "suit", "sunglasses", "sweater", "sweatshirt", "swimwear", "t-shirt", "tie",
    "tights", "top", "vest", "wallet", "watch", "wedges",
]  # fmt: skip
SPEC = CcpPeople(source="ccp", path="ccp")


def test_every_label_is_mapped_once_into_lip() -> None:
    assert len(NAMES) == 59 and set(CCP_TO_LIP) == set(NAMES)
    special = {SKIN, SHOE, SUIT, NEAREST, CARRIED}
    assert all(v < len(LIP_LABELS) or v in special for v in CCP_TO_LIP.values())
    assert [n for n in NAMES if CCP_TO_LIP[n] == 0] == ["null"]
    assert CCP_TO_LIP["blazer"] == label("coat") and CCP_TO_LIP["jeans"] == label("pants")
    assert {n for n in NAMES if CCP_TO_LIP[n] == CARRIED} == {
        "accessories", "bag", "purse", "wallet",
    }  # fmt: skip


def figure() -> np.ndarray:
    """Codes (200, 120) of a drawn person of 160 rows, facing the camera, middle at column 60."""
    codes = np.zeros((200, 120), np.uint8)
    codes[20:28, 52:68] = label("hair")
    codes[28:46, 54:66] = SKIN
    codes[46:105, 45:75] = label("upper-clothes")
    codes[50:108, 35:43] = SKIN
    codes[50:108, 77:85] = SKIN
    codes[46:50, 35:85] = label("upper-clothes")
    codes[100:104, 45:75] = NEAREST
    codes[105:120, 45:75] = label("skirt")
    codes[120:172, 47:57] = SKIN
    codes[120:172, 63:73] = SKIN
    codes[172:180, 44:57] = SHOE
    codes[172:180, 63:76] = SHOE
    return codes


def test_skin_and_shoes_are_split_by_the_body_plan() -> None:
    codes = figure()
    parsing = to_lip(codes, codes > 0)
    at = {
        "face": (35, 60), "right-arm": (80, 38), "left-arm": (80, 80), "right-leg": (150, 50),
        "left-leg": (150, 70), "right-shoe": (176, 50), "left-shoe": (176, 70),
        "hair": (24, 60), "skirt": (110, 60), "upper-clothes": (101, 60),
    }  # fmt: skip
    assert {name: LIP_LABELS[parsing[place]] for name, place in at.items()} == {k: k for k in at}
    np.testing.assert_array_equal(parsing > 0, codes > 0)


def test_legs_and_shoes_in_one_piece_are_split_in_the_middle() -> None:
    codes = figure()
    codes[120:172, 57:63] = SKIN
    codes[172:180, 57:63] = SHOE
    parsing = to_lip(codes, codes > 0)
    assert LIP_LABELS[parsing[150, 58]] == "right-leg"
    assert LIP_LABELS[parsing[150, 61]] == "left-leg"
    assert LIP_LABELS[parsing[176, 58]] == "right-shoe"
    assert LIP_LABELS[parsing[176, 61]] == "left-shoe"


def test_bare_shoulders_part_the_face_from_the_arms() -> None:
    codes = figure()
    codes[46:50, 35:85] = SKIN
    codes[46:50, 45:54] = codes[46:50, 66:75] = label("upper-clothes")
    codes[44:52, 35:85] = SKIN
    parsing = to_lip(codes, codes > 0)
    assert LIP_LABELS[parsing[47, 60]] == "face" and LIP_LABELS[parsing[35, 60]] == "face"
    assert LIP_LABELS[parsing[90, 38]] == "right-arm"
    assert LIP_LABELS[parsing[90, 80]] == "left-arm"


def test_a_suit_is_a_coat_above_and_trousers_below_unless_there_are_trousers() -> None:
    codes = figure()
    codes[46:172, 45:75] = SUIT
    parsing = to_lip(codes, codes > 0)
    assert LIP_LABELS[parsing[60, 60]] == "coat" and LIP_LABELS[parsing[150, 60]] == "pants"
    codes[120:172, 45:75] = label("pants")
    assert LIP_LABELS[to_lip(codes, codes > 0)[115, 60]] == "coat"


def test_carried_things_cut_a_hole_or_belong_on_request() -> None:
    codes = figure()
    codes[60:70, 55:65] = CARRIED
    without, within = ccp.person_mask(codes, False), ccp.person_mask(codes, True)
    assert not without[65, 60] and within[65, 60]
    parsing = to_lip(codes, within)
    assert LIP_LABELS[parsing[65, 60]] == "upper-clothes"
    assert to_lip(codes, without)[65, 60] == 0
    assert ccp.label_fault(codes, False) is None
    codes[55:100, 47:73] = CARRIED
    assert "hides" in str(ccp.label_fault(codes, False))
    assert ccp.label_fault(codes, True) is None


def test_gaps_between_arm_and_body_stay_open() -> None:
    codes = figure()
    assert not ccp.person_mask(codes, False)[80, 44]


FAULTS = {
    "nearly nothing": np.s_[:, :],
    "no head": np.s_[:46, :],
    "neither feet nor legs": np.s_[105:, :],
}


@pytest.mark.parametrize("words", FAULTS)
def test_incomplete_label_maps_are_rejected(words: str) -> None:
    codes = figure()
    codes[50:80, 35:43] = codes[50:80, 77:85] = label("upper-clothes")
    codes[FAULTS[words]] = 0
    # Hands would pass for legs once the legs are gone.
    if "feet" in words:
        codes[codes == SKIN] = label("face")
    assert words in str(ccp.label_fault(codes, False))


def test_stray_labels_and_people_cut_by_the_edge_are_rejected() -> None:
    codes = figure()
    assert ccp.label_fault(codes, False) is None
    codes[150:190, 95:118] = label("pants")
    assert "several places" in str(ccp.label_fault(codes, False))
    assert "edge" in str(ccp.label_fault(figure()[:, 38:82], False))


def write_ccp(root: Path, stems: tuple[str, ...]) -> Path:
    root = root / "ccp"
    (root / "photos").mkdir(parents=True)
    (root / "annotations" / "pixel-level").mkdir(parents=True)
    cells = np.array([[np.array([name])] for name in NAMES], dtype=object)
    scipy.io.savemat(root / "label_list.mat", {"label_list": cells})
    by_code = {CCP_TO_LIP[n]: k for k, n in reversed(list(enumerate(NAMES)))}
    labels = np.vectorize(by_code.get)(figure()).astype(np.uint8)
    for stem in stems:
        Image.new("RGB", (120, 200), (90, 120, 150)).save(root / "photos" / f"{stem}.jpg")
        path = root / "annotations" / "pixel-level" / f"{stem}.mat"
        scipy.io.savemat(path, {"groundtruth": labels}, do_compression=True)
    return root


def test_broken_pairs_are_rejected_and_the_rest_loads(tmp_path: Path) -> None:
    root = write_ccp(tmp_path, ("0001", "0002", "0003", "0004", "0005", "0006"))
    labels = root / "annotations" / "pixel-level"
    (labels / "0002.mat").write_bytes((labels / "0002.mat").read_bytes()[:150])
    (labels / "0003.mat").unlink()
    (root / "photos" / "0004.jpg").write_bytes(b"no photo")
    scipy.io.savemat(labels / "0005.mat", {"groundtruth": np.full((200, 120), 77, np.uint8)})
    Image.new("RGB", (60, 60)).save(root / "photos" / "0006.jpg")
    source = open_people(SPEC, tmp_path)
    assert source.name == "ccp" and source.ids() == ["0001"]
    wanted = {
        "annotations/pixel-level/0002.mat": "cannot be read (",
        "annotations/pixel-level/0003.mat": "is missing; download it or remove its photo",
        "photos/0004.jpg": "cannot be decoded",
        "annotations/pixel-level/0005.mat": "has labels that label_list.mat does not name",
        "annotations/pixel-level/0006.mat": "labels are not of the photo's size",
    }
    found = {r.file: r.reason for r in source.rejected}
    assert list(found) == list(wanted)
    assert all(
        found[file].startswith(words) and ";" in found[file] for file, words in wanted.items()
    )
    crop = source.load("0001", 64, np.random.default_rng(0))
    assert crop.parsing is not None
    np.testing.assert_array_equal(crop.parsing > 0, crop.amodal)


def test_missing_or_foreign_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="photos: no such folder"):
        ccp.CcpPeople(SPEC, tmp_path)
    root = write_ccp(tmp_path, ())
    with pytest.raises(InputError, match="nobody is usable"):
        ccp.CcpPeople(SPEC, tmp_path)
    (root / "label_list.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b"\0" * 300)
    with pytest.raises(InputError, match=r"label_list\.mat") as caught:
        ccp.CcpPeople(SPEC, tmp_path)
    assert "\n" not in caught.value.message
    scipy.io.savemat(root / "label_list.mat", {"label_list": np.array(["null", "spaceship"])})
    with pytest.raises(InputError, match="spaceship"):
        ccp.CcpPeople(SPEC, tmp_path)


@pytest.fixture(scope="module")
def real(real_data: Path) -> ccp.CcpPeople:
    return ccp.CcpPeople(SPEC, real_data)


def test_real_people_are_mostly_kept_and_the_known_traps_rejected(real: ccp.CcpPeople) -> None:
    assert len(real.ids()) + len(real.rejected) == 870 and len(real.ids()) >= 800
    files = {r.file: r.reason for r in real.rejected}
    assert "photos/0536.jpg" in files and "photos/0868.jpg" in files
    assert "nearly nothing" in files["photos/0536.jpg"]
    assert "head" in files["photos/0591.jpg"]
    reasons = Counter(files.values())
    assert 30 < reasons["a carried thing hides much of the body"] < 90


def test_real_names_are_all_in_the_table(real_data: Path) -> None:
    cells = scipy.io.loadmat(real_data / "ccp" / "label_list.mat")["label_list"]
    names = [str(cell[0]) for cell in cells.ravel()]
    assert names == NAMES
    assert len(code_table(names)) == 59


def test_real_parsings_are_bodies(real: ccp.CcpPeople) -> None:
    for identity in real.ids()[::60]:
        crop = real.load(identity, 128, np.random.default_rng(int(identity)))
        parsing = crop.parsing
        assert parsing is not None
        np.testing.assert_array_equal(parsing > 0, crop.amodal)
        rows = {name: np.nonzero(parsing == label(name))[0] for name in LIP_LABELS}
        head = np.concatenate([rows["face"], rows["hair"], rows["hat"]])
        feet = np.concatenate([rows["left-shoe"], rows["right-shoe"], rows["left-leg"]])
        assert head.size and head.mean() < 0.5 * 128
        assert not feet.size or feet.mean() > head.mean() + 25
        left, right = (np.nonzero(parsing == label(f"{s}-shoe"))[1] for s in ("left", "right"))
        if left.size and right.size:
            assert left.mean() > right.mean()

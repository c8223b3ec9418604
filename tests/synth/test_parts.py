"""Where parts of the body are, and occluders in front of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.compose import compose, set_stage
from synth.occlusion_spec import BODY_PARTS, Occlusion
from synth.parsing import label, mirror
from synth.parts import part_region
from synth.place import mask_box
from synth.sources.base import PersonCrop
from tests.synth.tiny import cutout, person_crop

# A person drawn as boxes (left, top, right, bottom) on 100 pixels, facing the camera: the
# person's own left is at the right.
DRAWN = {
    "hair": (45, 5, 55, 10), "face": (45, 10, 55, 17),
    "upper-clothes": (38, 17, 62, 45),
    "left-arm": (62, 17, 68, 48), "right-arm": (32, 17, 38, 48),
    "pants": (40, 45, 60, 80),
    "left-leg": (50, 80, 60, 90), "right-leg": (40, 80, 50, 90),
    "left-shoe": (50, 90, 61, 95), "right-shoe": (39, 90, 50, 95),
}  # fmt: skip
POINTS = [
    (50, 12), (52, 10), (48, 10), (54, 11), (46, 11), (60, 19), (40, 19), (65, 32), (35, 32),
    (65, 46), (35, 46), (55, 45), (45, 45), (55, 65), (45, 65), (55, 90), (45, 90),
]  # fmt: skip


def drawn(labelled: bool = True, points: bool = False, size: int = 100) -> PersonCrop:
    parsing = np.zeros((100, 100), np.uint8)
    for name, (left, top, right, bottom) in DRAWN.items():
        parsing[top:bottom, left:right] = label(name)
    parsing = parsing.repeat(size // 100, axis=0).repeat(size // 100, axis=1)
    scale = size / 100
    meta = {"keypoints": [[x * scale, y * scale, 2] for x, y in POINTS]} if points else {}
    image = np.full((size, size, 3), 90, np.uint8)
    return PersonCrop(image, parsing > 0, parsing if labelled else None, meta)


def truth(*names: str) -> np.ndarray:
    parsing = drawn().parsing
    assert parsing is not None
    return np.isin(parsing, [label(name) for name in names])


def test_labels_say_where_parts_are() -> None:
    person = drawn(points=True)
    expected = {
        "head": truth("hair", "face"),
        "torso": truth("upper-clothes"),
        "arms": truth("left-arm", "right-arm"),
        "left-arm": truth("left-arm"),
        "legs": truth("pants", "left-leg", "right-leg"),
        "feet": truth("left-shoe", "right-shoe"),
    }
    for part, mask in expected.items():
        found = part_region(person, part)
        assert found.known_from == "parsing" and (found.mask == mask).all(), part
    left, right = (part_region(person, f"{side}-leg").mask for side in ("left", "right"))
    assert left[60, 57] and right[60, 43] and not (left & right).any()
    assert ((left | right) == expected["legs"]).all()


def test_left_is_the_persons_own_in_a_mirror_too() -> None:
    person = drawn()
    assert person.parsing is not None
    other = PersonCrop(person.image, person.amodal[:, ::-1], mirror(person.parsing))
    for part in ("left-arm", "left-leg", "right-leg"):
        side, _, limb = part.partition("-")
        opposite = f"{'right' if side == 'left' else 'left'}-{limb}"
        mirrored = part_region(person, opposite).mask[:, ::-1]
        assert (part_region(other, part).mask == mirrored).all()


def test_a_dress_is_torso_above_the_hips_and_legs_below() -> None:
    person = drawn()
    assert person.parsing is not None
    person.parsing[truth("upper-clothes", "pants")] = label("dress")
    torso, legs = (part_region(person, part).mask for part in ("torso", "legs"))
    assert torso[30, 50] and not torso[75, 50] and legs[75, 50] and not legs[30, 50]
    assert not (torso & legs).any()


@pytest.mark.parametrize("points", [True, False])
def test_without_labels_parts_are_about_where_they_belong(points: bool) -> None:
    """From keypoints, or from the box: most of what is found is of the part, by its labels."""
    person = drawn(labelled=False, points=points)
    regions = {part: part_region(person, part) for part in BODY_PARTS}
    assert {r.known_from for r in regions.values()} == {"keypoints" if points else "box"}
    labelled = drawn()
    for part, region in regions.items():
        assert not (region.mask & ~person.amodal).any()
        exact = part_region(labelled, part).mask
        room = np.zeros_like(exact)
        left, top, width, height = mask_box(exact)
        room[max(top - 6, 0) : top + height + 6, max(left - 6, 0) : left + width + 6] = True
        assert (region.mask & room).sum() > 0.8 * region.mask.sum(), part
        assert (region.mask & exact).sum() > 0.3 * min(exact.sum(), region.mask.sum()), part


@given(st.integers(0, 2**32 - 1), st.sampled_from(BODY_PARTS), st.integers(0, 17))
def test_a_region_is_never_empty_and_within_the_person(seed: int, part: str, seen: int) -> None:
    rng = np.random.default_rng(seed)
    plain = person_crop(48, rng)
    points = [[*rng.uniform(-10, 60, 2), 2 if n < seen else 0] for n in range(17)]
    labels = plain.parsing if seed % 2 else None
    person = PersonCrop(plain.image, plain.amodal, labels, {"keypoints": points})
    found = part_region(person, part)
    assert found.mask.any() and not (found.mask & ~person.amodal).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(BODY_PARTS), st.booleans())
def test_in_front_of_a_part_hides_it_three_times_as_much(
    seed: int, part: str, labelled: bool
) -> None:
    person = drawn(labelled, points=True, size=200)
    occlusion = Occlusion(preset=f"part:{part}", blend="hard")
    region = set_stage(person, occlusion).regions[f"part:{part}"]
    of_part, of_rest = [], []
    for number in range(4):
        rng = np.random.default_rng([seed, number])
        made = compose(person, [cutout(60, 50, rng)], occlusion, rng)
        hidden = made.amodal & ~made.modal
        share = float((hidden & region.mask).sum() / region.mask.sum())
        note = made.placements[0]
        assert note["kind"] == f"part:{part}" and note["part_from"] == region.known_from
        assert note["part_hidden"] == pytest.approx(share, abs=1e-4)
        rest = made.amodal & ~region.mask
        of_part.append(share)
        of_rest.append(float((hidden & rest).sum() / rest.sum()))
    assert np.mean(of_part) >= 3 * np.mean(of_rest)

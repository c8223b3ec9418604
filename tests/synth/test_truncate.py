"""The edge of the photo that cuts the person."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.build import build
from synth.check import check
from synth.compose import compose, set_stage
from synth.export import export
from synth.histogram import Aim
from synth.occlusion_spec import Occlusion
from synth.place import mask_box, photo_box
from synth.plan import make_sample
from synth.recipe import SPLITS
from synth.sample import violations
from synth.stats.page import write_stats
from synth.truncate import FRAME, Cut, cut_at, draw_cut
from tests.synth.test_plan import plan, recipe
from tests.synth.tiny import cutout, person_crop, tiny_recipe, write_tiny

SIDES = ("bottom", "left", "right", "top")
ALWAYS = Occlusion(truncate=1.0, truncated=(0.1, 0.3))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SIDES), st.floats(0.02, 0.6))
def test_a_cut_takes_the_asked_share_off_one_side(seed: int, side: str, share: float) -> None:
    person = person_crop(96, np.random.default_rng(seed), border=7)
    cut = cut_at(person, side, share)
    assert cut is not None
    taken = (cut.band & person.amodal).sum() / person.amodal.sum()
    assert taken == pytest.approx(cut.share) == pytest.approx(share, abs=0.05)
    left, top, width, height = cut.frame
    kept = np.zeros_like(cut.band)
    kept[top : top + height, left : left + width] = True
    photo = np.zeros_like(kept)
    x, y, w, h = photo_box(person.image)
    photo[y : y + h, x : x + w] = True
    assert ((kept | cut.band) == photo).all() and not (kept & cut.band).any()
    moved = {
        "left": left > x,
        "top": top > y,
        "right": left + width < x + w,
        "bottom": top + height < y + h,
    }
    assert [name for name, is_moved in moved.items() if is_moved] == [side]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.7), st.sampled_from(["hard", "feather"]))
def test_occluders_add_up_to_the_asked_share(seed: int, share: float, blend: str) -> None:
    rng = np.random.default_rng(seed)
    person = person_crop(96, rng, border=5)
    occlusion = Occlusion(truncate=1.0, truncated=(0.1, 0.3), blend=blend)
    aim = Aim(share, 0.05, 0.75)
    cut = draw_cut(person, occlusion, aim, rng)
    assert cut is not None and 0 < cut.share <= 0.75 * share + 1e-9
    made = compose(set_stage(person, occlusion, cut), [cutout(40, 40, rng)], occlusion, rng, aim)
    assert made.got == pytest.approx(share, abs=0.06)
    assert made.placements[0] == {
        "kind": FRAME,
        "box": list(mask_box(cut.band)),
        "side": cut.side,
        "share_after": pytest.approx(cut.share, abs=1e-4),
    }
    assert not made.image[cut.band].any() and (made.clean == person.image).all()
    assert (made.image == made.clean)[~made.occluder].all()
    assert made.occluder[cut.band].all()
    hidden = made.amodal & ~made.modal
    assert not (hidden & ~made.occluder).any()
    assert made.got == pytest.approx(hidden.sum() / made.amodal.sum())


def cuts(occlusion: Occlusion, count: int = 400) -> list[Cut]:
    person = person_crop(96, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    drawn = [draw_cut(person, occlusion, Aim(0.6, 0.05, 0.7), rng) for _ in range(count)]
    return [cut for cut in drawn if cut is not None]


def test_as_many_are_cut_as_asked_mostly_from_below() -> None:
    assert len(cuts(Occlusion(truncate=0.3))) == pytest.approx(120, abs=35)
    assert not cuts(Occlusion())
    sides = Counter(cut.side for cut in cuts(ALWAYS))
    assert sides["bottom"] > sides["left"] + sides["right"] > sides["top"] > 0
    shares = [cut.share for cut in cuts(ALWAYS)]
    assert min(shares) >= 0.08 and max(shares) <= 0.32


def test_a_sample_that_is_cut_says_so_and_is_sound() -> None:
    made = plan(recipe(size=64, occlusion=ALWAYS))
    plain = plan(recipe(size=64))
    for index in range(12):
        sample, other = make_sample(made, index), make_sample(plain, index)
        assert violations(sample) == []
        assert sample.occluder_ids[0] == FRAME and len(sample.occluder_ids) >= 2
        assert sample.meta["occluders"][0] == {"category": FRAME}
        assert len(sample.meta["placements"]) == len(sample.occluder_ids)
        assert sample.hidden_share == pytest.approx(sample.meta["asked_share"], abs=0.06)
        assert sample.person_id == other.person_id
        assert np.array_equal(sample.clean, other.clean)  # type: ignore[arg-type]
        assert not (sample.image[sample.occluder].any(axis=1)).all()


def test_a_data_set_of_cut_people_is_built_checked_drawn_and_exported(tmp_path: Path) -> None:
    cut = tiny_recipe(train=6).model_copy(update={"occlusion": ALWAYS})
    built = build(cut, tmp_path / "out", write_tiny(tmp_path / "data"), progress=False)
    assert built is not None
    assert all(one.occluder_ids[0] == FRAME for split in SPLITS for one in built.split(split))
    assert check(tmp_path / "out") == []
    assert write_stats(built, tmp_path / "stats.html").samples == sum(built.info["counts"].values())
    for kind in ("coco", "cocoa", "kins", "folder"):
        export(built, kind, tmp_path / kind, progress=False)
        assert (tmp_path / kind / "export.json").is_file()

"""Splits, the order of people, and sample i as a pure function."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from synth.codec import sample_hash
from synth.errors import ChangedError, InputError
from synth.occlusion_spec import Occlusion
from synth.plan import Plan, make_plan, make_sample, open_plan, person_of
from synth.recipe import Counts, Recipe, Splits
from synth.sample import violations
from synth.source_specs import FolderOccluders, FolderPeople
from synth.sources.base import Cutout, Rejection
from synth.splits import Pool, divide, held_out_order, train_person, turn_of
from tests.synth.tiny import FakeOccluders, FakePeople, tiny_recipe, write_tiny

PEOPLE = FolderPeople(source="folder", images="a", masks="b")
THINGS = FolderOccluders(source="folder", images="a", masks="b")


def recipe(train: int = 30, val: int = 6, test: int = 6, **changes: object) -> Recipe:
    base = Recipe(
        name="fake",
        size=32,
        counts=Counts(train=train, val=val, test=test),
        people=(PEOPLE,),
        occluders=(THINGS,),
    )
    return base.model_copy(update=changes)


def plan(chosen: Recipe | None = None, **people: object) -> Plan:
    return make_plan(
        chosen or recipe(),
        [FakePeople("folder", 40, **people)],  # type: ignore[arg-type]
        [FakeOccluders("folder", 30)],
    )


@settings(max_examples=50)
@given(st.integers(0, 300), st.floats(0, 0.4), st.floats(0, 0.4), st.integers(0, 5))
def test_every_id_is_in_exactly_one_split(count: int, val: float, test: float, seed: int) -> None:
    chosen = recipe(splits=Splits(val=val, test=test, seed=seed))
    ids = [str(i) for i in range(count)]
    parts = divide(chosen, "s", ids)
    assert sorted(i for part in parts.values() for i in part) == sorted(ids)
    if count >= 30:
        assert len(parts["test"]) == pytest.approx(test * count, abs=1)
        assert len(parts["val"]) == pytest.approx(val * count, abs=1)


def test_split_depends_on_the_id_not_on_the_listing() -> None:
    ids = [str(i) for i in range(100)]
    chosen = recipe()
    assert divide(chosen, "s", ids) == divide(chosen, "s", ids[::-1])
    assert divide(chosen, "s", ids) != divide(chosen, "t", ids)
    grown = divide(chosen, "s", [*ids, "new"])
    kept = set(divide(chosen, "s", ids)["train"]) & set(grown["train"])
    assert len(kept) >= 68


def test_small_sources_give_every_wanted_split_one() -> None:
    parts = divide(recipe(splits=Splits(val=0.01, test=0.01)), "s", ["a", "b", "c"])
    assert [len(parts[name]) for name in ("train", "val", "test")] == [1, 1, 1]
    with pytest.raises(InputError, match="none is left for val") as caught:
        make_plan(recipe(), [FakePeople("folder", 2)], [FakeOccluders("folder", 30)])
    assert "\n" not in caught.value.message


def test_too_few_people_name_those_left_out() -> None:
    people = FakePeople("folder", 2)
    people.rejected = [Rejection("/data/a.png", "mask is empty; draw it"), Rejection("b", "too")]
    with pytest.raises(InputError, match=r"of 2 people \(2 left out, first /data/a.png: mask is"):
        make_plan(recipe(), [people], [FakeOccluders("folder", 30)])


def test_a_share_of_zero_cannot_serve_a_count() -> None:
    with pytest.raises(InputError, match="splits.val"):
        plan(recipe(splits=Splits(val=0.0, test=0.2)))


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 25), min_size=0, max_size=120),
    st.floats(0, 0.4),
    st.floats(0, 0.4),
    st.integers(0, 5),
)
def test_no_group_is_divided(groups: list[int], val: float, test: float, seed: int) -> None:
    ids = [f"{number:03d}" for number in range(len(groups))]
    chosen = recipe(splits=Splits(val=val, test=test, seed=seed))
    parts = divide(chosen, "s", ids, lambda one: str(groups[int(one)]))
    assert sorted(one for part in parts.values() for one in part) == ids
    homes = [{groups[int(one)] for one in part} for part in parts.values()]
    assert sum(map(len, homes)) == len(set().union(*homes))
    if len(set(groups)) >= 3 and min(val, test) > 0:
        assert all(parts[name] for name in ("val", "test"))
        largest = max(map(groups.count, groups))
        assert abs(len(parts["test"]) - test * len(ids)) <= largest


@given(st.lists(st.text("abc012", min_size=1, max_size=4), unique=True), st.integers(0, 9))
def test_groups_of_one_change_nothing(ids: list[str], seed: int) -> None:
    chosen = recipe(splits=Splits(seed=seed))
    grouped = divide(chosen, "s", ids, lambda one: f"photo of {one}")
    assert grouped == divide(chosen, "s", ids)


def test_a_photo_full_of_people_is_not_cut_in_two() -> None:
    people = FakePeople("folder", 40)
    people.group = lambda one: str(int(one) // 4)  # type: ignore
    made = make_plan(recipe(), [people], [FakeOccluders("folder", 30)])
    photos = [{people.group(i) for i in pool.ids[0]} for pool in made.people.values()]
    assert sum(map(len, photos)) == 10
    assert all(photos)


def test_train_takes_everyone_once_a_cycle_in_new_order() -> None:
    pool = Pool((tuple("abcdefgh"),), (1.0,))
    cycles = [[train_person(pool, 0, 8 * c + i)[1] for i in range(8)] for c in range(4)]
    assert all(sorted(cycle) == list("abcdefgh") for cycle in cycles)
    assert len({tuple(cycle) for cycle in cycles}) == 4
    assert [train_person(pool, 1, i)[1] for i in range(8)] != cycles[0]


def test_train_mixes_sources_by_weight() -> None:
    pool = Pool((tuple("abc"), tuple("uvwxyz")), (3.0, 1.0))
    keys = [train_person(pool, 0, i) for i in range(2000)]
    assert Counter(source for source, _ in keys) == {0: 1500, 1: 500}
    assert Counter(source for source, _ in keys[:100])[1] == pytest.approx(25, abs=2)
    assert set(Counter(i for s, i in keys if s == 0).values()) == {500}


@pytest.mark.parametrize(
    ("counts", "total", "wanted"),
    [
        ((0, 10, 10), 5, (0, 3, 2)),
        ((0, 10, 10), 1, (0, 1, 0)),
        ((0, 150, 300), 20, (0, 7, 13)),
        ((0, 150, 300), 451, (0, 150, 301)),
        ((0, 0, 891), 5, (0, 0, 5)),
        ((0, 9, 0), 5, (0, 5, 0)),
        ((2000, 300, 0), 5, (4, 1, 0)),
        ((10, 0, 10), 5, (3, 0, 2)),
        ((3000, 150, 300), 40, (35, 2, 3)),
        ((2, 1, 8), 5, (1, 0, 4)),
        ((420, 30, 72), 1000, (805, 57, 138)),
    ],
)
def test_another_count_gives_samples_to_no_split_that_has_none(
    counts: tuple[int, int, int], total: int, wanted: tuple[int, int, int]
) -> None:
    train, val, test = counts
    scaled = recipe(train=train, val=val, test=test).with_changes(count=total).counts
    assert (scaled.train, scaled.val, scaled.test) == wanted


def test_the_smallest_weight_is_worth_a_thousandth_of_train() -> None:
    pool = Pool((tuple("abc"), tuple("xyz")), (1.0, 1e-6))
    keys = [train_person(pool, 0, i) for i in range(5 * 1001)]
    assert Counter(source for source, _ in keys) == {0: 5000, 1: 5}


def test_a_source_without_train_people_is_passed_over() -> None:
    pool = Pool(((), tuple("xy")), (3.0, 1.0))
    assert {train_person(pool, 0, i) for i in range(9)} == {(1, "x"), (1, "y")}


def test_held_out_people_come_once_and_mixed() -> None:
    pool = Pool((tuple("abcdef"), tuple("xy")), (3.0, 1.0))
    order = held_out_order(pool, 0, "test")
    assert sorted(order) == sorted([(0, i) for i in "abcdef"] + [(1, i) for i in "xy"])
    assert order != held_out_order(pool, 1, "test")
    assert 1 in {source for source, _ in order[:4]}


def test_test_samples_share_people_in_threes_until_all_were_seen() -> None:
    made = plan(recipe(train=1, val=3, test=33))
    keys = [person_of(made, "test", i)[0] for i in range(33)]
    assert [keys[i] for i in range(0, 24, 3)] == [keys[i + 2] for i in range(0, 24, 3)]
    assert len(set(keys[:24])) == 8  # all of 20 % of 40
    assert keys[24] == keys[0]


def test_composites_of_a_test_person_share_the_crop_but_not_the_occlusion() -> None:
    made = plan()
    one, two = make_sample(made, 36), make_sample(made, 37)
    assert one.split == two.split == "test"
    assert one.person_id == two.person_id
    assert one.clean is not None and two.clean is not None
    assert np.array_equal(one.clean, two.clean)
    assert not np.array_equal(one.occluder, two.occluder)


FROZEN = Occlusion(preset="ahp-valid", hidden=(0.01, 0.9))


def test_a_person_of_the_validation_gets_three_different_occluders() -> None:
    made = plan(recipe(train=2, val=3, test=24, occlusion=FROZEN))
    samples = [make_sample(made, 5 + number) for number in range(24)]
    for three in (samples[at : at + 3] for at in range(0, 24, 3)):
        assert len({s.person_id for s in three}) == 1
        assert len({s.clean.tobytes() for s in three if s.clean is not None}) == 1
        assert len({s.occluder_ids for s in three}) == 3
        assert all(len(s.occluder_ids) == 1 for s in three)
    assert len({s.occluder_ids for s in samples}) > 3


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.integers(1, 5), st.integers(0, 40))
def test_hands_of_occluders_are_disjoint_and_complete(
    sizes: list[int], turns: int, person: int
) -> None:
    pool = Pool(tuple(tuple(map(str, range(n))) for n in sizes), (1.0,) * len(sizes))
    hands = [
        {(s, i) for s, some in enumerate(turn_of(pool, person * turns + turn, turns)) for i in some}
        for turn in range(turns)
    ]
    assert sum(map(len, hands)) == len(set().union(*hands)) == sum(sizes)
    assert all(hands) or sum(sizes) < turns


def test_frozen_samples_outlive_other_counts() -> None:
    few, many = (plan(recipe(train=n, val=2, test=4, occlusion=FROZEN)) for n in (3, 9))
    for number in range(6):
        one, two = make_sample(few, 3 + number), make_sample(many, 9 + number)
        assert np.array_equal(one.image, two.image) and one.meta == two.meta
    assert not np.array_equal(make_sample(few, 3).image, make_sample(few, 4).image)


def test_too_few_occluders_to_differ_is_said() -> None:
    with pytest.raises(InputError, match="2 occluders for val cannot differ in the 3 composites"):
        make_plan(
            recipe(occlusion=FROZEN), [FakePeople("folder", 40)], [FakeOccluders("folder", 20)]
        )


def test_people_are_not_drawn_before_a_part_alone() -> None:
    made = plan(recipe(occlusion=Occlusion(preset="part:head")))
    source = made.occluder_sources[0]
    load, asked = source.load, []

    def every_other(one: str, size: int, rng: np.random.Generator) -> Cutout:
        asked.append(one)
        category = "person" if int(one) % 2 else "thing"
        return replace(load(one, size, rng), category=category)

    source.load = every_other  # type: ignore[method-assign]
    samples = [make_sample(made, index) for index in range(10)]
    assert {o["category"] for s in samples for o in s.meta["occluders"]} == {"thing"}
    assert any(int(one) % 2 for one in asked)
    source.load = lambda *given: replace(load(*given), category="person")  # type: ignore
    with pytest.raises(InputError, match="are people, who stand before no part alone"):
        make_sample(made, 11)


def test_nobody_is_hidden_twice_by_one_frozen_occluder() -> None:
    occlusion = FROZEN.model_copy(update={"occluders": (2, 3)})
    made = make_plan(
        recipe(occlusion=occlusion, train=1, val=12, test=12),
        [FakePeople("folder", 40)],
        [FakeOccluders("folder", 120)],
    )
    samples = [make_sample(made, index) for index in range(1, len(made))]
    assert {len(sample.occluder_ids) for sample in samples} == {2, 3}
    for person in {sample.person_id for sample in samples}:
        over = [one for s in samples if s.person_id == person for one in s.occluder_ids]
        assert len(set(over)) == len(over)


def test_several_occluders_a_composite_need_as_many_more() -> None:
    occlusion = FROZEN.model_copy(update={"occluders": (1, 3)})
    with pytest.raises(InputError, match=r"3 occluders for val .* person, with up to 3 in each"):
        make_plan(
            recipe(occlusion=occlusion), [FakePeople("folder", 40)], [FakeOccluders("folder", 30)]
        )


def test_what_was_there_and_is_gone_is_not_left_out(tmp_path: Path) -> None:
    data = write_tiny(tmp_path)
    made = open_plan(tiny_recipe(), data)
    first = make_sample(made, 0)
    (data / "people" / f"{first.person_id.removeprefix('folder:')}.png").unlink()
    with pytest.raises(ChangedError, match=r"no such picture file.*was there when the run began"):
        make_sample(made, 0)
    assert made.skipped == {}


def test_a_mask_that_became_another_is_not_left_out(tmp_path: Path) -> None:
    data = write_tiny(tmp_path)
    made = open_plan(tiny_recipe(), data)
    name = make_sample(made, 0).person_id.removeprefix("folder:")
    Image.new("L", (9, 9), 255).save(data / "people-masks" / f"{name}.png")
    with pytest.raises(ChangedError, match="changed since it was checked"):
        make_sample(made, 0)


def test_index_layout() -> None:
    made = plan()
    assert len(made) == 42
    assert [made.place_of(i) for i in (0, 29, 30, 35, 36, 41)] == [
        ("train", 0),
        ("train", 29),
        ("val", 0),
        ("val", 5),
        ("test", 0),
        ("test", 5),
    ]
    with pytest.raises(IndexError):
        made.place_of(42)


def test_same_index_same_sample_in_any_order() -> None:
    indices = [41, 0, 7, 33, 7]
    forward = {i: sample_hash(make_sample(plan(), i)) for i in indices}
    shared = plan()
    assert all(sample_hash(make_sample(shared, i)) == forward[i] for i in reversed(indices))
    assert len(set(forward.values())) == 4
    assert sample_hash(make_sample(plan(recipe(seed=1)), 7)) != forward[7]


def test_every_index_draws_its_own_occlusion() -> None:
    made = plan()
    samples = [make_sample(made, index) for index in range(len(made))]
    assert len({s.meta["asked_share"] for s in samples}) > 38
    assert len({s.occluder.tobytes() for s in samples}) == len(made)
    crops = {s.image.tobytes() for s in samples if s.split == "train"}
    assert len(crops) == made.counts["train"]


def test_samples_are_sound_and_within_the_range() -> None:
    made = plan()
    for index in range(len(made)):
        sample = make_sample(made, index)
        assert violations(sample) == []
        assert 0.05 <= sample.hidden_share <= 0.7
        assert sample.hidden_share == pytest.approx(sample.meta["asked_share"], abs=0.051)
        assert sample.sample_id == f"{index:06d}"


def test_unreadable_people_are_replaced_and_named() -> None:
    broken = tuple(f"{i:03d}" for i in range(0, 40, 3))
    made = plan(broken=broken)
    samples = [make_sample(made, i) for i in range(len(made))]
    assert not {s.person_id for s in samples} & {f"folder:{b}" for b in broken}
    assert made.skipped
    assert all(reason.endswith("is truncated; remove it") for reason in made.skipped.values())
    assert all(key.startswith("person folder:") for key in made.skipped)
    again = plan(broken=broken)
    assert sample_hash(make_sample(again, 20)) == sample_hash(samples[20])


def test_nobody_readable_is_one_line() -> None:
    made = plan(broken=tuple(f"{i:03d}" for i in range(40)))
    with pytest.raises(InputError, match="cannot be read; /data/") as caught:
        make_sample(made, 0)
    assert "\n" not in caught.value.message


def test_meta_is_plain_json() -> None:
    sample = make_sample(plan(), 0)
    assert set(sample.meta) == {"asked_share", "person", "occluders", "placements"}
    assert type(sample.meta["placements"][0]["box"]) is list
    assert sample.meta["occluders"][0]["category"] == "thing"
    assert isinstance(sample.modal, np.ndarray)

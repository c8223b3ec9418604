"""A photo is in one split, whoever and whatever is read from it, and through whichever entry."""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from synth.errors import InputError
from synth.plan import Plan, make_plan, make_sample, open_plan
from synth.recipe import SPLITS, Counts, Recipe, Splits, parse_recipe
from synth.splits import Pool, divide
from tests.synth.coco_files import HEIGHT, WIDTH, annotation
from tests.synth.test_plan import PEOPLE, THINGS, recipe
from tests.synth.tiny import FakeOccluders, FakePeople

HEAD = """
name = "mine"
size = 32
[counts]
train = 20
val = 6
test = 6
[splits]
val = 0.2
test = 0.2
"""
COCO = 'source = "coco"\nannotations = "a.json"\nimages = "images"\nmin_area = 100\n'


def write_photos(root: Path, count: int = 40, cats: Iterable[int] = range(40)) -> Path:
    """A COCO file with a person in each photo, another in every third, and a cat in some."""
    data: dict[str, list[object]] = {"images": [], "annotations": [], "categories": []}
    data["categories"] = [{"id": 1, "name": "person"}, {"id": 2, "name": "cat"}]
    boxes = [(5, 10, 30, 80, 1)], [(40, 10, 65, 80, 1)], [(80, 20, 110, 70, 2)]
    (root / "images").mkdir(parents=True)
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        name = f"{number:03d}.png"
        Image.fromarray(noise).save(root / "images" / name)
        image = {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
        data["images"].append(image)
        found = boxes[0] + boxes[1] * (number % 3 == 0) + boxes[2] * (number in cats)
        for place, (left, top, right, bottom, category) in enumerate(found):
            one = annotation(10 * number + place, (left, top, right, bottom), category)
            data["annotations"].append(one | {"image_id": number})
    (root / "a.json").write_text(json.dumps(data))
    return root


def plan_of(root: Path, *entries: str) -> Plan:
    return open_plan(parse_recipe(HEAD + "".join(entries), "mine"), root)


def people(*changes: tuple[str, str]) -> str:
    return _entry("[[people]]\n", changes)


def occluders(*changes: tuple[str, str]) -> str:
    return _entry("[[occluders]]\n", changes)


def _entry(head: str, changes: Sequence[tuple[str, str]]) -> str:
    text = COCO
    for before, after in changes:
        text = text.replace(before, after)
    return head + text


def photos(plan: Plan) -> dict[str, set[str]]:
    """The photos of each split, those of people and those of occluders."""
    found: dict[str, set[str]] = {name: set() for name in SPLITS}
    for sources, pools in (
        (plan.person_sources, plan.people),
        (plan.occluder_sources, plan.occluders),
    ):
        for split, pool in pools.items():
            for source, ids in zip(sources, pool.ids, strict=True):
                found[split] |= {source.photo(one) for one in ids}
    return found


def assert_apart(plan: Plan) -> None:
    found = photos(plan)
    assert sum(map(len, found.values())) == len(set().union(*found.values()))
    for sources, pools in (
        (plan.person_sources, plan.people),
        (plan.occluder_sources, plan.occluders),
    ):
        for number, source in enumerate(sources):
            divided = [one for pool in pools.values() for one in pool.ids[number]]
            assert sorted(divided) == sorted(source.ids())


ONE_FILE = {
    "people and occluders of one file, as in the README": [people(), occluders()],
    "people as occluders too": [
        people(),
        occluders(("min_area", 'include = ["person"]\nexclude = []\nmin_area')),
    ],
    "two entries of people": [people(), people(("min_area = 100", "min_area = 200")), occluders()],
    "two entries of occluders": [people(), occluders(), occluders()],
    "another spelling": [people(), people(('"images"', '"images/../images/"')), occluders()],
    "a copy": [people(), people(('"images"', '"copy"')), occluders(('"images"', '"copy"'))],
    "a link": [people(), people(('"images"', '"link"')), occluders(('"images"', '"link"'))],
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_photos(tmp_path_factory.mktemp("photos") / "data")
    shutil.copytree(folder / "images", folder / "copy")
    (folder / "link").symlink_to("images")
    return folder


@pytest.mark.parametrize("case", ONE_FILE)
def test_a_photo_is_in_one_split(root: Path, case: str) -> None:
    plan = plan_of(root, *ONE_FILE[case])
    assert_apart(plan)
    for pools in (plan.people, plan.occluders):
        assert all(pools.values())
        total = sum(map(len, pools.values()))
        assert len(pools["test"]) == pytest.approx(0.2 * total, abs=0.08 * total)
        assert len(pools["val"]) == pytest.approx(0.2 * total, abs=0.08 * total)


def test_samples_name_their_photos(root: Path) -> None:
    plan = plan_of(root, people(), occluders())
    for index in (0, 21, 27):
        sample = make_sample(plan, index)
        found = [sample.meta["person"]["photo"], *(o["photo"] for o in sample.meta["occluders"])]
        assert set(found) <= photos(plan)[sample.split]


def test_the_place_of_the_photos_changes_nothing(root: Path, tmp_path: Path) -> None:
    plan = plan_of(root, people(), occluders())
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in sorted((root / "images").iterdir(), reverse=True):  # in another order on the disk
        (moved / "images").mkdir(exist_ok=True)
        shutil.copy(path, moved / "images")
    shutil.copy(root / "a.json", moved)
    absolute = [('"images"', f'"{moved}/images"'), ('"a.json"', f'"{moved}/a.json"')]
    for other in (
        plan_of(moved, people(), occluders()),
        plan_of(root, people(*absolute), occluders(*absolute)),
    ):
        assert (other.people, other.occluders) == (plan.people, plan.occluders)
        assert photos(other) == photos(plan)
        assert make_sample(other, 27).meta == make_sample(plan, 27).meta


def test_a_scan_out_of_the_cache_knows_the_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "cache"))
    root = write_photos(tmp_path / "data", 12)
    for path in (root / "a.json", *(root / "images").iterdir()):
        os.utime(path, ns=(10**18, 10**18))
    first = photos(plan_of(root, people(), occluders()))

    def judge(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr("synth.sources.coco._judge", judge)
    assert photos(plan_of(root, people(), occluders())) == first
    assert all(len(photo) == 20 for found in first.values() for photo in found)


def test_folders_and_cut_outs_are_known_by_their_files(tmp_path: Path) -> None:
    for number in range(12):
        noise = np.random.default_rng(number).integers(0, 256, (60, 48, 4), np.uint8)
        mask = np.zeros((60, 48), np.uint8)
        mask[8:52, 9:39] = 255
        for folder in ("one", "two"):
            for kind, array in (("photos", noise[..., :3]), ("masks", mask)):
                (tmp_path / folder / kind).mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(tmp_path / folder / kind / f"{folder}-{number}.png")
        (tmp_path / "cut").mkdir(exist_ok=True)
        Image.fromarray(np.dstack([noise[..., :3], mask])).save(tmp_path / "cut" / f"{number}.png")
    entry = 'source = "folder"\nimages = "{0}/photos"\nmasks = "{0}/masks"\n'
    cut = 'source = "rgba"\npath = "cut"\n'
    plan = plan_of(
        tmp_path,
        *(
            "[[people]]\n" + one
            for one in (entry.format("one"), cut + "max_border_contact = 1.0\nmin_area = 100\n")
        ),
        *("[[occluders]]\n" + one for one in (entry.format("two"), cut)),
    )
    assert_apart(plan)
    assert sum(map(len, photos(plan).values())) == 24


def test_occluders_that_few_photos_hold_are_left_to_every_split(tmp_path: Path) -> None:
    write_photos(tmp_path, 24, cats=(2, 11, 19))
    for seed in range(8):
        text = HEAD.replace("test = 0.2", f"test = 0.2\nseed = {seed}")
        plan = open_plan(parse_recipe(text + people() + occluders(), "mine"), tmp_path)
        assert_apart(plan)
        assert [len(pool) for pool in plan.occluders.values()] == [1, 1, 1]
        assert sum(map(len, plan.people.values())) == 24 + 8
        assert all(len(pool) >= 3 for pool in plan.people.values())


def test_two_photos_of_occluders_are_too_few_for_three_splits(tmp_path: Path) -> None:
    write_photos(tmp_path, 12, cats=(2, 11))
    with pytest.raises(InputError, match="of 2 occluders .* none is left for") as caught:
        plan_of(tmp_path, people(), occluders())
    assert "\n" not in caught.value.message and "give more occluders" in caught.value.message


def test_no_train_people_is_answered_with_what_can_be_set() -> None:
    chosen = recipe(splits=Splits(val=0.09, test=0.9), counts=Counts(train=4, val=0, test=4))
    with pytest.raises(InputError, match="for train; .* lower splits.val or splits.test or set"):
        make_plan(chosen, [FakePeople("folder", 1)], [FakeOccluders("folder", 9)])


Draw = st.lists(st.integers(0, 30), max_size=60)


def fakes(
    draw: Sequence[Sequence[int]], couples: bool
) -> tuple[list[FakePeople], list[FakeOccluders]]:
    """Two sources of people and two of occluders, whose items are of the photos drawn."""
    persons = [FakePeople(name, len(some)) for name, some in zip("ab", draw, strict=False)]
    things = [FakeOccluders(name, len(some)) for name, some in zip("ab", draw[2:], strict=True)]
    for source, some in zip((*persons, *things), draw, strict=True):
        source.photos = {one: str(n) for one, n in zip(source.ids(), some, strict=True)}
    if couples:  # pairs of photos of the first source belong together, as in LIP
        own = persons[0].photos
        persons[0].group = lambda one: f"pair {int(own[one]) // 2}"  # type: ignore
    return persons, things


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(Draw, Draw, Draw, Draw),
    st.booleans(),
    st.floats(0.01, 0.4),
    st.floats(0.01, 0.4),
    st.integers(0, 5),
)
def test_whatever_shares_a_photo_is_together(
    draw: tuple[list[int], ...], couples: bool, val: float, test: float, seed: int
) -> None:
    persons, things = fakes(draw, couples)
    chosen = Recipe(
        name="fake",
        counts=Counts(train=1, val=1, test=1),
        splits=Splits(val=val, test=test, seed=seed),
        people=(PEOPLE, PEOPLE),
        occluders=(THINGS, THINGS),
    )
    kinds = [
        {n // 2 if couples else n for some in two for n in some} for two in (draw[:2], draw[2:])
    ]
    try:
        plan = make_plan(chosen, persons, things)
    except InputError:
        assert min(map(len, kinds)) < 3
        return
    assert_apart(plan)
    assert all(len(pool) for pools in (plan.people, plan.occluders) for pool in pools.values())
    if couples:
        pairs = [{persons[0].group(i) for i in pool.ids[0]} for pool in plan.people.values()]
        assert sum(map(len, pairs)) == len(set().union(*pairs))


def test_a_photo_that_has_a_split_keeps_it_and_counts() -> None:
    ids, homes = [f"{i:03d}" for i in range(100)], {f"{i:03d}": "test" for i in range(15)}
    parts = divide(recipe(splits=Splits(val=0.1, test=0.2)), "s", ids, homes=homes)
    assert {name: len(part) for name, part in parts.items()} == {"train": 70, "val": 10, "test": 20}
    assert set(ids[:15]) <= set(parts["test"])
    assert all(one in parts[split] for one, split in homes.items()) and len(homes) == 100


def test_sources_that_share_no_photo_are_divided_as_if_alone() -> None:
    chosen = recipe(people=(PEOPLE, PEOPLE))
    persons = [FakePeople("a", 40), FakePeople("b", 25)]
    plan = make_plan(chosen, persons, [FakeOccluders("a", 30)])
    for number, source in enumerate(persons):
        alone = divide(chosen, source.name, source.ids())
        assert {name: pool.ids[number] for name, pool in plan.people.items()} == alone
    assert isinstance(plan.people["test"], Pool)
    alone = divide(chosen, "a", plan.occluder_sources[0].ids())
    assert {name: pool.ids[0] for name, pool in plan.occluders.items()} == alone


DRAWN = 'source = "builtin"\npool = 40\n'
TRAIN_ONLY = 'source = "builtin"\nseed = 5\npool = 9\ntrain_only = true\nweight = 3\n'


@pytest.mark.parametrize("place", [0, 1, 2])
def test_entries_for_train_alone_leave_the_other_splits_as_they_were(
    root: Path, place: int
) -> None:
    """Wherever they stand, also before an entry of their kind, of which there are two then."""
    entries = [*zip((people(), occluders()), ("[[people]]\n", "[[occluders]]\n"), strict=True)]
    plain = plan_of(root, *(coco + head + DRAWN for coco, head in entries))
    more = plan_of(
        root,
        *(
            "".join((*some[:place], head + TRAIN_ONLY, *some[place:]))
            for head, some in ((head, (coco, head + DRAWN)) for coco, head in entries)
        ),
    )
    for split in ("val", "test"):
        for before, after in ((plain.people, more.people), (plain.occluders, more.occluders)):
            assert after[split].ids == (*before[split].ids, ())
    for pools in (more.people, more.occluders):
        assert len(pools["train"].ids[2]) == 9
    for index in range(20, 32):  # val and test
        one, same = make_sample(plain, index), make_sample(more, index)
        assert (one.image == same.image).all() and one.occluder_ids == same.occluder_ids
        assert one.person_id == same.person_id


def test_an_entry_for_train_alone_gives_up_the_photos_of_other_splits(root: Path) -> None:
    again = people(("min_area", "train_only = true\nmin_area"))
    for entries in (people(), again), (again, people()):
        plan = plan_of(root, *entries, occluders())
        held_out = {one for s in ("val", "test") for one in plan.people[s].ids[0]}
        mine = {s: set(plan.people[s].ids[1]) for s in SPLITS}
        assert not mine["val"] and not mine["test"] and held_out
        assert mine["train"] == set(plan.people["train"].ids[0])


def test_entries_for_train_alone_cannot_fill_the_others(root: Path) -> None:
    with pytest.raises(InputError, match="none is left for"):
        plan_of(root, people(("min_area", "train_only = true\nmin_area")), occluders())

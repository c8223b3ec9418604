"""Nobody gets a mask from a network that saw them: held on the files that a training leaves."""

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth.errors import InputError
from synth.plan import Plan, make_plan, make_sample, open_plan
from synth.recipe import Recipe, parse_recipe
from synth.segmenter.composites import make_composites, training_recipe
from synth.segmenter.folder import Training, network_path
from synth.segmenter.folds import Folds, folds_shown, hashed_fold, identity, make_folds
from synth.segmenter.network import load_tensors
from synth.segmenter.starter import FromNetworks
from synth.segmenter.train import train
from synth.sources.base import Cutout
from synth.sources.label_sets import LIP
from tests.synth.figures import HEIGHT, PARTS, WIDTH, drawn, save
from tests.synth.tiny import RECIPE, FakeOccluders, FakePeople, tiny_recipe, write_tiny

FOLDS = 3
# Fewer composites than people: some of a photo are trained on, others of it are not.
TINY = Training(folds=FOLDS, steps=3, batch=2, composites=9)
PEOPLE = (
    '"folder"\nimages = "people"\nmasks = "people-masks"',
    '"lip"\nimages = "photos"\nparsings = "maps"\nmin_area = 500',
)


def crowds(seed: int = 0) -> Recipe:
    """The tiny recipe with people of LIP, which has several of one photo."""
    text = RECIPE.format(train=14, shard_size=4).replace(*PEOPLE)
    return parse_recipe(text, "crowds").with_changes(seed)


def save_person(data: Path, stem: str, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    save(data / "photos" / f"{stem}.png", noise)
    save(data / "maps" / f"{stem}.png", drawn(LIP, PARTS))


def photo_of(person: str) -> str:
    return person.partition("_")[0]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photos of two people each."""
    folder = write_tiny(tmp_path_factory.mktemp("data"), people=0)
    for number in range(20):
        save_person(folder, f"{300 + number // 2}_{number}", number)
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    train(crowds(), folder, TINY, data, progress=False)
    return folder


@pytest.fixture(scope="module")
def plan(data: Path) -> Plan:
    return open_plan(crowds(), data)


def fold_of_everyone(folder: Path) -> dict[str, int]:
    folds: dict[str, int] = json.loads((folder / "people.json").read_bytes())
    return folds


def seen_by(folder: Path, fold: int) -> set[str]:
    """Whom a network was trained on, as its own file says."""
    _, notes = load_tensors(network_path(folder, fold))
    people = notes["people"]
    assert notes["fold"] == fold and isinstance(people, list)
    assert len(set(people)) == len(people)
    return set(people)


def weights(folder: Path, fold: int) -> dict[str, bytes]:
    tensors, _ = load_tensors(network_path(folder, fold))
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def pool(plan: Plan, split: str) -> set[str]:
    return {f"lip:{one}" for one in plan.people[split].ids[0]}


def test_no_network_saw_anyone_of_its_fold(trained: Path) -> None:
    folds = fold_of_everyone(trained)
    everyone = set().union(*(seen_by(trained, fold) for fold in range(FOLDS)))
    assert len(everyone) > 4
    for fold in range(FOLDS):
        seen, own = seen_by(trained, fold), {one for one in folds if folds[one] == fold}
        assert own & everyone  # else this fold holds nothing
        assert not own & seen
        assert not {photo_of(one) for one in own} & {photo_of(one) for one in seen}
        assert seen == {one for one in everyone if folds[one] != fold}


def test_only_train_people_are_trained_on(trained: Path, plan: Plan) -> None:
    for fold in range(FOLDS):
        assert seen_by(trained, fold) <= pool(plan, "train")
    known = set(fold_of_everyone(trained))
    for split in ("val", "test"):
        assert pool(plan, split) and not known & pool(plan, split)


def test_everybody_of_one_photo_is_in_one_fold(trained: Path) -> None:
    folds = fold_of_everyone(trained)
    seen = set().union(*(seen_by(trained, fold) for fold in range(FOLDS)))
    assert set(folds) - seen  # they only share a photo with somebody who was
    assert set(Counter(map(photo_of, folds)).values()) == {2}
    assert {photo_of(one) for one in folds} == {photo_of(one) for one in seen}
    for one, other in zip(sorted(folds), sorted(folds)[1:], strict=False):
        assert folds[one] == folds[other] or photo_of(one) != photo_of(other)


def test_the_pixels_of_a_fold_do_not_reach_its_network(
    trained: Path, data: Path, tmp_path: Path
) -> None:
    """Other photos of everybody in a fold change the other networks, and not its own."""
    changed = tmp_path / "data"
    shutil.copytree(data, changed)
    folds = fold_of_everyone(trained)
    fold = folds[min(seen_by(trained, 0))]
    for number, person in enumerate(sorted(one for one in folds if folds[one] == fold)):
        save_person(changed, person.removeprefix("lip:"), 1000 + number)
    card = train(crowds(), tmp_path / "networks", TINY, changed, progress=False)
    assert fold_of_everyone(tmp_path / "networks") == folds
    assert card.identity != FromNetworks(trained).card.identity
    same = [weights(trained, k) == weights(tmp_path / "networks", k) for k in range(FOLDS)]
    assert same == [number == fold for number in range(FOLDS)]


def mask_of(starter: FromNetworks, plan: Plan, person: str) -> np.ndarray:
    """The mask of always the same picture, as if it showed that person."""
    sample = make_sample(plan, 0)
    return starter(sample.image, sample.modal, person, np.random.default_rng(0))


def test_people_get_their_masks_by_the_network_of_their_fold(trained: Path, plan: Plan) -> None:
    starter = FromNetworks(trained)
    of_fold: dict[int, set[bytes]] = {}
    for split in ("train", "val", "test"):
        for person in sorted(pool(plan, split)):
            fold = fold_of_everyone(trained).get(person, hashed_fold(person, FOLDS))
            of_fold.setdefault(fold, set()).add(mask_of(starter, plan, person).tobytes())
    assert sorted(of_fold) == list(range(FOLDS))
    assert {len(masks) for masks in of_fold.values()} == {1}
    assert len(set().union(*of_fold.values())) == FOLDS


@pytest.mark.parametrize("lost", range(FOLDS))
def test_a_mask_needs_the_file_of_its_fold_and_no_other(
    lost: int, trained: Path, plan: Plan, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "networks")
    starter = FromNetworks(tmp_path / "networks")
    path = network_path(tmp_path / "networks", lost)
    path.unlink()
    for person, fold in fold_of_everyone(trained).items():
        if fold != lost:
            assert mask_of(starter, plan, person).shape == (32, 32)
            continue
        with pytest.raises(InputError, match="run the same hdeocc synth segmenter") as caught:
            mask_of(starter, plan, person)
        assert caught.value.message.startswith(f"{path}: ")


def test_whom_no_network_saw_has_a_fold_by_the_id_alone() -> None:
    """It decides masks of val and test, so that another hash would make other data sets."""
    names = [f"folder:{number:03d}" for number in range(12)]
    wanted = [1, 0, 1, 0, 1, 0, 2, 3, 2, 3, 3, 3]
    assert [hashed_fold(name, 4) for name in names] == wanted
    assert [Folds(4, {}).of(name) for name in names] == wanted
    known = Folds(4, {"folder:000": 3, "folder:001": 2})
    assert [known.of(name) for name in names] == [3, 2, *wanted[2:]]


@pytest.mark.parametrize("count", [2, 5, 64])
def test_folds_are_about_as_large(count: int) -> None:
    sizes = Counter(hashed_fold(f"a:{number}", count) for number in range(200 * count))
    assert sorted(sizes) == list(range(count))
    assert min(sizes.values()) > 140 and max(sizes.values()) < 260


class Couples(FakePeople):
    """Two people a photo; the last ten photos are those of the other source as well."""

    def group(self, identifier: str) -> str:
        photo = int(identifier) // 2
        return str(photo) if photo >= 10 else f"{self.name} {photo}"


def couples(recipe: Recipe, name: str = "fake", digest: str = "") -> Plan:
    """A plan of two sources whose people have the same ids."""
    people = [Couples(name, 40), Couples("second", 40)]
    people[0].digest = digest
    recipe = recipe.model_copy(update={"people": recipe.people * 2})
    return make_plan(recipe, people, [FakeOccluders("things", 12)])


def test_folds_are_of_those_who_share_a_photo_in_whatever_source() -> None:
    plan = couples(tiny_recipe())
    folds = make_folds(plan, ["fake:004", "second:011", "fake:004"], 4)
    assert sorted(folds.known) == ["fake:004", "fake:005", "second:010", "second:011"]
    assert folds.known["fake:004"] == folds.known["fake:005"]
    ids = [f"{number:03d}" for number in range(40)]
    many = make_folds(plan, [f"{name}:{one}" for name in ("fake", "second") for one in ids], 4)
    apart = [many.known[f"fake:{one}"] != many.known[f"second:{one}"] for one in ids]
    assert any(apart[:20])
    assert not any(apart[20:])  # one photo, read by two sources


class Joined(FakePeople):
    """A file that another source knows by its own name; its groups join pairs of them."""

    def photo(self, identifier: str) -> str:
        return f"file {identifier}"

    def group(self, identifier: str) -> str:
        return f"photo {int(identifier) // 2}"


class Plain(FakePeople):
    def photo(self, identifier: str) -> str:
        return f"file {identifier}"


def test_what_the_splits_keep_together_is_in_one_fold() -> None:
    recipe = tiny_recipe()
    recipe = recipe.model_copy(update={"people": recipe.people * 2})
    people = [Plain("plain", 40), Joined("joined", 40)]
    plan = make_plan(recipe, people, [FakeOccluders("things", 12)])
    everyone = [f"{source.name}:{one}" for source in people for one in source.ids()]
    folds = make_folds(plan, everyone, 4)
    by_photo: dict[int, set[int]] = {}
    for one in everyone:
        by_photo.setdefault(int(one.partition(":")[2]) // 2, set()).add(folds.of(one))
    assert {len(some) for some in by_photo.values()} == {1}
    assert len(set().union(*by_photo.values())) == 4


class PeopleAsThings(FakeOccluders):
    """Those of the other source, cut out of the same photos."""

    def photo(self, identifier: str) -> str:
        return f"fake {identifier}"

    def load(self, occluder_id: str, size: int, rng: np.random.Generator) -> Cutout:
        return replace(super().load(occluder_id, size, rng), category="person")


class Photographed(FakePeople):
    def photo(self, identifier: str) -> str:
        return f"fake {identifier}"


def test_who_hides_another_is_seen_as_well() -> None:
    recipe = training_recipe(tiny_recipe(), 20)
    plan = make_plan(recipe, [Photographed("fake", 40)], [PeopleAsThings("others", 40)])
    composites = make_composites(plan, progress=False)
    folds = make_folds(plan, composites.people, FOLDS)
    assert all(composites.hiding)
    shown = folds_shown(plan, composites, folds)
    for person, hiding, seen in zip(composites.people, composites.hiding, shown, strict=True):
        photos = [f"fake {one.partition(':')[2]}" for one in (person, *hiding)]
        assert seen == {hashed_fold(photo, FOLDS) for photo in photos}
        assert folds.of(person) in seen
    assert any(len(seen) > 1 for seen in shown)


def test_who_only_hides_others_gets_no_mask_by_a_network_that_saw_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People as occluders too, and fewer composites than people: most are seen as hiders alone."""
    recipe = tiny_recipe()
    plan = make_plan(recipe, [Photographed("fake", 40)], [PeopleAsThings("others", 40)])
    monkeypatch.setattr(
        "synth.segmenter.train.open_plan", lambda made, _: replace(plan, recipe=made)
    )
    shown: list[list[set[int]]] = []

    def noted(*given: object) -> list[set[int]]:
        shown.append(folds_shown(*given))  # type: ignore[arg-type]
        return shown[-1]

    monkeypatch.setattr("synth.segmenter.train.folds_shown", noted)
    train(recipe, tmp_path, TINY, progress=False)
    known = Folds(FOLDS, fold_of_everyone(tmp_path))
    composites = make_composites(replace(plan, recipe=training_recipe(recipe, 9)), progress=False)
    hiders = set()
    for person, hiding, seen in zip(composites.people, composites.hiding, shown[0], strict=True):
        hiders |= {f"fake:{one.partition(':')[2]}" for one in hiding} - set(composites.people)
        for one in (person, *(f"fake:{one.partition(':')[2]}" for one in hiding)):
            assert known.of(one) in seen  # so that the network of their fold learns without them
    assert len(hiders) > 3


def test_who_is_who_does_not_depend_on_how_they_are_hidden() -> None:
    recipe = tiny_recipe()
    first = identity(couples(recipe))
    assert len(bytes.fromhex(first)) == 32
    for same in (recipe.with_changes(7, 48, "hard"), tiny_recipe(train=400, shard_size=9)):
        assert identity(couples(same)) == first
    divided = [recipe.splits.model_copy(update=one) for one in ({"seed": 1}, {"val": 0.4})]
    others = [
        *(identity(couples(recipe.model_copy(update={"splits": one}))) for one in divided),
        identity(couples(recipe, name="fakes")),
        identity(couples(recipe, digest=hashlib.sha256(b"photos").hexdigest())),
        first,
    ]
    assert len(set(others)) == 5


def test_too_few_people_are_one_line(data: Path, tmp_path: Path) -> None:
    asked = TINY.model_copy(update={"composites": 1})
    with pytest.raises(InputError, match="nobody is left to train .*fewer --folds") as caught:
        train(crowds(), tmp_path, asked, data, progress=False)
    assert "\n" not in caught.value.message

"""Samples made while they are needed: those of the built data set, and then ever new ones."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from synth.ahead import Ahead
from synth.build import build
from synth.codec import sample_hash
from synth.errors import InputError
from synth.live import Live
from synth.plan import Plan, open_plan
from synth.recipe import Recipe
from synth.sample import Sample, violations
from synth.store import Dataset
from tests.synth.tiny import ROOT, tiny_recipe


@pytest.fixture
def plan(data: Path) -> Plan:
    return open_plan(tiny_recipe(), data)


def counted(train: int, val: int = 4, test: int = 6) -> Recipe:
    recipe = tiny_recipe()
    counts = recipe.counts.model_copy(update={"train": train, "val": val, "test": test})
    return recipe.model_copy(update={"counts": counts})


def test_the_first_samples_are_those_of_the_built_data_set(
    plan: Plan, data: Path, tmp_path: Path
) -> None:
    built = build(tiny_recipe(), tmp_path, data, progress=False)
    assert built is not None
    for split in ("train", "val", "test"):
        stored = Dataset.open(tmp_path).split(split)
        live = Live(plan, split)
        assert len(live) == len(stored) and live.size == stored.size
        assert [sample_hash(s) for s in live] == [sample_hash(s) for s in stored]


def test_train_goes_on_with_new_composites_of_train_people(plan: Plan) -> None:
    live = Live(plan)
    beyond = [live[14 + i] for i in range(30)]
    stored = {sample_hash(s) for split in ("train", "val", "test") for s in Live(plan, split)}
    pictures = {sample.image.tobytes() for sample in (*live, *beyond)}
    assert len(pictures) == 44 and len(stored | {sample_hash(s) for s in beyond}) == 24 + 30
    people = {f"folder:{one}" for one in plan.people["train"].ids[0]}
    things = {f"folder:{one}" for one in plan.occluders["train"].ids[0]}
    for sample in beyond:
        assert sample.split == "train" and violations(sample) == []
        assert sample.person_id in people and {*sample.occluder_ids} <= things
    ids = [s.sample_id for split in ("train", "val", "test") for s in Live(plan, split)]
    assert len({*ids, *(s.sample_id for s in beyond)}) == 24 + 30
    assert {s.person_id for s in beyond} == people


def test_an_endless_one_counts_as_an_epoch_and_another_ends(plan: Plan) -> None:
    endless, finite, val = Live(plan), Live(plan, length=17), Live(plan, "val")
    assert (endless.endless, finite.endless, val.endless) == (True, False, False)
    assert (len(endless), len(finite), len(val)) == (14, 17, 4)
    assert endless[-1].sample_id == "000013" and len(endless[3:5]) == 2
    assert sample_hash(finite[16]) == sample_hash(endless[16])
    assert len(list(endless)) == 14
    for live, wrong in ((finite, 17), (finite, -18), (val, 4)):
        with pytest.raises(IndexError):
            live[wrong]


def test_a_recipe_may_store_no_train_samples_at_all(data: Path) -> None:
    live = Live(open_plan(counted(0), data))
    assert len(live) == len(live._plan.people["train"]) > 0 and live.endless
    assert [live[i].sample_id for i in range(2)] == ["000010", "000011"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "trian"}, "no split 'trian'"),
        ({"split": "val", "length": 5}, "cannot have 5 samples of val; it has 4"),
        ({"length": 0}, "cannot have 0 samples"),
    ],
)
def test_bad_arguments_are_input_errors(plan: Plan, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Live(plan, **options)


def test_a_split_without_samples_or_people_is_an_input_error(data: Path) -> None:
    with pytest.raises(InputError, match="has no val samples; set counts.val"):
        Live(open_plan(counted(3, val=0), data), "val")
    plan = open_plan(counted(3), data)
    empty = {**plan.people, "train": replace(plan.people["train"], ids=((),))}
    with pytest.raises(InputError, match="has no people or occluders for train"):
        Live(replace(plan, people=empty))


def test_the_fingerprint_knows_what_samples_depend_on(plan: Plan, data: Path) -> None:
    same = Live(open_plan(tiny_recipe(), data)).fingerprint
    assert Live(plan).fingerprint == same == pickle.loads(pickle.dumps(Live(plan))).fingerprint
    others = [Live(plan, "val"), Live(open_plan(counted(15), data))]
    others += [Live(open_plan(tiny_recipe().with_changes(seed=1), data))]
    assert len({same, *(live.fingerprint for live in others)}) == 4


def test_processes_give_the_same_samples_in_the_order_asked_for(plan: Plan) -> None:
    live, indices = Live(plan), [3, 40, 0, 0, 17, 2]
    wanted = [sample_hash(live[i]) for i in indices]
    with closing(Ahead(live, indices, 2)) as ahead:
        assert [sample_hash(sample) for sample in ahead] == wanted
        assert next(ahead, None) is None


def test_an_endless_row_of_indices_is_read_as_far_as_needed(plan: Plan) -> None:
    with closing(Ahead(Live(plan), count(5), 1)) as ahead:
        assert [next(ahead).sample_id for _ in range(3)] == ["000005", "000006", "000007"]


class Failing(Sequence[Sample]):
    """Cannot give sample 1, and dies of sample 2."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: Any) -> Any:
        if index == 2:
            os._exit(1)
        if index == 1:
            raise InputError("photo.jpg: is truncated; remove it")
        return index


def test_bad_input_and_death_in_a_process_are_one_line() -> None:
    with closing(Ahead(Failing(), [0, 1])) as ahead:
        assert next(ahead) == 0
        with pytest.raises(InputError, match="^photo.jpg: is truncated; remove it$"):
            next(ahead)
    with closing(Ahead(Failing(), [2])) as ahead, pytest.raises(InputError, match="died"):
        next(ahead)


CHILD = """
import os, sys, time
from pathlib import Path
from synth.ahead import Ahead
from synth.live import Live
from synth.plan import open_plan
from tests.synth.tiny import tiny_recipe
if __name__ == "__main__":
    ahead = Ahead(Live(open_plan(tiny_recipe(), sys.argv[1])), range(10**9), 2)
    next(ahead)
    print(*ahead._pool._processes, flush=True)
    if sys.argv[2] == "leave":
        ahead.close()
    else:
        time.sleep(60)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "child.py"
    path.write_text(CHILD)
    return path


@pytest.mark.parametrize("how", ["leave", "kill"])
def test_no_process_outlives_its_user(script: Path, data: Path, how: str) -> None:
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    child = subprocess.Popen(
        [sys.executable, script, data, how],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    workers = [int(pid) for pid in child.stdout.readline().split()]
    assert workers
    if how == "kill":
        assert all(map(_runs, workers))
        child.kill()
    assert child.wait(20) == (-9 if how == "kill" else 0)
    child.stdout.close()
    assert any(not any(map(_runs, workers)) for _ in _moments(10))


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def _moments(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.1)

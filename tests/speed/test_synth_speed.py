"""How fast samples are made, beside the limit measured in the same run: ``make speed``.

One core: processor time, since a second and core is what is asked for, and since other work on
the machine then does not count. Limit and engine take turns over the same samples. Two
processes: the clock on the wall. The table says PASS or SHORT OF; a slow machine fails no test.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from synth.build import build
from synth.codec import encode, sample_hash
from synth.plan import Plan, make_sample, open_plan
from synth.recipe import Recipe, load_recipe
from synth.sample import Sample
from tests.speed.limit import limit, noted_inputs
from tests.speed.report import Report

pytestmark = pytest.mark.speed

_SIZE = 256
_OF_THE_LIMIT, _TWO_PROCESSES = 0.5, 1.8
_PHOTO_ROUNDS, _BUILTIN_ROUNDS, _BUILD_ROUNDS = 24, 8, 3
_A_ROUND, _BUILTIN_A_ROUND = 10, 5
_BUILT, _SHARD = 1000, 10  # so many that each worker's first look at the occluders is a small part


def recipe_at_256(name: str, **changes: Any) -> Recipe:
    return load_recipe(name).model_copy(update={"size": _SIZE, **changes})


def produce(plan: Plan, indices: range) -> list[Sample]:
    """What a build does with each sample, apart from writing the file."""
    made = []
    for index in indices:
        sample = make_sample(plan, index)
        encode(sample)
        sample_hash(sample)
        made.append(sample)
    return made


def take_turns(
    benchmark: Any, plan: Plan, bare: Callable[[range], None], rounds: int, count: int
) -> tuple[list[float], list[float]]:
    """Seconds a sample of each round of the limit and of the engine, over the same samples."""
    least: list[float] = []
    blocks = iter([range(k * count, (k + 1) * count) for k in range(rounds)])

    def limit_first() -> tuple[tuple[Plan, range], dict[str, Any]]:
        block = next(blocks)
        start = time.process_time()
        bare(block)
        least.append((time.process_time() - start) / count)
        return (plan, block), {}

    cv2.setNumThreads(1)
    benchmark.pedantic(produce, setup=limit_first, rounds=rounds, iterations=1)
    return least, [seconds / count for seconds in benchmark.stats.stats.data]


@pytest.mark.benchmark(timer=time.process_time)
def test_photos(benchmark: Any, real_data: Path, report: Report) -> None:
    start = time.perf_counter()
    plan = open_plan(recipe_at_256("photos-small"), real_data)
    report.once["photos: opening the recipe (once)"] = (time.perf_counter() - start) * 1e3
    work = {}
    for index in range(0, _PHOTO_ROUNDS * _A_ROUND, _A_ROUND):
        block = range(index, index + _A_ROUND)
        with noted_inputs(plan, real_data) as inputs:
            samples = produce(plan, block)
        work[block] = (inputs, samples)
    least, took = take_turns(
        benchmark, plan, lambda block: limit(*work[block]), _PHOTO_ROUNDS, _A_ROUND
    )
    report.add("photos 256 px, one core: limit", least)
    report.add("photos 256 px, one core", took)
    shares = [a / b for a, b in zip(least, took, strict=True)]
    report.compare("photos 256 px: share of the limit", shares, _OF_THE_LIMIT)


@pytest.mark.benchmark(timer=time.process_time)
def test_builtin_people(benchmark: Any, report: Report) -> None:
    plan = open_plan(recipe_at_256("people-quick"))
    total = _BUILTIN_ROUNDS * _BUILTIN_A_ROUND
    samples = produce(plan, range(total))

    def encode_only(block: range) -> None:
        limit([], [samples[index] for index in block])

    least, took = take_turns(benchmark, plan, encode_only, _BUILTIN_ROUNDS, _BUILTIN_A_ROUND)
    report.add("built-in 256 px, one core: encoding alone", least)
    report.add("built-in 256 px, one core", took)
    shares = [a / b for a, b in zip(least, took, strict=True)]
    report.compare("built-in 256 px: share of encoding alone", shares)


def test_two_processes(benchmark: Any, real_data: Path, tmp_path: Path, report: Report) -> None:
    recipe = recipe_at_256("photos-small", shard_size=_SHARD).with_changes(count=_BUILT)
    took: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    numbers = iter(range(_BUILD_ROUNDS))

    def both() -> None:
        number = next(numbers)
        for workers in took:
            out = tmp_path / f"{number}-{workers}"
            start = time.perf_counter()
            build(recipe, out, real_data, workers, progress=False)
            wall = (time.perf_counter() - start) / _BUILT
            took[workers].append((steady(out, workers), wall))

    benchmark.pedantic(both, rounds=_BUILD_ROUNDS, iterations=1)
    for workers, name in ((1, "one process"), (2, "two processes")):
        report.add(f"photos 256 px, build, {name}: under way", [one[0] for one in took[workers]])
        report.add(f"photos 256 px, build, {name}: whole", [one[1] for one in took[workers]])
    ratios = list(zip(took[1], took[2], strict=True))
    under_way = [one[0] / two[0] for one, two in ratios]
    report.compare("two processes over one: under way", under_way, _TWO_PROCESSES)
    report.compare("two processes over one: whole", [one[1] / two[1] for one, two in ratios])


def steady(folder: Path, workers: int) -> float:
    """Seconds a sample between the first shard of each worker and the last of the first to stop."""
    ends = sorted(path.stat().st_mtime for path in folder.glob("shard-*.json"))
    first, last = ends[workers - 1], ends[-workers]
    return (last - first) / (_SHARD * (len(ends) - 2 * workers + 1))

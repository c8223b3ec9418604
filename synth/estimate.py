"""What a data set of any size would cost: a small one is built, measured, and scaled up."""

import time
from dataclasses import dataclass
from pathlib import Path

from synth.codec import encode, sample_hash
from synth.plan import make_sample, open_plan
from synth.recipe import SPLITS, Recipe

SHARD_BYTES = 250e6  # what object stores and sequential readers like
_WARM = 3
_SHORTEST = 1e-6
# pycocotools keeps a parsed annotation file in memory at about this many times its size.
_PARSED = 8
_READER_BYTES = 16e9
_DAY = 86_400.0
_FOLDER_FILES = 100_000
_SEEN_OFTEN = 1000


@dataclass(frozen=True)
class Measured:
    """One core's figures from a small build, in seconds of processor time.

    Other work on the machine does not count, nor do waits for a disk or a network.

    Attributes:
        samples: how many were measured.
        open_seconds: reading the sources' lists, once a worker.
        make_seconds: one sample made, encoded and hashed.
        finish_seconds: one sample's share of the last step, which runs on one core.
        check_seconds: one sample's share of ``synth check``.
        shard_bytes, annotation_bytes, marker_bytes: one sample's share of each.
        train_people: people that train samples are drawn from.
    """

    samples: int
    open_seconds: float
    make_seconds: float
    finish_seconds: float
    check_seconds: float
    shard_bytes: float
    annotation_bytes: float
    marker_bytes: float
    train_people: int


@dataclass(frozen=True)
class Limit:
    """Something that stops scaling: what, the count where it does, and what to do then."""

    what: str
    count: float
    remedy: str


@dataclass(frozen=True)
class Projection:
    """The figures for ``count`` samples.

    Attributes:
        core_hours: making and writing, divisible over any number of cores.
        finish_hours, check_hours: on one core.
        terabytes: all files.
        shard_size: samples of a shard of about 250 MB.
        shards: how many of these.
        limits: what stops scaling, soonest first.
    """

    count: int
    core_hours: float
    finish_hours: float
    check_hours: float
    terabytes: float
    shard_size: int
    shards: int
    limits: tuple[Limit, ...]


def measure(recipe: Recipe, folder: Path, samples: int, data_root: str | None = None) -> Measured:
    """Build ``samples`` samples of a recipe into an empty ``folder`` and time each step.

    Raises:
        InputError: as ``synth.build.build``.
    """
    from synth.build import build
    from synth.check import check
    from synth.finish import finish
    from synth.preview import contact_sheet

    small = recipe.with_changes(count=samples)
    start = time.process_time()
    plan = open_plan(small, data_root)
    open_seconds = time.process_time() - start
    make_seconds = _make_seconds(small, samples, data_root)
    dataset = build(small, folder, data_root, progress=False)
    assert dataset is not None  # one part is all parts
    start = time.process_time()
    contact_sheet(dataset)  # the same for any number of samples
    fixed = time.process_time() - start
    start = time.process_time()
    finish(folder, plan)
    finish_seconds = max(time.process_time() - start - fixed, _SHORTEST)
    start = time.process_time()
    check(folder)
    check_seconds = time.process_time() - start
    total = sum(small.counts.model_dump().values())
    return Measured(
        samples=total,
        open_seconds=open_seconds,
        make_seconds=make_seconds,
        finish_seconds=finish_seconds / total,
        check_seconds=check_seconds / total,
        shard_bytes=_bytes(folder, "shard-*.tar") / total,
        annotation_bytes=_bytes(folder, "annotations.json") / total,
        marker_bytes=_bytes(folder, "shard-*.json") / total,
        train_people=len(plan.people[SPLITS[0]]),
    )


def _make_seconds(recipe: Recipe, samples: int, data_root: str | None) -> float:
    """Mean time of a sample after the first few, which load what later ones share."""
    plan = open_plan(recipe, data_root)
    start = time.process_time()
    for index in range(samples):
        if index == _WARM:
            start = time.process_time()
        sample = make_sample(plan, index)
        encode(sample)
        sample_hash(sample)
    return (time.process_time() - start) / max(1, samples - _WARM)


def _bytes(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def project(measured: Measured, count: int) -> Projection:
    """Scale what was measured to ``count`` samples."""
    each = measured.shard_bytes + measured.annotation_bytes + measured.marker_bytes
    shard_size = max(1, round(SHARD_BYTES / measured.shard_bytes))
    return Projection(
        count=count,
        core_hours=count * measured.make_seconds / 3600,
        finish_hours=count * measured.finish_seconds / 3600,
        check_hours=count * measured.check_seconds / 3600,
        terabytes=count * each / 1e12,
        shard_size=shard_size,
        shards=-(-count // shard_size),
        limits=_limits(measured, shard_size),
    )


def _limits(measured: Measured, shard_size: int) -> tuple[Limit, ...]:
    found = [
        Limit(
            f"each of {measured.train_people} people is seen {_SEEN_OFTEN} times",
            _SEEN_OFTEN * measured.train_people,
            "more composites teach little: add people (sources, or a larger built-in pool)",
        ),
        Limit(
            f"annotations.json takes {_READER_BYTES / 1e9:.0f} GB of memory to parse",
            _READER_BYTES / _PARSED / measured.annotation_bytes,
            "read the json member of each sample, or export to parquet",
        ),
        Limit(
            "the last step takes a day on its one core",
            _DAY / measured.finish_seconds,
            "build several data sets with seeds of their own, and read them together",
        ),
        Limit(
            f"{_FOLDER_FILES} files in one folder",
            _FOLDER_FILES / 2 * shard_size,
            "raise shard_size, or build several data sets",
        ),
    ]
    return tuple(sorted(found, key=lambda limit: limit.count))

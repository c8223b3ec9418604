"""The output folder of a benchmark: where everything lies, and how it gets there whole.

bench.json                              marker: this folder is ours; which benchmark it runs
data/                                   the data set; its test split is what is scored
train-data/                             train and val, where the benchmark has a test_recipe
models/TRACK.METHOD/seed-0/             weights and fitted.json
models/TRACK.METHOD/lr-0.001/           where val chooses among learning rates: each that was tried
models/TRACK.METHOD/rates.json          what they were worth, and which was chosen
training/TRACK.METHOD/seed-0/           checkpoints and logs of a training
predictions/TRACK/METHOD/seed-0/ID.png  and predictions.json; parsing/ID.png where a method parses
results/TRACK.METHOD.seed-0.json        one record a result; .official.json by that protocol
leaderboard.{html,md,csv,tex,json}, contact-sheet.png
.locks/                                 so that no two processes make one model at once
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from hdeocc.folders import take_place
from leaderboards.benchmark import Benchmark
from leaderboards.plan import Planned, planned
from synth.atomic import clean_leftovers, temporaries, write_text
from synth.errors import InputError
from synth.lock import turn

MARKER = "bench.json"
PART = "part.txt"
LOCKS = ".locks"
SCHEMA = 2


@dataclass(frozen=True)
class Folder:
    """Paths below the output folder of one benchmark."""

    root: Path

    @property
    def data(self) -> Path:
        """The data set whose test split is scored."""
        return self.root / "data"

    @property
    def train_data(self) -> Path:
        """Train and val of a benchmark whose test split has a recipe of its own."""
        return self.root / "train-data"

    @property
    def results(self) -> Path:
        """The records."""
        return self.root / "results"

    @contextmanager
    def making(self, what: Path) -> Iterator[None]:
        """Make ``what``, a folder below the root, while no other process does.

        Who had to wait finds it made: look again inside the block.
        """
        name = str(what.relative_to(self.root))

        def wait() -> None:
            click.echo(f"{self.root}: waits for another process that makes {name}", err=True)

        with turn(self.root / LOCKS / f"{name.replace(os.sep, '.')}.lock", wait):
            yield

    def model(self, key: str, seed: int) -> Path:
        """Weights of "track.method"."""
        return self.root / "models" / key / f"seed-{seed}"

    def training(self, key: str, seed: int) -> Path:
        """Checkpoints and logs of "track.method"."""
        return self.root / "training" / key / f"seed-{seed}"

    def tried(self, key: str, lr: float) -> tuple[Path, Path]:
        """As :meth:`model` and :meth:`training`, of the first seed at one of several rates."""
        name = f"lr-{lr:g}"
        return self.root / "models" / key / name, self.root / "training" / key / name

    def predictions(self, track: str, method: str, seed: int) -> Path:
        """Stored pictures of one row."""
        return self.root / "predictions" / track / method / f"seed-{seed}"

    def result(self, track: str, method: str, seed: int, rules: str = "strict") -> Path:
        """The record of one row by one protocol."""
        ending = "" if rules == "strict" else f".{rules}"
        return self.results / f"{track}.{method}.seed-{seed}{ending}.json"


@dataclass(frozen=True)
class Asked:
    """Rows that were asked for at once: those of some methods at some seeds; None for all."""

    methods: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None

    def covers(self, other: "Asked") -> bool:
        """Whether these are all rows of another, and perhaps more."""
        pairs = ((self.methods, other.methods), (self.seeds, other.seeds))
        return all(a is None or (b is not None and set(b) <= set(a)) for a, b in pairs)


@dataclass(frozen=True)
class Claim:
    """What ``bench.json`` says of a folder: what it runs, on which photos, and how much of it.

    asked: what was asked for, the first first; together the rows that the folder is for.
    """

    benchmark: Benchmark
    data: Path | None
    asked: tuple[Asked, ...] = (Asked(),)

    def rows(self) -> list[Planned]:
        """All rows that were asked for, in the order that they are made in."""
        found = {
            row
            for one in self.asked
            for row in planned(
                self.benchmark.only(None if one.methods is None else list(one.methods)), one.seeds
            )
        }
        return [row for row in planned(self.benchmark) if row in found]


def claim(
    root: Path,
    benchmark: Benchmark,
    data: Path | None = None,
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
) -> Folder:
    """Make the output folder ours, or go on in one that runs the same benchmark.

    ``data``, ``methods`` and ``seeds`` are kept for who goes on later; what was asked for before
    stays asked for.

    Raises:
        InputError: the path is a file, holds something else, or runs another benchmark.
    """
    refuse_other(root, benchmark)  # before anything is written there
    with Folder(root).making(root / MARKER):
        refuse_other(root, benchmark)
        now = Asked(
            None if methods is None else tuple(methods), None if seeds is None else tuple(seeds)
        )
        before = [one for one in _asked_before(root) if not now.covers(one)]
        asked = before if any(one.covers(now) for one in before) else [*before, now]
        about = {
            "schema": SCHEMA,
            "benchmark": benchmark.located().model_dump(mode="json"),
            "data": None if data is None else str(data.resolve()),
            "asked": [asdict(one) for one in asked],
        }
        write_text(root / MARKER, json.dumps(about, indent=1) + "\n")
    return Folder(root)


def refuse_other(root: Path, benchmark: Benchmark) -> None:
    """Refuse a path that is no folder, or one that is not of this benchmark.

    Raises:
        InputError: as :func:`claim`.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file, not a folder; give another --out")
    if (root / MARKER).is_file():
        if (name := _owner(root / MARKER)) != benchmark.name:
            raise InputError(
                f"{root}: runs benchmark {name}, not {benchmark.name}; give another --out"
            )
    elif root.is_dir() and any(path.name != LOCKS for path in root.iterdir()):
        raise InputError(
            f"{root}: holds something else (no {MARKER}); give an empty or new folder as --out"
        )


def read_claim(root: Path) -> Claim:
    """What a folder runs.

    Raises:
        InputError: no folder of a benchmark, one of an earlier version, or a damaged marker.
    """
    marker = root / MARKER
    if not marker.is_file():
        raise InputError(f"{root}: no output of a benchmark; make one with `hdeocc bench run`")
    try:
        about = json.loads(marker.read_bytes())
        schema = about["schema"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{marker}: is damaged; restore it or give another folder") from None
    if schema != SCHEMA:
        raise InputError(
            f"{marker}: schema {str(schema)[:40]} of another version; run the benchmark again"
        )
    try:
        data = about["data"]
        # Before there was a list of what was asked for, there was one pair.
        asked = about.get("asked", [about])
        return Claim(
            Benchmark.model_validate(about["benchmark"]),
            None if data is None else Path(data),
            tuple(_one_asked(one["methods"], one.get("seeds")) for one in asked),
        )
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{marker}: is damaged; restore it or give another folder") from None


def _one_asked(methods: Sequence[object] | None, seeds: Sequence[int] | None) -> Asked:
    return Asked(
        None if methods is None else tuple(str(name) for name in methods),
        None if seeds is None else tuple(int(seed) for seed in seeds),
    )


def _asked_before(root: Path) -> tuple[Asked, ...]:
    if not (root / MARKER).is_file():
        return ()
    try:
        return read_claim(root).asked
    except InputError:
        return ()  # of another version, or damaged, which is refused elsewhere


def _owner(marker: Path) -> str:
    """The benchmark that a folder runs; InputError where its marker is damaged."""
    try:
        return str(json.loads(marker.read_bytes())["benchmark"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{marker}: is damaged; restore it or give another --out") from None


def opened(root: Path) -> Folder:
    """The output folder of an earlier run.

    Raises:
        InputError: no such folder, or it holds no results.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; make one with `hdeocc bench run`")
    folder = Folder(root)
    if not any(folder.results.glob("*.json")):
        raise InputError(f"{root}: has no results/*.json; make them with `hdeocc bench run`")
    return folder


@contextmanager
def resumed_folder(final: Path, key: str, again: bool = False) -> Iterator[Path]:
    """As :func:`new_folder`, but what an interrupted block left is there again.

    Only what was left under the same ``key`` and not to be made ``again``; its files must be
    written atomically.
    """
    unfinished = final.with_name(f".{final.name}.part")
    marker = unfinished / PART
    same = marker.is_file() and marker.read_text(encoding="utf-8") == key
    if again or not same:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        write_text(marker, key)
    inner = [path for path in unfinished.iterdir() if path.is_dir()]
    for folder in (unfinished, *inner):
        clean_leftovers(temporaries(folder), alone=True)
    yield unfinished
    # Without its marker an unfinished folder would be begun anew by who was killed right then; in
    # the final one a marker means nothing.
    take_place(unfinished, final)
    (final / PART).unlink()

"""The rows of a benchmark, in the order they are made, and what each of them stands on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hdeocc.method import Track, of_key
from leaderboards.benchmark import Benchmark
from synth.errors import InputError


@dataclass(frozen=True)
class Planned:
    """One row of one seed: a method, or a (mask, content) pair on the full track."""

    track: str
    names: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """What the row is called in records."""
        return "+".join(self.names)

    def __str__(self) -> str:
        return f"{self.track} track: {self.name}" + (f", seed {self.seed}" if self.seed else "")

    @property
    def parts(self) -> list[tuple[Track, str]]:
        """The methods of the row, each with its own track."""
        parts: list[tuple[Track, str]] = []
        if self.track != "content":
            parts.append(("mask", self.names[0]))
        if self.track != "mask":
            parts.append(("content", self.names[-1]))
        return parts


def planned(benchmark: Benchmark, seeds: Sequence[int] | None = None) -> list[Planned]:
    """The rows of a benchmark in the order they are made; ``seeds``: those of these seeds alone.

    What learns nothing is the same for every seed, so it is made for the first one alone.

    Raises:
        InputError: a seed that the benchmark has not, or none.
    """
    unknown = [] if seeds is None else [s for s in seeds if s not in benchmark.seeds]
    if unknown or (seeds is not None and not seeds):
        wrong = ", ".join(map(str, unknown)) or "names no seed"
        raise InputError(
            f"--seeds: {wrong}; benchmark {benchmark.name} has "
            f"{', '.join(map(str, benchmark.seeds))}"
        )
    first = list(_rows_of_seed(benchmark, benchmark.seeds[0]))
    again = [row for seed in benchmark.seeds[1:] for row in _rows_of_seed(benchmark, seed)]
    rows = [*first, *(row for row in again if _repeats(benchmark, row))]
    return [row for row in rows if seeds is None or row.seed in seeds]


def _rows_of_seed(benchmark: Benchmark, seed: int) -> Iterator[Planned]:
    tracks = benchmark.tracks
    yield from (Planned("mask", (name,), seed) for name in tracks.mask)
    yield from (Planned("content", (name,), seed) for name in tracks.content)
    yield from (Planned("full", pair, seed) for pair in tracks.full)


def _repeats(benchmark: Benchmark, row: Planned) -> bool:
    """Whether another seed makes another row: something of it learns, and all such is repeated."""
    learn = [(t, n) for t, n in row.parts if benchmark.kind(t, n).learned]
    return bool(learn) and all(benchmark.repeats(track, name) for track, name in learn)


def stands_on(benchmark: Benchmark, row: Planned) -> frozenset[str]:
    """What is made once and shared by rows, of all that a row needs: trainings, choices, masks.

    Of one of them two rows must not be made at once, unless it is there already.
    """
    found = {one for track, name in row.parts for one in _fits(benchmark, track, name, row.seed)}
    if row.track != "content":
        found.add(f"predictions of mask.{row.names[0]}, seed {mask_seed(benchmark, row)}")
    return frozenset(found)


def mask_seed(benchmark: Benchmark, row: Planned) -> int:
    """Of which seed the masks of a row are: what learns nothing is made for the first one alone."""
    kind = benchmark.kind("mask", row.names[0])
    return row.seed if kind.learned else benchmark.seeds[0]


def _fits(benchmark: Benchmark, track: Track, name: str, seed: int) -> Iterator[str]:
    """The trainings behind a method, those that it builds on first."""
    kind, chooses = benchmark.kind(track, name), benchmark.chooses_rate
    # A rate is tried at the first seed, on what there is of that seed.
    seeds = dict.fromkeys((seed, *([benchmark.seeds[0]] if chooses(track, name) else [])))
    for key in kind.upstream:
        for one in seeds:
            yield from _fits(benchmark, *of_key(key), one)
    yield f"{track}.{name}, seed {seed}"
    if chooses(track, name):
        yield f"learning rate of {track}.{name}"

"""The TOML definition of a benchmark: which data, which methods, what they may spend.

Unknown keys are refused, so that a typing error never silently runs another comparison.
"""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hdeocc.method import Budget, Preset, Track
from synth.errors import InputError
from synth.settings import Library, Strict, hint, keys_of


class TrackBudget(Strict):
    """What every learned method of a track may spend; the fields are those of `Budget`."""

    samples: int = Field(gt=0)
    batch: int = Field(16, gt=0)
    lr: float = Field(2e-4, gt=0)
    ema: float = Field(0.999, ge=0, lt=1)
    clip: float = Field(1.0, gt=0)
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"

    def with_seed(self, seed: int) -> Budget:
        """The budget of one run."""
        return Budget(seed=seed, **self.model_dump())


class Budgets(Strict):
    """One budget a track; the full track trains nothing of its own."""

    mask: TrackBudget
    content: TrackBudget


class Tracks(Strict):
    """The rows of each track, by registered name; a full row is a (mask, content) pair."""

    mask: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    full: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> "Tracks":
        for name, rows in (("mask", self.mask), ("content", self.content), ("full", self.full)):
            twice = [row for row, count in Counter(rows).items() if count > 1]
            if twice:
                raise ValueError(f"{twice[0]!r} stands twice in tracks.{name}; keep one")
        for mask, content in self.full:
            if mask not in self.mask:
                raise ValueError(
                    f"tracks.full uses {mask!r}, not listed in tracks.mask; add it there"
                )
            if content not in self.content:
                raise ValueError(
                    f"tracks.full uses {content!r}, not listed in tracks.content; add it there"
                )
        return self


class Benchmark(Strict):
    """A comparison that anybody can run again; see the module's docstring."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str
    recipe: str = Field(description="name of a bundled recipe, or a path ending in .toml")
    preset: Preset
    protocol: str = Field(description="version of `metrics.protocol` that the numbers mean")
    train: Literal["disk", "live"] = Field(
        "disk",
        description="learn from the stored train split, or from samples made while training, "
        "none of which comes twice",
    )
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    budget: Budgets
    tracks: Tracks

    def budget_of(self, track: Track, seed: int) -> Budget:
        """What a learned method of a track may spend."""
        return (self.budget.mask if track == "mask" else self.budget.content).with_seed(seed)

    def only(self, methods: list[str] | None) -> "Benchmark":
        """The benchmark with just the named methods ("pix2pix", or "mask.pix2pix" for one track).

        A full row stays when both of its methods do.

        Raises:
            InputError: a name that the benchmark does not compare.
        """
        if methods is None:
            return self
        if not methods:
            raise InputError("--methods: names no method; give names with commas, or leave it out")
        for name in methods:
            self._check_listed(name)
        kept = {
            track: tuple(n for n in getattr(self.tracks, track) if {n, f"{track}.{n}"} & {*methods})
            for track in ("mask", "content")
        }
        full = tuple(
            p for p in self.tracks.full if p[0] in kept["mask"] and p[1] in kept["content"]
        )
        tracks = Tracks(mask=kept["mask"], content=kept["content"], full=full)
        return self.model_copy(update={"tracks": tracks})

    def _check_listed(self, name: str) -> None:
        plain = [*self.tracks.mask, *self.tracks.content]
        listed = [f"mask.{n}" for n in self.tracks.mask]
        listed += [f"content.{n}" for n in self.tracks.content]
        if name not in plain and name not in listed:
            meant = hint(name, [*plain, *listed], "it has")
            raise InputError(f"--methods: benchmark {self.name} has no method {name!r}; {meant}")


BENCHMARKS = Library(
    "benchmark",
    Benchmark,
    "leaderboards",
    "benchmarks",
    keys_of((Benchmark, Budgets, TrackBudget, Tracks)),
)


def bundled() -> list[str]:
    """Names of the benchmarks that come with the package."""
    return BENCHMARKS.bundled()


def load_benchmark(name_or_path: str | Path) -> Benchmark:
    """A benchmark from a TOML file or, by name, from those of the package.

    Raises:
        InputError: no such benchmark (with the closest names), broken TOML, a bad key or value.
    """
    return BENCHMARKS.load(name_or_path)


def parse_benchmark(text: str, where: str) -> Benchmark:
    """A benchmark from TOML text; ``where`` names it in errors."""
    return BENCHMARKS.parse(text, where)

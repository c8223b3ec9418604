"""The TOML definition of a benchmark of speed: which networks are timed, and how.

It needs no data and no training: what a pass costs does not depend on the weights.
"""

from importlib import resources
from pathlib import Path

from pydantic import Field, model_validator

from hdeocc.method import Preset, Track, check_names, method_class
from hdeocc.precision import Precision
from leaderboards.benchmark import BENCHMARKS, NAME
from synth.settings import Library, Strict, keys_of


class SpeedRow(Strict):
    """One network: a registered method, with some settings changed, and its printed rival."""

    track: Track
    method: str
    title: str
    options: dict[str, object] = {}
    published: str | None = Field(None, description="item of published.csv, group timing")


class SpeedBenchmark(Strict):
    """Which networks are timed, and how."""

    name: str = Field(pattern=NAME)
    title: str
    preset: Preset
    pixels: int = Field(gt=0)
    warm_up: int = Field(50, ge=1)
    repetitions: int = Field(300, ge=3)
    seconds: float = Field(60, gt=0, description="at most so long for a row; then it stops early")
    batches: tuple[int, ...] = Field((1,), min_length=1)
    precisions: tuple[Precision, ...] = Field(("32-true",), min_length=1)
    speed: tuple[SpeedRow, ...] = Field(min_length=1)
    totals: dict[str, tuple[str, ...]] = Field({}, description="sums of rows, by title")

    @model_validator(mode="after")
    def _sums_of_rows(self) -> "SpeedBenchmark":
        titles = {row.title for row in self.speed}
        for title, parts in self.totals.items():
            if not set(parts) <= titles:
                raise ValueError(f"totals.{title} adds rows that are not there: {', '.join(parts)}")
        return self


SPEED = Library(
    "benchmark", SpeedBenchmark, "leaderboards", "benchmarks", keys_of((SpeedBenchmark, SpeedRow))
)


def is_speed(name_or_path: str | Path) -> bool:
    """Whether a benchmark file has rows of speed; an unreadable or missing one has not."""
    path = Path(name_or_path)
    if path.suffix == ".toml":
        text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    elif str(name_or_path) in BENCHMARKS.bundled():
        file = resources.files("leaderboards") / "benchmarks" / f"{name_or_path}.toml"
        text = file.read_text(encoding="utf-8")
    else:
        text = ""
    return any(line.strip() == "[[speed]]" for line in text.splitlines())


def bundled_speed() -> list[str]:
    """Names of the benchmarks of speed that come with the package."""
    return [name for name in BENCHMARKS.bundled() if is_speed(name)]


def load_speed(name_or_path: str | Path) -> SpeedBenchmark:
    """A benchmark of speed from a TOML file or, by name, from those of the package.

    Raises:
        InputError: no such benchmark, broken TOML, a bad key or value, or an unknown method.
    """
    benchmark = SPEED.load(name_or_path)
    for row in benchmark.speed:
        check_names(row.track, [row.method], f"benchmark {benchmark.name}")
        method_class(row.track, row.method).settings(benchmark.preset, row.options)
    return benchmark

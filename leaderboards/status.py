"""How far a benchmark is: what is built, fitted, predicted and scored, read from its folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdeocc.fitted import DIVERGED, FITTED, MARKER
from hdeocc.method import Track
from leaderboards.benchmark import Benchmark
from leaderboards.folder import Folder, read_claim
from leaderboards.plan import Planned
from synth.atomic import temporaries

DONE, MISSING = "yes", "-"


@dataclass(frozen=True)
class RowStatus:
    """The state of one row: "yes", "-" where nothing is there, or how far it is.

    Attributes:
        note: what to know, such as an unreadable record.
    """

    row: str
    fitted: str
    predicted: str
    scored: str
    note: str = ""

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return (self.fitted, self.predicted, self.scored) == (DONE, DONE, DONE)


@dataclass(frozen=True)
class Status:
    """The state of an output folder."""

    benchmark: Benchmark
    data: str
    rows: tuple[RowStatus, ...]

    @property
    def done(self) -> bool:
        """Whether every row is scored."""
        return self.data == DONE and all(row.done for row in self.rows)


def status(out: Path) -> Status:
    """How far the benchmark of a folder is.

    Raises:
        InputError: no folder of a benchmark.
    """
    claim = read_claim(out)
    benchmark, folder = claim.benchmark, Folder(out)
    expected = _test_samples(folder)
    rows = tuple(row_status(benchmark, folder, row, expected) for row in claim.rows())
    return Status(benchmark, _data(folder, benchmark), rows)


def _data(folder: Folder, benchmark: Benchmark) -> str:
    places = [folder.data] if benchmark.test_recipe is None else [folder.train_data, folder.data]
    if all((place / "dataset.json").is_file() for place in places):
        return DONE
    shards = sum(1 for place in places for _ in place.glob("shard-*.tar"))
    return f"{shards} shards" if shards else MISSING


def _test_samples(folder: Folder) -> int | None:
    counts = _json(folder.data / "dataset.json").get("counts")
    found = counts.get("test") if isinstance(counts, dict) else None
    return found if isinstance(found, int) else None


def row_status(
    benchmark: Benchmark, folder: Folder, row: Planned, expected: int | None = None
) -> RowStatus:
    """How far one row is; ``expected``: test samples, None where they are not known."""
    fits = [_fitted(benchmark, folder, *part, row.seed) for part in row.parts]
    open_ = [state for state in fits if state != DONE]
    scores = [_scored(folder, row, rules) for rules in benchmark.rules_of(row.track)]
    unscored = [state for state, _ in scores if state != DONE]
    seed = f" (seed {row.seed})" if len(benchmark.seeds) > 1 else ""
    return RowStatus(
        row=f"{row.track}.{row.name}{seed}",
        fitted=open_[0] if open_ else DONE,
        predicted=_predicted(folder, row, expected),
        scored=unscored[0] if unscored else DONE,
        note="; ".join(note for _, note in scores if note),
    )


def _fitted(benchmark: Benchmark, folder: Folder, track: Track, name: str, seed: int) -> str:
    key = f"{track}.{name}"
    budget = benchmark.budget_of(track, name, seed)
    done = _json(folder.model(key, seed) / FITTED)
    if done and _spent_is(done.get("budget"), benchmark, track, name, seed):
        return DONE
    step = _step(folder.training(key, seed))
    rates = benchmark.rates_of(track, name)
    if benchmark.chooses_rate(track, name) and seed == benchmark.seeds[0] and step is None:
        return _tried(folder, key, rates, benchmark.trial_of(track, seed, rates[0]).last_step)
    if step is not None:
        return f"step {step} of {budget.steps}"
    return "other budget" if done else MISSING


def _spent_is(spent: Any, benchmark: Benchmark, track: Track, name: str, seed: int) -> bool:
    """Whether what a model was fitted with is what the benchmark gives it, at any of its rates.

    What spends nothing knows no samples.
    """
    if not isinstance(spent, dict) or "samples" not in spent:
        return True
    given = (benchmark.budget_of(track, name, seed, lr) for lr in benchmark.rates_of(track, name))
    return any(spent == one.facts() for one in given)


def _tried(folder: Folder, key: str, rates: Sequence[float], steps: int) -> str:
    """How many of several learning rates were tried, and how far the next one is."""
    places = [folder.tried(key, lr) for lr in rates]
    ends = (FITTED, DIVERGED)
    open_ = [t for model, t in places if not any((model / end).is_file() for end in ends)]
    found = [step for step in map(_step, open_) if step is not None]
    done = len(rates) - len(open_)
    if not done and not found:
        return MISSING
    at = f", step {found[0]} of {steps}" if found else ""
    return f"{done} of {len(rates)} rates{at}"


def _step(training: Path) -> int | None:
    """The step of the newest checkpoint of an unfinished training; 0 before the first one."""
    if not (training / MARKER).is_file():
        return None
    steps = [int(p.name[5:]) for p in training.glob("step-*") if p.name[5:].isdecimal()]
    return max(steps, default=0)


def _predicted(folder: Folder, row: Planned, expected: int | None) -> str:
    place = folder.predictions(row.track, row.name, row.seed)
    unfinished = place.with_name(f".{place.name}.part")
    for path in (unfinished, place):
        made = sum(1 for _ in path.glob("*.png")) - len(temporaries(path))
        if made > 0 and path == place and made == expected:
            return DONE
        if made > 0:
            return f"{made} of {'?' if expected is None else expected}"
    return MISSING


def _scored(folder: Folder, row: Planned, rules: str) -> tuple[str, str]:
    path = folder.result(row.track, row.name, row.seed, rules)
    if not path.is_file():
        return MISSING, ""
    record = _json(path)
    scored, expected = record.get("n_scored"), record.get("n_expected")
    if not isinstance(scored, int) or not isinstance(expected, int):
        return MISSING, f"{path.name} cannot be read"
    return (DONE, "") if scored == expected else (f"{scored} of {expected}", "")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def status_table(found: Status) -> str:
    """The state as text: one line a row."""
    head = ("row", "fitted", "predicted", "scored", "")
    lines = [head, *((r.row, r.fitted, r.predicted, r.scored, r.note) for r in found.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    cells = ("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines)
    left = sum(not row.done for row in found.rows)
    end = "All rows are scored." if found.done else f"{left} of {len(found.rows)} rows are open."
    title = f"{found.benchmark.title} ({found.benchmark.name}); data set: {found.data}"
    return "\n".join([title, "", *(line.rstrip() for line in cells), "", end])

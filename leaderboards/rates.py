"""Which learning rate a method trains with, where its budget gives several.

Each is tried at the first seed, to the end of its training or some way into it; the one whose model
does best on val goes on, and is the method's at every seed. A try that ends on the way has the
schedule of the whole training: schedules shortened to the try prefer rates that are too high for
the long one. What was found is kept in ``rates.json`` beside the models and in the records, and the
test split is never looked at.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hdeocc.fitted import Fitted
from hdeocc.folders import read_json
from hdeocc.method import Method
from hdeocc.validation import measure
from synth.atomic import write_text
from synth.errors import InputError
from synth.sample import Sample

RATES = "rates.json"
# What val is asked for, and whether more of it is better.
CRITERIA: Mapping[str, tuple[str, bool]] = {"mask": ("iou", True), "content": ("l1_hole", False)}


@dataclass(frozen=True)
class Choice:
    """Which rate was chosen, and why.

    Attributes:
        lr: the rate.
        metric: what was compared on val, "iou" or "l1_hole".
        val: its value at every rate that was tried, by the rate as text; None for none.
    """

    lr: float
    metric: str
    val: dict[str, float | None]


def choose(key: str, rates: Sequence[float], val: Sequence[float]) -> Choice:
    """The rate with the best value on val of "track.name"; the lower one where two are as good.

    Raises:
        InputError: no rate led to a finite value.
    """
    metric, more = CRITERIA[key.partition(".")[0]]
    finite = [
        (v if more else -v, -lr) for lr, v in zip(rates, val, strict=True) if math.isfinite(v)
    ]
    if not finite:
        tried = ", ".join(f"{lr:g}" for lr in rates)
        raise InputError(
            f"{key}: no {metric} on val at any learning rate of {tried}; give lower ones"
        )
    known = {f"{lr:g}": v if math.isfinite(v) else None for lr, v in zip(rates, val, strict=True)}
    return Choice(-max(finite)[1], metric, known)


def chosen(
    folder: Path,
    key: str,
    tried: Mapping[float, Fitted | None],
    val: Sequence[Sample],
    measured: Callable[[Method, Sequence[Sample]], dict[str, float]] = measure,
) -> Choice:
    """The choice that ``folder`` keeps, made now unless it was made of the very same weights.

    ``key``: "track.name" of the method. A try whose training diverged is None.
    """
    weights = {f"{lr:g}": one and one.weights for lr, one in tried.items()}
    path = folder / RATES
    if path.is_file():
        before = read_json(path)
        if before.get("weights") == weights:
            return _read(before, path)
    metric, _ = CRITERIA[key.partition(".")[0]]
    found = [
        measured(one.method, val).get(metric, math.nan) if one is not None else math.nan
        for one in tried.values()
    ]
    choice = choose(key, list(tried), found)
    write_text(path, json.dumps({**asdict(choice), "weights": weights}, indent=1) + "\n")
    return choice


def read_choice(folder: Path) -> Choice | None:
    """The choice that a folder of models keeps; None where there was nothing to choose."""
    path = folder / RATES
    return _read(read_json(path), path) if path.is_file() else None


def _read(about: Mapping[str, Any], path: Path) -> Choice:
    try:
        return Choice(float(about["lr"]), str(about["metric"]), dict(about["val"]))
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: is damaged; remove it, and the run makes it again") from None

"""Why a cell of a table is empty: every such cell has its reason."""

import math
from collections.abc import Iterator, Sequence

from leaderboards.records import UNMEASURED, Record
from leaderboards.rows import Row
from metrics.protocol import MetricSpec

PARSING = "parsing_miou"
NO_PARSING = "does not parse"
NO_LABELS = "the samples have no labels of body parts"
UNTOLD = "not known: whoever made these predictions did not say"
UNTIMED = "not measured yet: made while other rows were; `hdeocc bench time` measures"
UNCOUNTED = "not counted: its network is not made of torch's modules"


def empty_cells(rows: Sequence[Row], specs: Sequence[MetricSpec]) -> dict[tuple[str, str], str]:
    """The reason of every empty cell, by metric (or column of cost) and key of the row."""
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        for spec in specs:
            if (why := _why(row, spec.name)) is not None:
                found[spec.name, row.key] = why
        found |= {(column, row.key): why for column, why in _untold(row.record)}
    return found


def _why(row: Row, metric: str) -> str | None:
    """Why a cell is empty; None where it holds a number."""
    if not math.isnan(row.value(metric)):
        return None
    reasons = [(r, _why_record(r, metric)) for r in row.records]
    record, reason = next((r, why) for r, why in reasons if why is not None)
    return reason if len(row.records) == 1 else f"seed {record.seed}: {reason}"


def _why_record(record: Record, metric: str) -> str | None:
    if record.n_expected == 0:
        return "no sample of this split knows what is hidden"
    if not record.complete:
        return f"only {record.n_scored} of {record.n_expected} samples were scored"
    if not math.isnan(record.total(metric)):
        return None
    if metric == PARSING:
        # The column is there because other rows have it, so that the samples are labelled.
        return NO_PARSING
    return record.empty.get(metric, "not counted on any sample")


def _untold(record: Record) -> Iterator[tuple[str, str]]:
    """Columns of cost that are not known; a method without a network has no multiply-adds."""
    theirs = record.parameters is None or record.device == UNMEASURED
    if record.parameters is None:
        yield "parameters", UNTOLD
    if record.macs is None and record.parameters != 0:
        yield "macs", UNTOLD if theirs else UNCOUNTED
    if record.milliseconds is None:
        yield "milliseconds", UNTOLD if theirs else UNTIMED

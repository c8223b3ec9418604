"""How tables print numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leaderboards.stats import Interval
from metrics.protocol import MetricSpec

if TYPE_CHECKING:
    from leaderboards.rows import Row
    from leaderboards.tables import Table

EMPTY = "–"
ONE_PERSON = (
    "One person tells nothing of others: no number has an interval, no row outranks another."
)
# Columns that say what a method costs; their cells may be empty too.
COST = ("parameters", "macs", "milliseconds")


def arrow(spec: MetricSpec) -> str:
    """Which way is better."""
    return "↑" if spec.higher_is_better else "↓"


def number(value: float, spec: MetricSpec) -> str:
    """A value as tables print it."""
    return EMPTY if math.isnan(value) else f"{value:.{spec.decimals}f}"


def ends(interval: Interval | None, spec: MetricSpec) -> tuple[str, str] | None:
    """Both ends of an interval as tables print them."""
    if interval is None:
        return None
    return number(interval.low, spec), number(interval.high, spec)


def count(n: int | None) -> str:
    """A number of parameters or multiply-adds, such as "1.2 M"; None where nobody knows it."""
    if n is None:
        return EMPTY
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        # Three figures of 999,600 are 1 M, not 1e+03 k.
        if float(f"{1000 * n / limit:.3g}") >= 1000:
            return f"{max(n / limit, 1):.3g} {unit}"
    return str(n)


def milliseconds(value: float | None) -> str:
    """A duration with three figures, as far as it can be measured."""
    if value is None:
        return EMPTY
    if value < 0.1:
        return "< 0.1"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def costs(row: "Row") -> dict[str, str]:
    """The columns of `COST` as tables print them."""
    record = row.record
    texts = (count(record.parameters), count(record.macs), milliseconds(row.milliseconds))
    return dict(zip(COST, texts, strict=True))


def devices(table: "Table") -> str:
    """On what the times of a table were measured; "" where nothing was timed.

    Of several devices that of most rows comes first, then each other one with its rows, whose times
    are not comparable with the first.
    """
    found: dict[str, list[str]] = {}
    for row in table.rows:
        if row.timed_on is not None:
            found.setdefault(row.timed_on, []).append(table.label(row.record))
    if not found:
        return ""
    most, *others = sorted(found, key=lambda device: -len(found[device]))
    return "; but ".join([most, *(f"{', '.join(found[one])} on {one}" for one in others)])


def people(n: int) -> str:
    """So many people."""
    return "1 person" if n == 1 else f"{n} people"


def drawn(table: "Table", who: str = "people") -> str:
    """What the intervals of a table are over: its people, and seeds where a row has several."""
    return f"{who} and seeds" if any(len(row.seeds) > 1 for row in table.rows) else who


def of_one_training(table: "Table") -> str:
    """What no interval knows, where a row was trained once; "" where none was."""
    if not any(row.record.learned and len(row.seeds) == 1 for row in table.rows):
        return ""
    return "What another training of a row with one seed would give is in no interval and no rank."


def footnotes(
    table: "Table", specs: Sequence[MetricSpec] | None = None, *, cost: bool = False
) -> dict[str, int]:
    """Each reason for an empty cell, numbered from 1 in the order of rows and columns.

    ``specs``: the columns, all by default; ``cost``: those of `COST` as well.
    """
    numbered: dict[str, int] = {}
    columns = [spec.name for spec in (table.specs if specs is None else specs)]
    for row in table.rows:
        for name in (*columns, *(COST if cost else ())):
            reason = table.notes.get((name, row.key))
            if reason is not None:
                numbered.setdefault(reason, len(numbered) + 1)
    return numbered


def nobody_found(table: "Table") -> str:
    """Which rows have masks that share no pixel with their person; "" where none has.

    Such a mask, mostly an empty one, is scored as any other is; a mean does not tell it from many
    that are a little worse.
    """
    if table.track == "content":
        return ""
    found = []
    for row in table.rows:
        ious = [one.scores.get("iou") for record in row.records for one in record.samples]
        if ious.count(0.0):
            found.append(f"{table.label(row.record)} {ious.count(0.0):,} of {len(ious):,}")
    return f"Masks without a pixel of the person: {', '.join(found)}." if found else ""


def unlike_budgets(table: "Table") -> str:
    """What rows that learned here may have spent, where that was not the same; else "".

    Rows of unlike budgets are compared all the same: whoever puts them into one table, or changes a
    benchmark and makes some of its rows anew, has to know.
    """
    found: dict[str, list[str]] = {}
    for row in table.rows:
        if row.record.budget and row.record.pretrained is None:
            found.setdefault(_spent(row.record.budget), []).append(table.label(row.record))
    if len(found) < 2:
        return ""
    each = "; ".join(f"{spent}: {', '.join(labels)}" for spent, labels in found.items())
    return f"Trained on unlike budgets. {each}."


def _spent(budget: Mapping[str, Any]) -> str:
    """The samples and the batch of each track that a row was trained for."""
    parts = [
        f"{track} {one.get('samples', 0):,} samples by {one.get('batch', '?')}"
        for track, one in sorted(budget.items())
    ]
    return " and ".join(parts)

"""Tables for programs: CSV and JSON in full precision, the same bytes for the same results.

What differs between two runs of one benchmark on one machine, and nothing else, stands in the last
columns (`VOLATILE`), so that the rest of two files can be compared byte for byte.

The CSV holds our rows alone: a line of other people's figures would be read as one of them. The
JSON has those figures under a key of their own.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from leaderboards.order import Order, orders_of
from leaderboards.published import beside, wrong_sums
from leaderboards.rows import Row
from leaderboards.tables import Table
from metrics.protocol import TRACKS, MetricSpec

SCHEMA = 1
VOLATILE = ("trained_by", "code_version", "device", "seconds_fit", "milliseconds")

_HEAD = ("track", "rank", "method", "title", "seeds")
_TAIL = (
    "n_expected", "n_scored", "consumes", "learned", "pretrained", "budget", "options",
    "parameters", "macs", "benchmark", "preset", "protocol", "protocol_version", "border_band",
    "data", "test_fingerprint",
)  # fmt: skip

Facts = dict[str, Any]


def to_csv(tables: Sequence[Table]) -> str:
    """All tables below each other; what a row has not is an empty cell.

    A metric M fills M (mean over the seeds), M_low and M_high (95 % interval), M_sd (standard
    deviation over the seeds, empty for one) and M_n (samples counted).
    """
    columns = [*_HEAD, *_metric_columns(tables), *_TAIL, *VOLATILE]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for table in tables:
        for row in table.rows:
            facts = facts_of(row) | _numbers(table, row)
            writer.writerow({name: _cell(value) for name, value in facts.items()})
    return text.getvalue()


def _metric_columns(tables: Sequence[Table]) -> list[str]:
    """Columns of every metric of any table, in the order of `TRACKS`, those of parts last."""
    found = {spec.name for table in tables for spec in table.specs}
    known = dict.fromkeys(spec.name for specs in TRACKS.values() for spec in specs)
    names = [name for name in known if name in found] + sorted(found - known.keys())
    return [f"{name}{ending}" for name in names for ending in ("", "_low", "_high", "_sd", "_n")]


def _numbers(table: Table, row: Row) -> Facts:
    found: Facts = {}
    for spec in table.specs:
        value = cell(row, spec)
        found[spec.name] = value["value"]
        found |= {f"{spec.name}_{name}": value[name] for name in ("low", "high", "sd", "n")}
    return found


def cell(row: Row, spec: MetricSpec) -> Facts:
    """A number with everything that is known of it; None where there is none."""
    interval, value = row.intervals.get(spec.name), row.value(spec.name)
    known = not math.isnan(value)
    return {
        "value": value if known else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "sd": row.spread(spec.name),
        "n": row.count(spec.name) if known else None,
    }


def facts_of(row: Row) -> Facts:
    """What a row is, beside its numbers; the volatile facts last."""
    record = row.record
    return {
        "track": record.track,
        "rank": row.rank,
        "method": record.method,
        "title": record.title,
        "seeds": list(row.seeds),
        "n_expected": record.n_expected,
        "n_scored": min(one.n_scored for one in row.records),
        "consumes": list(record.consumes),
        "learned": record.learned,
        "pretrained": record.pretrained,
        "budget": record.budget,
        "options": record.options,
        "parameters": record.parameters,
        "macs": record.macs,
        "benchmark": record.benchmark,
        "preset": record.preset,
        "protocol": record.protocol.name,
        "protocol_version": record.protocol.version,
        "border_band": record.protocol.border_band,
        "data": record.data.name,
        "test_fingerprint": record.data.test_fingerprint,
        "trained_by": _joined(row, lambda one: one.trained_by),
        "code_version": _joined(row, lambda one: one.code_version),
        "device": row.timed_on or _joined(row, lambda one: one.device),
        "seconds_fit": row.seconds_fit,
        "milliseconds": row.milliseconds,
    }


def _joined(row: Row, of: Callable[[Any], str]) -> str:
    return " and ".join(dict.fromkeys(of(record) for record in row.records))


def _cell(value: Any) -> Any:
    """A fact as CSV: shortest text that reads back as the very same number."""
    if value is None or value == {}:
        return ""
    if isinstance(value, dict):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, list):
        return " ".join(map(str, value))
    return repr(value) if isinstance(value, float) else value


def to_json(tables: Sequence[Table]) -> str:
    """Tables with everything a plotter needs: numbers, intervals, seeds, bins and samples.

    Beside them the order in which others showed the same systems (``orders``), what others printed
    (``published``), and which of their sums are wrong.
    """
    figures = beside(tables)
    content = {
        "schema": SCHEMA,
        "tables": [_table(table) for table in tables],
        "orders": [_order(order) for order in orders_of(tables)],
        "published": figures,
        "wrong_sums": [asdict(wrong) | {"text": str(wrong)} for wrong in wrong_sums(figures)],
    }
    compact = (",", ":")  # half of the size, for the samples are many
    return json.dumps(content, separators=compact, ensure_ascii=False, allow_nan=False) + "\n"


def _order(order: Order) -> Facts:
    table = order.table
    pairs = {"same": order.same, "reversed": order.reversed, "open": order.open}
    return {
        "track": table.track,
        "test_fingerprint": table.first.data.test_fingerprint,
        "protocol": table.first.protocol.model_dump(mode="json"),
        "metric": table.headline,
        "systems": [
            {
                "item": one.shown.item,
                "place": one.place,
                "ours": one.ours,
                "key": one.row.key,
                "value": one.value,
                "source": one.shown.source,
                "note": one.shown.note,
            }
            for one in order.placed
        ],
        "pairs": {
            name: [[a.shown.item, b.shown.item] for a, b in of] for name, of in pairs.items()
        },
    }


def _table(table: Table) -> Facts:
    record, samples = table.first, table.samples
    return {
        "track": table.track,
        "headline": table.headline,
        "data": record.data.model_dump(mode="json"),
        "protocol": record.protocol.model_dump(mode="json"),
        "floor": {n: t.model_dump(mode="json") for n, t in record.floor.items()},
        "metrics": [_spec(spec) for spec in table.specs],
        "samples": [
            {"id": one, "person": person, "hidden_share": share}
            for one, person, share in zip(
                samples.ids, samples.persons, samples.hidden.tolist(), strict=True
            )
        ],
        "rows": [_row(table, row) for row in table.rows],
    }


def _spec(spec: MetricSpec) -> Facts:
    return {
        "name": spec.name,
        "title": spec.title,
        "unit": spec.unit,
        "higher_is_better": spec.higher_is_better,
        "decimals": spec.decimals,
        "per_sample": spec.per_sample,
        "shown": spec.shown,
    }


def _row(table: Table, row: Row) -> Facts:
    """A row; ``samples`` are in the order of the table's, None where one is not counted."""
    with_samples = [spec for spec in table.specs if spec.per_sample and row.complete]
    return {
        "key": row.key,
        "label": table.label(row.record),
        **facts_of(row),
        "scores": {spec.name: cell(row, spec) | _of_seeds(row, spec) for spec in table.specs},
        "notes": {n: why for (n, key), why in table.notes.items() if key == row.key},
        "bins": {spec.name: _bins(table, row, spec) for spec in table.specs},
        "samples": {
            spec.name: [_number(v) for v in table.samples.scores(row, spec.name).tolist()]
            for spec in with_samples
        },
    }


def _of_seeds(row: Row, spec: MetricSpec) -> Facts:
    return {"seeds": {str(r.seed): _number(r.total(spec.name)) for r in row.records}}


def _bins(table: Table, row: Row, spec: MetricSpec) -> list[Facts]:
    return [
        {
            "visible_from": low,
            "visible_to": high,
            "value": value,
            "n": n,
            "low": interval.low if interval else None,
            "high": interval.high if interval else None,
        }
        for low, high, value, n, interval in table.binned(row, spec.name)
    ]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value

"""Tables as Markdown, rounded for reading."""

from collections.abc import Sequence

from leaderboards.tables import (
    EMPTY,
    TRACK_TITLES,
    Row,
    Table,
    arrow,
    count,
    footnotes,
    milliseconds,
    number,
)
from metrics.protocol import MetricSpec


def to_markdown(tables: Sequence[Table]) -> str:
    """All tables with their headings, each with its data, protocol and footnotes."""
    return "\n\n".join(_section(table) for table in tables) + "\n"


def _section(table: Table) -> str:
    record = table.first
    people = len({s.person for row in table.rows for s in row.record.samples})
    about = (
        f"{record.data.title}: {record.n_expected} test samples of {people} people "
        f"(test split `{record.data.test_fingerprint[:12]}`), protocol {record.protocol.name} "
        f"{record.protocol.version}."
    )
    parts = [f"## {TRACK_TITLES[table.track]}", about, plain_table(table)]
    notes = [f"<sup>{i}</sup> {reason}." for reason, i in footnotes(table).items()]
    return "\n\n".join(parts + (["<br>\n".join(notes)] if notes else []))


def plain_table(table: Table) -> str:
    """The table alone as Markdown."""
    heads = ["#", "method", *map(_head, table.specs), "consumes", "params", "ms"]
    rows = [_cells(table, row) for row in table.rows]
    return _aligned(heads, rows, {1, len(heads) - 3})


def terminal_table(table: Table) -> str:
    """The table for a terminal: without markup, inputs and columns that hold no number."""
    keys = [row.record.key for row in table.rows]
    specs = [s for s in table.specs if any((s.name, key) not in table.notes for key in keys)]
    heads = ["#", "method", *map(_head, specs), "params", "ms"]
    rows = [
        [*_start(table, row), *(number(row.record.total(s.name), s) for s in specs), *_end(row)]
        for row in table.rows
    ]
    return _aligned(heads, rows, {1})


def _aligned(heads: list[str], rows: list[list[str]], left: set[int]) -> str:
    widths = [max(2, *(len(line[i]) for line in [heads, *rows])) for i in range(len(heads))]
    rule = [("-" * w) if i in left else ("-" * (w - 1) + ":") for i, w in enumerate(widths)]
    lines = [
        [_padded(cell, widths[i], i in left) for i, cell in enumerate(line)]
        for line in [heads, *rows]
    ]
    lines.insert(1, rule)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _padded(text: str, width: int, left: bool) -> str:
    return text.ljust(width) if left else text.rjust(width)


def _head(spec: MetricSpec) -> str:
    unit = f" {spec.unit}" if spec.unit else ""
    return f"{spec.title}{unit} {arrow(spec)}"


def _start(table: Table, row: Row) -> list[str]:
    return [EMPTY if row.rank is None else str(row.rank), table.label(row.record)]


def _end(row: Row) -> list[str]:
    return [count(row.record.parameters), milliseconds(row.record.milliseconds)]


def _cells(table: Table, row: Row) -> list[str]:
    numbers = [_cell(table, row, spec) for spec in table.specs]
    return [*_start(table, row), *numbers, ", ".join(row.record.consumes), *_end(row)]


def _cell(table: Table, row: Row, spec: MetricSpec) -> str:
    key = row.record.key
    text = number(row.record.total(spec.name), spec)
    reason = table.notes.get((spec.name, key))
    if reason is not None:
        return f"{text} <sup>{footnotes(table)[reason]}</sup>"
    return f"**{text}**" if key in table.best[spec.name] else text

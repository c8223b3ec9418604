"""Tables as Markdown, rounded for reading."""

import math
from collections.abc import Mapping, Sequence

from leaderboards.formats import (
    EMPTY,
    ONE_PERSON,
    arrow,
    costs,
    devices,
    drawn,
    ends,
    footnotes,
    nobody_found,
    number,
    of_one_training,
    people,
    unlike_budgets,
)
from leaderboards.order import TITLE as ORDER_TITLE
from leaderboards.order import Order, orders_of
from leaderboards.published import REST, TITLE, UNKNOWN, WORDS, beside, wrong_sums
from leaderboards.rates import CRITERIA
from leaderboards.records import Total
from leaderboards.rows import Row
from leaderboards.stats import Interval
from leaderboards.tables import TRACK_TITLES, Table
from metrics import protocol
from metrics.protocol import MetricSpec


def to_markdown(tables: Sequence[Table], *, intervals: bool = True) -> str:
    """All tables with their headings, each with its data, protocol, bins, parts and footnotes.

    Orders and figures shown by others stand apart, at the end. ``intervals``: print the 95 %
    interval below every number.
    """
    sections = [_section(table, intervals) for table in tables]
    sections += [order_section(order) for order in orders_of(tables)]
    printed = printed_elsewhere(tables)
    return "\n\n".join([*sections, *([printed] if printed else [])]) + "\n"


def order_section(order: Order) -> str:
    """A table's rows in the order of a paper that shows no figures."""
    table, spec = order.table, order.table.spec(order.table.headline)
    heads = ["paper", "ours", "system", "our row", _head(spec)]
    lines = [
        [
            *(str(one.place), str(one.ours), escaped(one.shown.item)),
            *(escaped(table.label(one.row.record)), number(one.value, spec)),
        ]
        for one in order.placed
    ]
    about = f"{order.words} {order}"
    title = f"## {ORDER_TITLE}: {TRACK_TITLES[table.track].lower()}, {table.first.protocol}"
    return "\n\n".join([title, about, aligned(heads, lines, {2, 3})])


def printed_elsewhere(tables: Sequence[Table]) -> str:
    """What others printed of the same, with its source; "" where the tables are not about it."""
    figures = beside(tables)
    if not figures:
        return ""
    heads = ["item", "what", "value", "hardware", "source", "note"]
    lines = [
        [
            *(escaped(figure[name]) for name in ("item", "metric")),
            f"{figure['value']} {figure['unit']}".strip(),
            *(escaped(figure[name]) for name in ("hardware", "source", "note")),
        ]
        for figure in figures
    ]
    words = f'{WORDS}"{UNKNOWN}"{REST}'
    wrong = [str(one) for one in wrong_sums(figures)]
    table = aligned(heads, lines, {0, 1, 3, 4, 5})
    return "\n\n".join([f"## {TITLE}", words, table, *wrong])


def _section(table: Table, intervals: bool) -> str:
    title = f"## {TRACK_TITLES[table.track]}"
    parts = [title, about(table, intervals), plain_table(table, intervals)]
    notes = [escaped(text) for text in (unlike_budgets(table), nobody_found(table))]
    said = (timed_on(table), *notes, floor_text(table))
    parts += [text for text in said if text]
    spec = table.spec(table.headline)
    if bins := bins_table(table, spec, intervals):
        parts += [f"### {spec.title} {arrow(spec)} by visible share of the person", bins]
    if tried := rates_table(table):
        criterion = _head(table.spec(CRITERIA[table.track][0]))
        parts += [f"### Learning rates: {criterion} on val, that of the chosen one bold", tried]
    for name in protocol.PART_METRICS[table.track]:
        if by_part := parts_table(table, name, intervals):
            parts += [f"### {_part_title(table, name)} by part of the body", by_part]
    return "\n\n".join(parts)


def _footnotes(table: Table) -> dict[str, int]:
    return footnotes(table, table.shown, cost=True)


def about(table: Table, intervals: bool = True) -> str:
    """Which data, how many samples and people, which protocol, what stands beside the numbers."""
    record = table.first
    who = {s.person for row in table.rows for one in row.records for s in one.samples}
    seeds = max(len(row.records) for row in table.rows)
    small = f" Small: 95 % interval over {drawn(table)}." if intervals else ""
    once = f" {of_one_training(table)}" if of_one_training(table) else ""
    if len(who) == 1:
        small, once = f" {ONE_PERSON}", ""
    spread = " ±: standard deviation over seeds." if seeds > 1 else ""
    return (
        f"{escaped(record.data.title)}: {record.n_expected} test samples of {people(len(who))} "
        f"(test split `{record.data.test_fingerprint[:12]}`), protocol {record.protocol}."
        f"{small}{spread}{once}"
    )


def timed_on(table: Table) -> str:
    """Where the milliseconds were measured; "" where nothing was."""
    places = devices(table)
    return f"ms: median of one prediction at batch 1, on {escaped(places)}." if places else ""


def floor_text(table: Table) -> str:
    """What true photos score among themselves; "" where nobody measured."""
    specs = {spec.name: spec for spec in table.specs}
    known = {
        specs[name].title: (specs[name], total)
        for name, total in table.first.floor.items()
        if name in specs and total.value is not None
    }
    if not known:
        return ""
    numbers = ", ".join(f"{title} {_total(*found)}" for title, found in known.items())
    n = next(iter(known.values()))[1].n
    return f"Two halves of the true photos score against each other ({n} in each): {numbers}."


def _total(spec: MetricSpec, total: Total) -> str:
    return number(math.nan if total.value is None else total.value, spec)


def plain_table(table: Table, intervals: bool = False, times: bool = True) -> str:
    """The table as Markdown, below it why cells are empty; ``times``: with the milliseconds."""
    heads = ["#", "method", *map(_head, table.shown), "consumes", "params", "MACs", "ms"]
    rows = [_cells(table, row, intervals) for row in table.rows]
    kept = len(heads) - (not times)
    text = aligned(heads[:kept], [row[:kept] for row in rows], {1, len(heads) - 4})
    marks = {f"<sup>{i}</sup>": reason for reason, i in _footnotes(table).items()}
    notes = [f"{mark} {reason}." for mark, reason in marks.items() if mark in text]
    return "\n\n".join([text, "<br>\n".join(notes)]) if notes else text


def terminal_table(table: Table) -> str:
    """The table for a terminal: without markup, inputs and columns that hold no number."""
    specs = _held(table)
    heads = ["#", "method", *map(_head, specs), "params", "ms"]
    rows = [
        [
            *(rank(row), table.label(row.record)),
            *(_number(row, spec) for spec in specs),
            *(cost["parameters"], cost["milliseconds"]),
        ]
        for row, cost in ((row, costs(row)) for row in table.rows)
    ]
    return aligned(heads, rows, {1})


def terminal_notes(table: Table) -> list[str]:
    """What to know of the table in a terminal: empty columns and cells, unlike budgets."""
    held = _held(table)
    gone = footnotes(table, [spec for spec in table.shown if spec not in held])
    said = [f"Empty columns are left out: {reason}" for reason in gone]
    said += [f"{EMPTY} {reason}" for reason in footnotes(table, held) if reason not in gone]
    return [*said, *(text for text in (unlike_budgets(table), of_one_training(table)) if text)]


def _held(table: Table) -> list[MetricSpec]:
    """The shown columns that hold a number."""
    keys = [row.key for row in table.rows]
    return [s for s in table.shown if any((s.name, key) not in table.notes for key in keys)]


def bins_table(table: Table, spec: MetricSpec, intervals: bool = False) -> str:
    """A metric by tenths of the visible share: one row a method; "" without any number."""
    found = {row.key: {b.low: b for b in table.binned(row, spec.name)} for row in table.rows}
    lows = sorted({low for bins in found.values() for low in bins})
    if not lows:
        return ""
    edge = {b.low: f"{b.low:.0%} to {b.high:.0%}" for bins in found.values() for b in bins.values()}
    most = {low: max(bins[low].n for bins in found.values() if low in bins) for low in lows}
    heads = ["method", *(f"{edge[low]} (n = {most[low]})" for low in lows)]
    lines = [
        [
            escaped(table.label(row.record)),
            *(
                _sure(number(bins[low].value, spec), bins[low].interval, spec, intervals)
                if low in bins
                else EMPTY
                for bins in [found[row.key]]
                for low in lows
            ),
        ]
        for row in table.rows
    ]
    return aligned(heads, lines, {0})


def rates_table(table: Table) -> str:
    """What val said of the learning rates it chose among: one row a method; "" without any."""
    found = {row.key: row.record.rates.get(table.track, {}) for row in table.rows}
    rates = sorted({rate for said in found.values() for rate in said}, key=float)
    chosen = {row.key: _rate(row, table.track) for row in table.rows}
    lines = [
        [
            escaped(table.label(row.record)),
            *(_said(found[row.key], rate, chosen[row.key]) for rate in rates),
        ]
        for row in table.rows
        if found[row.key]
    ]
    return aligned(["method", *rates], lines, {0}) if lines else ""


def _rate(row: Row, track: str) -> float | None:
    budget = (row.record.budget or {}).get(track, {})
    return budget.get("lr")


def _said(said: Mapping[str, float | None], rate: str, chosen: float | None) -> str:
    value = said.get(rate)
    if value is None:
        return EMPTY if rate not in said else "no number"
    return f"**{value:.4f}**" if chosen is not None and f"{chosen:g}" == rate else f"{value:.4f}"


def parts_table(table: Table, metric: str, intervals: bool = False) -> str:
    """A metric by part of the body: one row a method; "" where no part is known."""
    specs = [spec for spec in table.specs if spec.name.startswith(f"{metric}@")]
    if not specs:
        return ""
    heads = ["method", *(spec.name.partition("@")[2] for spec in specs)]
    lines = [
        [
            escaped(table.label(row.record)),
            *(
                _sure(_number(row, spec), row.intervals.get(spec.name), spec, intervals)
                for spec in specs
            ),
        ]
        for row in table.rows
    ]
    return aligned(heads, lines, {0})


def _sure(text: str, interval: Interval | None, spec: MetricSpec, wanted: bool) -> str:
    """A number with its interval below it, where there is one and it is wanted."""
    between = ends(interval, spec) if wanted else None
    return text if between is None else f"{text}<br><sub>{between[0]} to {between[1]}</sub>"


def _part_title(table: Table, metric: str) -> str:
    spec = protocol.spec_of(table.track, f"{metric}@part")
    return f"{spec.title.removesuffix(', part')} {arrow(spec)}"


def aligned(heads: list[str], rows: list[list[str]], left: set[int]) -> str:
    """A Markdown table whose source lines up; columns in ``left`` are aligned to the left."""
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


def escaped(text: str) -> str:
    """Text that ends no cell and starts no markup."""
    text = " ".join(text.split())
    for mark in "\\`*_|<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text


def rank(row: Row) -> str:
    """The rank as tables print it."""
    return EMPTY if row.rank is None else str(row.rank)


def _head(spec: MetricSpec) -> str:
    unit = f" {spec.unit}" if spec.unit else ""
    return f"{spec.title}{unit} {arrow(spec)}"


def _number(row: Row, spec: MetricSpec) -> str:
    spread = row.spread(spec.name)
    text = number(row.value(spec.name), spec)
    return text if spread is None else f"{text} ± {number(spread, spec)}"


def _cells(table: Table, row: Row, intervals: bool) -> list[str]:
    numbers = [_cell(table, row, spec, intervals) for spec in table.shown]
    name = escaped(table.label(row.record))
    cost = [text + _note(table, row, column) for column, text in costs(row).items()]
    return [rank(row), name, *numbers, ", ".join(row.record.consumes), *cost]


def _note(table: Table, row: Row, column: str) -> str:
    """The mark of the footnote that says why a cell is empty; "" where it is not."""
    reason = table.notes.get((column, row.key))
    return "" if reason is None else f" <sup>{_footnotes(table)[reason]}</sup>"


def _cell(table: Table, row: Row, spec: MetricSpec, intervals: bool) -> str:
    if note := _note(table, row, spec.name):
        return EMPTY + note
    text = number(row.value(spec.name), spec)
    text = f"**{text}**" if row.key in table.best[spec.name] else text
    spread = row.spread(spec.name)
    text += "" if spread is None else f" ± {number(spread, spec)}"
    return _sure(text, row.intervals.get(spec.name), spec, intervals)

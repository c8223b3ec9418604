r"""Tables as LaTeX for a paper: booktabs, best in bold, second underlined, arrows for the way up.

What comes out needs `\usepackage{booktabs}`; a TeX of before 2018 also wants
`\usepackage[utf8]{inputenc}` for letters beyond ASCII in titles.
"""

from collections.abc import Sequence

from leaderboards import formats
from leaderboards.formats import (
    ONE_PERSON,
    costs,
    devices,
    drawn,
    ends,
    footnotes,
    nobody_found,
    of_one_training,
    people,
    unlike_budgets,
)
from leaderboards.published import REST, UNKNOWN, WORDS, Figure, beside, wrong_sums
from leaderboards.rows import Row
from leaderboards.tables import TRACK_TITLES, Table
from metrics.protocol import MetricSpec

_EMPTY = "--"
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "“": "``",
    "”": "''",
    "–": "--",
    "—": "---",
    "±": r"$\pm$",
    "×": r"$\times$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


def to_latex(tables: Sequence[Table], *, intervals: bool = False, cost: bool = True) -> str:
    r"""All tables, each a `table` environment of its own.

    ``intervals``: below each method a small row with the 95 % intervals. ``cost``: the columns of
    parameters, multiply-adds and milliseconds, and, in a table apart, what others printed of them.
    """
    head = "% needs \\usepackage{booktabs}\n"
    made = [_table(table, intervals, cost) for table in tables]
    figures = beside(tables) if cost else []
    return head + "\n".join([*made, *([_printed(figures)] if figures else [])])


def escaped(text: str) -> str:
    """Text as LaTeX prints it: special characters escaped, control characters as spaces."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return "".join(_SPECIAL.get(c, c) for c in plain)


def _table(table: Table, intervals: bool, cost: bool) -> str:
    specs = table.shown
    heads = ["", "Method", *map(_head, specs), *(("Params", "MACs", "ms") if cost else ())]
    body = [line for row in table.rows for line in _lines(table, row, intervals, cost)]
    notes = [
        rf"\par\footnotesize \textsuperscript{{{i}}} {escaped(reason)}."
        for reason, i in footnotes(table, specs, cost=cost).items()
    ]
    if cost and (places := devices(table)):
        text = f"ms: median of one prediction at batch 1, on {places}."
        notes.append(rf"\par\footnotesize {escaped(text)}")
    said = (unlike_budgets(table), nobody_found(table))
    notes += [rf"\par\footnotesize {escaped(text)}" for text in said if text]
    columns = "rl" + "r" * (len(heads) - 2)
    return _environment(_caption(table, intervals), columns, heads, body, notes)


def _environment(
    caption: str, columns: str, heads: Sequence[str], body: Sequence[str], notes: Sequence[str]
) -> str:
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line(heads),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *notes,
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _printed(figures: Sequence[Figure]) -> str:
    """The figures of others, in a table of their own."""
    lines = [
        _line([escaped(f[name]) for name in ("item", "metric", "value", "unit", "hardware")])
        for f in figures
    ]
    said = [*dict.fromkeys(f"Source: {f['source']}" for f in figures)]
    said += [f"{f['item']}: {f['note']}" for f in figures if f["note"]]
    said += [str(wrong).removesuffix(".") for wrong in wrong_sums(figures)]
    return _environment(
        escaped(f"{WORDS}“{UNKNOWN}”{REST}"),
        "llrll",
        ["Item", "What", "Value", "Unit", "Hardware"],
        lines,
        [rf"\par\footnotesize {escaped(one)}." for one in said],
    )


def _caption(table: Table, intervals: bool) -> str:
    record = table.first
    small = f" Small: 95\\,\\% intervals over {drawn(table)}." if intervals else ""
    small = f" {ONE_PERSON}" if table.people == 1 else small
    spread = any(len(row.records) > 1 for row in table.rows)
    seeds = " $\\pm$: standard deviation over seeds." if spread else ""
    once = of_one_training(table)
    seeds += f" {once}" if once and table.people > 1 else ""
    return (
        f"{TRACK_TITLES[table.track]} on {escaped(record.data.title)} ({record.n_expected} "
        f"samples of {people(table.people)}), protocol {escaped(str(record.protocol))}. Best in "
        f"bold, second underlined; rows that share a rank differ by no more than chance."
        f"{small}{seeds}"
    )


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _head(spec: MetricSpec) -> str:
    unit = f" ({escaped(spec.unit)})" if spec.unit else ""
    way = r"$\uparrow$" if spec.higher_is_better else r"$\downarrow$"
    return f"{escaped(spec.title)}{unit} {way}"


def _lines(table: Table, row: Row, intervals: bool, cost: bool) -> list[str]:
    """The line of a method, and below it that of its intervals where they are asked for."""
    specs = table.shown
    rank = _EMPTY if row.rank is None else str(row.rank)
    marks = footnotes(table, specs, cost=cost)
    numbers = [_cell(table, row, spec, marks) for spec in specs]
    spent = costs(row) if cost else {}
    more = [_empty(table, row, name, marks) or escaped(text) for name, text in spent.items()]
    lines = [_line([rank, escaped(table.label(row.record)), *numbers, *more])]
    if intervals and row.intervals:
        between = [_between(row, spec) for spec in specs]
        lines.append(_line(["", "", *between, *("" for _ in more)]))
    return lines


def _between(row: Row, spec: MetricSpec) -> str:
    found = ends(row.intervals.get(spec.name), spec)
    if found is None:
        return ""
    low, high = map(_signed, found)
    return rf"{{\scriptsize [{low}, {high}]}}"


def _number(value: float, spec: MetricSpec) -> str:
    return _signed(formats.number(value, spec))


def _signed(text: str) -> str:
    """A hyphen is no minus."""
    return text.replace("-", "$-$")


def _empty(table: Table, row: Row, column: str, marks: dict[str, int]) -> str:
    """The mark of an empty cell with that of its footnote; "" where the cell is not empty."""
    reason = table.notes.get((column, row.key))
    return "" if reason is None else rf"{_EMPTY}\textsuperscript{{{marks[reason]}}}"


def _cell(table: Table, row: Row, spec: MetricSpec, marks: dict[str, int]) -> str:
    if empty := _empty(table, row, spec.name, marks):
        return empty
    text = _number(row.value(spec.name), spec)
    if row.key in table.best[spec.name]:
        text = rf"\textbf{{{text}}}"
    elif row.key in table.second[spec.name]:
        text = rf"\underline{{{text}}}"
    spread = row.spread(spec.name)
    return text if spread is None else rf"{text} $\pm$ {_number(spread, spec)}"

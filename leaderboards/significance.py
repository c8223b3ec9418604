"""Which differences between methods are more than chance: every pair of a table's rows.

A pair is compared on the same samples by the bootstrap over people and seeds of
`leaderboards.stats`. With many pairs some come out by chance, so every p stands beside its value
after Holm's correction over all pairs of the matrix. Two rows that share samples of fewer than two
people are no pair: nothing is known of chance there.
"""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from leaderboards.formats import EMPTY, arrow, drawn, of_one_training, people
from leaderboards.markdown import aligned
from leaderboards.rows import Row
from leaderboards.stats import LEVEL, Difference
from leaderboards.tables import Table, compare
from metrics.protocol import MetricSpec
from synth.errors import InputError
from synth.settings import hint

_HEAD = (
    "track", "metric", "first", "second", "difference", "low", "high", "p", "p_holm", "n",
    "protocol", "protocol_version", "border_band", "test_fingerprint",
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two rows of a table: how much the first is above the second.

    Attributes:
        holm: p after Holm's correction over all pairs.
    """

    first: Row
    second: Row
    found: Difference
    holm: float


@dataclass(frozen=True)
class Matrix:
    """The rows that have a number, in the order of the table, and the pairs of them."""

    table: Table
    spec: MetricSpec
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]


def significance(table: Table, metric: str | None = None) -> Matrix:
    """The matrix of a metric, the table's headline by default.

    Raises:
        InputError: a metric that the table has not, or one of a whole set, which has no samples
            to pair.
    """
    spec = _spec(table, table.headline if metric is None else metric)
    rows = tuple(row for row in table.rows if not math.isnan(row.value(spec.name)))
    compared = [
        (first, second, found)
        for i, first in enumerate(rows)
        for second in rows[i + 1 :]
        if (found := compare(first, second, spec, table.samples)) is not None
    ]
    corrected = holm([found.p for *_, found in compared])
    pairs = tuple(Pair(*one, p) for one, p in zip(compared, corrected, strict=True))
    return Matrix(table, spec, rows, pairs)


def _spec(table: Table, metric: str) -> MetricSpec:
    known = {spec.name: spec for spec in table.specs if spec.per_sample}
    if metric in known:
        return known[metric]
    if metric in {spec.name for spec in table.specs}:
        raise InputError(
            f"--metric {metric}: is one number of the whole set, without samples to pair; "
            f"take one of {', '.join(known)}"
        )
    raise InputError(
        f"--metric {metric}: the {table.track} track has no such metric; {hint(metric, [*known])}"
    )


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the chance of any false finding among all stays below p."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    corrected, largest = [1.0] * len(ps), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - place) * ps[i]))
        corrected[i] = largest
    return corrected


def to_csv(matrices: Sequence[Matrix]) -> str:
    """One line a pair, in full precision; pairs of all matrices stand below one heading.

    The last columns tell matrices apart, by the names that they have in leaderboard.csv.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    for matrix in matrices:
        rules, data = matrix.table.first.protocol, matrix.table.first.data
        group = (rules.name, rules.version, rules.border_band, data.test_fingerprint)
        for pair in matrix.pairs:
            found = pair.found
            numbers = (found.mean, found.interval.low, found.interval.high, found.p, pair.holm)
            names = (matrix.table.track, matrix.spec.name, pair.first.key, pair.second.key)
            writer.writerow([*names, *map(repr, numbers), found.n, *group])
    return text.getvalue()


def to_markdown(matrix: Matrix) -> str:
    """The matrix: row minus column with its interval, bold where it excludes zero."""
    labels = [matrix.table.label(row.record) for row in matrix.rows]
    cells = {(p.first.key, p.second.key): p for p in matrix.pairs}
    lines = [
        [f"{i}. {label}", *(_cell(matrix, cells, row, other) for other in matrix.rows)]
        for i, (label, row) in enumerate(zip(labels, matrix.rows, strict=True), 1)
    ]
    heads = ["", *(f"{i}." for i in range(1, len(labels) + 1))]
    table = aligned(heads, lines, {0}) if lines else ""
    spec = matrix.spec
    once = of_one_training(matrix.table)
    about = (
        f"{spec.title} {arrow(spec)} of the row minus that of the column, on the same samples, "
        f"with its {LEVEL:.0%} interval over "
        f"{drawn(matrix.table, people(matrix.table.people))}; bold where the interval excludes "
        f"zero, with a star where that also holds for all {len(matrix.pairs)} pairs "
        f"together (p < {1 - LEVEL:.2f} after Holm's correction).{f' {once}' if once else ''}"
    )
    wanted = len(matrix.rows) * (len(matrix.rows) - 1) // 2
    if len(matrix.pairs) < wanted:
        about += f" {EMPTY}: too few people in common to know of chance."
    return "\n\n".join([about, table]) + "\n"


def _cell(matrix: Matrix, cells: dict[tuple[str, str], Pair], row: Row, other: Row) -> str:
    """The difference of two rows, in either order; the p of a pair serves both."""
    sign, pair = 1, cells.get((row.key, other.key))
    if pair is None:
        sign, pair = -1, cells.get((other.key, row.key))
    if pair is None:
        return EMPTY
    found, decimals = pair.found, matrix.spec.decimals
    low, high = sorted((sign * found.interval.low, sign * found.interval.high))
    text = f"{sign * found.mean:+.{decimals}f}"
    text = f"**{text}**" if found.interval.excludes_zero() else text
    text += " \\*" if pair.holm < 1 - LEVEL else ""
    return f"{text} [{low:+.{decimals}f}, {high:+.{decimals}f}]"

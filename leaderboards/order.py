"""The order of the rows beside an order that others showed without printing figures.

A paper that shows pictures alone still ranks its systems. What such a picture says, with its
source, stands in published_order.csv; here our rows of the same systems are laid beside it, pair by
pair, so that a reader sees where the two agree, where chance may decide, and where they differ.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import combinations

from leaderboards.rows import Row
from leaderboards.tables import Table, beats

TITLE = "The paper's order"


@dataclass(frozen=True)
class Shown:
    """A system in the order of a source; systems of one place are not told apart.

    Attributes:
        methods: registered names of the rows that are this system.
    """

    track: str
    place: int
    item: str
    methods: tuple[str, ...]
    source: str
    note: str


@dataclass(frozen=True)
class Placed:
    """A system of the source that is in the table, by the best of its rows.

    Attributes:
        place: of the source. ours: 1 + how many of these systems have a better value.
    """

    shown: Shown
    row: Row
    value: float
    ours: int

    @property
    def place(self) -> int:
        """Its place in the source."""
        return self.shown.place


@dataclass(frozen=True)
class Order:
    """Systems in the source's order, and what our rows say of each pair that it orders.

    Attributes:
        same, reversed: pairs (first, second in the source) that are beyond chance in our table,
            one way or the other. open: pairs that our test people cannot tell apart.
    """

    table: Table
    placed: tuple[Placed, ...]
    same: tuple[tuple[Placed, Placed], ...]
    reversed: tuple[tuple[Placed, Placed], ...]
    open: tuple[tuple[Placed, Placed], ...]

    @property
    def words(self) -> str:
        """Who showed the order, how it was read, and what stands beside it."""
        first, spec = self.placed[0].shown, self.table.spec(self.table.headline)
        note = f" ({first.note})" if first.note else ""
        return (
            f"The order of these systems in {first.source}{note}, and ours by {spec.title}; of "
            "several rows of one system the best."
        )

    def __str__(self) -> str:
        count = len(self.same) + len(self.reversed) + len(self.open)
        title = self.table.spec(self.table.headline).title
        text = (
            f"Of {count} pair{'' if count == 1 else 's'} that it orders, our {title} has "
            f"{len(self.same)} the same way beyond chance, {len(self.reversed)} the other way, and "
            f"cannot tell {len(self.open)} apart."
        )
        if self.reversed:
            named = [f"{b.shown.item} above {a.shown.item}" for a, b in self.reversed]
            text += f" The other way: {', '.join(named)}."
        return text


def shown_orders() -> list[Shown]:
    """The lines of published_order.csv."""
    text = (resources.files("leaderboards") / "published_order.csv").read_text(encoding="utf-8")
    return [
        Shown(
            line["track"],
            int(line["place"]),
            line["item"],
            tuple(line["methods"].split()),
            line["source"],
            line["note"],
        )
        for line in csv.DictReader(text.splitlines())
    ]


def order_of(table: Table) -> Order | None:
    """Our rows beside the order of the source; None where fewer than two of its systems are."""
    placed = _placed(table)
    pairs = [(a, b) for a, b in combinations(placed, 2) if a.place < b.place]
    if not pairs:
        return None
    spec = table.spec(table.headline)
    same = tuple((a, b) for a, b in pairs if beats(a.row, b.row, spec, table.samples))
    other = tuple((a, b) for a, b in pairs if beats(b.row, a.row, spec, table.samples))
    undecided = tuple(pair for pair in pairs if pair not in same and pair not in other)
    return Order(table, tuple(placed), same, other, undecided)


def orders_of(tables: Sequence[Table]) -> list[Order]:
    """The orders of all tables that have one."""
    return [order for table in tables if (order := order_of(table)) is not None]


def _placed(table: Table) -> list[Placed]:
    """Systems in the source's order; of several rows of one the first, as the best is first."""
    spec = table.spec(table.headline)
    sign = 1 if spec.higher_is_better else -1
    best: list[tuple[Shown, Row, float]] = []
    for shown in shown_orders():
        ranked = (
            row
            for row in table.rows
            if shown.track == table.track
            and row.record.method in shown.methods
            and not (row.apart or math.isnan(row.value(spec.name)))
        )
        if row := next(ranked, None):
            best.append((shown, row, row.value(spec.name)))
    values = [sign * value for *_, value in best]
    return [
        Placed(shown, row, value, 1 + sum(other > sign * value for other in values))
        for shown, row, value in sorted(best, key=lambda one: one[0].place)
    ]

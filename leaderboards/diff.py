"""What differs between two runs: rows, numbers with paired intervals, and the tables themselves."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from leaderboards import stats
from leaderboards.folder import opened
from leaderboards.machine import VOLATILE, to_csv
from leaderboards.records import Record, read_record
from leaderboards.rows import by_method, samples_of
from leaderboards.tables import compare, make_tables
from metrics import protocol
from metrics.protocol import TRACKS, MetricSpec
from synth.errors import InputError


@dataclass(frozen=True)
class Change:
    """One number that two results share, where it differs.

    Attributes:
        row: key of the row; ``interval``: of second minus first over people, None for numbers of
            a whole set, which have no samples to pair.
    """

    row: str
    spec: MetricSpec
    first: float
    second: float
    interval: stats.Interval | None


@dataclass(frozen=True)
class Comparison:
    """Two runs beside each other.

    Attributes:
        only_first, only_second: rows that the other has not.
        unlike: rows of one name that are of other data or another protocol.
        lacking: numbers that only one of two results has, "row metric: only in the first".
        changes: numbers that differ.
        compared: how many numbers were looked at.
        same_table: whether the CSV files agree byte for byte, timing columns apart.
    """

    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    unlike: tuple[str, ...]
    lacking: tuple[str, ...]
    changes: tuple[Change, ...]
    compared: int
    same_table: bool

    @property
    def same(self) -> bool:
        """Whether nothing but timing differs."""
        rows = self.only_first or self.only_second or self.unlike or self.lacking
        return self.same_table and not (rows or self.changes)


def records_at(path: Path) -> list[Record]:
    """The records of an output folder, of a folder of records, or of one file.

    Raises:
        InputError: nothing there, or a record that was changed.
    """
    return [read_record(file) for file in record_files(path)]


def record_files(path: Path) -> list[Path]:
    """The files of :func:`records_at`.

    Raises:
        InputError: nothing there.
    """
    if path.is_file():
        return [path]
    if path.is_dir() and not (path / "results").is_dir():
        found = sorted(path.glob("*.seed-*.json"))
        if not found:
            raise InputError(f"{path}: holds no results; give an output folder or a record")
        return found
    return sorted(opened(path).results.glob("*.json"))


def diff(first: Path, second: Path) -> Comparison:
    """Compare two output folders, or two records.

    Two single records are compared whatever their names are, so that two methods can be.

    Raises:
        InputError: no results, or a record that was changed.
    """
    here, there = records_at(first), records_at(second)
    pairs = _pairs(here, there, by_name=not (first.is_file() and second.is_file()))
    like = [(a, b) for a, b in pairs if a.group == b.group]
    numbers = [change for a, b in like for change in _numbers(a, b)]
    named = {id(one) for pair in pairs for one in pair}
    return Comparison(
        only_first=tuple(r.key for r in here if id(r) not in named),
        only_second=tuple(r.key for r in there if id(r) not in named),
        unlike=tuple(a.key for a, b in pairs if a.group != b.group),
        lacking=tuple(line for a, b in like for line in _lacking(a, b)),
        changes=tuple(c for c in numbers if c.first != c.second),
        compared=len(numbers),
        same_table=_table(here) == _table(there),
    )


def _pairs(
    here: Sequence[Record], there: Sequence[Record], by_name: bool
) -> list[tuple[Record, Record]]:
    if not by_name:
        return [(here[0], there[0])]
    known = {record.key: record for record in there}
    return [(record, known[record.key]) for record in here if record.key in known]


def _numbers(first: Record, second: Record) -> Iterable[Change]:
    for name in _metrics(first):
        if name in _metrics(second):
            spec = protocol.spec_of(first.track, name)
            values = first.total(name), second.total(name)
            yield Change(first.key, spec, *values, _interval(first, second, spec))


def _metrics(record: Record) -> list[str]:
    """The metrics that a record has a number of, in the order of tables; those of parts last."""
    known = dict.fromkeys(spec.name for spec in TRACKS[record.track])
    names = [name for name in known if name in record.totals]
    names += sorted(name for name in record.totals if name not in known)
    return [name for name in names if record.totals[name].value is not None]


def _lacking(first: Record, second: Record) -> Iterable[str]:
    for one, other, words in ((first, second, "first"), (second, first, "second")):
        for name in _metrics(one):
            if name not in _metrics(other):
                yield f"{one.key} {name}: only in the {words}"


def _interval(first: Record, second: Record, spec: MetricSpec) -> stats.Interval | None:
    if not spec.per_sample:
        return None
    # Under names of their own, for two results of one method are two seeds of a row otherwise.
    named = [first.model_copy(update={"method": "1"}), second.model_copy(update={"method": "2"})]
    rows = by_method(named)
    found = compare(rows[1], rows[0], spec, samples_of(rows))
    return None if found is None else found.interval


def _table(records: Sequence[Record]) -> str:
    """The CSV without the columns that differ from run to run."""
    read = csv.DictReader(io.StringIO(to_csv(make_tables(records))))
    kept = [name for name in read.fieldnames or () if name not in VOLATILE]
    text = io.StringIO()
    writer = csv.DictWriter(text, kept, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(read)
    return text.getvalue()


def report(found: Comparison, first: str, second: str) -> str:
    """The comparison as text."""
    lines = [f"only in {first}: {key}" for key in found.only_first]
    lines += [f"only in {second}: {key}" for key in found.only_second]
    lines += [f"other data or protocol: {key}" for key in found.unlike]
    lines += found.lacking
    lines += [_line(change) for change in found.changes]
    lines.append(f"{len(found.changes)} of {found.compared} numbers differ.")
    apart = ", ".join(VOLATILE)
    words = "agree byte for byte" if found.same_table else "differ"
    return "\n".join([*lines, f"The tables {words} ({apart} apart)."])


def _line(change: Change) -> str:
    places = change.spec.decimals + 2
    text = f"{change.row} {change.spec.name}: {change.first:.{places}f} -> "
    text += f"{change.second:.{places}f} ({change.second - change.first:+.{places}f}"
    if change.interval is not None:
        text += f", 95 % {change.interval.low:+.{places}f} to {change.interval.high:+.{places}f}"
    return text + ")"

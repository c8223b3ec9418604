"""Tables: what is ranked with what, what is bold, and what an empty cell says."""

import io
import math
from typing import Any

import pandas as pd
import pytest

from leaderboards.markdown import terminal_table, to_markdown
from leaderboards.page import published
from leaderboards.records import Protocol
from leaderboards.tables import count, make_tables, milliseconds, to_csv
from tests.leaderboards.fakes import data, record

LOW = [0.3, 0.31, 0.29, 0.3, 0.32, 0.3, 0.28, 0.3]
MIDDLE = [0.6, 0.61, 0.58, 0.6, 0.62, 0.6, 0.57, 0.6]
HIGH = [0.61, 0.6, 0.59, 0.61, 0.61, 0.6, 0.58, 0.6]


def test_sorted_by_the_headline_best_first() -> None:
    (table,) = make_tables([record("a", LOW), record("b", HIGH), record("c", MIDDLE)])
    assert [row.record.method for row in table.rows] == ["b", "c", "a"]
    assert table.specs[0].name == table.headline == "iou"


def test_rows_that_chance_may_have_ordered_share_a_rank() -> None:
    (table,) = make_tables([record("a", LOW), record("b", HIGH), record("c", MIDDLE)])
    assert {row.record.method: row.rank for row in table.rows} == {"b": 1, "c": 1, "a": 3}


@pytest.mark.parametrize(
    "change",
    [
        {"data": data("d" * 64)},
        {"protocol": Protocol(version="0")},
        {"protocol": Protocol(name="x")},
    ],
)
def test_never_ranked_across_test_splits_or_protocols(change: dict[str, Any]) -> None:
    tables = make_tables([record("a", LOW), record("b", HIGH, **change)])
    assert len(tables) == 2
    assert [row.rank for table in tables for row in table.rows] == [1, 1]
    assert all(table.rows[0].record.key in table.best["iou"] for table in tables)


def test_a_partial_run_is_shown_last_and_unranked() -> None:
    partial = record("a", [0.99, 0.99], n_expected=8, totals={})
    (table,) = make_tables([partial, record("b", LOW)])
    last = table.rows[-1]
    assert last.record.method == "a" and last.rank is None and not last.intervals
    assert partial.key not in table.best["iou"]
    assert "only 2 of 8 samples were scored" in to_markdown([table])


def test_csv_does_not_depend_on_the_order_of_records() -> None:
    made = [record("a", LOW), record("b", HIGH), record("c", MIDDLE), record("b", HIGH, seed=1)]
    assert to_csv(make_tables(made)) == to_csv(make_tables(made[::-1]))


def test_csv_holds_full_precision_and_intervals() -> None:
    third = record("a", [1 / 3, 1 / 3, 2 / 3])
    frame = pd.read_csv(io.StringIO(to_csv(make_tables([third]))), float_precision="round_trip")
    assert frame.iou[0] == third.total("iou")
    assert frame.iou_low[0] <= frame.iou[0] <= frame.iou_high[0]
    assert {"consumes", "parameters", "milliseconds", "test_fingerprint"} <= set(frame.columns)


def test_csv_joins_tracks_with_empty_cells() -> None:
    empty = {"lpips_hole": "no weights"}
    content = record("a", LOW, track="content", totals={}, samples=(), n_expected=0, n_scored=0)
    frame = pd.read_csv(io.StringIO(to_csv(make_tables([record("a", LOW), content]))))
    assert list(frame.track) == ["mask", "content"]
    assert math.isnan(frame.iou[1]) and math.isnan(frame.l1_hole[0])
    assert empty.keys() <= set(frame.columns)


def test_markdown_marks_the_best_and_the_way_up() -> None:
    text = to_markdown(make_tables([record("a", LOW), record("b", HIGH)]))
    assert "IoU ↑" in text and "L1 ↓" in text
    row = next(line for line in text.splitlines() if "| B " in line)
    assert "**0.6000**" in row and "12.3 k" in row and "initial" in row
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_equal_best_values_are_all_bold() -> None:
    (table,) = make_tables([record("a", HIGH), record("b", HIGH)])
    assert len(table.best["iou"]) == 2


def test_an_empty_column_gives_its_reason_and_no_number() -> None:
    totals = {k: v for k, v in record("a", LOW).totals.items() if k != "pooled_iou"}
    missing = record("a", LOW, totals=totals, empty={"pooled_iou": "weights are not installed"})
    tables = make_tables([missing])
    text = to_markdown(tables)
    assert "– <sup>1</sup>" in text and "<sup>1</sup> weights are not installed." in text
    assert "pooled" not in terminal_table(tables[0])


def test_several_seeds_are_told_apart() -> None:
    (table,) = make_tables([record("a", LOW), record("a", HIGH, seed=1)])
    assert {table.label(row.record) for row in table.rows} == {"A (seed 0)", "A (seed 1)"}


def test_numbers_for_people() -> None:
    assert [count(n) for n in (0, 999, 1234, 55_600_000)] == ["0", "999", "1.23 k", "55.6 M"]
    times = {None: "–", 0.01: "< 0.1", 0.1234: "0.123", 12.34: "12.3", 1234.5: "1234"}
    assert [milliseconds(value) for value in times] == list(times.values())


def test_published_timings_stand_apart_with_their_true_sum() -> None:
    rows = published()
    assert all(row["source"] for row in rows)
    times = {row["item"]: float(row["value"]) for row in rows}
    true_sum = times["stage 1 (ours)"] + times["stage 2 (ours)"]
    total = next(row for row in rows if row["item"] == "total (ours)")
    assert f"{true_sum:.2f}" in total["note"] and float(total["value"]) != pytest.approx(true_sum)

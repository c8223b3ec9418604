"""CSV and JSON: every number comes back as it was, and two runs differ in the last columns only."""

import csv
import io
import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboards.machine import VOLATILE, to_csv, to_json
from leaderboards.tables import make_tables
from tests.leaderboards.fakes import content_record, record

LOW = [0.3, 0.31, 0.29, 0.3, 0.32, 0.3, 0.28, 0.3]
HIGH = [0.61, 0.6, 0.59, 0.61, 0.61, 0.6, 0.58, 0.6]


def _read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_does_not_depend_on_the_order_of_records() -> None:
    made = [record("a", LOW), record("b", HIGH), content_record(), record("b", HIGH, seed=1)]
    assert to_csv(make_tables(made)) == to_csv(make_tables(made[::-1]))
    assert to_json(make_tables(made)) == to_json(make_tables(made[::-1]))


def test_csv_holds_full_precision_and_intervals() -> None:
    third = record("a", [1 / 3, 1 / 3, 2 / 3])
    frame = pd.read_csv(io.StringIO(to_csv(make_tables([third]))), float_precision="round_trip")
    assert frame.iou[0] == third.total("iou") and frame.iou_n[0] == 3
    assert frame.iou_low[0] <= frame.iou[0] <= frame.iou_high[0]
    assert {"consumes", "parameters", "macs", "test_fingerprint"} <= set(frame.columns)


titles = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=5), titles, st.booleans())
def test_csv_round_trip(ious: list[float], title: str, two: bool) -> None:
    made = [record("a", ious, title=title, options={"net.k": [1, 2]})]
    made += [record("a", ious[::-1], title=title, options={"net.k": [1, 2]}, seed=3)] if two else []
    (table,) = make_tables(made)
    (row,) = table.rows
    (read,) = _read(to_csv([table]))
    assert read["title"] == title and json.loads(read["options"]) == {"net.k": [1, 2]}
    assert read["seeds"] == ("0 3" if two else "0")
    for spec in table.specs:
        value, interval, spread = row.value(spec.name), row.intervals[spec.name], None
        assert float(read[spec.name]) == value
        assert float(read[f"{spec.name}_low"]) == interval.low
        assert float(read[f"{spec.name}_high"]) == interval.high
        spread = row.spread(spec.name)
        assert read[f"{spec.name}_sd"] == ("" if spread is None else repr(spread))


def test_a_second_run_differs_in_the_last_columns_only() -> None:
    first = [record("a", LOW), record("b", HIGH, learned=True, seconds_fit=3.0)]
    later: dict[str, Any] = {"milliseconds": 9.0, "device": "another", "code_version": "0.2"}
    second = [one.model_copy(update=later | {"seconds_fit": 4.0}) for one in first]
    before, after = (list(csv.reader(io.StringIO(to_csv(make_tables(r))))) for r in (first, second))
    assert tuple(before[0][-len(VOLATILE) :]) == VOLATILE
    assert [line[: -len(VOLATILE)] for line in before] == [line[: -len(VOLATILE)] for line in after]
    assert before != after


def test_a_time_is_of_one_machine_where_seeds_ran_on_several() -> None:
    seeds = [
        record("a", LOW, milliseconds=None, device="first"),
        record("a", LOW, seed=1, milliseconds=9.0, device="slow"),
        record("a", LOW, seed=2, milliseconds=1.0, device="fast"),
        record("a", LOW, seed=3, milliseconds=8.0, device="slow"),
    ]
    (read,) = _read(to_csv(make_tables(seeds)))
    assert (read["milliseconds"], read["device"]) == ("8.5", "slow")
    (untimed,) = _read(to_csv(make_tables(seeds[:1])))
    assert (untimed["milliseconds"], untimed["device"]) == ("", "first")


def test_csv_joins_tracks_with_empty_cells() -> None:
    content = content_record(totals={}, bins=(), samples=(), n_expected=0, n_scored=0)
    mask, other = _read(to_csv(make_tables([record("a", LOW), content])))
    assert (mask["track"], other["track"]) == ("mask", "content")
    assert mask["l1_hole"] == "" and other["iou"] == other["l1_hole"] == other["rank"] == ""


def test_a_partial_run_leaves_its_numbers_empty() -> None:
    partial = record("a", [0.9], n_expected=8, totals={})
    (read,) = _read(to_csv(make_tables([partial])))
    assert read["iou"] == read["iou_low"] == read["iou_n"] == ""
    assert (read["n_expected"], read["n_scored"]) == ("8", "1")


def test_json_holds_what_a_plotter_needs() -> None:
    made = [content_record(), content_record(seed=1, errors=(0.3, 0.4))]
    content = json.loads(to_json(make_tables([*made, record("a", LOW, n_expected=9, totals={})])))
    mask, table = content["tables"]
    (row,) = table["rows"]
    assert table["headline"] == "l1_hole" and table["protocol"]["name"] == "strict"
    score = row["scores"]["l1_hole"]
    assert score["value"] == pytest.approx(0.25) and score["seeds"].keys() == {"0", "1"}
    assert score["low"] <= score["value"] <= score["high"] and score["sd"] > 0
    assert [one["id"] for one in table["samples"]] == ["000000", "000001"]
    assert row["samples"]["l1_hole"] == pytest.approx([0.2, 0.3])
    assert row["samples"]["l1_hole@head"][0] is None
    assert [one["visible_from"] for one in row["bins"]["fid"]] == [0.1, 0.9]
    assert row["milliseconds"] == 1.5 and row["macs"] == 6_789_000
    assert {spec["name"] for spec in table["metrics"]} == row["scores"].keys()
    (partial,) = mask["rows"]
    assert partial["scores"]["iou"]["value"] is None and partial["samples"] == {}
    assert partial["notes"]["iou"] == "only 8 of 9 samples were scored"


def test_nan_never_reaches_a_file() -> None:
    made = record("a", [0.5, 0.7])
    lost = {**made.totals, "l1": made.totals["l1"].model_copy(update={"value": None, "n": 0})}
    samples = tuple(s.model_copy(update={"scores": {**s.scores, "l1": None}}) for s in made.samples)
    tables = make_tables([record("a", [0.5, 0.7], totals=lost, samples=samples)])
    assert math.isnan(tables[0].rows[0].value("l1"))
    assert "nan" not in (to_csv(tables) + to_json(tables)).lower()


def test_an_unknown_cost_is_an_empty_cell_and_null_with_its_reason() -> None:
    tables = make_tables([record("a", LOW, parameters=None, macs=None)])
    (read,) = _read(to_csv(tables))
    assert read["parameters"] == read["macs"] == ""
    (row,) = json.loads(to_json(tables))["tables"][0]["rows"]
    assert row["parameters"] is None and row["macs"] is None
    assert row["notes"].keys() == {"parameters", "macs"}


def test_one_person_has_no_interval_in_any_file() -> None:
    tables = make_tables([record("a", LOW, people=["x"] * 8)])
    (read,) = _read(to_csv(tables))
    assert read["iou"] and read["iou_low"] == read["iou_high"] == ""
    (row,) = json.loads(to_json(tables))["tables"][0]["rows"]
    assert row["scores"]["iou"]["low"] is None and row["scores"]["iou"]["value"] is not None
    assert [(one["low"], one["n"]) for one in row["bins"]["iou"]] == [(None, 8)]

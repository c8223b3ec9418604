"""The paper's order beside ours: which systems, which rows of them, and what each pair says."""

import json

import pytest

from hdeocc.method import entries
from leaderboards.machine import to_json
from leaderboards.markdown import to_markdown
from leaderboards.order import Order, order_of, orders_of, shown_orders
from leaderboards.records import Record
from leaderboards.tables import make_tables
from tests.leaderboards.fakes import content_record, record

LOW = [0.3, 0.31, 0.29, 0.3, 0.32, 0.3, 0.28, 0.3]
MIDDLE = [0.6, 0.61, 0.58, 0.6, 0.62, 0.6, 0.57, 0.6]
HIGH = [0.9, 0.91, 0.89, 0.9, 0.92, 0.9, 0.88, 0.9]
# No better and no worse than MIDDLE beyond chance.
LIKE_MIDDLE = [0.61, 0.6, 0.59, 0.61, 0.61, 0.6, 0.58, 0.6]


def _order(*records: Record) -> Order:
    (table,) = make_tables(records)
    found = order_of(table)
    assert found is not None
    return found


def _items(pairs: tuple) -> list[tuple[str, str]]:
    return [(first.shown.item, second.shown.item) for first, second in pairs]


def test_every_row_that_it_names_is_there_and_named_once() -> None:
    lines = shown_orders()
    for track in ("mask", "content"):
        names = [name for line in lines if line.track == track for name in line.methods]
        assert len(names) == len(set(names)) and {f"{track}.{n}" for n in names} <= set(entries())
    assert {line.track for line in lines} <= {"mask", "content"}
    assert all(line.source and line.methods for line in lines)


def test_pairs_are_confirmed_contradicted_or_left_open() -> None:
    order = _order(
        record("segan", HIGH),
        record("pcnet", MIDDLE),
        record("two-stage", LIKE_MIDDLE),
        record("pix2pix", LOW),
    )
    assert [one.shown.item for one in order.placed] == [
        "Ours (two-stage)",
        "PCNets",
        "SeGAN",
        "Pix2Pix",
    ]
    assert [one.ours for one in order.placed][2:] == [1, 4]
    assert _items(order.open) == [("Ours (two-stage)", "PCNets")]
    assert _items(order.reversed) == [("Ours (two-stage)", "SeGAN"), ("PCNets", "SeGAN")]
    assert len(order.same) == 3
    assert "Of 6 pairs" in str(order) and "SeGAN above PCNets" in str(order)


def test_systems_of_one_place_are_no_pair() -> None:
    (table,) = make_tables([record("mask-rcnn", HIGH), record("pix2pix", LOW)])
    assert order_of(table) is None


def test_the_best_row_of_a_system_stands_for_it_and_no_pre_trained_one() -> None:
    order = _order(
        record("pcnet", MIDDLE),
        record("pcnet-occluder", HIGH, pretrained="elsewhere"),
        record("ovsr", LOW),
        record("ovsr-iterated", HIGH),
    )
    assert [one.row.record.method for one in order.placed] == ["pcnet", "ovsr-iterated"]
    assert [(one.place, one.ours) for one in order.placed] == [(2, 2), (3, 1)]


def test_rows_that_have_equal_numbers_share_a_place() -> None:
    order = _order(record("pcnet", MIDDLE), record("ovsr", MIDDLE), record("segan", LOW))
    assert [one.ours for one in order.placed] == [1, 1, 3]


def test_other_methods_and_tracks_have_none() -> None:
    tables = make_tables([record("a", LOW), record("two-stage", HIGH), content_record("pix2pix")])
    assert orders_of(tables) == []
    assert "paper's order" not in to_markdown(tables)
    assert json.loads(to_json(tables))["orders"] == []


@pytest.fixture
def markdown_and_json() -> tuple[str, dict]:
    tables = make_tables([record("two-stage", HIGH), record("pix2pix", LOW)])
    return to_markdown(tables), json.loads(to_json(tables))


def test_it_stands_in_markdown_and_json(markdown_and_json: tuple[str, dict]) -> None:
    text, content = markdown_and_json
    section = text.partition("## The paper's order: mask completion")[2].partition("\n## ")[0]
    assert "by eye" in section and "Of 1 pair that it orders, our IoU has 1" in section
    assert section.count("\n| ") == 4
    [order] = content["orders"]
    assert order["pairs"] == {
        "same": [["Ours (two-stage)", "Pix2Pix"]],
        "reversed": [],
        "open": [],
    }
    assert [(one["place"], one["ours"]) for one in order["systems"]] == [(1, 1), (5, 2)]
    keys = {row["key"] for table in content["tables"] for row in table["rows"]}
    assert {one["key"] for one in order["systems"]} <= keys

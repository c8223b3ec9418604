"""Tables: what is ranked with what, what is bold, and what an empty cell says."""

import math
import statistics
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboards import gallery, stats
from leaderboards.folder import Folder
from leaderboards.formats import COST, EMPTY, count, footnotes, milliseconds, unlike_budgets
from leaderboards.gallery import Cases
from leaderboards.latex import to_latex
from leaderboards.markdown import terminal_notes, to_markdown
from leaderboards.page_data import table_data
from leaderboards.records import Protocol, Record, Total
from leaderboards.tables import Table, filtered, make_tables
from synth.errors import InputError
from tests.leaderboards.fakes import content_record, data, record

LOW = [0.3, 0.31, 0.29, 0.3, 0.32, 0.3, 0.28, 0.3]
MIDDLE = [0.6, 0.61, 0.58, 0.6, 0.62, 0.6, 0.57, 0.6]
HIGH = [0.61, 0.6, 0.59, 0.61, 0.61, 0.6, 0.58, 0.6]

scores = st.lists(st.floats(0, 1), min_size=6, max_size=6)


def _ranks(table: Table) -> dict[str, int | None]:
    return {row.record.method: row.rank for row in table.rows}


def test_sorted_by_the_headline_best_first() -> None:
    (table,) = make_tables([record("a", LOW), record("b", HIGH), record("c", MIDDLE)])
    assert [row.record.method for row in table.rows] == ["b", "c", "a"]
    assert table.specs[0].name == table.shown[0].name == table.headline == "iou"


def test_lower_is_better_where_the_metric_says_so() -> None:
    (table,) = make_tables([content_record("a", LOW), content_record("b", HIGH)])
    assert _ranks(table) == {"a": 1, "b": 2}
    assert table.best["l1_hole"] == table.best["ssim_hole"] == {"content.a.seed-0"}
    assert table.second["l1_hole"] == table.second["ssim_hole"] == {"content.b.seed-0"}


def test_rows_that_chance_may_have_ordered_share_a_rank() -> None:
    (table,) = make_tables([record("a", LOW), record("b", HIGH), record("c", MIDDLE)])
    assert _ranks(table) == {"b": 1, "c": 1, "a": 3}


def test_pre_trained_rows_are_named_so_and_ranked_apart() -> None:
    elsewhere = {"pretrained": "Places2"}
    ours = [record("a", LOW), record("b", MIDDLE)]
    theirs = [record("c", [s + 0.1 for s in HIGH], **elsewhere), record("d", LOW, **elsewhere)]
    (table,) = make_tables([*theirs, *ours])
    assert [row.record.method for row in table.rows] == ["b", "a", "c", "d"]
    assert _ranks(table) == {"b": 1, "a": 2, "c": 1, "d": 2}
    assert table.best["iou"] == {"mask.b.seed-0"} and table.second["iou"] == {"mask.a.seed-0"}
    labels = [table.label(row.record) for row in table.rows]
    assert labels == ["B", "A", "C (pre-trained on Places2)", "D (pre-trained on Places2)"]
    (without,) = make_tables(ours)
    assert [(row.key, row.rank) for row in without.rows] == [
        (row.key, row.rank) for row in table.rows[:2]
    ]


def test_the_best_picture_of_a_person_is_none_of_a_pre_trained_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (table,) = make_tables([record("a", LOW), record("b", HIGH, pretrained="Places2")])
    blank = np.zeros((8, 8, 3), np.uint8)
    monkeypatch.setattr(gallery, "_picture", lambda *_: blank)
    person: Any = SimpleNamespace(sample_id=table.first.samples[0].id)
    shots = gallery._method_shots(table, Folder(tmp_path), person, 8)
    assert [shot.best for shot in shots] == [True, False]


def test_the_page_ranks_pre_trained_rows_apart_too() -> None:
    (table,) = make_tables([record("a", LOW), record("b", HIGH, pretrained="Places2")])
    rows = table_data(table, "t", Cases((), ()))["rows"]
    assert [(row["apart"], row["better"]) for row in rows] == [("", []), ("pre-trained", [])]


@pytest.mark.parametrize(("told", "words"), [("occluder", "occluder"), ("amodal", "amodal")])
def test_a_row_that_is_told_a_truth_outranks_nobody_and_is_never_bold(
    told: str, words: str
) -> None:
    ours = [record("a", LOW), record("b", MIDDLE, consumes=["initial"])]
    theirs = [record("c", HIGH, consumes=["image", told]), record("d", HIGH, pretrained="Places2")]
    (table,) = make_tables([*theirs, *ours])
    assert [row.record.method for row in table.rows] == ["b", "a", "d", "c"]
    assert _ranks(table) == {"b": 1, "a": 2, "c": 1, "d": 1}
    assert table.best["iou"] == {"mask.b.seed-0"}
    assert table.label(table.rows[-1].record) == f"C (told: {words})"
    (without,) = make_tables(ours)
    assert [(row.key, row.rank) for row in without.rows] == [
        (row.key, row.rank) for row in table.rows[:2]
    ]


def test_rows_that_are_told_unlike_truths_do_not_rank_among_each_other() -> None:
    told = {"a": ["occluder"], "b": ["amodal"], "c": ["amodal"]}
    rows = [record(m, s, consumes=told[m]) for m, s in zip("abc", (HIGH, LOW, HIGH), strict=True)]
    more = {"pretrained": "Places2", "consumes": ["amodal"]}
    (table,) = make_tables([*rows, record("d", LOW, **more), record("e", HIGH, pretrained="COCO")])
    assert _ranks(table) == {"a": 1, "c": 1, "b": 2, "d": 1, "e": 1}
    labels = {table.label(row.record) for row in table.rows}
    assert {"D (pre-trained on Places2, told: amodal)", "E (pre-trained on COCO)"} <= labels


def test_seeds_that_read_unlike_things_are_no_seeds_of_one_row() -> None:
    seeds = [record("a", LOW, seed=0), record("a", LOW, seed=1, consumes=["initial", "occluder"])]
    (table,) = make_tables(seeds)
    assert [(row.seeds, row.apart) for row in table.rows] == [((0,), ""), ((1,), "told: occluder")]


def test_unlike_budgets_are_said_below_the_table() -> None:
    def trained(name: str, samples: int, lr: float = 1e-3) -> Record:
        spent = {"mask": {"samples": samples, "batch": 8, "lr": lr}}
        return record(name, LOW, learned=True, budget=spent)

    (like,) = make_tables([trained("a", 9000), trained("b", 9000, 2e-3), record("c", LOW)])
    assert unlike_budgets(like) == ""
    (unlike,) = make_tables([trained("a", 9000), trained("b", 70), record("c", LOW)])
    said = "Trained on unlike budgets. mask 9,000 samples by 8: A; mask 70 samples by 8: B."
    assert unlike_budgets(unlike) == said
    assert said in to_markdown([unlike]) and "unlike" not in to_markdown([like])
    assert said in to_latex([unlike]).replace("\\", "") and said in terminal_notes(unlike)


def test_a_row_of_one_training_is_not_said_to_be_certain() -> None:
    again = "What another training of a row with one seed would give is in no interval"
    several = [record("a", LOW, seed=i, learned=True) for i in (0, 1)]
    (sure,) = make_tables([*several, record("b", HIGH)])
    assert again not in to_markdown([sure]) and "over people and seeds" in to_markdown([sure])
    (unsure,) = make_tables([*several, record("b", HIGH, learned=True)])
    assert again in to_markdown([unsure]) and again in to_latex([unsure])


def test_the_terminal_tells_empty_columns_from_empty_cells() -> None:
    half, none = record("a", LOW), record("b", LOW)
    totals = {k: v for k, v in none.totals.items() if k != "invisible_iou"}
    none = none.model_copy(update={"totals": totals, "empty": {"invisible_iou": "nothing hidden"}})
    (table,) = make_tables([half, none])
    assert f"{EMPTY} nothing hidden" in terminal_notes(table)
    (table,) = make_tables([none])
    assert "Empty columns are left out: nothing hidden" in terminal_notes(table)


def test_true_masks_are_given_on_the_content_track_and_the_true_parsing_is_not() -> None:
    masks = {"consumes": ["image", "modal", "amodal"]}
    rows = [
        content_record("a", LOW, **masks),
        content_record("b", HIGH, consumes=["image", "modal", "amodal", "parsing"]),
    ]
    (table,) = make_tables(rows)
    assert [row.told for row in table.rows] == [(), ("parsing",)]


@pytest.mark.parametrize(
    "change",
    [
        {"data": data("d" * 64)},
        {"protocol": Protocol(version="0")},
        {"protocol": Protocol(name="official")},
        {"protocol": Protocol(border_band=2)},
    ],
)
def test_never_ranked_across_test_splits_or_protocols(change: dict[str, Any]) -> None:
    tables = make_tables([record("a", LOW), record("b", HIGH, **change)])
    assert len(tables) == 2
    assert [row.rank for table in tables for row in table.rows] == [1, 1]
    assert all(table.rows[0].key in table.best["iou"] for table in tables)


def test_our_own_protocol_comes_first() -> None:
    official = content_record("a", protocol=Protocol(name="official"))
    tables = make_tables([official, content_record("a"), record("a")])
    names = [(table.track, table.first.protocol.name) for table in tables]
    assert names == [("mask", "strict"), ("content", "strict"), ("content", "official")]


def test_a_partial_run_is_shown_last_and_unranked() -> None:
    partial = record("a", [0.99, 0.99], n_expected=8, totals={})
    (table,) = make_tables([partial, record("b", LOW)])
    last = table.rows[-1]
    assert last.record.method == "a" and last.rank is None and not last.intervals
    assert partial.key not in table.best["iou"] and table.binned(last, "iou") == []
    assert table.notes["iou", partial.key] == "only 2 of 8 samples were scored"


def test_a_hole_in_one_seed_leaves_the_method_without_a_score() -> None:
    partial = record("a", [0.99, 0.99], n_expected=8, totals={}, seed=1)
    (table,) = make_tables([record("a", HIGH), partial, record("b", LOW)])
    first, last = table.rows
    assert (first.record.method, last.record.method) == ("b", "a")
    assert last.rank is None and math.isnan(last.value("iou")) and last.spread("iou") is None
    assert table.notes["iou", last.key] == "seed 1: only 2 of 8 samples were scored"


def test_seeds_of_a_method_are_one_row_with_mean_and_spread() -> None:
    made = [record("a", LOW), record("a", HIGH, seed=1), record("a", MIDDLE, seed=7)]
    (table,) = make_tables(made)
    (row,) = table.rows
    values = [one.total("iou") for one in made]
    assert row.seeds == (0, 1, 7) and row.record == made[0]
    assert row.value("iou") == pytest.approx(statistics.mean(values), abs=1e-15)
    assert row.spread("iou") == pytest.approx(statistics.stdev(values))
    assert make_tables(made[:1])[0].rows[0].spread("iou") is None


def test_a_setting_that_is_not_used_makes_no_other_method() -> None:
    """An earlier version did not know it, and its seeds are still seeds of the same row."""

    def spending(seed: int, **more: object) -> Record:
        return record("a", HIGH, seed=seed, budget={"mask": {"samples": 8} | more})

    (table,) = make_tables([spending(0), spending(1, trial_samples=None)])
    assert [row.seeds for row in table.rows] == [(0, 1)]
    (table,) = make_tables([spending(0), spending(1, trial_samples=4)])
    assert len(table.rows) == 2


def test_a_row_of_several_seeds_outranks_another_only_if_it_does_so_with_most_of_them() -> None:
    # On the average over its seeds, a is better than b by as much in both cases.
    noise = np.array([0.01, -0.01, 0.02, -0.02, 0.01, -0.01, 0.02, -0.02])
    b = record("b", [0.5] * 8)
    for lucks, rank in (((0.05, 0.06, 0.07), 2), ((0.24, -0.02, -0.04), 1)):
        seeds = [record("a", list(0.5 + luck + noise), seed=i) for i, luck in enumerate(lucks)]
        (table,) = make_tables([*seeds, b])
        assert table.rows[0].value("iou") == pytest.approx(0.56)
        assert _ranks(table) == {"a": 1, "b": rank}


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"net.templates": 0}},
        {"preset": "full"},
        {"benchmark": "other"},
        {"budget": {"mask": {"samples": 9}}},
        {"data": data().model_copy(update={"fingerprint": "e" * 64})},
    ],
)
def test_runs_that_differ_in_more_than_the_seed_are_rows_apart(change: dict[str, Any]) -> None:
    (table,) = make_tables([record("a", LOW), record("a", HIGH, seed=1, **change)])
    assert len(table.rows) == 2


def test_the_same_method_and_seed_twice_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"mask\.a\.seed-0: two results of this name"):
        make_tables([record("a", LOW), record("a", HIGH)])


@settings(max_examples=25, deadline=None)
@given(st.lists(scores, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_results_and_seeds_does_not_matter(lists: list[list[float]], rng: Any) -> None:
    made = [record("abc"[i % 3], ious, seed=i // 3) for i, ious in enumerate(lists)]
    shuffled = made[:]
    rng.shuffle(shuffled)
    assert make_tables(shuffled) == make_tables(made)


@settings(max_examples=25, deadline=None)
@given(st.lists(scores, min_size=1, max_size=4), scores)
def test_adding_a_worse_method_changes_no_better_rank(
    lists: list[list[float]], worse: list[float]
) -> None:
    made = [record(f"m{i}", ious) for i, ious in enumerate(lists)]
    before = _ranks(make_tables(made)[0])
    bottom = min(one.total("iou") for one in made)
    added = record("worse", [min(v, bottom) for v in worse])
    after = _ranks(make_tables([*made, added])[0])
    assert {name: after[name] for name in before} == before


@settings(max_examples=25, deadline=None)
@given(st.lists(scores, min_size=1, max_size=3))
def test_ranks_and_intervals_fit_the_numbers(lists: list[list[float]]) -> None:
    (table,) = make_tables([record(f"m{i}", ious) for i, ious in enumerate(lists)])
    assert table.rows[0].rank == 1
    for row in table.rows:
        assert row.rank is not None and 1 <= row.rank <= len(table.rows)
        for name, interval in row.intervals.items():
            scores = [s.scores.get(name) for s in row.record.samples if name != "pooled_iou"]
            if scores:
                assert min(scores) - 1e-9 <= interval.low <= interval.high <= max(scores) + 1e-9


def test_intervals_hold_the_mean_they_are_of() -> None:
    rng = np.random.default_rng(3)
    people = [f"p{i // 3}" for i in range(60)]
    for _ in range(20):
        (table,) = make_tables([record("a", rng.random(60).tolist(), people=people)])
        (row,) = table.rows
        for name in ("iou", "l1", "pooled_iou"):
            assert row.intervals[name].low <= row.value(name) <= row.intervals[name].high


def test_intervals_of_a_set_are_those_that_scoring_made_averaged_over_seeds() -> None:
    first, second = content_record(), content_record(seed=1)
    fid = second.totals["fid"].model_copy(update={"low": 3.0, "high": 2000.0})
    second = second.model_copy(update={"totals": second.totals | {"fid": fid}})
    (row,) = make_tables([first, second])[0].rows
    assert row.intervals["fid"] == stats.Interval(2.0, 1500.0)


def test_bins_are_the_means_of_their_samples() -> None:
    hidden = [0.05, 0.1, 0.15, 0.9, 0.93, 1.0, 0.0, 0.55]
    (table,) = make_tables([record("a", LOW, hidden=hidden)])
    (row,) = table.rows
    bins = table.binned(row, "iou")
    assert [(b.low, b.high, b.n) for b in bins] == [(0, 0.1, 2), (0.1, 0.2, 1), (0.4, 0.5, 1),
                                                    (0.8, 0.9, 1), (0.9, 1.0, 3)]  # fmt: skip
    assert bins[0].value == pytest.approx((0.32 + 0.3) / 2)
    assert bins[-1].value == pytest.approx((LOW[0] + LOW[1] + LOW[6]) / 3)
    assert sum(b.n * b.value for b in bins) / 8 == pytest.approx(row.value("iou"))
    for one in bins:
        assert (one.interval is None) is (one.n == 1), "one person has no interval"
        assert one.interval is None or one.interval.low <= one.value <= one.interval.high
    pooled = table.binned(row, "pooled_iou")
    assert [b.n for b in pooled] == [b.n for b in bins]
    assert [b.interval is None for b in pooled] == [b.n == 1 for b in bins]
    assert pooled[0].value == pytest.approx((0.32 + 0.3) / 2)


def test_a_bin_of_one_person_has_no_interval_however_many_samples_it_holds() -> None:
    people, hidden = ["x", "x", "x", "y"], [0.31, 0.32, 0.33, 0.75]
    (table,) = make_tables([record("a", [0.1, 0.2, 0.3, 0.9], people=people, hidden=hidden)])
    (row,) = table.rows
    for metric in ("iou", "pooled_iou"):
        assert [(b.n, b.interval) for b in table.binned(row, metric)] == [(1, None), (3, None)]
        assert row.intervals[metric].low < row.intervals[metric].high, "two people have one"


def test_one_person_gives_neither_intervals_nor_an_order() -> None:
    made = [record(name, ious, people=["x"] * 8) for name, ious in (("a", LOW), ("b", HIGH))]
    (table,) = make_tables(made)
    assert [row.record.method for row in table.rows] == ["b", "a"], (
        "sorted by the number all the same"
    )
    assert _ranks(table) == {"a": 1, "b": 1}
    assert all(not row.intervals for row in table.rows)
    (two,) = make_tables([record("a", LOW), record("b", HIGH)])
    assert _ranks(two) == {"b": 1, "a": 2} and two.rows[0].intervals


def test_bins_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (table,) = make_tables([record("a", LOW, hidden=[0.05 * i for i in range(8)])])
    first = table.binned(table.rows[0], "iou")
    monkeypatch.setattr("leaderboards.stats.mean_interval", None)
    assert table.binned(table.rows[0], "iou") == first and first


def test_bins_of_a_set_are_those_that_scoring_made() -> None:
    (table,) = make_tables([content_record(), content_record(seed=1, errors=(0.3, 0.4))])
    (row,) = table.rows
    bins = table.binned(row, "fid")
    assert [(b.low, b.high) for b in bins] == [(0.1, 0.2), (0.9, 1.0)]
    assert bins[0].value == pytest.approx((30 + 70) / 2)
    assert bins[0].interval == stats.Interval(1.0, 1000.0)


def test_parts_of_the_body_are_columns_that_are_not_printed() -> None:
    (table,) = make_tables([content_record()])
    spec = table.spec("l1_hole@head")
    assert spec == table.specs[-1] and spec not in table.shown and "head" in spec.title
    assert table.rows[0].count(spec.name) == 1


def test_columns_that_nobody_asked_for_are_left_out() -> None:
    (table,) = make_tables([content_record()])
    names = {spec.name for spec in table.specs}
    assert {"l1_hole", "fid", "ssim"} <= names and "lpips_vgg" not in names


def test_filters_by_track_and_by_inputs_and_ranks_anew() -> None:
    greedy = record("greedy", HIGH, consumes=("initial", "occluder"))
    tables = make_tables([greedy, record("a", LOW), content_record()])
    (kept,) = filtered(tables, track="mask", consumes={"initial", "image"})
    assert _ranks(kept) == {"a": 1} and kept.best["iou"] == {"mask.a.seed-0"}
    assert filtered(tables) == tables
    assert filtered(tables, consumes=()) == []


def test_equal_best_values_are_all_best_and_the_next_is_second() -> None:
    (table,) = make_tables([record("a", HIGH), record("b", HIGH), record("c", LOW)])
    assert len(table.best["iou"]) == 2
    assert table.second["iou"] == {"mask.c.seed-0"}


def test_repeated_titles_are_told_apart() -> None:
    (table,) = make_tables([record("a", LOW, title="T"), record("b", HIGH, title="T")])
    assert {table.label(row.record) for row in table.rows} == {"T (a)", "T (b)"}


def test_a_method_that_does_not_parse_says_so_and_nothing_scary() -> None:
    parsing = Total(value=0.4, n=8)
    reason = {"parsing_miou": "no sample has a true and a predicted parsing of a person"}
    parses = record("a", HIGH)
    parses = parses.model_copy(update={"totals": parses.totals | {"parsing_miou": parsing}})
    (table,) = make_tables([parses, record("b", LOW, empty=reason)])
    assert table.notes == {("parsing_miou", "mask.b.seed-0"): "does not parse"}
    (without,) = make_tables([record("b", LOW, empty=reason)])
    assert "parsing_miou" not in {spec.name for spec in without.specs} and not without.notes


def test_what_nobody_said_of_the_cost_is_empty_with_its_reason() -> None:
    silent = record("theirs", LOW, parameters=None, macs=None, milliseconds=None)
    floor = record("floor", HIGH, parameters=0, macs=None)
    graph = record("graph", HIGH, parameters=7, macs=None)
    (table,) = make_tables([silent, floor, graph])
    assert (
        table.notes["macs", graph.key] == "not counted: its network is not made of torch's modules"
    )
    assert {name for name, key in table.notes if key == silent.key} == {*COST}
    assert not any(key == floor.key for _, key in table.notes), "no network, no multiply-adds"
    assert "did not say" in table.notes["parameters", silent.key]
    assert footnotes(table) == {} and len(footnotes(table, cost=True)) == 2


def test_an_unfit_record_without_samples_has_a_reason() -> None:
    nothing = content_record(totals={}, bins=(), samples=(), n_expected=0, n_scored=0)
    (table,) = make_tables([nothing])
    assert table.rows[0].rank is None
    reason = table.notes["l1_hole", nothing.key]
    assert reason == "no sample of this split knows what is hidden"


def test_numbers_for_people() -> None:
    assert [count(n) for n in (0, 999, 1234, 55_600_000, None)] == [
        "0", "999", "1.23 k", "55.6 M", "–",
    ]  # fmt: skip
    up = (999_499, 999_500, 999_600, 999_999_999, 999_600_000_000)
    assert [count(n) for n in up] == ["999 k", "1 M", "1 M", "1 G", "1 T"]
    times = {None: "–", 0.01: "< 0.1", 0.1234: "0.123", 12.34: "12.3", 1234.5: "1234"}
    assert [milliseconds(value) for value in times] == list(times.values())


def _many(methods: int, people: int) -> list[Record]:
    rng = np.random.default_rng(0)
    return [record(f"m{i:02d}", rng.random(people).tolist()) for i in range(methods)]


def test_fifteen_methods_on_two_hundred_people_take_seconds() -> None:
    (table,) = make_tables(_many(15, 200))
    assert len(table.rows) == 15

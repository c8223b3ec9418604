"""Markdown: what is bold, which way is up, and that every number has its interval."""

import re

from leaderboards.latex import to_latex
from leaderboards.markdown import terminal_table, to_markdown
from leaderboards.records import total
from leaderboards.tables import make_tables
from tests.leaderboards.fakes import content_record, record

LOW = [0.3, 0.31, 0.29, 0.3, 0.32, 0.3, 0.28, 0.3]
HIGH = [0.61, 0.6, 0.59, 0.61, 0.61, 0.6, 0.58, 0.6]


def _line(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if start in line)


def test_the_best_is_bold_and_the_way_up_is_marked() -> None:
    text = to_markdown(make_tables([record("a", LOW), record("b", HIGH)]))
    assert "IoU ↑" in text and "L1 ↓" in text
    row = _line(text, "| B ")
    assert "**0.6000**" in row and "12.3 k" in row and "6.79 M" in row and "initial" in row
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    first = lines[: next(i for i, line in enumerate(lines) if "A" in line) + 1]
    assert len({line.count("|") for line in first}) == 1


def test_every_number_has_its_interval() -> None:
    text = to_markdown(make_tables([content_record()]))
    cells = [cell for cell in _line(text, "| Paint").split("|") if re.search(r"\d\.\d\d", cell)]
    numbers = [cell for cell in cells if not cell.endswith(" M ")]
    assert len(numbers) == 7 and all("<sub>" in cell for cell in numbers)
    assert "<sub>" not in to_markdown(make_tables([record()]), intervals=False)


def test_seeds_are_shown_as_mean_and_spread() -> None:
    text = to_markdown(make_tables([record("a", LOW), record("a", HIGH, seed=1)]))
    assert re.search(r"\*\*0\.4500\*\* ± 0\.2121", text) and "standard deviation over seeds" in text
    assert "±" not in to_markdown(make_tables([record("a", LOW)]))


def test_an_empty_column_gives_its_reason_and_no_number() -> None:
    totals = {k: v for k, v in record("a", LOW).totals.items() if k != "pooled_iou"}
    missing = record("a", LOW, totals=totals, empty={"pooled_iou": "weights are not installed"})
    tables = make_tables([missing])
    text = to_markdown(tables)
    assert "– <sup>1</sup>" in text and "<sup>1</sup> weights are not installed." in text
    assert "pooled" not in terminal_table(tables[0])


def test_bins_parts_and_the_floor_of_true_photos_stand_below() -> None:
    floor = {"fid": total(12.5, 40), "kid": total(0.001, 40)}
    text = to_markdown(make_tables([content_record(floor=floor)]))
    assert "### L1 hole ↓ by visible share of the person" in text
    assert "10% to 20% (n = 1)" in text and "90% to 100% (n = 1)" in text
    assert "by part of the body" in text and "   head |" in text
    assert "(40 in each): FID 12.50, KID 0.00100." in text


def test_numbers_of_bins_and_parts_have_their_intervals_too() -> None:
    errors = [0.1, 0.2, 0.3, 0.4]  # two people in each of two bins, three with a head
    text = to_markdown(make_tables([content_record(errors=errors)]))
    bins, _, parts = text.partition("by visible share")[2].partition("by part of the body")
    assert bins.count("<sub>") == 2 and _line(parts, "| Paint").count("<sub>") == 1
    assert "<sub>" not in to_markdown(make_tables([content_record(errors=errors)]), intervals=False)


def test_where_the_time_was_taken_is_said() -> None:
    assert "one prediction at batch 1, on a CPU." in to_markdown(make_tables([record("a", LOW)]))
    assert "at batch 1" not in to_markdown(make_tables([record("a", LOW, milliseconds=None)]))


def test_times_of_another_machine_are_not_taken_for_comparable_ones() -> None:
    elsewhere = [record("c", LOW, device="x"), record("b", LOW, device="x")]
    made = [record("a", HIGH, device="y"), record("untimed", LOW, milliseconds=None), *elsewhere]
    text = to_markdown(make_tables(made))
    assert "one prediction at batch 1, on x; but A on y.\n" in text
    assert "on x; but A on y." in to_latex(make_tables(made))


def test_masks_without_anything_of_the_person_are_counted() -> None:
    some = [record("a", [0.0, 0.5, 0.0]), record("b", [0.1, 0.5, 0.2])]
    text = to_markdown(make_tables(some))
    assert "\n\nMasks without a pixel of the person: A 2 of 3.\n\n" in text
    assert "2 of 3" in to_latex(make_tables(some))
    assert "Masks without" not in to_markdown(make_tables(some[1:]))


def test_protocol_data_and_people_are_named() -> None:
    made = record("a", LOW, people=["x", "x", "y", "y", "z", "z", "w", "w"])
    text = to_markdown(make_tables([made]))
    assert "8 test samples of 4 people" in text and "protocol strict 2." in text
    assert "`cccccccccccc`" in text


def test_titles_cannot_break_a_table() -> None:
    text = to_markdown(make_tables([record("a", LOW, title="x | <b>*y*\n_z_")]))
    assert r"x \| \<b\>\*y\* \_z\_" in text


def test_a_partial_run_says_what_is_missing() -> None:
    partial = record("a", [0.99, 0.99], n_expected=8, totals={})
    text = to_markdown(make_tables([partial, record("b", LOW)]))
    assert "only 2 of 8 samples were scored" in text


def test_one_person_is_said_and_has_no_interval() -> None:
    text = to_markdown(make_tables([record("a", LOW, people=["x"] * 8)]))
    assert "<sub>" not in text and "of 1 people" not in text
    assert "8 test samples of 1 person" in text and "One person tells nothing of others" in text


def test_an_unknown_cost_is_an_empty_cell_with_its_reason() -> None:
    text = to_markdown(make_tables([record("a", LOW, parameters=None), record("b", HIGH)]))
    assert "– <sup>1</sup>" in _line(text, "| A ") and "– <sup>" not in _line(text, "| B ")
    assert "<sup>1</sup> not known: whoever made these predictions did not say." in text

"""The significance matrix: every pair once, on the same samples, corrected for their number."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboards.records import Protocol
from leaderboards.significance import holm, significance, to_csv, to_markdown
from leaderboards.tables import make_tables
from synth.errors import InputError
from tests.leaderboards.fakes import content_record, record

LOW = [0.3, 0.31, 0.29, 0.3, 0.32, 0.3, 0.28, 0.3]
MIDDLE = [0.6, 0.61, 0.58, 0.6, 0.62, 0.6, 0.57, 0.6]
HIGH = [0.61, 0.6, 0.59, 0.61, 0.61, 0.6, 0.58, 0.6]


def _three() -> list[dict[str, str]]:
    (table,) = make_tables([record("a", LOW), record("b", HIGH), record("c", MIDDLE)])
    return list(csv.DictReader(io.StringIO(to_csv([significance(table)]))))


def test_every_pair_stands_once_with_its_difference() -> None:
    lines = _three()
    pairs = [("mask.b.seed-0", "mask.c.seed-0"), ("mask.b.seed-0", "mask.a.seed-0"),
             ("mask.c.seed-0", "mask.a.seed-0")]  # fmt: skip
    assert [(line["first"], line["second"]) for line in lines] == pairs
    assert float(lines[1]["difference"]) == pytest.approx(np.mean(HIGH) - np.mean(LOW))
    for line in lines:
        assert float(line["low"]) <= float(line["difference"]) <= float(line["high"])
        assert 0 < float(line["p"]) <= float(line["p_holm"]) <= 1 and line["n"] == "8"


def test_only_differences_beyond_chance_have_a_small_p() -> None:
    chance, *real = _three()
    assert float(chance["p"]) > 0.05 > max(float(line["p_holm"]) for line in real)


def test_matrices_of_several_tables_are_one_csv() -> None:
    by = {"protocol": Protocol(name="official", border_band=2)}
    mask = [record("a", LOW), record("b", HIGH)]
    content = [content_record("c", LOW, **by), content_record("d", HIGH, **by)]
    text = to_csv([significance(table) for table in make_tables([*mask, *content])])
    assert text.count("track,metric") == 1
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["track"], first["protocol"], first["border_band"]) == ("mask", "strict", "0")
    assert (second["track"], second["protocol"], second["border_band"]) == (
        "content",
        "official",
        "2",
    )
    assert first["test_fingerprint"] == second["test_fingerprint"] == "c" * 64


def test_ranks_and_matrix_agree() -> None:
    (table,) = make_tables([record("a", LOW), record("b", HIGH), record("c", MIDDLE)])
    matrix = significance(table)
    for row in matrix.rows:
        beaten = [p for p in matrix.pairs if p.second is row and p.found.interval.low > 0]
        assert row.rank == 1 + len(beaten)


def test_markdown_shows_both_directions_and_marks_what_is_beyond_chance() -> None:
    (table,) = make_tables([record("a", LOW), record("b", HIGH)])
    lines = to_markdown(significance(table)).splitlines()
    assert "**+0.3000** \\* [+0." in next(line for line in lines if "1. B" in line)
    assert "**-0.3000** \\* [-0." in next(line for line in lines if "2. A" in line)
    assert "8 people" in lines[0]


def test_a_clear_difference_among_many_rows_survives_the_correction() -> None:
    rng = np.random.default_rng(0)
    alike = [record(f"m{i}", list(0.6 + 0.02 * rng.random(40))) for i in range(18)]
    (table,) = make_tables([*alike, record("low", list(0.3 + 0.02 * rng.random(40)))])
    matrix = significance(table)
    assert len(matrix.pairs) == 171
    below = [p for p in matrix.pairs if p.second.record.method == "low"]
    assert len(below) == 18 and max(p.holm for p in below) < 0.05
    starred = [line for line in to_markdown(matrix).splitlines() if line.startswith("| 19. ")]
    assert starred[0].count("\\*") == 18
    chance = [p for p in matrix.pairs if p.second.record.method != "low"]
    assert sum(p.found.interval.excludes_zero() for p in chance) > sum(
        p.holm < 0.05 for p in chance
    )


def test_rows_without_a_score_are_left_out() -> None:
    partial = record("c", [0.9], n_expected=8, totals={})
    (table,) = make_tables([record("a", LOW), record("b", HIGH), partial])
    assert [row.record.method for row in significance(table).rows] == ["b", "a"]


def test_numbers_of_a_set_and_unknown_ones_are_refused() -> None:
    (table,) = make_tables([content_record()])
    with pytest.raises(InputError, match="fid: is one number of the whole set"):
        significance(table, "fid")
    with pytest.raises(InputError, match="no such metric; did you mean l1_hole"):
        significance(table, "l1_hol")
    assert significance(table, "ssim").pairs == ()


@given(st.lists(st.floats(0.001, 1), max_size=12))
def test_holm_lies_between_p_and_bonferroni_and_keeps_the_order(ps: list[float]) -> None:
    corrected = holm(ps)
    for p, q in zip(ps, corrected, strict=True):
        assert p <= q <= min(1.0, len(ps) * p) + 1e-12 or q == max(corrected)
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    assert [corrected[i] for i in order] == sorted(corrected)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_one_person_makes_no_pair_and_the_matrix_says_why() -> None:
    made = [record(name, ious, people=["x"] * 8) for name, ious in (("a", LOW), ("b", HIGH))]
    (table,) = make_tables(made)
    matrix = significance(table)
    assert len(matrix.rows) == 2 and matrix.pairs == ()
    text = to_markdown(matrix)
    assert "too few people in common" in text and "0.3000" not in text

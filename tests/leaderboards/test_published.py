"""Figures of others: in every file for readers, apart, with source, never among our rows."""

import csv
import io
import json
import re

from leaderboards.latex import to_latex
from leaderboards.machine import to_csv, to_json
from leaderboards.markdown import to_markdown
from leaderboards.published import UNKNOWN, beside, published
from leaderboards.tables import Table, make_tables
from tests.leaderboards.fakes import content_record, record

SOURCE = "Zhou et al., CVPR 2021, supplement"
SUM = "15.83 + 13.84 = 29.67 ms"


def _tables(milliseconds: float | None = 1.5) -> list[Table]:
    made = [record("a"), content_record()]
    return make_tables([one.model_copy(update={"milliseconds": milliseconds}) for one in made])


def test_they_stand_once_at_the_end_of_the_markdown_with_source_and_sum() -> None:
    text = to_markdown(_tables())
    ours, _, theirs = text.partition("\n## Printed elsewhere\n")
    assert theirs and "## " not in theirs, "it is the last section"
    for figure in published():
        assert any(figure["item"] in line and SOURCE in line for line in theirs.splitlines())
        assert figure["item"] not in ours
    assert f"prints 21.65 ms; its stages sum to {SUM}" in theirs
    assert theirs.count(f"| {UNKNOWN}") == len(published()), "the hardware of every figure"
    lines = [line for line in theirs.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_they_are_a_table_of_their_own_in_latex() -> None:
    text = to_latex(_tables())
    *ours, theirs = text.split(r"\begin{table}")
    assert "21.65" in theirs and not any("21.65" in one for one in ours)
    assert SOURCE in theirs and SUM in theirs and theirs.count(UNKNOWN) > len(published())
    assert "never ranked" in theirs and r"\textbf" not in theirs
    assert "21.65" not in to_latex(_tables(), cost=False)


def test_json_has_them_under_a_key_of_their_own_and_csv_has_none() -> None:
    content = json.loads(to_json(_tables()))
    assert content["published"] == published()
    [wrong] = content["wrong_sums"]
    assert (wrong["printed"], wrong["true"], wrong["parts"]) == (
        "21.65",
        "29.67",
        ["15.83", "13.84"],
    )
    assert SUM in wrong["text"]
    assert "13.37" not in json.dumps(content["tables"])
    rows = list(csv.DictReader(io.StringIO(to_csv(_tables()))))
    assert [row["method"] for row in rows] == ["a", "paint"] and "Zhou" not in to_csv(_tables())


def test_tables_that_are_not_about_it_do_not_show_it() -> None:
    untimed = _tables(None)
    assert beside(untimed) == [] and beside(_tables()) == published()
    for text in (to_markdown(untimed), to_latex(untimed)):
        assert not re.search("Printed elsewhere|21.65", text)
    assert json.loads(to_json(untimed))["published"] == []

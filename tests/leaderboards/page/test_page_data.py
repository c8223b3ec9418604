"""What the page is made of, without a browser: numbers, chosen cases, figures of others."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboards import gallery, page
from leaderboards.gallery import Cases
from leaderboards.page import between
from leaderboards.page_data import hidden_bin, row_keys, table_data
from leaderboards.page_words import INPUT_WORDS, METRIC_WORDS, TRACK_WORDS, words_of
from leaderboards.published import UNKNOWN, published, wrong_sums
from leaderboards.records import Protocol, read_records, write_record
from leaderboards.render import render
from leaderboards.tables import Table, make_tables
from metrics.protocol import PART_METRICS, TRACKS, spec_of
from synth.sample import Sample
from tests.leaderboards import fakes
from tests.leaderboards.page.conftest import render_world

NONE = Cases((), ())


@pytest.fixture(scope="module")
def tables(site: Path) -> list[Table]:
    return make_tables(read_records(site.parent / "results"))


def test_every_metric_track_and_input_is_explained() -> None:
    names = {spec.name for specs in TRACKS.values() for spec in specs}
    parts = {name for names in PART_METRICS.values() for name in names}
    assert names | parts <= set(METRIC_WORDS)
    assert set(TRACK_WORDS) == set(TRACKS)
    assert {"image", "initial", "modal", "amodal", "parsing", "occluder"} == set(INPUT_WORDS)
    assert "Body part: head" in words_of(spec_of("mask", "invisible_recall@head"))


@given(share=st.floats(0, 1))
def test_bins_hold_the_hidden_shares_that_they_name(share: float) -> None:
    low = hidden_bin(share) / 10
    assert low - 1e-9 <= share <= low + 0.1 + 1e-9


def test_json_holds_the_numbers_of_the_tables(tables: list[Table]) -> None:
    for table in tables:
        data = table_data(table, "x", NONE)
        assert json.loads(json.dumps(data)) == data
        for row, made in zip(table.rows, data["rows"], strict=True):
            assert made["rank"] == row.rank == 1 + len(made["better"])
            for spec in table.specs:
                value, low, high, spread = made["all"][spec.name]
                assert (value is None) == ((spec.name, row.key) in table.notes)
                if value is not None:
                    assert value == pytest.approx(row.value(spec.name), abs=1e-6)
                    assert (spread is None) == (len(row.records) == 1)
                if spec.name in row.intervals:
                    assert low <= value <= high
            assert sum(b[3] for b in made["bins"][table.headline] if b) == sum(data["bins"])


def test_the_page_says_of_which_track_a_row_was_timed_elsewhere() -> None:
    painters = [fakes.content_record(name, device="x") for name in ("one", "two")]
    here = [fakes.record(device="x"), *painters]
    assert page.timed_on(make_tables(here)) == ["x"]
    away = fakes.content_record("beta", title="Beta", device="y")
    assert page.timed_on(make_tables([*here, away])) == [
        "Mask completion: x", "Content recovery: x; but Beta on y",
    ]  # fmt: skip
    twice = make_tables([fakes.record(device="x")]) + make_tables([fakes.record(device="y")])
    assert page.timed_on(twice) == ["Mask completion: x", "Mask completion: y"]
    untimed = [fakes.record(milliseconds=None), fakes.content_record(milliseconds=None)]
    assert page.timed_on(make_tables(untimed)) == []


def test_one_person_alone_gives_no_interval() -> None:
    ious, hidden, people = [0.5, 0.6, 0.7], [0.15, 0.15, 0.45], ["a", "b", "c"]
    [table] = make_tables([fakes.record(ious=ious, people=people, hidden=hidden)])
    bins = table_data(table, "x", NONE)["rows"][0]["bins"]["iou"]
    assert bins[1] == [0.55, 0.5, 0.6, 2] and bins[4] == [0.7, None, None, 1]


def test_rows_of_one_method_have_keys_of_their_own() -> None:
    records = [fakes.record(benchmark="one"), fakes.record(benchmark="two")]
    twice = [r.model_copy(update={"seed": i}) for i, r in enumerate(records)]
    [table] = make_tables(twice)
    assert row_keys(table) == ["alpha", "alpha~1"]


def test_the_extremes_of_every_method_are_among_the_cases(
    tables: list[Table], samples: list[Sample]
) -> None:
    split: Any = fakes.FakeSplit(samples, "c" * 64)
    cases = gallery.cases(split, tables)
    assert len({s.sample_id for s in cases.all}) == len(cases.all)
    found = {s.sample_id for s in cases.all}
    for table in tables:
        for row in table.rows:
            worst = sorted(row.record.samples, key=lambda s: s.scores[table.headline] or 0)
            assert {s.id for s in worst[:3]} | {s.id for s in worst[-3:]} <= found


def test_extremes_leave_out_what_was_not_scored() -> None:
    record = fakes.record(ious=[0.1, 0.5, 0.9, 0.7])
    unscored = record.samples[0].model_copy(update={"scores": {"iou": None}})
    changed = fakes.record_of("alpha", (unscored, *record.samples[1:]))
    [table] = make_tables([changed])
    assert gallery.extremes(table, 1) == ["000001", "000002"]


def test_people_are_spread_and_few_splits_are_shown_whole(samples: list[Sample]) -> None:
    split: Any = fakes.FakeSplit(samples, "c" * 64)
    assert [s.sample_id for s in gallery.chosen(split, 3)] == ["000000", "000012", "000023"]
    assert gallery.chosen(split, 99) == samples


def test_intervals_below_zero_are_not_written_with_a_dash() -> None:
    assert between(("0.1", "0.2")) == "0.1–0.2"
    assert between(("-0.1", "0.2")) == "-0.1 to 0.2"


def figures(*values: str) -> Sequence[dict[str, str]]:
    items = ["stage 1 (ours)", "stage 2 (ours)", "total (ours)", "stage 1 (other)"]
    return [
        {"group": "timing", "source": "S", "unit": "ms", "item": item, "value": value}
        for item, value in zip(items, values, strict=True)
    ]


def test_a_printed_total_is_checked_against_its_stages() -> None:
    assert wrong_sums(figures("1.5", "2.25", "3.75", "9")) == []
    [wrong] = wrong_sums(figures("1.5", "2.25", "3.00", "9"))
    assert (wrong.printed, wrong.true, wrong.parts) == ("3.00", "3.75", ("1.5", "2.25"))
    assert wrong_sums(figures("1.5", UNKNOWN, "3.00", "9")) == []


def test_the_published_figures_say_what_is_unknown_and_what_is_wrong() -> None:
    found = published()
    assert all(value for row in found for name, value in row.items() if name != "note")
    assert all(row["hardware"] == UNKNOWN for row in found)
    assert len(wrong_sums(found)) == 1


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("people-quick", "people-quick --out people-quick"),
        ("photos-small", "photos-small --out photos-small --data PHOTOS"),
        ("paper-masks-on-people-quick",
         "paper-masks --on people-quick --out paper-masks-on-people-quick"),
        ("paper-masks-on-photos-small",
         "paper-masks --on photos-small --out paper-masks-on-photos-small --data PHOTOS"),
        ("mine", "mine.toml --out mine --data PHOTOS"),
        ("paper-masks-on-mine", "paper-masks-on-mine.toml --out paper-masks-on-mine --data PHOTOS"),
    ],
)  # fmt: skip
def test_the_page_says_how_to_run_it_again(name: str, command: str) -> None:
    assert page._command(name) == f"hdeocc bench run {command}"


def test_the_same_results_give_the_same_page(tmp_path: Path, samples: list[Sample]) -> None:
    pages = [render_world(tmp_path / n / "out", samples[:4], 3) for n in ("a", "b")]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_without_the_data_set_there_are_tables_and_no_pictures(
    tmp_path: Path, samples: list[Sample]
) -> None:
    page = render_world(tmp_path / "out", samples[:4], 2)
    (tmp_path / "out" / "data" / "dataset.json").unlink()
    render(tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert 'id="mask-0"' in text and 'class="gallery' not in text and "pictures-0" not in text


def test_tables_of_two_protocols_stand_apart_with_pictures_of_their_own(
    tmp_path: Path, samples: list[Sample]
) -> None:
    page = render_world(tmp_path / "out", samples[:4], 2)
    results = tmp_path / "out" / "results"
    for record in read_records(results):
        official = record.model_copy(update={"protocol": Protocol(name="official")})
        write_record(results / f"{official.key}.json", official)
    before = page.read_text(encoding="utf-8")
    render_world(tmp_path / "out", samples[:4], 0)
    after = page.read_text(encoding="utf-8")
    for text, sections in ((before, 3), (after, 6)):
        assert len(re.findall('<section id="[a-z]+-[0-9]+"', text)) == sections
        pictures = re.findall('<script .* id="pictures-000001">(.*)</script>', text)
        assert len(pictures) == 1
    alone = re.findall('<script .* id="pictures-000001">(.*)</script>', before)
    tracks, strict = (json.loads(one[0])["tracks"] for one in (pictures, alone))
    added = {"content.official", "full.official"}
    assert tracks.keys() == strict.keys() | added, "masks look the same by all rules"
    assert all(tracks[track] == strict[track] for track in strict)
    assert tracks["content.official"]["truth"] != tracks["content"]["truth"]

"""The tables of the page in a real browser: sorting, filters, columns, and links that keep them."""

from pathlib import Path

import pytest

from leaderboards.records import read_records
from leaderboards.tables import filtered, make_tables
from synth.sample import Sample
from tests.leaderboards.page import world
from tests.leaderboards.page.conftest import METHODS, Open, render_world


def numbers(texts: list[str]) -> list[float]:
    return [float(text) for text in texts]


def test_rows_stand_in_the_order_of_the_headline(visit: Open, site: Path) -> None:
    opened = visit()
    for table in make_tables(read_records(site.parent / "results")):
        values = numbers(opened.column(table.track, table.headline))
        assert len(values) == METHODS
        why = [row.apart for row in table.rows]
        assert why == sorted(why) and len(set(why)) > 2, "some rank apart, told unlike things"
        for one in set(why):
            part = [value for value, own in zip(values, why, strict=True) if own == one]
            assert part == sorted(part, reverse=table.spec(table.headline).higher_is_better)
        decimals = table.spec(table.headline).decimals
        printed = [f"{row.value(table.headline):.{decimals}f}" for row in table.rows]
        assert opened.column(table.track, table.headline) == printed


def test_a_column_sorts_the_better_way_first_then_the_other(visit: Open) -> None:
    opened = visit()
    head = opened.head("content", "lpips_hole")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    (told,) = {sum("oracle" in name for name in opened.rows("content")), 2}
    rising = numbers(opened.column("content", "lpips_hole"))
    ours, theirs = rising[:-told], rising[-told:]
    assert ours == sorted(ours)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    turned = ours[::-1] + theirs  # each of these is told other things
    assert numbers(opened.column("content", "lpips_hole")) == turned, "what ranks apart stays below"
    others = opened.table("content").locator("th[aria-sort]:not([aria-sort=none])")
    assert others.count() == 1
    assert opened.head("mask", "iou").get_attribute("aria-sort") == "descending"


def test_sorts_by_keyboard_and_keeps_unmeasured_rows_last(visit: Open) -> None:
    opened = visit()
    button = opened.head("mask", "ms").locator("button")
    button.focus()
    opened.page.keyboard.press("Enter")
    assert opened.rows("mask")[-1] == "edge-guidance", "it has no time"
    times = numbers([text.strip("< ") for text in opened.column("mask", "ms")[:-1]])
    assert times == sorted(times)
    opened.page.keyboard.press("Space")
    assert opened.rows("mask")[-1] == "edge-guidance"
    assert opened.rows("mask")[0] == "two-stage"


def test_a_heading_says_what_it_measures_on_focus(visit: Open) -> None:
    opened = visit()
    opened.head("mask", "boundary_f").locator("button").focus()
    tip = opened.page.locator("#tip")
    assert tip.is_visible() and "outline" in tip.inner_text()
    opened.page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_every_number_has_its_interval_and_seeds_their_spread(visit: Open) -> None:
    opened = visit()
    first = opened.table("mask").locator('tr[data-key="two-stage"] [data-c="iou"] .i')
    low, high = (float(part) for part in first.inner_text().split("–"))
    assert low < numbers(opened.column("mask", "iou"))[0] < high
    seeds = opened.table("mask").locator('tr[data-key="pix2pix"]')
    assert "3 seeds" in seeds.inner_text()
    assert "±" in seeds.locator('[data-c="iou"]').inner_text()


def test_shows_one_track(visit: Open) -> None:
    opened = visit()
    opened.page.get_by_role("radio", name="Content recovery").check()
    shown = opened.page.locator("section.track:visible")
    assert shown.count() == 1 and shown.get_attribute("data-track") == "content"
    opened.page.get_by_role("button", name="Reset").click()
    assert shown.count() == 3


def test_hides_rows_that_are_given_more_and_ranks_the_others_anew(visit: Open, site: Path) -> None:
    opened = visit()
    opened.page.locator("#inputs summary").click()
    opened.page.get_by_label("parsing the true").check()
    opened.page.get_by_label("occluder the true").check()
    kept = [e.method for e in world.entries("mask", METHODS) if "oracle" not in e.method]
    assert sorted(opened.rows("mask")) == sorted(kept)
    assert "13 of 15 methods" in opened.page.locator("#mask-0 .status").inner_text()
    tables = make_tables(read_records(site.parent / "results"))
    [table] = filtered(tables, track="mask", consumes=["image", "initial"])
    ranks = {row.record.method: str(row.rank) for row in table.rows}
    assert opened.column("mask", "rank") == [ranks[key] for key in opened.rows("mask")]


def test_says_so_when_no_row_is_left(visit: Open) -> None:
    opened = visit("#without=image")
    assert opened.rows("mask") == []
    assert opened.table("mask").get_by_text("Every row is given").is_visible()


def test_a_tenth_of_the_hidden_share_changes_every_number(visit: Open, site: Path) -> None:
    opened = visit()
    table = make_tables(read_records(site.parent / "results"))[1]
    before = opened.column("content", "l1_hole")
    opened.page.locator("#bin").select_option("3")
    found = {
        row.record.method: value
        for row in table.rows
        for value in table.binned(row, "l1_hole")
        if round(value.low, 1) == 0.6
    }
    printed = [f"{found[key].value:.4f}" for key in opened.rows("content")]
    assert opened.column("content", "l1_hole") == printed != before
    assert set(opened.column("content", "rank")) == {"–"}, "ranks are made of all samples only"
    said = opened.page.locator("#content-1 .status").inner_text()
    n = next(iter(found.values())).n
    assert f"{n} of {table.first.n_expected} samples" in said
    assert "–" not in opened.column("content", "fid"), "numbers of a whole set have bins too"
    opened.page.locator("#bin").select_option("")
    assert opened.column("content", "l1_hole") == before


def test_chooses_columns(visit: Open) -> None:
    opened = visit()
    assert not opened.head("content", "lpips").is_visible(), "not among the default columns"
    opened.page.locator("#content-1 .columns summary").click()
    opened.page.locator("#content-1 .columns").get_by_label("LPIPS", exact=True).check()
    opened.page.locator("#content-1 .columns").get_by_label("KID").uncheck()
    assert opened.head("content", "lpips").is_visible()
    assert not opened.head("content", "kid").is_visible()
    opened.page.locator("#content-1 .columns").get_by_label("95 % intervals").uncheck()
    assert not opened.table("content").locator(".i").first.is_visible()
    opened.page.keyboard.press("Escape")
    assert not opened.page.locator("#content-1 .columns .pop").is_visible()


def test_an_empty_cell_says_why(visit: Open) -> None:
    opened = visit()
    opened.table("content").locator('[data-c="kid"] sup a').first.click()
    note = opened.page.locator("#content-1-note-1")
    assert "hdeocc weights" in note.inner_text()
    assert opened.address == "", "a footnote leaves the address to what was chosen"
    opened.page.locator("#content-1 .columns summary").click()
    boxes = opened.page.locator("#content-1 .columns")
    for box in boxes.locator("fieldset input").all():
        box.uncheck()
    assert not opened.page.locator("#content-1 .notes li:visible").count(), "no cell refers to it"
    boxes.get_by_label("KID").check()
    assert note.is_visible()


def test_what_was_chosen_survives_a_reload(visit: Open) -> None:
    opened = visit()
    opened.page.get_by_role("radio", name="Content recovery").check()
    opened.page.locator("#bin").select_option("2")
    opened.page.locator("#inputs summary").click()
    opened.page.get_by_label("occluder the true").check()
    opened.head("content", "ssim_hole").locator("button").click()
    before = opened.rows("content")
    opened.page.reload()
    assert opened.rows("content") == before and "occluder-oracle" not in before
    assert opened.page.locator("section.track:visible").count() == 1
    assert opened.page.locator("#bin").input_value() == "2"
    assert opened.head("content", "ssim_hole").get_attribute("aria-sort") == "descending"


@pytest.mark.parametrize(
    "address", ["#bin=77", "#mask-0.sort=nothing:up", "#open=mask-0/999/x", "#track=", "#%%%", "#x"]
)
def test_a_strange_address_shows_the_page_as_it_is(visit: Open, address: str) -> None:
    opened = visit(address)
    assert len(opened.rows("mask")) == METHODS and not opened.page.locator("#viewer").is_visible()


def test_figures_of_others_stand_apart(visit: Open) -> None:
    opened = visit()
    section = opened.page.locator("#published")
    assert section.get_by_text("not published here").count() > 1
    assert "does not add up" in section.locator(".caution").inner_text()
    assert opened.page.locator(".track").get_by_text("Zhou").count() == 0


def test_says_how_to_make_it_again_and_links_its_tables(visit: Open, site: Path) -> None:
    opened = visit()
    assert "hdeocc bench run" in opened.page.locator("#reproduce pre").first.inner_text()
    for link in opened.page.locator("#reproduce a[download]").all():
        assert (site.parent / str(link.get_attribute("href"))).is_file()


def test_titles_are_text(
    visit: Open, tmp_path: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = "</script><img src=x onerror=alert(1)> & co"
    monkeypatch.setattr(world, "TITLES", (bad,))
    opened = visit(path=render_world(tmp_path / "out", samples[:3], 1))
    assert bad in opened.table("mask").locator("th.name").last.inner_text()
    assert opened.page.locator("img[src=x]").count() == 0

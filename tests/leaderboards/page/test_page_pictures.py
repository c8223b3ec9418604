"""Plots and pictures of the page in a real browser, by mouse, by touch and by keyboard."""

from typing import TYPE_CHECKING

import pytest

from tests.leaderboards.page.conftest import METHODS, PEOPLE, Open
from tests.leaderboards.page.opened import Opened

if TYPE_CHECKING:
    from playwright.sync_api import Locator


def test_no_picture_is_missing(visit: Open) -> None:
    opened = visit()
    for track in ("mask", "content", "full"):
        for place in range(3):
            images = opened.case(track, place).locator("img")
            widths = images.evaluate_all(
                "all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))"
            )
            # Input, truth and every method as two layers, and the same twice in the slider.
            assert len(widths) >= 2 * (METHODS + 2) and min(widths) > 0
    assert opened.page.locator(".lost").count() == 0


def test_everybody_can_be_shown(visit: Open) -> None:
    opened = visit("#track=mask")
    cases = opened.page.locator("#mask-0 .case")
    assert cases.count() == 6
    opened.page.locator("#mask-0 .more").click()
    assert cases.count() == PEOPLE
    assert not opened.page.locator("#mask-0 .more").is_visible()


def test_the_slider_follows_mouse_and_keys(visit: Open) -> None:
    opened = visit("#track=content")
    case = opened.case("content")
    compare, slider = case.locator(".compare"), case.get_by_role("slider")
    assert opened.share_over(compare) == 50
    box = compare.bounding_box()
    assert box is not None
    opened.page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + box["height"] / 2)
    assert opened.share_over(compare) == pytest.approx(25, abs=2)
    opened.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + box["height"] / 2)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2, steps=5)
    opened.page.mouse.up()
    assert opened.share_over(compare) == pytest.approx(80, abs=2)
    slider.focus()
    opened.page.keyboard.press("Home")
    opened.page.keyboard.press("ArrowRight")
    assert opened.share_over(compare) == 1
    assert "1 % Input" in str(slider.get_attribute("aria-valuetext"))


def test_the_slider_compares_what_is_chosen(visit: Open) -> None:
    opened = visit("#track=content")
    opened.case("content")
    gallery = opened.page.locator("#content-1 .gallery")
    gallery.get_by_label("Slider").select_option("pix2pix")
    gallery.get_by_label("against").select_option("truth")
    opened.page.reload()
    slider = opened.case("content").get_by_role("slider")
    assert str(slider.get_attribute("aria-label")).startswith("Pix2Pix and Truth")


@pytest.mark.parametrize("way", ["worst", "best"])
def test_cases_of_a_method_stand_first_on_request(visit: Open, way: str) -> None:
    opened = visit("#track=mask")
    opened.case("mask")
    opened.page.locator("#mask-0 .gallery").get_by_label("Order").select_option(f"{way}:pix2pix")
    found = [
        float(
            opened.case("mask", place).locator('[data-shot="pix2pix"] span').nth(1).inner_text()[4:]
        )
        for place in range(6)
    ]
    assert found == sorted(found, reverse=way == "best") and len(set(found)) > 1
    assert "3 " + way in opened.page.locator("#mask-0 .said").inner_text()


def test_pictures_follow_the_hidden_share(visit: Open) -> None:
    opened = visit("#track=mask&bin=2")
    shares = opened.page.locator("#mask-0 .case h4").all_inner_texts()
    assert shares and all(20 <= int(text.split()[-3]) <= 30 for text in shares)


def test_a_picture_enlarges_and_the_keys_go_through_the_row(visit: Open) -> None:
    opened = visit("#track=content")
    case = opened.case("content")
    case.get_by_role("button", name="Enlarge: Input").click()
    viewer, keys = opened.page.locator("#viewer"), opened.page.keyboard
    title = viewer.locator("h2")
    assert title.inner_text() == "Input"
    keys.press("ArrowLeft")
    assert title.inner_text() == "Truth"
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    assert title.inner_text() == "Two-stage (ours)"
    first = viewer.locator(".viewer-words").inner_text()
    keys.press("ArrowDown")
    assert viewer.locator(".viewer-words").inner_text() != first
    keys.press("Escape")
    assert not viewer.is_visible() and "open" not in opened.address
    assert case.locator(".shot").first.evaluate("shot => shot === document.activeElement")


def test_an_enlarged_picture_zooms_where_the_pointer_is_and_pans(visit: Open) -> None:
    opened = visit("#track=content")
    opened.case("content").get_by_role("button", name="Enlarge: Truth").click()
    viewer, keys = opened.page.locator("#viewer"), opened.page.keyboard
    scale, canvas = viewer.locator(".scale"), viewer.locator(".canvas")
    box = viewer.locator(".stage").bounding_box()
    assert box is not None
    opened.page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2)
    opened.page.mouse.wheel(0, -300)
    scale.filter(has_not_text="100 %").wait_for()
    moved = canvas.bounding_box()
    assert moved is not None
    corner = (moved["x"] + moved["width"], moved["y"] + moved["height"])
    assert corner == pytest.approx((box["x"] + box["width"], box["y"] + box["height"]), abs=4)
    opened.page.mouse.move(box["x"] + 200, box["y"] + 200)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 260, box["y"] + 230, steps=4)
    opened.page.mouse.up()
    panned = canvas.bounding_box()
    assert panned is not None
    assert (panned["x"] - moved["x"], panned["y"] - moved["y"]) == pytest.approx((60, 30), abs=1)
    keys.press("Shift+ArrowRight")
    assert (canvas.bounding_box() or {})["x"] == pytest.approx(panned["x"] - 40, abs=1)
    keys.press("0")
    assert scale.inner_text() == "100 %"
    keys.press("+")
    assert scale.inner_text() == "150 %"


def test_an_opened_comparison_is_in_the_link(visit: Open) -> None:
    opened = visit("#track=content")
    opened.case("content").get_by_role("button", name="Enlarge: Pix2Pix").click()
    opened.page.locator("#against").select_option("truth")
    opened.page.reload()
    viewer = opened.page.locator("#viewer")
    assert viewer.locator("h2").inner_text() == "Pix2Pix | Truth"
    viewer.locator("#split").focus()
    opened.page.keyboard.press("End")
    at = viewer.locator(".canvas").evaluate("c => c.style.getPropertyValue('--at')")
    assert at == "100%" and viewer.locator("h2").inner_text() == "Pix2Pix | Truth"


def test_arrow_keys_go_along_a_row_of_pictures(visit: Open) -> None:
    opened = visit("#track=mask")
    shots = opened.case("mask").locator(".shot")
    shots.first.focus()
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("ArrowRight")
    assert shots.nth(2).evaluate("shot => shot === document.activeElement")
    opened.page.keyboard.press("Enter")
    assert opened.page.locator("#viewer").is_visible()


def plots(opened: Opened, track: str) -> "Locator":
    found = opened.page.locator(f'[data-track="{track}"] .plots')
    found.scroll_into_view_if_needed()
    found.locator("svg[role=img]").nth(1).wait_for()
    return found


def test_plots_have_a_line_and_a_point_for_every_method(visit: Open) -> None:
    opened = visit("#track=mask")
    areas = plots(opened, "mask").locator(".plot-area")
    assert areas.nth(0).locator("g[data-key]").count() == METHODS
    assert areas.nth(1).locator("g[data-key]").count() == METHODS - 1, "one has no time"
    assert areas.nth(0).locator(".band").count() == 6


def test_the_legend_turns_lines_on_and_off(visit: Open) -> None:
    opened = visit("#track=mask")
    found = plots(opened, "mask")
    found.get_by_role("button", name="Pix2Pix").click()
    found.get_by_role("button", name="Identity").click()
    opened.page.reload()
    found = plots(opened, "mask")
    pressed = found.locator('button[aria-pressed="true"]').all_inner_texts()
    assert "Identity" in pressed and "Pix2Pix" not in pressed and len(pressed) == 6


def test_plots_read_out_on_hover_and_by_keyboard(visit: Open) -> None:
    opened = visit("#track=mask")
    area = plots(opened, "mask").locator(".plot-area").first
    area.hover()
    read = area.locator(".read")
    assert "Two-stage (ours)" in read.inner_text() and "hidden" in read.inner_text()
    opened.page.mouse.move(0, 0)
    assert not read.is_visible()
    opened.page.locator("#mask-0 .plots select").focus()
    opened.page.keyboard.press("Tab")
    assert read.is_visible()
    first = read.inner_text()
    opened.page.keyboard.press("ArrowRight")
    assert read.inner_text() != first
    spoken = area.locator("[aria-live]").inner_text()
    assert spoken.split()[0] == read.inner_text().split()[0]


def test_plots_change_their_metric(visit: Open) -> None:
    opened = visit("#track=content")
    found = plots(opened, "content")
    found.locator("select").select_option("fid")
    opened.page.reload()
    found = plots(opened, "content")
    assert found.locator(".axis").first.text_content() == "FID ↓"
    assert found.locator("select").input_value() == "fid"

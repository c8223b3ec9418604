"""The page on small screens, in dark mode, without a mouse and without scripts."""

import re
from pathlib import Path

import pytest

from tests.leaderboards.page.conftest import METHODS, Open
from tests.leaderboards.page.opened import Opened

PHONE = {"width": 360, "height": 740}


def wide(opened: Opened) -> int:
    return int(opened.page.evaluate("document.documentElement.scrollWidth"))


def brightness(opened: Opened, name: str) -> float:
    """Mean of red, green and blue of the page's paper or ink, 0 to 255."""
    colour = str(opened.page.evaluate(f"getComputedStyle(document.body).{name}"))
    return sum(float(part) for part in re.findall(r"[0-9.]+", colour)[:3]) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_phone(visit: Open, scheme: str) -> None:
    opened = visit(viewport=PHONE, color_scheme=scheme, has_touch=True)
    assert wide(opened) <= 360
    for track in ("mask", "content", "full"):
        opened.case(track)
        region = opened.table(track).locator("xpath=..")
        assert region.evaluate("r => r.scrollWidth > r.clientWidth"), "tables scroll inside"
    assert wide(opened) <= 360
    opened.page.locator("#inputs summary").click()
    assert wide(opened) <= 360
    opened.page.keyboard.press("Escape")
    opened.page.locator("#mask-0 .columns summary").click()
    assert wide(opened) <= 360


def test_a_phone_flips_pictures_by_touch(visit: Open) -> None:
    opened = visit("#track=content", viewport=PHONE, has_touch=True)
    case = opened.case("content")
    case.locator(".shot").first.tap()
    viewer = opened.page.locator("#viewer")
    box = viewer.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 360
    assert box["y"] >= 0 and box["y"] + box["height"] <= 740
    viewer.get_by_role("button", name="Next picture").tap()
    assert viewer.locator("h2").inner_text() == "Two-stage (ours)"


def test_dark_mode_is_dark_and_readable(visit: Open) -> None:
    shots = []
    for scheme in ("light", "dark"):
        opened = visit(color_scheme=scheme)
        shots.append(opened.page.screenshot())
        paper, ink = (brightness(opened, name) for name in ("backgroundColor", "color"))
        assert abs(paper - ink) > 180 and (paper > ink) == (scheme == "light")
    assert shots[0] != shots[1]


def test_less_motion_is_respected(visit: Open) -> None:
    opened = visit("#track=mask", reduced_motion="reduce")
    opened.page.locator("#mask-0 .plots").scroll_into_view_if_needed()
    opened.page.locator(".series").first.wait_for(state="attached")
    durations = opened.page.evaluate(
        "[...document.querySelectorAll('*')].map(e => getComputedStyle(e).transitionDuration)"
    )
    assert set(durations) == {"0s"}


def test_the_tab_key_reaches_everything_and_shows_where_it_is(visit: Open) -> None:
    opened = visit("#track=mask")
    opened.case("mask")
    opened.page.evaluate("scrollTo(0, 0)")
    seen: set[str] = set()
    for _ in range(200):
        opened.page.keyboard.press("Tab")
        if opened.page.evaluate("document.activeElement === document.body"):
            break
        outline, what = opened.page.evaluate(
            """() => {
              const e = document.activeElement;
              const drawn = [e, e.parentElement, e.nextElementSibling].filter(Boolean)
                .some(n => getComputedStyle(n).outlineStyle !== 'none');
              return [drawn, (e.closest('[class]')?.classList[0] ?? '') + ' ' + e.tagName];
            }"""
        )
        assert outline, f"no visible focus on {what}"
        seen.add(what)
    wanted = {"num BUTTON", "scroll DIV", "plot-area DIV", "compare INPUT", "shot BUTTON"}
    assert wanted <= seen, wanted - seen


def test_without_scripts_the_tables_are_there(visit: Open) -> None:
    opened = visit(java_script_enabled=False)
    assert opened.table("mask").locator("tbody tr[data-key]").count() == METHODS
    assert opened.page.get_by_text("Without scripts").is_visible()
    assert not opened.page.locator("#bar").is_visible()


def test_the_page_forbids_itself_every_request(site: Path) -> None:
    text = site.read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert (
        "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    )

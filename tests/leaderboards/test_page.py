"""The page in a real browser: it sorts, shows every picture, and asks nothing of the network."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from leaderboards.page import MAX_BYTES
from leaderboards.run import run_benchmark
from tests.leaderboards import fakes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser found: {', '.join(BROWSERS)}")


class Opened:
    """A page and what went wrong while it was open."""

    def __init__(self, page: "Page", path: Path) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.goto(path.as_uri())

    def methods(self, table: int = 0) -> list[str]:
        names = self.page.locator("table.board").nth(table).locator("tbody th.name")
        return [text.split("  ")[0].removesuffix(" learned") for text in names.all_inner_texts()]


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def site(fake_world: Path) -> Path:
    rows = fakes.benchmark(["identity", "learned"], ["paint"], [["learned", "paint"]])
    run_benchmark(rows, fake_world, None, progress=False)
    return fake_world / "leaderboard.html"


@pytest.fixture
def opened(browser: "Browser", site: Path) -> Iterator[Opened]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    yield Opened(page, site)
    page.close()


def test_every_picture_is_there_and_nothing_is_fetched(opened: Opened, site: Path) -> None:
    widths = opened.page.eval_on_selector_all(
        ".shots img", "all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))"
    )
    # Six people in three tables, each with input and truth: 2, 1 and 1 methods.
    assert len(widths) == 6 * (4 + 3 + 3) and min(widths) > 0
    assert [url for url in opened.requests if not url.startswith("data:")] == [site.as_uri()]
    assert opened.errors == []
    assert site.stat().st_size < MAX_BYTES


def test_sorts_on_click_and_by_keyboard(opened: Opened) -> None:
    table = opened.page.locator("table.board").first
    head = table.locator("thead th", has_text="Method")
    before = opened.methods()
    head.locator("button").click()
    assert opened.methods() == sorted(before)
    assert head.get_attribute("aria-sort") == "ascending"
    head.locator("button").focus()
    opened.page.keyboard.press("Enter")
    assert opened.methods() == sorted(before, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    others = table.locator("thead th[aria-sort]:not([aria-sort=none])")
    assert others.count() == 1 and opened.errors == []


def test_numbers_sort_as_numbers_the_better_way_first(opened: Opened) -> None:
    head = opened.page.locator("table.board").first.locator("thead th", has_text="L1").first
    head.locator("button").click()
    column = head.evaluate("cell => cell.cellIndex + 1")
    cells = opened.page.locator("table.board").first.locator(f"tbody tr > :nth-child({column})")
    values = [float(cell.get_attribute("data-value") or "nan") for cell in cells.all()]
    assert values == sorted(values) and len(values) == 2


def test_a_picture_enlarges_and_arrow_keys_flip_through_its_row(opened: Opened) -> None:
    opened.page.locator(".shots button").first.click()
    viewer = opened.page.locator("#viewer")
    assert viewer.get_by_text("Input, sample").is_visible()
    opened.page.keyboard.press("ArrowLeft")
    assert viewer.get_by_text("Truth, sample").is_visible()
    opened.page.keyboard.press("Escape")
    assert not viewer.is_visible() and opened.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fits_a_phone_in_both_schemes(
    browser: "Browser", site: Path, scheme: Literal["light", "dark"]
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    opened = Opened(context.new_page(), site)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    colour = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(int(part) for part in colour.strip("rgb()").split(",")[:3])
    assert (brightness > 600) == (scheme == "light")
    context.close()


def test_titles_are_escaped(
    monkeypatch: pytest.MonkeyPatch, browser: "Browser", fake_world: Path
) -> None:
    monkeypatch.setattr(fakes.FakeIdentity, "title", "<img src=x onerror=alert(1)> & co")
    run_benchmark(fakes.benchmark(["identity"], [], []), fake_world, None, progress=False)
    opened = Opened(browser.new_page(), fake_world / "leaderboard.html")
    assert opened.methods() == ["<img src=x onerror=alert(1)> & co"]
    assert opened.errors == []

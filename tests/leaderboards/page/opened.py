"""The page in a browser, as a reader handles it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator


class Opened:
    """A page and what went wrong while it was open.

    Attributes:
        errors: what the console or a script complained of.
        foreign: requests to anything but the page itself.
    """

    def __init__(self, browser: "Browser", path: Path, address: str = "", **context: Any) -> None:
        size = {"viewport": {"width": 1280, "height": 900}}
        self.context = browser.new_context(**(size | context))
        self.page = self.context.new_page()
        self.path = path
        self.errors: list[str] = []
        self.foreign: list[str] = []
        loud = ("error", "warning")
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type in loud else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.goto(path.as_uri() + address)

    def _asked(self, url: str) -> None:
        if not url.startswith(("data:", self.path.as_uri())):
            self.foreign.append(url)

    def close(self) -> None:
        self.context.close()

    @property
    def address(self) -> str:
        """What the page wrote behind the "#"."""
        return str(self.page.evaluate("location.hash"))

    def table(self, track: str) -> "Locator":
        return self.page.locator(f'[data-track="{track}"] table.board')

    def rows(self, track: str) -> list[str]:
        """Keys of the rows that are shown, from the top."""
        rows = self.table(track).locator("tbody tr[data-key]:not([hidden])")
        return [str(row.get_attribute("data-key")) for row in rows.all()]

    def column(self, track: str, name: str) -> list[str]:
        """What the shown rows print in a column, without intervals."""
        cells = self.table(track).locator(f'tbody tr:not([hidden]) [data-c="{name}"]')
        texts = cells.evaluate_all(
            "all => all.map(cell => (cell.querySelector('.v') ?? cell).textContent.trim())"
        )
        return [str(text) for text in texts]

    def head(self, track: str, name: str) -> "Locator":
        return self.table(track).locator(f'thead [data-c="{name}"]')

    def case(self, track: str, place: int = 0) -> "Locator":
        """A row of pictures, scrolled into view so that it is filled."""
        found = self.page.locator(f'[data-track="{track}"] .case').nth(place)
        found.scroll_into_view_if_needed()
        found.locator(".shots").wait_for()
        return found

    def share_over(self, compare: "Locator") -> float:
        """How much of a slider's right picture is covered, in percent."""
        return float(compare.evaluate("box => parseFloat(box.style.getPropertyValue('--at'))"))

"""Fixtures: a page of many methods and people, and a real browser to open it in."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import leaderboards.render
from synth.sample import Sample
from tests.fakes import make_samples
from tests.leaderboards import fakes
from tests.leaderboards.page.opened import Opened
from tests.leaderboards.page.world import write_world

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
METHODS, PEOPLE, SIZE = 15, 24, 48


class _Dataset:
    """A data set whose test split is in memory."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = list(samples)

    def split(self, _: str) -> fakes.FakeSplit:
        return fakes.FakeSplit(self.samples, fakes.data().test_fingerprint)


def render_world(folder: Path, samples: Sequence[Sample], methods: int, seed: int = 0) -> Path:
    """The page of a drawn result folder."""
    write_world(folder, samples, np.random.default_rng(seed), methods)
    with pytest.MonkeyPatch.context() as patched:
        opener = staticmethod(lambda _: _Dataset(samples))
        patched.setattr(leaderboards.render.Dataset, "open", opener)
        leaderboards.render.render(folder)
    return folder / "leaderboard.html"


@pytest.fixture(scope="session")
def samples() -> list[Sample]:
    return make_samples(PEOPLE, SIZE, np.random.default_rng(0), split="test")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, samples: list[Sample]) -> Path:
    """A page of 15 methods on every track."""
    return render_world(tmp_path_factory.mktemp("site") / "out", samples, METHODS)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser found: {', '.join(BROWSERS)}")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


Open = Callable[..., Opened]


@pytest.fixture
def visit(browser: "Browser", site: Path) -> Iterator[Open]:
    """Opens the page; at the end nothing may have gone wrong and nothing been asked for."""
    visits: list[Opened] = []

    def opened(address: str = "", path: Path = site, **context: object) -> Opened:
        visits.append(Opened(browser, path, address, **context))
        return visits[-1]

    yield opened
    for one in visits:
        one.close()
        assert one.errors == []
        assert one.foreign == []

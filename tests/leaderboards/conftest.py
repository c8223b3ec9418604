"""Fixtures: a benchmark run on fake people and fake methods, without feature networks."""

from pathlib import Path

import pytest

import hdeocc.method
import leaderboards.render
import leaderboards.run
from tests.leaderboards import fakes


@pytest.fixture
def fake_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Fake methods and data are installed; returns a folder to run in."""
    monkeypatch.setattr(hdeocc.method, "_entries", fakes.registry)
    monkeypatch.setattr(leaderboards.run, "build", fakes.build)
    monkeypatch.setattr(leaderboards.render.Dataset, "open", staticmethod(fakes.open_dataset))
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "no-weights"))
    monkeypatch.setattr(fakes.FakeMask, "fits", [])
    monkeypatch.setattr(fakes.FakeMask, "seen", [])
    return tmp_path / "out"

"""Fixtures: a benchmark run on fake people and fake methods, without feature networks."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import hdeocc.method
import leaderboards.render
import leaderboards.run
from leaderboards.benchmark import load_benchmark
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


@pytest.fixture(scope="session")
def finished_tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The output of people-tiny: real people, real floors, no feature networks. Leave it alone."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HDEOCC_CACHE", str(folder / "no-weights"))
        benchmark = load_benchmark("people-tiny")
        leaderboards.run.run_benchmark(benchmark, folder / "out", None, progress=False)
    yield folder / "out"


@pytest.fixture
def tiny(finished_tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to be tampered with."""
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "no-weights"))
    return Path(shutil.copytree(finished_tiny, tmp_path / "tiny"))

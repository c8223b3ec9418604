"""Fixtures that many tests of the engine share; none of them is changed by a test."""

from pathlib import Path

import pytest

from synth.build import build
from tests.synth.scenarios import files_of
from tests.synth.tiny import LONG, LONG_TOML, write_tiny


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small people and things, as folders of pictures."""
    return write_tiny(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def long_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of `LONG`."""
    path = tmp_path_factory.mktemp("recipe") / "long.toml"
    path.write_text(LONG_TOML)
    return path


@pytest.fixture(scope="session")
def long_reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All files of `LONG`'s data set, built by one process without interruption."""
    folder = tmp_path_factory.mktemp("reference")
    build(LONG, folder, data, progress=False)
    return files_of(folder)

"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photos; tests that need it are skipped where it is absent."""
    usual = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    root = Path(os.environ.get("HDEOCC_DATA") or usual)
    if not (root / "ccp" / "photos").is_dir():
        pytest.skip(f"no real photos at {root}; set HDEOCC_DATA to their folder")
    return root.resolve()

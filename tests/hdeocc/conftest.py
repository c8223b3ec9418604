"""Fixtures of the tests of the model."""

from collections.abc import Iterator

import pytest

from synth.segmenter import network


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """One thread, as the programs have that the tests start: sums depend on how they are split."""
    with network.one_thread():
        yield

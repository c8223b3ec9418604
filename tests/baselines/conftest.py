"""The people that the tests of the networks look at."""

import numpy as np
import pytest

from hdeocc.batch import Batch, collate
from tests.fakes import make_samples


@pytest.fixture
def batch() -> Batch:
    """Four drawn people, 64 pixels, always the same."""
    return collate(make_samples(4, 64, np.random.default_rng(0)))

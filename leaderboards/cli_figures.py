"""Behind `hdeocc leaderboard figures`: the tables and people of a folder, drawn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from leaderboards.figures import PEOPLE, choose, write_figures
from leaderboards.folder import opened
from leaderboards.records import read_records
from leaderboards.tables import filtered, make_tables
from synth.errors import InputError
from synth.store import Dataset


def draw_figures(
    out: Path,
    target: Path,
    ids: Sequence[str],
    count: int | None,
    seed: int | None,
    track: str | None,
) -> list[Path]:
    """Write the figures of a folder's tables; returns their paths.

    Raises:
        InputError: no results or pictures, no data set, or an unknown person.
    """
    folder = opened(out)
    test = Dataset.open(folder.data).split("test")
    records = [r for r in read_records(folder.results)
               if r.data.test_fingerprint == test.fingerprint]  # fmt: skip
    tables = filtered(make_tables(records), track=track)
    rng = None if seed is None else np.random.default_rng(seed)
    samples = choose(test, ids=ids, rng=rng, people=count or PEOPLE)
    paths = write_figures(target, tables, folder, samples)
    if not paths:
        raise InputError(f"{out}: has no stored predictions to draw; run the benchmark again")
    return paths

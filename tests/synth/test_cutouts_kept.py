"""Cut-outs that are kept: handed out again, bounded, never written to."""

import pickle

import numpy as np
import pytest

from synth.sources import cutouts
from synth.sources.base import Cutout
from synth.sources.cutouts import Kept


class Maker:
    """Makes cut-outs of 16 x 16 x 4 bytes and counts them."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int]] = []

    def __call__(self, identifier: str, size: int) -> Cutout:
        self.made.append((identifier, size))
        return Cutout(np.full((16, 16, 4), len(self.made), np.uint8), "thing", {})


def test_the_same_cutout_is_made_once_a_size() -> None:
    kept, make = Kept(), Maker()
    first = kept.get("a", 8, make)
    assert kept.get("a", 8, make) is first
    assert kept.get("a", 9, make) is not first
    assert make.made == [("a", 8), ("a", 9)]
    with pytest.raises(ValueError, match="read-only"):
        first.rgba[0, 0] = 0


def test_what_was_used_longest_ago_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutouts, "MOST_BYTES", 2 * 16 * 16 * 4)
    kept, make = Kept(), Maker()
    for name in ("a", "b", "a", "c", "a", "b"):
        kept.get(name, 8, make)
    assert [name for name, _ in make.made] == ["a", "b", "c", "b"]


def test_what_is_larger_than_the_bound_is_only_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutouts, "MOST_BYTES", 10)
    kept, make = Kept(), Maker()
    assert kept.get("a", 8, make).rgba.shape == (16, 16, 4)
    kept.get("a", 8, make)
    assert len(make.made) == 2


def test_another_process_keeps_its_own() -> None:
    kept = Kept()
    kept.get("a", 8, Maker())
    make = Maker()
    pickle.loads(pickle.dumps(kept)).get("a", 8, make)
    assert make.made == [("a", 8)]

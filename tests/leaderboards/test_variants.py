"""Variants in a run: fitted apart from each other, named apart in records, refitted on a change."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest

import hdeocc.method
from hdeocc.fitted import load_fitted, unfitted
from hdeocc.folders import read_json
from hdeocc.method import GROUP, Budget, FitData
from leaderboards.benchmark import parse_benchmark
from leaderboards.folder import Folder
from leaderboards.plan import planned
from leaderboards.run import run_benchmark
from synth.errors import InputError
from tests.leaderboards import fakes


@dataclass(frozen=True)
class Strength:
    strength: float = 0.6


class Tuned(fakes.FakeMask):
    """A fake with a setting."""

    presets: ClassVar[Any] = {"quick": Strength()}

    def __init__(self, preset: Any = "quick", sizes: Strength | None = None) -> None:
        super().__init__(preset)
        self.strength = (sizes or Strength()).strength

    def fit(self, data: FitData, budget: Budget, fabric: Any) -> None:
        super().fit(data, budget, fabric)
        self.constant = self.strength


VARIANT = """
[variants.soft]
base = "tuned"
track = "mask"
title = "Softer"
[variants.soft.options]
strength = {}
"""


@pytest.fixture
def world(fake_world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    entry = EntryPoint("mask.tuned", f"{__name__}:Tuned", GROUP)
    both = fakes.registry() | {"mask.tuned": entry}
    monkeypatch.setattr(hdeocc.method, "_entries", lambda: both)
    return fake_world


def _run(out: Path, strength: float = 0.1) -> dict[str, Any]:
    text = fakes.toml(["tuned", "soft"], [], []) + VARIANT.format(strength)
    made = run_benchmark(parse_benchmark(text, "fake"), out, None, progress=False)
    return {record.method: record for record in made}


def test_a_variant_is_fitted_and_recorded_apart(world: Path) -> None:
    made = _run(world)
    assert made["soft"].title == "Softer" and made["tuned"].title == "Fake mask"
    assert made["soft"].options == {"strength": 0.1} and made["tuned"].options == {}
    assert made["soft"].weights_sha256 != made["tuned"].weights_sha256
    fitted = read_json(Folder(world).model("mask.soft", 0) / "fitted.json")
    assert fitted["base"] == "mask.tuned" and fitted["options"] == {"strength": 0.1}


def test_other_options_are_another_fit_and_the_same_ones_are_not(world: Path) -> None:
    _run(world)
    assert len(fakes.FakeMask.fits) == 2
    _run(world)
    assert len(fakes.FakeMask.fits) == 2
    again = _run(world, 0.2)
    assert len(fakes.FakeMask.fits) == 3 and again["soft"].options == {"strength": 0.2}


def test_a_fitted_variant_is_read_back_from_its_folder(world: Path) -> None:
    _run(world)
    back = load_fitted(Folder(world).model("mask.soft", 0))
    assert isinstance(back.method, Tuned) and back.method.strength == 0.1
    assert (back.name, back.method.title, back.seed) == ("soft", "Softer", 0)
    plain = load_fitted(Folder(world).model("mask.tuned", 0))
    assert plain.method.options == {} and plain.method.title == "Fake mask"


def test_what_is_no_fitted_method_is_refused(world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no fitted\.json"):
        load_fitted(tmp_path)
    with pytest.raises(InputError, match="has to be fitted first"):
        unfitted("mask.tuned", "quick")
    assert unfitted("mask.identity", "quick").method.title == "Fake identity"
    (tmp_path / "fitted.json").write_text('{"method": "mask.gone", "preset": "quick", "key": "k"}')
    with pytest.raises(InputError, match="mask.gone at preset quick, which is not installed"):
        load_fitted(tmp_path)


def test_what_learns_nothing_is_made_for_the_first_seed_alone(world: Path) -> None:
    text = fakes.toml(["identity", "tuned"], ["paint"], [["identity", "paint"]])
    benchmark = parse_benchmark(text, "fake").model_copy(update={"seeds": (3, 4)})
    rows = [(row.track, row.name, row.seed) for row in planned(benchmark)]
    assert ("mask", "identity", 4) not in rows
    assert {("mask", "tuned", 4), ("content", "paint", 4), ("full", "identity+paint", 4)} <= {*rows}

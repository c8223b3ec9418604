"""Methods, data sets and records that stand in for the real ones."""

import json
import math
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hdeocc.batch import Batch
from hdeocc.checkpoint import load_tensors, save_tensors
from hdeocc.method import GROUP, Budget, Diverged, FitData, Method, Track
from leaderboards import records
from leaderboards.benchmark import Benchmark, parse_benchmark
from leaderboards.records import Bin, Data, Protocol, Record, SampleScores, Total
from synth.recipe import Recipe, load_recipe
from synth.sample import Sample
from tests.fakes import make_samples


class FakeSplit(Sequence[Sample]):
    """A split in memory."""

    def __init__(self, samples: list[Sample], fingerprint: str) -> None:
        self.samples, self.fingerprint = samples, fingerprint
        self.ids = [s.sample_id for s in samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Any) -> Any:
        return self.samples[index]


class FakeDataset:
    """A data set in memory."""

    fingerprint = "f" * 64

    def __init__(self, recipe: Recipe, size: int = 32, test: int = 6) -> None:
        rng = np.random.default_rng(0)
        self.recipe = recipe
        self.splits = {
            "train": FakeSplit(make_samples(4, size, rng), "a" * 64),
            "val": FakeSplit(make_samples(2, size, rng, split="val"), "b" * 64),
            "test": FakeSplit(make_samples(test, size, rng, split="test"), "c" * 64),
        }

    def split(self, name: str) -> FakeSplit:
        return self.splits[name]


def build(recipe: Recipe, out: Path, data_root: Any, **_: Any) -> FakeDataset:
    """Stands for `synth.build.build`."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "dataset.json").write_text("{}")
    return FakeDataset(recipe)


def open_dataset(_: Path) -> FakeDataset:
    """Stands for `Dataset.open`."""
    return FakeDataset(load_recipe("people-quick"))


class FakeMask(Method):
    """Adds a learned constant to the initial mask; counts its fits."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "Fake mask"
    consumes: ClassVar[frozenset[str]] = frozenset({"initial"})
    learned: ClassVar[bool] = True
    fits: ClassVar[list[tuple[str, int]]] = []
    seen: ClassVar[list[dict[str, Tensor]]] = []
    constant: float = 0.0

    def fit(self, data: FitData, budget: Budget, fabric: Any) -> None:
        assert data.workdir is not None and len(data.train) == 4 and len(data.val) == 2
        self.fits.append((type(self).__name__, budget.seed))
        self.constant = 0.6

    def predict(self, batch: Batch) -> Tensor:
        self.seen.append(batch.fields)
        return (batch.initial + self.constant * (batch.initial.amax() > 0)).clamp(0, 1)

    def save(self, folder: Path) -> None:
        save_tensors(folder / "weights.safetensors", {"c": torch.tensor([self.constant])})

    def load(self, folder: Path) -> None:
        self.constant = float(load_tensors(folder / "weights.safetensors")["c"][0])

    def parameters_used(self) -> int:
        return 1


class FakeIdentity(Method):
    """Learns nothing."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "Fake identity"
    consumes: ClassVar[frozenset[str]] = frozenset({"initial"})

    def predict(self, batch: Batch) -> Tensor:
        return batch.initial


class FakeContent(FakeMask):
    """Paints one colour; needs the fitted mask method first."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "Fake content"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "amodal", "modal"})
    upstream: ClassVar[tuple[str, ...]] = ("mask.learned",)

    def fit(self, data: FitData, budget: Budget, fabric: Any) -> None:
        upstream = data.upstream["mask.learned"]
        assert isinstance(upstream, FakeMask) and upstream.constant == float(np.float32(0.6))
        super().fit(data, budget, fabric)

    def predict(self, batch: Batch) -> Tensor:
        self.seen.append(batch.fields)
        return torch.full_like(batch.image, 0.25)


class Greedy(FakeIdentity):
    """Reads what it does not declare."""

    def predict(self, batch: Batch) -> Tensor:
        return batch.amodal


class Stopped(FakeMask):
    """Is interrupted by the user on its first fit."""

    title: ClassVar[str] = "Stopped"

    def fit(self, data: FitData, budget: Budget, fabric: Any) -> None:
        before = len(self.fits)
        super().fit(data, budget, fabric)
        if not any(name == "Stopped" for name, _ in self.fits[:before]):
            raise KeyboardInterrupt


class Frugal(FakeMask):
    """Says that it spends nothing."""

    title: ClassVar[str] = "Frugal"
    spends: ClassVar[bool] = False


class Rated(FakeMask):
    """The higher its learning rate, the less it adds to the initial mask, which is for the best."""

    title: ClassVar[str] = "Rated"
    rates: ClassVar[list[tuple[float, int]]] = []
    highest: ClassVar[float] = math.inf
    highest_for_long: ClassVar[float] = math.inf  # beyond it only a whole training diverges

    def fit(self, data: FitData, budget: Budget, fabric: Any) -> None:
        super().fit(data, budget, fabric)
        self.rates.append((budget.lr, budget.seed))
        highest = self.highest if budget.stop else min(self.highest, self.highest_for_long)
        if budget.lr > highest:
            raise Diverged("the training diverged in step 1")
        self.constant = 0.8 - budget.lr


def registry() -> dict[str, EntryPoint]:
    """Stands for the installed entry points."""
    kinds = {
        "mask.identity": FakeIdentity,
        "mask.learned": FakeMask,
        "mask.stopped": Stopped,
        "mask.rated": Rated,
        "mask.frugal": Frugal,
        "mask.greedy": Greedy,
        "content.paint": FakeContent,
    }
    where = __name__
    return {k: EntryPoint(k, f"{where}:{v.__name__}", GROUP) for k, v in sorted(kinds.items())}


def benchmark(mask: list[str], content: list[str], full: list[list[str]]) -> Benchmark:
    """A benchmark of fake methods."""
    return parse_benchmark(toml(mask, content, full), "fake")


def toml(mask: list[str], content: list[str], full: list[list[str]]) -> str:
    """The text of such a benchmark."""
    return f"""
name = "fake"
title = "Fake people"
recipe = "people-quick"
preset = "quick"
protocol = "2"
[budget.mask]
samples = 8
precision = "32-true"
[budget.content]
samples = 8
precision = "32-true"
[tracks]
mask = {json.dumps(mask)}
content = {json.dumps(content)}
full = {json.dumps(full)}
"""


def record(
    method: str = "alpha",
    ious: Sequence[float] = (0.5, 0.7),
    people: Sequence[str] | None = None,
    hidden: Sequence[float] | None = None,
    **changes: Any,
) -> Record:
    """A record of the mask track with the given scores; ``hidden`` share 0.3 by default."""
    people = people or [f"fake:{i}" for i in range(len(ious))]
    hidden = hidden or [0.3] * len(ious)
    samples = tuple(
        SampleScores(
            id=f"{i:06d}",
            person=person,
            hidden_share=share,
            scores={
                "iou": iou,
                "invisible_iou": iou / 2,
                "boundary_f": iou / 3,
                "l1": 1 - iou,
                "intersection": round(100 * iou),
                "union": 100,
                "hidden_pixels": 40,
            },
        )
        for i, (iou, person, share) in enumerate(zip(ious, people, hidden, strict=True))
    )
    return record_of(method, samples, **changes)


def content_record(
    method: str = "paint", errors: Sequence[float] = (0.1, 0.2), **changes: Any
) -> Record:
    """A record of the content track with the given errors, with FID and a part of the body."""
    samples = tuple(
        SampleScores(
            id=f"{i:06d}",
            person=f"fake:{i}",
            hidden_share=0.1 + 0.8 * (i % 2),
            scores={
                **{name: error for name in ("l1_hole", "lpips_hole", "l1", "lpips")},
                **{name: 1 - error for name in ("ssim_hole", "ssim")},
                **{name: 20 + error for name in ("psnr_hole", "psnr")},
                "l1_hole@head": error / 2 if i else None,
                "hidden_pixels": 40,
            },
        )
        for i, error in enumerate(errors)
    )
    fid = Total(value=100 * sum(errors), n=len(errors), low=1.0, high=1000.0)
    totals = records.totals_of(samples) | {"fid": fid, "kid": fid}
    bins = (Bin(low=0.1, high=0.2, totals={"fid": fid}), Bin(low=0.9, high=1, totals={"fid": fid}))
    facts = {"track": "content", "totals": totals, "bins": bins, "consumes": ("image", "amodal")}
    return record_of(method, samples, **(facts | changes))


def record_of(method: str, samples: tuple[SampleScores, ...], /, **changes: Any) -> Record:
    """A record of samples that were scored."""
    facts: dict[str, Any] = {
        "benchmark": "fake",
        "track": "mask",
        "method": method,
        "title": method.capitalize(),
        "seed": 0,
        "preset": "quick",
        "budget": None,
        "protocol": Protocol(),
        "data": data(),
        "n_expected": len(samples),
        "n_scored": len(samples),
        "samples": samples,
        "totals": records.totals_of(samples),
        "bins": (),
        "empty": {},
        "consumes": ("initial",),
        "learned": False,
        "options": {},
        "parameters": 12_345,
        "macs": 6_789_000,
        "milliseconds": 1.5,
        "device": "a CPU",
        "seconds_fit": None,
        "weights_sha256": {},
        "feature_networks": {},
        "code_version": "0.1.0",
        "library_versions": {"torch": "2"},
        "score_key": "k",
    }
    return Record(**(facts | changes))


def data(test: str = "c" * 64) -> Data:
    """Facts of a data set."""
    return Data(name="fake", title="Fake people", fingerprint="f" * 64, test_fingerprint=test)

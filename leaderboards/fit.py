"""Fitted methods of a benchmark: trained when missing, else read back from its output folder."""

import shutil
from dataclasses import dataclass, field
from typing import Literal

import torch

from hdeocc.fitted import (
    Fitted,
    describe,
    fit_into,
    is_fitted,
    make_fabric,
    restored,
)
from hdeocc.folders import digest
from hdeocc.method import FitData, Track, method_class
from leaderboards.benchmark import Benchmark
from leaderboards.folder import Folder
from synth.errors import InputError
from synth.live import Live
from synth.store import Split

Rerun = Literal["only-missing", "always", "never"]


@dataclass
class Fitter:
    """Fits every method of a benchmark once, those it builds on first."""

    folder: Folder
    benchmark: Benchmark
    train: Split | Live
    val: Split
    rerun: Rerun = "only-missing"
    _done: dict[tuple[str, int], Fitted] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def get(self, track: Track, name: str, seed: int) -> Fitted:
        """The fitted method, from memory, from disk, or trained now.

        Raises:
            InputError: unknown method, methods that wait for each other, or changed weights.
        """
        key = f"{track}.{name}"
        if (key, seed) not in self._done:
            if key in self._open:
                chain = " -> ".join([*self._open, key])
                raise InputError(f"methods wait for each other: {chain}; mend their `upstream`")
            self._open.append(key)
            self._done[key, seed] = self._fitted(track, name, seed)
            self._open.pop()
        return self._done[key, seed]

    def _fitted(self, track: Track, name: str, seed: int) -> Fitted:
        variant = self.benchmark.variant(track, name)
        kind = method_class(track, variant.base if variant else name)
        upstream = {key: self._upstream(key, seed) for key in kind.upstream}
        torch.manual_seed(seed)  # a network draws its first weights when it is made
        if variant is None:
            method = kind(self.benchmark.preset)
        else:
            method = kind.variant(self.benchmark.preset, variant.options, variant.title)
        key, budget = f"{track}.{name}", self.benchmark.budget_of(track, seed)
        base = f"{track}.{variant.base}" if variant else None
        about = describe(method, key, budget, self.train, self.val, upstream, base)
        folder = self.folder.model(key, seed)
        if self.rerun == "always" or not is_fitted(folder, digest(about)):
            workdir = self.folder.training(key, seed) if method.learned else None
            if workdir is not None and self.rerun == "always":
                shutil.rmtree(workdir, ignore_errors=True)
            data = FitData(self.train, self.val, workdir)
            data.upstream = {name: fitted.method for name, fitted in upstream.items()}
            fit_into(folder, method, about, data, budget, make_fabric(budget))
        return restored(method, folder)

    def _upstream(self, key: str, seed: int) -> Fitted:
        track, _, name = key.partition(".")
        return self.get("mask" if track == "mask" else "content", name, seed)

"""Fitted methods of a benchmark: trained when missing, else read back from its output folder."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from hdeocc.checkpoint import clear_states
from hdeocc.fabric import make_fabric
from hdeocc.fitted import (
    About,
    Fitted,
    describe,
    fit_into,
    go_on_from,
    is_fitted,
    note_divergence,
    noted_divergence,
    restored,
)
from hdeocc.folders import digest, file_digests, new_folder
from hdeocc.method import Budget, Diverged, FitData, Method, Track, of_key
from leaderboards.benchmark import Benchmark
from leaderboards.folder import Folder
from leaderboards.rates import Choice, chosen
from synth.errors import InputError
from synth.live import Live
from synth.store import Split

Rerun = Literal["only-missing", "always", "never"]


def unfitted_row(benchmark: Benchmark, track: Track, name: str) -> Method:
    """The method of a row, with the settings that the benchmark gives it."""
    kind, variant = benchmark.kind(track, name), benchmark.variant(track, name)
    if variant is None:
        return kind(benchmark.preset)
    return kind.variant(benchmark.preset, variant.options, variant.title)


@dataclass
class Fitter:
    """Fits every method of a benchmark once, those it builds on first.

    Attributes:
        made: folders of models that this run has fitted, which are not made again.
    """

    folder: Folder
    benchmark: Benchmark
    train: Split | Live
    val: Split
    rerun: Rerun = "only-missing"
    made: set[Path] = field(default_factory=set)
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
            try:
                self._done[key, seed] = self._fitted(track, name, seed)
            finally:
                self._open.pop()
        return self._done[key, seed]

    def _fitted(self, track: Track, name: str, seed: int) -> Fitted:
        key, benchmark = f"{track}.{name}", self.benchmark
        model, training = self.folder.model(key, seed), self.folder.training(key, seed)
        rates = benchmark.rates_of(track, name)
        if not benchmark.chooses_rate(track, name):
            budget = benchmark.budget_of(track, name, seed)
            return self._trained(track, name, budget, model, training)
        lr = self._choice(track, name).lr
        budget = benchmark.budget_of(track, name, seed, lr)
        if seed != benchmark.seeds[0]:
            return self._trained(track, name, budget, model, training)
        tried, begun = self.folder.tried(key, lr)
        if budget != benchmark.trial_of(track, seed, lr):
            try:
                found = self._trained(track, name, budget, model, training, begun)
            except Diverged as error:
                self._rule_out(track, name, lr, error)
                return self._fitted(track, name, seed)
            for rate in rates:
                clear_states(self.folder.tried(key, rate)[1])
            return found
        with self.folder.making(model):
            if not model.is_dir() or file_digests(model) != file_digests(tried):
                with new_folder(model) as unfinished:
                    shutil.copytree(tried, unfinished, dirs_exist_ok=True)
        return restored(unfitted_row(self.benchmark, track, name), model)

    def _choice(self, track: Track, name: str) -> Choice:
        """The learning rate that does best on val at the first seed."""
        key, seed = f"{track}.{name}", self.benchmark.seeds[0]
        tried = {lr: self._tried(track, name, lr) for lr in self.benchmark.rates_of(track, name)}
        return chosen(self.folder.model(key, seed).parent, key, tried, self.val)

    def _tried(self, track: Track, name: str, lr: float) -> Fitted | None:
        """What one of several rates led to; None where the training diverged."""
        budget = self.benchmark.trial_of(track, self.benchmark.seeds[0], lr)
        for one in self.benchmark.kind(track, name).upstream:
            self._upstream(one, budget.seed)  # whose own divergence is no fault of this rate
        try:
            return self._trained(track, name, budget, *self.folder.tried(f"{track}.{name}", lr))
        except Diverged:
            return None

    def _rule_out(self, track: Track, name: str, lr: float, error: Diverged) -> None:
        """Remember that a rate diverged after the end of its try, so that another is chosen."""
        budget = self.benchmark.trial_of(track, self.benchmark.seeds[0], lr)
        _, about, _ = self._unfitted(track, name, budget)
        note_divergence(self.folder.tried(f"{track}.{name}", lr)[0], digest(about), error)

    def _unfitted(
        self, track: Track, name: str, budget: Budget
    ) -> tuple[Method, About, dict[str, Fitted]]:
        """The method of a row before its training, all that its weights depend on, and upstream."""
        variant, key = self.benchmark.variant(track, name), f"{track}.{name}"
        needed = self.benchmark.kind(track, name).upstream
        upstream = {one: self._upstream(one, budget.seed) for one in needed}
        torch.manual_seed(budget.seed)  # a network draws its first weights when it is made
        method = unfitted_row(self.benchmark, track, name)
        base = f"{track}.{variant.base}" if variant else None
        about = describe(method, key, budget, self.train, self.val, upstream, base)
        return method, about, upstream

    def _trained(
        self,
        track: Track,
        name: str,
        budget: Budget,
        folder: Path,
        training: Path,
        begun: Path | None = None,
    ) -> Fitted:
        """The method fitted with a budget, from ``folder`` or trained now.

        ``begun``: where the same training was stopped on the way.
        """
        method, about, upstream = self._unfitted(track, name, budget)
        again = self.rerun == "always" and folder not in self.made
        with self.folder.making(folder):
            if not again and (error := noted_divergence(folder, digest(about))):
                raise Diverged(error)
            if again or not is_fitted(folder, digest(about)):
                workdir = training if method.learned else None
                if workdir is not None and again:
                    shutil.rmtree(workdir, ignore_errors=True)
                if workdir is not None and begun is not None and begun.is_dir():
                    go_on_from(begun, workdir, about)
                data = FitData(self.train, self.val, workdir)
                data.upstream = {one: fitted.method for one, fitted in upstream.items()}
                self.made.add(folder)
                self._fit_into(folder, method, about, data, budget)
        return restored(method, folder)

    def _fit_into(
        self, folder: Path, method: Method, about: About, data: FitData, budget: Budget
    ) -> None:
        """As :func:`fit_into`; a divergence is noted, and says whose it is."""
        try:
            fit_into(folder, method, about, data, budget, make_fabric(budget))
        except Diverged as error:
            whose = f"{about['method']} at learning rate {budget.lr:g}"
            named = Diverged(f"{whose}: {error.message}")
            note_divergence(folder, digest(about), named)
            raise named from None

    def _upstream(self, key: str, seed: int) -> Fitted:
        return self.get(*of_key(key), seed)

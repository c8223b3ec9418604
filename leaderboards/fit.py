"""Fitted methods: trained when missing, else read back from the output folder."""

import dataclasses
import json
import logging
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from hdeocc.learned import Learned
from hdeocc.method import PRESETS, Budget, FitData, Method, Preset, Track, entries, method_class
from leaderboards.benchmark import Benchmark
from leaderboards.folder import Folder, digest, file_digests, new_folder, read_json
from synth.atomic import write_text
from synth.errors import InputError
from synth.live import Live
from synth.store import Split

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Rerun = Literal["only-missing", "always", "never"]


@dataclass(frozen=True)
class Fitted:
    """A method that can predict.

    Attributes:
        name: of the row, such as "two-stage" or that of a variant.
        key: digest of everything its weights depend on.
        seconds: how long fitting took; None for methods that learn nothing.
        weights: SHA-256 of the weight files, by name.
        seed, budget: what it was fitted with; None for methods that learn nothing.
    """

    method: Method
    name: str
    key: str
    seconds: float | None
    weights: dict[str, str]
    seed: int = 0
    budget: dict[str, Any] | None = None


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

    def is_saved(self, track: Track, name: str, seed: int) -> bool:
        """Whether fitted weights lie in the folder, of whatever budget."""
        return (self.folder.model(f"{track}.{name}", seed) / "fitted.json").is_file()

    def _fitted(self, track: Track, name: str, seed: int) -> Fitted:
        variant = self.benchmark.variant(track, name)
        kind = method_class(track, variant.base if variant else name)
        upstream = {key: self._upstream(key, seed) for key in kind.upstream}
        torch.manual_seed(seed)  # a network draws its first weights when it is made
        if variant is None:
            method = kind(self.benchmark.preset)
        else:
            method = kind.variant(self.benchmark.preset, variant.options, variant.title)
        budget = self.benchmark.budget_of(track, seed)
        about = self._about(method, f"{track}.{name}", budget, upstream)
        if variant is not None:
            about |= {"base": f"{track}.{variant.base}", "options": method.options}
        folder = self.folder.model(f"{track}.{name}", seed)
        if self.rerun == "always" or not _matches(folder, digest(about)):
            self._fit(method, f"{track}.{name}", budget, about, upstream)
        return _restored(method, self.folder.model(f"{track}.{name}", seed))

    def _upstream(self, key: str, seed: int) -> Fitted:
        track, _, name = key.partition(".")
        return self.get("mask" if track == "mask" else "content", name, seed)

    def _about(
        self, method: Method, key: str, budget: Budget, upstream: dict[str, Fitted]
    ) -> dict[str, object]:
        """What the weights depend on; for methods that learn nothing neither data nor budget."""
        kind = type(method)
        about: dict[str, object] = {
            "method": key,
            "class": f"{kind.__module__}:{kind.__qualname__}",
            "preset": method.preset,
        }
        if not method.learned:
            return about
        return about | {
            "budget": dataclasses.asdict(budget),
            "train": self.train.fingerprint,
            "val": self.val.fingerprint,
            "upstream": {name: fitted.key for name, fitted in sorted(upstream.items())},
        }

    def _fit(
        self,
        method: Method,
        key: str,
        budget: Budget,
        about: dict[str, object],
        upstream: dict[str, Fitted],
    ) -> None:
        workdir = self.folder.training(key, budget.seed) if method.learned else None
        if workdir is not None:
            _same_training_or_none(workdir, digest(about), self.rerun)
        data = FitData(self.train, self.val, workdir)
        data.upstream = {name: fitted.method for name, fitted in upstream.items()}
        started = time.perf_counter()
        before = _seconds_before(workdir)
        try:
            method.fit(data, budget, make_fabric(budget))
        finally:
            seconds = before + time.perf_counter() - started
            if workdir is not None and workdir.is_dir():
                write_text(workdir / "seconds.json", json.dumps({"seconds": seconds}))
        with new_folder(self.folder.model(key, budget.seed)) as folder:
            method.save(folder)
            fitted = {"key": digest(about), **about, "weights_sha256": file_digests(folder)}
            fitted["seconds"] = seconds if method.learned else None
            fitted["title"] = method.title
            write_text(folder / "fitted.json", json.dumps(fitted, indent=1) + "\n")


def make_fabric(budget: Budget) -> "Fabric":
    """One device: an accelerator where there is one."""
    from lightning_fabric import Fabric

    # Fabric announces its precision on every start; the records keep it anyway.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    return Fabric(accelerator="auto", devices=1, precision=budget.precision)


def device_of(method: Method) -> torch.device:
    """Where a method computes; those without networks compute on the CPU."""
    if not isinstance(method, Learned):
        return torch.device("cpu")
    return next(method.nets.generator.parameters()).device


def _same_training_or_none(workdir: Path, key: str, rerun: Rerun) -> None:
    """Go on with an interrupted training only if it is the very same one."""
    marker = workdir / "training.json"
    same = marker.is_file() and read_json(marker).get("key") == key
    if rerun == "always" or not same:
        shutil.rmtree(workdir, ignore_errors=True)
    write_text(marker, json.dumps({"key": key}))


def _seconds_before(workdir: Path | None) -> float:
    if workdir is None or not (workdir / "seconds.json").is_file():
        return 0.0
    return _number(read_json(workdir / "seconds.json").get("seconds")) or 0.0


def _matches(folder: Path, key: str) -> bool:
    path = folder / "fitted.json"
    return path.is_file() and read_json(path).get("key") == key


def load_fitted(folder: Path) -> Fitted:
    """The method that an earlier fit left in a folder, ready to predict.

    Raises:
        InputError: no such folder, a method that is not installed, or changed weights.
    """
    if not (folder / "fitted.json").is_file():
        raise InputError(
            f"{folder}: holds no fitted method (no fitted.json); give OUT/models/TRACK.NAME/seed-N"
        )
    about = read_json(folder / "fitted.json")
    track, _, base = str(about.get("base", about.get("method"))).partition(".")
    preset, title = about.get("preset"), about.get("title")
    if f"{track}.{base}" not in entries() or preset not in PRESETS or not about.get("key"):
        raise InputError(
            f"{folder / 'fitted.json'}: names method {track}.{base} at preset {preset}, which is "
            "not installed here; install the package it belongs to or fit again"
        )
    kind = method_class(track, base)
    known: Preset = preset
    method = kind.variant(known, about.get("options", {}), title if about.get("options") else None)
    return _restored(method, folder)


def unfitted(key: str, preset: Preset) -> Fitted:
    """A registered method that learns nothing, by "track.name".

    Raises:
        InputError: no such method, or one that has to learn first.
    """
    track, _, name = key.partition(".")
    method = method_class(track, name)(preset)
    if method.learned:
        raise InputError(f"{key}: has to be fitted first; give the folder of a fitted one")
    return Fitted(method, name, digest({"method": key, "preset": preset}), None, {})


def _restored(method: Method, folder: Path) -> Fitted:
    about = read_json(folder / "fitted.json")
    weights = file_digests(folder)
    if weights != about.get("weights_sha256"):
        raise InputError(
            f"{folder}: the weights are not those that were fitted; remove the folder and run again"
        )
    method.load(folder)
    if isinstance(method, Learned) and torch.cuda.is_available():
        method.nets.to("cuda")
    name = str(about.get("method", "")).partition(".")[2]
    budget = about.get("budget")
    seed = budget.get("seed", 0) if isinstance(budget, dict) else 0
    seconds = _number(about.get("seconds"))
    return Fitted(method, name, str(about["key"]), seconds, weights, seed, budget)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None

"""A fitted method as a folder: weights, and fitted.json with what they are and depend on.

fitted.json holds ``method`` ("track.name"), for a variant ``base`` and ``options``, ``preset`` and
all settings that it means, the budget, the fingerprints of the data, the keys of the methods it
builds on, and the SHA-256 of the weight files. ``key`` is the digest of all that the weights depend
on. ``size`` is that of the samples in pixels, which follows from the data.
"""

import dataclasses
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
import torch

from hdeocc import checkpoint
from hdeocc.differences import differences
from hdeocc.folders import digest, file_digests, new_folder, read_json
from hdeocc.method import (
    PRESETS,
    Budget,
    Diverged,
    FitData,
    Method,
    Preset,
    entries,
    method_class,
)
from hdeocc.pace import Elapsed
from hdeocc.provenance import code_version
from metrics.weights import available
from synth.atomic import write_text
from synth.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FITTED = "fitted.json"
MARKER = "training.json"
DIVERGED = "diverged.json"
# What fitted.json holds beside what the weights depend on.
_BESIDE = ("key", "code_version", "size", "weights_sha256", "seconds", "title")
About = dict[str, object]


@dataclass(frozen=True)
class Fitted:
    """A method that can predict.

    Attributes:
        name: of the row, such as "two-stage" or that of a variant.
        key: digest of everything its weights depend on.
        seconds: how long fitting took; None for methods that learn nothing.
        weights: SHA-256 of the weight files, by name, and of those it uses from elsewhere.
        seed, budget: what it was fitted with; None for methods that learn nothing.
        trained_without: networks that its losses would have looked through, had they been there.
        trained_by: version of the code that trained it, at its end if that was broken; "" where
            nothing was trained, or an earlier version did not say.
        size: pixels (a side) of the samples it was trained on; None where it learns nothing, or an
            earlier version did not say.
        base: "track.name" of the registered method that it is, or that it is a variant of.
    """

    method: Method
    name: str
    key: str
    seconds: float | None
    weights: dict[str, str]
    seed: int = 0
    budget: dict[str, Any] | None = None
    trained_without: tuple[str, ...] = ()
    trained_by: str = ""
    size: int | None = None
    base: str = ""


class Fingerprinted(Protocol):
    """Samples that say what they are."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over what they depend on."""
        ...


def describe(
    method: Method,
    key: str,
    budget: Budget,
    train: Fingerprinted,
    val: Fingerprinted,
    upstream: Mapping[str, Fitted],
    base: str | None = None,
) -> About:
    """What the weights of "track.name" depend on; what learns nothing, on no data and budget.

    ``base`` is the registered method that a variant changes. The settings stand there in full: what
    a preset means may change between versions, and weights must not outlive what they were made by.
    """
    about: About = {"method": key, "preset": method.preset, **made_of(method)}
    if method.learned:
        about |= {
            # The seed is that of what it builds on, whether or not it spends anything itself.
            "budget": budget.facts() if method.spends else {"seed": budget.seed},
            "train": train.fingerprint,
            "val": val.fingerprint,
            "upstream": {name: fitted.key for name, fitted in sorted(upstream.items())},
        }
    return about if base is None else about | {"base": base, "options": method.options}


def made_of(method: Method) -> About:
    """What of :func:`describe` is the installed method's own: no command says it, a version does.

    That is its class, its settings in full, the weights it takes from elsewhere, and the networks
    that its losses lack.
    """
    kind = type(method)
    made: About = {"class": f"{kind.__module__}:{kind.__qualname__}"}
    settings, _ = kind.settings(method.preset, method.options)
    if settings is not None:
        made["settings"] = dataclasses.asdict(settings)
    if outside := method.outside_weights():
        made["outside_weights"] = outside
    if missing := [one for one in method.loss_networks() if not available(one)[0]]:
        made["trained_without"] = missing
    return made


def fit_into(
    folder: Path,
    method: Method,
    about: About,
    data: FitData,
    budget: Budget,
    fabric: "Fabric",
    half: bool = False,
) -> None:
    """Fit a method and leave it in ``folder``, whole or not at all; ``half``: in half precision.

    With ``data.workdir`` an interrupted training of the same ``about`` goes on, its seconds too;
    that of another is started anew, which is said. One that is to stop on the way keeps its state,
    for :func:`go_on_from`. On several processes the first one writes.
    """
    workdir = data.workdir
    key = digest(about)
    if workdir is not None and fabric.is_global_zero:
        _same_training_or_none(workdir, key)
    fabric.barrier()
    elapsed = Elapsed(workdir)
    by = code_version() if method.learned else ""  # asked first: a clone may change meanwhile
    try:
        method.fit(data, budget, fabric)
    finally:
        if fabric.is_global_zero:
            elapsed.keep()
    if fabric.is_global_zero:
        beside = {"code_version": by} | ({"size": _size(data)} if method.learned else {})
        _save(folder, method, {"key": key, **about, **beside}, elapsed.seconds, half)
        if workdir is not None and budget.stop is None:
            checkpoint.clear_states(workdir)
            elapsed.forget()  # or fitting it again would add up
    fabric.barrier()


def _size(data: FitData) -> int | None:
    """Pixels of the samples; looked up in val, whose samples a training has at hand."""
    samples = data.val if len(data.val) else data.train
    return samples[0].amodal.shape[0] if len(samples) else None


def go_on_from(begun: Path, workdir: Path, about: About) -> None:
    """Let the training of ``about`` in ``workdir`` go on from where one in ``begun`` was stopped.

    Both are of the same budget but for its ``stop``. A training of ``about`` that was begun in
    ``workdir`` already goes on from its own state.
    """
    if _is_training_of(workdir, digest(about)):
        return
    _say_what_is_lost(workdir)
    with new_folder(workdir) as unfinished:
        shutil.copytree(begun, unfinished, dirs_exist_ok=True)
        write_text(unfinished / MARKER, json.dumps({"key": digest(about)}))


def _save(folder: Path, method: Method, about: About, seconds: float, half: bool) -> None:
    with new_folder(folder) as unfinished:
        method.save(unfinished)
        for path in unfinished.glob("*.safetensors") if half else ():
            checkpoint.halve(path)
        about = about | {"weights_sha256": file_digests(unfinished)}
        about |= {"seconds": seconds if method.learned else None, "title": method.title}
        write_text(unfinished / FITTED, json.dumps(about, indent=1) + "\n")


def _same_training_or_none(workdir: Path, key: str) -> None:
    """Go on with an interrupted training only if it is the very same one."""
    if not _is_training_of(workdir, key):
        _say_what_is_lost(workdir)
        shutil.rmtree(workdir, ignore_errors=True)
    write_text(workdir / MARKER, json.dumps({"key": key}))


def _say_what_is_lost(workdir: Path) -> None:
    step = checkpoint.newest_step(workdir)
    if step is not None:
        click.echo(
            f"{workdir}: the unfinished training there (step {step}) was of other settings; "
            "it begins anew",
            err=True,
        )


def _is_training_of(workdir: Path, key: str) -> bool:
    marker = workdir / MARKER
    return marker.is_file() and read_json(marker).get("key") == key


def check_same(folder: Path, workdir: Path, about: About) -> None:
    """Refuse to train ``about`` where its result or its states would take the place of another's.

    Raises:
        InputError: ``folder`` holds a fitted method, or ``workdir`` an unfinished training, whose
            weights depend on something else.
    """
    if (folder / FITTED).is_file() and not is_fitted(folder, digest(about)):
        before = {k: v for k, v in read_json(folder / FITTED).items() if k not in _BESIDE}
        told = differences(before, about) or "was fitted with other settings"
        raise InputError(f"{folder}: {told}; give another --out, or remove it to train it anew")
    step = checkpoint.newest_step(workdir)
    if step is not None and not _is_training_of(workdir, digest(about)):
        raise InputError(
            f"{workdir}: holds an unfinished training (step {step}) that was begun with other "
            "settings, networks or versions; give another --out, or remove it to begin anew"
        )


def note_divergence(folder: Path, key: str, error: Diverged) -> None:
    """Keep in the folder of a method that its training diverged, for it would again."""
    with new_folder(folder) as unfinished:
        write_text(unfinished / DIVERGED, json.dumps({"key": key, "error": error.message}))


def noted_divergence(folder: Path, key: str) -> str | None:
    """How the training of what ``key`` stands for diverged before; None if it did not."""
    path = folder / DIVERGED
    if not path.is_file():
        return None
    about = read_json(path)
    return str(about.get("error")) if about.get("key") == key else None


def is_fitted(folder: Path, key: str) -> bool:
    """Whether a folder holds the method whose weights depend on what ``key`` stands for."""
    path = folder / FITTED
    return path.is_file() and read_json(path).get("key") == key


def load_fitted(folder: Path) -> Fitted:
    """The method that an earlier fit left in a folder, ready to predict.

    Raises:
        InputError: no such folder, a method that is not installed, or changed weights.
    """
    path = folder / FITTED
    if not path.is_file():
        raise InputError(
            f"{folder}: holds no fitted method (no {FITTED}); give MODEL/mask or MODEL/content of "
            "hdeocc train, or OUT/models/TRACK.NAME/seed-N of hdeocc bench run"
        )
    about = read_json(path)
    track, _, base = _base(about).partition(".")
    preset, title = about.get("preset"), about.get("title")
    if f"{track}.{base}" not in entries() or preset not in PRESETS or not about.get("key"):
        raise InputError(
            f"{path}: names method {track}.{base} at preset {preset}, which is "
            "not installed here; install the package it belongs to or fit again"
        )
    kind, options = method_class(track, base), about.get("options", {})
    if not isinstance(options, dict):
        raise InputError(f"{path}: its options are no table; restore it")
    known: Preset = preset
    method = kind.variant(known, options, title if options else None)
    return restored(method, folder)


def restored(method: Method, folder: Path) -> Fitted:
    """The unfitted method with the weights of a folder, on the accelerator if there is one.

    Raises:
        InputError: the weights are missing, not those that were fitted, or of another network.
    """
    about = read_json(folder / FITTED)
    weights = file_digests(folder)
    if weights != about.get("weights_sha256"):
        raise InputError(
            f"{folder}: the weights are not those that were fitted; remove the folder and run again"
        )
    method.load(folder)
    if (networks := method.networks()) is not None and torch.cuda.is_available():
        networks.to("cuda")
    name = str(about.get("method", "")).partition(".")[2]
    budget = about.get("budget")
    seed = budget.get("seed", 0) if isinstance(budget, dict) else 0
    seconds = _number(about.get("seconds"))
    weights |= method.outside_weights()
    without = tuple(map(str, about.get("trained_without", ())))
    by = str(about.get("code_version", ""))
    size = about.get("size")
    return Fitted(
        method,
        name,
        str(about["key"]),
        seconds,
        weights,
        seed,
        budget,
        without,
        by,
        size if isinstance(size, int) and size > 0 else None,
        _base(about),
    )


def unfitted(key: str, preset: Preset) -> Fitted:
    """A registered method that learns nothing, by "track.name".

    Raises:
        InputError: no such method, or one that has to learn first.
    """
    track, _, name = key.partition(".")
    method = method_class(track, name)(preset)
    if method.learned:
        raise InputError(f"{key}: has to be fitted first; give the folder of a fitted one")
    outside = method.outside_weights()
    made_by = {"method": key, "preset": preset} | ({"outside_weights": outside} if outside else {})
    return Fitted(method, name, digest(made_by), None, outside, base=key)


def _base(about: Mapping[str, Any]) -> str:
    return str(about.get("base", about.get("method")))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None

"""`hdeocc train`: methods trained one after the other into one folder, with a card.

train.json                  marker: the settings it was begun with
mask/, content/             fitted methods (see ``hdeocc.fitted``)
training/mask/ ...          the loss curve, TensorBoard, pictures, and checkpoints until it is done
training/.lock              held while one process trains here, or the first one of several
model.json, README.md       what the model is, from what, how good
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from hdeocc.fitted import Fitted, check_same, describe, fit_into, is_fitted, restored
from hdeocc.folders import digest, read_json
from hdeocc.method import SIZES, FitData, Preset
from hdeocc.model_card import SCHEMA, card, versions
from hdeocc.stream import Cached
from hdeocc.training_data import Source, credits_of
from hdeocc.training_plan import Part, claim, settings_of
from hdeocc.validation import measure
from synth.atomic import write_text
from synth.errors import InputError
from synth.lock import turn

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MODEL = "model.json"
LOCK = Path("training", ".lock")


@dataclass
class Run:
    """One model: what is trained, on what, into which folder.

    Attributes:
        name: what the user asked for.
        upstream: fitted methods that are there already, by "track.name".
    """

    name: str
    parts: Sequence[Part]
    preset: Preset
    source: Source
    out: Path
    half: bool
    upstream: dict[str, Fitted]

    def all(self, fabric: "Fabric") -> dict[str, Any]:
        """Train what is missing; returns the content of ``model.json``.

        Raises:
            InputError: the folder holds something else, or a model of other settings, or another
                process trains in it.
        """
        facts = self.source.facts
        self._claim(facts, fabric)
        with ExitStack() as held:
            _first_asks(fabric, lambda: held.enter_context(turn(self.out / LOCK, self._refuse)))
            fitted = {part.track: self._fitted(part, fabric) for part in self.parts}
            model: dict[str, Any] = {}
            if fabric.is_global_zero:
                model = self._model(fitted, facts)
            fabric.barrier()
        return model

    def _refuse(self) -> None:
        raise InputError(
            f"{self.out}: another process trains here already; wait for it or give another --out"
        )

    def _claim(self, facts: Mapping[str, Any], fabric: "Fabric") -> None:
        """Make the folder ours."""
        _first_asks(fabric, lambda: claim(self.out, self._settings(facts)))

    def _settings(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        settings = settings_of(self.parts, self.preset, self.half, facts)
        return settings | {"upstream": {key: one.key for key, one in self.upstream.items()}}

    def _fitted(self, part: Part, fabric: "Fabric") -> Fitted:
        """The method of a part, from its folder or trained now; later parts may build on it."""
        torch.manual_seed(part.budget.seed)  # a network draws its first weights when it is made
        method = part.kind.variant(self.preset, part.options)
        below = {key: self.upstream[key] for key in part.kind.upstream}
        base = part.key if method.options else None
        about = describe(
            method, part.key, part.budget, self.source.train, self.source.val, below, base
        )
        if self.half:
            about["weights"] = "float16"
        folder = self.out / part.track
        if not is_fitted(folder, digest(about)):
            workdir = self.out / "training" / part.track
            # Not before now: train.json of an earlier version did not say all of it.
            _first_asks(fabric, lambda: check_same(folder, workdir, about))
            if fabric.is_global_zero:
                self._say_size(part)
            data = FitData(self.source.train, Cached(self.source.val), workdir)
            data.upstream = {key: one.method for key, one in below.items()}
            fit_into(folder, method, about, data, part.budget, fabric, self.half)
        # From the disk, so that what builds on it builds on what is kept.
        self.upstream[part.key] = restored(method, folder)
        return self.upstream[part.key]

    def _say_size(self, part: Part) -> None:
        size, meant = self.source.recipe.size, SIZES[self.preset]
        if size != meant:
            click.echo(
                f"{part.track}: the samples are {size} pixels, but --preset {self.preset} is made "
                f"for {meant}; trained all the same, and used at {size}",
                err=True,
            )

    def _model(self, fitted: dict[str, Fitted], facts: Mapping[str, Any]) -> dict[str, Any]:
        path = self.out / MODEL
        keys = {track: one.key for track, one in fitted.items()}
        if path.is_file():
            before = read_json(path)
            if before.get("schema") == SCHEMA and before.get("keys") == keys:
                return before
        model: dict[str, Any] = {"schema": SCHEMA, "name": self.name, "preset": self.preset}
        model |= {"keys": keys, "data": facts, "photos": credits_of(self.source)}
        val = Cached(self.source.val)
        for part in self.parts:
            click.echo(f"measure {part.track} on {len(val)} val samples", err=True)
            model[part.track] = self._facts(part, fitted[part.track], val)
        model["versions"] = versions()
        write_text(self.out / "README.md", card(model))
        write_text(path, json.dumps(model, indent=1, allow_nan=False) + "\n")
        return model

    def _facts(self, part: Part, fitted: Fitted, val: Cached) -> dict[str, Any]:
        folder = self.out / part.track
        pace = self.out / "training" / part.track / "pace.json"
        return {
            "method": part.key,
            "title": fitted.method.title,
            "options": fitted.method.options,
            "budget": part.budget.facts(),
            "seconds": fitted.seconds,
            "pace": read_json(pace) if pace.is_file() else {},
            "val": measure(fitted.method, val),
            "parameters": fitted.method.parameters_used(),
            "weights": "float16" if self.half else "float32",
            "bytes": sum(path.stat().st_size for path in folder.glob("*.safetensors")),
            "weights_sha256": fitted.weights,
            "trained_without": fitted.trained_without,
        }


def _first_asks(fabric: "Fabric", ask: Callable[[], object]) -> None:
    """Ask on the first process; where that is refused all of them end, and the first says why."""
    error: InputError | None = None
    if fabric.is_global_zero:
        try:
            ask()
        except InputError as refused:
            error = refused
    refused_there: bool = fabric.broadcast(error is not None)
    if error is not None:
        raise error
    if refused_there:
        raise click.exceptions.Exit(2)

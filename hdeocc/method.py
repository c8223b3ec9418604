"""The contract that every compared system fulfils, and the registry that finds them by name.

A method is one class registered under the entry-point group ``hdeocc.methods`` as
``TRACK.NAME = "module:Class"``. Listing methods imports none of them.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hdeocc.options import change
from hdeocc.precision import Precision
from synth.atomic import write_text
from synth.errors import InputError
from synth.sample import Sample
from synth.settings import hint

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor, nn

    from hdeocc.batch import Batch

GROUP = "hdeocc.methods"
NAMES_FILES = "[A-Za-z0-9_][A-Za-z0-9_.-]*"  # the names of methods, for files are called by them
PRESETS = ("quick", "small", "full")
Track = Literal["mask", "content"]
Preset = Literal["quick", "small", "full"]
# Pixels of the square crops that each preset is made for.
SIZES: dict[Preset, int] = {"quick": 64, "small": 128, "full": 256}


@dataclass(frozen=True)
class Budget:
    """What a learned method may spend; equal for all methods of a comparison.

    Attributes:
        samples: training samples seen, over all steps.
        batch: samples a step.
        lr: peak learning rate of the generator.
        seed: seed of weights, batches and augmentation.
        ema: decay of the weight average that predicts.
        clip: largest gradient norm, of the generator and of the discriminator.
        precision: of Fabric, e.g. "bf16-mixed" or "32-true".
        stop: samples after which to stop on the way, with the schedule of all; None for none. A
            training with a work folder can go on from there.
    """

    samples: int
    batch: int = 16
    lr: float = 2e-4
    seed: int = 0
    ema: float = 0.999
    clip: float = 1.0
    precision: Precision = "32-true"
    stop: int | None = None

    @property
    def steps(self) -> int:
        """Optimiser steps: samples over batch, rounded up."""
        return max(1, -(-self.samples // self.batch))

    @property
    def last_step(self) -> int:
        """The step after which to stop: the last one, or that on the way."""
        on_the_way = self.steps if self.stop is None else max(1, -(-self.stop // self.batch))
        return min(self.steps, on_the_way)

    def facts(self) -> dict[str, Any]:
        """The fields by name; ``stop`` only where there is one."""
        known = asdict(self)
        return known if self.stop is not None else {k: v for k, v in known.items() if k != "stop"}


class Diverged(InputError):
    """A training whose learning rate was too high for it: its gradient is not finite any more."""


@dataclass
class FitData:
    """What a method learns from, and where it may keep its checkpoints.

    Attributes:
        train, val: samples by index; ``val`` is never trained on.
        workdir: folder of checkpoints and logs; None keeps nothing.
        upstream: fitted methods that this one names in ``upstream``, by "track.name".
    """

    train: Sequence[Sample]
    val: Sequence[Sample]
    workdir: Path | None = None
    upstream: dict[str, "Method"] = field(default_factory=dict)


class Method(ABC):
    """One row of a leaderboard.

    Class attributes:
        track: "mask" or "content".
        title: the row's name in tables.
        consumes: the inputs ``predict`` reads, of ``hdeocc.batch.INPUTS``; nothing else is given.
        learned: whether ``fit`` trains.
        spends: whether training spends the budget, so that a learning rate is chosen for it and
            records state it. A row on the networks of another, or that only looks at the samples,
            says that it does not.
        pretrained: name of other data that its weights were trained on; such rows rank apart.
        upstream: "track.name" of methods that must be fitted before this one.
        holds: of ``upstream`` those whose networks it predicts with itself, and counts among its
            parameters; a pipeline of both has them once.
        decided: settings that another one decides, by full name, with that one's. They are hashed
            into what was fitted and stay for that; nobody may set them.
        presets: for each preset a frozen dataclass of settings, where a variant may change some;
            the constructor takes one as its second argument. Empty: there are no variants.

    Attributes:
        options: what a variant changes, by full name; {} for the method as it is.
    """

    track: ClassVar[Track]
    title: ClassVar[str]
    consumes: ClassVar[frozenset[str]]
    learned: ClassVar[bool] = False
    spends: ClassVar[bool] = True
    pretrained: ClassVar[str | None] = None
    upstream: ClassVar[tuple[str, ...]] = ()
    holds: ClassVar[tuple[str, ...]] = ()
    decided: ClassVar[Mapping[str, str]] = {}
    presets: ClassVar[Mapping[Preset, Any]] = {}

    def __init__(self, preset: Preset = "quick", sizes: Any = None) -> None:
        self.preset: Preset = preset
        self.options: dict[str, Any] = {}

    @classmethod
    def settings(cls, preset: Preset, options: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The settings of a preset with some changed by name, and the options by full name.

        Raises:
            InputError: an option that the method does not have, or of another type.
        """
        where = f"method {cls.__name__}"
        if options and preset not in cls.presets:
            raise InputError(f"{where}: has no options, so {next(iter(options))!r} cannot be set")
        if not options:
            return cls.presets.get(preset), {}
        return change(cls.presets[preset], options, where)

    @classmethod
    def check_options(cls, preset: Preset, options: Mapping[str, Any]) -> None:
        """Refuse options that are asked for; what was fitted may have some of them all the same.

        Raises:
            InputError: as :meth:`settings`, or one that would change nothing.
        """
        for name in cls.settings(preset, options)[1]:
            if name in cls.decided:
                raise InputError(
                    f"method {cls.__name__}: option {name} changes nothing by itself; set "
                    f"{cls.decided[name]}"
                )

    @classmethod
    def variant(
        cls, preset: Preset, options: Mapping[str, Any], title: str | None = None
    ) -> "Method":
        """An unfitted method with some of its settings changed by name.

        Raises:
            InputError: as :meth:`settings`, or settings of which no network can be made.
        """
        sizes, known = cls.settings(preset, options)
        method = cls._made_with(preset, sizes, known) if known else cls(preset)
        method.options = known
        if title is not None:
            # An attribute of the instance hides the class's, so a variant has a name of its own.
            object.__setattr__(method, "title", title)
        return method

    @classmethod
    def _made_with(cls, preset: Preset, sizes: Any, options: Mapping[str, Any]) -> "Method":
        where = ", ".join(f"{name} = {value}" for name, value in options.items())
        try:
            method = cls(preset, sizes)
        except InputError:
            raise
        # What a layer makes of sizes that it cannot have is its own affair.
        except Exception as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)[:100]
            raise InputError(
                f"method {cls.__name__}: cannot be made with {where} ({reason}); change them"
            ) from None
        networks = method.networks()
        if networks is not None and any(not one.numel() for one in networks.parameters()):
            raise InputError(f"method {cls.__name__}: has layers of no size with {where}; raise it")
        return method

    def check_upstream(self, upstream: Mapping[str, "Method"]) -> None:
        """Refuse methods, of those it names in ``upstream``, that it cannot build on as it is.

        All of them may be unfitted: asked before anything is trained.

        Raises:
            InputError: what they lack.
        """
        return

    def fit(self, data: FitData, budget: Budget, fabric: "Fabric") -> None:
        """Learn from ``data`` within ``budget``; methods that learn nothing keep this one."""
        return

    @abstractmethod
    def predict(self, batch: "Batch") -> "Tensor":
        """Mask track: amodal probability (B, 1, H, W). Content track: RGB (B, 3, H, W) in [0, 1].

        A prediction never depends on the other samples of its batch.
        """

    def predict_parsing(self, batch: "Batch") -> "Tensor | None":
        """Body parts of the whole person, (B, H, W) int64 LIP-20; None where a method has none.

        0 outside the predicted person. Only methods of the mask track are asked.
        """
        return None

    def predict_with_parsing(self, batch: "Batch") -> "tuple[Tensor, Tensor | None]":
        """What :meth:`predict` and :meth:`predict_parsing` give; in one pass where one can."""
        return self.predict(batch), self.predict_parsing(batch)

    @classmethod
    def require(cls) -> None:
        """See that what it needs beside the package is there; asked before a benchmark begins.

        Raises:
            InputError: what is missing, and how to get it.
        """
        return

    def loss_networks(self) -> tuple[str, ...]:
        """Networks of `hdeocc weights` that its losses look through, if they are installed.

        Without them it trains without those terms, to other weights, and is not the same method.
        """
        return ()

    def outside_weights(self) -> dict[str, str]:
        """Digests by name of weights that no fit makes and no folder holds, of `hdeocc weights`."""
        return {}

    def sign(self, folder: Path) -> None:
        """Say in ``method.json`` whose folder it is, for who looks into it."""
        about = {"method": type(self).__name__, "track": self.track, "preset": self.preset}
        write_text(folder / "method.json", json.dumps(about, indent=1) + "\n")

    def save(self, folder: Path) -> None:
        """Write what :meth:`load` needs into ``folder``; nothing for methods without weights."""
        return

    def load(self, folder: Path) -> None:
        """Restore a fitted method from ``folder``."""
        return

    def parameters_used(self) -> int:
        """Parameters that take part in a prediction."""
        return 0

    def networks(self) -> "nn.Module | None":
        """The torch modules that it predicts with, to be moved and counted; None without any."""
        return None


def entries(track: str | None = None) -> dict[str, EntryPoint]:
    """Registered methods by "track.name", sorted; none is imported."""
    found = _entries()
    return {k: v for k, v in found.items() if track is None or k.split(".", 1)[0] == track}


@cache
def _entries() -> dict[str, EntryPoint]:
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        other = found.get(entry.name)
        if other is not None and other.value != entry.value:
            raise InputError(
                f"method {entry.name} is registered twice, as {other.value} and {entry.value}; "
                "uninstall one of the two packages or rename its entry point"
            )
        found[entry.name] = entry
    return dict(sorted(found.items()))


def check_names(track: str, names: Sequence[str], where: str) -> None:
    """Refuse unknown method names of a track, with the closest ones; ``where`` names the asker.

    Raises:
        InputError: for the first unknown name, or one that files cannot have.
    """
    known = [key.split(".", 1)[1] for key in entries(track)]
    for name in names:
        if name not in known:
            meant = hint(name, known)
            raise InputError(f"{where}: no method {name!r} on the {track} track; {meant}")
        if not re.fullmatch(NAMES_FILES, name):
            raise InputError(
                f"{where}: method {name!r} of the {track} track cannot name files; call its entry "
                "point by letters, digits, dots, hyphens and underscores"
            )


def of_key(key: str) -> tuple[Track, str]:
    """The track and the name of "track.name"."""
    track, _, name = key.partition(".")
    return "mask" if track == "mask" else "content", name


def method_class(track: str, name: str) -> type[Method]:
    """The class registered for a name; imports its module."""
    check_names(track, [name], "methods")
    loaded = entries(track)[f"{track}.{name}"].load()
    if not (isinstance(loaded, type) and issubclass(loaded, Method)):
        raise InputError(
            f"entry point {track}.{name} names {loaded!r}, which is not a Method class"
        )
    return loaded

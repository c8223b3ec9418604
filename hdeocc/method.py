"""The contract that every compared system fulfils, and the registry that finds them by name.

A method is one class registered under the entry-point group ``hdeocc.methods`` as
``TRACK.NAME = "module:Class"``. Listing methods imports none of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from synth.errors import InputError
from synth.sample import Sample
from synth.settings import hint

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor

    from hdeocc.batch import Batch

GROUP = "hdeocc.methods"
PRESETS = ("quick", "small", "full")
Track = Literal["mask", "content"]
Preset = Literal["quick", "small", "full"]


@dataclass(frozen=True)
class Budget:
    """What a learned method may spend; equal for all methods of a comparison.

    Attributes:
        samples: training samples seen, over all steps.
        batch: samples a step.
        lr: peak learning rate of the generator.
        seed: seed of weights, batches and augmentation.
        ema: decay of the weight average that predicts.
        clip: largest gradient norm of the generator.
        precision: of Fabric, e.g. "bf16-mixed" or "32-true".
    """

    samples: int
    batch: int = 16
    lr: float = 2e-4
    seed: int = 0
    ema: float = 0.999
    clip: float = 1.0
    precision: Literal["32-true", "bf16-mixed"] = "bf16-mixed"

    @property
    def steps(self) -> int:
        """Optimiser steps: samples over batch, rounded up."""
        return max(1, -(-self.samples // self.batch))


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
        upstream: "track.name" of methods that must be fitted before this one.
    """

    track: ClassVar[Track]
    title: ClassVar[str]
    consumes: ClassVar[frozenset[str]]
    learned: ClassVar[bool] = False
    upstream: ClassVar[tuple[str, ...]] = ()

    def __init__(self, preset: Preset = "quick") -> None:
        self.preset: Preset = preset

    def fit(self, data: FitData, budget: Budget, fabric: "Fabric") -> None:
        """Learn from ``data`` within ``budget``; methods that learn nothing keep this one."""
        return

    @abstractmethod
    def predict(self, batch: "Batch") -> "Tensor":
        """Mask track: amodal probability (B, 1, H, W). Content track: RGB (B, 3, H, W) in [0, 1].

        A prediction never depends on the other samples of its batch.
        """

    def save(self, folder: Path) -> None:
        """Write what :meth:`load` needs into ``folder``; nothing for methods without weights."""
        return

    def load(self, folder: Path) -> None:
        """Restore a fitted method from ``folder``."""
        return

    def parameters_used(self) -> int:
        """Parameters that take part in a prediction."""
        return 0


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
        InputError: for the first unknown name.
    """
    known = [key.split(".", 1)[1] for key in entries(track)]
    for name in names:
        if name not in known:
            meant = hint(name, known)
            raise InputError(f"{where}: no method {name!r} on the {track} track; {meant}")


def method_class(track: str, name: str) -> type[Method]:
    """The class registered for a name; imports its module."""
    check_names(track, [name], "methods")
    loaded = entries(track)[f"{track}.{name}"].load()
    if not (isinstance(loaded, type) and issubclass(loaded, Method)):
        raise InputError(
            f"entry point {track}.{name} names {loaded!r}, which is not a Method class"
        )
    return loaded


def create(track: str, name: str, preset: Preset) -> Method:
    """An unfitted method."""
    return method_class(track, name)(preset)

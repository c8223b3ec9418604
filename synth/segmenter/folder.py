"""What a training leaves in its folder.

``segmenter.json`` is the card: what was asked, the networks that are finished with their SHA-256,
and, at the end, how good they are. ``people.json`` holds the fold of everyone whose photo was
trained on. ``network-K.safetensors`` is network K in half precision; its notes name everybody it
was trained on.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from synth.atomic import write_json
from synth.errors import InputError
from synth.finish import file_hash
from synth.segmenter.folds import Folds
from synth.settings import Strict

_CARD, _PEOPLE = "segmenter.json", "people.json"
AGAIN = "run the same hdeocc synth segmenter command again"


class Training(Strict):
    """What decides the weights, besides the recipe.

    Attributes:
        folds: networks, and groups of people that these have not seen.
        steps: of each network.
        batch: pictures a step.
        composites: how many there are to train on, shared by the networks.
        seed: of starts and batches; the composites have the recipe's.
    """

    folds: int = Field(4, ge=2, le=64)
    steps: int = Field(1500, ge=1)
    batch: int = Field(16, ge=2)
    composites: int = Field(2000, ge=1)
    seed: int = Field(0, ge=0, lt=2**53)


class Network(Strict):
    """A finished network: the SHA-256 of its file, and how many people it was trained on."""

    file: str
    sha256: str
    people: int


class Spread(Strict):
    """How some IoUs are spread: their mean, quantiles, and the share below one half."""

    count: int
    mean: float
    quantiles: dict[str, float]
    below_half: float


class Card(Strict):
    """The content of ``segmenter.json``.

    Attributes:
        version: of this layout.
        recipe: its name.
        recipe_hash: SHA-256 of the recipe that the composites are made by.
        identity: who is in which split; see ``synth.segmenter.folds.identity``.
        training: what was asked.
        people: SHA-256 of ``people.json``.
        networks: those that are finished, in the order of the folds.
        iou: of out-of-fold masks with the true visible ones, by split; None until all is done.
        versions: of the libraries.
    """

    version: Literal[1] = 1
    recipe: str
    recipe_hash: str
    identity: str
    training: Training
    people: str
    networks: tuple[Network, ...] = ()
    iou: dict[str, Spread] | None = None
    versions: dict[str, str] = {}


def read_card(folder: Path) -> Card | None:
    """The card of a folder; None where there is none.

    Raises:
        InputError: it is damaged, or written by another version.
    """
    path = folder / _CARD
    try:
        return Card.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise InputError(
            f"{path}: is damaged or of another version; train into a new folder"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def write_card(folder: Path, card: Card) -> None:
    """Write the card, atomically."""
    write_json(folder / _CARD, card.model_dump(mode="json"), indent=1)


def write_folds(folder: Path, folds: Folds) -> str:
    """Write the folds of people; returns the SHA-256 of the file."""
    write_json(folder / _PEOPLE, {one: folds.known[one] for one in sorted(folds.known)}, indent=0)
    return file_hash(folder / _PEOPLE)


def read_trained(folder: Path, measured: bool = True) -> tuple[Card, Folds]:
    """The card and folds of a folder whose training is finished, all its files checked.

    ``measured``: whether the networks must have been measured, which ends a training.

    Raises:
        InputError: no such folder, not finished, or a file is missing or damaged.
    """
    card = read_card(folder)
    if card is None:
        raise InputError(
            f"{folder}: holds no networks; make them with: hdeocc synth segmenter RECIPE "
            f"--out {folder}"
        )
    if len(card.networks) != card.training.folds or (measured and card.iou is None):
        raise InputError(f"{folder}: the training is not finished; {AGAIN}")
    for name, sha256 in ((_PEOPLE, card.people), *((n.file, n.sha256) for n in card.networks)):
        check_file(folder / name, sha256)
    return card, Folds(card.training.folds, json.loads((folder / _PEOPLE).read_bytes()))


def check_file(path: Path, sha256: str) -> None:
    """Raise InputError unless a file has the SHA-256 (hex) that the card names."""
    try:
        state = "" if file_hash(path) == sha256 else "was changed since the training"
    except OSError as error:
        state = f"cannot be read ({error.strerror})"
    if state:
        raise InputError(f"{path}: {state}; {AGAIN}")


def network_path(folder: Path, fold: int) -> Path:
    """Where network ``fold`` lies."""
    return folder / f"network-{fold}.safetensors"


def unfinished_path(folder: Path, fold: int) -> Path:
    """Where the state of a training that goes on lies."""
    return folder / f"network-{fold}.unfinished"

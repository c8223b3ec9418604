"""Training the networks of a recipe into a folder; the same command goes on after a kill."""

import importlib.metadata
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from synth.errors import InputError
from synth.finish import file_hash
from synth.lock import build_lock
from synth.output import refuse_inside
from synth.plan import Plan, make_plan, open_plan
from synth.recipe import Recipe
from synth.segmenter.composites import Composites, make_composites, training_recipe
from synth.segmenter.folder import (
    Card,
    Network,
    Training,
    network_path,
    read_card,
    read_trained,
    unfinished_path,
    write_card,
    write_folds,
)
from synth.segmenter.folds import folds_shown, identity, make_folds
from synth.segmenter.measure import measure, spread
from synth.segmenter.starter import FromNetworks
from synth.shards import recipe_hash

_MEASURED = 150  # samples of a split


def train(
    recipe: Recipe,
    out: str | Path,
    training: Training,
    data_root: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> Card:
    """Train the networks of a recipe into ``out``, or go on with what was begun there.

    Where files of a finished training are missing or damaged they are made again.

    Args:
        recipe: whose people; its ``[initial]`` does not matter.
        out: the folder; new, empty, or begun with the same recipe and training.
        training: how many networks, how long, from which seed.
        data_root: what relative paths in the recipe start from; see ``synth.sources.open``.
        progress: whether to show bars on standard error.

    Returns:
        The card of the finished training. The same arguments give the same weights on processors
        of one kind, however often the training was interrupted.

    Raises:
        InputError: bad sources, too few people, a foreign folder, a damaged state, no room.
    """
    folder = Path(out)
    _refuse_foreign(folder)
    plan = open_plan(training_recipe(recipe, training.composites), data_root)
    _make(folder)
    with build_lock(folder, (1, 1)):
        card = _begun(folder, plan, training)
        if card.iou is not None and _is_whole(folder):
            return card
        composites = make_composites(plan, progress)
        hiding = chain.from_iterable(composites.hiding)
        folds = make_folds(plan, composites.people, training.folds, hiding)
        shown = folds_shown(plan, composites, folds)
        _check_folds(recipe.name, shown, folds.count)
        card = card.model_copy(update={"people": write_folds(folder, folds)})
        write_card(folder, card)
        card = _train_all(folder, card, composites, shown, progress)
        whole = make_plan(recipe, plan.person_sources, plan.occluder_sources)
        return _measured(folder, card, whole, progress)


def _is_whole(folder: Path) -> bool:
    """Whether a finished training can be used as it is."""
    try:
        read_trained(folder)
    except InputError:
        return False
    return True


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: no usable folder ({error.strerror}); choose another") from None


def _check_folds(name: str, shown: Sequence[set[int]], count: int) -> None:
    """InputError where a network would have nobody to learn from; nothing is written yet."""
    for fold in range(count):
        if all(fold in folds for folds in shown):
            raise InputError(
                f"{name}: nobody is left to train network {fold} on; give more people, more "
                "--composites, or fewer --folds"
            )


def _refuse_foreign(folder: Path) -> None:
    """InputError where the folder holds something else than a training, or lies in a data set."""
    try:
        known = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        known = []
    except OSError as error:
        raise InputError(f"{folder}: no usable folder ({error.strerror}); choose another") from None
    if not known:
        refuse_inside(folder)
    elif "segmenter.json" not in known:
        raise InputError(
            f"{folder}: holds something else ({known[0]}); choose a new or empty folder"
        )


def _begun(folder: Path, plan: Plan, training: Training) -> Card:
    """The card of what was begun in the folder, or a new one."""
    card = Card(
        recipe=plan.recipe.name,
        recipe_hash=recipe_hash(plan.recipe),
        identity=identity(plan),
        training=training,
        people="",
        versions={name: importlib.metadata.version(name) for name in ("torch", "numpy")},
    )
    found = read_card(folder)
    if found is None:
        return card
    for name in ("training", "recipe_hash", "identity"):
        if getattr(found, name) != getattr(card, name):
            what = "other options" if name == "training" else "another recipe or other photos"
            raise InputError(f"{folder}: was begun with {what}; choose another folder")
    return found


def _train_all(
    folder: Path, card: Card, composites: Composites, shown: Sequence[set[int]], progress: bool
) -> Card:
    """Train the networks that are still missing; the card that names all of them.

    ``shown``: of each composite the folds of whoever is seen in it.
    """
    from synth.segmenter.network import one_thread

    total = card.training.folds * card.training.steps
    with one_thread(), tqdm(total=total, desc="train", unit="step", disable=not progress) as bar:
        for fold in range(card.training.folds):
            done = card.networks[fold] if fold < len(card.networks) else None
            path = network_path(folder, fold)
            if done is not None and path.is_file() and file_hash(path) == done.sha256:
                bar.update(card.training.steps)
            else:
                among = np.flatnonzero([fold not in folds for folds in shown])
                network = _train_one(folder, card, composites, among, fold, bar)
                networks = (*card.networks[:fold], network, *card.networks[fold + 1 :])
                card = card.model_copy(update={"networks": networks})
                write_card(folder, card)
            # Also of a training that was killed right here.
            unfinished_path(folder, fold).unlink(missing_ok=True)
    return card


def _train_one(
    folder: Path, card: Card, composites: Composites, among: np.ndarray, fold: int, bar: tqdm
) -> Network:
    from synth.segmenter.learn import learn
    from synth.segmenter.network import halved, save_tensors

    state_path = unfinished_path(folder, fold)
    weights = learn(composites, among, card.training, fold, state_path, bar.update)
    people = sorted({composites.people[number] for number in among})
    path = network_path(folder, fold)
    save_tensors(path, halved(weights), {"fold": fold, "people": people})
    return Network(file=path.name, sha256=file_hash(path), people=len(people))


def _measured(folder: Path, card: Card, plan: Plan, progress: bool) -> Card:
    """The card with the IoU of each split that has samples to look at; the training is finished."""
    starter = FromNetworks(folder, measured=False)
    splits = [name for name in ("train", "val") if plan.counts[name]]
    found = {name: measure(plan, [starter], name, _MEASURED, progress)[0] for name in splits}
    iou = {name: spread(values) for name, values in found.items() if len(values)}
    card = card.model_copy(update={"iou": iou})
    write_card(folder, card)
    return card

"""What `hdeocc train` learns from: a data set on disk, or a recipe whose samples never end."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdeocc.stream import Cached
from hdeocc.validation import spread
from synth.errors import InputError
from synth.live import Live
from synth.plan import open_plan
from synth.recipe import Recipe, load_recipe
from synth.settings import UnknownNameError
from synth.store import Dataset, Split

LOOKED_AT = 200


@dataclass(frozen=True)
class Source:
    """Samples to learn from and held-out ones to report on.

    Attributes:
        given: what the user named, a folder or a recipe.
        dataset: the fingerprint of a built data set; None where samples are made while training.
    """

    given: str
    recipe: Recipe
    train: Split | Live
    val: Split | Live
    dataset: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-able: everything the samples depend on."""
        return {
            "name": self.recipe.name,
            "title": self.recipe.title or self.recipe.name,
            "made": "while training" if self.dataset is None else "before",
            "fingerprint": self.dataset,
            "train_fingerprint": self.train.fingerprint,
            "val_fingerprint": self.val.fingerprint,
            "val_samples": len(self.val),
            "recipe": self.recipe.model_dump(mode="json"),
        }


def open_source(given: str, photos: Path | None, workers: int) -> Source:
    """The samples of a built data set's folder, else of a recipe, by name or TOML file.

    ``photos`` is the folder that a recipe's paths start from, ``workers`` how many processes make
    its samples.

    Raises:
        InputError: neither of them, photos that are not there, or no samples to learn from or to
            report on.
    """
    folder = Path(given)
    if folder.is_dir():
        dataset = Dataset.open(folder)
        train, val = dataset.split("train"), dataset.split("val")
        return Source(given, dataset.recipe, train, val, dataset.fingerprint)
    try:
        recipe = load_recipe(given)
    except UnknownNameError as error:
        raise InputError(f"{given}: no such folder, and {error.said}") from None
    plan = open_plan(recipe, photos)
    return Source(given, recipe, Live(plan, workers=workers), Live(plan, "val"), None)


def credits_of(source: Source) -> dict[str, Any]:
    """Licences of the photos, as the sources state them, of so many training samples looked at."""
    samples = spread(Cached(source.train), min(LOOKED_AT, len(source.train)))
    people = [sample.meta.get("person", {}) for sample in samples]
    occluders = [one for sample in samples for one in sample.meta.get("occluders", [])]
    return {
        "samples_looked_at": len(samples),
        "people": _counted(people),
        "occluders": _counted(occluders),
    }


def _counted(origins: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The licences by how often they are met, most first."""
    found = Counter(
        (str(one.get("licence") or "not stated"), str(one.get("licence_url") or ""))
        for one in origins
    )
    rows = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [{"licence": name, "url": url, "count": count} for (name, url), count in rows]

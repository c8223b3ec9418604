"""The TOML recipe of a data set: which people, which occluders, how they meet.

A recipe is the whole description: (recipe, seed, index) gives a sample, always the same one.
Unknown keys are refused, so that a typing error never silently builds another data set.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import Field, field_validator, model_validator

from synth.errors import InputError
from synth.occlusion_spec import Histogram, Initial, Occlusion, preset_values
from synth.settings import Library, Strict, keys_of
from synth.source_specs import ALL as SOURCE_SPECS
from synth.source_specs import Entry, OccluderSpec, PeopleSpec

SPLITS = ("train", "val", "test")
# Every shard of a data set is in memory while it is built, and all lie in one folder.
MOST_SAMPLES, MOST_SHARDS = 1_000_000_000, 1_000_000

AnyEntry = TypeVar("AnyEntry", bound=Entry)


class Counts(Strict):
    """Samples of each split."""

    train: int = Field(ge=0, le=MOST_SAMPLES)
    val: int = Field(ge=0, le=MOST_SAMPLES)
    test: int = Field(ge=0, le=MOST_SAMPLES)

    @property
    def total(self) -> int:
        """Samples of all splits."""
        return self.train + self.val + self.test


class Splits(Strict):
    """Shares of the people, and of the occluders, that only val and only test may use."""

    val: float = Field(0.1, ge=0, lt=1)
    test: float = Field(0.2, ge=0, lt=1)
    seed: int = 0
    per_person: int = Field(
        3, ge=1, description="composites in a row that share one val/test person"
    )

    @model_validator(mode="after")
    def _some_left_to_train(self) -> "Splits":
        if self.val + self.test >= 1:
            raise ValueError(
                f"splits.val + splits.test = {self.val:g} + {self.test:g} leaves no people to "
                "train on; keep the sum below 1"
            )
        return self


class Recipe(Strict):
    """A data set; see the module docstring."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = ""
    size: int = Field(256, ge=16, le=2048)
    seed: int = Field(0, ge=0)
    shard_size: int = Field(200, ge=1)
    counts: Counts
    splits: Splits = Splits()
    people: tuple[PeopleSpec, ...] = Field(min_length=1)
    occluders: tuple[OccluderSpec, ...] = Field(min_length=1)
    occlusion: Occlusion = Occlusion()
    initial: Initial = Initial()

    @field_validator("people", "occluders")
    @classmethod
    def _train_only_last(cls, entries: tuple[AnyEntry, ...]) -> tuple[AnyEntry, ...]:
        # Names of sources and the order of their people go by the place among the entries; so the
        # others have the place that they have without those for train alone.
        return tuple(sorted(entries, key=lambda entry: entry.train_only))

    @model_validator(mode="after")
    def _few_enough_shards(self) -> "Recipe":
        if self.counts.total > MOST_SHARDS * self.shard_size:
            raise ValueError(_too_many(self.counts.total, self.shard_size))
        return self

    def check_samples(self) -> None:
        """Raise InputError where the recipe asks for no samples at all."""
        if not self.counts.total:
            raise InputError(
                f"{self.name}: all counts are 0; give counts.train, counts.val or counts.test"
            )

    def with_changes(
        self, seed: int | None = None, count: int | None = None, preset: str | None = None
    ) -> "Recipe":
        """The recipe with another seed, ``count`` samples in the same proportions, or a preset.

        A preset (see ``Occlusion``) replaces the keys it sets and leaves the others; "ahp-valid"
        also makes it three composites of each val and test person.

        Raises:
            InputError: no samples, more than a data set may hold, or no such preset.
        """
        changes: dict[str, object] = {} if seed is None else {"seed": seed}
        if preset is not None:
            changes["occlusion"] = _with_preset(self.occlusion, preset)
            if preset == "ahp-valid":
                changes["splits"] = self.splits.model_copy(update={"per_person": 3})
        if count is not None:
            self.check_samples()
            changes["counts"] = _scaled(self.counts, count, self.shard_size)
        return self.model_copy(update=changes)


def _with_preset(occlusion: Occlusion, preset: str) -> Occlusion:
    try:
        values = preset_values(preset)
    except ValueError as error:
        raise InputError(f"--preset {preset}: {error}") from None
    return Occlusion.model_validate(occlusion.model_dump() | values | {"preset": preset})


def _scaled(counts: Counts, total: int, shard_size: int) -> Counts:
    if total < 1:
        raise InputError(f"--count {total}: a data set needs at least one sample")
    if total > min(MOST_SAMPLES, MOST_SHARDS * shard_size):
        raise InputError(f"--count {total}: {_too_many(total, shard_size)}")
    test = round(total * counts.test / counts.total)
    val = min(round(total * counts.val / counts.total), total - test)
    if not counts.train:
        val = total - test  # else what rounding leaves over would be train samples
    return Counts(train=total - val - test, val=val, test=test)


def _too_many(total: int, shard_size: int) -> str:
    if total > MOST_SAMPLES:
        return f"a data set holds at most {MOST_SAMPLES} samples; build several with other seeds"
    return (
        f"{total} samples in shards of {shard_size} are more than {MOST_SHARDS} shards; give a "
        f"shard_size of {-(-total // MOST_SHARDS)} or more"
    )


_PARTS = (Recipe, Counts, Splits, Occlusion, Histogram, Initial)
_KEYS = keys_of((*_PARTS, *SOURCE_SPECS))
_BENCHMARK = "benchmark", frozenset({"recipe", "tracks"})
RECIPES = Library("recipe", Recipe, "synth", "recipes", _KEYS, bases=True, foreign=_BENCHMARK)


def bundled() -> list[str]:
    """Names of the recipes that come with the package."""
    return RECIPES.bundled()


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A recipe from a TOML file or, by name, from those of the package.

    Raises:
        InputError: no such recipe (with the closest names), broken TOML, or a bad key or value.
    """
    return RECIPES.load(name_or_path)


def parse_recipe(text: str, where: str) -> Recipe:
    """A recipe from TOML text; ``where`` names it in errors."""
    return RECIPES.parse(text, where)

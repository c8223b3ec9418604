"""The TOML recipe of a data set: which people, which occluders, how they meet.

A recipe is the whole description: (recipe, seed, index) gives a sample, always the same one.
Unknown keys are refused, so that a typing error never silently builds another data set.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from synth.errors import InputError
from synth.settings import Library, Strict, keys_of

SPLITS = ("train", "val", "test")


class BuiltinPeople(Strict):
    """People of the built-in 3D generator: person i is drawn from (seed, i)."""

    source: Literal["builtin"]
    pool: int = Field(gt=0, description="how many different people there are")
    seed: int = 0
    weight: float = Field(1.0, gt=0)


class CocoPeople(Strict):
    """People of a COCO-format annotation file; paths are relative to the data root."""

    source: Literal["coco"]
    annotations: str
    images: str
    min_area: float = Field(2500, ge=0, description="smallest mask, in pixels of the photo")
    max_border_contact: float = Field(0.05, ge=0, le=1)
    weight: float = Field(1.0, gt=0)


class CcpPeople(Strict):
    """People of Clothing Co-Parsing; bags and carried things count as the person on request."""

    source: Literal["ccp"]
    path: str
    include_accessories: bool = False
    weight: float = Field(1.0, gt=0)


class FolderPeople(Strict):
    """A folder of photos, one of masks, optionally one of LIP-20 parsings, paired by stem."""

    source: Literal["folder"]
    images: str
    masks: str
    parsings: str | None = None
    weight: float = Field(1.0, gt=0)


PeopleSpec = Annotated[
    BuiltinPeople | CocoPeople | CcpPeople | FolderPeople, Field(discriminator="source")
]


class BuiltinOccluders(Strict):
    """Built-in cut-outs: simple furniture, fences, plants ... and, as a share, other people."""

    source: Literal["builtin"]
    pool: int = Field(gt=0)
    seed: int = 0
    people_share: float = Field(0.35, ge=0, le=1)
    weight: float = Field(1.0, gt=0)


class CocoOccluders(Strict):
    """Objects of a COCO-format file that are large, whole and of an allowed class."""

    source: Literal["coco"]
    annotations: str
    images: str
    min_area: float = Field(2500, ge=0)
    max_border_contact: float = Field(0.02, ge=0, le=1)
    exclude: tuple[str, ...] = ("person", "dining table")
    weight: float = Field(1.0, gt=0)


class FolderOccluders(Strict):
    """A folder of photos and one of masks, paired by stem; each mask is one occluder."""

    source: Literal["folder"]
    images: str
    masks: str
    weight: float = Field(1.0, gt=0)


OccluderSpec = Annotated[
    BuiltinOccluders | CocoOccluders | FolderOccluders, Field(discriminator="source")
]


class Counts(Strict):
    """Samples of each split."""

    train: int = Field(ge=0)
    val: int = Field(ge=0)
    test: int = Field(ge=0)


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


class Occlusion(Strict):
    """How occluders are placed; the defaults are the placer of PCNet with a mild ratio range."""

    max_occluders: int = Field(2, ge=1, le=8)
    hidden: tuple[float, float] = (0.05, 0.7)
    overlap: tuple[float, float] = (0.4, 1.0)
    scale: tuple[float, float] = (0.3, 1.0)
    tries: int = Field(100, ge=1)
    blend: Literal["hard", "feather"] = "feather"
    erode: int = Field(1, ge=0, le=8, description="pixels cut off a coarse outline before blending")

    @model_validator(mode="after")
    def _ranges_rise(self) -> "Occlusion":
        for name in ("hidden", "overlap", "scale"):
            low, high = getattr(self, name)
            if not 0 <= low < high or (name != "scale" and high > 1):
                raise ValueError(
                    f"occlusion.{name} = [{low}, {high}] is not a rising range in [0, 1]; "
                    "give [low, high]"
                )
        return self


class Initial(Strict):
    """The mask a method starts from: the true modal mask, or a jittered one."""

    kind: Literal["modal", "jitter"] = "modal"
    strength: float = Field(1.0, ge=0, le=4)


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

    def with_changes(self, seed: int | None = None, count: int | None = None) -> "Recipe":
        """The recipe with another seed, or scaled to ``count`` samples in the same proportions."""
        changes: dict[str, object] = {} if seed is None else {"seed": seed}
        if count is not None:
            changes["counts"] = _scaled(self.counts, count)
        return self.model_copy(update=changes)


def _scaled(counts: Counts, total: int) -> Counts:
    before = counts.train + counts.val + counts.test
    if total < 1 or before < 1:
        raise InputError(f"--count {total}: a data set needs at least one sample")
    test = round(total * counts.test / before)
    val = min(round(total * counts.val / before), total - test)
    return Counts(train=total - val - test, val=val, test=test)


_PARTS = (Recipe, Counts, Splits, Occlusion, Initial)
_PEOPLE = (BuiltinPeople, CocoPeople, CcpPeople, FolderPeople)
_COVERS = (BuiltinOccluders, CocoOccluders, FolderOccluders)
RECIPES = Library("recipe", Recipe, "synth", "recipes", keys_of((*_PARTS, *_PEOPLE, *_COVERS)))


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

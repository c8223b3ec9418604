"""The TOML recipe of a data set: which people, which occluders, how they meet.

A recipe is the whole description: (recipe, seed, index) gives a sample, always the same one.
Unknown keys are refused, so that a typing error never silently builds another data set.
"""

import tomllib
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from synth.errors import InputError

SPLITS = ("train", "val", "test")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BuiltinPeople(_Strict):
    """People of the built-in 3D generator: person i is drawn from (seed, i)."""

    source: Literal["builtin"]
    pool: int = Field(gt=0, description="how many different people there are")
    seed: int = 0
    weight: float = Field(1.0, gt=0)


class CocoPeople(_Strict):
    """People of a COCO-format annotation file; paths are relative to the data root."""

    source: Literal["coco"]
    annotations: str
    images: str
    min_area: float = Field(2500, ge=0, description="smallest mask, in pixels of the photo")
    max_border_contact: float = Field(0.05, ge=0, le=1)
    weight: float = Field(1.0, gt=0)


class CcpPeople(_Strict):
    """People of Clothing Co-Parsing; bags and carried things count as the person on request."""

    source: Literal["ccp"]
    path: str
    include_accessories: bool = False
    weight: float = Field(1.0, gt=0)


class FolderPeople(_Strict):
    """A folder of photos, one of masks, optionally one of LIP-20 parsings, paired by stem."""

    source: Literal["folder"]
    images: str
    masks: str
    parsings: str | None = None
    weight: float = Field(1.0, gt=0)


PeopleSpec = Annotated[
    BuiltinPeople | CocoPeople | CcpPeople | FolderPeople, Field(discriminator="source")
]


class BuiltinOccluders(_Strict):
    """Built-in cut-outs: simple furniture, fences, plants ... and, as a share, other people."""

    source: Literal["builtin"]
    pool: int = Field(gt=0)
    seed: int = 0
    people_share: float = Field(0.35, ge=0, le=1)
    weight: float = Field(1.0, gt=0)


class CocoOccluders(_Strict):
    """Objects of a COCO-format file that are large, whole and of an allowed class."""

    source: Literal["coco"]
    annotations: str
    images: str
    min_area: float = Field(2500, ge=0)
    max_border_contact: float = Field(0.02, ge=0, le=1)
    exclude: tuple[str, ...] = ("person", "dining table")
    weight: float = Field(1.0, gt=0)


class FolderOccluders(_Strict):
    """A folder of photos and one of masks, paired by stem; each mask is one occluder."""

    source: Literal["folder"]
    images: str
    masks: str
    weight: float = Field(1.0, gt=0)


OccluderSpec = Annotated[
    BuiltinOccluders | CocoOccluders | FolderOccluders, Field(discriminator="source")
]


class Counts(_Strict):
    """Samples of each split."""

    train: int = Field(ge=0)
    val: int = Field(ge=0)
    test: int = Field(ge=0)


class Splits(_Strict):
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


class Occlusion(_Strict):
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


class Initial(_Strict):
    """The mask a method starts from: the true modal mask, or a jittered one."""

    kind: Literal["modal", "jitter"] = "modal"
    strength: float = Field(1.0, ge=0, le=4)


class Recipe(_Strict):
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


def bundled() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("synth") / "recipes"
    return sorted(
        p.name.removesuffix(".toml") for p in folder.iterdir() if p.name.endswith(".toml")
    )


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A recipe from a TOML file or, by name, from those of the package.

    Raises:
        InputError: no such recipe (with the closest names), broken TOML, or a bad key or value.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise InputError(
                f"{path}: no such recipe file; give a .toml file or one of: {_names()}"
            )
        return parse_recipe(read_toml(path), str(path))
    name = str(name_or_path)
    if name not in bundled():
        close = get_close_matches(name, bundled(), 3, 0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are: {_names()}"
        raise InputError(f"{name}: no recipe of that name; {hint} (or give a path ending in .toml)")
    text = (resources.files("synth") / "recipes" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_recipe(text, name)


def _names() -> str:
    return ", ".join(bundled())


def read_toml(path: Path) -> str:
    """The text of a TOML file; InputError where it cannot be read or is no UTF-8 text."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no UTF-8 text; give a TOML file saved as UTF-8") from None


def parse_recipe(text: str, where: str) -> Recipe:
    """A recipe from TOML text; ``where`` names it in errors."""
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not valid TOML: {error}; mend that line") from None
    except ValidationError as error:
        raise InputError(f"{where}: {_first_fault(error)}") from None


def _first_fault(error: ValidationError) -> str:
    # A misspelt key is also a missing one; the misspelling says more.
    fault = min(error.errors(), key=lambda f: f["type"] != "extra_forbidden")
    parts = [str(part) for part in fault["loc"]]
    key = ".".join(parts)
    if fault["type"] == "extra_forbidden":
        close = get_close_matches(parts[-1], sorted(_all_keys(Recipe)), 3, 0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "see the recipes of the package"
        return f"unknown key {key}; {hint}"
    if fault["type"] == "missing":
        return f"key {key} is missing; add it (see the recipes of the package)"
    if fault["type"] == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    return f"{key}: {fault['msg'].lower()} (got {str(fault.get('input'))[:60]}); change it"


def _all_keys(model: type[BaseModel]) -> set[str]:
    models: list[type[BaseModel]] = [
        model,
        Counts,
        Splits,
        Occlusion,
        Initial,
        BuiltinPeople,
        CocoPeople,
        CcpPeople,
    ]
    models += [FolderPeople, BuiltinOccluders, CocoOccluders, FolderOccluders]
    return {key for m in models for key in m.model_fields}

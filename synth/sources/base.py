"""What a source of people and a source of occluders give, whatever their files look like."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class PersonCrop:
    """A whole person in a square crop, before any occlusion.

    Attributes:
        image: (S, S, 3) uint8 RGB, black where the crop leaves the photo.
        amodal: (S, S) bool, the whole person, not empty.
        parsing: (S, S) uint8 LIP-20, 0 outside ``amodal``; None where the source has no labels.
        meta: JSON-able: licence, url, keypoints ... as far as the source knows them.
    """

    image: np.ndarray
    amodal: np.ndarray
    parsing: np.ndarray | None
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Cutout:
    """An occluder cut out of its picture.

    Attributes:
        rgba: (h, w, 4) uint8, straight alpha, tight box.
        category: what it is ("car", "person", "fence" ...).
        meta: JSON-able: licence, url ...
    """

    rgba: np.ndarray
    category: str
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rejection:
    """An input that was left out, and why."""

    file: str
    reason: str


class Source:
    """What every source of people or occluders has; readers inherit it.

    Attributes:
        name: unique within a recipe.
        rejected: what was left out when the source was opened.
        digest: SHA-256 (hex) of all input it reads, so that a change between two parts of a build
            is noticed; empty for sources that read nothing.
        photos: what `photo` says of the ids that are read from files.
    """

    name: str = ""
    digest: str = ""

    def __init__(self) -> None:
        self.rejected: list[Rejection] = []
        self.photos: Mapping[str, str] = {}

    def photo(self, identifier: str, /) -> str:
        """The photo that an id is read from: equal for equal files, in every source and place.

        It goes by what is in the file, not by where it lies; `group` ties what that cannot. An id
        without a file is a photo of its own, which no other kind of source has.
        """
        own = f"{type(self).__name__} {self.name}:{identifier}"
        return self.photos.get(identifier, own)

    def group(self, identifier: str, /) -> str:
        """What an id may not be divided from by the splits besides its photo.

        Like a photo it means the same in every source; by default it is the photo.
        """
        return self.photo(identifier)


class PersonSource(Protocol):
    """People by id. ``ids`` is stable and sorted; ``load`` is a pure function of its arguments."""

    name: str
    rejected: list[Rejection]
    digest: str

    def ids(self) -> list[str]: ...

    def photo(self, identifier: str, /) -> str: ...

    def group(self, identifier: str, /) -> str: ...

    def load(self, person_id: str, size: int, rng: np.random.Generator, /) -> PersonCrop:
        """The person in a crop of ``size`` pixels; ``rng`` draws what may vary (crop jitter)."""
        ...


class OccluderSource(Protocol):
    """Cut-outs by id, under the same rules."""

    name: str
    rejected: list[Rejection]
    digest: str

    def ids(self) -> list[str]: ...

    def photo(self, identifier: str, /) -> str: ...

    def group(self, identifier: str, /) -> str: ...

    def load(self, occluder_id: str, size: int, rng: np.random.Generator, /) -> Cutout:
        """The cut-out at its natural size, at most about ``size`` pixels on its longest side."""
        ...

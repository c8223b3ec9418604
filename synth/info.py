"""The form of ``dataset.json`` and of a sample's labels: what readers rely on, before they do.

A data set may come from a stranger, or from a disk that lost a sector. Whoever reads one asks here
first, so that nobody needs to look twice at every key.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Pixels = Annotated[float, Field(ge=-1e6, le=1e6)]
SplitName = Literal["train", "val", "test"]


class _Form(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Shard(_Form):
    file: str
    split: SplitName
    samples: Count
    bytes: Count
    sha256: str
    fingerprint: str


class _Counts(_Form):
    train: Count
    val: Count
    test: Count


class _Pool(_Form):
    people: Count
    occluders: Count


class _Pools(_Form):
    train: _Pool
    val: _Pool
    test: _Pool


class _Fingerprints(_Form):
    train: str
    val: str
    test: str


class Info(_Form):
    """``dataset.json``."""

    recipe: dict[str, Any]
    fingerprint: str
    counts: _Counts
    pools: _Pools
    split_fingerprints: _Fingerprints
    shards: list[_Shard]
    skipped_by_reason: dict[str, Count]
    versions: dict[str, str]


class _Placement(_Form):
    kind: str
    box: Annotated[list[Pixels], Field(min_length=4, max_length=4)]


class _Meta(_Form):
    person: dict[str, Any] = {}
    occluders: list[dict[str, Any]] = []
    placements: list[_Placement] = []
    asked_share: Share | None = None
    asked_range: Annotated[list[Share], Field(min_length=2, max_length=2)] | None = None


class Labels(_Form):
    """The JSON member of a sample, but for its masks; keys that nobody reads may be anything."""

    id: Annotated[str, Field(pattern=r"^[0-9]{6,18}$")]
    split: SplitName
    person_id: str
    occluder_ids: list[str]
    meta: _Meta

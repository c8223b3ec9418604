"""One result as one JSON file: everything needed to read, compare and doubt a number."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from leaderboards.folder import digest, read_json
from metrics import protocol
from synth.atomic import write_text
from synth.errors import InputError

SCHEMA = 1
PROTOCOL_NAME = "hdeocc"
ResultTrack = Literal["mask", "content", "full"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Protocol(_Strict):
    """What the numbers mean: `metrics.protocol` at a version."""

    name: str = PROTOCOL_NAME
    version: str = protocol.VERSION


class Data(_Strict):
    """The data set behind a result; a ranking never leaves one ``test_fingerprint``."""

    name: str
    title: str
    fingerprint: str
    test_fingerprint: str


class SampleScores(_Strict):
    """Scores of one sample; None stands for "not counted" (nan)."""

    id: str
    person: str
    hidden_share: float
    scores: dict[str, float | None]

    def numbers(self) -> dict[str, float]:
        """The scores with nan where nothing is counted."""
        return {k: math.nan if v is None else v for k, v in self.scores.items()}


class Total(_Strict):
    """One number over the split and how many samples it counts; None where it counts none."""

    value: float | None
    n: int


class Record(_Strict):
    """A result; a run that did not score every expected sample has no totals."""

    schema_version: int = SCHEMA
    benchmark: str
    track: ResultTrack
    method: str
    title: str
    seed: int
    preset: str
    budget: dict[str, Any] | None = Field(description="None for methods that learn nothing")
    protocol: Protocol
    data: Data
    n_expected: int = Field(ge=0)
    n_scored: int = Field(ge=0)
    samples: tuple[SampleScores, ...]
    totals: dict[str, Total]
    empty: dict[str, str] = Field(description="metrics without a number, each with its reason")
    consumes: tuple[str, ...]
    learned: bool
    parameters: int = Field(ge=0)
    milliseconds: float | None = Field(description="median of one sample, batch 1")
    device: str
    seconds_fit: float | None
    weights_sha256: dict[str, str]
    feature_networks: dict[str, str] = Field(description="network -> source and SHA-256")
    code_version: str
    library_versions: dict[str, str]
    score_key: str = Field(description="digest of everything the stored numbers depend on")

    @model_validator(mode="after")
    def _consistent(self) -> "Record":
        if self.schema_version != SCHEMA:
            raise ValueError(f"record schema {self.schema_version} is not {SCHEMA}")
        if self.n_scored != len(self.samples) or self.n_scored > self.n_expected:
            raise ValueError("n_scored does not fit the samples listed")
        if len({s.id for s in self.samples}) != len(self.samples):
            raise ValueError("a sample is listed twice")
        if self.n_scored != self.n_expected and self.totals:
            raise ValueError("a partial run has no totals")
        self._check_totals()
        return self

    def _check_totals(self) -> None:
        if not self.totals:
            return
        true = totals_of(self.samples)
        for name, claimed in self.totals.items():
            known = true.get(name)
            if known is not None and not _same(claimed, known):
                raise ValueError(f"total {name} does not follow from the samples")

    @property
    def key(self) -> str:
        """The row's name: "track.method.seed-0"."""
        return f"{self.track}.{self.method}.seed-{self.seed}"

    @property
    def complete(self) -> bool:
        """Whether every expected sample was scored."""
        return 0 < self.n_expected == self.n_scored

    def total(self, metric: str) -> float:
        """A total, nan where there is none."""
        found = self.totals.get(metric)
        return math.nan if found is None or found.value is None else found.value


def _same(a: Total, b: Total) -> bool:
    if a.value is None or b.value is None:
        return a.value is b.value and a.n == b.n
    return a.n == b.n and math.isclose(a.value, b.value, rel_tol=1e-9, abs_tol=1e-12)


def totals_of(samples: Sequence[SampleScores]) -> dict[str, Total]:
    """Totals of the per-sample metrics (and pooled IoU) by `metrics.protocol.aggregate`."""
    made = protocol.aggregate([s.numbers() for s in samples])
    return {name: total(t["value"], t["n"]) for name, t in made.items()}


def total(value: float, n: int) -> Total:
    """A total with None for nan, which JSON cannot hold."""
    return Total(value=None if math.isnan(value) else value, n=n)


def clean_scores(scores: Mapping[str, float]) -> dict[str, float | None]:
    """Scores as a record keeps them: nan becomes None."""
    return {k: None if math.isnan(v) else v for k, v in scores.items()}


def write_record(path: Path, record: Record) -> None:
    """Write a record atomically, sealed with the digest of its content."""
    content = record.model_dump(mode="json")
    sealed = {**content, "sha256": digest(content)}
    write_text(path, json.dumps(sealed, indent=1, allow_nan=False) + "\n")


def read_record(path: Path) -> Record:
    """A record from its file.

    Raises:
        InputError: not JSON, changed after it was written, an unknown key or a broken rule.
    """
    content = read_json(path)
    seal = content.pop("sha256", None)
    if seal != digest(content):
        raise InputError(
            f"{path}: was changed after it was written (its sha256 does not fit); "
            "remove it and run the benchmark again"
        )
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        message = str(fault["msg"]).removeprefix("Value error, ")
        raise InputError(
            f"{path}: not a valid record ({where + ': ' if where else ''}{message}); "
            "remove it and run the benchmark again"
        ) from None


def read_records(folder: Path) -> list[Record]:
    """All records of a folder, by file name."""
    return [read_record(path) for path in sorted(folder.glob("*.json"))]

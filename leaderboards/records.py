"""One result as one JSON file: everything needed to read, compare and doubt a number."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hdeocc.folders import digest, read_json
from hdeocc.method import NAMES_FILES
from metrics import protocol
from metrics.truth import RulesName
from synth.atomic import write_text
from synth.errors import InputError

# A method, or both of a pair: it becomes the name of files and folders.
METHOD = rf"^{NAMES_FILES}(\+{NAMES_FILES})?$"
UNMEASURED = "not measured"  # the device of predictions whose maker said nothing
SCHEMA = 2
ResultTrack = Literal["mask", "content", "full"]


class OldRecord(InputError):
    """A record of an earlier version: sound, but its numbers mean something else."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Protocol(_Strict):
    """What the numbers mean: the rules of `metrics.protocol` at a version.

    ``border_band``: pixels on both sides of the amodal outline that no content score counts.
    """

    name: RulesName = "strict"
    version: str = protocol.VERSION
    border_band: int = Field(0, ge=0)

    def __str__(self) -> str:
        band = f", border band {self.border_band} px" if self.border_band else ""
        return f"{self.name} {self.version}{band}"


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
    hidden_share: float = Field(ge=0, le=1)
    scores: dict[str, float | None]

    def numbers(self) -> dict[str, float]:
        """The scores with nan where nothing is counted."""
        return {k: math.nan if v is None else v for k, v in self.scores.items()}


class Total(_Strict):
    """One number over the split and how many samples it counts; None where it counts none.

    ``low`` and ``high`` only for numbers of a whole set (FID, KID, parsing): 95 % by a grouped
    jackknife over people. Those of means over samples are drawn when tables are made.
    """

    value: float | None
    n: int = Field(ge=0)
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if (self.low is None) is not (self.high is None):
            raise ValueError("an interval has two ends")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("the ends of an interval are exchanged")
        return self


class Bin(_Strict):
    """The numbers of a whole set for the samples with a visible share in [low, high)."""

    low: float
    high: float
    totals: dict[str, Total]


class Record(_Strict):
    """A result; a run that did not score every expected sample has no totals."""

    schema_version: int = SCHEMA
    benchmark: str
    track: ResultTrack
    method: str = Field(pattern=METHOD)
    title: str
    seed: int
    preset: str
    budget: dict[str, Any] | None = Field(description="None for methods that learn nothing")
    rates: dict[str, dict[str, float | None]] = Field(
        {},
        description="by track, where val chose among learning rates: what it said of each (IoU of "
        "masks, L1 in the hole); the chosen one is that of the budget",
    )
    protocol: Protocol
    data: Data
    n_expected: int = Field(ge=0)
    n_scored: int = Field(ge=0)
    samples: tuple[SampleScores, ...]
    totals: dict[str, Total]
    bins: tuple[Bin, ...] = Field(description="numbers of a set, by visible share")
    floor: dict[str, Total] = Field({}, description="FID and KID of true photos among themselves")
    empty: dict[str, str] = Field(description="metrics without a number, each with its reason")
    consumes: tuple[str, ...]
    learned: bool | None = Field(description="None where nobody said")
    pretrained: str | None = Field(None, description="other data that its weights were trained on")
    options: dict[str, Any] = Field({}, description="what a variant changes in its method")
    parameters: int | None = Field(ge=0, description="None where nobody said")
    macs: int | None = Field(
        ge=0, description="multiply-adds of one prediction at batch 1; None where not counted"
    )
    milliseconds: float | None = Field(description="median of one sample, batch 1")
    device: str
    seconds_fit: float | None
    weights_sha256: dict[str, str]
    feature_networks: dict[str, str] = Field(description="network -> source and SHA-256")
    trained_by: str = Field("", description="version of the code that trained it; may be unknown")
    code_version: str = Field(description="version of the code that scored it")
    library_versions: dict[str, str]
    score_key: str = Field(description="digest of everything the stored numbers depend on")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.schema_version != SCHEMA:
            raise ValueError(f"record schema {self.schema_version} is not {SCHEMA}")
        if self.n_scored != len(self.samples) or self.n_scored > self.n_expected:
            raise ValueError("n_scored does not fit the samples listed")
        if len({s.id for s in self.samples}) != len(self.samples):
            raise ValueError("a sample is listed twice")
        if self.n_scored != self.n_expected and (self.totals or self.bins):
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
        """The result's name: "track.method.seed-0"; other protocols than ours are named in it."""
        return record_key(self.track, self.method, self.seed, self.protocol.name)

    @property
    def group(self) -> tuple[str, str, str, str, int]:
        """Results may be ranked together only where this is the same."""
        rules = self.protocol
        fingerprint = self.data.test_fingerprint
        return self.track, fingerprint, rules.name, rules.version, rules.border_band

    @property
    def complete(self) -> bool:
        """Whether every expected sample was scored."""
        return 0 < self.n_expected == self.n_scored

    def total(self, metric: str) -> float:
        """A total, nan where there is none."""
        found = self.totals.get(metric)
        return math.nan if found is None or found.value is None else found.value


def record_key(track: str, method: str, seed: int, rules: str = "strict") -> str:
    """The name of a result, and of its file without ".json"."""
    return f"{track}.{method}.seed-{seed}" + ("" if rules == "strict" else f".{rules}")


def _same(a: Total, b: Total) -> bool:
    if a.value is None or b.value is None:
        return a.value is b.value and a.n == b.n
    return a.n == b.n and math.isclose(a.value, b.value, rel_tol=1e-9, abs_tol=1e-12)


def totals_of(samples: Sequence[SampleScores]) -> dict[str, Total]:
    """Totals of the per-sample metrics (and pooled IoU) by `metrics.protocol.aggregate`."""
    return totals(protocol.aggregate([s.numbers() for s in samples]))


def totals(made: Mapping[str, protocol.Total]) -> dict[str, Total]:
    """Totals as a record keeps them."""
    return {name: total(t.value, t.n, t.low, t.high) for name, t in made.items()}


def total(value: float, n: int, low: float | None = None, high: float | None = None) -> Total:
    """A total with None for nan, which JSON cannot hold."""
    known = low is not None and high is not None and not math.isnan(low + high)
    ends = (low, high) if known else (None, None)
    return Total(value=None if math.isnan(value) else value, n=n, low=ends[0], high=ends[1])


def bins_of(made: Sequence[protocol.Bin]) -> tuple[Bin, ...]:
    """Bins as a record keeps them."""
    return tuple(Bin(low=b.low, high=b.high, totals=totals(b.totals)) for b in made)


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
        OldRecord: of an earlier version.
        InputError: not JSON, changed after it was written, an unknown key or a broken rule.
    """
    content = read_json(path)
    seal = content.pop("sha256", None)
    if seal != digest(content):
        raise InputError(
            f"{path}: was changed after it was written (its sha256 does not fit); "
            "remove it and run the benchmark again"
        )
    _check_schema(path, content.get("schema_version"))
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        raise InputError(
            f"{path}: not a valid record ({reason(error)}); remove it and run the benchmark again"
        ) from None


def reason(error: ValidationError) -> str:
    """The first fault of a value, in a few words."""
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _check_schema(path: Path, schema: object) -> None:
    if not isinstance(schema, int) or schema == SCHEMA:
        return
    if schema < SCHEMA:
        raise OldRecord(
            f"{path}: made by an earlier version (record schema {schema}, not {SCHEMA}); "
            "score again with `hdeocc bench run`"
        )
    raise InputError(
        f"{path}: made by a later version (record schema {schema}, not {SCHEMA}); "
        "install that version of hdeocc"
    )


def read_records(folder: Path) -> list[Record]:
    """All records of a folder, by file name."""
    return [read_record(path) for path in sorted(folder.glob("*.json"))]

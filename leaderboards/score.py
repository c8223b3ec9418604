"""Records of a benchmark's rows: nothing is scored that does not lie on disk as a PNG."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hdeocc import provenance
from hdeocc.fitted import Fitted
from hdeocc.folders import digest
from hdeocc.method import Method
from leaderboards import records
from leaderboards.benchmark import Benchmark
from leaderboards.cost import macs_together
from leaderboards.predict import PARSING, Predictions
from leaderboards.rates import Choice
from leaderboards.records import Data, OldRecord, Protocol, Record, ResultTrack
from leaderboards.score_pictures import Pictures, PictureScorer, Scored
from metrics import protocol, weights
from metrics.truth import Rules, RulesName
from synth.store import Split


@dataclass(frozen=True)
class Row:
    """What is to be scored: one method, or a pair of them on the full track.

    Attributes:
        choices: by track, how val chose a method's learning rate; without those it had no say in.
    """

    track: ResultTrack
    name: str
    seed: int
    fitted: tuple[Fitted, ...]
    predictions: tuple[Predictions, ...]
    choices: Mapping[str, Choice] = field(default_factory=dict)

    @property
    def methods(self) -> list[Method]:
        """One method; two on the full track."""
        return [fitted.method for fitted in self.fitted]

    @property
    def pictures(self) -> Pictures:
        """Where its pictures lie."""
        folders = [made.folder for made in self.predictions]
        if self.track == "content":
            return Pictures(photos=folders[0])
        parsing = folders[0] / PARSING
        return Pictures(
            masks=folders[0],
            photos=folders[1] if self.track == "full" else None,
            parsing=parsing if parsing.is_dir() else None,
        )


@dataclass(frozen=True)
class Facts:
    """What a record says beside its scores; the defaults are those of a foreign program."""

    benchmark: str
    method: str
    title: str
    seed: int = 0
    preset: str = ""
    budget: dict[str, Any] | None = None
    rates: dict[str, dict[str, float | None]] = field(default_factory=dict)
    consumes: tuple[str, ...] = ()
    learned: bool | None = None
    pretrained: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    macs: int | None = None
    milliseconds: float | None = None
    device: str = ""
    seconds_fit: float | None = None
    trained_by: str = ""
    weights_sha256: dict[str, str] = field(default_factory=dict)


def make_record(scored: Scored, facts: Facts, rules: Rules, data: Data, key: str) -> Record:
    """The record of one set of pictures; ``key`` digests all that its numbers depend on."""
    return Record(
        **vars(facts),
        track=scored.track,
        protocol=Protocol(name=rules.name, border_band=rules.border_band),
        data=data,
        n_expected=scored.n_expected,
        n_scored=len(scored.samples),
        samples=scored.samples,
        totals=scored.totals,
        bins=scored.bins,
        floor=scored.floor,
        empty=scored.empty,
        feature_networks=scored.feature_networks,
        code_version=provenance.code_version(),
        library_versions=provenance.library_versions(),
        score_key=key,
    )


@dataclass
class Scorer:
    """Scores rows on one test split, by any of the benchmark's protocols.

    ``cache``: folder where features of the true photos are kept; None makes them anew each run.
    """

    benchmark: Benchmark
    data: Data
    test: Split
    cache: Path | None = None
    _scorer: PictureScorer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._scorer = PictureScorer(self.test, self.cache, self.benchmark.lpips_vgg)

    def rules(self, name: RulesName) -> Rules:
        """The rules of a protocol, with the benchmark's border band."""
        return Rules(name, self.benchmark.border_band)

    def key(self, row: Row, rules: RulesName = "strict") -> str:
        """Digest of everything the numbers of a row depend on."""
        networks = [weights.sha256(name) for name in self._scorer.networks_of(row.track)]
        made = [one.key for one in row.predictions]
        by = [protocol.VERSION, rules, self.benchmark.border_band, records.SCHEMA]
        return digest([row.track, made, self.test.fingerprint, by, networks])

    def stored(self, path: Path, row: Row, rules: RulesName = "strict") -> Record | None:
        """The record of a row, if one is there and still true.

        Raises:
            InputError: what is there was changed, or is of a later version.
        """
        if not path.is_file():
            return None
        try:
            record = records.read_record(path)
        except OldRecord:
            return None
        # The same model may have been chosen anew, among other rates than the record tells of.
        same = record.score_key == self.key(row, rules) and record.rates == _rates(row)
        same = same and record.weights_sha256 == _weights(row)
        return record if same and record.complete else None

    def record(self, row: Row, rules: RulesName = "strict") -> Record:
        """Score a row from its stored pictures.

        Raises:
            InputError: a picture is damaged or of another size.
        """
        by = self.rules(rules)
        scored = self._scorer.score(row.pictures, by, title(row))
        return make_record(scored, self._facts(row), by, self.data, self.key(row, rules))

    def _facts(self, row: Row) -> Facts:
        methods = row.methods
        return Facts(
            benchmark=self.benchmark.name,
            method=row.name,
            title=title(row),
            seed=row.seed,
            preset=self.benchmark.preset,
            budget=_budgets(self.benchmark, row.fitted),
            rates=_rates(row),
            consumes=consumed(row),
            learned=any(method.learned for method in methods),
            pretrained=pretrained(methods),
            options=_options(row),
            parameters=parameters_together(row.fitted),
            macs=macs_together(
                (method.parameters_used(), made.macs)
                for method, made in zip(methods, row.predictions, strict=True)
            ),
            milliseconds=_all_known(made.milliseconds for made in row.predictions),
            device=" and ".join(dict.fromkeys(made.device for made in row.predictions)),
            seconds_fit=_sum(fitted.seconds for fitted in row.fitted),
            trained_by=" and ".join(
                dict.fromkeys(f.trained_by for f in row.fitted if f.trained_by)
            ),
            weights_sha256=_weights(row),
        )


def parameters_together(fitted: Sequence[Fitted]) -> int:
    """Parameters of a row; a network that one of its methods holds of the other counts once."""
    by_key = {f"{one.method.track}.{one.name}": one.method for one in fitted}
    held = {name for method in by_key.values() for name in method.holds} & by_key.keys()
    return sum(m.parameters_used() for key, m in by_key.items() if key not in held)


def title(row: Row) -> str:
    """The row's name in tables; a pair of one name stands for itself."""
    titles = dict.fromkeys(method.title for method in row.methods)
    return " + ".join(titles)


def consumed(row: Row) -> tuple[str, ...]:
    """Inputs that a row reads; the full pipeline predicts its masks from the initial one."""
    first = row.methods[0].consumes
    both = consumed_together(first, row.methods[1].consumes) if row.track == "full" else first
    return tuple(sorted(both))


def consumed_together(mask: Collection[str], content: Collection[str]) -> set[str]:
    """Inputs of a pipeline: the masks that its second step reads are those of its first."""
    return {*mask, *(set(content) - {"amodal", "modal"}), "initial"}


def pretrained(methods: Sequence[Method]) -> str | None:
    """The other data that weights of a row were trained on; None where there is none."""
    names = dict.fromkeys(m.pretrained for m in methods if m.pretrained is not None)
    return " and ".join(names) or None


def _options(row: Row) -> dict[str, Any]:
    """What variants change; on the full track under the track of each method."""
    if row.track != "full":
        return dict(row.methods[0].options)
    return {method.track: dict(method.options) for method in row.methods if method.options}


def _budgets(benchmark: Benchmark, fitted: Sequence[Fitted]) -> dict[str, Any] | None:
    """What the methods spent, each at its own learning rate."""
    budgets = {"mask": benchmark.budget.mask, "content": benchmark.budget.content}
    learned = [one for one in fitted if one.method.learned and one.method.spends]
    return {
        one.method.track: budgets[one.method.track].model_dump(exclude_none=True, exclude={"lr_of"})
        | _rate(one)
        for one in learned
    } or None


def _rates(row: Row) -> dict[str, dict[str, float | None]]:
    return {track: dict(choice.val) for track, choice in row.choices.items()}


def _rate(fitted: Fitted) -> dict[str, Any]:
    return {"lr": fitted.budget["lr"]} if fitted.budget else {}


def _sum(values: Iterable[Any]) -> Any:
    """The sum of those that are known; None where none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _all_known(values: Iterable[float | None]) -> float | None:
    """The sum; None where one is not known, for part of a time is no time."""
    found = list(values)
    return None if None in found else sum(value for value in found if value is not None)


def _weights(row: Row) -> dict[str, str]:
    return {
        f"{fitted.method.track}/{name}": sha
        for fitted in row.fitted
        for name, sha in fitted.weights.items()
    }

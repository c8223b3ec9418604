"""Scores of stored predictions: nothing is scored that does not lie on disk as a PNG."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from tqdm import tqdm

from hdeocc.method import Method
from leaderboards import provenance, records
from leaderboards.benchmark import Benchmark
from leaderboards.fit import Fitted
from leaderboards.folder import digest
from leaderboards.predict import Predictions
from leaderboards.records import Data, Protocol, Record, ResultTrack, SampleScores
from metrics import fid, protocol, weights
from metrics.errors import MetricsError
from metrics.scoring import Networks, SetScore, SetScorer, load_networks
from synth.errors import InputError
from synth.sample import Sample
from synth.store import Split

NETWORKS = ("alexnet", "lpips_alex", "inception")

# Id, person and hidden share of a scored sample: its pictures do not stay in memory.
_About = tuple[str, str, float]


@dataclass(frozen=True)
class Row:
    """What is to be scored: one method, or a pair of them on the full track."""

    track: ResultTrack
    name: str
    seed: int
    fitted: tuple[Fitted, ...]
    predictions: tuple[Predictions, ...]

    @property
    def methods(self) -> list[Method]:
        """One method; two on the full track."""
        return [fitted.method for fitted in self.fitted]


@dataclass
class Scorer:
    """Scores rows on one test split; the networks are loaded when first needed."""

    benchmark: Benchmark
    data: Data
    test: Split
    _networks: Networks | None = None
    _truth: dict[str, fid.Statistics] = field(default_factory=dict)

    def key(self, row: Row) -> str:
        """Digest of everything the numbers of a row depend on."""
        networks = [] if row.track == "mask" else _present()
        made = [p.key for p in row.predictions]
        return digest([row.track, made, self.test.fingerprint, protocol.VERSION, networks])

    def stored(self, path: Path, row: Row) -> Record | None:
        """The record of a row, if one is there and still true."""
        if not path.is_file():
            return None
        record = records.read_record(path)
        return record if record.score_key == self.key(row) and record.complete else None

    def record(self, row: Row) -> Record:
        """Score a row from its stored pictures.

        Raises:
            InputError: a picture is damaged or of another size.
        """
        scorer = SetScorer(row.track, self._loaded(row.track), truth=self._truth.get("test"))
        about: list[_About] = []
        expected = 0
        bar = tqdm(
            self.test,
            desc=f"score {row.track} {title(row)}",
            unit="sample",
            leave=False,
            disable=None,
        )
        for sample in bar:
            if row.track != "mask" and sample.clean is None:
                continue  # nobody knows what is behind the occluder
            expected += 1
            if _add(scorer, row, sample):
                about.append((sample.sample_id, sample.person_id, sample.hidden_share))
        return self._made(row, scorer.finish(), about, expected)

    def _loaded(self, track: str) -> Networks | None:
        if track == "mask":
            return None
        if self._networks is None:
            self._networks = load_networks("cuda" if torch.cuda.is_available() else "cpu")
        return self._networks

    def _made(self, row: Row, score: SetScore, about: list[_About], expected: int) -> Record:
        complete = len(about) == expected > 0
        if complete and score.truth is not None:
            self._truth["test"] = score.truth
        samples = tuple(_scores(*facts, score.per_sample[facts[0]]) for facts in about)
        totals = {k: records.total(t["value"], t["n"]) for k, t in score.totals.items()}
        methods, learned = row.methods, any(m.learned for m in row.methods)
        return Record(
            benchmark=self.benchmark.name,
            track=row.track,
            method=row.name,
            title=title(row),
            seed=row.seed,
            preset=self.benchmark.preset,
            budget=_budgets(self.benchmark, methods) if learned else None,
            protocol=Protocol(),
            data=self.data,
            n_expected=expected,
            n_scored=len(about),
            samples=samples,
            totals=totals if complete else {},
            empty=dict(score.missing),
            consumes=consumed(row),
            learned=learned,
            parameters=sum(m.parameters_used() for m in methods),
            milliseconds=sum(p.milliseconds for p in row.predictions),
            device=" and ".join(dict.fromkeys(p.device for p in row.predictions)),
            seconds_fit=_seconds(row),
            weights_sha256=_weights(row),
            feature_networks={} if row.track == "mask" else _sources(),
            code_version=provenance.code_version(),
            library_versions=provenance.library_versions(),
            score_key=self.key(row),
        )


def title(row: Row) -> str:
    """The row's name in tables; a pair of one name stands for itself."""
    titles = dict.fromkeys(method.title for method in row.methods)
    return " + ".join(titles)


def consumed(row: Row) -> tuple[str, ...]:
    """Inputs that a row reads; the full pipeline predicts its masks from the initial one."""
    read = set(row.methods[0].consumes)
    if row.track == "full":
        read |= (set(row.methods[1].consumes) - {"amodal", "modal"}) | {"initial"}
    return tuple(sorted(read))


def _add(scorer: SetScorer, row: Row, sample: Sample) -> bool:
    """Score one sample; False where its picture is missing."""
    channels = (1, 3) if row.track == "full" else ((1,) if row.track == "mask" else (3,))
    pictures = [p.picture(sample, c) for p, c in zip(row.predictions, channels, strict=True)]
    found = [picture for picture in pictures if picture is not None]
    if len(found) < len(pictures):
        return False
    amodal, modal, key = sample.amodal, sample.modal, sample.sample_id
    try:
        if row.track == "mask":
            scorer.add_mask(key, found[0], amodal, modal)
            return True
        assert sample.clean is not None
        image, clean = sample.image, sample.clean
        if row.track == "content":
            scorer.add_content(key, found[0], image, clean, amodal, modal)
        else:
            mask, colours = found
            scorer.add_full(key, colours, mask, image, clean, amodal, modal, sample.initial)
    except (ValueError, MetricsError) as error:
        folder = row.predictions[-1].folder
        raise InputError(f"{folder}: {error}; run with --rerun always") from None
    return True


def _scores(key: str, person: str, hidden: float, scores: dict[str, float]) -> SampleScores:
    clean = records.clean_scores(scores)
    return SampleScores(id=key, person=person, hidden_share=hidden, scores=clean)


def _present() -> list[str]:
    return [name for name in NETWORKS if weights.available(name)[0]]


def _sources() -> dict[str, str]:
    found = {name: weights.available(name) for name in NETWORKS}
    there = {name: source for name, (here, source) in found.items() if here}
    return {name: f"{source}; sha256 {weights.sha256(name)}" for name, source in there.items()}


def _budgets(benchmark: Benchmark, methods: list[Method]) -> dict[str, object]:
    budgets = {"mask": benchmark.budget.mask, "content": benchmark.budget.content}
    return {m.track: budgets[m.track].model_dump() for m in methods if m.learned}


def _seconds(row: Row) -> float | None:
    known = [fitted.seconds for fitted in row.fitted if fitted.seconds is not None]
    return sum(known) if known else None


def _weights(row: Row) -> dict[str, str]:
    return {
        f"{fitted.method.track}/{name}": sha
        for fitted in row.fitted
        for name, sha in fitted.weights.items()
    }

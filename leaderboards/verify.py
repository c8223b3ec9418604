"""Whether a result can be believed: its stored predictions are scored again and compared.

A claim holds when it lies within half a unit of the last printed decimal of what is found, so that
another machine's last bits do no harm. Anything else is a fault, and each is named.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leaderboards.folder import Folder, opened, read_claim
from leaderboards.foreign import pictures_of
from leaderboards.predict import masks_of
from leaderboards.records import Record, SampleScores, Total, clean_scores, read_record
from leaderboards.score_folder import faults_of
from leaderboards.score_pictures import Pictures, PictureScorer, Scored
from metrics import protocol
from metrics.scoring import no_networks
from metrics.truth import Rules
from synth.build import build
from synth.errors import InputError
from synth.recipe import load_recipe
from synth.store import Dataset, Split

MASKS = "masks"  # folder of the masks that a foreign result of the full track brings with it
SHOWN = 4  # faulty samples that are named one by one


@dataclass
class Report:
    """What was found.

    Attributes:
        records: results that were looked at.
        claims: numbers that were compared.
        faults: one line each, naming file and claim.
        unchecked: claims that cannot be checked here, with the reason.
    """

    records: int = 0
    claims: int = 0
    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


def verify(folder: Path, data: Path | None = None, photos: Path | None = None) -> Report:
    """Score the stored predictions of every record of an output folder again.

    ``data``: the built data set; by default that of the folder, and where it is gone it is built
    again from the benchmark's recipe into a temporary folder, from the photos in ``photos``.

    Raises:
        InputError: no results, or no data set and no way to build it.
    """
    place = opened(folder)
    with tempfile.TemporaryDirectory(prefix="hdeocc-verify-") as scratch:
        dataset = _dataset(place, data, photos, Path(scratch) / "data")
        # Features of the true photos are made anew: a cache may have been tampered with too.
        checker = _Checker(place, dataset.split("test"), Path(scratch) / "truth")
        for path in sorted(place.results.glob("*.json")):
            checker.check(path)
    return checker.report


def _dataset(place: Folder, data: Path | None, photos: Path | None, scratch: Path) -> Dataset:
    if data is not None:
        return Dataset.open(data)
    if (place.data / "dataset.json").is_file():
        return Dataset.open(place.data)
    benchmark = read_claim(place.root).benchmark
    recipe = load_recipe(benchmark.test_recipe or benchmark.recipe)
    made = build(recipe, scratch, photos, progress=False)
    assert made is not None
    return made


@dataclass
class _Checker:
    """Compares records with what their pictures give."""

    place: Folder
    test: Split
    cache: Path
    report: Report = field(default_factory=Report)
    _scorers: dict[tuple[bool, bool], PictureScorer] = field(default_factory=dict)

    def check(self, path: Path) -> None:
        """One record; what is wrong with it goes into the report."""
        self.report.records += 1
        try:
            record = read_record(path)
        except InputError as error:
            self.report.faults.append(error.message)
            return
        self.report.faults += [f"{path}: {fault}" for fault in self._faults(path, record)]

    def _faults(self, path: Path, record: Record) -> Iterator[str]:
        if path.name != f"{record.key}.json":
            yield f"holds the result {record.key}; it was renamed"
        found = self.test.fingerprint
        if record.data.test_fingerprint != found:
            claimed = record.data.test_fingerprint[:12]
            yield f"claims the test split {claimed}, but the data set's is {found[:12]}"
            return
        if record.protocol.version != protocol.VERSION:
            yield f"claims protocol {record.protocol.version}, this is {protocol.VERSION}"
            return
        pictures = stored_pictures(self.place, record)
        try:
            wrong = faults_of(pictures, self.test).lines()
        except InputError as error:
            wrong = [error.message]
        yield from wrong
        if not wrong:
            yield from self._compare(path, record, pictures)

    def _compare(self, path: Path, record: Record, pictures: Pictures) -> Iterator[str]:
        rules = Rules(record.protocol.name, record.protocol.border_band)
        made = self._scorer(record).score(pictures, rules, record.title)
        if record.n_expected != made.n_expected or record.n_scored != len(made.samples):
            yield (
                f"claims {record.n_scored} of {record.n_expected} samples, "
                f"found {len(made.samples)} of {made.n_expected}"
            )
        for name in sorted(record.totals.keys() & made.empty.keys()):
            self.report.unchecked.append(f"{path}: {name}: {made.empty[name]}")
        yield from self._totals(record, made)
        yield from self._samples(record, made)

    def _scorer(self, record: Record) -> PictureScorer:
        """One with the feature networks that the record's claims need, for they are slow."""
        names = {*record.totals, *(name for one in record.samples for name in one.scores)}
        needs = {_network(record.track, name) for name in names} - {None}
        vgg = "lpips_vgg" in {name.partition("_hole")[0] for name in names}
        known = None if needs else no_networks("no claim needs one")
        return self._scorers.setdefault(
            (bool(needs), vgg), PictureScorer(self.test, self.cache, vgg, known)
        )

    def _totals(self, record: Record, made: Scored) -> Iterator[str]:
        groups: list[tuple[str, Mapping[str, Total], Mapping[str, Total]]] = [
            ("", record.totals, made.totals),
            ("real photos among themselves: ", record.floor, made.floor),
        ]
        again = {(b.low, b.high): b.totals for b in made.bins}
        groups += [
            (f"visible {b.low:g} to {b.high:g}: ", b.totals, again.get((b.low, b.high), {}))
            for b in record.bins
        ]
        for where, claimed, found in groups:
            for name, total in claimed.items():
                if name in made.empty:
                    continue
                self.report.claims += 1
                fault = _total_fault(total, found.get(name), decimals(record.track, name))
                if fault is not None:
                    yield f"{where}{name} {fault}"

    def _samples(self, record: Record, made: Scored) -> Iterator[str]:
        by_id = {one.id: one for one in made.samples}
        wrong = []
        for one in record.samples:
            scores = {k: v for k, v in one.scores.items() if k not in made.empty}
            self.report.claims += len(scores)
            claimed = one.model_copy(update={"scores": scores})
            wrong += list(_sample_faults(claimed, by_id.get(one.id), record.track))
        yield from wrong[:SHOWN]
        if len(wrong) > SHOWN:
            yield f"{len(wrong) - SHOWN} more claims of samples are off"


def stored_pictures(place: Folder, record: Record) -> Pictures:
    """Where the pictures behind a record lie in its output folder."""
    folder = place.predictions(record.track, record.method, record.seed)
    if record.track != "full":
        return pictures_of(folder, None, record.track)
    return pictures_of(folder, stored_masks(place, record.method, record.seed), "full")


def stored_masks(place: Folder, method: str, seed: int) -> Path:
    """The masks of a full row: those it brought with it, else those of its mask method."""
    own = place.predictions("full", method, seed) / MASKS
    if own.is_dir():
        return own
    return masks_of(place, method.partition("+")[0], seed)


def decimals(track: str, metric: str) -> int:
    """With how many decimals a metric is printed; counts of pixels have none."""
    try:
        return protocol.spec_of(track, metric).decimals
    except KeyError:
        return 0


def _network(track: str, metric: str) -> str | None:
    """The feature network that a metric needs."""
    try:
        return protocol.spec_of(track, metric).needs
    except KeyError:
        return None


def differs(claimed: float | None, found: float | None, places: int) -> bool:
    """Whether a claim is off by more than its rounding; None (nothing counted) equals only None."""
    if claimed is None or found is None:
        return claimed is not found
    return not math.isclose(claimed, found, rel_tol=0, abs_tol=0.5 * 10.0**-places)


def _total_fault(claimed: Total, found: Total | None, places: int) -> str | None:
    if found is None:
        return f"= {claimed.value}, found none"
    if claimed.n != found.n:
        return f"claims {claimed.n} samples, found {found.n}"
    for name in ("value", "low", "high"):
        mine, true = getattr(claimed, name), getattr(found, name)
        if differs(mine, true, places):
            end = "" if name == "value" else f" ({name} end)"
            return f"= {_number(mine, places)}{end}, found {_number(true, places)}"
    return None


def _sample_faults(claimed: SampleScores, found: SampleScores | None, track: str) -> Iterator[str]:
    where = f"sample {claimed.id}: "
    if found is None:
        yield f"{where}is not in the test split"
        return
    if (claimed.person, claimed.hidden_share) != (found.person, found.hidden_share):
        yield f"{where}claims another person or hidden share"
    again = clean_scores(found.numbers())
    for name, value in claimed.scores.items():
        places = decimals(track, name)
        if name not in again:
            yield f"{where}{name} = {_number(value, places)}, found no such number"
        elif differs(value, again[name], places):
            yield f"{where}{name} = {_number(value, places)}, found {_number(again[name], places)}"


def _number(value: float | None, places: int) -> str:
    return "none" if value is None else f"{value:.{places + 2}f}"

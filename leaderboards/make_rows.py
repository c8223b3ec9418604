"""A row of a benchmark from training to record; each step resumes."""

from dataclasses import dataclass
from pathlib import Path

from hdeocc.fitted import Fitted
from hdeocc.method import Track
from leaderboards.benchmark import Benchmark
from leaderboards.fit import Fitter, Rerun
from leaderboards.folder import Folder
from leaderboards.plan import Planned, mask_seed
from leaderboards.predict import Predictions, predict_content, predict_masks
from leaderboards.rates import Choice, read_choice
from leaderboards.records import Data, write_record
from leaderboards.score import Row, Scorer
from metrics import weights
from synth.live import Live
from synth.plan import open_plan
from synth.store import Dataset, Split


@dataclass(frozen=True)
class Datasets:
    """What a benchmark learns from, and what it is scored on."""

    train: Dataset
    test: Dataset


def truth_cache() -> Path:
    """Where features of true photos are kept between runs, by test split, rules and network."""
    return weights.cache_folder() / "truth"


def data_facts(dataset: Dataset, split: str = "test") -> Data:
    """What records say of the data set whose split was scored."""
    recipe = dataset.recipe
    return Data(
        name=recipe.name,
        title=recipe.title or recipe.name,
        fingerprint=dataset.fingerprint,
        test_fingerprint=dataset.split(split).fingerprint,
    )


def training_samples(
    benchmark: Benchmark, dataset: Dataset, data_root: Path | None, workers: int
) -> Split | Live:
    """What the methods of a benchmark learn from: stored samples, or ever new ones.

    Raises:
        InputError: the sources of new samples cannot be read.
    """
    if benchmark.train == "disk":
        return dataset.split("train")
    return Live(open_plan(dataset.recipe, data_root), workers=workers)


class RowMaker:
    """Fits, predicts and scores rows of one benchmark, one after the other.

    Beside other processes nothing is ``timed``: the milliseconds of its records stay None.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        folder: Folder,
        data: Datasets,
        train: Split | Live,
        rerun: Rerun,
        timed: bool = True,
    ) -> None:
        self.benchmark, self.folder = benchmark, folder
        self.again, self.timed = rerun == "always", timed
        self.test = data.test.split("test")
        self.fitter = Fitter(folder, benchmark, train, data.train.split("val"), rerun)
        self.scorer = Scorer(benchmark, data_facts(data.test), self.test, truth_cache())
        self.masks: dict[tuple[str, int], Predictions] = {}

    def make(self, row: Planned) -> None:
        """One row, by every protocol of its track."""
        made = self._made(row)
        for rules in self.benchmark.rules_of(row.track):
            path = self.folder.result(row.track, row.name, row.seed, rules)
            if self.again or self.scorer.stored(path, made, rules) is None:
                write_record(path, self.scorer.record(made, rules))

    def _made(self, row: Planned) -> Row:
        if row.track == "full":
            return self._full(row)
        track: Track = "mask" if row.track == "mask" else "content"
        fitted = self.fitter.get(track, row.name, row.seed)
        if track == "mask":
            made = self._masks(row.name, row.seed, fitted)
        else:
            where = self.folder.predictions(row.track, row.name, row.seed)
            with self.folder.making(where):
                made = predict_content(where, fitted, self.test, self.again, timed=self.timed)
        return Row(track, row.name, row.seed, (fitted,), (made,), self._choices(row))

    def _full(self, row: Planned) -> Row:
        (mask, content), seed = row.names, row.seed
        fitted = (self.fitter.get("mask", mask, seed), self.fitter.get("content", content, seed))
        masks = self._masks(mask, mask_seed(self.benchmark, row), fitted[0])
        where = self.folder.predictions("full", row.name, seed)
        with self.folder.making(where):
            made = predict_content(where, fitted[1], self.test, self.again, masks, self.timed)
        return Row("full", row.name, seed, fitted, (masks, made), self._choices(row))

    def _choices(self, row: Planned) -> dict[str, Choice]:
        """How val chose the learning rates behind a row, where it had a choice."""
        folders = {
            track: self.folder.model(f"{track}.{name}", row.seed).parent
            for track, name in row.parts
            if self.benchmark.chooses_rate(track, name)
        }
        found = {track: read_choice(folder) for track, folder in folders.items()}
        return {track: choice for track, choice in found.items() if choice is not None}

    def _masks(self, name: str, seed: int, fitted: Fitted) -> Predictions:
        """The masks of a row of the mask track."""
        if (name, seed) not in self.masks:
            where = self.folder.predictions("mask", name, seed)
            with self.folder.making(where):
                made = predict_masks(where, fitted, self.test, self.again, self.timed)
            self.masks[name, seed] = made
        return self.masks[name, seed]

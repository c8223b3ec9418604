"""A benchmark from recipe to page: build, fit, predict, score, render; each step resumes."""

from collections.abc import Iterator
from pathlib import Path

import click

from hdeocc.method import check_names
from leaderboards.benchmark import Benchmark
from leaderboards.fit import Fitter, Rerun
from leaderboards.folder import Folder, claim
from leaderboards.predict import Predictions, predict_content, predict_masks
from leaderboards.records import Data, Record, write_record
from leaderboards.render import render
from leaderboards.score import Row, Scorer
from metrics import protocol
from synth.build import build
from synth.errors import InputError
from synth.live import Live
from synth.plan import open_plan
from synth.recipe import SPLITS, Recipe, load_recipe
from synth.store import Dataset, Split


def run_benchmark(
    benchmark: Benchmark,
    out: Path,
    data_root: Path | None,
    rerun: Rerun = "only-missing",
    methods: list[str] | None = None,
    progress: bool = True,
    workers: int = 1,
) -> list[Record]:
    """Run a benchmark in a folder and render its tables and page; returns its records.

    What is there already and still true is kept ("only-missing"), made again ("always"), or is
    all there will be ("never": nothing is computed, only rendered).

    Raises:
        InputError: bad input, or a folder that holds something else.
    """
    benchmark = benchmark.only(methods)
    recipe = check(benchmark)
    if rerun != "never":
        folder = claim(out, benchmark)
        dataset = prepare_data(recipe, folder, data_root, workers, progress)
        train = training_samples(benchmark, dataset, data_root, workers)
        _Run(benchmark, folder, dataset, train, rerun, progress).all()
    _say(progress, "render the tables and the page")
    return render(out)


def check(benchmark: Benchmark) -> Recipe:
    """Refuse what cannot be run before anything is written; returns the benchmark's recipe.

    Raises:
        InputError: another protocol, no or unknown methods (with the closest names), or a recipe
            that cannot be read or leaves a split empty.
    """
    if benchmark.protocol != protocol.VERSION:
        raise InputError(
            f"benchmark {benchmark.name}: wants protocol {benchmark.protocol}, but this version "
            f"scores by protocol {protocol.VERSION}; install the hdeocc it was written for"
        )
    check_names("mask", benchmark.tracks.mask, f"benchmark {benchmark.name}")
    check_names("content", benchmark.tracks.content, f"benchmark {benchmark.name}")
    if not (benchmark.tracks.mask or benchmark.tracks.content):
        raise InputError(f"benchmark {benchmark.name}: compares no method; fill its [tracks]")
    recipe = load_recipe(benchmark.recipe)
    for split in SPLITS:
        live = split == "train" and benchmark.train == "live"
        if not getattr(recipe.counts, split) and not live:
            raise InputError(
                f"benchmark {benchmark.name}: its recipe {benchmark.recipe} has no {split} "
                f"samples; give it counts.{split}"
            )
    return recipe


def prepare_data(
    recipe: Recipe, folder: Folder, data_root: Path | None, workers: int, progress: bool
) -> Dataset:
    """The data set of the benchmark, built unless it is there.

    Raises:
        InputError: the folder holds another data set, or it cannot be built.
    """
    if not (folder.data / "dataset.json").is_file():
        _say(progress, f"build the data set {recipe.name} ({_samples(recipe)} samples)")
    dataset = build(recipe, folder.data, data_root, workers=workers, progress=progress)
    if dataset is None:
        raise InputError(f"{folder.data}: parts of the data set are missing; give another --out")
    return dataset


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


def _samples(recipe: Recipe) -> int:
    return recipe.counts.train + recipe.counts.val + recipe.counts.test


class _Run:
    """The rows of one benchmark, one after the other."""

    def __init__(
        self,
        benchmark: Benchmark,
        folder: Folder,
        dataset: Dataset,
        train: Split | Live,
        rerun: Rerun,
        progress: bool,
    ) -> None:
        recipe = dataset.recipe
        self.benchmark, self.folder, self.progress = benchmark, folder, progress
        self.again = rerun == "always"
        self.test = dataset.split("test")
        title = recipe.title or recipe.name
        data = Data(
            name=recipe.name,
            title=title,
            fingerprint=dataset.fingerprint,
            test_fingerprint=self.test.fingerprint,
        )
        self.fitter = Fitter(folder, benchmark, train, dataset.split("val"), rerun)
        self.scorer = Scorer(benchmark, data, self.test)
        self.masks: dict[tuple[str, int], Predictions] = {}
        self.done = 0

    def all(self) -> None:
        """Every row of every track and seed."""
        for row in self._rows():
            path = self.folder.result(row.track, row.name, row.seed)
            if self.again or self.scorer.stored(path, row) is None:
                write_record(path, self.scorer.record(row))

    def _rows(self) -> Iterator[Row]:
        for seed in self.benchmark.seeds:
            for name in self.benchmark.tracks.mask:
                yield self._mask(name, seed)
            for name in self.benchmark.tracks.content:
                yield self._content(name, seed)
            for mask, content in self.benchmark.tracks.full:
                yield self._full(mask, content, seed)

    def _announce(self, text: str) -> None:
        self.done += 1
        tracks = self.benchmark.tracks
        rows = len(tracks.mask) + len(tracks.content) + len(tracks.full)
        _say(self.progress, f"[{self.done}/{rows * len(self.benchmark.seeds)}] {text}")

    def _mask(self, name: str, seed: int) -> Row:
        self._announce(f"mask track: {name}")
        fitted = self.fitter.get("mask", name, seed)
        where = self.folder.predictions("mask", name, seed)
        made = predict_masks(where, fitted, self.test, self.again)
        self.masks[name, seed] = made
        return Row("mask", name, seed, (fitted,), (made,))

    def _content(self, name: str, seed: int) -> Row:
        self._announce(f"content track: {name}")
        fitted = self.fitter.get("content", name, seed)
        where = self.folder.predictions("content", name, seed)
        made = predict_content(where, fitted, self.test, self.again)
        return Row("content", name, seed, (fitted,), (made,))

    def _full(self, mask: str, content: str, seed: int) -> Row:
        name = f"{mask}+{content}"
        self._announce(f"full track: {name}")
        fitted = (self.fitter.get("mask", mask, seed), self.fitter.get("content", content, seed))
        masks = self.masks[mask, seed]
        where = self.folder.predictions("full", name, seed)
        made = predict_content(where, fitted[1], self.test, self.again, masks)
        return Row("full", name, seed, fitted, (masks, made))


def _say(progress: bool, text: str) -> None:
    if progress:
        click.echo(text, err=True)

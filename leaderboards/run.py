"""A benchmark from recipe to page: build, fit, predict, score, render; each step resumes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from hdeocc.fitted import Fitted, make_fabric
from hdeocc.method import Track, check_names, method_class
from leaderboards.benchmark import Benchmark
from leaderboards.fit import Fitter, Rerun
from leaderboards.folder import Folder, claim
from leaderboards.needs import recipes_of, require
from leaderboards.predict import Predictions, predict_content, predict_masks
from leaderboards.records import Data, Record, write_record
from leaderboards.render import render
from leaderboards.score import Row, Scorer
from metrics import protocol, weights
from synth.build import build
from synth.errors import InputError
from synth.live import Live
from synth.plan import open_plan
from synth.recipe import SPLITS, Recipe
from synth.store import Dataset, Split


@dataclass(frozen=True)
class Datasets:
    """What a benchmark learns from, and what it is scored on."""

    train: Dataset
    test: Dataset


@dataclass(frozen=True)
class Planned:
    """One row of one seed: a method, or a (mask, content) pair on the full track."""

    track: str
    names: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """What the row is called in records."""
        return "+".join(self.names)

    @property
    def parts(self) -> list[tuple[Track, str]]:
        """The methods of the row, each with its own track."""
        parts: list[tuple[Track, str]] = []
        if self.track != "content":
            parts.append(("mask", self.names[0]))
        if self.track != "mask":
            parts.append(("content", self.names[-1]))
        return parts


def run_benchmark(
    benchmark: Benchmark,
    out: Path,
    data_root: Path | None,
    rerun: Rerun = "only-missing",
    methods: list[str] | None = None,
    progress: bool = True,
    workers: int = 1,
    seeds: list[int] | None = None,
) -> list[Record]:
    """Run a benchmark in a folder and render its tables and page; returns its records.

    Of all its rows those of ``methods`` and ``seeds`` are made. A learning rate is chosen at the
    benchmark's first seed all the same.

    What is there already and still true is kept ("only-missing"), made again ("always"), or is
    all there will be ("never": nothing is computed, only rendered).

    Raises:
        InputError: bad input, missing photos, or a folder that holds something else.
    """
    chosen = benchmark.only(methods)
    rows = planned(chosen, seeds)
    recipes = check(chosen)
    if rerun != "never":
        if not (Folder(out).data / "dataset.json").is_file():
            require(chosen, data_root)
        _check_precisions(chosen)
        _check_methods(chosen)
        folder = claim(out, benchmark, data_root, methods, seeds)
        data = prepare_data(recipes, folder, data_root, workers, progress)
        _check_fingerprint(chosen, data.test)
        train = training_samples(chosen, data.train, data_root, workers)
        _Run(chosen, folder, data, train, rerun, progress).all(rows)
    _say(progress, "render the tables and the page")
    return render(out)


def check(benchmark: Benchmark) -> list[Recipe]:
    """Refuse what cannot be run before anything is written; returns the benchmark's recipes.

    Raises:
        InputError: another protocol, no or unknown methods or options (with the closest names), or
            a recipe that cannot be read or leaves a split empty.
    """
    where = f"benchmark {benchmark.name}"
    if benchmark.protocol != protocol.VERSION:
        raise InputError(
            f"{where}: wants protocol {benchmark.protocol}, but this version "
            f"scores by protocol {protocol.VERSION}; install the hdeocc it was written for"
        )
    check_names("mask", benchmark.registered("mask"), where)
    check_names("content", benchmark.registered("content"), where)
    for name, variant in benchmark.variants.items():
        kind = method_class(variant.track, variant.base)
        try:
            kind.settings(benchmark.preset, variant.options)
        except InputError as error:
            raise InputError(f"{where}: variant {name}: {error.message}") from None
    if not (benchmark.tracks.mask or benchmark.tracks.content):
        raise InputError(f"{where}: compares no method; fill its [tracks]")
    recipes = recipes_of(benchmark)
    for split in SPLITS:
        recipe = recipes[-1] if split == "test" else recipes[0]
        live = split == "train" and benchmark.train == "live"
        if not getattr(recipe.counts, split) and not live:
            other = benchmark.test_recipe if split == "test" else None
            raise InputError(
                f"{where}: its recipe {other or benchmark.recipe} has no {split} "
                f"samples; give it counts.{split}"
            )
    return recipes


def _check_precisions(benchmark: Benchmark) -> None:
    """Refuse budgets that this device cannot train in, before anything is built."""
    tracks: tuple[Track, ...] = ("mask", "content")
    for track in tracks:
        if any(method_class(track, name).learned for name in benchmark.registered(track)):
            make_fabric(benchmark.budget_of(track, benchmark.seeds[0]))


def _check_methods(benchmark: Benchmark) -> None:
    """Refuse rows that lack something they need, before hours are spent on the others."""
    tracks: tuple[Track, ...] = ("mask", "content")
    for track in tracks:
        for name in benchmark.registered(track):
            try:
                method_class(track, name).require()
            except InputError as error:
                raise InputError(
                    f"benchmark {benchmark.name}, row {track}.{name}: {error.message}; or leave "
                    "it out with --methods"
                ) from None


def _check_fingerprint(benchmark: Benchmark, dataset: Dataset) -> None:
    found, wanted = dataset.split("test").fingerprint, benchmark.fingerprint
    if wanted is not None and not found.startswith(wanted):
        raise InputError(
            f"benchmark {benchmark.name}: is about the test split {wanted[:12]}, but these photos "
            f"give {found[:12]}; take the photos it was made with, or say --on "
            f"{benchmark.recipe}: the same rows on yours, under a name of its own, in a new --out"
        )


def prepare_data(
    recipes: list[Recipe], folder: Folder, data_root: Path | None, workers: int, progress: bool
) -> Datasets:
    """The data sets of the benchmark, built unless they are there.

    Raises:
        InputError: the folder holds another data set, or it cannot be built.
    """
    places = [folder.data] if len(recipes) == 1 else [folder.train_data, folder.data]
    made = [
        _built(recipe, place, data_root, workers, progress)
        for recipe, place in zip(recipes, places, strict=True)
    ]
    return Datasets(made[0], made[-1])


def _built(
    recipe: Recipe, place: Path, data_root: Path | None, workers: int, progress: bool
) -> Dataset:
    if not (place / "dataset.json").is_file():
        samples = sum(recipe.counts.model_dump().values())
        _say(progress, f"build the data set {recipe.name} ({samples} samples)")
    dataset = build(recipe, place, data_root, workers=workers, progress=progress)
    if dataset is None:
        raise InputError(f"{place}: parts of the data set are missing; give another --out")
    return dataset


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


def planned(benchmark: Benchmark, seeds: Sequence[int] | None = None) -> list[Planned]:
    """The rows of a benchmark in the order they are made; ``seeds``: those of these seeds alone.

    What learns nothing is the same for every seed, so it is made for the first one alone.

    Raises:
        InputError: a seed that the benchmark has not, or none.
    """
    unknown = [] if seeds is None else [s for s in seeds if s not in benchmark.seeds]
    if unknown or (seeds is not None and not seeds):
        wrong = ", ".join(map(str, unknown)) or "names no seed"
        raise InputError(
            f"--seeds: {wrong}; benchmark {benchmark.name} has "
            f"{', '.join(map(str, benchmark.seeds))}"
        )
    first = list(_rows_of_seed(benchmark, benchmark.seeds[0]))
    again = [row for seed in benchmark.seeds[1:] for row in _rows_of_seed(benchmark, seed)]
    rows = [*first, *(row for row in again if _repeats(benchmark, row))]
    return [row for row in rows if seeds is None or row.seed in seeds]


def _rows_of_seed(benchmark: Benchmark, seed: int) -> Iterator[Planned]:
    tracks = benchmark.tracks
    yield from (Planned("mask", (name,), seed) for name in tracks.mask)
    yield from (Planned("content", (name,), seed) for name in tracks.content)
    yield from (Planned("full", pair, seed) for pair in tracks.full)


def _repeats(benchmark: Benchmark, row: Planned) -> bool:
    """Whether another seed makes another row: something of it learns, and all such is repeated."""
    learn = [(t, n) for t, n in row.parts if method_class(t, benchmark.base(t, n)).learned]
    return bool(learn) and all(benchmark.repeats(track, name) for track, name in learn)


class _Run:
    """The rows of one benchmark, one after the other."""

    def __init__(
        self,
        benchmark: Benchmark,
        folder: Folder,
        data: Datasets,
        train: Split | Live,
        rerun: Rerun,
        progress: bool,
    ) -> None:
        self.benchmark, self.folder, self.progress = benchmark, folder, progress
        self.again = rerun == "always"
        self.test = data.test.split("test")
        self.fitter = Fitter(folder, benchmark, train, data.train.split("val"), rerun)
        self.scorer = Scorer(benchmark, data_facts(data.test), self.test, truth_cache())
        self.masks: dict[tuple[str, int], Predictions] = {}

    def all(self, rows: Sequence[Planned]) -> None:
        """Every row, by every protocol of its track."""
        for number, row in enumerate(rows, 1):
            _say(self.progress, f"[{number}/{len(rows)}] {row.track} track: {row.name}")
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
        where = self.folder.predictions(row.track, row.name, row.seed)
        if track == "content":
            made = predict_content(where, fitted, self.test, self.again)
        else:
            made = predict_masks(where, fitted, self.test, self.again)
            self.masks[row.name, row.seed] = made
        return Row(track, row.name, row.seed, (fitted,), (made,))

    def _full(self, row: Planned) -> Row:
        (mask, content), seed = row.names, row.seed
        fitted = (self.fitter.get("mask", mask, seed), self.fitter.get("content", content, seed))
        masks = self._masks(mask, seed, fitted[0])
        where = self.folder.predictions("full", row.name, seed)
        made = predict_content(where, fitted[1], self.test, self.again, masks)
        return Row("full", row.name, seed, fitted, (masks, made))

    def _masks(self, name: str, seed: int, fitted: Fitted) -> Predictions:
        """The masks of a row of this seed; of one that learns nothing, those of the first seed."""
        first = self.benchmark.seeds[0]
        key = (name, seed if fitted.method.learned else first)
        if key not in self.masks:
            where = self.folder.predictions("mask", name, key[1])
            self.masks[key] = predict_masks(where, fitted, self.test, self.again)
        return self.masks[key]


def _say(progress: bool, text: str) -> None:
    if progress:
        click.echo(text, err=True)

"""A benchmark from recipe to page: build, fit, predict, score, render; each step resumes."""

from pathlib import Path

import click
import torch

from hdeocc.fabric import make_fabric
from hdeocc.method import Track, check_names, method_class, of_key
from leaderboards.benchmark import Benchmark
from leaderboards.fit import Rerun, unfitted_row
from leaderboards.folder import MARKER, Folder, claim, refuse_other
from leaderboards.jobs import make_rows
from leaderboards.make_rows import Datasets, RowMaker, training_samples
from leaderboards.needs import recipes_of, require
from leaderboards.plan import planned
from leaderboards.records import Record
from leaderboards.render import render
from leaderboards.time_again import time_rows, untimed
from metrics import protocol
from synth.build import build
from synth.errors import InputError
from synth.recipe import SPLITS, Recipe
from synth.store import Dataset


def run_benchmark(
    benchmark: Benchmark,
    out: Path,
    data_root: Path | None,
    rerun: Rerun = "only-missing",
    methods: list[str] | None = None,
    progress: bool = True,
    workers: int = 1,
    seeds: list[int] | None = None,
    jobs: int = 1,
) -> list[Record]:
    """Run a benchmark in a folder and render its tables and page; returns its records.

    Of all its rows those of ``methods`` and ``seeds`` are made, so many at once as there are
    ``jobs``. A learning rate is chosen at the benchmark's first seed all the same.

    What is there already and still true is kept ("only-missing"), made again ("always"), or is
    all there will be ("never": nothing is computed, only rendered).

    Raises:
        InputError: bad input, missing photos, or a folder that holds something else.
    """
    chosen = benchmark.only(methods)
    rows = planned(chosen, seeds)
    recipes = check(chosen)
    if (out / MARKER).is_file():
        refuse_other(out, benchmark)
    if rerun != "never":
        if not (Folder(out).data / "dataset.json").is_file():
            require(chosen, data_root)
        _check_precisions(chosen)
        _check_methods(chosen)
        folder = claim(out, benchmark, data_root, methods, seeds)
        data = prepare_data(recipes, folder, data_root, workers, progress)
        _check_fingerprint(chosen, data.test)
        if jobs > 1:
            make_rows(chosen, folder, rows, data, data_root, rerun, jobs, progress)
        else:
            train = training_samples(chosen, data.train, data_root, workers)
            maker = RowMaker(chosen, folder, data, train, rerun)
            for number, row in enumerate(rows, 1):
                _say(progress, f"[{number}/{len(rows)}] {row}")
                maker.make(row)
        if missing := untimed(folder, chosen, rows):
            _say(progress, "time the rows that were made beside others, one by one")
            time_rows(out, missing)
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
    for name, variant in benchmark.changed():
        kind = method_class(variant.track, variant.base)
        try:
            kind.check_options(benchmark.preset, variant.options)
        except InputError as error:
            raise InputError(f"{where}: row {name}: {error.message}") from None
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
        names = benchmark.registered(track)
        if any(method_class(track, name).learned for name in names):
            make_fabric(benchmark.budget_of(track, names[0], benchmark.seeds[0]))


def _check_methods(benchmark: Benchmark) -> None:
    """Refuse rows that lack something they need, before hours are spent on the others."""
    tracks: tuple[Track, ...] = ("mask", "content")
    for track in tracks:
        for name in getattr(benchmark.tracks, track):
            try:
                benchmark.kind(track, name).require()
                _check_upstream(benchmark, track, name)
            except InputError as error:
                raise InputError(
                    f"benchmark {benchmark.name}, row {track}.{name}: {error.message}; or leave "
                    "it out with --methods"
                ) from None


def _check_upstream(benchmark: Benchmark, track: Track, name: str) -> None:
    """Refuse a row that cannot build on others as the benchmark has them."""
    if needed := benchmark.kind(track, name).upstream:
        with torch.device("meta"):  # only their settings are asked
            method = unfitted_row(benchmark, track, name)
            method.check_upstream({key: unfitted_row(benchmark, *of_key(key)) for key in needed})


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


def _say(progress: bool, text: str) -> None:
    if progress:
        click.echo(text, err=True)

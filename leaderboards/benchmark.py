"""The TOML definition of a benchmark: which data, which methods, what they may spend.

Unknown keys are refused, so that a typing error never silently runs another comparison.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hdeocc.method import Budget, Method, Preset, Track, method_class
from hdeocc.seeds import MAX_SEED
from leaderboards.budgets import Budgets, TrackBudget
from metrics.truth import RulesName
from synth.errors import InputError
from synth.settings import Library, Strict, hint, keys_of

NAME = r"^[a-z0-9][a-z0-9-]*$"


class Tracks(Strict):
    """The rows of each track, by registered name; a full row is a (mask, content) pair."""

    mask: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    full: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> "Tracks":
        for name, rows in (("mask", self.mask), ("content", self.content), ("full", self.full)):
            twice = [row for row, count in Counter(rows).items() if count > 1]
            if twice:
                raise ValueError(f"{twice[0]!r} stands twice in tracks.{name}; keep one")
        for mask, content in self.full:
            if mask not in self.mask:
                raise ValueError(
                    f"tracks.full uses {mask!r}, not listed in tracks.mask; add it there"
                )
            if content not in self.content:
                raise ValueError(
                    f"tracks.full uses {content!r}, not listed in tracks.content; add it there"
                )
        return self


class Variant(Strict):
    """A registered method with some settings changed by name: a row of its own in `[tracks]`."""

    base: str = Field(description="name of the registered method, without its track")
    track: Track
    title: str | None = Field(description="None: that of the registered method")
    options: dict[str, Any] = Field(min_length=1)


class Alternative(Strict):
    """The same rows on another recipe, for who does not have the photos of the first."""

    preset: Preset
    budget: Budgets


class Benchmark(Strict):
    """A comparison that anybody can run again; see the module's docstring."""

    name: str = Field(pattern=NAME)
    title: str
    recipe: str = Field(description="name of a bundled recipe, or a path ending in .toml")
    test_recipe: str | None = Field(
        None, description="recipe of the test samples, where train and test lie in two releases"
    )
    fingerprint: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{12,64}$",
        description="of the test split, or its first 12 digits or more; other data are refused",
    )
    preset: Preset
    protocol: str = Field(description="version of `metrics.protocol` that the numbers mean")
    protocols: tuple[RulesName, ...] = Field(
        ("strict",), min_length=1, description="the mask track is scored by the first one alone"
    )
    border_band: int = Field(
        0, ge=0, le=64, description="pixels around the outline that no content score counts"
    )
    lpips_vgg: bool = Field(False, description="LPIPS on VGG16 features too, beside AlexNet's")
    train: Literal["disk", "live"] = Field(
        "disk",
        description="learn from the stored train split, or from samples made while training, "
        "none of which comes twice",
    )
    seeds: tuple[Annotated[int, Field(ge=0, le=MAX_SEED)], ...] = Field((0,), min_length=1)
    repeated: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="rows that are trained with every seed, as `pix2pix` or, of one track, "
        "`mask.pix2pix`; the others with the first seed alone. Without it all are repeated",
    )
    budget: Budgets
    tracks: Tracks
    options: dict[Track, dict[str, dict[str, Any]]] = Field(
        {},
        description="settings of registered rows that differ from the preset's, by track and name: "
        "for a benchmark whose pictures are not of the size that its preset is made for",
    )
    variants: dict[Annotated[str, Field(pattern=NAME)], Variant] = {}
    alternatives: dict[str, Alternative] = Field(
        {}, description="by recipe; `hdeocc bench run NAME --on RECIPE` runs one"
    )

    @model_validator(mode="after")
    def _rules_and_variants(self) -> "Benchmark":
        for name in ("protocols", "seeds"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise ValueError(f"{name} names one twice; keep one")
        for name, variant in self.variants.items():
            rows: tuple[str, ...] = getattr(self.tracks, variant.track)
            if name not in rows:
                raise ValueError(f"variants.{name} is in no row; list it in tracks.{variant.track}")
        for track, named in self.options.items():
            for name, changed in named.items():
                rows, other = getattr(self.tracks, track), self.variants.get(name)
                is_variant = other is not None and other.track == track
                if name not in rows or is_variant or not changed:
                    raise ValueError(
                        f"options.{track}.{name} is of no registered row, or empty; list it in "
                        f"tracks.{track}, or give options to its variant"
                    )
        for track, budget in (("mask", self.budget.mask), ("content", self.budget.content)):
            for name in budget.lr_of:
                if name not in getattr(self.tracks, track):
                    raise ValueError(
                        f"budget.{track}.lr_of names {name!r}, which is no row; list it in "
                        f"tracks.{track}"
                    )
        for name in self.repeated or ():
            if name not in self._names():
                raise ValueError(f"repeated names {name!r}, which is no row; list it in a track")
        return self

    def variant(self, track: Track, name: str) -> Variant | None:
        """The variant that a row of a track stands for; None for a registered method as it is."""
        found = self.variants.get(name)
        if found is not None and found.track == track:
            return found
        options = self.options.get(track, {}).get(name)
        return Variant(base=name, track=track, title=None, options=options) if options else None

    def changed(self) -> Iterator[tuple[str, Variant]]:
        """Every row whose settings are not the preset's, with its name."""
        yield from self.variants.items()
        for track, named in self.options.items():
            for name in named:
                if found := self.variant(track, name):
                    yield f"{track}.{name}", found

    def base(self, track: Track, name: str) -> str:
        """The registered method behind a row of a track."""
        variant = self.variant(track, name)
        return variant.base if variant else name

    def kind(self, track: Track, name: str) -> type[Method]:
        """The class behind a row of a track."""
        return method_class(track, self.base(track, name))

    def repeats(self, track: Track, name: str) -> bool:
        """Whether a row of a track is trained with every seed, or with the first one alone."""
        return self.repeated is None or _is_among(self.repeated, track, name)

    def registered(self, track: Track) -> list[str]:
        """The registered methods behind the rows of a track, each once."""
        names: tuple[str, ...] = getattr(self.tracks, track)
        return list(dict.fromkeys(self.base(track, name) for name in names))

    def rules_of(self, track: str) -> tuple[RulesName, ...]:
        """By which rules a track is scored: those of masks are the same in all protocols."""
        return self.protocols[:1] if track == "mask" else self.protocols

    def located(self) -> "Benchmark":
        """The same benchmark with absolute paths, so that it can be gone on with from anywhere."""
        paths = {"recipe": self.recipe, "test_recipe": self.test_recipe}
        own = {k: str(Path(v).resolve()) for k, v in paths.items() if v and v.endswith(".toml")}
        return self.model_copy(update=own)

    def on(self, recipe: str, preset: Preset) -> "Benchmark":
        """The same rows on another recipe, under a name of its own and without its ``options``.

        ``preset`` is used where the benchmark declares no alternative of that recipe.
        """
        stem = Path(recipe).stem
        known = self.alternatives.get(recipe, Alternative(preset=preset, budget=self.budget))
        changes: Mapping[str, Any] = {
            "name": f"{self.name}-on-{stem}",
            "title": f"{self.title}, on {stem}",
            "recipe": recipe,
            "test_recipe": None,
            "fingerprint": None,
            "train": "disk",
            "options": {},
            "preset": known.preset,
            "budget": known.budget,
        }
        return self.model_copy(update=changes)

    def budget_of(self, track: Track, name: str, seed: int, lr: float | None = None) -> Budget:
        """What a learned row of a track may spend; ``lr`` is one of its rates, else the lowest."""
        return self._budget(track).with_seed(seed, lr or self.rates_of(track, name)[0])

    def trial_of(self, track: Track, seed: int, lr: float) -> Budget:
        """What trying one of several rates may spend: the whole budget, or a part of it."""
        return self._budget(track).trial(seed, lr)

    def rates_of(self, track: Track, name: str) -> tuple[float, ...]:
        """The learning rates that a row of a track may choose among, lowest first."""
        return self._budget(track).rates_of(name)

    def chooses_rate(self, track: Track, name: str) -> bool:
        """Whether val chooses among several learning rates for a row of a track."""
        kind = self.kind(track, name)
        return kind.learned and kind.spends and len(self.rates_of(track, name)) > 1

    def _budget(self, track: Track) -> TrackBudget:
        return self.budget.mask if track == "mask" else self.budget.content

    def only(self, methods: list[str] | None) -> "Benchmark":
        """The benchmark with just the named methods ("pix2pix", or "mask.pix2pix" for one track).

        A full row stays when both of its methods do.

        Raises:
            InputError: a name that the benchmark does not compare.
        """
        if methods is None:
            return self
        if not methods:
            raise InputError("--methods: names no method; give names with commas, or leave it out")
        for name in methods:
            self._check_listed(name)
        kept = {
            track: tuple(n for n in getattr(self.tracks, track) if _is_among(methods, track, n))
            for track in ("mask", "content")
        }
        full = tuple(
            p for p in self.tracks.full if p[0] in kept["mask"] and p[1] in kept["content"]
        )
        tracks = Tracks(mask=kept["mask"], content=kept["content"], full=full)
        rows = {"mask": tracks.mask, "content": tracks.content}
        variants = {n: v for n, v in self.variants.items() if n in rows[v.track]}
        return self.model_copy(update={"tracks": tracks, "variants": variants})

    def _check_listed(self, name: str) -> None:
        if name not in self._names():
            meant = hint(name, self._names(), "it has")
            raise InputError(f"--methods: benchmark {self.name} has no method {name!r}; {meant}")

    def _names(self) -> list[str]:
        """What a row may be called: by its method, or by track and method."""
        mask, content = self.tracks.mask, self.tracks.content
        listed = [*(f"mask.{n}" for n in mask), *(f"content.{n}" for n in content)]
        return [*mask, *content, *listed]


def _is_among(names: Collection[str], track: str, name: str) -> bool:
    """Whether a row is named, by its method or by track and method."""
    return name in names or f"{track}.{name}" in names


BENCHMARKS = Library(
    "benchmark",
    Benchmark,
    "leaderboards",
    "benchmarks",
    keys_of((Benchmark, Budgets, TrackBudget, Tracks, Variant, Alternative)),
    foreign=("recipe", frozenset({"people", "occluders"})),
)


def bundled() -> list[str]:
    """Names of the benchmarks that come with the package, those of speed left out."""
    from leaderboards.speed import is_speed

    return [name for name in BENCHMARKS.bundled() if not is_speed(name)]


def load_benchmark(name_or_path: str | Path) -> Benchmark:
    """A benchmark from a TOML file or, by name, from those of the package.

    Raises:
        InputError: no such benchmark (with the closest names), broken TOML, a bad key or value.
    """
    return BENCHMARKS.load(name_or_path)


def parse_benchmark(text: str, where: str) -> Benchmark:
    """A benchmark from TOML text; ``where`` names it in errors."""
    return BENCHMARKS.parse(text, where)

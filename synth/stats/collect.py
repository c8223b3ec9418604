"""One pass over the samples of a data set: what the page shows, in memory that does not grow."""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from synth.occlusion_spec import Histogram, Occlusion
from synth.parsing import LIP_LABELS, NUM_LABELS
from synth.parts import LABELS, SPANNING
from synth.place import mask_box
from synth.recipe import SPLITS
from synth.sample import Sample
from synth.stats.bins import Bins, overlaps
from synth.store import Dataset
from synth.truncate import FRAME

# The parts of the body that labels are summed over; a dress or a coat spans torso and legs.
PARTS: dict[str, tuple[str, ...]] = {
    "head": LABELS["head"],
    "upper body": LABELS["torso"],
    "dress, coat, jumpsuit": SPANNING,
    "arms": LABELS["arms"],
    "legs": LABELS["legs"],
    "feet": LABELS["feet"],
}
SHARE_BINS, SIZE_BINS, HEIGHT_BINS, IOU_BINS = 20, 20, 16, 25
_FINE = 50  # finer bins in each, for the quartiles
_EXTREMES = 12
_UNNAMED = "not stated"
Place = tuple[str, int]


@dataclass
class Collected:
    """What was counted.

    Attributes:
        asked, got: hidden shares; ``off`` is how far the one is from the other, where asked.
        visible, whole: pixels by LIP-20 label over all samples with a parsing, (20,) int64.
        heights: of the person's box over that of the picture.
        sizes: longest side of an occluder over that of the person.
        iou: of the initial mask (above one half) with the visible mask.
        most, least: (split, number) of the samples that are hidden most and least, in order.
    """

    asked: Bins = field(default_factory=lambda: Bins(0, 1, SHARE_BINS * _FINE))
    got: Bins = field(default_factory=lambda: Bins(0, 1, SHARE_BINS * _FINE))
    off: Bins = field(default_factory=lambda: Bins(0, 1, SHARE_BINS * _FINE))
    heights: Bins = field(default_factory=lambda: Bins(0, 1, HEIGHT_BINS * _FINE))
    sizes: Bins = field(default_factory=lambda: Bins(0, 2, SIZE_BINS * _FINE))
    iou: Bins = field(default_factory=lambda: Bins(0, 1, IOU_BINS * _FINE))
    visible: np.ndarray = field(default_factory=lambda: np.zeros(NUM_LABELS, np.int64))
    whole: np.ndarray = field(default_factory=lambda: np.zeros(NUM_LABELS, np.int64))
    counters: dict[str, Counter[str]] = field(default_factory=dict)
    samples: int = 0
    parsed: int = 0
    missed: int = 0
    truncated: int = 0
    _most: list[tuple[float, int, Place]] = field(default_factory=list)
    _least: list[tuple[float, int, Place]] = field(default_factory=list)

    def count(self, what: str, name: str) -> None:
        """Count one more of a kind."""
        self.counters.setdefault(what, Counter())[name] += 1

    def tally(self, what: str) -> list[tuple[str, int]]:
        """How many there are of each kind, most first, names in order where equal."""
        return sorted(self.counters.get(what, Counter()).items(), key=lambda one: (-one[1], one[0]))

    @property
    def most(self) -> list[Place]:
        """The most hidden samples, the most hidden first."""
        return [place for *_, place in sorted(self._most, reverse=True)]

    @property
    def least(self) -> list[Place]:
        """The least hidden samples, the least hidden first."""
        return [place for *_, place in sorted(self._least, reverse=True)]

    def add(self, sample: Sample, place: Place) -> None:
        """Count one sample; ``place`` is where it can be read again."""
        self.samples += 1
        self.count("splits", sample.split)
        self._add_shares(sample, place)
        self._add_parts(sample)
        self._add_occluders(sample)
        self._add_origin(sample)
        self.iou.add(_iou(sample.initial > 0.5, sample.modal))

    def _add_shares(self, sample: Sample, place: Place) -> None:
        meta, got = sample.meta, sample.hidden_share
        self.got.add(got)
        self.missed += bool(meta.get("missed"))
        if meta.get("asked_share") is not None:
            self.asked.add(float(meta["asked_share"]))
            self.off.add(abs(got - float(meta["asked_share"])))
        elif meta.get("asked_range") is not None:
            low, high = meta["asked_range"]
            self.asked.add_range(float(low), float(high))
        # The number keeps equal shares in the order of the data set.
        for heap, rank in ((self._most, got), (self._least, -got)):
            heapq.heappush(heap, (rank, -self.samples, place))
            if len(heap) > _EXTREMES:
                heapq.heappop(heap)

    def _add_parts(self, sample: Sample) -> None:
        if sample.parsing is not None:
            self.parsed += 1
            self.whole += np.bincount(sample.parsing.ravel(), minlength=NUM_LABELS)
            seen = sample.parsing[sample.modal]
            self.visible += np.bincount(seen, minlength=NUM_LABELS)

    def _add_occluders(self, sample: Sample) -> None:
        things = [o for o in sample.meta.get("occluders", []) if o.get("category") != FRAME]
        placed = [p for p in sample.meta.get("placements", []) if p.get("kind") != FRAME]
        self.truncated += len(sample.meta.get("occluders", [])) > len(things)
        self.count("occluders of a sample", str(len(things)))
        _, _, width, height = mask_box(sample.amodal)
        self.heights.add(height / sample.amodal.shape[0])
        for thing in things:
            self.count("classes", str(thing.get("category", _UNNAMED)))
            self.count("occluder licences", str(thing.get("licence", _UNNAMED)))
        for one in placed:
            self.count("placements", str(one["kind"]))
            self.sizes.add(max(one["box"][2:]) / max(width, height))

    def _add_origin(self, sample: Sample) -> None:
        self.count("people", sample.person_id.partition(":")[0])
        licence = sample.meta.get("person", {}).get("licence", _UNNAMED)
        self.count("person licences", str(licence))
        for one in sample.occluder_ids:
            if one != FRAME:
                self.count("occluders", one.partition(":")[0])


def _iou(one: np.ndarray, two: np.ndarray) -> float:
    union = int((one | two).sum())
    return float((one & two).sum() / union) if union else 1.0


def collect(dataset: Dataset, progress: bool = True) -> Collected:
    """Read every sample of a data set once and count what is in it."""
    found = Collected()
    total = sum(dataset.info["counts"].values())
    for sample, place in tqdm(_samples(dataset), total=total, unit="sample", disable=not progress):
        found.add(sample, place)
    return found


def _samples(dataset: Dataset) -> Iterator[tuple[Sample, Place]]:
    for name in SPLITS:
        if dataset.info["counts"][name]:
            for number, sample in enumerate(dataset.split(name)):
                yield sample, (name, number)


def declared(occlusion: Occlusion, edges: np.ndarray) -> np.ndarray | None:
    """The share of samples that a recipe asks for in each bin; None where it asks for none.

    A recipe that rejects takes whatever comes within its range, and declares nothing inside it.
    """
    hidden = occlusion.hidden
    if isinstance(hidden, Histogram):
        pairs = zip(hidden.shares, hidden.edges[:-1], hidden.edges[1:], strict=True)
        parts = [share * overlaps(edges, low, high) for share, low, high in pairs]
        return np.asarray(np.sum(parts, axis=0) / sum(hidden.shares))
    if occlusion.reach == "reject":
        return None
    return overlaps(edges, *hidden)


def visible_shares(found: Collected) -> list[tuple[str, float, float]]:
    """Each part of the body: its name, the share that is seen, its share of the person."""
    rows = []
    everything = int(found.whole[1:].sum())
    for part, names in PARTS.items():
        labels = [LIP_LABELS.index(name) for name in names]
        whole, seen = int(found.whole[labels].sum()), int(found.visible[labels].sum())
        if whole:
            rows.append((part, seen / whole, whole / everything))
    return rows


def summary(dataset: Dataset, found: Collected) -> dict[str, Any]:
    """All numbers of the page, JSON-able."""
    recipe = dataset.recipe
    labels = {
        name: {
            "pixels": int(found.whole[i]),
            "visible": round(found.visible[i] / found.whole[i], 6),
        }
        for i, name in enumerate(LIP_LABELS)
        if i and found.whole[i]
    }
    wanted = declared(recipe.occlusion, np.linspace(0, 1, SHARE_BINS + 1))
    return {
        "name": recipe.name,
        "fingerprint": dataset.fingerprint,
        "samples": found.samples,
        "hidden": {
            "declared": None if wanted is None else [round(float(w), 6) for w in wanted],
            "asked": None if wanted is None else found.asked.summary(SHARE_BINS),
            "got": found.got.summary(SHARE_BINS),
            "off": found.off.summary(SHARE_BINS),
            "missed": found.missed,
        },
        "parsed": found.parsed,
        "parts": {
            part: {"visible": round(seen, 6), "share_of_person": round(size, 6)}
            for part, seen, size in visible_shares(found)
        },
        "labels": labels,
        "person_height": found.heights.summary(HEIGHT_BINS),
        "occluder_size": found.sizes.summary(SIZE_BINS),
        "initial_iou": found.iou.summary(IOU_BINS),
        "truncated": found.truncated,
        **{what: dict(found.tally(what)) for what in sorted(found.counters)},
        "rejected": dataset.info["skipped_by_reason"],
        "most_hidden": [_id(dataset, place) for place in found.most],
        "least_hidden": [_id(dataset, place) for place in found.least],
    }


def _id(dataset: Dataset, place: Place) -> str:
    return dataset.split(place[0]).ids[place[1]]

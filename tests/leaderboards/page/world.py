"""A result folder such as a large benchmark leaves: many methods, many people, stored pictures.

The scores are drawn, not measured, but have the shape of real ones: harder with more hidden, and
alike for one person under all methods. Everything comes from the generator handed down.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from leaderboards import records
from leaderboards.folder import Folder
from leaderboards.pictures import Picture, encode_png
from leaderboards.records import Bin, Record, SampleScores, Total, write_record
from metrics.protocol import BINS
from synth.sample import Sample
from tests.leaderboards import fakes

Scores = dict[str, float | None]

TITLES = (
    "Two-stage (ours)", "Two-stage, no templates", "Two-stage, one discriminator", "Pix2Pix",
    "Amodal hourglass", "Partial convolutions", "Gated convolutions", "Contextual attention",
    "Edge guidance", "Parsing oracle", "Occluder oracle", "Telea, person only", "Biharmonic",
    "Mean visible colour", "Identity",
)  # fmt: skip
_PARTS = ("head", "torso", "arms", "legs")


@dataclass(frozen=True)
class Entry:
    """One method of a drawn table: how good it is, in 0 to 1, and what it reads."""

    method: str
    title: str
    skill: float
    consumes: tuple[str, ...]
    milliseconds: float | None
    parameters: int


def entries(track: str, count: int) -> list[Entry]:
    """The methods of a track, best first."""
    given = {"mask": ("image", "initial"), "content": ("amodal", "image", "modal")}
    base = given.get(track, ("image", "initial"))
    made = []
    for i, title in enumerate(TITLES[:count]):
        more = tuple(n for n in ("parsing", "occluder") if n in title.lower())
        name = "-".join(re.findall("[a-z0-9]+", title.lower().replace(" (ours)", "")))
        time = None if title.startswith("Edge") else round(60 / (1 + i) ** 1.4, 3)
        method = f"{name}+{name}" if track == "full" else name
        entry = Entry(method, title, 0.95 - 0.05 * i, (*base, *more), time, (14 - i) * 700_000)
        made.append(entry)
    return made


def write_world(
    root: Path, samples: Sequence[Sample], rng: np.random.Generator, count: int = 15
) -> None:
    """Records and predictions of ``count`` methods on every track, below ``root``."""
    folder = Folder(root)
    folder.data.mkdir(parents=True, exist_ok=True)
    folder.results.mkdir(exist_ok=True)
    (folder.data / "dataset.json").write_text("{}")
    hardness = {s.sample_id: rng.normal(0, 0.06) for s in samples}
    for track in ("mask", "content", "full"):
        for place, entry in enumerate(entries(track, count)):
            for seed in range(3 if place == 3 else 1):
                record = _record(track, entry, seed, samples, hardness, rng)
                write_record(folder.results / f"{record.key}.json", record)
            _predictions(folder, track, entry, samples)


def _record(
    track: str,
    entry: Entry,
    seed: int,
    samples: Sequence[Sample],
    hardness: dict[str, float],
    rng: np.random.Generator,
) -> Record:
    scored = tuple(
        SampleScores(
            id=s.sample_id,
            person=s.person_id,
            hidden_share=s.hidden_share,
            scores=_scores(track, _goodness(entry, s, hardness, rng), s),
        )
        for s in samples
    )
    facts: dict[str, Any] = {
        "track": track,
        "title": entry.title,
        "seed": seed,
        "consumes": entry.consumes,
        "milliseconds": entry.milliseconds,
        "parameters": entry.parameters,
        "macs": entry.parameters * 90,
        "learned": entry.parameters > 2_500_000,
    }
    if track != "mask":
        facts |= _set_numbers(entry, scored) | {"empty": {"kid": "needs `hdeocc weights`"}}
    return fakes.record_of(entry.method, scored, **facts)


def _goodness(
    entry: Entry, sample: Sample, hardness: dict[str, float], rng: np.random.Generator
) -> float:
    worse = (1 - entry.skill) * (0.4 + 1.4 * sample.hidden_share)
    drawn = 1 - worse - hardness[sample.sample_id] * sample.hidden_share * 3 + rng.normal(0, 0.02)
    return float(np.clip(drawn, 0.02, 0.99))


def _scores(track: str, good: float, sample: Sample) -> Scores:
    mask: Scores = {
        "iou": good,
        "invisible_iou": good**2,
        "boundary_f": good**1.5,
        "intersection": round(1000 * good),
        "union": 1000,
        "hidden_pixels": 40,
        **{f"invisible_recall@{part}": good**1.2 for part in _PARTS},
    }
    if track == "mask":
        return mask | {"l1": (1 - good) / 5}
    content: Scores = {
        **{"l1_hole": (1.05 - good) / 2, "lpips_hole": (1.04 - good) / 2.4, "ssim_hole": good**2},
        **{"l1": (1.05 - good) / 20, "lpips": (1.04 - good) / 12, "ssim": 0.9 + good / 10},
        **{"psnr_hole": 8 + 12 * good, "psnr": 20 + 14 * good, "hidden_pixels": 40},
        "l1_hole@head": (1.05 - good) / 2 if sample.hidden_share > 0.3 else None,
    }
    return content if track == "content" else mask | {"mask_l1": (1 - good) / 5} | content


def _set_numbers(entry: Entry, scored: Sequence[SampleScores]) -> dict[str, Any]:
    def fid(n: int) -> Total:
        value = 20 + 140 * (1 - entry.skill) + 900 / max(n, 1)
        return Total(value=value, n=n, low=value * 0.94, high=value * 1.06)

    sizes = [0] * BINS
    for sample in scored:
        sizes[min(BINS - 1, math.floor((1 - sample.hidden_share) * BINS))] += 1
    bins = tuple(
        Bin(low=i / BINS, high=(i + 1) / BINS, totals={"fid": fid(n)})
        for i, n in enumerate(sizes)
        if n > 1
    )
    totals = records.totals_of(scored) | {"fid": fid(len(scored))}
    return {"bins": bins, "totals": totals, "floor": {"fid": Total(value=21.3, n=len(scored))}}


def _predictions(folder: Folder, track: str, entry: Entry, samples: Sequence[Sample]) -> None:
    path = folder.predictions(track, entry.method, 0)
    path.mkdir(parents=True)
    for sample in samples:
        draw = _mask if track == "mask" else _photo
        picture = encode_png(draw(entry.skill, sample))
        (path / f"{sample.sample_id}.png").write_bytes(picture)


def _mask(skill: float, sample: Sample) -> Picture:
    """The true mask with a bite out of its hidden part, and a shift."""
    size = len(sample.amodal)
    away = round((1 - skill) * size / 12)
    moved = np.roll(sample.amodal, away, axis=1)
    kernel = np.ones((1 + 2 * away, 1 + 2 * away), np.uint8)
    hidden = cv2.erode((moved & ~sample.modal).astype(np.uint8), kernel).astype(np.bool_)
    return (hidden | sample.modal).astype(np.uint8) * np.uint8(255)


def _photo(skill: float, sample: Sample) -> Picture:
    """The truth in the hole, the more blurred and the greyer the worse."""
    assert sample.clean is not None
    wide = 1 + 2 * round((1 - skill) * len(sample.amodal) / 6)
    blurred = cv2.blur(sample.clean, (wide, wide)).astype(np.float32)
    grey = blurred.mean(axis=2, keepdims=True)
    mixed = (skill * blurred + (1 - skill) * grey).round().astype(np.uint8)
    return np.where(sample.invisible[..., None], mixed, sample.image)

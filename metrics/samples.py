"""Scores of one sample, without networks; `metrics.protocol` says what each number is."""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from metrics import boundary, masks, pixels, structure
from metrics.masks import Mask
from metrics.pixels import Photo
from metrics.protocol import PSNR_CAP, binarise, paste
from metrics.truth import Prediction, Rules, Truth

_Array = TypeVar("_Array")


@dataclass(frozen=True, eq=False)
class Pair:
    """What is compared: two (H, W, 3) uint8 photos; all masks (H, W) bool.

    `hole` are the pixels that `_hole` scores average over, `counted` those of the frame scores
    (None: all of them); `parts` the hidden pixels of body parts. The border band is in none.
    """

    recovered: Photo
    reference: Photo
    hole: Mask
    counted: Mask | None
    parts: dict[str, Mask]


def make_pair(track: str, truth: Truth, prediction: Prediction, rules: Rules) -> Pair:
    """The photos of the content or full track; ValueError where something is missing or unfit."""
    photo = _needed(prediction.photo, "a predicted photo")
    image, clean = _needed(truth.image, "the image"), _needed(truth.clean, "the clean image")
    hole = truth.hole
    filled = hole if track == "content" else _predicted_hole(truth, prediction)
    recovered, reference = paste(photo, image, filled), paste(clean, image, hole)
    if rules.name == "official":
        recovered, reference = (paste(p, clean, truth.amodal) for p in (recovered, reference))
    counted = None
    if rules.border_band:
        counted = ~boundary.band(truth.amodal, rules.border_band)
        recovered = paste(recovered, reference, counted)
        hole = hole & counted
    parts = {name: part & hole for name, part in truth.parts.items()}
    return Pair(recovered, reference, hole, counted, parts)


def _predicted_hole(truth: Truth, prediction: Prediction) -> Mask:
    mask, initial = _needed(prediction.mask, "a predicted mask"), _needed(truth.initial, "initial")
    return binarise(mask) & ~binarise(initial)


def _needed(value: _Array | None, name: str) -> _Array:
    if value is None:
        raise ValueError(f"{name} is missing, which this track needs")
    return value


def score_mask(truth: Truth, prediction: Prediction) -> dict[str, float]:
    """Scores and counts of a predicted amodal mask; ValueError where something is unfit."""
    pred = binarise(_needed(prediction.mask, "a predicted mask"))
    hole = truth.hole
    intersection, union = masks.intersection_and_union(pred, truth.amodal)
    scores: dict[str, float] = {
        "iou": masks.iou_of_counts(intersection, union),
        "invisible_iou": masks.invisible_iou(pred, truth.amodal, truth.modal),
        "boundary_f": boundary.boundary_f(pred, truth.amodal),
        "l1": masks.mask_l1(pred, truth.amodal),
        "intersection": intersection,
        "union": union,
        "hidden_pixels": int(np.count_nonzero(hole)),
    }
    for name, part in truth.parts.items():
        scores[f"invisible_recall@{name}"] = masks.recall(pred, part & hole)
    return scores


def score_pair(pair: Pair) -> dict[str, float]:
    """Pixel scores of a pair; those of networks and of whole sets are added by the scorer."""
    photos = pair.recovered, pair.reference
    ssim, ssim_hole = structure.ssim_frame_and_hole(*photos, pair.hole, pair.counted)
    scores = {
        "l1_hole": pixels.l1(*photos, pair.hole),
        "psnr_hole": _capped(pixels.psnr(*photos, pair.hole)),
        "ssim_hole": ssim_hole,
        "l1": pixels.l1(*photos, pair.counted),
        "psnr": _capped(pixels.psnr(*photos, pair.counted)),
        "ssim": ssim,
    }
    return scores | {
        f"l1_hole@{name}": pixels.l1(*photos, part) for name, part in pair.parts.items()
    }


def _capped(decibel: float) -> float:
    return decibel if math.isnan(decibel) else min(decibel, PSNR_CAP)


def score(track: str, truth: Truth, prediction: Prediction, pair: Pair | None) -> dict[str, float]:
    """All scores of one sample that need no network; `pair` is that of `make_pair`."""
    scores = {} if track == "content" else score_mask(truth, prediction)
    if pair is None:
        return scores
    if track == "full":
        scores["mask_l1"] = scores.pop("l1")  # `l1` is that of the photo
    scores["hidden_pixels"] = int(np.count_nonzero(truth.hole))
    return scores | score_pair(pair)

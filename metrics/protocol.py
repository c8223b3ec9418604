"""Which numbers a track reports, and exactly how each is made. No torch in here.

Words: `amodal` is the whole person, `modal` the visible part, `invisible = amodal & ~modal` the
hidden part ("the hole"), all (H, W) bool; `image` is the occluded photo, `clean` the same photo
without the occluder, both (H, W, 3) uint8 RGB.

Masks are stored as 8-bit grey pictures and thresholded at 128 of 255 (`binarise`), so that a
prediction in memory and the one on disk give the same score.

*Mask track.* Prediction: the amodal probability. Per sample `iou`, `invisible_iou` (both taken
outside the true visible part) and `l1` (mean |binary prediction - truth|); the headline is the mean
over people. `pooled_iou` is the IoU of all pixels of the split taken together.

*Content track.* The true masks are given; the method's colours are pasted into the hole alone:
    recovered = prediction where invisible, else image
    reference = clean      where invisible, else image
Per sample `l1_hole`, `psnr_hole`, `lpips_hole` over the hole, `l1`, `psnr`, `ssim`, `lpips` over
the frame; per split `fid` between all recovered and all reference photos. LPIPS in the hole is the
spatial LPIPS map averaged over the hole's pixels.

*Full track.* Both parts predicted: the hole that gets filled is
    v_hat = binarise(predicted amodal) & ~(initial >= 128 of 255)
    recovered = prediction where v_hat, else image
with the same reference, and the hole of the numbers is still the true one. All numbers of the mask
track and of the content track; `l1` of the mask is called `mask_l1` there.

Conventions. Samples with nothing hidden have no hole numbers (nan: not counted, and the count is
reported). PSNR of identical pixels is infinite; it counts as `PSNR_CAP` dB so that means stay
finite. Empty masks: see `metrics.masks`. FID with fewer images than its 2048 dimensions is biased:
compare only rows of the same n.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from metrics import masks, pixels
from metrics.masks import Mask
from metrics.pixels import Photo

VERSION = "1"
THRESHOLD = 128
PSNR_CAP = 100.0


@dataclass(frozen=True)
class MetricSpec:
    """One column: what it is called, in which unit, which way is better, what it needs."""

    name: str
    title: str
    unit: str
    higher_is_better: bool
    per_sample: bool = True
    needs: str | None = None  # name of a network in `metrics.weights`, None where none is needed
    decimals: int = 4


_IOU = MetricSpec("iou", "IoU", "", True)
_INVISIBLE_IOU = MetricSpec("invisible_iou", "IoU invisible", "", True)
_POOLED_IOU = MetricSpec("pooled_iou", "IoU pooled", "", True, per_sample=False)

_CONTENT = [
    MetricSpec("l1_hole", "L1 hole", "", False),
    MetricSpec("lpips_hole", "LPIPS hole", "", False, needs="alexnet"),
    MetricSpec("psnr_hole", "PSNR hole", "dB", True, decimals=2),
    MetricSpec("l1", "L1", "", False),
    MetricSpec("lpips", "LPIPS", "", False, needs="alexnet"),
    MetricSpec("psnr", "PSNR", "dB", True, decimals=2),
    MetricSpec("ssim", "SSIM", "", True),
    MetricSpec("fid", "FID", "", False, per_sample=False, needs="inception", decimals=2),
]

TRACKS: dict[str, list[MetricSpec]] = {
    "mask": [_IOU, _INVISIBLE_IOU, MetricSpec("l1", "L1", "", False), _POOLED_IOU],
    "content": _CONTENT,
    "full": [
        _IOU,
        _INVISIBLE_IOU,
        MetricSpec("mask_l1", "L1 mask", "", False),
        _POOLED_IOU,
        *_CONTENT,
    ],
}
HEADLINE = {"mask": "iou", "content": "l1_hole", "full": "l1_hole"}

# Counts that a sample's record carries beside its scores: numbers of pixels.
COUNTS = ("intersection", "union", "hidden_pixels")


class Total(TypedDict):
    """One number over a split: its value (nan where n is 0) and how many samples it counts."""

    value: float
    n: int


def to_uint8(probability: NDArray) -> NDArray[np.uint8]:
    """An (H, W) mask as it is stored: uint8 unchanged, bool 0 or 255, float in [0, 1] times 255."""
    if probability.dtype == np.uint8:
        return probability
    if probability.dtype == np.bool_:
        return probability.astype(np.uint8) * np.uint8(255)
    if not np.issubdtype(probability.dtype, np.floating):
        raise ValueError(f"a mask must be uint8, bool or float, got {probability.dtype}")
    if not (probability.min() >= 0 and probability.max() <= 1):
        raise ValueError("a floating mask must lie in [0, 1] and hold no nan")
    return np.rint(probability * 255).astype(np.uint8)


def binarise(probability: NDArray) -> Mask:
    """(H, W) bool of an (H, W) mask in uint8 (0 to 255), float (0 to 1) or bool."""
    return to_uint8(probability) >= THRESHOLD


def paste(filling: Photo, image: Photo, hole: Mask) -> Photo:
    """(H, W, 3) uint8: `filling` inside the (H, W) bool hole, `image` elsewhere."""
    pixels.check_photos(filling=filling, image=image)
    if hole.shape != image.shape[:2] or hole.dtype != np.bool_:
        raise ValueError(f"hole {hole.shape} {hole.dtype} must be bool of {image.shape[:2]}")
    return np.where(hole[..., None], filling, image)


@dataclass(frozen=True)
class Pair:
    """What is compared: two (H, W, 3) uint8 photos and the true hole, (H, W) bool."""

    recovered: Photo
    reference: Photo
    hole: Mask


def content_pair(pred_rgb: Photo, image: Photo, clean: Photo, amodal: Mask, modal: Mask) -> Pair:
    """The photos of the content track; ValueError where shapes or types do not fit."""
    masks.check_masks(amodal=amodal, modal=modal)
    hole = amodal & ~modal
    return Pair(paste(pred_rgb, image, hole), paste(clean, image, hole), hole)


def full_pair(
    pred_rgb: Photo,
    pred_amodal: NDArray,
    image: Photo,
    clean: Photo,
    amodal: Mask,
    modal: Mask,
    initial: NDArray,
) -> Pair:
    """The photos of the full track; ValueError where shapes or types do not fit."""
    masks.check_masks(amodal=amodal, modal=modal)
    hole = amodal & ~modal
    filled = binarise(pred_amodal) & ~binarise(initial)
    return Pair(paste(pred_rgb, image, filled), paste(clean, image, hole), hole)


def score_mask(pred_amodal: NDArray, amodal: Mask, modal: Mask) -> dict[str, float]:
    """Scores and counts of one predicted amodal mask.

    `pred_amodal` is (H, W): uint8 0 to 255, float 0 to 1, or bool; the others (H, W) bool.
    Raises ValueError where shapes or types do not fit.
    """
    pred = binarise(pred_amodal)
    intersection, union = masks.intersection_and_union(pred, amodal)
    return {
        "iou": masks.iou_of_counts(intersection, union),
        "invisible_iou": masks.invisible_iou(pred, amodal, modal),
        "l1": masks.mask_l1(pred, amodal),
        "intersection": intersection,
        "union": union,
        "hidden_pixels": int(np.count_nonzero(amodal & ~modal)),
    }


def _capped(decibel: float) -> float:
    return decibel if math.isnan(decibel) else min(decibel, PSNR_CAP)


def score_pair(pair: Pair) -> dict[str, float]:
    """The pixel scores and counts of one pair; LPIPS and FID are added by `metrics.scoring`."""
    recovered, reference, hole = pair.recovered, pair.reference, pair.hole
    return {
        "l1_hole": pixels.l1_hole(recovered, reference, hole),
        "psnr_hole": _capped(pixels.psnr(recovered, reference, hole)),
        "l1": pixels.l1_frame(recovered, reference),
        "psnr": _capped(pixels.psnr(recovered, reference)),
        "ssim": pixels.ssim(recovered, reference),
        "hidden_pixels": int(np.count_nonzero(hole)),
    }


def score_content(
    pred_rgb: Photo, image: Photo, clean: Photo, amodal: Mask, modal: Mask
) -> dict[str, float]:
    """Pixel scores of one prediction of the content track (true masks given).

    Photos are (H, W, 3) uint8, masks (H, W) bool. Raises ValueError where shapes do not fit.
    """
    return score_pair(content_pair(pred_rgb, image, clean, amodal, modal))


def score_full(
    pred_rgb: Photo,
    pred_amodal: NDArray,
    image: Photo,
    clean: Photo,
    amodal: Mask,
    modal: Mask,
    initial: NDArray,
) -> dict[str, float]:
    """Mask and pixel scores of one prediction of the full track (both parts predicted).

    `pred_amodal` and `initial` are (H, W) in uint8, float or bool like in `score_mask`.
    """
    pair = full_pair(pred_rgb, pred_amodal, image, clean, amodal, modal, initial)
    return score_full_mask(pred_amodal, amodal, modal) | score_pair(pair)


def score_full_mask(pred_amodal: NDArray, amodal: Mask, modal: Mask) -> dict[str, float]:
    """`score_mask` under the names of the full track, where `l1` is that of the photo."""
    scores = score_mask(pred_amodal, amodal, modal)
    scores["mask_l1"] = scores.pop("l1")
    return scores


def aggregate(per_sample: Iterable[Mapping[str, float]]) -> dict[str, Total]:
    """Mean of every score over samples, nan left out, each with the number that was counted.

    `COUNTS` are not averaged; where masks were scored they give `pooled_iou` over all samples.
    """
    records = list(per_sample)
    names = dict.fromkeys(name for record in records for name in record if name not in COUNTS)
    totals = {name: _mean([record.get(name, math.nan) for record in records]) for name in names}
    with_masks = [record for record in records if "union" in record]
    if with_masks:
        intersection = sum(record["intersection"] for record in with_masks)
        union = sum(record["union"] for record in with_masks)
        totals["pooled_iou"] = Total(
            value=masks.iou_of_counts(intersection, union), n=len(with_masks)
        )
    return totals


def _mean(values: list[float]) -> Total:
    counted = [value for value in values if not math.isnan(value)]
    # fsum: the mean must not depend on the order of the samples.
    mean = math.fsum(counted) / len(counted) if counted else math.nan
    return Total(value=mean, n=len(counted))

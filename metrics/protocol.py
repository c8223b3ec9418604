"""Which numbers a track reports, and exactly how each is made. No torch in here.

Words, arrays and types: `metrics.truth`. Every convention stands here and is tested.

*Masks.* They are stored as 8-bit grey pictures and thresholded at 128 of 255 (`binarise`), so that
a prediction in memory and the one on disk give the same score. Per sample: `iou` (headline, its
mean over people), `invisible_iou` (both outside the true visible part), `boundary_f`
(`metrics.boundary`), `l1` (mean |binary prediction - truth|, called `mask_l1` on the full track)
and `invisible_recall@PART`, the share of a body part's hidden pixels that the prediction covers.
Over the set: `pooled_iou`, the IoU of all pixels together, and `parsing_miou`
(`metrics.parsing`).

*Photos.* What is compared, before the rules below:

    recovered = prediction where filled, else image
    reference = clean      where hidden, else image

On the content track the true masks are given and `filled` is the hidden part; on the full track
both parts are predicted and `filled = binarise(predicted amodal) & ~binarise(initial)`. Names that
end in `_hole` average over the hidden part (also on the full track: the true one), the others over
the frame: `l1`, `psnr`, `ssim`, `lpips` (AlexNet), and `lpips_vgg` where VGG was asked for.
`l1_hole@PART` is the hole of one body part. SSIM and LPIPS in the hole are their maps over the
frame averaged over the hole's pixels. Over the set: `fid` and `kid` between all recovered and all
reference photos, whole frames.

*Rules.* "strict": as above, so nothing but the filled pixels can differ. "official", as in the
evaluation released with the paper: outside the true amodal mask both photos show `clean`, so
colours spilled beyond the person cost nothing.

*Border band.* Of an outline known only to some pixels (coarse polygons) `Rules.border_band` pixels
on either side of the true amodal outline are not counted by any content score: there the recovered
photo is given the reference's pixels, and averages of L1, PSNR, SSIM and of all `_hole` scores
leave the band out. Frame LPIPS, FID and KID take whole frames, in which the band holds no
difference of its own. Masks are scored without a band: `boundary_f` has its tolerance.

*Nothing hidden.* Such a sample has no hole numbers, nor has one whose hole lies in the band, nor a
part of which nothing is hidden: nan, which is not counted, and every total says how many were.

*Empty masks.* Both empty: IoU 0 (as the released code), boundary F 1 (as DAVIS). One empty: 0.

*Identical photos.* PSNR would be infinite and counts as `PSNR_CAP` dB, so that means stay finite.

*LPIPS* is fed [-1, 1] as its package expects; [0, 1] gives other numbers without an error.

*FID of few photos.* Below 2049 photos covariances are singular and FID is biased upwards, so that
only equal n compare: each total carries its n; `kid`, which has no such bias, stands beside it, and
`SetScore.floor` holds FID and KID between two halves of the true photos, split by person: what two
real sets of that size score against each other. FID of fewer than two photos does not exist.

*KID* is the unbiased estimate over all pairs, so it may be negative, and is for a set against
itself: recovered and reference photos of one sample are among the pairs.

*Bins.* Set-level numbers are also made within tenths of the visible share, 1 - hidden share:
[0, 0.1), ... [0.9, 1] (`bin_of`), as the paper's code bins.

*Intervals.* `low` and `high` of `fid`, `kid` and `parsing_miou` are 95 % intervals by a grouped
jackknife over people (`metrics.jackknife`); the others are means of samples, to be resampled.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metrics import masks, pixels
from metrics.masks import Mask
from metrics.pixels import Photo
from metrics.truth import NAMES as NAMES
from metrics.truth import Rules as Rules

VERSION = "2"
THRESHOLD = 128
PSNR_CAP = 100.0
BINS = 10


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
    shown: bool = True  # a column of printed tables unless they are asked for others


@dataclass(frozen=True)
class Total:
    """One number over a set: its value (nan where n is 0) and how many samples it counts.

    `low` and `high` bound a 95 % interval where one was made.
    """

    value: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Bin:
    """Set-level totals of the samples whose visible share is in [low, high); the last is closed."""

    low: float
    high: float
    totals: dict[str, Total]


_IOU = [
    MetricSpec("iou", "IoU", "", True),
    MetricSpec("invisible_iou", "IoU invisible", "", True),
    MetricSpec("boundary_f", "Boundary F", "", True),
]
_SETS_OF_MASKS = [
    MetricSpec("pooled_iou", "IoU pooled", "", True, per_sample=False),
    MetricSpec("parsing_miou", "Parsing mIoU", "", True, per_sample=False, shown=False),
]
_CONTENT = [
    MetricSpec("l1_hole", "L1 hole", "", False),
    MetricSpec("lpips_hole", "LPIPS hole", "", False, needs="alexnet"),
    MetricSpec("ssim_hole", "SSIM hole", "", True),
    MetricSpec("psnr_hole", "PSNR hole", "dB", True, decimals=2),
    MetricSpec("l1", "L1", "", False, decimals=5),
    MetricSpec("lpips", "LPIPS", "", False, needs="alexnet", shown=False),
    MetricSpec("ssim", "SSIM", "", True, shown=False),
    MetricSpec("psnr", "PSNR", "dB", True, decimals=2, shown=False),
    MetricSpec("lpips_vgg_hole", "LPIPS-VGG hole", "", False, needs="vgg16", shown=False),
    MetricSpec("lpips_vgg", "LPIPS-VGG", "", False, needs="vgg16", shown=False),
    MetricSpec("fid", "FID", "", False, per_sample=False, needs="inception", decimals=2),
    MetricSpec("kid", "KID", "", False, per_sample=False, needs="inception", decimals=5),
]

TRACKS: dict[str, list[MetricSpec]] = {
    "mask": [*_IOU, MetricSpec("l1", "L1", "", False), *_SETS_OF_MASKS],
    "content": _CONTENT,
    "full": [
        *_IOU,
        MetricSpec("mask_l1", "L1 mask", "", False, shown=False),
        *_SETS_OF_MASKS,
        *_CONTENT,
    ],
}
# Of whole pipelines not the error in the true hole: there a mask that is too large costs nothing.
HEADLINE = {"mask": "iou", "content": "l1_hole", "full": "l1"}

# Scores by body part, named NAME@PART after whatever parts the truth has.
_OF_PARTS = {
    "invisible_recall": MetricSpec("invisible_recall", "Recall invisible", "", True, shown=False),
    "l1_hole": MetricSpec("l1_hole", "L1 hole", "", False, shown=False),
}
PART_METRICS = {
    "mask": ("invisible_recall",),
    "content": ("l1_hole",),
    "full": ("invisible_recall", "l1_hole"),
}

# Counts that a sample's record carries beside its scores: numbers of pixels.
COUNTS = ("intersection", "union", "hidden_pixels")


def spec_of(track: str, name: str) -> MetricSpec:
    """The column of a metric, those of body parts (`NAME@PART`) included; KeyError if unknown."""
    metric, at, part = name.partition("@")
    if at:
        if metric not in PART_METRICS[track] or not part:
            raise KeyError(f"{name} is no metric of the {track} track")
        spec = _OF_PARTS[metric]
        return replace(spec, name=name, title=f"{spec.title}, {part}")
    for spec in TRACKS[track]:
        if spec.name == name:
            return spec
    raise KeyError(f"{name} is no metric of the {track} track")


def bin_of(hidden_share: float) -> int:
    """Which of the ten bins of the visible share a sample is in, 0 (hardly seen) to 9."""
    # Rounded first: 1 - 0.9 is a little less than 0.1 in floating point.
    return min(math.floor(round((1 - hidden_share) * BINS, 9)), BINS - 1)


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


def aggregate(per_sample: Iterable[Mapping[str, float]]) -> dict[str, Total]:
    """Mean of every score over samples, nan left out, each with the number that was counted.

    `COUNTS` are not averaged; where masks were scored they give `pooled_iou` over all samples.
    """
    records = list(per_sample)
    names = dict.fromkeys(name for record in records for name in record if name not in COUNTS)
    totals = {name: _mean([record.get(name, math.nan) for record in records]) for name in names}
    pooled = pooled_iou(records)
    return totals | ({"pooled_iou": pooled} if pooled else {})


def pooled_iou(records: Iterable[Mapping[str, float]]) -> Total | None:
    """IoU of the pixels of all samples together; None where no masks were scored."""
    counts = [(r["intersection"], r["union"]) for r in records if "union" in r]
    if not counts:
        return None
    return Total(masks.iou_of_counts(*map(sum, zip(*counts, strict=True))), len(counts))


def _mean(values: list[float]) -> Total:
    counted = [value for value in values if not math.isnan(value)]
    # fsum: the mean must not depend on the order of the samples.
    mean = math.fsum(counted) / len(counted) if counted else math.nan
    return Total(value=mean, n=len(counted))

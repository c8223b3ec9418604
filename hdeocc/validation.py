"""What a method can do on held-out people: numbers, and a picture to look at."""

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from hdeocc.batch import collate
from hdeocc.method import Method
from metrics import masks, pixels
from metrics.protocol import aggregate, binarise, paste
from synth.sample import Sample

BATCH = 8
SHOWN = 6
TINT = np.array([70, 160, 255], np.float32)

Outputs = Iterator[tuple[Sample, np.ndarray]]


def spread(samples: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many samples, evenly over all of them, always the same."""
    count = min(most, len(samples))
    places = np.linspace(0, len(samples) - 1, count).round()
    return [samples[int(place)] for place in places]


def measure(method: Method, samples: Sequence[Sample]) -> dict[str, float]:
    """Mean scores over samples, by the metrics of the leaderboards.

    Mask track: ``iou``, ``invisible_iou``, ``l1``. Content track: ``l1_hole``, ``psnr_hole`` in the
    true hole, given the true masks. A score that no sample has is left out; all are, of a method
    that predicts anything but finite numbers.
    """
    each = []
    for sample, output in _outputs(method, samples):
        if not np.isfinite(output).all():
            return {}
        each.append(_scores(method.track, sample, output))
    totals = aggregate(each)
    return {name: one.value for name, one in totals.items() if math.isfinite(one.value)}


def picture(method: Method, samples: Sequence[Sample]) -> np.ndarray:
    """A row for each of a few of the samples, uint8 RGB: input, prediction, truth.

    Masks are drawn as a blue tint; content is painted into the true hole.
    """
    drawn = [_row(method.track, *pair) for pair in _outputs(method, spread(samples, SHOWN))]
    return np.concatenate(drawn) if drawn else np.zeros((1, 1, 3), np.uint8)


def png(image: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 RGB as a PNG file."""
    return cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes()


def _outputs(method: Method, samples: Sequence[Sample]) -> Outputs:
    """Samples, each with its (C, H, W) float32 prediction."""
    for start in range(0, len(samples), BATCH):
        some = [samples[i] for i in range(start, min(start + BATCH, len(samples)))]
        batch = collate(some).only(method.consumes)
        yield from zip(some, method.predict(batch).float().cpu().numpy(), strict=True)


def _scores(track: str, sample: Sample, output: np.ndarray) -> dict[str, float]:
    if track == "mask":
        found = binarise(output[0].clip(0, 1))
        return {
            "iou": masks.mask_iou(found, sample.amodal),
            "invisible_iou": masks.invisible_iou(found, sample.amodal, sample.modal),
            "l1": masks.mask_l1(output[0].clip(0, 1), sample.amodal),
        }
    if sample.clean is None:
        return {}
    made = _recovered(sample, output)
    return {
        "l1_hole": pixels.l1(made, sample.clean, sample.invisible),
        "psnr_hole": pixels.psnr(made, sample.clean, sample.invisible),
    }


def _recovered(sample: Sample, output: np.ndarray) -> np.ndarray:
    colours = np.rint(output.transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8)
    return paste(np.ascontiguousarray(colours), sample.image, sample.invisible)


def _row(track: str, sample: Sample, output: np.ndarray) -> np.ndarray:
    if track == "mask":
        shown = [_tinted(sample.image, sample.initial)]
        shown += [_tinted(sample.image, mask) for mask in (output[0], sample.amodal)]
    else:
        truth = sample.image if sample.clean is None else sample.clean
        shown = [sample.image, _recovered(sample, output), truth]
    return np.concatenate(shown, axis=1)


def _tinted(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    share = 0.55 * np.asarray(mask, np.float32).clip(0, 1)[..., None]
    return np.rint(image * (1 - share) + TINT * share).astype(np.uint8)

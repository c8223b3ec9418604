"""What a training sample goes through before the network sees it; all draws from one generator.

Every step keeps the sample's invariants but one: zooming blends an occluder's edge into the pixel
beside it, as a camera does, so that picture and clean picture may differ there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from synth.parsing import mirror
from synth.sample import Sample


@dataclass(frozen=True)
class Augmentation:
    """How strongly training samples are varied.

    Attributes:
        flip: chance of mirroring (left and right labels are exchanged).
        scale: range of the zoom about the centre.
        shift: largest shift, as a share of the frame.
        recombine: chance of lying under another sample's occluder at another place. Only for
            samples whose clean picture is known and whose initial mask is the visible one: how a
            faulty mask would err at another place nobody knows. So samples of a recipe with
            ``initial.kind`` "jitter" or "segmenter" stay, but for a few, as they were built.
        hidden: range of the hidden share that a recombined sample may have.
    """

    flip: float = 0.5
    scale: tuple[float, float] = (0.85, 1.1)
    shift: float = 0.05
    recombine: float = 0.5
    hidden: tuple[float, float] = (0.03, 0.75)


NO_AUGMENTATION = Augmentation(flip=0, scale=(1, 1), shift=0, recombine=0)


def augment(
    samples: Sequence[Sample], index: int, rng: np.random.Generator, how: Augmentation
) -> Sample:
    """A varied copy of ``samples[index]``; another sample may lend its occluder."""
    sample = samples[index]
    if rng.random() < how.recombine:
        donor = samples[int(rng.integers(len(samples)))]
        sample = _recombined(sample, donor, rng, how.hidden)
    if rng.random() < how.flip:
        sample = _mirrored(sample)
    return _warped(sample, rng, how)


def _recombined(
    sample: Sample, donor: Sample, rng: np.random.Generator, hidden: tuple[float, float]
) -> Sample:
    """The person under the donor's occluder, when that hides a share within ``hidden``.

    The sample itself where that cannot be, or where its initial mask is faulty: for the mask is a
    function of what is hidden, which here is known for the true one alone.
    """
    jittered = not np.array_equal(sample.initial > 0.5, sample.modal)
    if sample.clean is None or jittered:
        return sample
    size = sample.amodal.shape[0]
    for _ in range(4):
        dy, dx = rng.integers(-size // 3, size // 3 + 1, 2)
        occluder = _moved(donor.occluder, dy, dx)
        share = (occluder & sample.amodal).sum() / max(1, sample.amodal.sum())
        if hidden[0] <= share <= hidden[1]:
            break
    else:
        return sample
    image = np.where(occluder[..., None], _moved(donor.image, dy, dx), sample.clean)
    modal = sample.amodal & ~occluder
    return replace(
        sample, image=image, modal=modal, occluder=occluder, initial=modal.astype(np.float32)
    )


def _moved(array: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """The array shifted by whole pixels, zeros entering at the border."""
    out = np.zeros_like(array)
    height, width = array.shape[:2]
    to_y, to_x = slice(max(0, dy), height + min(0, dy)), slice(max(0, dx), width + min(0, dx))
    of_y, of_x = slice(max(0, -dy), height - max(0, dy)), slice(max(0, -dx), width - max(0, dx))
    out[to_y, to_x] = array[of_y, of_x]
    return out


def _mirrored(sample: Sample) -> Sample:
    def flipped(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array[:, ::-1])

    return replace(
        sample,
        image=flipped(sample.image),
        clean=None if sample.clean is None else flipped(sample.clean),
        amodal=flipped(sample.amodal),
        modal=flipped(sample.modal),
        occluder=flipped(sample.occluder),
        parsing=None if sample.parsing is None else mirror(sample.parsing),
        initial=flipped(sample.initial),
    )


def _warped(sample: Sample, rng: np.random.Generator, how: Augmentation) -> Sample:
    """Zoomed and shifted; labels by nearest pixel, so that masks stay nested."""
    size = sample.amodal.shape[0]
    zoom = rng.uniform(*how.scale)
    shift = rng.uniform(-how.shift, how.shift, 2) * size
    if zoom == 1 and not shift.any():
        return sample
    centre = (size - 1) / 2
    matrix = np.array(
        [[zoom, 0, centre * (1 - zoom) + shift[0]], [0, zoom, centre * (1 - zoom) + shift[1]]]
    )

    def photo(array: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(array, matrix, (size, size), flags=cv2.INTER_LINEAR)

    def labels(array: np.ndarray) -> np.ndarray:
        warped = cv2.warpAffine(
            array.astype(np.uint8), matrix, (size, size), flags=cv2.INTER_NEAREST
        )
        return warped.astype(array.dtype)

    amodal = labels(sample.amodal)
    if not amodal.any():
        return sample
    binary = np.isin(sample.initial, (0, 1)).all()
    warp_initial = labels if binary else photo
    return replace(
        sample,
        image=photo(sample.image),
        clean=None if sample.clean is None else photo(sample.clean),
        amodal=amodal,
        modal=labels(sample.modal),
        occluder=labels(sample.occluder),
        parsing=None if sample.parsing is None else labels(sample.parsing),
        initial=warp_initial(sample.initial).astype(np.float32),
    )

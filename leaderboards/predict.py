"""Predictions of the test split as PNG files by sample id, made once and then only read.

Masks are 8-bit grey probabilities; content is the recovered photo: the method's colours inside the
hole, the input elsewhere. A method sees only the inputs that it declares to consume.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from hdeocc.batch import Batch, collate
from hdeocc.learned import Learned
from hdeocc.method import Method
from leaderboards import provenance
from leaderboards.fit import Fitted, device_of
from leaderboards.folder import digest, new_folder, read_json
from leaderboards.pictures import Picture, encode_png, read_png
from metrics.protocol import binarise, paste, to_uint8
from synth.atomic import write_text
from synth.errors import InputError
from synth.sample import Sample
from synth.store import Split

BATCH = 16
TIMED = 20
WARM_UP = 3

Masks = Callable[[Sample], Picture]


@dataclass(frozen=True)
class Predictions:
    """A folder of stored predictions and what is known of it."""

    folder: Path
    key: str
    milliseconds: float
    device: str

    def picture(self, sample: Sample, channels: int) -> Picture | None:
        """The stored picture of a sample, 1 or 3 channels; None where it is missing."""
        shape = sample.amodal.shape if channels == 1 else (*sample.amodal.shape, 3)
        return read_png(self.folder / f"{sample.sample_id}.png", shape)


def stored(folder: Path, key: str, ids: Sequence[str]) -> Predictions | None:
    """The predictions of a folder, if they are all there and those that ``key`` stands for."""
    path = folder / "predictions.json"
    about = read_json(path) if path.is_file() else {}
    if about.get("key") != key or any(not (folder / f"{i}.png").is_file() for i in ids):
        return None
    milliseconds, device = about.get("milliseconds"), about.get("device")
    if not isinstance(milliseconds, int | float) or not isinstance(device, str):
        return None
    return Predictions(folder, key, float(milliseconds), device)


def predict_masks(folder: Path, fitted: Fitted, split: Split, again: bool) -> Predictions:
    """The mask track: amodal probabilities of every sample of the split."""
    key = digest(["mask", fitted.key, split.fingerprint, sorted(fitted.method.consumes)])
    found = None if again else stored(folder, key, split.ids)
    if found is not None:
        return found
    with new_folder(folder) as temporary:
        for sample, output in _outputs(fitted.method, split, collate, "mask"):
            picture = to_uint8(output[0].clip(0, 1))
            (temporary / f"{sample.sample_id}.png").write_bytes(encode_png(picture))
        _finish(temporary, key, fitted.method, split, collate)
    return _must(stored(folder, key, split.ids))


def predict_content(
    folder: Path,
    fitted: Fitted,
    split: Split,
    again: bool,
    masks: Predictions | None = None,
) -> Predictions:
    """The content track; with ``masks`` the full one, where those predicted masks are filled."""
    upstream = None if masks is None else masks.key
    consumes = sorted(fitted.method.consumes)
    key = digest(["content", fitted.key, split.fingerprint, consumes, upstream])
    found = None if again else stored(folder, key, split.ids)
    if found is not None:
        return found
    batches = collate if masks is None else _with_masks(masks)
    name = "content" if masks is None else "full"
    with new_folder(folder) as temporary:
        for sample, output in _outputs(fitted.method, split, batches, name):
            picture = _recovered(sample, output, masks)
            (temporary / f"{sample.sample_id}.png").write_bytes(encode_png(picture))
        _finish(temporary, key, fitted.method, split, batches)
    return _must(stored(folder, key, split.ids))


def _recovered(sample: Sample, output: np.ndarray, masks: Predictions | None) -> Picture:
    colours = np.rint(output.transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8)
    hole = sample.invisible if masks is None else predicted_hole(sample, predicted(masks, sample))
    return paste(np.ascontiguousarray(colours), sample.image, hole)


def predicted(masks: Predictions, sample: Sample) -> Picture:
    """The stored mask of a sample.

    Raises:
        InputError: it is missing.
    """
    picture = masks.picture(sample, 1)
    if picture is None:
        path = masks.folder / f"{sample.sample_id}.png"
        raise InputError(f"{path}: this prediction is missing; remove its folder and run again")
    return picture


def predicted_hole(sample: Sample, mask: Picture) -> np.ndarray:
    """Pixels that the full pipeline fills, (H, W) bool: predicted, and not seen already."""
    return binarise(mask) & ~binarise(sample.initial)


def _with_masks(masks: Predictions) -> Callable[[Sequence[Sample]], Batch]:
    """Batches whose ``amodal`` and ``modal`` are predicted, as in use on a photo."""

    def batches(samples: Sequence[Sample]) -> Batch:
        modal = np.stack([binarise(s.initial) for s in samples])
        amodal = np.stack([binarise(predicted(masks, s)) for s in samples]) | modal
        return collate(samples).replace(amodal=_tensor(amodal), modal=_tensor(modal))

    return batches


def _tensor(masks: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(masks.astype(np.float32))[:, None]


def _outputs(
    method: Method, split: Split, batches: Callable[[Sequence[Sample]], Batch], track: str
) -> Iterator[tuple[Sample, np.ndarray]]:
    """Each sample with its (C, H, W) float32 prediction."""
    size = BATCH if isinstance(method, Learned) else 1
    bar = tqdm(
        total=len(split),
        desc=f"predict {track} {method.title}",
        unit="sample",
        leave=False,
        disable=None,
    )
    with bar:
        for start in range(0, len(split), size):
            samples = [split[i] for i in range(start, min(start + size, len(split)))]
            output = method.predict(batches(samples).only(method.consumes)).float().cpu().numpy()
            _check_output(method, output, samples)
            yield from zip(samples, output, strict=True)
            bar.update(len(samples))


def _check_output(method: Method, output: np.ndarray, samples: Sequence[Sample]) -> None:
    channels = 1 if method.track == "mask" else 3
    wanted = (len(samples), channels, *samples[0].amodal.shape)
    if output.shape != wanted:
        raise InputError(f"method {method.title}: predicted {output.shape}, not {wanted}; mend it")
    if not np.isfinite(output).all():
        raise InputError(
            f"method {method.title}: predicted nan or inf for one of {samples[0].sample_id} to "
            f"{samples[-1].sample_id}; mend it or fit it again with a lower learning rate"
        )


def _finish(
    folder: Path,
    key: str,
    method: Method,
    split: Split,
    batches: Callable[[Sequence[Sample]], Batch],
) -> None:
    about = {
        "key": key,
        "samples": len(split),
        "milliseconds": time_one(method, split, batches),
        "device": provenance.device_name(device_of(method)),
    }
    write_text(folder / "predictions.json", json.dumps(about, indent=1) + "\n")


def time_one(method: Method, split: Split, batches: Callable[[Sequence[Sample]], Batch]) -> float:
    """Median milliseconds of ``predict`` on one sample, over up to 20 after a warm-up."""
    inputs = [batches([split[i]]).only(method.consumes) for i in range(min(TIMED, len(split)))]
    for batch in inputs[:WARM_UP]:
        method.predict(batch)
    return statistics.median(_milliseconds(method, batch) for batch in inputs) if inputs else 0.0


def _milliseconds(method: Method, batch: Batch) -> float:
    started = time.perf_counter()
    method.predict(batch)  # comes back to the CPU, so a GPU has finished when this returns
    return 1000 * (time.perf_counter() - started)


def _must(found: Predictions | None) -> Predictions:
    assert found is not None, "predictions that were just written cannot be read"
    return found

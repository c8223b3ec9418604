"""Predictions of a split as PNG files by sample id, made once and then only read.

Masks are 8-bit grey probabilities; content is the recovered photo: the method's colours inside the
hole, the input elsewhere. Methods that parse leave their labels beside the masks, in parsing/. A
method sees only the inputs that it declares to consume. What is interrupted goes on.
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from hdeocc import provenance
from hdeocc.batch import Batch, collate
from hdeocc.fabric import device_of
from hdeocc.fitted import Fitted
from hdeocc.folders import digest, read_json
from hdeocc.method import Method
from leaderboards.cost import count_macs
from leaderboards.folder import Folder, resumed_folder
from leaderboards.pictures import Picture, encode_png, read_png
from metrics.protocol import binarise, paste, to_uint8
from synth.atomic import write_bytes, write_text
from synth.errors import InputError
from synth.sample import Sample
from synth.store import Split

BATCH = 16
TIMED = 20
WARM_UP = 3

ABOUT = "predictions.json"
PARSING = "parsing"

Batches = Callable[[Sequence[Sample]], Batch]
Draw = Callable[[Sample, np.ndarray], Picture]


@dataclass(frozen=True)
class Predictions:
    """A folder of stored predictions and what is known of it.

    Attributes:
        key: digest of everything the pictures depend on.
        milliseconds: median of one sample at batch 1; None where nobody measured.
        macs: multiply-adds of one prediction; None where they are not known.
        weights: SHA-256 by name of the weights that made them.
    """

    folder: Path
    key: str
    milliseconds: float | None
    device: str
    macs: int | None = None
    weights: Mapping[str, str] = field(default_factory=dict)

    def picture(self, sample: Sample, channels: int) -> Picture | None:
        """The stored picture of a sample, 1 or 3 channels; None where it is missing."""
        shape = sample.amodal.shape if channels == 1 else (*sample.amodal.shape, 3)
        return read_png(self.folder / f"{sample.sample_id}.png", shape)

    def parsing(self, sample: Sample) -> Picture | None:
        """The stored LIP-20 labels of a sample, (H, W) uint8; None where there are none."""
        return read_png(self.folder / PARSING / f"{sample.sample_id}.png", sample.amodal.shape)


def stored(
    folder: Path, key: str, ids: Sequence[str], made_by: Mapping[str, object] = MappingProxyType({})
) -> Predictions | None:
    """The predictions of a folder, if they are all there and those that ``key`` stands for.

    ``made_by``: facts of `predictions.json` that must be these, where it tells of them. A key knows
    the recipe of weights alone, and training again may lead to others.
    """
    about = read_json(folder / ABOUT) if (folder / ABOUT).is_file() else {}
    if any(about.get(name, wanted) != wanted for name, wanted in made_by.items()):
        return None
    if about.get("key") != key or any(not (folder / f"{i}.png").is_file() for i in ids):
        return None
    milliseconds, device, macs = (about.get(name) for name in ("milliseconds", "device", "macs"))
    if not isinstance(milliseconds, int | float | None) or not isinstance(device, str):
        return None
    if not isinstance(macs, int | None) or not {"macs", "milliseconds"} <= about.keys():
        return None
    weights = about.get("weights_sha256")
    known = weights if isinstance(weights, dict) else {}
    return Predictions(folder, key, milliseconds, device, macs, known)


def masks_of(folder: Folder, method: str, seed: int) -> Path:
    """The stored masks that a full row of a seed fills: those of its mask method.

    One that learns nothing was run for the first seed alone, whichever that was.
    """
    own = folder.predictions("mask", method, seed)
    if (own / ABOUT).is_file():
        return own
    there = [path.parent for path in own.parent.glob(f"seed-*/{ABOUT}")]
    same = [path for path in there if not read_json(path / ABOUT).get("learned", True)]
    return min(same, key=lambda path: int(path.name.removeprefix("seed-")), default=own)


def predict_masks(
    folder: Path, fitted: Fitted, split: Split, again: bool, timed: bool = True
) -> Predictions:
    """The mask track: amodal probabilities of every sample of the split.

    Beside other work nothing can be timed; then ``timed`` is False, and nobody has measured.
    """
    consumes = sorted(fitted.method.consumes)
    key = digest(["mask", fitted.key, split.fingerprint, consumes])

    def draw(_: Sample, output: np.ndarray) -> Picture:
        return to_uint8(output[0].clip(0, 1))

    job = _Job("mask", fitted, split, collate, draw, timed)
    return job.done(folder, key, again)


def predict_content(
    folder: Path,
    fitted: Fitted,
    split: Split,
    again: bool,
    masks: Predictions | None = None,
    timed: bool = True,
) -> Predictions:
    """The content track; with ``masks`` the full one, where those predicted masks are filled.

    ``timed`` as for masks.
    """
    upstream = None if masks is None else masks.key
    consumes = sorted(fitted.method.consumes)
    key = digest(["content", fitted.key, split.fingerprint, consumes, upstream])
    batches = collate if masks is None else _with_masks(masks)
    track = "content" if masks is None else "full"

    def draw(sample: Sample, output: np.ndarray) -> Picture:
        return _recovered(sample, output, masks)

    job = _Job(track, fitted, split, batches, draw, timed, masks)
    return job.done(folder, key, again)


@dataclass(frozen=True)
class _Job:
    """Predictions of one method on one split.

    Attributes:
        batches: samples as the method gets them.
        draw: a sample and its (C, H, W) prediction -> the picture that is stored.
        masks: those that the full track fills.
    """

    track: str
    fitted: Fitted
    split: Split
    batches: Batches
    draw: Draw
    timed: bool
    masks: Predictions | None = None

    @property
    def made_by(self) -> dict[str, object]:
        """The weights that make the pictures."""
        mine: dict[str, object] = {"weights_sha256": self.fitted.weights}
        return mine if self.masks is None else mine | {"masks_sha256": dict(self.masks.weights)}

    def done(self, folder: Path, key: str, again: bool) -> Predictions:
        """The predictions, those that are there already or made now."""
        found = None if again else stored(folder, key, self.split.ids, self.made_by)
        if found is not None:
            return found
        with resumed_folder(folder, digest([key, self.made_by]), again) as unfinished:
            self._pictures(unfinished)
            about = {"key": key} | self._facts() | self.made_by
            write_text(unfinished / ABOUT, json.dumps(about, indent=1) + "\n")
        made = stored(folder, key, self.split.ids)
        assert made is not None, "predictions that were just written cannot be read"
        return made

    def _pictures(self, folder: Path) -> None:
        for samples, output, parsing in self._outputs(folder):
            if parsing is not None:
                (folder / PARSING).mkdir(exist_ok=True)
            for place, (sample, one) in enumerate(zip(samples, output, strict=True)):
                if parsing is not None:
                    labels = parsing[place].numpy().astype(np.uint8)
                    write_bytes(_file(folder / PARSING, sample.sample_id), encode_png(labels))
                write_bytes(_file(folder, sample.sample_id), encode_png(self.draw(sample, one)))

    def _outputs(self, folder: Path) -> Iterator[tuple[list[Sample], np.ndarray, Tensor | None]]:
        """Samples in batches, their (B, C, H, W) float32 predictions, and body parts if any.

        Batches that lie in the folder are passed over; the others are those of an unbroken run, so
        that the pictures do not depend on where one was broken.
        """
        method, ids = self.fitted.method, self.split.ids
        size = BATCH if method.networks() is not None else 1
        title = f"predict {self.track} {method.title}"
        with tqdm(total=len(ids), desc=title, unit="sample", leave=False, disable=None) as bar:
            for start in range(0, len(ids), size):
                places = range(start, min(start + size, len(ids)))
                if not all(_file(folder, ids[place]).is_file() for place in places):
                    samples = [self.split[place] for place in places]
                    batch = self.batches(samples).only(method.consumes)
                    made, parsing = self._predict(batch)
                    output = made.float().cpu().numpy()
                    _check_output(method, output, samples)
                    yield samples, output, parsing
                bar.update(len(places))

    def _predict(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        method = self.fitted.method
        if self.track == "mask":
            return method.predict_with_parsing(batch)
        return method.predict(batch), None

    def _facts(self) -> dict[str, object]:
        """What is known of the predictions, for records and for whoever finds the folder."""
        fitted, method = self.fitted, self.fitted.method
        inputs = _timed_inputs(method, self.split, self.batches)
        return {
            "track": self.track,
            "method": fitted.name,
            "title": method.title,
            "seed": fitted.seed,
            "preset": method.preset,
            "options": method.options,
            "consumes": sorted(method.consumes),
            "holds": list(method.holds),
            "learned": method.learned,
            "pretrained": method.pretrained,
            "parameters": method.parameters_used(),
            "split": getattr(self.split, "name", "test"),
            "fingerprint": self.split.fingerprint,
            "samples": len(self.split),
            "milliseconds": time_one(method, inputs) if self.timed else None,
            "macs": count_macs(method, inputs[0]) if inputs else None,
            "device": provenance.device_name(device_of(method)),
        }


def _file(folder: Path, sample_id: str) -> Path:
    return folder / f"{sample_id}.png"


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


def _with_masks(masks: Predictions) -> Batches:
    """Batches whose ``amodal`` and ``modal`` are predicted, as in use on a photo."""

    def batches(samples: Sequence[Sample]) -> Batch:
        modal = np.stack([binarise(s.initial) for s in samples])
        amodal = np.stack([binarise(predicted(masks, s)) for s in samples]) | modal
        return collate(samples).replace(amodal=_tensor(amodal), modal=_tensor(modal))

    return batches


def _tensor(masks: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(masks.astype(np.float32))[:, None]


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


def time_again(
    made: Predictions, method: Method, split: Split, masks: Predictions | None = None
) -> Predictions:
    """The same predictions, with milliseconds measured now; ``masks`` as for predicting."""
    inputs = _timed_inputs(method, split, collate if masks is None else _with_masks(masks))
    about = read_json(made.folder / ABOUT)
    about |= {"milliseconds": time_one(method, inputs)}
    about |= {"device": provenance.device_name(device_of(method))}
    write_text(made.folder / ABOUT, json.dumps(about, indent=1) + "\n")
    return replace(made, milliseconds=about["milliseconds"], device=about["device"])


def _timed_inputs(method: Method, split: Split, batches: Batches) -> list[Batch]:
    few = range(min(TIMED, len(split)))
    return [batches([split[i]]).only(method.consumes) for i in few]


def time_one(method: Method, inputs: Sequence[Batch]) -> float:
    """Median milliseconds of ``predict`` on one sample, over all inputs after a warm-up."""
    for batch in inputs[:WARM_UP]:
        method.predict(batch)
    return statistics.median(_milliseconds(method, batch) for batch in inputs) if inputs else 0.0


def _milliseconds(method: Method, batch: Batch) -> float:
    started = time.perf_counter()
    method.predict(batch)  # comes back to the CPU, so a GPU has finished when this returns
    return 1000 * (time.perf_counter() - started)

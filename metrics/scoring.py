"""Scores the predictions of one split: per sample, and in total, with the networks in batches.

`protocol` says what each number is; here they are collected. Photos wait in a small buffer until a
batch is full, so memory does not grow with the number of samples (records of numbers apart), and
the result does not depend on the batch size, on the order, or on how many processes share the work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from metrics import fid, protocol
from metrics.errors import MetricsError
from metrics.masks import Mask
from metrics.pixels import Photo
from metrics.protocol import Pair, Total

if TYPE_CHECKING:  # torch is imported only where a network is wanted
    from metrics.perceptual import Lpips


@dataclass
class Networks:
    """The feature networks that are there, and for the metrics of the others the reason."""

    lpips: "Lpips | None" = None
    inception: "fid.FrechetInception | None" = None
    missing: dict[str, str] = field(default_factory=dict)


def load_networks(device: str = "cpu") -> Networks:
    """Load what is installed; what is not leaves its metrics empty, with a one-line reason."""
    from metrics.perceptual import Lpips

    networks = Networks()
    try:
        networks.lpips = Lpips("alex", device)
    except MetricsError as error:
        networks.missing |= dict.fromkeys(("lpips", "lpips_hole"), error.message)
    try:
        networks.inception = fid.FrechetInception(device)
    except MetricsError as error:
        networks.missing["fid"] = error.message
    return networks


@dataclass
class SetScore:
    """All scores of one set of predictions.

    `per_sample` by sample id, `totals` by metric, `missing`: metrics of the track that have no
    value, with the reason; `truth`: FID statistics of the reference photos, to be cached.
    """

    per_sample: dict[str, dict[str, float]]
    totals: dict[str, Total]
    missing: dict[str, str]
    truth: fid.Statistics | None


class SetScorer:
    """Add the samples of one track one by one, then `finish`.

    `track` is "mask", "content" or "full". `networks` (see `load_networks`) is not needed for
    "mask"; without it LPIPS and FID stay empty. `truth` is the `SetScore.truth` of an earlier
    scoring of the very same samples: it saves the features of the reference photos.
    """

    def __init__(
        self,
        track: str,
        networks: Networks | None = None,
        *,
        batch_size: int = 16,
        truth: fid.Statistics | None = None,
    ) -> None:
        if track not in protocol.TRACKS:
            raise ValueError(f"unknown track {track!r}, known are {sorted(protocol.TRACKS)}")
        self.track = track
        self._networks = networks or Networks(
            missing=dict.fromkeys(("lpips", "lpips_hole", "fid"), "no networks were loaded")
        )
        self._batch_size = batch_size
        self._records: dict[str, dict[str, float]] = {}
        self._waiting: list[tuple[dict[str, float], Pair]] = []
        self._recovered = fid.Statistics()
        self._truth_given = truth is not None
        self._truth = truth or fid.Statistics()

    def add_mask(self, sample_id: str, pred_amodal: NDArray, amodal: Mask, modal: Mask) -> None:
        """One sample of the mask track; arguments as in `protocol.score_mask`."""
        with self._sample("mask", sample_id) as record:
            record |= protocol.score_mask(pred_amodal, amodal, modal)

    def add_content(
        self, sample_id: str, pred_rgb: Photo, image: Photo, clean: Photo, amodal: Mask, modal: Mask
    ) -> None:
        """One sample of the content track; arguments as in `protocol.score_content`."""
        with self._sample("content", sample_id) as record:
            self._score_pair(record, protocol.content_pair(pred_rgb, image, clean, amodal, modal))

    def add_full(
        self,
        sample_id: str,
        pred_rgb: Photo,
        pred_amodal: NDArray,
        image: Photo,
        clean: Photo,
        amodal: Mask,
        modal: Mask,
        initial: NDArray,
    ) -> None:
        """One sample of the full track; arguments as in `protocol.score_full`."""
        with self._sample("full", sample_id) as record:
            pair = protocol.full_pair(pred_rgb, pred_amodal, image, clean, amodal, modal, initial)
            record |= protocol.score_full_mask(pred_amodal, amodal, modal)
            self._score_pair(record, pair)

    def merge(self, other: "SetScorer") -> None:
        """Add everything another scorer of the same track has seen, say in another process.

        Raises ValueError where tracks differ or a sample is in both.
        """
        if other.track != self.track:
            raise ValueError(f"cannot merge scores of {other.track} into {self.track}")
        if twice := sorted(self._records.keys() & other._records.keys()):
            raise ValueError(f"sample {twice[0]} was scored twice")
        other._flush()
        self._records |= other._records
        self._recovered.merge(other._recovered)
        if not self._truth_given:
            self._truth.merge(other._truth)

    def finish(self) -> SetScore:
        """The scores of everything added. More samples may be added and `finish` called again."""
        self._flush()
        totals = protocol.aggregate(self._records.values())
        missing = {} if self.track == "mask" else dict(self._networks.missing)
        with_fid = self.track != "mask" and self._networks.inception is not None
        if with_fid and self._recovered.n < 2:
            missing["fid"] = f"FID needs at least 2 photos, got {self._recovered.n}"
        elif with_fid:
            totals["fid"] = self._fid()
        truth = self._truth if with_fid and "fid" not in missing else None
        return SetScore(dict(sorted(self._records.items())), totals, missing, truth)

    def _fid(self) -> Total:
        if self._truth.n != self._recovered.n:
            raise ValueError(
                f"FID of {self._recovered.n} photos against cached statistics of {self._truth.n}: "
                "they are of another split"
            )
        return Total(value=fid.distance(self._recovered, self._truth), n=self._recovered.n)

    @contextmanager
    def _sample(self, track: str, sample_id: str) -> Iterator[dict[str, float]]:
        """A new record, kept only if scoring it goes well; errors name the sample."""
        if track != self.track:
            raise ValueError(f"sample {sample_id}: this scorer is for {self.track}, not {track}")
        if sample_id in self._records:
            raise ValueError(f"sample {sample_id} was scored twice")
        record: dict[str, float] = {}
        try:
            yield record
        except ValueError as error:
            raise ValueError(f"sample {sample_id}: {error}") from error
        self._records[sample_id] = record

    def _score_pair(self, record: dict[str, float], pair: Pair) -> None:
        record |= protocol.score_pair(pair)
        if self._waiting and self._waiting[0][1].hole.shape != pair.hole.shape:
            self._flush()  # a batch is of one size
        self._waiting.append((record, pair))
        if len(self._waiting) >= self._batch_size:
            self._flush()

    def _flush(self) -> None:
        """Give the waiting photos to the networks and forget them."""
        if not self._waiting:
            return
        records, pairs = zip(*self._waiting, strict=True)
        self._waiting = []
        recovered = np.stack([pair.recovered for pair in pairs])
        reference = np.stack([pair.reference for pair in pairs])
        if self._networks.lpips is not None:
            holes = np.stack([pair.hole for pair in pairs])
            scores = self._networks.lpips.of_photos(recovered, reference, holes)
            for record, frame, hole in zip(records, *scores, strict=True):
                record |= {"lpips": float(frame), "lpips_hole": float(hole)}
        if self._networks.inception is not None:
            self._recovered.update(self._networks.inception.features(recovered))
            if not self._truth_given:
                self._truth.update(self._networks.inception.features(reference))

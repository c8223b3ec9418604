"""Scores the predictions of one split: per sample, and in total, with the networks in batches.

`protocol` says what each number is; here they are collected. Photos wait in a small buffer until a
batch is full and their features lie in a file, so memory does not grow with the number of samples
(records of numbers apart), and the result does not depend on the batch size, on the order, or on
how many processes share the work.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics import samples, sets
from metrics.errors import MetricsError
from metrics.feature_file import FeatureFile
from metrics.parsing import Counts, parsing_counts
from metrics.protocol import TRACKS, Bin, Total, aggregate
from metrics.samples import Pair
from metrics.truth import STRICT, Prediction, Rules, Truth

if TYPE_CHECKING:  # torch is imported only where a network is wanted
    from metrics.inception import FrechetInception
    from metrics.perceptual import Lpips

_LPIPS, _VGG, _SETS = ("lpips", "lpips_hole"), ("lpips_vgg", "lpips_vgg_hole"), ("fid", "kid")


@dataclass
class Networks:
    """The feature networks that are there, and for the metrics of the others the reason."""

    lpips: "Lpips | None" = None
    lpips_vgg: "Lpips | None" = None
    inception: "FrechetInception | None" = None
    missing: dict[str, str] = field(default_factory=dict)


def no_networks(reason: str = "no networks were loaded") -> Networks:
    """No network at all: every metric that needs one stays empty for that reason."""
    return Networks(missing=dict.fromkeys((*_LPIPS, *_VGG, *_SETS), reason))


def load_networks(device: str = "cpu", *, vgg: bool = False) -> Networks:
    """Load what is installed; what is not leaves its metrics empty, with a one-line reason.

    `vgg` asks for LPIPS by VGG16 as well, which takes about ten times as long as the others.
    """
    from metrics.inception import FrechetInception
    from metrics.perceptual import Lpips

    networks = Networks()
    try:
        networks.lpips = Lpips("alex", device)
    except MetricsError as error:
        networks.missing |= dict.fromkeys(_LPIPS, error.message)
    try:
        if vgg:
            networks.lpips_vgg = Lpips("vgg", device)
        else:
            networks.missing |= dict.fromkeys(_VGG, "LPIPS by VGG was not asked for")
    except MetricsError as error:
        networks.missing |= dict.fromkeys(_VGG, error.message)
    try:
        networks.inception = FrechetInception(device)
    except MetricsError as error:
        networks.missing |= dict.fromkeys(_SETS, error.message)
    return networks


@dataclass
class SetScore:
    """All scores of one set of predictions.

    `per_sample` by sample id, `totals` by metric, `bins`: set-level metrics by visible share,
    `missing`: metrics of the track that have no value, with the reason; `floor`: FID and KID
    between two halves of the true photos; `truth`: features of the reference photos, to be cached.
    """

    per_sample: dict[str, dict[str, float]]
    totals: dict[str, Total]
    bins: list[Bin]
    missing: dict[str, str]
    floor: dict[str, Total]
    truth: FeatureFile | None


class SetScorer:
    """Add the samples of one track one by one, then `finish`.

    `track` is "mask", "content" or "full". `networks` (see `load_networks`) are not needed for
    "mask"; without them LPIPS, FID and KID stay empty. `protocol` are the rules of the comparison.
    `truth` is the `SetScore.truth` of an earlier scoring of the same samples by the same rules: it
    saves the features of the reference photos, and whoever keeps it must tell data sets and rules
    apart. A scorer can be sent to another process, to be merged there; it takes no more samples.
    """

    def __init__(
        self,
        track: str,
        networks: Networks | None = None,
        *,
        protocol: Rules = STRICT,
        batch_size: int = 16,
        truth: FeatureFile | None = None,
    ) -> None:
        if track not in TRACKS:
            raise ValueError(f"unknown track {track!r}, known are {sorted(TRACKS)}")
        self.track, self.rules = track, protocol
        self._networks: Networks | None = networks or no_networks()
        self._missing = {} if track == "mask" else dict(self._networks.missing)
        self._batch_size = batch_size
        self._scored = sets.Scored()
        self._waiting: list[tuple[str, Pair]] = []
        self._truth_given = truth is not None
        self._features: sets.Features | None = None
        if track != "mask" and self._networks.inception is not None:
            self._features = sets.Features(FeatureFile(), truth or FeatureFile())

    def add(self, truth: Truth, prediction: Prediction) -> None:
        """Score one sample. ValueError, naming it, where something is missing, unfit or twice."""
        key = truth.sample_id
        try:
            self._check(key)
            pair = None
            if self.track != "mask":
                pair = samples.make_pair(self.track, truth, prediction, self.rules)
            record = samples.score(self.track, truth, prediction, pair)
            parsings = self._parsings(truth, prediction)
        except ValueError as error:
            raise ValueError(f"sample {key}: {error}") from error
        self._scored.records[key] = record
        self._scored.people[key] = truth.person_id
        self._scored.hidden[key] = truth.hidden_share
        if parsings is not None:
            self._scored.parsings[key] = parsings
        if pair is not None:
            self._wait(key, pair)

    def _check(self, key: str) -> None:
        if self._networks is None:
            raise ValueError("this scorer came from another process and takes no more samples")
        if key in self._scored.records:
            raise ValueError("it was scored twice")
        if self._features and self._truth_given and key not in self._features.reference:
            raise ValueError("the features kept of the truth lack it: they are of other samples")

    def _parsings(self, truth: Truth, prediction: Prediction) -> Counts | None:
        if self.track == "content" or truth.parsing is None or prediction.parsing is None:
            return None
        return parsing_counts(prediction.parsing, truth.parsing)

    def merge(self, other: "SetScorer") -> None:
        """Add everything another scorer has seen, say in another process.

        Raises ValueError where tracks, rules or networks differ, or a sample is in both.
        """
        mine = self.track, self.rules, self._missing, self._truth_given
        theirs = other.track, other.rules, other._missing, other._truth_given
        if mine != theirs:
            raise ValueError(f"scores made by {theirs[:2]} cannot be merged into {mine[:2]}")
        if twice := sorted(self._scored.records.keys() & other._scored.records.keys()):
            raise ValueError(f"sample {twice[0]}: it was scored twice")
        other._flush()
        self._scored.add_all(other._scored)
        if self._features and other._features:
            self._features.recovered.merge(other._features.recovered)
            if not self._truth_given:
                self._features.reference.merge(other._features.reference)

    def finish(self) -> SetScore:
        """The scores of everything added. More samples may be added and `finish` called again."""
        self._flush()
        records = dict(sorted(self._scored.records.items()))
        made = aggregate(records.values())
        made |= sets.totals(self._scored, self._features, list(records))
        truth = self._features.reference if self._features else None
        return SetScore(
            per_sample=records,
            totals=made,
            bins=sets.bins(self._scored, self._features),
            missing=self._missing | self._reasons(made),
            floor=sets.floor(self._scored, truth, list(records)) if truth else {},
            truth=truth,
        )

    def _reasons(self, made: dict[str, Total]) -> dict[str, str]:
        """Why set-level metrics have no value although their networks are there."""
        reasons: dict[str, str] = {}
        if self._features and "fid" not in made:
            few = f"it needs at least 2 photos, got {len(self._scored.records)}"
            reasons |= dict.fromkeys(_SETS, few)
        if self.track != "content" and "parsing_miou" not in made:
            reasons["parsing_miou"] = "no sample has a true and a predicted parsing of a person"
        return reasons

    def _wait(self, key: str, pair: Pair) -> None:
        if self._waiting and self._waiting[0][1].hole.shape != pair.hole.shape:
            self._flush()  # a batch is of one size
        self._waiting.append((key, pair))
        if len(self._waiting) >= self._batch_size:
            self._flush()

    def _flush(self) -> None:
        """Give the waiting photos to the networks and forget them."""
        if not self._waiting or self._networks is None:
            return
        keys, pairs = zip(*self._waiting, strict=True)
        self._waiting = []
        recovered = np.stack([pair.recovered for pair in pairs])
        reference = np.stack([pair.reference for pair in pairs])
        holes = np.stack([pair.hole for pair in pairs])
        for name in ("lpips", "lpips_vgg"):
            network: Lpips | None = getattr(self._networks, name)
            if network is not None:
                scores = network.of_photos(recovered, reference, holes)
                for key, frame, hole in zip(keys, *scores, strict=True):
                    numbers = {name: float(frame), f"{name}_hole": float(hole)}
                    self._scored.records[key] |= numbers
        if self._features and self._networks.inception is not None:
            inception = self._networks.inception
            self._features.recovered.append(keys, inception.features(recovered))
            if not self._truth_given:
                self._features.reference.append(keys, inception.features(reference))

    def __getstate__(self) -> dict[str, Any]:
        """For another process: everything but the networks."""
        self._flush()
        return self.__dict__ | {"_networks": None}

"""Stored pictures against the truth of one test split: the one place where numbers are made."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from leaderboards import records
from leaderboards.empty import NO_LABELS, NO_PARSING, PARSING
from leaderboards.pictures import read_png
from leaderboards.records import Bin, ResultTrack, SampleScores, Total
from metrics import protocol, weights
from metrics.errors import MetricsError
from metrics.feature_file import FeatureFile
from metrics.scoring import Networks, SetScore, SetScorer, load_networks
from metrics.truth import Prediction, Rules, Truth
from synth.atomic import make_folder_of
from synth.errors import InputError
from synth.parsing import label
from synth.sample import Sample
from synth.stats.collect import PARTS
from synth.store import Split

NETWORKS = ("alexnet", "lpips_alex", "inception")
VGG_NETWORKS = ("vgg16", "lpips_vgg")
# How the parts of the body are called in names of metrics ("invisible_recall@upper-body").
PART_NAMES = {part: part.replace(", ", "-").replace(" ", "-") for part in PARTS}


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of one set of predictions lie, as ID.png: masks, photos or both.

    Attributes:
        masks: 8-bit grey amodal masks.
        photos: RGB photos; only what lies in the hole counts.
        parsing: 8-bit grey LIP-20 labels, where a method predicts them.
    """

    masks: Path | None = None
    photos: Path | None = None
    parsing: Path | None = None

    @property
    def track(self) -> ResultTrack:
        """What these pictures can be scored on."""
        if self.masks is not None and self.photos is not None:
            return "full"
        if self.masks is None and self.photos is None:
            raise ValueError("neither masks nor photos were given")
        return "mask" if self.photos is None else "content"

    def folders(self) -> list[tuple[Path, int]]:
        """Each folder with the channels of its pictures."""
        found = [(self.masks, 1), (self.photos, 3), (self.parsing, 1)]
        return [(folder, channels) for folder, channels in found if folder is not None]

    def of(self, sample: Sample) -> Prediction | None:
        """The prediction of a sample; None where one of its pictures is missing.

        Raises:
            InputError: a picture is damaged or of another size or kind.
        """
        shape = sample.amodal.shape
        name = f"{sample.sample_id}.png"
        read = [
            read_png(folder / name, shape if channels == 1 else (*shape, 3))
            for folder, channels in self.folders()
        ]
        if any(picture is None for picture in read):
            return None
        given = [self.masks, self.photos, self.parsing]
        found = iter(read)
        return Prediction(*(None if folder is None else next(found) for folder in given))


def expected(track: str, sample: Sample) -> bool:
    """Whether a sample is scored: not where nobody knows the photo behind the occluder."""
    return track == "mask" or sample.clean is not None


def truth_of(sample: Sample, track: str, *, parts: bool = True) -> Truth:
    """What the sample is scored against; ``parts``: by part of the body, too."""
    photos = track != "mask"
    return Truth(
        sample_id=sample.sample_id,
        person_id=sample.person_id,
        hidden_share=sample.hidden_share,
        amodal=sample.amodal,
        modal=sample.modal,
        initial=sample.initial if track == "full" else None,
        image=sample.image if photos else None,
        clean=sample.clean if photos else None,
        parsing=sample.parsing,
        parts=_parts(sample.parsing) if parts else {},
    )


def _parts(parsing: NDArray[np.uint8] | None) -> dict[str, NDArray[np.bool_]]:
    """(H, W) bool of each part of the body; none where the person is not labelled."""
    if parsing is None or not parsing.any():
        return {}
    labels = {PART_NAMES[part]: [label(name) for name in names] for part, names in PARTS.items()}
    return {name: np.isin(parsing, numbers) for name, numbers in labels.items()}


@dataclass(frozen=True)
class Scored:
    """All numbers of one set of pictures, as a record holds them.

    ``totals`` and ``bins`` are empty where a sample is missing: holes give no score.
    """

    track: ResultTrack
    n_expected: int
    samples: tuple[SampleScores, ...]
    totals: dict[str, Total]
    bins: tuple[Bin, ...]
    floor: dict[str, Total]
    empty: dict[str, str]
    feature_networks: dict[str, str]


# Id, person and hidden share of a scored sample: its pictures do not stay in memory.
_About = tuple[str, str, float]


@dataclass
class PictureScorer:
    """Scores stored pictures on one test split; the networks are loaded when first needed.

    Attributes:
        cache: folder where features of the true photos are kept; None makes them anew each time.
        vgg: also LPIPS by VGG16.
    """

    test: Split
    cache: Path | None = None
    vgg: bool = False
    _networks: Networks | None = field(default=None, repr=False)

    def networks_of(self, track: str) -> dict[str, str]:
        """The feature networks that a track uses here: name -> source and SHA-256."""
        names = () if track == "mask" else NETWORKS + (VGG_NETWORKS if self.vgg else ())
        found = {name: weights.available(name) for name in names}
        there = {name: source for name, (here, source) in found.items() if here}
        return {name: f"{source}; sha256 {weights.sha256(name)}" for name, source in there.items()}

    def score(self, pictures: Pictures, rules: Rules, title: str) -> Scored:
        """Score every picture of the split; ``title`` names them on the progress bar.

        Raises:
            InputError: a picture is damaged, or of another size or kind.
        """
        track = pictures.track
        kept = None if track == "mask" else self._kept(rules)
        truth = None if kept is None else _load(kept)
        scorer = SetScorer(track, self._loaded(track), protocol=rules, truth=truth)
        about: list[_About] = []
        wanted, labelled = 0, False
        named = f"score {track} {title}"
        for sample in tqdm(self.test, desc=named, unit="sample", leave=False, disable=None):
            if expected(track, sample):
                wanted += 1
                labelled = labelled or _is_labelled(sample)
                if _add(scorer, pictures, sample):
                    about.append((sample.sample_id, sample.person_id, sample.hidden_share))
        made = scorer.finish()
        whole = len(about) == wanted > 0
        if whole and kept is not None and truth is None and made.truth is not None:
            make_folder_of(kept)
            made.truth.save(kept)
        return Scored(
            track=track,
            n_expected=wanted,
            samples=tuple(_scores(one, made) for one in about),
            totals=records.totals(made.totals) if whole else {},
            bins=records.bins_of(made.bins) if whole else (),
            floor=records.totals(made.floor) if whole else {},
            empty=made.missing | _why_no_parsing(made, pictures, labelled),
            feature_networks=self.networks_of(track),
        )

    def _loaded(self, track: str) -> Networks | None:
        if track == "mask":
            return None
        if self._networks is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            self._networks = load_networks(device, vgg=self.vgg)
        return self._networks

    def _kept(self, rules: Rules) -> Path | None:
        """Where the features of the true photos are kept, by all that they depend on."""
        if self.cache is None or not weights.available("inception")[0]:
            return None
        network = weights.sha256("inception")[:16]
        rule = f"{protocol.VERSION}-{rules.name}-{rules.border_band}"
        name = f"{self.test.fingerprint[:16]}-{rule}-{network}"
        return self.cache / f"{name}.safetensors"


def _load(path: Path) -> FeatureFile | None:
    """Features that were kept; None where there are none, or where they are damaged."""
    if not path.is_file():
        return None
    try:
        return FeatureFile.load(path)
    except MetricsError:
        return None  # they are made again, and replace what is there


def _is_labelled(sample: Sample) -> bool:
    """Whether the parts of the person are known."""
    return sample.parsing is not None and bool(sample.parsing.any())


def _why_no_parsing(made: SetScore, pictures: Pictures, labelled: bool) -> dict[str, str]:
    """A plainer reason than that of the scorer, who sees one sample at a time."""
    if PARSING not in made.missing:
        return {}
    return {PARSING: NO_PARSING if labelled and pictures.parsing is None else NO_LABELS}


def _add(scorer: SetScorer, pictures: Pictures, sample: Sample) -> bool:
    """Score one sample; False where a picture of it is missing."""
    prediction = pictures.of(sample)
    if prediction is None:
        return False
    try:
        scorer.add(truth_of(sample, scorer.track), prediction)
    except (ValueError, MetricsError) as error:
        folder = pictures.folders()[-1][0]
        raise InputError(f"{folder}: {error}; make these predictions again") from None
    return True


def _scores(about: _About, made: SetScore) -> SampleScores:
    key, person, hidden = about
    scores = records.clean_scores(made.per_sample[key])
    return SampleScores(id=key, person=person, hidden_share=hidden, scores=scores)

"""What of a predicted photo is scored, as a picture: pasted by the rules of its protocol.

Other programs may hand in whole photos, of which only what fills the hole counts; pictures of the
rest would show a reader what no number is about.
"""

from dataclasses import replace

from leaderboards.folder import Folder
from leaderboards.pictures import Picture
from leaderboards.records import Protocol, Record
from leaderboards.score_pictures import truth_of
from leaderboards.verify import stored_pictures
from metrics.samples import Pair, make_pair
from metrics.truth import Prediction, Rules
from synth.sample import Sample


def recovered(record: Record, folder: Folder, sample: Sample) -> Picture | None:
    """The photo that a record's score of a sample is about; None where a picture is missing.

    By the strict rules the prediction in the true hole (on the full track: where its own mask says
    that something is hidden) and the input elsewhere; by the official ones the true photo outside
    the person.

    Raises:
        InputError: a picture is damaged or of another size or kind.
    """
    stored = replace(stored_pictures(folder, record), parsing=None)
    prediction = stored.of(sample)
    if prediction is None:
        return None
    return _pair(record.track, record.protocol, sample, prediction).recovered


def reference(track: str, rules: Protocol, sample: Sample) -> Picture:
    """The photo that those of a track are compared with, by the same rules."""
    nothing = Prediction(mask=sample.amodal, photo=sample.image)
    return _pair(track, rules, sample, nothing).reference


def _pair(track: str, rules: Protocol, sample: Sample, prediction: Prediction) -> Pair:
    truth = truth_of(sample, track, parts=False)
    return make_pair(track, truth, prediction, Rules(rules.name, rules.border_band))

"""The composites that the networks learn from: those of the recipe's train people."""

from dataclasses import dataclass

import cv2
import numpy as np
from tqdm import tqdm

from synth.occlusion_spec import Initial
from synth.plan import Plan, make_sample
from synth.recipe import Recipe
from synth.sample import Sample
from synth.segmenter.box import cut, shaken_box

_LARGEST = 128  # pixels: a larger recipe's composites are made at this size, four times as fast
_LEAST_SEEN = 16  # pixels of a person from whom anything can be learned


def training_recipe(recipe: Recipe, composites: int) -> Recipe:
    """The recipe of the composites: the same people, splits and occlusion, ``composites`` long."""
    return recipe.model_copy(
        update={
            "size": min(recipe.size, _LARGEST),
            "counts": recipe.counts.model_copy(update={"train": composites}),
            "initial": Initial(),
        }
    )


@dataclass(frozen=True, eq=False)
class Composites:
    """Occluded people to learn from.

    Attributes:
        pictures: (N, S, S, 4) uint8: RGB, and the visible person at 255.
        people: "source:id" of each, N of them.
        hiding: "source:id" of the people who hide them, cut out of photos of their own.
    """

    pictures: np.ndarray
    people: tuple[str, ...]
    hiding: tuple[tuple[str, ...], ...]

    def batch(self, among: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """Boxes of ``count`` composites drawn from the numbers ``among``, varied.

        Returns:
            (count, 4, SIDE, SIDE) float32: RGB about [-1, 1], and the share of person in [0, 1].
        """
        squares = [self._square(int(number), rng) for number in rng.choice(among, count)]
        made = np.stack(squares).transpose(0, 3, 1, 2)
        gain = rng.uniform(0.7, 1.3, (count, 3, 1, 1))
        made[:, :3] = made[:, :3] * gain + rng.normal(0, 0.15, (count, 3, 1, 1))
        return np.ascontiguousarray(made, np.float32)

    def _square(self, number: int, rng: np.random.Generator) -> np.ndarray:
        picture = self.pictures[number]
        square = cut(picture, shaken_box(picture[..., 3] > 0, rng))
        square[..., :3] = square[..., :3] / 127.5 - 1
        square[..., 3] /= 255
        return square[:, ::-1] if rng.random() < 0.5 else square


def make_composites(plan: Plan, progress: bool) -> Composites:
    """The train samples of a plan, those left out in which next to nothing of the person is seen.

    Raises:
        InputError: nothing in the sources can be read.
    """
    pictures, people, hiding = [], [], []
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        numbers = range(plan.counts["train"])
        for index in tqdm(numbers, "composites", unit="sample", disable=not progress):
            sample = make_sample(plan, index)
            if sample.modal.sum() >= _LEAST_SEEN:
                pictures.append(np.dstack([sample.image, sample.modal.astype(np.uint8) * 255]))
                people.append(sample.person_id)
                hiding.append(_people_among_occluders(sample))
    finally:
        cv2.setNumThreads(before)
    size = plan.recipe.size
    made = np.array(pictures, np.uint8).reshape(-1, size, size, 4)
    return Composites(made, tuple(people), tuple(hiding))


def _people_among_occluders(sample: Sample) -> tuple[str, ...]:
    named = zip(sample.occluder_ids, sample.meta["occluders"], strict=True)
    return tuple(one for one, about in named if about["category"] == "person")

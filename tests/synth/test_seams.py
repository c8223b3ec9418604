"""Seams are no give-away: a small classifier on border patches tells a feathered one less often.

Patches of 16 px around the outlines of occluders in ``image`` stand against patches around a
natural edge of ``clean``, the person's own outline, of the same steepness. Half of the people
teach the classifier, the other half test it, and the other way round.

What it says of a pasted border is made of seam and of content (an outline looks unlike other
edges, a car unlike a coat), so chance is not the floor. ``nothing`` measures about where the floor
is: the person's own outline in a photo in which nothing was pasted against its other edges.

In drawn scenes that floor (0.81) lies above the hard seam (0.74): content tells more than any
seam, and the comparison shows nothing. So with built-in people the natural edge is that of the
same occluder in the same place, laid at twice the size and reduced, as a camera would see it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from synth.blend import onto_canvas, paste
from synth.compose import compose
from synth.occlusion_spec import Occlusion
from synth.paste import Canvas, lay, prepare
from synth.place import photo_box
from synth.recipe import load_recipe
from synth.source_specs import BuiltinOccluders, BuiltinPeople
from synth.sources.base import Cutout, PersonCrop
from synth.sources.builtin import BuiltinOccluders as BuiltinOccluderSource
from synth.sources.builtin import BuiltinPeople as BuiltinPeopleSource
from synth.sources.open import open_all_occluders, open_all_people

SIZE, HALF = 128, 8
PER_PERSON, APART, STEEP = 8, 6, 5.0  # patches, pixels between them, levels a pixel
PRESETS = {
    "hard": Occlusion(blend="hard", harmonise="none"),
    "feather": Occlusion(),
    "feather+full": Occlusion(harmonise="full"),
    "poisson": Occlusion(blend="poisson"),
}
NOTHING = "nothing"
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_LEVELS = np.array([0, 0.5, 1, 2, 4, 8, 16, 32, 64, 1e9])
Pairs = list[tuple[PersonCrop, Cutout]]


class Edges(NamedTuple):
    """An image and the centres of patches that may be cut from it."""

    image: np.ndarray
    slope: np.ndarray
    centres: np.ndarray  # (n, 2) rows and columns


class Patches(NamedTuple):
    """Patches (n, 16, 16, 3), whether each is a pasted border, and whose photo it is from."""

    images: np.ndarray
    pasted: np.ndarray
    person: np.ndarray


def border(mask: np.ndarray) -> np.ndarray:
    """Pixels on either side of the outline of a mask."""
    ones, kernel = mask.astype(np.uint8), np.ones((3, 3), np.uint8)
    return np.asarray(cv2.dilate(ones, kernel) != cv2.erode(ones, kernel))


def edges(image: np.ndarray, where: np.ndarray, frame: tuple[int, int, int, int]) -> Edges:
    """The steep places of an image near ``where``, each moved to the steepest within 2 px."""
    grey = cv2.GaussianBlur(image.astype(np.float32) @ _LUMA, (0, 0), 0.8)
    slope = np.hypot(cv2.Sobel(grey, -1, 1, 0, scale=1 / 8), cv2.Sobel(grey, -1, 0, 1, scale=1 / 8))
    left, top, width, height = frame
    inside = np.zeros(slope.shape, bool)
    margin = HALF + 2
    inside[top + margin : top + height - margin, left + margin : left + width - margin] = True
    found = []
    for y, x in np.argwhere(where & inside & (slope >= STEEP)):
        dy, dx = np.divmod(int(slope[y - 2 : y + 3, x - 2 : x + 3].argmax()), 5)
        if inside[y + dy - 2, x + dx - 2]:
            found.append((y + dy - 2, x + dx - 2))
    return Edges(image, slope, np.array(found, int).reshape(-1, 2))


def free(centre: np.ndarray, taken: Sequence[np.ndarray]) -> bool:
    """Whether a centre is apart from those taken."""
    return all(np.abs(centre - other).max() >= APART for other in taken)


def matched(pasted: Edges, natural: Edges, rng: np.random.Generator) -> list[np.ndarray]:
    """Pairs (2, 16, 16, 3) of patches, pasted and natural, of about the same steepness."""
    left: list[np.ndarray] = []
    right: list[np.ndarray] = []
    steepness = natural.slope[tuple(natural.centres.T)]
    for centre in rng.permutation(pasted.centres):
        if len(left) == PER_PERSON:
            break
        if not free(centre, left):
            continue
        order = np.argsort(np.abs(np.log(steepness / pasted.slope[tuple(centre)])), kind="stable")
        close = (natural.centres[i] for i in order[:40] if free(natural.centres[i], right))
        partner = next(close, None)
        if partner is not None:
            left.append(centre)
            right.append(partner)
    return [
        np.stack([cut(pasted.image, a), cut(natural.image, b)])
        for a, b in zip(left, right, strict=True)
    ]


def cut(image: np.ndarray, centre: np.ndarray) -> np.ndarray:
    y, x = centre
    return image[y - HALF : y + HALF, x - HALF : x + HALF]


def pairs_of_edges(pairs: Pairs, preset: str) -> Iterator[tuple[Edges, Edges]]:
    """Of each person, the edges of the occluder and natural ones of the same photo."""
    for number, (person, cutout) in enumerate(pairs):
        frame, outline = photo_box(person.image), border(person.amodal)
        if preset == NOTHING:
            near = cv2.dilate(outline.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
            yield edges(person.image, outline, frame), edges(person.image, ~near, frame)
            continue
        made = compose(person, [cutout], PRESETS[preset], np.random.default_rng([3, number]))
        yield edges(made.image, border(made.occluder), frame), edges(made.clean, outline, frame)


def collect(pairs: Pairs, preset: str) -> Patches:
    """Patches of every person for one preset."""
    some = [
        matched(pasted, natural, np.random.default_rng([4, number]))
        for number, (pasted, natural) in enumerate(pairs_of_edges(pairs, preset))
    ]
    return together(some)


def together(some: Sequence[list[np.ndarray]]) -> Patches:
    """Pairs of patches of one person after the other as one."""
    person = np.repeat(np.arange(len(some)), [len(pairs) for pairs in some])
    images = np.concatenate([pair for pairs in some for pair in pairs])
    return Patches(images, np.tile([True, False], len(person)), np.repeat(person, 2))


def seen_by_a_camera(big: np.ndarray, thing: Cutout, left: int, top: int) -> np.ndarray:
    """The scene, given at twice its size, with a thing at (2 left, 2 top), reduced."""
    size = big.shape[0]
    layer = onto_canvas(
        thing.rgba[..., :3].astype(np.float32),
        thing.rgba[..., 3], 2 * left, 2 * top, size, (0, 0, size, size),
    )  # fmt: skip
    return halved(paste(big, layer))


def halved(image: np.ndarray) -> np.ndarray:
    """Half as many rows and columns."""
    size = image.shape[1] // 2, image.shape[0] // 2
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def same_places(pairs: Pairs, occlusion: Occlusion) -> Patches:
    """Patches of occluders that were laid, and of the same places as a camera sees them.

    The people are of twice the usual size; the things are as large as in the enlarged scene.
    """
    some = []
    for number, (person, thing) in enumerate(pairs):
        rng = np.random.default_rng([5, number])
        height, width = (side // 2 for side in thing.rgba.shape[:2])
        left, top = (int(rng.integers(-n // 3, SIZE - n // 2)) for n in (width, height))
        scene = halved(person.image)
        amodal = halved(person.amodal.astype(np.uint8)) > 0
        bare = Canvas(scene, scene, np.zeros_like(amodal), amodal, (0, 0, SIZE, SIZE))
        ready = prepare(thing, occlusion).rgba
        laid = lay(bare, ready, (left, top, width, height), False, occlusion, rng)
        natural = seen_by_a_camera(person.image, thing, left, top)
        there = edges(natural, border(laid.occluder), bare.frame)
        places: list[np.ndarray] = []
        for centre in np.random.default_rng([6, number]).permutation(there.centres):
            if len(places) < PER_PERSON and free(centre, places):
                places.append(centre)
        some.append([np.stack([cut(i, c) for i in (laid.image, natural)]) for c in places])
    return together(some)


def features(images: np.ndarray) -> np.ndarray:
    """How large differences of neighbours are: histograms, of all of a patch and of its middle."""
    g = images.astype(np.float32) @ _LUMA
    along = [g[:, :, 1:] - g[:, :, :-1], g[:, :, 2:] - 2 * g[:, :, 1:-1] + g[:, :, :-2]]
    down = [g[:, 1:] - g[:, :-1], g[:, 2:] - 2 * g[:, 1:-1] + g[:, :-2]]
    crossed = along[0][:, 1:] - along[0][:, :-1]
    parts = []
    for residual in (*along, *down, crossed):
        size = np.abs(residual)
        for some in (size, size[:, 4:-4, 4:-4]):
            flat = some.reshape(len(some), -1)
            bins = zip(_LEVELS, _LEVELS[1:], strict=False)
            parts += [np.sqrt(((flat >= a) & (flat < b)).mean(1)) for a, b in bins]
            parts += [np.log1p(flat.max(1)), np.log1p(flat.mean(1))]
    return np.stack(parts, axis=1)


def accuracy(patches: Patches) -> tuple[float, float]:
    """Share of patches told right by one who has not seen their people, and its standard error.

    Patches of one photo are alike, so the error is that of the mean over people.
    """
    shown = features(patches.images)
    right = np.zeros(len(shown), bool)
    odd = patches.person % 2 == 1
    for teach, test in ((odd, ~odd), (~odd, odd)):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=1000))
        model.fit(shown[teach], patches.pasted[teach])
        right[test] = model.predict(shown[test]) == patches.pasted[test]
    count = np.bincount(patches.person)
    surplus = np.bincount(patches.person, right) - right.mean() * count
    return float(right.mean()), float(np.sqrt((surplus**2).sum()) / count.sum())


def measured(patches: Patches, title: str) -> tuple[float, float]:
    """Accuracy and its error, printed."""
    value, error = accuracy(patches)
    print(f"{title}: {value:.3f} +- {error:.3f} of {len(patches.images)} patches")
    return value, error


def assert_harder_to_tell(soft: tuple[float, float], hard: tuple[float, float]) -> None:
    """By more than three standard errors of the difference."""
    assert soft[0] < hard[0] - 3 * np.hypot(soft[1], hard[1])


@pytest.fixture(scope="module")
def photos(real_data: Path) -> Pairs:
    recipe = load_recipe("photos-small")
    ccp, coco = open_all_people(recipe.people, real_data)
    (occluders,) = open_all_occluders(recipe.occluders, real_data)
    rng, ids = np.random.default_rng(0), occluders.ids()
    people = [ccp.load(i, SIZE, rng) for i in ccp.ids()[::7]]
    people += [coco.load(i, SIZE, rng) for i in coco.ids()[::2]]
    drawn = rng.integers(len(ids), size=len(people))
    things = [occluders.load(ids[i], SIZE, rng) for i in drawn]
    return list(zip(people, things, strict=True))


@pytest.fixture(scope="module")
def builtins() -> Pairs:
    """Scenes of twice the size, each three times with another thing of 0.6 of its sides."""
    rng = np.random.default_rng(0)
    people = BuiltinPeopleSource(BuiltinPeople(source="builtin", pool=20))
    occluders = BuiltinOccluderSource(BuiltinOccluders(source="builtin", pool=60))
    scenes = [people.load(i, 2 * SIZE, rng) for i in people.ids()]
    things = [occluders.load(i, round(1.2 * SIZE), rng) for i in occluders.ids()]
    return list(zip(3 * scenes, things, strict=True))


def test_feathered_borders_in_photos_are_told_less_often_than_hard_ones(photos: Pairs) -> None:
    presets = (*PRESETS, NOTHING)
    got = {name: measured(collect(photos, name), f"photos, {name}") for name in presets}
    for soft in ("feather", "feather+full", "poisson"):
        assert_harder_to_tell(got[soft], got["hard"])


def test_feathered_borders_of_built_in_things_look_more_like_a_cameras(builtins: Pairs) -> None:
    fine = Occlusion(erode=0)  # these outlines are exact
    hard = measured(same_places(builtins, PRESETS["hard"]), "built-in, hard")
    soft = measured(same_places(builtins, fine), "built-in, feather")
    assert_harder_to_tell(soft, hard)

"""A photo in, a whole person out: what holds for any networks, and for some that know."""

from collections.abc import Callable
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.content_floors import MeanColour
from baselines.mask_floors import ConvexHull, Identity
from hdeocc import crops
from hdeocc.batch import Batch
from hdeocc.method import Method
from hdeocc.pipeline import Deoccluder
from hdeocc.two_stage_content import TwoStageContent
from hdeocc.two_stage_mask import TwoStageMask
from hdeocc.whole_person import WholePerson
from synth.errors import InputError
from synth.parsing import NUM_LABELS
from tests.fakes import make_sample

RED, GREEN = (230, 20, 20), (20, 230, 20)


class SeesRed(Method):
    """Takes all that is red for the hidden part: what a perfect stage 1 would find."""

    track = "mask"
    title = "Sees red"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})

    def predict(self, batch: Batch) -> Tensor:
        red, green = batch.image[:, :1], batch.image[:, 1:2]
        return torch.maximum(batch.initial, (red - green).clamp(0, 1) / 0.82)


class PaintsGreen(Method):
    """Paints the hole green and leaves the rest as it is."""

    track = "content"
    title = "Paints green"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})

    def predict(self, batch: Batch) -> Tensor:
        green = torch.tensor(GREEN).view(1, 3, 1, 1) / 255
        hole = (batch.amodal >= 0.5) & (batch.modal < 0.5)
        return torch.where(hole, green.expand_as(batch.image), batch.image)


def untrained() -> Deoccluder:
    """Both stages at quick size with weights of no sense, so that all kinds of shapes come out."""
    torch.manual_seed(5)
    mask, content = TwoStageMask("quick"), TwoStageContent("quick")
    with torch.no_grad():  # without it nothing would be hidden
        mask.net.amodal_mask[-1].bias.copy_(torch.tensor([0.0, 0.1]))
    return Deoccluder(mask, content)


def behind_red(
    height: int = 420, width: int = 300, hidden: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A photo of a grey bar whose lower part a red one hides; its visible and whole mask."""
    rng = np.random.default_rng(1)
    photo = rng.integers(90, 140, (height, width, 1)).repeat(3, axis=2).astype(np.uint8)
    rows = slice(height // 8, height - height // 8)
    columns = slice(width // 2 - width // 10, width // 2 + width // 10)
    amodal = np.zeros((height, width), bool)
    amodal[rows, columns] = True
    start = round(rows.stop - hidden * (rows.stop - rows.start))
    photo[start : rows.stop, columns] = RED
    modal = amodal.copy()
    modal[start:] = False
    return photo, modal, amodal


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def check(person: WholePerson, photo: np.ndarray, modal: np.ndarray) -> None:
    """What holds whatever the networks say."""
    height, width = photo.shape[:2]
    assert person.amodal.shape == (height, width) and person.amodal.dtype == np.bool_
    assert not (modal & ~person.amodal).any()
    np.testing.assert_array_equal(person.modal, modal)
    np.testing.assert_array_equal(person.invisible, person.amodal & ~modal)
    changed = (person.recovered != photo).any(axis=2)
    assert not (changed & ~person.invisible).any(), "only the hidden part is painted"
    assert person.recovered.dtype == np.uint8 and person.recovered.shape == photo.shape
    assert person.probability.dtype == np.float32
    assert person.probability.min() >= 0 and person.probability.max() <= 1
    assert not (person.invisible & (person.probability < 0.5)).any()
    if person.parsing is not None:
        assert person.parsing.dtype == np.uint8 and person.parsing.max() < NUM_LABELS
        np.testing.assert_array_equal(person.parsing > 0, person.amodal)
    left, top, wide, high = person.box
    box = slice(top, top + high), slice(left, left + wide)
    cutout = person.cutout
    assert cutout.shape == (high, wide, 4) and cutout.dtype == np.uint8
    np.testing.assert_array_equal(cutout[..., 3], person.amodal[box] * np.uint8(255))
    inside = person.amodal[box]
    np.testing.assert_array_equal(cutout[inside][:, :3], person.recovered[box][inside])
    assert person.hidden_share == pytest.approx(person.invisible.sum() / person.amodal.sum())


SHAPES = [(20, 20), (21, 64), (64, 64), (333, 500), (640, 97), (97, 640), (1200, 900)]


@pytest.mark.parametrize("shape", SHAPES)
def test_any_size_and_aspect(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    photo = rng.integers(0, 256, (*shape, 3), np.uint8)
    modal = np.zeros(shape, bool)
    modal[shape[0] // 3 : shape[0] // 2 + 2, shape[1] // 4 : shape[1] // 2 + 2] = True
    deoccluder = untrained()
    person = deoccluder(photo, modal)
    check(person, photo, modal)
    assert person.invisible.any(), "networks without sense find something"
    again = deoccluder(photo, modal)
    np.testing.assert_array_equal(person.recovered, again.recovered)
    np.testing.assert_array_equal(person.probability, again.probability)
    np.testing.assert_array_equal(person.parsing, again.parsing)


@pytest.mark.parametrize("at", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_one_pixel_in_a_corner(at: tuple[int, int]) -> None:
    photo = np.random.default_rng(3).integers(0, 256, (50, 80, 3), np.uint8)
    modal = np.zeros((50, 80), bool)
    modal[at] = True
    check(untrained()(photo, modal), photo, modal)


@pytest.mark.parametrize(("height", "width"), [(420, 300), (1700, 1100), (60, 40)])
@pytest.mark.parametrize("hidden", [0.2, 0.5, 0.7])
def test_what_stage_1_finds_comes_back_to_its_place(height: int, width: int, hidden: float) -> None:
    photo, modal, amodal = behind_red(height, width, hidden)
    person = Deoccluder(SeesRed(), PaintsGreen())(photo, modal)
    check(person, photo, modal)
    assert iou(person.amodal, amodal) > 0.95
    deep = cv2.distanceTransform((amodal & ~modal).astype(np.uint8), cv2.DIST_L2, 5)
    inner = deep > 2.5 * max(person.square.side / 64, 1)  # pixels of the network
    assert inner.any() and (person.recovered[inner] == GREEN).all()


@pytest.mark.parametrize(("height", "width"), [(420, 300), (1700, 1100)])
def test_what_hides_does_not_bleed_into_what_is_painted(height: int, width: int) -> None:
    photo, modal, _ = behind_red(height, width)
    person = Deoccluder(SeesRed(), PaintsGreen())(photo, modal)
    painted = person.recovered[person.invisible].astype(int)
    assert (painted[:, 0] - painted[:, 1]).max() < 30, "no red is left at the border"


def test_the_last_look_frames_the_whole_person_as_in_training() -> None:
    photo, modal, amodal = behind_red(800, 500, hidden=0.65)
    person = Deoccluder(SeesRed(), PaintsGreen())(photo, modal)
    wanted = crops.square_about(crops.person_box(amodal))
    assert person.square.side == pytest.approx(wanted.side, rel=0.03)
    assert person.square.top == pytest.approx(wanted.top, abs=0.03 * wanted.side)
    assert person.square.left == pytest.approx(wanted.left, abs=0.03 * wanted.side)


def test_specks_of_a_mask_do_not_widen_the_look() -> None:
    photo, modal, _ = behind_red(800, 500)
    specked = modal.copy()
    specked[3, 4] = specked[790:792, 490] = True
    deoccluder = Deoccluder(SeesRed(), PaintsGreen())
    person = deoccluder(photo, specked)
    check(person, photo, specked)
    assert person.square == deoccluder(photo, modal).square
    parsed = untrained()(photo, specked)
    check(parsed, photo, specked)
    assert parsed.parsing is not None and parsed.parsing[3, 4] > 0
    dots = np.zeros_like(modal)
    dots[100:600:4, 100:300:4] = True
    check(deoccluder(photo, dots), photo, dots)


@pytest.mark.parametrize("shape", [(40, 30), (500, 380), (1111, 777)])
def test_who_is_wholly_visible_gets_no_painted_rim(shape: tuple[int, int]) -> None:
    sample = make_sample(0, 256, np.random.default_rng(4))
    size = (shape[1], shape[0])
    photo = cv2.resize(sample.clean, size, interpolation=cv2.INTER_LINEAR)
    mask = cv2.resize(sample.amodal.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    person = Deoccluder(Identity(), PaintsGreen())(photo, mask)
    assert person.invisible.sum() <= 0.002 * mask.sum()


def test_black_beyond_the_photo_is_never_the_person() -> None:
    class Everything(SeesRed):
        def predict(self, batch: Batch) -> Tensor:
            return torch.ones_like(batch.initial)

    photo = np.random.default_rng(0).integers(0, 256, (200, 120, 3), np.uint8)
    modal = np.zeros((200, 120), bool)
    modal[:80, 30:60] = True
    person = Deoccluder(Everything(), PaintsGreen())(photo, modal)
    check(person, photo, modal)
    square = person.square
    window = crops.window_of(square, photo.shape)
    assert person.amodal[window].all() and person.amodal.sum() == person.amodal[window].size
    assert person.beyond == pytest.approx(1 - person.amodal.sum() / square.side**2, abs=0.03)
    assert person.beyond > 0.2
    inside = Deoccluder(Identity(), PaintsGreen())(*behind_red()[:2])
    assert inside.beyond == 0


def test_people_do_not_depend_on_who_was_looked_at_before() -> None:
    photo, modal, _ = behind_red()
    other = modal[:, ::-1].copy()
    other[:100] = False
    deoccluder = untrained()
    first = deoccluder(photo, modal)
    deoccluder(photo, other)
    np.testing.assert_array_equal(deoccluder(photo, modal).recovered, first.recovered)


def test_methods_that_learn_nothing_will_do() -> None:
    photo, modal, _ = behind_red()
    person = Deoccluder(ConvexHull(), MeanColour())(photo, modal)
    check(person, photo, modal)
    assert person.parsing is None


def with_consumes(method: type[Method], *names: str) -> Method:
    kind: type[Method] = type("Greedy", (method,), {"consumes": frozenset(names)})
    return kind()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Deoccluder(PaintsGreen(), PaintsGreen()), "is of the content track"),
        (lambda: Deoccluder(SeesRed(), SeesRed()), "is of the mask track"),
        (
            lambda: Deoccluder(with_consumes(SeesRed, "image", "modal"), PaintsGreen()),
            "needs modal, which is not known of a photo",
        ),
        (
            lambda: Deoccluder(SeesRed(), with_consumes(PaintsGreen, "image", "occluder")),
            "needs occluder, which is not known of a photo",
        ),
    ],
)
def test_methods_that_do_not_fit_are_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()


@pytest.mark.parametrize("broken", ["mask", "content"])
def test_nan_is_said_not_pasted(broken: str) -> None:
    class NanMask(SeesRed):
        def predict(self, batch: Batch) -> Tensor:
            return super().predict(batch) * torch.nan

    class NanContent(PaintsGreen):
        def predict(self, batch: Batch) -> Tensor:
            return super().predict(batch) * torch.nan

    mask = NanMask() if broken == "mask" else SeesRed()
    content = NanContent() if broken == "content" else PaintsGreen()
    with pytest.raises(InputError, match="predicted nan or inf"):
        Deoccluder(mask, content)(*behind_red()[:2])


def test_wrong_arrays_are_refused() -> None:
    photo, modal, _ = behind_red()
    deoccluder = Deoccluder(SeesRed(), PaintsGreen())
    for bad_photo, bad_mask, words in [
        (photo[..., 0], modal, "photo is"),
        (photo.astype(np.float32), modal, "photo is"),
        (photo, modal[:-1], "mask is"),
        (photo, modal.astype(np.uint8), "mask is"),
        (photo, np.zeros_like(modal), "the mask is empty"),
    ]:
        with pytest.raises(ValueError, match=words):
            deoccluder(bad_photo, bad_mask)

"""Who is in the photo: mask files, boxes, GrabCut, and what Mask R-CNN says."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from hdeocc import detector, person_masks
from hdeocc.grab import NothingFound, grab
from synth.errors import InputError
from tests.fakes import make_sample

PHOTO = Path("street.jpg")


def save(path: Path, mask: np.ndarray) -> Path:
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(path)
    return path


def ellipse(height: int = 240, width: int = 200) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 6, height // 3), 0, 0, 360, 1, -1)
    return mask.astype(bool)


def in_a_field(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    """A reddish thing of the mask's shape before grass."""
    rng = np.random.default_rng(seed)
    colours = np.where(mask[..., None], (170, 60, 50), (70, 120, 60))
    return np.clip(colours + rng.normal(0, 14, (*mask.shape, 3)), 0, 255).astype(np.uint8)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_a_mask_file_is_taken_as_it_is(tmp_path: Path) -> None:
    mask = ellipse()
    found = person_masks.from_file(save(tmp_path / "m.png", mask), PHOTO, (240, 200, 3))
    np.testing.assert_array_equal(found.mask, mask)
    assert found.source == "mask m.png" and not found.guessed


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.zeros((240, 200), bool), "marks no pixel; paint the visible part"),
        (np.ones((240, 200), bool), "marks every pixel; only the visible part"),
        (np.ones((240, 100), bool), "is 100x240 pixels, but street.jpg is 200x240"),
        (np.ones((200, 240), bool), "turn it as the photo is turned"),
    ],
)
def test_masks_of_no_use_are_refused(tmp_path: Path, mask: np.ndarray, words: str) -> None:
    path = save(tmp_path / "m.png", mask)
    with pytest.raises(InputError, match=words) as caught:
        person_masks.from_file(path, PHOTO, (240, 200, 3))
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,3", "is not x,y,width,height"),
        ("1,2,3,4,5", "is not x,y,width,height"),
        ("a,2,3,4", "is not x,y,width,height"),
        ("1.5,2,3,4", "is not x,y,width,height"),
        ("", "is not x,y,width,height"),
        ("10,10,0,5", "holds no pixel"),
        ("10,10,5,-5", "holds no pixel"),
        ("-1,0,50,50", "reaches beyond street.jpg, which is 200x240"),
        ("151,0,50,50", "reaches beyond street.jpg, which is 200x240"),
        ("0,200,50,50", "reaches beyond street.jpg, which is 200x240"),
    ],
)
def test_boxes_of_no_use_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        person_masks.parse_box(text, PHOTO, (240, 200, 3))


def test_a_box_up_to_the_edges_is_fine() -> None:
    assert person_masks.parse_box(" 0, 0,200,240", PHOTO, (240, 200, 3)) == (0, 0, 200, 240)


@pytest.mark.parametrize("scale", [0.25, 1, 6])
def test_grabcut_finds_what_stands_out(scale: float) -> None:
    mask = ellipse(round(240 * scale), round(200 * scale))
    photo = in_a_field(mask)
    rows, columns = np.nonzero(mask)
    left, top = int(columns.min()), int(rows.min())
    box = left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top
    found = grab(photo, box)
    assert iou(found, mask) > 0.9
    outside = found.copy()
    outside[top : top + box[3], left : left + box[2]] = False
    assert not outside.any()
    cv2.setRNGSeed(77)
    np.testing.assert_array_equal(grab(photo, box), found)


@pytest.mark.parametrize(
    ("box", "words"),
    [((0, 0, 200, 240), "fills the whole photo"), ((50, 50, 2, 2), "too small")],
)
def test_grabcut_says_what_it_cannot_do(box: tuple[int, int, int, int], words: str) -> None:
    with pytest.raises(NothingFound, match=words):
        grab(in_a_field(ellipse()), box)
    with pytest.raises(InputError, match=r"or --mask"):
        person_masks.from_box(in_a_field(ellipse()), box)


def test_nothing_to_tell_apart_is_refused_not_made_up() -> None:
    plain = np.full((100, 100, 3), 128, np.uint8)
    with pytest.raises(InputError, match="--box 20,20,40,40: shows"):
        person_masks.from_box(plain, (20, 20, 40, 40))


class FakeNet(nn.Module):
    """Finds the left half (a person), the right half (a dog) and the middle (a doubtful person)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        _, height, width = images[0].shape
        masks = torch.zeros(3, 1, height, width)
        masks[0, :, :, : width // 2] = 0.9
        masks[1, :, :, width // 2 :] = 0.9
        masks[2, :, height // 4 : height // 2, width // 3 : 2 * width // 3] = 0.6
        labels, scores = torch.tensor([1, 18, 1]), torch.tensor([0.8, 0.99, 0.4])
        return [{"labels": labels, "scores": scores, "masks": masks}]


@pytest.fixture
def fake_net(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Weights of a network that stands for Mask R-CNN."""
    monkeypatch.setattr(detector, "build", FakeNet)
    monkeypatch.setattr(detector, "operators_work", lambda: True)
    path = tmp_path / "weights.pth"
    torch.save(FakeNet().state_dict(), path)
    return path


def test_people_are_those_of_enough_score(fake_net: Path) -> None:
    photo = np.zeros((60, 80, 3), np.uint8)
    [one] = detector.Detector(fake_net, 0.7).people(photo)
    assert one.box == (0, 0, 40, 60) and one.mask.sum() == 2400 and "0.80" in one.source
    assert [p.box for p in detector.Detector(fake_net, 0.3).people(photo)][1] == (26, 15, 27, 15)
    with pytest.raises(InputError, match=r"nobody was found at a score of 0\.9"):
        person_masks.from_detector(photo, PHOTO, detector.Detector(fake_net, 0.9))


def test_a_box_takes_the_detection_that_fits_else_grabcut(fake_net: Path) -> None:
    photo = in_a_field(ellipse(60, 80))
    finder = detector.Detector(fake_net, 0.3)
    left = person_masks.from_box(photo, (2, 0, 40, 58), finder)
    assert left.mask.sum() == 2400 and left.guessed and "Mask R-CNN" in left.source
    middle = person_masks.from_box(photo, (26, 9, 28, 42), finder)
    assert "GrabCut" in middle.source and iou(middle.mask, ellipse(60, 80)) > 0.85


def test_files_that_are_no_weights_are_refused(fake_net: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pth"
    cut.write_bytes(fake_net.read_bytes()[:200])
    other = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(3, 3)}, other)
    words = tmp_path / "words.safetensors"
    words.write_text("no weights")
    a_list = tmp_path / "list.pth"
    torch.save([1, 2], a_list)
    for path in (cut, other, words, a_list):
        with pytest.raises(InputError) as caught:
            detector.Detector(path, 0.5)
        assert str(path) in caught.value.message
    with pytest.raises(InputError, match="no such file"):
        detector.weights_file(tmp_path / "gone.pth")


def test_a_pickle_that_runs_code_is_not_run(fake_net: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(tmp_path / "owned"),))  # type: ignore[return-value]

    path = tmp_path / "evil.pth"
    torch.save({"layer.weight": Evil()}, path)
    with pytest.raises(InputError, match="is no file of weights"):
        detector.Detector(path, 0.5)
    assert not (tmp_path / "owned").exists()


def test_weights_in_a_cache_must_be_the_publishers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, torchs = tmp_path / "ours", tmp_path / "torch"
    monkeypatch.setenv("HDEOCC_CACHE", str(ours))
    monkeypatch.setenv("TORCH_HOME", str(torchs))
    assert detector.weights_file() is None
    content = b"numbers"
    monkeypatch.setattr(detector, "FILE", f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth")
    (torchs / "hub" / "checkpoints").mkdir(parents=True)
    (torchs / "hub" / "checkpoints" / detector.FILE).write_bytes(content)
    assert detector.weights_file() == torchs / "hub" / "checkpoints" / detector.FILE
    ours.mkdir()
    (ours / detector.FILE).write_bytes(b"others")
    with pytest.raises(InputError, match="is not the file of its publisher"):
        detector.weights_file()


def test_where_the_operators_do_not_work_it_is_said(
    fake_net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "operators_work", lambda: False)
    with pytest.raises(InputError, match="compiled operators of torchvision"):
        detector.Detector(fake_net, 0.5)


def test_the_real_network_has_the_shape_that_its_name_says() -> None:
    with torch.device("meta"):
        net = detector.build()
    assert sum(p.numel() for p in net.parameters()) == 46_359_409  # as torchvision documents it


def test_grabcut_on_people(real_data: Path) -> None:
    from synth.sources.coco_file import CocoFile

    folder = real_data / "coco_people"
    file = CocoFile(folder / "annotations" / "person_keypoints.json", folder / "images")
    scores = []
    for annotation in list(file.annotations.values())[:60:5]:
        photo, mask = file.load(annotation)
        rows, columns = np.nonzero(mask)
        left, top = int(columns.min()), int(rows.min())
        box = left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top
        try:
            scores.append(iou(grab(photo, box), mask))
        except NothingFound:  # one of twenty, and said
            scores.append(0.0)
    assert np.median(scores) > 0.7


def test_boxes_overlap_as_areas_do() -> None:
    assert person_masks.box_iou((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert person_masks.box_iou((0, 0, 10, 10), (20, 0, 10, 10)) == 0
    sample = make_sample(0, 64, np.random.default_rng(0))
    box = cv2.boundingRect(sample.amodal.astype(np.uint8))
    assert person_masks.box_iou(tuple(box), tuple(box)) == 1  # type: ignore[arg-type]

"""`hdeocc deocclude` from end to end: what it leaves, and what it says of bad input."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from hdeocc import cli, deocclude_result, detector, model_folder
from hdeocc.crops import Square
from hdeocc.provenance import library_versions
from hdeocc.side_by_side import side_by_side
from hdeocc.two_stage_content import TwoStageContent
from hdeocc.two_stage_mask import TwoStageMask
from hdeocc.whole_person import WholePerson
from synth.atomic import host
from synth.parsing import NUM_LABELS, PALETTE
from tests.fakes import make_sample
from tests.hdeocc.test_model_folder import save_fitted

FILES = ["amodal.png", "parsing.png", "person.png", "recovered.png", "result.json",
         "side-by-side.png"]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stages at quick size, untrained, with a tendency to see people everywhere."""
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("models") / "untrained"
    mask, content = TwoStageMask("quick"), TwoStageContent("quick")
    with torch.no_grad():
        mask.net.amodal_mask[-1].bias.copy_(torch.tensor([0.0, 0.1]))
    save_fitted(folder / "mask", mask)
    save_fitted(folder / "content", content)
    return folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A current folder with a photo and a mask of its person, and no weights of a detector."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / ".cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / ".torch"))
    sample = make_sample(0, 160, np.random.default_rng(0))
    photo, modal = sample.image[:, 10:150], sample.modal[:, 10:150]
    Image.fromarray(photo).save("photo.png")
    save_mask("mask.png", modal)


def save_mask(name: str, mask: np.ndarray) -> None:
    Image.fromarray(mask.astype(np.uint8) * np.uint8(255)).save(name)


def read(path: str | Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["deocclude", *arguments], prog_name="hdeocc")


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def nothing_left(folder: Path = Path()) -> bool:
    """Whether a failed command left no folder and no temporary file behind."""
    return not [p for p in folder.iterdir() if "deoccluded" in p.name or p.name == "out"]


def test_one_person(model: Path) -> None:
    result = run("photo.png", "--mask", "mask.png", "--model", str(model))
    assert result.exit_code == 0, result.output
    out = Path("photo-deoccluded")
    assert result.stdout.endswith("Result: photo-deoccluded\n")
    assert files(out) == FILES
    photo, modal = read("photo.png"), read("mask.png") > 0
    amodal = read(out / "amodal.png") > 0
    assert set(np.unique(read(out / "amodal.png"))) <= {0, 255} and not (modal & ~amodal).any()
    recovered, person = read(out / "recovered.png"), read(out / "person.png")
    hidden = amodal & ~modal
    assert hidden.any() and ((recovered != photo).any(axis=2) <= hidden).all()
    about = json.loads((out / "result.json").read_text())
    assert library_versions("pillow").items() <= about["versions"].items()
    left, top, width, height = about["box"]
    assert person.shape == (height, width, 4)
    box = slice(top, top + height), slice(left, left + width)
    np.testing.assert_array_equal(person[..., 3] > 0, amodal[box])
    assert about["hidden_share"] == pytest.approx(hidden.sum() / amodal.sum(), abs=1e-6)
    assert about["photo"] == "photo.png" and about["size"] == [140, 160]
    assert about["visible_from"] == "mask mask.png"
    assert about["model"]["mask"]["weights_sha256"]["weights.safetensors"]
    assert str(Path.cwd()) not in (out / "result.json").read_text(), "no path of this machine"


def test_the_parsing_has_lip_labels_and_their_colours(model: Path) -> None:
    run("photo.png", "--mask", "mask.png", "--model", str(model), "--out", "out")
    with Image.open("out/parsing.png") as picture:
        assert picture.mode == "P"
        labels = np.asarray(picture)
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), PALETTE[labels])
    assert labels.max() < NUM_LABELS
    np.testing.assert_array_equal(labels > 0, read("out/amodal.png") > 0)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in files(folder)}


def test_the_same_again_gives_the_same_bytes(model: Path) -> None:
    call = ("photo.png", "--mask", "mask.png", "--model", str(model), "--out", "out")
    run(*call)
    first = contents(Path("out"))
    again = run(*call)
    assert again.exit_code == 0 and contents(Path("out")) == first
    assert not [name for name in os.listdir() if name.startswith(".out")]


def test_several_people_are_done_one_by_one(model: Path) -> None:
    save_mask("other.png", read("mask.png")[:, ::-1] > 0)
    both = ("--mask", "mask.png", "--mask", "other.png", "--model", str(model), "--out", "out")
    result = run("photo.png", *both)
    assert result.exit_code == 0, result.output
    of_each = [f"person-{n}/{name}" for n in (1, 2) for name in FILES]
    assert files(Path("out")) == sorted(["all.png", "result.json", *of_each])
    about = json.loads(Path("out/result.json").read_text())
    assert [one["visible_from"] for one in about["people"]] == ["mask mask.png", "mask other.png"]
    run("photo.png", "--mask", "other.png", "--model", str(model), "--out", "alone")
    for name in ("amodal.png", "recovered.png", "person.png"):
        alone = Path("alone", name).read_bytes()
        assert Path("out/person-2", name).read_bytes() == alone, "each from the same photo"
    one = run("photo.png", "--mask", "mask.png", "--model", str(model), "--out", "out")
    assert one.exit_code == 0 and files(Path("out")) == FILES, "nothing of before is left"


def test_a_box_is_guessed_and_said(model: Path) -> None:
    mask = np.zeros((160, 140), np.uint8)
    cv2.ellipse(mask, (70, 80), (25, 60), 0, 0, 360, 1, -1)
    noise = np.random.default_rng(0).normal(0, 8, (160, 140, 3))
    colours = np.where(mask[..., None], (180, 60, 60), (60, 120, 70))
    Image.fromarray(np.clip(colours + noise, 0, 255).astype(np.uint8)).save("field.png")
    result = run("field.png", "--box", "44,19,53,123", "--model", str(model), "--out", "out")
    assert result.exit_code == 0, result.output
    assert "Visible part by box 44,19,53,123, GrabCut: look" in result.stderr
    about = json.loads(Path("out/result.json").read_text())
    assert about["visible_pixels"] == pytest.approx(mask.sum(), rel=0.1)


def test_a_detector_finds_everybody(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.hdeocc.test_person_masks import FakeNet

    monkeypatch.setattr(detector, "build", FakeNet)
    monkeypatch.setattr(detector, "operators_work", lambda: True)
    torch.save(FakeNet().state_dict(), "net.pth")
    call = ("photo.png", "--segmenter", "net.pth", "--model", str(model), "--out", "out")
    assert run(*call).exit_code == 0
    assert files(Path("out")) == FILES, "one person of score 0.8"
    result = run(*call, "--score", "0.3")
    assert "Person 2: " in result.stdout and result.stderr.count("Mask R-CNN, score") == 2


@pytest.mark.parametrize("kind", ["grey", "rgba", "16 bit", "palette", "jpeg"])
def test_kinds_of_photos(model: Path, kind: str) -> None:
    photo = Image.open("photo.png")
    name = "other.jpg" if kind == "jpeg" else "other.png"
    if kind == "16 bit":
        Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) * 257).save(name)
    else:
        modes = {"grey": "L", "rgba": "RGBA", "palette": "P", "jpeg": "RGB"}
        photo.convert(modes[kind]).save(name)
    result = run(name, "--mask", "mask.png", "--model", str(model), "--out", "out")
    assert result.exit_code == 0, result.output
    made = read("out/recovered.png")
    assert made.shape == (160, 140, 3)
    visible = read("mask.png") > 0
    reference = photo if kind == "palette" else photo.convert("L").convert("RGB")
    if kind in ("grey", "16 bit"):
        np.testing.assert_array_equal(made[visible], np.asarray(reference)[visible])


def test_names_that_are_no_text_are_escaped(model: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    Path("photo.png").rename(name)
    result = run(name, "--mask", "mask.png", "--model", str(model))
    assert result.exit_code == 0, result.output
    [out] = Path().glob("*-deoccluded")
    assert json.loads((out / "result.json").read_bytes())["photo"] == r"caf\udce9.png"


def test_a_photo_is_turned_upright(model: Path) -> None:
    photo = Image.open("photo.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side
    photo.transpose(Image.Transpose.ROTATE_90).save("turned.png", exif=exif)
    given = ("--mask", "mask.png", "--model", str(model), "--out")
    assert run("turned.png", *given, "turned").exit_code == 0
    assert run("photo.png", *given, "upright").exit_code == 0
    for name in ("recovered.png", "amodal.png", "person.png"):
        assert Path("turned", name).read_bytes() == Path("upright", name).read_bytes()


def _text(name: str) -> None:
    Path(name).write_text("not a picture")


def _truncated() -> None:
    Path("bad.png").write_bytes(Path("photo.png").read_bytes()[:-4000])


BAD: list[tuple[list[str], Callable[[], object], str]] = [
    (["gone.jpg", "--mask", "mask.png"], lambda: None, "gone.jpg: no such picture file"),
    (["bad.jpg", "--mask", "mask.png"], lambda: _text("bad.jpg"), "bad.jpg: cannot be decoded"),
    (["bad.png", "--mask", "mask.png"], _truncated, "bad.png: cannot be decoded"),
    (["photo.png", "--mask", "gone.png"], lambda: None, "gone.png: no such picture file"),
    (["photo.png", "--mask", "bad.png"], lambda: _text("bad.png"), "bad.png: cannot be decoded"),
    (
        ["photo.png", "--mask", "small.png"],
        lambda: save_mask("small.png", np.ones((16, 14), bool)),
        "small.png: is 14x16 pixels, but photo.png is 140x160",
    ),
    (
        ["photo.png", "--mask", "black.png"],
        lambda: save_mask("black.png", np.zeros((160, 140), bool)),
        "black.png: marks no pixel",
    ),
    (
        ["photo.png", "--mask", "white.png"],
        lambda: save_mask("white.png", np.ones((160, 140), bool)),
        "white.png: marks every pixel",
    ),
    (["photo.png", "--box", "1,2,3"], lambda: None, "--box 1,2,3: is not x,y,width,height"),
    (["photo.png", "--box", "0,0,500,5"], lambda: None, "reaches beyond photo.png"),
    (["photo.png"], lambda: None, "photo.png: who is it about? Give --mask M.png or --box"),
    (["photo.png", "--segmenter", "x.pth"], lambda: None, "x.pth: no such file"),
    (
        ["photo.png", "--mask", "mask.png", "--out", "out"],
        lambda: _text("out"),
        "out: is a file, not a folder",
    ),
    (
        ["photo.png", "--mask", "mask.png", "--out", "."],
        lambda: None,
        "is or holds the current folder",
    ),
    (["photo.png", "--mask", "mask.png", "--device", "gpu"], lambda: None, "--device gpu: cannot"),
    (["photo.png", "--mask", "mask.png", "--device", "meta"], lambda: None, "--device meta: can"),
    (["photo.png", "--mask", "mask.png", "--score", "2"], lambda: None, "'--score': 2.0 is not"),
    ([], lambda: None, "Missing argument 'PHOTO'"),
]


@pytest.mark.parametrize(("arguments", "prepare", "words"), BAD, ids=[row[2] for row in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(
    model: Path, arguments: list[str], prepare: Callable[[], object], words: str
) -> None:
    prepare()
    before = sorted(os.listdir())
    result = run(*arguments, "--model", str(model))
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert sorted(os.listdir()) == before


def test_without_a_model_it_says_how_to_train(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "BUILT_IN", tmp_path / "none")
    result = run("photo.png", "--mask", "mask.png")
    assert result.exit_code == 2 and "hdeocc train two-stage --preset small" in result.output
    assert run("photo.png", "--mask", "mask.png", "--model", "mask.png").exit_code == 2


@pytest.mark.parametrize("mine", ["notes.txt", "person-1/notes.txt", ".hidden"])
def test_a_folder_with_files_of_others_is_refused(model: Path, mine: str) -> None:
    call = ("photo.png", "--mask", "mask.png", "--model", str(model), "--out", "out")
    Path("out", mine).parent.mkdir(parents=True)
    Path("out", mine).write_text("mine")
    refused = run(*call)
    assert refused.exit_code == 2 and f"holds something else ({mine})" in refused.output
    Path("out", mine).unlink()
    for empty in Path("out").iterdir():
        empty.rmdir()
    assert run(*call).exit_code == 0, "an empty folder will do"
    Path("out", mine).parent.mkdir(exist_ok=True)
    Path("out", mine).write_text("mine")
    assert run(*call).exit_code == 2 and Path("out", mine).read_text() == "mine"


def test_pictures_of_our_names_are_not_ours_without_our_mark(model: Path) -> None:
    Path("out").mkdir()
    Path("out", "person.png").write_bytes(Path("photo.png").read_bytes())
    Path("out", "result.json").write_text('{"made_by": "somebody else"}')
    result = run("photo.png", "--mask", "mask.png", "--model", str(model), "--out", "out")
    assert result.exit_code == 2 and "holds something else (person.png)" in result.output


def test_what_fails_half_way_leaves_the_result_of_before(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ("photo.png", "--mask", "mask.png", "--model", str(model), "--out", "out")
    run(*call)
    before = contents(Path("out"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "recovered.png")

    monkeypatch.setattr(deocclude_result, "_with_palette", full)
    result = run(*call)
    assert result.exit_code == 2 and "cannot be written (No space left on device)" in result.output
    assert contents(Path("out")) == before
    Path("out").rename("kept")
    assert run(*call).exit_code == 2 and nothing_left()


def test_what_a_killed_command_left_is_cleared(model: Path) -> None:
    living = f".out.{host()}-{os.getppid()}.new"
    for name in (f".out.{host()}-999999999.new", living):
        Path(name).mkdir()
    run("photo.png", "--mask", "mask.png", "--model", str(model), "--out", "out")
    assert [p for p in os.listdir() if p.startswith(".out")] == [living]


def test_the_picture_shows_the_four_steps() -> None:
    photo = np.full((200, 150, 3), 120, np.uint8)
    modal = np.zeros((200, 150), bool)
    modal[60:100, 50:100] = True
    amodal = modal.copy()
    amodal[100:150, 50:100] = True
    recovered = photo.copy()
    recovered[amodal & ~modal] = (20, 200, 30)
    person = WholePerson(
        modal, amodal, amodal.astype(np.float32), None, recovered, Square(0, 0, 200), 0.0
    )
    row = side_by_side(person, photo)
    quarter = row.shape[1] // 4
    first, second, third, last = (row[30:, i * quarter : (i + 1) * quarter] for i in range(4))
    green = np.array([20, 200, 30])
    is_green = [(np.abs(part.astype(int) - green) < 4).all(axis=2).mean() for part in
                (first, second, third, last)]  # fmt: skip
    assert is_green[0] == is_green[1] == 0 and min(is_green[2:]) > 0.05
    red = (second[..., 0].astype(int) - second[..., 1] > 50).mean()
    assert red == pytest.approx(is_green[2], rel=0.15)
    assert (last == 200).all(axis=2).any() and (last == 232).all(axis=2).any(), "checks"
    assert (first == 255).all(axis=2).any(), "an outline"


def test_on_a_real_photo(model: Path, real_data: Path) -> None:
    from synth.sources.coco_file import CocoFile

    folder = real_data / "coco_people"
    file = CocoFile(folder / "annotations" / "person_keypoints.json", folder / "images")
    annotation = next(iter(file.annotations.values()))
    photo, mask = file.load(annotation)
    mask[mask.shape[0] // 2 :] = False
    save_mask("half.png", mask)
    path = str(file.photo(annotation))
    result = run(path, "--mask", "half.png", "--model", str(model), "--out", "out")
    assert result.exit_code == 0, result.output
    hidden = (read("out/amodal.png") > 0) & ~mask
    changed = (read("out/recovered.png") != photo).any(axis=2)
    assert not (changed & ~hidden).any()

"""The folder of a training: whose it is, and what becomes of damaged files."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from synth.errors import InputError
from synth.lock import build_lock
from synth.segmenter.starter import FromNetworks
from tests.synth.scenarios import files_of
from tests.synth.segmenters import NETWORKS, TINY, trained, watch_batches
from tests.synth.tiny import tiny_recipe, write_tiny


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    trained(folder, data)
    return folder


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """The finished training, to be spoiled."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "flipped": flip,
    "cut": lambda path: os.truncate(path, 1000),
    "lost": Path.unlink,
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
@pytest.mark.parametrize("name", [*NETWORKS, "people.json"])
def test_a_damaged_file_is_noticed_and_made_again(
    name: str, damage: str, copy: Path, finished: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "people.json" and damage == "cut":
        (copy / name).write_text("{")
    else:
        DAMAGES[damage](copy / name)
    with pytest.raises(InputError, match="run the same hdeocc synth segmenter") as caught:
        FromNetworks(copy)
    assert caught.value.message.startswith(f"{copy / name}: ")
    batches = watch_batches(monkeypatch)
    trained(copy, data)
    assert len(batches) == TINY.steps * (name in NETWORKS)  # of the other network none
    assert files_of(copy) == files_of(finished)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'{"version": 2}'])
def test_a_damaged_card_is_one_line(content: bytes, copy: Path, data: Path) -> None:
    (copy / "segmenter.json").write_bytes(content)
    for use in (FromNetworks, lambda folder: trained(folder, data)):
        with pytest.raises(InputError, match="segmenter.json: is damaged or of another") as caught:
            use(copy)
        assert "\n" not in caught.value.message
    assert (copy / "segmenter.json").read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"no tensors", "of network 1"])
def test_a_damaged_state_is_one_line(content: bytes | str, copy: Path, data: Path) -> None:
    (copy / NETWORKS[0]).unlink()
    state = copy / "network-0.unfinished"
    state.write_bytes(content if isinstance(content, bytes) else (copy / NETWORKS[1]).read_bytes())
    with pytest.raises(InputError, match="remove it and train again") as caught:
        trained(copy, data)
    assert caught.value.message.startswith(f"{state}: ") and "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("option", "value"),
    [("folds", 3), ("steps", 7), ("batch", 5), ("composites", 13), ("seed", 1)],
)
def test_other_options_are_refused(option: str, value: int, finished: Path, data: Path) -> None:
    before = files_of(finished)
    asked = TINY.model_copy(update={option: value})
    with pytest.raises(InputError, match="another options|other options") as caught:
        trained(finished, data, asked)
    assert caught.value.message.startswith(f"{finished}: ")
    assert files_of(finished) == before


@pytest.mark.parametrize("change", [{"seed": 5}, {"preset": "hard"}])
def test_another_recipe_is_refused(change: dict[str, Any], finished: Path, data: Path) -> None:
    with pytest.raises(InputError, match="another recipe.*choose another folder") as caught:
        trained(finished, data, recipe=tiny_recipe().with_changes(**change))
    assert caught.value.message.startswith(f"{finished}: ")


@pytest.mark.parametrize("file", ["people/003.png", "things-masks/004.png"])
def test_changed_photos_are_refused(file: str, finished: Path, tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data")
    content = (data / file).read_bytes()
    assert trained(finished, data).iou  # wherever the photos lie
    picture = np.array(Image.open(data / file))
    picture[0, 0] ^= 255
    Image.fromarray(picture).save(data / file)
    with pytest.raises(InputError, match="other photos; choose another folder") as caught:
        trained(finished, data)
    assert caught.value.message.startswith(f"{finished}: ")
    (data / file).write_bytes(content)
    assert trained(finished, data).iou


def test_a_foreign_folder_is_refused_untouched(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else \\(thesis.txt\\)"):
        trained(tmp_path, data)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="no usable folder .*choose another"):
        trained(tmp_path / "thesis.txt", data)


def test_two_trainings_in_one_folder_are_one_too_many(data: Path, tmp_path: Path) -> None:
    with build_lock(tmp_path, (1, 1)), pytest.raises(InputError, match="builds here already"):
        trained(tmp_path, data)
    assert files_of(tmp_path) == {}

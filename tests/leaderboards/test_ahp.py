"""Where AHP is there: the tables of the paper are built on it, from its layout to the page.

The release is not at hand, so a small one of its layout is drawn: photos and whole-person masks of
the same name, the lists of its train and valid people, and COCO's folders of train2017 and val2017.
"""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hdeocc.cli import main
from leaderboards.benchmark import load_benchmark
from leaderboards.needs import missing, recipes_of, require
from leaderboards.records import read_records
from synth.store import Dataset
from tests.synth.figures import save
from tests.synth.tiny import ellipse

TRAIN, VALID = 8, 4
HEIGHT, WIDTH = 160, 100
PAPERS = ("paper-masks", "paper-content", "paper-ablation-1", "paper-ablation-2")


def write_ahp(root: Path, rng: np.random.Generator) -> None:
    """AHP as released, below ``root``: all people in one folder, told apart by two lists."""
    train = root / "AHP" / "train"
    stems = [f"person{i:02d}" for i in range(TRAIN + VALID)]
    for stem in stems:
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[15:145, 30:70] = ellipse(130, 40) * np.uint8(255)
        photo = np.repeat(rng.integers(0, 256, (HEIGHT, 1, 3)), WIDTH, axis=1).astype(np.uint8)
        save(train / "JPEGImages" / f"{stem}.jpg", photo)
        save(train / "Annotations" / f"{stem}.png", mask)
    lists = train / "ImageSets"
    lists.mkdir()
    (lists / "train.txt").write_text("\n".join(stems[:TRAIN]) + "\n")
    (lists / "valid.txt").write_text("\n".join(stems[TRAIN:]) + "\n")


def write_coco(root: Path, split: str, first: int, rng: np.random.Generator) -> None:
    """COCO as released, below ``root``: one object a photo, with its outline, by unique ids."""
    images, annotations = [], []
    for i in range(first, first + 6):
        name = f"{split}-{i:012d}.jpg"
        save(root / "coco" / split / name, rng.integers(0, 256, (90, 90, 3)).astype(np.uint8))
        images.append({"id": i, "file_name": name, "height": 90, "width": 90})
        box = [15, 15, 75, 15, 75, 75, 15, 75]
        annotations.append(
            {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "area": 3600.0,
             "bbox": [15, 15, 60, 60], "segmentation": [box]}
        )  # fmt: skip
    text = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "bus"}]}
    path = root / "coco" / "annotations" / f"instances_{split}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(text))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    write_ahp(root, rng)
    for split, first in (("train2017", 1), ("val2017", 101)):
        write_coco(root, split, first, rng)
    return root


def smaller(text: str, **changes: str) -> str:
    """TOML with other values for some keys, each of which must be there."""
    for key, value in changes.items():
        lines = [
            f"{key} = {value}" if line.partition(" =")[0] == key else line
            for line in text.splitlines()
        ]
        assert lines != text.splitlines(), f"no {key} to change"
        text = "\n".join(lines)
    return text


def tiny_paper_masks(folder: Path) -> Path:
    """paper-masks as it is bundled, at 64 px, on few samples, with a budget of two steps."""
    recipes = resources.files("synth") / "recipes"
    train = (recipes / "photos-ahp.toml").read_text(encoding="utf-8")
    valid = (recipes / "photos-ahp-valid.toml").read_text(encoding="utf-8")
    train = smaller(train.replace("val = 0.02", "val=0.3"), size="64", train="6", val="3")
    (folder / "train.toml").write_text(train)
    (folder / "valid.toml").write_text(smaller(valid, size="64").replace("891", str(3 * VALID)))
    bundled = resources.files("leaderboards") / "benchmarks" / "paper-masks.toml"
    text = bundled.read_text(encoding="utf-8").partition("# The same rows for who")[0]
    text = smaller(
        text, recipe=f'"{folder / "train.toml"}"', test_recipe=f'"{folder / "valid.toml"}"',
        preset='"quick"', samples="8", batch="4", precision='"32-true"',
    )  # fmt: skip
    path = folder / "tiny-masks.toml"
    path.write_text(text.replace('name = "paper-masks"', 'name = "tiny-masks"'))
    return path


@pytest.mark.parametrize("name", PAPERS)
def test_with_the_release_nothing_is_missing(name: str, release: Path) -> None:
    benchmark = load_benchmark(name)
    assert missing(recipes_of(benchmark), release) == {}
    require(benchmark, release)


def test_the_table_of_masks_is_made_from_the_release(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "no-weights"))
    benchmark, out = tiny_paper_masks(tmp_path), tmp_path / "out"
    arguments = ["bench", "run", str(benchmark), "--data", str(release), "--out", str(out)]
    done = CliRunner().invoke(main, [*arguments, "--workers", "1"])
    assert done.exit_code == 0, done.output
    made = read_records(out / "results")
    assert {r.method for r in made} == {"identity", "convex-hull", "pix2pix", "two-stage"}
    assert all(r.protocol.name == "official" and r.n_scored == 3 * VALID for r in made)
    test = Dataset.open(out / "data").split("test")
    train = Dataset.open(out / "train-data").split("train")
    people = [{sample.person_id.rpartition(":")[2] for sample in split} for split in (train, test)]
    listed = [f"person{i:02d}" for i in range(TRAIN + VALID)]
    assert people[1] == set(listed[TRAIN:]) and people[0] <= set(listed[:TRAIN])
    things = [{o for sample in split for o in sample.occluder_ids} for split in (train, test)]
    assert all(things) and not things[0] & things[1], "COCO val2017 was in no training"
    assert "Mask completion" in (out / "leaderboard.md").read_text()
    assert (out / "leaderboard.html").is_file()

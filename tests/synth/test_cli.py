"""The command line: what it prints, and one line with exit code 2 for every mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from synth.cli import synth
from synth.shards import sealed
from synth.versions import library_versions
from tests.synth.tiny import RECIPE, ROOT


@pytest.fixture(scope="module")
def toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE.format(train=14, shard_size=4))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(synth, [str(argument) for argument in arguments])


def test_build_then_check_print_the_same_fingerprint(
    toml: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    made = run("build", toml, "--out", out, "--data", data, "--count", 12, "--seed", 3)
    assert made.exit_code == 0, made.output
    assert "7 train, 2 val, 3 test" in made.stdout
    checked = run("check", out)
    assert checked.exit_code == 0
    assert "sound, 12 samples" in checked.stdout
    fingerprint = made.stdout.split("fingerprint ")[1].split()[0]
    assert len(fingerprint) == 64
    assert fingerprint in checked.stdout


def test_parts_say_that_they_wait(toml: Path, data: Path, tmp_path: Path) -> None:
    first = run("build", toml, "--out", tmp_path / "o", "--data", data, "--part", "1/2")
    assert "Part 1/2 is done" in first.stdout
    second = run("build", toml, "--out", tmp_path / "o", "--data", data, "--part", "2/2")
    assert "fingerprint" in second.stdout


def test_a_data_set_of_several_versions_says_so(
    toml: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goes on after an update, and is sound; who looks at the files alone sees it, too."""
    build = ("build", toml, "--out", tmp_path, "--data", data)
    run(*build, "--part", "1/2")
    with monkeypatch.context() as patch:
        later = library_versions() | {"numpy": "99.1"}
        patch.setattr("synth.shards.library_versions", lambda: later)
        made = run(*build)
    known = json.loads((tmp_path / "dataset.json").read_bytes())["versions"]
    both = f"{library_versions()['numpy']}, 99.1"
    assert known == library_versions() | {"numpy": both}
    for result in (made, run("check", tmp_path)):
        assert result.exit_code == 0
        [told] = result.stderr.strip().splitlines()[-1:]
        assert f"{tmp_path}: its shards were made by several versions (numpy {both}); " in told


def forget_versions(folder: Path) -> None:
    """Make the markers those of an earlier version."""
    for path in folder.glob("shard-*.json"):
        marker = json.loads(path.read_bytes())
        marker.pop("versions", None)
        path.write_bytes(sealed(marker))


def test_shards_that_tell_no_version_are_of_an_unknown_one(
    toml: Path, data: Path, tmp_path: Path
) -> None:
    build = ("build", toml, "--out", tmp_path, "--data", data)
    run(*build, "--part", "1/2")
    forget_versions(tmp_path)
    assert run(*build).exit_code == 0
    checked = run("check", tmp_path)
    assert "sound" in checked.stdout and "unknown" in checked.stderr
    forget_versions(tmp_path)
    (tmp_path / "dataset.json").unlink()
    assert run(*build).exit_code == 0
    checked = run("check", tmp_path)
    assert "sound" in checked.stdout and "several" not in checked.stderr
    assert json.loads((tmp_path / "dataset.json").read_bytes())["versions"] == library_versions()


def test_check_lists_problems_with_exit_code_2(toml: Path, data: Path, tmp_path: Path) -> None:
    run("build", toml, "--out", tmp_path, "--data", data, "--count", 12)
    (tmp_path / "shard-00001.tar").unlink()
    checked = run("check", tmp_path)
    assert checked.exit_code == 2
    assert "shard-00001.tar: is missing" in checked.output
    assert "problems; delete dataset.json and the files named" in checked.output.splitlines()[-1]
    (tmp_path / "dataset.json").unlink()
    assert run("build", toml, "--out", tmp_path, "--data", data, "--count", 12).exit_code == 0
    assert run("check", tmp_path).exit_code == 0


def test_preview_draws_rows(toml: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    for split, rows in (("train", 3), ("test", 2)):
        made = run("preview", toml, "--data", data, "--out", out, "--rows", rows, "--split", split)
        assert made.exit_code == 0, made.output
        width, height = Image.open(out).size
        assert width == 6 * 132  # its initial masks are jittered, so they have a column too
        assert rows * 132 <= height < (rows + 1) * 132


def test_a_preset_replaces_its_keys(toml: Path, data: Path, tmp_path: Path) -> None:
    options = ("--data", data, "--preset", "pcnet")
    made = run("build", toml, "--out", tmp_path / "o", "--count", 12, *options)
    assert made.exit_code == 0, made.output
    occlusion = json.loads((tmp_path / "o/dataset.json").read_bytes())["recipe"]["occlusion"]
    assert (occlusion["preset"], occlusion["blend"]) == ("pcnet", "hard")
    assert run("check", tmp_path / "o", "--workers", 2).exit_code == 0
    drawn = run("preview", toml, "--out", tmp_path / "p.png", "--rows", 2, *options)
    assert drawn.exit_code == 0, drawn.output


def test_engines_print_the_same_fingerprint(toml: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="submitit is not installed; install hdeocc[slurm]")
    slurm = ("--engine", "slurm", "--cluster", "local", "--slurm", "partition=cpu")
    printed = [
        run("build", toml, "--out", tmp_path / str(place), "--data", data, *options).stdout
        for place, options in enumerate(((), slurm))
    ]
    assert "fingerprint " in printed[0]
    assert printed[0].split("fingerprint")[1] == printed[1].split("fingerprint")[1]


def test_people_are_drawn_and_the_same_again(tmp_path: Path) -> None:
    options = ("--count", 3, "--size", 48, "--labels", "yes")
    for name in ("a.png", "b.png"):
        made = run("people", "--out", tmp_path / name, *options)
        assert made.exit_code == 0, made.output
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert Image.open(tmp_path / "a.png").size == (3 * 3 * 52, 52)


def test_recipes_are_listed() -> None:
    listed = run("recipes").stdout
    assert "people-quick" in listed
    assert "photos-small" in listed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["build", "people-quik", "--out", "x"], "did you mean people-quick"),
        (["build", "gone.toml", "--out", "x"], "no such recipe file"),
        (["build", "people-quick", "--out", "x", "--part", "3/2"], "--part 3/2"),
        (["build", "people-quick", "--out", "x", "--part", "one"], "--part one"),
        (["build", "people-quick", "--out", "x", "--workers", "0"], "--workers 0"),
        (["build", "people-quick", "--out", "x", "--count", "0"], "--count 0"),
        (["build", "people-quick", "--out", "x", "--seed", "-1"], "--seed -1"),
        (["build", "people-quick", "--out", "x", "--preset", "head"], "did you mean part:head"),
        (["build", "people-quick", "--out", "x", "--engine", "spark"], "no such engine"),
        (["build", "people-quick", "--out", "x", "--address", "a:1"], "add --engine ray"),
        (["build", "people-quick", "--out", "x", "--slurm", "cpu"], "--slurm cpu: give an option"),
        (["build", "people-quick", "--out", "x", "--slurm", "a=b"], "add --engine slurm"),
        (["preview", "people-quick", "--preset", "harder"], "did you mean hard"),
        (["check", "nowhere"], "holds no data set"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe\x00name", "no UTF-8 text"),
        (b"", "key name is missing; add it"),
        (b"siez = 3", "unknown key siez; did you mean size"),
        (b"val = 0.6\ntest = 0.5", "keep the sum below 1"),
    ],
)
def test_bad_recipe_files_are_one_line(
    content: bytes, words: str, toml: Path, tmp_path: Path
) -> None:
    if content.startswith(b"val"):
        content = re.sub(rb"val = 0[.].*\ntest = 0[.].*", content, toml.read_bytes(), count=1)
        assert content != toml.read_bytes()
    (tmp_path / "bad.toml").write_bytes(content)
    result = run("build", tmp_path / "bad.toml", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "bad.toml: " in result.output and words in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_missing_photos_are_one_line(toml: Path, tmp_path: Path) -> None:
    result = run("build", toml, "--out", tmp_path / "out", "--data", tmp_path)
    assert result.exit_code == 2
    assert len(result.output.strip().splitlines()) == 1
    assert str(tmp_path / "people") in result.output
    assert list(tmp_path.iterdir()) == []


def test_help_has_examples_and_imports_nothing_heavy() -> None:
    for command in ("build", "preview", "check"):
        assert f"hdeocc synth {command} " in run(command, "--help").output
    code = "import sys, synth.cli; print({'numpy', 'cv2', 'torch', 'pydantic'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert shown.stdout.strip() == "set()"

"""Building: one fingerprint whatever the workers, parts, kills and faults on the way."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from synth.build import build
from synth.check import check
from synth.errors import InputError
from synth.lock import build_lock
from synth.recipe import Recipe
from synth.shards import jobs
from synth.store import Dataset
from tests.synth.tiny import RECIPE, ROOT, leftovers, start_synth, tiny_recipe, write_tiny

LONG = 110


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return built(tiny_recipe(), tmp_path_factory.mktemp("reference"), data)


@pytest.fixture(scope="module")
def long_toml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "long.toml"
    path.write_text(RECIPE.format(train=LONG, shard_size=5))
    return path


@pytest.fixture(scope="module")
def long_reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    recipe = tiny_recipe(LONG, 5)
    return built(recipe, tmp_path_factory.mktemp("long"), data).fingerprint


def built(
    recipe: Recipe, out: Path, data: Path, workers: int = 1, part: tuple[int, int] = (1, 1)
) -> Dataset:
    dataset = build(recipe, out, data, workers, part, progress=False)
    assert dataset is not None
    return dataset


def wait_for(what: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_two_workers_give_the_same_fingerprint(
    reference: Dataset, data: Path, tmp_path: Path
) -> None:
    dataset = built(tiny_recipe(), tmp_path / "out", data, workers=2)
    assert dataset.fingerprint == reference.fingerprint
    assert (tmp_path / "out/dataset.json").read_bytes() == (
        reference.path / "dataset.json"
    ).read_bytes()
    assert leftovers(tmp_path / "out") == []


def test_two_parts_in_either_order_give_the_same(
    reference: Dataset, data: Path, tmp_path: Path
) -> None:
    assert build(tiny_recipe(), tmp_path, data, part=(2, 2), progress=False) is None
    written = sorted(path.name for path in tmp_path.glob("*.tar"))
    assert written == [f"shard-{n:05d}.tar" for n in range(1, len(jobs(tiny_recipe())), 2)]
    dataset = built(tiny_recipe(), tmp_path, data, part=(1, 2))
    assert dataset.fingerprint == reference.fingerprint


def test_fingerprint_does_not_depend_on_shard_size_but_on_seed(
    reference: Dataset, data: Path, tmp_path: Path
) -> None:
    other = built(tiny_recipe(shard_size=7), tmp_path / "a", data)
    assert other.fingerprint == reference.fingerprint
    assert built(tiny_recipe().with_changes(seed=1), tmp_path / "b", data).fingerprint != (
        reference.fingerprint
    )


def test_a_complete_data_set_is_only_opened(reference: Dataset, data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in reference.path.iterdir()}
    again = build(tiny_recipe(), reference.path, data / "gone", progress=False)
    assert again is not None
    assert again.fingerprint == reference.fingerprint
    assert {path: path.stat().st_mtime_ns for path in reference.path.iterdir()} == before


def test_a_lost_or_cut_shard_is_written_again(
    reference: Dataset, data: Path, tmp_path: Path
) -> None:
    built(tiny_recipe(), tmp_path, data)
    kept = (tmp_path / "shard-00000.tar").stat().st_mtime_ns
    (tmp_path / "shard-00001.tar").unlink()
    os.truncate(tmp_path / "shard-00002.tar", 3000)
    (tmp_path / "shard-00003.json").write_text("{")
    assert built(tiny_recipe(), tmp_path, data).fingerprint == reference.fingerprint
    assert check(tmp_path) == []
    assert (tmp_path / "shard-00000.tar").stat().st_mtime_ns == kept


@pytest.mark.parametrize("content", ['{"a": 1}', "[", None])
def test_a_damaged_description_is_written_again(
    content: str | None, reference: Dataset, data: Path, tmp_path: Path
) -> None:
    built(tiny_recipe(), tmp_path, data)
    path = tmp_path / "dataset.json"
    path.write_text(content or path.read_text().replace('"seed": 0', '"seed": 7', 1))
    again = built(tiny_recipe(), tmp_path, data)
    assert again.fingerprint == reference.fingerprint
    assert check(tmp_path) == []


@pytest.mark.parametrize(
    ("workers", "moment"),
    [(1, "shard-00000.json"), (1, ".tmp-*shard-00011.tar"), (2, "shard-00017.json")],
)
def test_killed_and_started_again(
    workers: int, moment: str, long_toml: Path, long_reference: str, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("build", long_toml, "--out", out, "--data", data, "--workers", workers)
    process = start_synth(*command)
    wait_for(lambda: out.is_dir() and any(out.glob(moment)), process)
    children = _children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _wait_until_gone(children)
    assert not (out / "dataset.json").exists()
    done = {
        p: p.stat().st_mtime_ns for p in out.glob("shard-*.tar") if p.with_suffix(".json").exists()
    }
    assert 0 < len(done) < len(jobs(tiny_recipe(LONG, 5)))
    assert built(tiny_recipe(LONG, 5), out, data).fingerprint == long_reference
    assert leftovers(out) == []
    assert {path: path.stat().st_mtime_ns for path in done} == done


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(one) for one in text.split()]


def _wait_until_gone(pids: list[int]) -> None:
    """No worker outlives its parent."""
    deadline = time.monotonic() + 20
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, f"workers {pids} are orphans"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_a_folder_to_go_on_with(
    workers: int, long_toml: Path, long_reference: str, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = ("build", long_toml, "--out", out, "--data", data, "--workers", workers)
    process = start_synth(*command)
    wait_for(lambda: (out / "shard-00001.json").exists(), process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Run the same command again" in errors
    assert "Traceback" not in errors
    assert leftovers(out) == []
    assert not (out / "dataset.json").exists()
    assert built(tiny_recipe(LONG, 5), out, data).fingerprint == long_reference


def test_a_living_build_keeps_others_out_and_a_dead_one_does_not(
    data: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, time; from pathlib import Path; from synth.lock import build_lock\n"
        "with build_lock(Path(sys.argv[1]), (1, 1)): print('held', flush=True); time.sleep(60)"
    )
    build(tiny_recipe(), tmp_path, data, part=(2, 2), progress=False)
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for part in ((1, 1), (1, 2)):
            with pytest.raises(InputError, match=f"process {holder.pid} on .* builds here"):
                build(tiny_recipe(), tmp_path, data, part=part, progress=False)
    finally:
        holder.kill()
        holder.wait()
    assert build(tiny_recipe(), tmp_path, data, progress=False) is not None
    assert leftovers(tmp_path) == []


def test_parts_of_one_division_may_build_at_once(tmp_path: Path) -> None:
    other = tmp_path / ".tmp-elsewhere-1-shard-00000.tar"
    with build_lock(tmp_path, (1, 2)):
        other.write_bytes(b"of the first part")
        with build_lock(tmp_path, (2, 2)):
            assert other.exists()
    with build_lock(tmp_path, (1, 2)):
        assert not other.exists()


def test_a_foreign_folder_is_refused_untouched(data: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds something else \\(thesis.txt\\)"):
        build(tiny_recipe(), tmp_path, data, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(data: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InputError, match="choose another"):
        build(tiny_recipe(), tmp_path / "out", data, progress=False)


@pytest.mark.parametrize("change", [{"seed": 5}, {"count": 30}])
def test_another_recipe_is_refused(change: dict[str, int], reference: Dataset, data: Path) -> None:
    with pytest.raises(InputError, match="another recipe or seed; choose another folder"):
        build(tiny_recipe().with_changes(**change), reference.path, data, progress=False)


def test_a_shard_of_another_recipe_is_refused(
    reference: Dataset, data: Path, tmp_path: Path
) -> None:
    build(tiny_recipe().with_changes(seed=9), tmp_path, data, part=(1, 2), progress=False)
    for name in ("shard-00001.tar", "shard-00001.json"):
        (tmp_path / name).write_bytes((reference.path / name).read_bytes())
    with pytest.raises(InputError, match="shard-00001.tar: belongs to another recipe or seed"):
        build(tiny_recipe().with_changes(seed=9), tmp_path, data, progress=False)


def test_a_full_disk_is_one_line_and_can_go_on(
    reference: Dataset, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) == 7:  # the second shard
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left on device.*make room") as caught:
        build(tiny_recipe(), tmp_path, data, progress=False)
    assert "\n" not in caught.value.message
    assert leftovers(tmp_path) == []
    assert built(tiny_recipe(), tmp_path, data).fingerprint == reference.fingerprint


def test_inputs_left_out_are_listed_with_reasons(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data", people=14)
    (data / "people/003.png").write_bytes((data / "people/003.png").read_bytes()[:900])
    (data / "people-masks/005.png").unlink()
    info = built(tiny_recipe(), tmp_path / "out", data).info
    named = {Path(one["file"]).name.split(":")[-1].split(".")[0] for one in info["skipped"]}
    assert named == {"003", "005"}
    assert all(one["reason"] for one in info["skipped"])
    assert sum(info["skipped_by_reason"].values()) == len(info["skipped"])
    assert check(tmp_path / "out") == []


def test_bad_arguments_are_input_errors(data: Path, tmp_path: Path) -> None:
    for workers, part in ((0, (1, 1)), (1, (3, 2)), (1, (0, 1))):
        with pytest.raises(InputError):
            build(tiny_recipe(), tmp_path / "out", data, workers, part, progress=False)
    assert not (tmp_path / "out").exists()


def test_dataset_json_says_what_was_built(reference: Dataset) -> None:
    info = json.loads((reference.path / "dataset.json").read_bytes())
    assert info["counts"] == {"train": 14, "val": 4, "test": 6}
    assert info["schema"] == 1
    assert {"python", "numpy"} <= info["versions"].keys()
    assert [s["samples"] for s in info["shards"]] == [4, 4, 4, 2, 4, 4, 2]
    assert [s["split"] for s in info["shards"]] == ["train"] * 4 + ["val"] + ["test"] * 2

"""The check finds what is broken, and nothing where nothing is."""

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth.build import build
from synth.check import check
from synth.claim import claim
from synth.codec import canonical
from synth.errors import InputError
from synth.finish import checksum, finish
from synth.occlusion_spec import Occlusion
from synth.plan import Plan, make_sample, open_plan
from synth.recipe import parse_recipe
from synth.sample import Sample
from synth.shards import jobs, recipe_hash, sealed, stored_recipe_hash, write_shard
from synth.store import Dataset
from tests.synth.tiny import RECIPE, ROOT, labels_of, tiny_recipe


@pytest.fixture(scope="module")
def sound(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    build(tiny_recipe(), folder, data, progress=False)
    return folder


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    for path in sound.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def flip(path: Path, place: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def test_a_sound_data_set_has_no_problems(sound: Path) -> None:
    assert check(sound) == []


def places_in(path: Path, rng: np.random.Generator, wanted: int) -> list[int]:
    """First and last byte, and some between, those of the tar headers among them."""
    size = path.stat().st_size
    places = {0, size - 1, *rng.integers(size, size=wanted)}
    if path.suffix == ".tar":
        places |= {100, 148, 156, 257, 512 * int(rng.integers(size // 512))}
    return sorted(int(place) for place in places)


def assert_every_flip_is_found(copy: Path, wanted: int) -> None:
    rng = np.random.default_rng(0)
    files = sorted(path for path in copy.iterdir())
    assert len(files) == 7 * 2 + 5
    for path in files:
        content = path.read_bytes()
        for place in places_in(path, rng, wanted):
            bit = int(rng.integers(8))
            flip(path, place, bit)
            assert check(copy), f"{path.name} byte {place} bit {bit}"
            path.write_bytes(content)
    assert check(copy) == []


def test_any_flipped_byte_in_any_file_is_found(copy: Path) -> None:
    assert_every_flip_is_found(copy, 2)


@pytest.mark.slow
def test_any_flipped_byte_of_thousands_is_found(copy: Path) -> None:
    assert_every_flip_is_found(copy, 200)


def test_a_changed_space_is_found(copy: Path) -> None:
    path = copy / "dataset.json"
    for before, after in ((b'": ', b'":\n'), (b"\n}", b" }"), (b"}\n", b"} ")):
        content = path.read_bytes()
        assert before in content
        path.write_bytes(content.replace(before, after, 1))
        assert check(copy) == ["dataset.json: was written anew since it was built"]
        path.write_bytes(content)


def test_any_file_removed_or_added_is_found(copy: Path) -> None:
    for path in sorted(copy.iterdir()):
        content = path.read_bytes()
        path.unlink()
        assert check(copy), path.name
        path.write_bytes(content)
    for name, words in (("shard-00007.tar", "no shard"), ("notes.txt", "no part")):
        (copy / name).write_bytes(b"")
        assert check(copy) == [f"{name}: belongs to {words} of this data set"]
        (copy / name).unlink()
    (copy / ".DS_Store").write_bytes(b"of the system, not of the data set")
    assert check(copy) == []


def test_two_workers_find_the_same(copy: Path) -> None:
    assert check(copy, workers=2) == []
    flip(copy / "shard-00001.tar", 3000)
    flip(copy / "shard-00005.json", 300)
    assert check(copy, workers=2) == check(copy) != []


def test_a_changed_picture_names_shard_and_sample(copy: Path) -> None:
    marker = json.loads((copy / "shard-00001.json").read_bytes())
    offset, size = marker["samples"][1]["members"]["image.png"]
    flip(copy / "shard-00001.tar", offset + size // 2)
    problems = check(copy)
    assert any("shard-00001.tar: bytes were changed" in one for one in problems)
    assert any("shard-00001.tar: sample 000005" in one for one in problems)


def test_missing_cut_and_extra_shards(copy: Path) -> None:
    (copy / "shard-00000.tar").unlink()
    os.truncate(copy / "shard-00001.tar", 5000)
    (copy / "shard-00099.tar").write_bytes(b"")
    problems = check(copy)
    assert "shard-00000.tar: is missing" in problems
    assert any(p.startswith("shard-00001.tar: is cut off or grown: 5000 bytes") for p in problems)
    assert "shard-00099.tar: belongs to no shard of this data set" in problems


def test_annotations_that_disagree(copy: Path) -> None:
    text = (copy / "annotations.json").read_text()
    (copy / "annotations.json").write_text(text.replace('"iscrowd":0', '"iscrowd":1', 1))
    assert "annotations.json: differs from the labels in the shards" in check(copy)


def test_an_edited_recipe_is_found_even_with_a_new_checksum(copy: Path) -> None:
    info = json.loads((copy / "dataset.json").read_bytes())
    info["recipe"]["occlusion"]["hidden"] = [0.2, 0.3]
    info["checksum"] = checksum(info)
    (copy / "dataset.json").write_bytes(canonical(info))
    assert any("the recipe was changed" in one for one in check(copy))


def write_by_hand(plan: Plan, folder: Path) -> None:
    folder.mkdir()
    claim(folder, plan.recipe, {})
    digest = recipe_hash(plan.recipe)
    for job in jobs(plan.recipe):
        samples = (make_sample(plan, i) for i in range(job.first, job.first + job.count))
        write_shard(folder, job, digest, samples)
    finish(folder, plan)


def test_leaks_between_splits_are_found(data: Path, tmp_path: Path) -> None:
    plan = open_plan(tiny_recipe(), data)
    plan.people["test"] = plan.people["train"]
    plan.occluders["val"] = plan.occluders["train"]
    write_by_hand(plan, tmp_path / "set")
    problems = check(tmp_path / "set")
    assert any("person folder:" in p and "is in train (" in p and "and test" in p for p in problems)
    assert any(
        "occluder folder:" in p and "is in train (" in p and "and val" in p for p in problems
    )
    assert all(" is in " in problem for problem in problems)


TWICE = (
    '[[people]]\nsource = "folder"\nimages = "people"\nmasks = "people-masks"\n',
    '[[occluders]]\nsource = "folder"\nimages = "people"\nmasks = "people-masks"\n',
)


@pytest.mark.parametrize("entry", TWICE)
def test_a_photo_in_two_splits_is_found_under_any_id(
    data: Path, tmp_path: Path, entry: str
) -> None:
    recipe = parse_recipe(RECIPE.format(train=14, shard_size=4) + entry, "twice")
    write_by_hand(open_plan(recipe, data), tmp_path / "sound")
    assert check(tmp_path / "sound") == []
    plan = open_plan(recipe, data)
    pools = plan.people if len(plan.person_sources) > 1 else plan.occluders
    pools["train"] = replace(pools["train"], ids=(pools["train"].ids[0], ()))
    pools["test"] = replace(pools["test"], ids=((), plan.people["train"].ids[0]))
    write_by_hand(plan, tmp_path / "leaky")
    problems = check(tmp_path / "leaky")
    assert problems and all(": photo " in one and " is in train (" in one for one in problems)


def test_the_edge_of_the_photo_is_in_every_split(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe()
    cut = Occlusion(truncate=1.0, truncated=(0.1, 0.3))
    build(recipe.model_copy(update={"occlusion": cut}), tmp_path, data, progress=False)
    ids = [one["occluder_ids"] for one in labels_of(tmp_path)]
    assert sum("frame" in some for some in ids) > len(ids) // 2
    assert check(tmp_path) == []


@pytest.mark.parametrize("fault", ["labels", "size"])
def test_what_no_reader_opens_is_found(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    large = open_plan(tiny_recipe().model_copy(update={"size": 48}), data)

    def bad(plan: Plan, index: int) -> Sample:
        if fault == "size":
            return make_sample(large, index)
        sample = make_sample(plan, index)
        return replace(sample, meta=sample.meta | {"asked_share": 7.0})

    def some(plan: Plan, index: int) -> Sample:
        return bad(plan, index) if index == 3 else make_sample(plan, index)

    monkeypatch.setattr("synth.engines.work.make_sample", some)
    build(tiny_recipe(), tmp_path, data, progress=False)
    with pytest.raises(InputError):
        Dataset.open(tmp_path).split("train")[3]
    assert any(p.startswith("shard-00000.tar: sample 000003 has ") for p in check(tmp_path))


def test_broken_invariants_are_found(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bad(plan: Plan, index: int) -> Sample:
        sample = make_sample(plan, index)
        return replace(sample, occluder=np.zeros_like(sample.occluder)) if index == 3 else sample

    monkeypatch.setattr("synth.engines.work.make_sample", bad)
    build(tiny_recipe(), tmp_path, data, progress=False)
    problems = check(tmp_path)
    assert "shard-00000.tar: sample 000003: hidden pixels that no occluder covers" in problems
    assert all("000003" in problem for problem in problems)


def test_no_data_set_is_a_problem(tmp_path: Path) -> None:
    assert "holds no data set" in check(tmp_path)[0]
    (tmp_path / "dataset.json").write_text('{"schema": 1, "recipe": 5}')
    assert "damaged" in check(tmp_path)[0]


LIMITED = """
import resource, sys
from pathlib import Path
from synth.check import check
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 28),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
print(*check(sys.argv[1]), sep="\\n")
"""


def check_in_little_room(folder: Path) -> list[str]:
    if not Path("/proc/self/statm").exists():
        pytest.skip("reads its size from /proc")
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS")}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)],
        cwd=ROOT, env={**os.environ, **threads}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


def write_info(folder: Path, info: dict) -> None:
    """A ``dataset.json`` that agrees with itself."""
    info["recipe_hash"] = stored_recipe_hash(info["recipe"])
    info["checksum"] = checksum(info)
    (folder / "dataset.json").write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n")


def test_counts_of_a_million_shards_are_refused_at_once(copy: Path) -> None:
    info = json.loads((copy / "dataset.json").read_bytes())
    info["recipe"]["counts"]["train"] = info["counts"]["train"] = 3_999_000  # a million shards
    write_info(copy, info)
    assert check_in_little_room(copy) == [
        "dataset.json: counts, shards and recipe differ; build the data set again"
    ]


def test_a_shard_that_is_not_listed_is_a_problem_beside_others(copy: Path) -> None:
    info = json.loads((copy / "dataset.json").read_bytes())
    info["shards"].pop()
    (copy / "dataset.json").write_text(json.dumps(info, indent=1, ensure_ascii=False) + "\n")
    assert check(copy) == [
        "dataset.json: was changed since it was built",
        "dataset.json: counts, shards and recipe differ; build the data set again",
    ]


@pytest.mark.parametrize("place", [[0, 10**15], [10**15, 5], [0, 10**10], [-1, 5]])
def test_nothing_is_read_on_the_word_of_an_index(copy: Path, place: list[int]) -> None:
    path = copy / "shard-00000.json"
    marker = json.loads(path.read_bytes())
    marker["samples"][0]["members"]["json"] = place
    del marker["seal"]
    path.write_bytes(sealed(marker))
    problems = check_in_little_room(copy)
    assert "shard-00000.tar: sample 000000 does not lie where the index says" in problems
    assert (
        "annotations.json: cannot be compared with the shards "
        "(the index has its json outside the shard)" in problems
    )


def header(kind: bytes, size: bytes) -> bytes:
    """The header of a tar file's member of a kind, which claims a size."""
    content = bytearray(tarfile.TarInfo("000000.json").tobuf(tarfile.USTAR_FORMAT)[:512])
    content[156:157], content[124:136] = kind, size.rjust(12, b"\0")
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content)
    return bytes(content)


HUGE = b"\x80" + (10**15).to_bytes(11, "big")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header(b"0", HUGE), "000000.json is cut off"),
        (header(b"0", b"77777777777\0"), "000000.json is cut off"),
        (header(b"L", HUGE), "no readable tar file"),
        (header(b"x", HUGE), "no readable tar file"),
        (header(b"1", b"0\0"), "000000.json is no file"),
        (header(b"2", b"0\0"), "000000.json is no file"),
        (header(b"L", b"0\0") * 3000, "no readable tar file"),
    ],
)
def test_tar_headers_that_lie_are_faults_of_their_shard(
    copy: Path, content: bytes, words: str
) -> None:
    shard = copy / "shard-00000.tar"
    old = shard.read_bytes()
    new = io.BytesIO(old)
    new.write(content)
    shard.write_bytes(new.getvalue())
    info = json.loads((copy / "dataset.json").read_bytes())
    info["shards"][0]["bytes"] = len(new.getvalue())
    write_info(copy, info)
    problems = check_in_little_room(copy)
    assert any(p.startswith("shard-00000.tar: ") and words in p for p in problems), problems

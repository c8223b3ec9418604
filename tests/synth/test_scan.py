"""The cache of scans: it saves time, and whatever befalls it changes nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from synth.errors import InputError
from synth.sources.base import Rejection
from synth.sources.scan import Scan, cache_folder, scan
from tests.synth.tiny import ROOT

OLD = 10**18  # nanoseconds: September 2001, long settled


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "scan"


def put(path: Path, content: bytes, mtime: int = OLD) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime, mtime))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for name, content in (("a", b"good a"), ("b", b"bad b"), ("deep/c", b"good c")):
        put(folder / name, content)
    return folder


class Reader:
    """Keeps the files that begin with "good"; counts how often it had to look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self, root: Path, kind: str = "test-1", **settings: object) -> Scan:
        files = [path for path in root.rglob("*") if path.is_file()]

        def examine() -> tuple[list[str], list[Rejection]]:
            self.looks += 1
            names = sorted(path.relative_to(root).as_posix() for path in files)
            good = [name for name in names if (root / name).read_bytes().startswith(b"good")]
            return good, [Rejection(name, "bad") for name in names if name not in good]

        return scan(kind, settings, root, files, examine)


def test_the_second_look_is_the_caches(root: Path) -> None:
    read = Reader()
    first = read(root)
    assert first.kept == ("a", "deep/c") and first.rejected == (Rejection("b", "bad"),)
    assert read(root) == first and read.looks == 1


CHANGES: dict[str, Callable[[Path], object]] = {
    "content of the same size, new time": lambda root: put(root / "a", b"evil a", OLD + 1),
    "content of another size, old time": lambda root: put(root / "a", b"evil aa"),
    "a file more": lambda root: put(root / "d", b"good d"),
    "a file less": lambda root: (root / "deep" / "c").unlink(),
    "another name": lambda root: (root / "a").rename(root / "z"),
    "two names swapped": lambda root: (put(root / "a", b"bad b"), put(root / "b", b"good a")),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_looked_at_and_changes_the_digest(root: Path, change: str) -> None:
    read = Reader()
    before = read(root)
    CHANGES[change](root)
    after = read(root)
    assert read.looks == 2 and after.digest != before.digest
    shutil.rmtree(cache_folder())
    assert Reader()(root) == after, "an old hash was taken for a changed file"


def test_a_new_time_alone_costs_a_look_and_keeps_the_digest(root: Path) -> None:
    read = Reader()
    before = read(root)
    put(root / "a", b"good a", OLD + 1)
    assert read(root) == before and read.looks == 2


def test_other_rules_are_another_scan_of_the_same_input(root: Path) -> None:
    read = Reader()
    digests = {read(root).digest, read(root, "test-2").digest, read(root, limit=3).digest}
    assert read.looks == 3 and len(digests) == 1
    for again in (lambda: read(root), lambda: read(root, "test-2"), lambda: read(root, limit=3)):
        again()
    assert read.looks == 3


def test_the_digest_is_the_same_wherever_the_folder_lies(root: Path, tmp_path: Path) -> None:
    digest = Reader()(root).digest
    elsewhere = tmp_path / "far" / "away"
    shutil.copytree(root, elsewhere)
    assert Reader()(elsewhere).digest == digest
    link = tmp_path / "link"
    link.symlink_to(root)
    assert Reader()(link).digest == digest


def test_the_digest_does_not_go_by_the_order_of_the_files(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    orders = (files, files[::-1], files + files, [Path(os.path.relpath(file)) for file in files])
    found = set()
    for number, order in enumerate(orders):
        monkeypatch.setenv("HDEOCC_CACHE", str(root.parent / f"cache-{number}"))
        found.add(scan("test-1", {}, root, order, lambda: ([], [])).digest)
    assert len(found) == 1


def damage(cache: Path, how: Callable[[bytes], bytes]) -> None:
    files = list(cache.iterdir())
    assert len(files) == 2, "a scan and the hashes"
    for file in files:
        file.write_bytes(how(file.read_bytes()))


def flipped(content: bytes, place: int) -> bytes:
    place %= len(content)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "garbage": lambda content: bytes(range(256)) * 9,
    "another json": lambda content: b'{"key": 1, "scan": [], "checksum": null}\n',
    "deep json": lambda content: b"[" * 100_000,
    "a forged list": lambda content: content.replace(b'"deep/c"', b'"b"'),
    **{f"cut to {k}/7": (lambda content, k=k: content[: len(content) * k // 7]) for k in range(7)},
    **{f"bit {k} flipped": (lambda content, k=k: flipped(content, k)) for k in range(3, 900, 41)},
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_cache_costs_a_look_and_nothing_else(root: Path, cache: Path, how: str) -> None:
    whole = Reader()(root)
    damage(cache, DAMAGE[how])
    assert Reader()(root) == whole
    put(root / "d", b"good d")
    fresh = Reader()(root)
    damage(cache, DAMAGE[how])
    put(root / "d", b"good d", OLD + 1)  # the scan is of no use now, the hashes of the rest are
    assert Reader()(root) == fresh
    read = Reader()
    assert read(root) == fresh and read.looks == 0, "the damage was not mended"


def test_a_cache_that_cannot_be_written_costs_time_only(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Reader()(root)
    (tmp_path / "file").write_bytes(b"in the way")
    for place in (tmp_path / "file", Path("/proc/none"), tmp_path / ("x" * 300)):
        monkeypatch.setenv("HDEOCC_CACHE", str(place))
        assert Reader()(root) == whole


def test_folders_where_the_cache_has_files_do_no_harm(root: Path, cache: Path) -> None:
    whole = Reader()(root)
    for file in list(cache.iterdir()):
        file.unlink()
        file.mkdir()
    assert Reader()(root) == whole


def test_a_file_changed_just_now_may_change_again_unseen(root: Path) -> None:
    read = Reader()
    state = (root / "a").stat()
    (root / "a").write_bytes(b"good z")
    first = read(root)
    now = (root / "a").stat().st_mtime_ns
    put(root / "a", b"evil z", now)  # within a tick of a coarse clock: same size, same time
    second = read(root)
    assert read.looks == 2 and first.digest != second.digest and second.kept == ("deep/c",)
    assert state.st_size == (root / "a").stat().st_size


def test_a_look_that_fails_leaves_no_scan(root: Path, cache: Path) -> None:
    def examine() -> tuple[list[str], list[Rejection]]:
        raise InputError("no")

    with pytest.raises(InputError):
        scan("test-1", {}, root, [root / "a"], examine)
    assert not list(cache.glob("*.json"))


WORKER = """
import sys
from pathlib import Path
from synth.sources.base import Rejection
from synth.sources.scan import scan
root = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
files = sorted(path for path in root.rglob("*") if path.is_file())
found = set()
for number in range(60):
    kept = [f"{path.name} {int(sys.argv[2])}" for path in files]
    rules = {"mine": sys.argv[2]} if number % 2 else {"everybody's": number % 5}
    kept = kept if number % 2 else ["same"]
    one = scan("test-1", rules, root, files, lambda: (kept, [Rejection("x", "bad")]))
    assert list(one.kept) == kept, one.kept
    found.add(one.digest)
print(*found)
"""


def test_processes_may_scan_at_the_same_time(root: Path, cache: Path) -> None:
    for number in range(40):
        put(root / f"more-{number}", b"good")
    digest = Reader()(root).digest
    shutil.rmtree(cache)
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(root), str(number)],
            env={**os.environ, "PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and said.split() == [digest]
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]
    assert Reader()(root).digest == digest

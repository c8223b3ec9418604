"""Interrupted builds: killed at a chosen point, a worker killed, and what must hold afterwards."""

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from synth.recipe import Recipe
from tests.synth.tiny import start_synth

# Kinds of moments: before and after a file takes its name, and in the middle of a shard.
BEFORE, AFTER, SAMPLE = "before a rename", "after a rename", "before a sample"
_SECONDS = 60


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a data set with its content."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def finished_files(folder: Path) -> dict[str, tuple[int, int]]:
    """Which file it is, and when it was written, of each shard that has a marker."""
    done = [p for p in folder.glob("shard-*.tar") if p.with_suffix(".json").exists()]
    both = [path for tar in done for path in (tar, tar.with_suffix(".json"))]
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in both}


def assert_not_done_again(folder: Path, before: dict[str, tuple[int, int]]) -> None:
    """The shards that were finished before are the same files still."""
    after = finished_files(folder)
    assert {name: after[name] for name in before} == before


def die_at(moment: tuple[str, int], recipe: Recipe, out: Path, data: Path) -> bool:
    """Build in a process of its own that kills itself with SIGKILL at the n-th such moment.

    Returns whether it came to that; False where the build was over before.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.synth.scenarios", "synth.build", "synth.sources.open"])
    process = context.Process(target=_build_and_die, args=(moment, recipe, out, data))
    process.start()
    process.join(_SECONDS)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def _build_and_die(moment: tuple[str, int], recipe: Recipe, out: Path, data: Path) -> None:
    from synth.build import build
    from synth.engines import work

    kind, number = moment
    count, rename, make = 0, os.replace, work.make_sample

    def counted() -> bool:
        nonlocal count
        count += 1
        return count == number

    def renamed(source: Any, target: Any) -> None:
        now = Path(target).parent == out and counted()
        if now and kind == BEFORE:
            _die()
        rename(source, target)
        if now:
            _die()

    def made(plan: Any, index: int) -> Any:
        if counted():
            _die()
        return make(plan, index)

    if kind == SAMPLE:
        work.make_sample = made
    else:
        os.replace = renamed  # type: ignore[assignment]
    build(recipe, out, data, progress=False)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Running:
    """A build by command line in a process group of its own."""

    def __init__(self, toml: Path, out: Path, data: Path, *options: object) -> None:
        self.out = out
        self.process = start_synth("build", toml, "--out", out, "--data", data, *options)

    def wait_for(self, what: Callable[[], bool]) -> None:
        """Until that is true; the build must not end before."""
        deadline = time.monotonic() + _SECONDS
        while not what():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def wait_for_file(self, pattern: str) -> None:
        """Until the folder has such a file."""
        self.wait_for(lambda: self.out.is_dir() and any(self.out.glob(pattern)))

    def kill_a_worker(self) -> None:
        """SIGKILL to whoever writes a shard now: temporary names hold the process id."""
        self.wait_for_file("shard-00001.json")
        victims: list[Path] = []
        while not victims:
            self.wait_for_file(".tmp-*.tar")
            victims = list(self.out.glob(".tmp-*.tar"))
        pid = int(victims[0].name.removeprefix(".tmp-").split("-")[1])
        assert pid != self.process.pid
        os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """SIGKILL to the command, but not to its workers; they end by themselves."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, code: int) -> str:
        """Wait for the end with that exit code; what the command printed on standard error."""
        try:
            _, errors = self.process.communicate(timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail(f"the build hangs: {self.process.communicate()}")
        assert self.process.returncode == code, errors
        assert "Traceback" not in errors
        return str(errors)


def message_in(errors: str) -> str:
    """The one line that a command said beside its progress bar."""
    lines = [line.split("\r")[-1].strip() for line in errors.splitlines()]
    said = [line for line in lines if line and not line.endswith(("sample/s]", "/sample]"))]
    assert len(said) == 1, errors
    return said[0]

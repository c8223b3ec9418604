"""Memory does not grow with the number of samples: measured in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.synth.tiny import RECIPE, ROOT

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux' /proc"
)
SHARD = 50
LIMIT_MB = 8  # the allocator's whims, and the markers that the contact sheet keeps

BUILD = """
import sys
from synth.build import build
from synth.recipe import load_recipe
build(load_recipe(sys.argv[1]), sys.argv[2], sys.argv[3], progress=False)
"""
CHECK = """
import sys
from synth.check import check
assert check(sys.argv[1]) == []
"""
# Not ru_maxrss: a process begins with that of the one that started it, here all of pytest's.
PEAK = """
status = open("/proc/self/status").read()
print(status.split("VmHWM:")[1].split()[0])
"""


def peak_mb(code: str, *arguments: object) -> float:
    """Peak of resident memory of a Python process, in MB (2**20 bytes)."""
    shown = subprocess.run(
        [sys.executable, "-c", code + PEAK, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return int(shown.stdout) / 2**10


def peaks(samples: int, data: Path, folder: Path) -> dict[str, float]:
    """Peaks in MB of building and of checking a data set of that many samples."""
    toml, out = folder / f"{samples}.toml", folder / str(samples)
    toml.write_text(RECIPE.format(train=samples - 10, shard_size=SHARD))
    return {"build": peak_mb(BUILD, toml, out, data), "check": peak_mb(CHECK, out)}


def assert_flat(few: int, many: int, data: Path, folder: Path) -> None:
    small, large = peaks(few, data, folder), peaks(many, data, folder)
    for what, before in small.items():
        print(f"{what}: {before:.1f} MB at {few} samples, {large[what]:.1f} MB at {many}")
        assert large[what] - before < LIMIT_MB


def test_memory_is_flat_up_to_two_thousand_samples(data: Path, tmp_path: Path) -> None:
    assert_flat(200, 2000, data, tmp_path)


@pytest.mark.slow
def test_memory_is_flat_up_to_twenty_thousand_samples(data: Path, tmp_path: Path) -> None:
    assert_flat(200, 20_000, data, tmp_path)

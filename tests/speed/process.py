"""Training steps measured in a process of their own, because of the memory."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def training_steps(
    key: str, preset: str, pixels: int, batch: int, steps: int, precision: str
) -> dict[str, Any]:
    """What ``tests.speed.training_step`` found: milliseconds of each step, peak megabytes."""
    words = [key, preset, f"{pixels}", f"{batch}", f"{steps}", precision]
    done = subprocess.run(
        [sys.executable, "-m", "tests.speed.training_step", *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found

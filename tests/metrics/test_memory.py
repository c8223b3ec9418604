"""Memory of scoring does not grow with the number of samples: measured in processes of their own.

Inception is replaced by a projection, since a network's memory is the same for every photo and
thousands of photos take long; everything else is what really runs.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDING_MB = 16  # the numbers of each sample, and the allocator's whims
# Two sets of fewer than 2048 features, the matrix of their products, and work space of the solver.
FINISHING_MB = 260

SCORE = """
import re, sys
from pathlib import Path
import numpy as np
from metrics.scoring import SetScorer, load_networks
from metrics.truth import Prediction
from tests.metrics.cases import real_truth

class Projection:
    table = np.random.default_rng(0).normal(size=(3 * 192, 2048)).astype(np.float32)
    def features(self, photos):
        return photos[:, ::8, ::8].reshape(len(photos), -1)[:, : 3 * 192] / 255 @ self.table

def peak():
    # Not getrusage: its maximum is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", status).group(1)) / 1024

networks = load_networks()
networks.inception = Projection()
rng, scorer = np.random.default_rng(1), SetScorer("full", networks)
for number in range(int(sys.argv[1])):
    clean, photo = rng.integers(0, 256, (2, 128, 96, 3)).astype(np.uint8)
    truth = real_truth(number, clean, people=number + 1)
    scorer.add(truth, Prediction(truth.amodal, photo, truth.parsing))
added = peak()
scorer.finish()
print(added, peak())
"""


def peaks(samples: int) -> tuple[float, float]:
    """Peak of resident memory in MB (2**20 bytes) before and after `finish`."""
    shown = subprocess.run(
        [sys.executable, "-c", SCORE, str(samples)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    added, finished = (float(number) for number in shown.stdout.split())
    print(f"{samples} samples: {added:.0f} MB while adding, {finished:.0f} MB at the end")
    return added, finished


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
def test_memory_of_adding_is_flat_and_that_of_finishing_is_bounded(installed_weights):
    few, many, more = peaks(200), peaks(2000), peaks(3000)
    assert many[0] - few[0] < ADDING_MB and more[0] - many[0] < ADDING_MB
    assert many[1] - many[0] < FINISHING_MB and more[1] - more[0] < FINISHING_MB

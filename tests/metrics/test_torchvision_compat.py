"""Each case in a fresh process, since operators cannot be taken back."""

import subprocess
import sys


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_imports_after_it_and_it_may_come_twice():
    code = """
from metrics import torchvision_compat as compat
assert compat.declare_missing_operators() == []
import gc; gc.collect()
import torchvision, lpips, pytorch_fid.inception
assert all(compat.declared(name) for name in compat.SCHEMAS)
assert compat.declare_missing_operators() == []
print(torchvision.models.alexnet.__name__)
"""
    assert _run(code) == "alexnet"


def test_operators_that_are_there_are_left_alone():
    code = """
import torch
real = torch.library.Library("torchvision", "DEF")
real.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
real.impl("nms", lambda dets, scores, iou_threshold: scores + 1, "CPU")
from metrics import torchvision_compat as compat
assert compat._library is None
print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).item())
"""
    assert _run(code) == "1.0"

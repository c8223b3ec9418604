"""What a number was made with: code, libraries, device."""

import platform
import subprocess
from functools import cache
from pathlib import Path

import torch

from synth.versions import versions_of

LIBRARIES = ("torch", "torchvision", "numpy", "opencv-python-headless", "scikit-image", "lpips")


def code_version() -> str:
    """Package version, and the git commit where the code runs from a clone ("+" if changed)."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    release = versions_of(["hdeocc"]).get("hdeocc", "unknown")
    if not commit:
        return release
    return f"{release} ({commit}{'+' if _git('status', '--porcelain', '-uno') else ''})"


@cache
def _git(*arguments: str) -> str:
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def library_versions(*more: str) -> dict[str, str]:
    """Versions of Python, of the libraries that decide numbers, and of more if they are there."""
    return versions_of((*LIBRARIES, *more))


def device_name(device: torch.device | str) -> str:
    """What a person calls the device, e.g. "Intel(R) Xeon(R) CPU, 2 threads"."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    threads = torch.get_num_threads()
    return f"{_processor()}, {threads} thread{'s' if threads > 1 else ''}"


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return (named or [platform.processor() or platform.machine()])[0]

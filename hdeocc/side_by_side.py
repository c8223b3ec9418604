"""A result at a glance: the photo, the whole person, the painted photo and the cut-out in a row."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hdeocc.crops import Window, person_box
from hdeocc.whole_person import WholePerson

TITLES = ("photo, visible part", "whole person", "hidden part painted", "cut-out")
_HEIGHT, _WIDTH = 440, 600  # pixels of a picture, which fills one of the two
_SLIMMEST = 0.7  # width over height; of a slim person more of the photo is shown
_GAP, _HEAD, _FONT = 10, 30, 17
_PAPER, _INK = (255, 255, 255), (28, 31, 36)
# Told apart by colour-blind readers as well (after Okabe and Ito).
_LINE, _HIDDEN = (255, 255, 255), (222, 64, 30)
_STRENGTH, _DIMMED = 0.6, 0.38
_SQUARES, _LIGHT, _DARK = 12, 232, 200
_AROUND = 0.3  # of the person's box, what is shown of the photo around it


def side_by_side(person: WholePerson, photo: np.ndarray, name: str = "") -> np.ndarray:
    """The four pictures of one person in a row with titles, (H, W, 3) uint8 RGB.

    Args:
        photo: the photo that ``person`` is of, (H, W, 3) uint8 RGB.
        name: written first, such as "1: "; empty where there is only one.
    """
    view = _view(person.amodal | person.modal)
    shape = photo[view].shape[:2]
    scale = min(_HEIGHT / shape[0], _WIDTH / shape[1])
    size = max(round(shape[1] * scale), 1), max(round(shape[0] * scale), 1)
    small = [_scaled(picture[view], size) for picture in (photo, person.recovered)]
    modal, amodal = (_scaled_mask(mask[view], size) for mask in (person.modal, person.amodal))
    pictures = (
        _outlined(small[0], modal),
        _coloured(small[0], modal, amodal),
        small[1],
        _on_checks(small[1], _scaled_soft(person.amodal[view], size)),
    )
    about = f"{TITLES[1]}, {person.hidden_share:.0%} hidden"
    return _row(pictures, (f"{name}{TITLES[0]}", about, TITLES[2], TITLES[3]))


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures (H, W, 3) uint8 below one another, on paper."""
    width = max(row.shape[1] for row in rows)
    padded = [
        cv2.copyMakeBorder(
            row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=(255,) * 3
        )
        for row in rows
    ]
    return np.vstack(padded)


def _view(mask: np.ndarray) -> Window:
    """The photo around a person, at most the whole of it."""
    left, top, width, height = person_box(mask)
    reach = round(_AROUND * max(width, height)) + 2
    rows = slice(max(top - reach, 0), min(top + height + reach, mask.shape[0]))
    wanted = max(width + 2 * reach, round(_SLIMMEST * (rows.stop - rows.start)))
    start = max(left + width // 2 - wanted // 2, 0)
    stop = min(start + wanted, mask.shape[1])
    return rows, slice(max(min(start, stop - wanted), 0), stop)


def _scaled(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    way = cv2.INTER_AREA if size[0] < picture.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=way))


def _scaled_soft(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    way = cv2.INTER_AREA if size[0] < mask.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=way))


def _scaled_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(_scaled_soft(mask, size) >= 0.5)


def _outlined(photo: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The photo with a light line with dark edges around a mask."""
    canvas = photo.copy()
    _draw(canvas, mask, (0, 0, 0), 4)
    _draw(canvas, mask, _LINE, 2)
    return canvas


def _coloured(photo: np.ndarray, modal: np.ndarray, amodal: np.ndarray) -> np.ndarray:
    """The visible person in the photo's colours, the hidden part tinted, the rest dim and grey."""
    canvas = photo.astype(np.float32)
    grey = canvas.mean(axis=2, keepdims=True) * _DIMMED + 18
    canvas = np.where(amodal[..., None], canvas, grey).astype(np.float32)
    hidden = amodal & ~modal
    tint = np.array(_HIDDEN, np.float32)
    canvas[hidden] = (1 - _STRENGTH) * canvas[hidden] + _STRENGTH * tint
    picture = np.rint(canvas.clip(0, 255)).astype(np.uint8)
    _draw(picture, amodal, _LINE, 1)
    return picture


def _on_checks(photo: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The photo where ``alpha`` (H, W) is 1, grey checks where it is 0."""
    y, x = np.indices(alpha.shape) // _SQUARES
    checks = np.where((x + y) % 2, _LIGHT, _DARK).astype(np.float32)[..., None]
    mixed = alpha[..., None] * photo + (1 - alpha[..., None]) * checks
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def _draw(canvas: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], width: int) -> None:
    outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(canvas, outline, -1, colour, width, cv2.LINE_AA)


def _row(pictures: Sequence[np.ndarray], titles: Sequence[str]) -> np.ndarray:
    height, wide = pictures[0].shape[:2]
    font = ImageFont.load_default(_FONT)
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    column = max([wide, *(int(measure.textlength(title, font)) + 1 for title in titles)])
    size = (len(titles) * (column + _GAP) + _GAP, height + _HEAD + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        left = _GAP + number * (column + _GAP)
        draw.text((left, 6), title, _INK, font)
        sheet.paste(Image.fromarray(picture), (left, _HEAD))
    return np.asarray(sheet)

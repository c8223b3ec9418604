"""The contact sheet: one PNG, a row a person, columns for input, methods and truth."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from leaderboards.folder import Folder
from leaderboards.gallery import Shot, Strip, strips
from leaderboards.pictures import Picture, encode_png
from leaderboards.tables import TRACK_TITLES, Table
from synth.atomic import write_bytes
from synth.sample import Sample

SIDE = 128
GAP = 6
MARGIN = 24
HEAD = 46
BLOCK_GAP = 30
PAPER = (255, 255, 255)
INK = (28, 31, 36)
SOFT = (110, 116, 125)
BEST = (0, 140, 95)


def write_sheet(path: Path, tables: list[Table], folder: Folder, samples: list[Sample]) -> None:
    """Draw the tables' pictures side by side, each with its method and score."""
    blocks = [(table, list(strips(table, folder, samples, SIDE))) for table in tables]
    blocks = [(table, rows) for table, rows in blocks if rows]
    if blocks:
        write_bytes(path, encode_png(draw_sheet(blocks)))


def draw_sheet(blocks: list[tuple[Table, list[Strip]]]) -> Picture:
    """The sheet as an (H, W, 3) uint8 picture; the blocks stand side by side."""
    widths = [_width(rows) for _, rows in blocks]
    height = 2 * MARGIN + HEAD + max(len(rows) for _, rows in blocks) * _row_height()
    width = 2 * MARGIN + sum(widths) + BLOCK_GAP * (len(blocks) - 1)
    image = Image.new("RGB", (width, height), PAPER)
    left = MARGIN
    for (table, rows), block_width in zip(blocks, widths, strict=True):
        _block(image, left, table, rows)
        left += block_width + BLOCK_GAP
    return np.asarray(image, np.uint8)


def _width(rows: list[Strip]) -> int:
    columns = max(len(row.shots) for row in rows)
    return columns * (SIDE + GAP) - GAP


def _row_height() -> int:
    return SIDE + 22 + GAP


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _block(image: Image.Image, left: int, table: Table, rows: list[Strip]) -> None:
    draw = ImageDraw.Draw(image)
    draw.text((left, MARGIN - 4), TRACK_TITLES[table.track], INK, _font(17))
    for column, shot in enumerate(rows[0].shots):
        place = (left + column * (SIDE + GAP), MARGIN + 24)
        draw.text(place, _fitting(draw, shot.title, 13), INK, _font(13))
    for number, row in enumerate(rows):
        top = MARGIN + HEAD + number * _row_height()
        for column, shot in enumerate(row.shots):
            _shot(image, left + column * (SIDE + GAP), top, row, shot)


def _fitting(draw: ImageDraw.ImageDraw, text: str, size: int) -> str:
    """The text, cut with an ellipsis to the width of a picture."""
    if draw.textlength(text, _font(size)) <= SIDE:
        return text
    while text and draw.textlength(text + "…", _font(size)) > SIDE:
        text = text[:-1]
    return text.rstrip() + "…"


def _shot(image: Image.Image, left: int, top: int, row: Strip, shot: Shot) -> None:
    draw = ImageDraw.Draw(image)
    image.paste(Image.fromarray(shot.picture), (left, top))
    if shot.best:
        draw.rectangle((left - 2, top - 2, left + SIDE + 1, top + SIDE + 1), outline=BEST, width=2)
    text = shot.score.split(" · ")[0]
    if shot.kind == "input":
        text = f"{row.sample_id} · {row.hidden_share:.0%} hidden"
    draw.text((left, top + SIDE + 3), text, BEST if shot.best else SOFT, _font(11))

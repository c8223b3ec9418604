"""Ten people before and after: the picture in the README, and the photos it starts from.

    python docs/ten_people/draw.py --out out/ten-people [--model MODEL]

writes every photo as it is given to the model (NAME.png, with NAME-visible.png) and figure.jpg.
Nine people are hidden by a built-in object that is laid where the table below says, so that the
truth is known; the tenth is hidden by her own helmet, and nobody knows the truth.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hdeocc.crops import person_box
from hdeocc.pipeline import Deoccluder
from hdeocc.whole_person import WholePerson
from leaderboards.overlay import CORRECT, DIMMED, MISSED, STRENGTH, TOO_MUCH
from metrics.masks import invisible_iou
from synth.blend.edges import feather, resize_cutout
from synth.blend.layer import covered, onto_canvas, paste
from synth.images import read_mask, read_rgb
from synth.people.occluders import draw_occluder

HERE = Path(__file__).parent
SIDE, HEAD, GAP, SHOTS = 168, 22, 6, 4
AROUND = 1.2  # sides of the person's box that a picture shows
DRAWN = 256  # pixels an object is drawn in before it is laid
TITLES = ("photo", "found", "recovered", "without the object")


@dataclass(frozen=True)
class Hidden:
    """A photo, and the object that hides its person: number, left, top and width in pixels."""

    name: str
    title: str
    number: int = 0
    left: int = 0
    top: int = 0
    width: int = 0


PEOPLE = (
    Hidden("walker", "suitcase", 18, 100, 190, 90),
    Hidden("grey", "bush", 21, 35, 150, 80),
    Hidden("man", "box", 27, 35, 160, 64),
    Hidden("log", "bench", 16, 70, 300, 240),
    Hidden("stairs", "suitcase", 20, 60, 150, 90),
    Hidden("cameraman", "sign", 19, 100, 250, 170),
    Hidden("hopper", "grass", 24, 110, 300, 260),
    Hidden("portrait", "bush", 21, 210, 330, 240),
    Hidden("tourist", "bin", 5, 330, 240, 160),
    Hidden("astronaut", "helmet"),
)


@dataclass(frozen=True, eq=False)
class Scene:
    """What the model is given, and what it is measured by: arrays of the photo's H x W pixels."""

    clean: np.ndarray
    photo: np.ndarray
    whole: np.ndarray
    visible: np.ndarray


def scene(person: Hidden) -> Scene:
    """The photo of a person with the object in front."""
    clean = read_rgb(HERE / f"{person.name}.jpg")
    whole = read_mask(HERE / f"{person.name}-visible.png")
    if not person.width:
        return Scene(clean, clean, whole, whole)
    thing = draw_occluder(np.random.default_rng(person.number), DRAWN).rgba
    height = round(person.width * thing.shape[0] / thing.shape[1])
    colours, alpha = resize_cutout(thing, person.width, height)
    rows, columns = clean.shape[:2]
    size = max(rows, columns)
    soft = feather(alpha, coarse=False)
    layer = onto_canvas(colours, soft, person.left, person.top, size, (0, 0, columns, rows))
    hidden = covered(layer, size)[:rows, :columns]
    return Scene(clean, paste(clean, layer), whole, whole & ~hidden)


def shots(person: Hidden, seen: Scene, found: WholePerson) -> Iterator[np.ndarray]:
    """The pictures of one person."""
    truth_known = person.width > 0
    yield seen.photo
    canvas = seen.photo * np.float32(DIMMED)
    canvas[seen.visible] = seen.photo[seen.visible]
    hidden = seen.whole & ~seen.visible
    right = found.invisible & hidden if truth_known else found.invisible
    for mask, colour in (
        (right, CORRECT),
        (hidden & ~found.amodal, MISSED),
        (found.invisible & ~right, TOO_MUCH),
    ):
        canvas[mask] = (1 - STRENGTH) * seen.photo[mask] + STRENGTH * np.array(colour)
    yield canvas.astype(np.uint8)
    yield found.recovered
    yield seen.clean if truth_known else np.full_like(seen.clean, 245)


def framed(picture: np.ndarray, mask: np.ndarray) -> Image.Image:
    """A square about a mask, as far as the photo goes."""
    left, top, width, height = person_box(mask)
    side = max(round(AROUND * max(width, height)), 1)
    x, y = left + width // 2 - side // 2, top + height // 2 - side // 2
    padded = cv2.copyMakeBorder(
        picture, side, side, side, side, cv2.BORDER_CONSTANT, value=(255,) * 3
    )
    square = padded[y + side : y + 2 * side, x + side : x + 2 * side]
    return Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def figure(rows: list[tuple[str, list[Image.Image]]]) -> Image.Image:
    """Two people in a row."""
    block = SHOTS * (SIDE + GAP) + 3 * GAP
    high = SIDE + HEAD + GAP
    sheet = Image.new("RGB", (2 * block - 2 * GAP, high * ((len(rows) + 1) // 2)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (title, pictures) in enumerate(rows):
        left, top = block * (number % 2), high * (number // 2)
        for column, picture in enumerate(pictures):
            place = left + column * (SIDE + GAP)
            words = title if column == 1 else TITLES[column]
            draw.text((place + 2, top + 3), words, (28, 31, 36), font)
            sheet.paste(picture, (place, top + HEAD))
    return sheet


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--model", help="A trained model [default: the built-in one].")
def main(out: Path, model: str | None) -> None:
    """Draw ten people before and after into OUT."""
    deoccluder = Deoccluder.from_pretrained(model, "cpu")
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for person in PEOPLE:
        seen = scene(person)
        Image.fromarray(seen.photo).save(out / f"{person.name}.png")
        Image.fromarray(seen.visible).save(out / f"{person.name}-visible.png")
        found = deoccluder(seen.photo, seen.visible)
        words = "found (truth unknown)"
        if person.width:
            share = 1 - seen.visible.sum() / seen.whole.sum()
            iou = invisible_iou(found.amodal, seen.whole, seen.visible)
            words = f"{share:.0%} hidden, IoU {iou:.2f}"
        click.echo(f"{person.name} behind a {person.title}: {words}")
        frame = seen.whole | found.amodal
        rows.append((words, [framed(shot, frame) for shot in shots(person, seen, found)]))
    figure(rows).save(out / "figure.jpg", quality=88)
    click.echo(out / "figure.jpg")


if __name__ == "__main__":
    main()

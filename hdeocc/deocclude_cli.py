"""The command `hdeocc deocclude`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.errors import InputError, one_line

if TYPE_CHECKING:
    import numpy as np
    import torch

    from hdeocc.detector import Detector
    from hdeocc.person_masks import Visible
    from hdeocc.pipeline import Deoccluder
    from hdeocc.whole_person import WholePerson

path = click.Path(path_type=Path)
# Less of a person beyond the photo's edge is within the error.
_WORTH_A_WORD = 0.02


@click.command(context_settings={"max_content_width": 100})
@click.argument("photo", type=path)
@click.option("--mask", "masks", type=path, multiple=True, help="Picture of the photo's size, "
              "white where a person is visible; again for the next person.")  # fmt: skip
@click.option("--box", "boxes", multiple=True, metavar="X,Y,W,H", help="Or a rectangle around the "
              "visible part, in pixels; again for the next person.")  # fmt: skip
@click.option("--out", type=path, help="Folder of the result [default: PHOTO-deoccluded, here].")
@click.option("--model", help="Folder with mask/ and content/, output of a benchmark run, or "
              "owner/name on the Hugging Face hub [default: the built-in model].")  # fmt: skip
@click.option("--segmenter", type=path, help="Weights of torchvision's maskrcnn_resnet50_fpn_v2 "
              "[default: those in its cache or ours].")  # fmt: skip
@click.option("--score", type=click.FloatRange(0, 1), default=0.7, show_default=True,
              help="Least score of people that Mask R-CNN finds.")  # fmt: skip
@click.option("--device", help="As cpu or cuda [default: a GPU where there is one].")
def deocclude(
    photo: Path,
    masks: tuple[Path, ...],
    boxes: tuple[str, ...],
    out: Path | None,
    model: str | None,
    segmenter: Path | None,
    score: float,
    device: str | None,
) -> None:
    """Complete the people of PHOTO: find their whole shape and paint what is hidden.

    Without --mask and --box everybody is taken whom Mask R-CNN finds, if its weights are there.
    Writes amodal.png (the whole person), parsing.png (body parts, LIP-20), person.png (cut-out
    with transparency), recovered.png (the photo, only the hidden part painted), side-by-side.png
    and result.json; for several people one folder each, person-1 and so on, and all.png. A result
    of an earlier call is replaced, any other folder refused.

    \b
    Examples:
      hdeocc deocclude street.jpg --mask anna.png
      hdeocc deocclude street.jpg --box 120,40,200,380 --out out/anna
      hdeocc deocclude street.jpg --mask anna.png --mask ben.png --model my-model
    """
    from hdeocc.deocclude_result import facts_of_run
    from hdeocc.model_folder import load_pair
    from hdeocc.pipeline import Deoccluder
    from hdeocc.result_folder import check_target
    from synth.images import read_rgb

    target = check_target(out or Path(f"{photo.stem}-deoccluded"))
    where = _device(device)
    image = read_rgb(photo)
    pair = load_pair(model)
    detector = _detector(segmenter, score, where, bool(masks), bool(boxes))
    people = _visible(image, photo, masks, boxes, detector)
    deoccluder = Deoccluder.from_pair(pair, where)
    _write(target, facts_of_run(photo, image.shape, pair), image, people, deoccluder)
    click.echo(one_line(f"Result: {out or target.name}"))


def _device(name: str | None) -> "torch.device | None":
    """The asked device, tried out; None where none was asked."""
    if name is None:
        return None
    import torch

    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    # What torch raises depends on the device: RuntimeError, AssertionError, NotImplementedError.
    except Exception as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError(f"--device {name}: cannot be used ({reason}); give cpu") from None
    return device


def _detector(
    given: Path | None, score: float, device: "torch.device | None", masks: bool, boxes: bool
) -> "Detector | None":
    """Mask R-CNN where it is of use and its weights are there."""
    import torch

    from hdeocc.detector import Detector, operators_work, weights_file

    weights = weights_file(given)
    if weights is None or (masks and not boxes):
        return None
    if boxes and given is None and not operators_work():
        return None  # GrabCut will do
    return Detector(weights, score, device or ("cuda" if torch.cuda.is_available() else "cpu"))


def _visible(
    image: "np.ndarray",
    photo: Path,
    masks: tuple[Path, ...],
    boxes: tuple[str, ...],
    detector: "Detector | None",
) -> "list[Visible]":
    """The visible parts of all people that were asked for, said on standard error if guessed."""
    from hdeocc import person_masks as who

    edges = [who.parse_box(text, photo, image.shape) for text in boxes]
    people = [who.from_file(mask, photo, image.shape) for mask in masks]
    people += [who.from_box(image, box, detector) for box in edges]
    if not people and detector is None:
        raise InputError(
            f"{photo}: who is it about? Give --mask M.png or --box x,y,w,h; to find people "
            "without, --segmenter needs weights of torchvision's maskrcnn_resnet50_fpn_v2"
        )
    if not people and detector is not None:
        people = who.from_detector(image, photo, detector)
    for one in people:
        if one.guessed:
            click.echo(f"Visible part by {one.source}: look whether it is right.", err=True)
    return people


def _write(
    target: Path,
    run: "dict[str, Any]",
    image: "np.ndarray",
    people: "list[Visible]",
    deoccluder: "Deoccluder",
) -> None:
    """Complete everybody, each from the same photo, into the folder of the result."""
    from hdeocc.deocclude_result import write_all, write_person
    from hdeocc.result_folder import new_result

    alone = len(people) == 1
    with new_result(target) as folder:
        written = []
        for number, visible in enumerate(people, 1):
            name = "" if alone else f"{number}: "
            inner = folder if alone else folder / f"person-{number}"
            inner.mkdir(exist_ok=True)
            person = deoccluder(image, visible.mask)
            written.append(write_person(inner, person, visible, image, run, name))
            click.echo(_summary(person, "Person" if alone else f"Person {number}"))
        if not alone:
            write_all(folder, written, run)


def _summary(person: "WholePerson", who: str) -> str:
    text = f"{who}: {person.hidden_share:.0%} hidden"
    if person.beyond < _WORTH_A_WORD:
        return text
    return f"{text}; another {person.beyond:.0%} of the whole is beyond the photo and cut off"

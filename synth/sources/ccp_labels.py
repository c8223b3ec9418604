"""The 59 labels of Clothing Co-Parsing as LIP-20, by an explicit table and a body plan.

Most labels have a LIP class. Four kinds have not and are resolved on the picture:

* SKIN, one label for face, arms and legs: each connected piece is placed on the body (below).
* SHOE, one label for both: split at the middle of the feet.
* SUIT, jacket and trousers in one: coat above the crotch, pants below.
* NEAREST, belts and jewellery: part of the person, labelled like the nearest pixel.

CARRIED things (bags, and "accessories", which in these photos are clutches, phones and umbrellas)
are not the person unless asked for; then they too are labelled like the nearest pixel.

The body plan assumes what these photos show, one upright person who faces the camera, so that the
right of the picture is the person's left. A head is an eighth of the height; face and throat end
at 0.19 of it, the chest's skin at 0.30; legs start at 0.56. Tights and leggings are pants,
stockings socks.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import find_objects

from synth.parsing import label
from synth.sources.crop import fill_labels, mask_edges

SKIN, SHOE, SUIT, NEAREST, CARRIED = 101, 102, 103, 104, 105

_CLASSES: dict[str | int, tuple[str, ...]] = {
    "background": ("null",),
    "hat": ("hat",),
    "hair": ("hair",),
    "glove": ("gloves",),
    "sunglasses": ("glasses", "sunglasses"),
    "upper-clothes": (
        "blouse", "bra", "hoodie", "intimate", "jumper", "shirt", "sweater", "sweatshirt",
        "swimwear", "t-shirt", "tie", "top", "vest",
    ),
    "dress": ("dress",),
    "coat": ("blazer", "cape", "cardigan", "coat", "jacket"),
    "socks": ("socks", "stockings"),
    "pants": ("jeans", "leggings", "panties", "pants", "shorts", "tights"),
    "jumpsuits": ("bodysuit", "romper"),
    "scarf": ("scarf",),
    "skirt": ("skirt",),
    SKIN: ("skin",),
    SHOE: (
        "boots", "clogs", "flats", "heels", "loafers", "pumps", "sandals", "shoes", "sneakers",
        "wedges",
    ),
    SUIT: ("suit",),
    NEAREST: ("belt", "bracelet", "earrings", "necklace", "ring", "watch"),
    CARRIED: ("accessories", "bag", "purse", "wallet"),
}  # fmt: skip

# LIP-20 number, or one of the codes above, of every CCP label name.
CCP_TO_LIP: dict[str, int] = {
    name: label(target) if isinstance(target, str) else target
    for target, names in _CLASSES.items()
    for name in names
}

_FACE_END, _CHEST_END, _LEGS_START = 0.19, 0.30, 0.56
_FACE_HALF_WIDTH = 0.075
# A piece of skin that reaches below this is a leg; hands end above it.
_HANDS_END = 0.66


def code_table(names: list[str]) -> np.ndarray:
    """Code of each label number, (len(names),) uint8; KeyError for a name that is not CCP's."""
    return np.array([CCP_TO_LIP[name] for name in names], np.uint8)


def to_lip(codes: np.ndarray, body: np.ndarray) -> np.ndarray:
    """LIP-20 labels (H, W) uint8, 0 outside ``body``, one for every pixel of it.

    Args:
        codes: (H, W) uint8, LIP numbers and the codes of this module.
        body: (H, W) bool, the pixels that are the person; not empty.
    """
    left, top, right, bottom = mask_edges(body)
    box = (slice(top, bottom), slice(left, right))
    within = codes[box] * body[box].view(np.uint8)
    heights = np.linspace(0, 1, bottom - top)
    _split_skin(within, heights)
    _split_suit(within, heights)
    shoes = within == SHOE
    if shoes.any():
        _sided(within, shoes, _feet_middle(within, shoes), "shoe")
    within *= within < SKIN
    out = np.zeros(body.shape, np.uint8)
    out[box] = fill_labels(within, body[box])
    return out


def _split_suit(codes: np.ndarray, heights: np.ndarray) -> None:
    suit = codes == SUIT
    if not suit.any():
        return
    low = (heights > _LEGS_START - 0.04)[:, None]
    # Trousers of their own labelled beside it: then the suit is the jacket alone.
    trousers = np.count_nonzero(codes == label("pants")) > 0.25 * np.count_nonzero(suit)
    codes[suit] = label("coat")
    if not trousers:
        codes[suit & low] = label("pants")


@dataclass(frozen=True, eq=False)
class _Piece:
    """A connected piece of a part: its tight box in the part, and its pixels there (h, w) bool."""

    box: tuple[slice, slice]
    inside: np.ndarray

    @property
    def columns(self) -> np.ndarray:
        """The columns of the box, in the part."""
        return np.arange(self.box[1].start, self.box[1].stop)


def _pieces(part: np.ndarray) -> list[_Piece]:
    """The connected pieces (8 neighbours) of a part (H, W) bool."""
    left, top, width, height = cv2.boundingRect(part.view(np.uint8))
    if not width:
        return []
    rectangle = part.view(np.uint8)[top : top + height, left : left + width]
    labels = cv2.connectedComponents(rectangle)[1]
    pieces = []
    for number, (rows, columns) in enumerate(find_objects(labels), 1):
        inside = labels[rows, columns] == number
        pieces.append(_Piece((_moved(rows, top), _moved(columns, left)), inside))
    return pieces


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def _feet_middle(codes: np.ndarray, feet: np.ndarray) -> float:
    """Column between the feet: halfway between two, inside one, or beside a single one."""
    pieces = _pieces(feet)
    areas = [int(piece.inside.sum()) for piece in pieces]
    large = [(p, a) for p, a in zip(pieces, areas, strict=True) if a > 0.3 * max(areas)]
    if len(large) > 1:
        middles = [int(p.inside.sum(axis=0) @ p.columns) / area for p, area in large]
        return (min(middles) + max(middles)) / 2
    left, top, right, bottom = mask_edges(feet)
    ankles = _median_column(codes[max(top - (bottom - top) // 2, 0) : top + 1])
    legs = (left + right) / 2 if ankles is None else ankles
    # One foot beside the legs' middle is a lone one (the other hidden), else both in one piece.
    lone = abs((left + right) / 2 - legs) > 0.3 * (right - left)
    return legs if lone else (left + right) / 2


def _sided(codes: np.ndarray, part: np.ndarray, middle: float, name: str) -> None:
    """Label a part left or right, each piece as a whole unless it lies astride ``middle``."""
    left, right = label(f"left-{name}"), label(f"right-{name}")
    for piece in _pieces(part):
        target, inside = codes[piece.box], piece.inside
        east = inside & (piece.columns >= middle)
        share = east.sum() / inside.sum()
        if 0.25 < share < 0.75:
            target[inside] = right
            target[east] = left
        else:
            target[inside] = left if share >= 0.5 else right


def _split_skin(codes: np.ndarray, heights: np.ndarray) -> None:
    """Face, arms and legs out of SKIN: by piece, and by height and column where one has several."""
    skin = codes == SKIN
    if not skin.any():
        return
    face_column, torso_column = _columns(codes, heights)
    tall = len(heights)
    legs, face = np.zeros_like(skin), np.zeros_like(skin)
    for piece in _pieces(skin):
        inside, rows = piece.inside, heights[piece.box[0], None]
        start, end = rows[0], rows[-1]
        near = np.abs(piece.columns - face_column) < _FACE_HALF_WIDTH * tall
        if end > _HANDS_END:
            legs[piece.box] |= inside & (rows > _LEGS_START) if start < 0.45 else inside
        if start < _FACE_END and (inside & near & (rows < _FACE_END)).any():
            face[piece.box] |= inside & ((rows < _FACE_END) | ((rows < _CHEST_END) & near))
    codes[face] = label("face")
    _sided(codes, skin & ~face & ~legs, torso_column, "arm")
    if legs.any():
        shoes = codes == SHOE
        _sided(codes, legs, _feet_middle(codes, shoes if shoes.any() else legs), "leg")


def _columns(codes: np.ndarray, heights: np.ndarray) -> tuple[float, float]:
    """Columns of the face's and of the torso's middle."""
    high, lower = np.searchsorted(heights, [_FACE_END - 0.04, 0.5])
    upper = np.searchsorted(heights, 0.25, side="right")
    face = _median_column(codes[:high])
    face = codes.shape[1] / 2 if face is None else face
    torso = _median_column(codes[upper:lower])
    return face, face if torso is None else torso


def _median_column(codes: np.ndarray) -> float | None:
    """The median column of the pixels that are not 0; None where all are."""
    counts = np.count_nonzero(codes, axis=0)
    total = int(counts.sum())
    if not total:
        return None
    low, high = np.searchsorted(np.cumsum(counts), [(total - 1) // 2, total // 2], side="right")
    return (int(low) + int(high)) / 2

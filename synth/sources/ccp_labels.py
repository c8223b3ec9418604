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

import cv2
import numpy as np

from synth.parsing import label
from synth.sources.crop import fill_labels, mask_box

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
    left, top, right, bottom = mask_box(body)
    box = (slice(top, bottom), slice(left, right))
    within = np.where(body[box], codes[box], 0).astype(np.uint8)
    heights = np.linspace(0, 1, bottom - top)
    _split_skin(within, heights)
    _split_suit(within, heights)
    shoes = within == SHOE
    if shoes.any():
        _sided(within, shoes, _feet_middle(within, shoes), "shoe")
    within[within >= SKIN] = 0
    out = np.zeros(body.shape, np.uint8)
    out[box] = fill_labels(within, body[box])
    return out


def _split_suit(codes: np.ndarray, heights: np.ndarray) -> None:
    suit = codes == SUIT
    low = (heights > _LEGS_START - 0.04)[:, None]
    # Trousers of their own labelled beside it: then the suit is the jacket alone.
    trousers = (codes == label("pants")).sum() > 0.25 * max(int(suit.sum()), 1)
    codes[suit] = label("coat")
    if not trousers:
        codes[suit & low] = label("pants")


def _feet_middle(codes: np.ndarray, feet: np.ndarray) -> float:
    """Column between the feet: halfway between two, inside one, or beside a single one."""
    _, _, stats, centres = cv2.connectedComponentsWithStats(feet.astype(np.uint8))
    pieces = stats[1:, cv2.CC_STAT_AREA]
    large = np.flatnonzero(pieces > 0.3 * pieces.max()) + 1
    if len(large) > 1:
        middles = centres[large, 0]
        return float((middles.min() + middles.max()) / 2)
    left, top, right, bottom = mask_box(feet)
    ankles = codes[max(top - (bottom - top) // 2, 0) : top + 1] > 0
    legs = float(np.median(np.nonzero(ankles)[1])) if ankles.any() else (left + right) / 2
    # One foot beside the legs' middle is a lone one (the other hidden), else both in one piece.
    lone = abs((left + right) / 2 - legs) > 0.3 * (right - left)
    return legs if lone else (left + right) / 2


def _sided(codes: np.ndarray, part: np.ndarray, middle: float, name: str) -> None:
    """Label a part left or right, each piece as a whole unless it lies astride ``middle``."""
    left, right = label(f"left-{name}"), label(f"right-{name}")
    count, pieces = cv2.connectedComponents(part.astype(np.uint8))
    columns = np.arange(part.shape[1])[None, :]
    for piece in range(1, count):
        inside = pieces == piece
        east = inside & (columns >= middle)
        share = east.sum() / inside.sum()
        if 0.25 < share < 0.75:
            codes[inside] = right
            codes[east] = left
        else:
            codes[inside] = left if share >= 0.5 else right


def _split_skin(codes: np.ndarray, heights: np.ndarray) -> None:
    """Face, arms and legs out of SKIN: by piece, and by height and column where one has several."""
    skin = codes == SKIN
    if not skin.any():
        return
    face_column, torso_column = _columns(codes, heights)
    tall = len(heights)
    near = np.abs(np.arange(skin.shape[1]) - face_column)[None, :] < _FACE_HALF_WIDTH * tall
    rows = heights[:, None]
    face_zone = (rows < _FACE_END) | ((rows < _CHEST_END) & near)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(skin.astype(np.uint8))
    legs, face = np.zeros_like(skin), np.zeros_like(skin)
    for piece in range(1, count):
        inside = pieces == piece
        start = stats[piece, cv2.CC_STAT_TOP]
        end = start + stats[piece, cv2.CC_STAT_HEIGHT] - 1
        if heights[end] > _HANDS_END:
            legs |= inside & (rows > _LEGS_START) if heights[start] < 0.45 else inside
        if heights[start] < _FACE_END and (inside & near & (rows < _FACE_END)).any():
            face |= inside & face_zone
    codes[face] = label("face")
    _sided(codes, skin & ~face & ~legs, torso_column, "arm")
    if legs.any():
        shoes = codes == SHOE
        _sided(codes, legs, _feet_middle(codes, shoes if shoes.any() else legs), "leg")


def _columns(codes: np.ndarray, heights: np.ndarray) -> tuple[float, float]:
    """Columns of the face's and of the torso's middle."""
    high = (codes > 0) & (heights < _FACE_END - 0.04)[:, None]
    middle = (codes > 0) & (heights > 0.25)[:, None] & (heights < 0.5)[:, None]
    face = np.median(np.nonzero(high)[1]) if high.any() else codes.shape[1] / 2
    torso = np.median(np.nonzero(middle)[1]) if middle.any() else face
    return float(face), float(torso)

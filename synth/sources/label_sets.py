"""Label sets of other publishers as LIP-20: one table each, in the publisher's order.

Most labels have a LIP-20 class. The others have a code above 100, resolved on the picture by
`LabelSet.to_lip`:

* BELT (ATR) is the person, labelled like the nearest garment.
* CARRIED (ATR's bag) is not the person unless asked for, as in Clothing Co-Parsing.
* ARM, THIGH, SHIN (PASCAL-Person-Part, which knows neither left from right nor clothes) become
  arms and legs of a side, see `synth.sources.sides`.

Left and right are the person's own in LIP-20 and in ATR, and are taken over.
"""

from dataclasses import dataclass
from os import PathLike

import numpy as np

from synth.errors import InputError
from synth.images import read_labels
from synth.parsing import LIP_LABELS, NUM_LABELS, label
from synth.sources.ccp_labels import CARRIED
from synth.sources.ccp_labels import NEAREST as BELT
from synth.sources.crop import fill_labels
from synth.sources.sides import ARM, SHIN, THIGH, divide_limbs

_UNKNOWN = 255
_GARMENTS = [label(name) for name in ("upper-clothes", "dress", "coat", "pants", "skirt")]

# Every label of a set in its own order, and its LIP-20 class or code.
Table = tuple[tuple[str, str | int], ...]

LIP: Table = tuple((name, name) for name in LIP_LABELS)

# The 18 labels of "Deep human parsing with active template regression" (Liang et al., 2015) and
# of its successors; its face includes the neck.
ATR: Table = (
    ("background", "background"), ("hat", "hat"), ("hair", "hair"), ("sunglasses", "sunglasses"),
    ("upper-clothes", "upper-clothes"), ("skirt", "skirt"), ("pants", "pants"),
    ("dress", "dress"), ("belt", BELT), ("left-shoe", "left-shoe"), ("right-shoe", "right-shoe"),
    ("face", "face"), ("left-leg", "left-leg"), ("right-leg", "right-leg"),
    ("left-arm", "left-arm"), ("right-arm", "right-arm"), ("bag", CARRIED), ("scarf", "scarf"),
)  # fmt: skip

# The 7 labels of PASCAL-Person-Part (Chen et al., 2014 and 2016). They name what is under the
# clothes: a head is called face though it has hair, a torso upper-clothes, trousers are legs.
PASCAL_PARTS: Table = (
    ("background", "background"), ("head", "face"), ("torso", "upper-clothes"),
    ("upper-arms", ARM), ("lower-arms", ARM), ("upper-legs", THIGH), ("lower-legs", SHIN),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class LabelSet:
    """A publisher's labels and what they mean here.

    Attributes:
        title: what messages call it.
        table: see ``Table``.
        void: a label that says "not labelled", read as background; None where there is none.
        foot: LIP-20 classes or codes of which a whole person shows one.
    """

    title: str
    table: Table
    foot: tuple[str | int, ...]
    void: int | None = None

    def codes(self) -> np.ndarray:
        """LIP-20 class or code of every label from 0 to 255, (256,) uint8."""
        codes = np.full(256, _UNKNOWN, np.uint8)
        codes[: len(self.table)] = [code_of(target) for _, target in self.table]
        if self.void is not None:
            codes[self.void] = 0
        return codes

    def read(self, path: str | PathLike[str]) -> np.ndarray:
        """A label map as (H, W) uint8 LIP-20 classes and codes; palette indices, not colours.

        Raises:
            InputError: as `synth.images.read_labels`, or labels that the set does not have.
        """
        codes = self.codes()[read_labels(path)]
        if (codes == _UNKNOWN).any():
            raise InputError(
                f"{path}: parsing has labels above {len(self.table) - 1}; save {self.title} labels"
            )
        return codes

    def to_lip(self, codes: np.ndarray) -> np.ndarray:
        """LIP-20 labels (H, W) uint8 of codes (H, W); 0 where nothing is known (carried things)."""
        labels = codes.copy()
        if (codes >= NUM_LABELS).any():
            _nearest_garment(labels)
            divide_limbs(labels)
            labels[labels == CARRIED] = 0
        return labels


def code_of(target: str | int) -> int:
    """The number of a LIP-20 class, or a code as it is."""
    return label(target) if isinstance(target, str) else target


def _nearest_garment(labels: np.ndarray) -> None:
    belt = labels == BELT
    if not belt.any():
        return
    garments = np.where(np.isin(labels, _GARMENTS), labels, 0).astype(np.uint8)
    labels[belt] = fill_labels(garments, belt)[belt]


_SHOWN = ("left-shoe", "right-shoe", "left-leg", "right-leg", "socks")
LABEL_SETS: dict[str, LabelSet] = {
    "lip": LabelSet("LIP-20", LIP, _SHOWN),
    "atr": LabelSet("ATR-18", ATR, _SHOWN),
    "pascal-parts": LabelSet("PASCAL-Person-Part", PASCAL_PARTS, (SHIN,), void=255),
}

"""The entries ``[[people]]`` and ``[[occluders]]`` of a recipe: which files, and who may be used.

Paths are relative to the data root, or absolute. Every kind of entry has one reader in
``synth.sources``; what a reader leaves out is counted by reason in ``dataset.json``.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from synth.settings import Strict, tagged

Share = Annotated[float, Field(ge=0, le=1)]
# Every id of a source is in memory: ten million are about a gigabyte.
MOST = 10_000_000
LabelSet = Literal["lip", "atr", "pascal-parts"]


class Entry(Strict):
    """What every entry has: how often it is drawn from, beside the others, and for which splits.

    Of the train samples each entry of people gets a share in whole thousandths, at least one,
    however small its ``weight``. ``train_only`` keeps an entry out of val and test, which then are
    those that the recipe has without it: so what synthetic people teach is measured on real ones.
    Such entries come after the others, wherever a recipe gives them.
    """

    model_config = ConfigDict(allow_inf_nan=False)
    weight: float = Field(1.0, ge=1e-6, le=1e6)
    train_only: bool = False


class Selection(Entry):
    """What makes a person whole and large enough to be used.

    Attributes:
        min_area: smallest mask, in pixels of the photo.
        max_border_contact: largest share of the mask's outline at the edge of the photo.
        min_piece: smallest share of the mask that its largest connected piece must be.
    """

    min_area: float = Field(2500, ge=0)
    max_border_contact: Share = 0.05
    min_piece: Share = 0.9


class BuiltinPeople(Entry):
    """People of the built-in 3D generator: person i is drawn from (seed, i)."""

    source: Literal["builtin"]
    pool: int = Field(gt=0, le=MOST, description="how many different people there are")
    seed: int = Field(0, ge=0)


class CocoPeople(Selection):
    """People of a COCO-format annotation file (COCO, Objects365, OpenImages, VOC once converted).

    ``max_intrusion``: how much of other instances may lie in the person's hull, as a share of the
    person's area. ``keypoints``: whether a head and an ankle must be seen: in people who have
    keypoints ("labelled"), in all ("required", so that those without are left out), or not.
    """

    source: Literal["coco"]
    annotations: str
    images: str
    category: str = "person"
    max_intrusion: float = Field(0.15, ge=0)
    keypoints: Literal["labelled", "required", "ignored"] = "labelled"


class CcpPeople(Entry):
    """People of Clothing Co-Parsing; bags and carried things count as the person on request."""

    source: Literal["ccp"]
    path: str
    include_accessories: bool = False


class Pairs(Selection):
    """Photos, and what goes with each, by stem.

    ``stems`` names a text file with one stem a line, as releases list their splits; others are
    passed over.
    """

    images: str
    stems: str | None = None


class LipPeople(Pairs):
    """Look Into Person: photos and 20-class parsings of the same stem."""

    source: Literal["lip"]
    parsings: str


class AtrPeople(Pairs):
    """ATR: photos and 18-label maps of the same stem; a bag counts as the person on request."""

    source: Literal["atr"]
    parsings: str
    include_accessories: bool = False


class PascalPartPeople(Pairs):
    """PASCAL-Person-Part: photos and 7-label maps of the same stem; photos of one person."""

    source: Literal["pascal-parts"]
    parsings: str


class AhpPeople(Pairs):
    """The AHP release: photos and integrated (whole-person) masks; parsings are not read."""

    source: Literal["ahp"]
    masks: str


class FolderPeople(Pairs):
    """A folder of photos, one of masks, optionally one of parsings, paired by stem.

    ``labels`` is the label set of the parsings.
    """

    source: Literal["folder"]
    masks: str
    parsings: str | None = None
    labels: LabelSet = "lip"
    min_area: float = Field(100, ge=0)
    max_border_contact: Share = 1.0
    min_piece: Share = 0.0


class RgbaPeople(Selection):
    """A folder of people cut out as RGBA pictures; they are set before a built-in background.

    The tight box takes the place of the photo. Whole people touch it too, with 3 to 15 % of their
    outline; those cut at the chest or waist nearly all with more, those cut at the knees often not.
    """

    source: Literal["rgba"]
    path: str
    max_border_contact: Share = 0.15


_PEOPLE = (
    BuiltinPeople, CocoPeople, CcpPeople, LipPeople, AtrPeople, PascalPartPeople, AhpPeople,
    FolderPeople, RgbaPeople,
)  # fmt: skip
PeopleSpec = Annotated[
    BuiltinPeople
    | CocoPeople
    | CcpPeople
    | LipPeople
    | AtrPeople
    | PascalPartPeople
    | AhpPeople
    | FolderPeople
    | RgbaPeople,
    Field(discriminator="source"),
    tagged("source", _PEOPLE),
]


class BuiltinOccluders(Entry):
    """Built-in cut-outs: simple furniture, fences, plants ... and, as a share, other people."""

    source: Literal["builtin"]
    pool: int = Field(gt=0, le=MOST)
    seed: int = Field(0, ge=0)
    people_share: Share = 0.35


class CocoOccluders(Entry):
    """Objects of a COCO-format file that are large, whole and of an allowed class.

    ``include`` (empty: any) and ``exclude`` name classes.
    """

    source: Literal["coco"]
    annotations: str
    images: str
    min_area: float = Field(2500, ge=0)
    max_border_contact: Share = 0.02
    min_piece: Share = 0.95
    max_intrusion: float = Field(0.10, ge=0)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ("person", "dining table")


class FolderOccluders(Entry):
    """A folder of photos and one of masks, paired by stem; each mask is one occluder."""

    source: Literal["folder"]
    images: str
    masks: str
    category: str = "thing"


class RgbaOccluders(Entry):
    """A folder of RGBA cut-outs; a folder within it names the class of those it holds."""

    source: Literal["rgba"]
    path: str
    category: str = "thing"
    min_area: float = Field(400, ge=0)


_OCCLUDERS = (BuiltinOccluders, CocoOccluders, FolderOccluders, RgbaOccluders)
OccluderSpec = Annotated[
    BuiltinOccluders | CocoOccluders | FolderOccluders | RgbaOccluders,
    Field(discriminator="source"),
    tagged("source", _OCCLUDERS),
]

ALL = (*_PEOPLE, *_OCCLUDERS)
# The keys of an entry that hold paths.
PATH_KEYS = ("path", "annotations", "images", "masks", "parsings", "stems")

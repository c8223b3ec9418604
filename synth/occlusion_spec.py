"""The tables ``[occlusion]`` and ``[initial]`` of a recipe: how much is hidden, by what, how."""

import math
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from synth.settings import Strict, hint

# Where an occluder may come from; "part:NAME" puts it in front of a part of the body.
# "squares" is PCNet's draw: the square around the occluder, made about as large as the crop,
# overlaps the crop by ``overlap``.
PLACEMENTS = ("below", "side", "across", "anywhere", "squares")
BODY_PARTS = (
    "head", "torso", "arms", "left-arm", "right-arm", "legs", "left-leg", "right-leg", "feet",
)  # fmt: skip
_PART_KINDS = tuple(f"part:{name}" for name in BODY_PARTS)
KNOWN_PLACEMENTS = (*PLACEMENTS, *_PART_KINDS)
_LARGEST_SCALE = 4.0

_EVERY_DAY = {"below": 0.35, "side": 0.3, "across": 0.15, "anywhere": 0.2}
_SIMPLE = {
    "occluders": (1, 1),
    "overlap": (0.4, 1.0),
    "scale": (0.8, 1.2),
    "placement": {"squares": 1.0},
    "reach": "reject",
    "tries": 100,
    "blend": "hard",
    "harmonise": "none",
    "shadow": 0.0,
}
# What a preset sets; a key given beside it in the recipe wins.
PRESETS: dict[str, dict[str, Any]] = {
    # Validation of AHP: the simplest pasting, three frozen composites a person (METHODS 2).
    "ahp-valid": _SIMPLE | {"hidden": (0.05, 0.7), "frozen": True},
    # The placer of PCNet (METHODS 2): overlap in [0.4, 1], any share in [0.001, 0.9] counts.
    # Unlike there: an occluder is always in front (there it is behind in one of five); when 100
    # draws fail other occluders are tried (there the last draw is kept); the occluder keeps its
    # parts beyond its square; the crop is jittered by 0.12 sides, not 0.2; 0.9 itself counts.
    "pcnet": _SIMPLE | {"hidden": (0.001, 0.9)},
    # Half of the person or more is hidden.
    "hard": {"occluders": (1, 4), "hidden": (0.5, 0.85), "scale": (0.4, 1.5)},
}
# Of "part:NAME": share of the whole person that is hidden, and size of the occluder. The shares
# follow the size of the parts in photos: a head is a tenth of somebody, a foot a fortieth.
_PART_RANGES = {
    "head": ((0.02, 0.15), (0.15, 0.45)),
    "torso": ((0.05, 0.4), (0.25, 0.7)),
    "arms": ((0.02, 0.15), (0.15, 0.5)),
    "arm": ((0.01, 0.1), (0.12, 0.4)),
    "legs": ((0.05, 0.4), (0.3, 0.8)),
    "leg": ((0.03, 0.2), (0.25, 0.7)),
    "feet": ((0.01, 0.08), (0.15, 0.5)),
}


class Histogram(Strict):
    """A declared histogram of the hidden share.

    Attributes:
        edges: rising, in [0, 1]; one more than bins.
        shares: weight of each bin; they need not sum to 1.
    """

    edges: tuple[float, ...] = Field(min_length=2)
    shares: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> "Histogram":
        pairs = zip(self.edges, self.edges[1:], strict=False)
        rising = all(low < high for low, high in pairs)
        if not (rising and self.edges[0] >= 0 and self.edges[-1] <= 1):
            raise ValueError("occlusion.hidden.edges must rise within [0, 1]; mend them")
        if len(self.shares) != len(self.edges) - 1:
            raise ValueError(
                f"occlusion.hidden has {len(self.edges)} edges and {len(self.shares)} shares; "
                f"give {len(self.edges) - 1} shares"
            )
        if not (min(self.shares) >= 0 and 0 < sum(self.shares) < math.inf):
            raise ValueError("occlusion.hidden.shares must be 0 or more, and one above 0")
        return self


def _form(given: Any) -> str:
    return "histogram" if isinstance(given, Histogram | dict) else "range"


Hidden = Annotated[
    Annotated[tuple[float, float], Tag("range")] | Annotated[Histogram, Tag("histogram")],
    Discriminator(_form),
]


class Occlusion(Strict):
    """How occluders are placed and blended.

    Attributes:
        preset: "ahp-valid", "pcnet", "hard" or "part:NAME"; sets other keys unless they are given.
        occluders: fewest and most occluders of a person.
        hidden: range of the hidden share, drawn uniformly, or a declared histogram, which the
            samples of a split fill evenly.
        overlap: overlap of the boxes of occluder and person; not for "part:NAME".
        scale: longest side of an occluder over that of the person; with "squares" the square
            around the occluder over the crop.
        placement: weight of each kind of placement; the name of one kind alone is short for it.
            Other people stand on their ground whatever the kind, except with "squares"; in front
            of a part alone they are not drawn.
        reach: "steer" draws a share first and steers to it; "reject" takes the first draw whose
            share lies in ``hidden`` (of a histogram: in the asked bin).
        tries: most draws of one placement; the closest is taken, with "steer" the best of every
            eight is rescaled before.
        frozen: no occluder comes twice over one val or test person (until, with more samples than
            ``splits.per_person`` for each, people come round again), and a val or test sample
            depends on its number within the split, not on how many samples other splits have.
        truncate: share of the samples in which the edge of the photo cuts the person.
        truncated: how much of the person that edge cuts off: part of the hidden share, and never
            more than three quarters of it, so that occluders add the rest.
        blend: "hard", "feather" (soft edge on an eroded outline) or "poisson".
        erode: pixels cut off a coarse outline before blending.
        harmonise: how far colours move to the scene's: "none", "mild" or "full".
        shadow: strength of the contact shadow, 0 for none.
    """

    preset: str | None = None
    occluders: tuple[int, int] = (1, 2)
    hidden: Hidden = (0.05, 0.7)
    overlap: tuple[float, float] = (0.4, 1.0)
    scale: tuple[float, float] = (0.3, 1.0)
    placement: dict[str, float] = Field(default_factory=lambda: dict(_EVERY_DAY))
    reach: Literal["steer", "reject"] = "steer"
    tries: int = Field(100, ge=1)
    frozen: bool = False
    truncate: float = Field(0.0, ge=0, le=1)
    truncated: tuple[float, float] = (0.05, 0.4)
    blend: Literal["hard", "feather", "poisson"] = "feather"
    erode: int = Field(1, ge=0, le=8)
    harmonise: Literal["none", "mild", "full"] = "mild"
    shadow: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("preset") is None:
            return given
        return preset_values(str(given["preset"])) | given

    @field_validator("hidden", mode="before")
    @classmethod
    def _range_or_histogram(cls, given: Any) -> Any:
        if _form(given) == "histogram" or (isinstance(given, list | tuple) and len(given) == 2):
            return given
        raise ValueError(
            f"occlusion.hidden = {given!r}; give a range [low, high], or a histogram "
            "{ edges = [...], shares = [...] }"
        )

    @field_validator("placement", mode="before")
    @classmethod
    def _kind_alone(cls, given: Any) -> Any:
        return {given: 1.0} if isinstance(given, str) else given

    @field_validator("placement")
    @classmethod
    def _known_placements(cls, weights: dict[str, float]) -> dict[str, float]:
        known = KNOWN_PLACEMENTS
        for name, weight in weights.items():
            if name not in known:
                raise ValueError(f"occlusion.placement: no {name!r}; {_hint(name, known)}")
            if not 0 <= weight < math.inf:
                raise ValueError(f"occlusion.placement: {name} = {weight}; give 0 or more")
        if not sum(weights.values()) > 0:
            raise ValueError("occlusion.placement: give at least one kind a weight above 0")
        # One order, whatever that of the file: the order decides which kind a draw means.
        return {name: weights[name] for name in KNOWN_PLACEMENTS if weights.get(name)}

    @model_validator(mode="after")
    def _ranges_rise(self) -> "Occlusion":
        if not 1 <= self.occluders[0] <= self.occluders[1] <= 8:
            raise ValueError(
                f"occlusion.occluders = {list(self.occluders)}; give [fewest, most] from 1 to 8"
            )
        for name in ("hidden", "overlap", "scale", "truncated"):
            value = getattr(self, name)
            if isinstance(value, Histogram):
                continue
            low, high = value
            if name == "scale" and high > _LARGEST_SCALE:
                raise ValueError(
                    f"occlusion.scale = [{low}, {high}]; give sizes up to {_LARGEST_SCALE:g}"
                )
            if not 0 <= low < high or (name != "scale" and high > 1):
                raise ValueError(
                    f"occlusion.{name} = [{low}, {high}] is not a rising range in [0, 1]; "
                    "give [low, high]"
                )
        return self

    @property
    def hidden_range(self) -> tuple[float, float]:
        """The least and the largest hidden share that counts."""
        if isinstance(self.hidden, Histogram):
            filled = [i for i, share in enumerate(self.hidden.shares) if share > 0]
            return self.hidden.edges[filled[0]], self.hidden.edges[filled[-1] + 1]
        return self.hidden

    @property
    def only_parts(self) -> bool:
        """Whether every occluder is placed in front of a part of the body."""
        return all(kind.startswith("part:") for kind in self.placement)


def preset_values(name: str) -> dict[str, Any]:
    """What a preset sets; ValueError, with the closest names, where there is none."""
    part = name.removeprefix("part:")
    if name.startswith("part:") and part in BODY_PARTS:
        hidden, scale = _PART_RANGES[part.removeprefix("left-").removeprefix("right-")]
        return {"placement": {name: 1.0}, "occluders": (1, 1), "hidden": hidden, "scale": scale}
    if name not in PRESETS:
        known = (*PRESETS, *_PART_KINDS)
        raise ValueError(f"occlusion.preset: no {name!r}; {_hint(name, known)}")
    return dict(PRESETS[name])


def _hint(name: str, known: tuple[str, ...]) -> str:
    return f"did you mean part:{name}?" if name in BODY_PARTS else hint(name, known)


class Initial(Strict):
    """The mask a method starts from.

    Attributes:
        kind: "modal" (the true visible mask), "jitter" (a faulty one) or "segmenter" (what a
            small network that has not seen the person predicts).
        strength: of the jitter; 1 moves the border by about 2 % of the person's size.
        iou: of the jittered with the true mask, drawn evenly from this range for every sample;
            ``strength`` then does not matter.
        leak: how often a jittered mask has a piece that does not belong to the person.
        networks: folder of the segmenter's networks, made by ``hdeocc synth segmenter``; relative
            to the data root, as all paths of a recipe, or absolute.
    """

    kind: Literal["modal", "jitter", "segmenter"] = "modal"
    strength: float = Field(1.0, ge=0, le=4)
    iou: tuple[float, float] | None = None
    leak: float = Field(0.0, ge=0, le=1)
    networks: str | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Initial":
        if self.kind == "segmenter" and not self.networks:
            raise ValueError(
                "initial.kind = 'segmenter' needs initial.networks; "
                "make them with: hdeocc synth segmenter RECIPE --out DIR"
            )
        if self.kind != "jitter" and (self.iou is not None or self.leak):
            raise ValueError("initial.iou and initial.leak need initial.kind = 'jitter'; set it")
        if self.iou is not None and not 0 < self.iou[0] <= self.iou[1] <= 1:
            raise ValueError(
                f"initial.iou = {list(self.iou)} is no range within (0, 1]; give [low, high]"
            )
        return self

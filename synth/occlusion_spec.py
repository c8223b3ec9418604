"""The tables ``[occlusion]`` and ``[initial]`` of a recipe: how much is hidden, by what, how."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from synth.settings import Strict, hint

# Where an occluder may come from; "part:NAME" puts it in front of a part of the body.
PLACEMENTS = ("below", "side", "across", "anywhere")
BODY_PARTS = (
    "head", "torso", "arms", "left-arm", "right-arm", "legs", "left-leg", "right-leg", "feet",
)  # fmt: skip

_EVERY_DAY = {"below": 0.35, "side": 0.3, "across": 0.15, "anywhere": 0.2}
# What a preset sets; a key given beside it in the recipe wins.
PRESETS: dict[str, dict[str, Any]] = {
    # Validation of AHP: the simplest pasting, three frozen composites a person (METHODS 2).
    "ahp-valid": {
        "occluders": (1, 1),
        "blend": "hard",
        "harmonise": "none",
        "reach": "reject",
        "hidden": (0.05, 0.7),
        "placement": {"anywhere": 1.0},
    },
    # The placer of PCNet (METHODS 2): overlap in [0.4, 1], any share in [0.001, 0.9] counts.
    "pcnet": {
        "occluders": (1, 1),
        "overlap": (0.4, 1.0),
        "hidden": (0.001, 0.9),
        "blend": "hard",
        "harmonise": "none",
        "reach": "reject",
        "tries": 100,
        "placement": {"anywhere": 1.0},
    },
    # Half of the person or more is hidden.
    "hard": {"occluders": (1, 4), "hidden": (0.5, 0.85), "scale": (0.4, 1.5)},
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
        if any(low >= high for low, high in pairs) or self.edges[0] < 0 or self.edges[-1] > 1:
            raise ValueError("occlusion.hidden.edges must rise within [0, 1]; mend them")
        if len(self.shares) != len(self.edges) - 1:
            raise ValueError(
                f"occlusion.hidden has {len(self.edges)} edges and {len(self.shares)} shares; "
                f"give {len(self.edges) - 1} shares"
            )
        if min(self.shares) < 0 or sum(self.shares) <= 0:
            raise ValueError("occlusion.hidden.shares must be 0 or more, and one above 0")
        return self


class Occlusion(Strict):
    """How occluders are placed and blended.

    Attributes:
        preset: "ahp-valid", "pcnet", "hard" or "part:NAME"; sets other keys unless they are given.
        occluders: fewest and most occluders of a person.
        hidden: range of the hidden share, drawn uniformly, or a declared histogram.
        overlap: overlap of the boxes of occluder and person.
        scale: longest side of an occluder over that of the person.
        placement: weight of each kind of placement.
        reach: "steer" draws a share first and steers to it; "reject" takes whatever draw lies in
            ``hidden``.
        tries: most draws of one placement before the best is rescaled ("steer") or taken.
        truncate: share of the samples in which the edge of the photo cuts the person.
        truncated: how much of the person that edge cuts off.
        blend: "hard", "feather" (soft edge on an eroded outline) or "poisson".
        erode: pixels cut off a coarse outline before blending.
        harmonise: how far colours move to the scene's: "none", "mild" or "full".
        shadow: strength of the contact shadow, 0 for none.
    """

    preset: str | None = None
    occluders: tuple[int, int] = (1, 2)
    hidden: tuple[float, float] | Histogram = (0.05, 0.7)
    overlap: tuple[float, float] = (0.4, 1.0)
    scale: tuple[float, float] = (0.3, 1.0)
    placement: dict[str, float] = Field(default_factory=lambda: dict(_EVERY_DAY))
    reach: Literal["steer", "reject"] = "steer"
    tries: int = Field(100, ge=1)
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

    @field_validator("placement")
    @classmethod
    def _known_placements(cls, weights: dict[str, float]) -> dict[str, float]:
        known = (*PLACEMENTS, *(f"part:{name}" for name in BODY_PARTS))
        for name, weight in weights.items():
            if name not in known:
                raise ValueError(f"occlusion.placement: no {name!r}; {hint(name, known)}")
            if weight < 0:
                raise ValueError(f"occlusion.placement: {name} = {weight}; give 0 or more")
        if not sum(weights.values()) > 0:
            raise ValueError("occlusion.placement: give at least one kind a weight above 0")
        return weights

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


def preset_values(name: str) -> dict[str, Any]:
    """What a preset sets; ValueError, with the closest names, where there is none."""
    part = name.removeprefix("part:")
    if name.startswith("part:") and part in BODY_PARTS:
        return {"placement": {name: 1.0}, "occluders": (1, 1), "scale": (0.15, 0.6),
                "hidden": (0.02, 0.5)}  # fmt: skip
    if name not in PRESETS:
        known = (*PRESETS, *(f"part:{part}" for part in BODY_PARTS))
        raise ValueError(f"occlusion.preset: no {name!r}; {hint(name, known)}")
    return dict(PRESETS[name])


class Initial(Strict):
    """The mask a method starts from.

    Attributes:
        kind: "modal" (the true visible mask), "jitter" (a faulty one) or "segmenter" (what a
            small network that has not seen the person predicts).
        strength: of the jitter; 1 moves the border by about 2 % of the person's size.
        networks: folder of the segmenter's networks, made by ``hdeocc synth segmenter``.
    """

    kind: Literal["modal", "jitter", "segmenter"] = "modal"
    strength: float = Field(1.0, ge=0, le=4)
    networks: str | None = None

    @model_validator(mode="after")
    def _has_networks(self) -> "Initial":
        if self.kind == "segmenter" and not self.networks:
            raise ValueError(
                "initial.kind = 'segmenter' needs initial.networks; "
                "make them with: hdeocc synth segmenter RECIPE --out DIR"
            )
        return self

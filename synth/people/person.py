"""Who is drawn: body, outfit, hair and belongings, sampled from one random generator."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synth.people.colours import (
    HAIR,
    cloth_colour,
    denim_colour,
    from_bytes,
    jitter,
    leather_colour,
    skin_colour,
)
from synth.people.geometry import Array

OUTFITS = ("trousers", "shorts", "skirt", "dress", "jumpsuit")
OUTFIT_SHARE = {True: (0.67, 0.22, 0.0, 0.0, 0.11), False: (0.38, 0.12, 0.20, 0.20, 0.10)}
HAIR_STYLES = ("bald", "buzz", "short", "swept", "curly", "afro", "bob", "long", "tail", "bun")
HAIR_SHARE = {
    True: (0.07, 0.15, 0.30, 0.26, 0.11, 0.05, 0.03, 0.02, 0.005, 0.005),
    False: (0.0, 0.01, 0.05, 0.07, 0.11, 0.06, 0.19, 0.26, 0.14, 0.11),
}
HATS = ("none", "beanie", "cap", "sunhat")
SLEEVES = (0.07, 0.25, 0.33, 0.42, 0.66, 0.97)
BAGS = ("none", "backpack", "sling")
NECKLINES = ("crew", "v", "turtle", "wide", "shirt", "hood")
# Few values each, so that garments of the same cut share one cached patch.
HEMS = (0.08, 0.10, 0.12, 0.14, 0.17)
SKIRT_HEMS = (-0.55, -0.48, -0.40, -0.32, -0.25, -0.18, -0.12, -0.06)
SHORTS, TROUSERS = (0.30, 0.36, 0.42, 0.48, 0.52), (0.99, 0.99, 0.96, 0.94, 0.82)
PATTERNS = (
    "solid", "stripes", "pinstripes", "plaid", "dots", "camouflage", "print", "block", "floral",
)  # fmt: skip


@dataclass(frozen=True)
class Cloth:
    """A material: kind chooses the shader, pattern and colours (3, 3) what is printed on it."""

    kind: str
    colours: Array
    pattern: str = "solid"
    scale: float = 0.05
    wrinkles: float = 0.8
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Person:
    """One sampled person."""

    phenotype: dict[str, float]
    male: bool
    age_group: str
    skin: Array
    hair: Array
    iris: Array
    hair_style: str
    beard: float
    fringe: float
    part: float
    outfit: str
    coat: str
    top: Cloth
    bottom: Cloth
    coat_cloth: Cloth
    hat: str
    hat_cloth: Cloth
    scarf: Cloth | None
    gloves: Cloth | None
    sunglasses: bool
    shoes: Cloth | None
    boot: float
    socks: Cloth | None
    sock_height: float
    sleeve: float
    neckline: str
    hem: float
    tucked: bool
    fit: float
    leg_fit: float
    leg_length: float
    skirt_hem: float
    flare: float
    coat_hem: float
    coat_gap: float
    coat_collar: str
    bag: str
    bag_cloth: Cloth
    seed: Array


def _pick(rng: np.random.Generator, options: tuple, share: tuple[float, ...] | None = None) -> Any:
    weights = None if share is None else np.array(share) / sum(share)
    return options[int(rng.choice(len(options), p=weights))]


def _phenotype(rng: np.random.Generator, male: bool, age_group: str) -> dict[str, float]:
    def around(mean: float, spread: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(mean, spread), low, high))

    age = {"child": (0.12, 0.46), "teen": (0.5, 0.62), "adult": (0.63, 0.85), "old": (0.88, 1.0)}
    race = rng.dirichlet([0.5, 0.5, 0.5])
    child = age_group == "child"
    return {
        "gender": around(0.06, 0.06, 0, 0.3) if male else around(0.94, 0.06, 0.7, 1),
        "age": float(rng.uniform(*age[age_group])),
        "muscle": around(0.5, 0.14, 0.15, 0.85),
        "weight": around(0.48, 0.16, 0.15, 0.62 if child else 0.95),
        "height": around(0.5, 0.14, 0.1, 0.9),
        "proportions": around(0.65, 0.15, 0.2, 1),
        "cupsize": around(0.45, 0.12, 0.1, 0.8),
        "firmness": around(0.6, 0.15, 0, 1),
        "african": float(race[0]),
        "asian": float(race[1]),
        "caucasian": float(race[2]),
    }


def _tone(rng: np.random.Generator, phenotype: dict[str, float]) -> float:
    mean = 7.0 * phenotype["african"] + 3.4 * phenotype["asian"] + 1.6 * phenotype["caucasian"]
    return float(np.clip(mean + rng.normal(0, 0.9), 0, 9))


def _hair_colour(rng: np.random.Generator, tone: float, age_group: str) -> Array:
    names = tuple(HAIR)
    share = (0.2, 0.18, 0.17, 0.13, 0.09, 0.07, 0.08, 0.05, 0.02, 0.01)
    if tone > 4.2:
        share = (0.5, 0.3, 0.12, 0.03, 0.01, 0.005, 0.01, 0.005, 0.015, 0.005)
    name = _pick(rng, names, share)
    if age_group == "old" and rng.random() < 0.75:
        name = _pick(rng, ("grey", "white"))
    return jitter(rng, from_bytes(HAIR[name]), 0.12)


def _hair_style(rng: np.random.Generator, male: bool, age_group: str) -> str:
    style = _pick(rng, HAIR_STYLES, HAIR_SHARE[male])
    return "short" if style == "bald" and age_group in ("child", "teen") else style


def _cloth(rng: np.random.Generator, share: tuple[float, ...]) -> Cloth:
    colours = np.stack([cloth_colour(rng) for _ in range(3)])
    scale = 0.022 + 0.06 * rng.random() ** 2
    return Cloth("cloth", colours, _pick(rng, PATTERNS, share), scale, rng.uniform(0.5, 1.1))


TOP_SHARE = (0.42, 0.12, 0.05, 0.10, 0.04, 0.02, 0.13, 0.06, 0.06)
PLAIN_SHARE = (0.82, 0.0, 0.05, 0.10, 0.0, 0.03, 0.0, 0.0, 0.0)
DRESS_SHARE = (0.45, 0.12, 0.02, 0.08, 0.12, 0.0, 0.0, 0.03, 0.18)


def _bottom(rng: np.random.Generator, outfit: str) -> Cloth:
    if outfit in ("dress", "skirt"):
        return _cloth(rng, DRESS_SHARE if outfit == "dress" else PLAIN_SHARE)
    belt = leather_colour(rng) if rng.random() < 0.5 else None
    if rng.random() < (0.5 if outfit != "jumpsuit" else 0.35):
        colours = np.stack([denim_colour(rng)] * 3)
        return Cloth("cloth", colours, "denim", 0.05, 0.9, {"belt": belt})
    cloth = _cloth(rng, PLAIN_SHARE)
    stripe = cloth.pattern == "solid" and rng.random() < 0.12
    pattern = "sidestripe" if stripe else cloth.pattern
    return Cloth("cloth", cloth.colours, pattern, cloth.scale, cloth.wrinkles, {"belt": belt})


def _shoes(rng: np.random.Generator) -> Cloth:
    upper = leather_colour(rng) if rng.random() < 0.65 else cloth_colour(rng)
    sole = from_bytes(
        _pick(rng, ((235, 233, 228), (40, 38, 37), (150, 118, 84)), (0.5, 0.35, 0.15))
    )
    return Cloth("shoe", np.stack([upper, sole, cloth_colour(rng)]))


def _plain(rng: np.random.Generator, kind: str) -> Cloth:
    return Cloth(kind, np.stack([cloth_colour(rng) for _ in range(3)]))


def _bag_cloth(rng: np.random.Generator) -> Cloth:
    main = leather_colour(rng) if rng.random() < 0.4 else cloth_colour(rng)
    return Cloth("bag", np.stack([main, 0.7 * main, cloth_colour(rng)]))


def sample_person(rng: np.random.Generator) -> Person:
    """Draw a person."""
    male = bool(rng.random() < 0.5)
    age_group = _pick(rng, ("child", "teen", "adult", "old"), (0.14, 0.1, 0.62, 0.14))
    phenotype = _phenotype(rng, male, age_group)
    tone = _tone(rng, phenotype)
    outfit = _pick(rng, OUTFITS, OUTFIT_SHARE[male])
    iris = _pick(rng, ((60, 40, 25), (84, 62, 34), (86, 116, 140), (82, 106, 74)), (4, 2, 2, 1))
    adult_male = male and age_group in ("adult", "old")
    top = _cloth(rng, TOP_SHARE)
    neckline = _pick(rng, NECKLINES, (0.34, 0.14, 0.07, 0.10, 0.24, 0.11))
    buttons = neckline == "shirt" or (neckline == "v" and rng.random() < 0.3)
    top.details["buttons"] = bool(buttons)
    top.details["zip"] = top.details["pockets"] = bool(neckline == "hood" and rng.random() < 0.6)
    coat_cloth = _cloth(rng, PLAIN_SHARE)
    coat_gap = float(_pick(rng, (0.0, 0.03, 0.05, 0.08), (0.3, 0.25, 0.25, 0.2)))
    fastening = "zip" if rng.random() < 0.6 else "buttons"
    coat_cloth.details.update({fastening: coat_gap == 0, "pockets": True})
    coat_share = (0.72, 0.28) if outfit != "jumpsuit" else (0.9, 0.1)
    shorts = outfit == "shorts"
    return Person(
        phenotype=phenotype,
        male=male,
        age_group=age_group,
        skin=skin_colour(rng, tone),
        hair=_hair_colour(rng, tone, age_group),
        iris=from_bytes(iris if tone < 4 else (60, 40, 25)),
        hair_style=_hair_style(rng, male, age_group),
        beard=float(adult_male) * float(_pick(rng, (0.12, 0.35, 0.8), (0.55, 0.2, 0.25))),
        fringe=float(rng.random() < (0.2 if male else 0.35)) * rng.uniform(0.4, 1.0),
        part=float(rng.normal(0, 0.03)),
        outfit=outfit,
        coat=_pick(rng, ("none", "coat"), coat_share),
        top=top,
        bottom=_bottom(rng, outfit),
        coat_cloth=coat_cloth,
        hat=_pick(rng, HATS, (0.80, 0.08, 0.08, 0.04)),
        hat_cloth=_plain(rng, "hat"),
        scarf=_cloth(rng, TOP_SHARE) if rng.random() < 0.10 else None,
        gloves=_plain(rng, "plain") if rng.random() < 0.11 else None,
        sunglasses=bool(rng.random() < 0.11),
        shoes=_shoes(rng) if rng.random() < 0.95 else None,
        boot=float(_pick(rng, (0.0, 0.02, 0.06, 0.12, 0.24), (0.5, 0.2, 0.1, 0.1, 0.1))),
        socks=_plain(rng, "plain") if rng.random() < 0.75 else None,
        sock_height=float(_pick(rng, (-0.69, -0.62, -0.5, -0.42), (0.4, 0.3, 0.2, 0.1))),
        sleeve=float(_pick(rng, SLEEVES, (0.09, 0.06, 0.22, 0.2, 0.08, 0.35))),
        neckline=neckline,
        hem=float(_pick(rng, HEMS)),
        tucked=bool(rng.random() < 0.25),
        fit=float(rng.beta(1.3, 1.8)),
        leg_fit=float(rng.beta(1.4, 1.8)),
        leg_length=rng.uniform(0.3, 0.52)
        if shorts
        else float(_pick(rng, (0.99, 0.94, 0.82), (6, 3, 1))),
        skirt_hem=float(_pick(rng, SKIRT_HEMS)),
        flare=float(rng.uniform(0.02, 0.25)),
        coat_hem=float(_pick(rng, (0.1, 0.02, -0.2, -0.34), (0.4, 0.25, 0.2, 0.15))),
        coat_gap=coat_gap,
        coat_collar=_pick(rng, ("coat", "stand", "hood"), (0.45, 0.3, 0.25)),
        bag=_pick(rng, BAGS, (0.8, 0.1, 0.1)),
        bag_cloth=_bag_cloth(rng),
        seed=(rng.random(3) * 7).astype(np.float32),
    )

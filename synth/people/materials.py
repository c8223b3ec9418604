"""What surfaces look like before light: albedo, bump and gloss of skin, hair, cloth and leather."""

from collections.abc import Callable

import numpy as np

from synth.people.fields import LEFT_ARM
from synth.people.geometry import Array, bump, dot, normalise, smoothstep
from synth.people.noise import noise
from synth.people.patterns import paint, pattern_colours
from synth.people.person import Cloth, Person
from synth.people.samples import Samples


def shade_surface(samples: Samples, cloth: Cloth, person: Person) -> None:
    """Fill albedo, normal and gloss of the samples of one material."""
    SHADERS[cloth.kind](samples, cloth, person)


def _bend(samples: Samples, gradient: Array, most: float = 0.75) -> None:
    """Tilt the normals against a gradient (n, 3), at most by a slope."""
    gradient = gradient - dot(gradient, samples.normal)[:, None] * samples.normal
    steepness = np.sqrt(dot(gradient, gradient))[:, None]
    gradient /= np.maximum(steepness / most, 1)
    samples.normal[:] = normalise(samples.normal - gradient)


def _weave(s: Samples, cloth: Cloth, person: Person) -> None:
    s.albedo[:] = pattern_colours(s, cloth, person.seed)
    wide = np.array([1.25, 1.25, 0.55], np.float32)
    flat = np.array([1.3, 1.3, 1.9], np.float32)
    _, soft = noise(s.position * wide + person.seed)
    crease_value, crease = noise(s.position * flat + 2 * person.seed)
    sharp = np.tanh(crease_value * 2.5) * s.fold
    _bend(s, cloth.wrinkles * (0.0055 * soft - 0.0065 * sharp[:, None] * crease))
    valley = np.clip(0.5 - np.abs(crease_value), -0.6, 0.4) * s.fold
    s.albedo *= (1 + 0.09 * cloth.wrinkles * valley)[:, None]
    if cloth.details.get("buttons"):
        _buttons(s, cloth)
    if cloth.details.get("belt") is not None:
        _belt(s, cloth.details["belt"])
    if cloth.details.get("zip"):
        _zip(s)
    if cloth.details.get("pockets"):
        _pockets(s)
    stitch = (np.abs(s.edge - 0.018) < 0.0022) | (s.edge < 0.002)
    s.albedo *= np.where(stitch, 0.72, 1)[:, None]
    s.gloss[:], s.power[:] = 0.02, 8


def _buttons(s: Samples, cloth: Cloth) -> None:
    x, y, z = s.position.T
    front = (y < 0) & (np.abs(x) < 0.1) & (s.region < LEFT_ARM)
    placket = front & (np.abs(np.abs(x) - 0.015) < 0.0018)
    button = front & (np.hypot(x, np.mod(z, 0.085) - 0.04) < 0.0058)
    s.albedo *= np.where(placket, 0.7, 1)[:, None]
    s.albedo[button] = cloth.colours[2]


def _zip(s: Samples) -> None:
    x, y, z = s.position.T
    front = (y < 0) & (s.region < LEFT_ARM) & (z > -0.4)
    s.albedo *= np.where(front & (np.abs(x) < 0.012), 0.82, 1)[:, None]
    teeth = front & (np.abs(x) < 0.003)
    s.albedo[teeth] = np.where(np.mod(z[teeth], 0.012) < 0.006, 0.45, 0.12)[:, None]


def _pockets(s: Samples) -> None:
    """Slanted pocket openings on both sides of the belly, and a seam under the chest."""
    x, y, z = s.position.T
    front = (y < 0) & (s.region < LEFT_ARM)
    along = np.abs(x) - 0.11 - 0.25 * (0.26 - z)
    opening = front & (np.abs(along) < 0.004) & (z > 0.16) & (z < 0.28)
    s.albedo *= np.where(opening, 0.45, 1)[:, None]


def _belt(s: Samples, colour: Array) -> None:
    x, y, z = s.position.T
    belt = (z > 0.178) & (z < 0.212) & (np.abs(x) < 0.25)
    s.albedo[belt] = colour
    s.albedo[belt & (np.abs(x) < 0.022) & (y < 0)] = 0.4


def _plain(s: Samples, cloth: Cloth, person: Person) -> None:
    s.albedo[:] = cloth.colours[0]
    _, gradient = noise(s.position * 4 + person.seed)
    _bend(s, 0.003 * gradient)
    s.gloss[:] = 0.02


def _shoe(s: Samples, cloth: Cloth, person: Person) -> None:
    sole = s.position[:, 2] < -0.803
    s.albedo[:] = paint(sole, cloth.colours[1], cloth.colours[0])
    z, y = s.position[:, 2], s.position[:, 1]
    laces = (
        (np.abs(np.abs(s.position[:, 0]) - 0.215) < 0.022)
        & (y < -0.03)
        & (y > -0.13)
        & (z > -0.775)
    )
    s.albedo[laces & (np.mod(y, 0.02) < 0.008)] = cloth.colours[1]
    _, gradient = noise(s.position * 4 + person.seed)
    _bend(s, 0.005 * gradient)
    s.gloss[:], s.power[:] = np.where(sole, 0.02, 0.09), 30


def _hat(s: Samples, cloth: Cloth, person: Person) -> None:
    z = s.position[:, 2]
    band = (np.abs(z - 0.975) < 0.007) | (z < 0.968)
    s.albedo[:] = paint(band, cloth.colours[1], cloth.colours[0])
    _, gradient = noise(s.position * 5 + person.seed)
    _bend(s, 0.004 * gradient)


def _bag(s: Samples, cloth: Cloth, person: Person) -> None:
    """Cloth with a pocket and seams; positions run from -1 to 1 in the bag's own box."""
    x, y, z = s.position.T
    pocket = (y > 0.5) & (np.abs(x) < 0.78) & (z < 0.05)
    s.albedo[:] = paint(pocket, cloth.colours[1], cloth.colours[0])
    seam = (np.abs(y - 0.45) < 0.05) | ((y > 0.5) & (np.abs(z - 0.08) < 0.035))
    s.albedo *= np.where(seam, 0.55, 1)[:, None]
    _, gradient = noise(s.position * 0.35 + person.seed)
    _bend(s, 0.05 * gradient, 0.3)
    s.gloss[:], s.power[:] = 0.04, 14


def _gloss(s: Samples, cloth: Cloth, person: Person) -> None:
    s.albedo[:] = cloth.colours[0]
    s.gloss[:], s.power[:] = 0.14, 40


def _eye(s: Samples, cloth: Cloth, person: Person) -> None:
    x, _, z = s.position.T
    distance = np.hypot(np.abs(x) - 0.0313, z - 0.9037)
    colour = paint(distance < 0.0066, person.iris, np.array([0.58, 0.55, 0.52]))
    s.albedo[:] = paint(distance < 0.0028, np.full(3, 0.01), colour)
    s.gloss[:], s.power[:] = 0.5, 80


def _skin(s: Samples, cloth: Cloth, person: Person) -> None:
    mottled, _ = noise(s.position * 1.3 + person.seed)
    s.albedo[:] = person.skin * (1 + 0.05 * mottled)[:, None]
    s.gloss[:], s.power[:], s.translucent[:] = 0.04, 18, 1
    head = np.nonzero(s.position[:, 2] > 0.76)[0]
    s.albedo[head] = _face(s.position[head], s.albedo[head], mottled[head], person)


def _face(position: Array, skin: Array, mottled: Array, person: Person) -> Array:
    x, y, z = position.T
    side = np.abs(x)
    height = 0.0105 * (1 - 0.35 * side / 0.0255)
    lips = np.clip(1 - np.maximum(side / 0.0255, np.abs(z - 0.829) / height) ** 3, 0, 1)
    lips = np.where(y < -0.138, lips, 0)[:, None]
    skin = skin * (1 - 0.7 * lips) + 0.7 * lips * person.skin * np.array([0.92, 0.56, 0.54])
    blush = np.where(y < -0.1, bump(side, 0.045, 0.02) * bump(z, 0.865, 0.02), 0)[:, None]
    skin = skin * (1 - blush * np.array([0, 0.12, 0.10]))
    socket = np.where(y < -0.11, bump(side, 0.0315, 0.02) * bump(z, 0.905, 0.011), 0)[:, None]
    skin = skin * (1 - 0.18 * socket)
    skin = _blend_hair(skin, _brow(side, y, z), person.hair * 0.7)
    if person.beard > 0:
        beard = _beard(side, y, z) * person.beard * np.clip(0.8 + 0.2 * mottled, 0, 1)
        skin = _blend_hair(skin, beard * (1 - 0.9 * lips[:, 0]), person.hair * 0.8)
    return skin


def _blend_hair(skin: Array, amount: Array, hair: Array) -> Array:
    return skin * (1 - amount[:, None]) + amount[:, None] * hair


def _brow(side: Array, y: Array, z: Array) -> Array:
    arch = 0.9265 + 0.108 * np.clip(side - 0.03, -0.02, 0) - 0.35 * np.clip(side - 0.037, 0, None)
    width = 0.0052 * (1 - 0.5 * np.clip((side - 0.03) / 0.03, 0, 1))
    there = (side > 0.0095) & (side < 0.053) & (y < -0.118)
    return 0.85 * smoothstep(width - np.abs(z - arch), -0.001, 0.002) * there


def _beard(side: Array, y: Array, z: Array) -> Array:
    upper = smoothstep(0.838 - z + 0.7 * np.clip(side - 0.03, 0, None) + 0.02 * (y > -0.1), 0, 0.02)
    cheeks = upper * (z > 0.765 - 0.25 * np.clip(-0.1 - y, -0.05, 0)) * (y < -0.045)
    moustache = (np.abs(z - 0.8475) < 0.007) & (side < 0.028) & (y < -0.14)
    return np.maximum(cheeks, moustache)


def _hair(s: Samples, cloth: Cloth, person: Person) -> None:
    """Base of the hair: fine streaks that run downwards, fading out at the hairline."""
    angle = np.arctan2(s.position[:, 0], s.position[:, 1] + 0.055)
    grid = np.stack([angle * 4.5, s.position[:, 2] * 1.6, angle * 1.3], 1).astype(np.float32)
    streak, _ = noise(grid + person.seed)
    fine, _ = noise(grid * np.array([3.1, 0.9, 3.1], np.float32) + person.seed)
    shade = np.clip(1 + 0.22 * streak + 0.22 * fine, 0.3, 1.8)[:, None]
    density = smoothstep(s.edge + 0.004 * fine, 0.0, 0.007)[:, None]
    density = density * (0.62 if person.hair_style == "buzz" else 1)
    s.albedo[:] = person.hair * shade * density + (1 - density) * person.skin
    around = normalise(np.cross(s.normal, np.array([0, 0, 1.0], np.float32)))
    s.normal[:] = normalise(s.normal + around * (0.22 * streak + 0.2 * fine)[:, None])
    s.gloss[:], s.power[:] = 0.01, 12


def _strand(s: Samples, cloth: Cloth, person: Person) -> None:
    """Ribbons of hair: along is a random number of the strand, fold runs from root to tip."""
    fine, _ = noise(s.position * np.array([14, 14, 1.2], np.float32) + s.along[:, None])
    shade = (0.8 + 0.35 * s.along) * (0.78 + 0.32 * s.fold) * (1 + 0.2 * fine)
    s.albedo[:] = person.hair * np.clip(shade, 0.25, 2)[:, None]
    s.gloss[:], s.power[:] = 0.015, 14


SHADERS: dict[str, Callable[[Samples, Cloth, Person], None]] = {
    "cloth": _weave, "plain": _plain, "shoe": _shoe, "hat": _hat, "bag": _bag, "gloss": _gloss,
    "eye": _eye, "skin": _skin, "hair": _hair, "strand": _strand,
}  # fmt: skip

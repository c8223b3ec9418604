"""Drawing built-in people: the public functions of `synth.people`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.people.assets import load_assets
from synth.people.figure import build_figure
from synth.people.geometry import Array, bounds, euler, transform
from synth.people.ground import cast_shadow, contacts, draw_ground
from synth.people.keypoints import body_keypoints
from synth.people.person import Person, sample_person
from synth.people.plain_opencv import plain_opencv
from synth.people.pose import sample_kind, sample_pose
from synth.people.raster import Camera, Fragments, look_at, rasterise
from synth.people.resolve import drop_specks, resolve, shading_samples
from synth.people.scene import Scene, assemble, shade_scene
from synth.people.seats import seat
from synth.people.shade import Light, sample_light
from synth.people.stance import seat_rows

FRAMINGS = ("full", "three-quarter", "upper")
FRAMING_SHARE = (0.75, 0.15, 0.10)
HIPS = [11, 12]


@dataclass(frozen=True)
class RenderedPerson:
    """A person without background."""

    rgb: np.ndarray  # (S, S, 3) uint8, straight colour, meaningful where alpha > 0
    alpha: np.ndarray  # (S, S) uint8 antialiased coverage
    parsing: np.ndarray  # (S, S) uint8 LIP-20, > 0 exactly where alpha >= 128
    keypoints: np.ndarray  # (17, 3) float32 COCO x, y, 0 outside / 1 hidden / 2 visible
    light: dict[str, list[float]]  # direction, colour, sky: for a background or a shadow to match
    meta: dict[str, Any]  # json-able facts: pose, outfit, age group, framing ...


@plain_opencv()
def render_person(
    rng: np.random.Generator, size: int, *, framing: str | None = None, supersample: int = 3
) -> RenderedPerson:
    """Draw a random person into a square of `size` pixels.

    `framing` is one of FRAMINGS, None draws it; `supersample` is the number of samples a pixel
    has along each axis. The same generator state gives the same bytes. Raises ValueError for an
    unknown framing.
    """
    if framing is not None and framing not in FRAMINGS:
        raise ValueError(f"framing {framing!r} is none of {', '.join(FRAMINGS)}")
    person = sample_person(rng)
    in_skirt = person.outfit in ("skirt", "dress")
    pose = sample_pose(rng, sample_kind(rng, in_skirt))
    if framing is None:
        framing = FRAMINGS[int(rng.choice(len(FRAMINGS), p=FRAMING_SHARE))]
    figure = build_figure(load_assets(), person, pose)
    yaw = _yaw(rng, pose.kind)
    turn = euler(0, 0, yaw).astype(np.float32)
    light = sample_light(rng)
    scene = assemble(figure.parts, turn)
    camera = _camera(rng, scene, framing)
    fragments = rasterise(scene.vertices, scene.faces, camera, size * supersample, scene.solid)
    rgb, alpha, parsing = _pixels(scene, fragments, camera, light, person, supersample)
    points = transform(body_keypoints(figure, load_assets()), turn) + scene.shift
    place: dict[str, Any] = {}
    if pose.kind == "sit" and framing == "full":
        under = float(figure.skin[seat_rows()][:, 2].min() + scene.shift[2])
        hips = points[HIPS].mean(0)
        place = seat(rng, hips, under, yaw, turn, camera, size, light.direction)
    return RenderedPerson(
        rgb=rgb,
        alpha=alpha,
        parsing=parsing,
        keypoints=_visible(points, camera, fragments.depth, size),
        light=_plain_light(light),
        meta=_meta(figure.person, pose.kind, framing, yaw)
        | {
            "contacts": contacts(scene, camera, size),
            "shadow": cast_shadow(camera, light.direction),
            "seat": place,
        },
    )


def render_cutout(rng: np.random.Generator, size: int) -> RenderedPerson:
    """A person to be used as an occluder: any framing, so the lower body may be cut off."""
    return render_person(rng, size, framing=FRAMINGS[int(rng.choice(3, p=(0.4, 0.3, 0.3)))])


@plain_opencv()
def composite(person: RenderedPerson, background: np.ndarray) -> np.ndarray:
    """The person over a background (S, S, 3) uint8, with a soft shadow where feet are in sight."""
    canvas = background.astype(np.float32)
    draw_ground(person.meta, person.alpha, canvas)
    alpha = person.alpha[..., None].astype(np.float32) / 255
    return np.rint(person.rgb * alpha + canvas * (1 - alpha)).astype(np.uint8)


def _pixels(
    scene: Scene,
    fragments: Fragments,
    camera: Camera,
    light: Light,
    person: Person,
    supersample: int,
) -> tuple[Array, Array, Array]:
    """Picture, alpha and parsing, see `resolve`; only the window with the person is shaded."""
    size = len(fragments.face)
    window = fragments.window(supersample)
    fragments = fragments.crop(window)
    covered = fragments.face >= 0
    labels = np.where(covered, scene.label[fragments.face], 0).astype(np.uint8)
    chosen = shading_samples(covered, supersample)
    colour = shade_scene(scene, fragments, chosen, size, camera, light, person)
    found = resolve(covered, labels, chosen, colour, supersample)
    drop_specks(*found)
    side = size // supersample
    place = tuple(slice(s.start // supersample, s.stop // supersample) for s in window)
    rgb, alpha, parsing = (np.zeros((side, side, *part.shape[2:]), np.uint8) for part in found)
    rgb[place], alpha[place], parsing[place] = found
    return rgb, alpha, parsing


def _plain_light(light: Light) -> dict[str, list[float]]:
    fields = {"direction": light.direction, "colour": light.colour, "sky": light.sky}
    return {name: [float(v) for v in values] for name, values in fields.items()}


def _yaw(rng: np.random.Generator, kind: str) -> float:
    """Turn away from the camera, degrees: seated people are not seen from behind."""
    if kind == "sit":
        return float(rng.uniform(-105, 105))
    return float(rng.normal(0, 40) if rng.random() < 0.6 else rng.uniform(-180, 180))


def _camera(rng: np.random.Generator, scene: Scene, framing: str) -> Camera:
    """A camera that shows the whole person, or the upper part, with a margin."""
    low, high = bounds(scene.vertices)
    height = float(high[2])
    pitch = np.deg2rad(np.clip(rng.normal(5, 7), -6, 32))
    distance = rng.uniform(3.2, 8) * max(height, 1.2) / 1.7
    towards = np.array([0, -np.cos(pitch), np.sin(pitch)])
    fill = rng.uniform(0.76, 0.91)
    centre = np.array([(low[0] + high[0]) / 2, 0, height / 2])
    if framing != "full":
        share = 0.70 if framing == "three-quarter" else 0.48
        centre[2] = height * (1 - share / 2) + 0.03
        span = max(height * share, 0.6 * float(high[0] - low[0])) * 1.08
        fov = 2 * np.arctan(span / 2 / distance)
        return look_at(centre + distance * towards, centre, fov)
    camera = look_at(centre + distance * towards, centre, 1.0)
    pixel, _ = camera.project(scene.vertices, 2)
    top, bottom = pixel[:, 1].min(), pixel[:, 1].max()
    right = np.abs(pixel[:, 0] - 1).max()
    half = max((bottom - top) / 2, right) * np.tan(0.5)
    middle = ((top + bottom) / 2 - 1) * np.tan(0.5) * distance
    up = camera.matrix[1, :3].astype(float)
    target = centre - up * middle
    return look_at(target + distance * towards, target, 2 * float(np.arctan(half / fill)))


def _visible(points: Array, camera: Camera, depth: Array, size: int) -> Array:
    """COCO keypoints (17, 3): hidden where something lies clearly in front of the joint."""
    pixel, distance = camera.project(points, size)
    inside = np.all((pixel >= 0) & (pixel < size), axis=1)
    index = np.clip((pixel * (len(depth) / size)).astype(int), 0, len(depth) - 1)
    slack = np.array([0.03] * 5 + [0.13] * 2 + [0.08] * 4 + [0.18] * 2 + [0.11] * 4)
    seen = depth[index[:, 1], index[:, 0]] > distance - slack
    flag = np.where(inside, np.where(seen, 2, 1), 0)
    return np.concatenate([pixel * inside[:, None], flag[:, None]], 1).astype(np.float32)


def _meta(person: Person, pose: str, framing: str, yaw: float) -> dict[str, Any]:
    return {
        "pose": pose,
        "framing": framing,
        "yaw": round(yaw, 2),
        "sex": "male" if person.male else "female",
        "age_group": person.age_group,
        "outfit": person.outfit,
        "coat": person.coat,
        "hat": person.hat,
        "hair": person.hair_style,
        "bag": person.bag,
    }

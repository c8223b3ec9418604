"""One posed, dressed person as a list of parts, and its joints."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from synth.parsing import label
from synth.people.accessories import brim, hat_field, hat_offset, sunglasses
from synth.people.articulate import rotations
from synth.people.assets import Assets, load_assets
from synth.people.bags import carry
from synth.people.body import Rig
from synth.people.clearance import clear_arms
from synth.people.cuts import Patch, clip
from synth.people.garments import Wardrobe, dress
from synth.people.geometry import Array, smoothstep
from synth.people.hair import hair_parts, hairline
from synth.people.head import HeadFrame, head_frame
from synth.people.noise import noise
from synth.people.parts import Part, Posed, body_scale, pose_surface
from synth.people.person import Cloth, Person
from synth.people.pose import UPRIGHT, Pose
from synth.people.shoulders import Shoulders, shoulders_of
from synth.people.stance import settle

SKIN = Cloth("skin", np.ones((3, 3), np.float32))
EYE = Cloth("eye", np.ones((3, 3), np.float32))
HAIR = Cloth("hair", np.ones((3, 3), np.float32))
# How far the painted scalp is lifted off the skin, metres.
SHELL_LIFT = {"buzz": 0.002, "curly": 0.012, "afro": 0.035}
HAIR_COVER = 0.02  # metres above the hairline from which on hair hides the scalp
SEATED_HEM = 0.14  # template height above which a hem is not caught between bent legs
COLLAR_ROOM = 0.018  # metres that a collar, hood or scarf adds to what hair falls on
HIDDEN_DEPTH = 0.012  # metres inside a garment's edge beyond which skin is not drawn


@dataclass(frozen=True)
class Figure:
    """Parts in the person's own frame (facing -Y), and the rig they were posed by."""

    person: Person  # as dressed for the pose
    parts: list[Part]
    rig: Rig
    body: Posed
    skin: Array  # (13380, 3) posed vertices of the bare body
    eyes: tuple[Array, Array]  # posed vertices of the left and right eyeball


def build_figure(assets: Assets, person: Person, pose: Pose) -> Figure:
    """Shape, pose and dress a person."""
    person = _fit_to_pose(person, pose)
    rest = assets.model.rest(person.phenotype)
    turns = settle(assets, rest, pose, rotations(assets, rest, pose))
    turns = clear_arms(assets, rest, pose, turns, person.coat != "none")
    rig = assets.model.pose(rest, turns)
    scale = body_scale(assets, rest)
    surfaces = {
        name: pose_surface(assets, rest, rig, name, scale)
        for name in ("body", "tights", "skirt", "eye_left", "eye_right")
    }
    tights, body = surfaces["tights"], surfaces["body"]
    lumps = noise(tights.points * 0.8 + person.seed)[0] * 0.0035
    wardrobe = dress(person, tights, surfaces["skirt"], lumps)
    carry(wardrobe)
    parts = list(wardrobe.parts)
    skin = body.skin(0.0)
    parts += _skin(assets, person, wardrobe, body, skin)
    eyes = surfaces["eye_left"], surfaces["eye_right"]
    balls = eyes[0].skin(0.0), eyes[1].skin(0.0)
    parts += [_whole(eye, ball, EYE) for eye, ball in zip(eyes, balls, strict=True)]
    frame = head_frame(assets, rest, rig)
    parts += _head_wear(person, body, frame, shoulders_of(tights, _worn(person, wardrobe), frame))
    return Figure(person, parts, rig, body, skin, balls)


def _fit_to_pose(person: Person, pose: Pose) -> Person:
    """Skirts and coats stay short and close where legs are far apart: cloth is not simulated.

    Whoever sits has taken the backpack off.
    """
    if pose.kind in UPRIGHT:
        return person
    seated = pose.kind in ("sit", "floor")
    return replace(
        person,
        bag="none" if seated and person.bag == "backpack" else person.bag,
        flare=min(person.flare, 0.05),
        skirt_hem=max(person.skirt_hem, -0.30),
        coat_hem=max(person.coat_hem, SEATED_HEM),
        hem=max(person.hem, SEATED_HEM),
    )


def _whole(posed: Posed, vertices: Array, cloth: Cloth) -> Part:
    faces = posed.surface.faces
    labels = np.full(len(faces), label("face"), np.uint8)
    return _select(posed, vertices, faces, labels, cloth)


def _select(posed: Posed, vertices: Array, faces: Array, labels: Array, cloth: Cloth) -> Part:
    """A part of some faces of a surface, with only the vertices they need."""
    f = posed.surface.fields
    used, flat = np.unique(faces, return_inverse=True)
    attributes = np.zeros((len(used), 6), np.float32)
    attributes[:, :3] = f.rest[used]
    attributes[:, 4] = 1
    region = f.region[faces[:, 0]]
    new = flat.reshape(faces.shape).astype(np.int32)
    return Part(vertices[used], new, attributes, labels, region, cloth)


def _skin(
    assets: Assets, person: Person, wardrobe: Wardrobe, body: Posed, skin: Array
) -> list[Part]:
    """The bare body, without what clothes hide, and gloves, which are inflated hands."""
    f = body.surface.fields
    cover = wardrobe.cover[assets.body_to_tights].copy()
    cover[(f.head > 0.5) | (f.hand > 0.5)] = -1
    if person.shoes is not None:
        cover[f.foot > 0.6] = 1
    faces = body.surface.faces
    faces = faces[(cover[faces] <= HIDDEN_DEPTH).any(1)]
    if person.hair_style != "bald":
        faces = faces[(hairline()[faces] < HAIR_COVER).any(1)]
    parts = []
    if person.gloves is not None:
        gloved = (f.hand[faces] > 0.5).any(1)
        labels = np.full(int(gloved.sum()), label("glove"), np.uint8)
        parts.append(_select(body, body.skin(0.004), faces[gloved], labels, person.gloves))
        faces = faces[~gloved]
    labels = np.sort(f.label[faces], axis=1)[:, 1]
    return [*parts, _select(body, skin, faces, labels, SKIN)]


def _worn(person: Person, wardrobe: Wardrobe) -> Array:
    """Metres (n,) of cloth on the tights surface; hoods and collars stand off further."""
    collar = person.coat != "none" or person.neckline in ("hood", "shirt")
    scarf = person.scarf is not None
    return wardrobe.under + COLLAR_ROOM * (collar or scarf)


def _head_wear(person: Person, body: Posed, frame: HeadFrame, shoulders: Shoulders) -> list[Part]:
    parts = []
    if person.hair_style != "bald":
        hatted = person.hat != "none"
        lift = SHELL_LIFT.get(person.hair_style, 0.005)
        lift = min(lift, 0.005) if hatted else lift
        offset = lift * smoothstep(hairline(), 0, 0.02) + 0.0012
        parts.append(_shell(body, "hair", offset, "hair", HAIR))
        parts += hair_parts(person, frame, shoulders)
    if person.hat != "none":
        offset = hat_offset(body.surface.fields.rest, person.hat)
        parts.append(_shell(body, person.hat, offset, "hat", person.hat_cloth))
        if person.hat != "beanie":
            parts.append(brim(person, frame))
    if person.sunglasses:
        parts.append(sunglasses(frame))
    return parts


@lru_cache(maxsize=8)
def _scalp_patch(kind: str) -> Patch:
    """The scalp, clipped to the hairline or to the rim of a kind of hat."""
    assets = load_assets()
    fields = assets.surfaces["body"].fields
    field = hairline()
    if kind != "hair":
        field = np.where(fields.head < 0.4, -1, hat_field(fields.rest, kind))
    return clip(assets.scalp, fields, field.astype(np.float32))


def _shell(body: Posed, kind: str, offset: Array, name: str, cloth: Cloth) -> Part:
    """An inflated patch of the scalp."""
    patch = _scalp_patch(kind)
    return Part(
        vertices=patch.gather(body.skin(offset)),
        faces=patch.faces,
        attributes=patch.attributes,
        label=np.full(len(patch.faces), label(name), np.uint8),
        region=patch.region,
        material=cloth,
    )

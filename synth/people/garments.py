"""Dressing: cut patches, inflated in layers and skinned with the body they lie on.

Layers keep their order by construction: every layer records how far it stands off the skin, and
the next one stands off at least a given gap more.
"""

from dataclasses import dataclass, field

import numpy as np

from synth.parsing import label
from synth.people.collars import collar
from synth.people.cuts import WAIST, Cut, Patch, cut_field, cut_patch
from synth.people.geometry import Array, smoothstep
from synth.people.parts import Part, Posed
from synth.people.person import Cloth, Person

SHIRT_GAP, COAT_GAP = 0.004, 0.007  # metres between a layer and the one below
THICKNESS = 0.007  # how deep a hem is turned in, so that cloth does not look like paint
NEVER = -1.0


@dataclass
class Wardrobe:
    """The layers put on so far."""

    person: Person
    tights: Posed
    skirt: Posed
    lumps: Array  # (n,) metres of unevenness on the tights surface
    parts: list[Part] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = len(self.tights.points)
        self.under = np.zeros(count, np.float32)  # how far the layers stand off the skin
        self.cover = np.full(count, NEVER, np.float32)  # metres inside the nearest covering edge

    def wear(
        self,
        name: str,
        material: Cloth,
        cut: Cut,
        offset: Array,
        shift: Array | None = None,
        thickness: float = THICKNESS,
    ) -> None:
        """Put on one piece; offset (n,) is its distance from the skin, shift (n, 3) moves it."""
        posed = self.tights if cut.surface == "tights" else self.skirt
        patch = cut_patch(cut)
        if not len(patch.faces):
            return
        outer = posed.skin(offset, shift)
        vertices = patch.gather(outer)
        inner = patch.gather_rim(posed.skin(np.maximum(offset - thickness, 0), shift))
        self.parts.append(_piece(name, material, patch, vertices, inner))

    def layer(self, cut: Cut, offset: Array, gap: float) -> Array:
        """Lift an offset (n,) over the layers below, and record it as the new top layer."""
        lifted = np.maximum(offset, np.where(self.under > 0, self.under + gap, 0))
        inside = cut_field(cut) > -0.03
        self.under = np.where(inside, np.maximum(lifted, self.under), self.under)
        return lifted.astype(np.float32)

    def hide(self, cut_or_field: Cut | Array) -> None:
        """Note that skin is covered where a field (n,) is positive."""
        f = cut_field(cut_or_field) if isinstance(cut_or_field, Cut) else cut_or_field
        self.cover = np.maximum(self.cover, f)


def _piece(name: str, material: Cloth, patch: Patch, vertices: Array, inner: Array) -> Part:
    """A patch and its turned-in hem."""
    first, count = len(patch.kept), len(vertices)
    a, b = patch.rim[:, 0], patch.rim[:, 1]
    hem = np.concatenate(
        [
            np.stack([first + a, first + b, count + a], 1),
            np.stack([first + b, count + b, count + a], 1),
        ]
    )
    attributes = np.concatenate([patch.attributes, patch.attributes[first:]])
    faces = np.concatenate([patch.faces, hem]).astype(np.int32)
    region = np.concatenate([patch.region, np.zeros(len(hem), np.uint8)])
    if name == "shoe":
        left = attributes[faces[:, 0], 0] > 0
        labels = np.where(left, label("left-shoe"), label("right-shoe")).astype(np.uint8)
    else:
        labels = np.full(len(faces), label(name), np.uint8)
    return Part(np.concatenate([vertices, inner]), faces, attributes, labels, region, material)


def dress(person: Person, tights: Posed, skirt: Posed, lumps: Array) -> Wardrobe:
    """Everything that is worn on the body, from the inside out."""
    wardrobe = Wardrobe(person, tights, skirt, lumps)
    _socks(wardrobe)
    if person.outfit in ("trousers", "shorts"):
        _trousers(wardrobe)
    elif person.outfit == "jumpsuit":
        _jumpsuit(wardrobe)
    else:
        _skirt(wardrobe)
    if person.outfit not in ("jumpsuit", "dress"):
        _top(wardrobe)
    _shoes(wardrobe)
    if person.coat != "none":
        _coat(wardrobe)
    if person.scarf is not None:
        _scarf(wardrobe)
    return wardrobe


def _socks(w: Wardrobe) -> None:
    if w.person.socks is None:
        return
    cut = Cut("foot", hem=w.person.sock_height)
    w.wear("socks", w.person.socks, cut, np.full(len(w.under), 0.002, np.float32), thickness=0.002)
    w.hide(cut)


def _leg_offset(w: Wardrobe) -> Array:
    """Trousers: snug at the waist, hanging from hip and knee as far as they are wide."""
    f, surface = w.tights.surface.fields, w.tights.surface
    fit = w.person.leg_fit
    ease = 0.003 + 0.016 * fit + 0.012 * fit * smoothstep(f.leg, 0.5, 1)
    hang = surface.slack * (0.15 + 0.8 * fit)
    loose = (ease + hang) * smoothstep(WAIST + 0.005 - f.rest[:, 2], 0, 0.15)
    return (0.003 + loose + np.abs(w.lumps) * 0.6).astype(np.float32)


def _trousers(w: Wardrobe) -> None:
    cut = Cut("legs", hem=WAIST, length=w.person.leg_length)
    offset = w.layer(cut, _leg_offset(w), 0.002)
    w.wear("pants", w.person.bottom, cut, offset)
    w.hide(cut)


def _neck(w: Wardrobe) -> str:
    return {"shirt": "crew", "hood": "crew"}.get(w.person.neckline, w.person.neckline)


def _jumpsuit(w: Wardrobe) -> None:
    p = w.person
    cut = Cut("overall", sleeve=p.sleeve, neck=_neck(w), length=p.leg_length)
    offset = np.maximum(_leg_offset(w), _top_offset(w, WAIST, 0.3 * p.fit))
    w.wear("jumpsuits", p.bottom, cut, w.layer(cut, offset, SHIRT_GAP))
    w.hide(cut)


def _flare(w: Wardrobe) -> Array:
    """Horizontal shift (n, 3) of the skirt surface: a cone below the waist, with pleats."""
    f = w.skirt.surface.fields
    x, y, z = f.rest.T
    out = np.stack([x, y + 0.01], 1)
    out /= np.maximum(np.hypot(out[:, 0], out[:, 1]), 1e-3)[:, None]
    down = np.clip(WAIST - z, 0, None)
    pleats = 0.012 * np.sin(np.arctan2(x, -y) * 16 + w.person.seed[0]) * smoothstep(down, 0, 0.4)
    shift = np.zeros_like(f.rest)
    shift[:, :2] = out * (down * w.person.flare + pleats)[:, None]
    return shift


def _skirt(w: Wardrobe) -> None:
    p = w.person
    name = "skirt" if p.outfit == "skirt" else "dress"
    offset = np.full(len(w.skirt.points), 0.012, np.float32)
    w.wear(name, p.bottom, Cut("skirt", "skirt", hem=p.skirt_hem), offset, _flare(w))
    f = w.tights.surface.fields
    covered = np.minimum(WAIST - f.rest[:, 2], f.rest[:, 2] - max(p.skirt_hem + 0.10, 0.02))
    w.hide(np.where(f.is_arm, NEVER, covered).astype(np.float32))
    if name == "dress":
        cut = Cut("top", sleeve=p.sleeve, hem=WAIST - 0.03, neck=_neck(w))
        loose = w.layer(cut, _top_offset(w, WAIST - 0.03, 0.15 * p.fit), SHIRT_GAP)
        w.wear("dress", p.bottom, cut, loose)
        w.hide(cut)


def _top_offset(w: Wardrobe, hem: float, hang: float) -> Array:
    f, surface = w.tights.surface.fields, w.tights.surface
    fit = w.person.fit
    z = f.rest[:, 2]
    ease = 0.003 + 0.006 * fit + 0.012 * fit * (1 - smoothstep(z, hem, hem + 0.35))
    hanging = surface.slack * hang * (1 - smoothstep(z, 0.42, 0.62))
    sleeve = np.where(f.is_arm, 0.010 * fit * f.arm, 0)
    near = np.where(f.is_arm, smoothstep(f.arm, 0.05, 0.4), 1 - smoothstep(z, 0.58, 0.68))
    offset = ease * (0.45 + 0.55 * near) + sleeve + hanging + np.abs(w.lumps)
    return offset.astype(np.float32)


def _top(w: Wardrobe) -> None:
    p, z = w.person, w.tights.surface.fields.rest[:, 2]
    tucked = p.tucked or p.outfit == "skirt"
    hem = WAIST - 0.02 if tucked else p.hem
    sleeve = 0.92 if p.coat != "none" and p.sleeve > 0.42 else p.sleeve
    cut = Cut("top", sleeve=sleeve, hem=hem, neck=_neck(w))
    offset = _top_offset(w, hem, 0.15 + 0.6 * p.fit)
    if tucked:
        offset = 0.003 + (offset - 0.003) * smoothstep(z, WAIST + 0.02, WAIST + 0.09)
    lifted = w.layer(cut, offset, 0.001 if tucked else SHIRT_GAP)
    w.wear("upper-clothes", p.top, cut, lifted)
    w.hide(cut)
    if p.neckline in ("shirt", "hood"):
        w.parts.append(collar(w.tights, cut_patch(cut), lifted, p.neckline, "upper-clothes", p.top))


def _coat(w: Wardrobe) -> None:
    p, f = w.person, w.tights.surface.fields
    cut = Cut(
        "top", sleeve=0.99, hem=max(p.coat_hem, 0.06), neck="crew", grow=0.012, gap=p.coat_gap
    )
    offset = 0.012 + 0.010 * p.fit + np.abs(w.lumps) * 1.4 - np.where(f.is_arm, 0.004, 0)
    slack = w.tights.surface.slack * (0.8 - 0.6 * smoothstep(f.rest[:, 2], 0.4, 0.62))
    offset = w.layer(cut, (offset + slack).astype(np.float32), COAT_GAP)
    w.wear("coat", p.coat_cloth, cut, offset, thickness=0.012)
    style = p.coat_collar
    w.parts.append(collar(w.tights, cut_patch(cut), offset, style, "coat", p.coat_cloth))
    if p.coat_gap == 0:
        w.hide(cut)
    over_skirt = p.outfit in ("skirt", "dress")
    if p.coat_hem < 0.05 or over_skirt:
        tail = Cut("skirt", "skirt", hem=p.coat_hem, gap=p.coat_gap)
        stand = 0.026 + 0.014 * p.leg_fit + 0.012 * p.fit
        shift = _flare(w) if over_skirt else None
        w.wear("coat", p.coat_cloth, tail, np.full(len(w.skirt.points), stand, np.float32), shift)


def _shoes(w: Wardrobe) -> None:
    p, f = w.person, w.tights.surface.fields
    if p.shoes is None:
        return
    over = p.outfit in ("trousers", "jumpsuit") and p.leg_length > 0.9
    shaft = min(p.boot, 0.04) if over else p.boot
    cut = Cut("foot", hem=-0.733 + shaft, grow=1.0)
    below = f.rest[:, 2] < -0.795
    offset = np.where(below, 0.012, 0.007).astype(np.float32)
    sole = np.zeros((len(below), 3), np.float32)
    sole[:, 2] = np.where(below & (w.tights.normals[:, 2] < -0.3), -0.012, 0)
    w.wear("shoe", p.shoes, cut, offset, sole, thickness=0.006)
    w.hide(np.where(f.is_arm, NEVER, -0.70 + shaft - f.rest[:, 2]).astype(np.float32))
    w.cover = np.where(f.foot > 0.6, 1, w.cover)


def _scarf(w: Wardrobe) -> None:
    p, f = w.person, w.tights.surface.fields
    assert p.scarf is not None
    x, _, z = f.rest.T
    ripple = 0.008 * np.sin(z * 160 + x * 30)
    offset = np.maximum(0.018, w.under + 0.012) + ripple
    loop = Cut("scarf_loop", hem=round(float(p.seed[0])))
    w.wear("scarf", p.scarf, loop, offset.astype(np.float32), thickness=0.012)
    end = Cut("scarf_end", hem=0.42)
    w.wear("scarf", p.scarf, end, (np.maximum(0.014, w.under + 0.010)).astype(np.float32))

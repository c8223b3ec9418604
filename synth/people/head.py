"""What sits on the head: it is modelled on the template's head and mapped to the person's."""

from dataclasses import dataclass

import numpy as np

from synth.parsing import label
from synth.people.assets import Assets
from synth.people.body import RestBody, Rig
from synth.people.geometry import Array, smoothstep, transform
from synth.people.parts import Part
from synth.people.person import Cloth

CHIN, SHOULDERS = 0.80, 0.70  # below the chin, things follow the chest more and more


@dataclass(frozen=True)
class HeadFrame:
    """Maps template points near the head to the posed person."""

    low: Array
    scale: Array
    target: Array
    head: Array  # (3, 4) transform of the head bone
    chest: Array  # (3, 4) transform of the uppermost spine bone

    def place(self, points: Array) -> Array:
        """Template points (n, 3) to posed points (n, 3)."""
        rest = (points - self.low) * self.scale + self.target
        on_head = transform(rest, self.head[:, :3]) + self.head[:, 3]
        on_chest = transform(rest, self.chest[:, :3]) + self.chest[:, 3]
        share = smoothstep(points[:, 2], SHOULDERS, CHIN)[:, None]
        return (on_head * share + on_chest * (1 - share)).astype(np.float32)


def head_frame(assets: Assets, rest: RestBody, rig: Rig) -> HeadFrame:
    """The frame of one person's head."""
    body = assets.surfaces["body"]
    head = body.fields.head > 0.95
    template, own = body.fields.rest[head], rest.vertices[body.rows][head]
    low, target = template.min(0), own.min(0)
    index = assets.model.index
    return HeadFrame(
        low=low,
        scale=np.ptp(own, axis=0) / np.ptp(template, axis=0),
        target=target,
        head=rig.transforms[index["head"]],
        chest=rig.transforms[index["spine01"]],
    )


def head_part(
    frame: HeadFrame, points: Array, faces: Array, name: str, cloth: Cloth,
    extra: Array | None = None,
) -> Part:  # fmt: skip
    """A part from template points (n, 3); extra (n, 3) fills arc length, edge and fold."""
    points = np.asarray(points, np.float32)
    extra = np.ones((len(points), 3), np.float32) if extra is None else extra
    return Part(
        vertices=frame.place(points),
        faces=np.asarray(faces, np.int32),
        attributes=np.concatenate([points, extra], 1).astype(np.float32),
        label=np.full(len(faces), label(name), np.uint8),
        region=np.zeros(len(faces), np.uint8),
        material=cloth,
    )

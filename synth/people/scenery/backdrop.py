"""Scenes with little in them: a studio's paper sweep, a beach, and a distance out of focus."""

import cv2
import numpy as np

from synth.people.scenery.colour import hsv
from synth.people.scenery.finish import blur
from synth.people.scenery.frame import View
from synth.people.scenery.ground import lay_ground, place_ground
from synth.people.scenery.outdoor import park, scatter_props, street
from synth.people.scenery.room import room
from synth.people.scenery.sheets import noise, smoothstep
from synth.people.scenery.sky import draw_sky, haze_of, treeline
from synth.people.scenery.textures import texture


def _bokeh(rng: np.random.Generator, frame: np.ndarray, horizon: float) -> None:
    """Discs of defocused lamps above the horizon, added as light."""
    n = len(frame)
    glow = np.zeros((n, n, 3), np.float32)
    for _ in range(int(rng.integers(5, 25))):
        spot = (int(rng.uniform(0, n)), int(rng.uniform(0, horizon)))
        colour = hsv(rng.choice([0.08, 0.12, 0.58, 0.0]) + 0.02, rng.uniform(0.1, 0.6), 1.0)
        disc = np.zeros((n, n), np.uint8)
        cv2.circle(disc, spot, max(2, int(n * rng.uniform(0.015, 0.05))), 255, -1, cv2.LINE_AA)
        xs, ys = (slice(max(0, at - n // 16), at + n // 16) for at in spot)
        glow[ys, xs] += disc[ys, xs, None] * (np.asarray(colour, np.float32) / 255)
    frame += glow * np.float32(rng.uniform(0.25, 0.6))


def defocused(rng: np.random.Generator, n: int) -> View:
    """A street, a park or a room far out of focus, behind a sharp ground with things on it."""
    far = (street, park, room)[int(rng.integers(3))](rng, n)
    frame = blur(np.clip(far.frame, 0, 255), n * rng.uniform(0.02, 0.05))
    horizon = rng.uniform(0.4, 0.6) * n
    haze = haze_of(frame, horizon)
    if rng.random() < 0.4:
        _bokeh(rng, frame, horizon)
    kinds = "pavers asphalt tiles planks concrete gravel sand"
    photos = [*far.photos, *place_ground(rng, frame, horizon, kinds, haze)]
    scatter_props(rng, frame, horizon, int(rng.integers(0, 5)), haze, (0.05 * n, 0.3 * n))
    return View(frame, horizon, tuple(photos))


def studio(rng: np.random.Generator, n: int) -> View:
    """A sweep of paper: wall and floor of one colour that run into each other, lit by a spot."""
    horizon = rng.uniform(0.6, 0.8) * n
    paper = hsv(rng.random(), 0.5 * rng.beta(1.2, 4), rng.uniform(0.3, 0.85))
    row = np.arange(n, dtype=np.float32)[:, None]
    column = np.arange(n, dtype=np.float32)[None]
    x, y = n * rng.uniform(0.25, 0.75), n * rng.uniform(0.1, 0.5)
    spot = np.exp(-((column - x) ** 2 + (row - y) ** 2) / (n * rng.uniform(0.4, 0.9)) ** 2)
    light = rng.uniform(0.5, 0.7) + 0.55 * spot
    bend = smoothstep(row, horizon - 0.12 * n, horizon + 0.1 * n)
    light = light * (1 + rng.uniform(-0.25, 0.2) * bend)
    light += 0.008 * noise(rng, n, n, "smooth")
    return View(light[..., None] * np.asarray(paper, np.float32), horizon)


def beach(rng: np.random.Generator, n: int) -> View:
    """Sand, a band of water with crests, perhaps hills beyond it."""
    horizon = rng.uniform(0.3, 0.5) * n
    frame = draw_sky(rng, n, horizon)
    haze = haze_of(frame, horizon)
    if rng.random() < 0.5:
        treeline(rng, frame, horizon, rng.uniform(0.02, 0.1) * n, haze, rng.uniform(0.5, 0.8))
    frame[int(horizon) :] = lay_ground(
        rng, n, horizon, texture(rng, "sand", 256, 256), rng.uniform(1.5, 4), haze
    )[int(horizon) :]
    shore = horizon + rng.uniform(0.06, 0.2) * n
    row = np.arange(n, dtype=np.float32)[:, None]
    edge = shore + 0.012 * n * noise(rng, 4, n, "cloud", n / 120)[:1]
    water = np.asarray(hsv(rng.uniform(0.48, 0.6), rng.uniform(0.3, 0.6), 0.55), np.float32)
    depth = np.clip((row - horizon) / (shore - horizon), 0, 1)
    crests = noise(rng, n, n, "brushed", n / 300) * (0.3 + depth)
    sea = water + (haze - water) * (0.5 * (1 - depth))[..., None] + 14 * crests[..., None]
    foam = np.exp(-(((row - edge) / (0.012 * n)) ** 2))[..., None]
    wet = smoothstep(row - edge, -1, 1) * (row >= horizon)
    frame = np.where(row[..., None] < horizon, frame, sea + (frame - sea) * wet[..., None])
    frame += (235 - frame) * 0.8 * foam
    return View(frame, horizon)

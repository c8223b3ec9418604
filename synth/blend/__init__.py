"""Blending a cut-out into a scene: outline, colours, grain, gradients, shadow, and the pasting.

Everything here keeps one promise: a pixel whose alpha is 0 shows the scene, and nothing else.
"""

from synth.blend.colour import match_colours, tone
from synth.blend.edges import erode_outline, feather, harden, resize_cutout
from synth.blend.grain import match_grain
from synth.blend.layer import Frame, Layer, onto_canvas, paste
from synth.blend.poisson import adapt
from synth.blend.shadow import contact_shadow, darken

__all__ = [
    "Frame",
    "Layer",
    "adapt",
    "contact_shadow",
    "darken",
    "erode_outline",
    "feather",
    "harden",
    "match_colours",
    "match_grain",
    "onto_canvas",
    "paste",
    "resize_cutout",
    "tone",
]

"""What the drawn things and the backgrounds are made of: materials, shapes, scenes, finish.

Things are drawn on a `Canvas` in the unit square (x right, y down).  Backgrounds are frames,
(n, n, 3) float32 RGB in 0..255, with rows, columns and horizons in pixels.
"""

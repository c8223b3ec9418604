"""OpenCV by its plain code, so that x86 processors of all kinds draw the same bytes.

OpenCV picks the code of most functions by what the processor can do, and on x86 takes Intel's IPP
for some. Their float sums differ in the last bits, which a threshold turns into another pixel: of
24 built-in people of 64 px, 12 differ between AVX2 and SSE3. Reading and compositing, integer work
for the most part, differ less: by a level in a few pixels of some samples.

Whatever draws, or is kept because it was drawn, runs in `plain_opencv`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def plain_opencv() -> Iterator[None]:
    """A block, or a decorator, in which OpenCV uses no code for special processors.

    The setting is one for the whole process, so other threads run plain code for the while, too.
    """
    before = cv2.useOptimized()
    cv2.setUseOptimized(False)
    try:
        yield
    finally:
        cv2.setUseOptimized(before)

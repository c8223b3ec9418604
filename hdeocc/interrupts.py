"""Being told to stop in the middle of a step: the step is finished first."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Within the block Ctrl-C and SIGTERM only set ``asked``; a second Ctrl-C stops at once.

    Weights that are half updated could not be gone on from. Signals reach the main thread alone, so
    nothing changes in another one.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._noted)
        return self

    def _noted(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

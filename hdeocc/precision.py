"""In which numbers a network computes: float32, or bfloat16 where that is safe (autocast).

Half precision pays only where a processor multiplies in it. A CPU without such instructions
computes it by hand, some hundred times slower than float32: better refused than waited for.
"""

import time
from functools import cache
from typing import TYPE_CHECKING, Literal

from synth.errors import InputError

if TYPE_CHECKING:
    import torch

Precision = Literal["32-true", "bf16-mixed"]

TOLERATED_SLOWDOWN = 10.0
PROBED = 256
REPETITIONS = 6


def check_precision(precision: Precision, device: "torch.device") -> None:
    """Refuse a precision in which a device would take for ever.

    Raises:
        InputError: bf16-mixed where products are many times slower than in float32.
    """
    why = too_slow(precision, device)
    if why is not None:
        raise InputError(
            f'precision {precision}: {why}; use --precision 32-true, or precision = "32-true" in '
            "the budget of a benchmark"
        )


def too_slow(precision: Precision, device: "torch.device") -> str | None:
    """Why nothing should be computed in a precision on a device; None where it may."""
    if precision != "bf16-mixed":
        return None
    slowdown = bf16_slowdown(device)
    if slowdown <= TOLERATED_SLOWDOWN:
        return None
    return f"this {device.type} multiplies {slowdown:.0f} times slower in bfloat16 than in float32"


@cache
def bf16_slowdown(device: "torch.device") -> float:
    """How many times longer a matrix product takes in bfloat16 than in float32 on a device.

    Measured once on small matrices; below 1 where half precision is the faster.
    """
    import torch

    # A CPU in one thread and in its own time: what else the machine does then hides nothing.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _seconds(device, torch.bfloat16) / _seconds(device, torch.float32)
    finally:
        torch.set_num_threads(threads)


def _seconds(device: "torch.device", dtype: "torch.dtype") -> float:
    """The shortest of a few products, after one that warms up."""
    import torch

    clock = time.thread_time if device.type == "cpu" else time.perf_counter
    matrix = torch.ones(PROBED, PROBED, dtype=dtype, device=device)
    took = []
    for _ in range(REPETITIONS):
        started = clock()
        # Reading a number waits for the device.
        float((matrix @ matrix)[0, 0])
        took.append(clock() - started)
    return max(min(took[1:]), 1e-9)

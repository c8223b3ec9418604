"""What one prediction costs, by counting: multiply-adds of the networks' convolutions and products.

Only what torch's counter knows is counted (convolutions, matrix products, attention), as papers do;
additions, activations and the arithmetic of methods without a network are not.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from hdeocc.batch import Batch
    from hdeocc.method import Method


def count_macs(method: "Method", batch: "Batch") -> int | None:
    """Multiply-adds of one ``predict`` on ``batch``; None for methods without a network."""
    from hdeocc.learned import Learned

    if not isinstance(method, Learned):
        return None
    return macs_of(lambda: method.predict(batch))


def macs_of(call: "Callable[[], Any]") -> int:
    """Multiply-adds of everything ``call`` computes; two operations are one multiply-add."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops()) // 2

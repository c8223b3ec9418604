"""What one prediction costs, by counting: multiply-adds of the networks' convolutions and products.

Only what torch's counter knows is counted (convolutions, matrix products, attention), as papers do;
additions, activations and the arithmetic of methods without a network are not. It does not know the
fused layers that torch has for attention on some processors, so what is counted runs without them,
and the count is that of the network on any machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hdeocc.batch import Batch
    from hdeocc.method import Method


def count_macs(method: "Method", batch: "Batch") -> int | None:
    """Multiply-adds of one ``predict`` on ``batch``; None for methods without a network."""
    networks = method.networks()
    if networks is None:
        return None
    # Torch's counter asks weights that are handed to a layer for their gradient, which a
    # prediction has none of.
    asked = [weight for weight in networks.parameters() if weight.requires_grad]
    networks.requires_grad_(False)
    try:
        return macs_of(lambda: method.predict(batch))
    finally:
        for weight in asked:
            weight.requires_grad_(True)


def macs_together(parts: "Iterable[tuple[int | None, int | None]]") -> int | None:
    """Multiply-adds of methods that run one after the other, from (parameters, multiply-adds) each.

    None where those of one with parameters are not known, for part of a cost is no cost, and where
    there are none.
    """
    counted = [0 if parameters == 0 and macs is None else macs for parameters, macs in parts]
    known = [macs for macs in counted if macs is not None]
    return sum(known) or None if len(known) == len(counted) else None


def macs_of(call: "Callable[[], Any]") -> int:
    """Multiply-adds of everything ``call`` computes; two operations are one multiply-add."""
    from torch.utils.flop_counter import FlopCounterMode

    with _without_fused_attention(), FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops()) // 2


@contextmanager
def _without_fused_attention() -> Iterator[None]:
    """Attention as the products that it is made of."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)

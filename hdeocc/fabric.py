"""Where methods are trained and predict: devices, and processes on several of them."""

import logging
from typing import TYPE_CHECKING, Any, Literal

import torch

from hdeocc.method import Budget, Method
from hdeocc.precision import check_precision
from synth.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def make_fabric(
    budget: Budget,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "auto",
    start: Literal["popen", "spawn"] = "popen",
) -> "Fabric":
    """Where to train: one device, an accelerator if there is one, or several on several nodes.

    ``start`` says how the processes of several devices come to be, when ``launch`` is called: each
    runs this program anew, or the function that is launched.

    Raises:
        InputError: an accelerator that is not there, or a precision that it is all too slow in.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    # Fabric announces its precision on every start; the records keep it anyway.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    strategy: Any = "auto"
    if devices * nodes > 1:
        # Each of the two steps of a training leaves the other network alone.
        strategy = DDPStrategy(start_method=start, find_unused_parameters=True)
    try:
        fabric = Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision=budget.precision,
        )
    # RuntimeError or one of lightning's own, by what is missing.
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"no training on {devices} x {accelerator} here ({reason}); give another --accelerator "
            "or fewer --devices"
        ) from None
    check_precision(budget.precision, fabric.device)
    return fabric


def device_of(method: Method) -> torch.device:
    """Where a method computes; those without networks compute on the CPU."""
    networks = method.networks()
    return torch.device("cpu") if networks is None else next(networks.parameters()).device

"""The command line with the tiny methods installed; the first argument slows every step down."""

import sys
import time

import torch

import hdeocc.method
from hdeocc import train
from hdeocc.cli import main
from tests.hdeocc.tiny import registry


def run() -> None:
    seconds = float(sys.argv.pop(1)) if sys.argv[1][0].isdigit() else 0.0
    torch.set_num_threads(1)
    hdeocc.method._entries = registry  # type: ignore[assignment]
    step = train.train_step

    def slowly(*args: object) -> dict[str, float]:
        time.sleep(seconds)
        return step(*args)  # type: ignore[arg-type]

    train.train_step = slowly  # type: ignore[assignment]
    train.CHECKPOINT_SECONDS = 2 * seconds
    main()


if __name__ == "__main__":
    run()

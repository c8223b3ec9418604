"""The loss curve of a training: one line a step in log.jsonl, and TensorBoard scalars and pictures.

``{"step": 12, "lr": 0.0002, "loss": {"l1": 0.1, ...}}``, and ``{"step": 12, "val": {...}}`` where
validation was measured. What a killed training wrote after its last checkpoint is cut off when it
goes on, so that every step stands there once and the curve is that of an unbroken run.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from synth.atomic import write_bytes

LOG = "log.jsonl"
EVERY = 20

Line = dict[str, Any]


def read_log(workdir: Path, until: int | None = None) -> list[Line]:
    """The whole lines of a training's log, up to a step; [] where there is none."""
    path = workdir / LOG
    lines: list[Line] = []
    # As bytes: a line that a dying disk left as no text at all is a torn one too.
    for text in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            line = json.loads(text.decode())
            if until is None or line["step"] <= until:
                lines.append(line)
        except (ValueError, KeyError, TypeError):
            break  # torn by a kill; nothing whole stands behind it
    return lines


class TrainingLog:
    """Where a training's numbers go; without a folder, nowhere.

    Attributes:
        recent: a running mean of the sum of the loss terms, for the progress bar.
    """

    def __init__(self, workdir: Path | None, step: int) -> None:
        self.recent = 0.0
        self._workdir, self._start = workdir, step
        self._sums: dict[str, float] = {}
        self._count = 0
        self._writer: Any = None
        self._file: IO[str] | None = None
        if workdir is not None:
            self._go_on(workdir, step)

    def _go_on(self, workdir: Path, step: int) -> None:
        workdir.mkdir(parents=True, exist_ok=True)
        lines = read_log(workdir, step)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_bytes(workdir / LOG, text.encode())
        self._file = (workdir / LOG).open("a", encoding="utf-8")
        for line in lines:
            if "loss" in line and line["step"] > step - step % EVERY:
                self._count_in(line["loss"])

    def _count_in(self, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def add(self, step: int, terms: Mapping[str, float], rate: float) -> None:
        """The loss terms of a step; TensorBoard gets the means of every 20."""
        total = sum(terms.values())
        self.recent = total if not self.recent else 0.95 * self.recent + 0.05 * total
        self._write({"step": step, "lr": rate, "loss": dict(terms)})
        self._count_in(terms)
        if step % EVERY == 0:
            self._scalars(step, {"learning rate": rate} | self._means())
            self._sums, self._count = {}, 0
            self.flush()

    def _means(self) -> dict[str, float]:
        return {f"loss/{name}": value / self._count for name, value in self._sums.items()}

    def validation(self, step: int, numbers: Mapping[str, float], picture: np.ndarray) -> None:
        """Validation numbers of a step, and a picture (H, W, 3) uint8 of what is predicted."""
        self._write({"step": step, "val": dict(numbers)})
        self._scalars(step, {f"val/{name}": value for name, value in numbers.items()})
        if self._workdir is not None:
            self._board(self._workdir).add_image("val", picture, step, dataformats="HWC")

    def _write(self, line: Line) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")

    def _scalars(self, step: int, numbers: Mapping[str, float]) -> None:
        if self._workdir is not None:
            for name, value in numbers.items():
                self._board(self._workdir).add_scalar(name, value, step)

    def _board(self, workdir: Path) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(workdir / "log"), purge_step=self._start + 1)
        return self._writer

    def flush(self) -> None:
        """Give what was written to the system, where it outlives this process."""
        if self._file is not None:
            self._file.flush()

    def sync(self) -> None:
        """Give what was written to the disk; before a checkpoint, so that the log is no shorter."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write what is left."""
        if self._file is not None:
            self.sync()
            self._file.close()
        if self._writer is not None:
            self._writer.close()

"""Rows that predict with another row's fitted networks and learn nothing of their own."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from hdeocc.folders import read_json
from hdeocc.learned import Learned
from hdeocc.method import Budget, FitData, Method, Preset
from synth.atomic import write_text

if TYPE_CHECKING:
    from lightning_fabric import Fabric

OPTIONS = "lent.json"


class Borrowed(Method):
    """A row on the networks of the one method that ``upstream`` names.

    Class attributes:
        lender: the class of that method.

    Attributes:
        lent: the method itself, with options and weights of the one that was fitted.
    """

    learned: ClassVar[bool] = True
    spends: ClassVar[bool] = False
    lender: ClassVar[type[Learned]]

    def __init__(self, preset: Preset = "quick") -> None:
        super().__init__(preset)
        self.lent = self.lender(preset)

    def fit(self, data: FitData, budget: Budget, fabric: "Fabric") -> None:
        """Take the fitted networks; there is nothing else to learn."""
        [key] = self.upstream
        fitted = data.upstream[key]
        assert isinstance(fitted, self.lender)
        self.check_upstream(data.upstream)
        self.lent = self._with(fitted.options)
        self.lent.nets.generator.load_state_dict(fitted.nets.generator.state_dict())

    def save(self, folder: Path) -> None:
        self.lent.save(folder)
        self.sign(folder)  # in place of the lender: the folder is this row's
        write_text(folder / OPTIONS, json.dumps(self.lent.options, indent=1) + "\n")

    def load(self, folder: Path) -> None:
        path = folder / OPTIONS
        if path.is_file():
            self.lent = self._with(read_json(path))
        self.lent.load(folder)

    def parameters_used(self) -> int:
        return self.lent.parameters_used()

    def networks(self) -> nn.Module:
        return self.lent.networks()

    def _with(self, options: Mapping[str, Any]) -> Learned:
        """An unfitted lender with some of its settings changed."""
        method = self.lender.variant(self.preset, options)
        assert isinstance(method, Learned)
        return method

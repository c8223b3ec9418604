"""Every method that learns, on eight people of photos until it knows them (`make by-heart`).

A minute or two a row, for what no test of few steps can tell: whether its network, targets and
losses agree with each other, and whether its frame can show a person at all.
"""

from importlib import import_module
from pathlib import Path

import pytest

from hdeocc.learned import Learned
from hdeocc.method import entries, method_class
from tests import conformance

HERE = Path(__file__).parent


def _cases() -> list[type[conformance.LearnedConformance]]:
    """The conformance classes of all methods that learn; each names itself by being imported."""
    for path in sorted([*HERE.glob("baselines/test_*.py"), *HERE.glob("hdeocc/test_*.py")]):
        if "LearnedConformance" in path.read_text(encoding="utf-8"):
            import_module(f"tests.{path.parent.name}.{path.stem}")
    found = [one for one in _below(conformance.LearnedConformance) if hasattr(one, "method")]
    return sorted(found, key=lambda one: one.__name__)


def _below(kind: type) -> list[type]:
    return [*kind.__subclasses__(), *(one for k in kind.__subclasses__() for one in _below(k))]


CASES = _cases()


def test_every_registered_method_that_learns_is_asked() -> None:
    kinds = {method_class(*key.split(".", 1)) for key in entries()}
    learned = {kind for kind in kinds if issubclass(kind, Learned)}
    assert learned <= {case.method for case in CASES}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_it_learns_eight_people_by_heart(
    case: type[conformance.LearnedConformance], real_data: Path
) -> None:
    case().learns_eight_people_by_heart(real_data)

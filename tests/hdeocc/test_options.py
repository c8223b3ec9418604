"""Settings changed by name: found by full or short name, refused where anything is off."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from baselines.mask_floors import Identity
from baselines.pix2pix import Pix2PixMask
from hdeocc.options import change
from hdeocc.two_stage_content import TwoStageContent
from hdeocc.two_stage_mask import TwoStageMask
from synth.errors import InputError


@dataclass(frozen=True)
class Net:
    width: int = 4
    kind: Literal["soft", "hard"] = "soft"
    places: tuple[str, ...] = ("one",)
    gain: float | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width {self.width}: 1 or more")


@dataclass(frozen=True)
class Loss:
    weight: float = 0.5
    on: bool = True


@dataclass(frozen=True)
class Settings:
    net: Net = Net()
    loss: Loss = Loss()
    blank: float = 0.1


@pytest.mark.parametrize(
    "options",
    [
        {"width": 2, "loss.on": False},
        {"net.width": 2, "on": False},
        {"net": {"width": 2}, "loss": {"on": False}},
    ],
)
def test_all_spellings_mean_the_same(options: dict[str, Any]) -> None:
    changed, known = change(Settings(), options, "x")
    assert changed == Settings(Net(width=2), Loss(on=False))
    assert known == {"loss.on": False, "net.width": 2}
    assert list(known) == sorted(known)


def test_whole_numbers_are_numbers_and_lists_are_tuples() -> None:
    changed, known = change(Settings(), {"blank": 1, "places": [], "gain": 2}, "x")
    assert changed == Settings(Net(places=(), gain=2.0), blank=1.0)
    assert type(changed.blank) is float and known["net.places"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widht": 1}, "x: no option 'widht'; did you mean width"),
        ({"net.widht": 1}, "did you mean net.width"),
        ({"weight": 1.0}, "may be net.weight or loss.weight; give it in full"),
        ({"width": 1, "net.width": 1}, "option net.width is given twice"),
        ({"width": True}, "net.width = True: give a whole number"),
        ({"width": 1.5}, "net.width = 1.5: give a whole number"),
        ({"on": 1}, "loss.on = 1: give true or false"),
        ({"kind": "medium"}, "net.kind = 'medium': one of soft, hard"),
        ({"places": "one"}, "net.places = 'one': give a list of words"),
        ({"blank": "much"}, "blank = 'much': give a number"),
        ({"blank": float("nan")}, "blank = nan: give a number that has an end"),
        ({"blank": float("-inf")}, "blank = -inf: give a number that has an end"),
        ({"width": 0}, "width 0: 1 or more"),
    ],
)
def test_what_is_off_is_named_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        change(Settings(), options, "x")
    assert message in caught.value.message and "\n" not in caught.value.message


def test_a_variant_has_its_settings_title_and_options() -> None:
    made = TwoStageMask.variant("quick", {"templates": 0, "parsing": False}, "Bare")
    assert isinstance(made, TwoStageMask)
    assert made.net.templates is None and made.net.amodal_parsing is None
    assert made.title == "Bare" and TwoStageMask.title != "Bare"
    assert made.options == {"net.parsing": False, "net.templates": 0}
    assert TwoStageMask("quick").options == {}


def test_variants_of_other_methods() -> None:
    content = TwoStageContent.variant("quick", {"pga_positions": []})
    assert isinstance(content, TwoStageContent) and not content.net.stage_2.attention
    small = Pix2PixMask.variant("quick", {"generator_width": 8})
    assert small.parameters_used() < Pix2PixMask("quick").parameters_used()


def test_a_method_without_options_says_so() -> None:
    with pytest.raises(InputError, match="method Identity: has no options, so 'width' cannot"):
        Identity.variant("quick", {"width": 1})
    assert Identity.variant("quick", {}).options == {}


def test_only_a_stage_with_parsing_branches_parses() -> None:
    import numpy as np

    from hdeocc.batch import collate
    from tests.fakes import make_samples

    batch = collate(make_samples(2, 64, np.random.default_rng(0))).only(TwoStageMask.consumes)
    parsing = TwoStageMask("quick").predict_parsing(batch)
    assert parsing is not None and parsing.shape == (2, 64, 64)
    whole = TwoStageMask("quick").predict(batch)
    assert whole.shape == (2, 1, 64, 64)
    assert TwoStageMask.variant("quick", {"parsing": False}).predict_parsing(batch) is None
    assert Identity("quick").predict_parsing(batch) is None


def test_the_parsing_covers_the_predicted_person() -> None:
    import numpy as np
    import torch

    from hdeocc.batch import collate
    from tests.fakes import make_samples

    batch = collate(make_samples(2, 64, np.random.default_rng(0))).only(TwoStageMask.consumes)
    torch.manual_seed(0)
    method = TwoStageMask("quick")
    parsing, mask = method.predict_parsing(batch), method.predict(batch)
    assert parsing is not None
    assert torch.equal(parsing > 0, mask[:, 0] >= 0.5) and int(parsing.max()) < 20
    passes: list[object] = []
    method.net.register_forward_hook(lambda *_: passes.append(None))
    both = method.predict_with_parsing(batch)
    assert torch.equal(both[0], mask) and both[1] is not None and torch.equal(both[1], parsing)
    assert len(passes) == 1


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (TwoStageMask, {"net.template_size": 0}, "template_size 0: at least 1"),
        (TwoStageMask, {"net.templates": -1}, "templates -1: 0 or more"),
        (TwoStageContent, {"loss.correlation_size": 0}, "correlation_size 0: at least 1"),
    ],
)
def test_sizes_of_nothing_are_refused_before_anything_is_trained(
    kind: type[TwoStageMask | TwoStageContent], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        kind.variant("quick", options)
    assert "\n" not in caught.value.message


def test_a_name_in_a_table_and_beside_it_is_given_twice() -> None:
    with pytest.raises(InputError, match=r"option net\.width is given twice; keep one"):
        change(Settings(), {"net": {"width": 2}, "net.width": 3}, "x")


def test_what_another_option_decides_cannot_be_set_but_is_still_read() -> None:
    """It changed nothing and was recorded all the same."""
    TwoStageContent.check_options("quick", {"net.background": 0.5})
    for name in ("loss.background", "loss"):
        options = {name: 0.9} if "." in name else {name: {"background": 0.9}}
        with pytest.raises(InputError, match=r"loss\.background .*; set net\.background$"):
            TwoStageContent.check_options("quick", options)
    kept = TwoStageContent.variant("quick", {"loss.background": 0.9})
    assert kept.options == {"loss.background": 0.9}


@pytest.mark.parametrize("name", TwoStageContent.decided)
def test_what_is_decided_is_a_setting_and_so_is_what_decides_it(name: str) -> None:
    for one in (name, TwoStageContent.decided[name]):
        change(TwoStageContent.presets["quick"], {one: 0.5}, "x")

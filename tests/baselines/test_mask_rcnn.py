"""Mask R-CNN: its sizes, targets, losses, and how a detection becomes the answer."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.mask_rcnn import (
    MASK_RCNN_PRESETS,
    MaskRCNNConfig,
    MaskRCNNMask,
    MaskRCNNNets,
    best_match,
    group_norm,
    mask_loss,
    mask_rcnn,
    mask_targets,
    pasted,
    target_of,
)
from baselines.roi_operators import align
from hdeocc.batch import Batch, collate
from hdeocc.learned import Terms
from tests.baselines.nets import parameters
from tests.conformance import LearnedConformance
from tests.fakes import make_samples

TINY = MaskRCNNConfig(
    width=4, blocks=(1, 1, 1, 1), pool=False, groups=2, pyramid=8, hidden=16, mask_layers=(8,),
    anchors=(4, 8, 16, 32, 64), box_samples=32, proposals=50,
)  # fmt: skip
LOSSES = {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask"}


class TestMaskRCNNMask(LearnedConformance):
    method = MaskRCNNMask
    unlearned = frozenset({"initial"})  # it says which of the people found is meant
    takes_float64 = False


@pytest.fixture
def batch() -> Batch:
    return collate(make_samples(3, 64, np.random.default_rng(0)))


# --- sizes ------------------------------------------------------------------------------------


def test_the_full_network_has_the_parameters_of_its_definition() -> None:
    """ResNet-50 has 25,557,032 parameters, of which 2,049,000 classify ImageNet."""
    resnet = 25_557_032 - (2048 * 1000 + 1000)
    grouped = 2 * 256  # a group norm in place of a bias
    pyramid = (256 + 512 + 1024 + 2048) * 256 + 4 * 256 * 256 * 9 + 8 * grouped
    proposals = (256 * 256 * 9 + 256) + (256 * 3 + 3) + (256 * 12 + 12)
    box = (256 * 49 * 1024 + 1024) + (1024 * 1024 + 1024) + (1024 * 2 + 2) + (1024 * 8 + 8)
    mask = 4 * (256 * 256 * 9 + grouped) + (256 * 256 * 4 + 256) + (256 * 2 + 2)
    with torch.device("meta"):
        method = MaskRCNNMask("full")
    assert method.parameters_used() == resnet + pyramid + proposals + box + mask == 43_978_587


@pytest.mark.parametrize(("preset", "count"), [("quick", 374_531), ("small", 2_162_987)])
def test_the_other_presets_are_smaller(preset: str, count: int) -> None:
    with torch.device("meta"):
        assert parameters(mask_rcnn(MASK_RCNN_PRESETS[preset])) == count  # type: ignore[index]


@pytest.mark.parametrize(("preset", "size"), [("quick", 64), ("small", 128), ("full", 256)])
def test_anchors_reach_from_a_sixteenth_of_the_picture_to_all_of_it(preset: str, size: int) -> None:
    config = MASK_RCNN_PRESETS[preset]  # type: ignore[index]
    assert [size // side for side in config.anchors] == [16, 8, 4, 2, 1]
    with torch.device("meta"):
        levels = mask_rcnn(config).backbone(torch.zeros(1, 3, size, size))
    finest = 4 if preset == "full" else 2
    assert [size // x.shape[-1] for x in levels.values()] == [finest * 2**i for i in range(5)]


def test_every_norm_is_a_group_norm() -> None:
    with torch.device("meta"):
        network = mask_rcnn(MaskRCNNConfig())
    norms = [m for m in network.modules() if "Norm2d" in type(m).__name__]
    groups = [m.num_groups for m in network.modules() if isinstance(m, nn.GroupNorm)]
    assert not norms and set(groups) == {32} and len(groups) == 53 + 8 + 4
    assert group_norm(48, 32).num_groups == 16


# --- targets ----------------------------------------------------------------------------------


def test_a_target_is_the_box_and_the_mask_of_the_whole_person() -> None:
    whole = torch.zeros(10, 12, dtype=torch.bool)
    whole[2:5, 7] = whole[4, 3:8] = True
    target = target_of(whole)
    assert target["boxes"].tolist() == [[3, 2, 8, 5]] and target["boxes"].dtype == torch.float32
    assert target["labels"].tolist() == [1]
    assert torch.equal(target["masks"], whole[None].byte())


def test_one_pixel_has_a_box_and_no_pixel_has_none() -> None:
    whole = torch.zeros(6, 6, dtype=torch.bool)
    nobody = target_of(whole)
    shapes = {name: tuple(tensor.shape) for name, tensor in nobody.items()}
    assert shapes == {"boxes": (0, 4), "labels": (0,), "masks": (0, 6, 6)}
    whole[5, 5] = True
    assert target_of(whole)["boxes"].tolist() == [[5, 5, 6, 6]]


def values(terms: Terms) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


@pytest.mark.parametrize("missing", [[1], [0, 1, 2]])
def test_samples_without_a_person_have_no_box_to_learn(batch: Batch, missing: list[int]) -> None:
    torch.manual_seed(0)
    nets = MaskRCNNNets(TINY).train()
    amodal = batch.amodal.clone()
    amodal[missing] = 0
    terms, made = nets.generator_step(batch.replace(amodal=amodal))
    assert set(terms) == LOSSES and not made
    torch.stack(list(terms.values())).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in nets.parameters() if p.grad is not None)
    of_people = {name: values(terms)[name] for name in LOSSES - {"loss_classifier"}}
    assert of_people.pop("loss_objectness") > 0
    assert [value > 0 for value in of_people.values()] == [len(missing) < 3] * 3


def test_the_network_is_trained_on_the_image_and_the_amodal_mask_alone(batch: Batch) -> None:
    found = []
    for other in (batch, batch.only(["image", "amodal"])):
        torch.manual_seed(0)
        found.append(values(MaskRCNNNets(TINY).train().generator_step(other)[0]))
    assert found[0] == found[1]


# --- losses -----------------------------------------------------------------------------------


def silent() -> MaskRCNNNets:
    """Networks all of whose scores and box deltas are 0."""
    nets = MaskRCNNNets(TINY).train()
    with torch.no_grad():
        for parameter in nets.parameters():
            parameter.zero_()
    return nets


def proposing(nets: MaskRCNNNets, shift: Callable[[Tensor], Tensor], batch: Batch) -> None:
    """Lets the only proposal for each picture be its person's box, shifted."""
    proposals = [shift(target_of(whole[0] > 0.5)["boxes"]) for whole in batch.amodal]
    nets.generator.rpn.filter_proposals = lambda *_: (proposals, [])


def test_undecided_classes_and_masks_cost_log_2(batch: Batch) -> None:
    found = values(silent().generator_step(batch)[0])
    undecided = {name: found[name] for name in ("loss_objectness", "loss_classifier", "loss_mask")}
    assert undecided == pytest.approx(dict.fromkeys(undecided, math.log(2)), rel=1e-5)


def test_the_box_loss_of_proposals(batch: Batch) -> None:
    """A proposal off by a tenth of its width: 10 times that is 1, of smooth L1 1 - 1 / 18.

    It is one of two positives, for the true box is a proposal too.
    """
    nets = silent()

    def shift(box: Tensor) -> Tensor:
        step = (box[:, 2:3] - box[:, :1]) / 10
        return box + step * torch.tensor([1.0, 0, 1, 0])

    proposing(nets, shift, batch)
    found = values(nets.generator_step(batch)[0])
    assert found["loss_box_reg"] == pytest.approx((1 - 1 / 18) / 2, rel=1e-4)


def test_the_box_loss_of_anchors(batch: Batch) -> None:
    """The only anchor is 32 pixels square about the corner; the person fills 16 rows, 32 columns.

    The centre is off by a half and a quarter of the anchor's sides, and one side by log 2.
    """
    nets = silent()
    whole = torch.zeros(1, 1, 64, 64)
    whole[..., 0:16, 0:32] = 1
    rpn = nets.generator.rpn
    rpn.anchor_generator.forward = lambda *_: [torch.tensor([[-16.0, -16, 16, 16]])]
    rpn.head.forward = lambda _: ([torch.zeros(1, 1, 1, 1)], [torch.zeros(1, 4, 1, 1)])
    one = Batch(batch.ids[:1], {"image": batch.image[:1], "amodal": whole})
    found = values(nets.generator_step(one)[0])
    wanted = sum(d - 1 / 18 for d in (0.5, 0.25, math.log(2)))
    assert found["loss_rpn_box_reg"] == pytest.approx(wanted, rel=1e-4)
    assert found["loss_objectness"] == pytest.approx(math.log(2))


def test_the_mask_loss_compares_the_mask_within_the_box(batch: Batch) -> None:
    nets = silent()
    proposing(nets, lambda box: box, batch)
    with torch.no_grad():
        nets.generator.roi_heads.mask_predictor.mask_fcn_logits.bias[1] = 2.0
    found = values(nets.generator_step(batch)[0])
    filled = []
    for whole in batch.amodal:
        target = target_of(whole[0] > 0.5)
        rois = torch.cat([torch.zeros(1, 1), target["boxes"] - 0.5], dim=1)
        filled.append(float(align(whole[None], rois, (28, 28)).mean()))
    wanted = math.log(1 + math.exp(2)) - 2 * float(np.mean(filled))
    assert found["loss_mask"] == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("move", [0.0, 0.3, -0.7])
def test_a_mask_that_goes_into_a_box_comes_out_of_it(batch: Batch, move: float) -> None:
    """Whatever fraction of a pixel the box is at, and to whatever side it is larger."""
    for whole in batch.amodal:
        corners = target_of(whole[0] > 0.5)["boxes"] + torch.tensor([-2.0, -1, 1, 3]) + move
        target = mask_targets(whole.byte(), corners, 28)
        again = pasted(target[:, None], corners, (64, 64))[0] > 0.5
        common, either = (again & (whole > 0.5)).sum(), (again | (whole > 0.5)).sum()
        assert float(common / either) > 0.97


def test_a_box_s_mask_has_its_own_picture_s_truth() -> None:
    """Two boxes of the first picture, none of the second, one of the third."""
    full, empty = torch.ones(1, 8, 8, dtype=torch.uint8), torch.zeros(1, 8, 8, dtype=torch.uint8)
    box = torch.tensor([[1.0, 1, 5, 6]])
    corners, masks = [box.repeat(2, 1), box[:0], box], [full, full[:0], empty]
    logits = torch.tensor([3.0, 3.0, -3.0])[:, None, None].expand(3, 28, 28)
    right = math.log(1 + math.exp(-3))
    assert float(mask_loss(logits, corners, masks)) == pytest.approx(right, rel=1e-4)
    assert float(mask_loss(-logits, corners, masks)) == pytest.approx(3 + right, rel=1e-4)


def test_draws_come_from_torch_s_generator(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = MaskRCNNNets(TINY).train()
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(values(nets.generator_step(batch)[0]))
    assert found[0] == found[1] != found[2]


def test_coordinates_and_losses_stay_in_float32_under_autocast(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = MaskRCNNNets(TINY).train()
    anchors: list[Tensor] = []
    decoded: list[Tensor] = []
    rpn, heads = nets.generator.rpn, nets.generator.roi_heads
    rpn.anchor_generator.register_forward_hook(lambda *a: anchors.extend(a[-1]))
    rpn.register_forward_hook(lambda *a: decoded.extend(a[-1][0]))
    heads.box_predictor.register_forward_hook(lambda *a: decoded.extend(a[-1]))
    heads.mask_predictor.register_forward_hook(lambda *a: decoded.append(a[-1]))
    inside: list[torch.dtype] = []
    heads.box_head.fc7.register_forward_hook(lambda *a: inside.append(a[-1].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        terms, _ = nets.generator_step(batch)
    assert inside == [torch.bfloat16], "the heads themselves are in half precision"
    assert {t.dtype for t in (*anchors, *decoded, *terms.values())} == {torch.float32}


# --- pictures and answers ---------------------------------------------------------------------


def test_pictures_are_normalised_and_padded_but_not_resized() -> None:
    network, seen = mask_rcnn(TINY), []
    network.backbone.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    picture = torch.rand(3, 50, 37)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for training in (True, False):
        network.train(training)([picture], [target_of(picture[0] > 0.5)])
    wanted = torch.zeros(1, 3, 64, 64)
    wanted[0, :, :50, :37] = (picture - mean[:, None, None]) / std[:, None, None]
    for given in seen:
        torch.testing.assert_close(given, wanted)
    assert len(seen) == 2


def test_pictures_of_odd_sizes() -> None:
    torch.manual_seed(0)
    method = MaskRCNNMask("quick", TINY)
    for size in ((50, 37), (64, 64)):
        image, masks = torch.rand(1, 3, *size), torch.rand(1, 1, *size)
        batch = Batch(["0"], {"image": image, "initial": masks, "amodal": masks})
        assert method.predict(batch).shape == (1, 1, *size)
        assert set(method.nets.train().generator_step(batch)[0]) == LOSSES
    heads = method.nets.generator.roi_heads
    assert heads.box_roi_pool.scales == heads.mask_roi_pool.scales == [1 / 2, 1 / 4, 1 / 8, 1 / 16]


def test_a_padded_picture_has_the_detections_of_one_that_was_larger() -> None:
    torch.manual_seed(0)
    network, mean = mask_rcnn(TINY).eval(), torch.tensor([0.485, 0.456, 0.406])
    picture = torch.rand(3, 50, 37)
    larger = mean[:, None, None].expand(3, 64, 64).clone()
    larger[:, :50, :37] = picture
    with torch.inference_mode():
        (found,), (wanted,) = network([picture]), network([larger])
    assert len(found["boxes"]) and torch.equal(found["boxes"], wanted["boxes"])
    torch.testing.assert_close(found["masks"], wanted["masks"][..., :50, :37], atol=1e-4, rtol=0)


def test_training_goes_on_after_a_prediction(batch: Batch) -> None:
    """Validation predicts, in inference mode, between two steps."""
    torch.manual_seed(0)
    method = MaskRCNNMask("quick", TINY)
    for _ in range(2):
        method.predict(batch)
        terms, _ = method.nets.train().generator_step(batch)
        torch.stack(list(terms.values())).sum().backward()


def test_a_detection_s_mask_has_28_places_a_side(batch: Batch) -> None:
    torch.manual_seed(0)
    nets, seen = MaskRCNNNets(TINY).train(), []
    nets.generator.roi_heads.mask_predictor.register_forward_hook(lambda *a: seen.append(a[-1]))
    nets.generator_step(batch)
    assert seen[0].shape[1:] == (2, 28, 28)


def test_the_detection_that_fits_the_initial_mask_best_is_taken() -> None:
    masks = torch.zeros(4, 1, 8, 8)
    masks[0, :, :, :] = 0.9  # holds the initial mask, but is much larger
    masks[1, :, 0:4, 0:4] = 0.6
    masks[2, :, 0:4, 0:3] = 0.7  # equally good as the next, and first
    masks[3, :, 0:3, 0:4] = 0.8
    initial = torch.zeros(1, 8, 8)
    initial[:, 0:3, 0:3] = 0.8
    initial[:, 0:3, 3] = 0.4  # not counted: with it the last mask would fit exactly
    assert torch.equal(best_match(masks, initial), masks[2])
    assert torch.equal(best_match(masks[:2], initial), masks[1])
    assert torch.equal(best_match(masks, torch.zeros(1, 8, 8)), masks[0])


class Finds(nn.Module):
    """A detector that finds what it is told, and keeps the pictures it was asked about."""

    def __init__(self, masks: list[Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.masks, self.asked = list(masks), list[Tensor]()

    def forward(self, pictures: list[Tensor]) -> list[dict[str, Tensor]]:
        assert len(pictures) == 1, "other samples may have a say"
        self.asked += pictures
        return [{"masks": self.masks[len(self.asked) - 1]}]


def test_the_prediction_is_the_soft_mask_or_empty(batch: Batch) -> None:
    method = MaskRCNNMask("quick", TINY)
    nothing = torch.zeros(0, 1, 64, 64)
    found = Finds([torch.full((1, 1, 64, 64), 0.7), nothing, nothing])
    method.nets.generator = found
    prediction = method.predict(batch)
    assert [float(p.mean()) for p in prediction] == pytest.approx([0.7, 0, 0])
    assert torch.equal(torch.stack(found.asked), batch.image)


def test_a_network_that_finds_nothing(batch: Batch) -> None:
    torch.manual_seed(0)
    method = MaskRCNNMask("quick", TINY)
    assert method.predict(batch).any()
    method.nets.generator.roi_heads.score_thresh = 1.1
    assert not method.predict(batch).any()


def test_a_prediction_is_the_same_to_the_bit_in_every_batch(batch: Batch) -> None:
    torch.manual_seed(0)
    method = MaskRCNNMask("quick", TINY)
    last = Batch(batch.ids[2:], {name: field[2:] for name, field in batch.fields.items()})
    assert torch.equal(method.predict(batch)[2:], method.predict(last))


@pytest.mark.parametrize("wrong", [{"blocks": (1, 1)}, {"anchors": (8, 16)}])
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MaskRCNNConfig(**wrong)  # type: ignore[arg-type]

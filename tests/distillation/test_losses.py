import math

import pytest
import torch
from torch import Tensor, nn

from spikevision.distillation import AttentionMaps, Features, HardLogits, SoftLogits


def loss_of(loss, own: list, theirs: list) -> float:
    return loss([Tensor(x) for x in own], loss.target([Tensor(x) for x in theirs])).item()


def test_hard_logits_are_the_cross_entropy_with_the_teachers_choice():
    # softmax (1/4, 3/4) and the teacher chooses the first class: -log 1/4
    found = loss_of(HardLogits(), [[[0.0, math.log(3)]]], [[[2.0, -1.0]]])
    assert found == pytest.approx(math.log(4))


def test_time_is_averaged_before_the_logits_are_compared():
    steps = [[[0.0, 2 * math.log(3)]], [[0.0, 0.0]]]  # [T, N, K]; the mean is (0, log 3)
    assert loss_of(HardLogits(), [steps], [[[2.0, -1.0]]]) == pytest.approx(math.log(4))


def test_soft_logits_are_the_divergence_of_the_softened_answers():
    # teacher (3/4, 1/4), student (1/2, 1/2): 3/4 log(3/2) + 1/4 log(1/2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert loss_of(SoftLogits(), [[[0.0, 0.0]]], [[[math.log(3), 0.0]]]) == pytest.approx(expected)
    # temperature 2 halves the logits, so twice the logit gives the same divergence, times 4
    warm = SoftLogits(temperature=2)
    found = loss_of(warm, [[[0.0, 0.0]]], [[[2 * math.log(3), 0.0]]])
    assert found == pytest.approx(4 * expected, rel=1e-6)


def test_soft_sigmoid_logits_are_shared_out_over_the_teachers_probability():
    # one level of two logits: teacher 3/4 and 1/2, student 1/2 and 1/2: 2 log 2 / 1.25
    own, theirs = [[[[[0.0]], [[0.0]]]]], [[[[[math.log(3)]], [[0.0]]]]]
    expected = 2 * math.log(2) / 1.25
    assert loss_of(SoftLogits(sigmoid=True), own, theirs) == pytest.approx(expected)


@pytest.mark.parametrize("make", [HardLogits, SoftLogits])
def test_a_perfect_student_of_soft_logits_has_no_gradient_and_of_another_teacher_has_one(make):
    own = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    loss = make()
    loss([own], loss.target([own.detach()])).backward()
    assert (own.grad.abs().max() < 1e-12) == (make is SoftLogits)


def test_features_compare_the_mean_over_time():
    own = torch.zeros(2, 1, 3, 4, 4)
    own[0] = 1.0  # fires at one step of two: rate 1/2
    assert Features()([own], [torch.ones(1, 3, 4, 4)]).item() == pytest.approx(0.25)


def test_features_of_other_width_pass_a_learned_adapter_and_other_sizes_are_resized():
    loss = Features(channels=(3, 2))
    nn.init.ones_(loss.adapter.weight)
    nn.init.zeros_(loss.adapter.bias)
    own, theirs = torch.ones(1, 3, 4, 4), torch.full((1, 2, 8, 8), 5.0)
    assert loss([own], [theirs]).item() == pytest.approx(4.0)  # (3 - 5)^2


def test_attention_maps_do_not_see_scale_or_channels():
    loss = AttentionMaps()
    own = torch.rand(2, 3, 4, 4)
    assert loss([own], loss.target([torch.cat([own, own], 1) * 7])).item() == pytest.approx(
        0, abs=1e-10
    )


def test_attention_to_different_places_costs_two():
    own, theirs = torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2)
    own[..., 0], theirs[..., 1] = 1, 1
    loss = AttentionMaps()
    assert loss([own], loss.target([theirs])).item() == pytest.approx(2)


@pytest.mark.parametrize("loss", [HardLogits(), SoftLogits()])
def test_a_teacher_of_other_classes_is_refused(loss):
    with pytest.raises(ValueError, match="teacher's logits have 7 classes .* student's 5"):
        loss([torch.zeros(2, 5)], loss.target([torch.zeros(2, 7)]))


@pytest.mark.parametrize("loss", [HardLogits(), SoftLogits()])
def test_segmentation_logits_of_another_size_are_resized(loss):
    own = torch.zeros(1, 2, 4, 4)
    own[:, 1, :, 2:] = 40.0  # the right half is of the second class
    assert loss([own], loss.target([own[..., ::2, ::2]])).item() < 1  # bilinear: soft in the middle
    wrong = loss([own], loss.target([own[..., ::2, ::2].flip(1)])).item()
    assert wrong > 19


def test_dense_heads_of_other_levels_or_strides_are_refused():
    maps = torch.zeros(2, 5, 4, 4)
    loss = SoftLogits(sigmoid=True)
    with pytest.raises(ValueError, match="on 2 levels, the teacher on 1"):
        loss([maps, maps], loss.target([maps]))
    with pytest.raises(ValueError, match="same strides and anchors"):
        loss([maps], loss.target([maps[..., :2]]))


def test_features_of_other_width_without_adapter_say_what_to_set():
    with pytest.raises(ValueError, match=r"set channels=\(3, 2\)"):
        Features()([torch.zeros(1, 3, 4, 4)], [torch.zeros(1, 2, 4, 4)])


def test_maps_ask_for_levels_and_shapes_that_are_there():
    with pytest.raises(ValueError, match="level 2, but the teacher's module gives 1"):
        AttentionMaps(level=2).target([torch.zeros(1, 3, 4, 4)])
    with pytest.raises(ValueError, match="name a module that gives maps"):
        Features().target([torch.zeros(1, 3)])


def test_settings_without_meaning_are_refused():
    with pytest.raises(ValueError, match="weight of HardLogits must be above 0"):
        HardLogits(weight=0)
    with pytest.raises(ValueError, match="temperature"):
        SoftLogits(temperature=0)

import math

import pytest
import torch
from mmcv.ops import SigmoidFocalLoss, sigmoid_focal_loss, softmax_focal_loss
from torch.autograd import gradcheck

BACKGROUND = 4  # one past the last class


def logits_and_targets():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(6, BACKGROUND, dtype=torch.float64, generator=generator)
    return logits, torch.tensor([0, 3, BACKGROUND, 1, 1, 2])


def slow_sigmoid_focal(logits, target, gamma, alpha, weight=None):
    out = torch.zeros_like(logits)
    for n, row in enumerate(logits.tolist()):
        for c, logit in enumerate(row):
            p = 1 / (1 + math.exp(-logit))
            if c == int(target[n]):
                out[n, c] = -alpha * (1 - p) ** gamma * math.log(p)
            else:
                out[n, c] = -(1 - alpha) * p**gamma * math.log(1 - p)
            if weight is not None and int(target[n]) < len(weight):
                out[n, c] *= weight[int(target[n])]
    return out


def slow_softmax_focal(logits, target, gamma, alpha, weight=None):
    out = torch.zeros(len(logits), dtype=torch.float64)
    for n, row in enumerate(logits.tolist()):
        t = int(target[n])
        if t < len(row):
            p = math.exp(row[t]) / sum(map(math.exp, row))
            out[n] = -alpha * (1 - p) ** gamma * math.log(p)
            if weight is not None:
                out[n] *= weight[t]
    return out


@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.0, 3.0]])
def test_sigmoid_focal_loss_equals_the_slow_loop(gamma, weight):
    logits, target = logits_and_targets()
    tensor = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    found = sigmoid_focal_loss(logits, target, gamma, 0.25, tensor, "none")
    torch.testing.assert_close(
        found, slow_sigmoid_focal(logits, target, gamma, 0.25, weight), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
@pytest.mark.parametrize("weight", [None, [0.5, 2.0, 1.0, 3.0]])
def test_softmax_focal_loss_equals_the_slow_loop(gamma, weight):
    logits, target = logits_and_targets()
    tensor = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    found = softmax_focal_loss(logits, target, gamma, 0.25, tensor, "none")
    torch.testing.assert_close(
        found, slow_softmax_focal(logits, target, gamma, 0.25, weight), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("loss", [sigmoid_focal_loss, softmax_focal_loss])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("weighted", [True, False])
def test_focal_gradients_are_those_of_finite_differences(loss, gamma, reduction, weighted):
    logits, target = logits_and_targets()
    weight = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64) if weighted else None
    assert gradcheck(
        lambda x: loss(x, target, gamma, 0.25, weight, reduction), (logits.requires_grad_(),)
    )


def test_gamma_zero_is_half_the_binary_cross_entropy():
    logits, target = logits_and_targets()
    hot = torch.nn.functional.one_hot(target, BACKGROUND + 1)[:, :BACKGROUND].double()
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, hot, reduction="none")
    found = sigmoid_focal_loss(logits, target, 0.0, 0.5, None, "none")
    torch.testing.assert_close(found, expected / 2, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", [sigmoid_focal_loss, softmax_focal_loss])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_sure_logits_give_a_finite_loss_and_gradient_in_float32(loss, gamma):
    logits = torch.tensor([[200.0, -200.0], [200.0, -200.0]], requires_grad=True)
    value = loss(logits.clone(), torch.tensor([0, 1]), gamma, 0.25, None, "sum")
    value.backward()
    assert torch.isfinite(value)
    assert value > 1  # the second sample is wrong, and sure of it
    assert torch.isfinite(logits.grad).all()


def test_no_samples_give_a_loss_of_zero():
    logits = torch.zeros(0, BACKGROUND, requires_grad=True)
    SigmoidFocalLoss(2.0, 0.25, reduction="sum")(
        logits, torch.zeros(0, dtype=torch.long)
    ).backward()
    assert logits.grad.shape == (0, BACKGROUND)

"""The focal losses of ``mmcv._ext`` in plain PyTorch.

``target`` is ``[n]``, int64. A target that is no class (mmdet uses the number of classes for background) makes every class a
negative in the sigmoid loss and leaves the sample out of the softmax loss. ``weight``, ``[classes]`` or empty,
multiplies a sample's loss by its target's entry; a sample whose target is no class keeps the factor 1.

Source: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017, equations 4 and 5.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "sigmoid_focal_loss_backward",
    "sigmoid_focal_loss_forward",
    "softmax_focal_loss_backward",
    "softmax_focal_loss_forward",
]


def _is_class(target: Tensor, classes: int) -> Tensor:
    return (target >= 0) & (target < classes)


def _sample_weight(target: Tensor, weight: Tensor, like: Tensor) -> Tensor:
    """Factor of each sample, ``[n]``."""
    factor = like.new_ones(target.size(0))
    if weight.numel():
        known = _is_class(target, weight.size(0))
        factor[known] = weight[target[known]].to(factor.dtype)
    return factor


def _is_positive(target: Tensor, classes: int) -> Tensor:
    return target[:, None] == torch.arange(classes, device=target.device)


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write ``-a_t (1 - p_t)^gamma log p_t`` per sample and class to ``output``, ``[n, classes]``.

    ``p_t`` is the sigmoid of the logit ``input`` where the class is the target and one minus it elsewhere; ``a_t`` is
    ``alpha`` and ``1 - alpha`` likewise.
    """
    positive = _is_positive(target, input.size(1))
    signed = torch.where(positive, input, -input)  # p_t is the sigmoid of this
    balance = torch.where(positive, alpha, 1 - alpha)
    loss = -balance * torch.sigmoid(-signed) ** gamma * F.logsigmoid(signed)
    output.copy_(loss * _sample_weight(target, weight, input)[:, None])


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Write the derivative of :func:`sigmoid_focal_loss_forward` by each logit to ``grad_input``."""
    positive = _is_positive(target, input.size(1))
    signed = torch.where(positive, input, -input)
    balance = torch.where(positive, alpha, alpha - 1)  # its sign turns d(signed) into d(input)
    p_target, p_other = torch.sigmoid(signed), torch.sigmoid(-signed)
    slope = p_other**gamma * (gamma * p_target * F.logsigmoid(signed) - p_other)
    grad_input.copy_(balance * slope * _sample_weight(target, weight, input)[:, None])


def _target_probability(probabilities: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of each sample's target (1 where that is no class) and whether it is a class, ``[n]`` both."""
    known = _is_class(target, probabilities.size(1))
    picked = probabilities.gather(1, target.where(known, torch.zeros_like(target))[:, None])[:, 0]
    return picked.where(known, torch.ones_like(picked)), known


def _log(probability: Tensor) -> Tensor:
    return probability.clamp(min=torch.finfo(torch.float32).tiny).log()


def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write ``-alpha (1 - p)^gamma log p`` per sample to ``output``, ``[n]``.

    ``input``, ``[n, classes]``, holds the softmax already (mmcv takes it before the call); p is the target's entry.
    """
    p, known = _target_probability(input, target)
    loss = -alpha * (1 - p) ** gamma * _log(p)
    output.copy_(loss * _sample_weight(target, weight, input) * known)


def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Write the derivative of :func:`softmax_focal_loss_forward` by each *logit* to ``grad_input``.

    ``input`` holds the softmax of the logits; ``buff``, ``[n]``, receives the derivative by the target's logit over ``1 - p``.
    """
    p, known = _target_probability(input, target)
    missing = (1 - p).clamp(min=torch.finfo(input.dtype).tiny)  # its power gamma - 1 stays finite
    slope = gamma * missing ** (gamma - 1) * p * _log(p) - (1 - p) ** gamma
    buff.copy_(alpha * slope * _sample_weight(target, weight, input) * known)
    grad_input.copy_(buff[:, None] * (_is_positive(target, input.size(1)).to(input) - input))

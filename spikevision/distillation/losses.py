"""What a student learns from its teacher: hard and soft logits, features, attention maps.

A loss reduces the teacher's outputs to a target first (``target``), which is what a cache keeps, and then compares the
student's outputs with it (``forward``). A time axis is averaged away on both sides before anything else.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikevision.registry import MODELS

__all__ = ["AttentionMaps", "DistillationLoss", "Features", "HardLogits", "SoftLogits"]


class DistillationLoss(nn.Module):
    """Base of the losses.

    Args:
        weight: Factor on the loss.
        student: Dotted name of the student's module whose output learns; None is the loss's default for the task.
        teacher: Dotted name of the teacher's module that it learns from; None as well.

    Raises:
        ValueError: If ``weight`` is not above 0.
    """

    def __init__(
        self, *, weight: float = 1.0, student: str | None = None, teacher: str | None = None
    ) -> None:
        super().__init__()
        if not weight > 0:
            raise ValueError(f"the weight of {type(self).__name__} must be above 0, got {weight}")
        self.weight = weight
        self.student = student
        self.teacher = teacher

    def target(self, outputs: list[Tensor]) -> list[Tensor]:
        """Reduce the teacher's outputs to what the loss needs; each tensor ``[N, ...]``."""
        raise NotImplementedError

    def forward(self, outputs: list[Tensor], target: list[Tensor]) -> Tensor:
        """Loss (a scalar, before ``weight``) of the student's outputs."""
        raise NotImplementedError

    def target_settings(self) -> str:
        """All that the target depends on beside the teacher: part of a cache's key."""
        return f"{type(self).__name__}(teacher={self.teacher!r})"


class _Logits(DistillationLoss):
    """What both logit losses share.

    Args:
        distillation_head: Whether the student must have a classifier of its own for the teacher's answers
            (``distillation_head=True`` of ``spikevision.SpikingClsHead``). Where it has one, it is used in any case.
        **kwargs: Of :class:`DistillationLoss`.
    """

    def __init__(self, *, distillation_head: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.distillation_head = distillation_head


@MODELS.register_module()
class HardLogits(_Logits):
    """Cross entropy with the teacher's decisions, for classification and segmentation.

    Decisions on a map of another size are taken from the nearest position.

    Args:
        **kwargs: Of :class:`DistillationLoss`, and ``distillation_head`` (whether the student must have one).

    Source: Touvron et al., DeiT, arXiv:2012.12877, eq. 3; used so by Yao et al., arXiv:2404.03663.
    """

    def target(self, outputs: list[Tensor]) -> list[Tensor]:
        """Most likely class ``[N, ...]`` of each set of logits, and the number of classes ``[N]``."""
        found = []
        for logits in without_time(outputs):
            count = torch.full(logits.shape[:1], logits.shape[1], dtype=torch.int32)
            found += [logits.argmax(1).int(), count.to(logits.device)]
        return found

    def forward(self, outputs: list[Tensor], target: list[Tensor]) -> Tensor:
        """Mean cross entropy over samples and positions."""
        logits = without_time(outputs)
        labels, counts = target[::2], target[1::2]
        _check_number(logits, labels)
        losses = []
        for own, label, count in zip(logits, labels, counts, strict=True):
            _check_classes(int(count[0]), own.shape[1])
            if label.dim() == 3 and label.shape[1:] != own.shape[2:]:
                label = F.interpolate(label[:, None].float(), size=own.shape[2:])[:, 0]
            losses.append(F.cross_entropy(own, label.long()))
        return torch.stack(losses).mean()


@MODELS.register_module()
class SoftLogits(_Logits):
    """Divergence from the teacher's softened answers.

    Softmax logits (classification, segmentation): ``tau^2 KL(teacher || student)``, mean over samples and positions;
    a teacher's map of another size is resized bilinearly, as mmseg resizes logits.
    Sigmoid logits (dense detection heads): binary cross entropy with the teacher's probabilities over all anchors and
    classes, divided by the sum of these probabilities (at least 1), as focal losses divide by the number of objects.

    Args:
        temperature: tau, by which all logits are divided.
        sigmoid: Whether each logit stands for itself; None decides by the task.
        **kwargs: Of :class:`DistillationLoss`, and ``distillation_head`` (whether the student must have one).

    Raises:
        ValueError: If ``temperature`` is not above 0.

    Source: Hinton et al., arXiv:1503.02531.
    """

    def __init__(self, *, temperature: float = 1.0, sigmoid: bool | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature}")
        self.temperature = temperature
        self.sigmoid = sigmoid

    def target(self, outputs: list[Tensor]) -> list[Tensor]:
        """The teacher's logits."""
        return without_time(outputs)

    def forward(self, outputs: list[Tensor], target: list[Tensor]) -> Tensor:
        """Divergence, see the class."""
        outputs = without_time(outputs)
        _check_number(outputs, target)
        for own, theirs in zip(outputs, target, strict=True):
            _check_classes(theirs.shape[1], own.shape[1])
        compare = self._sigmoid_loss if self.sigmoid else self._softmax_loss
        return self.temperature**2 * compare(outputs, target)

    def _softmax_loss(self, outputs: list[Tensor], target: list[Tensor]) -> Tensor:
        losses = []
        for own, theirs in zip(outputs, target, strict=True):
            log_q = F.log_softmax(own / self.temperature, 1)
            theirs = _resized(theirs.to(own), like=own)
            log_p = F.log_softmax(theirs / self.temperature, 1)
            losses.append((log_p.exp() * (log_p - log_q)).sum(1).mean())
        return torch.stack(losses).mean()

    def _sigmoid_loss(self, outputs: list[Tensor], target: list[Tensor]) -> Tensor:
        total = mass = outputs[0].new_zeros(())
        for own, theirs in zip(outputs, target, strict=True):
            if theirs.shape != own.shape:
                raise ValueError(
                    f"the teacher's logits are of shape {tuple(theirs.shape)} and the student's of "
                    f"{tuple(own.shape)}: both heads need the same strides and anchors, as a larger network of the "
                    "student's family has; Features and AttentionMaps take any teacher"
                )
            wanted = torch.sigmoid(theirs.to(own) / self.temperature)
            total = total + F.binary_cross_entropy_with_logits(
                own / self.temperature, wanted, reduction="sum"
            )
            mass = mass + wanted.sum()
        return total / mass.clamp(min=1)


class _Maps(DistillationLoss):
    """What both losses on feature maps share: one level, averaged over time, at one size.

    Args:
        level: Which of several outputs (feature levels); -1 is the last.
        **kwargs: Of :class:`DistillationLoss`.
    """

    def __init__(self, *, level: int = -1, **kwargs) -> None:
        super().__init__(**kwargs)
        self.level = level

    def target_settings(self) -> str:
        return f"{super().target_settings()}, level={self.level}"

    def _map(self, outputs: list[Tensor], role: str) -> Tensor:
        if not -len(outputs) <= self.level < len(outputs):
            raise ValueError(
                f"{type(self).__name__} asks for level {self.level}, but the {role}'s module gives {len(outputs)}"
            )
        (found,) = without_time([outputs[self.level]])
        if found.dim() != 4:
            raise ValueError(
                f"{type(self).__name__} compares feature maps [N, C, H, W], but the {role}'s module gives the shape "
                f"{tuple(found.shape)}: name a module that gives maps"
            )
        return found


@MODELS.register_module()
class Features(_Maps):
    """Mean squared error between the student's firing rates and the teacher's feature map.

    The teacher's map is resized bilinearly to the student's size where the strides differ.

    Args:
        channels: ``(student's, teacher's)``: adds a learned 1x1 convolution from the one width to the other, which is
            needed where they differ and trains with the student, but is no part of its checkpoint.
        **kwargs: ``level`` (which of several outputs, -1 is the last), and those of :class:`DistillationLoss`.

    Source: Romero et al., FitNets, arXiv:1412.6550.
    """

    def __init__(self, *, channels: tuple[int, int] | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.adapter = nn.Conv2d(channels[0], channels[1], 1) if channels else nn.Identity()

    def target(self, outputs: list[Tensor]) -> list[Tensor]:
        """The teacher's map ``[N, C, H, W]``."""
        return [self._map(outputs, "teacher")]

    def forward(self, outputs: list[Tensor], target: list[Tensor]) -> Tensor:
        """Mean squared error over everything."""
        own, theirs = self._map(outputs, "student"), target[0]
        wanted = getattr(self.adapter, "in_channels", own.shape[1])
        given = getattr(self.adapter, "out_channels", own.shape[1])
        if (own.shape[1], theirs.shape[1]) != (wanted, given):
            raise ValueError(
                f"Features: the student's map has {own.shape[1]} channels and the teacher's {theirs.shape[1]}; "
                f"set channels=({own.shape[1]}, {theirs.shape[1]})"
            )
        return F.mse_loss(self.adapter(own), _resized(theirs.to(own), like=own))


@MODELS.register_module()
class AttentionMaps(_Maps):
    """Squared distance between the normalised spatial attention of both: where they look, whatever their channels.

    The attention of a feature map is the sum of its squares over channels, ``[H, W]``, of length 1 per sample.

    Args:
        **kwargs: ``level`` (which of several outputs, -1 is the last), and those of :class:`DistillationLoss`.

    Source: Zagoruyko and Komodakis, arXiv:1612.03928, eq. 2 (p = 2).
    """

    def target(self, outputs: list[Tensor]) -> list[Tensor]:
        """The teacher's attention before normalisation, ``[N, 1, H, W]``."""
        return [self._map(outputs, "teacher").square().sum(1, keepdim=True)]

    def forward(self, outputs: list[Tensor], target: list[Tensor]) -> Tensor:
        """Mean over samples of the squared distance, 0 to 2."""
        own = self._map(outputs, "student").square().sum(1, keepdim=True)
        theirs = _resized(target[0].to(own), like=own)
        apart = F.normalize(own.flatten(1)) - F.normalize(theirs.flatten(1))
        return apart.square().sum(1).mean()


def without_time(outputs: list[Tensor]) -> list[Tensor]:
    """Average logits ``[T, N, K]`` and maps ``[T, N, C, H, W]`` over time; leave ``[N, K]`` and ``[N, C, H, W]``."""
    return [x.mean(0) if x.dim() in (3, 5) else x for x in outputs]


def _resized(x: Tensor, *, like: Tensor) -> Tensor:
    if x.shape[2:] == like.shape[2:]:
        return x
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)


def _check_number(own: list[Tensor], theirs: list[Tensor]) -> None:
    if len(own) != len(theirs):
        raise ValueError(
            f"the student answers on {len(own)} levels, the teacher on {len(theirs)}: their heads must have the same"
        )


def _check_classes(teacher: int, student: int) -> None:
    if student != teacher:
        raise ValueError(
            f"the teacher's logits have {teacher} classes (a dense head: anchors times classes) and the student's "
            f"{student}: take a teacher of the same classes"
        )

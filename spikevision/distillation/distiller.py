"""The model around a student that a config names: its losses, and its teacher's."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS as MM_MODELS
from torch import Tensor, nn

from spikevision.distillation.losses import DistillationLoss, HardLogits, SoftLogits, _Logits
from spikevision.distillation.recording import find_module, recorded_outputs
from spikevision.distillation.teacher import (
    Teacher,
    build_teacher,
    dense_head,
    read_model_config,
    task_of_model,
)
from spikevision.registry import MODELS

__all__ = ["Distiller"]

DISTILLATION_HEAD = "head.fc_distillation"


@MODELS.register_module()
class Distiller(BaseModel):
    """A student that learns from a teacher; to everybody else, the student alone.

    Training adds the distillation losses to the student's own. Everything else is the student's: predictions,
    ``state_dict`` (names and all, so its checkpoint is a checkpoint of the plain student) and data preprocessing.
    The teacher is built when training starts, not to test or to infer. It is frozen, in eval mode whatever happens,
    and in no state dict, optimizer or distributed wrapper.

    Args:
        student: Config of the model that trains.
        teacher: ``dict(config=..., checkpoint=...)``: ``config`` is a path, a name as ``mmpretrain::resnet/...``, or a
            model dict; ``checkpoint`` may be left out for a model dict with ``pretrained``. With a ``data_preprocessor``
            of its own it gets images as that one makes them, without one as the student gets them.
        losses: Configs of :class:`HardLogits`, :class:`SoftLogits`, :class:`Features`, :class:`AttentionMaps`, each with
            its ``weight``; with or without scope.
        task_weight: Factor on the student's own losses.
        cache_dir: Folder that keeps the teacher's answers; None keeps none.
        cache_gb: Bound on its size per teacher, in 1e9 bytes.
        data_preprocessor: Of the student, where its config has none (mmengine's Runner puts it here).

    Raises:
        ValueError: If a loss is unknown, names a module that is not there, needs a distillation head that the student
            lacks or leaves one untrained, or if the teacher is of another task.
    """

    def __init__(
        self,
        student: Mapping[str, Any],
        teacher: Mapping[str, Any],
        losses: Sequence[Mapping[str, Any]],
        *,
        task_weight: float = 1.0,
        cache_dir: str | None = None,
        cache_gb: float = 10.0,
        data_preprocessor: Mapping[str, Any] | None = None,
    ) -> None:
        config = ConfigDict(student)
        if data_preprocessor is not None and config.get("data_preprocessor") is None:
            config.data_preprocessor = data_preprocessor
        built = MM_MODELS.build(config)
        super().__init__(data_preprocessor=built.data_preprocessor)
        if not set(teacher) <= {"config", "checkpoint"} or "config" not in teacher:
            raise ValueError(
                f"teacher takes config and checkpoint, got {sorted(teacher)}; a model dict goes into config"
            )
        if task_weight < 0 or not losses:
            raise ValueError(
                f"a distillation needs losses, and a task_weight of at least 0 (got {task_weight})"
            )
        self.student: Any = built
        self.task = task_of_model(built)
        self.losses: Any = nn.ModuleList(_build_loss(loss) for loss in losses)
        self.task_weight = task_weight
        self._teacher_config = dict(teacher)
        self._cache_dir = cache_dir
        self._cache_gb = cache_gb
        self._teacher: Teacher | None = None
        self._adapts_inputs = True
        self._choose_modules()
        self._register_load_state_dict_pre_hook(self._rename)

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = "tensor"
    ) -> Any:
        """The student's answer; with ``mode='loss'`` its losses and those of the distillation."""
        if mode != "loss":
            return self.student(inputs, data_samples, mode=mode)
        targets = self.teacher.targets(self._for_teacher(inputs))
        names = {loss.student for loss in self.losses}
        with recorded_outputs(self.student, names, role="student") as seen:
            own = self.student(inputs, data_samples, mode="loss")
        learned = {
            f"loss_{index}_{type(loss).__name__}": loss.weight * loss(seen[loss.student], target)
            for index, (loss, target) in enumerate(zip(self.losses, targets, strict=True))
        }
        return {name: self._weighted(name, value) for name, value in own.items()} | learned

    def _weighted(self, name: str, value: Any) -> Any:
        """Only what mmengine adds up, entries with ``loss`` in their name, is weighted."""
        if "loss" not in name:
            return value
        if isinstance(value, (list, tuple)):
            return [self.task_weight * each for each in value]
        return self.task_weight * value

    @property
    def teacher(self) -> Teacher:
        """The teacher, built when it is first asked for."""
        if self._teacher is None:
            config, scope = read_model_config(self._teacher_config["config"])
            self._adapts_inputs = config.get("data_preprocessor") is not None
            model = build_teacher(config, self._teacher_config.get("checkpoint"), scope=scope)
            theirs = task_of_model(model)
            if theirs != self.task:
                raise ValueError(
                    f"the teacher ({type(model).__name__}) is a model of {theirs.name}, the student "
                    f"({type(self.student).__name__}) of {self.task.name}: take a teacher of the same task"
                )
            for loss in self.losses:
                if loss.teacher is None:
                    loss.teacher = _default_module(loss, model, self.task.name, role="teacher")
                find_module(model, loss.teacher, role="teacher")
            self._teacher = Teacher(
                model,
                list(self.losses),
                cache_dir=self._cache_dir,
                cache_gb=self._cache_gb,
                text=str(config),
            )
        return self._teacher

    def init_weights(self) -> None:
        """Initialise the student; mmengine's Runner does so when training starts, so the teacher is built as well."""
        self.student.init_weights()
        assert self.teacher

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """The student's, for layer-wise decay of the learning rate."""
        return self.student.get_layer_depth(param_name.removeprefix("student."))

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The student's state dict."""
        return self.student.state_dict(*args, **kwargs)

    def training_state(self) -> dict[str, Tensor]:
        """What training learns beside the student (adapters): a run needs it to go on, the student's checkpoint not."""
        return self.losses.state_dict()

    def load_training_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on with a state that :meth:`training_state` gave."""
        self.losses.load_state_dict(state)

    def _rename(self, state: dict[str, Any], prefix: str, *_: Any) -> None:
        """Let the weights of a plain student load; what the losses have learned stays as it is."""
        for name in [name for name in state if name.startswith(prefix)]:
            state[f"{prefix}student.{name.removeprefix(prefix)}"] = state.pop(name)
        for name, value in self.losses.state_dict().items():
            state[f"{prefix}losses.{name}"] = value

    def _choose_modules(self) -> None:
        """Fill in the student's modules that the losses leave open, and check them all."""
        for loss in self.losses:
            if isinstance(loss, _Logits):
                self._check_logits(loss)
            if loss.student is None:
                loss.student = _default_module(loss, self.student, self.task.name, role="student")
            find_module(self.student, loss.student, role="student")
        has_head = _has_distillation_head(self.student)
        taught = any(loss.student == DISTILLATION_HEAD for loss in self.losses)
        if has_head and not taught:
            raise ValueError(
                "the student has a distillation head, but no loss trains it: add HardLogits or SoftLogits, or set "
                "student.head.distillation_head=False"
            )
        if taught:
            self.student.head.taught = True

    def _check_logits(self, loss: _Logits) -> None:
        if loss.distillation_head and not _has_distillation_head(self.student):
            raise ValueError(
                f"{type(loss).__name__} needs a distillation head, which the student does not have: set "
                "student.head.distillation_head=True (of spikevision.SpikingClsHead), or leave distillation_head out"
            )
        if self.task.name != "detection":
            return
        if isinstance(loss, HardLogits):
            raise ValueError(
                "HardLogits needs logits of which one class wins; detection heads score each class for itself: use "
                "SoftLogits"
            )
        if isinstance(loss, SoftLogits) and loss.sigmoid is None:
            loss.sigmoid = True

    def _for_teacher(self, inputs: Tensor) -> Tensor:
        """Images as the teacher's data preprocessor, where its config has one, would have made them."""
        assert self.teacher
        if not self._adapts_inputs:
            return inputs
        return convert_inputs(inputs, self.data_preprocessor, self.teacher.model.data_preprocessor)


def convert_inputs(inputs: Tensor, source: Any, target: Any) -> Tensor:
    """Take back one data preprocessor's normalisation and channel order, and apply another's.

    Args:
        inputs: Images ``[N, C, H, W]`` that ``source`` has made.
        source: Data preprocessor with or without ``mean`` and ``std``.
        target: The other one.
    """
    (from_mean, from_std), (to_mean, to_std) = (_normalisation(p, inputs) for p in (source, target))
    flipped = _swaps_channels(source) != _swaps_channels(target)
    if not flipped and torch.equal(from_mean, to_mean) and torch.equal(from_std, to_std):
        return inputs
    raw = inputs * from_std + from_mean
    return ((raw.flip(-3) if flipped else raw) - to_mean) / to_std


def _normalisation(preprocessor: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, each ``[C, 1, 1]``; 0 and 1 where it does not normalise."""
    if not getattr(preprocessor, "_enable_normalize", False):
        return like.new_zeros(1, 1, 1), like.new_ones(1, 1, 1)
    return preprocessor.mean.to(like), preprocessor.std.to(like)


def _swaps_channels(preprocessor: Any) -> bool:
    """Whether BGR becomes RGB (or back); each mm library has its own name for it."""
    names = ("to_rgb", "_channel_conversion", "channel_conversion")
    return any(bool(getattr(preprocessor, name, False)) for name in names)


def _build_loss(config: Mapping[str, Any]) -> DistillationLoss:
    config = dict(config)
    kind = str(config.get("type"))
    full = kind if "." in kind else f"spikevision.{kind}"
    if MODELS.get(full) is None:
        known = "HardLogits, SoftLogits, Features, AttentionMaps"
        raise ValueError(f"unknown distillation loss {kind!r}; known are {known}")
    return MODELS.build({**config, "type": full})


def _has_distillation_head(student: nn.Module) -> bool:
    return getattr(getattr(student, "head", None), "fc_distillation", None) is not None


def _default_module(loss: DistillationLoss, model: nn.Module, task: str, *, role: str) -> str:
    """The module that a loss looks at where its config names none."""
    if not isinstance(loss, _Logits):
        return "backbone"
    if task == "segmentation":
        return "decode_head"
    if task == "detection":
        return dense_head(model)
    if role == "teacher":
        return ""  # the model itself answers with logits
    return DISTILLATION_HEAD if _has_distillation_head(model) else "head"

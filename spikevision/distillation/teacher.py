"""A frozen model that answers a student, and is no part of anything that trains."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from spikevision.distillation.cache import AnswerCache, content_hash
from spikevision.distillation.losses import DistillationLoss
from spikevision.distillation.recording import recorded_outputs
from spikevision.jobs.config import load_config
from spikevision.jobs.weights import load_weights
from spikevision.tasks import TASKS, TaskSpec

__all__ = ["Teacher", "build_teacher", "dense_head", "read_model_config", "task_of_model"]


def task_of_model(model: nn.Module) -> TaskSpec:
    """The task of a model, known by the OpenMMLab library that its class extends.

    Raises:
        ValueError: It extends none of them.
    """
    scopes = {task.scope: task for task in TASKS.values()}
    for kind in type(model).__mro__:
        root = kind.__module__.split(".")[0]
        if root in scopes:
            return scopes[root]
    raise ValueError(f"{type(model).__name__} is no model of {', '.join(scopes)}")


def read_model_config(config: str | Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The model dict of a teacher, and the scope in which it builds.

    Args:
        config: Path of a config, the name of one that an mm library brings (``mmpretrain::resnet/...``), or a model
            dict, which builds in the current scope. Of the config of a distilled model, the student is taken.
    """
    if not isinstance(config, str):
        current = DefaultScope.get_current_instance()
        return dict(config), current.scope_name if current else "mmengine"
    whole = get_config(config) if "::" in config else load_config(config)
    model = dict(whole.model)
    model = dict(model.get("student", model))
    if not model.get("data_preprocessor") and whole.get("data_preprocessor"):
        model["data_preprocessor"] = dict(whole.data_preprocessor)  # as mmengine's Runner does
    return model, whole.get("default_scope") or "mmengine"


def build_teacher(config: Mapping[str, Any], checkpoint: str | None, *, scope: str) -> nn.Module:
    """Build a teacher with its weights.

    Args:
        config: Model dict.
        checkpoint: File with its weights; None for a model dict with ``pretrained``, which brings its own.
        scope: Scope in which it builds.

    Raises:
        FileNotFoundError: The checkpoint is missing.
        ValueError: There are no weights, or they are of another model.
    """
    if checkpoint is None and not config.get("pretrained"):
        raise ValueError("a teacher needs trained weights: set teacher.checkpoint to their file")
    with DefaultScope.overwrite_default_scope(scope):
        model = MODELS.build(ConfigDict(config))
    if checkpoint is not None:
        try:
            load_weights(model, checkpoint)
        except ValueError as error:
            raise ValueError(f"teacher: {error}") from error
    return model


class Teacher:
    """A frozen model: always in eval mode, without gradients, and no ``nn.Module``, so that no module owns it.

    A copy of the student (for a moving average, say) shares the teacher instead of copying it.

    Args:
        model: The built model with its weights.
        losses: The losses whose targets it gives; their ``teacher`` names are set.
        cache_dir: Folder in which answers are kept; None keeps none.
        cache_gb: Bound on the size of the answers of this teacher, in 1e9 bytes.
        text: What else belongs to the identity of the teacher (its config).
    """

    def __init__(
        self,
        model: nn.Module,
        losses: Sequence[DistillationLoss],
        *,
        cache_dir: str | None = None,
        cache_gb: float = 10.0,
        text: str = "",
    ) -> None:
        self.model = model.eval().requires_grad_(False)
        self._losses = losses
        self._cache_dir = cache_dir
        self._cache_gb = cache_gb
        self._caches: dict[str, AnswerCache] = {}
        settings = " ".join([text, *(loss.target_settings() for loss in losses)])
        self._identity = content_hash(*model.state_dict().values(), text=settings)

    def __deepcopy__(self, memo: dict) -> "Teacher":
        return self

    @torch.no_grad()
    def targets(self, inputs: Tensor) -> list[list[Tensor]]:
        """What each loss needs to know of a batch.

        Args:
            inputs: Batch ``[N, ...]``, normalised as the teacher expects it.

        Returns:
            Per loss its target tensors, each ``[N, ...]``.
        """
        if self._cache_dir is None:
            return self._ask(inputs)
        cache = self._cache_for(inputs)
        keys = [content_hash(sample) for sample in inputs]
        answers = {key: cache.get(key) for key in keys}
        unknown = [index for index, key in enumerate(keys) if answers[key] is None]
        if unknown:
            for index, answer in zip(unknown, _per_sample(self._ask(inputs[unknown])), strict=True):
                answers[keys[index]] = answer
                cache.put(keys[index], answer)
        return _batched([answers[key] or {} for key in keys], len(self._losses), inputs.device)

    def _cache_for(self, inputs: Tensor) -> AnswerCache:
        """The cache for these numerics: an answer in half precision is not one in full."""
        kind = inputs.device.type
        amp = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        name = content_hash(text=f"{self._identity} {inputs.dtype} {amp}")
        if name not in self._caches:
            folder = Path(str(self._cache_dir)).expanduser() / name
            self._caches[name] = AnswerCache(folder, max_gb=self._cache_gb)
        return self._caches[name]

    def _ask(self, inputs: Tensor) -> list[list[Tensor]]:
        names = {loss.teacher or "" for loss in self._losses}
        self.model.to(inputs.device)
        with recorded_outputs(self.model, names, role="teacher") as seen:
            _run(self.model, inputs, names)
        return [loss.target(seen[loss.teacher or ""]) for loss in self._losses]


def _per_sample(targets: list[list[Tensor]]) -> list[dict[str, Tensor]]:
    """The part of each sample, by number of the loss and of its tensor: ``{"0.0": ..., "0.1": ...}``."""
    named = {
        f"{i}.{j}": tensor for i, tensors in enumerate(targets) for j, tensor in enumerate(tensors)
    }
    samples = len(next(iter(named.values())))
    return [{name: tensor[index] for name, tensor in named.items()} for index in range(samples)]


def _batched(
    answers: list[dict[str, Tensor]], losses: int, device: torch.device
) -> list[list[Tensor]]:
    """What :func:`_per_sample` took apart."""
    targets: list[list[Tensor]] = [[] for _ in range(losses)]
    for name in sorted(answers[0], key=lambda name: [int(part) for part in name.split(".")]):
        tensor = torch.stack([answer[name].to(device) for answer in answers])
        targets[int(name.split(".")[0])].append(tensor)
    return targets


def _run(model: Any, inputs: Tensor, names: set[str]) -> None:
    """Run as much of a model as is watched; of a detector no proposals, regions or boxes."""
    if task_of_model(model).name != "detection":
        model(inputs, mode="tensor")
        return
    features = model.extract_feat(inputs)
    head = dense_head(model)
    if any(name == head or name.startswith(f"{head}.") for name in names):
        getattr(model, head)(features)


def dense_head(model: nn.Module) -> str:
    """Name of a detector's head on feature maps: of its proposals where it has two stages."""
    return "rpn_head" if getattr(model, "rpn_head", None) is not None else "bbox_head"

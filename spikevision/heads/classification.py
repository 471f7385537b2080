"""The published classifier readouts of Spikformer and Meta-SpikeFormer as an mmpretrain head."""

from mmengine.registry import DefaultScope
from mmpretrain.models import ImageClassifier
from mmpretrain.models.heads import ClsHead
from torch import Tensor, nn

from spikevision.neurons import build_neuron
from spikevision.ops.slots import SpikeSlots
from spikevision.ops.time_axis import mean_time
from spikevision.registry import MODELS

__all__ = ["LogitsHead", "SpikingClsHead", "build_classifier"]


@MODELS.register_module()
class SpikingClsHead(ClsHead):
    """Average over space, (neuron,) linear classifier, average over time.

    Losses, accuracy and predictions are mmpretrain's own, on logits that T has left.

    Args:
        num_classes: Number of classes.
        in_channels: Channels of the last feature map.
        spiking: Whether a neuron stands before the classifier, so that spikes drive it (Meta-SpikeFormer), or the
            classifier sees the real-valued mean (Spikformer).
        neuron: Config of that neuron; None is the published LIF.
        distillation_head: Whether a second classifier learns from a teacher (``spikevision.Distiller``); forward answers
            with the mean of both. Without a teacher, this mean learns from the labels.
        **kwargs: Of mmpretrain's ``ClsHead``: ``loss``, ``topk``, ``cal_acc``, ``init_cfg``.

    Source: Zhou et al., arXiv:2209.15425; Yao et al., arXiv:2404.03663 (distillation head as in DeiT, arXiv:2012.12877).
    """

    taught = False  # whether a teacher trains the second classifier: then labels train the first one alone

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        *,
        spiking: bool = True,
        neuron: dict | None = None,
        distillation_head: bool = False,
        **kwargs,
    ) -> None:
        kwargs.setdefault("init_cfg", dict(type="TruncNormal", layer="Linear", std=0.02, bias=0))
        super().__init__(**kwargs)
        if num_classes < 1:
            raise ValueError(f"num_classes must be at least 1, got {num_classes}")
        self.neuron = build_neuron(neuron) if spiking else None
        self.fc = nn.Linear(in_channels, num_classes)
        self.fc_distillation = nn.Linear(in_channels, num_classes) if distillation_head else None

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Input of the classifier: the last feature map's spatial mean, as spikes if ``spiking``; ``[T, N, C]``."""
        pooled = feats[-1].mean((-2, -1))
        return self.neuron(pooled) if self.neuron else pooled

    def forward_heads(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Logits ``[N, classes]`` of the classifier and, where there is one, of the distillation head."""
        heads = (self.fc, self.fc_distillation) if self.fc_distillation else (self.fc,)
        if self.neuron is None and isinstance(feats[-1], SpikeSlots):
            # unrolled: spikes enter the classifier at each position, and their scores are averaged, which is the same
            spikes = feats[-1].flatten(3).mT  # [S T, N, L, C]
            return tuple(mean_time(head(spikes).mean(2)) for head in heads)
        x = self.pre_logits(feats)
        return tuple(mean_time(head(x)) for head in heads)

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Logits ``[N, classes]``."""
        logits = self.forward_heads(feats)
        return sum(logits) / len(logits)

    def loss(self, feats: tuple[Tensor, ...], data_samples: list, **kwargs) -> dict:
        """Loss of mmpretrain, of the first classifier alone where a teacher trains the second one."""
        if not self.taught:
            return super().loss(feats, data_samples, **kwargs)
        return self._get_loss(self.forward_heads(feats)[0], data_samples, **kwargs)


@MODELS.register_module()
class LogitsHead(ClsHead):
    """Predictions of mmpretrain from logits that a deployed network has computed already.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """The logits themselves, ``[N, classes]``."""
        return feats[-1]

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Logits ``[N, classes]``."""
        return feats[-1]


def build_classifier(
    backbone: dict, num_classes: int, distillation_head: bool = False
) -> ImageClassifier:
    """An mmpretrain ImageClassifier with the readout that was published with the backbone.

    Args:
        backbone: Config such as ``dict(type='MetaSpikeFormer', arch='15m', time_steps=4)``, with or without scope.
        num_classes: Number of classes.
        distillation_head: Whether to add the second classifier that learns from a teacher.

    Returns:
        A classifier whose ``forward(images)`` gives logits ``[N, classes]``.

    Raises:
        ValueError: ``backbone`` is no config of a spiking backbone.
    """
    kind = backbone.get("type") if isinstance(backbone, dict) else None
    name = kind.removeprefix("spikevision.") if isinstance(kind, str) else ""
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        known = MODELS.get(f"spikevision.{name}") if name.isidentifier() else None
    if not hasattr(known, "feature_specs"):
        raise ValueError(
            "build_classifier takes the config of a spiking backbone, such as dict(type='MetaSpikeFormer', arch='15m'), "
            f"got {backbone!r}"
        )
    with DefaultScope.overwrite_default_scope("mmpretrain"):  # whatever a Runner has set before
        return _build_classifier(name, backbone, num_classes, distillation_head)


def _build_classifier(
    name: str, backbone: dict, num_classes: int, distillation_head: bool
) -> ImageClassifier:
    built = MODELS.build({**backbone, "type": f"spikevision.{name}"})
    head = dict(
        type="spikevision.SpikingClsHead",
        num_classes=num_classes,
        in_channels=built.feature_specs()[-1].channels,
        spiking=name != "Spikformer",
        neuron=built.readout_neuron_cfg(),
        distillation_head=distillation_head,
    )
    return ImageClassifier(backbone=built, head=head)

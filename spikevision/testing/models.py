"""Models that tests, benchmarks and users build alike."""

from torch import nn

__all__ = ["build_classifier"]


def build_classifier(
    backbone: dict, num_classes: int, distillation_head: bool = False
) -> nn.Module:
    """An mmpretrain ImageClassifier with the readout that was published with the backbone.

    Args:
        backbone: Config such as ``dict(type='MetaSpikeFormer', arch='15m', time_steps=4)``; the scope may be left out.
        num_classes: Number of classes.
        distillation_head: Whether to add the second classifier that learns from a teacher.

    Returns:
        A classifier whose ``forward(images)`` gives logits ``[N, classes]``.
    """
    from mmpretrain.models import ImageClassifier

    from spikevision.registry import MODELS

    built = MODELS.build({**backbone, "type": f"spikevision.{backbone['type'].split('.')[-1]}"})
    head = dict(
        type="spikevision.SpikingClsHead",
        num_classes=num_classes,
        in_channels=built.feature_specs()[-1].channels,
        spiking=type(built).__name__ != "Spikformer",
        neuron=backbone.get("neuron"),
        distillation_head=distillation_head,
    )
    return ImageClassifier(backbone=built, head=head)

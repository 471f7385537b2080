"""RPN, RetinaNet and FCOS heads whose every convolution is driven by spikes.

mmdet builds the layers; here each one gets a neuron in front, and the prediction layers average over time. So
``forward`` answers with 4-D logits, and losses, assigners, coders and post-processing are mmdet's own.
"""

from collections.abc import Iterable

from mmcv.cnn import ConvModule
from mmdet.models.dense_heads import FCOSHead, RetinaHead, RPNHead
from mmengine.model import ModuleList, Sequential
from torch import Tensor, nn

from spikevision.layers.driven import SpikeDriven, SpikingReadout
from spikevision.registry import MODELS

__all__ = ["SpikingFCOSHead", "SpikingRPNHead", "SpikingRetinaHead"]


def driven(layers: Iterable[nn.Module], neuron: dict | None) -> list[SpikeDriven]:
    """The convolution, norm and order of mmdet's layers, with a neuron in front instead of a ReLU behind."""
    return [
        SpikeDriven(layer.conv, neuron=neuron, norm=layer.norm if layer.with_norm else None)
        if isinstance(layer, ConvModule)
        else SpikeDriven(layer, neuron=neuron)
        for layer in layers
    ]


@MODELS.register_module()
class SpikingRPNHead(RPNHead):
    """Region proposals from ``[T, N, C, H, W]``: neuron -> 3x3, then neuron -> 1x1 for objectness and boxes.

    Args:
        *args: Of mmdet's ``RPNHead``.
        neuron: Neuron config; None is the published LIF.
        **kwargs: Of mmdet's ``RPNHead``.

    Source: Ren et al., arXiv:1506.01497; Yao et al., arXiv:2404.03663.
    """

    def __init__(self, *args, neuron: dict | None = None, **kwargs) -> None:
        self.neuron_cfg = neuron
        super().__init__(*args, **kwargs)

    def _init_layers(self) -> None:
        super()._init_layers()
        convs = self.rpn_conv if self.num_convs > 1 else [self.rpn_conv]
        self.rpn_conv = Sequential(*driven(convs, self.neuron_cfg))
        self.rpn_cls = SpikingReadout(self.rpn_cls, neuron=self.neuron_cfg)
        self.rpn_reg = SpikingReadout(self.rpn_reg, neuron=self.neuron_cfg)

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``[N, A, H, W]`` and box deltas ``[N, 4 A, H, W]`` of one level ``[T, N, C, H, W]``."""
        x = self.rpn_conv(x)  # mmdet has a ReLU here, which would cut the membrane potential
        return self.rpn_cls(x), self.rpn_reg(x)


@MODELS.register_module()
class SpikingRetinaHead(RetinaHead):
    """RetinaNet's two towers on ``[T, N, C, H, W]``, every convolution behind a neuron.

    The towers are shared by all levels: of the norms, only one without running statistics (``GN``) means the same
    in training and evaluation here.

    Args:
        *args: Of mmdet's ``RetinaHead``.
        neuron: Neuron config; None is the published LIF.
        **kwargs: Of mmdet's ``RetinaHead``.

    Source: Lin et al., arXiv:1708.02002.
    """

    def __init__(self, *args, neuron: dict | None = None, **kwargs) -> None:
        self.neuron_cfg = neuron
        super().__init__(*args, **kwargs)

    def _init_layers(self) -> None:
        super()._init_layers()
        self.cls_convs = ModuleList(driven(self.cls_convs, self.neuron_cfg))
        self.reg_convs = ModuleList(driven(self.reg_convs, self.neuron_cfg))
        self.retina_cls = SpikingReadout(self.retina_cls, neuron=self.neuron_cfg)
        self.retina_reg = SpikingReadout(self.retina_reg, neuron=self.neuron_cfg)


@MODELS.register_module()
class SpikingFCOSHead(FCOSHead):
    """FCOS's two towers on ``[T, N, C, H, W]``, every convolution behind a neuron.

    Logits, distances and centerness are averaged over time before scale, clamp or exponential.

    Args:
        *args: Of mmdet's ``FCOSHead``.
        neuron: Neuron config; None is the published LIF.
        norm_cfg: Norm behind the convolutions of the towers, see :class:`SpikingRetinaHead`. None by default:
            mmdet's group norm cannot be folded into the convolutions, so it would stay beside the spikes.
        **kwargs: Of mmdet's ``FCOSHead``.

    Source: Tian et al., arXiv:1904.01355.
    """

    def __init__(
        self, *args, neuron: dict | None = None, norm_cfg: dict | None = None, **kwargs
    ) -> None:
        self.neuron_cfg = neuron
        super().__init__(*args, norm_cfg=norm_cfg, **kwargs)

    def _init_layers(self) -> None:
        super()._init_layers()
        self.cls_convs = ModuleList(driven(self.cls_convs, self.neuron_cfg))
        self.reg_convs = ModuleList(driven(self.reg_convs, self.neuron_cfg))
        for name in ("conv_cls", "conv_reg", "conv_centerness"):
            setattr(self, name, SpikingReadout(getattr(self, name), neuron=self.neuron_cfg))

"""Box and mask heads whose every weight layer is driven by spikes, on RoI features ``[T, R, C, h, w]``."""

from mmcv.cnn import build_norm_layer
from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmengine.model import ModuleList
from torch import Tensor, nn

from spikevision.heads.detection.dense import driven
from spikevision.layers.driven import SpikeDriven, SpikingReadout, read_out
from spikevision.neurons import build_neuron
from spikevision.ops.time_axis import mean_time
from spikevision.registry import MODELS

__all__ = ["SpikingBBoxHead", "SpikingMaskHead"]


@MODELS.register_module()
class SpikingBBoxHead(Shared2FCBBoxHead):
    """Two shared linear layers, classes and boxes on ``[T, R, C, h, w]``; logits averaged over time.

    Args:
        *args: Of mmdet's ``Shared2FCBBoxHead``.
        form: ``spiking`` drives the class and box layers by spikes like all others; ``published`` shows them the
            membrane potential of the second layer, as the released code does.
        neuron: Neuron config; None is the published LIF.
        norm_cfg: Norm behind the two shared layers, one of ``[R, C]`` such as ``dict(type='BN1d')``.
        **kwargs: Of mmdet's ``Shared2FCBBoxHead``.

    Raises:
        ValueError: If ``form`` is neither.

    Source: Yao et al., arXiv:2404.03663, and its released detection code for ``published``.
    """

    # mmdet's; its Xavier for the shared layers is left to them
    READOUT_INIT = (
        dict(type="Normal", std=0.01, override=dict(name="fc_cls")),
        dict(type="Normal", std=0.001, override=dict(name="fc_reg")),
    )

    def __init__(
        self,
        *args,
        form: str = "spiking",
        neuron: dict | None = None,
        norm_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        kwargs.setdefault("init_cfg", self.READOUT_INIT)
        super().__init__(*args, **kwargs)
        if form not in ("spiking", "published"):
            raise ValueError(f"form is 'spiking' or 'published', got {form!r}")
        self.form = form
        self.shared_fcs = ModuleList(
            self._driven_fc(layer, neuron, norm_cfg) for layer in self.shared_fcs
        )
        self.readout_neuron = build_neuron(neuron) if form == "spiking" else None

    @staticmethod
    def _driven_fc(layer: nn.Linear, neuron: dict | None, norm_cfg: dict | None) -> SpikeDriven:
        if norm_cfg is None:
            return SpikeDriven(layer, neuron=neuron)
        layer.register_parameter("bias", None)
        return SpikeDriven(
            layer, neuron=neuron, norm=build_norm_layer(norm_cfg, layer.out_features)[1]
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits ``[R, classes + 1]`` and box deltas ``[R, 4 classes]`` (4 if class agnostic)."""
        x = x.flatten(2)
        for layer in self.shared_fcs:
            x = layer(x)
        if self.readout_neuron is not None:
            x = self.readout_neuron(x)
            return read_out(self.fc_cls, x), read_out(self.fc_reg, x)
        return mean_time(self.fc_cls(x)), mean_time(self.fc_reg(x))


@MODELS.register_module()
class SpikingMaskHead(FCNMaskHead):
    """Four convolutions, a transposed one and the mask logits on ``[T, R, C, h, w]``, each behind a neuron.

    Args:
        *args: Of mmdet's ``FCNMaskHead``.
        neuron: Neuron config; None is the published LIF.
        **kwargs: Of mmdet's ``FCNMaskHead``; ``upsample_cfg`` must be a ``deconv``.

    Raises:
        ValueError: If the upsampling is not a transposed convolution.

    Source: He et al., arXiv:1703.06870; Yao et al., arXiv:2404.03663.
    """

    def __init__(self, *args, neuron: dict | None = None, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.upsample_method != "deconv":
            raise ValueError(f"upsample_cfg must be of type 'deconv', got {self.upsample_method!r}")
        self.convs = ModuleList(driven(self.convs, neuron))
        self.upsample = SpikeDriven(self.upsample, neuron=neuron)
        self.conv_logits = SpikingReadout(self.conv_logits, neuron=neuron)

    def init_weights(self) -> None:
        """As mmdet, and the layers behind neurons as they say themselves."""
        super().init_weights()
        nn.init.kaiming_normal_(self.conv_logits.layer.weight, nonlinearity="linear")
        nn.init.zeros_(self.conv_logits.layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Mask logits ``[R, classes, 2 h, 2 w]``."""
        for layer in (*self.convs, self.upsample):
            x = layer(x)
        return self.conv_logits(x)

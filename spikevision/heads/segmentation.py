"""Semantic-FPN, UPerNet and FCN heads on spiking feature maps, as mmseg decode heads.

In each head the unit is neuron, convolution, batch normalisation: spikes enter every convolution, and what passes
between the units is membrane potential. All resizing, pooling and adding is done there, on membrane potential, never
between a neuron and the weights that it drives. Logits leave the time axis once, by their average; from there on
losses, sampling and inference are mmseg's own.
"""

from collections.abc import Sequence
from math import log2
from typing import Any

import torch
from mmengine.model import ModuleList, Sequential
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from spikevision.layers import TimeFolded
from spikevision.layers.driven import NORM_SCALE, SpikeDriven, read_out
from spikevision.neurons import build_neuron
from spikevision.ops.time_axis import fold_time, unfold_like, unfold_time
from spikevision.registry import MODELS

__all__ = ["SpikingDecodeHead", "SpikingFCNHead", "SpikingFPNHead", "SpikingUPerHead"]


class SpikingDecodeHead(BaseDecodeHead):
    """What the spiking heads share: their unit, their readout, their input check.

    mmseg's dropout before the classifier stays; it drops whole channels of spikes, anew at each time step, and scales
    the others in training. The published spiking head has none: ``dropout_ratio=0``.

    Args:
        neuron: Config of all neurons; None is the published LIF.
        **kwargs: Of mmseg's ``BaseDecodeHead``: ``in_channels``, ``in_index``, ``channels``, ``num_classes``,
            ``dropout_ratio``, ``loss_decode``, ``ignore_index``, ``align_corners`` ...

    Raises:
        ValueError: If ``norm_cfg``, ``act_cfg`` or ``conv_cfg`` is given: the unit is fixed.
    """

    def __init__(self, *, neuron: dict | None = None, **kwargs) -> None:
        for name in ("norm_cfg", "act_cfg", "conv_cfg"):
            if kwargs.get(name) is not None:
                raise ValueError(
                    f"{type(self).__name__} takes no {name}, got {kwargs[name]!r}: its unit is neuron, convolution, "
                    "batch normalisation. Choose the neuron by `neuron`; `sync_bn = 'torch'` at the top of the "
                    "config synchronises the normalisation over processes"
                )
        super().__init__(**kwargs)
        self.neuron_cfg = neuron
        self.seg_neuron = build_neuron(neuron)

    def features(self, levels: Any) -> Tensor:
        """Membrane potential ``[T, N, channels, H, W]`` of the selected levels, or of the one level of a head."""
        raise NotImplementedError

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits ``[N, classes, H, W]`` from feature maps, each ``[T, N, C_i, H_i, W_i]``.

        Raises:
            ValueError: If a feature map has no time axis.
        """
        for index, x in enumerate(inputs):
            if x.dim() != 5:
                raise ValueError(
                    f"{type(self).__name__} takes feature maps [T, N, C, H, W], got shape {tuple(x.shape)} at level "
                    f"{index}: use a spiking backbone (and neck), or mmseg's own head"
                )
        spikes = self.seg_neuron(self.features(self._transform_inputs(inputs)))
        if self.dropout is not None:
            spikes = unfold_like(self.dropout(fold_time(spikes)), spikes)
        return read_out(self.conv_seg, spikes)

    def _unit(self, in_channels: int, kernel_size: int = 3) -> SpikeDriven:
        """Neuron, convolution to ``channels`` and normalisation: membrane potential in and out."""
        conv = nn.Conv2d(
            in_channels, self.channels, kernel_size, padding=kernel_size // 2, bias=False
        )
        return SpikeDriven(conv, neuron=self.neuron_cfg, norm=nn.BatchNorm2d(self.channels))

    def _resize(self, potential: Tensor, like: Tensor) -> Tensor:
        """Resize ``[T, N, C, H, W]`` bilinearly to the size of ``like``."""
        resized = resize(
            fold_time(potential),
            size=like.shape[-2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        return unfold_time(resized, potential.shape[0])


@MODELS.register_module()
class SpikingFPNHead(SpikingDecodeHead):
    """Semantic-FPN head: each level is brought to the finest one by units and 2x upsampling, and all are added.

    A level of stride s passes ``max(1, log2(s / s_0))`` units, each followed by bilinear 2x upsampling if ``s > s_0``.
    Only ratios of strides matter to the layers, so the published ``[4, 8, 16, 32]`` builds the same head as the true
    ``[2, 4, 8, 16]`` of the feature maps that it is used on; the logits are at stride ``s_0``, which is 2 there. Strides
    that the maps do not have are an error here (stock mmseg stretches such maps silently).

    Args:
        feature_strides: True stride of each selected level: ascending powers of 2.
        **kwargs: Of :class:`SpikingDecodeHead`; ``in_channels`` and ``in_index`` have one entry per stride.

    Raises:
        ValueError: If the strides are no ascending powers of 2, or their number differs from that of the channels.

    Source: Kirillov et al., Panoptic feature pyramid networks, arXiv:1901.02446; its spiking form in Yao et al.,
    Spike-driven Transformer V2, arXiv:2404.03663.
    """

    def __init__(self, feature_strides: Sequence[int] = (2, 4, 8, 16), **kwargs) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        strides = list(feature_strides)
        if strides != sorted(strides) or any(s < 1 or not log2(s).is_integer() for s in strides):
            raise ValueError(f"feature_strides must be ascending powers of 2, got {strides}")
        if len(strides) != len(self.in_channels):
            raise ValueError(
                f"feature_strides {strides} and in_channels {list(self.in_channels)} must have one entry per level"
            )
        self.feature_strides = tuple(strides)
        self.scale_heads = ModuleList(
            self._scale_head(channels, int(log2(stride / strides[0])))
            for channels, stride in zip(self.in_channels, strides, strict=True)
        )

    def _scale_head(self, in_channels: int, doublings: int) -> Sequential:
        layers: list[nn.Module] = []
        for index in range(max(1, doublings)):
            layers.append(self._unit(self.channels if index else in_channels))
            if doublings:
                layers.append(
                    TimeFolded(
                        nn.Upsample(
                            scale_factor=2, mode="bilinear", align_corners=self.align_corners
                        )
                    )
                )
        return Sequential(*layers)

    def features(self, levels: list[Tensor]) -> Tensor:
        """Sum of all levels at the size of the first; see :meth:`SpikingDecodeHead.features`."""
        self._check_sizes(levels)
        return sum(head(x) for head, x in zip(self.scale_heads, levels, strict=True))

    def _check_sizes(self, levels: list[Tensor]) -> None:
        sizes = [tuple(x.shape[-2:]) for x in levels]
        image = [
            tuple(s * side for side in size)
            for s, size in zip(self.feature_strides, sizes, strict=True)
        ]
        if len(set(image)) > 1:
            raise ValueError(
                f"feature maps of sizes {sizes} do not have the strides {list(self.feature_strides)} of one image: set "
                "feature_strides to those of the backbone (feature_specs() lists them)"
            )


@MODELS.register_module()
class SpikingUPerHead(SpikingDecodeHead):
    """UPerNet head: pyramid pooling on the last level, top-down path, fusion of all levels at the first one's size.

    Pyramid pooling averages the membrane potential over each cell, normalises the averages and lets a neuron fire on
    them: the 1x1 convolution behind it is driven by spikes. (The average of spikes would be a rate, a real number.
    Without the normalisation, which a neuron can take over as a threshold and a bias per channel, averages of many
    pixels are too small to fire, and the branch is dead from the start.) Strides follow from the maps themselves, so
    levels of equal stride (as Meta-SpikeFormer's last two) are no special case.

    Args:
        pool_scales: Cells per side of each pooling.
        **kwargs: Of :class:`SpikingDecodeHead`; ``in_channels`` and ``in_index`` list the levels, finest first.

    Source: Xiao et al., Unified perceptual parsing for scene understanding, arXiv:1807.10221.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs) -> None:
        super().__init__(input_transform="multiple_select", **kwargs)
        *finer, last = self.in_channels
        self.pools = ModuleList(
            Sequential(self._pool(last, scale), self._unit(last, 1)) for scale in pool_scales
        )
        self.bottleneck = self._unit(last + len(pool_scales) * self.channels)
        self.laterals = ModuleList(self._unit(channels, 1) for channels in finer)
        self.outputs = ModuleList(self._unit(self.channels) for _ in finer)
        self.fusion = self._unit(len(self.in_channels) * self.channels)

    def _pool(self, channels: int, scale: int) -> TimeFolded:
        norm = nn.BatchNorm2d(channels)
        nn.init.constant_(norm.weight, NORM_SCALE)
        return TimeFolded(nn.AdaptiveAvgPool2d(scale), norm)

    def features(self, levels: list[Tensor]) -> Tensor:
        """Fused membrane potential at the first level's size; see :meth:`SpikingDecodeHead.features`."""
        *finer, last = levels
        top = self.bottleneck(
            torch.cat([last, *(self._resize(pool(last), last) for pool in self.pools)], dim=2)
        )
        paths = [top]
        for lateral, x in zip(reversed(self.laterals), reversed(finer), strict=True):
            side = lateral(x)
            paths.insert(0, side + self._resize(paths[0], side))
        outputs = [output(path) for output, path in zip(self.outputs, paths[:-1], strict=True)]
        outputs.append(top)
        first, *coarser = outputs
        return self.fusion(torch.cat([first, *(self._resize(x, first) for x in coarser)], dim=2))


@MODELS.register_module()
class SpikingFCNHead(SpikingDecodeHead):
    """Units in a row on one level; the auxiliary head of UPerNet.

    Args:
        num_convs: Number of units, at least 1.
        **kwargs: Of :class:`SpikingDecodeHead`; ``in_channels`` and ``in_index`` are one number each.

    Raises:
        ValueError: If ``num_convs`` is less than 1.

    Source: Long et al., Fully convolutional networks for semantic segmentation, arXiv:1411.4038.
    """

    def __init__(self, num_convs: int = 2, **kwargs) -> None:
        super().__init__(**kwargs)
        if num_convs < 1:
            raise ValueError(f"num_convs must be at least 1, got {num_convs}")
        self.convs = Sequential(
            *(
                self._unit(self.channels if index else self.in_channels)
                for index in range(num_convs)
            )
        )

    def features(self, levels: Tensor) -> Tensor:
        """Membrane potential behind the last unit; see :meth:`SpikingDecodeHead.features`."""
        return self.convs(levels)

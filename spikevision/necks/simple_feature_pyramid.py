"""The pyramid of plain vision transformers: every level from the one map of the last block."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule, build_norm_layer
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from spikevision.layers import FeatureSpec
from spikevision.registry import MODELS

__all__ = ["SimpleFeaturePyramid"]

SCALES = (4.0, 2.0, 1.0, 0.5)
LAYER_NORM = {"type": "mmpretrain.LN2d"}  # over the channels of each pixel


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Simple feature pyramid of ViTDet: no top-down path, each level is made of the same map.

    The level of scale 4 is two transposed convolutions of stride 2 with normalisation and GELU between, that of scale
    2 is one, that of scale 1 the map itself, that of scale 0.5 its 2x2 maximum; each is followed by a 1x1 and a 3x3
    convolution with normalisation. An ordinary network: no neurons, to be trained and then converted.

    Args:
        in_channels: Channels of the backbone's map.
        out_channels: Channels of every level.
        scales: Size of each level against the map, finest first; each of 4, 2, 1 and 0.5.
        num_outs: Number of levels handed on; those beyond the scales take every second pixel of the one before.
        norm_cfg: mmcv's norm config; None is layer normalisation over channels, as published.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: If a scale is not one of these, the order is wrong, or ``num_outs`` is too small.

    Source: Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection", arXiv:2203.16527, section 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        *,
        scales: Sequence[float] = SCALES,
        num_outs: int = 5,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not set(scales) <= set(SCALES) or sorted(scales, reverse=True) != list(scales):
            raise ValueError(f"scales must fall and be of {SCALES}, got {tuple(scales)}")
        if num_outs < len(scales):
            raise ValueError(f"num_outs={num_outs} is less than the {len(scales)} scales")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.scales = tuple(scales)
        self.num_outs = num_outs
        norm = norm_cfg or LAYER_NORM
        self.resizes = ModuleList(_resize(in_channels, scale, norm) for scale in scales)
        self.outputs = ModuleList(
            nn.Sequential(
                ConvModule(
                    _width(in_channels, scale), out_channels, 1, norm_cfg=norm, act_cfg=None
                ),
                ConvModule(out_channels, out_channels, 3, padding=1, norm_cfg=norm, act_cfg=None),
            )
            for scale in scales
        )

    def feature_specs(self, inputs: Sequence[FeatureSpec]) -> tuple[FeatureSpec, ...]:
        """Channels and true stride of every level.

        Args:
            inputs: What the backbone's ``feature_specs()`` says; the last counts.

        Raises:
            ValueError: If the backbone's channels are not ``in_channels``, or its stride is less than a scale.
        """
        last = inputs[-1]
        if last.channels != self.in_channels:
            raise ValueError(
                f"the neck has in_channels={self.in_channels}, the backbone gives {last.channels}"
            )
        strides = [last.stride / scale for scale in self.scales]
        if any(stride % 1 for stride in strides):
            raise ValueError(f"scales {self.scales} do not divide the stride of {last.stride}")
        strides += [strides[-1] * 2**i for i in range(1, self.num_outs - len(strides) + 1)]
        return tuple(FeatureSpec(self.out_channels, int(stride)) for stride in strides)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the pyramid.

        Args:
            inputs: The backbone's maps, of which the last counts, ``[N, in_channels, H, W]``.

        Returns:
            ``num_outs`` maps ``[N, out_channels, scale H, scale W]``, finest first.

        Raises:
            ValueError: If the map has other channels.
        """
        x = inputs[-1]
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(
                f"expected a map [N, {self.in_channels}, H, W], got {list(x.shape)}; a vision transformer of "
                "mmpretrain gives maps with out_type='featmap'"
            )
        levels = [
            output(resize(x)) for resize, output in zip(self.resizes, self.outputs, strict=True)
        ]
        while len(levels) < self.num_outs:
            levels.append(levels[-1][..., ::2, ::2])
        return tuple(levels)


def _width(channels: int, scale: float) -> int:
    return {4.0: channels // 4, 2.0: channels // 2}.get(scale, channels)


def _resize(channels: int, scale: float, norm_cfg: dict) -> nn.Module:
    if scale == 1:
        return nn.Identity()
    if scale == 0.5:
        return nn.MaxPool2d(2)
    first = nn.ConvTranspose2d(channels, channels // 2, 2, stride=2)
    if scale == 2:
        return first
    second = nn.ConvTranspose2d(channels // 2, channels // 4, 2, stride=2)
    return nn.Sequential(first, build_norm_layer(norm_cfg, channels // 2)[1], nn.GELU(), second)

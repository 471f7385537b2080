"""Feature pyramid network whose every convolution is driven by spikes."""

from collections.abc import Sequence

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.nn import functional

from spikevision.layers import FeatureSpec
from spikevision.layers.driven import SpikeDriven
from spikevision.ops.time_axis import fold_time, unfold_time
from spikevision.registry import MODELS

__all__ = ["SpikingFPN"]

EXTRA_LEVELS = ("pool", "on_input", "on_lateral", "on_output")


@MODELS.register_module()
class SpikingFPN(BaseModule):
    """FPN on membrane potentials: neuron -> 1x1 laterals, added top-down, neuron -> 3x3 outputs.

    ``[T, N, C_i, H_i, W_i]`` in, ``[T, N, out_channels, H_i, W_i]`` out. What is added, resized and handed on are
    membrane potentials; what enters a convolution are spikes. Neighbouring levels may have the same stride.

    Args:
        in_channels: Channels of every input level.
        out_channels: Channels of every output level.
        num_outs: Number of output levels; those beyond the inputs are extra levels, each of twice the stride.
        start_level: First input level that is used; earlier ones are ignored.
        extra_levels: ``pool`` takes every second pixel of the last output; ``on_input``, ``on_lateral`` and
            ``on_output`` start a chain of neuron -> 3x3 convolution of stride 2 there.
        neuron: Neuron config; None is the published LIF.
        norm_cfg: mmcv's norm config behind every convolution, which then has no bias; None is the published form.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: If ``start_level``, ``num_outs`` or ``extra_levels`` does not fit.

    Source: Lin et al., arXiv:1612.03144; Yao et al., arXiv:2404.03663, appendix on detection.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        num_outs: int = 5,
        *,
        start_level: int = 0,
        extra_levels: str = "pool",
        neuron: dict | None = None,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not 0 <= start_level < len(in_channels):
            raise ValueError(f"start_level must be in 0..{len(in_channels) - 1}, got {start_level}")
        used = in_channels[start_level:]
        if num_outs < len(used):
            raise ValueError(
                f"num_outs={num_outs} is less than the {len(used)} levels in use: raise num_outs or start_level"
            )
        if extra_levels not in EXTRA_LEVELS:
            raise ValueError(
                f"unknown extra_levels {extra_levels!r}; known are {list(EXTRA_LEVELS)}"
            )
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels
        self.num_outs = num_outs
        self.start_level = start_level
        self.extra_levels = extra_levels
        self.neuron_cfg = neuron
        self.norm_cfg = norm_cfg
        self.laterals = ModuleList(self._driven(channels, 1) for channels in used)
        self.outputs = ModuleList(self._driven(out_channels, 3) for _ in used)
        first = used[-1] if extra_levels == "on_input" else out_channels
        extra = 0 if extra_levels == "pool" else num_outs - len(used)
        self.extras = ModuleList(
            self._driven(out_channels if index else first, 3, stride=2) for index in range(extra)
        )

    def _driven(self, in_channels: int, kernel_size: int, stride: int = 1) -> SpikeDriven:
        conv = nn.Conv2d(
            in_channels,
            self.out_channels,
            kernel_size,
            stride,
            padding=kernel_size // 2,
            bias=self.norm_cfg is None,
        )
        norm = build_norm_layer(self.norm_cfg, self.out_channels)[1] if self.norm_cfg else None
        return SpikeDriven(conv, neuron=self.neuron_cfg, norm=norm)

    def feature_specs(self, inputs: Sequence[FeatureSpec]) -> tuple[FeatureSpec, ...]:
        """Channels and true stride of every output level.

        Args:
            inputs: What the backbone's ``feature_specs()`` says.

        Raises:
            ValueError: If the backbone's channels are not ``in_channels``.
        """
        channels = tuple(spec.channels for spec in inputs)
        if channels != self.in_channels:
            raise ValueError(
                f"the neck has in_channels={list(self.in_channels)}, the backbone gives {list(channels)}"
            )
        strides = [spec.stride for spec in inputs[self.start_level :]]
        while len(strides) < self.num_outs:
            strides.append(strides[-1] * 2)
        return tuple(FeatureSpec(self.out_channels, stride) for stride in strides)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Compute the pyramid.

        Args:
            inputs: The backbone's maps, ``[T, N, C_i, H_i, W_i]``, finest first.

        Returns:
            ``num_outs`` maps ``[T, N, out_channels, H_i, W_i]``.

        Raises:
            ValueError: If the number of maps or the channels of one do not fit ``in_channels``.
        """
        given = tuple(x.shape[2] for x in inputs)
        if given != self.in_channels:
            raise ValueError(
                f"expected maps of {list(self.in_channels)} channels, got {list(given)}"
            )
        used = inputs[self.start_level :]
        laterals = [lateral(x) for lateral, x in zip(self.laterals, used, strict=True)]
        for index in range(len(laterals) - 1, 0, -1):
            laterals[index - 1] = laterals[index - 1] + _resize(
                laterals[index], laterals[index - 1]
            )
        outputs = [output(x) for output, x in zip(self.outputs, laterals, strict=True)]
        return (*outputs, *self._extra_outputs(used[-1], laterals[-1], outputs[-1]))

    def _extra_outputs(self, coarsest: Tensor, lateral: Tensor, output: Tensor) -> list[Tensor]:
        if self.extra_levels == "pool":
            # what a 1x1 max-pool of stride 2 does, without its indices
            return [
                output[..., :: 2**k, :: 2**k]
                for k in range(1, self.num_outs - len(self.outputs) + 1)
            ]
        x = {"on_input": coarsest, "on_lateral": lateral, "on_output": output}[self.extra_levels]
        extras = []
        for extra in self.extras:
            x = extra(x)
            extras.append(x)
        return extras


def _resize(x: Tensor, like: Tensor) -> Tensor:
    """Nearest-neighbour copy of ``x`` at the height and width of ``like``; ``x`` itself if it has them."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    resized = functional.interpolate(fold_time(x), size=like.shape[-2:], mode="nearest")
    return unfold_time(resized, x.shape[0])

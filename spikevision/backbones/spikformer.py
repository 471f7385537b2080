"""Spikformer in its three published variants."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from spikevision.backbones.base import SpikingBackbone, choose_arch
from spikevision.layers import (
    ConvBN,
    FeatureSpec,
    SpikeMaxPool2d,
    SpikingResidual,
    SpikingSelfAttention,
    SpikingSequential,
    TimeFolded,
    mlp_body,
)
from spikevision.neurons import build_neuron
from spikevision.registry import MODELS

__all__ = ["Spikformer"]


class Variant(NamedTuple):
    """What differs between the published variants."""

    pooled: tuple[bool, bool, bool, bool]  # which stem convolutions are followed by a 2x max-pool
    qkv_bias: bool
    scale: float  # constant factor on the attention product
    in_channels: int


@MODELS.register_module()
class Spikformer(SpikingBackbone):
    """Spikformer: a stem of four spiking convolutions, a relative position convolution, L transformer blocks.

    Feature levels: the four stem convolutions at strides 2, 4, 8, 16 (``cifar``: 1, 1, 2, 4) with D/8, D/4, D/2
    and D channels; the last includes the transformer blocks. The residual stream adds spikes, so it holds integers.

    Args:
        variant: ``imagenet``, ``cifar`` or ``event``.
        arch: A name of ``ARCHS`` (depth-width), or ``dict(embed_dims=D, depth=L, num_heads=M)``.
        time_steps: Number of time steps T.
        in_channels: None takes 3, or 2 for ``event``.
        out_indices: Levels to return.
        neuron: Neuron config; None is the published LIF (tau 2, threshold 1, hard reset, sigmoid surrogate).
        drop_path_rate: Stochastic depth of the last block, linear from 0. (The published code builds it, but never
            applies it; the published results belong to 0.)
        frozen_stages: See :class:`SpikingBackbone`.
        with_cp: See :class:`SpikingBackbone`.
        init_cfg: See :class:`SpikingBackbone`.

    Raises:
        ValueError: For an unknown variant or arch, or as :class:`SpikingBackbone` says.

    Source: Zhou et al., Spikformer, ICLR 2023, arXiv:2209.15425.
    """

    VARIANTS = {
        "imagenet": Variant((True, True, True, True), False, 0.125, 3),
        "cifar": Variant((False, False, True, True), True, 0.125, 3),
        "event": Variant((True, True, True, True), False, 0.25, 2),
    }
    ARCHS = {
        "8-384": dict(embed_dims=384, depth=8, num_heads=8),
        "6-512": dict(embed_dims=512, depth=6, num_heads=8),
        "8-512": dict(embed_dims=512, depth=8, num_heads=8),
        "10-512": dict(embed_dims=512, depth=10, num_heads=8),
        "8-768": dict(embed_dims=768, depth=8, num_heads=12),
        # the number of heads of 4-256 is ours: the head width of 4-384
        "4-256": dict(embed_dims=256, depth=4, num_heads=8),
        "2-384": dict(embed_dims=384, depth=2, num_heads=12),
        "4-384": dict(embed_dims=384, depth=4, num_heads=12),
        "2-256": dict(embed_dims=256, depth=2, num_heads=16),
    }

    def __init__(
        self,
        variant: str = "imagenet",
        arch: str | dict = "8-512",
        *,
        time_steps: int = 4,
        in_channels: int | None = None,
        out_indices: Sequence[int] = (3,),
        neuron: dict | None = None,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool | Sequence[int] = False,
        init_cfg: dict | None = None,
    ) -> None:
        if variant not in self.VARIANTS:
            raise ValueError(f"unknown variant {variant!r}; known are {list(self.VARIANTS)}")
        chosen = self.VARIANTS[variant]
        settings = choose_arch(arch, self.ARCHS)
        width, depth, num_heads = settings["embed_dims"], settings["depth"], settings["num_heads"]
        if width % 8:
            raise ValueError(
                f"embed_dims must be a multiple of 8 (the stem starts at D/8), got {width}"
            )
        channels = (width // 8, width // 4, width // 2, width)
        strides = [2 ** sum(chosen.pooled[: index + 1]) for index in range(4)]
        super().__init__(
            [FeatureSpec(*spec) for spec in zip(channels, strides, strict=True)],
            time_steps=time_steps,
            in_channels=chosen.in_channels if in_channels is None else in_channels,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
            init_cfg=init_cfg,
        )
        self.neuron_cfg = neuron
        stages = [
            self._stem_stage(channels[index - 1] if index else None, channels[index], pooled)
            for index, pooled in enumerate(chosen.pooled)
        ]
        last = stages[-1]
        last.add_module("position", self._residual(ConvBN(width, width, 3)))
        for index in range(depth):
            rate = drop_path_rate * index / max(depth - 1, 1)
            last.add_module(f"block{index}", self._block(width, num_heads, chosen, rate))
        self._build(ConvBN(self.in_channels, channels[0], 3), stages)

    def _stem_stage(self, in_channels: int | None, channels: int, pooled: bool) -> nn.Sequential:
        """Convolution (None where the stem has done it), neuron and, on spikes, max-pool."""
        stage = SpikingSequential()
        if in_channels is not None:
            stage.add_module("conv", ConvBN(in_channels, channels, 3))
        stage.add_module("neuron", build_neuron(self.neuron_cfg))
        if pooled:
            stage.add_module("pool", TimeFolded(SpikeMaxPool2d(3, stride=2, padding=1)))
        return stage

    def _block(self, width: int, num_heads: int, variant: Variant, rate: float) -> nn.Module:
        attention = SpikingSelfAttention(
            width,
            num_heads=num_heads,
            neuron=self.neuron_cfg,
            weight=lambda: ConvBN(width, width, bias=variant.qkv_bias),
            out_weight=lambda: ConvBN(width, width, bias=True),
            scale=variant.scale,
        )
        mlp = mlp_body(width, neuron=self.neuron_cfg)
        return nn.Sequential(
            OrderedDict(attention=self._residual(attention, rate), mlp=self._residual(mlp, rate))
        )

    def _residual(self, body: nn.Module, rate: float = 0.0) -> SpikingResidual:
        return SpikingResidual(
            body, build_neuron(self.neuron_cfg), shortcut="sew", drop_path_rate=rate
        )

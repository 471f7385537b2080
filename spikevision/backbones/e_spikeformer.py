"""E-SpikeFormer, the backbone of Spike-driven Transformer V3."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from spikevision.backbones.meta_spikeformer import MetaSpikeFormer
from spikevision.layers import ConvBN, SpikingSelfAttention, mlp_body, spiking_sep_conv_body
from spikevision.registry import MODELS

__all__ = ["ESpikeFormer"]

VALUE_RATIO = 4  # width of V over that of Q and K


@MODELS.register_module()
class ESpikeFormer(MetaSpikeFormer):
    """E-SpikeFormer: stages and levels of Meta-SpikeFormer, a neuron before every convolution, integer neurons.

    Each transformer block has a separable convolution before its attention, whose V is four times as wide as Q and K,
    and no RepConv; so spikes drive every weight layer as it is trained.

    Args:
        arch: ``5m``, ``10m``, ``19m`` (the published base models), or ``dict(embed_dims=(C1, C2, C3, C4), num_heads=M)``,
            where ``depths=(6, 2)`` may be given as well.
        time_steps: Number of time steps T; published 1.
        in_channels: 3 for images, 2 for event frames.
        out_indices: Levels to return.
        neuron: Neuron config; None is the published integer neuron: D = 4 levels, which hands on ``S / D``.
        drop_path_rate: Stochastic depth of the last block; earlier ones scale linearly from 0.
        frozen_stages: See :class:`SpikingBackbone`.
        with_cp: See :class:`SpikingBackbone`.
        init_cfg: See :class:`SpikingBackbone`.

    Raises:
        ValueError: For an unknown arch, or as :class:`SpikingBackbone` says.

    Source: Yao et al., Scaling Spike-driven Transformer with Efficient Spike Firing Approximation Training, T-PAMI 2025,
        arXiv:2411.16061.
    """

    ARCHS = {
        "5m": dict(embed_dims=(32, 64, 128, 192), num_heads=8),
        "10m": dict(embed_dims=(48, 96, 192, 240), num_heads=8),
        "19m": dict(embed_dims=(64, 128, 256, 360), num_heads=8),
    }
    NEURON: dict[str, Any] = dict(type="IntegerLIF", levels=4, normalise=True)

    def __init__(
        self,
        arch: str | dict = "19m",
        *,
        time_steps: int = 1,
        in_channels: int = 3,
        out_indices: Sequence[int] = (4,),
        neuron: dict | None = None,
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool | Sequence[int] = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            arch,
            time_steps=time_steps,
            in_channels=in_channels,
            out_indices=out_indices,
            neuron=neuron or self.NEURON,
            drop_path_rate=drop_path_rate,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
            init_cfg=init_cfg,
        )

    def readout_neuron_cfg(self) -> dict | None:
        """That of the backbone's neurons, but whole numbers go into the classifier, as published."""
        assert self.neuron_cfg is not None
        return {key: value for key, value in self.neuron_cfg.items() if key != "normalise"}

    def _conv_block(self, channels: int, rates: Iterator[float]) -> nn.Module:
        rate = next(rates)
        sep_conv = spiking_sep_conv_body(channels, neuron=self.neuron_cfg, kernel_size=7)
        channel_conv = mlp_body(channels, neuron=self.neuron_cfg, kernel_size=3, bias=False)
        return nn.Sequential(
            OrderedDict(
                sep_conv=self._residual(sep_conv, rate),
                channel_conv=self._residual(channel_conv, rate),
            )
        )

    def _transformer_block(self, channels: int, rates: Iterator[float]) -> nn.Module:
        rate = next(rates)
        wide = channels * VALUE_RATIO
        attention = SpikingSelfAttention(
            channels,
            num_heads=self.num_heads,
            neuron=self.neuron_cfg,
            weight=lambda: ConvBN(channels, channels),
            value_weight=lambda: ConvBN(channels, wide),
            out_weight=lambda: ConvBN(wide, channels),
            scale=2 * (channels / self.num_heads) ** -0.5,
            attention_v_threshold=None,
        )
        sep_conv = spiking_sep_conv_body(channels, neuron=self.neuron_cfg, kernel_size=3)
        return nn.Sequential(
            OrderedDict(
                sep_conv=self._residual(sep_conv, rate),
                attention=self._residual(attention, rate),
                mlp=self._residual(mlp_body(channels, neuron=self.neuron_cfg), rate),
            )
        )

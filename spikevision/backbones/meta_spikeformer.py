"""Meta-SpikeFormer, the backbone of Spike-driven Transformer V2."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from torch import nn

from spikevision.backbones.base import SpikingBackbone, choose_arch
from spikevision.layers import (
    ATTENTIONS,
    SHORTCUTS,
    ConvBN,
    FeatureSpec,
    RepConvBN,
    SpikingResidual,
    SpikingSequential,
    mlp_body,
    sep_conv_body,
)
from spikevision.neurons import build_neuron
from spikevision.registry import MODELS

__all__ = ["MetaSpikeFormer"]


@MODELS.register_module()
class MetaSpikeFormer(SpikingBackbone):
    """Meta-SpikeFormer: four convolution blocks, then six and two transformer blocks.

    Feature levels (index: stride, channels): 0: 2, C1/2; 1: 4, C1; 2: 8, C2; 3: 16, C3; 4: 16, C4. The last stage
    keeps stride 16.

    Args:
        arch: ``15m``, ``31m``, ``55m``, or ``dict(embed_dims=(C1, C2, C3, C4), num_heads=M)``, where
            ``depths=(6, 2)``, the transformer blocks of the last two stages, may be given as well.
        time_steps: Number of time steps T.
        in_channels: 3 for images, 2 for event frames.
        out_indices: Levels to return.
        neuron: Neuron config; None is the published LIF (tau 2, threshold 1, hard reset, sigmoid surrogate).
        shortcut: ``membrane`` (published), ``sew`` or ``vanilla``.
        attention: ``sdsa3`` (published) or ``sdsa1``.
        drop_path_rate: Stochastic depth of the last block; earlier ones scale linearly from 0.
        frozen_stages: See :class:`SpikingBackbone`.
        with_cp: See :class:`SpikingBackbone`.
        init_cfg: See :class:`SpikingBackbone`.

    Raises:
        ValueError: For an unknown arch, shortcut or attention, or as :class:`SpikingBackbone` says.

    Note:
        Where attention is silent (few tokens, narrow heads, T = 1), the normalisations behind it amplify gradients
        until they overflow: ``configs/quick/README.md`` says what helps.

    Source: Yao et al., Spike-driven Transformer V2, ICLR 2024, arXiv:2404.03663.
    """

    ARCHS = {
        "15m": dict(embed_dims=(64, 128, 256, 360), num_heads=8),
        "31m": dict(embed_dims=(96, 192, 384, 480), num_heads=8),
        "55m": dict(embed_dims=(128, 256, 512, 640), num_heads=8),
    }
    DEPTHS = (6, 2)

    def __init__(
        self,
        arch: str | dict = "55m",
        *,
        time_steps: int = 4,
        in_channels: int = 3,
        out_indices: Sequence[int] = (4,),
        neuron: dict | None = None,
        shortcut: str = "membrane",
        attention: str = "sdsa3",
        drop_path_rate: float = 0.0,
        frozen_stages: int = -1,
        with_cp: bool | Sequence[int] = False,
        init_cfg: dict | None = None,
    ) -> None:
        settings = choose_arch(arch, self.ARCHS, optional=dict(depths=self.DEPTHS))
        c1, c2, c3, c4 = settings["embed_dims"]
        channels = (c1 // 2, c1, c2, c3, c4)
        levels = [FeatureSpec(*spec) for spec in zip(channels, (2, 4, 8, 16, 16), strict=True)]
        super().__init__(
            levels,
            time_steps=time_steps,
            in_channels=in_channels,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
            init_cfg=init_cfg,
        )
        if shortcut not in SHORTCUTS:
            raise ValueError(f"unknown shortcut {shortcut!r}; known are {list(SHORTCUTS)}")
        if attention not in ATTENTIONS:
            raise ValueError(f"unknown attention {attention!r}; known are {list(ATTENTIONS)}")
        self.neuron_cfg = neuron
        self.shortcut = shortcut
        self.attention = attention
        self.num_heads = settings["num_heads"]
        depth3, depth4 = settings["depths"]
        blocks = 4 + depth3 + depth4
        rates = iter([drop_path_rate * index / (blocks - 1) for index in range(blocks)])
        self._build(
            ConvBN(in_channels, channels[0], 7, stride=2, bias=True),
            [
                self._stage(None, [self._conv_block(channels[0], rates)]),
                self._stage((channels[0], c1, 2), [self._conv_block(c1, rates)]),
                self._stage((c1, c2, 2), [self._conv_block(c2, rates) for _ in range(2)]),
                self._stage(
                    (c2, c3, 2), [self._transformer_block(c3, rates) for _ in range(depth3)]
                ),
                self._stage(
                    (c3, c4, 1), [self._transformer_block(c4, rates) for _ in range(depth4)]
                ),
            ],
        )

    def _stage(self, downsample: tuple[int, int, int] | None, blocks: list[nn.Module]) -> nn.Module:
        """``downsample`` is (in channels, out channels, stride); None where the stem has done it."""
        stage = SpikingSequential()
        conv = (
            ConvBN(downsample[0], downsample[1], 3, stride=downsample[2], bias=True)
            if downsample
            else None
        )
        # a membrane stream fires before the weights, a spike stream after them
        if self.shortcut == "membrane":
            if conv:
                stage.add_module("neuron", build_neuron(self.neuron_cfg))
                stage.add_module("downsample", conv)
        else:
            if conv:
                stage.add_module("downsample", conv)
            stage.add_module("neuron", build_neuron(self.neuron_cfg))
        for index, block in enumerate(blocks):
            stage.add_module(f"block{index}", block)
        return stage

    def _conv_block(self, channels: int, rates: Iterator[float]) -> nn.Module:
        rate = next(rates)
        body = mlp_body(channels, neuron=self.neuron_cfg, kernel_size=3, bias=False)
        return nn.Sequential(
            OrderedDict(
                sep_conv=self._residual(sep_conv_body(channels, neuron=self.neuron_cfg), rate),
                channel_conv=self._residual(body, rate),
            )
        )

    def _transformer_block(self, channels: int, rates: Iterator[float]) -> nn.Module:
        rate = next(rates)
        attention = ATTENTIONS[self.attention](
            channels,
            num_heads=self.num_heads,
            neuron=self.neuron_cfg,
            weight=lambda: RepConvBN(channels),
            out_weight=lambda: RepConvBN(channels),
        )
        return nn.Sequential(
            OrderedDict(
                attention=self._residual(attention, rate),
                mlp=self._residual(mlp_body(channels, neuron=self.neuron_cfg), rate),
            )
        )

    def _residual(self, body: nn.Module, rate: float) -> SpikingResidual:
        return SpikingResidual(
            body, build_neuron(self.neuron_cfg), shortcut=self.shortcut, drop_path_rate=rate
        )

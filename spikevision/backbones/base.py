"""What all spiking backbones share: time enters here, levels are declared, sizes are checked, stages freeze."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from spikevision.layers import FeatureSpec
from spikevision.ops.time_axis import repeat_time

__all__ = ["SpikingBackbone", "choose_arch"]


def choose_arch(arch: str | dict, known: dict[str, dict], *, optional: dict | None = None) -> dict:
    """Settings of a named architecture, or the given ones if they have the same keys.

    Args:
        arch: A name, or the settings themselves.
        known: Names -> settings.
        optional: Settings that may be left out -> their defaults.

    Raises:
        ValueError: If the name is unknown (lists the known ones) or a key is missing or unknown.
    """
    if isinstance(arch, str):
        if arch not in known:
            raise ValueError(f"unknown arch {arch!r}; known are {list(known)}, or give a dict")
        arch = known[arch]
    settings = {**(optional or {}), **arch}
    keys = {*next(iter(known.values())), *(optional or {})}
    if set(settings) != keys:
        raise ValueError(f"an arch dict has the keys {sorted(keys)}, got {sorted(arch)}")
    return settings


class SpikingBackbone(BaseModule):
    """Base of the backbones: a stem of weights without neurons, then one stage per feature level.

    A static image ``[N, C, H, W]`` passes the stem once and is then repeated over time; event frames
    ``[N, T, C, H, W]`` pass it at every step. (In training, the stem's batch statistics of a static image are
    those of N images, where N x T equal copies have the same mean and variance.)

    Subclasses set ``neuron_cfg`` and call ``self._build(stem, stages)`` with a stem on ``[T, N, C, H, W]`` and a module per level.

    Args:
        levels: Channels and stride of all feature levels, in order.
        time_steps: Number of time steps T.
        in_channels: Channels of the input.
        out_indices: Levels to return; stages behind the last one are not built.
        frozen_stages: Stem and levels up to this index neither train nor update statistics; -1 freezes nothing.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: If ``time_steps`` or ``in_channels`` is less than 1, or an index is out of range.
    """

    def __init__(
        self,
        levels: Sequence[FeatureSpec],
        *,
        time_steps: int,
        in_channels: int,
        out_indices: Sequence[int],
        frozen_stages: int,
        init_cfg: dict | None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(time_steps, int) or time_steps < 1:
            raise ValueError(f"time_steps must be a whole number of at least 1, got {time_steps!r}")
        if in_channels < 1:
            raise ValueError(f"in_channels must be at least 1, got {in_channels}")
        last = len(levels) - 1
        if not out_indices or any(not 0 <= index <= last for index in out_indices):
            raise ValueError(f"out_indices must be in 0..{last}, got {tuple(out_indices)}")
        if list(out_indices) != sorted(set(out_indices)):
            raise ValueError(f"out_indices must ascend without repeats, got {tuple(out_indices)}")
        if not -1 <= frozen_stages <= last:
            raise ValueError(f"frozen_stages must be in -1..{last}, got {frozen_stages}")
        self.levels = tuple(levels)
        self.time_steps = time_steps
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.neuron_cfg: dict | None = None

    def _build(self, stem: nn.Module, stages: Sequence[nn.Module]) -> None:
        assert len(stages) == len(self.levels)
        self.stem = stem
        self.stages = nn.ModuleList(stages[: self.out_indices[-1] + 1])
        # Weights in channels_last make every feature map so. On a CPU a training step then takes about 0.7 of the
        # time (depthwise convolutions most of all); values are the same.
        self.to(memory_format=torch.channels_last)
        self._freeze()

    def feature_specs(self) -> tuple[FeatureSpec, ...]:
        """Channels and true stride of every returned feature map."""
        return tuple(self.levels[index] for index in self.out_indices)

    def readout_neuron_cfg(self) -> dict | None:
        """Config of the neuron before the published classifier: that of the backbone's neurons."""
        return self.neuron_cfg

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the feature maps.

        Args:
            x: Images ``[N, C, H, W]`` or event frames ``[N, T, C, H, W]``.

        Returns:
            A ``[T, N, C_i, H_i, W_i]`` map for each of ``out_indices``.

        Raises:
            ValueError: If the number of dimensions, channels or frames is wrong, or H or W is no multiple of the stride.
        """
        self._check_input(x)
        if x.dim() == 4:
            x = repeat_time(self.stem(x[None])[0], self.time_steps)
        else:
            x = self.stem(x.transpose(0, 1))
        features = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.out_indices:
                features.append(x)
        return tuple(features)

    def _check_input(self, x: Tensor) -> None:
        if x.dim() not in (4, 5):
            raise ValueError(
                f"expected images [N, C, H, W] or event frames [N, T, C, H, W], got shape {tuple(x.shape)}"
            )
        if x.dim() == 5 and x.shape[1] != self.time_steps:
            raise ValueError(
                f"got {x.shape[1]} event frames for a backbone of time_steps={self.time_steps}: set time_steps, or frame the events otherwise"
            )
        *_, channels, height, width = x.shape
        if channels != self.in_channels:
            raise ValueError(f"expected {self.in_channels} channels (in_channels), got {channels}")
        stride = max(level.stride for level in self.levels[: len(self.stages)])
        if height % stride or width % stride or not height * width:
            raise ValueError(
                f"image size {height}x{width} is no multiple of the stride {stride}: resize, crop or pad (data preprocessor: pad_size_divisor={stride})"
            )

    def train(self, mode: bool = True) -> "SpikingBackbone":
        """Set training mode, but keep frozen stages and their statistics as they are."""
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for module in (self.stem, *self.stages[: self.frozen_stages + 1]):
            module.requires_grad_(False)
            for layer in module.modules():
                if isinstance(layer, _BatchNorm):
                    layer.eval()

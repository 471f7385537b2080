"""What all spiking backbones share: time enters here, levels are declared, sizes are checked, stages freeze."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from spikevision.layers import FeatureSpec
from spikevision.ops.packing import saved_by_others
from spikevision.ops.time_axis import repeat_time

__all__ = ["SpikingBackbone", "choose_arch"]


def choose_arch(arch: str | dict, known: dict[str, dict], *, optional: dict | None = None) -> dict:
    """Settings of a named architecture, or the given ones if they have the same keys.

    Args:
        arch: A name, or the settings themselves.
        known: Names -> settings.
        optional: Settings that may be left out -> their defaults.

    Raises:
        ValueError: If the name is unknown (lists the known ones) or a key is missing or unknown,
            or a value is no whole number or too small.
    """
    if isinstance(arch, str):
        if arch not in known:
            raise ValueError(f"unknown arch {arch!r}; known are {list(known)}, or give a dict")
        arch = known[arch]
    if not isinstance(arch, dict):
        raise ValueError(f"arch is one of {list(known)} or a dict, got {arch!r}")
    example = {**next(iter(known.values())), **(optional or {})}
    settings = {**(optional or {}), **arch}
    if set(settings) != set(example):
        raise ValueError(f"an arch dict has the keys {sorted(example)}, got {sorted(arch)}")
    for name, value in settings.items():
        _check_like(name, value, example[name])
    return settings


def _check_like(name: str, value: Any, example: Any) -> None:
    """Refuse a setting that is no whole number, or no series of as many, as the example is; depths may be 0."""
    numbers, least = _listed(value), 0 if name.startswith("depth") else 1
    if len(numbers) != len(_listed(example)) or not all(
        is_whole(n) and n >= least for n in numbers
    ):
        form = f"{len(example)} whole numbers" if isinstance(example, tuple) else "a whole number"
        raise ValueError(f"arch: {name} takes {form} of at least {least}, got {value!r}")


def _listed(value: Any) -> list:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, and not True or False."""
    return isinstance(value, int) and not isinstance(value, bool)


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
        with_cp: Gradient checkpointing: True, or the indices of the levels, whose activations are not kept for the
            backward pass but computed again. The same gradients and statistics, for less memory and more time.
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
        with_cp: bool | Sequence[int] = False,
        init_cfg: dict | None,
    ) -> None:
        super().__init__(init_cfg)
        if not is_whole(time_steps) or time_steps < 1:
            raise ValueError(f"time_steps must be a whole number of at least 1, got {time_steps!r}")
        if not is_whole(in_channels) or in_channels < 1:
            raise ValueError(f"in_channels must be at least 1, a whole number, got {in_channels!r}")
        last = len(levels) - 1
        if not isinstance(out_indices, Sequence) or not all(map(is_whole, out_indices)):
            raise ValueError(f"out_indices is a tuple of whole numbers, got {out_indices!r}")
        if not out_indices or any(not 0 <= index <= last for index in out_indices):
            raise ValueError(f"out_indices must be in 0..{last}, got {tuple(out_indices)}")
        if list(out_indices) != sorted(set(out_indices)):
            raise ValueError(f"out_indices must ascend without repeats, got {tuple(out_indices)}")
        if not is_whole(frozen_stages) or not -1 <= frozen_stages <= last:
            raise ValueError(f"frozen_stages must be in -1..{last}, got {frozen_stages!r}")
        again = range(len(levels)) if with_cp is True else with_cp or ()
        if any(not 0 <= index <= last for index in again):
            raise ValueError(
                f"with_cp must be True, False or indices in 0..{last}, got {tuple(again)}"
            )
        self.levels = tuple(levels)
        self.with_cp = frozenset(again)
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
            x = repeat_time(self.stem(x[None]).squeeze(0), self.time_steps)
        else:
            x = self.stem(x.transpose(0, 1))
        features = []
        for index, stage in enumerate(self.stages):
            x = self._recomputed(stage, x) if index in self.with_cp else stage(x)
            if index in self.out_indices:
                features.append(x)
        return tuple(features)

    def _recomputed(self, stage: nn.Module, x: Tensor) -> Tensor:
        """A stage whose activations the backward pass computes again, random numbers and statistics as they were."""
        if not (self.training and torch.is_grad_enabled()):
            return stage(x)
        return checkpoint(
            stage,
            x,
            use_reentrant=False,
            context_fn=lambda: (saved_by_others(), _statistics_kept(stage)),
        )

    def get_layer_depth(self, param_name: str, prefix: str = "") -> tuple[int, int]:
        """Depth of a parameter, for layer-wise decay of the learning rate.

        The stem has depth 0; each block is one layer, with what stands before the first block of its stage; what is
        not of the backbone (a head) is the last layer.

        Args:
            param_name: Name in the whole model.
            prefix: Name of the backbone in it, such as ``backbone.``.

        Returns:
            Depth, and number of layers.
        """
        depths = {"stem": 0}
        depth = 0
        for index, stage in enumerate(self.stages):
            depth += 1
            seen_block = False
            for name, _ in stage.named_children():
                depth += seen_block and name.startswith("block")
                seen_block |= name.startswith("block")
                depths[f"stages.{index}.{name}"] = depth
        parts = param_name.removeprefix(prefix).split(".")
        known = depths.get(parts[0], depths.get(".".join(parts[:3]), depth + 1))
        return known if param_name.startswith(prefix) else depth + 1, depth + 2

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
                f"image size {height}x{width} is no multiple of the stride {stride}: resize, crop or pad "
                f"(data_preprocessor of mmdet: pad_size_divisor={stride}; of mmseg: size_divisor={stride} in its test_cfg)"
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


@contextmanager
def _statistics_kept(stage: nn.Module) -> Iterator[None]:
    """Let normalisations use the statistics of the batch a second time without counting it a second time."""
    norms = [
        layer
        for layer in stage.modules()
        if isinstance(layer, _BatchNorm) and layer.track_running_stats
    ]
    tracked = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
    counts = [count.clone() for count in tracked]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        with saved_by_others():
            yield
    finally:
        for count, before in zip(tracked, counts, strict=True):
            count.copy_(before)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

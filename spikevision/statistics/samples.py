"""A few images with the spikes that they caused, small enough to be shown in a report."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from spikevision.layers.attention import SpikingSelfAttention
from spikevision.neurons.base import SpikingNeuron

__all__ = ["SpikeSamples"]

SIDE = 96  # longest side of a kept image
MAPS = 6  # neuron layers shown per image


class SpikeSamples:
    """Keeps the first images that a model is called with, and spike maps of some neuron layers.

    Args:
        model: The module that will be called.
        count: Number of images to keep.
    """

    def __init__(self, model: nn.Module, *, count: int) -> None:
        self.count = count
        self.images: list[dict[str, Any]] = []
        self._maps: list[tuple[str, Tensor]] = []
        self._handles = [
            model.register_forward_pre_hook(self._keep_images, with_kwargs=True),
            model.register_forward_hook(self._finish),
        ]
        self._batch: Tensor | None = None
        attention = [
            module for module in model.modules() if isinstance(module, SpikingSelfAttention)
        ]
        no_maps = {module.attention_neuron for module in attention}  # [T, N, M, D, L]: no H and W
        for name, module in model.named_modules():
            if isinstance(module, SpikingNeuron) and module not in no_maps:
                hook = partial(self._keep_spikes, name)
                self._handles.append(module.register_forward_hook(hook))

    def detach(self) -> None:
        """Remove all hooks; what was kept stays."""
        handles: list[RemovableHandle] = self._handles
        for handle in handles:
            handle.remove()
        handles.clear()
        self._maps.clear()

    def _keep_images(self, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        values = (*args, *kwargs.values())
        self._batch = next((value for value in values if isinstance(value, Tensor)), None)

    def _keep_spikes(self, name: str, neuron: nn.Module, args: tuple, output: Any) -> None:
        spikes = output[0] if isinstance(output, tuple) else output
        if self._batch is None or spikes.dim() != 5 or spikes.shape[1] != len(self._batch):
            return
        if min(spikes.shape[-2:]) > 1 and name not in dict(self._maps):
            # [T, N, C, H, W] to the rate at each position of the first images
            rates = spikes.detach()[:, : self.count].float().mean((0, 2))
            self._maps.append((name, rates.cpu()))

    def _finish(self, *_: Any) -> None:
        if self._batch is not None and self._batch.dim() in (4, 5):
            chosen = _spread(self._maps, MAPS)
            for index in range(min(self.count - len(self.images), len(self._batch))):
                maps = [{"neuron": name, "rates": _rounded(rates[index])} for name, rates in chosen]
                self.images.append({"pixels": _pixels(self._batch[index]), "maps": maps})
        self._maps.clear()
        if len(self.images) >= self.count:
            self.detach()


def _spread(items: list, count: int) -> list:
    """At most ``count`` of the items, evenly spread, first and last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(index * (len(items) - 1) / (count - 1))] for index in range(count)]


def _pixels(image: Tensor) -> list:
    """``[C, H, W]`` or event frames ``[T, C, H, W]`` as rows of colours 0 to 255."""
    image = image.detach().float().cpu()
    image = image.mean(0) if image.dim() == 4 else image
    if image.shape[0] == 2:  # events: off is blue, on is red
        image = torch.stack([image[1], torch.zeros_like(image[0]), image[0]])
    if image.shape[0] != 3:
        image = image.mean(0, keepdim=True).expand(3, -1, -1)
    step = max(1, -(-max(image.shape[-2:]) // SIDE))
    image = image[:, ::step, ::step]
    low, high = image.min(), image.max()
    scaled = (image - low) / (high - low).clamp(min=1e-12) * 255
    return scaled.round().int().permute(1, 2, 0).tolist()


def _rounded(rates: Tensor) -> list:
    step = max(1, -(-max(rates.shape) // SIDE))
    return [[round(value, 4) for value in row] for row in rates[::step, ::step].tolist()]

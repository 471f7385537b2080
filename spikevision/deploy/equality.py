"""How equal a deployed network is to the network that was trained."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.neurons import SpikingNeuron

__all__ = ["Equality", "compare", "largest_difference"]


@dataclass(frozen=True)
class Equality:
    """What was found on some images.

    Attributes:
        images: Number of images.
        largest_difference: Largest absolute difference of an output.
        output_scale: Largest absolute output of the trained network.
        differing_spikes: Share of outputs that differ, by neuron.
        same_answer: Share of images with the same largest output; None unless outputs are logits.
    """

    images: int
    largest_difference: float
    output_scale: float
    differing_spikes: dict[str, float]
    same_answer: float | None

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def compare(trained: nn.Module, deployed: nn.Module, batches: Iterable[Tensor]) -> Equality:
    """Run both networks on the same images.

    Args:
        trained: The network as it was trained, in eval mode.
        deployed: The deployed one, with neurons of the same names.
        batches: Images ``[N, ...]``.
    """
    differing: dict[str, list[float]] = {}
    images, largest, scale, same = 0, 0.0, 0.0, 0
    logits = True
    with torch.no_grad():
        for batch in batches:
            expected, spikes = _with_spikes(trained, batch)
            got, deployed_spikes = _with_spikes(deployed, batch)
            for name, ours in spikes.items():
                differs = (ours != deployed_spikes[name]).float().mean()
                differing.setdefault(name, []).append(float(differs))
            images += len(batch)
            largest = max(largest, largest_difference(expected, got))
            scale = max(scale, *(float(e.abs().max()) for e in _tensors(expected)))
            logits &= isinstance(expected, Tensor) and expected.dim() == 2
            if logits:
                same += int((expected.argmax(1) == got.argmax(1)).sum())
    shares = {name: sum(values) / len(values) for name, values in differing.items()}
    return Equality(images, largest, scale, shares, same / images if logits else None)


def largest_difference(one: Any, other: Any) -> float:
    """Largest absolute difference of the tensors in two answers of the same form."""
    pairs = zip(_tensors(one), _tensors(other), strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


def _tensors(answer: Any) -> tuple[Tensor, ...]:
    return (answer,) if isinstance(answer, Tensor) else tuple(answer)


def _with_spikes(model: nn.Module, images: Tensor) -> tuple[Any, dict[str, Tensor]]:
    spikes: dict[str, Tensor] = {}

    def watch(name: str) -> Callable[..., None]:
        return lambda module, args, output: spikes.__setitem__(name, output.to(torch.uint8))

    inner = getattr(model, "modules_of_program", model)
    handles = [
        module.register_forward_hook(watch(name))
        for name, module in inner.named_modules()
        if isinstance(module, SpikingNeuron)
    ]
    try:
        return model(images), spikes
    finally:
        for handle in handles:
            handle.remove()

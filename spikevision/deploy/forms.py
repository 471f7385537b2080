"""Whether a RepConv or the tail of a SepConv runs in its factors or as one dense convolution: what is faster here."""

import copy
from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

from spikevision.deploy.int8 import quantise_
from spikevision.deploy.kernels import KERNELS, choose_kernels, fastest_ms, inputs_of
from spikevision.layers import DepthwiseSeparableBN, RepConvBN, fold_

__all__ = ["choose_forms", "fold_in_forms_"]


def choose_forms(core: nn.Module, run: Callable[[], object], *, weights: str) -> dict[str, str]:
    """Time both forms of each layer on its own input, with the kernels that it would run on.

    Args:
        core: Network in eval mode, float32; not changed.
        run: Calls it on a sample.
        weights: As in :class:`~spikevision.deploy.settings.DeploySettings`.

    Returns:
        ``dense`` or ``factors`` by name of the layer.
    """
    layers = {
        name: module
        for name, module in core.named_modules()
        if isinstance(module, (RepConvBN, DepthwiseSeparableBN))
    }
    forms, known = {}, {}
    for name, x in inputs_of(layers, run).items():
        key = (type(layers[name]), x.shape, sum(p.numel() for p in layers[name].parameters()))
        if key not in known:
            times = {
                form: _time_ms(layers[name], form, x, weights) for form in ("factors", "dense")
            }
            known[key] = min(times, key=times.__getitem__)
        forms[name] = known[key]
    return forms


def fold_in_forms_(core: nn.Module, forms: dict[str, str]) -> nn.Module:
    """Fold a network, in place; layers that ``forms`` calls ``dense`` become single convolutions."""
    for name, form in forms.items():
        if form == "dense":
            layer = cast(RepConvBN, core.get_submodule(name))
            core.set_submodule(name, layer.fused().eval().requires_grad_(False))
    return fold_(core)


def _time_ms(layer: nn.Module, form: str, x: Tensor, weights: str) -> float:
    wrapped = fold_in_forms_(nn.Sequential(copy.deepcopy(layer)).eval(), {"0": form})
    if weights == "int8":
        quantise_(wrapped)
    for name, choice in choose_kernels(wrapped, lambda: wrapped(x)).items():
        kernel = KERNELS[choice.kernel](wrapped.get_submodule(name))
        assert kernel is not None
        wrapped.set_submodule(name, kernel)
    return fastest_ms(lambda: wrapped(x))

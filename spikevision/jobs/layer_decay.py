"""Learning rates that fall from the head towards the stem, for all three tasks."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from spikevision.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecay(DefaultOptimWrapperConstructor):
    """Multiply each layer's learning rate by ``layer_decay_rate`` once per layer between it and the head.

    Use it as ``optim_wrapper = dict(constructor='spikevision.LayerDecay', paramwise_cfg=dict(layer_decay_rate=0.75,
    ...))``; all other fields of ``paramwise_cfg`` are mmengine's and mean what they always do. The backbone says how deep
    a parameter is (``get_layer_depth``); necks and heads are the last layer.

    Source: Clark et al., ELECTRA, arXiv:2003.10555; in vision Bao et al., BEiT, arXiv:2106.08254.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer wrapper.

        Raises:
            ValueError: If the rate is missing or not in (0, 1], or the backbone does not know its depth.
        """
        rate = self.paramwise_cfg.get("layer_decay_rate")
        if rate is None or not 0 < rate <= 1:
            raise ValueError(f"layer_decay_rate must be above 0 and at most 1, got {rate}")
        wrapper = super().__call__(model)
        prefix, backbone = _backbone(model)
        names = {id(value): name for name, value in model.named_parameters()}
        for group in wrapper.optimizer.param_groups:
            (parameter,) = group[
                "params"
            ]  # with a paramwise_cfg each parameter is a group of its own
            depth, layers = backbone.get_layer_depth(names[id(parameter)], prefix)
            group["lr"] *= rate ** (layers - 1 - depth)
        return wrapper


def _backbone(model: nn.Module) -> tuple[str, Any]:
    """The first module under the name ``backbone``, and the prefix of its parameters."""
    for name, module in model.named_modules():
        if name.split(".")[-1] == "backbone":
            if not hasattr(module, "get_layer_depth"):
                raise ValueError(f"{type(module).__name__} has no get_layer_depth to decay by")
            return f"{name}.", module
    raise ValueError(f"{type(model).__name__} has no backbone to decay by layers")

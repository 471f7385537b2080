"""Exact fusion of trained layers into plain convolutions for inference."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from spikevision.layers.conv import ConvBN, DepthwiseBN, DepthwiseSeparableBN, RepConvBN
from spikevision.layers.driven import SpikeDriven

__all__ = ["fold_", "fuse_"]

FUSIBLE = (ConvBN, DepthwiseBN, DepthwiseSeparableBN, RepConvBN)


def fuse_(model: nn.Module, *kinds: type[nn.Module]) -> nn.Module:
    """Replace layers of ``model`` by the single convolution that each equals in eval mode.

    After it every weight layer of a spiking block is driven by spikes alone. Dense kernels cost more MACs than the
    factors that they replace: a RepConv 9 C^2 for 2 C^2 + 9 C, a SepConv tail 98 C^2 for 2 C^2 + 98 C.

    Args:
        model: Any model in eval mode; changed in place.
        kinds: Which layers to fuse, of ``ConvBN``, ``DepthwiseBN``, ``DepthwiseSeparableBN`` (the tail of SepConv) and ``RepConvBN``;
            all of them by default.

    Returns:
        ``model``.

    Raises:
        ValueError: If ``model`` is in training mode (batch statistics cannot be fused), if a kind is not fusible, or if nothing matches.
    """
    _check_eval(model, "fuse_")
    unknown = [kind.__name__ for kind in kinds if kind not in FUSIBLE]
    if unknown:
        raise ValueError(
            f"cannot fuse {unknown}; fusible are {[kind.__name__ for kind in FUSIBLE]}"
        )
    targets = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, kinds or FUSIBLE)  # each of them has a method `fused`
    ]
    if not targets:
        raise ValueError(f"{type(model).__name__} has no layer to fuse; it may be fused already")
    for parent, name, child in targets:
        trains = any(parameter.requires_grad for parameter in child.parameters())
        fused = child.fused().eval().requires_grad_(trains)  # type: ignore[operator]
        setattr(parent, name, fused)
    return model


def fold_(model: nn.Module) -> nn.Module:
    """Merge every normalisation of a spiking block into the weights beside it; RepConv and SepConv keep their factors.

    The cheapest form in operations, and exact; :func:`fuse_` goes on to single dense convolutions.

    Args:
        model: Any model in eval mode; changed in place. It may have nothing to fold.

    Returns:
        ``model``.

    Raises:
        ValueError: If ``model`` is in training mode.
    """
    _check_eval(model, "fold_")
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, FUSIBLE):
                make = getattr(child, "folded", child.fused)
                setattr(parent, name, make().eval().requires_grad_(False))
        if isinstance(parent, SpikeDriven) and parent.norm is not None:
            _fold_driven(parent)
    return model


def _fold_driven(driven: SpikeDriven) -> None:
    assert driven.norm is not None
    if isinstance(driven.layer, nn.Linear):
        driven.layer = fuse_linear_bn_eval(driven.layer, driven.norm)
    else:
        transposed = isinstance(driven.layer, nn.ConvTranspose2d)
        driven.layer = fuse_conv_bn_eval(driven.layer, driven.norm, transpose=transposed)
    driven.layer.requires_grad_(False)
    driven.norm = None


def _check_eval(model: nn.Module, function: str) -> None:
    if any(module.training for module in model.modules()):
        raise ValueError(
            f"{function} needs a model in eval mode, all of it: call model.eval() first"
        )

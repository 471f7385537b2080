"""Dense MACs of a model per time step, from shapes alone."""

from __future__ import annotations

import torch
from torch import nn

from spikevision.statistics.record import Record
from spikevision.statistics.recorder import SpikeRecorder

__all__ = ["count_macs", "macs_by_part"]


def count_macs(model: nn.Module, image_shape: tuple[int, ...] = (3, 224, 224)) -> dict[str, int]:
    """Multiply-accumulates of one image and one time step, were all layers dense.

    The model runs on the meta device: nothing is computed, nothing in it changes.

    Args:
        model: Called with images ``[1, *image_shape]``.
        image_shape: ``(C, H, W)``, or ``(T, C, H, W)`` for event frames.

    Returns:
        ``first_conv``; ``layers`` without it, without the classifier and without products of attention;
        ``attention``: those products, in the order in which they are computed. A static image passes the first
        convolution once, not at each step.

    Raises:
        ValueError: If the model does not take such images.
    """
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    shapes = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors.items()}
    dtype = next((tensor.dtype for tensor in shapes.values() if tensor.is_floating_point()), None)
    images = torch.empty(1, *image_shape, device="meta", dtype=dtype)
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), SpikeRecorder(model) as recorder:
            torch.func.functional_call(model, shapes, (images,))
    finally:
        model.train(training)
    return macs_by_part(recorder.record)


def macs_by_part(record: Record) -> dict[str, int]:
    """MACs per image and time step of a record, as :func:`count_macs` gives them."""
    parts = {"first_conv": 0, "layers": 0, "attention": 0}
    names = {"first": "first_conv", "layer": "layers", "product": "attention"}
    for entry in record.layers.values():
        if entry.about["role"] in names:
            per_step = entry.total("macs") // entry.time_steps
            parts[names[entry.about["role"]]] += per_step // record.num_images
    return parts

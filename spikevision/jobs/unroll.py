"""Test a network of integer neurons in the form in which it runs on spikes."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from spikevision.jobs.weights import unwrapped
from spikevision.neurons import check_unrolled_memory, unroll_
from spikevision.registry import HOOKS


@HOOKS.register_module()
class UnrollHook(Hook):
    """Call :func:`spikevision.neurons.unroll_` on the model at the beginning of a test; training is not touched.

    Metrics stay those of the whole numbers, and a :class:`~spikevision.statistics.SpikeStatisticsHook` beside it counts the
    binary spikes of T x D steps. A test takes about D times as long.
    """

    priority = (
        "VERY_HIGH"  # before a recorder attaches itself to modules that are about to be fused
    )

    def before_test(self, runner: Runner) -> None:
        """Unroll.

        Raises:
            ValueError: If the network cannot be unrolled.
        """
        unroll_(unwrapped(runner.model).eval())

    def before_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Estimate the memory of the spikes of the first batch before it runs.

        Raises:
            ValueError: If they do not fit.
        """
        backbone: Any = getattr(unwrapped(runner.model), "backbone", None)
        images = data_batch["inputs"]
        # views of test-time augmentation are lists of batches; their spikes are checked layer by layer alone
        if batch_idx == 0 and hasattr(backbone, "feature_specs") and isinstance(images[0], Tensor):
            check_unrolled_memory(backbone, _padded_shape(images, backbone))


def _padded_shape(images: Any, backbone: Any) -> tuple[int, ...]:
    """Shape of a batch, its height and width raised to what the backbone takes."""
    stride = max(spec.stride for spec in backbone.feature_specs())
    height, width = (max(image.shape[axis] for image in images) for axis in (-2, -1))
    return (
        len(images),
        *images[0].shape[:-2],
        *(-(-size // stride) * stride for size in (height, width)),
    )

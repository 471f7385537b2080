"""Test a network of integer neurons in the form in which it runs on spikes."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from spikevision.jobs.weights import unwrapped
from spikevision.neurons import unroll_
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

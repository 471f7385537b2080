"""Pure functions of tensors: surrogate gradients, neuron dynamics, the time axis, encoding."""

from spikevision.ops.backend import get_neuron_backend, neuron_backend, set_neuron_backend
from spikevision.ops.dynamics import if_step, lif_step, parametric_lif_step
from spikevision.ops.integer_dynamics import ROUNDINGS, WINDOWS, integer_lif_step
from spikevision.ops.multistep import run_steps
from spikevision.ops.recurrence import state_dtype
from spikevision.ops.slots import SpikeSlots, total
from spikevision.ops.surrogate import DEFAULT_ALPHA, SURROGATES, spike
from spikevision.ops.time_axis import fold_time, mean_time, repeat_time, unfold_like, unfold_time

__all__ = [
    "DEFAULT_ALPHA",
    "ROUNDINGS",
    "SURROGATES",
    "WINDOWS",
    "SpikeSlots",
    "fold_time",
    "get_neuron_backend",
    "if_step",
    "integer_lif_step",
    "lif_step",
    "mean_time",
    "neuron_backend",
    "parametric_lif_step",
    "repeat_time",
    "run_steps",
    "set_neuron_backend",
    "spike",
    "state_dtype",
    "total",
    "unfold_like",
    "unfold_time",
]

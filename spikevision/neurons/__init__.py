"""Spiking neurons as modules: stateless on ``[T, N, ...]``, streaming by an explicit state."""

from spikevision.neurons.base import SpikingNeuron
from spikevision.neurons.build import build_neuron
from spikevision.neurons.integer_lif import IntegerLIF
from spikevision.neurons.integrate_fire import IF
from spikevision.neurons.lif import LIF
from spikevision.neurons.parametric_lif import ParametricLIF
from spikevision.neurons.relu import ReLU
from spikevision.neurons.unroll import unroll_
from spikevision.neurons.unroll_memory import check_unrolled_memory

__all__ = [
    "IF",
    "LIF",
    "IntegerLIF",
    "ParametricLIF",
    "ReLU",
    "SpikingNeuron",
    "build_neuron",
    "check_unrolled_memory",
    "unroll_",
]

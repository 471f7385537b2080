"""What the page of benchmarks shows: one section for each benchmark that publishes results."""

from dataclasses import dataclass, field

__all__ = ["SECTIONS", "Section"]


@dataclass(frozen=True)
class Section:
    """One benchmark on the page.

    Attributes:
        name: Name of its results.
        title: Heading.
        about: What was measured, and how to read it.
        command: Command of the benchmark.
        settings: Keys of a line that tell one row from another; they label it.
        measures: Key of a measure -> what it is, with its unit. Less is better.
        contestants: Key of a contestant -> its name, ours first.
    """

    name: str
    title: str
    about: str
    command: str
    settings: tuple[str, ...]
    measures: dict[str, str]
    contestants: dict[str, str] = field(
        default_factory=lambda: {
            "ours": "spikevision",
            "spikingjelly": "SpikingJelly's layers",
            "relu": "ReLU twin",
        }
    )


SECTIONS = [
    Section(
        name="neuron",
        title="A neuron alone",
        about=(
            "LIF, forward and backward: one compiled pass over memory, chunks in the cache where there is no compiler, "
            "and the plain loop under autograd that both are tested against."
        ),
        command="python tools/benchmarks/neuron.py",
        settings=("shape", "threads"),
        measures={"median_ms": "time (ms)"},
        contestants={
            "compiled": "spikevision, compiled",
            "chunked": "spikevision, chunked",
            "plain": "plain loop",
            "spikingjelly": "SpikingJelly",
        },
    ),
    Section(
        name="training_step",
        title="Training step: classification, detection, segmentation",
        about=(
            "Forward pass, loss, backward pass. SpikingJelly's layers: the same network and weights with its "
            "neurons, PyTorch's convolutions and PyTorch's memory layout. ReLU twin: our layers without neurons, on as "
            "many time steps. Eager: our layers with plain loops for neurons, without kernels, spikes kept as they are. SpikingJelly's "
            "own Spikformer has the same size and random weights. Memory is the peak of what PyTorch allocates during a step."
        ),
        command="python tools/benchmarks/training_step.py NETWORK --time-steps T --batch N --size S --peers PEER ...",
        settings=("network", "time_steps", "size", "batch", "threads"),
        measures={"median_ms": "time (ms)", "peak_mib": "peak memory (MiB)"},
        contestants={
            "ours": "spikevision",
            "spikingjelly": "SpikingJelly's layers",
            "relu": "ReLU twin",
            "eager": "eager",
            "spikingjelly_own": "SpikingJelly's own",
        },
    ),
    Section(
        name="inference",
        title="Inference",
        about=(
            "One call without gradients; a detector and a segmenter whole, from pictures to detections or class maps, with backbone "
            "and neck deployed. Deployed: what `spikevision deploy` exports, with the kernels it measured. As trained: "
            "our network before deployment. SpikingJelly's layers: the same weights with its neurons, PyTorch's convolutions "
            "and memory layout; it, too, passes the first convolution once."
        ),
        command="python tools/benchmarks/inference.py NETWORK --time-steps T --batch N --size S --weights W",
        settings=("network", "weights", "time_steps", "size", "batch", "threads"),
        measures={"median_ms": "time (ms)"},
        contestants={
            "ours": "spikevision, deployed",
            "ours_t1": "the same at T=1, equal firing rate",
            "trained": "spikevision, as trained",
            "spikingjelly": "SpikingJelly's layers",
        },
    ),
    Section(
        name="event_conv",
        title="Skipping what does not spike",
        about=(
            "Layers of a network, each on random spikes of several firing rates: PyTorch's dense convolution (oneDNN), whose time "
            "does not depend on the rate, and our kernel that reads the weights of active inputs alone. `spikevision deploy` "
            "measures both on the spikes that a layer really gets."
        ),
        command="python tools/benchmarks/event_conv.py NETWORK",
        settings=("network", "layer", "threads"),
        measures={"median_ms": "time (ms)"},
        contestants={
            "dense": "dense",
            **{f"{rate}": f"{rate:.0%} spikes" for rate in (0.02, 0.05, 0.1, 0.2, 0.3)},
        },
    ),
]
"""In the order of the page."""

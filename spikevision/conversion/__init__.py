"""Training-free conversion of trained networks into spiking ones.

    snn = convert(model, batches, STAConfig(preset="sta", time_steps=32))
    logits = snn(images)                                # after 32 steps
    outputs = snn.run(images, 32, at=[1, 2, 4, 8])      # one run, many answers

How it works, by file:

``stream``       a tensor that carries the current of one step through unchanged model code
``affine``       which functions commute with running means and are left alone
``handlers``     the table (config class, function or module class) -> what is computed instead
``simulation``   one run: the step, the state of all operators, who is computing
``site``         one function call in a run: what handlers work with
``rules``        config by module name
``calibration``  whole counts on a fixed grid: they merge exactly
``api``          ``prepare_``, ``calibrate``, ``convert_`` and ``convert``
``sta``          the method: neurons, hinges, thresholds, populations and its handlers

Nothing in a model is replaced or rebuilt: its code runs on streams, every function that is not affine goes to a
handler, and the populations of neurons that handlers need are added beside the function, as ``spiking_...``. So names,
checkpoints and attributes stay, functions inside a module are reached as well as modules, and a function that no
handler knows is an error and never silently wrong. To support one more function, register a handler for its name; for
a module as a whole, for its class.
"""

from spikevision.conversion.api import calibrate, convert, convert_, prepare_
from spikevision.conversion.calibration import Statistics
from spikevision.conversion.handlers import handles
from spikevision.conversion.model import SpikingModel
from spikevision.conversion.report import ConversionReport
from spikevision.conversion.rules import Rules
from spikevision.conversion.sta import STAConfig

__all__ = [
    "ConversionReport",
    "Rules",
    "STAConfig",
    "SpikingModel",
    "Statistics",
    "calibrate",
    "convert",
    "convert_",
    "handles",
    "prepare_",
]

"""From a trained network to an artefact: fold, measure, export, load again and compare."""

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.deploy.card import FORMAT, PROGRAM, processor, sha256, versions
from spikevision.deploy.equality import largest_difference
from spikevision.deploy.forms import choose_forms, fold_in_forms_
from spikevision.deploy.int8 import quantise_
from spikevision.deploy.kernels import KernelChoice, choose_kernels, fastest_ms
from spikevision.deploy.program import export_program
from spikevision.deploy.runtime import describe_parts, install_kernels_
from spikevision.deploy.settings import DeploySettings
from spikevision.layers import DepthwiseSeparableBN, RepConvBN

__all__ = ["Plan", "build_artefact", "fold_and_choose"]

LAYOUTS = ("channels_last", "contiguous_format")


@dataclass(frozen=True)
class Plan:
    """A folded network and what was measured on it.

    Attributes:
        folded: The network of plain operations.
        fast: The same in the chosen layout and with the chosen kernels.
        choices: All choices and the times behind them.
        folding_difference: Largest difference of an output by folding alone, in float64.
    """

    folded: nn.Module
    fast: nn.Module
    choices: dict[str, Any]
    folding_difference: float


def build_artefact(
    core: nn.Module, images: Tensor, folder: Path, settings: DeploySettings
) -> dict[str, Any]:
    """Fold a network, choose forms, layout, threads and kernels by measurement, and write the program.

    Args:
        core: Trained network in eval mode on the CPU, ``images -> outputs``; not changed.
        images: Prepared images ``[N, C, H, W]``; the first ``settings.batch`` are measured on.
        folder: Folder of the artefact; it exists.
        settings: What was asked for.

    Returns:
        The fields of its card.
    """
    plan = fold_and_choose(core, images[: settings.batch], settings)
    layout = getattr(torch, plan.choices["layout"])
    export_program(plan.folded.to(memory_format=layout), images, folder / PROGRAM)
    return {
        "format": FORMAT,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": versions(),
        "processor": processor(),
        "sha256": sha256(folder / PROGRAM),
        "input": {"shape": list(images.shape[1:]), "dtype": "float32"},
        "settings": asdict(settings),
        "choices": plan.choices,
        "parts": describe_parts(plan.folded),
        "folding_difference_float64": plan.folding_difference,
    }


def fold_and_choose(core: nn.Module, sample: Tensor, settings: DeploySettings) -> Plan:
    """Fold a copy of a network and choose forms, layout, threads and kernels by their time on a sample."""
    core = copy.deepcopy(core).eval().requires_grad_(False)
    forms = _forms(core, sample, settings)
    exact = fold_in_forms_(copy.deepcopy(core).double(), forms)
    with torch.no_grad():
        folding = largest_difference(core.double()(sample.double()), exact(sample.double()))
    folded = exact.float()
    if settings.weights == "int8":
        quantise_(folded)
    fast, choices = _choose(folded, sample)
    return Plan(folded, fast, {"forms": forms, **choices}, folding)


def _forms(core: nn.Module, sample: Tensor, settings: DeploySettings) -> dict[str, str]:
    if settings.spike_driven:
        kinds = (RepConvBN, DepthwiseSeparableBN)
        return {name: "dense" for name, m in core.named_modules() if isinstance(m, kinds)}
    return choose_forms(core, lambda: core(sample), weights=settings.weights)


def _choose(folded: nn.Module, sample: Tensor) -> tuple[nn.Module, dict[str, Any]]:
    """The fastest layout, kernels and number of threads, and the network that has them."""
    made = {layout: _in_layout(folded, sample, layout) for layout in LAYOUTS}
    milliseconds = {layout: whole_ms for layout, (_, _, whole_ms) in made.items()}
    layout = min(milliseconds, key=milliseconds.__getitem__)
    fast, kernels, _ = made[layout]
    by_threads = _time_threads(lambda: fast(sample))
    return fast, {
        "layout": layout,
        "layout_ms": milliseconds,
        "threads": min(by_threads, key=by_threads.__getitem__),
        "threads_ms": {str(number): ms for number, ms in by_threads.items()},
        "kernels": {name: choice.kernel for name, choice in kernels.items()},
        "kernels_ms": {name: choice.milliseconds for name, choice in kernels.items()},
        "firing_rates": {name: choice.rate for name, choice in kernels.items()},
    }


def _in_layout(
    folded: nn.Module, sample: Tensor, layout: str
) -> tuple[nn.Module, dict[str, KernelChoice], float]:
    """The network with the fastest kernels in one layout, these kernels, and the milliseconds of a call."""
    memory_format = getattr(torch, layout)
    fast = copy.deepcopy(folded).to(memory_format=memory_format)
    if sample.dim() == 4:
        sample = sample.contiguous(memory_format=memory_format)
    kernels = choose_kernels(fast, lambda: fast(sample))
    install_kernels_(fast, {name: choice.kernel for name, choice in kernels.items()})
    return fast, kernels, round(fastest_ms(lambda: fast(sample)), 3)


def _time_threads(run: Callable[[], object]) -> dict[int, float]:
    """Milliseconds with 1, 2, 4 ... threads, up to PyTorch's number of them."""
    most = torch.get_num_threads()
    numbers = sorted({*(2**power for power in range(most.bit_length()) if 2**power <= most), most})
    times = {}
    for number in numbers:
        with _threads(number):
            times[number] = round(fastest_ms(run), 3)
    return times


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""A converted network as a file: weights, thresholds, and in one more tensor the settings as JSON.

The file is safetensors: numbers and text, no code. It holds a plain state dict, so whatever loads a state dict into a
network that was equipped for it (:func:`equip`) loads a converted one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from spikevision.conversion.model import SpikingModel
from spikevision.conversion.report import ConversionReport, PopulationReport
from spikevision.conversion.rules import Rules
from spikevision.conversion.sta import STAConfig
from spikevision.conversion.sta.populations import Population, make_population

__all__ = ["CONVERSION", "PREFIX", "describe", "equip", "load", "save", "state_of"]

SCHEMA = "spikevision-conversion-1"
CONVERSION = "conversion"
PREFIX = "spiking."


def save(snn: SpikingModel, path: str | Path, *, meta: Mapping[str, Any] | None = None) -> None:
    """Write a converted network.

    Args:
        snn: The network.
        path: Safetensors file.
        meta: What else to keep, ready for JSON, such as ``dataset_meta`` with the names of the classes.
    """
    state = {
        name: value.detach().cpu().contiguous().clone() for name, value in state_of(snn).items()
    }
    save_file(state, path, metadata={"meta": json.dumps(dict(meta or {}))})


def load(path: str | Path, model: nn.Module) -> SpikingModel:
    """Read a converted network.

    Args:
        path: File that :func:`save` wrote.
        model: A network of the ANN's class, in eval mode, with any weights; it becomes part of the answer.

    Raises:
        ValueError: If the file holds no converted network, or one of another ANN.
    """
    state = load_file(path)
    snn = SpikingModel(model, Rules(STAConfig()), ConversionReport({}, "", 0))
    equip(snn, state.pop(CONVERSION, None))
    weights = {name.removeprefix(PREFIX): value for name, value in state.items()}
    try:
        snn.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{str(path)!r} was converted from another network: {error}") from error
    return snn


def state_of(snn: SpikingModel) -> dict[str, Tensor]:
    """State dict of a converted network, its settings among the tensors."""
    state = {f"{PREFIX}{name}": value for name, value in snn.state_dict().items()}
    return {CONVERSION: describe(snn), **state}


def describe(snn: SpikingModel) -> Tensor:
    """All settings of a converted network as JSON in bytes, ``[L]`` uint8."""
    populations = {
        name: {
            "type": type(module).__name__,
            "shape": list(module.get_buffer("thresholds").shape),
            "settings": module.settings(),
        }
        for name, module in snn.model.named_modules()
        if isinstance(module, Population)
    }
    rules = {
        pattern: config.to_dict() if config else None
        for pattern, config in snn.rules.patterns.items()
    }
    about = {
        "schema": SCHEMA,
        "config": snn.rules.default.to_dict(),
        "rules": rules,
        "report": {**snn.report.to_dict(), "measurements": {}},
        "populations": populations,
    }
    return torch.tensor(list(json.dumps(about).encode()), dtype=torch.uint8)


def equip(snn: SpikingModel, about: Tensor | None) -> None:
    """Give a network the rules, report and populations (with thresholds of the right shape) of a converted one.

    Args:
        snn: The network.
        about: What :func:`describe` gave; None where a state dict had no such thing.

    Raises:
        ValueError: If it is nothing of that kind.
    """
    if about is None:
        raise ValueError(
            "the checkpoint holds no conversion, it is that of an ANN: run `spikevision convert`, or test it with the "
            "config of the ANN"
        )
    try:
        values = json.loads(bytes(about.tolist()))
        if values["schema"] != SCHEMA:
            raise KeyError(values["schema"])
    except (UnicodeDecodeError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"this is no conversion of this version: {error}") from error
    snn.rules = Rules(
        STAConfig(**values["config"]),
        {name: STAConfig(**c) if c else None for name, c in values["rules"].items()},
    )
    snn.report = _report(values["report"])
    for name, population in values["populations"].items():
        owner, _, attribute = name.rpartition(".")
        made = make_population(
            population["type"], torch.zeros(population["shape"]), population["settings"]
        )
        try:
            snn.model.get_submodule(owner).add_module(attribute, made)
        except AttributeError as error:
            raise ValueError(f"the conversion is of another network: {error}") from error


def _report(values: dict[str, Any]) -> ConversionReport:
    populations = [
        PopulationReport(**{**each, "threshold": tuple(each["threshold"])})
        for each in values["populations"]
    ]
    return ConversionReport(**{**values, "populations": populations})

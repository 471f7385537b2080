"""Run a deployed network fast: the exported program with our neurons and the measured kernels in it."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikevision.deploy.card import PROGRAM, read_card
from spikevision.deploy.int8 import Int8Conv2d
from spikevision.deploy.kernels import KERNELS
from spikevision.deploy.program import load_modules, replaceable
from spikevision.neurons import SpikingNeuron, build_neuron
from spikevision.ops.firing import Firing

__all__ = ["Deployed", "describe_parts", "install_kernels_", "load"]


class Deployed(nn.Module):
    """A deployed network, ready to be called.

    Args:
        modules: The program's modules, fast parts in place.
        card: What the artefact says of itself.
    """

    def __init__(self, modules: nn.Module, card: dict[str, Any]) -> None:
        super().__init__()
        self.modules_of_program = modules
        self.card = card
        self.image_shape = tuple(card["input"]["shape"])
        self.layout = getattr(torch, card["choices"]["layout"])

    def __deepcopy__(self, memo: dict[int, Any]) -> "Deployed":
        """The same object: it never changes, and a program cannot be copied (mmengine's EMAHook copies whole models)."""
        return self

    def forward(self, images: Tensor) -> Any:
        """Answer of the network for images ``[N, C, H, W]`` (or event frames ``[N, T, C, H, W]``).

        Raises:
            ValueError: Images of another size than the network was deployed for.
        """
        if tuple(images.shape[1:]) != self.image_shape:
            given, wanted = (" x ".join(map(str, s)) for s in (images.shape[1:], self.image_shape))
            raise ValueError(
                f"this network was deployed for images of {wanted}, got {given}: resize them, or deploy with a test "
                "pipeline that gives the size wanted"
            )
        if images.dim() == 4:
            images = images.contiguous(memory_format=self.layout)
        with torch.no_grad():
            return self.modules_of_program(images)


def load(folder: str | Path) -> Deployed:
    """Load an artefact for speed; it sets PyTorch's number of threads to the one measured best.

    Args:
        folder: What ``spikevision deploy`` wrote.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is damaged, of another version, or holds what may run code.
    """
    card = read_card(folder)
    modules = load_modules(Path(folder) / PROGRAM)
    for name, part in card["parts"].items():
        modules.set_submodule(name, _rebuilt(part, modules.get_submodule(name)))
    install_kernels_(modules, card["choices"]["kernels"])
    if card["choices"]["threads"]:
        torch.set_num_threads(card["choices"]["threads"])
    return Deployed(modules.eval(), card)


def describe_parts(core: nn.Module) -> dict[str, dict[str, Any]]:
    """What :func:`load` needs to build neurons and convolutions again, by name."""
    return {name: _described(module) for name, module in replaceable(core).items()}


def install_kernels_(core: nn.Module, kernels: dict[str, str]) -> nn.Module:
    """Put the chosen kernels in the place of convolutions; eight-bit ones without a choice run on ordinary weights.

    Neurons get theirs as well, without a choice.
    """
    for name, module in list(core.named_modules()):
        if isinstance(module, SpikingNeuron):
            module.firing = Firing()
        elif isinstance(module, (nn.Conv2d, Int8Conv2d)):
            kernel = KERNELS[kernels.get(name, "dense")](module)
            assert kernel is not None, f"{name}: no {kernels[name]}"
            core.set_submodule(name, kernel)
    return core


def _described(module: nn.Module) -> dict[str, Any]:
    if isinstance(module, SpikingNeuron):
        return {"neuron": {"type": type(module).__name__, **module._shown()}}
    assert isinstance(module, (nn.Conv2d, Int8Conv2d))
    return {
        "conv": {
            "stride": list(module.stride),
            "padding": list(module.padding),
            "groups": module.groups,
        }
    }


def _rebuilt(part: dict[str, Any], held: nn.Module) -> nn.Module:
    """A neuron or convolution with the tensors that the program holds for it."""
    state = held.state_dict()
    if "neuron" in part:
        neuron = build_neuron(part["neuron"]).eval()
        neuron.load_state_dict(state)
        return neuron.requires_grad_(False)
    weight = state["weight"]
    channels, per_group, height, width = weight.shape
    settings = part["conv"]
    conv = nn.Conv2d(
        per_group * settings["groups"], channels, (height, width), settings["stride"],
        settings["padding"], groups=settings["groups"], bias="bias" in state, device="meta",
    )  # fmt: skip
    if "scale" in state:
        conv = Int8Conv2d(conv.to_empty(device="cpu"))  # type: ignore[assignment]
    conv.load_state_dict(state, assign=True)
    return conv.requires_grad_(False).eval()

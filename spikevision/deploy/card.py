"""The card of an artefact: what it takes, how it was made, what was measured, and for which machine."""

import hashlib
import json
import platform
import warnings
from pathlib import Path
from typing import Any

import torch

from spikevision.version import __version__

__all__ = [
    "CARD",
    "FORMAT",
    "PROGRAM",
    "is_artefact",
    "processor",
    "read_card",
    "sha256",
    "versions",
]

FORMAT = 1
CARD = "card.json"
PROGRAM = "program.pt2"
NEEDED = ("input", "choices", "parts")  # without them nothing runs


def is_artefact(path: str | Path) -> bool:
    """Whether a path is a folder that ``spikevision deploy`` has written."""
    return (Path(path) / CARD).is_file()


def read_card(folder: str | Path) -> dict[str, Any]:
    """Read and check the card of an artefact.

    On a machine of another kind the measured choices are dropped, with a warning; answers stay the same.

    Raises:
        FileNotFoundError: Card or program is missing.
        ValueError: The card is no JSON, of another format, or does not belong to the program.
    """
    folder = Path(folder)
    for name in (CARD, PROGRAM):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{str(folder)!r} is no deployed network: it has no {name}")
    card = _parsed(folder / CARD)
    made_by = card.get("versions", {}).get("spikevision", "an unknown version")
    if card.get("format") != FORMAT:
        raise ValueError(
            f"{str(folder)!r} has the format {card.get('format')!r} of spikevision {made_by}, this is {__version__} "
            f"with the format {FORMAT}: deploy the checkpoint again"
        )
    if sha256(folder / PROGRAM) != card.get("sha256"):
        raise ValueError(
            f"{str(folder / PROGRAM)!r} is not the program that its card describes (another sha256): it is damaged or "
            "was replaced; deploy the checkpoint again"
        )
    missing = [name for name in NEEDED if name not in card]
    if missing:
        raise ValueError(f"{str(folder / CARD)!r} lacks {missing}: deploy the checkpoint again")
    _check_processor(card)
    return card


def _parsed(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is no JSON, perhaps cut short: {error}") from error
    if not isinstance(card, dict):
        raise ValueError(f"{str(path)!r} holds no card but a {type(card).__name__}")
    return card


def _check_processor(card: dict[str, Any]) -> None:
    here, there = processor(), card.get("processor", {})
    if here["machine"] != there.get("machine"):
        warnings.warn(
            f"deployed on {there.get('machine')}, this is {here['machine']}: the choices measured there are not used; "
            "deploy again here for speed",
            RuntimeWarning,
            stacklevel=3,
        )
        card["choices"] = {**card["choices"], "kernels": {}, "threads": None}
    elif here["model"] != there.get("model"):
        warnings.warn(
            f"measured on {there.get('model')!r}, this is {here['model']!r}: deploy again here for the best speed",
            RuntimeWarning,
            stacklevel=3,
        )


def processor() -> dict[str, str]:
    """Instruction set and model of this machine's processor."""
    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {"machine": platform.machine(), "model": model}


def versions() -> dict[str, str]:
    """Versions that an artefact depends on."""
    return {"spikevision": __version__, "torch": str(torch.__version__)}


def sha256(path: Path) -> str:
    """Hash of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

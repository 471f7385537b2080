"""Ask for memory before it is taken, so that too large a job ends with a sentence instead of a killed process."""

from __future__ import annotations

from pathlib import Path

import torch

GIGABYTE = 1e9


def free_bytes(device: torch.device) -> int | None:
    """Memory that a tensor on this device may still take; None where the system does not tell."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + kept
    meminfo = Path("/proc/meminfo")  # Linux
    if device.type != "cpu" or not meminfo.exists():
        return None
    fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
    return int(fields["MemAvailable"].split()[0]) * 1024


def check_memory(needed: int, device: torch.device, what: str) -> None:
    """Refuse what does not fit.

    Args:
        needed: Bytes.
        device: Where they are needed.
        what: What needs them, the subject of the error's sentence.

    Raises:
        ValueError: If more is needed than is free; says how many GB.
    """
    free = free_bytes(device)
    if free is not None and needed > free:
        raise ValueError(
            f"{what} need {needed / GIGABYTE:.1f} GB and {free / GIGABYTE:.1f} GB are free: take a smaller batch or "
            "image, or fewer levels or time steps"
        )

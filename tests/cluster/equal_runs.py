"""Compare a run that something happened to with the one that nothing did."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import torch

from spikevision.compat.checkpoint import safe_load


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(folder: Path, rank: int) -> dict[int, float]:
    """Iteration -> loss, the last one where an iteration was done twice."""
    return {row["iter"]: row["loss"] for row in rows(folder / f"losses_{rank}.jsonl")}


def weights(path: Path) -> dict[str, torch.Tensor]:
    return safe_load(path)["state_dict"]


def assert_equals(undisturbed: SimpleNamespace, folder: Path, checkpoint: Path) -> None:
    for rank in (0, 1):
        assert len(undisturbed.losses[rank]) == 60
        assert losses(folder, rank) == undisturbed.losses[rank]
    state = weights(checkpoint)
    assert state.keys() == undisturbed.weights.keys()
    for name, value in undisturbed.weights.items():
        assert torch.equal(state[name], value), name


def until(reached, process, *, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < end
        time.sleep(0.2)

"""Start a job on one process or on several, with accelerators or without."""

import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, init_dist, is_distributed, is_main_process


def start_processes(launcher: str, config: Config) -> None:
    """Join the process group of the launcher and prepare the config for it.

    mmengine's own start needs CUDA; without it the processes talk through gloo. A group that is there already (Ray
    makes its own) is used as it is.

    Args:
        launcher: ``none`` or ``pytorch`` (torchrun).
        config: Loaded config, changed in place.

    Raises:
        ValueError: Unknown launcher, or ``pytorch`` without torchrun's environment.
    """
    if launcher not in ("none", "pytorch"):
        raise ValueError(f"launcher is {launcher!r}; known are 'none' and 'pytorch'")
    config.launcher = launcher
    if launcher == "none":
        return
    if not is_distributed():
        if "RANK" not in os.environ:
            raise ValueError("launcher 'pytorch' has to be started by torchrun, which sets RANK")
        if torch.cuda.is_available():
            init_dist(launcher, **(config.get("env_cfg") or {}).get("dist_cfg", {}))
        else:
            torch.distributed.init_process_group("gloo")
    config.model_wrapper_cfg = {
        "type": "MMDistributedDataParallel",
        "broadcast_buffers": False,
        "find_unused_parameters": config.get("find_unused_parameters", False),
        **(config.get("model_wrapper_cfg") or {}),
        # mmengine takes LOCAL_RANK, which a CPU model refuses and which is wrong for a share of a GPU
        "device_ids": [torch.cuda.current_device()] if torch.cuda.is_available() else None,
    }
    for name in ("val_evaluator", "test_evaluator"):
        _gather_by_network(config.get(name))


def _gather_by_network(evaluator: Any) -> None:
    """Let the metrics of an evaluator gather their results by the process group, not by a shared folder."""
    if isinstance(evaluator, (list, tuple)):
        for each in evaluator:
            _gather_by_network(each)
    elif isinstance(evaluator, dict) and "metrics" in evaluator:
        _gather_by_network(evaluator["metrics"])
    elif isinstance(evaluator, dict):
        evaluator["collect_device"] = "gpu"  # mmengine's word for the process group, also over gloo


def from_main_process(path: Path | None) -> Path:
    """The path that the first process chose, in every process."""
    box = [str(path)]
    if is_distributed():
        broadcast_object_list(box)
    return Path(box[0])


__all__ = ["from_main_process", "is_main_process", "start_processes"]

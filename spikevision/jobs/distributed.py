"""Start a job on one process or on several, with accelerators or without."""

import os
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, init_dist, is_distributed, is_main_process


def start_processes(launcher: str, config: Config) -> None:
    """Join the process group of the launcher and prepare the config for it.

    mmengine's own start needs CUDA; without it the processes talk through gloo.

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
    if not torch.cuda.is_available():
        wrapper = {"type": "MMDistributedDataParallel", "broadcast_buffers": False}
        config.model_wrapper_cfg = {
            **wrapper,
            **config.get("model_wrapper_cfg", {}),
            "device_ids": None,
        }


def from_main_process(path: Path | None) -> Path:
    """The path that the first process chose, in every process."""
    box = [str(path)]
    if is_distributed():
        broadcast_object_list(box)
    return Path(box[0])


__all__ = ["from_main_process", "is_main_process", "start_processes"]

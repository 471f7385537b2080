"""A hook for the workers of a tiny training: it writes every loss down, and ends its process once."""

import json
import os
import signal
import time
from pathlib import Path

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Saboteur(Hook):
    """Write losses into ``folder``; where the environment says so, end this process, or the driver, at an iteration."""

    priority = "VERY_LOW"

    def __init__(self, *, folder):
        self.folder = Path(os.environ.get("SABOTEUR_FOLDER", folder))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        row = {"iter": runner.iter, "loss": float(outputs["loss"]), "pid": os.getpid()}
        with (self.folder / f"losses_{get_rank()}.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        mark = self.folder / "struck"
        told = os.environ.get("SABOTEUR_KILLS_WORKER_AT") == str(runner.iter) and get_rank() == 1
        if told and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if str(runner.iter) == os.environ.get("SABOTEUR_WAITS_AT") and not mark.exists():
            (self.folder / "reached").touch()
            time.sleep(60)

"""What the workers of a tiny job do besides it: write every loss down, and end their process once."""

import hashlib
import json
import os
import signal
import time
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, METRICS, TRANSFORMS
from torch import nn


@HOOKS.register_module()
class Saboteur(Hook):
    """Write losses into ``folder``; at the iteration that a file there names end the second process, or wait
    until that file is gone; ``reached_ITERATION`` says so."""

    priority = "VERY_LOW"

    def __init__(self, *, folder):
        self.folder = Path(folder)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        row = {"iter": runner.iter, "loss": float(outputs["loss"]), "pid": os.getpid()}
        with (self.folder / f"losses_{get_rank()}.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        if get_rank() == 1 and self._told("kill_at", runner.iter):
            (self.folder / "kill_at").unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if self._told("wait_at", runner.iter):
            (self.folder / f"reached_{runner.iter}").touch()
            end = time.monotonic() + 600
            while (self.folder / "wait_at").exists() and time.monotonic() < end:
                time.sleep(0.1)

    def _told(self, what, iteration):
        file = self.folder / what
        return file.exists() and file.read_text() == str(iteration)


@TRANSFORMS.register_module()
class EndsOnce:
    """Passes a sample on; ends its process at the second, unless the mark is there, and leaves it."""

    def __init__(self, *, mark):
        self.mark = Path(mark)
        self.count = 0

    def __call__(self, results):
        self.count += 1
        if self.count == 2 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return results


@METRICS.register_module()
class Fingerprint(BaseMetric):
    """One number made of all predictions in their order, each bit of them."""

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            digest = hashlib.sha256()
            feed(digest, {key: sample[key] for key in sample if key.startswith("pred")})
            self.results.append(digest.hexdigest())

    def compute_metrics(self, results):
        whole = hashlib.sha256("".join(results).encode())
        return {"samples": len(results), "fingerprint": int(whole.hexdigest()[:12], 16)}


def feed(digest, value):
    """Feed the tensors in a prediction."""
    if isinstance(value, torch.Tensor):
        digest.update(value.cpu().contiguous().numpy().tobytes())
    elif hasattr(value, "items"):
        for _, inner in sorted(value.items()):
            feed(digest, inner)


class EndsOnceLayer(nn.Module):
    """Passes on what it is given; ends its process at the second call, unless the mark is there, and leaves it."""

    def __init__(self, mark):
        super().__init__()
        self.mark = Path(mark)
        self.count = 0

    def forward(self, x):
        self.count += 1
        if self.count == 2 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return x

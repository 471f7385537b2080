"""A training iteration on two workers of Ray against one on two processes of torchrun, in one run.

Both jobs are alive at the same time and take turns, a block of iterations each, so that a busy machine slows both
alike; the first turns are warm-up. The ratio is the median over the pairs of turns of the time of Ray's block divided
by that of torchrun's. Ray's own processes are there in both turns: how much of a core they took is given beside it.
Everything listens on 127.0.0.1. Prints one JSON line.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import torch

HOOK = """
import json, time
from pathlib import Path
from mmengine.dist import barrier, get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class TakesTurns(Hook):
    priority = "VERY_LOW"

    def __init__(self, *, folder, name, block):
        self.folder, self.name, self.block = Path(folder), name, block
        self.start = None

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter % self.block:
            return
        if get_rank() == 0:
            if self.start is not None:
                with (self.folder / f"{self.name}.times").open("a") as file:
                    file.write(f"{time.perf_counter() - self.start}\\n")
            turn = self.folder / "turn"
            if runner.iter:
                turn.write_text({"ray": "torchrun", "torchrun": "ray"}[self.name])
            (self.folder / f"{self.name}.ready").touch()
            while not turn.exists() or turn.read_text() != self.name:
                time.sleep(0.01)
        barrier()
        self.start = time.perf_counter()

    def after_train(self, runner):
        if get_rank() == 0:
            (self.folder / "turn").write_text({"ray": "torchrun", "torchrun": "ray"}[self.name])
"""
CONFIG = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='spikevision.MetaSpikeFormer', time_steps=2, in_channels=3,
                  arch=dict(embed_dims=[16, 32, 48, 64], num_heads=4)),
    head=dict(type='spikevision.SpikingClsHead', num_classes=2, in_channels=64),
    data_preprocessor=dict(mean=[127.5] * 3, std=[64.0] * 3, num_classes=2))
train_dataloader = dict(
    batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CustomDataset', data_root=r'{root}', data_prefix='train', pipeline=[
        dict(type='LoadImageFromFile'), dict(type='PackInputs')]))
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.001))
train_cfg = dict(by_epoch=False, max_iters={iterations})
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1000000))
custom_imports = dict(imports=['takes_turns'], allow_failed_imports=False)
custom_hooks = [dict(type='TakesTurns', folder=r'{folder}', name='{name}', block={block})]
randomness = dict(seed=0)
"""
PROGRAM = "spikevision.cli.main"


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=12, help="blocks of each that are counted")
    parser.add_argument("--block", type=int, default=10, help="iterations of a turn")
    parser.add_argument("--warm-up", type=int, default=2, help="blocks that are not")
    parser.add_argument("--port", type=int, default=29641, help="of torchrun")
    return parser.parse_args()


def write_pictures(root: Path) -> None:
    """256 pictures of 32x32 noise in two classes."""
    from PIL import Image

    generator = torch.Generator().manual_seed(0)
    for label in ("one", "two"):
        folder = root / "train" / label
        folder.mkdir(parents=True)
        for index in range(128):
            pixels = torch.randint(0, 255, (32, 32, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(pixels.numpy()).save(folder / f"{index}.png")


def start(name: str, folder: Path, args: argparse.Namespace) -> subprocess.Popen:
    """Start one of the two jobs."""
    iterations = (args.turns + args.warm_up) * args.block
    config = folder / f"config_{name}.py"
    config.write_text(
        CONFIG.format(
            root=folder / "data", folder=folder, name=name, block=args.block, iterations=iterations
        )
    )
    words = [PROGRAM, "train", str(config), "--work-dir", str(folder / name)]
    if name == "ray":
        command = [
            "-m",
            *words,
            "--workers",
            "2",
            "--storage",
            str(folder / "runs"),
            "--name",
            "ray",
        ]
    else:
        command = ["-m", "torch.distributed.run", "--nproc-per-node=2"]
        command += ["--master-addr=127.0.0.1", f"--master-port={args.port}", "-m", *words]
        command += ["--launcher", "pytorch"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "SPIKEVISION_NEURON_BACKEND": "chunked",  # nothing to compile
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "RAY_worker_niceness": "0",  # Ray's default of 15 is for machines that do something else too
    }
    with (folder / f"{name}.log").open("w") as log:
        return subprocess.Popen([sys.executable, *command], env=environment, stdout=log, stderr=log)


def services_cpu_s(driver: int) -> float:
    """CPU time of Ray's processes below a driver without its workers, which train."""
    total = 0.0
    for process in psutil.Process(driver).children(recursive=True):
        try:
            if "RayTrainWorker" not in " ".join(process.cmdline()):
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.Error:
            continue
    return total


def seconds_of(folder: Path, name: str) -> list[float]:
    """Seconds of each block."""
    file = folder / f"{name}.times"
    return [float(line) for line in file.read_text().split()] if file.exists() else []


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="sv", dir="/tmp") as scratch:
        folder = Path(scratch)
        write_pictures(folder / "data")
        (folder / "takes_turns.py").write_text(HOOK)
        jobs = {name: start(name, folder, args) for name in ("ray", "torchrun")}
        try:
            while not all((folder / f"{name}.ready").exists() for name in jobs):
                dead = [name for name, job in jobs.items() if job.poll() is not None]
                if dead:
                    raise RuntimeError((folder / f"{dead[0]}.log").read_text()[-2000:])
                time.sleep(0.2)
            (folder / "turn").write_text("ray")
            begin, spent = time.monotonic(), services_cpu_s(jobs["ray"].pid)
            while len(seconds_of(folder, "ray")) < args.turns + args.warm_up - 1:
                time.sleep(0.5)
            cores = (services_cpu_s(jobs["ray"].pid) - spent) / (time.monotonic() - begin)
            for job in jobs.values():
                job.wait(timeout=300)
        finally:
            for job in jobs.values():
                job.send_signal(signal.SIGINT)  # as Ctrl-C: each ends what it started
        times = {name: seconds_of(folder, name)[args.warm_up :] for name in jobs}
    pairs = list(zip(times["ray"], times["torchrun"], strict=False))
    line = {
        "name": "ray_overhead",
        "iteration_against_torchrun": round(statistics.median(a / b for a, b in pairs), 3),
        "quartiles": [
            round(value, 3) for value in statistics.quantiles([a / b for a, b in pairs], n=4)[::2]
        ],
        "iteration_ms": {
            name: round(statistics.median(found) / args.block * 1e3, 1)
            for name, found in times.items()
        },
        "cores_of_ray_services": round(cores, 3),
        **vars(args),
        "pairs": len(pairs),
        "torch": torch.__version__,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()

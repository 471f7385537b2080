"""How much later the first training step ends after a cold start, and after a warm one, than with eager neurons.

Each first step runs in a process of its own, from the start of Python to the end of the backward pass: ``cold`` with empty
caches of compiled code, ``warm`` with those that ``cold`` has left, ``eager`` with plain loops that compile nothing.
Prints one JSON line.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from contestants import NETWORKS
from results import publish

FIRST_STEP = """
import sys, torch
from contestants import build
model = build(sys.argv[1], time_steps=int(sys.argv[2])).train()
model(torch.randn(int(sys.argv[3]), 3, int(sys.argv[4]), int(sys.argv[4]))).sum().backward()
"""


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=NETWORKS, nargs="?", default="meta-spikeformer-15m")
    parser.add_argument("--time-steps", type=int, default=4, metavar="T")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", type=int, default=64, help="side of the images (default: 64)")
    parser.add_argument("--rounds", type=int, default=1, help="each with caches of its own")
    return parser.parse_args()


def first_step_s(args: argparse.Namespace, caches: Path, backend: str) -> float:
    """Seconds from the start of a process to the end of its first step."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
        "XDG_CACHE_HOME": str(caches),
        "SPIKEVISION_NEURON_BACKEND": backend,
    }
    numbers = [str(number) for number in (args.time_steps, args.batch, args.size)]
    start_s = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", FIRST_STEP, args.network, *numbers], env=environment, check=True
    )
    return time.perf_counter() - start_s


def main() -> None:
    """Measure and print."""
    args = parse_arguments()
    seconds: dict[str, list[float]] = {"cold": [], "warm": [], "eager": []}
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for name, backend in (("cold", "auto"), ("warm", "auto"), ("eager", "plain")):
                seconds[name].append(first_step_s(args, Path(folder), backend))
    median_s = {name: round(statistics.median(values), 1) for name, values in seconds.items()}
    line = {
        "name": "cold_start",
        "cold_later_than_eager_s": round(median_s["cold"] - median_s["eager"], 1),
        "warm_later_than_eager_s": round(median_s["warm"] - median_s["eager"], 1),
        "median_s": median_s,
        **vars(args),
    }
    publish(line)


if __name__ == "__main__":
    main()

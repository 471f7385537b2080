"""Calibrates a small network in one process and over actors; prints fingerprints of the results as one JSON line.

Arguments: address of Ray, work folder.
"""

import copy
import hashlib
import json
import sys
from pathlib import Path

import torch
from saboteur import EndsOnceLayer
from torch import nn

from spikevision.cluster.calibration import calibrate
from spikevision.cluster.pool import open_pool
from spikevision.cluster.spec import ClusterSpec
from spikevision.conversion import Statistics
from spikevision.conversion import calibrate as in_one_process


def fingerprint(statistics: Statistics) -> list:
    """All that was counted, in a form that compares."""
    digest = hashlib.sha256()
    for name, tap in sorted(statistics.taps.items()):
        digest.update(name.encode())
        for tensor in (tap.counts, tap.low, tap.high):
            digest.update(tensor.numpy().tobytes())
    return [digest.hexdigest(), statistics.images, sorted(statistics.taps)]


def main(address: str, mark: Path) -> None:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), EndsOnceLayer(mark), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    model = nn.Sequential(*layers).eval()
    batches = [torch.randn(2, 3, 8, 8) for _ in range(8)]
    mark.touch()
    found = {"one process": fingerprint(in_one_process(copy.deepcopy(model), batches))}
    with open_pool(ClusterSpec(address=address, workers=(3, 3))) as pool:
        for pool.size in (1, 2, 3):
            found[f"{pool.size} actors"] = fingerprint(calibrate(model, batches, cluster=pool))
        mark.unlink()
        found["3 actors, one killed"] = fingerprint(calibrate(model, batches, cluster=pool))
    found["killed"] = mark.exists()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) / "struck")

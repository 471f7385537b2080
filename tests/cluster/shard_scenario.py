"""Evaluates each given job in one process and over actors; prints the results as one JSON line.

One actor, two, three, and three of which one is killed; the processes are the same all the time, but for those.

Arguments: address of Ray, work folder, then a config and a checkpoint per job.
"""

import json
import sys
from pathlib import Path

from spikevision.cluster.pool import open_pool
from spikevision.cluster.shard import evaluate
from spikevision.cluster.spec import ClusterSpec
from spikevision.jobs import evaluate as job
from spikevision.jobs.spec import RunSpec


def outcome(result) -> dict:
    """Metrics and what was counted, without times."""
    counted = json.loads((result.run_dir / "statistics.json").read_text())
    metrics = {name: value for name, value in result.metrics.items() if "time" not in name}
    return {"metrics": metrics} | {
        key: counted[key] for key in ("images", "neurons", "layers", "elementwise")
    }


def main(address: str, folder: Path, jobs) -> None:
    mark = folder / "struck"
    found = []
    with open_pool(ClusterSpec(address=address, workers=(3, 3))) as pool:
        for config, checkpoint in jobs:
            spec = RunSpec(
                config=config, checkpoint=checkpoint, work_dir=str(folder), spike_stats=True
            )
            mark.touch()
            outcomes = {"one process": outcome(job.evaluate(spec))}
            for pool.size in (1, 2, 3):
                outcomes[f"{pool.size} actors"] = outcome(evaluate(spec, pool))
            mark.unlink()
            outcomes["3 actors, one killed"] = outcome(evaluate(spec, pool))
            outcomes["killed"] = mark.exists()
            found.append(outcomes)
    print(json.dumps(found, default=float))  # mmseg's metrics are NumPy numbers


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), list(zip(sys.argv[3::2], sys.argv[4::2], strict=True)))

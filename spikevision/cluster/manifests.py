"""Files that bring a command to machines which others hand out: Kubernetes, a cloud, Slurm."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import yaml

from spikevision.version import __version__

PROGRAM = ("python", "-m", "spikevision.cli.main")
TOKEN_FILE = "~/.ray/auth_token"
SHM_SHARE = 0.3  # of a machine's memory, for Ray's objects and PyTorch's loaders
RAY_PORT = 6379
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A command, and the machines that it gets.

    Args:
        name: Name of the job.
        command: Verb and arguments, without an address.
        workers: Fewest and most processes of the command.
        gpus_per_worker: GPUs of each.
        workers_per_node: Processes on one machine.
        cpus_per_node: CPUs of a machine.
        memory_gib: Memory of a machine.

    Raises:
        ValueError: A machine with fewer CPUs than processes.
    """

    name: str
    command: tuple[str, ...]
    workers: tuple[int, int]
    gpus_per_worker: float = 0.0
    workers_per_node: int = 1
    cpus_per_node: int = 4
    memory_gib: int = 16

    def __post_init__(self) -> None:
        if not 1 <= self.workers_per_node <= self.cpus_per_node:
            raise ValueError(
                f"{self.workers_per_node} workers on a machine with {self.cpus_per_node} CPUs: each needs one"
            )

    @property
    def nodes(self) -> tuple[int, int]:
        """Fewest and most machines."""
        least, most = (math.ceil(count / self.workers_per_node) for count in self.workers)
        return least, most

    @property
    def gpus_per_node(self) -> int:
        """Whole GPUs of a machine."""
        return math.ceil(self.gpus_per_worker * self.workers_per_node)

    def entrypoint(self, address: str = "auto") -> str:
        """The command line on the cluster."""
        return shlex.join([*PROGRAM, *self.command, "--address", address])


def kuberay(
    manifest: Manifest, *, image: str, node_selector: Mapping[str, str] | None = None
) -> str:
    """A RayJob for the KubeRay operator, 1.5.1 or newer, which makes the token's secret.

    Args:
        manifest: Command and machines.
        image: Container image with this spikevision.
        node_selector: Labels of the machines for workers, e.g. those of spot machines.
    """
    least, most = manifest.nodes
    head = _pod(
        image, cpus=2, memory_gib=8, gpus=0
    )  # driver and controller: no training, no spot machine
    worker = _pod(
        image,
        cpus=manifest.cpus_per_node,
        memory_gib=manifest.memory_gib,
        gpus=manifest.gpus_per_node,
    )
    if node_selector:
        worker["spec"]["nodeSelector"] = dict(node_selector)
    job = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": manifest.name},
        "spec": {
            "entrypoint": manifest.entrypoint(),
            "submissionMode": "K8sJobMode",
            "shutdownAfterJobFinishes": True,
            "ttlSecondsAfterFinished": 600,
            "backoffLimit": 2,  # a lost head: the run goes on by its name
            "runtimeEnvYAML": _yaml({"env_vars": {"RAY_USAGE_STATS_ENABLED": "0"}}),
            "rayClusterSpec": {
                "rayVersion": metadata.version("ray"),
                "authOptions": {"mode": "token"},
                "enableInTreeAutoscaling": least != most,
                "headGroupSpec": {"rayStartParams": {"num-cpus": "0"}, "template": head},
                "workerGroupSpecs": [
                    {
                        "groupName": "workers",
                        "replicas": most,
                        "minReplicas": least,
                        "maxReplicas": most,
                        "rayStartParams": {},
                        "template": worker,
                    }
                ],
            },
        },
    }
    return _header(manifest, "kubectl apply -f FILE", "KubeRay >= 1.5.1 makes the token") + _yaml(
        job
    )


def _pod(image: str, *, cpus: int, memory_gib: int, gpus: int) -> dict[str, Any]:
    size: dict[str, Any] = {"cpu": str(cpus), "memory": f"{memory_gib}Gi"}
    if gpus:
        size["nvidia.com/gpu"] = str(gpus)
    container = {
        "name": "ray",
        "image": image,
        "resources": {"requests": dict(size), "limits": dict(size)},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
    }
    shm = {"medium": "Memory", "sizeLimit": f"{math.ceil(memory_gib * SHM_SHARE)}Gi"}
    return {"spec": {"containers": [container], "volumes": [{"name": "shm", "emptyDir": shm}]}}


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Machines of a cloud, as Ray's cluster launcher names them.

    Args:
        provider: ``aws``, ``gcp``, ``azure``: the launcher's ``provider.type``.
        region: Region.
        user: Login on the machines.
        head: ``node_config`` of the head node, e.g. ``{"InstanceType": "m7i.xlarge"}``.
        worker: The same of a worker, e.g. with ``InstanceMarketOptions`` for spot machines.
    """

    provider: str = "aws"
    region: str = "us-east-1"
    user: str = "ubuntu"
    head: Mapping[str, Any] = field(default_factory=dict)
    worker: Mapping[str, Any] = field(default_factory=dict)


def launcher(manifest: Manifest, cloud: Cloud) -> str:
    """A file for ``ray up``; valid by Ray's own schema."""
    least, most = manifest.nodes
    exports = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    resources = {"CPU": manifest.cpus_per_node}
    if manifest.gpus_per_node:
        resources["GPU"] = manifest.gpus_per_node
    cluster = {
        "cluster_name": manifest.name,
        "max_workers": most,
        "idle_timeout_minutes": 10,
        "provider": {"type": cloud.provider, "region": cloud.region, "use_internal_ips": False},
        "auth": {"ssh_user": cloud.user},
        "file_mounts": {TOKEN_FILE: TOKEN_FILE},  # the file goes over SSH; its content is not here
        "setup_commands": [
            f"chmod 600 {TOKEN_FILE}",
            f"pip install 'spikevision[ray]=={__version__}'",
        ],
        "head_start_ray_commands": [
            f"{exports} ray start --head --port={RAY_PORT} --dashboard-host=127.0.0.1 "
            "--autoscaling-config=~/ray_bootstrap_config.yaml"
        ],
        "worker_start_ray_commands": [f"{exports} ray start --address=$RAY_HEAD_IP:{RAY_PORT}"],
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}, "node_config": dict(cloud.head), "max_workers": 0},
            "worker": {
                "resources": resources,
                "node_config": dict(cloud.worker),
                "min_workers": least,
                "max_workers": most,
            },
        },
    }
    run = shlex.join(["spikevision", "submit", "--folder", "/home/" + cloud.user, "--"])
    steps = f"ray up FILE; ray dashboard FILE (a tunnel, leave it open); {run} {shlex.join(manifest.command)}; ray down FILE"
    return _header(manifest, steps, f"needs {TOKEN_FILE} here") + _yaml(cluster)


SLURM = """#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={memory}G{gpus}
#SBATCH --time={time}
#SBATCH --exclusive   # symmetric-run ends with `ray stop`, which ends every Ray of yours on the machine
#SBATCH --no-kill     # a lost machine does not end the job
# {title}
# {needs}
set -euo pipefail
{exports}
export RAY_AUTH_TOKEN_PATH="$HOME/.ray/auth_token"
test -s "$RAY_AUTH_TOKEN_PATH" || {{ echo "no token: spikevision cluster start makes one" >&2; exit 2; }}
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
head=$(srun --nodes=1 --ntasks=1 --nodelist="$first" hostname --ip-address | cut -d' ' -f1)
address="$head:$((20000 + SLURM_JOB_ID % 10000))"
srun --kill-on-bad-exit=0 ray symmetric-run --address "$address" --min-nodes {least} {size} \\
    -- {command} --address "$address"
"""


def slurm(manifest: Manifest, *, time: str = "24:00:00") -> str:
    """A script for ``sbatch``.

    Args:
        manifest: Command and machines.
        time: Limit, as Slurm writes it.
    """
    least, most = manifest.nodes
    gpus, cpus = manifest.gpus_per_node, manifest.cpus_per_node
    return SLURM.format(
        name=manifest.name,
        nodes=most if least == most else f"{least}-{most}",
        cpus=cpus,
        memory=manifest.memory_gib,
        gpus=f"\n#SBATCH --gpus-per-node={gpus}" if gpus else "",
        time=time,
        title=_title(manifest, "sbatch FILE"),
        needs="The home folder with ~/.ray/auth_token, this environment and the data are on all machines.",
        exports="\n".join(f"export {name}={value}" for name, value in ENVIRONMENT.items()),
        least=least,
        size=f"--num-cpus {cpus}" + (f" --num-gpus {gpus}" if gpus else ""),
        command=shlex.join([*PROGRAM, *manifest.command]),
    )


def _title(manifest: Manifest, use: str) -> str:
    return f"spikevision {__version__}, {manifest.command[0]}: {use}"


def _header(manifest: Manifest, use: str, needs: str) -> str:
    return f"# {_title(manifest, use)}\n# {needs}\n"


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=120)

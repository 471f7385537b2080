import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from spikevision.cluster.manifests import Cloud, Manifest, kuberay, launcher, slurm

COMMAND = ("train", "my config.py", "--workers", "3:8", "--storage", "s3://b/r", "--name", "one")


@pytest.fixture
def manifest() -> Manifest:
    return Manifest(
        name="one",
        command=COMMAND,
        workers=(3, 8),
        gpus_per_worker=0.5,
        workers_per_node=2,
        cpus_per_node=8,
        memory_gib=40,
    )


def test_machines_follow_from_the_workers(manifest):
    assert manifest.nodes == (2, 4)  # 3 and 8 workers, two on each
    assert manifest.gpus_per_node == 1  # two halves
    with pytest.raises(ValueError, match="5 workers on a machine with 4 CPUs"):
        Manifest(name="one", command=COMMAND, workers=(5, 5), workers_per_node=5, cpus_per_node=4)


def test_a_rayjob_keeps_training_off_its_head_and_lets_the_operator_make_the_token(manifest):
    import ray

    job = yaml.safe_load(kuberay(manifest, image="team/sv:1", node_selector={"spot": "true"}))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert spec["entrypoint"] == (
        "python -m spikevision.cli.main train 'my config.py' --workers 3:8 --storage s3://b/r --name one --address auto"
    )
    assert spec["shutdownAfterJobFinishes"] is True
    cluster = spec["rayClusterSpec"]
    assert cluster["rayVersion"] == ray.__version__
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    (workers,) = cluster["workerGroupSpecs"]
    assert (workers["minReplicas"], workers["maxReplicas"]) == (2, 4)
    pod = workers["template"]["spec"]
    assert pod["nodeSelector"] == {"spot": "true"}
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == {"cpu": "8", "memory": "40Gi", "nvidia.com/gpu": "1"}
    assert pod["volumes"][0]["emptyDir"] == {"medium": "Memory", "sizeLimit": "12Gi"}
    assert "nodeSelector" not in cluster["headGroupSpec"]["template"]["spec"]


def test_the_launcher_file_is_valid_by_rays_own_schema(manifest):
    import ray

    schema = json.loads(
        Path(ray.__file__).with_name("autoscaler").joinpath("ray-schema.json").read_text()
    )
    cloud = Cloud(head={"InstanceType": "m7i.large"}, worker={"InstanceType": "g6.2xlarge"})
    cluster = yaml.safe_load(launcher(manifest, cloud))
    jsonschema.validate(cluster, schema)
    head, worker = (cluster["available_node_types"][name] for name in ("head", "worker"))
    assert head["resources"] == {"CPU": 0}
    assert worker["resources"] == {"CPU": 8, "GPU": 1}
    assert (worker["min_workers"], worker["max_workers"]) == (2, 4)
    commands = cluster["head_start_ray_commands"] + cluster["worker_start_ray_commands"]
    assert all("RAY_AUTH_MODE=token ray start" in command for command in commands)
    assert "--dashboard-host=127.0.0.1" in commands[0]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cluster, "max_workers": "four"}, schema)


def test_the_slurm_script_is_one_that_bash_can_read(manifest):
    text = slurm(manifest, time="8:00:00")
    assert subprocess.run(["bash", "-n"], input=text, text=True).returncode == 0
    lines = text.splitlines()
    assert {"#SBATCH --nodes=2-4", "#SBATCH --gpus-per-node=1", "#SBATCH --time=8:00:00"} <= set(
        lines
    )
    assert lines[-2].startswith('srun --kill-on-bad-exit=0 ray symmetric-run --address "$address" ')
    assert "--min-nodes 2 --num-cpus 8 --num-gpus 1" in lines[-2]
    assert lines[-1].strip() == (
        "-- python -m spikevision.cli.main train 'my config.py' --workers 3:8 --storage s3://b/r --name one "
        '--address "$address"'
    )


def test_no_file_holds_a_token(manifest, monkeypatch, tmp_path):
    token = "f" * 64
    (tmp_path / "token").write_text(token)
    monkeypatch.setenv("RAY_AUTH_TOKEN", token)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    files = kuberay(manifest, image="i"), launcher(manifest, Cloud()), slurm(manifest)
    assert all(token not in text for text in files)

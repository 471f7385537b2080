import pytest

from spikevision.cli.main import main
from spikevision.cli.remote import checked, with_address

TRAIN = ["train", "c.py", "--workers", "2:4", "--storage", "s3://b/r", "--name", "one_run"]


def test_a_command_is_read_before_it_is_sent(capsys):
    assert checked(TRAIN).workers == "2:4"
    with pytest.raises(SystemExit):
        checked(["train", "c.py", "--wrokers", "2"])
    assert "unrecognized arguments: --wrokers" in capsys.readouterr().err
    with pytest.raises(ValueError, match="there is no verb 'trian'"):
        checked(["trian"])
    with pytest.raises(ValueError, match="doctor does not run on Ray"):
        checked(["doctor"])
    with pytest.raises(ValueError, match="leave --address h:1 out"):
        checked([*TRAIN, "--address", "h:1"])


def test_the_command_finds_the_cluster_that_it_runs_on():
    assert with_address(TRAIN) == [*TRAIN, "--address", "auto"]
    assert with_address([*TRAIN, "--address", "auto"]) == [*TRAIN, "--address", "auto"]
    assert with_address([*TRAIN, "--address=auto"]) == [*TRAIN, "--address", "auto"]


def test_a_manifest_is_printed_or_written(capsys, tmp_path):
    assert main(["render", "slurm", "--", *TRAIN]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("#!/bin/bash\n#SBATCH --job-name=one-run\n#SBATCH --nodes=2-4\n")
    file = tmp_path / "job.yaml"
    assert main(["render", "k8s", "--image", "i", "-o", str(file), "--", *TRAIN]) == 0
    assert "kind: RayJob" in file.read_text()
    words = ["--worker-config", "InstanceType=g6.xlarge", "--", *TRAIN]
    assert main(["render", "launcher", *words]) == 0
    assert "InstanceType: g6.xlarge" in capsys.readouterr().out


def test_a_manifest_without_name_or_storage_is_refused(capsys):
    assert main(["render", "slurm", "--", "train", "c.py", "--workers", "2"]) == 2
    assert "needs --name and --storage" in capsys.readouterr().err


def test_a_submission_without_a_cluster_says_how_to_reach_one(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["submit", "--dashboard", "http://127.0.0.1:9", "--", *TRAIN]) == 2
    assert "ssh -N -L 8265:127.0.0.1:8265 HEAD" in capsys.readouterr().err
    assert main(["jobs", "list", "--dashboard", "http://8.8.8.8:8265"]) == 2
    assert "is public" in capsys.readouterr().err
    assert main(["jobs", "list", "--dashboard", "8265"]) == 2
    assert "takes http://HOST:PORT" in capsys.readouterr().err

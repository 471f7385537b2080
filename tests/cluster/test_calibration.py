import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_conversion import write_checkpoint, write_config
from torch import nn

from spikevision.cluster.calibration import calibrate
from spikevision.cluster.spec import ClusterSpec
from spikevision.jobs.convert import MODEL_FILE, convert
from spikevision.jobs.spec import RunSpec


def test_nothing_to_calibrate_with_is_refused_before_ray_starts():
    with pytest.raises(ValueError, match="nothing to calibrate with"):
        calibrate(nn.Linear(2, 2).eval(), [], cluster=ClusterSpec())


@pytest.mark.ray
@pytest.mark.slow
def test_actors_count_what_one_process_counts_to_the_bit_whoever_is_killed(
    loopback, ray_environment, ray_address, tmp_path
):
    script = Path(__file__).with_name("calibration_scenario.py")
    done = subprocess.run(
        [*loopback, sys.executable, str(script), ray_address, str(tmp_path)],
        env=ray_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("killed")
    expected = found.pop("one process")
    assert expected[1] == 16
    assert expected[2]
    assert len(found) == 4
    assert all(outcome == expected for outcome in found.values()), found


@pytest.fixture
def one_thread():
    """As many threads as the commands of the cluster tests have."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.ray
@pytest.mark.slow
def test_the_convert_verb_over_actors_gives_the_files_of_one_process(
    spikevision, ray_environment, ray_address, one_thread, tmp_path
):
    config = write_config(tmp_path)
    checkpoint = write_checkpoint(config)
    words = [config, checkpoint, "-o", tmp_path / "two", "--address", ray_address, "--workers", 2]
    done = subprocess.run(
        spikevision("convert", *words), env=ray_environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    spec = RunSpec(config=str(config), checkpoint=str(checkpoint), output=str(tmp_path / "one"))
    convert(spec)
    for name in ("calibration.safetensors", MODEL_FILE):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()

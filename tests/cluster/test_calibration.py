import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch import nn

from spikevision.cluster.calibration import calibrate
from spikevision.cluster.spec import ClusterSpec


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

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "benchmarks" / "neuron.py"


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_it_prints_one_json_line_with_the_ratios():
    pytest.importorskip("spikingjelly")
    done = run("--shape", "2", "3", "8", "--rounds", "3", "--threads", "1")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["name"] == "lif_forward_backward"
    assert result["ratio_to_spikingjelly"] > 0
    assert result["ratio_chunked_to_spikingjelly"] > 0
    assert (result["shape"], result["rounds"], result["threads"]) == ([2, 3, 8], 3, 1)


def test_a_shape_without_time_is_refused():
    done = run("--shape", "8")
    assert done.returncode == 2
    assert "time steps first" in done.stderr

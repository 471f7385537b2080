import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "benchmarks" / "neuron.py"


def run(*arguments, results="."):
    command = [sys.executable, str(SCRIPT), *arguments]
    environment = {**os.environ, "BENCHMARK_RESULTS": str(results)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_it_prints_one_json_line_with_the_ratios_and_keeps_it(tmp_path):
    pytest.importorskip("spikingjelly")
    done = run("--shape", "2", "3", "8", "--rounds", "3", "--threads", "1", results=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (tmp_path / "neuron.jsonl").read_text() == done.stdout
    assert result["name"] == "neuron"
    assert result["ratio_to_spikingjelly"] > 0
    assert result["ratio_chunked_to_spikingjelly"] > 0
    assert (result["shape"], result["rounds"], result["threads"]) == ([2, 3, 8], 3, 1)


def test_a_shape_without_time_is_refused():
    done = run("--shape", "8")
    assert done.returncode == 2
    assert "time steps first" in done.stderr

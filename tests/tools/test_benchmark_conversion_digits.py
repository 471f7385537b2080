"""The accuracy of every preset on real digits, for one seed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "benchmarks" / "conversion_digits.py"


@pytest.fixture(scope="module")
def fidelity():
    if not any((ROOT / "data" / ".cache").glob("scikit_learn*.whl")):
        pytest.skip("the digits are not here: run `spikevision prepare composite-digits`")
    command = [sys.executable, str(SCRIPT), "--data", str(ROOT / "data"), "--seeds", "1"]
    command += ["--epochs", "25", "--images", "150", "--most-steps", "32"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["seeds"][0]


@pytest.mark.slow
def test_the_ann_is_worth_converting(fidelity):
    assert fidelity["sta"]["ann"]["accuracy_percent"] >= 90


@pytest.mark.slow
@pytest.mark.parametrize("step", ["1", "2", "16"])
def test_exact_is_the_ann(fidelity, step):
    assert fidelity["exact"][step]["snr_db"] > 100


# one of 150 images is 0.7 points
@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "step", "drop", "agreement", "snr"),
    [
        ("sta", "without_spikes", 0.7, 98, 35),
        ("sta", "32", 1.4, 97, 20),
        ("sta+", "8", 1.5, 95, 15),
        ("sta+", "4", 3.0, 92, 10),
        ("ecmt", "4", 1.4, 97, 15),
    ],
)
def test_spikes_keep_the_accuracy(fidelity, preset, step, drop, agreement, snr):
    ann, found = fidelity[preset]["ann"], fidelity[preset][step]
    assert ann["accuracy_percent"] - found["accuracy_percent"] <= drop
    assert found["agreement_percent"] >= agreement
    assert found["snr_db"] >= snr


@pytest.mark.slow
def test_the_error_falls_by_6_db_per_doubling(fidelity):
    snr = [fidelity["sta"][str(t)]["snr_db"] for t in (8, 16, 32)]
    assert all(after - before >= 4 for before, after in zip(snr, snr[1:], strict=False))

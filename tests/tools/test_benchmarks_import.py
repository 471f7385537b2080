"""Every benchmark imports names that are there: the costly ones run by hand only."""

import importlib
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "tools" / "benchmarks"


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_all_that_a_benchmark_imports_is_there(name):
    assert importlib.import_module(name).__doc__

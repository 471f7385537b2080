"""Settings of the whole suite."""

import os
import random
from collections.abc import Iterator

import numpy as np
import pytest

# before anything imports torch or Ray; the compiled neuron has tests of its own
os.environ.setdefault("SPIKEVISION_NEURON_BACKEND", "chunked")
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Every random network is the same in each run, also one that a fixture makes for a whole file."""
    import torch

    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_default_scope() -> Iterator[None]:
    """A Runner sets mmengine's default scope for the whole process; no test hands its scope to the next."""
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmengine"):
        DefaultScope._instance_dict.clear()
        yield

"""Settings of the whole suite."""

import os
from collections.abc import Iterator

import pytest

# before anything imports torch or Ray; the compiled neuron has tests of its own
os.environ.setdefault("SPIKEVISION_NEURON_BACKEND", "chunked")
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(autouse=True)
def _own_default_scope() -> Iterator[None]:
    """A Runner sets mmengine's default scope for the whole process; no test hands its scope to the next."""
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmengine"):
        DefaultScope._instance_dict.clear()
        yield

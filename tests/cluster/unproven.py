"""Mark of tests that have not been seen to pass in one quiet run yet; ``SPIKEVISION_UNPROVEN=1`` runs them."""

import os

import pytest

unproven = pytest.mark.skipif(
    "SPIKEVISION_UNPROVEN" not in os.environ,
    reason="takes minutes and has not been seen to pass on a quiet machine: SPIKEVISION_UNPROVEN=1 runs it",
)

"""Settings of the whole suite."""

import os

# before anything imports torch or Ray; the compiled neuron has tests of its own
os.environ.setdefault("SPIKEVISION_NEURON_BACKEND", "chunked")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikevision.ops import bits, neuron_backend
from spikevision.ops.bits import pack_bits, unpack_bits

BACKENDS = ["chunked", *(["compiled"] if shutil.which("g++") else [])]  # NumPy, and the C kernel


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    spikes=st.lists(st.booleans(), min_size=1, max_size=70),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_packing_is_undone_exactly_and_all_ways_agree(backend, spikes, dtype):
    flat = torch.tensor(spikes).to(dtype)
    with neuron_backend(backend):
        packed = pack_bits(flat)
        assert packed.numel() == -(-len(spikes) // 8)
        assert torch.equal(packed, bits._pack_bits_anywhere(flat))
        for unpack in (unpack_bits, bits._unpack_bits_anywhere):
            assert torch.equal(unpack(packed, len(spikes), dtype), flat)
            assert unpack(packed, len(spikes), dtype).dtype == dtype


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_spike_is_the_lowest_bit(backend):
    with neuron_backend(backend):
        assert pack_bits(torch.tensor([1.0, 0, 0, 0, 0, 0, 1, 0, 1])).tolist() == [65, 1]

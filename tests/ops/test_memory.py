import pytest
import torch

from spikevision.ops.memory import check_memory, free_bytes

CPU = torch.device("cpu")


def test_a_device_that_does_not_tell_refuses_nothing():
    assert free_bytes(torch.device("meta")) is None
    check_memory(10**18, torch.device("meta"), "they")


@pytest.mark.skipif(free_bytes(CPU) is None, reason="this system does not tell its free memory")
def test_free_memory_is_in_bytes_and_more_is_refused_with_its_size():
    free = free_bytes(CPU)
    assert 1e7 < free < 1e14
    check_memory(free // 2, CPU, "they")
    with pytest.raises(ValueError, match=r"they need 1000000.0 GB and .* take a smaller batch"):
        check_memory(10**15, CPU, "they")

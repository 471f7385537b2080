import pytest
import torch

from spikevision.compat.smoke import SMOKE_RUNS


@pytest.mark.parametrize("name", SMOKE_RUNS)
def test_smoke_run_gives_the_answer_worked_out_by_hand(name):
    found, expected = SMOKE_RUNS[name]()
    torch.testing.assert_close(found.detach().cpu(), expected, check_dtype=False)

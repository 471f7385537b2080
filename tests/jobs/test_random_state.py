import io
import random

import numpy as np
import torch

from spikevision.jobs.random_state import capture_random_state, restore_random_state


def draw() -> tuple:
    return (
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
        torch.rand(()).item(),
    )


def test_draws_repeat_after_restoring_through_a_safely_loaded_file():
    np.random.seed(5)
    draw()  # leaves a cached Gaussian number in two of the generators
    file = io.BytesIO()
    torch.save(capture_random_state(), file)
    expected = [draw() for _ in range(3)]
    file.seek(0)
    restore_random_state(torch.load(file, weights_only=True))
    assert [draw() for _ in range(3)] == expected

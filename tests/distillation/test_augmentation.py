import random

import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS

import spikevision  # noqa: F401


@TRANSFORMS.register_module()
class DrawNumbers:
    """Draws from all three generators."""

    def __call__(self, results):
        results["drawn"] = (random.random(), float(np.random.rand()), float(torch.rand(())))
        return results


def drawn(draws: int, *, samples: int = 1, times: int = 40, seed: int = 0) -> list[set]:
    transform = TRANSFORMS.build(
        dict(
            type="spikevision.FixedDraws",
            transforms=[dict(type="DrawNumbers")],
            draws=draws,
            seed=seed,
        )
    )
    return [
        {transform(dict(sample_idx=index))["drawn"] for _ in range(times)}
        for index in range(samples)
    ]


def test_a_sample_has_so_many_augmentations_and_the_same_ones_again():
    first, second = drawn(3, samples=2)
    assert len(first) == len(second) == 3
    assert not first & second
    assert drawn(3) == [first]
    assert not drawn(3, seed=1)[0] & first


def test_other_random_numbers_go_on_as_if_nothing_had_been_drawn():
    np.random.seed(0)
    np.random.randint(2)
    expected = np.random.rand()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    drawn(2, times=1)
    assert np.random.rand() == expected
    assert random.random() == random.Random(0).random()
    assert torch.rand(()) == torch.rand((), generator=torch.Generator().manual_seed(0))


def test_at_least_one_draw_is_needed():
    with pytest.raises(ValueError, match="draws must be at least 1"):
        drawn(0)

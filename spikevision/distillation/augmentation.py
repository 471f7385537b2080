"""A few fixed random augmentations per sample."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose

from spikevision.registry import TRANSFORMS

__all__ = ["FixedDraws"]


@TRANSFORMS.register_module()
class FixedDraws:
    """Random transforms that know only so many draws of each sample.

    Each time a sample is loaded, one of ``draws`` augmentations is chosen at random, and that one is the same whenever it
    comes again. So a teacher's cached answers are found again after about ``draws`` epochs, which with free
    random augmentation they never are. Transforms that must stay free go outside. What works on whole batches (mixup)
    makes new inputs all the same.

    Args:
        transforms: Configs of the random transforms, in order.
        draws: Number of augmentations of each sample.
        seed: Other draws for another seed.

    Raises:
        ValueError: If ``draws`` is less than 1.

    Source: after Shen and Xing, A fast knowledge distillation framework (FKD), arXiv:2112.01528.
    """

    def __init__(self, transforms: Sequence[dict], *, draws: int = 4, seed: int = 0) -> None:
        if draws < 1:
            raise ValueError(f"draws must be at least 1, got {draws}")
        self.transforms = Compose(list(transforms))
        self.draws = draws
        self.seed = seed

    def __call__(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Apply one of the draws of this sample (``sample_idx``, which mm datasets give)."""
        name = f"{self.seed} {results['sample_idx']} {np.random.randint(self.draws)}"
        digest = blake2b(name.encode(), digest_size=4).digest()
        with _seeded(int.from_bytes(digest)):
            return self.transforms(results)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(draws={self.draws}, seed={self.seed}, {self.transforms})"


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed all generators that transforms draw from, and put them back afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])

"""The state of every random generator of this process, in a form that a checkpoint may hold."""

import random
from typing import Any

import numpy as np
import torch


def capture_random_state() -> dict[str, Any]:
    """State of Python's, NumPy's and PyTorch's generators as tensors, tuples and numbers.

    Returns:
        Plain values only: the checkpoint that holds them loads with ``weights_only=True``.
    """
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    assert kind == "MT19937"
    assert isinstance(keys, np.ndarray)
    return {
        "python": random.getstate(),
        "numpy_keys": torch.from_numpy(keys.astype(np.int64)),
        "numpy_rest": (int(position), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set every generator to a state that :func:`capture_random_state` gave."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    keys = state["numpy_keys"].cpu().numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, *state["numpy_rest"]))
    torch.set_rng_state(state["torch"].cpu())
    cuda = state["cuda"]
    if cuda and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([each.cpu() for each in cuda])

"""Shared by the tests of the fast paths: inputs, layouts, and the comparison with plain."""

import torch
from hypothesis import strategies as st

from spikevision.ops import neuron_backend, run_steps
from spikevision.ops.normalise import LIFSettings

FIRE = {
    "v_threshold": 1.0,
    "v_reset": 0.0,
    "detach_reset": True,
    "surrogate": "sigmoid",
    "alpha": 4.0,
}
LIF = {"tau": 2.0, "decay_input": True, **FIRE}

# Steps, images, channels and side; and settings of the neurons that the C kernels know.
LIF_SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 37), st.integers(1, 5))
LIF_NEURONS = st.fixed_dictionaries(
    {
        "tau": st.sampled_from([2.0, 3.0]),
        "v_reset": st.sampled_from([None, 0.0, -0.5]),
        "decay_input": st.booleans(),
    }
)


def kernel_settings(neuron):
    """What the C kernels run outside training, or None for a neuron that they do not know."""
    return LIFSettings.of(*neuron._dynamics()[::2], trains=False)


def randn(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed)) * 2


def results(backend, step, x, v0, *params, **settings):
    """Spikes, last state if any, and gradients of all inputs of a loss that weighs all outputs."""
    v0 = v0.detach().requires_grad_() if isinstance(v0, torch.Tensor) else v0
    inputs = [x.detach().requires_grad_(), *(p.detach().requires_grad_() for p in params)]
    with neuron_backend(backend):
        s, v = run_steps(step, inputs[0], v0, *inputs[1:], **settings)
    loss = (s * torch.linspace(-1, 1, s.numel(), dtype=s.dtype).view(s.shape)).sum()
    if v is not None:
        loss = loss + (v * v).sum().to(s.dtype)
        inputs.append(v0)
    loss.backward()
    return [s.detach(), *([] if v is None else [v.detach()]), *(i.grad for i in inputs)]


# Of gradients. Half precision may round to the other neighbour.
TOLERANCES = {
    torch.float64: {"rtol": 1e-12, "atol": 1e-12},
    torch.float32: {"rtol": 1e-6, "atol": 2e-6},
    torch.float16: {"rtol": 2**-10, "atol": 2e-6},
    torch.bfloat16: {"rtol": 2**-7, "atol": 2e-6},
}


def assert_equal_to_plain(step, x, v0, *params, backend="chunked", **settings):
    fast = results(backend, step, x, v0, *params, **settings)
    plain = results("plain", step, x, v0, *params, **settings)
    assert 0 < plain[0].mean() < 1
    assert torch.equal(fast[0], plain[0])
    for ours, theirs in zip(fast, plain, strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, **TOLERANCES[theirs.dtype])
    return fast


LAYOUTS = {
    "contiguous": lambda: randn(4, 2, 3, 5, 5),
    "channels_last": lambda: (
        randn(8, 3, 5, 5).to(memory_format=torch.channels_last).unflatten(0, (4, 2))
    ),
    "time_second": lambda: randn(2, 4, 3, 5, 5).transpose(0, 1),
    "expanded_over_time": lambda: randn(1, 2, 3, 5, 5).expand(4, -1, -1, -1, -1),
    "expanded_over_space": lambda: randn(4, 2, 3, 1, 1).expand(-1, -1, -1, 5, 5),
    "every_second_step": lambda: randn(8, 2, 3, 5, 5)[::2],
    "cropped": lambda: randn(4, 2, 3, 7, 7)[..., 1:6, 1:6],
    "one_step": lambda: randn(1, 2, 3, 5, 5),
    "one_step_of_many": lambda: randn(4, 2, 3, 5, 5)[2:3],
    "one_neuron": lambda: randn(4, 1),
    "tokens": lambda: randn(4, 2, 5, 3).mT,
}

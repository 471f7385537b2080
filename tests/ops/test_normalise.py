import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spikevision.neurons import IF, LIF
from spikevision.ops import neuron_backend, normalise
from spikevision.ops.normalise import Norm
from spikevision.ops.packing import spikes_saved_as_bits

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler here")
EPS = 1e-5


def example(images, channels, height, width, *, mean=0.3, inner=False):
    torch.manual_seed(images + channels + height)
    x = torch.randn(images, channels, height, width).add_(mean)
    vectors = [torch.rand(channels) + 0.5 for _ in range(4 if inner else 2)]
    return x.to(memory_format=torch.channels_last), vectors


def norm_of(vectors, inner_eps=EPS):
    inner = Norm(vectors[2], vectors[3], inner_eps) if len(vectors) == 4 else None
    return Norm(vectors[0], vectors[1], EPS, inner)


def ours(x, vectors, inner_eps=EPS):
    assert normalise.fits(x, norm_of(vectors))
    return normalise.batch_norm(x, norm_of(vectors, inner_eps))[0]


def twin(x, vectors, inner_eps=EPS):
    """PyTorch's, in double precision."""
    if len(vectors) == 4:
        x = torch.nn.functional.batch_norm(
            x, None, None, vectors[2], vectors[3], training=True, eps=inner_eps
        )
    return torch.nn.functional.batch_norm(
        x, None, None, vectors[0], vectors[1], training=True, eps=EPS
    )


def with_gradients(function, x, vectors, *arguments):
    leaves = [tensor.clone().requires_grad_() for tensor in (x, *vectors)]
    y = function(leaves[0], leaves[1:], *arguments)
    y.backward(torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y).square())
    return [y.detach(), *(leaf.grad for leaf in leaves)]


def assert_close(one, other, tolerance):
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=tolerance, atol=tolerance)


@settings(deadline=None, max_examples=30)
@given(
    images=st.integers(1, 5),
    channels=st.sampled_from([1, 3, 16, 40]),
    height=st.integers(1, 5),
    width=st.integers(2, 7),
    inner=st.booleans(),
    threads=st.sampled_from([1, 2]),
)
def test_values_and_gradients_equal_those_of_pytorch_in_double_precision(
    images, channels, height, width, inner, threads
):
    x, vectors = example(images, channels, height, width, inner=inner)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with neuron_backend("compiled"):
            kernel = with_gradients(ours, x, vectors)
    finally:
        torch.set_num_threads(before)
    assert_close(kernel, with_gradients(twin, x.double(), [v.double() for v in vectors]), 1e-4)


def test_a_mean_far_from_zero_costs_no_accuracy():
    x, vectors = example(8, 16, 6, 6, mean=1000.0)
    with neuron_backend("compiled"):
        kernel = with_gradients(ours, x, vectors)
    assert_close(kernel, with_gradients(twin, x.double(), [v.double() for v in vectors]), 1e-4)


def test_the_small_derivatives_of_two_normalisations_are_there():
    """Where the variance is about as small as ``eps``, the second one does depend on the first one's weight."""
    x, vectors = example(4, 16, 4, 4, inner=True)
    x, vectors = x * 0.05, [v * 0.05 for v in vectors]
    doubles = [v.double() for v in vectors]
    with neuron_backend("compiled"):
        kernel = with_gradients(ours, x, vectors, 1e-3)
    expected = with_gradients(twin, x.double(), doubles, 1e-3)
    assert expected[4].abs().max() > 0.01  # by the first one's weight
    assert_close(kernel, expected, 1e-4)


NEURONS = [
    LIF(),
    LIF(tau=1.7, v_threshold=0.5),
    LIF(tau=4.0, decay_input=False, v_reset=-0.1),
    LIF(v_reset=None, alpha=2.0),
]


@pytest.mark.parametrize("neuron", NEURONS, ids=repr)
@pytest.mark.parametrize("steps", [1, 4])
def test_spikes_are_those_of_the_neuron_behind_the_normalisation_to_the_bit(neuron, steps):
    x, vectors = example(3 * steps, 24, 4, 6)
    vectors = [v * 1.5 for v in vectors]

    def fused(x, vectors):
        norm = norm_of(vectors)
        assert normalise.fits(x, norm, steps)
        return normalise.batch_norm_lif(x, norm, neuron.lif_settings(), steps)[0]

    def apart(x, vectors):
        y = ours(x, vectors)
        with neuron_backend("plain"):
            return neuron(y.unflatten(0, (steps, -1))).flatten(0, 1)

    with neuron_backend("compiled"):
        one, other = with_gradients(fused, x, vectors), with_gradients(apart, x, vectors)
    assert 0 < one[0].mean() < 1
    assert torch.equal(one[0], other[0])
    for a, b in zip(one[1:], other[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_what_is_not_finite_stays_visible():
    x, vectors = example(4, 16, 4, 4)
    x[0, 0, 0, 0] = torch.nan
    norm = norm_of(vectors)
    x.requires_grad_()
    with neuron_backend("compiled"):
        spikes = normalise.batch_norm_lif(x, norm, LIF().lif_settings(), 2)[0]
    spikes.sum().backward()
    assert x.grad[:, 0].isnan().any()
    assert not x.grad[:, 1:].isnan().any()


def test_other_neurons_layouts_types_and_evaluation_have_no_kernel():
    x, vectors = example(4, 16, 4, 4)
    norm = norm_of(vectors)
    with neuron_backend("compiled"):
        assert normalise.fits(x, norm, 4)
        assert not normalise.fits(x.contiguous(), norm)
        assert not normalise.fits(x.double(), norm)
        assert not normalise.fits(x[:1, :, :1, :1], norm)  # one value per channel has no variance
        with torch.no_grad():
            assert not normalise.fits(x, norm)
    with neuron_backend("chunked"):
        assert not normalise.fits(x, norm)
    assert IF().lif_settings() is None
    assert LIF(surrogate="atan").lif_settings() is None
    assert LIF(detach_reset=False).lif_settings() is None


def test_the_result_is_made_again_where_a_layer_keeps_it():
    x, vectors = example(4, 16, 4, 4)
    kept = []
    with neuron_backend("compiled"), spikes_saved_as_bits():
        y = ours(x.requires_grad_(), vectors)
        kept.append(y.detach().clone())
        squared = y.square()
    y.detach().untyped_storage().fill_(0)  # what was kept does not depend on its memory
    squared.sum().backward()
    gradient = x.grad.clone()
    x.grad = None
    with neuron_backend("compiled"):
        ours(x, vectors).backward(2 * kept[0])
    assert torch.equal(gradient, x.grad)

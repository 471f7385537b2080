"""Streams through ordinary modules: what is exact on running means, and what is refused."""

import threading

import pytest
import torch
import torch.nn.functional as F
from streams import EXACT, Call, assert_exact_on_means, random_steps, running_means
from torch import nn

from spikevision.conversion import STAConfig, convert


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (lambda x: x.transpose(1, 2).flatten(1)[:, 2:-1].chunk(2, 1)[1], [(2, 3, 4)]),
        (lambda x: torch.cat([x, torch.ones(2, 1, 4).double()], 1) * 3 + 1, [(2, 3, 4)]),
        (lambda x, y: (x + y) / 2 - y.mean(1, keepdim=True), [(2, 3, 4), (2, 3, 4)]),
        (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), [(1, 2, 3, 3)]),
        (lambda x: F.avg_pool2d(F.pad(x, (1, 1)), 2), [(1, 2, 4, 4)]),
        (lambda x: torch.roll(x, 1, 2).masked_fill(torch.eye(4).bool(), 2.0), [(2, 4, 4)]),
        (lambda x: F.max_pool2d(x, 2), [(1, 2, 4, 4)]),
        (lambda x: F.normalize(x, dim=-1), [(2, 3, 4)]),
        (lambda x: x.new_zeros(4) + F.linear(input=x, weight=torch.ones(4, 4).double()), [(2, 4)]),
    ],
)
def test_mean_of_the_output_is_the_function_of_the_means(function, shapes):
    assert_exact_on_means(Call(function), *shapes)


def twice_in_place(x):
    y = torch.relu(x)
    y += 1
    x.mul_(3)  # what relu saw must stay
    return y + x


def ignoring_the_answer(x):
    F.relu(x, inplace=True)
    x *= 2
    x.mul_(x)
    return x


@pytest.mark.parametrize("function", [twice_in_place, ignoring_the_answer])
def test_changes_in_place_are_those_of_the_ann(function):
    with torch.no_grad():
        for (mean,), found in running_means(Call(function), random_steps((2, 3))):
            torch.testing.assert_close(found, function(mean.clone()), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("rdiv", lambda x: 1 / x),
        ("gt", lambda x: x > 0),
        ("to", lambda x: x.to(torch.int64)),
        ("pow", lambda x: x**2),
        ("div", lambda x: x / x),
        ("setitem", lambda x: torch.zeros(2, 3).double().__setitem__(0, x[0])),
    ],
)
def test_functions_that_are_not_affine_are_refused(name, function):
    with pytest.raises(ValueError, match=f"'{name}', which is not affine"):
        list(running_means(Call(function), random_steps((2, 3))))


def test_any_function_of_a_direct_current_is_exact():
    model = nn.Sequential(Call(lambda x: torch.erfinv(x)), nn.Linear(3, 2)).eval()
    x = torch.rand(4, 3)
    torch.testing.assert_close(convert(model, [x], EXACT).run(x, 3)[3], model(x))


def test_two_threads_may_use_one_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU()).eval()
    inputs = torch.randn(2, 5, 4)
    snn = convert(model, list(inputs), STAConfig(time_steps=12))
    alone = [snn(x) for x in inputs]
    together: dict[int, torch.Tensor] = {}
    threads = [
        threading.Thread(target=lambda i=i: together.update({i: snn(inputs[i])})) for i in (0, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(together[i], alone[i]) for i in (0, 1))


def test_outside_a_run_the_network_is_the_ann():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU()).eval()
    x = torch.randn(2, 3)
    snn = convert(model, [x])
    steps = snn.steps(x, time_steps=5)
    next(steps)
    assert torch.equal(snn.ann(x), model(x))

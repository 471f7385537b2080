import torch
from torch import nn

from spikevision.neurons import LIF
from spikevision.statistics.samples import MAPS, SIDE, SpikeSamples


class Layers(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.neurons = nn.ModuleList(LIF() for _ in range(depth))

    def forward(self, images):
        x = images.expand(2, *images.shape)
        for neuron in self.neurons:
            x = 4 * neuron(x)
        return x


def test_the_first_images_are_kept_with_the_rate_at_each_position():
    model, images = Layers(1), torch.rand(3, 3, 8, 6)
    samples = SpikeSamples(model, count=2)
    model(images)
    model(torch.rand(3, 3, 8, 6))
    assert len(samples.images) == 2
    (kept,) = samples.images[1]["maps"]
    expected = model.neurons[0](images.expand(2, -1, -1, -1, -1))[:, 1].mean((0, 1))
    torch.testing.assert_close(torch.tensor(kept["rates"]), expected, rtol=0, atol=1e-4)
    assert len(samples.images[0]["pixels"]) == 8
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_of_many_layers_a_few_are_shown_from_first_to_last():
    model = Layers(20)
    samples = SpikeSamples(model, count=1)
    model(torch.rand(1, 3, 4, 4))
    names = [entry["neuron"] for entry in samples.images[0]["maps"]]
    assert (len(names), names[0], names[-1]) == (MAPS, "neurons.0", "neurons.19")


def test_large_images_are_thinned_out():
    model = Layers(1)
    samples = SpikeSamples(model, count=1)
    model(torch.rand(1, 1, 250, 125))
    pixels = samples.images[0]["pixels"]
    assert SIDE / 2 < len(pixels) <= SIDE
    assert all(0 <= value <= 255 for row in pixels for pixel in row for value in pixel)
    assert len(pixels[0][0]) == 3

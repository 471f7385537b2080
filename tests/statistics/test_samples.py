import torch
from torch import nn

from spikevision.neurons import LIF
from spikevision.statistics.samples import MAPS, SIDE, SpikeSamples
from spikevision.testing import build_classifier


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


def test_batches_of_one_image_give_as_many_samples_as_asked_for():
    model, images = Layers(1), torch.rand(3, 1, 3, 8, 6)
    samples = SpikeSamples(model, count=2)
    for batch in images:
        model(batch)
    first, second = (kept["pixels"] for kept in samples.images)
    assert first != second


def test_of_many_layers_a_few_are_shown_from_first_to_last():
    model = Layers(20)
    samples = SpikeSamples(model, count=1)
    model(torch.rand(1, 3, 4, 4))
    names = [entry["neuron"] for entry in samples.images[0]["maps"]]
    assert (len(names), names[0], names[-1]) == (MAPS, "neurons.0", "neurons.19")


def test_attention_behind_its_heads_has_no_place_in_the_image_and_no_map():
    arch = dict(
        embed_dims=32, depth=1, num_heads=2
    )  # 16 channels per head, 16 tokens: square by chance
    model = build_classifier(dict(type="Spikformer", variant="cifar", arch=arch), 4).eval()
    samples = SpikeSamples(model, count=1)
    with torch.no_grad():
        model(torch.rand(1, 3, 16, 16))
    names = [entry["neuron"] for entry in samples.images[0]["maps"]]
    assert names
    assert not any(name.endswith("attention_neuron") for name in names)


def test_large_images_are_thinned_out():
    model = Layers(1)
    samples = SpikeSamples(model, count=1)
    model(torch.rand(1, 1, 250, 125))
    pixels = samples.images[0]["pixels"]
    assert SIDE / 2 < len(pixels) <= SIDE
    assert all(0 <= value <= 255 for row in pixels for pixel in row for value in pixel)
    assert len(pixels[0][0]) == 3

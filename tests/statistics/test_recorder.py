import pytest
import torch
from brute_force import conv_operations, spikes_like
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spikevision.layers import (
    ConvBN,
    RepConvBN,
    SpikingResidual,
    SpikingSelfAttention,
    TimeFolded,
    fuse_,
)
from spikevision.neurons import LIF, IntegerLIF, build_neuron, unroll_
from spikevision.statistics import Record, SpikeRecorder
from spikevision.statistics.tensor_summary import Kind
from spikevision.testing import build_classifier

TINY = dict(embed_dims=(4, 8, 16, 16), num_heads=2)


class Steps(nn.Module):
    """A neuron, a folded convolution and a readout on ``[T, N, C, H, W]``."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.neuron = LIF()
        self.conv = TimeFolded(conv)
        self.fc = nn.Linear(conv.out_channels, 3)

    def forward(self, x):
        return self.fc(self.conv(self.neuron(x)).mean((-2, -1)))


def recorded(model: nn.Module, *batches: torch.Tensor, **settings) -> Record:
    with SpikeRecorder(model, **settings) as recorder, torch.no_grad():
        for batch in batches:
            model(batch)
    return recorder.record


def active(model: nn.Module, images: torch.Tensor) -> nn.Module:
    """The model in eval mode, with batch statistics of the images, so that it fires."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.constant_(module.weight, 2.0)
        if isinstance(
            module, SpikingSelfAttention
        ):  # a few tokens alone do not reach the published threshold
            module.attention_neuron.v_threshold = 0.01
    with torch.no_grad():
        model.train()(images)
    return model.eval()


def test_each_step_equals_a_plain_count_of_the_spikes_that_the_neuron_emitted():
    torch.manual_seed(0)
    model = Steps(nn.Conv2d(2, 3, 3, stride=2, padding=1))
    x = 3 * torch.rand(3, 2, 2, 5, 7)
    spikes = model.neuron(x)
    record = recorded(model, x)
    expected = [conv_operations(model.conv[0], step, (3, 4)) for step in spikes]
    assert record.layers["conv.0"].per_step("synops") == expected
    assert len(set(expected)) > 1
    assert record.neurons["neuron"].per_step("spikes") == [int(step.sum()) for step in spikes]
    assert record.neurons["neuron"].channel_spikes == spikes.sum((0, 1, 3, 4)).int().tolist()


def test_every_layer_of_a_spiking_network_equals_a_plain_count_of_its_input():
    torch.manual_seed(0)
    images = torch.randn(1, 3, 32, 32)
    model = active(
        build_classifier(dict(type="MetaSpikeFormer", arch=TINY, time_steps=2), 5), images
    )
    inputs: dict[str, torch.Tensor] = {}
    outputs: dict[str, torch.Tensor] = {}

    def keep(name):
        def hook(module, args, output):
            inputs[name], outputs[name] = args[0], output

        return hook

    handles = [
        module.register_forward_hook(keep(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    layers = recorded(model, images).layers
    for handle in handles:
        handle.remove()
    counted = {
        name: entry
        for name, entry in layers.items()
        if name in inputs and entry.kind is Kind.BINARY
    }
    for name, entry in counted.items():
        x, y = inputs[name], outputs[name]
        # a map of ones through the layer's transpose gives every input position its number of targets
        conv = model.get_submodule(name)
        ones = torch.ones(1, conv.out_channels, *y.shape[2:])
        reach = torch.nn.grad.conv2d_input(
            (1, conv.in_channels, *x.shape[2:]),
            torch.ones_like(conv.weight),
            ones,
            conv.stride,
            conv.padding,
            conv.dilation,
            conv.groups,
        )
        assert entry.total("synops") == int((x * reach).double().sum()), name
        assert entry.total("spikes") == int(x.sum()) > 0, name
    assert (
        len(counted) == len(inputs) - 1 - 8 * 4 * 2 - 4
    )  # image, RepConv interiors, SepConv tails


def test_a_still_image_passes_the_first_convolution_once_and_event_frames_at_each_step():
    arch = dict(embed_dims=16, depth=1, num_heads=2)
    still = build_classifier(
        dict(type="Spikformer", variant="cifar", arch=arch, time_steps=3), 4
    ).eval()
    events = build_classifier(
        dict(type="Spikformer", variant="event", arch=arch, time_steps=3), 4
    ).eval()
    stem = "backbone.stem.conv"
    once = recorded(still, torch.randn(2, 3, 8, 8)).layers[stem]
    each = recorded(events, spikes_like(2, 3, 2, 16, 16, levels=2)).layers[stem]
    assert (once.per_step("runs"), once.kind) == ([2], Kind.REAL)
    assert (each.per_step("runs"), each.kind) == ([2, 2, 2], Kind.INTEGER)
    assert once.about["role"] == each.about["role"] == "first"


def test_sums_of_spikes_are_integers_and_a_classifier_on_means_is_real():
    torch.manual_seed(0)
    arch = dict(embed_dims=16, depth=2, num_heads=2)
    images = torch.randn(4, 3, 16, 16)
    model = active(build_classifier(dict(type="Spikformer", variant="cifar", arch=arch), 4), images)
    record = recorded(model, images)
    block = "backbone.stages.3.block1"
    assert record.layers[f"{block}.attention.body.q.conv"].kind is Kind.INTEGER
    assert record.layers[f"{block}.mlp.body.fc2.conv"].kind is Kind.BINARY
    head = record.layers["head.fc"]
    assert (head.kind, head.about["role"], head.time_steps) == (Kind.REAL, "classifier", 4)


def test_fusing_a_rep_conv_leaves_no_real_layer_behind_the_first():
    torch.manual_seed(0)
    images = torch.randn(1, 3, 32, 32)
    model = active(
        build_classifier(dict(type="MetaSpikeFormer", arch=TINY, time_steps=2), 5), images
    )
    kinds = [entry.kind for entry in recorded(fuse_(model), images).layers.values()]
    assert kinds == [Kind.REAL] + [Kind.BINARY] * (len(kinds) - 1)


def test_normalisation_and_residual_additions_are_counted_by_value():
    model = SpikingResidual(ConvBN(2, 2, 3), build_neuron(None), shortcut="membrane")
    record = recorded(model.eval(), torch.randn(2, 1, 2, 4, 5))
    assert record.elementwise == {"4x5": {"normalisation": [40, 40], "residual": [40, 40]}}


def test_image_sizes_are_kept_apart():
    model = Steps(nn.Conv2d(2, 3, 3, padding=1))
    record = recorded(
        model, torch.rand(2, 1, 2, 4, 4), torch.rand(2, 1, 2, 6, 4), torch.rand(2, 1, 2, 4, 4)
    )
    assert record.images == {"4x4": 4, "6x4": 2}
    assert record.layers["conv.0"].by_size["4x4"]["inputs"] == [2 * 32] * 2
    assert record.layers["conv.0"].by_size["6x4"]["inputs"] == [48] * 2


def test_nothing_is_left_in_the_model():
    model = Steps(nn.Conv2d(2, 3, 3))
    before = (list(model.state_dict()), {name: set(vars(m)) for name, m in model.named_modules()})
    recorded(model, torch.rand(2, 1, 2, 4, 4))
    after = (list(model.state_dict()), {name: set(vars(m)) for name, m in model.named_modules()})
    assert after == before
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_outputs_and_gradients_are_the_same_while_recording():
    model = Steps(nn.Conv2d(2, 3, 3))
    x = torch.rand(2, 1, 2, 4, 4, requires_grad=True)
    (plain,) = torch.autograd.grad(model(x).square().sum(), x)
    with SpikeRecorder(model):
        (watched,) = torch.autograd.grad(model(x).square().sum(), x)
    torch.testing.assert_close(watched, plain, rtol=0, atol=0)


def test_a_call_that_failed_does_not_disturb_the_next():
    model = Steps(nn.Conv2d(2, 3, 3))
    good = torch.rand(2, 1, 2, 4, 4)
    expected = recorded(model, good).layers["conv.0"].by_size["4x4"]
    with SpikeRecorder(model) as recorder, torch.no_grad():
        with pytest.raises(RuntimeError):
            model(torch.rand(2, 1, 2, 2, 2))
        model(good)
    assert recorder.record.layers["conv.0"].by_size == {"4x4": expected}


def test_calls_of_a_part_alone_are_not_counted():
    model = Steps(nn.Conv2d(2, 3, 3))
    with SpikeRecorder(model) as recorder:
        model.neuron(torch.ones(2, 1, 2, 4, 4))
    assert recorder.record.neurons == {}


def test_counting_can_go_on_after_a_pause():
    model = Steps(nn.Conv2d(2, 3, 3))
    x = 3 * torch.rand(2, 1, 2, 4, 4)
    recorder = SpikeRecorder(model)
    for _ in range(2):
        with recorder:
            model(x)
    assert recorder.record.to_dict() == recorded(model, x, x).to_dict()


def test_attaching_twice_is_an_error():
    recorder = SpikeRecorder(nn.Linear(2, 2)).attach()
    with pytest.raises(ValueError, match="attached already"):
        recorder.attach()


def test_firing_rates_alone_leave_layers_out_and_count_the_same_spikes():
    model = Steps(nn.Conv2d(2, 3, 3))
    x = 3 * torch.rand(2, 1, 2, 4, 4)
    rates, everything = recorded(model, x, operations=False), recorded(model, x)
    assert rates.layers == rates.elementwise == {}
    assert rates.neurons == everything.neurons


def test_one_neuron_that_serves_layers_of_different_width_is_counted_for_all():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron = LIF()

        def forward(self, x):
            return self.neuron(x), self.neuron(x[:, :, :1])

    record = recorded(Shared(), torch.full((1, 1, 3, 2, 2), 2.0))
    assert record.neurons["neuron"].total("spikes") == 12 + 4


def test_a_batch_without_regions_counts_nothing():
    model = Steps(nn.Conv2d(2, 3, 1))
    record = recorded(model, torch.rand(2, 0, 2, 4, 4))
    assert record.layers == record.neurons == {}


def test_a_neuron_that_carries_its_state_on_is_counted_too():
    class Stream(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron = LIF()

        def forward(self, x):
            return self.neuron(x, self.neuron.initial_state(x))[0]

    x = torch.full((3, 1, 2), 2.0)
    assert recorded(Stream(), x).neurons["neuron"].per_step("spikes") == [2, 2, 2]


def test_channels_first_and_channels_last_tensors_count_the_same():
    model = Steps(nn.Conv2d(2, 3, 3, padding=1))
    x = 3 * torch.rand(2, 1, 2, 4, 6)
    strided = x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    assert recorded(model, x).to_dict() == recorded(model, strided).to_dict()


def test_tokens_have_their_channel_last():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron = LIF()

        def forward(self, x):
            return self.neuron(x)

    x = torch.zeros(2, 1, 5, 3)
    x[..., 1] = 2.0
    assert recorded(Tokens(), x).neurons["neuron"].channel_spikes == [0, 10, 0]


def test_a_rep_conv_shows_spikes_to_its_first_convolution_only():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.rep = LIF(), RepConvBN(3)

        def forward(self, x):
            return self.rep(self.neuron(x))

    layers = recorded(Block().eval(), 3 * torch.rand(2, 3, 3, 4, 4)).layers
    kinds = [entry.kind for entry in layers.values()]
    assert kinds == [Kind.BINARY, Kind.REAL, Kind.REAL]
    assert all(entry.time_steps == 2 for entry in layers.values())


def test_unrolled_layers_count_the_spikes_of_the_numbers_in_t_times_d_steps():
    torch.manual_seed(0)
    model = Steps(nn.Conv2d(2, 3, 3, padding=1))
    model.neuron = IntegerLIF(4)
    model.eval()
    x = 4 * torch.rand(2, 3, 2, 5, 7)
    numbers = recorded(model, x).layers["conv.0"]
    spikes = recorded(unroll_(model), x).layers["conv.0"]
    assert (numbers.kind, spikes.kind) == (Kind.INTEGER, Kind.BINARY)
    assert spikes.time_steps == 4 * numbers.time_steps == 8
    for quantity in ("spikes", "synops"):
        assert spikes.total(quantity) == numbers.total(quantity) > 0
    for quantity in ("macs", "inputs", "outputs"):
        assert spikes.total(quantity) == 4 * numbers.total(quantity)


class Still(nn.Module):
    """Three steps on still images. All numbers are small multiples of 1/8, so arithmetic is exact in any batch."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = Steps(nn.Conv2d(2, 3, 3, stride=2, padding=1))
        for parameter in self.parameters():
            parameter.data.mul_(8).round_().div_(8)

    def forward(self, images):
        return self.steps(images.expand(3, *images.shape))


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(6)), st.sets(st.integers(1, 5)), st.randoms(use_true_random=False))
def test_any_split_of_the_images_adds_up_to_the_record_of_all_at_once(order, cuts, random):
    torch.manual_seed(0)
    model, images = Still(), torch.randint(0, 16, (6, 2, 5, 7)) / 4
    edges = [0, *sorted(cuts), 6]
    parts = [recorded(model, images[order[a:b]]) for a, b in zip(edges, edges[1:], strict=False)]
    while len(parts) > 1:  # as workers come back: any two at a time
        random.shuffle(parts)
        parts = [parts[0].merge(parts[1]), *parts[2:]]
    assert parts[0].to_dict() == recorded(model, images).to_dict()


def test_spikes_of_neurons_that_may_fire_more_than_once_are_all_looked_at():
    """Silent at first, and later a single 2 among thousands of zeros: too rare for a sample."""

    class Stream(nn.Module):
        def __init__(self):
            super().__init__()
            self.neuron, self.fc = IntegerLIF(levels=4), nn.Linear(1, 1)

        def forward(self, x):
            return self.fc(self.neuron(x))

    silent = torch.zeros(1, 10_007, 1, 1)
    rare = silent.clone()
    rare[0, 4321] = 2.0
    record = recorded(Stream(), silent, rare)
    assert record.neurons["neuron"].kind is record.layers["fc"].kind is Kind.INTEGER
    assert record.neurons["neuron"].total("spikes") == 2

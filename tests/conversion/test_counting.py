"""Operations of converted networks, against counts in plain Python: every unit event, every output that it reaches."""

from itertools import product

import pytest
import torch
from brute_force import conv_operations
from tiny_vit import tiny_vit
from torch import nn

from spikevision.conversion import STAConfig, convert
from spikevision.conversion.sta.populations import BurstPopulation, Population
from spikevision.statistics import SpikeRecorder

STEPS = 3
TOKENS, WIDTH, HEADS, HIDDEN = 5, 16, 2, 32  # of the tiny vision transformer at 16x16
HEAD_WIDTH = WIDTH // HEADS


def events_of_populations(snn: nn.Module, x: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    """Unit events of each population at each step, ``[units, A, C, B]``, seen from outside by their outputs."""
    found: dict[str, list[torch.Tensor]] = {}
    handles = []

    def watch(name, population):
        before = {}

        def hook(module, args, output):
            if isinstance(module, BurstPopulation):
                now = args[1]["count"].clone()
                sent = now - before.get("x", torch.zeros_like(now))
            else:
                now, t = output.clone(), args[2]
                keep = t / (t - 1) if module.differential and t > 1 else 1
                expected = before.get("x", torch.zeros_like(now)) * keep
                spike = now - expected
                sent = (spike.abs() > 1e-5 * (now.abs() + expected.abs()))[None].int()
            before["x"] = now
            found.setdefault(name, []).append(sent.abs())

        handles.append(population.register_forward_hook(hook))

    for name, module in snn.model.named_modules():
        if isinstance(module, Population):
            watch(name, module)
    snn(x)
    for handle in handles:
        handle.remove()
    return found


def accumulates(events: list[torch.Tensor], outputs: int) -> list[int]:
    """Additions at each step where every unit event reaches so many outputs, one by one."""
    steps = []
    for step in events:
        count = 0
        for event in step.flatten().tolist():
            for _ in range(int(event)):
                for _ in range(outputs):
                    count += 1
        steps.append(count)
    return steps


@pytest.fixture(scope="module", params=["sta", "ecmt"])
def counted(request):
    """Preset, record of one image, and the events of its populations."""
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    snn = convert(tiny_vit(img_size=16), [x], STAConfig(preset=request.param, time_steps=STEPS))
    with SpikeRecorder(snn) as recorder:
        snn(x)
    return request.param, recorder.record, events_of_populations(snn, x)


def test_weight_layers_of_a_vision_transformer(counted):
    preset, record, events = counted
    driven_by = {
        "attn.qkv": ("ln1.spiking_layer_norm_normalised", 3 * WIDTH),
        "attn.proj": ("attn.proj.spiking_linear_input", WIDTH),
        "ffn.layers.0.0": ("ln2.spiking_layer_norm_normalised", HIDDEN),
        "ffn.layers.1": (
            f"ffn.layers.0.1.spiking_gelu_{'hidden' if preset == 'sta' else 'output'}",
            WIDTH,
        ),
    }
    for block, (layer, (source, fan_out)) in product(range(2), driven_by.items()):
        entry = record.layers[f"backbone.layers.{block}.{layer}"]
        wanted = accumulates(events[f"backbone.layers.{block}.{source}"], fan_out)
        assert entry.per_step("synops") == wanted
        assert sum(wanted) > 0
        assert entry.about["role"] == "layer"


def test_products_of_a_vision_transformer(counted):
    preset, record, events = counted
    dense = HEADS * TOKENS * TOKENS * HEAD_WIDTH
    sides = {
        "q k^T, query": ("query", TOKENS),
        "q k^T, key": ("key", TOKENS),
        "p v, probability": ("probability", HEAD_WIDTH),
        "p v, value": ("value", TOKENS),
    }
    for block, (side, (tap, fan_out)) in product(range(2), sides.items()):
        name = f"backbone.layers.{block}.attn"
        entry = record.layers[f"{name}.scaled_dot_product_attention[{side}]"]
        second = side in ("q k^T, key", "p v, value")  # multiplies the sum before the first step: 0
        if preset == "ecmt" or tap == "probability":
            source = events[f"{name}.spiking_scaled_dot_product_attention_{tap}"]
            wanted = accumulates(source, fan_out)
            assert entry.per_step("synops") == [0, *wanted[1:]] if second else wanted
        else:  # q, k and v are real values
            assert entry.per_step("synops") == []
            assert entry.per_step("macs") == [0 if second else dense, dense, dense]
        assert entry.total("ann_macs") == (0 if second else dense)


def test_layers_on_real_values_and_what_the_ann_does(counted):
    preset, record, _ = counted
    patches = record.layers["backbone.patch_embed.projection"]
    dense = (TOKENS - 1) * WIDTH * 3 * 8 * 8
    assert patches.per_step("macs") == [dense]  # the image is the same at every step
    norm = record.layers["backbone.ln1.layer_norm"]
    assert norm.per_step("macs") == [3 * TOKENS * WIDTH] * STEPS
    ann = sum(e.total("ann_macs") for e in record.layers.values() if e.about["role"] != "operator")
    block = TOKENS * WIDTH * (4 * WIDTH + 2 * HIDDEN) + 2 * HEADS * TOKENS * TOKENS * HEAD_WIDTH
    assert ann == dense + 2 * block + WIDTH * 5
    assert record.elementwise == {"16x16": {"residual": [2 * 2 * TOKENS * WIDTH] * STEPS}}


def test_neurons_and_the_accumulates_inside_operators(counted):
    preset, record, events = counted
    assert set(record.neurons) == set(events)
    for name, steps in events.items():
        entry = record.neurons[name]
        assert entry.per_step("spikes") == [int(step.sum()) for step in steps]
        assert entry.per_step("elements") == [step.numel() for step in steps]
        channels = sum(step for step in steps)
        axis = (0, 1, 3) if preset == "sta" else None
        if axis:
            assert entry.channel_spikes == [int(v) for v in channels.sum(axis).tolist()]
    operators = [e for e in record.layers.values() if e.about["type"] == "BurstPopulation"]
    hidden = [name for name in events if name.endswith(("_hidden", "_rsqrt"))]
    assert sum(e.total("synops") for e in operators) == sum(
        int(step.sum()) for name in hidden for step in events[name]
    )


class Convolutions(nn.Module):
    """Padding, stride, dilation, groups and a transposed convolution; spikes from ReLU."""

    def __init__(self, *, in_place):
        super().__init__()
        self.in_place = in_place
        self.first = nn.Conv2d(2, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2)
        self.third = nn.Conv2d(6, 3, (2, 3), dilation=(1, 2), padding="same")
        self.last = nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1)

    def forward(self, x):
        for layer in (self.first, self.second, self.third):
            x = nn.functional.relu(layer(x), inplace=self.in_place)
        return self.last(x)


@pytest.mark.parametrize("in_place", [False, True])
def test_convolutions_at_their_borders(in_place):
    torch.manual_seed(0)
    x = torch.randn(2, 2, 6, 5)
    snn = convert(Convolutions(in_place=in_place).eval(), [x], STAConfig(time_steps=STEPS))
    with SpikeRecorder(snn) as recorder:
        snn(x)
    events = events_of_populations(snn, x)
    sizes = {"second": (3, 3), "third": (3, 3), "last": (5, 5)}
    sources = dict(zip(sizes, ("relu", "relu_1", "relu_2"), strict=True))
    shapes = {"second": (2, 4, 6, 5), "third": (2, 6, 3, 3), "last": (2, 3, 3, 3)}
    for name, size in sizes.items():
        layer = snn.model.get_submodule(name)
        wanted = [
            conv_operations(layer, step.sum(0).reshape(shapes[name]), size)
            for step in events[f"spiking_{sources[name]}_output"]
        ]
        assert recorder.record.layers[name].per_step("synops") == wanted
        assert sum(wanted) > 0


class Moves(nn.Module):
    """Spikes that are moved, cut, put together and scaled on their way."""

    def __init__(self):
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(6), nn.Linear(8, 5)

    def forward(self, x):
        left, right = self.norm(x).chunk(2, -1)
        x = torch.cat([right.roll(1, 0), left, right[..., :2]], -1)
        return self.layer(-x.transpose(0, 1).mul(2.0).contiguous())


def test_events_go_where_spikes_are_moved():
    torch.manual_seed(0)
    x = torch.randn(3, 4, 6)
    snn = convert(Moves().eval(), [x], STAConfig(time_steps=STEPS))
    with SpikeRecorder(snn) as recorder:
        snn(x)
    [steps] = (e for name, e in events_of_populations(snn, x).items() if name.endswith("ised"))
    twice = [step.sum(0).reshape(3, 4, 6) for step in steps]
    wanted = [int(step.sum() + step[..., 3:5].sum()) * 5 for step in twice]
    assert recorder.record.layers["layer"].per_step("synops") == wanted


class Products(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        x = self.norm(x)
        a, b = self.a(x), self.b(x)
        return (a @ b.mT) @ torch.einsum("nij,nkj->nik", a, b) * (a * b).sum(-1, keepdim=True)


def test_products_of_real_streams_have_two_sides():
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    snn = convert(Products().eval(), [x], STAConfig(time_steps=2))
    with SpikeRecorder(snn) as recorder:
        snn(x)
    macs = {
        name: entry.per_step("macs")
        for name, entry in recorder.record.layers.items()
        if entry.about["role"] == "product"
    }
    sizes = {
        "matmul[a b": 2 * 3 * 3 * 4,
        "einsum[nij,nkj->nik": 2 * 3 * 3 * 4,
        "mul[a * b": 2 * 3 * 4,
        "matmul_1[a b": 2 * 3 * 3 * 3,
        "mul_1[a * b": 2 * 3 * 3,
    }
    sides = {
        name: ("factor0", "factor1") if "einsum" in name else ("left", "right") for name in sizes
    }
    wanted = {}
    for name, dense in sizes.items():
        first, second = sides[name]
        wanted |= {f"{name}, {first}]": [dense] * 2, f"{name}, {second}]": [0, dense]}
    assert macs == wanted


def test_a_module_left_in_floating_point_costs_its_macs_at_every_step():
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(
        nn.LayerNorm(4), nn.Sequential(nn.Linear(4, 7), nn.GELU(), nn.Linear(7, 1))
    )
    snn = convert(model.eval(), [x], STAConfig(time_steps=2), rules={"1": None})
    with SpikeRecorder(snn) as recorder:
        snn(x)
    assert recorder.record.layers["1.0"].per_step("macs") == [2 * 3 * 4 * 7] * 2
    assert recorder.record.layers["1.2"].per_step("macs") == [2 * 3 * 7] * 2
    assert recorder.record.layers["1.2"].total("ann_macs") == 2 * 3 * 7


def test_counting_changes_no_answer_and_ends_with_the_recorder():
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    snn = convert(tiny_vit(img_size=16), [x], STAConfig(time_steps=2))
    plain = snn(x)
    with SpikeRecorder(snn) as recorder:
        assert torch.equal(snn(x), plain)
        snn.run(x, 2)  # no call of the model itself
    snn(x)
    assert recorder.record.images == {"16x16": 2}
    assert recorder.record.neurons["backbone.ln1.spiking_layer_norm_normalised"].time_steps == 2
    assert snn.operation_counter is None

import pytest
import torch

from spikevision.backbones import ESpikeFormer, MetaSpikeFormer, Spikformer
from spikevision.layers import fuse_
from spikevision.neurons import SpikingNeuron
from spikevision.ops import neuron_backend

TINY = dict(embed_dims=(8, 16, 16, 24), num_heads=4)
TINY_SPIKFORMER = dict(embed_dims=32, depth=2, num_heads=4)


def meta(**settings) -> MetaSpikeFormer:
    return MetaSpikeFormer(TINY, **{"time_steps": 2, **settings})


def spikformer(variant: str, **settings) -> Spikformer:
    return Spikformer(variant, TINY_SPIKFORMER, **{"time_steps": 2, **settings})


def e_spikeformer(**settings) -> ESpikeFormer:
    return ESpikeFormer({**TINY, "depths": (1, 1)}, **{"time_steps": 2, **settings})


BACKBONES = {
    "e-spikeformer": (e_spikeformer, (2, 3, 32, 48), range(5)),
    "meta": (meta, (2, 3, 32, 48), range(5)),
    "imagenet": (lambda **kw: spikformer("imagenet", **kw), (2, 3, 32, 48), range(4)),
    "cifar": (lambda **kw: spikformer("cifar", **kw), (2, 3, 12, 16), range(4)),
    "event": (lambda **kw: spikformer("event", **kw), (2, 2, 2, 32, 48), range(4)),
    "meta on events": (lambda **kw: meta(in_channels=2, **kw), (2, 2, 2, 32, 48), range(5)),
}


@pytest.fixture(params=BACKBONES)
def case(request):
    return BACKBONES[request.param]


@torch.no_grad()
def test_features_have_the_channels_and_strides_that_the_backbone_declares(case):
    build, shape, levels = case
    backbone = build(out_indices=tuple(levels))
    features = backbone(torch.randn(shape))
    height, width = shape[-2:]
    for feature, spec in zip(features, backbone.feature_specs(), strict=True):
        assert feature.shape == (2, 2, spec.channels, height // spec.stride, width // spec.stride)


@torch.no_grad()
def test_a_level_is_the_same_whichever_others_are_asked_for(case):
    build, shape, levels = case
    every = build(out_indices=tuple(levels)).eval()
    x = torch.randn(shape)
    features = every(x)
    for level in levels:
        single = build(out_indices=(level,)).eval()
        # stages behind the last level are not built
        single.load_state_dict(
            {key: value for key, value in every.state_dict().items() if key in single.state_dict()}
        )
        assert torch.equal(single(x)[0], features[level])


def test_every_parameter_gets_a_gradient(case):
    build, shape, _ = case
    torch.manual_seed(0)
    backbone = build()
    backbone(torch.randn(shape) * 3)[-1].square().mean().backward()
    without = [name for name, p in backbone.named_parameters() if p.grad is None]
    assert not without


@pytest.mark.parametrize("attention", ["sdsa1", "sdsa3"])
@pytest.mark.parametrize("shortcut", ["membrane", "sew", "vanilla"])
def test_shortcut_decides_what_enters_the_weight_layers(shortcut, attention):
    torch.manual_seed(0)
    backbone = meta(shortcut=shortcut, attention=attention).train()
    blocks = [module for name, module in backbone.named_modules() if name.endswith("channel_conv")]
    streams = []
    for block in blocks:
        block.register_forward_hook(lambda module, args, output: streams.append(output.detach()))
    backbone(torch.randn(2, 3, 32, 32) * 3)
    values = torch.cat([stream.flatten() for stream in streams])
    is_whole = torch.equal(values, values.round())
    assert is_whole == (shortcut != "membrane")
    assert (values.max() <= 1) == (shortcut == "vanilla")


def test_all_shortcuts_have_the_same_parameters():
    shapes = [
        sorted((p.shape for p in meta(shortcut=shortcut).parameters()), key=str)
        for shortcut in ("membrane", "sew", "vanilla")
    ]
    assert shapes[0] == shapes[1] == shapes[2]


@torch.no_grad()
def test_repeated_event_frames_answer_like_the_static_image():
    image = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    backbone = meta().double().eval()
    frames = image.unsqueeze(1).repeat(1, 2, 1, 1, 1)
    torch.testing.assert_close(backbone(frames), backbone(image), rtol=0, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("backend", ["plain", "chunked"])
def test_features_are_channels_last_whatever_the_layout_of_the_image(backend):
    with neuron_backend(backend):
        (feature,) = meta()(torch.randn(2, 3, 64, 64))
    assert feature.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("time_steps", [1, 2])
@pytest.mark.parametrize("name", ["meta", "imagenet"])
def test_gradients_are_channels_last_too(name, time_steps):
    """A normalisation takes several times as long where its gradient lies in memory otherwise than its input."""
    backbone, strides = BACKBONES[name][0](time_steps=time_steps), []

    def compare(module, args, output):
        output.register_hook(lambda grad: strides.append((grad.stride(), output.stride())))

    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(compare)
    with neuron_backend("chunked"):
        backbone(torch.randn(2, 3, 64, 64))[-1].square().sum().backward()
    assert strides
    assert all(of_grad == of_output for of_grad, of_output in strides)


@torch.no_grad()
def test_a_static_image_passes_the_first_convolution_once():
    backbone = meta(time_steps=4)
    batches = []
    backbone.stem.conv.register_forward_hook(lambda m, args, out: batches.append(len(args[0])))
    backbone(torch.randn(3, 3, 32, 32))
    assert batches == [3]


@torch.no_grad()
def test_fused_backbone_equals_the_trained_form():
    torch.manual_seed(0)
    backbone = meta().double()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for _ in range(3):  # move the running statistics away from their start
        backbone(torch.randn_like(x))
    expected = backbone.eval()(x)[0]
    torch.testing.assert_close(fuse_(backbone)(x)[0], expected, rtol=1e-12, atol=1e-12)


def test_drop_path_changes_training_only_and_spares_the_first_block():
    torch.manual_seed(0)
    backbone = meta(drop_path_rate=0.9)
    rates = [m.rate for m in backbone.modules() if hasattr(m, "rate")]
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(0.9)
    assert rates == sorted(rates)
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        backbone.eval()
        assert torch.equal(backbone(x)[0], backbone(x)[0])


def test_frozen_stages_neither_train_nor_update_their_statistics():
    backbone = meta(frozen_stages=1).train()
    backbone(torch.randn(2, 3, 32, 32))[0].square().mean().backward()
    frozen = ("stem.", "stages.0.", "stages.1.")
    for name, parameter in backbone.named_parameters():
        assert (parameter.grad is None) == name.startswith(frozen)
    for key, value in backbone.state_dict().items():
        if "num_batches_tracked" in key:
            assert value == (0 if key.startswith(frozen) else 1), key


@pytest.mark.parametrize("levels", [True, (1, 3)])
@pytest.mark.parametrize("name", ["meta", "imagenet"])
def test_recomputed_stages_give_the_same_gradients_and_statistics(name, levels):
    build, shape, _ = BACKBONES[name]
    trained = []
    for with_cp in (False, levels):
        torch.manual_seed(0)
        backbone = build(drop_path_rate=0.5, with_cp=with_cp).double()
        for _ in range(2):  # the second step sees the statistics of the first
            backbone(3 * torch.randn(shape).double())[-1].square().sum().backward()
        trained.append(backbone)
    plain, recomputed = trained
    for one, two in zip(plain.parameters(), recomputed.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-12, atol=1e-12)
    assert all(
        torch.equal(one, two)
        for one, two in zip(plain.buffers(), recomputed.buffers(), strict=True)
    )


def test_recomputed_stages_keep_fewer_tensors():
    def kept(**settings) -> int:
        numbers = []

        def pack(tensor):
            numbers.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            meta(**settings)(torch.randn(2, 3, 32, 48))
        return sum(numbers)

    assert kept(with_cp=True) < 0.2 * kept(with_cp=(0,)) < 0.2 * kept()


def test_depth_of_a_layer_grows_by_one_with_each_block():
    backbone, prefix = meta(), "backbone."
    depths = {}
    for name, _ in backbone.named_parameters():
        depth, layers = backbone.get_layer_depth(prefix + name, prefix)
        depths.setdefault(".".join(name.split(".")[: 3 if name.startswith("stages") else 1]), depth)
    assert depths == {
        "stem": 0,
        "stages.0.block0": 1,
        "stages.1.downsample": 2,
        "stages.1.block0": 2,
        "stages.2.downsample": 3,
        "stages.2.block0": 3,
        "stages.2.block1": 4,
        "stages.3.downsample": 5,
        **{f"stages.3.block{index}": 5 + index for index in range(6)},
        "stages.4.downsample": 11,
        "stages.4.block0": 11,
        "stages.4.block1": 12,
    }
    assert layers == 14
    assert backbone.get_layer_depth("head.fc.weight", prefix) == (13, 14)


def test_neuron_config_reaches_every_neuron():
    backbone = meta(neuron=dict(type="LIF", tau=3.0))
    neurons = [m for m in backbone.modules() if isinstance(m, SpikingNeuron)]
    assert {neuron.tau for neuron in neurons} == {3.0}
    assert {neuron.v_threshold for neuron in neurons} == {1.0, 0.5}


def test_pretrained_weights_load_by_init_cfg(tmp_path):
    source, file = meta(), tmp_path / "weights.pth"
    torch.save(dict(state_dict=source.state_dict()), file)
    target = meta(init_cfg=dict(type="Pretrained", checkpoint=str(file)))
    target.init_weights()
    for key, value in target.state_dict().items():
        assert torch.equal(value, source.state_dict()[key]), key


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: MetaSpikeFormer("16m"), r"unknown arch '16m'.*15m.*31m.*55m"),
        (lambda: MetaSpikeFormer(dict(dims=3)), "embed_dims"),
        (lambda: Spikformer("imagenet", "9-512"), r"unknown arch '9-512'.*8-512"),
        (lambda: ESpikeFormer("15m"), r"unknown arch '15m'.*5m.*10m.*19m"),
        (lambda: Spikformer("video"), r"unknown variant 'video'.*cifar"),
        (lambda: Spikformer("cifar", dict(embed_dims=20, depth=1, num_heads=2)), "multiple of 8"),
        (lambda: meta(time_steps=0), "at least 1, got 0"),
        (lambda: meta(in_channels=0), "in_channels must be at least 1"),
        (lambda: spikformer("cifar", in_channels=0), "in_channels must be at least 1"),
        (lambda: MetaSpikeFormer(None), r"arch is one of \['15m', .*or a dict, got None"),
        (lambda: MetaSpikeFormer(dict(TINY, depths=(-1, 2))), "depths takes 2 .* at least 0"),
        (
            lambda: MetaSpikeFormer(dict(TINY, num_heads=0)),
            "num_heads takes a .* at least 1, got 0",
        ),
        (lambda: MetaSpikeFormer(dict(TINY, num_heads=-2)), "at least 1, got -2"),
        (
            lambda: MetaSpikeFormer(dict(TINY, embed_dims=(8, 8))),
            "embed_dims takes 4 whole numbers",
        ),
        (
            lambda: Spikformer("cifar", dict(TINY_SPIKFORMER, depth=-1)),
            "depth takes a .* at least 0",
        ),
        (
            lambda: Spikformer("cifar", dict(TINY_SPIKFORMER, num_heads=0)),
            "num_heads takes a whole",
        ),
        (
            lambda: meta(time_steps=True),
            "time_steps must be a whole number of at least 1, got True",
        ),
        (lambda: meta(out_indices=("4",)), "out_indices is a tuple of whole numbers"),
        (lambda: meta(out_indices=4), "out_indices is a tuple of whole numbers, got 4"),
        (lambda: meta(out_indices=(2.0,)), "out_indices is a tuple of whole numbers"),
        (lambda: meta(time_steps=2.0), "whole number"),
        (lambda: meta(out_indices=(5,)), r"0\.\.4"),
        (lambda: meta(out_indices=(3, 1)), "ascend"),
        (lambda: meta(frozen_stages=9), "frozen_stages"),
        (lambda: meta(with_cp=(5,)), "with_cp"),
        (lambda: meta(shortcut="none"), "unknown shortcut"),
        (lambda: meta(attention="softmax"), "unknown attention"),
        (lambda: meta(depth=3), "depth"),
    ],
)
def test_bad_settings_are_refused_with_what_would_do(build, message):
    with pytest.raises((ValueError, TypeError), match=message):
        build()


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (1, 3, 33, 32),
            r"33x32 is no multiple of the stride 16.*pad_size_divisor=16; .*mmseg: size_divisor=16",
        ),
        ((1, 3, 0, 32), "0x32"),
        ((1, 1, 32, 32), "expected 3 channels"),
        ((3, 32, 32), r"\[N, C, H, W\]"),
        ((1, 7, 3, 32, 32), "7 event frames.*time_steps=2"),
    ],
)
def test_bad_input_is_refused_with_what_would_do(shape, message):
    with pytest.raises(ValueError, match=message):
        meta()(torch.zeros(shape))

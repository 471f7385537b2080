import pytest
import torch
from torch import nn
from torch.nn import functional as F

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")
from spikevision.heads.segmentation import SpikingFCNHead, SpikingFPNHead, SpikingUPerHead

T, N, CLASSES = 3, 2, 5
CHANNELS = [4, 6, 8, 10]


def levels(strides=(2, 4, 8, 16), *, side=32, scale=3.0, time_steps=T):
    """Membrane potentials of a pyramid, large enough to make neurons fire at some places and not at others."""
    generator = torch.Generator().manual_seed(0)
    return tuple(
        scale
        * torch.randn(
            time_steps, N, c, side // s, side // s, generator=generator, dtype=torch.float64
        )
        for c, s in zip(CHANNELS, strides, strict=True)
    )


def with_random_statistics(head):
    """In eval mode, normalisation that is not the identity and lets neurons fire."""
    generator = torch.Generator().manual_seed(1)
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(1, 4, generator=generator)
            module.bias.data.uniform_(-1, 2, generator=generator)
            module.running_mean.uniform_(-0.5, 0.5, generator=generator)
            module.running_var.uniform_(0.1, 0.5, generator=generator)
    nn.init.normal_(head.conv_seg.weight, generator=generator)
    return head.double().eval()


def fpn_head(**kwargs):
    defaults = dict(in_channels=CHANNELS, in_index=[0, 1, 2, 3], channels=7, num_classes=CLASSES)
    return SpikingFPNHead(**{**defaults, **kwargs})


def uper_head(**kwargs):
    defaults = dict(in_channels=CHANNELS, in_index=[0, 1, 2, 3], channels=7, num_classes=CLASSES)
    return SpikingUPerHead(pool_scales=(1, 2), **{**defaults, **kwargs})


def fcn_head(**kwargs):
    return SpikingFCNHead(
        **{**dict(in_channels=8, in_index=2, channels=7, num_classes=CLASSES), **kwargs}
    )


HEADS = {"fpn": fpn_head, "uper": uper_head, "fcn": fcn_head}


# An independent definition: one time step after the other, on plain 4-D maps, with the neuron written out.


class Steps:
    """Runs a head's weights step by step; holds the potential of each of its neurons."""

    def __init__(self, head):
        self.weights = dict(head.state_dict())
        self.potential = {}

    def fire(self, name, x):
        h = self.potential.get(name, torch.zeros_like(x))
        h = h + (x - h) / 2
        spikes = (h >= 1).to(x.dtype)
        self.potential[name] = h * (1 - spikes)
        return spikes

    def unit(self, name, x):
        weight = self.weights[f"{name}.layer.weight"]
        y = F.conv2d(self.fire(name, x), weight, padding=weight.shape[-1] // 2)
        return self.normalise(f"{name}.norm", y)

    def normalise(self, name, x):
        mean, var, gain, shift = (
            self.weights[f"{name}.{key}"].view(1, -1, 1, 1)
            for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * gain + shift

    def classify(self, x):
        return F.conv2d(
            self.fire("seg", x), self.weights["conv_seg.weight"], self.weights["conv_seg.bias"]
        )


def to_size(x, size):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def fpn_step(run, maps):
    total = 0
    for level, (x, units) in enumerate(zip(maps, (1, 1, 2, 3), strict=True)):
        for k in range(units):
            x = run.unit(f"scale_heads.{level}.{2 * k if level else 0}", x)
            if level:
                x = to_size(x, (x.shape[-2] * 2, x.shape[-1] * 2))
        total = total + x
    return run.classify(total)


def uper_step(run, maps):
    last = maps[-1]
    pooled = []
    for i, scale in enumerate((1, 2)):
        cells = run.normalise(f"pools.{i}.0.1", F.adaptive_avg_pool2d(last, scale))
        pooled.append(to_size(run.unit(f"pools.{i}.1", cells), last.shape[-2:]))
    path = run.unit("bottleneck", torch.cat([last, *pooled], 1))
    outputs = {3: path}
    for i in (2, 1, 0):
        side = run.unit(f"laterals.{i}", maps[i])
        path = side + to_size(path, side.shape[-2:])
        outputs[i] = run.unit(f"outputs.{i}", path)
    joined = [to_size(outputs[i], maps[0].shape[-2:]) for i in range(4)]
    return run.classify(run.unit("fusion", torch.cat(joined, 1)))


def fcn_step(run, maps):
    return run.classify(run.unit("convs.1", run.unit("convs.0", maps[2])))


STEPS = {"fpn": fpn_step, "uper": uper_step, "fcn": fcn_step}


@pytest.mark.parametrize("kind", HEADS)
def test_head_equals_running_its_weights_one_time_step_after_the_other(kind):
    torch.manual_seed(0)
    head = with_random_statistics(HEADS[kind]())
    maps = levels()
    run = Steps(head)
    expected = sum(STEPS[kind](run, [x[t] for x in maps]) for t in range(T)) / T
    logits = head(maps)
    assert logits.shape == (N, CLASSES, *expected.shape[-2:])
    torch.testing.assert_close(logits, expected, rtol=1e-9, atol=1e-9)
    assert expected.std() > 0.1  # the neurons did fire


@pytest.mark.parametrize("kind", HEADS)
def test_every_convolution_of_the_head_sees_spikes_only(kind):
    torch.manual_seed(0)
    head = with_random_statistics(HEADS[kind]())
    seen = {}

    def note(module, inputs):
        seen[module] = inputs[0].detach()

    convolutions = [m for m in head.modules() if isinstance(m, nn.Conv2d)]
    for module in convolutions:
        module.register_forward_pre_hook(note)
    head(levels())
    assert set(seen) == set(convolutions)
    for spikes in seen.values():
        assert set(spikes.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("kind", HEADS)
def test_gradient_reaches_every_parameter_and_every_used_level(kind):
    torch.manual_seed(0)
    head = HEADS[kind]().double().train()
    maps = [x.requires_grad_() for x in levels()]
    logits = head(maps)
    (logits * torch.randn_like(logits)).sum().backward()
    without = [
        name for name, p in head.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert without == []
    used = [2] if kind == "fcn" else [0, 1, 2, 3]
    assert [i for i, x in enumerate(maps) if x.grad is not None and x.grad.abs().sum() > 0] == used


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("time_steps", [1, 4])
def test_no_neuron_of_a_fresh_head_is_silent_or_saturated(kind, time_steps):
    from spikevision.neurons import SpikingNeuron

    torch.manual_seed(0)
    head = HEADS[kind](in_channels=32 if kind == "fcn" else [32] * 4, channels=32).double()
    head.init_weights()
    rates = {}
    for name, module in head.train().named_modules():
        if isinstance(module, SpikingNeuron):
            module.register_forward_hook(
                lambda _, inputs, spikes, name=name: rates.__setitem__(name, spikes.mean().item())
            )
    sides = (32, 16, 8, 8) if kind == "uper" else (32, 16, 8, 4)
    head([2 * torch.randn(time_steps, 4, 32, side, side).double() for side in sides])
    assert len(rates) > 2
    assert all(0.02 < rate < 0.6 for rate in rates.values()), rates


def test_published_strides_build_the_same_fpn_head_as_the_true_ones():
    true, published = (
        fpn_head(feature_strides=s).state_dict() for s in ((2, 4, 8, 16), (4, 8, 16, 32))
    )
    assert {k: v.shape for k, v in true.items()} == {k: v.shape for k, v in published.items()}


def test_fpn_head_answers_at_the_stride_of_its_first_level():
    assert fpn_head().double()(levels(side=64)).shape[-2:] == (32, 32)
    head = fpn_head(feature_strides=(4, 8, 16, 16)).double()
    assert head(levels((4, 8, 16, 16), side=64)).shape[-2:] == (16, 16)


def test_strides_that_the_maps_do_not_have_are_an_error():
    head = fpn_head(feature_strides=(4, 8, 16, 32)).double()
    head(levels((2, 4, 8, 16)))  # the same ratios, so the same head
    with pytest.raises(ValueError, match=r"feature_specs\(\)"):
        head(levels((4, 8, 16, 16)))


@pytest.mark.parametrize("strides", [(4, 2, 8, 16), (2, 4, 8, 12), (2, 4, 8), (0, 2, 4, 8)])
def test_impossible_strides_are_refused(strides):
    with pytest.raises(ValueError, match="feature_strides"):
        fpn_head(feature_strides=strides)


@pytest.mark.parametrize("kind", HEADS)
def test_maps_without_time_are_refused(kind):
    with pytest.raises(ValueError, match=r"\[T, N, C, H, W\]"):
        HEADS[kind]()([x[0].float() for x in levels()])


@pytest.mark.parametrize("setting", [{"norm_cfg": dict(type="BN")}, {"act_cfg": dict(type="ReLU")}])
def test_settings_that_would_be_ignored_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        fpn_head(**setting)


def test_fcn_head_without_convolution_is_refused():
    with pytest.raises(ValueError, match="num_convs"):
        fcn_head(num_convs=0)


def test_neuron_config_reaches_every_neuron_of_the_head():
    from spikevision.neurons import SpikingNeuron

    for build in HEADS.values():
        head = build(neuron=dict(type="IF", v_threshold=0.7))
        neurons = [m for m in head.modules() if isinstance(m, SpikingNeuron)]
        assert {type(m).__name__ for m in neurons} == {"IF"}
        assert {m.v_threshold for m in neurons} == {0.7}
        assert len(neurons) == sum(isinstance(m, nn.Conv2d) for m in head.modules())


@pytest.mark.parametrize("kind", HEADS)
def test_heads_work_at_one_time_step_and_with_aligned_corners(kind):
    head = HEADS[kind](align_corners=True).double().eval()
    assert head(levels(time_steps=1)).shape[:2] == (N, CLASSES)


def test_heads_are_found_by_name_in_a_stock_mmseg_config():
    from mmseg.registry import MODELS

    cfg = dict(in_channels=8, in_index=2, channels=7, num_classes=CLASSES)
    assert isinstance(MODELS.build(dict(type="spikevision.SpikingFCNHead", **cfg)), SpikingFCNHead)

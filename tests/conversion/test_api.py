"""Conversion as a user calls it, on a stock classifier of mmpretrain."""

import copy

import pytest
import torch
from tiny_vit import logits_of, snr_db, tiny_vit
from torch import nn

from spikevision.conversion import STAConfig, Statistics, calibrate, convert, convert_, prepare_

IMAGES = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def vit():
    return tiny_vit()


def test_exact_preset_equals_the_ann_at_every_step(vit):
    snn = convert(vit.double(), [IMAGES.double()], STAConfig(preset="exact"))
    wanted = logits_of(vit, IMAGES.double())
    vit.float()
    for found in snn.run(IMAGES.double(), 5, at=[1, 2, 3, 4, 5]).values():
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("preset", "floor_db"), [("sta", 12), ("sta+", 12), ("ecmt", 25)])
def test_spikes_approach_the_ann(vit, preset, floor_db):
    snn = convert(vit, [IMAGES], STAConfig(preset=preset))
    wanted = logits_of(vit, IMAGES)
    found = {t: snr_db(wanted, logits) for t, logits in snn.run(IMAGES, 32, at=[2, 32]).items()}
    assert found[32] > max(floor_db, found[2])


def test_the_given_model_is_not_changed(vit):
    before = copy.deepcopy(vit.state_dict())
    convert(vit, [IMAGES])
    assert list(before) == list(vit.state_dict())
    assert not any(module._forward_hooks for module in vit.modules())


def test_an_answer_does_not_depend_on_earlier_calls_or_on_the_horizon(vit):
    snn = convert(vit, [IMAGES], STAConfig(time_steps=6))
    first = snn(IMAGES)
    snn.run(IMAGES[:2], 3)
    assert torch.equal(snn(IMAGES), first)
    assert torch.equal(snn.run(IMAGES, 9, at=[6, 9])[6], first)


def test_images_of_another_size_than_calibrated_are_converted_too(vit):
    snn = convert(vit, [IMAGES], STAConfig(preset="ecmt"))
    larger = torch.randn(2, 3, 48, 48, generator=torch.Generator().manual_seed(1))
    assert snr_db(logits_of(vit, larger), snn(larger)) > 15


def test_merged_shards_give_the_plan_of_one_run_to_the_bit(vit):
    batches = [IMAGES[:2], IMAGES[2:4], IMAGES[4:]]
    whole = calibrate(vit, batches)
    shards = [calibrate(vit, [batch]) for batch in batches]
    merged = Statistics.merge([shards[2], shards[0], shards[1]])
    one, many = (convert_(copy.deepcopy(vit), s).state_dict() for s in (whole, merged))
    assert whole.images == merged.images == 6
    assert list(one) != list(vit.state_dict())
    assert all(torch.equal(one[name], many[name]) for name in one)


def test_early_exit_keeps_the_first_sure_answer_of_each_image(vit):
    snn = convert(vit, [IMAGES], STAConfig(time_steps=12))
    logits, taken = snn.run_until_sure(IMAGES, margin=0.3)
    curve = snn.run(IMAGES, 12, at=range(1, 13))
    for i, t in enumerate(taken.tolist()):
        assert torch.equal(logits[i], curve[t][i])
        leads = [float((p := curve[s][i].softmax(0).topk(2).values)[0] - p[1]) for s in range(1, t)]
        assert max(leads, default=0) < 0.3
    assert len(set(taken.tolist())) > 1


def test_a_module_ruled_out_stays_in_floating_point(vit):
    snn = convert(vit, [IMAGES], rules={"backbone": None, "head": None})
    assert snn.report.populations == []
    torch.testing.assert_close(snn.run(IMAGES, 3)[3], logits_of(vit, IMAGES))


# --- bad input


def test_no_calibration_data_is_an_error(vit):
    with pytest.raises(ValueError, match="nothing to calibrate with"):
        convert(vit, [])


def test_activations_that_are_not_finite_are_an_error(vit):
    with pytest.raises(ValueError, match=r"layers.0.ln1.*not finite"):
        convert(vit, [IMAGES * torch.nan])


def test_a_model_in_train_mode_is_an_error():
    model = tiny_vit()
    model.train()
    with pytest.raises(ValueError, match=r"train mode.*model.eval"):
        convert(model, [IMAGES])


@pytest.mark.parametrize("converted", [lambda snn: snn, lambda snn: snn.model])
def test_a_conversion_asked_twice_is_an_error(vit, converted):
    snn = convert(vit, [IMAGES], STAConfig(time_steps=2))
    with pytest.raises(ValueError, match="converted before"):
        prepare_(converted(snn))


def test_a_rule_that_matches_nothing_is_an_error(vit):
    with pytest.raises(ValueError, match="'neck' matches no module"):
        convert(vit, [IMAGES], rules={"neck": None})


@pytest.mark.parametrize(
    ("time_steps", "at", "message"),
    [
        (0, None, "at least 1, got 0"),
        (4, [1, 5], r"1 ... 4, got \[5\]"),
        (4, [0], r"1 ... 4, got \[0\]"),
        (4, [], "empty"),
    ],
)
def test_impossible_steps_are_an_error(vit, time_steps, at, message):
    snn = convert(vit, [IMAGES], STAConfig(preset="exact"))
    with pytest.raises(ValueError, match=message):
        snn.run(IMAGES, time_steps, at=at)


def test_statistics_of_another_model_or_preprocessing_are_refused(vit):
    statistics = calibrate(vit, [IMAGES], preprocessing="mean 0")
    with pytest.raises(ValueError, match="another model"):
        convert_(tiny_vit(seed=1), statistics, preprocessing="mean 0")
    with pytest.raises(ValueError, match="preprocessing 'mean 0'"):
        convert_(copy.deepcopy(vit), statistics, preprocessing="mean 1")


class Strange(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.inner = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.inner(torch.erfinv(self.first(x).clamp(-0.9, 0.9)))


def test_a_function_without_handler_is_an_error_that_names_the_ways_out():
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), Strange()).eval()
    with pytest.raises(ValueError, match=r"module '2' \(Strange\) computes 'clamp'") as error:
        convert(model, [torch.randn(8, 4)])
    for way_out in ("unsupported='exact'", "rules={'2': None}", "handles(STAConfig, 'clamp')"):
        assert way_out in str(error.value)


@pytest.mark.parametrize(
    "way_out", [{"config": STAConfig(unsupported="exact")}, {"rules": {"2": None}}]
)
def test_the_ways_out_convert_a_function_without_handler(way_out):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), Strange()).eval()
    x = torch.randn(8, 4)
    snn = convert(model, [x], **way_out)
    assert snr_db(logits_of(model, x), snn.run(x, 128)[128]) > 25

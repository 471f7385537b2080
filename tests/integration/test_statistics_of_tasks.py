"""Spike statistics of a detector and a segmentor: every layer, every time step, counted as by an independent definition."""

import copy
import json
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import torch
from brute_force import conv_operations
from torch import nn

from spikevision.cli.main import main
from spikevision.jobs.evaluate import evaluate
from spikevision.jobs.report import write_report
from spikevision.jobs.spec import RunSpec
from spikevision.statistics import SpikeRecorder
from spikevision.statistics.synops import SYNAPTIC
from spikevision.statistics.tensor_summary import Kind

pytest.importorskip("mmdet.models", reason="mmdet is not installed")
pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")

SCHEMA = Path(__file__).parents[2] / "docs" / "statistics-schema.json"
TIME_STEPS = 2


def detector():
    """A Mask R-CNN and batches of images of two sizes."""
    from tiny_detectors import batch, build, shrunk

    return build(shrunk("mask-rcnn", TIME_STEPS)).eval(), [batch(1), batch(1, side=96)]


def segmentor():
    """A Semantic-FPN and batches of images of two sizes."""
    from tiny_segmentors import SEMANTIC_FPN, batch, build, enliven

    return enliven(build(SEMANTIC_FPN)).eval(), [batch(n=1), batch(64, 96, n=1)]


class Counted:
    """A record of some calls of a model, and what each synaptic layer was given and gave in them."""

    def __init__(self, model: nn.Module, batches: list) -> None:
        self.model = model
        self.calls: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        layers = {name: m for name, m in model.named_modules() if isinstance(m, SYNAPTIC)}
        handles = [layer.register_forward_hook(self._keep(name)) for name, layer in layers.items()]
        with SpikeRecorder(model) as recorder, torch.no_grad():
            for batch in batches:
                getattr(model, "test_step", model)(batch)
        for handle in handles:
            handle.remove()
        self.record = recorder.record

    def _keep(self, name):
        def hook(module, args, output):
            self.calls.setdefault(name, []).append((args[0], output))

        return hook


@cache
def counted_in(task) -> Counted:
    return Counted(*task())


@pytest.fixture(params=[detector, segmentor], ids=["detector", "segmentor"])
def counted(request) -> Counted:
    return counted_in(request.param)


def operations(layer: nn.Module, x: torch.Tensor) -> list[int]:
    """Values times the outputs that read them: the gradient of the sum under weights of one. One number per step."""
    ones = copy.deepcopy(layer).double().requires_grad_(False)
    for parameter in ones.parameters():
        parameter.fill_(1)
    x = x.detach().double().requires_grad_()
    (readers,) = torch.autograd.grad(ones(x).sum(), x)
    return (x * readers).detach().reshape(TIME_STEPS, -1).sum(1).long().tolist()


def test_every_layer_of_every_part_is_listed_with_all_its_steps(counted):
    layers = counted.record.layers
    assert set(counted.calls) == {name for name in layers if "[" not in name}
    behind_the_first = {
        name: entry for name, entry in layers.items() if entry.about["role"] != "first"
    }
    assert {entry.time_steps for entry in behind_the_first.values()} == {TIME_STEPS}
    neurons = {
        name for name, module in counted.model.named_modules() if hasattr(module, "v_threshold")
    }
    assert set(counted.record.neurons) == neurons


def test_counts_of_neck_and_heads_equal_an_independent_count_at_each_step(counted):
    spiking = 0
    for name, calls in counted.calls.items():
        entry, layer = counted.record.layers[name], counted.model.get_submodule(name)
        if entry.kind is not Kind.BINARY or name.startswith("backbone"):
            continue
        steps = torch.tensor([operations(layer, x) for x, _ in calls]).sum(0).tolist()
        assert entry.per_step("synops") == steps, name
        assert entry.total("spikes") == sum(int(x.sum()) for x, _ in calls), name
        spiking += sum(steps) > 0
    assert spiking > 5  # layers at which something was there to count


def box_head():
    from spikevision.heads.detection import SpikingBBoxHead

    return SpikingBBoxHead(in_channels=2, roi_feat_size=3, fc_out_channels=4, num_classes=2)


def mask_head():
    from spikevision.heads.detection import SpikingMaskHead

    return SpikingMaskHead(
        num_convs=1, roi_feat_size=3, in_channels=2, conv_out_channels=3, num_classes=2
    )


@pytest.mark.parametrize("build", [box_head, mask_head])
def test_a_head_on_regions_equals_a_plain_count_of_every_spike_and_target(build):
    torch.manual_seed(0)
    head = build()
    head.init_weights()
    counted = Counted(head.eval(), [4 * torch.rand(TIME_STEPS, 3, 2, 3, 3)])
    assert len(counted.calls) == {"box_head": 4, "mask_head": 3}[build.__name__]
    for name, ((x, output),) in counted.calls.items():
        layer = head.get_submodule(name)
        if isinstance(layer, nn.Linear):
            plain = [sum(len(layer.weight) for v in step.flatten() if v) for step in x.view(2, -1)]
        else:
            steps = x.unflatten(0, (TIME_STEPS, 3))
            plain = [conv_operations(layer, step, output.shape[2:]) for step in steps]
        assert counted.record.layers[name].per_step("synops") == plain, name
        assert sum(plain) > 0, name


def test_image_sizes_are_kept_apart_in_neck_and_heads(counted):
    small, large = counted.record.images
    for name in counted.calls:
        if "roi_head" not in name:
            sizes = counted.record.layers[name].by_size
            macs = [
                sum(sizes[size]["macs"]) / counted.record.images[size] for size in (small, large)
            ]
            assert macs[0] < macs[1], name


def test_all_proposals_of_an_image_are_its_share_of_the_roi_heads():
    """Per image means: over all its proposals, as many as the region proposal network found."""
    detected = counted_in(detector)
    for name in ("bbox_head.fc_cls", "mask_head.conv_logits.layer", "mask_head.upsample.layer"):
        calls = detected.calls[f"roi_head.{name}"]
        regions = sum(x.numel() // x.shape[-1] if x.dim() == 3 else len(x) for x, _ in calls)
        layer = detected.model.get_submodule(f"roi_head.{name}")
        entry = detected.record.layers[f"roi_head.{name}"]
        per_region = {
            "bbox_head.fc_cls": layer.weight.numel(),
            "mask_head.conv_logits.layer": layer.weight.numel() * 28 * 28,
            "mask_head.upsample.layer": layer.weight.numel() * 14 * 14,
        }[name]
        assert regions > TIME_STEPS * detected.record.num_images, "several regions per image"
        assert entry.total("macs") == regions * per_region


def test_box_and_mask_heads_are_driven_by_spikes_and_published_box_readouts_are_not():
    from tiny_detectors import batch, build, shrunk

    config = shrunk("mask-rcnn", TIME_STEPS)
    config.model.roi_head.bbox_head.form = "published"
    record = Counted(build(config).eval(), [batch(1)]).record
    kinds = {name: entry.kind for name, entry in record.layers.items() if "roi_head" in name}
    real = {name for name, kind in kinds.items() if kind is Kind.REAL}
    assert real == {"roi_head.bbox_head.fc_cls", "roi_head.bbox_head.fc_reg"}


# the commands, on configs in files


@pytest.fixture(scope="session")
def evaluated(tiny_detector, tiny_segmentor, tmp_path_factory) -> dict[str, Path]:
    """Run folders of ``test --spike-stats``."""
    folder = tmp_path_factory.mktemp("evaluated")
    runs = {}
    for task, (config, checkpoint) in (
        ("detection", tiny_detector),
        ("segmentation", tiny_segmentor),
    ):
        spec = RunSpec(
            config=config, checkpoint=checkpoint, work_dir=str(folder / task), spike_stats=True
        )
        runs[task] = evaluate(spec).run_dir
    return runs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "metric", "layers"),
    [
        (
            "detection",
            "coco/segm_mAP",
            [
                "neck.outputs.0.layer",
                "rpn_head.rpn_cls.layer",
                "roi_head.bbox_head.fc_cls",
                "roi_head.mask_head.upsample.layer",
            ],
        ),
        ("segmentation", "mIoU", ["neck.outputs.0.layer", "decode_head.conv_seg"]),
    ],
)
def test_an_evaluation_writes_the_layers_of_its_task_beside_its_metric(
    evaluated, task, metric, layers
):
    values = json.loads((evaluated[task] / "statistics.json").read_text())
    jsonschema.validate(values, json.loads(SCHEMA.read_text()))
    assert metric in values["metrics"]
    assert set(layers) <= set(values["summary"]["layers"])
    assert sum(values["images"].values()) == (4 if task == "detection" else 2)
    assert all(energy["snn_mj"] > 0 for energy in values["summary"]["energy"])


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_a_report_shows_the_metric_and_images_with_their_spikes(evaluated, tmp_path, task):
    pytest.importorskip("plotly", reason="the report draws with Plotly")
    samples = json.loads((evaluated[task] / "spike_samples.json").read_text())["images"]
    parts = [entry["neuron"].split(".")[0] for entry in samples[1]["maps"]]
    assert parts[0] == "backbone"
    assert parts[-1] == {"detection": "rpn_head", "segmentation": "decode_head"}[task]
    page = write_report([evaluated[task]], output=tmp_path / "report.html").read_text()
    assert {"detection": "coco/bbox_mAP", "segmentation": "mIoU"}[task] in page
    assert "Images and their spikes" in page


@pytest.mark.slow
@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_an_audit_names_the_layers_without_spikes_and_fusing_mends_them(
    tiny_detector, tiny_segmentor, capsys, task
):
    config, checkpoint = {"detection": tiny_detector, "segmentation": tiny_segmentor}[task]
    assert main(["audit", config, checkpoint, "--strict"]) == 1
    shown = capsys.readouterr().out
    assert "inside a RepConv that is not fused" in shown
    assert "first layer: it encodes the input" in shown
    assert main(["audit", config, checkpoint, "--strict", "--fused"]) == 0
    assert "spike-driven behind the first layer: yes" in capsys.readouterr().out


@pytest.mark.slow
def test_an_audit_says_why_a_published_box_head_is_not_driven_by_spikes(tiny_detector, capsys):
    config, checkpoint = tiny_detector
    options = ["--cfg-options", "model.roi_head.bbox_head.form=published"]
    assert main(["audit", config, checkpoint, "--strict", "--fused", *options]) == 1
    shown = capsys.readouterr().out
    assert "roi_head.bbox_head.fc_cls (Linear)  receives real values" in shown

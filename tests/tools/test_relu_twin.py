"""What turns a config into its ReLU twin, and what the comparison tells."""

import importlib.util
import json
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from spikevision.jobs.config import load_config
from spikevision.jobs.runtime import build_model
from spikevision.jobs.spec import RunResult
from spikevision.neurons import ReLU, SpikingNeuron
from spikevision.tasks import TASKS

ROOT = Path(__file__).parents[2]
QUICK = ROOT / "configs" / "quick"


@pytest.fixture(scope="module")
def relu_twin():
    path = ROOT / "tools" / "benchmarks" / "relu_twin.py"
    spec = importlib.util.spec_from_file_location("relu_twin", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", ["mask-rcnn", "retinanet", "semantic-fpn"])
def test_no_neuron_is_left_in_the_twin(relu_twin, kind):
    (path,) = QUICK.glob(f"{kind}_meta-*.py")
    config = load_config(path, options=relu_twin.twin_options(str(path)))
    with DefaultScope.overwrite_default_scope(config.default_scope):
        model = build_model(config)
    assert {type(m) for m in model.modules() if isinstance(m, SpikingNeuron)} == {ReLU}
    assert model.backbone.time_steps == 1


def test_a_config_that_names_no_neuron_is_refused(relu_twin):
    path = ROOT / "configs" / "detection" / "fcos_meta-spikeformer-15m_t1_8xb2-12e_coco.py"
    with pytest.raises(ValueError, match="names no neuron"):
        relu_twin.twin_options(str(path))


def test_difference_is_in_points_of_the_means(relu_twin, tmp_path):
    def runs(*shares):
        return [
            RunResult(run_dir=tmp_path, status="finished", metrics={"coco/bbox_mAP_50": share})
            for share in shares
        ]

    table = relu_twin.compare(
        {"spiking": runs(0.4, 0.5), "relu": runs(0.5, 0.5)}, TASKS["detection"]
    )
    assert table == {
        "coco/bbox_mAP_50": {
            "spiking_percent": [40.0, 50.0],
            "relu_percent": [50.0, 50.0],
            "difference_points": -5.0,
        }
    }


def test_curves_of_all_sessions_of_a_run_are_joined(relu_twin, tmp_path):
    for session, steps in (("1", (10, 20)), ("2", (20, 30))):
        file = tmp_path / session / "vis_data" / "scalars.json"
        file.parent.mkdir(parents=True)
        lines = [json.dumps({"loss": step + int(session), "step": step}) for step in steps]
        file.write_text("\n".join(lines))
    run = RunResult(run_dir=tmp_path, status="finished")
    assert relu_twin.curve(run, "loss") == ([10, 20, 30], [11, 22, 32])

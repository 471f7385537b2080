"""The small detection and segmentation configs."""

from pathlib import Path

import pytest
import yaml
from mmengine.registry import DefaultScope

from spikevision.jobs.config import load_config
from spikevision.jobs.runtime import build_model
from spikevision.neurons import SpikingNeuron

FOLDER = Path(__file__).parents[2] / "configs" / "quick"
CONFIGS = sorted(FOLDER.glob("*scratch-assay.py"))
SPIKING = [path for path in CONFIGS if "meta-spikeformer" in path.stem]


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def path(request):
    return request.param


def build(config):
    with DefaultScope.overwrite_default_scope(config.default_scope):
        return build_model(config)


def test_there_is_one_of_each_kind():
    kinds = {path.stem.split("_")[0] for path in SPIKING}
    assert kinds == {"mask-rcnn", "retinanet", "semantic-fpn"}
    kinds = {path.stem.split("_")[0] for path in set(CONFIGS) - set(SPIKING)}
    assert kinds == {"mask-rcnn", "segmenter", "upernet"}  # to be converted


def test_it_builds_and_has_the_size_that_the_metafile_says(path):
    models = yaml.safe_load((FOLDER / "metafile.yml").read_text())["Models"]
    (entry,) = [model for model in models if model["Name"] == path.stem]
    size = sum(parameter.numel() for parameter in build(load_config(path)).parameters())
    assert entry["Metadata"]["Parameters"] == size


@pytest.mark.parametrize("path", SPIKING, ids=lambda path: path.stem)
def test_every_neuron_is_the_one_that_learns_from_scratch(path):
    """One that a part of the config forgets would be the published one, with a threshold of 1."""
    neurons = [m for m in build(load_config(path)).modules() if isinstance(m, SpikingNeuron)]
    thresholds = {neuron.v_threshold for neuron in neurons}
    assert len(neurons) > 40
    assert 1.0 not in thresholds


def test_schedule_ends_with_the_training(path):
    config = load_config(path)
    assert config.param_scheduler[-1].T_max == config.train_cfg.max_epochs
    assert config.param_scheduler[-1].end == config.train_cfg.max_epochs

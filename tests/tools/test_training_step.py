"""Every contestant of the training benchmark learns, and its detectors and segmentors train on random images."""

import sys

import pytest
import torch
import training_step
from contestants import Eager, SpikingJellySpikformer
from dense import _detection_batch, _segmentation_batch

from spikevision.neurons import SpikingNeuron
from spikevision.ops import get_neuron_backend
from spikevision.testing import build_classifier


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    arch = dict(embed_dims=32, depth=1, num_heads=2)
    return build_classifier(dict(type="spikevision.Spikformer", arch=arch, time_steps=2), 5)


def test_the_eager_contestant_has_the_same_weights_and_runs_the_plain_loop(tiny):
    eager, seen = Eager(tiny), []
    neurons = [m for m in eager.modules() if isinstance(m, SpikingNeuron)]
    assert neurons
    assert not any(neuron.spike_packing for neuron in neurons)
    neurons[0].register_forward_hook(lambda *_: seen.append(get_neuron_backend()))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(eager.eval()(images), tiny.eval()(images))
    assert seen == ["plain"]
    assert eager.head is eager.model.head


def test_a_step_leaves_gradients(tiny):
    training_step.training_step(tiny, lambda model: model(torch.randn(2, 3, 32, 32)).sum())()
    assert all(p.grad is not None for p in tiny.parameters())


def test_spikingjellys_own_spikformer_answers_the_same_twice():
    pytest.importorskip("spikingjelly")
    pytest.importorskip("h5py")
    model = SpikingJellySpikformer(size=32, time_steps=2, width=32, depth=1).eval()
    images = torch.randn(2, 3, 32, 32)
    logits = model(images)
    assert logits.shape == (2, 1000)
    assert torch.equal(model(images), logits)


def test_it_is_a_peer_of_its_own_size_only(monkeypatch, capsys):
    command = ["training_step.py", "meta-spikeformer-15m", "--peers", "spikingjelly_own"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit):
        training_step.parse_arguments()
    assert "spikformer-8-384 only" in capsys.readouterr().err


def test_random_batches_have_labels_for_their_task():
    detection, segmentation = _detection_batch(2, 64), _segmentation_batch(2, 64)
    assert [len(sample.gt_instances) for sample in detection["data_samples"]] == [8, 8]
    assert detection["data_samples"][0].gt_instances.masks.masks.shape == (8, 64, 64)
    assert segmentation["data_samples"][1].gt_sem_seg.data.shape == (1, 64, 64)
    assert segmentation["inputs"][0].shape == (3, 64, 64)

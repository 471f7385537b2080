import pytest
import torch

from spikevision.testing import build_classifier

TINY = dict(type="MetaSpikeFormer", arch=dict(embed_dims=(8, 8, 8, 8), num_heads=2), time_steps=3)


def test_logits_are_the_mean_of_the_classifier_over_time():
    model = build_classifier(TINY, 5)
    features = (torch.randn(3, 2, 8, 4, 4) * 4,)
    spikes = model.head.neuron(features[0].mean((-2, -1)))
    expected = torch.stack([model.head.fc(spikes[t]) for t in range(3)]).mean(0)
    torch.testing.assert_close(model.head(features), expected)


def test_spikformer_readout_has_no_neuron():
    backbone = dict(type="Spikformer", variant="cifar", arch="4-256", time_steps=2)
    with torch.device("meta"):
        assert build_classifier(backbone, 5).head.neuron is None


def test_distillation_head_answers_with_the_mean_of_both_classifiers():
    model = build_classifier(TINY, 5, distillation_head=True)
    features = (torch.randn(3, 2, 8, 4, 4),)
    classifier, distilled = model.head.forward_heads(features)
    torch.testing.assert_close(model.head(features), (classifier + distilled) / 2)


def test_classifier_of_no_classes_is_refused():
    with pytest.raises(ValueError, match="num_classes"):
        build_classifier(TINY, 0)


@pytest.mark.parametrize("backbone", [dict(type="ResNet"), dict(arch="15m"), "MetaSpikeFormer"])
def test_what_is_no_spiking_backbone_is_refused(backbone):
    with pytest.raises(ValueError, match="takes the config of a spiking backbone, such as dict"):
        build_classifier(backbone, 5)


def test_stock_loss_and_prediction_work_on_the_readout():
    from mmpretrain.structures import DataSample

    model = build_classifier(TINY, 5)
    images = torch.randn(2, 3, 32, 32)
    samples = [DataSample().set_gt_label(label) for label in (1, 4)]
    assert model(images, samples, mode="loss")["loss"].requires_grad
    predictions = model.eval()(images, samples, mode="predict")
    assert [len(sample.pred_score) for sample in predictions] == [5, 5]


def test_classifier_builds_after_a_runner_has_set_another_scope():
    from mmengine.registry import DefaultScope

    DefaultScope.get_instance("left by a runner", scope_name="mmengine")
    assert build_classifier(TINY, 5).head.loss_module is not None
    assert DefaultScope.get_current_instance().scope_name == "mmengine"

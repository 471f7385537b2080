"""Teachers from timm, through mmpretrain's TimmClassifier; their weights come from files here, not from a hub."""

import pytest
import torch

timm = pytest.importorskip("timm", reason="needs pip install spikevision[distill]")
PREPROCESSOR = dict(mean=[127.5] * 3, std=[64.0] * 3, to_rgb=False)


def teacher(**kwargs) -> dict:
    return dict(
        type="TimmClassifier", model_name="test_resnet", data_preprocessor=PREPROCESSOR, **kwargs
    )


def test_the_published_teacher_is_known_to_timm_with_weights():
    assert timm.is_model_pretrained("caformer_b36.sail_in22k_ft_in1k")


def test_a_checkpoint_of_timm_itself_makes_a_teacher(distiller, batch, tmp_path):
    torch.manual_seed(3)
    network = timm.create_model("test_resnet", num_classes=5)
    torch.save(network.state_dict(), tmp_path / "timm.pth")
    model = distiller(
        dict(type="SoftLogits"),
        dict(type="AttentionMaps", teacher="model.layer3"),
        teacher=dict(config=teacher(num_classes=5), checkpoint=str(tmp_path / "timm.pth")),
    )
    network.double().eval()
    (logits,), (attention,) = model.teacher.targets(batch["inputs"])
    torch.testing.assert_close(logits, network(batch["inputs"]), rtol=1e-12, atol=1e-12)
    assert attention.shape[:2] == (3, 1)
    assert set(model(**batch, mode="loss")) == {"loss", "loss_0_SoftLogits", "loss_1_AttentionMaps"}


def test_pretrained_weights_that_timm_loads_need_no_checkpoint(distiller, tmp_path):
    torch.manual_seed(3)
    network = timm.create_model("test_resnet")
    torch.save(network.state_dict(), tmp_path / "timm.pth")
    overlay = dict(file=str(tmp_path / "timm.pth"))
    model = distiller(teacher=dict(config=teacher(pretrained=True, pretrained_cfg_overlay=overlay)))
    found = model.teacher.model.model.state_dict()
    assert all(
        torch.equal(value, found[name].to(value)) for name, value in network.state_dict().items()
    )

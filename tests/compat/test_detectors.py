"""Detectors of mmdet as released, on the operators of spikevision: one training step and one prediction each."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

CONFIGS = [
    "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py",  # focal loss, nms
    "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py",  # RoIAlign
    "mmdet::dcnv2/faster-rcnn_r50-mdconv-c3-c5_fpn_1x_coco.py",  # modulated deformable convolution
]


def build(base, tmp_path):
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    path = tmp_path / "config.py"
    path.write_text(f"_base_ = {base!r}\n")
    config = Config.fromfile(path).model
    config.backbone.init_cfg = None
    with DefaultScope.overwrite_default_scope("mmdet"):
        torch.manual_seed(0)
        return MODELS.build(config)


@pytest.mark.slow
@pytest.mark.parametrize("base", CONFIGS)
def test_detector_trains_and_predicts(base, tmp_path):
    detector = build(base, tmp_path)
    from mmdet.testing import demo_mm_inputs

    packed = demo_mm_inputs(1, [[3, 64, 96]], with_mask=False)
    data = detector.data_preprocessor(packed, True)
    losses = detector.loss(data["inputs"], data["data_samples"])
    total = sum(
        torch.as_tensor(sum(v) if isinstance(v, list) else v)
        for k, v in losses.items()
        if "loss" in k
    )
    total.backward()
    gradients = [p.grad for p in detector.parameters() if p.grad is not None]
    assert torch.isfinite(total)
    assert len(gradients) > 50
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    with torch.no_grad():
        (sample,) = detector.eval().predict(data["inputs"], data["data_samples"])
    assert sample.pred_instances.bboxes.shape[1] == 4

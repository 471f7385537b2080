"""A tiny spiking student, a tiny teacher with saved weights, and a batch."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope

import spikevision  # noqa: F401  (answers mmcv's operators)

pytest.importorskip("mmpretrain.models", reason="mmpretrain is not installed")
from mmpretrain.structures import DataSample
from tiny_distillation import STUDENT, TEACHER, save_weights


@pytest.fixture(autouse=True)
def _mmpretrain_scope():
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


@pytest.fixture(scope="session")
def teacher(tmp_path_factory) -> dict:
    """A teacher as the config of a Distiller has it."""
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        path = save_weights(TEACHER, tmp_path_factory.mktemp("teacher") / "teacher.pth")
    return dict(config=TEACHER, checkpoint=path)


@pytest.fixture
def distiller(teacher):
    """Make a Distiller in float64 of the tiny student and teacher."""

    def make(*losses: dict, distillation_head: bool = False, student=STUDENT, **kwargs):
        head = {**student["head"], "distillation_head": distillation_head}
        torch.manual_seed(0)
        config = dict(
            type="spikevision.Distiller",
            student={**student, "head": head},
            losses=losses or [dict(type="HardLogits")],
            **{"teacher": teacher, **kwargs},
        )
        model = MODELS.build(config)
        model.init_weights()
        model.teacher.model.double()
        return model.double()

    return make


@pytest.fixture
def batch() -> dict:
    """Images as the data preprocessor gives them, with labels."""
    torch.manual_seed(2)
    samples = [DataSample().set_gt_label(label) for label in (0, 3, 1)]
    return dict(inputs=torch.randn(3, 3, 64, 64, dtype=torch.float64), data_samples=samples)

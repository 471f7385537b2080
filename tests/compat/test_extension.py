from mmcv.utils import collect_env

from spikevision.compat.extension import OPERATORS
from spikevision.compat.smoke import SMOKE_RUNS


def test_the_operators_of_the_main_detectors_are_there():
    families = {"nms", "softnms", "nms_match", "bbox_overlaps"} | {
        f"{family}_{way}"
        for family in (
            "roi_align",
            "roi_pool",
            "modulated_deform_conv",
            "sigmoid_focal_loss",
            "softmax_focal_loss",
            "ms_deform_attn",
        )
        for way in ("forward", "backward")
    }
    assert families <= set(OPERATORS)
    assert all(name == operator.__name__ for name, operator in OPERATORS.items())


def test_every_family_of_operators_has_a_smoke_run():
    smoked = {"softnms" if name == "soft_nms" else name for name in SMOKE_RUNS}
    for name in OPERATORS:
        if not name.startswith("get_"):
            families = (
                {"focal_loss"} if "focal" in name else {s for s in smoked if name.startswith(s)}
            )
            assert families, name


def test_mmcv_prints_its_environment():
    assert "torchvision" in collect_env()["MMCV Compiler"]

import importlib
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.utils import get_installed_path, is_installed

import spikevision
from spikevision.compat.distributions import DistributionNotFound, get_distribution


def test_a_config_inherits_from_mmdet_and_mmseg(tmp_path):
    config = tmp_path / "config.py"
    for base, kind in (
        ("mmdet::retinanet/retinanet_r50_fpn_1x_coco.py", "RetinaNet"),
        ("mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py", "EncoderDecoder"),
    ):
        config.write_text(f"_base_ = {base!r}\n")
        assert Config.fromfile(config).model.type == kind


@pytest.mark.parametrize("package", ["mmdet", "mmengine", "torch"])
def test_location_joined_with_the_package_is_where_python_finds_it(package):
    assert Path(get_installed_path(package)) == Path(find_spec(package).origin).parent


def test_distribution_whose_package_has_another_name_is_found_by_its_top_level():
    assert Path(get_installed_path("mmcv-lite")).name == "mmcv"
    assert Path(get_installed_path("mmsegmentation")).name == "mmseg"


def test_an_editable_install_is_found_in_its_source_tree():
    assert Path(get_installed_path("spikevision")) == Path(spikevision.__file__).parent


def test_version_is_that_of_the_metadata():
    assert get_distribution("mmengine").version == metadata.version("mmengine")


def test_what_is_not_installed_is_said_not_to_be():
    assert not is_installed("no-such-distribution")
    with pytest.raises(DistributionNotFound, match="'no-such-distribution' is not installed"):
        get_distribution("no-such-distribution")


def test_the_rest_of_pkg_resources_is_an_import_error_so_that_fallbacks_are_taken():
    module = importlib.import_module("pkg_resources")
    if module.__spec__.origin != "spikevision.compat":
        pytest.skip("setuptools still has the real one here")
    with pytest.raises(ImportError, match="setuptools<81"):
        module.declare_namespace("google")
    with pytest.raises(ImportError):
        from pkg_resources import resource_filename  # noqa: F401

import importlib
import subprocess
import sys
from importlib.util import find_spec

import pytest

from spikevision.compat import finder


def test_import_of_the_package_loads_neither_torch_nor_mm():
    code = (
        "import sys, spikevision.compat;"
        "bad = {'torch', 'mmcv', 'mmengine', 'mmdet', 'ray', 'numpy'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_install_twice_leaves_one_finder_and_keeps_it_last():
    before = [f for f in sys.meta_path if isinstance(f, finder.StandInFinder)]
    finder.install()
    after = [f for f in sys.meta_path if isinstance(f, finder.StandInFinder)]
    assert before == after
    assert len(after) == 1


def test_mmcv_ext_is_answered_by_us_where_mmcv_is_not_compiled():
    extension = importlib.import_module("mmcv._ext")
    assert extension.__spec__.origin == finder.ORIGIN
    assert callable(extension.nms)


def test_a_real_extension_wins(tmp_path, monkeypatch):
    import mmcv

    real = tmp_path / "_ext.py"
    real.write_text("nms = 'compiled'\n")
    monkeypatch.setattr(mmcv, "__path__", [*mmcv.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)
    monkeypatch.delattr(mmcv, "_ext", raising=False)
    importlib.invalidate_caches()
    assert find_spec("mmcv._ext").origin == str(real)
    assert importlib.import_module("mmcv._ext").nms == "compiled"
    monkeypatch.delitem(sys.modules, "mmcv._ext")


@pytest.mark.parametrize("name", ["mmcv._extra", "mmdet._ext", "setuptools", "no_such_module"])
def test_no_other_name_is_answered(name):
    assert finder.StandInFinder().find_spec(name, None) is None


def test_every_file_of_mmcv_ops_and_every_model_imports():
    code = (
        "import warnings; warnings.simplefilter('ignore'); import spikevision, mmcv.ops, mmdet.models, mmdet.apis, "
        "mmseg.models, mmseg.apis, mmpretrain.models, mmpretrain.apis"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

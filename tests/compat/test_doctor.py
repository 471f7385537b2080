import sys
from collections import namedtuple
from dataclasses import FrozenInstanceError

import pytest

from spikevision.compat import doctor, smoke
from spikevision.compat.doctor import Check


@pytest.fixture(scope="module")
def findings():
    return {finding.name: finding for finding in doctor.check()}


def test_nothing_fails_where_the_tests_run(findings):
    assert [f for f in findings.values() if f.status == "fail"] == []


def test_versions_operators_libraries_checkpoints_and_machine_are_looked_at(findings):
    expected = {
        "Python",
        "torch",
        "mmdet",
        "mmcv operators",
        "mmdet.models",
        "foreign pickle",
        "compiler",
    }
    expected |= {"CUDA", "threads", "free disk", "Ray"} | {
        f"operator {n}" for n in smoke.SMOKE_RUNS
    }
    assert expected <= set(findings)


def test_what_is_not_ok_comes_with_a_remedy(findings):
    assert all(f.remedy for f in findings.values() if f.status != "ok")
    with pytest.raises(FrozenInstanceError):
        findings["torch"].status = "fail"


def test_a_wrong_operator_is_found_out(monkeypatch):
    import mmcv._ext

    monkeypatch.setattr(mmcv._ext, "nms", lambda boxes, *args, **kwargs: boxes[:, 0].long() * 0)
    broken = {c.name: c for c in doctor._operators()}["operator nms"]
    assert (broken.status, bool(broken.remedy)) == ("fail", True)


@pytest.mark.parametrize(
    ("found", "status"), [(None, "fail"), ("2.14.1+cu130", "ok"), ("2.15.0", "warn")]
)
def test_a_version_is_judged_by_the_declared_range(found, status):
    from packaging.specifiers import SpecifierSet

    check = doctor._version("torch", found, SpecifierSet(">=2.13,<2.15"))
    assert check.status == status
    assert (status == "ok") != bool(check.remedy)


def test_an_mmcv_that_does_not_load_is_a_failure_with_a_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "mmcv._ext", None)
    (check,) = doctor._mmcv()
    assert check.status == "fail"
    assert "mmcv-lite" in check.remedy


def test_an_error_of_a_check_becomes_a_finding():
    def _broken():
        yield Check("first", "ok", "")
        raise RuntimeError("no luck\nat all")

    first, second = doctor._guarded(_broken)
    assert first.name == "first"
    assert (second.name, second.status, second.detail) == (
        "broken",
        "fail",
        "RuntimeError: no luck at all",
    )


def test_no_compiler_is_a_warning(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert doctor._compiler().status == "warn"


def test_a_full_disk_is_a_warning(monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage(0, 0, 1e9))
    assert doctor._disk(tmp_path) == Check(
        "free disk",
        "warn",
        f"1.0 GB in {tmp_path}",
        "free some space, or set work_dir to a larger disk",
    )


def test_the_switch_that_lets_other_libraries_run_pickles_is_reported(monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    checks = {c.name: c for c in doctor._checkpoints()}
    assert checks["torch.load"].status == "warn"
    assert checks["foreign pickle"].status == "ok"  # ours refuse all the same

"""What a fresh Python loads: the package and its help are cheap. Times are in docs/figures.md, not here."""

import subprocess
import sys

import pytest

from spikevision.cli.main import VERBS

HEAVY = ("torch", "torchvision", "numpy", "mmengine", "mmcv", "mmdet", "mmseg", "mmpretrain", "ray")
TASK_LIBRARIES = ("mmdet", "mmseg", "mmpretrain")
PROLOGUE = """
import sys

def call(*arguments):
    from spikevision.cli.main import main
    try:
        main(list(arguments))
    except SystemExit as end:
        assert end.code == 0, end.code
"""


def loaded_by(code: str, watched: tuple[str, ...]) -> set[str]:
    """Which of the watched modules a fresh Python holds after running some code."""
    report = f"\nprint('loaded:', *(name for name in {watched!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + code + report],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_the_probe_sees_what_is_loaded():
    assert loaded_by("import json, decimal", ("json", "decimal", "tomllib")) == {"json", "decimal"}


def test_import_spikevision_loads_no_library():
    assert loaded_by("import spikevision", HEAVY) == set()


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), *((verb, "--help") for verb in VERBS)], ids=" ".join
)
def test_help_loads_no_library(arguments):
    assert loaded_by(f"call(*{arguments!r})", HEAVY) == set()


def test_backbones_are_found_without_loading_a_task_library():
    code = "from mmengine.registry import MODELS\nassert MODELS.get('spikevision.MetaSpikeFormer')"
    assert loaded_by("import spikevision\n" + code, TASK_LIBRARIES) == set()


def test_transforms_for_all_tasks_are_found_without_loading_a_task_library():
    code = "from mmengine.registry import TRANSFORMS\nassert TRANSFORMS.get('spikevision.SafeLoadImage')"
    assert loaded_by("import spikevision\n" + code, TASK_LIBRARIES) == set()

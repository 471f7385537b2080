"""The inferencers of the mm libraries on our configs and checkpoints, from scripts that import nothing of ours but the package.

Each script runs in a Python of its own: what a test process has registered before would hide a scope that is missing.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow
PROLOGUE = """
import sys
import spikevision  # on mmcv-lite it answers mmcv's operators
config, checkpoint, image = sys.argv[1:]
"""


def run(script, *arguments):
    """The last line that a script prints, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_det_inferencer(tiny_detector):
    pytest.importorskip("mmdet.models", reason="mmdet is not installed")
    config, checkpoint = tiny_detector
    image = Path(config).parent / "data" / "images" / "0.png"
    script = """
from mmdet.apis import DetInferencer
inferencer = DetInferencer(config, checkpoint, device='cpu', show_progress=False)
(answer,) = inferencer(image, return_vis=True)['predictions'], 
import json; print(json.dumps({key: len(value) for key, value in answer[0].items()}))
"""
    found = run(script, config, checkpoint, image)
    assert found["bboxes"] == found["labels"] == found["scores"] == found["masks"] > 0


def test_seg_inferencer(tiny_segmentor, tmp_path):
    pytest.importorskip("mmseg.models", reason="mmsegmentation is not installed")
    config, checkpoint = tiny_segmentor
    image = Path(config).parent / "data" / "images" / "validation" / "0.png"
    script = """
from mmseg.apis import MMSegInferencer
inferencer = MMSegInferencer(config, checkpoint, device='cpu')
answer = inferencer(image, return_vis=True)['predictions']
import json; print(json.dumps(answer.tolist()))
"""
    found = run(script, config, checkpoint, image)
    ours = Image.open(_infer(config, checkpoint, image, tmp_path) / "class_maps" / "0.png")
    assert np.array_equal(found, np.array(ours))


def test_image_classification_inferencer(tmp_path):
    import torch
    from mmengine.registry import DefaultScope
    from tiny_training import CONFIG, SPIKING, write_pictures

    from spikevision.jobs.config import load_config
    from spikevision.jobs.runtime import build_model

    pictures = write_pictures(tmp_path / "pictures")
    text = CONFIG.format(root=pictures, imports=[], hooks=[])
    # mmpretrain's inferencer reads colour images with its own loader
    text = text.replace("spikevision.SafeLoadImage", "LoadImageFromFile").replace(
        ", color_type='grayscale'", ""
    )
    (tmp_path / "first.py").write_text(text)
    model = {**SPIKING, "backbone": {**SPIKING["backbone"], "in_channels": 3}}
    config = load_config(tmp_path / "first.py", options={"model": model})
    config.dump(tmp_path / "tiny.py")
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        torch.save({"state_dict": build_model(config).state_dict()}, tmp_path / "tiny.pth")
    image = pictures / "test" / "left" / "0.png"
    script = """
from mmpretrain import ImageClassificationInferencer
inferencer = ImageClassificationInferencer(config, pretrained=checkpoint, device='cpu')
(answer,) = inferencer(image)
import json; print('\\n' + json.dumps([float(score) for score in answer['pred_scores']]))  # after a progress bar
"""
    found = run(script, tmp_path / "tiny.py", tmp_path / "tiny.pth", image)
    output = _infer(tmp_path / "tiny.py", tmp_path / "tiny.pth", image, tmp_path / "out")
    (ours,) = json.loads((output / "predictions.json").read_text())["predictions"]
    assert found == pytest.approx(ours["scores"], abs=1e-6)


def _infer(config, checkpoint, image, output):
    """Our own inference of the same image."""
    from spikevision.jobs.infer import infer
    from spikevision.jobs.spec import RunSpec

    spec = RunSpec(
        config=str(config), checkpoint=str(checkpoint), inputs=str(image), output=str(output)
    )
    return infer(spec).run_dir

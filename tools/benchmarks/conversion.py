"""Cost of a conversion: calibration and simulation of a stock ViT against forward passes of the ANN.

Random weights. Prints one JSON line: the time of one ANN forward pass, of a conversion relative to as many forward
passes as it has calibration images, of one simulation step relative to a forward pass, and the memory that a
simulation keeps per image between its steps.
"""

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from spikevision.conversion import STAConfig, convert
from spikevision.conversion.runs import simulate
from spikevision.conversion.simulation import Simulation
from spikevision.conversion.site import Phase


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time of a call, which neighbours on the machine do not change, and its result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def tensors_of(state: Any) -> list[Tensor]:
    """All tensors in nested dictionaries, each memory once."""
    if isinstance(state, Tensor):
        return [state]
    if isinstance(state, dict):
        return [x for value in state.values() for x in tensors_of(value)]
    return []


def main() -> None:
    """Measure one architecture and preset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--arch", default="deit-base", help="of mmpretrain's ViT (default: deit-base)"
    )
    parser.add_argument("--preset", default="sta", choices=["sta", "sta+", "ecmt", "exact"])
    parser.add_argument(
        "--images", type=int, default=64, help="for calibration, in batches of 8 (default: 64)"
    )
    parser.add_argument("--steps", type=int, default=3, help="simulated (default: 3)")
    args = parser.parse_args()
    torch.manual_seed(0)
    backbone = {"type": "mmpretrain.VisionTransformer", "arch": args.arch, "patch_size": 16}
    model = MODELS.build(backbone)
    for module in model.modules():
        module.training = False  # backbone.eval() of mmpretrain answers None
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        model(image)
        ann = min(seconds(lambda: model(image))[0] for _ in range(3))
    batches = (torch.randn(8, 3, 224, 224) for _ in range(args.images // 8))
    conversion, snn = seconds(lambda: convert(model, batches, STAConfig(preset=args.preset)))
    simulation = Simulation(snn.model, snn.rules, Phase.SPIKES)
    list(simulate(simulation, (image,), {}, 1))  # lays out the state
    run, _ = seconds(lambda: list(simulate(simulation, (image,), {}, args.steps)))
    kept = {
        x.untyped_storage().data_ptr(): x.untyped_storage().nbytes()
        for x in tensors_of(simulation._states)
    }
    line = {
        "name": "conversion_cost",
        "arch": args.arch,
        "preset": args.preset,
        "calibration_images": args.images,
        "ann_forward_s": round(ann, 3),
        "conversion_per_ann_forward_of_the_images": round(conversion / (ann * args.images), 2),
        "step_per_ann_forward": round(run / args.steps / ann, 2),
        "state_mb_per_image": round(sum(kept.values()) / 1e6, 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()

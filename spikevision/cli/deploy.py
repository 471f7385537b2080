"""``spikevision deploy CONFIG CHECKPOINT -o OUT``."""

import argparse
from typing import Any

from spikevision.cli.options import add_config, parse_options, say

HELP = "fold, measure and export a trained network for fast inference, and say how equal it is"
EPILOG = """\
what is asked for are fields of the config:
  deploy_cfg = dict(weights='int8')        weights of convolutions in eight bits
  deploy_cfg = dict(spike_driven=True)     RepConv and SepConv as single convolutions, which spikes alone enter
  deploy_cfg = dict(images=256, batch=8)   test images to compare on; images per call in the measurements

OUT is a folder: program.pt2, a torch.export program of plain PyTorch operations, and card.json. `test` and `infer` take OUT
in the place of the checkpoint; without this package: torch.export.load("OUT/program.pt2").module()(images).
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add_config(parser, example="deploy_cfg.weights=int8")
    parser.add_argument("checkpoint", help="checkpoint of this config's model")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="folder to make")


def run(args: argparse.Namespace) -> int:
    """Deploy and print what was chosen and how equal it is."""
    from spikevision.jobs.deploy import deploy
    from spikevision.jobs.spec import RunSpec

    spec = RunSpec(
        config=args.config,
        checkpoint=args.checkpoint,
        output=args.output,
        cfg_options=parse_options(args.cfg_options),
    )
    card = deploy(spec)
    for line in (*_choices(card), *_equality(card)):
        say(line)
    say(f"written: {args.output} (program.pt2, card.json)")
    return 0


def _choices(card: dict[str, Any]) -> list[str]:
    choices, measured = card["choices"], card["measured"]
    kernels = list(choices["kernels"].values())
    counts = ", ".join(f"{kernels.count(kind)} {kind}" for kind in sorted(set(kernels)))
    dense = list(choices["forms"].values()).count("dense")
    return [
        f"chosen here: {choices['layout']}, {choices['threads']} threads; kernels of the convolutions: {counts}; "
        f"{dense} of {len(choices['forms'])} factored layers as one dense convolution",
        f"time, batch {measured['batch']}: {measured['deployed_ms']:.1f} ms, "
        f"{measured['speedup']:.2f} times as fast as the checkpoint's network ({measured['trained_ms']:.1f} ms)",
    ]


def _equality(card: dict[str, Any]) -> list[str]:
    equality, accuracy = card["equality"], card["accuracy_percent"]
    shares = equality["differing_spikes"]
    worst = max(shares, key=shares.__getitem__)
    lines = [
        f"folding alone, float64: outputs differ by {card['folding_difference_float64']:.1e} at most",
        f"on {equality['images']} images: outputs differ by {equality['largest_difference']:.1e} at most (they reach "
        f"{equality['output_scale']:.2g}); differing spikes {sum(shares.values()) / len(shares):.4%} on average, "
        f"{shares[worst]:.4%} at most ({worst})",
    ]
    if equality["same_answer"] is not None:
        lines.append(f"same answer on {equality['same_answer']:.2%} of the images")
    if accuracy:
        lines.append(
            f"accuracy on them: {accuracy['deployed']:.2f} %, of the checkpoint {accuracy['trained']:.2f} %"
        )
    return lines

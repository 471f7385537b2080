"""``spikevision import CHECKPOINT --arch ARCH -o OUT.pth``."""

import argparse
import io

HELP = "turn an official checkpoint into one that spikevision configs load"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    parser.add_argument(
        "checkpoint", help="checkpoint as its authors published it (.pth, .pth.tar)"
    )
    parser.add_argument(
        "--arch",
        required=True,
        help="15m, 31m or 55m (Meta-SpikeFormer); 8-512, 4-384 ... (Spikformer)",
    )
    parser.add_argument(
        "--family",
        help="meta-spikeformer, spikformer-imagenet, spikformer-cifar or spikformer-event (default: told from the keys)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT.pth", help="file to write")


def run(args: argparse.Namespace) -> int:
    """Convert, check every key, and write the result whole or not at all."""
    import torch

    from spikevision.checkpoints.importing import import_official
    from spikevision.jobs.files import write_atomically

    checkpoint = import_official(args.checkpoint, args.arch, family=args.family)
    content = io.BytesIO()
    torch.save(checkpoint, content)
    write_atomically(args.output, content.getvalue())
    weights = checkpoint["state_dict"]
    parameters = sum(
        value.numel()
        for key, value in weights.items()
        if not key.endswith(("running_mean", "running_var", "tracked"))
    )
    print(
        f"{checkpoint['meta']['family']} {args.arch}: {len(weights)} tensors, {parameters:,} parameters"
    )
    print(f"written: {args.output}\nuse it with: --cfg-options load_from={args.output}")
    return 0

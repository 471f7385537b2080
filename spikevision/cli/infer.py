"""``spikevision infer CONFIG CHECKPOINT IMAGE_OR_FOLDER``."""

import argparse
import sys

from spikevision.cli.options import add_config_arguments, parse_options

HELP = "predict on an image or a folder of images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    add_config_arguments(parser)
    parser.add_argument("checkpoint", help="checkpoint of this config's model")
    parser.add_argument("inputs", help="an image, or a folder that is searched for images")


def run(args: argparse.Namespace) -> int:
    """Predict; exit status 1 when some of the images could not be read."""
    from spikevision.jobs.infer import infer
    from spikevision.jobs.spec import RunSpec

    spec = RunSpec(
        config=args.config,
        checkpoint=args.checkpoint,
        inputs=args.inputs,
        work_dir=args.work_dir,
        cfg_options=parse_options(args.cfg_options),
    )
    result = infer(spec)
    print(f"predictions: {result.run_dir / 'predictions.json'}")
    print(f"pictures: {result.run_dir / 'pictures'}")
    for image, reason in result.failures.items():
        print(f"left out {image}: {reason}", file=sys.stderr)
    return 1 if result.failures else 0

"""``spikevision infer CONFIG CHECKPOINT INPUT``."""

import argparse
import sys

from spikevision.cli.options import add_config_arguments, parse_options

HELP = "predict on an image, a video or a folder of them"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    add_config_arguments(parser)
    parser.add_argument(
        "checkpoint",
        help="checkpoint of this config's model, or what `deploy` or `convert` made of it",
    )
    parser.add_argument("inputs", help="image, video, or a folder that is searched for them")
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="folder for pictures and JSON (default: a new run folder, see --work-dir)",
    )
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=0.3,
        metavar="SCORE",
        help="draw detections from this score on; the JSON holds all of them (default: 0.3)",
    )


def run(args: argparse.Namespace) -> int:
    """Predict; exit status 1 when some of the inputs could not be read."""
    from spikevision.jobs.infer import infer
    from spikevision.jobs.spec import RunSpec

    spec = RunSpec(
        config=args.config,
        checkpoint=args.checkpoint,
        inputs=args.inputs,
        output=args.output,
        score_threshold=args.score_threshold,
        work_dir=args.work_dir,
        cfg_options=parse_options(args.cfg_options),
    )
    result = infer(spec)
    print(f"predictions: {result.run_dir / 'predictions.json'}")
    print(f"pictures: {result.run_dir / 'pictures'}")
    for image, reason in result.failures.items():
        print(f"left out {image}: {reason}", file=sys.stderr)
    if result.failures:
        print(f"{len(result.failures)} of the inputs could not be predicted on", file=sys.stderr)
    if result.signal:
        print("stopped: what was predicted until then is there", file=sys.stderr)
        return 128 + result.signal
    return 1 if result.failures else 0

"""``spikevision convert CONFIG CHECKPOINT``."""

import argparse
import json

from spikevision.cli.options import (
    add_cluster_arguments,
    add_config_arguments,
    add_spike_stats,
    cluster_spec,
    parse_options,
    say,
)

HELP = "make a trained network spiking, without training"
EPILOG = """
examples:
  spikevision convert CONFIG CHECKPOINT --preset sta --time-steps 32 -o out
  spikevision test out/config.py out/model.safetensors
  spikevision test out/config.py out/model.safetensors --cfg-options model.time_steps=8

presets: sta (as published, T of 32 and more), sta+ (T of 4 to 16), ecmt (T of 1 to 8), exact (no neurons: finds mistakes).
All other settings are fields of the config, e.g. --cfg-options conversion.calibration_images=128
conversion.at='[1,4,32]' conversion.report_images=500; see docs/conversion.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    add_config_arguments(parser)
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("checkpoint", help="checkpoint of this config's model")
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for all that is written"
    )
    parser.add_argument("--preset", help="sets conversion.preset: sta (default), sta+, ecmt, exact")
    parser.add_argument(
        "--time-steps", type=int, metavar="T", help="sets conversion.time_steps (default 32)"
    )
    add_spike_stats(parser)
    add_cluster_arguments(parser, training=False)
    parser.set_defaults(launcher="none")


def run(args: argparse.Namespace) -> int:
    """Convert, and print what came of it."""
    from spikevision.jobs.conversion_page import conversion_text
    from spikevision.jobs.convert import VALUES, convert
    from spikevision.jobs.spec import RunSpec

    named = {"conversion.preset": args.preset, "conversion.time_steps": args.time_steps}
    options = parse_options(args.cfg_options)
    spec = RunSpec(
        config=args.config,
        checkpoint=args.checkpoint,
        output=args.output,
        work_dir=args.work_dir,
        cfg_options={**options, **{k: v for k, v in named.items() if v is not None}},
        spike_stats=args.spike_stats,
    )
    cluster = cluster_spec(args)
    if cluster is None:
        result = convert(spec)
    else:
        from spikevision.cluster import calibration

        result = calibration.convert(spec, cluster)
    say(conversion_text(json.loads((result.run_dir / VALUES).read_text())))
    say(f"report: {result.run_dir / 'report.html'}")
    say(f"test it: spikevision test {result.run_dir / 'config.py'} {result.checkpoint}")
    return 0

"""``spikevision audit CONFIG [CHECKPOINT]``."""

import argparse

from spikevision.cli.options import add_config, parse_options, say

HELP = "whether every weight layer is driven by spikes, and why some are not"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this verb."""
    add_config(parser, example="model.backbone.time_steps=2")
    parser.add_argument(
        "checkpoint", nargs="?", help="checkpoint of this config's model (default: random weights)"
    )
    parser.add_argument(
        "--fused", action="store_true", help="audit the fused form, as the network is deployed"
    )
    parser.add_argument(
        "--unrolled",
        action="store_true",
        help="audit the form that integer neurons take on spikes (unroll_), which is fused as well",
    )
    parser.add_argument("--all", action="store_true", help="list the layers on spikes as well")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit status 1 if a layer behind the first one is not driven by spikes",
    )


def run(args: argparse.Namespace) -> int:
    """Audit and print what each layer received."""
    from spikevision.jobs.audit import audit_config
    from spikevision.jobs.spec import RunSpec

    spec = RunSpec(
        config=args.config,
        checkpoint=args.checkpoint,
        cfg_options=parse_options(args.cfg_options),
    )
    findings = audit_config(spec, fused=args.fused, unrolled=args.unrolled)
    for finding in findings:
        if args.all or finding.reason:
            say(f"{finding.input:<8} {finding.layer} ({finding.type})  {finding.reason}".rstrip())
    kinds = [finding.input for finding in findings]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    broken = sum(finding.breaks_rule for finding in findings)
    say(f"{len(findings)} layers and products by their input: {counts}")
    say(f"spike-driven behind the first layer: {f'no, {broken} are not' if broken else 'yes'}")
    return 1 if args.strict and broken else 0

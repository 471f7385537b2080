"""A command of this program that runs elsewhere: read here first, so that a slip is found before it is sent."""

import argparse
from collections.abc import Sequence


def add_command(parser: argparse.ArgumentParser) -> None:
    """Add the command that runs elsewhere."""
    parser.add_argument(
        "command", nargs="+", metavar="-- VERB ...", help="the command as one would give it here"
    )


def checked(words: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command, parsed the way its own parser does; leaves with its message on a mistake.

    Raises:
        ValueError: The verb does not run on Ray, or names a cluster itself.
    """
    from spikevision.cli.main import VERBS, parser_of

    if words[0] not in VERBS:
        raise ValueError(f"there is no verb {words[0]!r}: {', '.join(VERBS)}")
    args = parser_of(words).parse_args(list(words))
    if not hasattr(args, "workers"):
        raise ValueError(f"{words[0]} does not run on Ray; train, test, convert and sweep do")
    if args.address not in (None, "auto"):
        raise ValueError(
            f"leave --address {args.address} out: the command runs on the cluster that it is sent to"
        )
    return args


def with_address(words: Sequence[str], address: str = "auto") -> list[str]:
    """The command for the cluster that it runs on."""
    kept = list(words)
    if "--address" in kept:
        at = kept.index("--address")
        del kept[at : at + 2]
    kept = [word for word in kept if not word.startswith("--address=")]
    return [*kept, "--address", address]

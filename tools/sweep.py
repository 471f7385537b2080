"""``python tools/sweep.py ...``: the OpenMMLab door to ``spikevision sweep ...``."""

import sys

from spikevision.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["sweep", *sys.argv[1:]]))

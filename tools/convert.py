"""``python tools/convert.py ...``: the OpenMMLab door to ``spikevision convert ...``."""

import sys

from spikevision.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))

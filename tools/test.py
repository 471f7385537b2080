"""``python tools/test.py ...``: the OpenMMLab door to ``spikevision test ...``."""

import sys

from spikevision.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["test", *sys.argv[1:]]))

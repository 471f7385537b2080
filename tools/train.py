"""``python tools/train.py ...``: the OpenMMLab door to ``spikevision train ...``."""

import sys

from spikevision.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))

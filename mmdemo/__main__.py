"""`python -m mmdemo`: the command line."""

import sys

from mmdemo.cli import main

if __name__ == "__main__":
    sys.exit(main())

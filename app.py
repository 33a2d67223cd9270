"""Build the page and serve it: `python app.py`, the same as `python -m mmdemo serve`."""

import sys

from mmdemo.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve"]))

"""Compute the background set of a model and put it among those that ship with the app.

    python -m training.build_background [--model mini]

The model is a name, a hub id or the path of a directory, as for `load_encoder`. Which pairs are
made is said in `mmdemo/background_pairs.py`. Writes `assets/background/<model>.json`; the same
weights and pictures give the same file.
"""

from __future__ import annotations

import argparse
import sys

from mmdemo.background.measure import measure
from mmdemo.background.sets import shipped_path, write
from mmdemo.models.pool import load_encoder
from mmdemo.progress import print_share


def main() -> None:
    """Write the background set of one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    encoder = load_encoder(parser.parse_args().model)
    known = measure(encoder, print_share, thorough=True)
    path = shipped_path(encoder.name)
    write(known, encoder.name, path)
    sys.stdout.write(f"{path.name}: {known.pairs}\n")


if __name__ == "__main__":
    main()

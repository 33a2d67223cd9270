"""Nine different models in small, in folders that the app accepts: for `many-models`.

    python -m bench.nine_models FOLDER [--only clip]

Weights are random. The text towers of those that transformers saves are widened to some 50 MB, so
that nine of them can be seen in what a process holds. Prints the folders.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
import transformers

from bench.checkout import ROOT, parser
from tests.tiny_models import TINY_MODELS

_WIDE = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4}
_SEEDS = 2
_OFFICIAL = ROOT / "tests/data/visualized_bge/bert-bge-base-en-v1.5"


def main() -> None:
    """Write them."""
    given = parser(__doc__)
    given.add_argument("folder", type=Path)
    given.add_argument("--only", choices=tuple(TINY_MODELS), help="one of a family alone, small")
    arguments = given.parse_args()
    if arguments.only:
        made = [TINY_MODELS[arguments.only](arguments.folder / arguments.only)]
    else:
        made = list(_made(arguments.folder))
    sys.stdout.write("\n".join(map(str, made)) + "\n")


def _made(folder: Path) -> Iterator[Path]:
    yield _OFFICIAL
    for seed in range(_SEEDS):
        for name, make in TINY_MODELS.items():
            path = make(folder / f"{name}-{seed}")
            _widen(path, seed)
            yield path


def _widen(path: Path, seed: int) -> None:
    """Give a model a wide text tower, with weights that the seed tells from others."""
    config = transformers.AutoConfig.from_pretrained(path)
    config.text_config.update(_WIDE)
    torch.manual_seed(seed)
    [name] = config.architectures or []
    getattr(transformers, name)(config).save_pretrained(path)


if __name__ == "__main__":
    main()

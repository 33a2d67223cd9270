"""Write the table by which `mini` reads traditional Chinese characters as simplified ones.

    python -m training.traditional [--cache DIR] [--out DIR]

OpenCC's table of single characters, of which those are kept that help: the simplified form has a
token, and the traditional one stands in no word of the vocabulary (as 乾 does in 乾坤). Where there
are several simplified forms, the first, which is the most usual. One character stands for one, so
that each token knows where it was typed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdemo.assets import ASSETS, read_config
from mmdemo.encoders.mini.reading import TRADITIONAL
from training.packages import CACHE, unpacked

OPENCC = "opencc-python-reimplemented==0.1.7"
_HEADER = (
    "# Traditional and simplified characters, of OpenCC's TSCharacters (Apache-2.0): see NOTICE."
)


def main() -> None:
    """Write the table into a folder that has a tokenizer, and note it in its `config.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=CACHE)
    parser.add_argument("--out", type=Path, default=ASSETS / "mini")
    given = parser.parse_args()
    count = write(given.cache, given.out)
    config = read_config(given.out)
    size = {TRADITIONAL: (given.out / TRADITIONAL).stat().st_size}
    config["files"] = dict(sorted((config["files"] | size).items()))
    text = json.dumps(config, indent=2)
    (given.out / "config.json").write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(f"{given.out / TRADITIONAL}: {count:,} characters\n")


def write(cache: Path, out: Path) -> int:
    """Write the table beside a `tokenizer.json`; return how many characters are in it.

    Args:
        cache: where packages are kept.
        out: the folder of the tokenizer.
    """
    tokenizer: Any = json.loads((out / "tokenizer.json").read_text(encoding="utf-8"))
    source = next(unpacked(OPENCC, cache).rglob("TSCharacters.txt"))
    rows = [line.split("\t") for line in source.read_text(encoding="utf-8").splitlines() if line]
    table = helpful({row[0]: row[1].split()[0] for row in rows}, tokenizer["model"]["vocab"])
    lines = [_HEADER, *(f"{one}\t{other}" for one, other in sorted(table.items()))]
    (out / TRADITIONAL).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(table)


def helpful(simplified: Mapping[str, str], vocabulary: Mapping[str, int]) -> dict[str, str]:
    """Return the rows of a table that a tokenizer reads more with.

    Args:
        simplified: the simplified character by the traditional one.
        vocabulary: the tokenizer's.
    """
    words = [word.removeprefix("##") for word in vocabulary]
    within = {sign for word in words if len(word) > 1 for sign in word}
    return {
        one: other
        for one, other in simplified.items()
        if len(one) == len(other) == 1
        and one != other
        and other in vocabulary
        and one not in within
    }


if __name__ == "__main__":
    main()

"""Labelled pictures for tuning: photos and cartoons of `gcompris-qt-data`, none trained on.

Whatever is chosen by looking (weights of sources, temperatures, the logistic of "not sure") is
chosen on these and on the emoji of the calibration part, never on what `bench` reports.
"""

from __future__ import annotations

import io
import re
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mmdemo.images import to_rgb
from training.packages import unpacked

PACKAGE = "gcompris-qt-data"
_ROOT = "usr/share/gcompris-qt/rcc"
_CAP = 5  # pictures of one label: there are 28 fish and 15 windmills

# File names of the package that are not what one would call the picture; "" leaves it out.
_NAMES = {
    "bayterek": "",
    "blackslate": "blackboard",
    "blueking2": "",
    "buffetset": "cutlery",
    "bulb": "light bulb",
    "burj": "skyscraper",
    "christTheRedeemer": "statue",
    "colosseum": "ruin",
    "cuttingTool": "",
    "empireState": "skyscraper",
    "erasers": "eraser",
    "geothermal": "",
    "greatPyramid": "pyramid",
    "greatWall": "wall",
    "long_nosed_monkey": "monkey",
    "macaque": "monkey",
    "mountRushmore": "",
    "parthenon": "ruin",
    "plier": "pliers",
    "measuringTape": "tape measure",
    "nailCutter": "nail clipper",
    "screwDriver": "screwdriver",
    "scarlet_macaw": "parrot",
    "sideCutter": "pliers",
    "solar": "solar panel",
    "spray": "spray bottle",
    "tajMahal": "palace",
    "tweezer": "tweezers",
    "usCapitol": "",
    "weighingMachine": "scales",
    "zimniPalace": "palace",
}
_PHOTO_FOLDERS = re.compile(
    "/(erase/resource|explore_(farm|world)_animals/resource/animals"
    "|categorization/resource/images/(tools|others|renewable|fishes))/"
)
# Cartoons of things; colours, numbers and relatives among them are games of their own.
_CARTOONS = """
    gorilla brain fruit rabbit hippopotamus coconut snake giraffe apple whale wolf turtle beetle
    bull thumb mosquito hand dolphin frog dog lemon melon foot cow fox dragon rhinoceros bear
    pear bird cat lizard strawberry shark girl raspberry hedgehog chicken kangaroo horse mouse
    fish peach duck panda teeth mouth butterfly bee camel plum sheep spider orange kiwi owl pig
    snail turkey apricot
"""


@dataclass(frozen=True)
class Labelled:
    """A picture, its label, and whether it is a photo or a cartoon."""

    image: Image.Image
    label: str
    kind: str


def calibration_pictures(cache: Path) -> list[Labelled]:
    """Return the pictures: RGB, on white where they are transparent."""
    root = unpacked(PACKAGE, cache) / _ROOT
    found: list[Labelled] = []
    seen: Counter[str] = Counter()
    for name in ("erase", "explore_farm_animals", "explore_world_animals", "categorization"):
        for path, data in resources(root / f"{name}.rcc"):
            label = _label(path) if _PHOTO_FOLDERS.search(path) and path.endswith(".webp") else ""
            if label and seen[label] < _CAP:
                seen[label] += 1
                found.append(Labelled(_opened(data), label, "photo"))
    for path, data in resources(root / "lang.rcc"):
        if Path(path).stem in _CARTOONS.split() and path.endswith(".webp"):
            found.append(Labelled(_opened(data), Path(path).stem, "cartoon"))
    return found


def _label(path: str) -> str:
    """Return what a file shows: ".../tools/screwDriver2.webp" -> "screwdriver"."""
    stem = re.sub(r"\d+$", "", Path(path).stem)
    return _NAMES.get(stem, stem.replace("_", " ").lower())


def _opened(data: bytes) -> Image.Image:
    return to_rgb(Image.open(io.BytesIO(data)))


def resources(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each file that a Qt resource archive holds uncompressed.

    The format is Qt's own (`rcc`, versions 1 to 3): big-endian offsets of a tree, the names and the
    data, after the word "qres".

    Raises:
        ValueError: not such an archive.
    """
    data = path.read_bytes()
    if data[:4] != b"qres":
        raise ValueError(f"{path} is not a Qt resource archive.")
    version, tree, content, names = struct.unpack(">4I", data[4:20])
    size = 22 if version >= 2 else 14

    def walk(index: int, above: str) -> Iterator[tuple[str, bytes]]:
        at = tree + index * size
        named, flags = struct.unpack_from(">IH", data, at)
        name = above
        if index:
            (length,) = struct.unpack_from(">H", data, names + named)
            start = names + named + 6
            name += "/" + data[start : start + 2 * length].decode("utf-16-be")
        if flags & 2:  # a folder
            count, first = struct.unpack_from(">II", data, at + 6)
            for child in range(first, first + count):
                yield from walk(child, name)
        elif not flags & 5:  # neither zlib (1) nor zstd (4)
            (offset,) = struct.unpack_from(">I", data, at + 10)
            (length,) = struct.unpack_from(">I", data, content + offset)
            start = content + offset + 4
            yield name, data[start : start + length]

    yield from walk(0, "")

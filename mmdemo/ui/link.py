"""A tab's request as an address, and back: what a reload, the way back and a sent link reopen.

An address holds what a request is made of: texts, labels, templates, the model, pictures that ship
with the app. A visitor's own pictures are never in it, nor what is too long for one; of these it
says that they are missing, so that what is reopened is not taken for something else.

Each tab has an `address.py` with two functions: `query`, from its request to an address, and
`read`, from an address to values of its fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlencode

from mmdemo.examples import FOLDER
from mmdemo.images import ImageSource, Picture
from mmdemo.ui.strings import CODES, Language

LONGEST = 6000
"""Characters of an address: what servers, messengers and QR codes still take (RFC 9110, 4.1,
recommends 8,000 octets at least)."""

OWN = "own"
"""The parameter that names the fields which the address cannot hold."""

Parameters: TypeAlias = Mapping[str, str]


def query(tab: str, parameters: Parameters, own: Sequence[str] = ()) -> str:
    """Return the part of an address that follows the question mark.

    What makes it too long is left out, the longest first, and named among what is missing.

    Args:
        tab: the tab's name in addresses.
        parameters: what of its request goes into it; what is as the tab opens does not.
        own: names of fields that cannot be in it.
    """
    kept, missing = dict(parameters), list(own)
    while True:
        named = {OWN: ",".join(missing)} if missing else {}
        # Half a sign has no bytes: it stands as a question mark, and is refused where it is read.
        found = urlencode({"tab": tab} | kept | named, errors="replace")
        if len(found) <= LONGEST or not kept:
            return found
        longest = max(kept, key=lambda name: len(kept[name]))
        del kept[longest]
        missing.append(longest)


@dataclass(frozen=True)
class Opened:
    """What an address says.

    Attributes:
        tab: which tab it opens; empty for the first.
        language: of the page; empty where it is the visitor's own.
        parameters: the tab's.
        own: names of fields whose content is not in it.
    """

    tab: str = ""
    language: Language = ""
    parameters: Parameters = field(default_factory=dict)
    own: frozenset[str] = frozenset()

    def says(self, name: str) -> bool:
        """Return whether the address says anything of a field, be it that it cannot hold it."""
        return name in self.own or name in self.parameters

    def text(self, name: str) -> str:
        """Return a text; empty where the address cannot hold it."""
        return "" if name in self.own else self.parameters.get(name, "")

    def listed(self, name: str) -> list[str]:
        """Return texts that commas part."""
        return [one for one in self.text(name).split(",") if one]

    def picture(self, name: str) -> str | None:
        """Return the path of a picture that ships; None where the address holds none."""
        return shipped(self.text(name)) or None

    def pictures(self, name: str) -> list[str]:
        """Return the paths of the pictures that ship."""
        return [path for one in self.parameters.get(name, "").split(",") if (path := shipped(one))]


def read(parameters: Parameters) -> Opened:
    """Return what an address says; what makes no sense in it is as if it were not there.

    Args:
        parameters: of its query.
    """
    given = {name: value for name, value in parameters.items() if len(value) <= LONGEST}
    language = given.pop("lang", "")
    return Opened(
        tab=given.pop("tab", ""),
        language=language if language in CODES else "",
        own=frozenset(given.pop(OWN, "").split(",")) - {""},
        parameters=given,
    )


def shipped(name: str) -> str:
    """Return the path of a picture that ships, by its name in addresses; empty for any other."""
    return str(_shipped()[name]) if name in _shipped() else ""


def names(pictures: Sequence[ImageSource]) -> tuple[list[str], bool]:
    """Return the names of those pictures that ship, and whether there are others.

    Args:
        pictures: as a request has them. gradio keeps a file's name, and a visitor's own may be
            called the same, so both name and content count.
    """
    shipping = [one.name for one in map(_path, pictures) if one and _ships(one)]
    return shipping, len(shipping) < len(pictures)


def _path(picture: ImageSource) -> Path | None:
    return Path(picture) if isinstance(picture, str | Path) else None


def _ships(path: Path) -> bool:
    ours = _shipped().get(path.name)
    return ours is not None and Picture(path).digest == Picture(ours).digest


@cache
def _shipped() -> dict[str, Path]:
    """Return the pictures that ship, by name."""
    kinds = (".png", ".jpg", ".webp")
    return {path.name: path for path in FOLDER.iterdir() if path.suffix in kinds}

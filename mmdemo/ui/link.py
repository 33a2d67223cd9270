"""A tab's request as an address, and back: what a reload, the way back and a sent link reopen.

An address holds what a request is made of: texts, labels, templates, the model, pictures that ship
with the app. A visitor's own pictures are never in it, nor what is too long for one; of these it
says that they are missing, so that what is reopened is not taken for something else.

Each tab has an `address.py` with two functions: `write`, from its request to parameters, and
`read`, from parameters to values of its fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlencode

from PIL import Image

from mmdemo.examples import FOLDER
from mmdemo.images import ImageSource, Picture
from mmdemo.ui.strings import CODES, Language

LONGEST = 6000
"""Characters of an address: what servers, messengers and QR codes still take (RFC 9110, 4.1,
recommends 8,000 octets at least)."""

OWN = "own"
"""The parameter that names the fields which the address cannot hold."""

Parameters: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Written:
    """What of a request goes into an address.

    Attributes:
        parameters: by name; what is as the tab opens is not among them.
        own: names of fields that cannot be in it.
    """

    parameters: dict[str, str] = field(default_factory=dict)
    own: tuple[str, ...] = ()


def query(tab: str, written: Written) -> str:
    """Return the part of an address that follows the question mark.

    What makes it too long is left out, the longest first, and named among what is missing.

    Args:
        tab: the tab's name in addresses.
        written: what its request comes to.
    """
    kept, own = dict(written.parameters), list(written.own)
    while True:
        missing = {OWN: ",".join(own)} if own else {}
        found = urlencode({"tab": tab} | kept | missing)
        if len(found) <= LONGEST or not kept:
            return found
        longest = max(kept, key=lambda name: len(kept[name]))
        del kept[longest]
        own.append(longest)


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
    return next((str(path) for path in _shipped() if path.name == name), "")


def names(pictures: Sequence[ImageSource]) -> tuple[list[str], bool]:
    """Return the names of those pictures that ship, and whether there are others.

    Args:
        pictures: as a request has them. By content: a visitor's own may be called the same.
    """
    known = {Picture(path).digest: path.name for path in _shipped()}
    found = [
        known.get((one if isinstance(one, Picture) else Picture(one)).digest, "")
        for one in pictures
        if not isinstance(one, Image.Image)
    ]
    shipping = [name for name in found if name]
    return shipping, len(shipping) < len(pictures)


def _shipped() -> list[Path]:
    return [path for path in FOLDER.iterdir() if path.suffix in (".png", ".jpg", ".webp")]

"""The pictures of a page: looked at together, and drawn small once."""

from __future__ import annotations

from collections.abc import Container, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mmdemo.errors import MMDemoError
from mmdemo.images import Picture, as_source, as_sources, thumbnail_uri
from mmdemo.ui.parts.inputs import Upload


@dataclass(frozen=True)
class Thumbnails:
    """The thumbnails of what is on a visitor's page, for as long as it is there.

    Attributes:
        made: by upload, whose path is named after its content.
    """

    made: dict[Upload, str] = field(default_factory=dict)

    def of(self, upload: Upload, picture: Picture) -> str:
        """Return the thumbnail of an upload, made of its picture where it is new.

        Raises:
            PictureError: it cannot be opened.
        """
        if upload not in self.made:
            self.made[upload] = thumbnail_uri(picture.open())
        return self.made[upload]

    def only(self, uploads: Container[Upload]) -> Thumbnails:
        """Return a copy without what is gone from the page."""
        return Thumbnails({upload: one for upload, one in self.made.items() if upload in uploads})


def check(pictures: Sequence[Picture], fields: Sequence[str]) -> None:
    """Open pictures that are new, all at the same time.

    Args:
        pictures: n of them.
        fields: n names of where they are, as the page has them.

    Raises:
        PictureError: of the first that cannot be read, and where it is.
    """
    with suppress(MMDemoError):
        as_sources(*pictures)
    for picture, name in zip(pictures, fields, strict=True):
        try:
            as_source(picture)
        except MMDemoError as error:
            raise error.within(name, "field", name=name) from error

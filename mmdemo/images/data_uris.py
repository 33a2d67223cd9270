"""Pictures that are written into a text: `data:image/png;base64,iVBORw0…` (RFC 2397)."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from mmdemo.errors import PictureError

_START = re.compile(r"\s*data:", re.IGNORECASE)
_BASE64 = re.compile(r";\s*base64\s*$", re.IGNORECASE)
_SPACE = re.compile(rb"\s+")
_OF_ADDRESSES = bytes.maketrans(b"-_", b"+/")  # the other alphabet of RFC 4648


def is_data_uri(source: object) -> bool:
    """Say whether something is a text that begins as a data URI."""
    return isinstance(source, str) and _START.match(source) is not None


def data_uri_bytes(uri: str) -> bytes:
    """Return what a data URI holds; its type is not looked at, since the content says it.

    Args:
        uri: in base64 of either alphabet, with or without the signs that fill it up, broken into
            lines or not; or in percent signs.

    Returns:
        What it holds, which is no picture yet.

    Raises:
        PictureError: it has no comma, or is not base64 where it says so.

    >>> data_uri_bytes("data:text/plain;base64,aGVsbG8")
    b'hello'
    """
    head, comma, body = uri.partition(",")
    if not comma:
        raise PictureError(
            "This data URI has no comma, behind which its content would be. Give it whole, as in "
            "data:image/png;base64,iVBORw0…",
            "data_uri_form",
        )
    content = unquote_to_bytes(body)
    if not _BASE64.search(head):
        return content
    written = _SPACE.sub(b"", content).translate(_OF_ADDRESSES).rstrip(b"=")
    try:
        return base64.b64decode(written + b"=" * (-len(written) % 4), validate=True)
    except binascii.Error as error:
        raise PictureError(
            "This data URI is not base64, as it says it is. Give it whole, as in "
            "data:image/png;base64,iVBORw0…, or send the file itself.",
            "not_base64",
        ) from error

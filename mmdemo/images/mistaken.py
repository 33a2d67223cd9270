"""Files that stand where a picture should: what a download, or a clone, left in its place."""

from __future__ import annotations

import json
import re

from mmdemo.errors import PictureError

_LFS = re.compile(rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v\d")
_ANNEX = re.compile(rb"(?:\.\./)*(?:\.git/|/)annex/objects/[^\n]+\n?$")
_XML_ANSWER = re.compile(rb"(?:<\?xml[^>]*\?>\s*)?<(?:\w+:)?(?:Error|Code|Message|fault)\b", re.I)
_STATUS = re.compile(
    r"\s*(?:HTTP/\d\S*\s+)?(?:[45]\d\d\b|error\b|forbidden|unauthori[sz]ed|not found|bad request|"
    r"access denied|too many requests|internal server error|bad gateway|service unavailable)",
    re.IGNORECASE,
)
_BASE64 = re.compile(rb"(?:data:[^,]*,)?[A-Za-z0-9+/_-]{40,}[A-Za-z0-9+/_=\s-]*$")
_HEAD = 2048
_QUOTED = 40


def mistaken(data: bytes, accepted: str) -> PictureError | None:
    """Return what is said of a file that is no picture, where it is known how that comes about.

    Args:
        data: a file that no decoder takes.
        accepted: the names of the formats that are.
    """
    head = data[:_HEAD].removeprefix(b"\xef\xbb\xbf").strip()
    if _LFS.match(head):
        return PictureError(
            "This file is only a Git LFS pointer to a picture. Fetch the picture: run git lfs pull "
            "in the clone.",
            "lfs_pointer",
        )
    if _ANNEX.match(head):
        return annexed()
    if not data.strip(b"\0 \t\r\n"):
        return PictureError(
            "This file holds nothing but blanks or zeros. Fetch the picture again. Accepted are "
            f"{accepted}.",
            "blank_file",
            accepted=accepted,
        )
    if head.startswith(b"data:") or _is_base64_of_picture(head):
        return PictureError(
            "This file is a text in base64, which has a picture in it. Decode it first, for "
            f"example with base64 -d, and save that. Accepted are {accepted}.",
            "picture_in_text",
            accepted=accepted,
        )
    start = _quoted(head)
    if _XML_ANSWER.match(head) or (start and _STATUS.match(start)) or _is_json(head):
        return PictureError(
            f"This file is the answer of a server ('{start}'), and not a picture: the download did "
            f"not succeed. Fetch it again. Accepted are {accepted}.",
            "server_answer",
            start=start,
            accepted=accepted,
        )
    return None


def text_file(data: bytes, accepted: str) -> PictureError | None:
    """Return what is said of a text of whatever kind; None where a file is none.

    Args:
        data: a file that no decoder takes.
        accepted: the names of the formats that are.
    """
    start = _quoted(data[:_HEAD].removeprefix(b"\xef\xbb\xbf").strip())
    if start is None:
        return None
    return PictureError(
        f"This file is not a picture but a text: '{start}'. Accepted are {accepted}.",
        "text_file",
        start=start,
        accepted=accepted,
    )


def annexed() -> PictureError:
    """Return what is said where git-annex has a file's content elsewhere."""
    return PictureError(
        "This file is only a git-annex pointer to a picture. Fetch the picture: run git annex get.",
        "annex_pointer",
    )


def _is_base64_of_picture(head: bytes) -> bool:
    # The beginnings of a JPEG, a PNG, a GIF, a WebP and an AVIF.
    starts = (b"/9j/", b"iVBORw0KGgo", b"R0lGOD", b"UklGR", b"AAAA")
    return head.startswith(starts) and _BASE64.match(head) is not None


def _quoted(head: bytes) -> str | None:
    """Return the beginning of a text, on one line; None for what is none."""
    try:
        text = head[:_QUOTED].decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head[:_QUOTED]) - 3:  # else the last sign is cut
            return None
        text = head[: error.start].decode("utf-8")
    line = " ".join(text.split())
    return line if line.isprintable() and len(line) > 1 else None


def _is_json(head: bytes) -> bool:
    if not head.startswith((b"{", b"[")):
        return False
    try:
        json.loads(head)
    except (ValueError, RecursionError):
        return len(head) >= _HEAD - 1 and head.startswith(b'{"')
    return True

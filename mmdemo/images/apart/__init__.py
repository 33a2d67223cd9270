"""Decoding in a process of its own, for pages that strangers send pictures to.

A decoder is a lot of C that reads what somebody made. In another process, one that hangs is ended,
one that wants too much memory gets none, and one that writes where it must not finds nothing worth
having. Libraries and commands decode where they are: their pictures are those of whoever calls.
"""

from __future__ import annotations

from mmdemo.images.apart.pool import Decoders
from mmdemo.images.opening import Read
from mmdemo.images.opening import opened as opened_here
from mmdemo.images.seen import Seen
from mmdemo.settings import Limits

_decoders: Decoders | None = None


def decode_apart(wanted: bool) -> None:
    """Choose where pictures are decoded from now on; no process is started before there is one.

    Args:
        wanted: whether in processes of their own.
    """
    global _decoders
    before, _decoders = _decoders, (_decoders or Decoders()) if wanted else None
    if before is not None and _decoders is None:
        before.close()


def opened(data: bytes, bounds: Limits, read: Read) -> Seen:
    """Open the bytes of a file, as `opening.opened` does, here or in another process.

    Raises:
        PictureError: as there; or decoding it took too long or too much memory, or did not end
            well.
        StoppedError: nobody waits for it any more.
    """
    decoders = _decoders
    return decoders.opened(data, bounds, read) if decoders else opened_here(data, bounds, read)

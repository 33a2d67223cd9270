"""PNG files of 16 bits a channel: Pillow keeps the upper 8 of colours, which may hold nothing."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from mmdemo.images.greys import Numbers, shades
from mmdemo.types import Note

_HALVES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}
"""How Pillow unpacks such pixels, and how it would unpack the lower 8 bits of each number: of grey
and opacity, both halves of each, as if they were four channels."""

# Of the upper 8 bits: what uses more of them is seen well enough by them.
_DARK = 64
_FLAT = 16


def deep_png(data: bytes) -> DeepPng | None:
    """Return a PNG file of several channels of 16 bits each; None for any other."""
    if (
        not data.startswith(b"\x89PNG")
        or data[24:25] != b"\x10"
        or data[25:26] not in (b"\2", b"\4", b"\6")
    ):
        return None
    return DeepPng(io.BytesIO(data))


class DeepPng(PngImageFile):
    """A PNG file of 16 bits a channel; its lower bits are looked at where the upper say little.

    Attributes:
        notes: how the numbers became shades; known once it is loaded.
    """

    notes: tuple[Note, ...] = ()

    def load(self) -> Any:
        """Read the pixels."""
        packing = self.tile[0].args if self.tile else None
        pixels = super().load()
        if packing in _HALVES and isinstance(packing, str) and self._says_little():
            self._look_closer(_HALVES[packing])
        return pixels if not self.notes else Image.Image.load(self)

    def _says_little(self) -> bool:
        lows, highs = zip(*[self.getchannel(band).getextrema() for band in "RGB"], strict=True)
        return max(highs) < _DARK or max(highs) - min(lows) <= _FLAT

    def _look_closer(self, packing: str) -> None:
        assert isinstance(self._data, bytes)
        lower = PngImageFile(io.BytesIO(self._data))
        lower.tile = [lower.tile[0]._replace(args=packing)]
        lower.load()
        upper = self.copy()
        grey = packing == "RGBA"

        def rows(top: int, bottom: int) -> NDArray[np.generic]:
            box = (0, top, self.width, bottom)
            if grey:
                return np.asarray(lower.crop(box)).view(">u2").astype(np.uint16)
            high, low = (np.asarray(half.crop(box)).astype(np.uint16) for half in (upper, lower))
            return high << 8 | low

        alpha = "straight" if self.mode == "RGBA" else "none"
        channels = 2 if grey else len(self.getbands())
        numbers = Numbers(self.size, rows, channels, scales=(65535.0,), alpha=alpha)
        found, notes = shades(numbers)
        if notes:
            self.im, self._mode, self.notes = found.im, "RGB", notes
            self.info.pop("icc_profile", None)  # it was of other shades

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        self.fp.seek(0)
        super()._open()

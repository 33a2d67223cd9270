"""Numbers of more than 8 bits as a person sees them: scans, heights, temperatures, linear light.

Numbers that use the scale they are stored in become shades by that scale: 0 to 65,535, or 0 to 1.
Others have a scale that the file does not tell: 12 bits of a detector in 16, Hounsfield units,
metres. By the container's scale they would all be black, or all white; they are spread from the
least to the greatest, and a note says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmdemo.types import Note

_AT_ONCE = 1 << 19  # numbers that are turned into shades together: so nothing is held twice
_HUGE = 1e30  # no measure of anything: what programs write where they know nothing

# Differences that can be divided by: in float64, and in float32.
_LEAST = 1e-300
_LEAST_OF_FEW = 1e-30

# Of a scale: what uses less of it would be seen as black, or as one shade.
_DARK = 1 / 4
_FLAT = 1 / 16

_USUAL = (-9999.0, -99999.0, -32768.0, -32767.0, -3024.0, -2147483648.0)
"""What files often hold in the place of no data, without saying so."""

_USUAL_ABOVE = {
    "u": (65535.0, 4294967295.0),
    "i": (32767.0, 65535.0, 2147483647.0),
    "f": (9999.0, 99999.0, 32767.0, 65535.0),
}
"""Likewise, by kind of number, above what is data: the greatest that can be stored as a rule."""

Alpha = Literal["none", "straight", "premultiplied"]


@dataclass(frozen=True)
class Numbers:
    """What a picture holds, a strip at a time.

    Attributes:
        size: width and height.
        rows: from a first row and one after the last to the numbers, [rows, width, channels]. The
            first or the first three channels are shown.
        scales: what may be white, by the way in which they are stored, ascending; the first that
            no number exceeds is. Without any the numbers' scale is unknown.
        fixed: whether they have their scale for sure, as 8 bits have.
        no_data: the number that stands where there is no data.
        inverted: whether 0 is white.
        alpha: of the last channel.
    """

    size: tuple[int, int]
    rows: Callable[[int, int], NDArray[np.generic]]
    channels: int = 1
    scales: tuple[float, ...] = ()
    fixed: bool = False
    no_data: float | None = None
    inverted: bool = False
    alpha: Alpha = "none"

    @property
    def shown(self) -> int:
        """Return how many channels have colours or shades: one or three."""
        colours = self.channels - (self.alpha != "none")
        return 3 if colours >= 3 else 1

    def strips(self) -> Iterator[tuple[int, NDArray[np.generic]]]:
        """Yield first rows, and numbers [rows, width, channels]."""
        width, height = self.size
        step = max(1, _AT_ONCE // (width * self.channels))
        for top in range(0, height, step):
            yield top, self.rows(top, min(top + step, height))


@dataclass
class _Found:
    """What is known of the numbers before any is drawn.

    Attributes:
        low: the least that is data; infinite where nothing is.
        high: the greatest.
        empty: how many pixels have no data.
        usual: of `_USUAL`, those that occur, and in how many pixels.
    """

    low: float = np.inf
    high: float = -np.inf
    empty: int = 0
    usual: dict[float, int] = field(default_factory=dict)

    def extend(self, low: float, high: float) -> None:
        self.low, self.high = min(self.low, low), max(self.high, high)


class _Range(NamedTuple):
    """What becomes black and what white; and whether the file left that open."""

    low: float
    high: float
    spread: bool


def shades(numbers: Numbers, mode: str = "RGB") -> tuple[Image.Image, tuple[Note, ...]]:
    """Turn numbers into shades, strip by strip.

    Where there is no data the picture is white, as where it is transparent: nothing is there.

    Args:
        numbers: of one or more channels.
        mode: L or RGB; with three channels that are shown, RGB.
    """
    found = _looked_at(numbers)
    gaps = _gaps(numbers, found)
    within = _range(numbers, found)
    picture = Image.new(mode, numbers.size)
    for top, strip in numbers.strips():
        picture.paste(_drawn(numbers, strip, gaps, within).convert(mode), (0, top))
    return picture, tuple(_notes(numbers, found, within))


def _looked_at(numbers: Numbers) -> _Found:
    found = _Found()
    for _, strip in numbers.strips():
        values, there = _values(numbers, strip)
        if not there.all():
            found.empty += int(there.size - np.count_nonzero(there))
        if numbers.no_data is None and not numbers.fixed and strip.dtype.itemsize > 1:
            _note_usual(found, values, there)
        if there.all():
            found.extend(float(values.min()), float(values.max()))
        elif there.any():
            some = values[there]
            found.extend(float(some.min()), float(some.max()))
    return found


def _note_usual(found: _Found, values: NDArray[np.generic], there: NDArray[np.bool_]) -> None:
    """Count the usual numbers of a strip, and take them out of what is data for now."""
    least, most = float(values.min()), float(values.max())
    known = (*_USUAL, *_USUAL_ABOVE[values.dtype.kind])
    for usual in (one for one in known if least <= one <= most):
        here = there & (values == usual).all(axis=-1)
        if count := int(np.count_nonzero(here)):
            found.usual[usual] = found.usual.get(usual, 0) + count
            there &= ~here


def _values(
    numbers: Numbers, strip: NDArray[np.generic]
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return what is shown of a strip, [rows, width, 1 or 3], and where there is data.

    Where there is none the numbers may be anything, but not infinite.
    """
    values = strip[..., : numbers.shown]
    there = np.ones(values.shape[:2], dtype=np.bool_)
    if numbers.no_data is not None:
        # As the file stores it: 1e20 is another number in float32.
        with np.errstate(over="ignore", invalid="ignore"):
            as_stored = np.asarray(numbers.no_data).astype(values.dtype)
        if values.dtype.kind == "f" or float(as_stored) == numbers.no_data:
            there &= ~(values == as_stored).all(axis=-1)
    if values.dtype.kind == "f":
        if values.dtype.itemsize == 2:
            values = values.astype(np.float32)
        # Where any is NaN, so is the least.
        if not (values.min() > -_HUGE and values.max() < _HUGE):
            known = np.abs(values) < _HUGE
            there &= known.all(axis=-1)
            values = np.where(known, values, values.dtype.type(0))
    return values, there


def _gaps(numbers: Numbers, found: _Found) -> set[float]:
    """Return which of the usual numbers mean no data here: those far from all others.

    Whichever do not are data after all, and `found` is corrected.
    """
    gaps = set[float]()
    low, high = found.low, found.high
    for usual, count in found.usual.items():
        if _is_gap(usual, low, high):
            gaps.add(usual)
            found.empty += count
        else:
            found.extend(usual, usual)
    return gaps


def _is_gap(usual: float, low: float, high: float) -> bool:
    """Say whether one of the usual numbers is far from all others.

    -32,768 beside -1,024 to 1,016 is no shade of grey; -9,999 beside -9,500 may be one. What is
    very light is not rare, and in a mask there is nothing but black and white.
    """
    if usual > 0:
        return low < high and usual > high + 2 * max(high - low, 1.0)
    return low <= high and usual < low - max(high - low, 1.0) / 2


def _range(numbers: Numbers, found: _Found) -> _Range:
    low, high = found.low, found.high
    if low > high:
        return _Range(0.0, 1.0, False)
    scale = _scale(numbers, low, high)
    if scale is not None:
        seen = high >= scale * _DARK and high - low >= scale * _FLAT
        if numbers.fixed or seen or low == high:
            return _Range(0.0, scale, False)
    if high - low < _LEAST:  # a plain picture: a middling grey
        around = max(1.0, abs(low))  # of a very great number, one more is the same
        return _Range(low - around, low + around, True)
    # Colours keep their black, else they would become others.
    return _Range(min(low, 0.0) if numbers.shown == 3 else low, high, True)


def _scale(numbers: Numbers, low: float, high: float) -> float | None:
    """Return what is white by the way in which the numbers are stored."""
    return next((scale for scale in numbers.scales if low >= 0 and high <= scale), None)


def _drawn(
    numbers: Numbers, strip: NDArray[np.generic], gaps: set[float], within: _Range
) -> Image.Image:
    """Return a strip as a picture, L or RGB."""
    stored, there = _values(numbers, strip)
    for gap in gaps:
        there &= ~(stored == gap).all(axis=-1)
    # A float32 tells 24 bits apart.
    few = stored.dtype.itemsize <= (4 if stored.dtype.kind == "f" else 2)
    few &= within.high - within.low > _LEAST_OF_FEW
    values = stored.astype(np.float32 if few else np.float64)
    values -= within.low
    values *= 255.0 / (within.high - within.low)
    np.clip(values, 0.0, 255.0, out=values)
    if numbers.inverted:
        np.subtract(255.0, values, out=values)
    if numbers.alpha != "none":
        _put_on_white(values, _opacity(numbers, strip), numbers.alpha)
    if not there.all():
        values[~there] = 255.0
    drawn = np.rint(values, out=values).astype(np.uint8)
    return Image.fromarray(drawn if numbers.shown == 3 else drawn[..., 0])


def _opacity(numbers: Numbers, strip: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the last channel as 0 to 1, [rows, width, 1]."""
    kind = strip.dtype
    most = 1.0 if kind.kind == "f" else 2.0 ** (8 * kind.itemsize - (kind.kind == "i")) - 1
    last = numbers.channels - 1
    return np.clip(strip[..., last:].astype(np.float64) / most, 0.0, 1.0)


def _put_on_white(
    values: NDArray[np.floating], opacity: NDArray[np.floating], alpha: Alpha
) -> None:
    if alpha == "straight":
        values *= opacity
    values += 255.0 * (1.0 - opacity)
    np.minimum(values, 255.0, out=values)


def _notes(numbers: Numbers, found: _Found, within: _Range) -> Iterator[Note]:
    low, high = _written(within.low), _written(within.high)
    if within.spread and found.high - found.low < _LEAST:
        value = _written(found.low)
        yield Note(
            "grey_plain",
            {"value": value},
            f"All grey values are {value}, on no known scale: they are drawn as a middling grey.",
        )
    elif within.spread:
        colours = numbers.shown == 3
        yield Note(
            "colour_range" if colours else "grey_range",
            {"low": low, "high": high},
            f"{'Values' if colours else 'Grey values'} {low} to {high} were spread over black to "
            "white: they use no known scale.",
        )
    if found.empty:
        width, height = numbers.size
        share = max(1, round(100 * found.empty / (width * height)))
        yield Note(
            "no_data",
            {"share": share},
            f"There is no data in {share} % of the pixels: they were left out, and are white.",
        )


def _written(value: float) -> str:
    """Write a number as people do.

    >>> _written(-1024.0), _written(0.00025)
    ('-1,024', '0.00025')
    """
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e10 else f"{value:.4g}"

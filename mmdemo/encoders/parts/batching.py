"""Which texts go through a model together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence


def by_length(
    lengths: Sequence[int],
    most: float | Callable[[], float],
    *,
    least: int = 0,
    waste: float = 0.0,
) -> Iterator[list[int]]:
    """Yield the positions of the sequences that run together, short ones first.

    Args:
        lengths: tokens of each sequence.
        most: padded tokens of a batch, or what says so at the time; a sequence that is longer runs
            alone.
        least: padded tokens from which on `waste` counts: smaller batches cost more for being small
            than for being padded.
        waste: the share of padding at which a batch is closed early; 0 for never.

    >>> list(by_length([2, 9, 3], most=8))
    [[0, 2], [1]]
    """
    batch: list[int] = []
    real = 0
    for position in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        length = lengths[position]
        padded = (len(batch) + 1) * length
        wasted = 1.0 - (real + length) / max(padded, 1)
        limit = most() if callable(most) else most
        if batch and (padded > limit or (waste and padded > least and wasted > waste)):
            yield batch
            batch, real = [], 0
        batch.append(position)
        real += length
    if batch:
        yield batch

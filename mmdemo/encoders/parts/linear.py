"""Faster matrix multiplications for a network that is there: other kernels, the same numbers.

Nothing here changes what another model computes: layers are replaced one by one, and the one
setting of torch that holds for the whole process is put back after every pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import torch
from torch import nn

Kernel: TypeAlias = Literal["plain", "packed", "medium"]
"""Ways to multiply float32 matrices.

`plain` is torch's default. `packed` has oneDNN lay the weights out once for the processor, in a
copy of them. `medium` is oneDNN without that copy; on some processors it rounds to bfloat16.
"""

_ROWS = 256
_ROUNDS = 5
_MOST_DRIFT = 1e-6
_LEAST_GAIN = 0.9

_kernels: dict[tuple[int, int], Kernel] = {}


def fastest_kernel(columns: int, rows: int) -> Kernel:
    """Measure which kernel multiplies fastest on this machine; once a size and process.

    Args:
        columns: features that go into a layer typical of the network.
        rows: features that come out.

    Returns:
        The fastest of those whose result is within 1e-6 of `plain` (Euclidean, relative). `plain`
        unless another takes less than nine tenths of its time: a copy of the weights is not free.
    """
    if (columns, rows) not in _kernels:
        _kernels[columns, rows] = _measure(columns, rows)
    return _kernels[columns, rows]


@torch.inference_mode()
def _measure(columns: int, rows: int) -> Kernel:
    random = torch.Generator().manual_seed(0)
    layer = nn.Linear(columns, rows, device="meta")  # filled below, from random numbers of its own
    layer.weight = nn.Parameter(torch.randn(rows, columns, generator=random))
    layer.bias = nn.Parameter(torch.randn(rows, generator=random))
    values = torch.randn(_ROWS, columns, generator=random)
    expected = layer(values)
    ways: dict[Kernel, Callable[[torch.Tensor], torch.Tensor]] = {"plain": layer}
    if _onednn():
        ways |= {"packed": PackedLinear(layer), "medium": lambda x: _medium(layer, x)}
    best: dict[Kernel, float] = {}
    for _ in range(_ROUNDS):  # interleaved, so that a busy moment hits all of them
        for kernel, way in ways.items():
            start = time.perf_counter()
            result = way(values)
            taken = time.perf_counter() - start
            if float((result - expected).norm() / expected.norm()) <= _MOST_DRIFT:
                best[kernel] = min(best.get(kernel, taken), taken)
    fastest = min(best, key=lambda kernel: best[kernel])
    return fastest if best[fastest] < _LEAST_GAIN * best["plain"] else "plain"


def _onednn() -> bool:
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _medium(layer: nn.Module, values: torch.Tensor) -> torch.Tensor:
    with multiplying("medium"):
        return layer(values)


@contextmanager
def multiplying(kernel: Kernel) -> Iterator[None]:
    """Let torch multiply with this kernel inside, and as before afterwards.

    `medium` holds for every thread meanwhile. That is harmless: `fastest_kernel` names it only
    where it rounds no more than `plain` does.
    """
    before = torch.get_float32_matmul_precision()
    if kernel != "medium" or before == "medium":
        yield
        return
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class PackedLinear(nn.Module):
    """A linear layer whose float32 weights oneDNN lays out at the first call."""

    def __init__(self, layer: nn.Linear) -> None:
        """Take over a layer's weights; nothing is read from them yet."""
        super().__init__()
        self._source: torch.Tensor | None = layer.weight
        self._packed: torch.Tensor | None = None
        self._bias = layer.bias

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Float32 [..., columns] -> [..., rows]."""
        if self._packed is None:
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self._source)
            self._source = None  # lets go of the memory-mapped original
        # Without an operation on top; these three say so.
        return torch.ops.mkldnn._linear_pointwise(values, self._packed, self._bias, "none", [], "")


def pack(network: nn.Module) -> None:
    """Replace every linear layer of a network by a `PackedLinear`."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.Linear):
            owner, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(owner), leaf, PackedLinear(layer))

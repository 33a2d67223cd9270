from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from mmdemo.encoders.parts.packed import load_packed, part_name, quantise_rows


def test_int8_rows_come_back_within_half_a_step(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {
        "matrix": torch.randn(20, 30, generator=generator) * torch.logspace(-4, 2, 20)[:, None],
        "bias": torch.randn(30, generator=generator),
        "zeros": torch.zeros(2, 3),
    }
    packed = quantise_rows(weights)
    assert packed["matrix"].dtype == torch.int8
    save_file(packed, tmp_path / "text-1.safetensors")
    back = load_packed(tmp_path, "text-*.safetensors")
    assert set(back) == set(weights)
    step = weights["matrix"].abs().amax(1, keepdim=True) / 127
    assert bool(((back["matrix"] - weights["matrix"]).abs() <= step * 0.5001).all())
    np.testing.assert_allclose(back["bias"].numpy(), weights["bias"].numpy(), atol=2e-3)
    assert not back["zeros"].any()


def test_a_matrix_cut_by_rows_is_joined_in_order(tmp_path: Path) -> None:
    whole = torch.arange(12, dtype=torch.float32).reshape(12, 1)
    parts = {part_name("w", i): part.clone() for i, part in enumerate(whole.split(1))}
    save_file(
        {k: v for k, v in parts.items() if k <= part_name("w", 6)}, tmp_path / "a.safetensors"
    )
    save_file({k: v for k, v in parts.items() if k > part_name("w", 6)}, tmp_path / "b.safetensors")
    assert torch.equal(load_packed(tmp_path, "*.safetensors")["w"], whole)

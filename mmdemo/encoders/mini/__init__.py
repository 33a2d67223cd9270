"""`mini`, the embedded model. It ships with the app; no directory is recognised as one."""

from __future__ import annotations

from mmdemo.encoders.spec import ModelSpec

SPECS = (
    ModelSpec(
        name="mini",
        title="mini (embedded)",
        architecture="mini.model:Mini",
        source="package:mini",
        modalities=("text", "image", "fused"),
        fusion="native",
        dim=384,
        languages=("en", "zh"),
        size_mb=49.8,
        licence="Apache-2.0",
        representations=("dense", "multi_vector"),
    ),
)

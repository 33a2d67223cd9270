"""The models by name, and `load_encoder`, which loads each of them once for the whole process."""

from __future__ import annotations

import importlib
import threading
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mmdemo.errors import ModelError, did_you_mean
from mmdemo.settings import default_model, offered_models
from mmdemo.types import Fusion, Modality
from mmdemo.weights import ASSETS, missing_files

if TYPE_CHECKING:
    from mmdemo.encoders.base import Encoder


@dataclass(frozen=True)
class ModelSpec:
    """What is known about a model without loading it.

    Attributes:
        name: what people type.
        title: what people read.
        architecture: `module:class` below `mmdemo.encoders`; called with the name.
        source: where the weights are; `package:mini` is a folder below `assets/`.
        modalities: what it embeds.
        fusion: how its fused embedding comes about.
        dim: length of a vector.
        languages: ISO 639-1 codes, or `("multilingual",)`.
        size_mb: weights on disk, in megabytes of 10^6 bytes.
        licence: SPDX expression of the weights.
    """

    name: str
    title: str
    architecture: str
    source: str
    modalities: tuple[Modality, ...]
    fusion: Fusion
    dim: int
    languages: tuple[str, ...]
    size_mb: float
    licence: str

    @property
    def on_this_machine(self) -> bool:
        """True where the weights are complete on this machine, so that no network is needed."""
        return not missing_files(ASSETS / self.source.removeprefix("package:"))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON: the fields, and `on_this_machine`."""
        return asdict(self) | {"on_this_machine": self.on_this_machine}


_SPECS = (
    ModelSpec(
        name="mini",
        title="mini (embedded)",
        architecture="mini:MiniEncoder",
        source="package:mini",
        modalities=("text", "image", "fused"),
        fusion="weighted",
        dim=384,
        languages=("en",),
        size_mb=33.8,
        licence="Apache-2.0",
    ),
)

MODELS: MappingProxyType[str, ModelSpec] = MappingProxyType({spec.name: spec for spec in _SPECS})
"""Every model that `load_encoder` knows, by name. Adding a checkpoint is one `ModelSpec`."""

_loaded: dict[str, Encoder] = {}
_locks: dict[str, threading.Lock] = {name: threading.Lock() for name in MODELS}


def find_model(name: str | None = None) -> ModelSpec:
    """Return the description of a model; without a name, of the default one.

    Raises:
        ModelError: there is no such model.
    """
    name = name or default_model()
    if name not in MODELS:
        known = ", ".join(MODELS)
        raise ModelError(f"There is no model '{name}'.{did_you_mean(name, MODELS)} Known: {known}.")
    return MODELS[name]


def offered() -> list[ModelSpec]:
    """Return the models that the page offers: those of `MMDEMO_MODELS`, or all.

    Raises:
        ModelError: `MMDEMO_MODELS` names an unknown model.
    """
    return [find_model(name) for name in offered_models()] or list(MODELS.values())


def load_encoder(name: str | None = None) -> Encoder:
    """Return the encoder of that name: loaded on first use, the same object for every caller.

    Callers that ask at the same moment wait for one load instead of each making their own.

    Args:
        name: a key of `MODELS`; by default `MMDEMO_MODEL`, else `mini`.

    Raises:
        ModelError: there is no such model, or its files are incomplete.

    >>> load_encoder("mini") is load_encoder("mini")
    True
    """
    spec = find_model(name)
    with _locks[spec.name]:
        if spec.name not in _loaded:
            module, _, class_name = spec.architecture.partition(":")
            encoder_class = getattr(
                importlib.import_module(f"mmdemo.encoders.{module}"), class_name
            )
            _loaded[spec.name] = encoder_class(spec.name)
        return _loaded[spec.name]

"""The description of a model: what is known of it without loading it. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmdemo.types import Fusion, Modality, Representation


@dataclass(frozen=True)
class HubFiles:
    """Files of one repository of the hub.

    Attributes:
        repo: `owner/name`.
        names: the files that are needed, and no others.
        anonymous: whether the hub is asked without the credentials of this machine's owner.
    """

    repo: str
    names: tuple[str, ...]
    anonymous: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What is known about a model without loading it.

    Whoever recognises a model leaves its name, title, source, size and licence to whoever found it.

    Attributes:
        name: what people type.
        title: what people read.
        architecture: `module:class` below `mmdemo.encoders`; called with the name, then with the
            folder and the further files of `hub` or `local`, where there are any.
        source: where the weights come from: `package:mini` is a folder below `assets/`, `hub:…` a
            repository of the hub, `local` this machine.
        modalities: what it embeds.
        fusion: how its fused embedding comes about.
        dim: length of a vector.
        languages: ISO 639-1 codes, or `("multilingual",)`.
        size_mb: weights on disk, in megabytes of 10^6 bytes.
        licence: SPDX expression of the weights; empty where it is not known.
        representations: what a text can become.
        hub: files of the hub; those of the first repository make up the folder.
        local: the folder and further files on this machine.
    """

    name: str = ""
    title: str = ""
    architecture: str
    source: str = ""
    modalities: tuple[Modality, ...]
    fusion: Fusion
    dim: int
    languages: tuple[str, ...]
    size_mb: float = 0.0
    licence: str = ""
    representations: tuple[Representation, ...] = ("dense",)
    hub: tuple[HubFiles, ...] = ()
    local: tuple[Path, ...] = ()

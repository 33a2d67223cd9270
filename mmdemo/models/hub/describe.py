"""A repository of the hub that nobody has described: which architecture, and which of its files.

Nothing of it is run. `config.json` and the names of the files say what it is, by the same functions
that recognise a directory of this machine (`models/local.py`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mmdemo.encoders.parts.file_names import (
    ADAPTERS,
    CHECKPOINTS,
    INDEX,
    MODULES,
    READER_FILES,
)
from mmdemo.encoders.parts.formats import of_files
from mmdemo.encoders.spec import HubFiles, ModelSpec
from mmdemo.errors import ModelError
from mmdemo.models.catalogue import FILES_OF_FAMILIES
from mmdemo.models.hub.ask import confirm_public, listing, plan
from mmdemo.models.hub.cache import cached, snapshot
from mmdemo.models.hub.download import fetch
from mmdemo.models.local import ACCEPTED, recognise

_CONFIG = "config.json"
_CONFIG_BYTES = 1_000_000  # real ones have some thousand
_MOST_FILES = 1000

_SMALL_FILES = (_CONFIG, *READER_FILES, *FILES_OF_FAMILIES)
_WEIGHT_FILES = tuple(
    pattern
    for stem, ending in (("model", "safetensors"), ("pytorch_model", "bin"))
    for pattern in (
        rf"{stem}\.{ending}",
        rf"{stem}\.{ending}\.index\.json|{stem}-\d+-of-\d+\.{ending}",
    )
)
"""In the order in which they are looked for, `file_names.WEIGHTS`."""


def from_cache(repo: str) -> ModelSpec | None:
    """Describe a model that is complete in the hub's cache, without a network; else None."""
    folder = snapshot(repo)
    if folder is None:
        return None
    sizes = {path.name: path.stat().st_size for path in folder.iterdir() if path.is_file()}
    try:
        model = _described(repo, folder, sizes)
    except ModelError:  # perhaps because files are missing
        return None
    return model if _complete(model) else None


def from_hub(repo: str, *, anonymous: bool = False) -> ModelSpec:
    """Ask the hub for a repository's files and its `config.json`, and describe it.

    Args:
        repo: `owner/name`.
        anonymous: whether nobody's credentials are used, now and for the files later. What the
            cache has of a repository that not everybody may read is of no use then.

    Raises:
        DownloadError: the hub cannot be reached, or has no such repository.
        ModelError: it holds no model of an architecture that is known here.
    """
    told = listing(repo, anonymous=anonymous)
    if _CONFIG not in told.sizes:
        _check_kind(repo, told.sizes)
    if not 0 < told.sizes.get(_CONFIG, 0) <= _CONFIG_BYTES or len(told.sizes) > _MOST_FILES:
        raise ModelError(
            f"{repo} has no usable config.json, which says what a model is. Accepted: {ACCEPTED}",
            "hub_no_config",
            name=repo,
        )
    if anonymous:
        # A repository that wants its terms accepted is listed for everybody, and the owner's copy
        # may be in the cache.
        confirm_public(repo, _CONFIG)
    wanted = [HubFiles(repo, (_CONFIG,), anonymous)]
    fetch(plan(repo, wanted), lambda progress: None)
    found = cached(wanted)
    with TemporaryDirectory() as place:
        # Recognised by the names of its files, which have no content here but for one.
        folder = Path(place) / repo.rpartition("/")[2]
        folder.mkdir()
        for name in told.sizes:
            (folder / name).touch()
        if found:
            shutil.copyfile(found[0] / _CONFIG, folder / _CONFIG)
        model = _described(repo, folder, told.sizes, told.licence)
    return replace(model, hub=tuple(replace(group, anonymous=anonymous) for group in model.hub))


def _check_kind(repo: str, names: Collection[str]) -> None:
    """Say of a repository without a configuration what it is, where its files tell.

    Raises:
        ModelError: they do.
    """
    if set(ADAPTERS) & set(names):
        raise ModelError(
            f"{repo} is an adapter of PEFT, not a model by itself: merge it first (PEFT's "
            "merge_and_unload, then save_pretrained into a folder) and name that folder.",
            "hub_adapter",
            name=repo,
        )
    if MODULES in names:
        raise ModelError(
            f"{repo} is of sentence-transformers, and its model is in a folder of its own. Fetch "
            f"it with 'hf download {repo} --local-dir FOLDER', and name that folder.",
            "hub_modules",
            name=repo,
        )
    if found := of_files(names):
        raise ModelError(
            f"{repo} has no usable config.json, but {found.seen}, which is {found.format}. "
            f"Accepted: {ACCEPTED}",
            "hub_no_config_foreign",
            name=repo,
            file=found.seen,
            format=found.format,
        )


def files_needed(names: Iterable[str]) -> tuple[str, ...]:
    """Choose the files that a model saved by transformers is loaded from.

    Args:
        names: all files there are, in the folder or the repository.

    Returns:
        Configurations, the tokenizer's files, and the weights in one format.
    """
    there = sorted(names)
    weights = ([n for n in there if re.fullmatch(pattern, n)] for pattern in _WEIGHT_FILES)
    small = [name for name in _SMALL_FILES if name in there]
    # An index alone, or parts without one, are no weights.
    return (*small, *next(filter(_whole, weights), []))


def _whole(names: list[str]) -> bool:
    """Say whether these are all files of a checkpoint: a whole one, or an index and all parts."""
    parts = [found for name in names if (found := re.search(r"-\d+-of-(\d+)\.", name))]
    if not parts:
        return bool(names) and not names[0].endswith(INDEX)
    return len(parts) == int(parts[0][1]) == len(names) - 1


def _described(repo: str, folder: Path, sizes: Mapping[str, int], licence: str = "") -> ModelSpec:
    """Recognise a repository.

    Args:
        repo: `owner/name`.
        folder: has its `config.json`, and its other files at least by name.
        sizes: bytes by file name.
        licence: as far as it is known.

    Raises:
        ModelError: it holds no model of an architecture that is known here.
    """
    found = recognise(folder)
    own = tuple(path.name for path in found.local[1:])
    # A checkpoint of its own comes instead of the weights that lie beside it.
    names = [name for name in sizes if not own or not _is_weights(name)]
    hub = (HubFiles(repo, files_needed(names)), *(HubFiles(repo, (name,)) for name in own))
    if not any(map(_is_weights, _names(hub))):
        raise _no_weights(repo, sizes)
    size = sum(sizes[name] for name in _names(hub))
    # Its paths mean nothing: the folder may be one that goes away.
    return replace(found, local=(), hub=hub, size_mb=round(size / 1e6, 1), licence=licence)


def _no_weights(repo: str, names: Iterable[str]) -> ModelError:
    """Say that a repository has no weights, and what it has in their place."""
    formats = "model.safetensors or pytorch_model.bin, whole or in parts"
    if found := of_files(names):
        return ModelError(
            f"{repo} has no weights in a format that is read here ({formats}), but {found.seen}, "
            f"which is {found.format}. Accepted: {ACCEPTED}",
            "hub_weights_foreign",
            name=repo,
            file=found.seen,
            format=found.format,
        )
    return ModelError(
        f"{repo} has no weights in a format that is read here: {formats}. Accepted: {ACCEPTED}",
        "hub_no_weights",
        name=repo,
    )


def _is_weights(name: str) -> bool:
    return name.endswith((*CHECKPOINTS, INDEX))


def _names(hub: Iterable[HubFiles]) -> list[str]:
    return [name for group in hub for name in group.names]


def _complete(model: ModelSpec) -> bool:
    """Say whether nothing is missing: a download may have stopped, or fetched a part on purpose."""
    names = _names(model.hub)
    if not any(re.fullmatch(r"tokenizer\.json|vocab\.\w+|.*\.model", name) for name in names):
        return False
    transformers = len(model.hub) == 1 and "image" in model.modalities
    readers = {"preprocessor_config.json", "processor_config.json"}
    return not transformers or bool(readers & set(names))

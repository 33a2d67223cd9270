"""`load_encoder`, which loads each model once for the whole process."""

from __future__ import annotations

import importlib
import logging
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError, ModelError
from mmdemo.models.files import files, fingerprint
from mmdemo.models.find import find_model
from mmdemo.progress import Report, print_progress

if TYPE_CHECKING:
    from mmdemo.encoders.base import Encoder

log = logging.getLogger(__name__)

_loaded: dict[tuple[str, ...], Encoder] = {}
_locks: defaultdict[tuple[str, ...], threading.Lock] = defaultdict(threading.Lock)
_locks_lock = threading.Lock()
# Of two threads that import two families at once, one finds transformers half imported and fails.
_importing = threading.Lock()


def load_encoder(
    model: str | Path | ModelSpec | None = None, *, progress: Report = print_progress
) -> Encoder:
    """Return the encoder of a model: loaded on first use, the same object for every caller.

    Weights of the hub that are not on this machine are fetched first. Callers that ask at the same
    moment wait for one load instead of each making their own.

    Args:
        model: a key of `MODELS`, a local directory, a checkpoint in one, an id of the hub, or a
            description; by default `MMDEMO_MODEL`, else `mini`.
        progress: called while weights are fetched; by default a line on stderr.

    Raises:
        ModelError: there is no such model, or its files are incomplete.
        DownloadError: its weights are not here and cannot be fetched.

    >>> load_encoder("mini") is load_encoder("mini")
    True
    """
    spec = model if isinstance(model, ModelSpec) else find_model(model)
    paths = files(spec, progress)
    # By resolved path: a directory reached by two ways is one model.
    key = (spec.name, *(str(path.resolve()) for path in paths))
    with _locks_lock:
        lock = _locks[key]
    with lock:
        if key not in _loaded:
            _loaded[key] = _made(spec, paths)
        return _loaded[key]


def _made(spec: ModelSpec, paths: tuple[Path, ...]) -> Encoder:
    """Make the encoder of a model from its files.

    Raises:
        ModelError: it cannot be made. What nobody foresaw is in the log alone: its own words may
            hold a path of this machine, and visitors read them.
    """
    module, _, class_name = spec.architecture.partition(":")
    try:
        with _importing:
            encoder_class = getattr(
                importlib.import_module(f"mmdemo.encoders.{module}"), class_name
            )
        encoder = encoder_class(spec.name, *paths)
    except MMDemoError:
        raise
    except Exception as error:
        log.exception("%s could not be loaded", spec.name)
        raise ModelError(
            f"{spec.name} could not be loaded. The log of the program says why; try again, or "
            "choose another model.",
            "load_failed",
            name=spec.name,
        ) from error
    encoder.fingerprint = fingerprint(spec)
    return encoder

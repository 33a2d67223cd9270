"""The models in use: each loaded once, within a budget of memory, dropped when others need room."""

from __future__ import annotations

import importlib
import itertools
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdemo.encoders.spec import ModelSpec
from mmdemo.errors import MMDemoError, ModelError
from mmdemo.models import memory
from mmdemo.models.encoder import Encoder
from mmdemo.models.files import files, fingerprint
from mmdemo.models.find import find_model
from mmdemo.models.store import Store
from mmdemo.progress import Report, print_progress, size_text
from mmdemo.settings import chosen_device

if TYPE_CHECKING:
    from mmdemo.encoders.base import Model

log = logging.getLogger(__name__)

_CACHED_LEAST = 8
"""So small a part of the budget is always left for what was computed: an eighth."""
_CACHED_MOST = 2**30
"""Bytes: with `mini`, some hundred thousand texts."""

# Of two threads that import two families at once, one finds transformers half imported and fails.
_importing = threading.Lock()


class _Loading:
    """A load that is under way, and what came of it, for all who wait."""

    def __init__(self) -> None:
        self.over = False
        self.error: BaseException | None = None
        self.model: Model


class Slot:
    """The place of a model in the pool: its weights, when they are here, and who uses them.

    It outlives the weights. An `Encoder` takes them out of it for the length of a call.

    Attributes:
        spec: what is known of the model.
        fingerprint: of the weights that were first loaded; others never come in their place.
        nbytes: of its weights; an estimate before they were loaded for the first time.
    """

    def __init__(
        self, pool: Pool, spec: ModelSpec, files: tuple[Path, ...], fingerprint: str
    ) -> None:
        """Make a place without weights in it."""
        self.spec = spec
        self.files = files
        self.fingerprint = fingerprint
        self.nbytes = int(spec.size_mb * 1e6)
        self.model: Model | None = None
        self.loads = 0
        self.users: dict[object, int] = {}  # the thread of each use
        self.used = 0  # when, by the pool's count
        self.leaving = False  # takes nobody new, because another model needs the room
        self.reserved = False  # there is room for it, and it is on its way
        self.loading: _Loading | None = None
        self._pool = pool

    @contextmanager
    def lease(self) -> Iterator[Model]:
        """Give the weights, loaded if need be; while they are used they are not dropped.

        Raises:
            ModelError: they cannot be loaded, or do not fit into the budget.
        """
        use = object()  # not the thread: a generator may end in another than it began in
        model = self._pool.take(self, use)
        try:
            yield model
        finally:
            self._pool.release(self, use)


class Pool:
    """All models of the process.

    Attributes:
        store: what they have computed.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.store = Store(_CACHED_MOST)
        self._slots: dict[tuple[str, ...], Slot] = {}
        self._encoders: dict[tuple[str, ...], Encoder] = {}
        self._changed = threading.Condition()
        self._count = itertools.count(1)

    def encoder(self, spec: ModelSpec, files: tuple[Path, ...]) -> Encoder:
        """Return the encoder of a model, loaded once before: the same object for every caller.

        Raises:
            ModelError: it cannot be loaded, or does not fit into the budget.
        """
        # By resolved path: a directory reached by two ways is one model; and one whose files were
        # replaced is another.
        mark = fingerprint(spec)
        key = (spec.name, mark, *(str(path.resolve()) for path in files))
        with self._changed:
            known = self._encoders.get(key)
            if known is not None:
                return known
            if key not in self._slots:
                self._slots[key] = Slot(self, spec, files, mark)
            slot = self._slots[key]
        with slot.lease() as model:
            made = Encoder(model, slot, self.store, mark)
        with self._changed:
            return self._encoders.setdefault(key, made)

    def take(self, slot: Slot, use: object) -> Model:
        """Count a use of a slot's weights and return them; see `Slot.lease`."""
        me = threading.get_ident()
        with self._changed:
            while True:
                # Whoever has them already must not wait for their own end.
                if slot.model is not None and (not slot.leaving or me in slot.users.values()):
                    slot.users[use] = me
                    slot.used = next(self._count)
                    return slot.model
                if slot.model is None and slot.loading is None:
                    break
                self._wait_for(slot)
            slot.loading = loading = _Loading()
        try:
            loading.model = self._load(slot, use)
        except BaseException as error:
            loading.error = error
            raise
        finally:
            with self._changed:
                loading.over, slot.loading = True, None
                self._changed.notify_all()
        return loading.model

    def _wait_for(self, slot: Slot) -> None:
        """Wait until something changes; a load that fails is told to all who wait for it."""
        loading = slot.loading
        self._changed.wait()
        if loading is not None and loading.over and loading.error is not None:
            error = loading.error
            if isinstance(error, MMDemoError):
                raise error.again() from error
            raise _failed(slot.spec) from error

    def release(self, slot: Slot, use: object) -> None:
        """Count the end of a use."""
        with self._changed:
            del slot.users[use]
            self._changed.notify_all()

    def _load(self, slot: Slot, use: object) -> Model:
        """Make room, load, and count the first use."""
        try:
            if fingerprint(slot.spec) != slot.fingerprint:
                raise _changed(slot.spec)
            self._make_room(slot)
            model = made(slot.spec, slot.files)
            if model.nbytes > slot.nbytes:  # than its files, or than what was foreseen
                slot.nbytes = model.nbytes
                self._make_room(slot)
            with self._changed:
                slot.model, slot.nbytes = model, model.nbytes
                slot.loads += 1
                slot.users[use] = threading.get_ident()
                slot.used = next(self._count)
            return model
        finally:
            slot.reserved = False

    def _make_room(self, slot: Slot) -> None:
        """Drop what was not used for longest until a model fits that is not here yet.

        What is in use is not dropped, but waited for: it takes nobody new meanwhile.

        Raises:
            ModelError: it is larger than the whole budget.
        """
        budget = memory.budget()
        most = budget - budget // _CACHED_LEAST
        dropped = False
        with self._changed:
            if slot.nbytes > most:
                raise _too_large(slot, most)
            while self._weights(slot) + slot.nbytes > most:
                victim = self._next_to_go()
                if victim is None:  # all that there is room for is on its way for others
                    self._changed.wait()
                elif victim.users:
                    victim.leaving = True
                    self._changed.wait()
                else:
                    victim.model = None
                    dropped = True
            slot.reserved = True
            for one in self._slots.values():
                one.leaving = False  # whoever still needs the room says so again
            rest = budget - self._weights(slot) - slot.nbytes
            self.store.limit = min(rest, _CACHED_MOST)
            self._changed.notify_all()
        if dropped:
            memory.give_back()

    def _next_to_go(self) -> Slot | None:
        """Return the model that makes room: idle before in use, then the least recently used."""
        here = [one for one in self._slots.values() if one.model is not None]
        order = {one: (bool(one.users), not one.leaving, one.used) for one in here}
        return min(here, key=lambda one: order[one], default=None)

    def _weights(self, but: Slot) -> int:
        """Return the bytes of all other models that are here, or for which there is room made."""
        return sum(
            one.nbytes
            for one in self._slots.values()
            if one is not but and (one.model is not None or one.reserved)
        )

    def loaded(self, spec: ModelSpec) -> bool:
        """Say whether the weights of a model are in memory."""
        return any(
            one.model is not None for one in self._slots.values() if one.spec.name == spec.name
        )

    def state(self) -> dict[str, Any]:
        """Return plain JSON of what is in memory, for an owner who looks after it."""
        with self._changed:
            slots = [one for one in self._slots.values() if one.model is not None]
            encoders = list(self._encoders.values())
            models = [
                {
                    "name": one.spec.name,
                    "mb": round(one.nbytes / 1e6, 1),
                    "in_use": bool(one.users),
                    "loads": one.loads,
                }
                for one in slots
            ]
        return {
            "models": models,
            "passes": {
                "waiting": sum(one.waiting for one in encoders),
                "running": sum(one.running for one in encoders),
            },
            "memory": {
                "budget_mb": round(memory.budget() / 1e6, 1),
                "weights_mb": round(sum(one.nbytes for one in slots) / 1e6, 1),
                "caches_mb": round(self.store.nbytes / 1e6, 1),
                "process_mb": round(memory.resident() / 1e6, 1),
            },
        }


def made(spec: ModelSpec, files: tuple[Path, ...]) -> Model:
    """Make a model from its files.

    Raises:
        ModelError: it cannot be made. What nobody foresaw is in the log alone: its own words may
            hold a path of this machine, and visitors read them.
    """
    module, _, class_name = spec.architecture.partition(":")
    try:
        with _importing:
            family = getattr(importlib.import_module(f"mmdemo.encoders.{module}"), class_name)
            device = importlib.import_module("mmdemo.encoders.parts.device")
        model = family(spec.name, *files)
        model.to_device(device.device_of(chosen_device()))
        return model
    except MMDemoError as error:
        if error.__cause__ is not None:  # a library's words are for the log of a page alone
            log.info("%s could not be loaded: %s", spec.name, error, exc_info=error.__cause__)
        raise
    except Exception as error:
        log.exception("%s could not be loaded", spec.name)
        raise _failed(spec) from error


def _failed(spec: ModelSpec) -> ModelError:
    return ModelError(
        f"{spec.name} could not be loaded. The log of the program says why; try again, or "
        "choose another model.",
        "load_failed",
        name=spec.name,
    )


def _changed(spec: ModelSpec) -> ModelError:
    return ModelError(
        f"The files of {spec.name} were changed or removed after they were loaded. Choose it again "
        "to use what is there now.",
        "weights_changed",
        name=spec.name,
    )


def _too_large(slot: Slot, most: int) -> ModelError:
    return ModelError(
        f"{slot.spec.name} needs {size_text(slot.nbytes)} of memory, and models may have "
        f"{size_text(most)} here. Choose a smaller one; whoever runs this can set MMDEMO_MEMORY, "
        "in MB.",
        "model_too_large",
        name=slot.spec.name,
        needed=size_text(slot.nbytes),
        most=size_text(most),
    )


POOL = Pool()
"""That of this process."""


def loaded(spec: ModelSpec) -> bool:
    """Say whether the weights of a model are in memory: else its next use loads them, again."""
    return POOL.loaded(spec)


def state() -> dict[str, Any]:
    """Return plain JSON of the models in memory, their queues, and what memory they take."""
    return POOL.state()


def load_encoder(
    model: str | Path | ModelSpec | None = None, *, progress: Report = print_progress
) -> Encoder:
    """Return the encoder of a model: loaded on first use, the same object for every caller.

    Weights of the hub that are not on this machine are fetched first. Callers that ask at the same
    moment wait for one load instead of each making their own. It stays good when the weights are
    dropped to make room for others: its next call loads them again.

    Args:
        model: a key of `MODELS`, a local directory, a checkpoint in one, an id of the hub, or a
            description; by default `MMDEMO_MODEL`, else `mini`.
        progress: called while weights are fetched; by default a line on stderr.

    Raises:
        ModelError: there is no such model, its files are incomplete, or it does not fit into the
            memory that models may have.
        DownloadError: its weights are not here and cannot be fetched.

    >>> load_encoder("mini") is load_encoder("mini")
    True
    """
    spec = model if isinstance(model, ModelSpec) else find_model(model)
    return POOL.encoder(spec, files(spec, progress))

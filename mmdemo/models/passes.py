"""From items to forward passes: the store is asked first, what is missing joins the next batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmdemo.encoders.base import Features, Model, Prepared, Tell, Tokens
from mmdemo.encoders.parts.batching import by_length
from mmdemo.models.items import Pictured, Wanted
from mmdemo.models.lane import Breathe, Lane, Priority, Request, Step, Stop
from mmdemo.models.store import Key, Kind, Sized, Store, pair_digest, text_digest
from mmdemo.similarity import unit_rows
from mmdemo.timings import Timings, add
from mmdemo.types import TextEncoding

T = TypeVar("T")

# Padded tokens from which on a batch pays for its padding, and the share of it that closes a batch.
_SMALL_BATCH = 256
_WASTE = 0.2


def _never() -> bool:
    return False


@dataclass(eq=False)
class Terms:
    """On whose terms a call runs.

    Attributes:
        priority: what goes first where several wait for the model.
        stop: says whether nobody wants the result any more.
        waited: seconds that its requests have waited for others.
    """

    priority: Priority = Priority.CALL
    stop: Stop = _never
    waited: float = 0.0


class _Ready(NamedTuple):
    """An item for a pass: what it is named by, and what the model takes of it."""

    digest: bytes
    content: Any


class _Text(NamedTuple):
    """A text whose encoding is wanted, and who is told how far the pass is."""

    digest: bytes
    content: Tokens
    tell: Tell


class Passes:
    """The passes of one model: what was computed before comes from the store.

    The model is given to each call, because its weights may come and go.
    """

    def __init__(self, model: Model, store: Store, owner: str) -> None:
        """Make the lane.

        Args:
            model: says how much fits into its passes; it is not kept.
            store: where results are kept.
            owner: under which.
        """
        self.lane = Lane(f"lane of {model.name}")
        self._store = store
        self._owner = owner
        tokens = model.batch_tokens
        self._features = Step(self._compute_features, model.batch_pictures, joins=True)
        self._vectors = Step(self._compute_vectors, tokens, joins=True)
        self._encodings = Step(self._compute_encodings, tokens, joins=False)
        self._matches = Step(self._compute_matches, tokens, joins=True)

    def kept(self, kind: Kind, digest: bytes) -> Any:
        """Return what was computed with these weights; None where it is not kept."""
        return self._store.get(Key(self._owner, kind, digest))

    def keep(self, kind: Kind, digest: bytes, value: Sized) -> None:
        """Keep what was computed with these weights, while there is room."""
        self._store.put(Key(self._owner, kind, digest), value)

    # From what is wanted to passes: in the caller's thread.

    def vectors(
        self, model: Model, wanted: Mapping[bytes, Wanted], terms: Terms, timings: Timings
    ) -> dict[bytes, Features]:
        """Embed items that the store does not hold.

        Returns:
            float32 [dim] each, unit vectors, by digest.
        """
        if model.whole_pass:  # it says more about a text, for whoever asks next
            texts = [one.text or "" for one in wanted.values()]
            read = dict(self.encodings(model, texts, None, terms, timings))
            return {digest: read[place].dense for place, digest in enumerate(wanted)}
        features = self._features_of(model, wanted.values(), terms, timings)
        ready = self._ready(model, wanted, features)
        lengths = [model.length(one.content) for one in ready]
        rows: dict[bytes, Features] = {}
        parts = by_length(lengths, lambda: self._vectors.fits, least=_SMALL_BATCH, waste=_WASTE)
        for chosen, more in _and_whether_more(parts):
            batch = [ready[place] for place in chosen]
            sizes = [lengths[place] for place in chosen]
            done = self._do(self._vectors, model, batch, max(sizes), terms, more=more)
            for one, size in zip(batch, sizes, strict=True):
                add(timings, one.content.modality, done.took * size / sum(sizes))
            rows.update(zip((one.digest for one in batch), done.results, strict=True))
        return rows

    def encodings(
        self,
        model: Model,
        texts: Sequence[str],
        tell: Tell | None,
        terms: Terms,
        timings: Timings,
    ) -> Iterator[tuple[int, TextEncoding]]:
        """Yield all that one pass says about each text, short ones first, by position.

        Args:
            model: the model.
            texts: any length.
            tell: told the share that is done, 0 to 1; what it raises ends the work.
            terms: of the caller.
            timings: where to add milliseconds.
        """
        read = model.read_texts(texts)
        lengths = list(map(len, read))
        done, total = 0, max(sum(lengths), 1)

        def fits() -> float:
            return self._encodings.fits

        parts = by_length(lengths, fits, least=_SMALL_BATCH, waste=_WASTE)
        for chosen, more in _and_whether_more(parts):
            size = sum(lengths[place] for place in chosen)

            def told(share: float, done: int = done, size: int = size) -> None:
                if tell is not None:
                    tell((done + share * size) / total)

            told(0.0)
            found, todo = {}, []
            for place in chosen:
                digest = text_digest(texts[place])
                found[place] = digest, self.kept("encoding", digest)
                if found[place][1] is None:
                    todo.append(_Text(digest, read[place], told))
            fresh: dict[bytes, TextEncoding] = {}
            if todo:
                longest = max(len(one.content) for one in todo)
                request = self._do(self._encodings, model, todo, longest, terms, more=more)
                add(timings, "text", request.took)
                fresh = dict(zip((one.digest for one in todo), request.results, strict=True))
            yield from ((place, kept or fresh[digest]) for place, (digest, kept) in found.items())
            done += size
            told(0.0, done)

    def matches(
        self, model: Model, picture: Pictured, texts: Sequence[str], terms: Terms
    ) -> list[float]:
        """Return a picture's chance with each text, by the model's matching head."""
        pairs = {text: pair_digest(picture.digest, text) for text in texts}
        found = {text: self.kept("match", digest) for text, digest in pairs.items()}
        missing = [text for text, kept in found.items() if kept is None]
        if missing:
            wanted = Wanted(picture.digest, None, picture)
            features = self._features_of(model, [wanted], terms, {})[picture.digest]
            rows = model.read_texts(missing, beside=True)
            ready = [
                _Ready(pairs[text], Prepared(row, features))
                for text, row in zip(missing, rows, strict=True)
            ]
            lengths = [model.length(one.content) for one in ready]
            parts = by_length(lengths, lambda: self._matches.fits)
            for chosen, more in _and_whether_more(parts):
                batch = [ready[place] for place in chosen]
                longest = max(lengths[place] for place in chosen)
                request = self._do(self._matches, model, batch, longest, terms, more=more)
                some = [missing[place] for place in chosen]
                found.update(zip(some, request.results, strict=True))
        return [float(found[text][0]) for text in texts]

    def _do(
        self,
        step: Step[T],
        model: Model,
        items: Sequence[Any],
        longest: float,
        terms: Terms,
        *,
        more: bool = False,
    ) -> Request[T]:
        done = self.lane.do(
            step,
            model,
            items,
            longest=longest,
            priority=terms.priority,
            stop=terms.stop,
            more=more,
        )
        terms.waited += done.waited
        return done

    def _features_of(
        self, model: Model, wanted: Iterable[Wanted], terms: Terms, timings: Timings
    ) -> dict[bytes, Features]:
        """Return vision features by the picture's digest, each distinct picture computed once."""
        pictures = {one.picture.digest: one.picture for one in wanted if one.picture is not None}
        found = {digest: self.kept("features", digest) for digest in pictures}
        rest = [one for digest, one in pictures.items() if found[digest] is None]
        while rest:
            count = max(1, min(int(self._features.fits), model.batch_pictures))
            some, rest = rest[:count], rest[count:]
            batch = []
            for picture in some:
                batch.append(_Ready(picture.digest, model.read_picture(picture.open())))
                picture.close()  # before the next one is opened
            done = self._do(self._features, model, batch, 1.0, terms, more=True)
            add(timings, "image", done.took)
            found.update(zip((one.digest for one in batch), done.results, strict=True))
        return found

    def _ready(
        self, model: Model, wanted: Mapping[bytes, Wanted], features: Mapping[bytes, Features]
    ) -> list[_Ready]:
        """Return items as the model takes them: texts as tokens, pictures as features."""
        tokens: dict[tuple[bool, str], Tokens] = {}
        for beside in (False, True):
            texts = {
                one.text: None
                for one in wanted.values()
                if one.text is not None and beside is (one.picture is not None)
            }
            if texts:
                rows = model.read_texts(list(texts), beside=beside)
                tokens.update(zip(((beside, text) for text in texts), rows, strict=True))
        ready = []
        for digest, one in wanted.items():
            seen = None if one.picture is None else features[one.picture.digest]
            read, own = None, None
            if one.text is not None:
                read = tokens[seen is not None, one.text]
                own = None if seen is None else self.kept("vector", text_digest(one.text))
            ready.append(_Ready(digest, Prepared(read, seen, own)))
        return ready

    # Passes: in the lane's thread. Who asked for the same in the meantime finds it in the store.

    def _compute_features(
        self, model: Model, items: Sequence[_Ready], breathe: Breathe
    ) -> list[Features]:
        return self._compute("features", items, model.image_features)

    def _compute_vectors(
        self, model: Model, items: Sequence[_Ready], breathe: Breathe
    ) -> list[Features]:
        def embed(prepared: Sequence[Prepared]) -> list[Features]:
            # Copies, so that one can be dropped without its neighbours.
            return [row.copy() for row in unit_rows(model.embed(prepared))]

        return self._compute("vector", items, embed)

    def _compute_matches(
        self, model: Model, items: Sequence[_Ready], breathe: Breathe
    ) -> list[NDArray[np.float32]]:
        def match(prepared: Sequence[Prepared]) -> list[NDArray[np.float32]]:
            return [np.array([chance], np.float32) for chance in model.match_chances(prepared)]

        return self._compute("match", items, match)

    def _compute_encodings(
        self, model: Model, items: Sequence[_Text], breathe: Breathe
    ) -> list[TextEncoding]:
        def tell(share: float) -> None:
            items[0].tell(share)  # all are one caller's
            breathe()

        def encode(read: Sequence[Tokens]) -> list[TextEncoding]:
            return [_finished(one) for one in model.text_encodings(read, tell)]

        found = self._compute("encoding", items, encode)
        for one, encoding in zip(items, found, strict=True):
            self.keep("vector", one.digest, encoding.dense)
        return found

    def _compute(
        self, kind: Kind, items: Sequence[Any], run: Callable[[Sequence[Any]], Sequence[Any]]
    ) -> list[Any]:
        found = {one.digest: self.kept(kind, one.digest) for one in items}
        todo = {one.digest: one.content for one in items if found[one.digest] is None}
        if todo:
            for digest, value in zip(todo, run(list(todo.values())), strict=True):
                found[digest] = value
                self.keep(kind, digest, value)
        return [found[one.digest] for one in items]


def _and_whether_more(parts: Iterator[T]) -> Iterator[tuple[T, bool]]:
    """Yield each of several parts, and whether another one follows."""
    for part in parts:
        following = next(parts, None)
        while following is not None:
            yield part, True
            part, following = following, next(parts, None)
        yield part, False


def _finished(read: TextEncoding) -> TextEncoding:
    """Return an encoding with unit vectors, read-only because every later caller shares it."""
    finished = TextEncoding(
        dense=unit_rows(read.dense[None])[0].copy(),
        sparse=read.sparse,
        multi_vector=None if read.multi_vector is None else unit_rows(read.multi_vector),
    )
    for array in finished.arrays():
        array.setflags(write=False)
    return finished

"""Passages ranked for a query in each way that a model knows, and why.

`rank_passages` encodes once; a `Ranking` then answers for any weights without the model. `explain`
looks at one passage: which words count, and which token of the query finds which of the passage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mmdemo.background.sets import background, percentile_ranks
from mmdemo.errors import TextError
from mmdemo.models.items import checked_text, listed
from mmdemo.notes import text_notes, unknown_among
from mmdemo.settings import limits
from mmdemo.similarity import cosine, hybrid, lexical, maxsim, order
from mmdemo.tasks.passages import checked_document, typed_passages
from mmdemo.types import (
    REPRESENTATIONS,
    Needs,
    Note,
    Representation,
    TextEncoding,
    Token,
    TokenUsage,
)
from mmdemo.work import UNFOLLOWED, Follow, Follower

if TYPE_CHECKING:
    from mmdemo.models.encoder import Encoder

NEEDS: Needs = frozenset({"text", "multi_vector"})

Scores: TypeAlias = NDArray[np.float32]
Weights: TypeAlias = Mapping[Representation, float]
_LARGEST_WEIGHT = 1e6  # a sum of larger ones might be infinite

EVEN: dict[Representation, float] = dict.fromkeys(REPRESENTATIONS, 1.0)
"""Each way of scoring counts alike: FlagEmbedding's default."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Passages, scored for a query.

    Attributes:
        model: name of the model.
        query: the query.
        passages: n texts, in the order they were given.
        scores: float32 [n] by function: cosine of the dense vectors, lexical dot product, MaxSim;
            None for one that the model lacks.
        percentiles: for each passage, the percentage of unrelated text pairs with a lower cosine;
            empty where the model has no background set.
        query_usage: how much of the query was read.
        usage: how much of each passage was read.
        notes: what a reader should know about the query, and of words that the model does not know.
        timings: milliseconds: `text` in forward passes, and `total`. What comes from the cache
            costs nothing.
        fingerprint: of the weights; empty where nothing tells them from others.
        background_pairs: how many unrelated pairs the percentiles are among; 0 without any.
    """

    model: str
    query: str
    passages: tuple[str, ...]
    scores: Mapping[Representation, Scores | None]
    percentiles: tuple[float, ...]
    query_usage: TokenUsage
    usage: tuple[TokenUsage, ...]
    notes: tuple[Note, ...]
    timings: Mapping[str, float]
    fingerprint: str = ""
    background_pairs: int = 0

    def hybrid(self, weights: Weights = EVEN) -> Scores:
        """Return the weighted sum divided by the sum of the weights, float32 [n]."""
        return hybrid(self.scores, weights)

    @property
    def truncated(self) -> tuple[int, ...]:
        """Return the positions of the passages that were not read to their end."""
        return tuple(index for index, usage in enumerate(self.usage) if usage.truncated)

    def to_dict(self, weights: Weights = EVEN) -> dict[str, Any]:
        """Return plain JSON, the passages in the order of the weighted sum."""
        total = self.hybrid(weights)
        rows = [
            {
                "position": position,
                "text": self.passages[position],
                "hybrid": float(total[position]),
                "scores": {
                    name: None if found is None else float(found[position])
                    for name, found in self.scores.items()
                },
                "percentile": self.percentiles[position] if self.percentiles else None,
                "tokens": self.usage[position].total,
                "tokens_read": self.usage[position].used,
                "tokens_unknown": self.usage[position].unknown,
            }
            for position in order(total)
        ]
        return {
            "model": self.model,
            "fingerprint": self.fingerprint,
            "query": self.query,
            "weights": {name: float(weights[name]) for name in REPRESENTATIONS},
            "passages": rows,
            "notes": [note.message for note in self.notes],
            "timings": {name: round(ms, 3) for name, ms in self.timings.items()},
        }


@dataclass(frozen=True)
class SharedWord:
    """A token that query and passage have in common.

    Attributes:
        token: as the tokenizer writes it.
        id: its number in the vocabulary.
        query: its weight in the query.
        passage: its weight in the passage.
    """

    token: str
    id: int
    query: float
    passage: float

    @property
    def product(self) -> float:
        """Return its part of the lexical score."""
        return self.query * self.passage


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a passage has its scores.

    Attributes:
        query: the query.
        passage: the passage.
        query_tokens: what the model reads of the query.
        passage_tokens: likewise.
        query_weights: the weight of each of `query_tokens`, 0 where it has none; None for a model
            without lexical weights.
        passage_weights: likewise.
        shared: tokens that both have, the largest part of the score first.
        cosines: float32 [q, p] of the tokens that have a row, in order; None for a model without
            multi-vectors.
    """

    query: str
    passage: str
    query_tokens: tuple[Token, ...]
    passage_tokens: tuple[Token, ...]
    query_weights: tuple[float, ...] | None
    passage_weights: tuple[float, ...] | None
    shared: tuple[SharedWord, ...]
    cosines: Scores | None

    @property
    def best(self) -> NDArray[np.intp]:
        """Return the column of each row's largest cosine; none where there is no row or column."""
        if self.cosines is None or not self.cosines.size:
            return np.empty(0, dtype=np.intp)
        return self.cosines.argmax(axis=1)


@dataclass(frozen=True)
class RankRequest:
    """Passages to be ranked for a query.

    Attributes:
        query: what is looked for.
        passages: n texts.
        weights: of each way of scoring, in the order of `REPRESENTATIONS`; they count in the
            weighted sum alone, so that other weights need no other request.
        model: as it was chosen: a name, a hub id or a directory; None for the default.
    """

    query: str
    passages: tuple[str, ...]
    weights: tuple[float, ...] = (1.0,) * len(REPRESENTATIONS)
    model: str | None = None

    @classmethod
    def of(
        cls,
        query: str,
        passages: Iterable[str] | str,
        weights: Weights = EVEN,
        *,
        model: str | None = None,
    ) -> RankRequest:
        """Return a request from what somebody gave.

        Args:
            query: as of the attribute.
            passages: n texts, taken as they are; or one that was typed, which says itself where a
                passage ends (see `typed_passages`).
            weights: by way of scoring; less than 0 counts as 0, and so does one that is missing.
            model: as of the attribute.

        Raises:
            TextError: a typed text is too long, passages are no list, or a weight is no number or
                has no name.
        """
        if isinstance(passages, str):
            passages = typed_passages(checked_document(passages))
        if not isinstance(weights, Mapping):
            raise TextError(
                "Weights have names: give a mapping, such as {'dense': 1, 'sparse': 0.3, "
                f"'multi_vector': 1}}, not {type(weights).__name__}.",
                "weights_unnamed",
                given=type(weights).__name__,
            )
        kept = tuple(_checked_weight(name, weights) for name in REPRESENTATIONS)
        return cls(query, tuple(listed(passages)), kept, model)

    @property
    def by_name(self) -> dict[Representation, float]:
        """Return the weights by way of scoring."""
        return dict(zip(REPRESENTATIONS, self.weights, strict=True))

    def run(self, encoder: Encoder, follow: Follow = UNFOLLOWED) -> Ranking:
        """Score the passages in every way that the model knows.

        Args:
            encoder: must embed texts.
            follow: told how far the encoding is, in passages.

        Raises:
            ModelError: the model embeds no texts.
            TextError: the query is empty or too long, there are no passages, or too many or too
                long ones.
            StoppedError: nobody wants it any more.
        """
        return _ranked(encoder, self, follow)


def rank_passages(
    encoder: Encoder,
    query: str,
    passages: Iterable[str],
    *,
    progress: Callable[[float], None] | None = None,
) -> Ranking:
    """Score passages for a query in every way that the model knows.

    The passages' vectors are let go of as soon as they are scored, so memory does not grow with
    their number.

    Args:
        encoder: from `load_encoder`; must embed texts.
        query: what is looked for.
        passages: at most `MMDEMO_LIMITS_PASSAGES`, together at most `MMDEMO_LIMITS_DOCUMENT`
            characters; an empty one is scored as the model reads it.
        progress: told the share of the encoding that is done, 0 to 1; what it raises ends the
            ranking.

    Raises:
        ModelError: the model embeds no texts.
        TextError: the query is empty or too long, there are no passages, or too many or too long
            ones.
    """

    def told(done: float, total: float, _stage: str) -> None:
        if progress:
            progress(done / total)

    if isinstance(passages, str):
        raise TextError(
            "The passages are a single text, and would be ranked letter by letter. Give a list of "
            "texts; mmdemo.tasks.passages.split_document makes one of a document.",
            "passages_one_text",
        )
    return RankRequest.of(query, passages).run(encoder, Follower(told))


def _checked_weight(name: Representation, weights: Weights) -> float:
    """Return the weight of a way of scoring, if it is one that a sum can be made with."""
    given = weights.get(name, 0.0)
    number = isinstance(given, Real) and not isinstance(given, bool)
    if not number or not abs(given) <= _LARGEST_WEIGHT:  # so said, NaN is caught
        raise TextError(
            f"The weight of '{name}' is {str(given)[:20]}; it is a number of at most "
            f"{_LARGEST_WEIGHT:,.0f}, 0 for a way that does not count.",
            "weight_number",
            name=name,
            given=str(given)[:20],
            limit=f"{_LARGEST_WEIGHT:,.0f}",
        )
    return max(float(given), 0.0)


def _ranked(encoder: Encoder, request: RankRequest, follow: Follow) -> Ranking:
    start = time.perf_counter()
    query, checked = checked_text(request.query), _checked(request.passages)
    timings: dict[str, float] = {}
    ((_, asked),) = encoder.read_texts([query], timings=timings)
    scores: dict[Representation, Scores] = {
        name: np.zeros(len(checked), dtype=np.float32) for name in _known(asked)
    }

    def step(share: float) -> None:
        follow(share * len(checked), len(checked), "passages")

    for position, read in encoder.read_texts(checked, step=step, timings=timings):
        for name, column in scores.items():
            column[position] = _score(name, asked, read)
    timings["total"] = (time.perf_counter() - start) * 1000.0
    usage = tuple(encoder.token_usage(passage) for passage in checked)
    unknown = unknown_among(encoder.name, checked, usage)
    known = background(encoder)
    ranks_of_dense = percentile_ranks(known, "t2t", scores["dense"])
    return Ranking(
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        query=query,
        passages=checked,
        scores={name: scores.get(name) for name in REPRESENTATIONS},
        percentiles=() if ranks_of_dense is None else tuple(ranks_of_dense.tolist()),
        background_pairs=known.pairs.get("t2t", 0) if known else 0,
        query_usage=encoder.token_usage(query),
        usage=usage,
        notes=(
            *text_notes(encoder, query, with_image=False),
            *(note.within("Passages", "place_passages") for note in unknown),
        ),
        timings=timings,
    )


def explain(encoder: Encoder, query: str, passage: str) -> Explanation:
    """Say why a passage has its scores; both were encoded before, as a rule, and are in the cache.

    Args:
        encoder: the model that ranked.
        query: the query.
        passage: the passage.

    Raises:
        ModelError: the model does not tell its tokens.
        TextError: a text is too long.
    """
    read = dict(encoder.read_texts([query, passage]))
    asked, found = read[0], read[1]
    query_tokens, passage_tokens = encoder.tokens(query), encoder.tokens(passage)
    cosines = None
    if asked.multi_vector is not None and found.multi_vector is not None:
        cosines = cosine(asked.multi_vector, found.multi_vector)
    return Explanation(
        query=query,
        passage=passage,
        query_tokens=tuple(query_tokens),
        passage_tokens=tuple(passage_tokens),
        query_weights=_token_weights(asked, query_tokens),
        passage_weights=_token_weights(found, passage_tokens),
        shared=tuple(_shared(asked, found, query_tokens)),
        cosines=cosines,
    )


def ranks(scores: Scores) -> list[int]:
    """Return each position's rank, from 1.

    >>> ranks(np.array([0.2, 0.5, 0.1], dtype=np.float32))
    [2, 1, 3]
    """
    return (np.argsort(order(scores)) + 1).tolist()


def _checked(passages: Sequence[str]) -> tuple[str, ...]:
    """Return the passages if they are texts, and neither none nor too many nor too long."""
    most = limits().passages
    if not passages:
        raise TextError("There are no passages. Add at least one.", "no_passages")
    if len(passages) > most:
        raise TextError(
            f"There are {len(passages):,} passages; at most {most} are ranked. Take fewer, or join "
            "some.",
            "too_many_passages",
            count=f"{len(passages):,}",
            limit=most,
        )
    if all(isinstance(passage, str) for passage in passages):
        checked_document("".join(passages))
    return tuple(passages)  # `read_texts` says which is no text


def _known(encoding: TextEncoding) -> list[Representation]:
    parts = (encoding.dense, encoding.sparse, encoding.multi_vector)
    return [name for name, part in zip(REPRESENTATIONS, parts, strict=True) if part is not None]


def _score(name: Representation, query: TextEncoding, passage: TextEncoding) -> float:
    """Return the score of one passage under one function."""
    if name == "dense":
        return float(cosine(query.dense[None], passage.dense[None])[0, 0])
    if name == "sparse" and query.sparse is not None and passage.sparse is not None:
        return lexical(query.sparse, passage.sparse)
    if query.multi_vector is None or passage.multi_vector is None:
        return 0.0
    return maxsim(query.multi_vector, passage.multi_vector)


def _token_weights(encoding: TextEncoding, tokens: Sequence[Token]) -> tuple[float, ...] | None:
    if encoding.sparse is None:
        return None
    weights = encoding.sparse.as_dict()
    return tuple(weights.get(token.id, 0.0) for token in tokens)


def _shared(
    query: TextEncoding, passage: TextEncoding, tokens: Sequence[Token]
) -> list[SharedWord]:
    """Return the tokens with a weight on both sides, by their part of the score."""
    if query.sparse is None or passage.sparse is None:
        return []
    here, there = query.sparse.as_dict(), passage.sparse.as_dict()
    names = {token.id: token.text for token in tokens}
    shared = [
        SharedWord(names[number], number, here[number], there[number])
        for number in here.keys() & there.keys()
    ]
    return sorted(shared, key=lambda word: (-word.product, word.id))

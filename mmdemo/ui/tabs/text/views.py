"""A ranking as the page shows it: pure functions from results to figures and markup.

Whatever a visitor typed is escaped here, on its way into markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Literal, TypeAlias

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from mmdemo.background.sets import Background
from mmdemo.plots.tokens import token_heatmap
from mmdemo.similarity import order
from mmdemo.tasks.passages import Document
from mmdemo.tasks.rank import Explanation, Ranking, Scores, Weights, ranks
from mmdemo.types import REPRESENTATIONS, Token
from mmdemo.ui.parts.markup import joined, note_sentence, percent_text, shortened
from mmdemo.ui.strings import Language, say

Column: TypeAlias = Literal["dense", "sparse", "multi_vector", "hybrid"]

_SHOWN = 10
"""Passages of a column that are in sight; the others are folded away."""

_EXCERPT = 140
_ROWS, _COLUMNS = 24, 48
"""Tokens of query and passage in the heatmap."""

_WORDS = 300
"""Tokens of a text that is coloured by weight."""


# The inputs.


def encoding_taken(document: Document, language: Language) -> str:
    """Say which encoding a document was read in, where it is another than UTF-8; escaped."""
    if document.is_utf8:
        return ""
    name = shortened(document.name)
    return say(language, "document_encoding_taken", name=name, encoding=document.encoding)


# The ranking.


def columns(ranking: Ranking, weights: Weights, language: Language) -> str:
    """Return the ranked passages under each function and the weighted sum, side by side."""
    total = ranking.hybrid(weights)
    overall = ranks(total)
    scores: dict[Column, Scores | None] = {**ranking.scores, "hybrid": total}
    body = "".join(
        _column(name, found, overall, ranking, language) for name, found in scores.items()
    )
    return f'<div class="mm-ranks">{body}</div>'


def _column(
    name: Column,
    scores: Scores | None,
    overall: Sequence[int],
    ranking: Ranking,
    language: Language,
) -> str:
    head = (
        f"<header><h3>{say(language, f'rank_{name}')}</h3>"
        f"<p>{say(language, f'rank_{name}_what')}</p></header>"
    )
    if scores is None:
        lacking = say(language, "rank_lacking", model=escape(ranking.model))
        return f'<section data-function="{name}">{head}<p class="lacking">{lacking}</p></section>'
    highest = max(float(scores.max()), 1e-9)
    items = [
        _item(ranking, position, float(scores[position]), highest, _moved(rank, overall[position]))
        for rank, position in enumerate(order(scores), start=1)
    ]
    rest = ""
    if len(items) > _SHOWN:
        more = say(language, "rank_more", count=len(items) - _SHOWN)
        folded = "".join(items[_SHOWN:])
        start = _SHOWN + 1
        rest = f'<details><summary>{more}</summary><ol start="{start}">{folded}</ol></details>'
    listed = "".join(items[:_SHOWN])
    return f'<section data-function="{name}">{head}<ol>{listed}</ol>{rest}</section>'


def _item(ranking: Ranking, position: int, score: float, highest: float, moved: str) -> str:
    text = " ".join(ranking.passages[position].split())
    excerpt = escape(text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…")
    share = 100.0 * min(max(score / highest, 0.0), 1.0)
    cut = '<span aria-hidden="true">✂</span>' if position in ranking.truncated else ""
    return (
        f'<li data-passage="{position}" data-score="{score:.6f}" style="{_tint(position)}" '
        f'tabindex="0"><div class="line">{number(position)}<b>{score:.3f}</b>{cut}{moved}</div>'
        f'<i class="bar" style="width:{share:.1f}%"></i><p dir="auto">{excerpt}</p></li>'
    )


def _moved(rank: int, overall: int) -> str:
    """Return by how many places the weighted sum disagrees; nothing where it does not."""
    if rank == overall:
        return ""
    sign, kind = ("▼", "down") if rank > overall else ("▲", "up")
    return f'<span class="moved {kind}">{sign}{abs(rank - overall)}</span>'


def number(position: int) -> str:
    """Return a passage's number on its colour, by which the eye finds it again."""
    return f'<span class="mm-number" style="{_tint(position)}">{position + 1}</span>'


def _tint(position: int) -> str:
    # The golden angle keeps neighbours apart, however many there are.
    return f"--hue:{position * 137.508 % 360:.0f}"


def reading(ranking: Ranking, weights: Weights, language: Language) -> str:
    """Return what was read: passages, tokens, what was cut off, time, and notes."""
    tokens = sum(usage.used for usage in (ranking.query_usage, *ranking.usage))
    parts = [
        say(
            language,
            "rank_read",
            passages=len(ranking.passages),
            tokens=f"{tokens:,}",
            seconds=_seconds(ranking.timings["total"]),
        )
    ]
    if ranking.timings.get("text") is None:
        parts.append(say(language, "time_cached"))
    parts += [_truncation(ranking, position, language) for position in ranking.truncated[:3]]
    if len(ranking.truncated) > 3:
        parts.append(say(language, "rank_truncated_more", count=len(ranking.truncated) - 3))
    parts += [note_sentence(note, language) for note in ranking.notes]
    if not any(weights[name] for name in REPRESENTATIONS if ranking.scores[name] is not None):
        parts.append(say(language, "rank_no_weight"))
    return f'<p class="mm-caption">{joined(language, *parts)}</p>'


def _truncation(ranking: Ranking, position: int, language: Language) -> str:
    usage = ranking.usage[position]
    return say(
        language,
        "rank_truncated",
        number=number(position),
        used=f"{usage.used:,}",
        total=f"{usage.total:,}",
        left=f"{100 * (usage.total - usage.used) / usage.total:.0f}",
    )


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.2f} s" if ms < 10_000 else f"{ms / 1000:.0f} s"


# Why.


def pick_label(ranking: Ranking, position: int) -> str:
    """Return a passage's entry in the list of those to explain; plain text, not markup."""
    text = " ".join(ranking.passages[position].split())
    return f"{position + 1} · {text[:70]}{'…' if len(text) > 70 else ''}"


def dense(
    ranking: Ranking,
    position: int,
    known: Background | None,
    measured: float | None,
    language: Language,
) -> str:
    """Return the one number of the dense vectors and its place among unrelated texts.

    Args:
        ranking: the scores.
        position: of the passage.
        known: the model's background set, if there is one.
        measured: how far its measurement is, where it runs.
        language: of the sentences.
    """
    scores = ranking.scores["dense"]
    score = 0.0 if scores is None else float(scores[position])
    meaning = f"<p>{_awaited(measured, language)}</p>"
    if known is not None and "t2t" in known.quantiles:
        percent = known.percentile("t2t", score)
        rank = say(
            language,
            "why_percentile",
            percent=percent_text(percent),
            pairs=f"{known.pairs['t2t']:,}",
        )
        meaning = (
            f'<div class="mm-gauge" aria-hidden="true"><i style="width:{percent:.1f}%"></i></div>'
            f'<p data-percentile="{percent:.2f}">{rank}</p>'
        )
    return (
        f'<article class="mm-why" data-why="dense"><header>{number(position)}'
        f"<h3>{say(language, 'rank_dense')}</h3></header>"
        f'<div class="score" data-score="{score:.6f}">{score:.3f}</div>{meaning}'
        f"<p>{say(language, 'why_dense')}</p></article>"
    )


def _awaited(measured: float | None, language: Language) -> str:
    if measured is None:
        return say(language, "no_background")
    return say(language, "why_measuring", percent=f"{100 * measured:.0f}")


def sparse(why: Explanation, position: int, model: str, language: Language) -> str:
    """Return the words of query and passage coloured by weight, and what they share."""
    head = (
        f'<article class="mm-why" data-why="sparse"><header>{number(position)}'
        f"<h3>{say(language, 'rank_sparse')}</h3></header>"
    )
    if why.query_weights is None or why.passage_weights is None:
        lacking = say(language, "rank_lacking", model=escape(model))
        return f"{head}<p>{lacking}</p></article>"
    highest = max([*why.query_weights, *why.passage_weights, 1e-9])
    joints = {word.id: index for index, word in enumerate(why.shared)}
    start, end = window(np.array(why.passage_weights), _WORDS)
    note = _window_note(start, end, len(why.passage_tokens), language)
    texts = "".join(
        f'<dt>{say(language, key)}</dt><dd dir="auto">'
        f"{_words(text, tokens, weights, highest, joints)}</dd>"
        for key, text, tokens, weights in (
            ("why_query", why.query, why.query_tokens, why.query_weights),
            (
                "why_passage",
                why.passage,
                why.passage_tokens[start:end],
                why.passage_weights[start:end],
            ),
        )
    )
    return f"{head}<dl>{texts}</dl>{note}{_shared(why, language)}</article>"


def _words(
    text: str,
    tokens: Sequence[Token],
    weights: Sequence[float],
    highest: float,
    joints: dict[int, int],
) -> str:
    """Return the part of a text that the tokens cover, each of them coloured by its weight."""
    covered = [
        (token, weight)
        for token, weight in zip(tokens, weights, strict=True)
        # A lone sign for a space claims the first letter of the token behind it.
        if token.end > token.start and token.text.strip("▁")
    ]
    parts: list[str] = []
    at = covered[0][0].start if covered else 0
    for token, weight in covered:
        start = max(token.start, at)
        if token.end <= start:
            continue  # a token that shares its characters with the one before
        word = text[start : token.end]
        blank = len(word) - len(word.lstrip())  # XLM-R's tokens begin with the space before them
        parts.append(escape(text[at : start + blank]))
        if word.strip():
            parts.append(_word(word[blank:], token.id, weight / highest, joints.get(token.id)))
        at = token.end
    return "".join(parts)


def _word(word: str, token: int, share: float, joint: int | None) -> str:
    if share <= 0:
        return f"<span>{escape(word)}</span>"
    style = f"--share:{100 * share:.0f}%"
    if joint is None:
        return f'<mark style="{style}">{escape(word)}</mark>'
    style += f";{_tint(joint)}"
    return (
        f'<mark class="shared" data-token="{token}" style="{style}">'
        f"{escape(word)}<sup>{joint + 1}</sup></mark>"
    )


def _shared(why: Explanation, language: Language) -> str:
    """Return the shared tokens with their weights: the sum of the products is the score."""
    if not why.shared:
        return f"<p>{say(language, 'why_nothing_shared')}</p>"
    highest = max(why.shared[0].product, 1e-9)
    rows = "".join(
        f'<tr data-token="{word.id}" style="{_tint(index)}">'
        f"<th><sup>{index + 1}</sup> {escape(_readable(word.token))}</th>"
        f"<td>{word.query:.3f} × {word.passage:.3f}</td><td>{word.product:.4f}</td>"
        f'<td class="share"><i class="bar" style="width:{100 * word.product / highest:.1f}%"></i>'
        "</td></tr>"
        for index, word in enumerate(why.shared[:_SHOWN])
    )
    total = sum(word.product for word in why.shared)
    sentence = say(language, "why_sparse", count=len(why.shared), score=f"{total:.3f}")
    return f'<div class="mm-table"><table>{rows}</table></div><p>{sentence}</p>'


def multi_vector(why: Explanation, position: int, language: Language) -> str:
    """Return how to read the heatmap, and each query token's best match in words."""
    head = (
        f'<article class="mm-why" data-why="multi_vector"><header>{number(position)}'
        f"<h3>{say(language, 'rank_multi_vector')}</h3></header>"
    )
    if why.cosines is None or not why.cosines.size:
        return f"{head}<p>{say(language, 'why_no_tokens')}</p></article>"
    rows, found = _with_rows(why.query_tokens), _with_rows(why.passage_tokens)
    score = float(why.cosines.max(axis=1).mean())
    pairs = "".join(
        f"<li><b>{escape(_readable(token.text))}</b> → {escape(_readable(found[column].text))} "
        f"<span>{why.cosines[index, column]:.2f}</span></li>"
        for index, (token, column) in enumerate(zip(rows, why.best.tolist(), strict=True))
        if index < _ROWS
    )
    what = say(language, "why_multi_vector", score=f"{score:.3f}", count=len(rows))
    start, end = _columns_shown(why)
    notes = _window_note(start, end, len(found), language)
    if len(rows) > _ROWS:
        notes += _note(say(language, "why_rows", shown=_ROWS, total=len(rows)))
    outside = sum(not start <= column < end for column in why.best[:_ROWS])
    if outside:
        notes += _note(say(language, "why_outside", count=outside))
    return f'{head}<p>{what}</p><ul class="mm-matches">{pairs}</ul>{notes}</article>'


def heatmap(why: Explanation | None) -> go.Figure | None:
    """Draw the query's tokens by the passage's, best matches marked; None without tokens."""
    if why is None or why.cosines is None or not why.cosines.size:
        return None
    start, end = _columns_shown(why)
    rows = _with_rows(why.query_tokens)[:_ROWS]
    found = _with_rows(why.passage_tokens)[start:end]
    best = [column - start if start <= column < end else None for column in why.best[: len(rows)]]
    return token_heatmap(
        why.cosines[: len(rows), start:end],
        [_readable(token.text) for token in rows],
        [_readable(token.text) for token in found],
        best,
    )


def _columns_shown(why: Explanation) -> tuple[int, int]:
    """Return which of a long passage's tokens are drawn: those with the most best matches."""
    count = 0 if why.cosines is None else why.cosines.shape[1]
    matched = np.bincount(why.best[:_ROWS], minlength=count).astype(float)
    return window(matched, _COLUMNS)


def window(values: NDArray[np.float64], size: int) -> tuple[int, int]:
    """Return start and end of the stretch of at most `size` values with the largest sum.

    >>> window(np.array([0.0, 1.0, 0.0, 2.0, 2.0]), 2)
    (3, 5)
    """
    if len(values) <= size:
        return 0, len(values)
    sums = np.convolve(values, np.ones(size), mode="valid")
    start = int(sums.argmax())
    return start, start + size


def _with_rows(tokens: Sequence[Token]) -> list[Token]:
    return [token for token in tokens if token.row is not None]


def _readable(token: str) -> str:
    """Return a token without its tokenizer's sign for the space before it."""
    return token.replace("▁", "").removeprefix("##") or "␣"


def _window_note(start: int, end: int, total: int, language: Language) -> str:
    if end - start >= total:
        return ""
    return _note(say(language, "why_window", start=start + 1, end=end, total=f"{total:,}"))


def _note(sentence: str) -> str:
    return f'<p class="mm-caption">{sentence}</p>'


def passages_text(passages: Sequence[str]) -> str:
    """Return passages as the text field has them: parted by empty lines."""
    return "\n\n".join(_tight(passages))


def _tight(passages: Sequence[str]) -> Iterator[str]:
    """Yield passages without the empty lines that would part them again."""
    for passage in passages:
        yield "\n".join(line for line in passage.splitlines() if line.strip())

"""A ranking as the page shows it: pure functions from results to figures and markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from numpy.typing import NDArray

from mmdemo.background.sets import Background
from mmdemo.plots.tokens import token_heatmap
from mmdemo.similarity import order
from mmdemo.tasks.passages import Document
from mmdemo.tasks.rank import Explanation, Ranking, Scores, Weights, ranks
from mmdemo.types import REPRESENTATIONS, Representation, Token
from mmdemo.ui.parts.markup import caption, gauge, joined, note_sentence, percent_text, shortened
from mmdemo.ui.strings import Language, say, say_markup

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


def columns(ranking: Ranking, weights: Weights, language: Language) -> Markup:
    """Return the ranked passages under each function and the weighted sum, side by side."""
    total = ranking.hybrid(weights)
    overall = ranks(total)
    scores: dict[Column, Scores | None] = {**ranking.scores, "hybrid": total}
    body = Markup().join(
        _column(name, found, overall, ranking, language) for name, found in scores.items()
    )
    return Markup('<div class="mm-ranks">{}</div>').format(body)


def _column(
    name: Column,
    scores: Scores | None,
    overall: Sequence[int],
    ranking: Ranking,
    language: Language,
) -> Markup:
    head = Markup("<header><h3>{}</h3><p>{}</p></header>").format(
        say(language, f"rank_{name}"), say(language, f"rank_{name}_what")
    )
    section = Markup('<section data-function="{}">{}{}</section>')
    if scores is None:
        lacking = _lacking(ranking.model, language)
        return section.format(name, head, Markup('<p class="lacking">{}</p>').format(lacking))
    highest = max(float(scores.max()), 1e-9)
    items = [
        _item(ranking, position, float(scores[position]), highest, _moved(rank, overall[position]))
        for rank, position in enumerate(order(scores), start=1)
    ]
    listed = Markup("<ol>{}</ol>").format(Markup().join(items[:_SHOWN]))
    if len(items) > _SHOWN:
        listed += Markup('<details><summary>{}</summary><ol start="{}">{}</ol></details>').format(
            say(language, "rank_more", count=len(items) - _SHOWN),
            _SHOWN + 1,
            Markup().join(items[_SHOWN:]),
        )
    return section.format(name, head, listed)


def _lacking(model: str, language: Language) -> Markup:
    """Say where the weights are that a model lacks."""
    return say_markup(
        language,
        "rank_lacking",
        model=model,
        command=Markup("<code>python -m mmdemo download bge-m3</code>"),
        setting=Markup("<code>MMDEMO_MODELS</code>"),
    )


def _item(ranking: Ranking, position: int, score: float, highest: float, moved: Markup) -> Markup:
    text = " ".join(ranking.passages[position].split())
    cut = Markup('<span aria-hidden="true">✂</span>') if position in ranking.truncated else ""
    return Markup(
        '<li data-passage="{position}" data-score="{score:.6f}" style="{tint}" tabindex="0">'
        '<div class="line">{number}<b>{score:.3f}</b>{cut}{moved}</div>'
        '<i class="bar" style="width:{share:.1f}%"></i><p dir="auto">{excerpt}</p></li>'
    ).format(
        position=position,
        score=score,
        tint=_tint(position),
        number=number(position),
        cut=cut,
        moved=moved,
        share=100.0 * min(max(score / highest, 0.0), 1.0),
        excerpt=text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…",
    )


def _moved(rank: int, overall: int) -> Markup:
    """Return by how many places the weighted sum disagrees; nothing where it does not."""
    if rank == overall:
        return Markup()
    sign = "▼" if rank > overall else "▲"
    return Markup('<span class="moved">{}{}</span>').format(sign, abs(rank - overall))


def number(position: int) -> Markup:
    """Return a passage's number on its colour, by which the eye finds it again."""
    return Markup('<span class="mm-number" style="{}">{}</span>').format(
        _tint(position), position + 1
    )


def _tint(position: int) -> str:
    # The golden angle keeps neighbours apart, however many there are.
    return f"--hue:{position * 137.508 % 360:.0f}"


def reading(ranking: Ranking, weights: Weights, language: Language) -> Markup:
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
    return caption(joined(language, *parts))


def _truncation(ranking: Ranking, position: int, language: Language) -> Markup:
    usage = ranking.usage[position]
    return say_markup(
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
) -> Markup:
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
    meaning = Markup("<p>{}</p>").format(_awaited(measured, language))
    if known is not None and "t2t" in known.quantiles:
        percent = known.percentile("t2t", score)
        rank = say(
            language,
            "why_percentile",
            percent=percent_text(percent),
            pairs=f"{known.pairs['t2t']:,}",
        )
        meaning = Markup('{}<p data-percentile="{:.2f}">{}</p>').format(
            gauge(percent), percent, rank
        )
    said = Markup('<div class="score" data-score="{0:.6f}">{0:.3f}</div>{1}<p>{2}</p>')
    body = said.format(score, meaning, say(language, "why_dense"))
    return _reason("dense", position, body, language)


def _reason(name: Representation, position: int, said: Markup, language: Language) -> Markup:
    """Return a box with what one way of scoring saw in a passage."""
    return Markup(
        '<article class="mm-why" data-why="{}"><header>{}<h3>{}</h3></header>{}</article>'
    ).format(name, number(position), say(language, f"rank_{name}"), said)


def _awaited(measured: float | None, language: Language) -> str:
    if measured is None:
        return say(language, "no_background")
    return say(language, "why_measuring", percent=f"{100 * measured:.0f}")


def sparse(why: Explanation, position: int, model: str, language: Language) -> Markup:
    """Return the words of query and passage coloured by weight, and what they share."""
    return _reason("sparse", position, _coloured(why, model, language), language)


def _coloured(why: Explanation, model: str, language: Language) -> Markup:
    if why.query_weights is None or why.passage_weights is None:
        return Markup("<p>{}</p>").format(_lacking(model, language))
    highest = max([*why.query_weights, *why.passage_weights, 1e-9])
    joints = {word.id: index for index, word in enumerate(why.shared)}
    start, end = window(np.array(why.passage_weights), _WORDS)
    note = _window_note(start, end, len(why.passage_tokens), language)
    texts = Markup().join(
        Markup('<dt>{}</dt><dd dir="auto">{}</dd>').format(
            say(language, key), _words(text, tokens, weights, highest, joints)
        )
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
    return Markup("<dl>{}</dl>{}{}").format(texts, note, _shared(why, language))


def _words(
    text: str,
    tokens: Sequence[Token],
    weights: Sequence[float],
    highest: float,
    joints: dict[int, int],
) -> Markup:
    """Return the part of a text that the tokens cover, each of them coloured by its weight."""
    covered = [
        (token, weight)
        for token, weight in zip(tokens, weights, strict=True)
        # A lone sign for a space claims the first letter of the token behind it.
        if token.end > token.start and token.text.strip("▁")
    ]
    parts: list[str] = []  # of the text itself, and markup
    at = covered[0][0].start if covered else 0
    for token, weight in covered:
        start = max(token.start, at)
        if token.end <= start:
            continue  # a token that shares its characters with the one before
        word = text[start : token.end]
        blank = len(word) - len(word.lstrip())  # XLM-R's tokens begin with the space before them
        parts.append(text[at : start + blank])
        if word.strip():
            parts.append(_word(word[blank:], token.id, weight / highest, joints.get(token.id)))
        at = token.end
    return Markup().join(parts)


def _word(word: str, token: int, share: float, joint: int | None) -> Markup:
    if share <= 0:
        return Markup("<span>{}</span>").format(word)
    style = f"--share:{100 * share:.0f}%"
    if joint is None:
        return Markup('<mark style="{}">{}</mark>').format(style, word)
    return Markup(
        '<mark class="shared" data-token="{}" style="{};{}">{}<sup>{}</sup></mark>'
    ).format(token, style, _tint(joint), word, joint + 1)


def _shared(why: Explanation, language: Language) -> Markup:
    """Return the shared tokens with their weights: the sum of the products is the score."""
    if not why.shared:
        return Markup("<p>{}</p>").format(say(language, "why_nothing_shared"))
    highest = max(why.shared[0].product, 1e-9)
    rows = Markup().join(
        Markup(
            '<tr data-token="{}" style="{}"><th><sup>{}</sup> {}</th><td>{:.3f} × {:.3f}</td>'
            '<td>{:.4f}</td><td class="share"><i class="bar" style="width:{:.1f}%"></i></td></tr>'
        ).format(
            word.id,
            _tint(index),
            index + 1,
            _readable(word.token),
            word.query,
            word.passage,
            word.product,
            100 * word.product / highest,
        )
        for index, word in enumerate(why.shared[:_SHOWN])
    )
    total = sum(word.product for word in why.shared)
    sentence = say(language, "why_sparse", count=len(why.shared), score=f"{total:.3f}")
    return Markup('<div class="mm-table"><table>{}</table></div><p>{}</p>').format(rows, sentence)


def multi_vector(why: Explanation, position: int, language: Language) -> Markup:
    """Return how to read the heatmap, and each query token's best match in words."""
    return _reason("multi_vector", position, _matched(why, language), language)


def _matched(why: Explanation, language: Language) -> Markup:
    if why.cosines is None or not why.cosines.size:
        return Markup("<p>{}</p>").format(say(language, "why_no_tokens"))
    rows, found = _with_rows(why.query_tokens), _with_rows(why.passage_tokens)
    score = float(why.cosines.max(axis=1).mean())
    pairs = Markup().join(
        Markup("<li><b>{}</b> → {} <span>{:.2f}</span></li>").format(
            _readable(token.text), _readable(found[column].text), why.cosines[index, column]
        )
        for index, (token, column) in enumerate(zip(rows, why.best.tolist(), strict=True))
        if index < _ROWS
    )
    what = say(language, "why_multi_vector", score=f"{score:.3f}", count=len(rows))
    start, end = _columns_shown(why)
    notes = _window_note(start, end, len(found), language)
    if len(rows) > _ROWS:
        notes += caption(say(language, "why_rows", shown=_ROWS, total=len(rows)))
    outside = sum(not start <= column < end for column in why.best[:_ROWS])
    if outside:
        notes += caption(say(language, "why_outside", count=outside))
    return Markup('<p>{}</p><ul class="mm-matches">{}</ul>{}').format(what, pairs, notes)


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


def _window_note(start: int, end: int, total: int, language: Language) -> Markup:
    if end - start >= total:
        return Markup()
    return caption(say(language, "why_window", start=start + 1, end=end, total=f"{total:,}"))


def passages_text(passages: Sequence[str]) -> str:
    """Return passages as the text field has them: parted by empty lines."""
    return "\n\n".join(_tight(passages))


def _tight(passages: Sequence[str]) -> Iterator[str]:
    """Yield passages without the empty lines that would part them again."""
    for passage in passages:
        yield "\n".join(line for line in passage.splitlines() if line.strip())

"""A comparison as the page shows it: pure functions from results to figures and markup.

Whatever a visitor typed is escaped here, on its way into markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from PIL import Image

from mmdemo.background import Background
from mmdemo.compare import LABELS, PAIRS, Comparison, PairKind, Shown
from mmdemo.images import thumbnail_uri
from mmdemo.plots import KIND_COLOURS, Bar, similarity_bars, similarity_heatmap
from mmdemo.ui.markup import joined, note_sentence, percent_text, shortened, signed
from mmdemo.ui.text import Language, say

# Percentiles at which the wording changes; conventional quartile and 5 % cuts.
_WORDING = ((95.0, "top"), (75.0, "high"), (25.0, "even"), (0.0, "low"))


def bars(known: Background | None, results: Sequence[Comparison], language: Language) -> go.Figure:
    """Draw the four similarities of one comparison, or of two texts with the same pictures.

    Without a comparison, as before the first, only the ranges of unrelated pairs.

    Args:
        known: the model's background set, if there is one.
        results: one comparison a text.
        language: of the labels.
    """
    rows = [
        Bar(
            kind=kind,
            label=say(language, f"kind_{kind}"),
            scores=tuple(result.scores[kind] for result in results),
            band=_band(known, kind),
        )
        for kind in PAIRS
    ]
    return similarity_bars(rows, [result.text for result in results])


def _bars_caption(results: Sequence[Comparison], language: Language) -> str:
    """Say how to read the bar chart, and how the fused embeddings came about where it matters."""
    shown = [shortened(result.text) for result in results]
    if len(shown) == 1:
        caption = say(language, "bars_caption")
    else:
        caption = say(language, "bars_caption_two", text=shown[0], other=shown[1])
    caption = joined(language, caption, _band_note(results[0].background, language))
    note = say(language, f"note_{results[0].fusion}")
    caption = joined(language, caption, note)
    return f'<p class="mm-caption">{caption}</p>'


def _band_note(known: Background | None, language: Language) -> str:
    """Say what the grey bands are, or why there are none."""
    return say(language, "bars_band" if known else "no_background")


def readings(results: Sequence[Comparison], language: Language) -> str:
    """Return what stands below the bars: how to read them, what moved, and a card a pair kind.

    A card holds the value, its percentile, what was compared, and what the number means. Where the
    model is calibrated, a line before the cards says whether the pictures show the text.
    """
    body = "".join(_card(kind, results, language) for kind in PAIRS)
    before = f"{_bars_caption(results, language)}{_moved(results, language)}"
    return f'{before}{_verdicts(results, language)}<div class="mm-cards">{body}</div>'


def beside_heading(
    title: str, results: Sequence[Comparison] | None, reason: str, language: Language
) -> str:
    """Return another model's name and how it fuses; or, without results, the reason why."""
    said = escape(reason)
    if results:
        known = results[0].background
        said = joined(
            language, say(language, f"note_{results[0].fusion}"), *_whose_scale(known, language)
        )
    return f'<h3 class="mm-title">{escape(title)}</h3><p class="mm-caption">{said}</p>'


def _whose_scale(known: Background | None, language: Language) -> list[str]:
    return [say(language, "beside_scale" if known else "no_background")]


def beside_ranks(results: Sequence[Comparison], language: Language) -> str:
    """Return another model's percentiles, one line a pair kind; nothing without a background."""
    known = results[0].background
    if known is None:
        return ""
    lines = "".join(
        f'<li data-kind="{kind}"><code>{kind}</code> '
        + say(
            language,
            "percentile",
            percent=percent_text(results[0].percentiles[kind]),
            pairs=f"{known.pairs[kind]:,}",
        )
        + "</li>"
        for kind in PAIRS
        if kind in results[0].percentiles
    )
    return f'<ul class="mm-ranks">{lines}</ul>'


def awaited_readings(
    known: Background | None, language: Language, *, calibrated: bool = True
) -> str:
    """Return what stands below the bars before the first comparison: the same, without numbers.

    Args:
        known: the model's background set, if there is one.
        language: of the words.
        calibrated: whether to hold a place for what the model says the pictures show.
    """
    cards = "".join(
        _card_frame(kind, '<span class="value">…</span>', '<p class="meaning"></p>', language)
        for kind in PAIRS
    )
    how = joined(language, say(language, "bars_caption"), _band_note(known, language))
    caption = f'<p class="mm-caption">{how}</p>'
    verdicts = _verdict_box([say(language, "shows_heading", text="…")], language)
    return f'{caption}{verdicts if calibrated else ""}<div class="mm-cards">{cards}</div>'


def _moved(results: Sequence[Comparison], language: Language) -> str:
    """Say what changed between two texts; nothing where there is one."""
    if len(results) < 2:
        return ""
    first, second = results
    text, other = shortened(first.text), shortened(second.text)
    changes = {kind: second.scores[kind] - first.scores[kind] for kind in PAIRS}
    most = max(changes, key=lambda kind: abs(changes[kind]))
    if abs(changes[most]) < 5e-4:
        sentence = say(language, "moved_none", text=text, other=other)
    else:
        sentence = say(
            language,
            "moved",
            text=text,
            other=other,
            kind=f"<b>{say(language, f'kind_{most}')}</b>",
            change=f"<b>{signed(changes[most])}</b>",
            still=say(language, "kind_i2i"),
        )
    return f'<div class="mm-moved"><b>{say(language, "moved_heading")}.</b> {sentence}</div>'


def _verdicts(results: Sequence[Comparison], language: Language) -> str:
    """Say of each text whether each picture shows it, or that the model is not sure."""
    lines = [
        f"{say(language, 'shows_heading', text=shortened(result.text))} "
        + " ".join(_verdict(one, language) for one in result.shown)
        for result in results
        if result.shown
    ]
    return _verdict_box(lines, language) if lines else ""


def _verdict_box(lines: Sequence[str], language: Language) -> str:
    note = f'<p class="mm-caption">{say(language, "shows_note")}</p>'
    return f'<div class="mm-shows">{"".join(f"<p>{line}</p>" for line in lines)}{note}</div>'


def _verdict(one: Shown, language: Language) -> str:
    """Return one picture's verdict: its name, yes, no or not sure, and the chance."""
    key = "image1_label" if one.label == LABELS[1] else "image2_label"
    said = say(language, f"shows_{one.verdict}", percent=round(100 * one.probability))
    name = escape(say(language, key))
    return f'<span class="mm-verdict {one.verdict}"><b>{name}</b> {said}</span>'


def heatmap(
    known: Background | None,
    matrix: NDArray[np.float32] | None,
    pictures: tuple[Image.Image, Image.Image],
    language: Language,
    lowest: float = 0.0,
) -> go.Figure:
    """Draw the matrix with thumbnails on its axes; without one, as before the first, its frame.

    Args:
        known: the model's background set, if there is one.
        matrix: float32 [5, 5], or None.
        pictures: the two that were compared.
        language: of the labels.
        lowest: cosine at the light end of the colour scale, for a model without a background set.
    """
    if matrix is None:
        matrix = np.full((len(LABELS), len(LABELS)), np.nan, dtype=np.float32)
    one, two = map(thumbnail_uri, pictures)
    icons = [_svg(_LETTER), one, two, _fused_icon(one), _fused_icon(two)]
    labels = [say(language, f"label_{label}") for label in LABELS]
    if known:  # the light end of the scale belongs to the model
        lowest = known.quantile("i2i", 1.0)
    return similarity_heatmap(matrix, labels, icons, lowest)


def matrix_heading(result: Comparison, language: Language) -> str:
    """Name the text that a matrix belongs to, where there are two."""
    return f'<p class="mm-caption">{say(language, "matrix_of", text=shortened(result.text))}</p>'


def details(results: Sequence[Comparison], language: Language) -> str:
    """Return dimension, first ten values of each vector, and timings."""
    result = results[0]
    rows = "".join(
        f"<tr><th>{say(language, f'label_{label}')}</th>"
        + "".join(f"<td>{value:+.4f}</td>" for value in vector[:10])
        + "</tr>"
        for label, vector in zip(result.labels, result.vectors, strict=True)
    )
    times = ", ".join(
        f"{say(language, f'time_{name}')} {ms:.1f} ms" for name, ms in result.timings.items()
    )
    return (
        f'<p class="mm-caption">{say(language, "vectors_caption", dim=result.dim)}</p>'
        f'<div class="mm-table"><table>{rows}</table></div>'
        f'<p class="mm-caption">{times}. {say(language, "time_cached")}</p>'
    )


def notes(results: Sequence[Comparison], language: Language) -> list[str]:
    """Return what a reader of the numbers should know, each sentence once."""
    sentences = [note_sentence(note, language) for result in results for note in result.notes]
    return list(dict.fromkeys(sentences))


def _card(kind: PairKind, results: Sequence[Comparison], language: Language) -> str:
    score = results[0].scores[kind]
    values = f'<span class="value" data-score="{score:.6f}">{score:.3f}</span>'
    if len(results) > 1:
        other = results[1].scores[kind]
        values += (
            f'<span class="value second" data-score="{other:.6f}">{other:.3f}</span>'
            f'<span class="change">{signed(other - score)}</span>'
        )
    return _card_frame(kind, values, _meaning(kind, results, language), language)


def _card_frame(kind: PairKind, values: str, meaning: str, language: Language) -> str:
    return (
        f'<article class="mm-card" data-kind="{kind}" style="--kind:{KIND_COLOURS[kind]}">'
        f"<header><span>{say(language, f'kind_{kind}')}</span><code>{kind}</code></header>"
        f'<div class="values">{values}</div>'
        f"{meaning}"
        f'<p class="what">{say(language, f"what_{kind}")}</p>'
        "</article>"
    )


def _meaning(kind: PairKind, results: Sequence[Comparison], language: Language) -> str:
    known = results[0].background
    if known is None:
        return ""  # the caption says it once
    percent = results[0].percentiles[kind]
    level = next(level for cut, level in _WORDING if percent >= cut)
    rank = say(
        language, "percentile", percent=percent_text(percent), pairs=f"{known.pairs[kind]:,}"
    )
    second = ""
    if len(results) > 1:
        other = percent_text(results[1].percentiles[kind])
        second = f"<br>{say(language, 'percentile_second', percent=other)}"
    return (
        f'<div class="mm-gauge" aria-hidden="true"><i style="width:{percent:.1f}%"></i></div>'
        f'<p class="meaning" data-percentile="{percent:.2f}">'
        f"{joined(language, rank, say(language, f'means_{kind}_{level}'))}{second}</p>"
    )


def _band(known: Background | None, kind: PairKind) -> tuple[float, float, float] | None:
    if known is None:
        return None
    low, middle, high = (known.quantile(kind, percent) for percent in (5.0, 50.0, 95.0))
    return low, middle, high


def _fused_icon(thumbnail: str) -> str:
    """Return a thumbnail with the sign for text in its corner."""
    picture = f'<image href="{thumbnail}" width="96" height="96"/>'
    return _svg(f'{picture}<g transform="translate(52 52) scale(.46)">{_LETTER}</g>')


def _svg(body: str) -> str:
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96">{body}</svg>'
    return "data:image/svg+xml," + quote(drawing)


# The sign for text: a white T on ink.
_LETTER = (
    '<rect x="5" y="5" width="86" height="86" rx="20" fill="#123a5c" stroke="#fff"'
    ' stroke-width="5"/><path d="M25 28h46v13H55v32H41V41H25z" fill="#fff"/>'
)

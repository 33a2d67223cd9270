"""A comparison as the page shows it: pure functions from results to figures and markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from numpy.typing import NDArray

from mmdemo.background.measure import failed
from mmdemo.background.sets import Background
from mmdemo.plots.bars import KIND_COLOURS, LOWEST, Bar, similarity_bars
from mmdemo.plots.matrix import similarity_heatmap
from mmdemo.similarity import degrees
from mmdemo.tasks.compare import (
    LABELS,
    PAIRS,
    PICTURES,
    TEXT_IMAGE,
    Comparison,
    PairKind,
    TextImage,
)
from mmdemo.types import Fusion
from mmdemo.ui.parts.markup import (
    caption,
    gauge,
    joined,
    note_sentence,
    percent_text,
    shortened,
    signed,
    titled,
)
from mmdemo.ui.strings import Language, say
from mmdemo.ui.tabs.similarity.sentences import STANCES, sentence

# Percentiles at which the wording changes; conventional quartile and 5 % cuts.
_WORDING = ((95.0, "top"), (75.0, "high"), (25.0, "even"), (0.0, "low"))

_SAME = 5e-4  # a change that three decimals do not show

_NOTHING = Markup()


@dataclass(frozen=True)
class Pair:
    """What one number of the page compares.

    Attributes:
        kind: one of the four pair kinds, or the text and a picture alone.
        picture: in the latter case which, one of `PICTURES`.
    """

    kind: PairKind | TextImage
    picture: str = ""

    def name(self, language: Language) -> str:
        """Return what is compared with what."""
        if self.picture:
            return f"{say(language, 'label_text')} · {say(language, f'label_{self.picture}')}"
        return say(language, f"kind_{self.kind}")

    def score(self, result: Comparison) -> float:
        """Return the cosine."""
        if self.kind == TEXT_IMAGE:
            return result.text_image[self.picture]
        return result.scores[self.kind]

    def percentile(self, result: Comparison) -> float | None:
        """Return the percentile; None without a background set."""
        if self.kind == TEXT_IMAGE:
            return result.text_image_percentiles.get(self.picture)
        return result.percentiles.get(self.kind)

    def rank(self, result: Comparison) -> dict[str, str]:
        """Return what a sentence says of the percentile; nothing without a background set."""
        percent = self.percentile(result)
        if percent is None or result.background is None:
            return {}
        pairs = f"{result.background.pairs[self.kind]:,}"
        return {"percent": percent_text(percent), "pairs": pairs}


TEXT_PAIRS = tuple(Pair(TEXT_IMAGE, picture) for picture in PICTURES)
"""The numbers that tell whether a picture shows the text."""

ALL_PAIRS = (*TEXT_PAIRS, *map(Pair, PAIRS))
"""Every number of the page, in its order."""


def bars(known: Background | None, results: Sequence[Comparison], language: Language) -> go.Figure:
    """Draw the similarities of one comparison, or of two texts with the same pictures.

    Without a comparison, as before the first, only the ranges of unrelated pairs.

    Args:
        known: the model's background set, if there is one.
        results: one comparison a text.
        language: of the labels.
    """
    rows = [
        Bar(
            kind=pair.kind,
            label=pair.name(language),
            scores=tuple(pair.score(result) for result in results),
            band=_band(known, pair.kind),
        )
        for pair in ALL_PAIRS
    ]
    return similarity_bars(rows, [result.text for result in results], _lowest(known))


def _lowest(known: Background | None) -> float:
    """Return where the axis of a model begins, whatever is compared."""
    kinds = {pair.kind for pair in ALL_PAIRS} & set(known.quantiles if known else ())
    return min([LOWEST, *(known.quantile(kind, 1.0) for kind in kinds if known)])


def _bars_caption(results: Sequence[Comparison], language: Language) -> Markup:
    """Say how to read the bar chart, and how the fused embeddings came about where it matters."""
    shown = [shortened(result.text) for result in results]
    if len(shown) == 1:
        said = sentence(language, "bars_caption")
    else:
        said = sentence(language, "bars_caption_two", text=shown[0], other=shown[1])
    first = results[0]
    missing = _missing(first)
    return _how_to_read(said, first.background, first.fusion, language, missing=missing)


def _missing(result: Comparison) -> str:
    """Return the key of what is said where there is no background set."""
    return "background_failed" if failed(result.model, result.fingerprint) else "no_background"


def _how_to_read(
    said: Markup,
    known: Background | None,
    fusion: Fusion,
    language: Language,
    *,
    missing: str = "no_background",
) -> Markup:
    """Return the lines below the bars: theirs, what the grey bands are, and what fused means."""
    return caption(
        joined(
            language,
            said,
            sentence(language, "bars_band" if known else missing),
            sentence(language, f"note_{fusion}"),
        )
    )


def readings(
    results: Sequence[Comparison], language: Language, course: Markup = _NOTHING
) -> Markup:
    """Return what stands below the bars: how to read them, what moved, and a card a number.

    A card holds the value, its percentile, what was compared, and what the number means. The cards
    of text and picture come first: where the model is calibrated they say whether the pictures
    show the text, which none of the four after them does.

    Args:
        results: one comparison a text.
        language: of the words.
        course: what the course got, where its exercise is done with another model.
    """
    texts = [shortened(result.text) for result in results]
    of_text = _cards(_card(pair, results, language) for pair in TEXT_PAIRS)
    return Markup().join(
        (
            course,
            _bars_caption(results, language),
            _moved(results, language),
            _shows(texts, of_text, language, calibrated=bool(results[0].shown)),
            _cards(_card(Pair(kind), results, language) for kind in PAIRS),
        )
    )


def _cards(cards: Iterable[Markup]) -> Markup:
    return Markup('<div class="mm-cards">{}</div>').format(Markup().join(cards))


def beside_heading(
    title: str, results: Sequence[Comparison] | None, reason: str, language: Language
) -> Markup:
    """Return another model's name and how it fuses; or, without results, the reason why."""
    if not results:
        return titled(title, reason)
    known = results[0].background
    said = joined(
        language,
        sentence(language, f"note_{results[0].fusion}"),
        sentence(language, "beside_scale" if known else _missing(results[0])),
    )
    return titled(title, said)


def beside_ranks(results: Sequence[Comparison], language: Language) -> Markup:
    """Return another model's percentiles, one line a number; nothing without a background."""
    ranks = [(pair, pair.rank(results[0])) for pair in ALL_PAIRS]
    lines = Markup().join(
        Markup('<li data-kind="{0}"><code>{0}</code> {1}{2}</li>').format(
            pair.kind,
            Markup("<b>{}</b> ").format(pair.name(language)) if pair.picture else "",
            sentence(language, "percentile", **rank),
        )
        for pair, rank in ranks
        if rank
    )
    return lines and Markup('<ul class="mm-beside-ranks">{}</ul>').format(lines)


def awaited_readings(
    known: Background | None,
    language: Language,
    *,
    text: str = "…",
    fusion: Fusion = "native",
    calibrated: bool = True,
    course: Markup = _NOTHING,
) -> Markup:
    """Return what stands below the bars before the first comparison: the same, without numbers.

    Args:
        known: the model's background set, if there is one.
        language: of the words.
        text: what the pictures will be compared with.
        fusion: how the model's fused embeddings come about.
        calibrated: whether the model says what the pictures show.
        course: as in `readings`.
    """
    value = Markup('<span class="value">…</span>')
    meaning = Markup('{}<p class="meaning"></p>').format(gauge(0.0) if known else "")
    cards = [_card_frame(pair, value, meaning, language) for pair in ALL_PAIRS]
    of_text, of_kinds = _cards(cards[: len(TEXT_PAIRS)]), _cards(cards[len(TEXT_PAIRS) :])
    return Markup().join(
        (
            course,
            _how_to_read(sentence(language, "bars_caption"), known, fusion, language),
            _shows([shortened(text)], of_text, language, calibrated=calibrated),
            of_kinds,
        )
    )


def _moved(results: Sequence[Comparison], language: Language) -> Markup:
    """Say what changed between two texts; nothing where there is one."""
    if len(results) < 2:
        return Markup()
    first, second = results
    text, other = shortened(first.text), shortened(second.text)
    changes = {pair: pair.score(second) - pair.score(first) for pair in ALL_PAIRS}
    most = max(changes, key=lambda pair: abs(changes[pair]))
    if abs(changes[most]) < _SAME:
        said = sentence(language, "moved_none", text=text, other=other)
    else:
        said = sentence(
            language,
            "moved",
            text=text,
            other=other,
            kind=Markup("<b>{}</b>").format(most.name(language)),
            change=Markup("<b>{}</b>").format(signed(changes[most])),
            still=say(language, "kind_i2i"),
        )
    heading = say(language, "moved_heading")
    return Markup('<div class="mm-moved"><b>{}</b> {}</div>').format(heading, said)


def _shows(texts: Sequence[str], cards: Markup, language: Language, *, calibrated: bool) -> Markup:
    """Return the section of text and picture: the question, its cards, and how it is answered."""
    if len(texts) == 1:
        question = say(language, "shows_heading", text=texts[0])
    else:
        question = say(language, "shows_heading_two", text=texts[0], other=texts[1])
    how = joined(
        language,
        sentence(language, "what_t2i"),
        sentence(language, "shows_note" if calibrated else "shows_uncalibrated"),
    )
    return Markup('<section class="mm-shows"><h3>{}</h3>{}{}</section>').format(
        question, cards, caption(how)
    )


def heatmap(
    known: Background | None,
    matrix: NDArray[np.float32] | None,
    thumbnails: tuple[str, str],
    language: Language,
    lowest: float = 0.0,
) -> go.Figure:
    """Draw the matrix with thumbnails on its axes; without one, as before the first, its frame.

    Args:
        known: the model's background set, if there is one.
        matrix: float32 [5, 5], or None.
        thumbnails: of the two that were compared, as addresses of data.
        language: of the labels.
        lowest: cosine at the light end of the colour scale, for a model without a background set.
    """
    if matrix is None:
        matrix = np.full((len(LABELS), len(LABELS)), np.nan, dtype=np.float32)
    pictures = [Markup('<use href="#{}"/>').format(name) for name in _THUMBNAILS]
    icons = [_LETTER, *pictures, *(picture + _CORNER for picture in pictures)]
    shared = Markup().join(
        Markup('<image id="{}" href="{}" width="96" height="96"/>').format(name, thumbnail)
        for name, thumbnail in zip(_THUMBNAILS, thumbnails, strict=True)
    )
    labels = [say(language, f"label_{label}") for label in LABELS]
    if known:  # the light end of the scale belongs to the model
        lowest = known.quantile("i2i", 1.0)
    return similarity_heatmap(matrix, labels, icons, lowest, shared)


def matrix_heading(result: Comparison, language: Language) -> Markup:
    """Name the text that a matrix belongs to, where there are two."""
    return caption(sentence(language, "matrix_of", text=shortened(result.text)))


def details(results: Sequence[Comparison], language: Language) -> Markup:
    """Return dimension, first ten values of each vector, and timings."""
    result = results[0]
    rows = Markup().join(
        Markup("<tr><th>{}</th>{}</tr>").format(
            say(language, f"label_{label}"),
            Markup().join(Markup("<td>{:+.4f}</td>").format(value) for value in vector[:10]),
        )
        for label, vector in zip(result.labels, result.vectors, strict=True)
    )
    times = ", ".join(
        f"{say(language, f'time_{name}')} {ms:.1f} ms" for name, ms in result.timings.items()
    )
    return Markup('{}<div class="mm-table"><table>{}</table></div>{}').format(
        caption(say(language, "vectors_caption", dim=result.dim)),
        rows,
        caption(f"{times}. {say(language, 'time_cached')}"),
    )


def notes(results: Sequence[Comparison], language: Language) -> list[str]:
    """Return what a reader of the numbers should know, each sentence once."""
    sentences = [note_sentence(note, language) for result in results for note in result.notes]
    return list(dict.fromkeys(sentences))


def _card(pair: Pair, results: Sequence[Comparison], language: Language) -> Markup:
    score = pair.score(results[0])
    values = Markup('<span class="value" data-score="{0:.6f}">{0:.3f}</span>').format(score)
    if len(results) > 1:
        other = pair.score(results[1])
        values += Markup(
            '<span class="value second" data-score="{0:.6f}">{0:.3f}</span>'
            '<span class="change">{1}</span>'
        ).format(other, signed(other - score))
    return _card_frame(pair, values, _meaning(pair, results, language), language)


def _card_frame(pair: Pair, values: Markup, meaning: Markup, language: Language) -> Markup:
    picture, what = Markup(' data-picture="{}"').format(pair.picture), Markup()
    if not pair.picture:  # what it compares is said once for both pictures
        said = sentence(language, f"what_{pair.kind}")
        picture, what = Markup(), Markup('<p class="what">{}</p>').format(said)
    return Markup(
        '<article class="mm-card" data-kind="{kind}"{picture} style="--kind:{colour}">'
        "<header><span>{name}</span><code>{kind}</code></header>"
        '<div class="values">{values}</div>{meaning}{what}</article>'
    ).format(
        kind=pair.kind,
        picture=picture,
        colour=KIND_COLOURS[pair.kind],
        name=pair.name(language),
        values=values,
        meaning=meaning,
        what=what,
    )


def _meaning(pair: Pair, results: Sequence[Comparison], language: Language) -> Markup:
    """Return a gauge, and what the number of each text means; what both say is said once."""
    percent = pair.percentile(results[0])
    first, *others = dict.fromkeys(_said(pair, result, language) for result in results)
    second = sentence(language, "second_text")
    said = first + Markup().join(Markup("<br>{} {}").format(second, one) for one in others)
    if percent is None:
        return Markup('<p class="meaning">{}</p>').format(said)
    return Markup('{}<p class="meaning" data-percentile="{:.2f}">{}</p>').format(
        gauge(percent), percent, said
    )


def _said(pair: Pair, result: Comparison, language: Language) -> Markup:
    """Return what one number of one comparison means, sentence by sentence."""
    rank = pair.rank(result)
    if pair.kind == TEXT_IMAGE:
        return _said_of_text(pair, result, language)
    if pair.kind in ("i2it", "t2it"):
        angle = _angle(pair.score(result))
        key = f"means_{pair.kind}_ranked" if rank else f"means_{pair.kind}"
        said = [sentence(language, key, angle=angle, **rank)]
    elif rank:
        key = "percentile_it2it" if pair.kind == "it2it" else "percentile"
        said = [sentence(language, key, **rank)]
    else:
        said = []
    return joined(language, *said, *_further(pair, result, language))


def _further(pair: Pair, result: Comparison, language: Language) -> list[Markup]:
    """Return what a number means beside its place among unrelated pairs."""
    alone, percent = result.scores["i2i"], pair.percentile(result)
    if pair.kind == "t2it":
        other = _angle(result.scores["i2it"])
        return [sentence(language, f"leans_{result.leaning}", other=other)]
    if pair.kind == "it2it":
        change = result.scores["it2it"] - alone
        key = "nothing" if abs(change) < _SAME else "more" if change > 0 else "less"
        values = {"alone": f"{alone:.3f}", "change": signed(change)}
        return [sentence(language, f"adds_{key}", **values)]
    if pair.kind == "i2i" and percent is not None:
        level = next(level for cut, level in _WORDING if percent >= cut)
        return [sentence(language, f"means_i2i_{level}")]
    return []


def _said_of_text(pair: Pair, result: Comparison, language: Language) -> Markup:
    """Return whether a picture shows the text, where the model can tell, and the percentile."""
    verdicts = Markup().join(
        Markup('<span class="mm-verdict {}" data-stance="{}">{}</span>').format(
            one.verdict,
            STANCES[f"shows_{one.verdict}"],
            say(language, f"shows_{one.verdict}", percent=percent_text(100 * one.probability)),
        )
        for one in result.shown
        if one.label == pair.picture
    )
    rank = pair.rank(result)
    return verdicts + (sentence(language, "percentile_t2i", **rank) if rank else "")


def _angle(cosine: float) -> str:
    return f"{degrees(cosine):.0f}°"


def _band(known: Background | None, kind: str) -> tuple[float, float, float] | None:
    if known is None or kind not in known.quantiles:
        return None
    low, middle, high = (known.quantile(kind, percent) for percent in (5.0, 50.0, 95.0))
    return low, middle, high


# The names of the two pictures in the drawing of the matrix.
_THUMBNAILS = ("one", "two")
# The sign for text: a white T on ink.
_LETTER = Markup(
    '<rect x="5" y="5" width="86" height="86" rx="20" fill="#123a5c" stroke="#fff"'
    ' stroke-width="5"/><path d="M25 28h46v13H55v32H41V41H25z" fill="#fff"/>'
)
# The same in the corner of a picture.
_CORNER = Markup('<g transform="translate(52 52) scale(.46)">{}</g>').format(_LETTER)

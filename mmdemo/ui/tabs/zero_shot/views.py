"""A classification as the page shows it: pure functions from results to figures and markup.

Whatever a visitor typed, and every file's name, is escaped here on its way into markup.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from mmdemo.background.measure import measuring
from mmdemo.background.sets import Background, Weights
from mmdemo.plots.strips import prompt_strips
from mmdemo.similarity import order
from mmdemo.tasks.classify import Classification, PromptEffect, best_by_chance
from mmdemo.tasks.prompts import TEMPLATE_SETS
from mmdemo.ui.parts.markup import joined, percent_text, shortened
from mmdemo.ui.strings import Language, say

_ROWS_OF_ONE = 12  # labels on the card of a single picture
_ROWS_OF_MANY = 5  # on each card of several
_MATRIX_ROWS = 40


class Pictures(NamedTuple):
    """The pictures that were classified, as the page shows them.

    Attributes:
        names: of their files.
        thumbnails: as addresses of data.
    """

    names: tuple[str, ...] = ()
    thumbnails: tuple[str, ...] = ()


def heading(
    title: str, result: Classification, known: Background | None, language: Language
) -> str:
    """Return a model's name, and how its numbers come about.

    Args:
        title: of the model.
        result: its scores.
        known: its background set.
        language: of the sentences.
    """
    values = {
        "scale": f"{result.logit_scale:.4g}",
        "temperature": f"{result.temperature:.3g}",
        "bias": f"{'+' if result.logit_bias >= 0 else '−'} {abs(result.logit_bias):.4g}",
    }
    sentences = [say(language, f"zs_{result.activation}", **values)]
    if result.matching is not None:
        sentences.append(say(language, "zs_matching"))
    if known is not None and result.percentiles is not None:
        pairs = f"{known.pairs['t2i']:,}"
        sentences.append(say(language, "zs_percentile_note", pairs=pairs))
        if len(result.labels) > 1:
            expected = f"{best_by_chance(len(result.labels)):.0f}"
            values = {"count": f"{len(result.labels):,}", "expected": expected}
            sentences.append(say(language, "zs_best_of_note", **values))
    sentences += _cut_notes(result, language)
    body = joined(language, *sentences)
    return f'<h3 class="mm-title">{escape(title)}</h3><p class="mm-caption">{body}</p>'


def failed(title: str, reason: str) -> str:
    """Return a model's name, and why it has no results."""
    return f'<h3 class="mm-title">{escape(title)}</h3><p class="mm-caption">{escape(reason)}</p>'


def _cut_notes(result: Classification, language: Language) -> list[str]:
    """Say where "none of these" stands; or without it, from where on a label stands out."""
    cosine = f"{result.rejection_cosine or 0.0:.3f}"
    if result.rejection is not None:
        return [say(language, f"zs_none_{result.activation}", cosine=cosine)]
    if all(result.winner(image) is not None for image in range(len(result.cosines))):
        return []
    return [say(language, f"zs_no_winner_{result.activation}", cosine=cosine)]


def cards(result: Classification, pictures: Pictures, language: Language) -> str:
    """Return a card a picture: its labels, ranked, with bar, probability, cosine and percentile."""
    most = _ROWS_OF_ONE if len(pictures.names) == 1 else _ROWS_OF_MANY
    body = "".join(
        _card(result, image, pictures, most, language) for image in range(len(pictures.names))
    )
    single = " one" if len(pictures.names) == 1 else ""
    return f'<div class="mm-ranked{single}">{body}</div>'


def _card(
    result: Classification, image: int, pictures: Pictures, most: int, language: Language
) -> str:
    name = escape(pictures.names[image])
    number = say(language, "zs_picture", number=image + 1)
    ranked = result.ranking(image)
    rows = [
        (float(result.probabilities[image, label]), _row(result, image, label))
        for label in ranked[:most]
    ]
    if result.rejection is not None:
        chance = float(result.rejection[image])
        rows.append((chance, _none_row(result, chance, language)))
        rows.sort(key=lambda row: -row[0])
    body = "".join(row for _, row in rows)
    wide = ' class="wide"' if result.matching is not None else ""
    unclear = ""
    if result.winner(image) is None:
        unclear = f'<p class="mm-caption">{say(language, "zs_no_winner")}</p>'
    return (
        f'<article class="mm-rank-card" data-picture="{image + 1}">'
        f'<header><img src="{pictures.thumbnails[image]}" alt="{name}">'
        f"<span><b>{number}</b><br>{name}</span></header>{unclear}"
        f"<table{wide}>{_columns(result, language)}{body}</table>"
        f"{_more(len(ranked) - most, language)}</article>"
    )


def _more(count: int, language: Language) -> str:
    """Say how many labels are not shown; nothing where all are."""
    if count <= 0:
        return ""
    return f'<p class="mm-caption">{say(language, "zs_more", count=f"{count:,}")}</p>'


def _columns(result: Classification, language: Language) -> str:
    names = [say(language, "zs_probability"), say(language, "zs_cosine")]
    if result.percentiles is not None:
        count = len(result.labels)
        best = f"<br>{say(language, 'zs_best_of', count=f'{count:,}')}" if count > 1 else ""
        names.append(say(language, "zs_percentile") + best)
    names += [say(language, "zs_match")] if result.matching is not None else []
    heads = "".join(f"<th>{name}</th>" for name in names)
    return f"<tr><th></th>{heads}</tr>"


def _row(result: Classification, image: int, label: int) -> str:
    chance = float(result.probabilities[image, label])
    score = float(result.cosines[image, label])
    cells = f"<td>{score:.3f}</td>"
    if result.percentiles is not None:
        cells += f"<td>{percent_text(float(result.percentiles[image, label]))}</td>"
    if result.matching is not None:
        match = float(result.matching[image, label])
        cells += "<td>–</td>" if np.isnan(match) else f"<td>{chance_text(match)}</td>"
    top = ' class="top"' if result.winner(image) == label else ""
    return (
        f'<tr{top} data-label="{escape(result.labels[label])}" data-probability="{chance:.6f}" '
        f'data-cosine="{score:.6f}">{_label_cell(result.labels[label], chance)}'
        f"<td><b>{chance_text(chance)}</b></td>{cells}</tr>"
    )


def _none_row(result: Classification, chance: float, language: Language) -> str:
    stand = "–" if result.rejection_cosine is None else f"{result.rejection_cosine:.3f}"
    further = (result.percentiles is not None) + (result.matching is not None)
    return (
        f'<tr class="none" data-probability="{chance:.6f}">'
        f"{_label_cell(say(language, 'zs_none'), chance)}<td><b>{chance_text(chance)}</b></td>"
        f"<td>{stand}</td>{'<td></td>' * further}</tr>"
    )


def _label_cell(label: str, chance: float) -> str:
    return (
        f'<th scope="row"><span>{shortened(label)}</span>'
        f'<i class="mm-bar"><i style="width:{100 * chance:.1f}%"></i></i></th>'
    )


def chance_text(chance: float) -> str:
    """Return a probability in percent, never rounded to a certainty that it is not.

    >>> chance_text(0.873), chance_text(0.0004)
    ('87.3 %', '&lt;0.1 %')
    """
    if chance < 0.001:
        return "&lt;0.1\u00a0%"
    return "&gt;99.9\u00a0%" if chance > 0.9995 else f"{100 * chance:.1f}\u00a0%"


def matrix(result: Classification, pictures: Pictures, language: Language) -> str:
    """Return all pictures with all labels as a table; nothing for a single picture.

    Labels that are high nowhere are left out where there are very many.
    """
    if len(pictures.names) < 2:
        return ""
    shown = _matrix_labels(result)
    low, high = float(result.cosines.min()), float(result.cosines.max())
    heads = "".join(
        f'<th><img src="{source}" alt="{escape(name)}" title="{escape(name)}"></th>'
        for source, name in zip(pictures.thumbnails, pictures.names, strict=True)
    )
    rows = "".join(
        f'<tr><th scope="row">{shortened(result.labels[label])}</th>'
        + "".join(_cell(result, image, label, low, high) for image in range(len(pictures.names)))
        + "</tr>"
        for label in shown
    )
    more = _more(len(result.labels) - len(shown), language)
    table = f"<table><tr><th></th>{heads}</tr>{rows}</table>"
    return f'<div class="mm-table mm-matrix">{table}</div>{more}'


def _matrix_labels(result: Classification) -> list[int]:
    """Return the labels to show, in the order they were given."""
    if len(result.labels) <= _MATRIX_ROWS:
        return list(range(len(result.labels)))
    return sorted(order(result.cosines.max(axis=0))[:_MATRIX_ROWS])


def _cell(result: Classification, image: int, label: int, low: float, high: float) -> str:
    score = float(result.cosines[image, label])
    share = (score - low) / max(high - low, 1e-6)
    top = ' class="top"' if result.winner(image) == label else ""
    return (
        f'<td{top} style="--share:{100 * share:.0f}%">'
        f"<b>{chance_text(float(result.probabilities[image, label]))}</b><br>{score:.3f}</td>"
    )


def prompts(effect: PromptEffect, language: Language) -> go.Figure:
    """Draw the spread of each label's cosines over the templates."""
    names = [say(language, f"zs_{key}") for key in ("template", "bare", "ensemble")]
    return prompt_strips(
        effect.labels,
        effect.templates,
        effect.by_template,
        effect.bare,
        effect.ensemble,
        (names[0], names[1], names[2]),
    )


def awaited(model: Weights, language: Language) -> str:
    """Return a sentence on the background set that is being measured; nothing once it is there."""
    work = measuring(model)
    if work is None:
        return ""
    share = work.progress.share if work.progress else 0.0
    return say(language, "zs_measuring", percent=round(100 * share))


# To take away.


def json_text(results: Sequence[Classification], pictures: Pictures) -> str:
    """Return what is on the screen as JSON."""
    whole = {"pictures": list(pictures.names), "results": [one.to_dict() for one in results]}
    return json.dumps(whole, ensure_ascii=False, indent=1)


def csv_text(results: Sequence[Classification], pictures: Pictures, language: Language) -> str:
    """Return what is on the screen as CSV: one row a model, picture and label.

    "None of these" has a row of its own. The text begins with a byte order mark, without which
    spreadsheets do not read it as UTF-8.
    """
    target = io.StringIO()
    columns = (
        "model",
        "picture",
        "file",
        "label",
        "cosine",
        "probability",
        "percentile",
        "matching",
    )
    writer: csv.DictWriter[str] = csv.DictWriter(target, columns)
    writer.writeheader()
    for result in results:
        for row in result.rows():
            file = pictures.names[row["picture"] - 1]
            told = {"model": result.model, "file": _cell_text(file)} | row
            writer.writerow(told | {"label": _cell_text(row["label"])})
        for image, chance in enumerate([] if result.rejection is None else result.rejection):
            none = {"label": say(language, "zs_none"), "cosine": result.rejection_cosine}
            place = {"picture": image + 1, "file": _cell_text(pictures.names[image])}
            writer.writerow({"model": result.model, "probability": float(chance)} | place | none)
    return "\ufeff" + target.getvalue()


def _cell_text(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def python_text(
    models: Sequence[str], results: Sequence[Classification], pictures: Pictures
) -> str:
    """Return the lines of Python that give the same numbers.

    Args:
        models: as they were chosen.
        results: one a model.
        pictures: what was classified.
    """
    result = results[0]  # what follows they have in common
    reject = ", reject=True" if any(one.rejection is not None for one in results) else ""
    known = {one.templates: one.name for one in TEMPLATE_SETS.values()}
    named = known.get(result.templates)
    return (
        "from mmdemo import classify, load_encoder\n\n"
        f"images = {_listed(list(pictures.names))}\n"
        f"labels = {_listed(result.labels)}\n"
        f"templates = {repr(named) if named else _listed(result.templates)}\n\n"
        f"for model in {_listed([_loadable(model) for model in models])}:\n"
        "    encoder = load_encoder(model)\n"
        f"    result = classify(encoder, images, labels, templates{reject})\n"
        "    print(model, result.activation, result.logit_scale, result.logit_bias)\n"
        "    print(result.cosines)  # float32 [n_images, n_labels]\n"
        "    print(result.probabilities)  # float32 [n_images, n_labels]\n"
    )


def _loadable(model: str) -> str:
    """Return what names the model elsewhere; a directory's own place stays unsaid."""
    return model.replace("local:", "path/to/", 1) if model.startswith("local:") else model


def _listed(values: Sequence[str]) -> str:
    """Return a list as Python writes it, one item a line where it would be long."""
    line = repr(list(values))
    if len(line) <= 80:
        return line
    return "[\n" + "".join(f"    {value!r},\n" for value in values) + "]"

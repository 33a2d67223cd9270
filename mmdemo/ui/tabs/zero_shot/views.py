"""A classification as the page shows it: pure functions from results to figures and markup."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup

from mmdemo.background.measure import measuring
from mmdemo.background.sets import Background, Weights
from mmdemo.plots.strips import prompt_strips
from mmdemo.similarity import order
from mmdemo.tasks.classify import Classification, PromptEffect, best_by_chance
from mmdemo.tasks.prompts import TEMPLATE_SETS
from mmdemo.ui.parts.cells import cell_text
from mmdemo.ui.parts.markup import (
    caption,
    joined,
    percent_text,
    shortened,
    titled,
)
from mmdemo.ui.strings import Language, say

_ROWS_OF_ONE = 12  # labels on the card of a single picture
_ROWS_OF_MANY = 5  # on each card of several
_MATRIX_ROWS = 40

_TOP = Markup(' class="top"')


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
) -> Markup:
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
    return titled(title, joined(language, *sentences))


def failed(title: str, reason: str) -> Markup:
    """Return a model's name, and why it has no results."""
    return titled(title, reason)


def _cut_notes(result: Classification, language: Language) -> list[str]:
    """Say where "none of these" stands; or without it, from where on a label stands out."""
    cosine = f"{result.rejection_cosine or 0.0:.3f}"
    if result.rejection is not None:
        return [say(language, f"zs_none_{result.activation}", cosine=cosine)]
    if all(result.winner(image) is not None for image in range(len(result.cosines))):
        return []
    return [say(language, f"zs_no_winner_{result.activation}", cosine=cosine)]


def cards(result: Classification, pictures: Pictures, language: Language) -> Markup:
    """Return a card a picture: its labels, ranked, with bar, probability, cosine and percentile."""
    most = _ROWS_OF_ONE if len(pictures.names) == 1 else _ROWS_OF_MANY
    body = Markup().join(
        _card(result, image, pictures, most, language) for image in range(len(pictures.names))
    )
    single = " one" if len(pictures.names) == 1 else ""
    return Markup('<div class="mm-ranked{}">{}</div>').format(single, body)


def _card(
    result: Classification, image: int, pictures: Pictures, most: int, language: Language
) -> Markup:
    ranked = result.ranking(image)
    rows = [
        (float(result.probabilities[image, label]), _row(result, image, label))
        for label in ranked[:most]
    ]
    if result.rejection is not None:
        chance = float(result.rejection[image])
        rows.append((chance, _none_row(result, chance, language)))
        rows.sort(key=lambda row: -row[0])
    unclear = result.winner(image) is None
    return Markup(
        '<article class="mm-rank-card" data-picture="{number}"><header><img src="{thumbnail}" '
        'alt="{name}"><span><b>{title}</b><br>{name}</span></header>{unclear}'
        "<table{wide}>{columns}{rows}</table>{more}</article>"
    ).format(
        number=image + 1,
        thumbnail=pictures.thumbnails[image],
        name=pictures.names[image],
        title=say(language, "zs_picture", number=image + 1),
        unclear=caption(say(language, "zs_no_winner")) if unclear else "",
        wide=Markup(' class="wide"') if result.matching is not None else "",
        columns=_columns(result, language),
        rows=Markup().join(row for _, row in rows),
        more=_more(len(ranked) - most, language),
    )


def _more(count: int, language: Language) -> Markup:
    """Say how many labels are not shown; nothing where all are."""
    return caption(say(language, "zs_more", count=f"{count:,}")) if count > 0 else Markup()


def _columns(result: Classification, language: Language) -> Markup:
    names = [say(language, "zs_probability"), say(language, "zs_cosine")]
    if result.percentiles is not None:
        count = len(result.labels)
        best = say(language, "zs_best_of", count=f"{count:,}")
        name = say(language, "zs_percentile")
        names.append(Markup("{}<br>{}").format(name, best) if count > 1 else name)
    names += [say(language, "zs_match")] if result.matching is not None else []
    heads = Markup().join(map(Markup("<th>{}</th>").format, names))
    return Markup("<tr><th></th>{}</tr>").format(heads)


def _row(result: Classification, image: int, label: int) -> Markup:
    chance = float(result.probabilities[image, label])
    score = float(result.cosines[image, label])
    cells = [f"{score:.3f}"]
    if result.percentiles is not None:
        cells.append(percent_text(float(result.percentiles[image, label])))
    if result.matching is not None:
        match = float(result.matching[image, label])
        cells.append("–" if np.isnan(match) else chance_text(match))
    return Markup(
        '<tr{} data-label="{}" data-probability="{:.6f}" data-cosine="{:.6f}">{}'
        "<td><b>{}</b></td>{}</tr>"
    ).format(
        _TOP if result.winner(image) == label else "",
        result.labels[label],
        chance,
        score,
        _label_cell(result.labels[label], chance),
        chance_text(chance),
        _cells(cells),
    )


def _none_row(result: Classification, chance: float, language: Language) -> Markup:
    stand = "–" if result.rejection_cosine is None else f"{result.rejection_cosine:.3f}"
    further = (result.percentiles is not None) + (result.matching is not None)
    return Markup('<tr class="none" data-probability="{:.6f}">{}<td><b>{}</b></td>{}</tr>').format(
        chance,
        _label_cell(say(language, "zs_none"), chance),
        chance_text(chance),
        _cells([stand, *[""] * further]),
    )


def _label_cell(label: str, chance: float) -> Markup:
    return Markup(
        '<th scope="row"><span>{}</span><i class="mm-bar"><i style="width:{:.1f}%"></i></i></th>'
    ).format(shortened(label), 100 * chance)


def _cells(values: Iterable[str]) -> Markup:
    return Markup().join(map(Markup("<td>{}</td>").format, values))


def chance_text(chance: float) -> str:
    r"""Return a probability in percent, never rounded to a certainty that it is not.

    >>> chance_text(0.873), chance_text(0.0004)
    ('87.3\xa0%', '<0.1\xa0%')
    """
    if chance < 0.001:
        return "<0.1\u00a0%"
    return ">99.9\u00a0%" if chance > 0.9995 else f"{100 * chance:.1f}\u00a0%"


def matrix(result: Classification, pictures: Pictures, language: Language) -> Markup:
    """Return all pictures with all labels as a table; nothing for a single picture.

    Labels that are high nowhere are left out where there are very many.
    """
    if len(pictures.names) < 2:
        return Markup()
    shown = _matrix_labels(result)
    low, high = float(result.cosines.min()), float(result.cosines.max())
    heads = Markup().join(
        Markup('<th><img src="{0}" alt="{1}" title="{1}"></th>').format(source, name)
        for source, name in zip(pictures.thumbnails, pictures.names, strict=True)
    )
    rows = Markup().join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            shortened(result.labels[label]),
            Markup().join(
                _cell(result, image, label, low, high) for image in range(len(pictures.names))
            ),
        )
        for label in shown
    )
    return Markup(
        '<div class="mm-table mm-matrix"><table><tr><th></th>{}</tr>{}</table></div>{}'
    ).format(heads, rows, _more(len(result.labels) - len(shown), language))


def _matrix_labels(result: Classification) -> list[int]:
    """Return the labels to show, in the order they were given."""
    if len(result.labels) <= _MATRIX_ROWS:
        return list(range(len(result.labels)))
    return sorted(order(result.cosines.max(axis=0))[:_MATRIX_ROWS])


def _cell(result: Classification, image: int, label: int, low: float, high: float) -> Markup:
    score = float(result.cosines[image, label])
    share = (score - low) / max(high - low, 1e-6)
    return Markup('<td{} style="--share:{:.0f}%"><b>{}</b><br>{:.3f}</td>').format(
        _TOP if result.winner(image) == label else "",
        100 * share,
        chance_text(float(result.probabilities[image, label])),
        score,
    )


def prompts_heading(image: int, language: Language) -> Markup:
    """Return what stands above the figures of what the prompts did to a picture."""
    return Markup("<h2>{}</h2><p>{}</p>").format(
        say(language, "zs_prompts_heading"), say(language, "zs_prompts_caption", number=image + 1)
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
    return say(language, "zs_measuring", percent=round(100 * work.share))


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
            told = {"model": cell_text(result.model), "file": cell_text(file)} | row
            writer.writerow(told | {"label": cell_text(row["label"])})
        for image, chance in enumerate([] if result.rejection is None else result.rejection):
            none = {"label": say(language, "zs_none"), "cosine": result.rejection_cosine}
            place = {"picture": image + 1, "file": cell_text(pictures.names[image])}
            writer.writerow(
                {"model": cell_text(result.model), "probability": float(chance)} | place | none
            )
    return "\ufeff" + target.getvalue()


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

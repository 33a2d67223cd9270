"""What happens in the tab "Text": plain functions from values to values."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from mmdemo.background.measure import measuring, start
from mmdemo.background.sets import background
from mmdemo.errors import MMDemoError, StoppedError
from mmdemo.examples import ranking_examples
from mmdemo.models.encoder import Encoder
from mmdemo.models.find import find_offered
from mmdemo.models.lane import Priority
from mmdemo.similarity import order
from mmdemo.tasks.passages import (
    checked_document,
    open_document,
    read_document,
    split_document,
    typed_passages,
)
from mmdemo.tasks.rank import Explanation, Ranking, RankRequest, Weights, explain
from mmdemo.ui.parts.inputs import Upload
from mmdemo.ui.parts.markup import error_message, unforeseen
from mmdemo.ui.parts.markup import message as message_box
from mmdemo.ui.parts.models.handlers import loaded, watching
from mmdemo.ui.parts.signals import again
from mmdemo.ui.serving.journal import note_error
from mmdemo.ui.strings import Language, say
from mmdemo.ui.tabs.text import views
from mmdemo.work import Current, Follow, Function, Work

_LOOK_EVERY = 0.3  # seconds


@dataclass(frozen=True, eq=False)
class Shown:
    """What is on the screen, for what is asked of it later: other weights, another passage.

    Attributes:
        ranking: the scores, or None before the first.
        picked: the passage that is explained.
        why: its explanation.
        model: as it was chosen; a directory is not found by its encoder's name.
    """

    ranking: Ranking | None = None
    picked: int = 0
    why: Explanation | None = None
    model: str = ""


Answer = tuple[Ranking, int, Explanation, str]
"""What a job makes, as in `Shown`: scores, what to explain first, why, and of which model."""


class Results(NamedTuple):
    """What a ranking changes on the page, in the order of the output components."""

    message: Any = gr.skip()
    ranked: Any = gr.skip()
    progress: Any = gr.skip()
    stop: Any = gr.skip()
    columns: Any = gr.skip()
    reading: Any = gr.skip()
    pick: Any = gr.skip()
    dense: Any = gr.skip()
    sparse: Any = gr.skip()
    multi_vector: Any = gr.skip()
    heatmap: Any = gr.skip()
    timer: Any = gr.skip()
    shown: Any = gr.skip()


def run(
    query: str | None,
    passages: str | None,
    whole: bool,
    model: str,
    dense: float,
    sparse: float,
    multi_vector: float,
    language: Language,
    shown: Shown,
    current: Current[Answer],
) -> Generator[Results, None, None]:
    """Rank what is on the page and yield what to show: how far it is, then the results.

    Bad input changes nothing but the message, so that nothing on the page is lost.
    """
    weights = weights_of(dense, sparse, multi_vector)
    given = (query, passages, whole, model)
    if current.runs(given):  # asked for twice
        return
    current.stop(replaced=True)  # what runs is of an earlier input
    try:
        if missing := _missing(query, passages):
            yield _only_message(say(language, missing), language, shown)
            return
        texts = split_typed(passages or "", whole=whole)
        job = current.start(_work(query or "", texts, weights, model, language), given)
        for results in _followed(job, shown, weights, language):
            yield results if results.shown == gr.skip() else results._replace(ranked=_key(*given))
    except MMDemoError as error:
        yield _only_message(escape(error_message(error, language)), language, shown)
    except Exception as error:
        yield _only_message(unforeseen(error, language), language, shown)


def _key(query: str | None, passages: str | None, whole: bool, _model: str) -> str:
    """Return what a script of the page compares with the fields: whether they are as ranked."""
    return json.dumps([query, passages, whole])


def _missing(query: str | None, passages: str | None) -> str:
    """Return the key of what to ask for, or nothing."""
    if not (query or "").strip():
        return "rank_need_query"
    return "" if (passages or "").strip() else "rank_need_passages"


def _work(
    query: str, passages: Sequence[str], weights: Weights, model: str, language: Language
) -> Function[Answer]:
    """Return what a job does: load the model, rank, and explain the passage that comes first."""

    def work(follow: Follow) -> Answer:
        encoder = loaded(model, language, Priority.PAGE, follow.unwanted)
        ranking = RankRequest(query, tuple(passages)).run(encoder, follow)
        picked = order(ranking.hybrid(weights))[0]
        why = _explained(encoder, ranking, picked)
        start(encoder)
        return ranking, picked, why, model

    return work


def _followed(
    job: Work[Answer], shown: Shown, weights: Weights, language: Language
) -> Iterator[Results]:
    """Yield how far a job is, then its results; it ends too where nobody listens any more."""
    try:
        while not job.wait(_LOOK_EVERY) and not job.stopping:
            waiting = message_box(say(language, "rank_waiting"), late=True)
            yield Results(
                message=waiting if shown.ranking is not None else gr.skip(),
                progress=gr.update(
                    value=views.progress(job.progress.share if job.progress else 0.0, language),
                    visible=True,
                ),
                stop=gr.update(visible=True),
            )
        if job.replaced:
            return
        if job.stopping:  # its next step may take a while, but nobody need wait for that
            raise StoppedError
        yield _all(Shown(*job.result()), weights, language)
    except StoppedError as error:
        note_error(error)
        yield _only_message(say(language, "rank_stopped"), language, shown)
    finally:
        job.stop()


def _share(work: Work[Any] | None) -> Any:
    return None if work is None else work.progress.share if work.progress else 0.0


def awaited(shown: Shown, language: Language) -> list[Any]:
    """Return the message that stands in the place of the first results; once there are, nothing."""
    return [gr.skip() if shown.ranking else message_box(say(language, "rank_loading"))]


def stop(current: Current[Answer]) -> None:
    """Stop the encoding that runs; whoever follows it says so on the page."""
    current.stop()


def reweigh(
    dense: float, sparse: float, multi_vector: float, shown: Shown, language: Language
) -> tuple[Any, Any]:
    """Rank by other weights, from the scores that are there: columns, and what was read."""
    if shown.ranking is None:
        return gr.skip(), gr.skip()
    weights = weights_of(dense, sparse, multi_vector)
    return (
        views.columns(shown.ranking, weights, language),
        views.reading(shown.ranking, weights, language),
    )


def pick(position: int | None, language: Language, shown: Shown) -> Results:
    """Explain another passage."""
    ranking = shown.ranking
    if ranking is None or position is None or not 0 <= position < len(ranking.passages):
        return Results()
    try:
        why = _explained(loaded(shown.model, language), ranking, position)
    except MMDemoError as error:
        return _only_message(escape(error_message(error, language)), language, shown)
    return _why(replace(shown, picked=position, why=why), language)


def clicked(event: gr.EventData, language: Language, shown: Shown) -> Results:
    """Explain the passage that was clicked in one of the columns."""
    position = getattr(event, "passage", None)
    found = pick(position if isinstance(position, int) else None, language, shown)
    return found if shown.ranking is None else found._replace(pick=gr.update(value=position))


def show_again(
    dense: float, sparse: float, multi_vector: float, shown: Shown, language: Language
) -> Results:
    """Show the same results in another language, or with the background set that has come."""
    if shown.ranking is None:
        return Results()
    return _all(shown, weights_of(dense, sparse, multi_vector), language)


def load_document(files: list[Upload], language: Language) -> tuple[Any, Any]:
    """Return the passages of a document that was dropped, for the text field, and a message."""
    try:
        return _read(files), ""
    except MMDemoError as error:
        return gr.skip(), message_box(escape(error_message(error, language)), stale=False)


def _read(files: list[Upload]) -> Any:
    """Return the passages of the first file; nothing where the field was emptied."""
    if not files:
        return gr.skip()
    first = files[0]
    text = read_document(first, "") if isinstance(first, bytes) else open_document(Path(first))
    return views.passages_text(split_document(text))


def show_example(index: int) -> tuple[str, str]:
    """Return query and passages of a ready-made ranking."""
    example = ranking_examples()[index]
    return example.query, views.passages_text(example.passages)


def fill_example(index: int) -> tuple[str, str, str]:
    """Return query and passages of a ready-made ranking for the fields, and have them ranked."""
    return *show_example(index), again()


def split_typed(text: str, *, whole: bool) -> list[str]:
    """Return the passages of the text field, or all of it as one."""
    checked_document(text)
    return [text.strip()] if whole else typed_passages(text)


def weights_of(dense: float, sparse: float, multi_vector: float) -> Weights:
    """Return the sliders' values by function; an emptied field counts as 0."""
    return {
        "dense": max(dense or 0.0, 0.0),
        "sparse": max(sparse or 0.0, 0.0),
        "multi_vector": max(multi_vector or 0.0, 0.0),
    }


def _explained(encoder: Encoder, ranking: Ranking, position: int) -> Explanation:
    return explain(encoder, ranking.query, ranking.passages[position])


def _all(shown: Shown, weights: Weights, language: Language) -> Results:
    """Return everything that a finished ranking shows."""
    if shown.ranking is None:
        return Results()
    choices = [
        (views.pick_label(shown.ranking, position), position)
        for position in range(len(shown.ranking.passages))
    ]
    hidden = gr.update(visible=False)
    return _why(shown, language)._replace(
        message="",
        progress=hidden,
        stop=hidden,
        columns=views.columns(shown.ranking, weights, language),
        reading=views.reading(shown.ranking, weights, language),
        pick=gr.update(choices=choices, value=shown.picked, visible=True),
    )


def _why(shown: Shown, language: Language) -> Results:
    """Return what explains the passage that is picked."""
    ranking, why = shown.ranking, shown.why
    if ranking is None or why is None:
        return Results()
    figure = views.heatmap(why)
    spec = find_offered(shown.model)
    return Results(
        dense=views.dense(
            ranking, shown.picked, background(spec), _share(measuring(spec)), language
        ),
        sparse=views.sparse(why, shown.picked, ranking.model, language),
        multi_vector=views.multi_vector(why, shown.picked, language),
        heatmap=gr.update(visible=False)
        if figure is None
        else gr.update(value=figure, visible=True),
        timer=watching(spec),
        shown=shown,
    )


def _only_message(text: str, language: Language, shown: Shown) -> Results:
    stale = shown.ranking is not None
    sentence = f"{text} {say(language, 'rank_stale')}" if stale else text
    hidden = gr.update(visible=False)
    return Results(message=message_box(sentence, stale=stale), progress=hidden, stop=hidden)

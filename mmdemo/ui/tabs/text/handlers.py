"""What happens in the tab "Text": functions from what it is given to what changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

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
)
from mmdemo.tasks.rank import Explanation, Ranking, RankRequest, Weights, explain
from mmdemo.types import REPRESENTATIONS
from mmdemo.ui.parts import long_work
from mmdemo.ui.parts.inputs import Upload
from mmdemo.ui.parts.markup import error_message, unforeseen
from mmdemo.ui.parts.markup import message as message_box
from mmdemo.ui.parts.models.handlers import loaded, watching
from mmdemo.ui.parts.signals import again
from mmdemo.ui.parts.wiring import unchanged
from mmdemo.ui.serving.journal import note_error
from mmdemo.ui.strings import Language, say
from mmdemo.ui.tabs.text import address, views
from mmdemo.work import Current, Follow


@dataclass(frozen=True, eq=False)
class Shown:
    """What is on the screen, for what is asked of it later: other weights, another passage.

    Attributes:
        request: what was ranked; None before the first ranking.
        ranking: the scores.
        picked: the passage that is explained.
        why: its explanation.
        typed: the passages as the field held them.
        whole: whether they were one passage.
    """

    request: RankRequest | None = None
    ranking: Ranking | None = None
    picked: int = 0
    why: Explanation | None = None
    typed: str = ""
    whole: bool = False

    @property
    def model(self) -> str | None:
        """Return the model as it was chosen; a directory is not found by its encoder's name."""
        return None if self.request is None else self.request.model


@dataclass(frozen=True)
class Dropped:
    """A document that was dropped: its passages, which the text field cannot tell apart again.

    Attributes:
        passages: as it was cut.
        text: as the field shows it; once that is another, the field counts.
    """

    passages: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, eq=False)
class Given:
    """What the tab is given.

    Attributes:
        query: what is looked for.
        passages: as they were typed.
        whole: whether they are one passage.
        model: as it was chosen.
        weights: of each way of scoring, in the order of `REPRESENTATIONS`.
        picked: the passage to be explained.
        language: of the page.
        document: what was dropped last.
        shown: what is on the screen.
        current: the visitor's work in this tab.
    """

    query: str | None
    passages: str | None
    whole: bool
    model: str
    weights: tuple[float | None, ...]
    picked: int | None
    language: Language
    document: Dropped
    shown: Shown
    current: Current[Shown]

    @property
    def by_name(self) -> Weights:
        """Return the weights by way of scoring; an emptied field counts as 0."""
        return dict(zip(REPRESENTATIONS, map(_weight, self.weights), strict=True))

    def request(self) -> RankRequest:
        """Return what is to be ranked.

        Raises:
            TextError: the passages are too long together.
        """
        typed = self.passages or ""
        if not self.whole and typed == self.document.text:
            passages: Sequence[str] | str = self.document.passages
        else:
            passages = [checked_document(typed).strip()] if self.whole else typed
        query = (self.query or "").strip()
        return RankRequest.of(query, passages, self.by_name, model=self.model)


@dataclass(frozen=True)
class Results:
    """What a ranking changes on the page."""

    message: Any = unchanged()
    ranked: Any = unchanged()
    bar: Any = unchanged()
    columns: Any = unchanged()
    reading: Any = unchanged()
    pick: Any = unchanged()
    dense: Any = unchanged()
    sparse: Any = unchanged()
    multi_vector: Any = unchanged()
    heatmap: Any = unchanged()
    timer: Any = unchanged()
    address: Any = unchanged()
    shown: Any = unchanged()


@dataclass(frozen=True)
class Superseded:
    """What changes before a ranking: `due` has it made."""

    due: Any = unchanged()
    message: Any = unchanged()


@dataclass(frozen=True)
class Weighed:
    """What other weights change."""

    columns: Any = unchanged()
    reading: Any = unchanged()
    address: Any = unchanged()


@dataclass(frozen=True)
class Loaded:
    """What a dropped document changes."""

    passages: Any = unchanged()
    message: Any = unchanged()
    document: Any = unchanged()


def supersede(given: Given) -> Superseded:
    """Have what is on the page ranked; what runs for an earlier input is ended."""
    about = _about(given)
    if given.current.runs(about):  # asked for twice
        return Superseded()
    given.current.stop(replaced=True)
    return Superseded(again(), _waiting(given))


def _about(given: Given) -> tuple[Any, ...]:
    """Return what a ranking depends on; how it is shown does not count."""
    return given.query, given.passages, given.whole, given.model


def run(given: Given) -> Iterator[Results]:
    """Rank what is on the page and yield what to show: how far it is, then the results.

    Bad input changes nothing but the message, so that nothing on the page is lost.
    """
    language = given.language
    try:
        if missing := _missing(given):
            yield _only_message(say(language, missing), given)
            return
        request = given.request()
        work = given.current.start(lambda follow: _ranked(request, given, follow), _about(given))
        for running in long_work.followed(work):
            bar = long_work.bar(running.progress, language)
            yield Results(message=_waiting(given), bar=bar)
        if not work.replaced:  # else what takes its place is shown
            yield replace(
                _all(work.result(), given.by_name, language),
                ranked=_key(given),
                address=address.query(request, given.passages or "", given.whole),
            )
    except StoppedError as error:
        note_error(error)
        yield _only_message(say(language, "rank_stopped"), given)
    except MMDemoError as error:
        yield _only_message(error_message(error, language), given)
    except Exception as error:
        yield _only_message(unforeseen(error, language), given)


def _key(given: Given) -> str:
    """Return what a script of the page compares with the fields: whether they are as ranked."""
    return json.dumps([given.query, given.passages, given.whole])


def _missing(given: Given) -> str:
    """Return the key of what to ask for, or nothing."""
    if not (given.query or "").strip():
        return "rank_need_query"
    return "" if (given.passages or "").strip() else "rank_need_passages"


def _ranked(request: RankRequest, given: Given, follow: Follow) -> Shown:
    """Load the model, rank, and explain the passage that comes first."""
    encoder = loaded(request.model, Priority.PAGE, follow.unwanted)
    ranking = request.run(encoder, follow)
    picked = order(ranking.hybrid(request.by_name))[0]
    why = _explained(encoder, ranking, picked)
    start(encoder)
    return Shown(request, ranking, picked, why, given.passages or "", given.whole)


def _waiting(given: Given) -> Any:
    """Return what is said while the results on the screen are of an earlier input."""
    if given.shown.ranking is None:
        return gr.skip()
    return message_box(say(given.language, "rank_waiting"), late=True)


def awaited(shown: Shown, language: Language) -> list[Any]:
    """Return the message that stands in the place of the first results; once there are, nothing."""
    return [gr.skip() if shown.ranking else message_box(say(language, "rank_loading"))]


def reweigh(given: Given) -> Weighed:
    """Rank by other weights, from the scores that are there: columns, and what was read."""
    shown, weights, language = given.shown, given.by_name, given.language
    if shown.ranking is None or shown.request is None:
        return Weighed()
    request = replace(shown.request, weights=tuple(weights.values()))
    return Weighed(
        views.columns(shown.ranking, weights, language),
        views.reading(shown.ranking, weights, language),
        address.query(request, shown.typed, shown.whole),
    )


def pick(given: Given) -> Results:
    """Explain another passage."""
    shown, position = given.shown, given.picked
    ranking = shown.ranking
    if ranking is None or position is None or not 0 <= position < len(ranking.passages):
        return Results()
    try:
        why = _explained(loaded(shown.model), ranking, position)
    except MMDemoError as error:
        return _only_message(error_message(error, given.language), given)
    return _why(replace(shown, picked=position, why=why), given.language)


def clicked(position: object, given: Given) -> Results:
    """Explain the passage that was clicked in one of the columns."""
    chosen = position if isinstance(position, int) else None
    found = pick(replace(given, picked=chosen))
    if given.shown.ranking is None or chosen is None:
        return found
    return replace(found, pick=gr.update(value=chosen))


def show_again(given: Given) -> Results:
    """Show the same results in another language, or with the background set that has come."""
    if given.shown.ranking is None:
        return Results()
    return _all(given.shown, given.by_name, given.language)


def load_document(files: list[Upload], language: Language) -> Loaded:
    """Return the passages of a document that was dropped, for the text field, and a message."""
    try:
        return _read(files, language)
    except MMDemoError as error:
        said = message_box(error_message(error, language), stale=False)
        return Loaded(message=said)


def _read(files: list[Upload], language: Language) -> Loaded:
    """Return the passages of the first file; nothing where the field was emptied."""
    if not files:
        return Loaded(message="")
    first = files[0]
    read = read_document(first, "") if isinstance(first, bytes) else open_document(Path(first))
    passages = split_document(read.text)
    shown = views.passages_text(passages)
    said = message_box(views.encoding_taken(read, language))
    return Loaded(shown, said, Dropped(tuple(passages), shown))


def show_example(index: int) -> tuple[str, str]:
    """Return query and passages of a ready-made ranking."""
    example = ranking_examples()[index]
    return example.query, views.passages_text(example.passages)


def fill_example(index: int) -> tuple[str, str, str]:
    """Return query and passages of a ready-made ranking for the fields, and have them ranked."""
    return *show_example(index), again()


def _weight(value: float | None) -> float:
    return max(value or 0.0, 0.0)


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
    return replace(
        _why(shown, language),
        message="",
        bar="",
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
    work = measuring(spec)
    share = None if work is None else work.share
    return Results(
        dense=views.dense(ranking, shown.picked, background(spec), share, language),
        sparse=views.sparse(why, shown.picked, ranking.model, language),
        multi_vector=views.multi_vector(why, shown.picked, language),
        heatmap=gr.update(visible=False)
        if figure is None
        else gr.update(value=figure, visible=True),
        timer=watching(spec),
        shown=shown,
    )


def _only_message(text: str, given: Given) -> Results:
    stale = given.shown.ranking is not None
    sentence = f"{text} {say(given.language, 'rank_stale')}" if stale else text
    return Results(message=message_box(sentence, stale=stale), bar="")

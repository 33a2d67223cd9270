"""The shell of the page: header, tabs, language, look, address."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr
from gradio.components import Component
from markupsafe import Markup

from mmdemo.ui import api, link
from mmdemo.ui.link import Opened
from mmdemo.ui.parts import privacy, signals
from mmdemo.ui.parts.localise import Localiser, preferred_language
from mmdemo.ui.parts.models.handlers import suitable
from mmdemo.ui.parts.tab import Page, Room, Tab
from mmdemo.ui.serving.blocks import Blocks
from mmdemo.ui.serving.events import QUIET
from mmdemo.ui.strings import CODES, FIRST, LANGUAGES, TEXT, Language, check, say
from mmdemo.ui.tabs import TABS

# Seconds: every hour, uploads older than a day are deleted. Not sooner: a lecture that began with
# an upload must not lose it.
_DELETE_CACHE = (3600, 86400)


def build() -> gr.Blocks:
    """Build the page.

    Raises:
        ValueError: a string is missing in a language, or has another slip.
    """
    check()
    localiser = Localiser()
    with Blocks(
        title="mmdemo", analytics_enabled=False, delete_cache=_DELETE_CACHE, fill_width=True
    ) as page:
        with gr.Row(elem_id="header"):
            brand = gr.HTML(elem_id="brand", padding=False)
            localiser.add_html(brand, Markup("<h1>mmdemo</h1><p>{tagline}</p>"))
            own = gr.Button(size="sm", elem_id="privacy-button")
            share = gr.Button(size="sm", elem_id="link-button")
            language = gr.Radio(
                list(LANGUAGES), value=FIRST, show_label=False, container=False, elem_id="language"
            )
            look = gr.Button(size="sm", elem_id="theme-toggle")
        localiser.add(own, value="privacy_button")
        localiser.add(share, value="link_button")
        localiser.add(language, label="language_label")
        localiser.add(look, value="theme_button")
        gr.HTML(
            Markup('<p id="link-note" role="status" hidden></p>'),
            padding=False,
            elem_id="link-place",
        )
        delete = privacy.build(localiser, own)
        with gr.Tabs(elem_id="tabs") as tabs:
            rooms = _build_tabs(localiser, language)
        privacy.wire(delete, [one for room in rooms.values() for one in room.pictures])
        api.build()
        look.click(None, None, None, js="() => mmdemo.look()", **QUIET)
        said = _by_language("link_copied", "link_own", "link_by_hand")
        share.click(None, None, None, js=f"() => mmdemo.copy({json.dumps(said)})", **QUIET)
        _wire_address(page, rooms)
        _wire_language(page, localiser, language, tabs, rooms)
    return page


def offered_tabs() -> list[Tab]:
    """Return the tabs that a model on offer can serve."""
    return [tab for tab in TABS if suitable(tab.needs)]


def _build_tabs(localiser: Localiser, language: gr.Radio) -> dict[str, Room]:
    """Lay out the tabs; return what each hands back, by its name."""
    rooms: dict[str, Room] = {}
    for tab in offered_tabs():
        with gr.Tab(
            say(FIRST, tab.label), id=tab.name, elem_classes=f"mm-tab-{tab.name}"
        ) as button:
            rooms[tab.name] = room = tab.build(Page(localiser, language))
        localiser.add(button, label=tab.label)
        entered = f"() => mmdemo.entered('{tab.name}') ? '{signals.OPENED}' : ''"
        button.select(None, None, room.opened, js=entered, **QUIET)
    return rooms


def _wire_address(page: gr.Blocks, rooms: Mapping[str, Room]) -> None:
    """Keep the browser's address at what is on the screen."""
    begin = f"() => mmdemo.begin({json.dumps(list(rooms))}, {json.dumps(FIRST)})"
    page.load(None, None, None, js=begin, **QUIET)
    page.load(None, None, None, js="() => mmdemo.fitFigures()", **QUIET)
    for name, room in rooms.items():
        told = f"(query) => mmdemo.told('{name}', query)"
        room.address.change(None, room.address, None, js=told, **QUIET)


def _wire_language(
    page: gr.Blocks,
    localiser: Localiser,
    language: gr.Radio,
    tabs: gr.Tabs,
    rooms: Mapping[str, Room],
) -> None:
    """Have the language chosen, and the page opened: at first, and when somebody goes back.

    One answer brings all that depends on either.
    """
    spoken = f"(language) => mmdemo.spoken(language, {json.dumps(TEXT['drop_files'])})"
    page.load(None, language, None, js=spoken, **QUIET)
    language.change(None, language, None, js=spoken, **QUIET)
    language.input(
        localiser.switch,
        [*localiser.inputs, language],
        localiser.outputs,
        concurrency_limit=None,
        **QUIET,
    )
    opening = _Opening(localiser, rooms)
    search = gr.Textbox(visible="hidden", show_label=False, container=False)
    reopen = gr.Button(visible="hidden", elem_id="reopen")
    event: dict[str, Any] = {
        "inputs": [search, *localiser.inputs],
        "outputs": [language, tabs, *localiser.outputs, *opening.outputs],
        "js": "(...given) => [mmdemo.search(), ...given.slice(1)]",
        "concurrency_limit": None,
        **QUIET,
    }

    # By the visitor's hand alone, but for these two.
    def opened(request: gr.Request, search: str, *values: Any) -> list[Any]:
        return opening.answer(search, preferred_language(request.headers), values)

    def reopened(request: gr.Request, search: str, *values: Any) -> list[Any]:
        spoken = preferred_language(request.headers)
        return opening.answer(search, spoken, values, again=True)

    signal = [room.opened for room in rooms.values()]
    told = f"() => mmdemo.opened({json.dumps(list(rooms))})"
    for begun in (page.load(opened, **event), reopen.click(reopened, **event)):
        begun.then(None, None, signal, js=told, **QUIET)


class _Opening:
    """What an address changes on the page: its language, the open tab, and that tab's fields."""

    def __init__(self, localiser: Localiser, rooms: Mapping[str, Room]) -> None:
        self._localiser = localiser
        self._rooms = rooms
        self._tabs = {tab.name: tab for tab in TABS if tab.name in rooms}

    @property
    def outputs(self) -> list[Component]:
        """Return each tab's fields, and what has it compute where they alone do not."""
        found: list[Component] = []
        for room in self._rooms.values():
            found += [*room.fields.values(), *([room.asked] if room.asked else [])]
        return found

    def answer(
        self, search: str, preferred: Language, values: Sequence[Any], *, again: bool = False
    ) -> list[Any]:
        """Return what an address changes.

        Args:
            search: its query.
            preferred: the visitor's language, for an address that names none.
            values: those of the localiser's inputs.
            again: whether the page was there before, and its visitor went back. Else it is in the
                language it was built in, and shows what an address without a query says.
        """
        opened = _read(search)
        language = opened.language or preferred
        name = opened.tab if opened.tab in self._rooms else next(iter(self._rooms))
        room = self._rooms[name]
        fields = self._tabs[name].read(opened, language) if again or search.strip("?") else {}
        if again:  # what the address cannot hold is still there
            fields = {key: value for key, value in fields.items() if key not in opened.own}
        filled = {id(room.fields[field]): value for field, value in fields.items()}
        inputs = zip(self._localiser.inputs, values, strict=True)
        given = [filled.get(id(component), value) for component, value in inputs]
        own: list[Any] = []
        for place, other in self._rooms.items():
            own += [filled.get(id(field), gr.skip()) for field in other.fields.values()]
            if other.asked:
                own.append(signals.again() if again and place == name else gr.skip())
        localised = self._localiser.switch if again else self._localiser.open
        return [language, gr.update(selected=name), *localised(*given, language), *own]


def _read(search: str) -> Opened:
    return link.read(dict(parse_qsl(search.removeprefix("?"), keep_blank_values=True)))


def _by_language(*keys: str) -> dict[Language, dict[str, str]]:
    """Return strings for a script of the page, each by what follows the first underscore."""
    return {code: {key.partition("_")[2]: say(code, key) for key in keys} for code in CODES}

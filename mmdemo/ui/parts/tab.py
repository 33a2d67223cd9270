"""What a tab is: a name, what its models must be able to do, and how it is laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component

from mmdemo.ui.link import Opened
from mmdemo.ui.parts.localise import Localiser
from mmdemo.ui.parts.models.handlers import Needs
from mmdemo.ui.strings import Language


class Page(NamedTuple):
    """What the shell of the page hands to a tab.

    Attributes:
        localiser: collects what to translate.
        language: the page's choice of a language.
    """

    localiser: Localiser
    language: gr.Radio


class Room(NamedTuple):
    """What a tab hands back to the shell.

    Attributes:
        opened: a signal (see `signals.OPENED`): nothing is computed before the tab is opened.
        address: a signal that holds the tab's request as the query of an address.
        fields: by name, what an address can fill.
        pictures: those of its fields that hold a visitor's pictures.
        asked: a signal that has the tab compute where its fields alone do not.
    """

    opened: gr.Textbox
    address: gr.Textbox
    fields: Mapping[str, Component]
    pictures: tuple[Component, ...] = ()
    asked: gr.Textbox | None = None


@dataclass(frozen=True)
class Tab:
    """One tab of the page.

    Attributes:
        name: in addresses, and of the element that its style sheet begins with: `.mm-tab-NAME`.
        label: key of what its button says.
        needs: what a model must embed, and make of a text; without one on offer there is no tab.
        build: lays it out.
        read: from an address to values of its `fields`, by name; what an address does not say is
            as the tab opens, in that language.
    """

    name: str
    label: str
    needs: Needs
    build: Callable[[Page], Room]
    read: Callable[[Opened, Language], dict[str, Any]]

"""The shell of the page: header, tabs, language and mode; and how it is launched."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import gradio as gr
from gradio.routes import App
from starlette.middleware import Middleware

from mmdemo.errors import MMDemoError
from mmdemo.examples import FOLDER
from mmdemo.models.files import on_this_machine
from mmdemo.models.find import find_offered
from mmdemo.models.pool import load_encoder
from mmdemo.settings import (
    hub_ids_accepted,
    limits,
    log_level,
    passwords,
    paths_accepted,
    proxies,
)
from mmdemo.ui import api
from mmdemo.ui.parts.localise import Localiser, preferred_language
from mmdemo.ui.parts.models import downloads
from mmdemo.ui.parts.models.handlers import suitable
from mmdemo.ui.serving import health, tools
from mmdemo.ui.serving.callers import Callers, Streams
from mmdemo.ui.serving.events import QUIET, THREADS
from mmdemo.ui.serving.line import Line, line_of
from mmdemo.ui.serving.page import Page
from mmdemo.ui.serving.sessions import Sessions
from mmdemo.ui.strings import FIRST, LANGUAGES, TEXT, check, say
from mmdemo.ui.tabs.similarity import layout as similarity_tab
from mmdemo.ui.tabs.text import layout as text_tab
from mmdemo.ui.tabs.zero_shot import layout as zero_shot_tab
from mmdemo.ui.theme import STYLE_SHEET, theme

log = logging.getLogger(__name__)

# Seconds: every hour, uploads older than a day are deleted. Not sooner: a lecture that began with
# an upload must not lose it.
_DELETE_CACHE = (3600, 86400)

_TRUSTED_BY_UVICORN = "FORWARDED_ALLOW_IPS"

# Figures follow the window by themselves, but not a column that becomes narrower beside another.
_FIT_FIGURES = """() => {
  const watch = new ResizeObserver(() => window.dispatchEvent(new Event("resize")));
  document.querySelectorAll(".block.mm-result").forEach((block) => watch.observe(block));
}"""

# Screen readers, hyphenation and the choice of Chinese letter forms go by it.
# gradio's own words where files are dropped follow the browser alone, so ours take their place.
_SAY_LANGUAGE = f"""(language) => {{
  const root = document.documentElement;
  root.lang = language;
  root.style.setProperty("--mm-drop", JSON.stringify({json.dumps(TEXT["drop_files"])}[language]));
}}"""

_TOGGLE_MODE = "() => { document.body.classList.toggle('dark'); }"


def build() -> Page:
    """Build the page.

    Raises:
        ValueError: a string is missing in a language, or has another slip.
    """
    check()
    localiser = Localiser()
    with Page(
        title="mmdemo", analytics_enabled=False, delete_cache=_DELETE_CACHE, fill_width=True
    ) as page:
        with gr.Row(elem_id="header"):
            brand = gr.HTML(elem_id="brand", padding=False)
            localiser.add_html(brand, "<h1>mmdemo</h1><p>{tagline}</p>")
            language = gr.Radio(
                list(LANGUAGES), value=FIRST, show_label=False, container=False, elem_id="language"
            )
            localiser.add(language, label="language_label")
            mode = gr.Button(size="sm", elem_id="theme-toggle")
            localiser.add(mode, value="theme_button")
        _build_tabs(localiser, language)
        api.build()
        mode.click(None, None, None, js=_TOGGLE_MODE, **QUIET)
        page.load(None, None, None, js=_FIT_FIGURES, **QUIET)
        page.load(None, language, None, js=_SAY_LANGUAGE, **QUIET)

        # By the visitor's hand alone: at the opening, one answer brings all that depends on it.
        def opened(request: gr.Request, *values: Any) -> list[Any]:
            spoken = preferred_language(request.headers)
            return [spoken, *localiser.open(*values, spoken)]

        page.load(
            opened,
            localiser.inputs,
            [language, *localiser.outputs],
            concurrency_limit=None,
            **QUIET,
        )
        language.input(
            localiser.switch,
            [*localiser.inputs, language],
            localiser.outputs,
            concurrency_limit=None,
            **QUIET,
        )
        language.change(None, language, None, js=_SAY_LANGUAGE, **QUIET)
    return page


def _build_tabs(localiser: Localiser, language: gr.Radio) -> None:
    """Lay out the tabs that a model on offer can serve."""
    for key, needs, build_tab in (
        ("tab_similarity", similarity_tab.NEEDS, similarity_tab.build),
        ("tab_zero_shot", zero_shot_tab.NEEDS, zero_shot_tab.build),
        ("tab_text", text_tab.NEEDS, text_tab.build),
    ):
        if suitable(needs):
            with gr.Tab(say(FIRST, key)) as tab:
                build_tab(localiser, language, tab)
            localiser.add(tab, label=key)


def launch() -> None:
    """Build the page and serve it until interrupted; the address is printed.

    Raises:
        SettingError: a variable of the environment has a value that makes no sense.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("mmdemo").setLevel(log_level())
    for setting in (paths_accepted, hub_ids_accepted, limits, proxies, passwords, tools.wanted):
        setting()  # so that a slip of the pen is told now, and not at somebody's first click
    page = build()
    # The first use of the default model, so that nobody waits for it on stage.
    threading.Thread(target=_warm_up, name="warm-up", daemon=True).start()
    serve(page)


def serve(page: gr.Blocks, *, wait: bool = True) -> str:
    """Serve a page as visitors get it, and return its address.

    Args:
        page: from `build`.
        wait: until it is interrupted. Without it, threads of this process serve the page until
            `page.close()`; so the tests get what users get.
    """
    page.queue(api_open=False)  # `/run` would be a way around the line
    page._queue = Line(page, Callers())
    with _forwarded_headers_ignored():
        _, address, _ = page.launch(
            theme=theme(),
            css_paths=STYLE_SHEET,
            show_error=False,  # our own sentences are shown nevertheless, and nothing else is
            ssr_mode=False,
            pwa=False,
            share=False,
            max_file_size=f"{limits().upload_mb}mb",
            footer_links=["api"],
            allowed_paths=[str(FOLDER)],
            run_history=False,
            app_kwargs={"lifespan": _lifespan, "middleware": [Middleware(Streams, page=page)]},
            auth=passwords() or None,
            max_threads=THREADS,
            prevent_thread_lock=not wait,
            mcp_server=tools.wanted(),
        )
    return address.rstrip("/")


@asynccontextmanager
async def _lifespan(app: App) -> AsyncIterator[None]:
    """Put what is ours in gradio's place before the first request."""
    page = app.get_blocks()
    kept = Sessions(line_of(page).callers)
    kept.set_blocks(page)
    app.state_holder = kept
    health.add(app)
    tools.answer_in_json(page)
    yield


@contextmanager
def _forwarded_headers_ignored() -> Iterator[None]:
    """Have the server report who is at the other end of a connection, whatever a header says.

    uvicorn, unasked, believes the headers of whatever connects from this machine, and gradio hands
    it nothing but this variable. Whose headers count is for `callers.address_of` to say.
    """
    before = os.environ.get(_TRUSTED_BY_UVICORN)
    os.environ[_TRUSTED_BY_UVICORN] = ""
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TRUSTED_BY_UVICORN]
        else:
            os.environ[_TRUSTED_BY_UVICORN] = before


def _warm_up() -> None:
    try:
        spec = find_offered()
        if not on_this_machine(spec):
            downloads.start(spec).wait()  # not `load_encoder`'s own, so that the page shows it
            if not on_this_machine(spec):
                return  # the page says why
        load_encoder(spec).encode("a first text")
    except MMDemoError as error:
        log.warning("%s", error)  # the page says the same to whoever uses the model

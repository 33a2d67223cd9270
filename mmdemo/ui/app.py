"""The shell of the page: header, tabs, language and mode; and how it is launched."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import gradio as gr

from mmdemo.errors import MMDemoError
from mmdemo.examples import FOLDER
from mmdemo.models.files import on_this_machine
from mmdemo.models.find import find_offered
from mmdemo.models.pool import load_encoder
from mmdemo.settings import hub_ids_accepted, limits, paths_accepted
from mmdemo.ui import api, downloads, sessions, similarity_tab, text_tab, zero_shot_tab
from mmdemo.ui.events import QUIET
from mmdemo.ui.localise import Localiser
from mmdemo.ui.model_handlers import suitable
from mmdemo.ui.text import LANGUAGES, TEXT, Language, say
from mmdemo.ui.theme import STYLE_SHEET, theme

log = logging.getLogger(__name__)

# Seconds: every hour, uploads older than a day are deleted. Not sooner: a lecture that began with
# an upload must not lose it.
_DELETE_CACHE = (3600, 86400)

_MOST_WAITING = 1000  # events

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


def build() -> gr.Blocks:
    """Build the page."""
    localiser = Localiser()
    with gr.Blocks(
        title="mmdemo", analytics_enabled=False, delete_cache=_DELETE_CACHE, fill_width=True
    ) as page:
        with gr.Row(elem_id="header"):
            brand = gr.HTML(elem_id="brand", padding=False)
            localiser.add_html(brand, "<h1>mmdemo</h1><p>{tagline}</p>")
            language = gr.Radio(
                list(LANGUAGES), value="en", show_label=False, container=False, elem_id="language"
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
            spoken = preferred_language(request)
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
            with gr.Tab(say("en", key)) as tab:
                build_tab(localiser, language, tab)
            localiser.add(tab, label=key)


def preferred_language(request: gr.Request) -> Language:
    """Return Chinese for a browser that asks for it first, else English."""
    wanted = request.headers.get("accept-language", "")
    return "zh" if wanted.lower().startswith("zh") else "en"


def launch() -> None:
    """Build the page and serve it until interrupted; the address is printed.

    Raises:
        SettingError: a variable of the environment has a value that makes no sense.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for accepted in (paths_accepted, hub_ids_accepted):
        accepted()  # so that a slip of the pen is told now, and not at somebody's first click
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
    # `/run` would be a way around the queue. That this is full nobody should ever read: it counts
    # the events of all visitors together, so it stands far above what an audience makes.
    page.queue(api_open=False, max_size=_MOST_WAITING)
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
        app_kwargs={"lifespan": sessions.lifespan},
        prevent_thread_lock=not wait,
    )
    return address.rstrip("/")


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

"""How the page is launched and served."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import gradio as gr
from gradio.route_utils import FnIndexInferError
from gradio.routes import App
from starlette.middleware import Middleware

from mmdemo.environment import check_settings
from mmdemo.errors import MMDemoError, SettingError
from mmdemo.examples import FOLDER
from mmdemo.images import decode_apart
from mmdemo.models.files import on_this_machine
from mmdemo.models.find import find_offered
from mmdemo.models.pool import load_encoder
from mmdemo.settings import decoded_apart, limits, log_level, passwords, server_port
from mmdemo.ui.page import build
from mmdemo.ui.parts.models import downloads
from mmdemo.ui.serving import health, tools
from mmdemo.ui.serving.bodies import Bodies
from mmdemo.ui.serving.callers import Callers, Streams
from mmdemo.ui.serving.endpoints import no_such_endpoint
from mmdemo.ui.serving.events import THREADS
from mmdemo.ui.serving.line import Line, line_of
from mmdemo.ui.serving.sessions import Sessions
from mmdemo.ui.theme import STYLE_SHEETS, figure_heights, theme

log = logging.getLogger(__name__)

_TRUSTED_BY_UVICORN = "FORWARDED_ALLOW_IPS"

_SCRIPT = Path(__file__).with_name("head.html")


def launch() -> None:
    """Build the page and serve it until interrupted; the address is printed.

    Raises:
        SettingError: a variable of the environment has a value that makes no sense.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    check_settings()
    logging.getLogger("mmdemo").setLevel(log_level())
    tools.wanted()
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

    Raises:
        SettingError: it cannot be served at the port, or the address, that was asked for.
    """
    page.queue(api_open=False)  # `/run` would be a way around the line
    page._queue = Line(page, Callers())
    decode_apart(decoded_apart())
    with _forwarded_headers_ignored(), _port_explained():
        _, address, _ = page.launch(
            server_port=server_port(),  # the one that was asked for, or none
            theme=theme(),
            css=figure_heights(),
            css_paths=STYLE_SHEETS,
            head_paths=_SCRIPT,
            show_error=False,  # our own sentences are shown nevertheless, and nothing else is
            ssr_mode=False,
            pwa=False,
            share=False,
            max_file_size=f"{limits().upload_mb}mb",
            footer_links=["api"],
            allowed_paths=[str(FOLDER)],
            run_history=False,
            app_kwargs={
                "lifespan": _lifespan,
                "middleware": [Middleware(Bodies), Middleware(Streams, page=page)],
                "exception_handlers": {FnIndexInferError: no_such_endpoint},
            },
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
def _port_explained() -> Iterator[None]:
    """Say so where there is no port to serve at.

    One that was asked for and is taken is not replaced by another: whoever set it expects the page
    there, and so does whatever stands before it.
    """
    try:
        yield
    except OSError as error:
        if "empty port" not in str(error):
            raise
        name = os.environ.get("GRADIO_SERVER_NAME", "").strip() or "127.0.0.1"
        if (port := server_port()) is None:
            raise SettingError(
                f"The page cannot be served at {name}: no port is free there, or it is no address "
                "of this machine. Set GRADIO_SERVER_NAME or GRADIO_SERVER_PORT.",
                "no_port",
                host=name,
            ) from error
        raise SettingError(
            f"The page cannot be served at port {port} of {name}: another program has it, or you "
            "may not use it. End that program, or choose another port (GRADIO_SERVER_PORT, or "
            "'serve --port'); without any, the first free one is taken.",
            "port_taken",
            port=port,
            host=name,
        ) from error


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

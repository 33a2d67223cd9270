"""What all endpoints have in common: how they are added, what goes wrong, how long they may take.

An endpoint is a function that `add` has put onto the page. What it takes is checked by
`payloads.py`; what stands in its docstring is on the API page, and what a program that looks for
tools (MCP) reads of it.
"""

from __future__ import annotations

import functools
import inspect
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args, get_type_hints

import gradio as gr
from gradio.events import api
from starlette.requests import Request
from starlette.responses import JSONResponse

from mmdemo.errors import BusyError, MMDemoError
from mmdemo.settings import limits
from mmdemo.ui.serving import payloads
from mmdemo.ui.serving.events import API, API_LONG
from mmdemo.ui.serving.journal import note_error
from mmdemo.work import Function, Work

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.3  # seconds


def add(function: Callable[..., Any]) -> None:
    """Add an endpoint to the page that is being built, under the name of its function.

    Args:
        function: its parameters are annotated with types of `payloads.py`. A generator is one
            that takes long: what it yields before its last value says how far it is, and it ends
            at its next step when its caller has gone. (gradio closes a generator whose caller has
            closed the connection; of a plain function it would wait for the end.)
    """
    group = API_LONG if inspect.isgeneratorfunction(function) else API
    api(answering(function), api_name=function.__name__, **group)


def no_such_endpoint(request: Request, error: Exception) -> JSONResponse:
    """Answer a call of an endpoint that there is not, which gradio has no answer for."""
    told = "There is no endpoint of this name. /gradio_api/info lists those that there are."
    return JSONResponse({"detail": told}, status_code=404)


def answering(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that takes what is sent, and tells in our sentences what goes wrong."""
    wanted = payloads.parameters(function)

    @functools.wraps(function)
    def answer(*given: Any) -> Any:
        with _told(function.__name__):
            return function(*payloads.read(wanted, given))

    @functools.wraps(function)
    def steps(*given: Any) -> Iterator[Any]:
        with _told(function.__name__):
            yield from function(*payloads.read(wanted, given))

    answers = steps if inspect.isgeneratorfunction(function) else answer
    _describe(answers, function, wanted)
    return answers


def followed(work: Function[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Do what takes long beside, so that it is known at any time whether anybody still waits.

    A step of it may wait for a model, or for its turn at one, and nothing can be yielded there.

    Yields:
        How far it is; at last what it comes to.

    Raises:
        BusyError: it has taken too long.
    """
    most = limits().seconds
    job, end = Work(work), time.monotonic() + most
    try:
        while not job.wait(_LOOK_EVERY):
            if time.monotonic() > end:
                raise BusyError(
                    f"This took longer than the {most:,} seconds that are given to it, and was "
                    "ended. Ask for less at once.",
                    "seconds_over",
                    limit=f"{most:,}",
                )
            yield _so_far(job)
        yield job.result()
    finally:
        job.stop()


def _so_far(job: Work[Any]) -> dict[str, Any]:
    told = job.progress
    if told is None:
        return {"stage": "waiting", "share": 0.0}
    return {"stage": told.stage, "share": round(told.share, 3)}


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Have a caller read our own sentence of an error, and nothing of any other."""
    try:
        yield
    except gr.Error:
        raise
    except Exception as error:
        note_error(error)
        if isinstance(error, MMDemoError):
            raise gr.Error(str(error), print_exception=False) from error
        log.error("/%s failed", name, exc_info=error)
        raise gr.Error(
            "Something went wrong here, and the log of the server says what. Try again.",
            print_exception=False,
        ) from error


def _describe(
    answers: Any, function: Callable[..., Any], wanted: tuple[payloads.Parameter, ...]
) -> None:
    """Have gradio see what is sent and answered, where the function sees what is made of it."""
    answered = get_type_hints(function)["return"]
    if inspect.isgeneratorfunction(function):
        [answered] = get_args(answered)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    answers.__signature__ = inspect.Signature(
        [
            inspect.Parameter(one.name, kind, default=one.default, annotation=one.takes.json)
            for one in wanted
        ],
        return_annotation=answered,
    )
    answers.__annotations__ = {one.name: one.takes.json for one in wanted} | {"return": answered}
    answers.__doc__ = described(function.__doc__ or "")


def described(docstring: str) -> str:
    r"""Return a docstring as gradio reads it: a line an argument, and one of what is answered.

    >>> print(described("Rank.\n\n    Args:\n        query: what is\n            looked for."))
    Rank.
    <BLANKLINE>
    Args:
        query: what is looked for.
    """
    told, _, answer = re.sub(
        r"\n(?:Returns|Yields):\n", "\0", inspect.cleandoc(docstring), count=1
    ).partition("\0")
    # Of an argument the lines after its first stand further in.
    told = re.sub(r"\n {8,}", " ", told)
    return f"{told}\nReturns:\n    {' '.join(answer.split())}" if answer else told

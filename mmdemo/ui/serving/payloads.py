"""What an endpoint is given, made into what its function takes: checked in one place for all.

gradio checks nothing of what is sent to a function that `gr.api` has made an endpoint: its
annotations are a description for callers. Here the annotations of our endpoints are kept: each is
one of the types below, which says what JSON it takes, in which words it refuses others, and what
the function gets.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, get_args, get_type_hints
from urllib.parse import unquote

import gradio as gr
from gradio.data_classes import FileData

from mmdemo.errors import checked_signs
from mmdemo.images import Picture, is_data_uri
from mmdemo.ui.parts.inputs import is_upload

_LARGEST = 1e6  # a sum of larger weights might be infinite
_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_OF_UPLOAD = "/gradio_api/file="


LEFT_OUT: Any = object()
"""Stands where nothing was sent: gradio would move defaults up to places that are not theirs."""


class _UnsuitableError(ValueError):
    """What was given is not of the type, or not within its bounds."""


@dataclass(frozen=True)
class Takes:
    """What a parameter of an endpoint takes.

    Attributes:
        json: the type of what is sent, for gradio's description of the endpoint.
        expected: that type in words.
        read: makes the function's value of what was sent, whatever that is.
    """

    json: Any
    expected: str
    read: Callable[[Any], Any]


def _text(given: Any) -> str:
    if not isinstance(given, str):
        raise _UnsuitableError
    return checked_signs(given)


def _text_list(given: Any) -> list[str]:
    if not isinstance(given, list):
        raise _UnsuitableError
    return [_text(one) for one in given]


def _texts(given: Any) -> str | list[str]:
    return _text_list(given) if isinstance(given, list) else _text(given)


def _model(given: Any) -> str | None:
    return None if given is None else _text(given)


def _weight(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _UnsuitableError
    if not abs(given) <= _LARGEST:  # said so, it holds for NaN too
        raise _UnsuitableError(f"a number of at most {_LARGEST:,.0f}")
    return float(given)


def _switch(given: Any) -> bool:
    if not isinstance(given, bool):
        raise _UnsuitableError
    return given


def _picture(given: Any) -> Picture:
    """Return a picture that is not opened yet; `images.py` has the limits.

    Of a file that gradio describes the path counts, or a `data:` address in the place of one.
    """
    place = given
    if isinstance(given, dict):
        inside = given.get("url")
        place = inside if is_data_uri(inside) else given.get("path")
    if not isinstance(place, str):
        raise _UnsuitableError
    return Picture(place if is_data_uri(place) else _upload(place))


def _upload(place: str) -> str:
    """Return the path of an upload, of which a program may have the address; none is fetched."""
    path = place
    if _ADDRESS.match(place):
        _, of_upload, path = place.partition(_OF_UPLOAD)
        if not of_upload:
            raise _UnsuitableError("an uploaded file or a data URI (addresses are not fetched)")
        path = unquote(path)
    if not is_upload(path):
        raise _UnsuitableError(
            "an uploaded file (with gradio_client, handle_file(path); a path of the server is not "
            "accepted)"
        )
    return path


def _pictures(given: Any) -> list[Picture]:
    if not isinstance(given, list):
        raise _UnsuitableError
    return [_picture(one) for one in given]


_A_PICTURE = "an uploaded file (with gradio_client, handle_file(path)), or a data URI,"

Text: TypeAlias = Annotated[str, Takes(str, "a text", _text)]
TextList: TypeAlias = Annotated[Sequence[str], Takes(list[str], "a list of texts", _text_list)]
Texts: TypeAlias = Annotated[
    str | list[str], Takes(str | list[str], "a text, or a list of texts,", _texts)
]
Switch: TypeAlias = Annotated[bool, Takes(bool, "true or false", _switch)]
Weight: TypeAlias = Annotated[float, Takes(float, "a number", _weight)]
ModelName: TypeAlias = Annotated[
    str | None, Takes(str | None, "a name from /models, or null,", _model)
]
OnePicture: TypeAlias = Annotated[
    Picture, Takes(FileData | str, f"a picture, as {_A_PICTURE}", _picture)
]
PictureList: TypeAlias = Annotated[
    Sequence[Picture],
    Takes(list[FileData | str], f"a list of pictures, each {_A_PICTURE}", _pictures),
]


@dataclass(frozen=True)
class Parameter:
    """A parameter of an endpoint.

    Attributes:
        name: as callers write it.
        takes: what.
        default: where nothing is sent; `inspect.Parameter.empty` where something must be.
    """

    name: str
    takes: Takes
    default: Any

    def read(self, given: Any) -> Any:
        """Return the function's value of what was sent, perhaps `LEFT_OUT`.

        Raises:
            gr.Error: it is missing, of another type, or no upload; it names the parameter.
            TextError: a text cannot be written.
        """
        if given is LEFT_OUT and self.default is not inspect.Parameter.empty:
            return self.default
        try:
            return self.takes.read(given)
        except _UnsuitableError as error:
            expected = str(error) or self.takes.expected
            raise _refused(f"{self.name}: {expected} was expected.") from error


def parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """Return what a function takes by its annotations, each one of the types above."""
    hints = get_type_hints(function, include_extras=True)
    return tuple(
        Parameter(name, get_args(hints[name])[-1], parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
    )


def read(wanted: Sequence[Parameter], given: Sequence[Any]) -> list[Any]:
    """Return the values of all parameters, in order.

    Args:
        wanted: the parameters.
        given: what was sent, in order, and `LEFT_OUT` at the end.

    Raises:
        gr.Error: something is missing, too much, or not what it must be.
        TextError: a text cannot be written.
    """
    if len(given) > len(wanted):
        names = ", ".join(one.name for one in wanted) or "nothing"
        raise _refused(f"There are {len(given)} values; this takes {names}.")
    return [one.read(value) for one, value in zip(wanted, given, strict=True)]


def _refused(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)

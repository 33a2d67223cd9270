"""A program that uses a page's tools, through the protocol's own client."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent, Tool

Result = TypeVar("Result")


def tools(url: str) -> list[Tool]:
    """Return the tools of a page."""

    async def listed(session: ClientSession) -> list[Tool]:
        return (await session.list_tools()).tools

    return _asked(url, listed)


def use(url: str, name: str, arguments: dict[str, Any]) -> tuple[bool, str]:
    """Use a tool; return whether it worked, and the text of the answer."""

    async def called(session: ClientSession) -> tuple[bool, str]:
        answer = await session.call_tool(name, arguments)
        [content] = answer.content
        assert isinstance(content, TextContent)
        return not answer.isError, content.text

    return _asked(url, called)


def answer_of(url: str, name: str, arguments: dict[str, Any]) -> Any:
    """Use a tool that works; return its answer."""
    worked, text = use(url, name, arguments)
    assert worked, text
    return json.loads(text)


def data_uri(path: Path) -> str:
    """Return a picture as a program writes it that has no other way to hand over a file."""
    return f"data:image/{path.suffix[1:]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _asked(url: str, question: Callable[[ClientSession], Awaitable[Result]]) -> Result:
    async def asked() -> Result:
        async with (
            streamable_http_client(f"{url}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await question(session)

    return asyncio.run(asked())

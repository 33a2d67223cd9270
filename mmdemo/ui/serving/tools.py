"""The endpoints as tools of an MCP server, where the owner wants that: `MMDEMO_MCP`.

gradio's server calls them over HTTP, with one client of its own, so that all that is said of the
endpoints holds: the line, its limits, the log. That client is one caller: whoever comes by MCP
shares the places of one with all who do, and nobody gets more by it. And it does not tell when
somebody has gone: work that was begun by MCP ends by itself, or after `MMDEMO_LIMITS_SECONDS`.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import gradio as gr

from mmdemo.errors import SettingError
from mmdemo.settings import tools_served


def wanted() -> bool:
    """Say whether there is to be such a server.

    Raises:
        SettingError: there is, and the package that it takes is not installed; or the settings make
            no sense.
    """
    if not tools_served():
        return False
    if find_spec("mcp") is None:
        raise SettingError(
            "MMDEMO_MCP is on, and a package that it takes is not installed: pip install "
            "'gradio[mcp]'.",
            "mcp_missing",
        )
    return True


def answer_in_json(page: gr.Blocks) -> None:
    """Have a served page's tools answer in JSON; gradio writes a value as Python shows it."""
    server = page.mcp_server_obj
    if server is None:
        return

    def written(data: Any, root_url: str) -> list[Any]:
        from mcp.types import TextContent  # an extra, which is there by now

        return [TextContent(type="text", text=json.dumps(one, ensure_ascii=False)) for one in data]

    server.postprocess_output_data = written
